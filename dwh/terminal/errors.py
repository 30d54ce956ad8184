"""What can go wrong, sorted by what the caller should do next: one class and one exit code each."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple


class ExitCode(IntEnum):
    """The exit codes of every script. Their meaning never changes."""

    OK = 0
    DATA = 1
    USAGE = 2
    ENVIRONMENT = 3
    BUSY = 4
    BUG = 70
    INTERRUPTED = 130


class Meaning(NamedTuple):
    """What an exit code means: in two words for --help, in a sentence, and what the caller should do."""

    short: str
    sentence: str
    action: str


MEANINGS = {
    ExitCode.OK: Meaning("ok", "It is done, or there was nothing to do.", "Go on."),
    ExitCode.DATA: Meaning("bad data", "A record or a check is wrong.", "Look at the data that the error names."),
    ExitCode.USAGE: Meaning("usage", "A flag or a setting is wrong, or a confirmation is missing.", "Fix the call."),
    ExitCode.ENVIRONMENT: Meaning(
        "environment",
        "Something around it is missing: a folder, a table, a right, room on the disk, the network.",
        "Fix that, then run the same command again.",
    ),
    ExitCode.BUSY: Meaning(
        "busy", "Another session is using the warehouse.", "Try again later, or wait: `python etl.py --wait 5m`."
    ),
    ExitCode.BUG: Meaning("bug", "A bug. The traceback is shown.", "Report it with the lines that were printed."),
    ExitCode.INTERRUPTED: Meaning(
        "interrupted", "Ctrl-C or SIGTERM stopped it. What was committed stays.", "Run the same command again."
    ),
}


class DwhError(Exception):
    """A failure that the suite can explain.

    `message` says what failed in the user's words. `evidence` says where it was seen, in one line or several. `hint` is
    one command or one edit that helps, or several. All three may hold text from data: the console makes it printable.
    """

    kind = "bug"
    exit_code = ExitCode.BUG

    def __init__(self, message: str, *, evidence: str | Sequence[str] = (), hint: str | Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.evidence = (evidence,) if isinstance(evidence, str) else tuple(evidence)
        self.hint = (hint,) if isinstance(hint, str) else tuple(hint)


class DataError(DwhError):
    """A file, a record or a check is wrong: a person has to look at the data."""

    kind = "data"
    exit_code = ExitCode.DATA


class ConfigError(DwhError):
    """The call is wrong: a flag, a key of dwh.cfg, a missing confirmation."""

    kind = "usage"
    exit_code = ExitCode.USAGE


class WrongValue(ValueError):
    """The text of a setting is wrong. The text of this error says what is expected; `instead` holds the right value, or
    several to choose from. Both are shown, so they hold no secret."""

    def __init__(self, expected: str, *instead: str) -> None:
        super().__init__(expected)
        self.instead = instead


class EnvironmentFailure(DwhError):
    """The surroundings are wrong: credentials, network, permission, disk, a missing table or warehouse."""

    kind = "environment"
    exit_code = ExitCode.ENVIRONMENT


class Busy(DwhError):
    """Another session is using the warehouse: an unattended job can try again later."""

    kind = "busy"
    exit_code = ExitCode.BUSY


class NotReady(EnvironmentFailure):
    """It does not answer yet, and may soon."""


class RecordsRefused(DataError):
    """The engine refused a record of a bulk load. The transaction is lost; reading the files again finds the record."""


class Stopped(DwhError):
    """The run was asked to stop, and did."""

    kind = "interrupted"
    exit_code = ExitCode.INTERRUPTED


class Interrupted(BaseException):
    """The user (Ctrl-C) or the system (SIGTERM) asked to stop. Not an Exception, so that no `except Exception`
    swallows it."""

    exit_code = ExitCode.INTERRUPTED
