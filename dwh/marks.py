"""Whose a lake or a report is. Each names the place of its warehouse, and a run from another place does not replace it.

Decision 0025 says what a place is. What counts is the place, not the warehouse: one that is removed and made again
there goes on with what the earlier one wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dwh.errors import EnvironmentFailure

if TYPE_CHECKING:
    from dwh.engines import Address
    from dwh.script import Script


class Mark(NamedTuple):
    """What something says of where it comes from: the address of its warehouse (None: version 0.1 wrote it, and named
    none), and the run whose load was the last in it (empty: it does not say)."""

    address: Address | None
    run_id: str


def refuse_others(script: Script, what: str, mark: Mark, has_run: Callable[[str], bool], another: str) -> None:
    """Raise EnvironmentFailure when `what`, which this run would replace, is that of another warehouse, and --take-over
    was not given.

    What names no address is this warehouse's when `has_run` finds the run in it. `another` is a value of --to.
    """
    own = script.engine.address
    if script.args.take_over or mark.address == own:
        return
    if mark.address is None and mark.run_id and has_run(mark.run_id):
        return
    same = ("--to", script.args.to) if script.args.to else ()
    named = f"that of {in_words(mark.address)}" if mark.address else "version 0.1 wrote it, from a load not known here"
    raise EnvironmentFailure(
        f"{what} is not this warehouse's, and is left as it is",
        evidence=(f"it is: {named}", f"this is: {in_words(own)}"),
        hint=(
            script.command("--to", another),
            f"{script.command(*same, '--take-over')}     (after a move of the warehouse: replaces it, for good)",
        ),
    )


def read_address(value: object) -> Address:
    """Read an address that was written as JSON. Raises ValueError when it is none."""
    if not isinstance(value, dict) or "engine" not in value or not all(isinstance(v, str) for v in value.values()):
        raise ValueError(f"no address: {value!r}")
    return value


def near(path: Path) -> str:
    """Give a path as a person would: relative when it lies below this folder."""
    with suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def in_words(address: Address) -> str:
    """Write an address for people: `postgres, server db.acme.org:5432, database sparkify, schema sparkify`."""
    return ", ".join([address["engine"], *(f"{name} {value}" for name, value in address.items() if name != "engine")])
