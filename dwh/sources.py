"""Where the JSON lives: list it, fetch it when it is not here, tell a new version of a file from an old one."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from dwh.errors import EnvironmentFailure
from dwh.listing import HIDDEN, SUFFIXES, Listing, Names, merge

if TYPE_CHECKING:
    from dwh.buckets import Buckets
    from dwh.settings import S3, Aws

SCHEME = "s3://"
SMALL_FILE = 256 * 1024  # bytes; above this an engine reads the file itself faster than we can copy it
SHOWN_NAMES = 6


class SourceFile(NamedTuple):
    """One file of a source: absolute path or s3:// URL, size in bytes, and a fingerprint that changes when the content
    does (a local file: size and mtime in ns; an object: ETag and size). With an offset it is a part of the file at
    `path`, whose fingerprint that is then.
    """

    path: str
    size: int
    fingerprint: str
    offset: int | None = None


def list_files(location: str, setting: str, names: Names = Names()) -> Listing:  # noqa: B008
    """List the files of a folder and everything below it (or the one file that `location` names, whatever its name).

    Names that begin with . or _ are hidden. What else is not to be read (by its name, or because it is no file) is
    passed over, and never opened. A link back into a folder already seen is not followed twice.
    Raises EnvironmentFailure, which names the `setting` to mend, when the folder does not exist or something in it
    cannot be read: a partial list is never given.
    """
    if os.path.isfile(location):
        return Listing([local_file(location)], [], names)
    if not os.path.isdir(location):
        raise _no_such_folder(location, setting, names)
    try:
        files, passed_over = _walk(location, names)
    except OSError as error:
        raise EnvironmentFailure(
            f"{error.filename} cannot be read",
            evidence=str(error.strerror),
            hint=f"ls -la {shlex.quote(os.path.dirname(str(error.filename)))}",
        ) from error
    return Listing(sorted(files), sorted(passed_over), names)


class Fetched(NamedTuple):
    """What was fetched: the local copy of each path, and the paths that are no longer what was listed."""

    copies: dict[str, SourceFile]
    changed: set[str]


class Sources:
    """The places a run reads from: folders, S3 prefixes, or both."""

    def __init__(self, s3: S3, aws: Aws) -> None:
        self._s3 = s3
        self._aws = aws
        self._opened: Buckets | None = None
        self.names = Names(s3.pattern)
        # songs come before events, so that plays find their songs
        self.locations: dict[str, Sequence[str]] = {"songs": s3.song_data, "events": s3.log_data}

    def list_locations(self, locations: Sequence[str], setting: str) -> Listing:
        """List several locations, sorted by path; a file that lies under two of them is listed once.

        Raises EnvironmentFailure, which names the `setting` to mend: a partial list is never given.
        """
        return merge([self._list(location, setting) for location in locations])

    def fetch(self, files: Sequence[SourceFile], folder: Path, tell: Callable[[int], None]) -> Fetched:
        """Bring the remote files of a load to this machine, into a folder that is made; `tell` is told of the bytes as
        they come. Local files are left where they are.

        Raises EnvironmentFailure when one cannot be had.
        """
        here = {file.path: file for file in files if not is_remote(file.path)}
        if len(here) == len(files):
            return Fetched(here, set())
        from dwh.objects import fetch_objects

        folder.mkdir(mode=0o700)
        copies, changed = fetch_objects(self._buckets(), [f for f in files if f.path not in here], folder, tell)
        return Fetched(here | copies, changed)

    def existing(self, paths: Iterable[str], location: str) -> list[str]:
        """Give those of the paths, all of them under one location, that are still there."""
        if not is_remote(location):
            return [path for path in paths if os.path.exists(path)]
        from dwh.objects import existing_objects

        there = existing_objects(self._buckets(), location)
        return [path for path in paths if path in there]

    def is_current(self, file: SourceFile) -> bool:
        """Tell whether a file, here or in S3, still is what was listed."""
        if not is_remote(file.path):
            return is_unchanged(file)
        from dwh.objects import is_listed

        return is_listed(self._buckets(), file)

    def first_lines(self, path: str) -> list[bytes]:
        """Read the whole lines at the beginning of an object; none when it is gone or cannot be unpacked."""
        from dwh.objects import read_opening

        return list(read_opening(self._buckets(), path).lines)

    def check_jsonpaths(self, location: str, keys: Iterable[str]) -> None:
        """Make sure that a JSONPaths file names all these keys. Raises ConfigError."""
        from dwh.jsonpaths import check_paths

        check_paths(self._buckets(), location, keys)

    def _list(self, location: str, setting: str) -> Listing:
        if "://" not in location:
            return list_files(location, setting, self.names)
        from dwh.objects import list_objects

        return list_objects(self._buckets(), location, setting, self.names)

    def _buckets(self) -> Buckets:
        if self._opened is None:
            from dwh.buckets import Buckets

            self._opened = Buckets(self._s3, self._aws)
        return self._opened


def is_remote(path: str) -> bool:
    """Tell whether a path names an object in S3."""
    return path.startswith(SCHEME)


def packed_by_name(path: str) -> bool | None:
    """Tell by its name whether a file is gzip; None where the name does not say, and the first bytes have to."""
    name = path.lower()
    if name.endswith(tuple(f"{suffix}.gz" for suffix in SUFFIXES)):
        return True
    return False if name.endswith(SUFFIXES) else None


def fingerprint(status: os.stat_result) -> str:
    """Give the fingerprint of a local file."""
    return f"{status.st_size}:{status.st_mtime_ns}"


def local_file(path: str) -> SourceFile:
    """Look at one local file."""
    return _source_file(path, os.stat(path))


def open_source(file: SourceFile) -> BinaryIO:
    """Open a local file, or the part of one that it is."""
    if file.offset is None:
        return Path(file.path).open("rb")
    with Path(file.path).open("rb") as whole:
        whole.seek(file.offset)
        return BytesIO(whole.read(file.size))


def is_unchanged(file: SourceFile) -> bool:
    """Tell whether the file still is what was listed; one that cannot be looked at any more is not."""
    try:
        return fingerprint(os.stat(file.path)) == file.fingerprint
    except OSError:
        return False


def is_under(path: str, location: str) -> bool:
    """Tell whether a file belongs to a location: is it, or lies below it."""
    return path == location or path.startswith(location.rstrip("/") + "/")


def _walk(top: str, names: Names) -> tuple[list[SourceFile], list[str]]:
    files, passed_over = [], []
    folders, seen = [top], set()
    while folders:
        folder = folders.pop()
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name[0] in HIDDEN:
                    continue
                if entry.is_dir():
                    folders.append(entry.path)
                elif names.take(entry.name) and stat.S_ISREG((status := entry.stat()).st_mode):
                    files.append(_source_file(entry.path, status))
                else:
                    passed_over.append(entry.path)
    return files, passed_over


def _source_file(path: str, status: os.stat_result) -> SourceFile:
    if not path.isascii():
        try:
            path.encode("utf-8")
        except UnicodeEncodeError as error:
            raise EnvironmentFailure(f"the name of {path!a} is not UTF-8", hint="rename it") from error
    return SourceFile(path, status.st_size, fingerprint(status))


def _no_such_folder(location: str, setting: str, names: Names) -> EnvironmentFailure:
    from difflib import get_close_matches

    parent, name = os.path.split(location)
    failed = f"no files under {location} ({names})"
    if os.path.exists(location):
        return EnvironmentFailure(failed, evidence="it is neither a file nor a folder", hint=f"{setting} = /a/folder")
    if not os.path.isdir(parent):
        there, meant = f"the folder does not exist, nor does {parent}", "/path/to/the/folder"
    else:
        beside = sorted(entry for entry in os.listdir(parent) if not entry.startswith("."))
        there = f"the folder does not exist; {parent}/ has: {', '.join(beside[:SHOWN_NAMES]) or 'nothing'}"
        meant = os.path.join(parent, next(iter(get_close_matches(name, beside, n=1)), "FOLDER"))
    return EnvironmentFailure(failed, evidence=there, hint=f"{setting} = {meant}")
