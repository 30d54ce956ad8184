"""All queries of the report, in the order in which the page lists them.

report.py asks them in one transaction. Every one is an aggregate: what comes back does not grow with the number of
plays. No listener's name or id is among what they give.
"""

from __future__ import annotations

import sql_queries as q
from star.checks.prepared import CHOOSE_STAR_AGAIN, COUNT_FILLED, COUNT_STAGED_PLAYS
from star.loads import SELECT_LATEST
from star.report import pictures, reconciliation, totals
from star.report.query import Query

TABLES = Query("Rows of every table", "The number of rows in each table.", q.COUNT_ALL_ROWS)
LATEST_LOAD = Query(
    "The last load",
    "The most recent load: its number, its run, when it was made, and the SHA-256 of the statements of the star.",
    SELECT_LATEST,
)
ENGINE = Query("The version of the engine", "The version that the engine says it has.", "SELECT VERSION()")

QUERIES = (
    totals.TOTALS,
    pictures.DAYS,
    pictures.HOURS,
    pictures.SONGS,
    pictures.ARTISTS,
    pictures.STATES,
    pictures.CHANGES,
    pictures.RETENTION,
    reconciliation.FILES,
    reconciliation.DIFFERENCES,
    reconciliation.PAGES,
    TABLES,
    LATEST_LOAD,
)

# What runs before the checks that need it; the page lists it too.
PREPARED = tuple(
    Query(f"Before the checks: {name}", meaning, ";\n\n".join(statement.strip() for statement in statements))
    for name, meaning, statements in (
        ("every play of staging", "Each play in staging, and how often it came.", COUNT_STAGED_PLAYS),
        ("every start time", "Each time at which a play of the star starts.", (q.FIND_ALL_TIMES,)),
        ("the columns that each file fills", "How many records of each file fill each column.", COUNT_FILLED),
        ("the star, chosen again", "The rows that the star should have, by staging.", CHOOSE_STAR_AGAIN),
    )
)
