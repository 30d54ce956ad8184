"""Finds the JSON faults of a record; dwh/spool/record_reader.py cuts files into records.

The rules in sql_queries.py judge the values. This module judges what only a parser knows: whether a value is an object,
and which number 2.6e1 is. It writes numbers as plain digits for those rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from dwh.spool.digits import TEXT, JsonNumber, plain_digits

LONGEST_RECORD = 4 * 1024 * 1024  # bytes; the limit of Redshift's COPY for one JSON object
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_COMMA_TOO_MANY = re.compile(r"([^\s,\[{]\s*),(\s*[}\]])")
_NO_NUMBER = re.compile(r"(?<=[:\[,\s])-?(?:nan|inf(?:inity)?)(?![^\s,}\]])", re.IGNORECASE)
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)")
_LONE = "a lone surrogate (\\ud800 to \\udfff) is not a character, column {column}"
_KEY = re.compile(rb'(?P<text>"(?:[^"\\]|\\.)*")(?P<colon>\s*:)?|[{}\[\]]')


class Record(NamedTuple):
    """One record: where it starts (line, from 1), its bytes on one line, and its fault (None: a good JSON object).

    `values` holds its known keys and values as the inside of a JSON object; None: `text` has them in that form.
    """

    line: int
    text: bytes
    fault: str | None
    values: bytes | None = None


class Strictness(NamedTuple):
    """What makes a record bad: one of `keys` that appears twice, and, unless `lenient`, everything that JSON forbids.

    `lenient` accepts an extra comma and NaN, for an engine that accepts them where it reads a file itself: whether a
    record is good must not depend on the reader. `holds` gives the kind of each known key's value: TEXT, WHOLE or
    NUMBER.
    """

    keys: frozenset[str]
    lenient: bool
    holds: Mapping[str, str]


def judge_record(line: int, text: bytes, strictness: Strictness) -> Record:
    """Parse one object and find its fault, if any; a good one gets its known values."""
    try:
        content, exact = _parse(text.decode("utf-8"), strictness.lenient)
    except UnicodeDecodeError as error:
        return Record(line, text, f"not UTF-8, column {error.start + 1}")
    except json.JSONDecodeError as error:
        return Record(line, text, f"{error.msg[0].lower()}{error.msg[1:]}, column {error.pos + 1}")
    except (ValueError, RecursionError) as error:
        return Record(line, text, "nested too deep" if isinstance(error, RecursionError) else str(error))
    fault = _unfit_escape(text) if b"\\u" in text else None
    twice = sorted(content.twice & strictness.keys)
    fault = fault or (f"the key {twice[0]!r} appears twice" if twice else _unfit_value(content, strictness.holds))
    return Record(line, text, fault, _write_values(content, strictness.holds) if exact and not fault else None)


def _unfit_value(content: _Object, holds: Mapping[str, str]) -> str | None:
    """Name a value that is an object or a list: no column holds one, and engines write them differently as text."""
    for key, value in content.items():
        if isinstance(value, (dict, list)) and key in holds:
            return f"{key} is {'an object' if isinstance(value, dict) else 'a list'}, not {holds[key]}"
    return None


def _write_values(content: _Object, holds: Mapping[str, str]) -> bytes:
    """Write the values of known keys for an engine; values of number keys become plain digits."""
    written = []
    for key, value in content.items():
        kind = holds.get(key)
        if kind is None or value is None:
            continue
        if value is True or value is False:
            text = "true" if value else "false"
        else:
            digits = None if kind == TEXT else plain_digits(value, kind)
            text = value if digits is None and type(value) is JsonNumber else encode_basestring(digits or value)
        written.append(f'"{key}":{text}')
    return ",".join(written).encode()


def values_of(record: Record, prefix: str) -> bytes:
    """Give a good record as the inside of a JSON object, on one line, without keys that begin with the prefix."""
    if record.values is not None:
        return record.values
    return without_keys(record.text, prefix).replace(b"\r", b" ").strip(b" \t")[1:-1].strip(b" \t")


def without_keys(text: bytes, prefix: str) -> bytes:
    """Give a good object in which no key begins with the prefix: such keys are renamed, and all values stay."""
    depth = 0

    def rename(token: re.Match[bytes]) -> bytes:
        nonlocal depth
        written = token[0]
        depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(written, 0)
        named = depth == 1 and token["colon"] and json.loads(token["text"]).startswith(prefix)
        return b'"_' + written[1:] if named else written

    return _KEY.sub(rename, text)


def _unfit_escape(text: bytes) -> str | None:
    """Name an escape, in any key or value of a good object, for a character that cannot be stored. Engines differ in
    where they would refuse it."""
    open_pair = None
    for escape in _ESCAPE.finditer(text):
        code = int(escape[1] or b"0020", 16)
        if code == 0:
            return f"a NUL character (\\u0000) cannot be stored, column {escape.start() + 1}"
        closes = open_pair is not None and open_pair.end() == escape.start() and 0xDC00 <= code <= 0xDFFF
        if not closes and (open_pair or 0xDC00 <= code <= 0xDFFF):
            return _LONE.format(column=(open_pair or escape).start() + 1)
        open_pair = escape if 0xD800 <= code <= 0xDBFF else None
    return _LONE.format(column=open_pair.start() + 1) if open_pair else None


class _Object(dict[str, Any]):
    """A JSON object that remembers which keys appeared twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice = (
            {k for k, _ in pairs if sum(k == other for other, _ in pairs) > 1} if len(self) < len(pairs) else set()
        )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


# numbers stay text: Python refuses to convert 5,000 digits, and a double does not keep 19
_DECODER = json.JSONDecoder(
    object_pairs_hook=_Object, parse_int=JsonNumber, parse_float=JsonNumber, parse_constant=_refuse_constant
)


def _parse(text: str, lenient: bool) -> tuple[_Object, bool]:
    """Parse one object; tells whether its values are those of the text (otherwise only its keys are)."""
    try:
        return _DECODER.decode(text), True
    except ValueError:
        if lenient:
            with suppress(ValueError):
                return _parse(_NO_NUMBER.sub("0", _COMMA_TOO_MANY.sub(r"\1\2", text)), lenient=False)[0], False
        raise
