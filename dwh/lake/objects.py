"""The objects of a lake in S3: every place of one, in whichever format, asks for them here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from dwh.sources.buckets import Buckets, S3Path, split
from dwh.sources.flights import in_threads

if TYPE_CHECKING:
    import obstore
    from obstore.store import S3Store

T = TypeVar("T")
PART = 16 * 1024 * 1024  # bytes of one request of an upload
PARTS = 4  # requests under way


class Objects:
    """The objects below a prefix; paths are below it.

    Every method raises EnvironmentFailure when S3 refuses or does not answer, and OSError for a local file."""

    def __init__(self, location: str, buckets: Buckets) -> None:
        place = split(location)
        self.location = str(place)
        self._bucket = place.bucket
        self._key = place.key
        self._buckets = buckets

    def names(self) -> set[str]:
        """List the prefixes below, and the objects beside them."""
        import obstore

        found = self._ask("ListBucket", "", lambda store, key: obstore.list_with_delimiter(store, key or None))
        paths = [*found["common_prefixes"], *(item["path"] for item in found["objects"])]
        return {self._inner(path).strip("/") for path in paths}

    def sizes(self, below: str = "") -> dict[str, int]:
        """List every object, or those below a folder: path and bytes."""
        import obstore

        return self._ask(
            "ListBucket",
            below,
            lambda store, key: {
                self._inner(meta["path"]): meta["size"] for page in obstore.list(store, key or None) for meta in page
            },
        )

    def size(self, path: str) -> int:
        """Give the bytes of an object. Raises FileNotFoundError."""
        import obstore

        return self._ask("GetObject", path, lambda store, key: obstore.head(store, key)["size"])

    def read(self, path: str) -> tuple[bytes, str]:
        """Get an object, and its ETag. Raises FileNotFoundError."""
        import obstore

        def get(store: S3Store, key: str) -> tuple[bytes, str]:
            answer = obstore.get(store, key)
            return bytes(answer.bytes()), str(answer.meta["e_tag"])

        return self._ask("GetObject", path, get)

    def write(self, path: str, data: bytes) -> None:
        """Put an object: it is there when the answer is."""
        import obstore

        self._ask("PutObject", path, lambda store, key: obstore.put(store, key, data))

    def replace(self, path: str, data: bytes, tag: str) -> bool:
        """Put an object if the one that is there has this ETag ('': if there is none); False: it is another by now."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: obstore.UpdateVersion | Literal["create"] = {"e_tag": tag} if tag else "create"
        try:
            self._ask("PutObject", path, lambda store, key: obstore.put(store, key, data, mode=mode))
        except (PreconditionError, AlreadyExistsError):
            # a request whose answer was lost is sent again, and then our own object is in the way
            with suppress(FileNotFoundError):
                return self.read(path)[0] == data
            return False
        except FileNotFoundError:  # If-Match of an object that is gone
            return False
        return True

    def upload(self, path: str, local: Path) -> None:
        """Put a file, in parts."""
        import obstore

        self._ask(
            "PutObject",
            path,
            lambda store, key: obstore.put(store, key, local, chunk_size=PART, max_concurrency=PARTS),
        )

    def download(self, path: str, local: Path) -> None:
        """Copy an object to a file, in pieces. Raises FileNotFoundError."""
        import obstore

        def copy(store: S3Store, key: str) -> None:
            with local.open("wb") as file:
                for chunk in obstore.get(store, key).stream():
                    file.write(chunk)

        self._ask("GetObject", path, copy)

    def delete(self, paths: Sequence[str]) -> None:
        """Delete objects; S3 passes over those that are gone."""
        import obstore

        keys = [self._below(path) for path in paths]
        if keys:
            self._ask("DeleteObject", paths[0], lambda store, _: obstore.delete(store, keys))

    def _below(self, path: str) -> str:
        return f"{self._key}/{path}".lstrip("/").rstrip("/")

    def _inner(self, key: str) -> str:
        return key[len(f"{self._key}/".lstrip("/")) :]

    def _ask(self, operation: str, path: str, action: Callable[[S3Store, str], T]) -> T:
        """Ask in a thread, so that a stop is not held up by a server that does not answer."""
        store, key = self._buckets.open(self._bucket), self._below(path)
        place = S3Path(self._bucket, key)
        [answer] = in_threads(lambda _: self._buckets.ask(operation, place, lambda: action(store, key)), [None])
        return answer
