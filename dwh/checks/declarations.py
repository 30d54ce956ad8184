"""What a declared check promises, as data, and the SQL that finds what breaks it: one template each.

The data stay with the check, so that several checks of one table can be asked in one scan.
Names become SQL only through `listed`, which refuses anything else.
"""

from __future__ import annotations

from string import Template
from typing import NamedTuple

from dwh.checks.conditions import Condition
from dwh.checks.sql_names import listed

# Each gives at most three rows that break a promise, led by the number of all of them.
_UNIQUE = Template("""
SELECT COUNT(*) OVER (), $columns, COUNT(*)
FROM $table
GROUP BY $columns
HAVING COUNT(*) > 1
ORDER BY $order
LIMIT 3
""")
_EVERY_ROW = Template("""
SELECT COUNT(*) OVER (), $shows
FROM $table
WHERE $broken
ORDER BY $order
LIMIT 3
""")
_REFERENCES = Template("""
SELECT COUNT(*) OVER (), $shows
FROM $table AS r
LEFT JOIN $other AS o ON o.$column = r.$column
WHERE $broken
ORDER BY $order
LIMIT 3
""")
# The same without an order: an engine counts on all its cores what it would number, sort and cut on one.
_COUNT_DUPLICATES = Template("""
SELECT COUNT(*)
FROM (SELECT COUNT(*) AS times FROM $table GROUP BY $columns HAVING COUNT(*) > 1) AS d
""")
_COUNT_BROKEN = Template("""
SELECT COUNT(*)
FROM $table
WHERE $broken
""")
_COUNT_ORPHANS = Template("""
SELECT COUNT(*)
FROM $table AS r
LEFT JOIN $other AS o ON o.$column = r.$column
WHERE $broken
""")
# One row of two numbers, expected and found.
_EQUAL = Template("""
SELECT e.total, f.total
FROM ($expected) AS e
CROSS JOIN ($found) AS f
""")
# 0 when both tables have as many rows, and these the same digests; or each row has one with its key that is its equal.
_SAME_ROWS = Template("""
SELECT CASE WHEN a.number_of_rows = b.number_of_rows AND a.digest = b.digest THEN 0 ELSE 1 END
FROM (SELECT COUNT(*) AS number_of_rows, COALESCE(SUM($digest), 0) AS digest FROM $table) AS a
CROSS JOIN (SELECT COUNT(*) AS number_of_rows, COALESCE(SUM($digest), 0) AS digest FROM $other) AS b
""")
_SAME_ROWS_BY_KEY = Template("""
SELECT ABS(a.number_of_rows - b.number_of_rows) + d.differing
FROM (SELECT COUNT(*) AS number_of_rows FROM $table) AS a
CROSS JOIN (SELECT COUNT(*) AS number_of_rows FROM $other) AS b
CROSS JOIN (
    SELECT COUNT(*) AS differing
    FROM $table AS a
    FULL JOIN $other AS b ON b.$key = a.$key
    WHERE CASE WHEN b.$key = a.$key AND $same THEN 0 ELSE 1 END = 1
) AS d
""")
_TOTAL = Template("SELECT $expression AS total FROM $table")
_TOTAL_OF_SEVERAL = Template("SELECT CAST(SUM(total) AS BIGINT) AS total FROM ($totals) AS t")

_IN_ORDER = "{} ASC NULLS LAST"


class Unique(NamedTuple):
    """No two rows have the same values in these columns."""

    table: str
    columns: tuple[str, ...]

    @property
    def sql(self) -> str:
        """Give each value that several rows have, with their number."""
        names = listed(self.columns)
        return _UNIQUE.substitute(table=listed((self.table,)), columns=names, order=listed(self.columns, _IN_ORDER))

    def glance(self, _digest: str) -> str:
        """Count these values."""
        return _COUNT_DUPLICATES.substitute(table=listed((self.table,)), columns=listed(self.columns))


class EveryRow(NamedTuple):
    """Every row meets these conditions. `shows` are the columns of a sample, sorted by `order`."""

    table: str
    conditions: tuple[Condition, ...]
    shows: tuple[str, ...]
    order: tuple[str, ...]

    @property
    def sql(self) -> str:
        """Give the rows that break a condition."""
        return _EVERY_ROW.substitute(
            table=listed((self.table,)),
            shows=listed(self.shows),
            broken=self._broken,
            order=listed(self.order, _IN_ORDER),
        )

    def glance(self, _digest: str) -> str:
        """Count these rows."""
        return _COUNT_BROKEN.substitute(table=listed((self.table,)), broken=self._broken)

    @property
    def _broken(self) -> str:
        return "\nOR ".join(f"({condition.broken})" for condition in self.conditions)


class References(NamedTuple):
    """Every value of a column is in the column of the same name of another table. NULL is one that is not there,
    unless `optional`."""

    table: str
    column: str
    other: str
    optional: bool
    shows: tuple[str, ...]
    order: tuple[str, ...]

    @property
    def sql(self) -> str:
        """Give the rows whose value is not in the other table."""
        shows, order = listed(self.shows, "r.{}"), listed(self.order, "r." + _IN_ORDER)
        return _REFERENCES.substitute(self._names, shows=shows, order=order)

    def glance(self, _digest: str) -> str:
        """Count these rows."""
        return _COUNT_ORPHANS.substitute(self._names)

    @property
    def _names(self) -> dict[str, str]:
        broken = "r.{0} IS NOT NULL AND o.{0} IS NULL" if self.optional else "o.{0} IS NULL"
        return {
            "table": listed((self.table,)),
            "column": listed((self.column,)),
            "other": listed((self.other,)),
            "broken": listed((self.column,), broken),
        }


class SameRows(NamedTuple):
    """Two tables have the same rows, in whatever order, as far as these columns go. `key`: the first column is the key
    of `table`, by which its rows can be joined with those of `other`; there are more columns then."""

    table: str
    other: str
    columns: tuple[str, ...]
    key: bool = False

    def glance(self, digest: str) -> str:
        """Give a query that says 0 when they do, by the sum of a 64-bit `digest` of each row (see Session.row_digest):
        of other rows one in 2^64 has the same. Without a digest it is a join by the key; empty without either."""
        table, other = listed((self.table,)), listed((self.other,))
        if digest:
            of_a_row = listed(self.columns).join(digest.split("{}"))
            return _SAME_ROWS.substitute(digest=of_a_row, table=table, other=other)
        if not self.key:
            return ""
        same = listed(self.columns[1:], "(b.{0} = a.{0} OR (b.{0} IS NULL AND a.{0} IS NULL))", "\n    AND ")
        return _SAME_ROWS_BY_KEY.substitute(table=table, other=other, key=listed(self.columns[:1]), same=same)


class Total(NamedTuple):
    """A whole number that an aggregate of ours gives of one table, or of several, added up."""

    tables: tuple[str, ...]
    expression: str

    @property
    def sql(self) -> str:
        """Give the number as the one column `total`."""
        totals = [_TOTAL.substitute(expression=self.expression, table=listed((table,))) for table in self.tables]
        return totals[0] if len(totals) == 1 else _TOTAL_OF_SEVERAL.substitute(totals=" UNION ALL ".join(totals))


class Equal(NamedTuple):
    """Two totals are the same number."""

    expected: Total
    found: Total

    @property
    def sql(self) -> str:
        """Give both numbers."""
        return _EQUAL.substitute(expected=self.expected.sql, found=self.found.sql)


Declaration = Unique | EveryRow | References | Equal
Glance = Unique | EveryRow | References | SameRows


def rows_in(*tables: str) -> Total:
    """Count the rows of a table, or of several together."""
    return Total(tables, "COUNT(*)")


def sum_of(table: str, *columns: str) -> Total:
    """Add up a column of whole numbers, or several together."""
    return Total((table,), listed(columns, "{}", " + ").join(("CAST(COALESCE(SUM(", "), 0) AS BIGINT)")))
