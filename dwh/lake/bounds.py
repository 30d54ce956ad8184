"""What is asked of a warehouse before a table is written in pieces: its days, and between which values a piece lies.

One portable statement each, the same on every engine, however many days or pieces there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from dwh.seam import Extract, Piece, Row, Session, select_pieces


class Bounds(NamedTuple):
    """The rows of a piece, and the least and the greatest value of some of its columns; a column that is NULL in all
    rows has none."""

    rows: int
    columns: Mapping[str, tuple[Any, Any]]


def days_of(session: Session, extract: Extract) -> list[tuple[date, int]]:
    """Give the days on which a table has rows, in their order, and how many it has on each: by the first column that
    it is sorted by, a time that is never NULL."""
    return [(day, int(rows)) for day, rows in _add_up_days(session, extract, (extract.query, ()), "")]


def find_bounds(session: Session, extract: Extract, pieces: Sequence[Piece], columns: Sequence[str]) -> list[Bounds]:
    """Give the rows of each piece, and the bounds of these columns in it: times and numbers only. Either all pieces
    have days, or none of them.

    Where a piece is several files, its bounds hold for each of them: a reader may have to open a file in vain, and
    never misses one. Texts have none: which of two is the greater is another question on each engine, and a file's
    metadata is no place for names.
    """
    ends = "".join(f", MIN({column}), MAX({column})" for column in columns)
    if any(piece.days is None for piece in pieces):
        found = session.rows(f"SELECT COUNT(*){ends} FROM ({extract.query}) AS r")  # noqa: S608
        return [_join(found, columns) for _ in pieces]
    by_day = _add_up_days(session, extract, select_pieces(extract, pieces), ends) if pieces else []
    spans = [piece.days or (date.max, date.min) for piece in pieces]
    return [_join([row for day, *row in by_day if first <= day <= last], columns) for first, last in spans]


def _add_up_days(session: Session, extract: Extract, query: tuple[str, Sequence[object]], more: str) -> list[Row]:
    """Give for each day of a query's rows the day, the number of its rows, and more."""
    sql, params = query
    day = f"CAST({extract.order_by[0]} AS DATE)"
    return session.rows(
        f"SELECT {day} AS on_day, COUNT(*){more} FROM ({sql}) AS r GROUP BY {day} ORDER BY on_day",  # noqa: S608
        params,
    )


def _join(counted: Iterable[Sequence[Any]], columns: Sequence[str]) -> Bounds:
    """Make one of several counts of rows, each followed by the ends of these columns."""
    counted = list(counted)
    found = {}
    for number, column in enumerate(columns):
        ends = [row[1 + 2 * number : 3 + 2 * number] for row in counted if row[1 + 2 * number] is not None]
        if ends:
            found[column] = (min(least for least, _ in ends), max(greatest for _, greatest in ends))
    return Bounds(sum(int(row[0]) for row in counted), found)
