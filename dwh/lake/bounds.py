"""What is asked of a warehouse before a table is written in pieces: its days, and between which values a piece lies.

One portable statement each, the same on every engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from dwh.seam import Extract, Piece, Session, select_piece


class Bounds(NamedTuple):
    """The rows of a piece, and the least and the greatest value of some of its columns; a column that is NULL in all
    rows has none."""

    rows: int
    columns: Mapping[str, tuple[Any, Any]]


def days_of(session: Session, extract: Extract) -> list[tuple[date, int]]:
    """Give the days on which a table has rows, in their order, and how many it has on each: by the first column that
    it is sorted by, a time that is never NULL."""
    day = f"CAST({extract.order_by[0]} AS DATE)"
    rows = session.rows(
        f"SELECT {day} AS on_day, COUNT(*) FROM ({extract.query}) AS r GROUP BY {day} ORDER BY on_day"  # noqa: S608
    )
    return [(on_day, int(number)) for on_day, number in rows]


def find_bounds(session: Session, extract: Extract, piece: Piece, columns: Sequence[str]) -> Bounds:
    """Give the rows of a piece and the bounds of these columns: times and numbers only.

    Where a piece is several files, its bounds hold for each of them: a reader may have to open a file in vain, and
    never misses one. Texts have none: which of two is the greater is another question on each engine, and a file's
    metadata is no place for names.
    """
    query, params = select_piece(extract, piece)
    ends = "".join(f", MIN({column}), MAX({column})" for column in columns)
    [(rows, *values)] = session.rows(f"SELECT COUNT(*){ends} FROM ({query}) AS r", params)  # noqa: S608
    pairs = zip(columns, zip(values[::2], values[1::2], strict=True), strict=True)
    return Bounds(int(rows), {column: pair for column, pair in pairs if pair[0] is not None})
