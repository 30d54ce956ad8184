"""What status.json knows, in the text format of Prometheus, for the textfile collector of its node exporter.

Names follow https://prometheus.io/docs/practices/naming/: one prefix, base units, the unit at the end. The collector
takes no time stamps of samples, so a time is a value of its own, in seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

PREFIX = "sparkify"
Sample = tuple[dict[str, str], float]


def to_prometheus(status: Mapping[str, Any]) -> str:
    """Write all metrics, each with its help and type. What is not known yet has no line."""
    warehouse = {"engine": status["warehouse"]["engine"]}
    text = []
    for name, meaning, samples in _metrics(status):
        known = [(labels, value) for labels, value in samples if value is not None]
        if known:
            text += [f"# HELP {PREFIX}_{name} {meaning}", f"# TYPE {PREFIX}_{name} gauge"]
            text += [f"{PREFIX}_{name}{_labels({**warehouse, **labels})} {value:.15g}" for labels, value in known]
    return "".join(f"{line}\n" for line in text)


def _metrics(status: Mapping[str, Any]) -> Iterator[tuple[str, str, list[tuple[dict[str, str], float | None]]]]:
    """Give name, meaning and samples of each metric."""
    for part, what in (("load", "load"), ("check", "run of the checks"), ("lake", "export to the lake")):
        found = status.get(part, {})
        yield f"{part}_last_run_timestamp_seconds", f"When the last {what} ended.", [({}, _seconds(found.get("at")))]
        yield (
            f"{part}_last_success_timestamp_seconds",
            f"When the last {what} ended that succeeded.",
            [({}, _seconds(found.get("last_ok")))],
        )
        yield f"{part}_success", f"1 when the last {what} succeeded, else 0.", [({}, _number(found.get("ok")))]
        yield f"{part}_duration_seconds", f"How long the last {what} took.", [({}, _number(found.get("seconds")))]
    counted = status.get("check", {}).get("checks", {})
    yield "checks", "Checks of the last run by result.", [({"result": name}, n) for name, n in counted.items()]
    rows = status.get("rows", {})
    yield "table_rows", "Rows of each table.", [({"table": table}, number) for table, number in rows.items()]
    newest = status.get("freshness", {}).get("newest")
    yield "newest_data_timestamp_seconds", "The time of the newest record of the star.", [({}, _seconds(newest))]
    yield "lake_size_bytes", "Bytes of the current export.", [({}, _number(status.get("lake", {}).get("bytes")))]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, bool | int | float) else None


def _seconds(time: str | None) -> float | None:
    return datetime.fromisoformat(time).timestamp() if time else None


def _labels(labels: Mapping[str, str]) -> str:
    escaped = {
        name: value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"') for name, value in labels.items()
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"
