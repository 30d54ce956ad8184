"""status.json beside the config: the last load, check and export of a warehouse, its rows, and its newest data."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dwh.monitoring.files import write_at_once

NAME = "status.json"
PARTS = {"etl": "load", "sql_validate": "check", "export_lake": "lake"}  # what each script knows
LOOKING = ("dry_run", "list", "check", "only", "to")  # with one of these flags a script says nothing of the warehouse
_KEPT = {  # of the object of a script
    "load": ("seconds", "files", "error"),
    "check": ("seconds", "error"),
    "lake": ("seconds", "lake", "export", "written", "bytes", "error"),
}


def read(config: Path, warehouse: Mapping[str, str]) -> dict[str, Any]:
    """Read what is known of a warehouse; nothing, when the file is missing, damaged or of another warehouse."""
    with suppress(OSError, ValueError):
        found = json.loads(config.with_name(NAME).read_bytes())
        if isinstance(found, dict) and found.get("warehouse") == dict(warehouse):
            return found
    return {"warehouse": dict(warehouse)}


def update(config: Path, warehouse: Mapping[str, str], told: Mapping[str, Any]) -> dict[str, Any]:
    """Write what a run told into status.json, and give all that is known. Raises OSError; the old file stays then."""
    with _alone(config):
        known = merge(read(config, warehouse), told)
        write_at_once(config.with_name(NAME), json.dumps(known, indent=2, default=str) + "\n")
    return known


def merge(known: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Give what is known after a run. What a failed run could not tell stays as it was."""
    name = PARTS[told["script"]]
    before = known.get(name, {})
    part = {key: told[key] for key in ("at", "run_id", "ok", "exit_code")}
    part["last_ok"] = told["at"] if told["ok"] else before.get("last_ok")
    part |= {key: told[key] for key in _KEPT[name] if key in told}
    if "checks" in told:
        statuses = [check["status"] for check in told["checks"]]
        part["checks"] = {status: statuses.count(status) for status in ("ok", "warn", "fail")}
        part["failed"] = [check["name"] for check in told["checks"] if check["status"] == "fail"]
    after = {**known, name: part}
    if rows := told.get("rows") or told.get("tables") if name != "lake" else None:
        after["rows"] = {**known.get("rows", {}), **rows}
    if told.get("newest"):
        after["freshness"] = {"newest": told["newest"]}
    return after


@contextmanager
def _alone(config: Path) -> Iterator[None]:
    """Let one run at a time read and write the file. The config is locked, or its folder where there is none (an
    installed suite needs none), so that no other file is needed."""
    held = os.open(config if config.exists() else config.parent, os.O_RDONLY)
    try:
        with suppress(OSError):  # a network disk may have no locks
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)
