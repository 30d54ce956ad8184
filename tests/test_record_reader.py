"""How files are cut into records: the same wherever a piece ends, right lines, one record in memory."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any, cast
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwh.spool import record_reader
from dwh.spool.record_reader import read_pieces, read_records
from dwh.spool.records import BYTE_ORDER_MARK, LONGEST_RECORD, Record, Strictness
from dwh.spool.splice import count_lines, read_blocks, splice

STRICT = Strictness(frozenset(), lenient=False, holds={})
MARK = BYTE_ORDER_MARK
GOOD = b'{"a": 1, "b": "x"}'


def cut(data: bytes, piece: int = record_reader.PIECE) -> list[Record]:
    """Cut a file into records, read in pieces of that size."""
    with patch.object(record_reader, "PIECE", piece):
        return list(read_records(read_pieces(io.BytesIO(data)), STRICT))


FRAGMENTS = [
    GOOD,
    GOOD + b"\n",
    b'{"a": {"b": [1, {}]}}',
    b'{"a": "}{\\"\\\\"}',
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b"\n",
]
FRAGMENTS += [b"\r\n", b"\r ", b" ", MARK, MARK[:1], MARK[:2], b"x", b",", b'{"a": "' + MARK + b'"}', b'{"a": "']


@settings(max_examples=300)
@given(parts=st.lists(st.sampled_from(FRAGMENTS), max_size=30), piece=st.integers(40, 60))
def test_it_does_not_matter_where_a_piece_ends(parts: list[bytes], piece: int) -> None:
    """Every record has the same line, text and fault, in short pieces and in one."""
    data = b"".join(parts)
    assert cut(data, piece) == cut(data)


@settings(max_examples=150)
@given(
    records=st.lists(
        st.dictionaries(
            st.text("abé\u2028", max_size=3), st.text('ab}{"\\\ufeff\n', max_size=6), min_size=1, max_size=3
        ),
        max_size=9,
    ),
    gaps=st.lists(
        st.sampled_from([b"", b" ", b"\n", b"\r\n", b"\r", MARK, MARK + b"\n", b"\n" + MARK, b"\t"]),
        min_size=10,
        max_size=10,
    ),
    piece=st.integers(40, 80),
)
def test_good_records_are_found_whatever_is_between_them(records: list[Any], gaps: list[bytes], piece: int) -> None:
    """Blanks, breaks and byte order marks between records are no part of them; in a text they stay."""
    data = gaps[-1] + b"".join(
        json.dumps(r, ensure_ascii=False).encode() + gap for r, gap in zip(records, gaps, strict=False)
    )
    found = cut(data, piece)
    assert [record.fault for record in found] == [None] * len(records)
    assert [json.loads(record.text) for record in found] == records
    quick = splice(data, 7)
    if quick and (kept := engine_takes(quick[0])) is not None:
        assert quick[1] == len(records)
        assert kept == [{"dwh_file_id": 7, **record} for record in records]


def engine_takes(text: bytes) -> list[Any] | None:
    """Give the objects of a text of one a line; None for a text that every engine refuses."""
    try:
        return [json.loads(line) for line in text.split(b"\n")[:-1]]
    except ValueError:
        return None


def test_a_line_number_is_that_of_the_file_however_long_its_lines_are() -> None:
    """Of records that share a line, of one that is spread over several, and of those behind a long line."""
    data = (
        GOOD * 3
        + b"\n\n"
        + b'{"a":\n 1}'
        + b" " * 3_000_000
        + b"{oops}\n"
        + MARK
        + GOOD
        + b"\n"
        + GOOD
        + b" x\n"
        + GOOD
    )
    found = cut(data)
    assert [record.line for record in found] == [1, 1, 1, 3, 4, 5, 6, 6, 7]
    assert [bool(record.fault) for record in found] == [False] * 4 + [True, False, False, True, False]
    assert found[7].fault == f"text outside of an object, column {len(GOOD) + 2}"


def sized(size: int) -> bytes:
    """Return a record of so many bytes."""
    return b'{"a": "' + b"x" * (size - 9) + b'"}'


TOO_LONG = sized(LONGEST_RECORD + 1)


def test_the_limit_is_one_of_the_record() -> None:
    """A record of 4 MB is taken, one of a byte more is not; it costs nothing but itself, on one line as on several."""
    assert [record.fault for record in cut(sized(LONGEST_RECORD))] == [None]
    for end in (b"", b"\n", b" "):
        found = cut(end.join([GOOD, TOO_LONG, GOOD, GOOD]))
        assert [record.fault for record in found] == [None, "longer than 4 MB", None, None]
    pretty = b'{"a": [' + (b"1" * 5000 + b",\n") * 9_000 + b"1]}\n"
    found = cut(GOOD + b"\n" + pretty + GOOD)
    assert [(record.line, record.fault) for record in found] == [(1, None), (2, "longer than 4 MB"), (9_003, None)]
    assert all(len(record.text) < 100_000 for record in found)


class Endless(io.RawIOBase):
    """A file of a few records with one of many megabytes between them, which is nowhere in memory."""

    def __init__(self, megabytes: int, filling: bytes) -> None:
        self.pieces = self._make(megabytes, filling * (1024 * 1024 // len(filling)))

    def readable(self) -> bool:
        """Tell that it may be read."""
        return True

    def readinto(self, target: Any) -> int:
        """Give the next piece."""
        piece = next(self.pieces, b"")
        target[: len(piece)] = piece
        return len(piece)

    @staticmethod
    def _make(megabytes: int, filling: bytes) -> Iterator[bytes]:
        yield GOOD + b'\n{"a": ['
        yield b'"' if filling[:1] == b"x" else b""
        for _ in range(megabytes):
            yield filling
        yield (b'"' if filling[:1] == b"x" else b"1") + b"]}" + GOOD + b"\n" + GOOD


FILLINGS = {
    "text": b"x",
    "escapes": b'x\\"',
    "texts": b'"' + b"y" * 5000 + b'", ',
    "lines": b"1" * 5000 + b",\n",
    "objects": b'{"k": "' + b"z" * 5000 + b'"}, ',
}


@pytest.mark.parametrize("filling", FILLINGS.values(), ids=list(FILLINGS))
def test_a_record_of_any_size_takes_no_more_memory(filling: bytes) -> None:
    """What is kept of it is its beginning; the record behind it on its line is found."""
    stream = io.BufferedReader(Endless(20, filling), 2 * 1024 * 1024)
    tracemalloc.start()
    try:
        found = list(read_records(read_pieces(cast("Any", stream)), STRICT))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [record.fault for record in found] == [None, "longer than 4 MB", None, None]
    assert most < 16e6


# ---------------------------------------------------------------------------------------------------------- by bytes


@pytest.mark.parametrize("gap", [b"", b" ", b"\r", b"\n", MARK, b"\r\n\t "])
def test_a_long_line_is_cut_by_its_bytes(gap: bytes) -> None:
    """Blocks end between records; put together again they hold every record once, and none is longer than is taken."""
    records = [b'{"n": %d, "text": "%s"}' % (n, b"y" * 300) for n in range(30_000)]
    found = []
    for block in read_blocks(io.BytesIO(gap.join(records))):
        assert block is not None
        spliced = splice(block, 1)
        assert spliced is not None
        found += [json.loads(line)["n"] for line in spliced[0].splitlines()]
    assert found == list(range(30_000))


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_p240_blocks_give_the_bytes_that_the_whole_would(end: bytes) -> None:
    """Of records that are shorter and longer than a block, and of those that stand across its end."""
    texts = [b'"n": %d, "text": "%s"}' % (n, b"y} " * (n**3 % 30_000)) for n in range(60)]
    found = [
        splice(block or b"[", 7) or (b"", 0) for block in read_blocks(io.BytesIO(end.join(b"{" + t for t in texts)))
    ]
    assert len(found) > 20
    assert b"".join(spliced for spliced, _ in found) == b"".join(b'{"dwh_file_id":7,%b\n' % text for text in texts)
    assert sum(records for _, records in found) == 60


class Reads(io.BytesIO):
    """A file that counts how often it is read."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Count it."""
        self.count += 1
        return super().read(size)


def test_p240_a_long_record_is_looked_at_a_few_times() -> None:
    """What is read grows with what is kept: a record of 64 blocks is not searched 64 times."""
    long = sized(LONGEST_RECORD)
    stream = Reads(b"\n".join([GOOD, long, GOOD]))
    blocks = list(read_blocks(stream))
    assert b"".join(block or b"" for block in blocks) == stream.getvalue()
    assert None not in blocks
    assert stream.count <= 10


@pytest.mark.parametrize(
    "data", [TOO_LONG, GOOD + TOO_LONG + GOOD, GOOD + b" " * 9_000_000 + GOOD], ids=["one", "between", "gap"]
)
def test_what_cannot_be_cut_by_its_bytes_is_left_to_the_careful_reader(data: bytes) -> None:
    """A longer record, or a gap that is longer than one, gives None at last, and is never cut short in silence."""
    assert list(read_blocks(io.BytesIO(data)))[-1] is None
    assert count_records(data) == data.count(b"{")


def count_records(data: bytes) -> int:
    """Count what the careful reader finds."""
    return len(cut(data))


@pytest.mark.parametrize(
    "start", [MARK + GOOD, GOOD + GOOD, b"[", "{".encode("utf-16-le"), b"\n\n[", b"PK", GOOD + b" \r" + GOOD]
)
def test_a_large_file_is_not_read_in_place_when_it_begins_otherwise(tmp_path: Any, start: bytes) -> None:
    """DuckDB and PostgreSQL take one object a line, and refuse a mark; what is not that goes another way."""
    path = tmp_path / "a.json"
    path.write_bytes(start + b"\n" + (GOOD + b"\n") * 20_000)
    assert count_lines(str(path)) is None
    path.write_bytes(b"\n \n" + (GOOD + b"\r\n") * 20_000)
    assert count_lines(str(path)) == 20_002
