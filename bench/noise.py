"""The noise of the machine: how long the same loop takes again and again, beside what is measured."""

from __future__ import annotations

import hashlib
import os
import statistics
import time
from threading import Thread
from typing import Any

# One call that keeps a core busy for 0.3 s, reads and writes nothing, and lets go of the interpreter's lock.
TURNS = 500_000


class Noise:
    """The seconds that a fixed loop took, on one core and on all of them at once."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {"one_core": [], "all_cores": []}

    def read(self) -> None:
        """Run the loop on one core, then on all."""
        self._seconds["one_core"].append(_run_on(1))
        self._seconds["all_cores"].append(_run_on(os.cpu_count() or 1))

    def summary(self) -> dict[str, dict[str, Any]]:
        """Give median, lowest and highest seconds, and how many per cent the slowest was above the quickest."""
        return {where: summarize(seconds) for where, seconds in self._seconds.items() if seconds}


def summarize(seconds: list[float]) -> dict[str, Any]:
    """Give the summary of at least one reading."""
    return {
        "median_s": round(statistics.median(seconds), 3),
        "lowest_s": round(min(seconds), 3),
        "highest_s": round(max(seconds), 3),
        "slowest_above_quickest_percent": round((max(seconds) / min(seconds) - 1) * 100, 1),
        "readings": len(seconds),
    }


def in_words(summary: dict[str, dict[str, Any]]) -> str:
    """Give a summary as a sentence."""
    told = [
        f"{one['median_s']:.2f} s on {where.replace('_', ' ')} "
        f"({one['lowest_s']:.2f} to {one['highest_s']:.2f}, the slowest "
        f"{one['slowest_above_quickest_percent']:.0f} % above the quickest)"
        for where, one in summary.items()
    ]
    readings = max(one["readings"] for one in summary.values())
    return f"The same loop, run {readings} times before, between and after, took {' and '.join(told)}."


def _run_on(cores: int) -> float:
    threads = [Thread(target=_turn) for _ in range(cores)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def _turn() -> None:
    hashlib.pbkdf2_hmac("sha256", b"the same", b"every time", TURNS)
