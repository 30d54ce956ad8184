"""Whose the tables are: how to recognise a warehouse of this suite, and the refusal of everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sql_queries as q
from dwh.ownership.tables import Standing, columns_of, find_owner, refuse_strangers
from dwh.seam import Ours
from dwh.terminal.errors import EnvironmentFailure

if TYPE_CHECKING:
    from dwh.seam import Engine, Session

OURS = Ours(
    tables={name: columns_of(statement) for name, statement in q.TABLES.items()},
    drops={statement.split()[-1]: statement for statement in q.DROP_TABLES},
    marker="dwh_warehouse",
    look=q.SELECT_WAREHOUSE,
    newest=q.SCHEMA_VERSION,
    earlier=q.TABLES_OF_0_1,
    ledger="loaded_files",
)


def check_owner(session: Session, engine: Engine) -> Standing:
    """Find out whose the place is. Raises EnvironmentFailure when it is not ours, or of a later version."""
    standing = find_owner(session, OURS)
    refuse_strangers(standing, engine.place, engine.another)
    return standing


def require_ours(session: Session, engine: Engine) -> None:
    """Make sure, by one query, that the warehouse is ours and its schema is known, before anything is stored in it.

    Raises EnvironmentFailure that says what is there instead, and how to continue.
    """
    try:
        sound = is_ours(session)
    except EnvironmentFailure as missing:
        standing = check_owner(session, engine)
        if standing.whose == "earlier":
            raise EnvironmentFailure(
                f"{engine.place} was made by version 0.1 of this suite",
                evidence="its tables keep their rows, and get the new columns",
                hint="python create_tables.py",
            ) from missing
        raise
    if not sound:
        check_owner(session, engine)


def is_ours(session: Session) -> bool:
    """Tell, by one query, whether the warehouse is ours and its schema is known. Raises EnvironmentFailure when the
    table that says so is gone."""
    (rows, version, *_) = session.rows(q.SELECT_WAREHOUSE)[0]
    return bool(rows) and version <= q.SCHEMA_VERSION
