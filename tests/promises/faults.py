"""SQLite's trick: fail at the nth call, for n = 1, 2, ... until a run ends by itself; or be killed there.

`Faults` counts the calls of the session (each statement, before and after it runs) and of files (open, read, write,
flush), wherever the suite makes them, and does something at the nth. `in_a_child` runs a script's `main` in a fork of
this process, in which everything is imported already: some 30 ms instead of some 600.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from warehouse import WATCHDOG, Warehouse

from dwh.engines.duckdb.session import DuckDbSession
from dwh.terminal import console

KILLED = 9
COUNTED_OF_FILES = ("read", "readline", "readinto", "read1", "write", "writelines", "flush")
WATCHED = ("dwh-", "log_data", "song_data")  # in the paths of the files that count: the spool's and the source's


def kill() -> NoReturn:
    """End this process as SIGKILL does: nothing is cleaned up, nothing is flushed."""
    os._exit(KILLED)


class Faults:
    """Counts calls, and does something at the nth."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.at = at
        self.act = act
        self.calls = 0

    def count(self) -> None:
        """Count one call."""
        self.calls += 1
        if self.calls == self.at:
            self.act()

    @property
    def reached(self) -> bool:
        """Tell whether the nth call came."""
        return self.calls >= self.at

    @contextlib.contextmanager
    def in_session(self) -> Iterator[Faults]:
        """Count each statement of DuckDB twice: before it, and after it."""
        real = DuckDbSession._run

        def run(session: DuckDbSession, sql: str, params: Sequence[object]) -> Any:
            self.count()
            rows = real(session, sql, params)
            self.count()
            return rows

        setattr(DuckDbSession, "_run", run)  # noqa: B010
        try:
            yield self
        finally:
            setattr(DuckDbSession, "_run", real)  # noqa: B010

    @contextlib.contextmanager
    def in_files(self) -> Iterator[Faults]:
        """Count what is done with files of the source and of the spool."""
        real = {name: getattr(os, name) for name in ("open", "read", "pread", "fstat")}
        real_open = builtins.open

        def counted(name: str) -> Callable[..., Any]:
            def call(first: Any, *rest: Any, **named: Any) -> Any:
                if name != "open" or _is_watched(first):
                    self.count()
                return real[name](first, *rest, **named)

            return call

        def open_counted(file: Any, *rest: Any, **named: Any) -> Any:
            stream = real_open(file, *rest, **named)
            return _CountedFile(stream, self.count) if _is_watched(file) else stream

        for name in real:
            setattr(os, name, counted(name))
        builtins.open = io.open = open_counted
        try:
            yield self
        finally:
            for name, function in real.items():
                setattr(os, name, function)
            builtins.open = io.open = real_open


def _is_watched(path: object) -> bool:
    return isinstance(path, str | os.PathLike) and any(part in os.fspath(path) for part in WATCHED)


class _CountedFile:
    """A file of which every call counts."""

    def __init__(self, stream: Any, count: Callable[[], None]) -> None:
        self._stream = stream
        self._count = count
        count()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._stream, name)
        if name not in COUNTED_OF_FILES:
            return found

        def call(*arguments: Any) -> Any:
            self._count()
            return found(*arguments)

        return call

    def __enter__(self) -> _CountedFile:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stream.close()

    def __iter__(self) -> Iterator[bytes]:
        for line in self._stream:
            self._count()
            yield line


def in_a_child(act: Callable[[], int]) -> int:
    """Do something in a fork of this process; gives its exit code, negative for the signal that ended it."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 99
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1):
            os.dup2(null, descriptor)
        signal.alarm(WATCHDOG)
        code = act()
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        os._exit(code)


def run_script(warehouse: Warehouse, script: str, *argv: str) -> int:
    """Run a script in this process as `python script.py` does, failures turned into exit codes; gives the code."""
    return tell_script(warehouse, script, *argv)[0]


def tell_script(warehouse: Warehouse, script: str, *argv: str) -> tuple[int, str]:
    """The same; gives the exit code, and what was said on stderr."""
    main = importlib.import_module(script).main
    kept = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        code = int(console.run(main, ["--config", str(warehouse.config), *argv]))
    for number, handler in zip((signal.SIGINT, signal.SIGTERM), kept, strict=True):
        signal.signal(number, handler)
    return code, said.getvalue()
