"""One load: some files, one transaction, all or nothing. etl.py decides which; sql_queries.py has the statements.

The star is a function of the contents loaded: any order, any split into loads, any retry or kill gives the same star.
So a load finds the keys of its new rows and of the rows that it replaces, deletes these keys from the star, and
chooses their rows again from staging.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sql_queries as q
from dwh.seam import Session
from dwh.settings.sections import Etl
from dwh.sources.arrivals import Arrivals
from dwh.sources.ledger import Entry, Pending, is_large
from dwh.sources.places import Sources
from dwh.spool.folder import SpoolFolder
from dwh.spool.spool import Spool
from dwh.spool.unread_keys import Sightings
from dwh.terminal.console import Console
from dwh.terminal.errors import RecordsRefused
from dwh.terminal.wording import count
from star import load_queries as queries
from star.ingestion import INCOMING, KEYS, Ingestion
from star.loads import STAR_SHA256, Load, build_star, find_last, read_users_quickly
from star.owner import is_ours
from star.refusals import (
    CAREFUL_KEYS,
    LeaveOut,
    LedgerMoved,
    ReadAgain,
    RollBack,
    engine_refuses,
    find_careless,
    find_refused,
    narrow_down,
)

if TYPE_CHECKING:
    from star.other_warehouse import OtherWarehouse

_MADE = re.compile(r"^\s*CREATE TEMP TABLE (\w+)")
CAREFUL_STEPS = len((*q.WIDEN_INCOMING, *q.REFUSE_RECORDS, *q.STAGE_RECORDS))


class StarLoader:
    """The loads of one run: `loads` are the committed ones, `left` the files that changed while they were read;
    `other_plays` counts different plays under the same key, `unread` holds the keys that are not read."""

    def __init__(
        self, session: Session, console: Console, sources: Sources, spools: SpoolFolder, settings: Etl, wait: float
    ) -> None:
        self.session = session
        self.console = console
        self.spools = spools
        self.locations = sources.locations
        direct_bytes = settings.direct_copy_bytes if session.reads_objects else None
        self.arrivals = Arrivals(sources, spools, console, direct_bytes)
        self.quarantine = settings.on_bad_line == "quarantine"
        self.wait = wait
        self.run_id = console.run_id
        self.loads, self.left = list[Load](), set[str]()
        self.other_plays, self.unread = 0, Sightings()
        self._given_up: dict[str, str] = {}  # files that look good but cannot be loaded, and why
        self.ingestion = Ingestion(session, self.arrivals, console, self._given_up)
        self._last_load: tuple[int, str] | None = None
        self._advance: Callable[[int], None] = lambda _steps: None
        self._made: set[str] = set()  # temporary tables of the current load

    def note_last_load(self) -> None:
        """Remember the last load: what is found from now on holds as long as it is the last."""
        self._last_load = find_last(self.session)

    def read_ledger(self) -> Iterator[Entry]:
        """Give which files are loaded, as the rows come; no other statement may come before the last.

        Raises LedgerMoved when there was a load since the last one was noted."""
        with suppress(RollBack), self.session.transaction():
            self._refuse_moved()
            yield from map(Entry._make, self.session.stream(q.SELECT_LEDGER))
            raise RollBack  # there is nothing to commit, so no COMMIT may stay unanswered

    def star_is_outdated(self) -> bool:
        """Tell whether different statements than the current ones made the star."""
        return self._last_load is not None and self._last_load[1] != STAR_SHA256

    def rebuild(self, other: OtherWarehouse | None = None) -> None:
        """Empty the star and build all of it again from staging. `other` fills staging and ledger first, and looks at
        the result last: nothing is stored when it raises an error."""
        with self._transaction("rebuild", files=0):
            if other:
                other.fill(self.session, self.spools)
                self._last_load = find_last(self.session)
            self._run((*q.CREATE_INCOMING, q.TOUCH_ALL_FILES, *q.EMPTY_STAR, *q.BUILD_ALL))
            self._run([queries.REMOVE_TOUCHED_DAYS])
            if other:
                other.prove(self.session)

    def forget(self, entries: Sequence[Entry]) -> None:
        """Drop the rows of files, take the files out of the ledger, and build the touched part of the star again."""
        with self._transaction("forget", files=len(entries)):
            self._run(q.CREATE_INCOMING)
            self._name_going([entry.file_id for entry in entries], self.spools.start())
            self._run(build_star(self._last_load, {entry.kind for entry in entries}))

    def load(self, files: Sequence[Pending]) -> None:
        """Load files. When the engine or a rule refuses a record, another try of this load reads record by record.

        Raises DataError at a bad record without a quarantine: nothing of this load is stored, earlier loads stay.
        """
        self.unread.begin()
        self.left |= self.arrivals.begin([file.source for file in files])
        careful: set[str] = set()
        while files := [file for file in files if file.source.path not in self.left]:
            try:
                return self._try_or_search(files, careful)
            except LeaveOut as changed:
                self.left |= changed.paths
            except ReadAgain as again:
                careful |= again.paths
                self.left |= self.arrivals.bring(file.source for file in files if file.source.path in careful)
        return None

    def _try_or_search(self, files: Sequence[Pending], careful: set[str]) -> None:
        """Load files. When the engine refuses a record, raise ReadAgain with the files to read record by record. When
        these look good, give up one file that the engine refuses, and raise ReadAgain without files."""
        try:
            self._try(files, careful)
        except RecordsRefused as refused:
            found = self._find_careless(files, careful)
            if not found:
                path = narrow_down(files, self._refuses).source.path
                if path in self._given_up:
                    raise
                self._given_up[path] = engine_refuses(refused.evidence)
            raise ReadAgain(found) from refused

    def _try(self, files: Sequence[Pending], careful: set[str]) -> None:
        spool = self.spools.start((file.kind, file.source) for file in files if self.arrivals.is_here(file.source))
        with ExitStack() as shown, self._transaction("load", files=len(files)) as count_records:
            self._run(q.CREATE_INCOMING)
            incoming = self.ingestion.bring_in(files, careful, spool)
            self.unread.note(spool.unread, incoming)
            count_records(sum(records for _, records in incoming.values()))
            all_good = not careful and not spool.faults  # as far as we know yet
            build = build_star(self._last_load, {file.kind for file in files})
            steps = len((*INCOMING, *build)) + (0 if all_good else CAREFUL_STEPS)
            steps = steps if is_large(files) else 0
            # the line stays until the commit has ended, which may take long
            self._advance = shown.enter_context(self.console.progress("loading", steps, "steps"))
            if all_good:
                self._stage_good(spool)
            else:
                self._load_spooled(spool)
                self._recount(careful)
                self._refuse(incoming, careful)
                self._run(q.STAGE_RECORDS)
            self._name_going([file.replaces for file in files if file.replaces is not None], spool)
            self._run(build)
            changed = self.arrivals.changed(file.source for file in files)
            if changed:
                raise LeaveOut(changed)

    def _stage_good(self, spool: Spool) -> None:
        """Judge all records on their way into staging; raises ReadAgain with the files that lack one afterwards."""
        stage = q.STAGE_GOOD_QUICKLY if self.session.tries_casts else q.STAGE_GOOD_RECORDS
        for kind, table in INCOMING.items():
            self.session.load_through(stage[kind], table, KEYS[kind], spool.parts(kind))
            self._advance(1)
        again = {path for (path,) in self.session.rows(queries.SELECT_UNSTAGED_FILES)}
        if again:
            raise ReadAgain(again)

    def _recount(self, careful: set[str]) -> None:
        """Make sure that every record has arrived."""
        miscounted = self.session.rows(queries.SELECT_MISCOUNTED_FILES)
        again = {path for _, path, _, _ in miscounted} - careful
        if again:
            raise ReadAgain(again)
        for _, path, read, loaded in miscounted:
            self._given_up[path] = engine_refuses([f"{count(read, 'record')} read, {loaded:,} arrived"])
        if miscounted:
            raise ReadAgain(set())

    def _refuse(self, incoming: dict[int, tuple[str, int]], careful: set[str]) -> None:
        """Judge every record by the rules; set the bad ones aside, or stop at the first."""
        self._run(q.REFUSE_RECORDS)
        again = {incoming[file_id][0] for (file_id,) in self.session.rows(queries.SELECT_FILES_TO_READ_AGAIN)} - careful
        if again:
            raise ReadAgain(again)
        if find_refused(self.session, self.locations, quarantine=self.quarantine):
            self._run(q.QUARANTINE_RECORDS)

    def _find_careless(self, files: Sequence[Pending], careful: set[str]) -> set[str]:
        """Find the files to read record by record after the engine refused a record; all, if none looks bad."""
        rest = [f for f in files if self.arrivals.is_here(f.source) and f.source.path not in careful]
        found = find_careless(rest, self.arrivals.place, lenient=self.session.lenient_json)
        return found or {file.source.path for file in rest}

    def _refuses(self, files: Sequence[Pending]) -> bool:
        """Load files and roll back, to tell whether the engine refuses one of them."""
        try:
            with self.session.transaction("loaded_files", self.wait, self.console.say):
                self._run(q.CREATE_INCOMING)
                spool = self.spools.start()
                self.ingestion.bring_in(files, {file.source.path for file in files}, spool)
                self._load_spooled(spool)
                raise RollBack
        except RecordsRefused:
            return True
        except RollBack:
            return False

    def _load_spooled(self, spool: Spool) -> None:
        self._run(q.WIDEN_INCOMING)
        for kind, table in INCOMING.items():
            self.session.load(table, CAREFUL_KEYS[kind], spool.parts(kind))
            self._advance(1)

    def _name_going(self, file_ids: Sequence[int], spool: Spool) -> None:
        if file_ids:
            part = spool.add_rows("going", ["file_id"], ((file_id,) for file_id in file_ids))
            self.session.load("going_files", {"file_id": "file_id"}, [part])

    def _run(self, statements: Sequence[str]) -> None:
        for statement in statements:
            self.session.execute(read_users_quickly(statement) if self.session.tries_casts else statement)
            self._made.update(_MADE.findall(statement))
            self._advance(1)

    @contextmanager
    def _transaction(self, action: str, files: int) -> Iterator[Callable[[int], None]]:
        """Open one load, and record it with its files at the end of the block; the block reports its number of records.

        Raises LedgerMoved when another session has loaded since the ledger was read: find the new files again.
        """
        started = time.monotonic()
        records = 0
        self._made.clear()

        def count_records(number: int) -> None:
            nonlocal records
            records = number

        with self.session.transaction("loaded_files", self.wait, self.console.say):
            self._refuse_moved()
            yield count_records
            left_out = self.session.rows(queries.COUNT_LEFT_OUT)[0][0]
            others = self.session.rows(queries.COUNT_OTHER_PLAYS)[0][0] if left_out else 0
            load_id = (self._last_load[0] if self._last_load else 0) + 1
            took, now = time.monotonic() - started, datetime.now(UTC).replace(tzinfo=None)
            row = (load_id, self.run_id, action, now, took, files, records, STAR_SHA256)
            self.session.execute(queries.INSERT_LOAD, row)
            if action != "rebuild":
                self.session.execute(queries.RECORD_TOUCHED_DAYS, (load_id,) * 3)
            if action == "load":
                self.session.execute(queries.RECORD_FILES, (load_id, now))
            # a table of such a name that this load has not made is not ours to drop
            self._run([drop for drop in q.DROP_TEMPORARY if drop.split()[-1] in self._made])
        self._last_load = (load_id, STAR_SHA256)
        self.other_plays += others
        self.loads.append(Load(load_id, files, records, round(time.monotonic() - started, 3)))

    def _refuse_moved(self) -> None:
        if not is_ours(self.session) or find_last(self.session) != self._last_load:
            raise LedgerMoved("another session has just loaded into this warehouse", hint="the same command again")
