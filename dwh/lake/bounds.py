"""What is asked of a warehouse before a table is written in pieces: its days, and the bounds of the values in a piece.

One statement each, however many days or pieces there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from dwh.engines.pieces import count_days, count_rows, select_pieces
from dwh.seam import Extract, Piece, Session


class Bounds(NamedTuple):
    """The number of rows of a piece, and the least and the greatest value of some of its columns; a column that is NULL
    in all rows is left out."""

    rows: int
    columns: Mapping[str, tuple[Any, Any]]


def days_of(session: Session, extract: Extract) -> list[tuple[date, int]]:
    """Give the days on which a table has rows, in order, each with its number of rows. The first column that the table
    is sorted by is a time that is never NULL."""
    return [(day, int(rows)) for day, rows in session.rows(count_days(extract.query, extract.order_by[0], ()))]


def find_bounds(session: Session, extract: Extract, pieces: Sequence[Piece], columns: Sequence[str]) -> list[Bounds]:
    """Give the number of rows of each piece, and the bounds of these columns in it: times and numbers only. Either all
    pieces have days, or none has.

    The bounds of a piece are also valid for each of its files: a reader may open a file in vain, but never misses one.
    Texts have no bounds: engines order them differently, and names do not belong in the metadata of a file.
    """
    if not pieces:
        return []
    if any(piece.days is None for piece in pieces):
        counted = session.rows(count_rows(extract.query, columns))
        return [_join(counted, columns) for _ in pieces]
    query, times = select_pieces(extract, pieces)
    by_day = session.rows(count_days(query, extract.order_by[0], columns), times)
    spans = [piece.days for piece in pieces if piece.days]
    return [_join((row for day, *row in by_day if first <= day <= last), columns) for first, last in spans]


def _join(counted: Iterable[Sequence[Any]], columns: Sequence[str]) -> Bounds:
    """Join counts of rows, each followed by the ends of these columns."""
    counted = list(counted)
    found = {}
    for number, column in enumerate(columns):
        ends = [row[1 + 2 * number : 3 + 2 * number] for row in counted if row[1 + 2 * number] is not None]
        if ends:
            found[column] = (min(least for least, _ in ends), max(greatest for _, greatest in ends))
    return Bounds(sum(int(row[0]) for row in counted), found)
