"""Run a script that is killed at the so-manieth step by which it changes a disk.

  python dying.py WHEN NUMBER script.py ARGUMENTS...

WHEN is `after` the step, or `within` it: half of the bytes are in the file then, and a step that cannot be half done is
not done. Before a file is written is after it was opened. (What fsync does for the disk a kill cannot show.) A script
that has fewer steps ends by itself, and says last how many it has.
"""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dwh.engines.duckdb.session import DuckDbSession
from dwh.terminal import console

CALLS = ("link", "replace", "unlink", "mkdir")


class Steps:
    """Counts steps, and ends the process at one of them."""

    def __init__(self, when: str, number: int) -> None:
        self.when, self.number = when, number
        self.taken = 0

    def take(self, do: Callable[[], Any], half: Callable[[], Any] = lambda: None) -> Any:
        """Take a step; `half` does it in part."""
        self.taken += 1
        if self.taken != self.number:
            return do()
        try:
            return half() if self.when == "within" else do()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Give a function whose call is a step."""
        return lambda *args, **named: self.take(lambda: function(*args, **named))


class File:
    """A file that is written: opening it was one step, and each write is one."""

    def __init__(self, stream: Any, steps: Steps) -> None:
        self._stream, self._steps = stream, steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, data: bytes) -> Any:
        """Write, or write half; nothing stays in a buffer that a kill would take with it."""

        def put(part: bytes) -> Any:
            written = self._stream.write(part)
            self._stream.flush()
            return written

        return self._steps.take(lambda: put(data), lambda: put(data[: len(data) // 2]))

    def __enter__(self) -> File:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stream.close()


def watch(steps: Steps) -> None:
    """Count the calls of the operating system, the files that Python writes in new places, and DuckDB's COPY."""
    for name in CALLS:
        setattr(os, name, steps.counted(getattr(os, name)))
    real_open, real_run = io.open, DuckDbSession._run

    def opened(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        if mode != "xb":
            return real_open(file, mode, *rest, **named)
        return File(steps.take(lambda: real_open(file, mode, *rest, **named)), steps)

    def run(session: DuckDbSession, sql: str, params: Sequence[Any]) -> Any:
        if not sql.startswith("COPY"):
            return real_run(session, sql, params)

        def half() -> None:
            real_run(session, sql, params)
            for path in params:
                if str(path).endswith(".parquet") and Path(path).exists():
                    os.truncate(path, Path(path).stat().st_size // 2)

        return steps.take(lambda: real_run(session, sql, params), half)

    io.open = opened
    setattr(DuckDbSession, "_run", run)  # noqa: B010


def main() -> int:
    """Watch the steps, and run the script as Python would."""
    steps = Steps(sys.argv[1], int(sys.argv[2]))
    sys.argv = sys.argv[3:]
    watch(steps)
    code = console.run(importlib.import_module(Path(sys.argv[0]).stem).main)
    print(f"steps: {steps.taken}", file=sys.stderr)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
