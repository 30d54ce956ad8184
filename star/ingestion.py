"""The files of a load on their way in: their records go into the spool, or straight to the engine, and each file gets a
row in incoming_files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sql_queries as q
from dwh.seam import Part, Session
from dwh.sources.arrivals import Arrivals
from dwh.sources.files import is_remote
from dwh.sources.ledger import Pending, is_large
from dwh.spool.small_files import Changed, IncomingFile
from dwh.spool.spool import Spool, Unreadable
from dwh.terminal.console import Console
from dwh.terminal.errors import RecordsRefused
from dwh.terminal.objects import kept_objects
from star import load_queries as queries
from star.refusals import OWN_KEYS, LeaveOut, ReadAgain

# Songs come before events, so that the plays of a load find its songs.
KEYS = {kind: {**q.PROVENANCE_KEYS, **own} for kind, own in OWN_KEYS.items()}
INCOMING = {"songs": "incoming_songs", "events": "incoming_events"}


class Ingestion:
    """What brings files in. `given_up` maps files that look good but cannot be loaded to the reason."""

    def __init__(self, session: Session, arrivals: Arrivals, console: Console, given_up: Mapping[str, str]) -> None:
        self.session = session
        self.arrivals = arrivals
        self.console = console
        self.given_up = given_up

    def bring_in(self, files: Sequence[Pending], careful: set[str], spool: Spool) -> dict[int, tuple[str, int]]:
        """Bring the files in and list them in incoming_files; gives path and number of records of each file_id. Those
        in `careful` are read record by record.

        Raises LeaveOut for a file that changed since it was listed, ReadAgain for one that the engine refuses."""
        first_id: int = self.session.rows(queries.SELECT_NEXT_FILE_ID)[0][0]
        place = self.arrivals.place
        on_their_way = [IncomingFile(n, file.kind, place(file.source)) for n, file in enumerate(files, first_id)]
        apart = careful | self.given_up.keys()
        plain = [way for way, file in zip(on_their_way, files, strict=True) if file.source.path not in apart]
        spool.count_large((file.source for file in plain), self.session.count_lines)
        incoming: dict[int, tuple[str, int]] = {}
        rows = []
        with kept_objects(), self.console.progress("reading", len(files) if is_large(files) else 0, "files") as advance:
            together = spool.add_small((file for file in plain if not is_remote(file.source.path)), advance)
            for way, (kind, source, _) in zip(on_their_way, files, strict=True):
                records, status = together.get(way.file_id), "loaded"
                if records is None:
                    records, status = self._bring_in(way, source.path, spool, carefully=source.path in careful)
                    advance(1)
                incoming[way.file_id] = source.path, records
                rows.append((way.file_id, kind, source.path, source.fingerprint, records, status))
        part = spool.add_rows("files", q.FILE_KEYS, rows)
        self.session.load("incoming_files", q.FILE_KEYS, [part])
        return incoming

    def _bring_in(self, file: IncomingFile, path: str, spool: Spool, *, carefully: bool) -> tuple[int, str]:
        """Bring one file in; gives the number of its records, and its status in the ledger."""
        try:
            if path in self.given_up:
                raise Unreadable(self.given_up[path])
            if is_remote(file.source.path):
                return self._load_directly(file, spool), "loaded"
            return spool.add(file, carefully=carefully), "loaded"
        except Unreadable as reason:
            return spool.add_unreadable(file, str(reason)), "rejected"
        except Changed:
            raise LeaveOut({path}) from None
        except RecordsRefused:
            raise ReadAgain({path}) from None

    def _load_directly(self, file: IncomingFile, spool: Spool) -> int:
        """Let the engine read an object of S3; gives the number of its records."""
        self.session.load(INCOMING[file.kind], KEYS[file.kind], [Part(file.source.path, file.file_id)])
        spool.unread.look(file.kind, file.file_id, self.arrivals.first_lines(file.source))
        records: int = self.session.rows(queries.COUNT_INCOMING[file.kind], (file.file_id,))[0][0]
        return records
