"""The days whose plays changed since a load, by the table touched_days: what an export of one table has to write again.

The rows of `songplays` and of `time` that start on any other day are those that they were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from star.tables import STAR_TABLE_IS_NEW

if TYPE_CHECKING:
    from datetime import date

    from dwh.seam import Session

# One row for each day of each load from a given one on; `recorded` is NULL where the days of the load are not known.
SELECT_TOUCHED_DAYS = """
SELECT l.load_id, l.action, l.statements_sha256, t.load_id AS recorded, t.day
FROM loads AS l
LEFT JOIN touched_days AS t ON t.load_id = l.load_id
WHERE l.load_id >= %s
"""


def days_touched(session: Session, since_load: int) -> set[date] | None:
    """Give the days, in UTC, whose plays changed after a load was committed; 0 stands for a warehouse without loads.

    None when every day may have changed: since then there was a rebuild, a load whose days were not recorded, or a star
    table that was made again; or there is no such load. Load numbers begin again when all tables are made again
    (`create_tables.py --recreate`): compare `made_at` of dwh_warehouse first.
    """
    rows = session.rows(SELECT_TOUCHED_DAYS, (since_load,))
    loads = {load_id for load_id, *_ in rows} | ({0} if since_load == 0 else set())
    if not loads or loads != set(range(since_load, since_load + len(loads))):
        return None
    days: set[date] = set()
    for load_id, action, statements_sha256, recorded, day in rows:
        if statements_sha256 == STAR_TABLE_IS_NEW:
            return None
        if load_id > since_load:
            if recorded is None or action == "rebuild":
                return None
            days |= set() if day is None else {day}
    return days
