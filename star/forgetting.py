"""Which files etl.py --forget means, and the refusal of those that the next run would load again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from dwh.settings.secrets import without_credentials
from dwh.sources.files import is_under
from dwh.sources.ledger import is_unread
from dwh.terminal.errors import ConfigError, WrongValue

if TYPE_CHECKING:
    from dwh.script import Script
    from dwh.sources.ledger import Entry


def find_going(script: Script, ledger: Iterable[Entry]) -> list[Entry]:
    """Find the files in the ledger that --forget names. Raises ConfigError when there is none, and when one of them is
    still in the source."""
    path = _named_in_ledger(script.args.forget)
    going = [entry for entry in ledger if is_under(entry.path, path)]
    if not going:
        raise ConfigError(
            f"no file was loaded from {path}",
            hint=f"{script.next('etl', '--dry-run')}     (shows a file that is gone)",
        )
    names = script.sources.names
    read_again = [entry.path for entry in going if not is_unread(entry, script.locations, names)]
    still_there = script.sources.existing(read_again, path)
    if still_there:
        raise ConfigError(
            f"{still_there[0]} is still there: the next run would load it again",
            hint=f"move {still_there[0]} out of the source first",
        )
    return going


def _named_in_ledger(text: str) -> str:
    """Give the ledger's spelling of the path of --forget. Raises ConfigError."""
    from dwh.settings.locations import ledger_path

    try:
        if not text:  # it would mean the current folder, and everything that was ever loaded from it
            raise WrongValue("the path of a file or folder that is gone")
        return ledger_path(text, Path.cwd())
    except WrongValue as error:
        ways = [f"the same command again with --forget {shlex.quote(right)}" for right in error.instead]
        raise ConfigError(
            f"--forget {without_credentials(text)}",
            evidence=f"expected: {error}",
            hint=ways or "python etl.py --dry-run     (shows a file that is gone)",
        ) from error
