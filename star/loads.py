"""What the warehouse knows of its loads: the last one, and whether a run loaded into it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import sql_queries as q

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dwh.seam import Session

STAR_SHA256 = hashlib.sha256("\n".join(q.STAR_STATEMENTS).encode()).hexdigest()  # of the star as it is made now

SELECT_LATEST = """
SELECT load_id, run_id, loaded_at, statements_sha256
FROM loads
ORDER BY load_id DESC
LIMIT 1
"""

# By this a lake or a report that names no warehouse is known.
FIND_RUN = "SELECT load_id FROM loads WHERE run_id = %s"

# The statements between staging and star that do nothing unless a file of this kind comes or goes.
OF_ONE_KIND = {
    "songs": (
        *(q.TOUCH_SONGS, q.DELETE_TOUCHED_SONGS, q.INSERT_SONGS),
        *(q.TOUCH_ARTISTS, q.DELETE_TOUCHED_ARTISTS, q.INSERT_ARTISTS),
        *(q.TOUCH_NAMES_BEFORE, q.TOUCH_NAMES_AFTER, q.TOUCH_PLAYS_BY_NAME),
    ),
    "events": (q.TOUCH_USERS, q.DELETE_TOUCHED_USERS, q.INSERT_USERS),
}


class Load(NamedTuple):
    """One committed load: its id in the table `loads`, how many files and records it read, and how long it took."""

    load_id: int
    files: int
    records: int
    seconds: float


def find_last(session: Session) -> tuple[int, str] | None:
    """Give the number of the last load, and the SHA-256 of the statements that made the star; None before the first."""
    return next(((load_id, sha256) for load_id, _, _, sha256 in session.rows(SELECT_LATEST)), None)


def has_run(session: Session, run_id: str) -> bool:
    """Tell whether a run loaded into this warehouse."""
    return bool(session.rows(FIND_RUN, (run_id,)))


def build_star(last: tuple[int, str] | None, kinds: Iterable[str]) -> Sequence[str]:
    """Give the statements between staging and star, for files of these kinds that come or go. Before the first load,
    which is certain under the lock of loads, the star is empty and takes all of staging."""
    if last is None:
        return (q.TOUCH_FILES, *q.BUILD_ALL)
    idle = {text for kind in OF_ONE_KIND.keys() - set(kinds) for text in OF_ONE_KIND[kind]}
    statements = (q.TOUCH_FILES, *q.TOUCH_KEYS, *q.REMOVE_GOING_ROWS, *q.REBUILD_TOUCHED)
    return [statement for statement in statements if statement not in idle]


def read_users_quickly(statement: str) -> str:
    """Say the same for an engine with TRY_CAST: a user that comes back from a cast as it went in needs no pattern."""
    for column in ("user_id", "e.user_id"):
        portable, tried = q.user_number(column), f"TRY_CAST({column} AS BIGINT)"
        as_it_was = f"{column} >= '0' AND CAST({tried} AS VARCHAR) = {column}"
        statement = statement.replace(portable, f"CASE WHEN {as_it_was} THEN {tried} ELSE {portable} END")
    return statement
