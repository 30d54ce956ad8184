"""JSON as COPY reads it: records, JSONPaths, and values that become the text of a column or a load error.

Sources: [D23] dg/copy-parameters-data-format.html, copy-usage_notes-copy-from-json.html,
copy-parameters-data-conversion.html, multi-byte-character-load-errors.html; [G] snowplow-rdb-loader#92 and
aws-lambda-redshift-loader#113 for texts. Numbers of errors other than 1204, 1207, 1213 and 1220 are [U].
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, NamedTuple

from redshift.wire import SqlError

LARGEST_RECORD = 4 * 1024 * 1024


class Number(str):
    """A number as the file has it."""


class FieldError(Exception):
    """A value that its column does not take."""

    def __init__(self, code: int, reason: str, position: int = 0) -> None:
        super().__init__(reason)
        self.code, self.reason, self.position = code, reason, position


class Record(NamedTuple):
    """One root-level value of a file, or what is wrong there; its last line, and its text."""

    line: int
    raw: str
    value: Any
    error: FieldError | None


@dataclass(frozen=True)
class Target:
    """A column to fill: its type as PostgreSQL names it, its length in bytes or its precision and scale."""

    name: str
    kind: str
    length: int = 0
    scale: int = 0
    required: bool = False


@dataclass(frozen=True)
class Conversion:
    """The options of COPY that decide what a value becomes."""

    blanks_as_null: bool = False
    empty_as_null: bool = False
    truncate: bool = False
    replacement: str = ""
    round_numbers: bool = False
    any_date: bool = False
    timeformat: str = ""


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=_refuse_constant)


def records_of(text: str) -> Iterator[Record]:
    """Cut a file into its root-level objects and arrays, with nothing but white space between them.

    Anything else is one error each; reading goes on at the next line. Of a key given twice the last counts [U].
    """
    at, line, counted = 0, 1, 0
    space = re.compile(r"[ \t\r\n]*")
    while True:
        at = space.match(text, at).end()  # type: ignore[union-attr]
        if at == len(text):
            return
        value, error = None, None
        try:
            if text[at] not in "{[":
                raise ValueError
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as problem:
            found = max(getattr(problem, "pos", at), at)
            end = text.find("\n", found) + 1 or len(text)
            error = FieldError(1216, "Invalid JSON: not a well-formed object or array", found - at)
        raw = text[at:end]
        line += text.count("\n", counted, end - (error is not None and raw.endswith("\n")))
        counted = end - (error is not None and raw.endswith("\n"))
        yield Record(line, raw, value, error)
        at = end


# ------------------------------------------------------------------------------------------------------------ JSONPaths

Path = tuple[str | int, ...]


def read_jsonpaths(content: bytes) -> list[Path] | None:
    """Read a JSONPaths file; None where its one key is not "jsonpaths": then COPY uses 'auto', and says nothing.

    Raises SqlError where it is malformed; MAXERROR does not apply to it.
    """
    try:
        found = json.loads(content.decode("utf-8-sig"))
    except ValueError as error:
        raise SqlError("XX000", f"Invalid JSONPath format: {error}") from error
    if not isinstance(found, dict):
        raise SqlError("XX000", "Invalid JSONPath format: Member is not an object.")
    if "jsonpaths" not in found:
        return None
    texts = found["jsonpaths"]
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise SqlError("XX000", "Invalid JSONPath format: an array of expressions is expected.")
    if any("['" in text for text in texts) and any("." in _outside_brackets(text) for text in texts):
        raise SqlError("XX000", "Invalid JSONPath format: bracket notation and dot notation are mixed.")
    return [_path(text) for text in texts]


def _outside_brackets(text: str) -> str:
    return re.sub(r"\[.*?\]", "", text)


def _path(text: str) -> Path:
    if not text.startswith("$"):
        raise SqlError("XX000", f"Invalid JSONPath format: {text} does not begin with $.")
    steps: list[str | int] = []
    at = 1
    step = re.compile(r"\['([^']*)'\]|\.([^.\[\]'*]+)|\[(\d+)\]")
    while at < len(text):
        found = step.match(text, at)
        if not found:
            raise SqlError("XX000", f"Invalid JSONPath format: {text}")
        steps.append(int(found[3]) if found[3] is not None else found[1] if found[1] is not None else found[2])
        at = found.end()
    return tuple(steps)


def _follow(value: Any, path: Path) -> Any:
    """Find what a path names: a missing name is None, a missing array element an error."""
    for step in path:
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                raise FieldError(1224, "Invalid JSONPath format: Not an array or index out of range.")
            value = value[step]
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value


def reader(paths: Sequence[Path] | None, names: Sequence[str], fold: bool) -> Callable[[Any], list[Any]]:
    """Give the function that takes a record's values out of it, in the order of the columns."""
    if paths is not None:
        return lambda record: [_follow(record, path) for path in paths]

    def by_name(record: Any) -> list[Any]:
        if not isinstance(record, dict):
            raise FieldError(1224, "Invalid JSONPath format: Member is not an object.")
        # names of columns are lower case: 'auto' matches exactly, 'auto ignorecase' does not look at the case
        known = {key.lower(): value for key, value in record.items()} if fold else record
        return [known.get(name) for name in names]

    return by_name


# ----------------------------------------------------------------------------------------------------------- conversion

_WHOLE = {"bigint": ("Long", 63), "integer": ("Integer", 31), "smallint": ("Short", 15)}
_FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_YES_NO = {"t": "t", "true": "t", "y": "t", "yes": "t", "1": "t", "f": "f", "false": "f", "n": "f", "no": "f", "0": "f"}


def convert(value: Any, target: Target, options: Conversion) -> str | None:
    """Give the text of a column's value, None for NULL. Raises FieldError."""
    is_text = target.kind in ("character varying", "character")
    text = _text(value)
    if text is None or _is_null(value, is_text, options):
        if target.required:
            raise FieldError(1213, "Missing data for not-null field")
        return None
    if is_text:
        return _characters(text, target, options)
    if target.kind in _WHOLE:
        return _whole(text, *_WHOLE[target.kind])
    if target.kind in ("double precision", "real"):
        if not _FLOAT.fullmatch(text):
            raise _invalid_digit(text, r"[-+0-9.eE]", "Double" if target.kind == "double precision" else "Float")
        return text
    if target.kind == "numeric":
        return _decimal(text, target, options)
    if target.kind == "boolean":
        if text.lower() not in _YES_NO:
            raise FieldError(1210, "Unknown boolean format")
        return _YES_NO[text.lower()]
    if target.kind in ("date", "timestamp without time zone"):
        return _moment(text, target, options)
    raise SqlError("0A000", f"the stand-in's COPY fills no column of type {target.kind}")


def _is_null(value: Any, is_text: bool, options: Conversion) -> bool:
    if not isinstance(value, str) or isinstance(value, Number) or value.strip():
        return False
    return not is_text or (options.blanks_as_null if value else options.empty_as_null)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return _json(value)


def _json(value: Any) -> str:
    """Write an object or array as the documentation shows that it arrives: {"id": 1,"name": "x"}."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}: {_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    return value if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)


def _characters(text: str, target: Target, options: Conversion) -> str:
    if "\0" in text:
        raise FieldError(1212, "Invalid null byte - field longer than 1 byte", text.index("\0"))  # [G] text, [U] when
    bad = re.search("[\ud800-\udfff]", text)
    if bad and options.replacement and target.kind == "character varying":
        # one replacement for each byte: what is not UTF-8 was read byte by byte
        text = re.sub("[\ud800-\udfff]", options.replacement, text)
    elif bad:
        reason = "String contains invalid or unsupported UTF-8 codepoints. Bad UTF-8 hex sequence: "
        raise FieldError(1220, f"{reason}{ord(bad[0]) & 0xFF:02x} (error 3)", bad.start())
    if target.kind == "character" and not text.isascii():
        sequence = " ".join(f"{byte:02x}" for byte in text.encode() if byte > 127)
        reason = f"Multibyte character not supported for CHAR (Hint: Try using VARCHAR). Invalid char: {sequence}"
        raise FieldError(1220, reason)
    encoded = text.encode()
    if len(encoded) <= target.length:
        return text
    if not options.truncate:
        raise FieldError(1204, "String length exceeds DDL length")
    return encoded[: target.length].decode(errors="ignore")


def _invalid_digit(text: str, good: str, kind: str) -> FieldError:
    at = next((n for n, character in enumerate(text) if not re.match(good, character)), 0)
    return FieldError(1207, f"Invalid digit, Value '{text[at : at + 1]}', Pos {at}, Type: {kind}", at)


def _whole(text: str, kind: str, bits: int) -> str:
    if not re.fullmatch(r"[-+]?[0-9]+", text):
        raise _invalid_digit(text, r"[-+0-9]", kind)
    if not -(2**bits) <= int(text) < 2**bits:
        raise FieldError(1207, f"Overflow, Value '{text[-1]}', Pos {len(text) - 1}, Type: {kind}", len(text) - 1)
    return text


def _decimal(text: str, target: Target, options: Conversion) -> str:
    """COPY cuts digits after the scale, unless ROUNDEC is given [D23] dg/copy-parameters-data-conversion.html."""
    try:
        step = Decimal(1).scaleb(-target.scale)
        found = Decimal(text).quantize(step, ROUND_HALF_UP if options.round_numbers else ROUND_DOWN)
    except InvalidOperation as error:
        raise _invalid_digit(text, r"[-+0-9.eE]", "Decimal") from error
    if found and found.adjusted() >= target.length - target.scale:
        raise FieldError(1207, "Overflow for NUMERIC", 0)
    return str(found)


def _moment(text: str, target: Target, options: Conversion) -> str | None:
    day = target.kind == "date"
    try:
        if not day and options.timeformat in ("epochsecs", "epochmillisecs"):
            scale = 1000 if options.timeformat == "epochmillisecs" else 1
            ticks = int(Decimal(text) * 1_000_000 / scale)
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks)
            return moment.replace(tzinfo=None).isoformat(" ")
        strict = r"\d{4}-\d\d-\d\d" + ("" if day else r" \d\d:\d\d:\d\d(\.\d+)?")
        if options.timeformat != "auto" and not re.fullmatch(strict, text):
            raise ValueError(text)
        if re.fullmatch(r"\d+(\.\d+)?", text):  # 'auto' does not know an epoch
            raise ValueError(text)
        return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=None).isoformat(" ")
    except (ValueError, InvalidOperation, OverflowError) as error:
        if options.any_date:
            return None
        if day:
            raise FieldError(1205, "Invalid Date Format - length must be 10 or more") from error
        raise FieldError(1206, "Invalid timestamp format or value [YYYY-MM-DD HH24:MI:SS]") from error
