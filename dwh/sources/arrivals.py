"""Where the files of one load can be read: in their place, in a local copy, or by the warehouse alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from dwh.sources.files import SMALL_FILE, SourceFile, is_remote
from dwh.sources.places import Sources
from dwh.terminal.console import Console


class Folders(Protocol):
    """Where copies go: `fetched` gives a folder that does not exist yet. It removes the earlier ones, unless these are
    `more` copies beside them."""

    def fetched(self, *, more: bool) -> Path:
        """Give the folder."""


class Arrivals:
    """The files of one load. The warehouse itself reads S3 objects of at least `direct_bytes` (None: it reads none)
    until one of their records is refused. All others are fetched before the lock is taken, so that a slow network
    blocks no other session."""

    def __init__(self, sources: Sources, folders: Folders, console: Console, direct_bytes: int | None) -> None:
        self._sources = sources
        self._folders = folders
        self._console = console
        self._direct_bytes = direct_bytes
        self._here: dict[str, SourceFile] = {}

    def begin(self, files: Sequence[SourceFile]) -> set[str]:
        """Forget the load before, and fetch the files of this one; gives the paths of those that have changed since
        they were listed. Raises EnvironmentFailure when one cannot be fetched."""
        self._here = {}
        return self.bring(file for file in files if not self._is_direct(file))

    def bring(self, files: Iterable[SourceFile]) -> set[str]:
        """Fetch files that are not here yet; gives the paths of those that have changed since they were listed."""
        missing = [file for file in files if file.path not in self._here]
        remote = sum(file.size for file in missing if is_remote(file.path))
        with self._console.progress("fetching", remote, "bytes") as advance:
            fetched = self._sources.fetch(missing, self._folders.fetched(more=bool(self._here)), advance)
        self._here |= fetched.copies
        return fetched.changed

    def place(self, file: SourceFile) -> SourceFile:
        """Give the file to read: the file itself, or its copy."""
        return self._here.get(file.path, file)

    def is_here(self, file: SourceFile) -> bool:
        """Tell whether a file can be read on this machine."""
        return file.path in self._here

    def first_lines(self, file: SourceFile) -> bytes:
        """Read the first lines of a file that the warehouse reads itself; nothing when it is gone."""
        return b"\n".join(self._sources.first_lines(file.path))

    def changed(self, files: Iterable[SourceFile]) -> set[str]:
        """Name the files that changed since they were read. Small ones were read at once, and compared then."""
        late = [file for file in files if file.size > SMALL_FILE or not self.is_here(file)]
        return {file.path for file in late if not self._sources.is_current(self.place(file))}

    def _is_direct(self, file: SourceFile) -> bool:
        return self._direct_bytes is not None and is_remote(file.path) and file.size >= self._direct_bytes
