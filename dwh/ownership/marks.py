"""Whose a lake or a report is. Each names the place of its warehouse, and a run from another place does not replace it.

Decision 0025 says what a place is. What counts is the place, not the warehouse: one that is removed and made again
there goes on with what the earlier one wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dwh.seam import Address


class Mark(NamedTuple):
    """What something says of where it comes from: the address of its warehouse (None: version 0.1 wrote it, and named
    none), and the run whose load was the last in it (empty: it does not say)."""

    address: Address | None
    run_id: str


def read_address(value: object) -> Address:
    """Read an address that was written as JSON. Raises ValueError when it is none."""
    if not isinstance(value, dict) or "engine" not in value or not all(isinstance(v, str) for v in value.values()):
        raise ValueError(f"no address: {value!r}")
    return value


def in_words(address: Address) -> str:
    """Write an address for people: `postgres, server db.acme.org:5432, database sparkify, schema sparkify`."""
    return ", ".join([address["engine"], *(f"{name} {value}" for name, value in address.items() if name != "engine")])
