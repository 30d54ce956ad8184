"""The owner of a lake or a report. Each names the place of its warehouse; a run from another place does not replace it.

Decision 0025 says what a place is. The place is the owner, not the warehouse: a warehouse that is removed and made
again there continues with what the earlier one wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dwh.seam import Address


class Mark(NamedTuple):
    """The origin that a lake or report names: the address of its warehouse (None: version 0.1 wrote it, without an
    address), and the run of its last load (empty: it names none)."""

    address: Address | None
    run_id: str


def read_address(value: object) -> Address:
    """Read an address that was written as JSON. Raises ValueError for anything else."""
    if not isinstance(value, dict) or "engine" not in value or not all(isinstance(v, str) for v in value.values()):
        raise ValueError(f"no address: {value!r}")
    return value


def in_words(address: Address) -> str:
    """Write an address for people: `postgres, server db.acme.org:5432, database sparkify, schema sparkify`."""
    return ", ".join([address["engine"], *(f"{name} {value}" for name, value in address.items() if name != "engine")])
