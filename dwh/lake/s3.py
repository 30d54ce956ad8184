"""A lake in S3: files are made in a private folder and uploaded, or the engine writes them there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, TypeVar

from dwh.lake.manifest import MANIFEST, VERSION, LakeFile
from dwh.lake.place import is_foreign, sha256, worded
from dwh.seam import Written
from dwh.sources.buckets import Buckets, S3Path, split
from dwh.sources.objects import in_threads
from dwh.spool.folder import private_folder
from dwh.terminal.errors import Busy

if TYPE_CHECKING:
    from obstore.store import S3Store

T = TypeVar("T")
PART = 16 * 1024 * 1024  # bytes of one request of an upload
PARTS = 4  # requests under way


class Prefix:
    """A prefix in S3. `by_engine`: the engine writes the files there; otherwise they are made here and uploaded."""

    def __init__(self, location: str, buckets: Buckets, *, by_engine: bool) -> None:
        place = split(location)
        self.location = str(place)
        self._bucket = place.bucket
        self._key = place.key
        self._buckets = buckets
        self._by_engine = by_engine

    def held(self) -> AbstractContextManager[None]:
        """Do nothing: there is no lock here, the manifest is replaced on a condition."""
        return nullcontext()

    def versions(self) -> set[str]:
        """List the prefixes below."""
        return {name for name in self._names() if VERSION.fullmatch(name)}

    def others(self) -> set[str]:
        """List the prefixes below and the objects beside them, without the marker of an empty folder."""
        return {name for name in self._names() if name and is_foreign(name)}

    def _names(self) -> set[str]:
        import obstore

        store, start = self._buckets.open(self._bucket), self._key or None
        found = self._ask("ListBucket", "", lambda: obstore.list_with_delimiter(store, start))
        paths = [*found["common_prefixes"], *(item["path"] for item in found["objects"])]
        return {path[len(self._below("")) :].strip("/") for path in paths}

    def read(self) -> tuple[bytes, str] | None:
        """Get the manifest; its tag is the ETag."""
        import obstore

        store, key = self._buckets.open(self._bucket), self._below(MANIFEST)

        def get() -> tuple[bytes, str]:
            answer = obstore.get(store, key)
            return bytes(answer.bytes()), str(answer.meta["e_tag"])

        with suppress(FileNotFoundError):
            return self._ask("GetObject", MANIFEST, get)
        return None

    def replace(self, manifest: bytes, tag: str, version: str) -> None:  # noqa: ARG002
        """Put the manifest, if it is still the one that was read."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        store, key = self._buckets.open(self._bucket), self._below(MANIFEST)
        mode: obstore.UpdateVersion | Literal["create"] = {"e_tag": tag} if tag else "create"
        try:
            self._ask("PutObject", MANIFEST, lambda: obstore.put(store, key, manifest, mode=mode))
        except (PreconditionError, AlreadyExistsError):
            # after a lost answer the request is sent again, and finds our own manifest
            found = self.read()
            if not found or found[0] != manifest:
                raise Busy(
                    f"another session has just exported to {self.location}", hint="the same command again"
                ) from None

    def sizes(self, version: str) -> dict[str, int]:
        """List the objects of a version."""
        return {key[len(self._below("")) :]: size for key, size in self._list(version)}

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
        import obstore

        path = f"{version}/{written.path}"
        store, key = self._buckets.open(self._bucket), self._below(path)
        if self._by_engine:
            meta = self._ask("GetObject", path, lambda: obstore.head(store, key))
            return LakeFile(path, written.rows, meta["size"], None)
        local = Path(workspace, written.path)
        with worded(local):
            file = LakeFile(path, written.rows, local.stat().st_size, sha256(str(local)))
            self._ask("PutObject", path, lambda: obstore.put(store, key, local, chunk_size=PART, max_concurrency=PARTS))
            local.unlink()
        return file

    def remove(self, version: str) -> None:
        """Delete the objects of a version."""
        import obstore

        store, keys = self._buckets.open(self._bucket), [key for key, _ in self._list(version)]
        if keys:
            self._ask("DeleteObject", version, lambda: obstore.delete(store, keys))

    def copies(self, files: Sequence[LakeFile]) -> Iterator[list[tuple[LakeFile, str]]]:
        """Fetch one file at a time into a private folder."""

        store = self._buckets.open(self._bucket)
        with private_folder() as folder:
            local = folder / "copy.parquet"
            for file in files:
                with worded(local):
                    try:
                        with local.open("wb") as copy:
                            self._ask("GetObject", file.path, partial(_fetch, store, self._below(file.path), copy))
                    except FileNotFoundError:
                        local.unlink()  # a missing copy means that the object is gone
                yield [(file, str(local))]

    def _below(self, path: str) -> str:
        return f"{self._key}/{path}".lstrip("/")

    def _list(self, version: str) -> list[tuple[str, int]]:
        import obstore

        store, start = self._buckets.open(self._bucket), self._below(version)
        return self._ask(
            "ListBucket",
            version,
            lambda: [(meta["path"], meta["size"]) for page in obstore.list(store, start) for meta in page],
        )

    def _ask(self, operation: str, path: str, action: Callable[[], T]) -> T:
        """Send the request in a thread, so that a server that does not answer cannot delay a stop."""
        place = S3Path(self._bucket, self._below(path).rstrip("/"))
        [answer] = in_threads(lambda _: self._buckets.ask(operation, place, action), [None])
        return answer


def _fetch(store: S3Store, key: str, copy: BinaryIO) -> None:
    import obstore

    copy.seek(0)
    copy.truncate()
    for chunk in obstore.get(store, key).stream():
        copy.write(chunk)
