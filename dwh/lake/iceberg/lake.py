"""A lake of Iceberg tables: what is there, and the commit of an export.

All data files are written first. Then each table gets one commit, in the order of the specs, and `export.json` is
replaced last. Each of these steps is done on the condition that no other session did it since this one looked:

- A table's commit creates the metadata file that follows the one that was read.
- `export.json` is replaced only if it still is the one that was read.

So of two sessions the slower one is turned away at the first table, and one that was asleep for long at the latest by
`export.json`. Nobody is locked out for that, which S3 could not do.

Files are deleted last, and only those that were listed before anything was committed and that no kept export needs.
Such a file may be one of another session that has not ended: it wrote the file, so it had looked at the lake before,
and what it looked at was committed over since. It cannot commit any more. For that reason nothing is deleted without a
commit of every table, also when there is nothing new to export.

A session that is killed between two commits leaves some tables ahead of `export.json`. The next one starts from the
newest metadata of each table, and judges the files of each by the export that its snapshot names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from dwh.lake.iceberg.commit import Change, commit_table
from dwh.lake.iceberg.pins import PINS, Kept, Pins, TableExport, is_of_exports, left_over, read_pins, version_of
from dwh.lake.iceberg.spec import LakeFile, NewFile, TableSpec, file_name
from dwh.lake.iceberg.table import DIGESTS, ORIGIN, TOTALS, IcebergTable
from dwh.terminal.errors import Busy, DwhError

if TYPE_CHECKING:
    from dwh.lake.iceberg.store import Adopted, Store
    from dwh.seam import Address


class Contents(NamedTuple):
    """What an export does to a table: the files that come, those that go (of the present ones), and the totals of its
    rows afterwards. Without either kind of file the table stays as it is."""

    new: Sequence[NewFile]
    gone: Sequence[LakeFile]
    totals: Mapping[str, int]


class IcebergLake:
    """A lake at a place, as it was when it was looked at. `pins` is what export.json says (None: there is none yet).

    Looking needs no Iceberg library: it is one listing and one small file. `keep` exports stay (1: the current one),
    `by_name` tells that data files will have no field ids, so that columns are found by their names."""

    def __init__(self, store: Store, specs: Sequence[TableSpec], keep: int, *, by_name: bool = False) -> None:
        self.store = store
        self.specs = {spec.name: spec for spec in specs}
        self._keep = max(keep, 1)
        self._by_name = by_name
        self.pins, self._tag = self._read_pins()
        self._there = store.sizes()  # after the pins, so that it holds all that they name, unless that is gone since
        self.run = f"r{uuid4().hex[:12]}"
        self._versions = self._find_versions()
        self._tables: dict[str, IcebergTable] = {}
        self._has_begun = self._has_committed = False

    @property
    def is_moved(self) -> bool:
        """Tell whether the lake was written at another place: its metadata names that one."""
        return self.pins is not None and not self.store.is_here(self.pins.location)

    def others(self) -> set[str]:
        """Name what is there and is no part of such a lake; what file systems put into empty folders is passed over:
        hidden names, such as .DS_Store and .gitkeep, and lost+found."""
        strange = {path for path in self._there if not is_of_exports(path, self.specs)}
        tops = {path if path.partition("/")[0] in self.specs else path.partition("/")[0] for path in strange}
        return {name for name in tops - {"", "lost+found"} if not any(part[:1] == "." for part in name.split("/"))}

    def damage(self, file: LakeFile) -> str:
        """Say what is wrong with a file that should be there; empty: nothing that its size would tell."""
        found = self._there.get(file.path)
        if found is None:
            return "is missing"
        return f"has {found:,} bytes, not {file.bytes:,}" if found != file.bytes else ""

    def is_settled(self) -> bool:
        """Tell whether the last export came to its end: every table is as export.json says, and all files are there."""
        if self.pins is None or self.is_moved or self.pins.tables.keys() != self.specs.keys():
            return False
        as_said = all(self._versions.get(name) == table.version for name, table in self.pins.tables.items())
        return as_said and not any(map(self.damage, self.pins.files))

    def expired(self) -> list[str]:
        """Name the files that would go without a new export: of exports beyond those that are kept, and of killed ones.

        Only a settled lake is tidied; what is left over in another one goes with the next export."""
        if self.pins is None or not self.is_settled():
            return []
        return left_over(self._there, self._shortened(self.pins), self.specs)

    @property
    def tables(self) -> dict[str, IcebergTable]:
        """The tables as their newest metadata says, read when they are first asked for. Raises Busy when another
        session has exported since."""
        if not self._tables:
            self._tables = {name: self.table(name, self._versions.get(name, 0)) for name in self.specs}
        return self._tables

    def table(self, name: str, version: int) -> IcebergTable:
        """Read one version of the metadata of a table. Raises Busy when another session has removed it."""
        return IcebergTable(self.store, self.specs[name], version, self._is_overtaken)

    def files(self, name: str) -> list[LakeFile]:
        """Give the current files of a table, whichever export wrote them, with their digests."""
        known = {file.path: file.sha256 for file in self.pins.files} if self.pins else {}
        return [file._replace(sha256=file.sha256 or known.get(file.path)) for file in self.tables[name].files]

    def origin(self, name: str) -> Mapping[str, str]:
        """Tell what the current files of a table hold: what the last export was made from, if it left them as they are,
        and otherwise what their own snapshot says of itself; empty when no export of this suite wrote them."""
        table, said = self.tables[name], self.pins.tables.get(name) if self.pins else None
        if self.pins and said and table.snapshot and table.snapshot.snapshot_id == said.pin.snapshot:
            return self.pins.origin
        return table.origin if table.export is not None else {}

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write data files in the block; those are deleted when it fails before the commit has begun."""
        try:
            yield
        except BaseException:
            with suppress(DwhError, OSError):
                self.discard()
            raise

    def new_name(self, piece: str, part: str = "") -> str:
        """Name a data file of this export, below <table>/data."""
        return file_name(piece, self.run, part)

    def adopt(self, table: str, name: str, workspace: str) -> Adopted:
        """Bring a file that was written to the workspace of a table to its place."""
        return self.store.adopt(f"{table}/data/{name}", workspace)

    def discard(self) -> None:
        """Delete the data files of an export that was given up. Once it has begun to commit they stay: a table may have
        them already, and another session may have built on that. What nobody needs goes with the next export."""
        if not self._has_begun:
            self.store.delete([path for path in sorted(self.store.sizes()) if f"-{self.run}" in path])

    def commit(self, contents: Mapping[str, Contents], origin: Mapping[str, str], warehouse: Address) -> Pins:
        """Commit an export: every table, and then export.json. Gives what that says now.

        Raises Busy when another session has exported since this lake was looked at: the lake is that one's then, or it
        is as it was. The number of an export is never used again, whatever becomes of it.
        """
        self._has_begun = True
        used = [number for table in self.tables.values() for number in table.numbers]
        number = max([*used, self.pins.export if self.pins else 0]) + 1
        kept = self._kept(self._keep - 1)
        revision = self._next_revision()
        tables = {}
        for name in self.specs:
            said = self._said(name, contents[name], origin)
            gone = {file.path for file in contents[name].gone}
            kept_numbers = [older.export for older in kept]
            change = Change(contents[name].new, gone, said, number, kept_numbers, revision, self._by_name)
            tables[name] = self._commit_table(name, change, contents[name].totals)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        here = self.pins.location if self.pins and not self.is_moved else self.store.location
        made = Pins(number, revision, now, here, warehouse, origin, tables, kept)
        return self._replace_pins(made)

    def tidy(self) -> list[str]:
        """Delete what has expired and what killed exports left, and give the names; nothing is written when there is
        nothing to delete.

        After `commit` that commit is the one that it takes; without one each table is committed for it. Raises Busy.
        """
        going = self._left_over_after_commit() if self._has_committed else self.expired()
        if going and self.pins and not self._has_committed:
            shortened = self._shortened(self.pins)
            kept = [shortened.export, *(older.export for older in shortened.kept)]
            change = Change([], (), {}, None, kept, self._next_revision(), self._by_name)
            tables = {}
            for name, table in shortened.tables.items():
                commit_table(self.tables[name], change)
                tables[name] = table._replace(version=self.tables[name].version)
            self._replace_pins(shortened._replace(tables=tables, revision=change.revision))
        self.store.delete(going)
        return going

    def _commit_table(self, name: str, change: Change, totals: Mapping[str, int]) -> TableExport:
        table = self.tables[name]
        digests = {file.path: file.sha256 for file in self.files(name)}
        digests |= {f"{name}/data/{file.path}": file.sha256 for file in change.new}
        pin = commit_table(table, change)
        files = [file._replace(sha256=digests.get(file.path)) for file in table.files]
        rows, size = sum(file.rows for file in files), sum(file.bytes for file in files)
        columns = {column.name: column.type for column in self.specs[name].columns}
        return TableExport(pin, table.version, rows, size, columns, totals, files)

    def _said(self, name: str, contents: Contents, origin: Mapping[str, str]) -> dict[str, str]:
        """What a snapshot says of itself, for a session that finds the table ahead of export.json."""
        named = {file.path for file in self.pins.files} if self.pins else set()
        staying = {file.path for file in self.files(name)} - named - {file.path for file in contents.gone}
        digests = {file.path: file.sha256 for file in self.files(name) if file.path in staying}
        digests |= {f"{name}/data/{file.path}": file.sha256 for file in contents.new}
        known = {path: digest for path, digest in digests.items() if digest}
        values = {ORIGIN: dict(origin), TOTALS: dict(contents.totals), DIGESTS: known}
        return {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}

    def _replace_pins(self, made: Pins) -> Pins:
        if not self.store.replace(PINS, made.encode(), self._tag):
            raise Busy(f"another session has just exported to {self.store.location}", hint="the same command again")
        self.pins, self._has_committed = made, True
        return made

    def _next_revision(self) -> int:
        return self.pins.revision + 1 if self.pins else 1

    def _kept(self, room: int) -> list[Kept]:
        """The exports of before that stay beside a new one, newest first; those of another place end with the move."""
        if self.pins is None or self.is_moved:
            return []
        current = Kept(self.pins.export, {name: table.pin for name, table in self.pins.tables.items()})
        return [current, *self.pins.kept][:room]

    def _shortened(self, pins: Pins) -> Pins:
        return pins._replace(kept=list(pins.kept)[: self._keep - 1])

    def _left_over_after_commit(self) -> list[str]:
        return left_over(self._there, self.pins, self.specs) if self.pins else []

    def _is_overtaken(self) -> bool:
        """Tell whether another session has replaced export.json since: no file is deleted before that."""
        try:
            return self.store.read(PINS)[1] != self._tag
        except FileNotFoundError:
            return self._tag != ""

    def _find_versions(self) -> dict[str, int]:
        """The version of the newest metadata of each table that has one."""
        found: dict[str, int] = {}
        for path in self._there:
            table, _, rest = path.partition("/")
            if rest.startswith("metadata/") and table in self.specs and (version := version_of(rest)):
                found[table] = max(version, found.get(table, 0))
        return found

    def _read_pins(self) -> tuple[Pins | None, str]:
        try:
            data, tag = self.store.read(PINS)
        except FileNotFoundError:
            return None, ""
        return read_pins(data, self.store.location), tag
