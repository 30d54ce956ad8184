"""The star as tables of a lake that is written only where something changed: what they are, and what changed since."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import sql_queries as q
from dwh.lake.bounds import days_of
from dwh.lake.iceberg.pieces import Pieces, plan_months, plan_whole
from dwh.lake.iceberg.spec import Column, TableSpec
from dwh.ownership.marks import in_words
from dwh.ownership.tables import columns_of
from dwh.seam import Extract
from star.dictionary import describe_columns
from star.lake import SORTED_BY, select_columns
from star.loads import SELECT_LATEST
from star.owner import SELECT_WAREHOUSE
from star.touched import days_touched

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from dwh.lake.iceberg.lake import IcebergLake
    from dwh.seam import Address, Session

# The time whose month partitions a table, and the columns whose bounds readers may see.
MONTH_OF = {"songplays": "start_time", "time": "start_time"}
BOUNDS = ("start_time", "duration", "year")
# Which files a table that has no days is made from: it may change when one of them is loaded.
MADE_FROM = {"users": "events", "songs": "songs", "artists": "songs"}

EXTRACTS = {
    table: Extract(table, select_columns(table, columns_of(statement)), (), SORTED_BY[table])
    for table, statement in q.STAR.items()
}


def _spec(table: str, statement: str) -> TableSpec:
    about = describe_columns()[table]
    columns = [
        Column(name, kind.removesuffix(" NOT NULL"), kind.endswith(" NOT NULL"), about[name])
        for name, kind in columns_of(statement).items()
    ]
    bounds = [column.name for column in columns if column.name in BOUNDS]
    return TableSpec(table, columns, MONTH_OF.get(table), bounds)


SPECS = [_spec(table, statement) for table, statement in q.STAR.items()]


def _digest(what: object) -> str:
    return hashlib.sha256(repr(what).encode()).hexdigest()


# Other rows of the same star, or others of its types, make every file another one; other words do not.
ROWS_SHA256 = _digest([EXTRACTS, [[(c.name, c.type, c.required) for c in spec.columns] for spec in SPECS]])
TABLES_SHA256 = _digest(SPECS)

NEWEST = "SELECT MAX(start_time) FROM time"
FIND_LOAD = "SELECT loaded_at FROM loads WHERE load_id = %s"
SELECT_KINDS = "SELECT DISTINCT kind FROM loaded_files WHERE load_id > %s"
COUNT_OTHER_LOADS = "SELECT COUNT(*) FROM loads WHERE load_id > %s AND action <> 'load'"


class Changes(NamedTuple):
    """What may have changed in the star: the days of plays, and the tables without days. None: everything."""

    days: set[date] | None
    tables: set[str] | None


EVERYTHING = Changes(None, None)


def describe_origin(session: Session, address: Address) -> dict[str, str]:
    """Give what tells one state of the star, and one form of the lake, from another. No table of the star is read."""
    ((_, _, _, made_at),) = session.rows(SELECT_WAREHOUSE)
    load_id, run_id, loaded_at, statements = next(iter(session.rows(SELECT_LATEST)), (0, "", "", ""))
    return {
        "load_id": str(load_id),
        "run_id": str(run_id),
        "loaded_at": str(loaded_at),
        "statements_sha256": str(statements),
        "made_at": str(made_at),
        "warehouse": in_words(address),
        "rows_sha256": ROWS_SHA256,
        "tables_sha256": TABLES_SHA256,
    }


def find_changes(session: Session, then: Mapping[str, str], now: Mapping[str, str]) -> Changes:
    """Tell what may have changed in the star since it was as `then` says.

    Everything, when that was another warehouse, one that was made again or restored from a copy, or the lake had
    another form; and after a rebuild, or when days of a load were not recorded.
    """
    if any(then.get(name) != now[name] for name in ("warehouse", "made_at", "rows_sha256")):
        return EVERYTHING
    load_id = int(then["load_id"])
    # the number of a load alone says nothing after a copy of the database was put back, nor does the second of its run
    if load_id and [str(at) for (at,) in session.rows(FIND_LOAD, (load_id,))] != [then["loaded_at"]]:
        return EVERYTHING
    days = days_touched(session, load_id)
    if days is None:
        return EVERYTHING
    kinds = {kind for (kind,) in session.rows(SELECT_KINDS, (load_id,))}
    # a file that was forgotten leaves no row that says of which kind it was
    forgot = session.rows(COUNT_OTHER_LOADS, (load_id,))[0][0] > 0
    return Changes(days, {table for table, kind in MADE_FROM.items() if forgot or kind in kinds})


def plan_table(lake: IcebergLake, session: Session, table: str, changes: Changes) -> Pieces:
    """Plan what an export writes of a table, whose current files hold the star as it was before these changes."""
    files = lake.files(table)
    everything = changes.tables is None or lake.tables[table].has_other_types or any(map(lake.damage, files))
    if table not in MONTH_OF:
        return plan_whole(files, changed=everything or table in (changes.tables or ()))
    if everything or changes.days is None:
        days = {day for day, _ in days_of(session, EXTRACTS[table])}
        return plan_months(files, days, max(days, default=None), everything=True)
    ((newest,),) = session.rows(NEWEST)
    return plan_months(files, changes.days, newest.date() if newest else None)
