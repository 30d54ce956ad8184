"""The goals of the load, and whether a run of the bench keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.contest import OURS, YARDSTICK

SPARK = "pyspark_local"

LIMITS = {"M": 1.6, "200k": 1.7, "X": 2.0}  # of etl.py beside the yardstick, by the size of the data
MODELLED_CORES, ON_MODELLED_CORES = 8, 1.7
NEW_LOG = 0.24  # one new log file beside the yardstick on all of M


def judge(
    size: str,
    contestants: Mapping[str, Mapping[str, Any]],
    aside: Mapping[str, Mapping[str, Any]],
    cores: int,
) -> list[dict[str, Any]]:
    """Give each goal that was measured: its name, the measured value, the limit, and whether it is kept.

    `cores` is how many the machine has. Sizes without an entry in LIMITS have no goal beside the yardstick: of S,
    start-up is most; L is told for its memory.
    """
    goals = []
    ours, yardstick, spark = (contestants.get(name) for name in (OURS, YARDSTICK, SPARK))
    if ours and yardstick and "ratio" in ours and size in LIMITS:
        goals.append(_at_most("etl.py beside hand-written DuckDB, seconds", ours["ratio"], LIMITS[size]))
        goals.append(_at_most("etl.py beside hand-written DuckDB, CPU s", ours["cpu_ratio"], LIMITS[size]))
        if size == "M":
            modelled = on_cores(ours, cores, MODELLED_CORES) / on_cores(yardstick, cores, MODELLED_CORES)
            goals.append(_at_most(f"the same, modelled on {MODELLED_CORES} cores", modelled, ON_MODELLED_CORES))
            if spark and "ratio" in spark:
                goals.append(_at_least("etl.py faster than Spark", spark["ratio"] / ours["ratio"], 25))
    if size == "M" and ours and "ratio" in ours and (later := aside.get("later_runs")):
        # by way of the full load, which ran in turn with both: the machine may be slower by now
        one_log = later["one_new_log_ratio"] * ours["ratio"]
        goals.append(_at_most("one new log file beside hand-written DuckDB on all", one_log, NEW_LOG))
    for name, one in aside.items():
        for goal in (*one.get("goals", ()), *(one.get("goals_on_m", ()) if size == "M" else ())):
            if "at_most" in goal:
                goals.append(_at_most(goal["goal"], goal["measured"], goal["at_most"], goal.get("unit", "x")))
            else:
                goals.append(_at_least(goal["goal"], goal["measured"], goal["at_least"]))
            goals[-1]["of"] = name
    return goals


def on_cores(one: Mapping[str, Any], cores: int, modelled: int) -> float:
    """Give the seconds that a contestant would take on so many cores, by Amdahl's law.

    What it took on `cores` says how much of its CPU seconds ran on one of them alone: all that is not spread evenly
    over all. A model, no measurement: it leaves out the disk, and cores that share a cache.
    """
    alone = max(0.0, (cores * one["wall_s"] - one["cpu_s"]) / (cores - 1)) if cores > 1 else one["cpu_s"]
    return float(alone + max(0.0, one["cpu_s"] - alone) / modelled)


def tell_goals(goals: list[dict[str, Any]], tell: Callable[[str], None]) -> None:
    """Print them, a line each."""
    for goal in goals:
        kept, sign = "ok  " if goal["kept"] else "FAIL", "<=" if goal["kind"] == "at_most" else ">="
        unit = goal["unit"]
        tell(f"{kept}  {goal['goal']:<58} {goal['measured']:.2f}{unit}  (goal {sign} {goal['limit']}{unit})")


def _at_most(name: str, measured: float, limit: float, unit: str = "x") -> dict[str, Any]:
    return _goal(name, measured, limit, "at_most", unit, kept=measured <= limit)


def _at_least(name: str, measured: float, limit: float) -> dict[str, Any]:
    return _goal(name, measured, limit, "at_least", "x", kept=measured >= limit)


def _goal(name: str, measured: float, limit: float, kind: str, unit: str, *, kept: bool) -> dict[str, Any]:
    return {"goal": name, "measured": round(measured, 2), "limit": limit, "kind": kind, "unit": unit, "kept": kept}
