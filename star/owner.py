"""Whose the tables are: how to recognise a warehouse of this suite, and the refusal of everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sql_queries as q
from dwh.ownership.tables import Standing, columns_of, find_owner, refuse_strangers
from dwh.seam import Ours
from dwh.terminal.errors import EnvironmentFailure

if TYPE_CHECKING:
    from dwh.seam import Engine, Session

INSERT_WAREHOUSE = "INSERT INTO dwh_warehouse (schema_version, made_by, made_at) VALUES (%s, %s, %s)"
# `made_at` stays: it is the same warehouse.
RAISE_VERSION = "UPDATE dwh_warehouse SET schema_version = %s, made_by = %s"

# Led by the number of rows. It names every column, so that a table of that name which is not ours is an error.
SELECT_WAREHOUSE = """
SELECT COUNT(*), MAX(schema_version), MAX(made_by), MAX(made_at)
FROM dwh_warehouse
"""

# Version 0.1 made no dwh_warehouse: a warehouse of its is known by these two tables, with these columns and no others.
# They stay as they are here when the tables of today change.
TABLES_OF_0_1 = {
    "loaded_files": {
        "file_id": "BIGINT",
        "kind": "VARCHAR(16)",
        "path": "VARCHAR(4096)",
        "fingerprint": "VARCHAR(256)",
        "records_read": "BIGINT",
        "staged": "BIGINT",
        "rejected": "BIGINT",
        "status": "VARCHAR(16)",
        "load_id": "BIGINT",
        "loaded_at": "TIMESTAMP",
    },
    "loads": {
        "load_id": "BIGINT",
        "run_id": "VARCHAR(64)",
        "action": "VARCHAR(16)",
        "loaded_at": "TIMESTAMP",
        "seconds": "DOUBLE PRECISION",
        "files": "BIGINT",
        "records": "BIGINT",
        "statements_sha256": "VARCHAR(64)",
    },
}

OURS = Ours(
    tables={name: columns_of(statement) for name, statement in q.TABLES.items()},
    drops={statement.split()[-1]: statement for statement in q.DROP_TABLES},
    marker="dwh_warehouse",
    look=SELECT_WAREHOUSE,
    newest=q.SCHEMA_VERSION,
    earlier=TABLES_OF_0_1,
    ledger="loaded_files",
    since={"touched_days": 2},
)


def check_owner(session: Session, engine: Engine) -> Standing:
    """Find out whose the place is. Raises EnvironmentFailure when it is not ours, or of a later version."""
    standing = find_owner(session, OURS)
    refuse_strangers(standing, engine.place, engine.another)
    return standing


def require_ours(session: Session, engine: Engine) -> None:
    """Make sure, by one query, that the warehouse is ours and of this version, before anything is stored in it.

    Raises EnvironmentFailure that says what is there instead, and how to continue.
    """
    try:
        sound = is_ours(session)
    except EnvironmentFailure as missing:
        standing = check_owner(session, engine)
        if standing.whose == "earlier":
            raise _name_earlier(engine, "version 0.1") from missing
        raise
    if not sound:
        check_owner(session, engine)
        raise _name_earlier(engine, "an earlier version")


def _name_earlier(engine: Engine, version: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        f"{engine.place} was made by {version} of this suite",
        evidence="its tables keep their rows, and new tables and columns are added",
        hint="python create_tables.py",
    )


def is_ours(session: Session) -> bool:
    """Tell, by one query, whether the warehouse is ours and of this version. Raises EnvironmentFailure when the table
    that says so is gone."""
    (rows, version, *_) = session.rows(SELECT_WAREHOUSE)[0]
    return bool(rows) and version == q.SCHEMA_VERSION


def raise_version(session: Session, made_by: str) -> None:
    """Write the version of the tables into a warehouse of an earlier one, after they were brought up to date."""
    (_, version, *_) = session.rows(SELECT_WAREHOUSE)[0]
    if version < q.SCHEMA_VERSION:
        session.execute(RAISE_VERSION, (q.SCHEMA_VERSION, made_by))
