"""Care for the tables after a load: their statistics, and the room of rows that were deleted.

Redshift does both by itself, when little else runs [D dg/r_VACUUM_command.html]; right after a load that replaced much,
the questions of the morning would come first. Sort and distribution are left to it: decision 36.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from dwh.seam import Row, Wear
from dwh.terminal.errors import DwhError

# Below this share of changed rows Redshift skips ANALYZE by itself [D23 dg/r_ANALYZE.html].
STALE_PERCENT = 10
# Only superusers see SVV_TABLE_INFO, and users whom they grant it [D dg/r_SVV_TABLE_INFO.html].
MAY_LOOK = "SELECT has_table_privilege(current_user, 'svv_table_info', 'SELECT')"
# It leaves out empty tables; `tbl_rows` counts deleted rows too, `estimated_visible_rows` does not [D].
STATES = """
SELECT "table", CAST(tbl_rows AS BIGINT), CAST(tbl_rows - estimated_visible_rows AS BIGINT), stats_off
FROM svv_table_info
WHERE schema = %s AND "table" IN %s
ORDER BY "table"
"""


class State(NamedTuple):
    """A table that has rows, and which percentage of them its statistics do not know."""

    wear: Wear
    stale: float


class Care:
    """The care of the tables of one schema. `run` runs one statement outside of a transaction."""

    def __init__(self, run: Callable[[str, Sequence[object]], tuple[int, list[Row]]], schema: str) -> None:
        self._run = run
        self._schema = schema
        self._failed: list[str] = []

    def look(self, tables: Sequence[str]) -> list[State] | None:
        """Give the state of each of these tables that has rows; None when this user may not see it."""
        if not tables or not self._run(MAY_LOOK, ())[1][0][0]:
            return None
        found = self._run(STATES, (self._schema, tuple(tables)))[1]
        return [State(Wear(name, rows, max(0, deleted)), float(stale or 0)) for name, rows, deleted, stale in found]

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Remember an error instead of raising it."""
        try:
            yield
        except DwhError as error:
            seen = f": {error.evidence[0]}" if error.evidence else ""
            self._failed.append(f"the load is stored, but {what} could not be seen to: {error.message}{seen}")

    def refresh(self, tables: Sequence[str]) -> None:
        """Renew the statistics of those tables of which much has changed; of all, where only Redshift can tell.

        Never raises a DwhError: a load that is committed does not fail afterwards. `tend` says what failed."""
        with self._told("statistics"):
            states = self.look(tables)
            stale = tables if states is None else [s.wear.table for s in states if s.stale > STALE_PERCENT]
            for table in stale:
                self._run(f"ANALYZE {table}", ())

    def tend(self, tables: Sequence[str]) -> list[str]:
        """Have Redshift free the room of deleted rows in tables of which more than a fifth is deleted; says where, and
        what failed since the last time."""
        worn: list[Wear] = []
        with self._told("the room of deleted rows"):
            for state in self.look(tables) or ():
                if state.wear.is_worn:
                    self._run(f"VACUUM DELETE ONLY {state.wear.table}", ())
                    worn.append(state.wear)
        named = ", ".join(f"{wear.table} ({wear.deleted:,} of {wear.rows:,} rows)" for wear in worn)
        told = [f"freed the room of deleted rows: {named}"] if worn else []
        told, self._failed = [*told, *self._failed], []
        return told
