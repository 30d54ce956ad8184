"""The fast path for good records: it works on bytes, without parsing. Unclear files are read record by record.

It assumes that a record begins wherever `{` follows `}`. Where that is in the middle of a text, neither half passes for
a record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from dwh.spool.record_reader import BLANKS, FLAT
from dwh.spool.records import LONGEST_RECORD

CHUNK = 1024 * 1024  # bytes
BLOCK = 64 * 1024  # bytes; they and what is made of them stay in the processor's cache
SCANNED = 256 * 1024  # bytes; they stay in the processor's cache while they are scanned several times
LONGEST_GAP = 64  # bytes between two records of one line

_ODD_ESCAPE = re.compile(rb"\\u00(?:00|64|77|68|5[fF])")  # a NUL, or a character of OUR_KEYS
_GAP = re.compile(rb"(?:[ \t\r\n]|\xef\xbb\xbf)*\Z")


def splice(data: bytes, file_id: int) -> tuple[bytes, int] | None:
    """Give whole records one a line, each with the id of its file, and their number; None when the bytes are not
    clearly JSON objects."""
    body = data.strip()
    if not body:
        return b"", 0
    mark = b'{"dwh_file_id":%d,' % file_id
    lines = body[1:].split(b"\n{")
    ends = body[:1] + body[-1:]
    if ends != b"{}" or body.count(b"\n") >= len(lines) or (body.count(b"}") > len(lines) and _may_share_lines(body)):
        return _splice_shared(body, mark)
    if is_odd(body):
        return None
    if b"\r" in body:
        body = body.replace(b"\r\n", b"\n")
        if b"\r" in body:  # COPY would refuse it as a blank between two values; inside a value it is a fault
            return None
        lines = body[1:].split(b"\n{")
    return b"%b%b\n" % (mark, (b"\n" + mark).join(lines)), len(lines)


def splice_together(contents: Mapping[int, bytes]) -> bytes | None:
    """Give the records of many files, each with the id of its file; None unless each is clearly one object on one line.

    One look at all of them tells, where there is no bracket but those around the objects: they begin and end where the
    lines do, and there are no more."""
    bodies = [data.strip() for data in contents.values()]
    text, seams = b"\n".join(bodies), len(bodies) - 1
    if (
        text[:1] + text[-1:] != b"{}"
        or not text.count(b"\n") == text.count(b"}\n{") == text.count(b"}") - 1 == seams
        or b"\r" in text
        or is_odd(text)
    ):
        return None
    pairs = zip(contents, bodies, strict=True)
    return b"".join([b'{"dwh_file_id":%d,%b\n' % (file_id, body[1:]) for file_id, body in pairs])


def _splice_shared(body: bytes, mark: bytes) -> tuple[bytes, int] | None:
    """Do the same where records share lines, or have byte order marks between them. It takes only objects without
    another object or a list in them: one pattern matches those, texts with brackets included."""
    if body[1:2] == b"\0" or is_odd(body):
        return None
    parts, at = [], 0
    while found := FLAT.match(body, BLANKS.match(body, at).end()):  # type: ignore[union-attr]  # matches everywhere
        parts.append(found[0][1:])
        at = found.end()
    if BLANKS.match(body, at).end() < len(body):  # type: ignore[union-attr]
        return None
    return b"".join(b"%b%b\n" % (mark, part) for part in parts), len(parts)


def read_blocks(source: BinaryIO) -> Iterator[bytes | None]:
    """Give a file in blocks that end where a record ends, as far as bytes tell; the last is None when a record is
    larger than allowed."""
    rest = b""
    while chunk := source.read(max(BLOCK, len(rest))):  # a long record is looked at a few times, not once a block
        block = rest + chunk if rest else chunk
        cut = _last_record(block)
        if (not cut and len(block) > LONGEST_RECORD) or (cut > LONGEST_RECORD and not _fits(block[:cut])):
            yield None
            return
        if cut:
            yield block[:cut]
        rest = block[cut:]
    yield rest if _fits(rest) else None


def begins_plainly(path: str) -> bool:
    """Tell whether a file begins with one object a line."""
    with Path(path).open("rb", buffering=0) as stream:
        return _begins_plainly(stream.read(SCANNED))


def count_lines(path: str) -> int | None:
    """Count the lines of a file; None when it does not begin with one object a line, when a line is longer than a
    record may be, or may hold a NUL character."""
    lines, unbroken, last = 0, 0, b""
    with Path(path).open("rb", buffering=0) as stream:
        while chunk := stream.read(SCANNED):
            if not last and not _begins_plainly(chunk):
                return None
            if b"\\u0000" in last[-5:] + chunk[:5] or b"\\u0000" in chunk:
                return None
            lines += chunk.count(b"\n")
            first_break = chunk.find(b"\n")
            unbroken += len(chunk) if first_break < 0 else first_break
            if unbroken > LONGEST_RECORD:
                return None
            unbroken = unbroken if first_break < 0 else len(chunk) - 1 - chunk.rfind(b"\n")
            last = chunk
    return lines + (last[-1:] != b"\n")


def is_odd(text: bytes) -> bool:
    """Tell whether it may hold a key of ours or a NUL, with or without escapes: only a parser can be sure."""
    return b'"dwh_' in text or (b"\\u00" in text and _ODD_ESCAPE.search(text) is not None)


def _begins_plainly(chunk: bytes) -> bool:
    start = chunk.lstrip(b" \t\r\n")
    return start[:1] == b"{" and start[1:2] != b"\0" and not _may_share_lines(chunk)


def _may_share_lines(body: bytes) -> bool:
    """Tell whether two objects may stand on one line: a closing bracket, then an opening one."""
    return any(piece.lstrip(b" \t\r\xef\xbb\xbf")[:1] == b"{" for piece in body.split(b"}")[1:])


def _fits(block: bytes) -> bool:
    """Tell whether no record of a block is too long: true when no line is."""
    return len(block) <= LONGEST_RECORD or max(map(len, block.split(b"\n"))) <= LONGEST_RECORD


def _last_record(block: bytes) -> int:
    """Find where the last record of a block begins; 0: it has only one."""
    at = len(block)
    while (at := block.rfind(b"{", 0, at)) > 0:
        before = block[max(0, at - LONGEST_GAP) : at]
        gap = _GAP.search(before)
        if gap and before[: gap.start()].endswith(b"}"):
            return at
    return 0
