"""What a measurement says of itself, and where it is kept for docs/write_figures.py."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.machine import describe_machine

SAVE = "--save"


def add_save_flag(parser: argparse.ArgumentParser) -> None:
    """Declare --save."""
    parser.add_argument(
        SAVE, type=Path, metavar="FILE", help="keep the JSON object in a file, such as docs/explanation/measured/M.json"
    )


def begin() -> dict[str, Any]:
    """Give date, command and machine, before anything is measured: its load is then that of other work."""
    return {"measured_on": date.today().isoformat(), "command": command(sys.argv), "machine": describe_machine()}


def command(argv: list[str]) -> str:
    """Give the command as a reader would type it in the folder of the suite: no folder of this machine, no --save."""
    words = [f"bench/{Path(argv[0]).name}"]
    for before, word in pairwise(argv):
        flag, equals, value = word.rpartition("=")
        if SAVE not in (before, word, flag):
            words.append(flag + equals + (Path(value).name if value.startswith("/") else value))
    return shlex.join(words)


def save(found: Mapping[str, Any], file: Path | None) -> None:
    """Keep an object in a file, if one is named; its folder is made."""
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
