"""The checks that compare every row of the star with the row that staging gives."""

from __future__ import annotations

import textwrap
from string import Template

import sql_queries as q
from dwh.checks.check import Check
from dwh.checks.declarations import Total
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

# Both have as many rows, and each row has one with its key that is its equal: no key was chosen twice, so then no row
# differs. A join by the key takes half the CPU of a group for each row.
_ANY_THAT_DIFFERS = Template("""
SELECT ABS(c.chosen - t.present) + d.differing
FROM (SELECT COUNT(*) AS chosen FROM chosen_$table) AS c
CROSS JOIN (SELECT COUNT(*) AS present FROM $table) AS t
CROSS JOIN (
    SELECT COUNT(*) AS differing
    FROM chosen_$table AS c
    FULL JOIN $table AS t ON t.$key = c.$key
    WHERE CASE WHEN t.$key = c.$key$others_are_same THEN 0 ELSE 1 END = 1
) AS d
""")


def _any_that_differs(table: str) -> str:
    key, *others = columns_of(q.STAR[table])
    same = Template("\n        AND (t.$name = c.$name OR (t.$name IS NULL AND c.$name IS NULL))")
    others_are_same = "".join(same.substitute(name=name) for name in others)
    return _ANY_THAT_DIFFERS.substitute(table=table, key=key, others_are_same=others_are_same)


def _rows_that_differ(table: str) -> str:
    """Make the comparison of all columns of a table; the first column is its key."""
    columns = list(columns_of(q.STAR[table]))
    wrapped = textwrap.wrap(", ".join(columns), 110)
    return _ROWS_THAT_DIFFER.substitute(
        table=table, key=columns[0], columns="\n    ".join(wrapped), columns_inside="\n        ".join(wrapped)
    )


ROWS_THAT_DIFFER = {table: _rows_that_differ(table) for table in ("songplays", "users", "songs", "artists", "time")}
ANY_THAT_DIFFERS = {table: _any_that_differs(table) for table in ROWS_THAT_DIFFER}

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
                glance=ANY_THAT_DIFFERS[table],
            )
            for table, statement in ROWS_THAT_DIFFER.items()
        ),
    ),
    needs=CHOOSE_STAR_AGAIN,
    trusts=EVENTS_ARE_SOUND,
    fix=REBUILD,
)  # fmt: skip
