"""The checks of how the engine keeps the tables: only where it does not see to that by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sql_queries as q
from dwh.checks.check import Check, Finding, Run

if TYPE_CHECKING:
    from dwh.seam import Session

SHOWN_ROWS = 3


def find_worn(run: Run, session: Session) -> Finding | None:
    """Find tables with many deleted rows, the most worn first; None, and a note, when this user may not know."""
    tables = session.wear(tuple(q.TABLES))
    if tables is None:
        run.console.note("not checked how many rows are deleted: that is shown to the admin of the warehouse only")
        return None
    worn = sorted((wear for wear in tables if wear.is_worn), key=lambda wear: -wear.deleted / wear.rows)
    return Finding(0, len(worn), worn[:SHOWN_ROWS])


CHECKS = (
    Check(
        "storage: no table is more than a fifth deleted",
        "only on Redshift: deleted rows are read over and paid for; the next load that replaces rows frees their room, "
        "and so does VACUUM DELETE ONLY by the owner",
        look=find_worn, shows="table rows deleted", unit="worn table", severity="warn",
    ),
)  # fmt: skip
