"""Whose tables these are: a warehouse of this suite, or what somebody else made, which is never altered, filled or
removed.

The names of the tables come from the scripts (`Ours`); what stands in the place of a warehouse is told by the engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from dwh.seam import Columns, Ours
from dwh.terminal.errors import EnvironmentFailure

if TYPE_CHECKING:
    from dwh.seam import Session, Thing

SHOWN = 6  # names in one line of a message
_COLUMN = re.compile(r"^    (\w+) (.+?),?$", re.MULTILINE)


def columns_of(statement: str) -> dict[str, str]:
    """Read names and types of the columns out of a CREATE TABLE statement that has one of them a line."""
    return dict(_COLUMN.findall(statement))


class Standing(NamedTuple):
    """Whose the place is. none: nothing of our names stands there · ours · earlier: ours, and made before there was a
    marker · newer: of a later version of this suite, `made_by` · strange: `taken` are somebody else's."""

    whose: Literal["none", "ours", "earlier", "newer", "strange"]
    taken: Sequence[Thing] = ()
    others: Sequence[Thing] = ()
    made_by: str = ""


def find_owner(session: Session, ours: Ours) -> Standing:
    """Look whose the place is that this session would write to. Reads the catalogue and the marker, changes nothing."""
    contents = session.contents()
    names = {*ours.tables, *session.extra_tables}
    taken = [thing for thing in contents if thing.name in names]
    # an index goes and stays with its table; it counts only where it has a name that a table needs
    others = [thing for thing in contents if thing.name not in names and thing.kind != "index"]
    kinds = {thing.name: thing.kind for thing in taken}
    for name, statement in session.extra_tables.items():
        # made by conn_start.py of 0.1 where nothing else is: it says nothing about the other names
        if kinds.get(name) == "table" and same_columns(session.columns(name), columns_of(statement)):
            del kinds[name]
    if not kinds:
        return Standing("none", taken, others)
    whose, made_by = _read_marker(session, ours, kinds)
    in_the_way = [thing for thing in taken if thing.name in kinds]
    if whose != "strange":
        in_the_way = [thing for thing in in_the_way if thing.kind != "table" or thing.name not in ours.tables]
        if not in_the_way:
            return Standing(whose, taken, others, made_by)
    return Standing("strange", in_the_way, others)


def _read_marker(
    session: Session, ours: Ours, kinds: Mapping[str, str]
) -> tuple[Literal["ours", "earlier", "newer", "strange"], str]:
    if ours.marker not in kinds:
        known = all(
            kinds.get(name) == "table" and same_columns(session.columns(name), columns)
            for name, columns in ours.earlier.items()
        )
        return ("earlier" if known else "strange"), ""
    marked = kinds[ours.marker] == "table" and same_columns(session.columns(ours.marker), ours.tables[ours.marker])
    rows, version, made_by, *_ = session.rows(ours.look)[0] if marked else (0, 0, "")
    if not rows:
        return "strange", ""
    return ("newer" if version > ours.newest else "ours"), str(made_by)


def refuse_strangers(standing: Standing, place: str, another: str) -> None:
    """Raise EnvironmentFailure when the place is somebody else's, or of a later version; `another` is the edit that
    names another place."""
    if standing.whose == "newer":
        raise EnvironmentFailure(
            f"{place} was made by a later version of this suite, {standing.made_by}",
            evidence="nothing was changed",
            hint=("the same command again, with that version", f"{another}     (a warehouse of its own)"),
        )
    if standing.whose == "strange":
        names = name_some(standing.taken)
        raise EnvironmentFailure(
            f"{place} is not a warehouse of this suite, and names that it needs are taken: {names}",
            evidence="they are left as they are: nothing was changed",
            hint=(
                f"{another}     (a warehouse of its own)",
                f"rename {standing.taken[0].name}, or move it away     (and the others, when they are yours)",
            ),
        )


def same_columns(found: Columns, wanted: Columns) -> bool:
    """Tell whether these are the wanted columns, all of them and no others, in any order, whatever an engine calls
    their types. Lengths count where the engine keeps them."""
    return found.keys() == wanted.keys() and all(_same_type(found[name], kind) for name, kind in wanted.items())


def _same_type(found: str, wanted: str) -> bool:
    (kind, length), (other, size) = _type_of(found), _type_of(wanted)
    return kind == other and (not length or length == size)


def _type_of(written: str) -> tuple[str, str]:
    text = written.lower().removesuffix(" not null")
    kind, _, length = re.sub(r"\s+", " ", text).partition("(")
    return _TYPES.get(kind.strip(), kind.strip()), length.rstrip(") ")


_TYPES = {
    "character varying": "varchar",
    "double precision": "double",
    "timestamp without time zone": "timestamp",
    "int": "integer",
}


def name_some(things: Iterable[Thing]) -> str:
    """Name things for a person: `table payroll, view staff and 12 more`."""
    named = [str(thing) for thing in things]
    shown = ", ".join(named[:SHOWN])
    return shown if len(named) <= SHOWN else f"{shown} and {len(named) - SHOWN:,} more"
