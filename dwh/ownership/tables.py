"""Whose tables these are: those of this suite, or those of another program, which are never altered, filled or removed.

The scripts give the names of our tables (`Ours`); the engine lists what is at the place of a warehouse.
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
    """Read names and types of the columns out of a CREATE TABLE statement with one column a line."""
    return dict(_COLUMN.findall(statement))


class Standing(NamedTuple):
    """Whose the place is. none: no table has one of our names · ours · earlier: ours, made before there was a marker ·
    newer: of a later version of this suite, `made_by` · strange: `taken` are not made by this suite."""

    whose: Literal["none", "ours", "earlier", "newer", "strange"]
    taken: Sequence[Thing] = ()
    others: Sequence[Thing] = ()
    made_by: str = ""


def find_owner(session: Session, ours: Ours) -> Standing:
    """Find out whose the place of this session is. Reads the catalogue and the marker, changes nothing."""
    contents = session.contents()
    names = {*ours.tables, *session.extra_tables}
    taken = [thing for thing in contents if thing.name in names]
    # an index belongs to its table; it matters only when it has a name that a table needs
    others = [thing for thing in contents if thing.name not in names and thing.kind != "index"]
    kinds = {thing.name: thing.kind for thing in taken}
    for name, statement in session.extra_tables.items():
        # conn_start.py of 0.1 made this table alone: it says nothing about the other names
        if kinds.get(name) == "table" and same_columns(session.columns(name), columns_of(statement)):
            del kinds[name]
    if not kinds:
        return Standing("none", taken, others)
    whose, made_by, version = _read_marker(session, ours, kinds)
    in_the_way = [thing for thing in taken if thing.name in kinds]
    if whose != "strange":
        foreign = {name for name in kinds if _is_later(session, ours, name, version)}
        in_the_way = [t for t in in_the_way if t.kind != "table" or t.name not in ours.tables or t.name in foreign]
        if not in_the_way:
            return Standing(whose, taken, others, made_by)
    return Standing("strange", in_the_way, others)


def _read_marker(
    session: Session, ours: Ours, kinds: Mapping[str, str]
) -> tuple[Literal["ours", "earlier", "newer", "strange"], str, int]:
    if ours.marker not in kinds:
        known = all(
            kinds.get(name) == "table" and same_columns(session.columns(name), columns)
            for name, columns in ours.earlier.items()
        )
        return ("earlier" if known else "strange"), "", 0
    marked = kinds[ours.marker] == "table" and same_columns(session.columns(ours.marker), ours.tables[ours.marker])
    rows, version, made_by, *_ = session.rows(ours.look)[0] if marked else (0, 0, "")
    if not rows:
        return "strange", "", 0
    return ("newer" if version > ours.newest else "ours"), str(made_by), version


def _is_later(session: Session, ours: Ours, name: str, version: int) -> bool:
    """Tell whether a table has a name that the warehouse, of this schema version, did not use: another made it. A
    warehouse that lost its marker (0) may be of any version: there the columns tell."""
    if version >= ours.since.get(name, 0):
        return False
    return version > 0 or not same_columns(session.columns(name), ours.tables[name])


def refuse_strangers(standing: Standing, place: str, another: str) -> None:
    """Raise EnvironmentFailure when the place is not ours, or of a later version; `another` is the edit that names
    another place."""
    if standing.whose == "newer":
        raise EnvironmentFailure(
            f"{place} was made by a later version of this suite, {standing.made_by}",
            evidence="nothing was changed",
            hint=("the same command again, with that version", f"{another}     (a separate warehouse)"),
        )
    if standing.whose == "strange":
        names = name_some(standing.taken)
        raise EnvironmentFailure(
            f"{place} is not a warehouse of this suite, and other things have the names of its tables: {names}",
            evidence="nothing was changed",
            hint=(
                f"{another}     (a separate warehouse)",
                f"rename {standing.taken[0].name}, or move it away     (and the others, if they are yours)",
            ),
        )


def same_columns(found: Columns, wanted: Columns) -> bool:
    """Tell whether these are exactly the wanted columns, in any order and under the type names of any engine. Lengths
    are compared where the engine keeps them."""
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
    """Name some things for a message: `table payroll, view staff and 12 more`."""
    named = [str(thing) for thing in things]
    shown = ", ".join(named[:SHOWN])
    return shown if len(named) <= SHOWN else f"{shown} and {len(named) - SHOWN:,} more"
