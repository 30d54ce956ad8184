"""The goals of the load, and whether a run of the bench keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def judge(
    size: str,
    ours: Mapping[str, Any] | None,
    spark: Mapping[str, Any] | None,
    aside: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Give each goal that was measured: its name, the measured value, the limit, and whether it is kept.

    Ratios to what takes long are goals on M alone: elsewhere start-up is most of it.
    """
    goals = []
    if size == "M" and ours and "ratio" in ours:
        goals.append(_at_most("G1 etl.py beside hand-written DuckDB", ours["ratio"], 1.5))
        if spark and "ratio" in spark:
            goals.append(_at_least("G1 etl.py faster than Spark", spark["ratio"] / ours["ratio"], 25))
    for name, one in aside.items():
        for goal in (*one.get("goals", ()), *(one.get("goals_on_m", ()) if size == "M" else ())):
            if "at_most" in goal:
                goals.append(_at_most(goal["goal"], goal["measured"], goal["at_most"], goal.get("unit", "x")))
            else:
                goals.append(_at_least(goal["goal"], goal["measured"], goal["at_least"]))
            goals[-1]["of"] = name
    return goals


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
