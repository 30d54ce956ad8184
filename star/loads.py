"""What the warehouse knows of its loads: the last one, and whether a run loaded into it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import sql_queries as q

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def build_star(last: tuple[int, str] | None) -> Sequence[str]:
    """Give the statements between staging and star. Before the first load, which is certain under the lock of loads,
    the star is empty and takes all of staging."""
    if last is None:
        return (q.TOUCH_FILES, *q.BUILD_ALL)
    return (q.TOUCH_FILES, *q.TOUCH_KEYS, *q.REMOVE_GOING_ROWS, *q.REBUILD_TOUCHED)
