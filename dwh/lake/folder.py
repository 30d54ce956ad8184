"""A lake in a folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from dwh.lake.manifest import MANIFEST, VERSION, LakeFile
from dwh.lake.place import is_foreign, locked, sha256, worded
from dwh.seam import Written


class Folder:
    """A folder. One export at a time: the folder itself is locked, and a lock ends with its process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.location = str(path)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, and lock it for the block."""
        with worded(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDONLY)
        with locked(descriptor, self.path):
            yield

    def versions(self) -> set[str]:
        """List the folder."""
        return {name for name in self._names() if VERSION.fullmatch(name)}

    def others(self) -> set[str]:
        """List the folder."""
        return {name for name in self._names() if is_foreign(name)}

    def _names(self) -> list[str]:
        with worded(self.path), suppress(FileNotFoundError):
            return os.listdir(self.path)
        return []

    def read(self) -> tuple[bytes, str] | None:
        """Read the manifest."""
        with worded(self.path), suppress(FileNotFoundError):
            return (self.path / MANIFEST).read_bytes(), ""
        return None

    def replace(self, manifest: bytes, tag: str, version: str) -> None:  # noqa: ARG002
        """Write the manifest into the version, sync it to the disk, then move it over the old one."""
        partial = self.path / version / f"{MANIFEST}.partial"
        with worded(self.path):
            with partial.open("wb") as file:
                file.write(manifest)
                file.flush()
                os.fsync(file.fileno())
            for folder, _, _ in os.walk(self.path / version):
                _sync(folder)
            _sync(self.path)  # the name of the version first, then the manifest that needs it
            os.replace(partial, self.path / MANIFEST)
            _sync(self.path)

    def sizes(self, version: str) -> dict[str, int]:
        """Give the size of every file."""
        with worded(self.path):
            return {
                os.path.relpath(os.path.join(folder, name), self.path): os.stat(os.path.join(folder, name)).st_size
                for folder, _, names in os.walk(self.path / version)
                for name in names
            }

    @contextmanager
    def workspace(self, version: str) -> Iterator[str]:
        """Give the version's own folder: it is not part of the lake before the manifest names it."""
        with worded(self.path):
            (self.path / version).mkdir()
        yield str(self.path / version)

    def keep(self, version: str, written: Written, workspace: str) -> LakeFile:
        """Make sure that the file is on the disk."""
        path = os.path.join(workspace, written.path)
        with worded(self.path):
            _sync(path)
            return LakeFile(f"{version}/{written.path}", written.rows, os.stat(path).st_size, sha256(path))

    def remove(self, version: str) -> None:
        """Remove the folder of a version."""
        with worded(self.path):
            shutil.rmtree(self.path / version)

    def copies(self, files: Sequence[LakeFile]) -> Iterator[list[tuple[LakeFile, str]]]:
        """Give the files where they are."""
        if files:
            yield [(file, str(self.path / file.path)) for file in files]


def _sync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
