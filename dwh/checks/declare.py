"""Declare a check: `unique`, `references`, `in_range`, `every_row` and `equal`, as users of dbt know them.

Every name of a table or a column is a literal in the code that calls these.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dwh.checks.check import Check
from dwh.checks.conditions import Condition
from dwh.checks.declarations import Equal, EveryRow, References, Total, Unique


def unique(table: str, *columns: str, each: str = "") -> Check:
    """Promise one row for each value of a column, or of several together; `each` names what these stand for."""
    key = " and ".join(columns)
    declared = Unique(table, columns)
    return Check(
        f"{table}: one row for each {each or key}", f"no two rows have the same {key}",
        declared.sql, " ".join((*columns, "rows")), "duplicate", glance=declared, declared=declared,
    )  # fmt: skip


def every_row(table: str, promise: str, *conditions: Condition, shows: str, order: str = "") -> Check:
    """Promise that every row of a table meets the conditions.

    `shows` are the columns of the sample, `order` those it is sorted by: the first that it shows unless given.
    """
    columns = tuple(shows.split())
    declared = EveryRow(table, conditions, columns, tuple(order.split()) or columns[:1])
    what = "; ".join(condition.promise for condition in conditions)
    return Check(f"{table}: {promise}", what, declared.sql, shows, "bad row", glance=declared, declared=declared)


def in_range(table: str, *conditions: Condition, shows: str, order: str = "") -> Check:
    """Promise that the values of every row are in range, by all of these conditions together."""
    return every_row(table, "values are in range", *conditions, shows=shows, order=order)


def references(
    table: str, column: str, other: str, *, shows: str, order: str = "", optional: bool = False
) -> Check:  # fmt: skip
    """Promise that every value of a column is in the column of that name of another table.

    NULL breaks the promise, unless it is `optional`. `shows` and `order` are those of `every_row`.
    """
    columns = tuple(shows.split())
    declared = References(table, column, other, optional, columns, tuple(order.split()) or columns[:1])
    what = f"every {column}{' that is not NULL' if optional else ''} has a row in {other}"
    return Check(
        f"{table}: {column} is in {other}", what, declared.sql, shows, "orphan", glance=declared, declared=declared
    )


def equal(name: str, what: str, expected: Total, found: Total, rows: str = "", shows: str = "") -> Check:
    """Promise that two totals are the same. `rows` is SQL of its own that gives the rows that make the difference,
    led by their number; `shows` names the other columns of it."""
    declared = Equal(expected, found)
    return Check(name, what, rows, shows, balance=declared.sql, declared=declared)


def with_defaults(checks: Iterable[Check], **fields: Any) -> tuple[Check, ...]:
    """Give each check these fields where it has none of its own."""
    blank = Check("", "")

    def missing(check: Check) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if getattr(check, name) == getattr(blank, name)}

    return tuple(check._replace(**missing(check)) for check in checks)
