"""Create the tables that are missing: staging, the star, and the ledger of what was loaded.
Tables that are there stay as they are; a new column of a star table is added.

  python create_tables.py              create what is missing
  python create_tables.py --recreate   drop all tables and their rows first (asks for the warehouse's name)
  python create_tables.py --dry-run    show what would be created
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import sql_queries as q
from dwh.console import count, run, seconds
from dwh.errors import ConfigError
from dwh.flags import ScriptParser, confirmation_flag, warehouse_parser
from dwh.script import Script, begin

if TYPE_CHECKING:
    from dwh.engines import Session

LEDGER = "loaded_files"
_COLUMN = re.compile(r"^    (\w+) (.+?),?$", re.MULTILINE)


def parser() -> ScriptParser:
    """Declare the flags of this script."""
    p = warehouse_parser("create_tables", __doc__)
    p.what.add_argument("--recreate", action="store_true", help="drop all tables and their rows first (asks)")
    p.how.add_argument("--dry-run", action="store_true", help="change nothing, show what would be created")
    confirmation_flag(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Create what is missing, in one transaction."""
    script = begin("create_tables", parser(), argv)
    console, recreate = script.console, script.args.recreate
    console.title(f"{count(len(q.TABLES), 'table')}, {script.engine.name}, {script.engine.place}")
    if recreate and not script.args.dry_run:
        name = os.path.basename(script.engine.place)
        console.confirm(
            name,
            f"All rows of all {len(q.TABLES)} tables are lost. Type the name of the warehouse to go on ({name})",
            yes=script.args.yes,
        )
    with script.connected() as session:
        changes = plan(session, recreate=recreate)
        if not script.args.dry_run:
            # what is dropped must not be in the hands of a load
            held = any(name == LEDGER for mark, name, _ in changes if mark == "-")
            with session.transaction(LEDGER if held else None):
                apply(session, changes)
                if any(name in q.STAR for mark, name, _ in changes if mark == "+"):
                    session.execute(q.MARK_STAR_INCOMPLETE)
    for mark in ("-", "+", "~"):
        named = [name for change, name, _ in changes if change == mark]
        if named:
            console.result(f"{mark} {', '.join(named)}")
    tell_end(script, changes)
    return 0


def plan(session: Session, *, recreate: bool) -> list[tuple[str, str, str]]:
    """Compare the tables that are there with the statements; gives (mark, what, statement) in order.

    Raises ConfigError when a column of staging or of the ledger is new: rows that are there cannot get it.
    """
    there = {name: session.columns(name) for name in q.TABLES}
    if recreate:
        drops = [("-", statement.split()[-1], statement) for statement in q.DROP_TABLES]
        return [drop for drop in drops if there[drop[1]]] + [
            ("+", name, statement) for name, statement in q.TABLES.items()
        ]
    steps = []
    for name, statement in q.TABLES.items():
        if not there[name]:
            steps.append(("+", name, statement))
            continue
        for column, kind in columns_of(statement).items():
            if column in there[name]:
                continue
            if name not in q.STAR:
                raise ConfigError(
                    f"{name} has no column {column}, and its rows cannot get one",
                    hint="python create_tables.py --recreate     (then etl.py loads everything again)",
                )
            steps.append(("~", f"{name}.{column}", add_column(name, column, kind)))
    return steps


def columns_of(statement: str) -> dict[str, str]:
    """Read names and types of the columns out of a CREATE TABLE statement of sql_queries.py."""
    return dict(_COLUMN.findall(statement))


def add_column(table: str, column: str, kind: str) -> str:
    """Give the statement that adds a column; it is empty until the next etl.py, which notices and rebuilds the star."""
    return f"ALTER TABLE {table} ADD COLUMN {column} {kind.removesuffix(' NOT NULL')}"


def apply(session: Session, steps: Sequence[tuple[str, str, str]]) -> None:
    """Run the steps."""
    for _, _, statement in steps:
        session.execute(statement)


def tell_end(script: Script, steps: Sequence[tuple[str, str, str]]) -> None:
    """Say that it is done, and what comes next."""
    console = script.console
    if script.args.dry_run:
        console.result("nothing was changed")
    elif not steps:
        console.result(f"= all {len(q.TABLES)} tables are there, in {seconds(console.elapsed)}")
    else:
        console.result(f"in {seconds(console.elapsed)}   next: python etl.py")
    changes = [f"{mark} {name}" for mark, name, _ in steps]
    console.finish({"engine": script.engine.name, "changes": changes})


if __name__ == "__main__":
    raise SystemExit(run(main))
