"""Keys of a record that are not read because they differ in upper and lower case: Glue, Athena and Hive write `userid`.

Only the first records of a file are looked at. One pattern recognises an order of keys that is common (1 to 2
microseconds); only another order is parsed (6). After the first 500 files, each file is searched for one key only, in
turn (0.3): a program that writes a key in another case does so in all of its files. Once one is found, the following
files are looked at again. 15,000 files of one record are read in 0.2 s, so more work would be noticed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from dwh.seam import OUR_KEYS
from dwh.spool.records import Strictness

THOROUGH = 500  # files of a kind
LOOKED_AT = 3  # records at the beginning of a file
BEGINNING = 16 * 1024  # bytes
RECOGNISED = 3  # times that a layout is met before a pattern is made for it
MOST_LAYOUTS = 8  # of a kind that are recognised by a pattern; making one takes as long as parsing 200 records
# a text without an escaped quote, or a value that is no text; each has only one way to match, so it fails at once
_VALUE = rb'(?: ?"[^"]*"|[^",}]+)'
_DECODER = json.JSONDecoder(object_pairs_hook=lambda pairs: [key for key, _ in pairs], parse_int=str, parse_float=str)


class UnreadKey(NamedTuple):
    """A key as the files of a kind spell it, and the spelling that is read."""

    kind: str
    key: str
    spelling: str


class Sighting(NamedTuple):
    """The number of files with a key, one of them, and whether more may have it: some files were not looked at."""

    files: int
    example: str
    at_least: bool


class UnreadKeys:
    """The keys found in the files of one load: for each the number of files, the id of the first, and whether some
    files before it were not looked at."""

    def __init__(self, rules: Mapping[str, Strictness]) -> None:
        self._rules = rules
        self._kinds: dict[str, _Kind] = {}
        self.found: dict[UnreadKey, tuple[int, int, bool]] = {}

    def look(self, kind: str, file_id: int, begins: bytes | str) -> None:
        """Note the keys of the first records of a file, given as bytes or as the path of a plain file. Text that is no
        record is skipped: other code judges it."""
        looked = self._of(kind)
        looked.files = files = looked.files + 1
        if isinstance(begins, str):
            with Path(begins).open("rb", buffering=0) as stream:
                begins = stream.read(BEGINNING)
        elif files > THOROUGH and looked.in_order and looked.needles[files % len(looked.needles)] in begins:
            return
        self._find(looked, file_id, begins)

    def look_together(self, kind: str, contents: Sequence[tuple[int, bytes]]) -> None:
        """Do the same for many files of one kind, each an id and its content; those that are searched for the same key
        are looked at when one of them lacks it."""
        looked = self._of(kind)
        before, turns = looked.files, len(looked.needles)
        for turn in range(min(turns, len(contents))):
            in_turn, needle = contents[turn::turns], looked.needles[(before + turn) % turns]
            if looked.files < THOROUGH or not looked.in_order or not all(needle in data for _, data in in_turn):
                for file_id, data in in_turn:
                    looked.files += 1
                    self._find(looked, file_id, data)
            else:
                looked.files += len(in_turn)

    def _of(self, kind: str) -> _Kind:
        return self._kinds.get(kind) or self._kinds.setdefault(kind, _Kind(kind, self._rules[kind].keys))

    def _find(self, looked: _Kind, file_id: int, begins: bytes) -> None:
        for key in looked.find(begins):
            number, example, passed = self.found.get(key, (0, file_id, looked.files > THOROUGH))
            self.found[key] = number + 1, min(example, file_id), passed
            looked.in_order = False


class Sightings:
    """The keys found in the files of all loads of a run."""

    def __init__(self) -> None:
        self._kept: dict[UnreadKey, Sighting] = {}
        self._open: dict[UnreadKey, Sighting] = {}

    def begin(self) -> None:
        """Begin another load; the findings of earlier ones are kept."""
        self._kept, self._open = self.all(), {}

    def note(self, unread: UnreadKeys, read: Mapping[int, tuple[str, int]]) -> None:
        """Note the keys found in this load; they replace those of an earlier try of it. `read` gives the path of each
        file."""
        self._open = {key: Sighting(n, read[file_id][0], more) for key, (n, file_id, more) in unread.found.items()}

    def all(self) -> dict[UnreadKey, Sighting]:
        """Give the keys in order, each with the number of its files and one of them."""
        found = dict(self._kept)
        for key, seen in self._open.items():
            files, example, at_least = found.get(key, Sighting(0, *seen[1:]))
            found[key] = Sighting(files + seen.files, example, at_least or seen.at_least)
        return dict(sorted(found.items()))


_NOTHING: frozenset[UnreadKey] = frozenset()


class _Layout(NamedTuple):
    """The keys of a record in their order, and those among them that are not read."""

    match: Callable[[bytes, int], re.Match[bytes] | None]
    unread: frozenset[UnreadKey]


class _Kind:
    """The files of one kind, and the layouts that came more than once."""

    def __init__(self, kind: str, keys: Iterable[str]) -> None:
        self._kind = kind
        self._spellings = {key.lower(): key for key in keys if not key.startswith(OUR_KEYS)}
        self.files = 0
        self.in_order = True  # no unread key was found yet
        self.needles = [f'"{key}":'.encode() for key in self._spellings.values()]
        self._layouts: list[_Layout] = []
        self._met: Counter[tuple[str, ...]] = Counter()

    def find(self, data: bytes) -> frozenset[UnreadKey]:
        """Give the unread keys of the first records."""
        found = _NOTHING
        at = 0
        for _ in range(LOOKED_AT):
            for layout in self._layouts:
                if match := layout.match(data, at):
                    unread, end = layout.unread, match.end()
                    break
            else:
                unread, end = self._parse(data, at)
            if unread:
                found |= unread
            at = data.find(b"\n{", end) + 1
            if not at:
                break
        return found

    def _parse(self, data: bytes, at: int) -> tuple[frozenset[UnreadKey], int]:
        """Parse the record that begins at the next bracket; gives its unread keys, and where it ends (at that bracket,
        when it is not a record, and where the search began, when there is none)."""
        begin = data.find(b"{", at)
        if begin < 0:
            return _NOTHING, at
        for end in (data.find(b"\n", begin), begin + BEGINNING):
            with suppress(ValueError, RecursionError):
                text = data[begin:end].decode("utf-8", "replace")
                keys, length = _DECODER.raw_decode(text)
                unread = self._unread(keys)
                self._learn(tuple(keys), unread)
                return unread, begin + len(text[:length].encode())
        return _NOTHING, begin

    def _unread(self, keys: list[str]) -> frozenset[UnreadKey]:
        meant = {key: self._spellings.get(key.lower()) for key in keys}
        there = frozenset(keys)
        return frozenset(
            UnreadKey(self._kind, key, right)
            for key, right in meant.items()
            if right and right != key and right not in there
        )

    def _learn(self, keys: tuple[str, ...], unread: frozenset[UnreadKey]) -> None:
        """Make a pattern for a layout that is common; with some writers every record has another one."""
        if not keys or len(self._layouts) >= MOST_LAYOUTS or len(self._met) > LOOKED_AT * MOST_LAYOUTS:
            return
        self._met[keys] += 1
        if self._met[keys] == RECOGNISED:
            pairs = (re.escape(json.dumps(key, ensure_ascii=False).encode()) + b":" + _VALUE for key in keys)
            self._layouts.append(_Layout(re.compile(rb"\{" + b", ?".join(pairs) + rb"\}").match, unread))
