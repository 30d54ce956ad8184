"""What a table of the lake is, and what one file of it is. No Iceberg library is needed to say so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

Bound = int | float | str | datetime

_PIECE = re.compile(r"(all|\d{4}-\d\d(?:-\d\d)?)-[a-z]")
WHOLE = ""  # the piece of a table that is not cut by time


class Column(NamedTuple):
    """A column: its SQL type as the CREATE statement has it, whether it is NOT NULL, and its description."""

    name: str
    type: str
    required: bool
    doc: str


class TableSpec(NamedTuple):
    """A table: `month_of` is the time column whose month partitions it (None: one file holds it all); `bounds` are the
    columns whose least and greatest values are kept for each file, and of no other column are they."""

    name: str
    columns: Sequence[Column]
    month_of: str | None
    bounds: Sequence[str]


class LakeFile(NamedTuple):
    """A data file: its path below the lake, its rows and bytes, and its digest (None: the engine wrote it to S3)."""

    path: str
    rows: int
    bytes: int
    sha256: str | None

    @property
    def piece(self) -> str:
        """The piece that the file is of, as its name says."""
        return piece_of(self.path)


class NewFile(NamedTuple):
    """A data file that was written and is part of no snapshot yet.

    `piece` is '2018-11' for a month, '2018-11-30' for a day, '' for a whole table; `path` lies below <table>/data;
    `bounds` maps columns to their least and greatest value (a column of NULLs alone has none); `days` are the first and
    the last day of its rows, which a partitioned table has; `nulls` counts the NULLs of columns, where they are known.
    """

    piece: str
    path: str
    rows: int
    bytes: int
    sha256: str | None
    bounds: Mapping[str, tuple[Bound, Bound]]
    days: tuple[date, date] | None = None
    nulls: Mapping[str, int] = {}


def file_name(piece: str, run: str, part: str = "") -> str:
    """Name a data file, so that the piece can be read from it; `run` begins with a letter and is of this export alone,
    `part` tells several files of a piece apart."""
    return f"{piece or 'all'}-{run}{f'-{part}' if part else ''}.parquet"


def piece_of(path: str) -> str:
    """Read the piece from the path of a data file. Raises ValueError when the name says none."""
    found = _PIECE.match(path.rpartition("/")[2])
    if not found:
        raise ValueError(f"{path} names no month, no day and no whole table")
    return WHOLE if found[1] == "all" else found[1]
