"""A lake in memory: the steps of a store, one after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from dwh.lake.iceberg.store import Adopted


class MemoryStore:
    """A dictionary of paths. Data files are put there by whoever writes them, with `write`."""

    def __init__(self, files: dict[str, bytes] | None = None, location: str = "s3://lake") -> None:
        self.contents = dict(files or {})
        self.location = location

    def is_here(self, location: str) -> bool:
        return location == self.location

    def held(self) -> AbstractContextManager[None]:
        return nullcontext()

    def sizes(self) -> dict[str, int]:
        return {path: len(data) for path, data in self.contents.items()}

    def read(self, path: str) -> tuple[bytes, str]:
        if path not in self.contents:
            raise FileNotFoundError(path)
        return self.contents[path], hashlib.sha256(self.contents[path]).hexdigest()

    def write(self, path: str, data: bytes) -> None:
        self.contents[path] = data

    def create(self, path: str, data: bytes) -> bool:
        return self.contents.setdefault(path, data) == data

    def replace(self, path: str, data: bytes, tag: str) -> bool:
        found = self.read(path)[1] if path in self.contents else ""
        if found == tag:
            self.contents[path] = data
        return found == tag

    @contextmanager
    def workspace(self, table: str) -> Iterator[str]:
        yield f"{table}/data"

    def adopt(self, path: str, workspace: str) -> Adopted:
        data = self.contents[path]
        return Adopted(len(data), hashlib.sha256(data).hexdigest())

    def fetch(self, path: str, folder: Path) -> Path:
        local = folder / "copy"
        local.write_bytes(self.read(path)[0])
        return local

    def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            self.contents.pop(path, None)
