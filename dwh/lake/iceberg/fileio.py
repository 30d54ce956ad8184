"""What pyiceberg reads and writes through: the files of one table in a store.

pyiceberg asks for little (`FileIO`, `InputFile`, `OutputFile`), so these classes stand in for its own without being
derived from them: the library need not be imported for that.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from dwh.terminal.errors import EnvironmentFailure

if TYPE_CHECKING:
    from dwh.lake.iceberg.store import Store
    from dwh.terminal.errors import DwhError

FILE_SCHEME = "file:"


class TableIO:
    """The files of a table. `roots` are the locations that name its folder, the present one first: metadata that was
    written before the folder was moved names the place of that time. `gone` words the error for a file that is not
    there.

    What is written stays in memory until `flush`, because only then is it known that all of it could be made. What was
    read is kept, as none of these files ever changes.
    """

    def __init__(self, store: Store, table: str, roots: Sequence[str], gone: Callable[[str], DwhError]) -> None:
        self.properties: dict[str, str] = {}
        self._store = store
        self._table = table
        self._gone = gone
        self._roots = [f"{_plain(root)}/" for root in roots]
        self._known: dict[str, bytes] = {}
        self._unwritten: list[str] = []

    def path_of(self, location: str) -> str:
        """Give the path below the lake of a location in the metadata. Raises EnvironmentFailure for one elsewhere."""
        plain = _plain(location)
        for root in self._roots:
            if plain.startswith(root):
                return f"{self._table}/{plain[len(root) :]}"
        raise EnvironmentFailure(
            f"the metadata of {self._table} in {self._store.location} names a file elsewhere",
            evidence=location,
            hint=f"the same command again with --to {shlex.quote(self._store.location + '_2')}",
        )

    def read(self, location: str) -> bytes:
        """Give the bytes of a file. Raises what is raised for one that is gone."""
        path = self.path_of(location)
        if path not in self._known:
            try:
                self._known[path] = self._store.read(path)[0]
            except FileNotFoundError:
                raise self._gone(path) from None
        return self._known[path]

    def keep(self, location: str, data: bytes) -> None:
        """Take what was written to a location."""
        path = self.path_of(location)
        self._known[path] = data
        self._unwritten.append(path)

    def flush(self) -> None:
        """Write what was taken to the store, in that order."""
        for path in self._unwritten:
            self._store.write(path, self._known[path])
        self._unwritten.clear()

    def new_input(self, location: str) -> TableFile:
        """Give a file to read."""
        return TableFile(self, location)

    def new_output(self, location: str) -> TableFile:
        """Give a file to write."""
        return TableFile(self, location)

    def delete(self, location: Any) -> None:
        """Nothing that is in the store is deleted here; what was not written yet is forgotten."""
        path = self.path_of(str(location))
        self._unwritten = [other for other in self._unwritten if other != path]


class TableFile:
    """One file of a table, to read or to write."""

    def __init__(self, files: TableIO, location: str) -> None:
        self._files = files
        self.location = location

    def __len__(self) -> int:
        return len(self._files.read(self.location))

    def exists(self) -> bool:
        """All files that are asked for are named by metadata."""
        return True

    def open(self, seekable: bool = True) -> BytesIO:  # noqa: ARG002
        """Give the content."""
        return BytesIO(self._files.read(self.location))

    def to_input_file(self) -> TableFile:
        """Give the same file, to read."""
        return self

    def create(self, overwrite: bool = False) -> BytesIO:  # noqa: ARG002
        """Give a stream; its content is taken when it is closed."""
        return _Output(self._files, self.location)


class _Output(BytesIO):
    def __init__(self, files: TableIO, location: str) -> None:
        super().__init__()
        self._files = files
        self._location = location

    def close(self) -> None:
        if not self.closed:
            self._files.keep(self._location, self.getvalue())
        super().close()


def _plain(location: str) -> str:
    """Give a location without the scheme that a local path may have, and without a slash at its end."""
    path = location.removeprefix(FILE_SCHEME) if location.startswith(FILE_SCHEME) else location
    return ("/" + path.lstrip("/") if path is not location else path).rstrip("/")
