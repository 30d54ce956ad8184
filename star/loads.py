"""What the warehouse knows of its loads: the last one, and whether a run loaded into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dwh.seam import Session

SELECT_LATEST = """
SELECT load_id, run_id, loaded_at, statements_sha256
FROM loads
ORDER BY load_id DESC
LIMIT 1
"""

# By this a lake or a report that names no warehouse is known.
FIND_RUN = "SELECT load_id FROM loads WHERE run_id = %s"


def has_run(session: Session, run_id: str) -> bool:
    """Tell whether a run loaded into this warehouse."""
    return bool(session.rows(FIND_RUN, (run_id,)))
