"""Run a command as a process of its own, and measure it: seconds, CPU seconds, peak memory of it and its children."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

EVERY = 0.1  # seconds between two readings of the memory
SHOWN = 6  # lines of a failed command's output


class Taken(NamedTuple):
    """What one run took: seconds, CPU seconds with those of its children, and the most bytes of memory it held.

    Memory is the larger of two: the sum over the process and its children at one look, and the peak of any one of them.
    (The peak that wait4 gives would be no smaller than what this process held when it started the other.)
    """

    wall: float
    cpu: float
    memory: int


class Failed(Exception):
    """A command failed that must succeed; the text has its exit code and its last output."""


def measure(command: Sequence[str], env: Mapping[str, str], log: Path, cwd: Path | None = None) -> Taken:
    """Run a command; its output goes to `log`. Raises Failed when its exit code is not 0."""
    peaks, ended = [0], threading.Event()
    started = time.perf_counter()
    with log.open("wb") as said:
        process = subprocess.Popen(command, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    watcher = threading.Thread(target=_watch, args=(process.pid, peaks, ended))
    watcher.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    except BaseException:
        process.kill()
        raise
    finally:
        ended.set()
        watcher.join()
    if process.returncode:
        last = log.read_text(errors="replace").strip().splitlines()[-SHOWN:]
        raise Failed(f"exit code {process.returncode}: " + " | ".join(line.strip() for line in last))
    return Taken(wall, usage.ru_utime + usage.ru_stime, max(peaks))


def clean_environment(**changes: str) -> dict[str, str]:
    """Give this environment without the suite's variables, and with these changes."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("DWH_", "PG"))} | changes


def _watch(pid: int, peaks: list[int], ended: threading.Event) -> None:
    while not ended.wait(EVERY):
        peaks.append(_memory(pid))


def _memory(pid: int) -> int:
    now, peak = 0, 0
    for one in _tree(pid):
        try:
            fields = dict(
                line.split(":", 1) for line in Path(f"/proc/{one}/status").read_text().splitlines() if ":" in line
            )
        except OSError:  # it has just ended
            continue
        now += _kilobytes(fields.get("VmRSS"))
        peak = max(peak, _kilobytes(fields.get("VmHWM")))
    return max(now, peak) * 1024


def _kilobytes(field: str | None) -> int:
    return int(field.split()[0]) if field else 0


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found = children.read_text().split()
        except OSError:
            continue
        for child in found:
            yield from _tree(int(child))
