"""Python looks for no cycles of objects while many are made that stay, and then again."""

from __future__ import annotations

import gc
from contextlib import suppress

from dwh.terminal.objects import kept_objects


def test_no_cycle_is_looked_for_in_the_block_alone() -> None:
    """Also where one block stands in another, and however it ends."""
    assert gc.isenabled()
    with kept_objects():
        assert not gc.isenabled()
        with suppress(ValueError), kept_objects():
            raise ValueError
        assert not gc.isenabled()
    assert gc.isenabled()
    with suppress(ValueError), kept_objects():
        raise ValueError
    assert gc.isenabled()


def test_who_has_stopped_the_search_finds_it_stopped() -> None:
    """It is not begun behind the back of whoever called."""
    gc.disable()
    try:
        with kept_objects():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
