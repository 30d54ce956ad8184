"""Where the JSON lives: list it, tell a new version of a file from an old one. Only local folders so far."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from dwh.errors import EnvironmentFailure

PATTERNS = (".json", ".json.gz")
SHOWN_NAMES = 6


class SourceFile(NamedTuple):
    """One file of a source: absolute path, size in bytes, and a fingerprint that changes when the content does (size
    and mtime in ns)."""

    path: str
    size: int
    fingerprint: str


def list_files(location: str, setting: str) -> list[SourceFile]:
    """List the JSON files of a folder and everything below it (or the one file that `location` names), sorted by path.

    Names that start with a dot are passed over. A link back into a folder already seen is not followed twice.
    Raises EnvironmentFailure, which names the `setting` to mend, when the folder does not exist or something in it
    cannot be read: a partial list is never given.
    """
    if "://" in location:
        raise EnvironmentFailure(
            f"{location}: this version reads local folders only", hint=f"{setting} = a folder that holds a copy"
        )
    if os.path.isfile(location):
        return [_source_file(location, os.stat(location))]
    if not os.path.isdir(location):
        raise _no_such_folder(location, setting)
    try:
        return sorted(_walk(location))
    except OSError as error:
        raise EnvironmentFailure(
            f"{error.filename} cannot be read",
            evidence=str(error.strerror),
            hint=f"ls -la {os.path.dirname(str(error.filename))}",
        ) from error


def list_locations(locations: Sequence[str], setting: str) -> list[SourceFile]:
    """List several locations; a file that lies under two of them is listed once."""
    if len(locations) == 1:
        return list_files(locations[0], setting)
    return sorted({file for location in locations for file in list_files(location, setting)})


def fingerprint(status: os.stat_result) -> str:
    """Give the fingerprint of a local file."""
    return f"{status.st_size}:{status.st_mtime_ns}"


def is_unchanged(file: SourceFile) -> bool:
    """Tell whether the file still is what was listed."""
    try:
        return fingerprint(os.stat(file.path)) == file.fingerprint
    except FileNotFoundError:
        return False


def is_under(path: str, location: str) -> bool:
    """Tell whether a file belongs to a location: is it, or lies below it."""
    return path == location or path.startswith(location.rstrip("/") + "/")


def _walk(top: str) -> list[SourceFile]:
    files = []
    folders, seen = [top], set()
    while folders:
        folder = folders.pop()
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(entry.path)
                elif entry.name.endswith(PATTERNS):
                    files.append(_source_file(entry.path, entry.stat()))
    return files


def _source_file(path: str, status: os.stat_result) -> SourceFile:
    if not path.isascii():
        try:
            path.encode("utf-8")
        except UnicodeEncodeError as error:
            raise EnvironmentFailure(f"the name of {path!a} is not UTF-8", hint="rename it") from error
    return SourceFile(path, status.st_size, fingerprint(status))


def _no_such_folder(location: str, setting: str) -> EnvironmentFailure:
    from difflib import get_close_matches

    parent, name = os.path.split(location)
    failed = f"no files under {location} (pattern *.json, *.json.gz)"
    if not os.path.isdir(parent):
        there, meant = f"the folder does not exist, nor does {parent}", "/path/to/the/folder"
    else:
        names = sorted(entry for entry in os.listdir(parent) if not entry.startswith("."))
        there = f"the folder does not exist; {parent}/ has: {', '.join(names[:SHOWN_NAMES]) or 'nothing'}"
        meant = os.path.join(parent, next(iter(get_close_matches(name, names, n=1)), "FOLDER"))
    return EnvironmentFailure(failed, evidence=there, hint=f"{setting} = {meant}")
