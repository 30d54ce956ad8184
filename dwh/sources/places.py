"""The places of the JSON files: list them, fetch remote files, recognise a new version of a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dwh.sources.files import SourceFile, is_remote, is_unchanged
from dwh.sources.folders import list_files
from dwh.sources.listing import Listing, Names, merge

if TYPE_CHECKING:
    from dwh.settings.sections import S3, Aws
    from dwh.sources.buckets import Buckets


class Fetched(NamedTuple):
    """The fetched files: the local copy of each path, and the paths that changed since they were listed."""

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

        Raises EnvironmentFailure, which names the `setting` to fix: a partial list is never given.
        """
        return merge([self._list(location, setting) for location in locations])

    def fetch(self, files: Sequence[SourceFile], folder: Path, tell: Callable[[int], None]) -> Fetched:
        """Fetch the remote files of a load to this machine, into a new folder; `tell` gets the number of bytes as they
        come. Local files stay where they are.

        Raises EnvironmentFailure when one cannot be fetched.
        """
        here = {file.path: file for file in files if not is_remote(file.path)}
        if len(here) == len(files):
            return Fetched(here, set())
        from dwh.sources.objects import fetch_objects

        folder.mkdir(mode=0o700)
        copies, changed = fetch_objects(self._buckets(), [f for f in files if f.path not in here], folder, tell)
        return Fetched(here | copies, changed)

    def existing(self, paths: Iterable[str], location: str) -> list[str]:
        """Give the paths that still exist; all of them lie under one location."""
        if not is_remote(location):
            return [path for path in paths if os.path.exists(path)]
        from dwh.sources.objects import existing_objects

        there = existing_objects(self._buckets(), location)
        return [path for path in paths if path in there]

    def is_current(self, file: SourceFile) -> bool:
        """Tell whether a file, here or in S3, is unchanged since it was listed."""
        if not is_remote(file.path):
            return is_unchanged(file)
        from dwh.sources.objects import is_listed

        return is_listed(self._buckets(), file)

    def first_lines(self, path: str) -> list[bytes]:
        """Read the whole lines at the beginning of an object; none when it is gone or cannot be unpacked."""
        from dwh.sources.objects import read_opening

        return list(read_opening(self._buckets(), path).lines)

    def check_jsonpaths(self, location: str, keys: Iterable[str]) -> None:
        """Make sure that a JSONPaths file names all these keys. Raises ConfigError."""
        from dwh.sources.jsonpaths import check_paths

        check_paths(self._buckets(), location, keys)

    def _list(self, location: str, setting: str) -> Listing:
        if "://" not in location:
            return list_files(location, setting, self.names)
        from dwh.sources.objects import list_objects

        return list_objects(self._buckets(), location, setting, self.names)

    def _buckets(self) -> Buckets:
        if self._opened is None:
            from dwh.sources.buckets import Buckets

            self._opened = Buckets(self._s3, self._aws)
        return self._opened
