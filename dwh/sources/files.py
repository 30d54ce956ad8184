"""The description of a source file, and how to recognise a new version of it."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dwh.terminal.errors import EnvironmentFailure

SCHEME = "s3://"
SMALL_FILE = 256 * 1024  # bytes; above this an engine reads the file itself faster than we can copy it


class SourceFile(NamedTuple):
    """One file of a source: absolute path or s3:// URL, size in bytes, and a fingerprint that changes with the content
    (a local file: size and mtime in ns; an object: ETag and size). With an offset it is a part of the file at `path`,
    and has that file's fingerprint.
    """

    path: str
    size: int
    fingerprint: str
    offset: int | None = None


def is_remote(path: str) -> bool:
    """Tell whether a path names an object in S3."""
    return path.startswith(SCHEME)


def fingerprint(status: os.stat_result) -> str:
    """Give the fingerprint of a local file."""
    return f"{status.st_size}:{status.st_mtime_ns}"


def local_file(path: str) -> SourceFile:
    """Look at one local file."""
    return source_file(path, os.stat(path))


def open_source(file: SourceFile) -> BinaryIO:
    """Open a local file, or the described part of one."""
    if file.offset is None:
        return Path(file.path).open("rb")
    with Path(file.path).open("rb") as whole:
        whole.seek(file.offset)
        return BytesIO(whole.read(file.size))


def is_unchanged(file: SourceFile) -> bool:
    """Tell whether the file is unchanged since it was listed; one that cannot be looked at any more is not."""
    try:
        return fingerprint(os.stat(file.path)) == file.fingerprint
    except OSError:
        return False


def is_under(path: str, location: str) -> bool:
    """Tell whether a file is a location, or lies below it."""
    return path == location or path.startswith(location.rstrip("/") + "/")


def source_file(path: str, status: os.stat_result) -> SourceFile:
    """Describe a local file whose status is known. Raises EnvironmentFailure when its name is not UTF-8."""
    if not path.isascii():
        try:
            path.encode("utf-8")
        except UnicodeEncodeError as error:
            raise EnvironmentFailure(f"the name of {path!a} is not UTF-8", hint="rename it") from error
    return SourceFile(path, status.st_size, fingerprint(status))
