"""A lake in S3: files are made in a private folder and uploaded, or the engine writes them there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dwh.lake.manifest import MANIFEST, VERSION, LakeFile
from dwh.lake.objects import Objects
from dwh.lake.place import is_foreign, sha256, worded
from dwh.seam import Written
from dwh.spool.folder import private_folder
from dwh.terminal.errors import Busy

if TYPE_CHECKING:
    from dwh.sources.buckets import Buckets


class Prefix:
    """A prefix in S3. `by_engine`: the engine writes the files there; otherwise they are made here and uploaded."""

    def __init__(self, location: str, buckets: Buckets, *, by_engine: bool) -> None:
        self._objects = Objects(location, buckets)
        self.location = self._objects.location
        self._by_engine = by_engine

    def held(self) -> AbstractContextManager[None]:
        """Do nothing: there is no lock here, the manifest is replaced on a condition."""
        return nullcontext()

    def versions(self) -> set[str]:
        """List the prefixes below."""
        return {name for name in self._objects.names() if VERSION.fullmatch(name)}

    def others(self) -> set[str]:
        """List the prefixes below and the objects beside them, without the marker of an empty folder."""
        return {name for name in self._objects.names() if name and is_foreign(name)}

    def read(self) -> tuple[bytes, str] | None:
        """Get the manifest; its tag is the ETag."""
        with suppress(FileNotFoundError):
            return self._objects.read(MANIFEST)
        return None

    def replace(self, manifest: bytes, tag: str, version: str) -> None:  # noqa: ARG002
        """Put the manifest, if it is still the one that was read."""
        if not self._objects.replace(MANIFEST, manifest, tag):
            raise Busy(f"another session has just exported to {self.location}", hint="the same command again")

    def sizes(self, version: str) -> dict[str, int]:
        """List the objects of a version."""
        return self._objects.sizes(version)

    @contextmanager
    def workspace(self, version: str) -> Iterator[str]:
        """Give the prefix itself, or a private folder from which files are uploaded."""
        if self._by_engine:
            yield f"{self.location}/{version}"
            return
        with private_folder() as folder:
            yield str(folder)

    def keep(self, version: str, written: Written, workspace: str) -> LakeFile:
        """Upload the file in parts, and remove it here; or read the size of the file that the engine wrote."""
        path = f"{version}/{written.path}"
        if self._by_engine:
            return LakeFile(path, written.rows, self._objects.size(path), None)
        local = Path(workspace, written.path)
        with worded(local):
            file = LakeFile(path, written.rows, local.stat().st_size, sha256(str(local)))
            self._objects.upload(path, local)
            local.unlink()
        return file

    def remove(self, version: str) -> None:
        """Delete the objects of a version."""
        self._objects.delete(list(self._objects.sizes(version)))

    def copies(self, files: Sequence[LakeFile]) -> Iterator[list[tuple[LakeFile, str]]]:
        """Fetch one file at a time into a private folder."""
        with private_folder() as folder:
            local = folder / "copy.parquet"
            for file in files:
                with worded(local):
                    try:
                        self._objects.download(file.path, local)
                    except FileNotFoundError:
                        local.unlink()  # a missing copy means that the object is gone
                yield [(file, str(local))]
