"""Run a script that stops at a place of its load, says `held`, and stays there until it is stopped or let go.

  python held.py PLACE script.py ARGUMENTS...

PLACE is one of these; with #2 behind it, the second such place:
  in:TEXT       within a statement that holds TEXT: DuckDB itself is at work, and would be for days
  before:TEXT   before a statement that holds TEXT
  open:TEXT     before a file is opened whose path holds TEXT

A test that sends a signal to what is held there needs no clock: the moment is the same on every machine. The end of
stdin lets go of what is held before a statement or a file; nothing but a stop ends what is held within one.
"""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dwh.engines.duckdb.session import DuckDbSession
from dwh.terminal import console

# DuckDB asks for `say_held` once, when the query is under way, and goes on counting for days.
ENDLESS = "SELECT COUNT(*) FROM range(1000000000000000) AS r(n) WHERE n > 0 OR say_held(n)"


def say_held(_n: int = 0) -> bool:
    """Say that the place is reached."""
    print("held", file=sys.stderr, flush=True)
    return True


def stay() -> None:
    """Say that the place is reached, and stay until stdin ends."""
    say_held()
    sys.stdin.read()


def at_place(text: str, number: int, act: Callable[[], None]) -> Callable[[str], None]:
    """Give a function that is told of every place, and acts at the one of that number which holds a text."""
    seen = 0

    def reached(place: str) -> None:
        nonlocal seen
        if text in place:
            seen += 1
            if seen == number:
                act()

    return reached


def hold_statement(text: str, number: int, *, within: bool) -> None:
    """Hold the script at a statement."""
    real = DuckDbSession._run
    session_at_work: list[DuckDbSession] = []

    def act() -> None:
        [session] = session_at_work
        if not within:
            stay()
            return
        session._connection.create_function("say_held", say_held, side_effects=True)
        real(session, ENDLESS, ())

    reached = at_place(text, number, act)

    def run(session: DuckDbSession, sql: str, params: Sequence[object]) -> Any:
        session_at_work[:] = [session]
        reached(sql)
        return real(session, sql, params)

    setattr(DuckDbSession, "_run", run)  # noqa: B010


def hold_file(text: str, number: int) -> None:
    """Hold the script at a file."""
    reached = at_place(text, number, stay)
    real_open, real_os_open = builtins.open, os.open

    def opened(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *rest: Any, **named: Any) -> Any:
            if isinstance(path, str | os.PathLike):
                reached(os.fspath(path))
            return function(path, *rest, **named)

        return call

    setattr(os, "open", opened(real_os_open))  # noqa: B010
    builtins.open = opened(real_open)


def main() -> int:
    """Put the hold in place, and run the script as Python would."""
    place, sys.argv = sys.argv[1], sys.argv[2:]
    how, _, text = place.partition(":")
    text, _, number = text.partition("#")
    if how == "open":
        hold_file(text, int(number or 1))
    else:
        hold_statement(text, int(number or 1), within=how == "in")
    import importlib

    return console.run(importlib.import_module(Path(sys.argv[0]).stem).main)


if __name__ == "__main__":
    raise SystemExit(main())
