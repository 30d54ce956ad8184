"""The protocol of every place of a lake."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from dwh.engines.duckdb.parquet import cannot_write
from dwh.lake.manifest import MANIFEST, VERSION, LakeFile
from dwh.seam import Written
from dwh.terminal.errors import Busy, ConfigError

CHUNK = 1024 * 1024  # bytes
SHOWN_NAMES = 3


class Place(Protocol):
    """Where a lake lies. Every method raises EnvironmentFailure when it cannot be read or written."""

    location: str

    def held(self) -> AbstractContextManager[None]:
        """Keep other exports out for the block, where the place has locks. Raises Busy."""

    def versions(self) -> set[str]:
        """Name the versions at the place, complete or not."""

    def others(self) -> set[str]:
        """Name the things at the place that are not part of a lake, without those that an empty folder may hold."""

    def read(self) -> tuple[bytes, str] | None:
        """Give the manifest, and a tag that changes with it."""

    def replace(self, manifest: bytes, tag: str, version: str) -> None:
        """Replace the manifest at once; `tag` is that of the one that was read. Raises Busy when another is there."""

    def sizes(self, version: str) -> dict[str, int]:
        """Give path and bytes of every file of a version."""

    def workspace(self, version: str) -> AbstractContextManager[str]:
        """Give the folder or prefix to which an engine writes the files of a version."""

    def keep(self, version: str, written: Written, workspace: str) -> LakeFile:
        """Bring a written file to its final place in the version."""

    def remove(self, version: str) -> None:
        """Remove a version and all files in it."""

    def copies(self, files: Sequence[LakeFile]) -> Iterator[list[tuple[LakeFile, str]]]:
        """Give local paths of files, some at a time; the earlier ones may be removed then."""


def is_foreign(name: str) -> bool:
    """Tell whether a name is not part of a lake. Names that may be in empty folders do not count: lost+found and hidden
    names such as .DS_Store and .gitkeep."""
    return not (name in (MANIFEST, "lost+found") or name.startswith(".") or VERSION.fullmatch(name))


def no_lake(location: str, others: Iterable[str], command: Callable[..., str]) -> ConfigError:
    """Word the error for a place that holds other things and no lake; `command` words the command that exports
    elsewhere."""
    return ConfigError(
        f"{location} is not a lake and holds other things: nothing was written there",
        evidence=f"for example {', '.join(sorted(others)[:SHOWN_NAMES])}",
        hint=(f"[S3] LAKE = {location}/lake", command("--to", f"{location}/lake")),
    )


def sha256(path: str) -> str:
    """Give the digest of a file."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def locked(descriptor: int, path: Path) -> Iterator[None]:
    """Keep other exports out of an open folder for the block, and close it. Raises Busy when one is under way; the lock
    of a process that was killed is gone."""
    import fcntl

    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"another session is exporting to {path}", hint="the same command again") from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def worded(path: Path) -> Iterator[None]:
    """Turn an error of the file system into EnvironmentFailure."""
    try:
        yield
    except OSError as error:
        raise cannot_write(str(path), str(error)) from error
