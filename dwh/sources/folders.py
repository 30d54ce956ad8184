"""Folders as sources: list the files that lie in one."""

from __future__ import annotations

import os
import shlex
import stat
from operator import attrgetter

from dwh.sources.files import SourceFile, local_file, source_file
from dwh.sources.listing import HIDDEN, Listing, Names
from dwh.terminal.errors import EnvironmentFailure

SHOWN_NAMES = 6


def list_files(location: str, setting: str, names: Names = Names()) -> Listing:  # noqa: B008
    """List the files of a folder and everything below it (or the one file that `location` names, whatever its name).

    Names that begin with . or _ are hidden. Other names that are not read (by their ending, or because they are no
    files) are passed over, and never opened. A link back into a folder already seen is not followed twice.
    Raises EnvironmentFailure, which names the `setting` to fix, when the folder does not exist or something in it
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
    # by the path alone: to compare whole tuples takes three times as long
    return Listing(sorted(files, key=attrgetter("path")), sorted(passed_over), names)


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
                    files.append(source_file(entry.path, status))
                else:
                    passed_over.append(entry.path)
    return files, passed_over


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
