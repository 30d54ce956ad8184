"""P100: a test waits for an event, never for time, so the verdict is the same on fast, slow and busy machines.

What its own processes and clocks may do is read from its source. A limit of time is the watchdog (warehouse.py), which
turns a hang into a failure; a comparison of times belongs in bench/.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
FILES = sorted(TESTS.rglob("*.py"))
CLOCKS = {"monotonic", "perf_counter", "process_time", "monotonic_ns", "perf_counter_ns", "getrusage", "Timer"}
# Where a clock or a wait of a given time is what it is about, and why no verdict hangs on it.
ALLOWED = {
    "warehouse.py": {"monotonic", "Popen"},  # the watchdog of a terminal; what runs on it has no pipes, and is killed
    "promises/test_memory.py": {"getrusage"},  # memory; seconds are told, and compared with nothing
    "redshift/session.py": {"monotonic"},  # the stand-in's own statement_timeout
    "redshift/test_standin_copy.py": {"sleep"},  # at least as long as a timeout that must be over then
    "promises/test_access.py": {"timeout=60"},  # an index that may not be there: a skip
}
FAULTY = """
import subprocess, threading, time
time.sleep(1)
started = time.monotonic()
threading.Timer(0.5, print)
subprocess.run(["true"], timeout=20)
process = subprocess.Popen(["true"])
while True:
    time.sleep(0.01)
with subprocess.Popen(["true"]) as process:
    process.wait(timeout=WATCHDOG)
"""


def waits_for_time(source: str) -> Iterator[tuple[str, int]]:
    """Find clocks, sleeps that are no pause between two looks, limits of time, and processes that nobody ends; gives
    each with its line."""
    tree = ast.parse(source)
    looks = {id(call) for loop in ast.walk(tree) if isinstance(loop, ast.While) for call in ast.walk(loop)}
    ended = {id(item.context_expr) for node in ast.walk(tree) if isinstance(node, ast.With) for item in node.items}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            if name in CLOCKS:
                yield name, node.lineno
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called == "time.sleep" and id(node) not in looks:
            yield "sleep", node.lineno
        if called == "subprocess.Popen" and id(node) not in ended:
            yield "Popen", node.lineno
        for given in node.keywords:
            if given.arg == "timeout" and isinstance(given.value, ast.Constant) and given.value.value:
                yield f"timeout={ast.unparse(given.value)}", node.lineno


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_p100_no_test_waits_for_time(path: Path) -> None:
    """No file of the tests has a clock, a sleep, a limit of its own, or a process that outlives a failure."""
    allowed = ALLOWED.get(str(path.relative_to(TESTS)), set())
    found = waits_for_time(path.read_text(encoding="utf-8"))
    assert [(what, line) for what, line in found if what not in allowed] == []


def test_p100_what_waits_for_time_is_seen() -> None:
    """The search was seen finding each way, and leaves pauses between two looks alone."""
    assert sorted(waits_for_time(FAULTY), key=lambda found: found[1]) == [
        ("sleep", 3),
        ("monotonic", 4),
        ("Timer", 5),
        ("timeout=20", 6),
        ("Popen", 7),
    ]
