"""A lake in a folder: what is there is on the disk before anything names it."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from dwh.engines.duckdb.parquet import cannot_write
from dwh.lake.iceberg.store import Adopted
from dwh.lake.place import locked

UNFINISHED = ".partial"


class FolderStore:
    """A folder. One export at a time: the folder itself is locked, and a lock ends with its process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.location = str(path)
        self._unsynced: set[Path] = set()  # folders with new names that may not be on the disk yet

    def is_here(self, location: str) -> bool:
        """Compare what links lead to."""
        return os.path.realpath(location) == os.path.realpath(self.path)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, and lock it for the block."""
        with _worded(self.path):
            self._make(self.path)
            descriptor = os.open(self.path, os.O_RDONLY)
        with locked(descriptor, self.path):
            yield

    def sizes(self) -> dict[str, int]:
        """Look at every file."""
        found = {}
        with _worded(self.path):
            for folder, _, names in os.walk(self.path):
                for name in names:
                    with suppress(FileNotFoundError):
                        file = os.path.join(folder, name)
                        found[os.path.relpath(file, self.path)] = os.stat(file).st_size
        return found

    def read(self, path: str) -> tuple[bytes, str]:
        """Read a file; its tag is its digest."""
        with _worded(self.path, FileNotFoundError):
            data = (self.path / path).read_bytes()
        return data, hashlib.sha256(data).hexdigest()

    def write(self, path: str, data: bytes) -> None:
        """Write a file onto the disk, and remember that its name has to get there."""
        with _worded(self.path):
            self._put(self.path / path, data)

    def create(self, path: str, data: bytes) -> bool:
        """Link the file to its name, which fails when there is one of that name."""
        place = self.path / path
        unfinished = self._unfinished(place)
        with _worded(self.path):
            try:
                self._put(unfinished, data)
                self._sync_names()
                if not _link(unfinished, place):
                    return False
            finally:
                unfinished.unlink(missing_ok=True)
            _sync(place.parent)
        return True

    def replace(self, path: str, data: bytes, tag: str) -> bool:
        """Rename the new file over the old one; who does that holds the lock, so the tag is looked at before."""
        found = ""
        with suppress(FileNotFoundError):
            found = self.read(path)[1]
        if found != tag:
            return False
        place = self.path / path
        unfinished = self._unfinished(place)
        with _worded(self.path):
            try:
                self._put(unfinished, data)
                self._sync_names()
                os.replace(unfinished, place)
            finally:
                unfinished.unlink(missing_ok=True)
            _sync(place.parent)
        return True

    @contextmanager
    def workspace(self, table: str) -> Iterator[str]:
        """Give the folder of the data itself: a file there is no part of the table before its metadata names it."""
        with _worded(self.path):
            self._make(self.path / table / "data")
        yield str(self.path / table / "data")

    def adopt(self, path: str, workspace: str) -> Adopted:  # noqa: ARG002
        """Make sure that the file is on the disk."""
        place = self.path / path
        with _worded(self.path):
            _sync(place)
            self._unsynced.add(place.parent)
            with place.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            return Adopted(place.stat().st_size, digest)

    def fetch(self, path: str, folder: Path) -> Path:  # noqa: ARG002
        """Give it where it is."""
        if not (self.path / path).is_file():
            raise FileNotFoundError(path)
        return self.path / path

    def delete(self, paths: Sequence[str]) -> None:
        """Unlink them."""
        with _worded(self.path):
            for path in paths:
                (self.path / path).unlink(missing_ok=True)

    def _put(self, place: Path, data: bytes) -> None:
        self._make(place.parent)
        with place.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self._unsynced.add(place.parent)

    def _unfinished(self, place: Path) -> Path:
        return place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}{UNFINISHED}")

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            self._make(folder.parent)
            folder.mkdir(exist_ok=True)
            self._unsynced.add(folder.parent)

    def _sync_names(self) -> None:
        for folder in sorted(self._unsynced):
            _sync(folder)
        self._unsynced.clear()


@contextmanager
def _worded(path: Path, *passed: type[OSError]) -> Iterator[None]:
    """Word what the file system refuses, all but what is `passed` on."""
    try:
        yield
    except passed:
        raise
    except OSError as error:
        raise cannot_write(str(path), str(error)) from error


def _link(file: Path, name: Path) -> bool:
    try:
        os.link(file, name)
    except FileExistsError:
        return False
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
