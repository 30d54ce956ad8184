"""What may come instead of what was meant: lines that look real, damaged in the ways that files are damaged.

`damaged_files()` draws a source file: a few good records, then cuts, flipped bytes, swapped types, nesting, repeated
keys, NUL, byte order marks, huge numbers and lone surrogates, in any number and at any place. Most of what it gives is
refused; what it gives that is not is the harder half.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import NamedTuple

from hypothesis import strategies as st
from warehouse import LARGE, event, lines, plays, song

Mutation = Callable[[bytes], bytes]

# Put in somewhere: the bytes that parsers, lines, strings and databases are made of.
PIECES = (
    *(b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b"\n", b"\r", b"\r\n", b"\n{", b"}\n", b"} {", b"},{", b"\t"),
    *(b" ", b"\0", b"\x01", b"\x0b", b"\x0c", b"\x1a", b"\x7f", b"\x80", b"\xff", b"\xc0\x80", b"\xed\xa0\x80"),
    *(b"\xef\xbb\xbf", b"\xfe\xff", b"\xe2\x80\xa8", b"\xc2\x85", b"\xc2\xa0", b"\xf0\x9f\x8e\xb5", b"\x1f\x8b"),
    *(b"\\u0000", b"\\ud800", b"\\udc00", b"\\ud83c\\udfb5", b"\\u", b"\\x41", b"\\/", b"\\'", b"\\u0022", b"\\\\"),
    *(b"/* so */", b"// so", b"#", b"null", b"NaN", b"-Infinity", b"nan", b"undefined", b"'", b"{}", b"[]", b"[{}]"),
    *(b'{"a":1}', b'"a"', b"1e5", b"dwh_", b'"dwh_file_id":7,', b'"dwh_reason":"x",', b'"page":"Home",', b"\n\n"),
)  # fmt: skip

# Put in the place of a value, or beside it.
VALUES = (
    *(b"null", b"true", b"false", b'""', b'" "', b"0", b"-0", b"-1", b"1.5", b"1e2", b"1E+2", b"1e999", b"-1e-999"),
    *(b"007", b"+1", b".5", b"1.", b"0x1F", b"1_000", b"NaN", b"Infinity", b"-inf", b"9" * 18, b"9" * 19, b"9" * 400),
    *(b"0." + b"1" * 400, b'"1e2"', b'" 7 "', b'"07"', b'"-0"', b'"1.0"', b'"\\u0031"', b"1.0", b"5.0e0"),
    *(b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808", b"18446744073709551616"),
    *(b"[]", b"{}", b"[1, null]", b'{"a": {"b": []}}', b'[{"page": "NextSong"}]', b"[" * 130 + b"]" * 130),
    *(b'{"a":' * 40 + b"1" + b"}" * 40, b'"\\u0000"', b'"\\ud800"', b'"\\udfff\\ud800"', b'"\xff"'),
    *(b'"\xf4\x90\x80\x80"', b'{"a\\u0000": 1}', b'["\\u0000"]', b"9" * 5000, b"[-inf]"),
    *(b'"' + b"x" * 5000 + b'"', b'"' + "é".encode() * 600 + b'"', b'"a\nb"', b'"a\\nb"', b'"\t"', b'"\x7f"', b'"\\'),
    *(b"'x'", b"NextSong", b'"NextSong"', b'"Home"', b"1541160000000", b"99999999999999", b"100000000000000"),
    *(b"1541160000", b"1541160000000.0", b"1.541160000000E12", b"2.6e1", b"[1]", b'"[Untitled]"'),
)  # fmt: skip

KEYS = (b'"page"', b'"ts"', b'"userId"', b'"sessionId"', b'"itemInSession"', b'"length"', b'"song"', b'"level"',
        b'"song_id"', b'"title"', b'"duration"', b'"year"', b'"artist_id"', b'"artist_latitude"', b'"x"', b'""',
        b'"dwh_file_id"', b'"dwh_record_number"', b'"DWH_FILE_ID"', b'"Page"', b'"p\\u0061ge"', b'"unknown"',
        b'"\\u0064wh_file_id"', b'"dwh\\u005freason"', b'"a\\u0000"')  # fmt: skip


class Damaged(NamedTuple):
    """A source file after what happened to it."""

    path: str
    data: bytes


def _at(data: bytes, where: float) -> int:
    return int(where * len(data))


def _put(piece: bytes, where: float, over: int) -> Mutation:
    """Put a piece in, over so many bytes of what stood there."""
    return lambda data: data[: (at := _at(data, where))] + piece + data[at + over :]


def _cut(begin: float, size: int) -> Mutation:
    return lambda data: data[: (at := _at(data, begin))] + data[at + size :]


def _end(where: float) -> Mutation:
    return lambda data: data[: _at(data, where)]


def _again(begin: float, size: int) -> Mutation:
    """Repeat a stretch."""
    return lambda data: data[: (at := _at(data, begin))] + data[at : at + size] + data[at:]


def _flip(where: float, bits: int) -> Mutation:
    return lambda data: bytes(b ^ bits if n == _at(data, where) else b for n, b in enumerate(data))


def _value(key: bytes, value: bytes, which: int) -> Mutation:
    """Give a key, where it stands for the nth time, another value."""

    def mutate(data: bytes) -> bytes:
        pieces = data.split(key + b": ")
        at = 1 + which % max(1, len(pieces) - 1)
        if at >= len(pieces):
            return data
        old = pieces[at]
        end = old.index(b'"', 1) + 1 if old[:1] == b'"' and b'"' in old[1:] else len(old.split(b",")[0].split(b"}")[0])
        pieces[at] = value + old[end:]
        return (key + b": ").join(pieces)

    return mutate


def _member(key: bytes, value: bytes, which: int) -> Mutation:
    """Put a member of its own before the first key of the nth object: another one, or the same once more."""

    def mutate(data: bytes) -> bytes:
        pieces = data.split(b"{")
        at = 1 + which % max(1, len(pieces) - 1)
        if at < len(pieces):
            pieces[at] = key + b": " + value + b", " + pieces[at]
        return b"{".join(pieces)

    return mutate


def _nested(opening: bytes, closing: bytes, which: int) -> Mutation:
    """Put the nth line into something."""

    def mutate(data: bytes) -> bytes:
        rows = data.split(b"\n")
        rows[which % len(rows)] = opening + rows[which % len(rows)] + closing
        return b"\n".join(rows)

    return mutate


def _everywhere(old: bytes, new: bytes) -> Mutation:
    return lambda data: data.replace(old, new)


def mutations() -> st.SearchStrategy[Mutation]:
    """Return a strategy of single mishaps."""
    where, which = st.floats(0, 1, exclude_max=True), st.integers(0, 3)
    return st.one_of(
        st.builds(_value, st.sampled_from(KEYS), st.sampled_from(VALUES), which),
        st.builds(_member, st.sampled_from(KEYS), st.sampled_from(VALUES), which),
        st.builds(_put, st.sampled_from(PIECES), where, st.sampled_from([0, 0, 1, 4])),
        st.builds(_cut, where, st.sampled_from([1, 2, 9, 80])),
        st.builds(_again, where, st.sampled_from([1, 2, 9, 80])),
        st.builds(_flip, where, st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128, 255])),
        st.builds(_nested, st.sampled_from([b"[", b'{"a": ', b" ", b"\0", b"(", b"\xef\xbb\xbf"]),
                  st.sampled_from([b"]", b"}", b" ", b",", b";", b"\r", b"\0", b""]), which),
        st.builds(_everywhere, st.sampled_from([b"\n", b"\n{", b", ", b": ", b'"', b"}\n"]),
                  st.sampled_from([b"\r\n", b"\r", b"", b" ", b"\n\n", b",\n", b"{", b"} {"])),
        st.builds(_end, where),
    )  # fmt: skip


def damaged_files(large: bool = False) -> st.SearchStrategy[Damaged]:
    """Return a strategy of damaged source files; `large`: behind so many good records that the engine reads it."""
    records = st.lists(
        st.sampled_from([(False, n) for n in range(3)] + [(True, n) for n in range(3)]), min_size=1, max_size=3
    )
    return st.builds(
        _damaged, records, st.lists(mutations(), min_size=1, max_size=4), st.booleans(), st.just(large),
        st.sampled_from([None, None, None, None, 1.0, 0.9, 0.3]),
    )  # fmt: skip


def _damaged(
    cast: list[tuple[bool, int]], mishaps: list[Mutation], songs: bool, large: bool, packed: float | None
) -> Damaged:
    if songs:
        data = lines([song(f"S{n}", unknown={"a": [n, None]} if twist else "x") for twist, n in cast])
    else:
        data = lines([event(itemInSession=n, unknown={"a": [n, "}"]} if twist else "x") for twist, n in cast])
    for mutate in mishaps:
        data = mutate(data)
    if large:
        data = good_records(songs) + data
    folder = "song_data" if songs else "log_data"
    if packed is None:
        return Damaged(f"{folder}/case.json", data)
    whole = gzip.compress(data)
    return Damaged(f"{folder}/case.json.gz", whole[: round(packed * len(whole))])


def good_records(songs: bool) -> bytes:
    """Return more good records than the spool copies."""
    if songs:
        return lines([song(f"G{n}") for n in range(LARGE // 150)])
    return lines(plays(LARGE // 150, sessionId=9))
