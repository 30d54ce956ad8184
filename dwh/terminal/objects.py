"""Python's search for cycles of objects, held back where a block makes a million of them that stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_objects() -> Iterator[None]:
    """Make many objects that stay, and that refer to each other in no cycle: meanwhile no cycle is looked for.

    Listing 200,000 files and comparing them with the ledger took 2.7 s with the search, and 1.4 without.
    """
    searches = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searches:
            gc.enable()
