"""Run the command of [NOTIFY]: no shell, the object of the run on its stdin, half a minute at most."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from dwh.terminal.errors import Interrupted

PATIENCE = 30.0  # seconds


def notify(command: Sequence[str], told: Mapping[str, Any], patience: float = PATIENCE) -> str | None:
    """Run a command to its end and give what went wrong with it, None when nothing did. One that is not done within
    `patience` seconds is killed, with all that it started in its group."""
    # files, no pipes: a program that the command left behind must not hold this one
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(json.dumps(told, default=str).encode())
        given.seek(0)
        try:
            # the list of words goes to the system as it is: no shell reads it
            with subprocess.Popen(command, stdin=given, stdout=said, stderr=said, start_new_session=True) as process:
                problem = _wait(process, patience)
        except OSError as error:
            return f"{command[0]} cannot be run: {error.strerror}"
        said.seek(0)
        first = said.readline(200).decode("utf-8", "replace").strip()
    return problem and f"{command[0]} {problem}{': ' if first else ''}{first}"


def _wait(process: subprocess.Popen[bytes], patience: float) -> str | None:
    try:
        code = process.wait(patience)
    except (subprocess.TimeoutExpired, Interrupted) as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        stopped = isinstance(error, Interrupted)
        return "was stopped" if stopped else f"was not done after {patience:g} seconds, and was stopped"
    return None if code == 0 else f"ended with {code}"
