"""Read a lake back: every byte of every file, and the totals of its rows."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dwh.engines.duckdb.engine import open_file
from dwh.engines.duckdb.parquet import name_files
from dwh.engines.duckdb.session import DuckDbSession
from dwh.lake.place import sha256
from dwh.spool.folder import private_folder
from dwh.terminal.errors import DwhError

if TYPE_CHECKING:
    from dwh.lake.manifest import LakeFile, LakeTable
    from dwh.lake.place import Place
    from dwh.settings.sections import DuckDb


class Reader:
    """A separate DuckDB, in which the tables of the lake have their names in the warehouse."""

    def __init__(self, place: Place, session: DuckDbSession) -> None:
        self._place = place
        self._session = session

    def read(
        self, name: str, table: LakeTable, add_up: Callable[[DuckDbSession], Mapping[str, int]]
    ) -> tuple[Mapping[str, int], list[str]]:
        """Give the totals of a table, and what is wrong with its files. Remote files are fetched one by one."""
        totals: Counter[str] = Counter()
        wrong = []
        for copies in self._place.copies(table.files):
            wrong += [f"{file.path} {why}" for file, path in copies if (why := _damage(file, path))]
            if wrong:
                continue
            try:
                name_files(self._session, name, [path for _, path in copies])
                totals.update(add_up(self._session))
            except DwhError as error:
                wrong.append(f"cannot be read: {error.message}")
        return totals, wrong


@contextmanager
def open_reader(place: Place, settings: DuckDb) -> Iterator[Reader]:
    """Give a reader for the block; its temporary files lie in a private folder."""
    with (
        private_folder() as folder,
        closing(open_file(settings, Path(folder, "reader.duckdb"), lambda _trace: None, place.location)) as session,
    ):
        yield Reader(place, session)


def _damage(file: LakeFile, path: str) -> str:
    if not os.path.exists(path):
        return "is missing"
    if os.stat(path).st_size != file.bytes:
        return f"has {os.stat(path).st_size:,} bytes, not {file.bytes:,}"
    if file.sha256 and sha256(path) != file.sha256:
        return "has other bytes than were written (SHA-256)"
    return ""
