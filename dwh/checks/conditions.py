"""Conditions on one row of a table, for `in_range` and `every_row`.

Each keeps the columns it reads, the SQL that is true for a row that breaks it, and its promise in words.
"""

from __future__ import annotations

from typing import NamedTuple

from dwh.checks.sql_names import listed


class Condition(NamedTuple):
    """What must hold in each row. `broken` is SQL of ours over `columns`; it is true where the condition is broken."""

    columns: tuple[str, ...]
    broken: str
    promise: str


def not_null(*columns: str) -> Condition:
    """Promise that these columns are never NULL."""
    return Condition(columns, listed(columns, "{} IS NULL", " OR "), f"{_are(columns)} not NULL")


def not_blank(column: str) -> Condition:
    """Promise that a text is there, and is more than blanks."""
    broken = listed((column,), "{0} IS NULL OR TRIM(BOTH ' ' FROM {0}) = ''")
    return Condition((column,), broken, f"{column} is not blank")


def not_negative(*columns: str) -> Condition:
    """Promise that these numbers are there, and 0 or more."""
    return Condition(columns, listed(columns, "COALESCE({}, -1) < 0", " OR "), f"{_are(columns)} 0 or more")


def not_equal(column: str, number: int) -> Condition:
    """Promise that a number is not this one; NULL is allowed."""
    return Condition((column,), listed((column,), f"{{}} = {number:d}"), f"{column} is not {number}")


def between(column: str, least: int, most: int) -> Condition:
    """Promise that a number is there, from `least` to `most`, both included."""
    broken = listed((column,), f"{{0}} IS NULL OR {{0}} NOT BETWEEN {least:d} AND {most:d}")
    return Condition((column,), broken, f"{column} is {least:,} to {most:,}")


def one_of(column: str, *values: str) -> Condition:
    """Promise that a text is there, and is one of these plain words."""
    words = listed(values, "'{}'")
    return Condition((column,), listed((column,), f"COALESCE({{}}, '') NOT IN ({words})"), _one_of(column, values))


def _are(columns: tuple[str, ...]) -> str:
    return f"{columns[0]} is" if len(columns) == 1 else f"{', '.join(columns[:-1])} and {columns[-1]} are"


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} is {', '.join(values[:-1])} or {values[-1]}"
