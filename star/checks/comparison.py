"""The checks that compare every row of the star with the row that staging gives."""

from __future__ import annotations

import textwrap
from string import Template

import sql_queries as q
from dwh.checks.check import Check
from dwh.checks.declarations import SameRows, Total
from dwh.checks.declare import equal, with_defaults
from dwh.ownership.tables import columns_of
from star.checks.fixes import REBUILD
from star.checks.ledger import EVENTS_ARE_SOUND
from star.checks.prepared import CHOOSE_STAR_AGAIN

# A row counts +1 where it was chosen again and -1 where it stands in the star: one that was dropped, changed or doubled
# does not come to 0.
_ROWS_THAT_DIFFER = Template("""
SELECT
    COUNT(*) OVER (), CASE WHEN SUM(side) > 0 THEN 'missing from the star' ELSE 'not from staging' END,
    $columns
FROM (
    SELECT
        1 AS side,
        $columns_inside
    FROM chosen_$table
    UNION ALL
    SELECT
        -1 AS side,
        $columns_inside
    FROM $table
) AS b
GROUP BY
    $columns
HAVING SUM(side) <> 0
ORDER BY $key ASC NULLS LAST, SUM(side) DESC NULLS LAST
LIMIT 3
""")


def _rows_that_differ(table: str) -> str:
    """Make the comparison of all columns of a table; the first column is its key."""
    columns = list(columns_of(q.STAR[table]))
    wrapped = textwrap.wrap(", ".join(columns), 110)
    return _ROWS_THAT_DIFFER.substitute(
        table=table, key=columns[0], columns="\n    ".join(wrapped), columns_inside="\n        ".join(wrapped)
    )


ROWS_THAT_DIFFER = {table: _rows_that_differ(table) for table in ("songplays", "users", "songs", "artists", "time")}
SAME_ROWS = {
    table: SameRows(f"chosen_{table}", table, tuple(columns_of(q.STAR[table])), key=True) for table in ROWS_THAT_DIFFER
}

# Whole 1/100,000 s: sums of doubles depend on their order. Beyond 10^9 s it is no duration, and might not fit.
DURATION = (
    "CAST(COALESCE(SUM(CASE WHEN ABS(duration) <= 1000000000 THEN CAST(ROUND(duration * 100000) AS BIGINT) END), 0)"
    " AS BIGINT)"
)

CHECKS = with_defaults(
    (
        equal(
            "songplays: the total duration is what staging gives",
            "the sum of all durations is that of the plays chosen again from staging, in 1/100,000 s",
            Total(("chosen_songplays",), DURATION), Total(("songplays",), DURATION),
        ),
        *(
            Check(
                f"{table}: the rows are what staging gives",
                "every row is chosen again from staging and compared: none is missing, changed or extra",
                statement, " ".join(("difference", *columns_of(q.STAR[table]))), "differing row",
                glance=SAME_ROWS[table],
            )
            for table, statement in ROWS_THAT_DIFFER.items()
        ),
    ),
    needs=CHOOSE_STAR_AGAIN,
    trusts=EVENTS_ARE_SOUND,
    fix=REBUILD,
)  # fmt: skip
