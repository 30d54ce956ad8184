"""The file of --log-file: each line with the time in UTC, the run and the level, and a new file a day when asked."""

from __future__ import annotations

import os
import re
import shlex
import time
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO

from dwh import __version__
from dwh.terminal.errors import ConfigError
from dwh.terminal.wording import printable

RUN_ID = "SPARKIFY_RUN_ID"  # set by run_all.sh, so that all of its scripts are one run
LONGEST_KEPT = 36_500  # days
_headed: set[str] = set()


class Log:
    """A log file. It is opened for each line, so that it can be put aside at any time. Only the user may read it."""

    def __init__(self, path: str, run_id: str) -> None:
        """Make the file when it is missing. Raises ConfigError when it cannot be written."""
        self.run_id = run_id
        self._path = os.path.abspath(path)
        try:
            self._open().close()
        except OSError as error:
            raise not_written(path, error) from error

    def _open(self) -> IO[str]:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")

    def head(self, script: str, command: str) -> None:
        """Write what is run, once in a run."""
        if self._path not in _headed:
            _headed.add(self._path)
            self.write("INFO", f"{script} {__version__}: {printable(command)}")

    def write(self, level: str, line: str) -> None:
        """Write one line at once: of several programs that write to one file, each line stays whole."""
        with self._open() as file:
            file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {self.run_id} {level:<7} {line}\n")


def begin_run() -> None:
    """Forget which files have a header: a new run begins."""
    _headed.clear()


def new_run_id() -> str:
    """Give the run that this process belongs to: the one of run_all.sh, or its own, named by its start in UTC."""
    given = os.environ.get(RUN_ID, "")
    return given if re.fullmatch(r"[0-9]{8}-[0-9]{6}", given) else time.strftime("%Y%m%d-%H%M%S", time.gmtime())


def rotate(path: str, keep_days: int, today: date) -> None:
    """Put the file of an earlier day aside as FILE.2026-11-26, and remove those that are older than `keep_days`.

    Of two runs at once one does it; a run that has the file open writes on in it. Raises ConfigError.
    """
    file = Path(path)
    try:
        if file.is_file() and (day := datetime.fromtimestamp(file.stat().st_mtime, UTC).date()) < today:
            with suppress(FileExistsError, FileNotFoundError):
                os.link(file, f"{path}.{day}")
                file.unlink()
        for old in file.parent.glob("*"):
            day_of = re.fullmatch(re.escape(f"{file.name}.") + r"(\d{4}-\d\d-\d\d)", old.name)
            if day_of and date.fromisoformat(day_of[1]) < today - timedelta(days=min(keep_days, LONGEST_KEPT)):
                old.unlink(missing_ok=True)
    except OSError as error:
        raise not_written(path, error) from error


def not_written(path: str, error: OSError) -> ConfigError:
    """Word the error of a log file that cannot be written, with a folder where it surely can be."""
    import tempfile

    elsewhere = shlex.quote(os.path.join(tempfile.gettempdir(), os.path.basename(path) or "sparkify.log"))
    return ConfigError(
        f"the log file cannot be written: {path}",
        evidence=str(error),
        hint=f"the same command again with --log-file {elsewhere}",
    )
