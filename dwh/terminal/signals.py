"""Ctrl-C and SIGTERM: roll back, say so, exit 130; a second one exits at once.

Measured on DuckDB 2.0.0: when a signal handler raises during a query, the query first runs to its end (28 s); when it
calls the connection's own `interrupt()`, the query ends within 0.1 s. So during a blocking call the handler cancels the
call, and the exception is raised when the call ends.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TextIO

from dwh.terminal.errors import ExitCode, Interrupted

_cancels: list[Callable[[], None]] = []
_received: list[int] = []


def listen() -> None:
    """Take over SIGINT and SIGTERM for the rest of this process."""
    _received.clear()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)


def stop_requested() -> bool:
    """Tell whether a stop was asked for since `listen`."""
    return bool(_received)


@contextmanager
def cancelled_by(cancel: Callable[[], None]) -> Iterator[None]:
    """While the block runs, a stop request calls `cancel`; `Interrupted` is raised when the block has ended, however
    it ended."""
    _cancels.append(cancel)
    try:
        yield
    finally:
        _cancels.remove(cancel)
        if _received:
            raise Interrupted from None


def read_line(stream: TextIO) -> str:
    """Wait for a line from a terminal. A stop request ends the wait whenever it comes: Python checks for signals
    between two of its own steps, and would miss one that comes just before it begins to wait."""
    waked, wake = os.pipe()
    os.set_blocking(wake, False)
    before = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    try:
        select.select([stream.fileno(), waked], [], [])
        return stream.readline()
    finally:
        signal.set_wakeup_fd(before)
        os.close(waked)
        os.close(wake)


def _stop(number: int, _frame: FrameType | None) -> None:
    if _received:
        os._exit(ExitCode.INTERRUPTED)
    _received.append(number)
    # Python refuses to write when the signal comes in the middle of another line to stderr
    with suppress(RuntimeError):
        sys.stderr.write("stopping after this statement ... (Ctrl-C again to leave now)\n")
        sys.stderr.flush()
    if not _cancels:
        raise Interrupted
    for cancel in _cancels:
        cancel()
