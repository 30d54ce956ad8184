"""Which files hold something else than one good object a line, as a reader of records finds it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import BinaryIO

from dwh.sources.files import SourceFile, open_source
from dwh.spool.record_reader import Piece, read_pieces, read_records
from dwh.spool.records import BYTE_ORDER_MARK, Strictness
from dwh.spool.spool import GZIP_FAULTS, is_packed, named


def needs_care(source: SourceFile, rules: Strictness) -> bool:
    """Read a file record by record, and tell whether it holds something else than one good object a line.

    A file with the name of gzip that is not gzip needs no care: all of it is refused. Raises Changed when it is gone.
    """
    lines = records = last = 0
    marked = False

    def counted(stream: BinaryIO | gzip.GzipFile) -> Iterator[Piece]:
        nonlocal lines, last, marked
        for piece in read_pieces(stream):
            if piece.line != last and piece.text.strip():
                lines, last = lines + 1, piece.line
            marked = marked or BYTE_ORDER_MARK in piece.text
            yield piece

    with named(source.path):
        try:
            packed = is_packed(source, None)
            with open_source(source) as file, gzip.open(file) if packed else file as stream:
                for records, record in enumerate(read_records(counted(stream), rules), 1):  # noqa: B007
                    if record.fault or marked:
                        return True
        except GZIP_FAULTS:
            return False
    return records != lines
