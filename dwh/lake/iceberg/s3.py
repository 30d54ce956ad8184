"""A lake in S3: nothing can be renamed there, and nobody locked out, but a PUT can have a condition."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from dwh.engines.duckdb.parquet import cannot_write
from dwh.lake.iceberg.store import Adopted
from dwh.lake.objects import Objects
from dwh.sources.buckets import Buckets
from dwh.spool.folder import private_folder
from dwh.terminal.errors import EnvironmentFailure


class S3Store(Objects):
    """A prefix in S3. `by_engine`: the engine writes data files there; otherwise they are made here and uploaded."""

    def __init__(self, location: str, buckets: Buckets, *, by_engine: bool) -> None:
        super().__init__(location, buckets)
        self._by_engine = by_engine

    def is_here(self, location: str) -> bool:
        """Compare the names."""
        return location.rstrip("/") == self.location

    def held(self) -> AbstractContextManager[None]:
        """Nobody is kept out: every commit has a condition."""
        return nullcontext()

    def create(self, path: str, data: bytes) -> bool:
        """Put an object, if there is none of that name."""
        return self.replace(path, data, "")

    @contextmanager
    def workspace(self, table: str) -> Iterator[str]:
        """Give the prefix itself, or a private folder from which files are uploaded."""
        if self._by_engine:
            yield f"{self.location}/{table}/data"
            return
        with private_folder() as folder:
            yield str(folder)

    def adopt(self, path: str, workspace: str) -> Adopted:
        """Upload the file in parts, and remove it here; or look at what the engine wrote."""
        if self._by_engine:
            try:
                return Adopted(self.size(path), None)
            except FileNotFoundError:
                raise EnvironmentFailure(
                    f"{self.location}/{path} is gone before the export has ended",
                    evidence=f"another session is using {self.location}",
                    hint="the same command again",
                ) from None
        local = Path(workspace, path.rpartition("/")[2])
        try:
            with local.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = local.stat().st_size
            self.upload(path, local)
            local.unlink()
        except OSError as error:
            raise cannot_write(str(local), str(error)) from error
        return Adopted(size, digest)

    def fetch(self, path: str, folder: Path) -> Path:
        """Copy the object, in pieces."""
        local = folder / "copy.parquet"
        try:
            self.download(path, local)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise cannot_write(str(local), str(error)) from error
        return local
