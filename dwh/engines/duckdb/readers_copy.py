"""The copy of the warehouse that readers open while a load has the file to itself ([DUCKDB] READERS_COPY).

It is written beside its place, and moved there when it is whole: whoever opens it, and whatever is killed meanwhile,
sees the copy of before or the new one. It is current when its size and time of change are those of the file.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dwh.ownership.tables import find_owner
from dwh.terminal.errors import ConfigError, DwhError, EnvironmentFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from dwh.seam import Ours, Session

FICLONE = 0x40049409  # of Linux: the copy shares the blocks of the file until one of them changes (Btrfs, XFS, ...)
BLOCK = 1024 * 1024
HINT = "[DUCKDB] READERS_COPY = another.duckdb"


class ReadersCopy:
    """The copy of one database file. `source` is open in this process, by a connection that no other can be beside."""

    def __init__(self, source: Path, target: Path, read: Callable[[Path], Session]) -> None:
        if os.path.realpath(source) == os.path.realpath(target):
            raise ConfigError("[DUCKDB] READERS_COPY is the warehouse itself", evidence=str(target), hint=HINT)
        self.source, self.target = source, target
        self._read = read
        self._held: list[int] = []

    def renew(self, ours: Ours) -> bool:
        """Copy the file, which holds all that was committed, unless the copy is current; tells whether it was not.

        Raises EnvironmentFailure when it cannot be written, or when something else stands in its place.
        """
        file = os.open(self.source, os.O_RDONLY)
        # When a process closes a file, all its locks on that file are gone, DuckDB's too: so it stays open until
        # `let_go`.
        self._held.append(file)
        try:
            if self._is_current(file):
                return False
            self._refuse_foreign(ours)
            self._write(file)
        except OSError as error:
            full = "the disk is full: " if error.errno == 28 else ""
            raise EnvironmentFailure(
                f"{full}{self.target} cannot be written",
                evidence=(str(error), "what was loaded is stored; readers see the copy of before"),
                hint=("the same command again", HINT),
            ) from error
        return True

    def is_there(self, ours: Ours) -> bool:
        """Tell whether there is a copy: something else in its place is none."""
        try:
            self._refuse_foreign(ours)
        except DwhError:
            return False
        return self.target.exists()

    def remove(self) -> None:
        """Remove the copy, and what a killed run left of one."""
        for path in (self.target, self._unfinished):
            path.unlink(missing_ok=True)

    def let_go(self) -> None:
        """Close what `renew` opened: once the connection to the file is closed."""
        while self._held:
            os.close(self._held.pop())

    @property
    def _unfinished(self) -> Path:
        return self.target.with_name(f".{self.target.name}.new")

    def _is_current(self, file: int) -> bool:
        try:
            there = os.stat(self.target)
        except FileNotFoundError:
            return False
        now = os.fstat(file)
        return (there.st_size, there.st_mtime_ns) == (now.st_size, now.st_mtime_ns)

    def _refuse_foreign(self, ours: Ours) -> None:
        """Raise EnvironmentFailure when the place of the copy is taken by anything else than a warehouse of ours."""
        if not self.target.exists():
            return
        try:
            session = self._read(self.target)
        except EnvironmentFailure as error:
            raise self._taken("it is not a DuckDB file") from error
        try:
            if find_owner(session, ours).whose not in ("ours", "earlier"):
                raise self._taken("it is a DuckDB file of something else")
        finally:
            session.close()

    def _taken(self, seen: str) -> EnvironmentFailure:
        return EnvironmentFailure(
            f"{self.target} is not a copy of a warehouse, and was not changed", evidence=seen, hint=HINT
        )

    def _write(self, file: int) -> None:
        # what a killed run left: no other run is here, for DuckDB lets one at a time have the file
        self._unfinished.unlink(missing_ok=True)
        try:
            copy = os.open(self._unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                _copy_content(file, copy)
                status = os.fstat(file)
                os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
                os.fsync(copy)
            finally:
                os.close(copy)
            os.replace(self._unfinished, self.target)
        except BaseException:
            with suppress(OSError):
                self._unfinished.unlink(missing_ok=True)
            raise


def _copy_content(file: int, copy: int) -> None:
    """Copy a file, at once where the file system lets two files share their blocks."""
    try:
        fcntl.ioctl(copy, FICLONE, file)
    except OSError:
        with open(file, "rb", closefd=False) as source, open(copy, "wb", closefd=False) as target:
            source.seek(0)
            shutil.copyfileobj(source, target, BLOCK)
