"""Which tables and columns are missing: create_tables.py makes them, and the other scripts need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sql_queries as q
from dwh.ownership.tables import columns_of
from dwh.terminal.errors import ConfigError, EnvironmentFailure
from star.dictionary import TABLE, describe_all
from star.owner import OURS, check_owner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dwh.script import Script
    from dwh.seam import Session

SHOWN_NAMES = 3
# A star table that was made again is empty: no statements made this star, so the next etl.py rebuilds it.
STAR_TABLE_IS_NEW = "a star table is new"  # in place of the SHA-256
MARK_STAR_INCOMPLETE = "UPDATE loads SET statements_sha256 = %s"
Step = tuple[str, str, str]  # a mark, what it is about (empty: another step tells it already), its statement


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


def plan_descriptions(session: Session, steps: Sequence[Step]) -> list[Step]:
    """Compare the comments in the database with the descriptions; gives what to do after these steps.

    New tables and columns are described silently. Tables that another user owns are left out: only the owner of a
    table may describe it.
    """
    made = {name for mark, name, _ in steps if mark in "+~"}
    there = _read_comments(session) | {name: {} for name in made}
    found: list[Step] = []
    for table, texts in describe_all().items():
        known = there.get(table, texts)
        for column, text in texts.items():
            if known.get(column) != text:
                silent = table in made or f"{table}.{column}" in made
                name = "" if silent else _name_description(table, column, first=not known)
                found.append(("~", name, describe(table, column, text)))
    return found


def _read_comments(session: Session) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for table, column, text in session.comments():
        known = found.setdefault(table, {})
        if text is not None:
            known[column] = text
    return found


def _name_description(table: str, column: str, *, first: bool) -> str:
    """Name what changes. Where nothing was described before the table is named once, and not each of its columns."""
    if column == TABLE:
        return f"{table}: {'descriptions' if first else 'description'}"
    return "" if first else f"{table}.{column}: description"


def describe(table: str, column: str, text: str) -> str:
    """Give the statement that describes a column, or a table. COMMENT takes no parameters: the text becomes a literal,
    which is safe because it is one of sql_queries.py and never a value. tests/test_dictionary.py sees to it that none
    has a character that is special in a literal, other than the quote that is doubled here."""
    what = f"TABLE {table}" if column == TABLE else f"COLUMN {table}.{column}"
    literal = text.replace("'", "''")
    return f"COMMENT ON {what} IS '{literal}'"


def refuse_missing_tables(script: Script, session: Session) -> None:
    """Raise EnvironmentFailure when the tables are not ours, or when one of them or a column is missing."""
    check_owner(session, script.engine)
    missing = [name for _, name, _ in plan(session, recreate=False)]
    if missing:
        raise EnvironmentFailure(
            f"{script.engine.place} has no {', '.join(missing[:SHOWN_NAMES])}", hint="python create_tables.py"
        )
