"""Cuts a stream into records. It holds one record and one piece of the file in memory, however long the lines are.

A record is a JSON object at the top level of a file; it may share a line with others or span several lines. Blanks
and byte order marks between records are not part of them.
A line that starts with `{` always starts a record. So a record that breaks off loses only itself and the text before
the next such line. A record that is only too long is skipped by its brackets, and loses only itself.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Generator, Iterable, Iterator
from typing import BinaryIO, NamedTuple

from dwh.spool.records import BYTE_ORDER_MARK, LONGEST_RECORD, Record, Strictness, judge_record

PIECE = 1024 * 1024  # bytes of a line that are read at once
KEPT_BYTES = 64 * 1024  # of a record that is too long or breaks off
TOO_LONG = "longer than 4 MB"

# The text between two records, and a record on one line without another object or a list in it. Without the possessive
# *+ a text of many escapes would take 100 times its size in memory.
BLANKS = re.compile(rb"(?:[ \t\r\n\v\f]++|\xef\xbb\xbf)*+")
FLAT = re.compile(rb'\{[^{}\[\]"\r\n]*+(?:"[^"\\\r\n]*+(?:\\.[^"\\\r\n]*+)*+"[^{}\[\]"\r\n]*+)*+\}')
_STARTS_RECORD = re.compile(rb"(?:\xef\xbb\xbf)*+\{")
_TOKEN = re.compile(rb'"[^"\\\r\n]*+(?:\\.[^"\\\r\n]*+)*+"|["{}\[\]]')
_IN_STRING = re.compile(rb'[^"\\\r\n]*+(?:\\.[^"\\\r\n]*+)*+')


class Piece(NamedTuple):
    """A line, or a part of a long one: the line number (from 1), the bytes of the line before it, and its bytes."""

    line: int
    before: int
    text: bytes


def read_pieces(stream: BinaryIO | gzip.GzipFile) -> Iterator[Piece]:
    """Give the lines of a stream, long ones in pieces; none ends within a byte order mark or a CRLF."""
    line, before = 1, 0
    while text := stream.readline(PIECE):
        while text.endswith((BYTE_ORDER_MARK[:1], BYTE_ORDER_MARK[:2], b"\r")) and len(text) < PIECE + 8:
            more = stream.readline(1)
            if not more:
                break
            text += more
        yield Piece(line, before, text)
        line, before = (line + 1, 0) if text.endswith(b"\n") else (line, before + len(text))


def read_records(pieces: Iterable[Piece], strictness: Strictness) -> Iterator[Record]:
    """Cut the pieces of a stream into records and find the faults of each."""
    reader = _RecordReader(strictness)
    for piece in pieces:
        yield from reader.read(piece)
    yield from reader.end()


class _RecordReader:
    """The state of the reader.

    It holds of the open record: its bytes so far (of a bad one at most KEPT_BYTES), its first line, the depth of its
    brackets, the column of an open string, and its fault once it has one. `lost`: the following text belongs to no
    record, until a line starts one.
    """

    def __init__(self, strictness: Strictness) -> None:
        self.strictness = strictness
        self.text = bytearray()
        self.start = 0
        self.depth = 0
        self.string = 0
        self.escaped = False  # the piece before ended with the backslash of an escape
        self.fault: str | None = None
        self.lost = False

    def read(self, piece: Piece) -> Iterator[Record]:
        if not piece.before and _STARTS_RECORD.match(piece.text):
            yield from self.end()
        read = 0
        if not self.lost:
            read = yield from self._read_objects(piece)
        if self.depth or self.lost:
            self._keep(piece.text[read:])

    def end(self) -> Iterator[Record]:
        """Close a record that is still open: it is broken."""
        if self.depth or self.lost:
            column = self.string or len(self.text.rstrip()) + 1
            broken = f"ends inside {'a string' if self.string else 'an object'}, column {column}"
            yield Record(self.start, bytes(self.text).rstrip(), self.fault or broken)
            self._reset()

    def _read_objects(self, piece: Piece) -> Generator[Record, None, int]:
        """Give the objects that end in this piece; returns where the unread rest of it begins."""
        line, at, inside = piece.text, 0, 0
        while True:
            if not self.depth:
                at = BLANKS.match(line, at).end()  # type: ignore[union-attr]  # it matches everywhere
                if at == len(line):
                    return at
                self.start = piece.line
                if line[at] != ord("{"):
                    self._lose(f"text outside of an object, column {piece.before + at + 1}")
                    return at
                if flat := FLAT.match(line, at):
                    at = flat.end()
                    yield self._close(flat[0])
                    continue
                self.depth, inside = 1, at + 1
            end = self._find_end(line, at, inside)
            if end is None:
                return at
            yield self._close(line[at:end])
            at = end

    def _find_end(self, line: bytes, at: int, inside: int) -> int | None:
        """Find where the open record ends, which begins at `at` or before this piece; None: not here."""
        if self.string:
            closed = self._pass_string(line, 1 if self.escaped else 0)
            if closed is None:
                return None
            inside = closed
        for token in _TOKEN.finditer(line, inside):
            mark = token[0]
            if mark in b"{[":
                self.depth += 1
            elif mark in b"}]":
                self.depth -= 1
                if not self.depth:
                    return token.end()
            elif mark == b'"':
                self.string = len(self.text) + token.start() - at + 1
                self._pass_string(line, token.end())
                return None
        return None

    def _pass_string(self, line: bytes, inside: int) -> int | None:
        """Find where the open string ends; None when it continues in the next piece, or breaks off with its line."""
        found = _IN_STRING.match(line, inside)
        end = found.end() if found else 0
        self.escaped = line[end:] == b"\\"
        if end == len(line) or self.escaped:
            return None
        if line[end : end + 1] == b'"':
            self.string = 0
            return end + 1
        self._lose(f"ends inside a string, column {self.string}")
        return None

    def _close(self, text: bytes) -> Record:
        if self.text:
            text = bytes(self.text) + text
        if len(text) > LONGEST_RECORD:
            self.fault = self.fault or TOO_LONG
        record = (
            Record(self.start, text[:KEPT_BYTES], self.fault)
            if self.fault
            else judge_record(self.start, text, self.strictness)
        )
        self._reset()
        return record

    def _keep(self, text: bytes) -> None:
        if text.endswith(b"\n"):
            text = text.rstrip(b"\r\n") + b" "
        if len(self.text) + len(text) > LONGEST_RECORD:
            self.fault = self.fault or TOO_LONG
        self.text += text
        if self.fault:
            del self.text[KEPT_BYTES:]

    def _lose(self, fault: str) -> None:
        self.fault = self.fault or fault
        self.depth, self.string, self.escaped, self.lost = 0, 0, False, True

    def _reset(self) -> None:
        self.text.clear()
        self.start, self.depth, self.string, self.escaped = 0, 0, 0, False
        self.fault, self.lost = None, False
