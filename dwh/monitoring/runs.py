"""The end of a run, for those who were not there: one script, or the whole sequence of run_all.sh."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dwh.monitoring import status
from dwh.monitoring.files import write_at_once
from dwh.monitoring.metrics import to_prometheus
from dwh.monitoring.notify import notify
from dwh.terminal.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from dwh.settings.config import Config

STEPS = "SPARKIFY_RUN_STEPS"  # set by run_all.sh: the file to which each script adds the object of its run
ASKED_BY_HAND = ("ask",)  # nobody is told of a question


class Ended(NamedTuple):
    """A script that has ended: its flags and settings, who knows the address of its warehouse, its run, and who says
    what went wrong with telling it."""

    script: str
    args: argparse.Namespace
    config: Config
    address: Callable[[], Mapping[str, str]]
    run_id: str
    note: Callable[[str], None]


def refuse_metrics(file: str | None) -> None:
    """Raise ConfigError when --metrics names a file that cannot be written, before anything is done."""
    if file is None:
        return
    folder = Path(file).absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK) or Path(file).is_dir():
        raise ConfigError(
            f"the file of --metrics cannot be written: {file}",
            hint="the same command again with --metrics sparkify.prom",
        )


def tell_others(run: Ended, code: int, told: Mapping[str, Any]) -> None:
    """Keep what a script told in status.json and the file of --metrics, then run the command of [NOTIFY].

    In run_all.sh the object is left for its end. A run that only looked is told to nobody.
    """
    flags = vars(run.args)
    event = {**told, "script": run.script, "ok": code == 0, "exit_code": int(code), "run_id": run.run_id, "at": _now()}
    looked = any(flags.get(flag) for flag in status.LOOKING)
    changes = run.script in status.PARTS and not looked
    if changes or run.args.metrics:
        try:
            _keep(run, event if changes else None)
        except (OSError, ConfigError) as error:
            run.note(f"what is known was not written: {error}")
    if steps := os.environ.get(STEPS):
        _add_step(Path(steps), event, run.note)
    elif run.script not in ASKED_BY_HAND and not looked:
        _notify(run.config, event, run.note)


def _keep(run: Ended, event: Mapping[str, Any] | None) -> None:
    """Write status.json when there is something new, and the file of --metrics. Raises OSError; ConfigError when the
    settings name no warehouse."""
    config, warehouse = run.config.path, run.address()
    known = status.update(config, warehouse, event) if event else status.read(config, warehouse)
    if run.args.metrics:
        write_at_once(Path(run.args.metrics), to_prometheus(known))


def end_sequence(config: Config, told: Mapping[str, Any], steps: str, note: Callable[[str], None]) -> None:
    """Run the command of [NOTIFY] once for run_all.sh, with the objects of its scripts as `steps`."""
    try:
        lines = Path(steps).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        note(f"what the scripts told is lost: {error}")
        lines = []
    _notify(
        config,
        {**told, "ok": told["exit_code"] == 0, "at": _now(), "steps": [json.loads(line) for line in lines]},
        note,
    )


def _add_step(file: Path, event: Mapping[str, Any], note: Callable[[str], None]) -> None:
    try:
        with file.open("a", encoding="utf-8") as steps:
            steps.write(json.dumps(event, default=str) + "\n")
    except OSError as error:
        note(f"run_all.sh does not learn what was done: {error}")


def _notify(config: Config, event: Mapping[str, Any], note: Callable[[str], None]) -> None:
    key = "ON_SUCCESS" if event["ok"] else "ON_FAILURE"
    command = config.notify.on_success if event["ok"] else config.notify.on_failure
    if command and (problem := notify(command, event)):
        note(f"[NOTIFY] {key}: {problem}")


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
