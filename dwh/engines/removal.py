"""Removing a warehouse from a place that others may use too: it drops our tables and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from dwh.ownership.tables import find_owner, name_some, refuse_strangers
from dwh.seam import Change, Session, Thing
from dwh.terminal.errors import EnvironmentFailure

if TYPE_CHECKING:
    from dwh.seam import Ours, Tell

NEVER_DROPPED = "public"  # every database has it from the start, and other programs rely on it


class SchemaSession(Session, Protocol):
    """A session whose tables are in a schema."""

    def execute_alone(self, sql: str, name: str) -> None:
        """Run one statement outside of a transaction; the quoted name replaces `{}` in its text."""


class Removal(NamedTuple):
    """Our tables to drop, and the other things at the place, which stay."""

    tables: Sequence[str]
    others: Sequence[Thing]


class Place(NamedTuple):
    """The name of the place in messages (`what`: schema sparkify), and the edit that names another."""

    what: str
    another: str


def plan_removal(session: Session, ours: Ours, place: Place) -> Removal:
    """Find out what is removed and what stays.

    Raises EnvironmentFailure when the tables are not ours, when there are none but other things are there, or when a
    view that is not ours needs one of them.
    """
    standing = find_owner(session, ours)
    refuse_strangers(standing, place.what, place.another)
    if standing.whose == "none" and standing.others:
        raise EnvironmentFailure(
            f"{place.what} is not a warehouse of this suite: it has none of its tables",
            evidence=(f"{name_some(standing.others)}", "nothing was removed"),
            hint=f"{place.another}     (if the warehouse is elsewhere)",
        )
    going = [thing.name for thing in standing.taken]
    hanging = [thing for thing in session.dependents(going) if thing not in standing.taken] if going else []
    if hanging:
        raise EnvironmentFailure(
            f"tables of {place.what} are still needed by {name_some(hanging)}",
            evidence="nothing was removed",
            hint=f"move {hanging[0].name} elsewhere, or drop it     (if it is yours)",
        )
    in_order = [name for name in (*ours.drops, *session.extra_tables) if name in going]
    return Removal(in_order, standing.others)


def drop_tables(session: Session, ours: Ours, removal: Removal) -> None:
    """Drop our tables in one transaction, all or none. Raises Busy while a load runs."""
    lock = ours.ledger if set(removal.tables) >= {ours.ledger, *session.extra_tables} else None
    with session.transaction(lock):
        for name in removal.tables:
            session.execute(ours.drops.get(name, f"DROP TABLE IF EXISTS {name}"))


def tell_tables(removal: Removal, place: Place) -> list[Change]:
    """Name the tables that are dropped from a place that stays, and what else is in it."""
    gone = [Change("-", f"{len(removal.tables)} tables of {place.what}: {', '.join(removal.tables)}")]
    kept = f", with {name_some(removal.others)}" if removal.others else ""
    return [*(gone if removal.tables else ()), Change("=", f"{place.what} stays{kept}")]


def plan_schema(session: SchemaSession, ours: Ours, place: Place, schema: str) -> list[Change]:
    """Say what `remove_from_schema` would do; raises the same errors."""
    removal = plan_removal(session, ours, place)
    if removal.others or schema == NEVER_DROPPED:
        return tell_tables(removal, place)
    return [Change("-", f"{place.what}{_with_tables(removal)}")]


def remove_from_schema(session: SchemaSession, ours: Ours, place: Place, schema: str, tell: Tell) -> list[Change]:
    """Drop our tables, and the schema when nothing else is in it, except `public`.

    Raises EnvironmentFailure, and removes nothing, where `plan_removal` does; Busy while a load runs.
    """
    removal = plan_removal(session, ours, place)
    if removal.tables:
        tell(f"dropping {len(removal.tables)} tables of {place.what}")
        drop_tables(session, ours, removal)
    kept = tell_tables(removal, place)
    if removal.others or schema == NEVER_DROPPED:
        return kept
    try:
        # without CASCADE: the schema stays when it is not empty any more, or has another owner
        session.execute_alone("DROP SCHEMA {}", schema)
    except EnvironmentFailure as error:
        return [*kept[:-1], Change("=", f"{place.what} stays: {error.evidence[0]}")]
    return [Change("-", f"{place.what}{_with_tables(removal)}")]


def _with_tables(removal: Removal) -> str:
    return f", with {len(removal.tables)} tables: {', '.join(removal.tables)}" if removal.tables else ""
