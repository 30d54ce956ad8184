"""Which files of a source are read: by their names, and by their paths below the place in the settings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from os.path import isdir, realpath
from typing import TYPE_CHECKING, NamedTuple

from dwh.terminal.errors import ConfigError, EnvironmentFailure

if TYPE_CHECKING:
    from dwh.sources.files import SourceFile

SUFFIXES = (".json", ".jsonl", ".ndjson")  # each also with .gz behind it, in any case
PACKED = tuple(f"{suffix}.gz" for suffix in SUFFIXES)
ENDINGS = (*SUFFIXES, *PACKED)
HIDDEN = (".", "_")  # Spark and Hive hide such names too: _SUCCESS, _temporary/, _delta_log/, .part-0.crc
SETTINGS = {"songs": "[S3] SONG_DATA", "events": "[S3] LOG_DATA"}  # where the files of each kind are
# Endings of other formats, which would be refused if [S3] PATTERN took them; and the command that unpacks some of them.
UNPACKED_BY = {"bz2": "bunzip2 -c", "xz": "xz -dc", "zst": "zstd -dc"}
NO_JSON = ("parquet", "orc", "avro", "csv", "tsv", "tar", "tgz", "zip", "7z", "xlsx")


class Names(NamedTuple):
    """The names of files that are read: the usual endings, and the shell patterns of [S3] PATTERN."""

    patterns: tuple[str, ...] = ()

    def take(self, name: str) -> bool:
        """Tell whether a file of this name is read; its folder is not looked at."""
        return name.lower().endswith(ENDINGS) or any(fnmatchcase(name, pattern) for pattern in self.patterns)

    def take_below(self, path: str, place: str) -> bool:
        """Tell whether a path at a place is read: it is that place, or it lies below it, is not hidden and has a name
        that is read."""
        return path == place or not (is_hidden(path, place) or not self.take(path.rpartition("/")[2]))

    def __str__(self) -> str:
        more = f", {' '.join(self.patterns)}" if self.patterns else ""
        return f"*{', *'.join(SUFFIXES)}, each also .gz{more}"


class Listing(NamedTuple):
    """The content of the places of one kind, sorted by path: the files to read, and the paths of those passed over.
    Hidden ones are in neither. `names` decided which are read."""

    files: Sequence[SourceFile]
    passed_over: Sequence[str]
    names: Names


def is_hidden(path: str, place: str) -> bool:
    """Tell whether a part of a path below its place begins with . or _; parts of the place itself may."""
    below = path[len(place.rstrip("/")) :]
    return any(f"/{mark}" in below for mark in HIDDEN)


def merge(listings: Sequence[Listing]) -> Listing:
    """Join the listings of several places. Each file is listed once; one that any of them reads is not passed over."""
    if len(listings) == 1:
        return listings[0]
    files = sorted({file for listing in listings for file in listing.files})
    passed = {path for listing in listings for path in listing.passed_over}
    return Listing(files, sorted(passed - {file.path for file in files}), listings[0].names)


def describe_passed_over(passed_over: Sequence[str], names: Names) -> str:
    """Say how many files were passed over, with the most useful example and the reason."""
    by_name = [path for path in passed_over if not names.take(path.rpartition("/")[2])]
    shown = min(by_name or passed_over, key=lambda path: (_ending(path) in (*UNPACKED_BY, *NO_JSON), path))
    why = f"not {names}: [S3] PATTERN reads more names" if by_name else "neither a file nor a folder"
    number = len(passed_over)
    return f"{number:,} file{'' if number == 1 else 's'} passed over, such as {shown} ({why})"


def only_passed_over(place: str, setting: str, passed_over: Sequence[str], names: Names) -> EnvironmentFailure:
    """Word the error of a place whose files are all passed over."""
    failed = f"no file under {place} is read   ({setting})"
    told = describe_passed_over(passed_over, names)
    by_name = sorted(path for path in passed_over if not names.take(path.rpartition("/")[2]))
    if not by_name:
        return EnvironmentFailure(failed, evidence=told, hint=f"ls -la {shlex.quote(place)}")
    readable = [path for path in by_name if _ending(path) not in (*UNPACKED_BY, *NO_JSON)]
    if readable:
        hint = f"[S3] PATTERN = {_pattern_of(readable[0].rpartition('/')[2])}     (if they hold JSON)"
    elif _ending(by_name[0]) in UNPACKED_BY:
        hint = _unpacking(by_name[0])
    else:
        hint = f"{setting} = a folder of JSON files     ({_ending(by_name[0])} is not read)"
    return EnvironmentFailure(failed, evidence=told, hint=hint)


def refuse_shared_places(locations: Mapping[str, Sequence[str]]) -> None:
    """Raise ConfigError when a file would be read as two kinds: both have the same place, or one lies inside the other.

    A place that is hidden from the other, such as data/_songs from data, shares nothing with it.
    """
    (one, places), (other, others) = locations.items()
    for mine in places:
        for theirs in others:
            if _is_same(mine, theirs):
                raise ConfigError(
                    f"{SETTINGS[other]} and {SETTINGS[one].partition(' ')[2]} are the same place: {mine}",
                    evidence=f"each file there would be read as {other} and as {one}",
                    hint=_own_places(mine, (other, one)),
                )
            for (outer, around), (inner, inside) in (((one, mine), (other, theirs)), ((other, theirs), (one, mine))):
                if _lies_in(inside, around):
                    raise ConfigError(
                        f"{SETTINGS[inner]} = {inside} lies inside {SETTINGS[outer]} = {around}",
                        evidence=f"its files would be read as {outer} too",
                        hint=_own_places(around, (outer,)),
                    )


def _is_same(one: str, other: str) -> bool:
    return _resolved(one) == _resolved(other)


def _lies_in(inside: str, around: str) -> bool:
    inside, around = _resolved(inside), _resolved(around)
    return inside.startswith(around + "/") and not is_hidden(inside, around)


def _resolved(place: str) -> str:
    return place.rstrip("/") if "://" in place else realpath(place).rstrip("/")


def _own_places(place: str, kinds: Iterable[str]) -> list[str]:
    """Give a separate folder at a place for each kind: the usual one, if it exists."""
    hints = []
    for kind in kinds:
        usual = f"{place.rstrip('/')}/{'song_data' if kind == 'songs' else 'log_data'}"
        there = "://" in place or isdir(usual)
        hints.append(f"{SETTINGS[kind]} = {usual if there else 'a folder of its own'}")
    return hints


def _ending(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2].lower()


def _pattern_of(name: str) -> str:
    """Give a shell pattern for names like this one: by its ending, or by the text before its number."""
    ending = re.search(r"(\.[A-Za-z]\w{0,9})?\.[A-Za-z]\w{0,9}$", name)
    if ending:
        found = ending[0] if ending[0].lower().endswith(".gz") else "." + ending[0].rpartition(".")[2]
        return f"*{found}"
    beginning = re.match(r"[^0-9]*", name)
    return re.sub(r"[\s\[\]*?,]", "?", beginning[0] if beginning else "") + "*"


def _unpacking(path: str) -> str:
    """Give the command that unpacks a file to its name without the ending; the packed file is still passed over."""
    unpack, target = UNPACKED_BY[_ending(path)], path.rpartition(".")[0]
    if not target.lower().endswith(SUFFIXES):
        target += ".json"
    if "://" in path:
        return f"aws s3 cp {shlex.quote(path)} - | {unpack} | aws s3 cp - {shlex.quote(target)}"
    return f"{unpack} {shlex.quote(path)} > {shlex.quote(target)}"


def packed_by_name(path: str) -> bool | None:
    """Tell by its name whether a file is gzip; None where only its first bytes can tell."""
    name = path.lower()
    if name.endswith(PACKED):
        return True
    return False if name.endswith(SUFFIXES) else None
