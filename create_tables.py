"""Create the tables that are missing: staging, the star, and the ledger of what was loaded.
Existing tables are kept; a new column of a star table is added. Tables that this suite did not make are refused.
Every table and column has its description in the database, as a comment.

  python create_tables.py              create what is missing
  python create_tables.py --recreate   drop all tables and their rows first (asks for the name)
  python create_tables.py --dry-run    show what would be created
  python create_tables.py --grant-readers analyst    also let a role read the star (PostgreSQL, Redshift)
  python create_tables.py --grant-loaders nightly    also let a role load with etl.py, and own nothing
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import sql_queries as q
from dwh import __version__
from dwh.script import Script, begin
from dwh.terminal.console import run
from dwh.terminal.errors import ConfigError
from dwh.terminal.flags import ScriptParser, confirmation_flag, wait_flag, warehouse_parser
from dwh.terminal.wording import count, seconds
from star.owner import INSERT_WAREHOUSE, OURS, check_owner, raise_version
from star.tables import MARK_STAR_INCOMPLETE, STAR_TABLE_IS_NEW, Step, plan, plan_descriptions

if TYPE_CHECKING:
    from dwh.seam import Session

MADE_BY = f"sparkify-warehouse {__version__}"
# What --grant-readers lets a role read: neither staged nor rejected records, nor touched_days, which export_lake.py
# alone needs, and that is run by the owner of the tables.
READ_BY_OTHERS = (*q.STAR, "loads", "loaded_files")
# What a load reads and never changes; it adds to all other tables, and deletes from them.
ONLY_READ_BY_LOADS = (OURS.marker,)


class Grant(NamedTuple):
    """Rights of a role: the tables that it reads, and those that it loads into."""

    role: str
    reads: Sequence[str]
    changes: Sequence[str]


def parser() -> ScriptParser:
    """Declare the flags of this script."""
    p = warehouse_parser("create_tables", __doc__)
    p.what.add_argument("--recreate", action="store_true", help="drop all tables and their rows first (asks)")
    p.what.add_argument("--grant-readers", metavar="ROLE", help="let a role read the star, and what was loaded when")
    p.what.add_argument("--grant-loaders", metavar="ROLE", help="let a role load, check and export; it owns no table")
    p.how.add_argument("--dry-run", action="store_true", help="change nothing, show what would be created")
    wait_flag(p)
    confirmation_flag(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Create what is missing, in one transaction."""
    script = begin("create_tables", parser(), argv)
    console, recreate = script.console, script.args.recreate
    console.title(f"{count(len(q.TABLES), 'table')}, {script.engine.name}, {script.engine.place}")
    if recreate and not script.args.dry_run:
        with script.connected(script.args.wait) as session:  # closed again while the question waits for its answer
            check_owner(session, script.engine)
            refuse_guest(session)
        confirm(script)
    with script.connected(script.args.wait) as session:
        check_owner(session, script.engine)
        steps = plan(session, recreate=recreate)
        descriptions = plan_descriptions(session, steps)
        grants = grants_of(script, session)
        if steps or grants:
            refuse_guest(session)
        if not script.args.dry_run:
            change_tables(script, session, steps, descriptions, grants)
            script.publish(session, OURS)
    changes = [f"{mark} {name}" for mark, name, _ in (*steps, *descriptions) if name]
    for mark in ("-", "+", "~"):
        named = [change.removeprefix(f"{mark} ") for change in changes if change[0] == mark]
        if named:
            console.result(f"{mark} {', '.join(named)}")
    for role, reads, changed in grants:
        rights = f"load into {', '.join(changed)}" if changed else f"read {', '.join(reads)}"
        console.result(f"= {role} may {rights}")
    tell_end(script, changes)
    return 0


def grants_of(script: Script, session: Session) -> list[Grant]:
    """Give what --grant-readers and --grant-loaders ask for. Raises ConfigError on an engine that has no roles, before
    anything is changed."""
    readers, loaders = script.args.grant_readers, script.args.grant_loaders
    if (readers or loaders) and not session.has_roles:
        raise ConfigError(
            f"{script.engine.name} has no roles: whoever may read the file may read all of it",
            hint=f"chmod 640 {script.engine.place}     (with a group of those who may)",
        )
    loaded = [name for name in (*q.TABLES, *session.extra_tables) if name not in ONLY_READ_BY_LOADS]
    found = [Grant(readers, READ_BY_OTHERS, ())] if readers else []
    return [*found, Grant(loaders, ONLY_READ_BY_LOADS, loaded)] if loaders else found


def refuse_guest(session: Session) -> None:
    """Raise ConfigError when this user is a guest: tables that it made would be its own, and no load of others would
    reach them."""
    if not session.owns_tables:
        raise ConfigError(
            "[CLUSTER] LOGIN = iam: this user owns no tables, so it makes none and gives no rights",
            hint="[CLUSTER] LOGIN = secret, then python create_tables.py --grant-loaders ROLE",
        )


def confirm(script: Script) -> None:
    """Ask before rows are deleted. Raises ConfigError when the answer is no."""
    name = os.path.basename(script.engine.place)
    script.console.confirm(
        name,
        f"This deletes every row in all {len(q.TABLES)} tables. Type the warehouse name to continue ({name})",
        yes=script.args.yes,
    )


def change_tables(
    script: Script, session: Session, steps: Sequence[Step], descriptions: Sequence[Step], grants: Sequence[Grant]
) -> None:
    """Take the steps, describe the tables and give the rights, in one transaction: all or none. The table that is
    locked is made before, if it is missing.

    Raises EnvironmentFailure when tables that are not ours have appeared, Busy when another session makes or fills the
    tables.
    """
    made = [name for mark, name, _ in steps if mark == "+"]
    apply(session, [step for step in steps if step[1] in session.extra_tables])
    # a table must not be dropped or described while a load uses it
    held = any(name == OURS.ledger for mark, name, _ in steps if mark == "-")
    held = held or (any(name for _, name, _ in descriptions) and OURS.ledger not in made)
    with session.transaction(OURS.ledger if held else None, script.args.wait):
        check_owner(session, script.engine)
        apply(session, [step for step in steps if step[1] not in session.extra_tables])
        if OURS.marker in made:
            now = datetime.now(UTC).replace(tzinfo=None)
            session.execute(INSERT_WAREHOUSE, (q.SCHEMA_VERSION, MADE_BY, now))
        else:
            raise_version(session, MADE_BY)
        if any(name in q.STAR for name in made):
            session.execute(MARK_STAR_INCOMPLETE, (STAR_TABLE_IS_NEW,))
        apply(session, descriptions)
        for grant in grants:
            session.grant(*grant)


def apply(session: Session, steps: Sequence[Step]) -> None:
    """Run the steps."""
    for _, _, statement in steps:
        session.execute(statement)


def tell_end(script: Script, changes: Sequence[str]) -> None:
    """Print the end of the run, and the next command."""
    console = script.console
    if script.args.dry_run:
        console.result("nothing was changed")
    elif not changes:
        console.result(f"= all {len(q.TABLES)} tables are there, in {seconds(console.elapsed)}")
    else:
        console.result(f"in {seconds(console.elapsed)}   next: {script.next('etl')}")
    console.finish({"engine": script.engine.name, "changes": changes})


if __name__ == "__main__":
    raise SystemExit(run(main))
