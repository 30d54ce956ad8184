"""Where a lake lies: what every place can do, and a folder that does it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dwh.config import SCRIPTS_FOLDER
from dwh.engines import Written
from dwh.engines.parquet import cannot_write
from dwh.errors import Busy, ConfigError
from dwh.lake import VERSION, LakeFile
from dwh.sources import SCHEME, is_remote, is_under

if TYPE_CHECKING:
    from dwh.config import Config

MANIFEST = "manifest.json"
CHUNK = 1024 * 1024  # bytes


class Place(Protocol):
    """Where a lake lies. Every method raises EnvironmentFailure when it cannot be read or written."""

    location: str

    def held(self) -> AbstractContextManager[None]:
        """Keep other exports out for the block, where that can be done. Raises Busy."""

    def versions(self) -> set[str]:
        """Name the versions that are there, whole or not."""

    def others(self) -> set[str]:
        """Name what is there and is no part of a lake; what an empty folder may hold is passed over."""

    def read(self) -> tuple[bytes, str] | None:
        """Give the manifest, and a tag that changes with it."""

    def replace(self, manifest: bytes, tag: str, version: str) -> None:
        """Replace the manifest at once; `tag` is that of the one that was read. Raises Busy when it is another now."""

    def sizes(self, version: str) -> dict[str, int]:
        """Give path and bytes of every file of a version."""

    def workspace(self, version: str) -> AbstractContextManager[str]:
        """Give the folder or prefix that an engine writes the files of a version to."""

    def keep(self, version: str, written: Written, workspace: str) -> LakeFile:
        """Bring a file that was written to its place in the version, for good."""

    def remove(self, version: str) -> None:
        """Remove a version and all files in it."""

    def copies(self, files: Sequence[LakeFile]) -> Iterator[list[tuple[LakeFile, str]]]:
        """Give local paths of files, some at a time; those given before may be gone then."""


def is_foreign(name: str) -> bool:
    """Tell whether something of this name is no part of a lake, and nothing that file systems put into empty folders:
    hidden names, such as .DS_Store and .gitkeep, and lost+found."""
    return not (name in (MANIFEST, "lost+found") or name.startswith(".") or VERSION.fullmatch(name))


def refuse_sources(config: Config, command: Callable[..., str]) -> None:
    """Raise ConfigError when [S3] LAKE lies in a source, holds one, or holds the scripts.

    A load would take the files of the lake for data, and who removes the lake would remove more than that. `command`
    words the command that exports elsewhere.
    """
    lake = _unlinked(config.s3.lake)
    locations = {"[S3] LOG_DATA": config.s3.log_data, "[S3] SONG_DATA": config.s3.song_data}
    sources = {_unlinked(place): setting for setting, places in locations.items() for place in places}
    around = [source for source in sources if is_under(lake, source)]
    found = [f"it lies in a source: {sources[source]} = {source}" for source in around]
    inside = {f"{sources[source]} = {source}": source for source in sources if source not in around}
    inside["the scripts"] = _unlinked(str(SCRIPTS_FOLDER))
    found += [f"it holds {what}" for what, place in inside.items() if is_under(place, lake)]
    if not found:
        return
    outermost = min(lake, *around, key=len)
    another = f"{outermost}_lake" if "/" in outermost.removeprefix(SCHEME) else f"{SCHEME}another-bucket/lake"
    raise ConfigError(
        f"{config.s3.lake} is no place for a lake: nothing was written there",
        evidence=found,
        hint=(f"[S3] LAKE = {another}", command("--to", another)),
    )


def _unlinked(location: str) -> str:
    """Give a location as no link and no slash at its end changes it."""
    if not is_remote(location):
        return os.path.realpath(location)
    from dwh.buckets import split

    return str(split(location))


def open_place(config: Config, *, exports_to_s3: bool) -> Place:
    """Give the place that [S3] LAKE names. Raises ConfigError when the engine cannot write there."""
    location = config.s3.lake
    if is_remote(location):
        from dwh.buckets import Buckets
        from dwh.lake_s3 import Prefix

        return Prefix(location, Buckets(config.s3, config.aws), by_engine=exports_to_s3)
    if not location or "://" in location:
        raise ConfigError("[S3] LAKE names no folder and no S3 prefix", hint="[S3] LAKE = lake")
    if exports_to_s3:
        raise ConfigError(
            f"Redshift writes its lake to S3 only, and [S3] LAKE is {location}", hint="[S3] LAKE = s3://bucket/lake"
        )
    return Folder(Path(location))


class Folder:
    """A folder. One export at a time: the folder itself is locked, and a lock ends with its process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.location = str(path)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, and lock it for the block."""
        import fcntl

        with worded(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(f"somebody else is exporting to {self.path}", hint="the same command again") from None
            yield
        finally:
            os.close(descriptor)

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
        """Write the manifest into the version, onto the disk, and then put it over the old one."""
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
        """Look at every file."""
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


def sha256(path: str) -> str:
    """Give the digest of a file."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _sync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def worded(path: Path) -> Iterator[None]:
    """Word what the file system refuses. Raises EnvironmentFailure."""
    try:
        yield
    except OSError as error:
        raise cannot_write(str(path), str(error)) from error
