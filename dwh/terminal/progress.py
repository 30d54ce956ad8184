"""How far a long step is: a line that is rewritten on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dwh.terminal.wording import seconds

BAR_SECONDS = 0.1  # between two moves of the line on a terminal; the time in it runs by itself
PLAIN_SECONDS = 30.0
WIDEST_BAR = 24


class Pace:
    """Counts what is done, and shows the sum when the last one shown is old enough: a step may report each record."""

    def __init__(self, show: Callable[[int], None], every: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._show, self._every, self._clock = show, every, clock
        self._done, self._next = 0, clock() + every

    def advance(self, done: int) -> None:
        """Count what is done since the last call."""
        self._done += done
        now = self._clock()
        if now >= self._next:
            self._show(self._done)
            self._next = now + self._every


@contextmanager
def bar(label: str, total: int, unit: str, *, plain: bool) -> Iterator[Callable[[int], None]]:
    """Show one line on a terminal; the block calls the given function with the amount done since the last.

    The line is drawn ten times a second by a thread of its own: the time in it runs also while nothing is reported, in
    a long statement. On a narrow terminal the bar is short rather than a number.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, no_color=plain)
    numbers = len(f"  {label}  {total}/{total} {unit} 0:00:00  ")
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(max(1, min(WIDEST_BAR, console.width - numbers))),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task(label, total=total)
        yield Pace(lambda done: shown.update(task, completed=done), BAR_SECONDS).advance


def plain_lines(say: Callable[[str], None], label: str, total: int, unit: str) -> Callable[[int], None]:
    """Give the function that counts what is done, and says how far it is each half minute."""
    began = time.monotonic()

    def show(done: int) -> None:
        say(f"{label}: {done:,} of {total:,} {unit}, {seconds(time.monotonic() - began)} elapsed")

    return Pace(show, PLAIN_SECONDS).advance
