"""Odd terminals: one of ASCII only, a narrow one, and one on which a long step is watched."""

from __future__ import annotations

import importlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import rich.console
from warehouse import REPO, Warehouse, event, plays, song

from dwh.terminal import progress
from dwh.terminal.console import Console

ASCII = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}


def test_p216_a_stdout_of_ascii_gets_escapes(warehouse: Warehouse) -> None:
    """A path or a value with other letters is spelt out, and no script ends with 70."""
    warehouse.write("log_data/Ångström.json", [event(song="Été", ts="yesterday")])
    done = warehouse.run("etl", "--dry-run", env=ASCII)
    assert (done.code, r"\xc5ngstr\xf6m.json" in done.out) == (0, True)
    done = warehouse.run("ask", "SELECT 'Été' AS été", env=ASCII)
    assert (done.code, r"\xc9t\xe9" in done.out) == (0, True)


def test_p216_no_number_is_broken_on_60_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line of a long step keeps its numbers whole: the bar is shorter instead."""
    drawn = io.StringIO()
    real = rich.console.Console
    monkeypatch.setattr(rich.console, "Console", lambda **_: real(file=drawn, width=60, force_terminal=True))
    with progress.bar("fetching", 9_876_543_210, "bytes", plain=True) as advance:
        advance(1)
    assert "0/9876543210 bytes 0:00:00" in re.sub(r"\x1b\[[0-9;]*m", "", drawn.getvalue())


# A script that is stopped while it writes a line to the terminal: the signal comes from within the write.
STOPPED_WITHIN_A_LINE = """
import io, os, signal, sys
from dwh.terminal import console

class Terminal(io.RawIOBase):
    stopped = False

    def writable(self):
        return True

    def write(self, data):
        if not self.stopped:
            self.stopped = True
            os.kill(os.getpid(), signal.SIGINT)
        return os.write(2, data)

def main(argv):
    print("a line", file=sys.stderr, flush=True)
    raise AssertionError("it went on")

sys.stderr = io.TextIOWrapper(io.BufferedWriter(Terminal()), line_buffering=True)
raise SystemExit(console.run(main, []))
"""


def test_a_stop_in_the_middle_of_a_line_is_told_as_any_other() -> None:
    """Python does not let a handler write to a stream that is being written to; the stop is not lost for that."""
    done = subprocess.run([sys.executable, "-c", STOPPED_WITHIN_A_LINE], cwd=REPO, capture_output=True, text=True)
    assert (done.returncode, done.stderr.splitlines()[0]) == (130, "a line")
    assert "error: stopped before the end" in done.stderr


def test_sql_validate_lists_what_a_check_does(warehouse: Warehouse) -> None:
    """Each check fails or warns."""
    listed = warehouse.call("sql_validate", "--list").out.splitlines()
    assert {line.split()[0] for line in listed} == {"fails", "warns"}


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_p217_what_is_reported_often_is_shown_as_often_as_it_should() -> None:
    """However fast the reports come, the sum is shown once in each interval, and never later than the first report
    after it."""
    clock = Clock()
    shown: list[tuple[float, int]] = []
    pace = progress.Pace(lambda done: shown.append((clock.now, done)), 0.1, clock)
    for _ in range(1000):
        clock.now += 0.013
        pace.advance(1)
    times = [0.0, *(when for when, _ in shown)]
    assert max(after - before for before, after in pairwise(times)) < 0.1 + 2 * 0.013
    assert len(shown) < 1000 / 5
    assert shown[-1][1] > 980


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """Give what is reported of each step, by its label, as on a terminal."""
    seen: dict[str, list[int]] = {}

    @contextmanager
    def watched(_console: Console, label: str, total: int, _unit: str) -> Iterator[object]:
        steps = seen.setdefault(label, [])
        yield lambda done: steps.append(done)
        steps.append(-total)

    monkeypatch.setattr(Console, "progress", watched)
    return seen


def test_p217_a_sample_reports_each_visit(tmp_path: Path, reports: dict[str, list[int]]) -> None:
    """Between two reports lie at most as many events as one visit has, a millisecond's work; the sum is the total."""
    importlib.import_module("make_sample").main(["-q", "--events", "3000", str(tmp_path / "s")])
    *done, total = reports["making"]
    assert (sum(done), max(done) <= 120) == (-total, True)


def test_p217_a_load_reports_each_batch_and_each_statement(
    warehouse: Warehouse, reports: dict[str, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading moves with each batch of small files, loading with each statement; the line stays until the commit has
    ended, and the time in it runs meanwhile."""
    for module in ("load", "ingestion"):
        monkeypatch.setattr(f"star.{module}.is_large", lambda _files: True)
    warehouse.write("song_data/a.json", [song()])
    for number in range(3):
        warehouse.write(f"log_data/{number}.json", plays(1, sessionId=number))
    warehouse.etl()
    assert reports["reading"] == [1, 3, -4]
    assert set(reports["loading"][:-1]) == {1}
    assert len(reports["loading"]) > 10


def test_p217_the_time_runs_while_a_statement_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line is drawn by a thread of its own, at least twice a second, without any report."""
    import rich.progress

    made: list[rich.progress.Progress] = []
    real = rich.progress.Progress.__enter__

    def enter(self: rich.progress.Progress) -> rich.progress.Progress:
        made.append(self)
        return real(self)

    monkeypatch.setattr(rich.progress.Progress, "__enter__", enter)
    with progress.bar("loading", 3, "steps", plain=True):
        [shown] = made
        assert shown.live.auto_refresh
        assert shown.live.refresh_per_second >= 2
