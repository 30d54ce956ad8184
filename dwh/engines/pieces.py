"""The statements that read pieces of a table: the same text for every engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from itertools import chain

from dwh.seam import Extract, Piece


def select_pieces(extract: Extract, pieces: Sequence[Piece]) -> tuple[str, tuple[datetime, ...]]:
    """Give the query for the rows of one piece or more, unsorted, and its parameters."""
    spans = [piece.days for piece in pieces if piece.days]
    if len(spans) < len(pieces):
        return extract.query, ()
    # on the column itself, not on its day, so that an engine skips blocks of rows of other times
    column, merged = extract.order_by[0], _merge(spans)
    condition = " OR ".join(f"({column} >= %s AND {column} <= %s)" for _ in merged)
    times = [(datetime.combine(first, time.min), datetime.combine(last, time.max)) for first, last in merged]
    sql = f"SELECT * FROM ({extract.query}) AS r WHERE {condition}"  # noqa: S608
    return sql, tuple(chain.from_iterable(times))


def count_rows(query: str, columns: Sequence[str]) -> str:
    """Give the query for the number of rows of a query, then the least and the greatest value of each column."""
    return f"SELECT COUNT(*){_ends(columns)} FROM ({query}) AS r"  # noqa: S608


def count_days(query: str, time_column: str, columns: Sequence[str]) -> str:
    """Give the query for one row a day, in order: the day, and what `count_rows` gives for its rows."""
    day = f"CAST({time_column} AS DATE)"
    return (
        f"SELECT {day} AS on_day, COUNT(*){_ends(columns)} FROM ({query}) AS r GROUP BY {day} "  # noqa: S608
        "ORDER BY on_day"
    )


def _ends(columns: Sequence[str]) -> str:
    return "".join(f", MIN({column}), MAX({column})" for column in columns)


def _merge(spans: Iterable[tuple[date, date]]) -> list[tuple[date, date]]:
    """Make one span of those that overlap or follow one another."""
    merged: list[tuple[date, date]] = []
    for first, last in sorted(spans):
        if merged and first - merged[-1][1] <= timedelta(days=1):
            first, last = merged[-1][0], max(merged.pop()[1], last)
        merged.append((first, last))
    return merged
