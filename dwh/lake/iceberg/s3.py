"""A lake in S3: nothing can be renamed there, and nobody locked out, but a PUT can have a condition."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from dwh.engines.duckdb.parquet import cannot_write
from dwh.lake.iceberg.store import Adopted
from dwh.sources.buckets import Buckets, S3Path, split
from dwh.sources.objects import in_threads
from dwh.spool.folder import private_folder
from dwh.terminal.errors import EnvironmentFailure

if TYPE_CHECKING:
    import obstore

T = TypeVar("T")
PART = 16 * 1024 * 1024  # bytes of one request of an upload
PARTS = 4  # requests under way


class S3Store:
    """A prefix in S3. `by_engine`: the engine writes data files there; otherwise they are made here and uploaded."""

    def __init__(self, location: str, buckets: Buckets, *, by_engine: bool) -> None:
        place = split(location)
        self.location = str(place)
        self._bucket = place.bucket
        self._key = place.key
        self._buckets = buckets
        self._by_engine = by_engine

    def is_here(self, location: str) -> bool:
        """Compare the names."""
        return location.rstrip("/") == self.location

    def held(self) -> AbstractContextManager[None]:
        """Nobody is kept out: every commit has a condition."""
        return nullcontext()

    def sizes(self) -> dict[str, int]:
        """List the objects below the prefix."""
        import obstore

        store, start = self._buckets.open(self._bucket), self._key or None
        beginning = len(self._below(""))
        return self._ask(
            "ListBucket",
            "",
            lambda: {meta["path"][beginning:]: meta["size"] for page in obstore.list(store, start) for meta in page},
        )

    def read(self, path: str) -> tuple[bytes, str]:
        """Get an object; its tag is the ETag."""
        import obstore

        store, key = self._buckets.open(self._bucket), self._below(path)

        def get() -> tuple[bytes, str]:
            answer = obstore.get(store, key)
            return bytes(answer.bytes()), str(answer.meta["e_tag"])

        return self._ask("GetObject", path, get)

    def write(self, path: str, data: bytes) -> None:
        """Put an object: it is there when the answer is."""
        import obstore

        store, key = self._buckets.open(self._bucket), self._below(path)
        self._ask("PutObject", path, lambda: obstore.put(store, key, data))

    def create(self, path: str, data: bytes) -> bool:
        """Put an object, if there is none of that name."""
        return self._put_if(path, data, "create")

    def replace(self, path: str, data: bytes, tag: str) -> bool:
        """Put an object, if the one that is there is the one that was read."""
        return self._put_if(path, data, {"e_tag": tag} if tag else "create")

    def _put_if(self, path: str, data: bytes, mode: obstore.UpdateVersion | Literal["create"]) -> bool:
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        store, key = self._buckets.open(self._bucket), self._below(path)
        try:
            self._ask("PutObject", path, lambda: obstore.put(store, key, data, mode=mode))
        except (PreconditionError, AlreadyExistsError):
            # a request whose answer was lost is sent again, and then our own object is in the way
            with suppress(FileNotFoundError):
                return self.read(path)[0] == data
            return False
        except FileNotFoundError:  # If-Match of an object that is gone
            return False
        return True

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
        import obstore

        store, key = self._buckets.open(self._bucket), self._below(path)
        if self._by_engine:
            try:
                meta = self._ask("GetObject", path, lambda: obstore.head(store, key))
            except FileNotFoundError:
                raise EnvironmentFailure(
                    f"{self.location}/{path} is gone before the export has ended",
                    evidence=f"another session is using {self.location}",
                    hint="the same command again",
                ) from None
            return Adopted(meta["size"], None)
        local = Path(workspace, path.rpartition("/")[2])
        try:
            with local.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = local.stat().st_size
            self._ask("PutObject", path, lambda: obstore.put(store, key, local, chunk_size=PART, max_concurrency=PARTS))
            local.unlink()
        except OSError as error:
            raise cannot_write(str(local), str(error)) from error
        return Adopted(size, digest)

    def fetch(self, path: str, folder: Path) -> Path:
        """Copy the object, in pieces."""
        import obstore

        store, key = self._buckets.open(self._bucket), self._below(path)
        local = folder / "copy.parquet"

        def copy() -> None:
            with local.open("wb") as file:
                for chunk in obstore.get(store, key).stream():
                    file.write(chunk)

        try:
            self._ask("GetObject", path, copy)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise cannot_write(str(local), str(error)) from error
        return local

    def delete(self, paths: Sequence[str]) -> None:
        """Delete objects; S3 passes over those that are gone."""
        import obstore

        store, keys = self._buckets.open(self._bucket), [self._below(path) for path in paths]
        if keys:
            self._ask("DeleteObject", paths[0], lambda: obstore.delete(store, keys))

    def _below(self, path: str) -> str:
        return f"{self._key}/{path}".lstrip("/")

    def _ask(self, operation: str, path: str, action: Callable[[], T]) -> T:
        """Ask in a thread, so that a stop is not held up by a server that does not answer."""
        place = S3Path(self._bucket, self._below(path).rstrip("/"))
        [answer] = in_threads(lambda _: self._buckets.ask(operation, place, action), [None])
        return answer
