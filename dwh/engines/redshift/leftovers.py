"""What killed loads of a warehouse have left in [S3] WORK, as conn_close.py tells and removes it.

It is never a reason to fail: the cluster goes whatever S3 says, and the next load removes these objects too.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from dwh.engines.redshift.work import WorkPrefix
from dwh.seam import Change
from dwh.terminal.errors import Busy, DwhError
from dwh.terminal.wording import count


def tell_leftovers(work: Callable[[], WorkPrefix]) -> list[Change]:
    """Say what `remove_leftovers` would remove."""
    try:
        place = work()
        found = place.find_leftovers()
    except DwhError as error:
        return [_not_seen(error)]
    return [_removed(place, len(found))] if found else []


def remove_leftovers(work: Callable[[], WorkPrefix], locked: AbstractContextManager[None]) -> list[Change]:
    """Remove it in the block of `locked`, which holds the lock of loads where a load may be running; a block that is
    not entered when there is nothing to remove."""
    try:
        place = work()
        if not place.find_leftovers():
            return []
        with locked:
            found = place.find_leftovers()
            place.remove(found)
    except Busy as busy:
        return [Change("=", f"objects in {place} stay: {busy.message}", beside=True)]
    except DwhError as error:
        return [_not_seen(error)]
    return [_removed(place, len(found))] if found else []


def _removed(place: WorkPrefix, number: int) -> Change:
    # not the mark of a removal: nobody is asked for leave, as nothing can need these
    return Change("~", f"{place}: without {count(number, 'object')} of loads that were killed", beside=True)


def _not_seen(error: DwhError) -> Change:
    return Change("=", f"[S3] WORK was not looked at: {error.message}", beside=True)
