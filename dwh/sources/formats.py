"""Files that are not JSON in UTF-8: recognised by their first bytes, with the command that converts them."""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

from dwh.sources.files import is_remote
from dwh.sources.listing import packed_by_name

GZIP_MAGIC = b"\x1f\x8b"
LOOKED_AT = 64 * 1024  # bytes at the beginning of a file: more than the blanks that come before an array

# Python reads whole numbers of any length, and needs no other tool.
_ARRAY_TO_LINES = (
    "python -c \"import json, sys; print(*map(json.dumps, json.load(open(sys.argv[1], 'rb'))), sep='\\n')\""
)
_PARQUET_TO_LINES = (
    "python -c \"import duckdb, sys; duckdb.execute('COPY (FROM read_parquet(?, hive_partitioning = false))"
    ' TO \\"/dev/stdout\\" (FORMAT json)\', sys.argv[1:])"'
)


class Format(NamedTuple):
    """A format: its name, its first bytes, and the command that writes its content; the path is its last argument."""

    name: str
    beginning: re.Pattern[bytes]
    convert: str


def _format(name: str, beginning: bytes, convert: str) -> Format:
    return Format(name, re.compile(beginning, re.DOTALL), convert)


_FORMATS = (
    _format("UTF-32 text", rb"\xff\xfe\0\0|\0\0\xfe\xff", "iconv -f UTF-32 -t UTF-8"),
    _format("UTF-32LE text", rb"[\t\n\r {\[]\0\0\0", "iconv -f UTF-32LE -t UTF-8"),
    _format("UTF-32BE text", rb"\0\0\0[\t\n\r {\[]", "iconv -f UTF-32BE -t UTF-8"),
    _format("UTF-16 text", rb"\xff\xfe|\xfe\xff", "iconv -f UTF-16 -t UTF-8"),
    _format("UTF-16LE text", rb"[\t\n\r {\[]\0", "iconv -f UTF-16LE -t UTF-8"),
    _format("UTF-16BE text", rb"\0[\t\n\r {\[]", "iconv -f UTF-16BE -t UTF-8"),
    _format("gzip", rb"\x1f\x8b", "gunzip -c"),
    _format("a zip archive", rb"PK(?:\x03\x04|\x05\x06|\x07\x08)", "unzip -p"),
    _format("bzip2", rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", "bunzip2 -c"),
    _format("zstd", rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", "zstd -dc"),
    _format("xz", rb"\xfd7zXZ\0", "xz -dc"),
    _format("a tar archive", rb".{257}ustar", "tar -xOf"),
    _format("Parquet", rb"PAR1", _PARQUET_TO_LINES),
    _format("one JSON array", rb"(?:[ \t\r\n]+|\xef\xbb\xbf)*\[", _ARRAY_TO_LINES),
)
_NO_GZIP = "its name says that it is gzip, and it is not"
_REASON = re.compile(r"it is (.+?)( in gzip)?: ")


def find_format(beginning: bytes, *, unpacked: bool) -> str | None:
    """Say why a file cannot be read, by its first LOOKED_AT bytes: it has another format. None when it may be JSON.

    `unpacked`: these bytes were unpacked from gzip.
    """
    found = next((known for known in _FORMATS if known.beginning.match(beginning)), None)
    if found is None:
        return None
    expected = "its name does not end in .gz" if found.name == "gzip" else "JSON objects in UTF-8 are expected"
    if unpacked:
        return f"it is {found.name} in gzip: JSON objects in UTF-8 are expected"
    return f"it is {found.name}: {expected}"


def find_no_gzip(beginning: bytes) -> str | None:
    """Say why a file whose name ends in .gz cannot be unpacked; None when it begins as gzip does, or is empty."""
    if not beginning or beginning.startswith(GZIP_MAGIC):
        return None
    return find_format(beginning, unpacked=False) or _NO_GZIP


def conversion(path: str, reason: str) -> str | None:
    """Give the shell command that converts a file in its place into one that loads; `reason` is why it was refused.

    Each step runs only when the one before has succeeded, and the file is replaced last.
    """
    if reason == _NO_GZIP:
        return _move(path, path[: -len(".gz")])
    found = _REASON.match(reason)
    known = next((known for known in _FORMATS if found and known.name == found[1]), None)
    if known is None or found is None:
        return None
    if known.name == "gzip" and not found[2]:
        return _move(path, f"{path}.gz")
    steps = _convert(known, inner=bool(found[2]), packed=bool(packed_by_name(path)))
    if is_remote(path):
        there = shlex.quote(path)
        return " && ".join((f'f=$(mktemp) && aws s3 cp {there} "$f"', *steps, f'aws s3 cp "$f" {there}'))
    return f"f={shlex.quote(path)}; " + " && ".join(steps)


def _convert(known: Format, *, inner: bool, packed: bool) -> list[str]:
    """Write the steps: gzip is unpacked first, and packed again when the name ends in .gz."""
    if known.name == "gzip":
        return ['gunzip < "$f" > "$f.1"', 'mv "$f.1" "$f"']
    steps = ['gunzip < "$f" > "$f.1"', f'{known.convert} "$f.1" > "$f.2"'] if inner else []
    steps = steps or [f'{known.convert} "$f" > "$f.2"']
    steps += ['gzip < "$f.2" > "$f"', 'rm "$f.2"'] if packed else ['mv "$f.2" "$f"']
    return [*steps, 'rm "$f.1"'] if inner else steps


def _move(path: str, target: str) -> str:
    command = "aws s3 mv" if is_remote(path) else "mv -i"
    return f"{command} {shlex.quote(path)} {shlex.quote(target)}"
