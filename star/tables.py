"""Which tables and columns are missing: create_tables.py makes them, and the other scripts need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sql_queries as q
from dwh.ownership.tables import columns_of
from dwh.terminal.errors import ConfigError, EnvironmentFailure
from star.owner import OURS, check_owner

if TYPE_CHECKING:
    from dwh.script import Script
    from dwh.seam import Session

SHOWN_NAMES = 3
Step = tuple[str, str, str]  # a mark, what it is about, its statement


def plan(session: Session, *, recreate: bool) -> list[Step]:
    """Compare the existing tables with the statements; gives the steps in order. The warehouse must be ours.

    Raises ConfigError when a column of staging or of the ledger is new: existing rows cannot get it.
    """
    there = {name: session.columns(name) for name in (*q.TABLES, *session.extra_tables)}
    missing = [("+", name, statement) for name, statement in session.extra_tables.items() if not there[name]]
    if recreate:
        drops = [("-", name, statement) for name, statement in OURS.drops.items() if there[name]]
        return [*missing, *drops, *(("+", name, statement) for name, statement in q.TABLES.items())]
    steps: list[Step] = [*missing]
    for name, statement in q.TABLES.items():
        if not there[name]:
            steps.append(("+", name, statement))
            continue
        for column, kind in columns_of(statement).items():
            if column in there[name]:
                continue
            if name not in q.STAR:
                raise ConfigError(
                    f"{name} has no column {column}, and its existing rows cannot get it",
                    hint="python create_tables.py --recreate     (then etl.py loads everything again)",
                )
            steps.append(("~", f"{name}.{column}", add_column(name, column, kind)))
    return steps


def add_column(table: str, column: str, kind: str) -> str:
    """Give the statement that adds a column; it is empty until the next etl.py rebuilds the star."""
    return f"ALTER TABLE {table} ADD COLUMN {column} {kind.removesuffix(' NOT NULL')}"


def refuse_missing_tables(script: Script, session: Session) -> None:
    """Raise EnvironmentFailure when the tables are not ours, or when one of them or a column is missing."""
    check_owner(session, script.engine)
    missing = [name for _, name, _ in plan(session, recreate=False)]
    if missing:
        raise EnvironmentFailure(
            f"{script.engine.place} has no {', '.join(missing[:SHOWN_NAMES])}", hint="python create_tables.py"
        )
