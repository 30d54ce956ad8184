"""The lock of a load on a server: how it is waited for, who holds it, and when a client that has vanished loses it.

A client that is killed loses its lock at once, since its machine closes the connection. One whose machine or network is
gone closes nothing: so the server ends a session that says nothing for VANISHED_SECONDS inside its transaction, and a
client that is alive says something at least every BEAT_SECONDS, however long it reads files in between (decision 32).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import NamedTuple

from dwh.seam import Tell
from dwh.terminal.errors import Busy, DwhError
from dwh.terminal.wording import seconds

VANISHED_SECONDS = 600
BEAT_SECONDS = 60.0


class Holder(NamedTuple):
    """A session that holds the lock. `since` is the begin of its transaction in UTC, `where` the address of its
    client; None or empty when the server does not show them to this user."""

    pid: int
    user: str
    since: datetime | None
    where: str

    def __str__(self) -> str:
        since = f" since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        where = f", from {self.where}" if self.where else ""
        return f"it is held by session {self.pid} of {self.user}{since}{where}"


def take_lock(
    attempt: Callable[[float], None], find_holder: Callable[[], Holder | None], patience: float, tell: Tell
) -> None:
    """Begin a transaction with the lock. `attempt` does, waits for at most the given seconds, and rolls back before it
    raises Busy; `find_holder` is asked after that.

    Who has to wait is told at once whom for. Raises Busy, with the holder, after `patience` seconds.
    """
    try:
        return attempt(0.0)
    except Busy as busy:
        taken = _named(busy, find_holder)
    if patience:
        tell(f"waiting up to {seconds(patience)}: {taken.message}, {taken.evidence[0]}")
        try:
            return attempt(patience)
        except Busy as busy:
            taken = _named(busy, find_holder)
    raise taken


def _named(busy: Busy, find_holder: Callable[[], Holder | None]) -> Busy:
    """Give the error with the holder in it, if there still is one; to name it must not hide the error."""
    holder = None
    with suppress(DwhError):
        holder = find_holder()
    if holder is None:
        return busy
    end = f"SELECT pg_terminate_backend({holder.pid})     (in SQL, if that program is gone)"
    return Busy(busy.message, evidence=str(holder), hint=(*busy.hint, end))


@contextmanager
def kept_alive(thread: Executor, beat: Callable[[], object]) -> Iterator[None]:
    """Do `beat` in the thread of the session every BEAT_SECONDS of the block. One that fails is ignored: the next
    statement fails too, and says why."""
    over = threading.Event()

    def run() -> None:
        last: Future[object] | None = None
        while not over.wait(BEAT_SECONDS):
            if last is None or last.done():  # none behind a statement that takes long
                last = thread.submit(beat)

    beats = threading.Thread(target=run, daemon=True)
    beats.start()
    try:
        yield
    finally:
        over.set()
        beats.join()
