"""What a check is: one promise about the warehouse, the SQL that sees it broken, and how the results are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from dwh.terminal.wording import count, printable

if TYPE_CHECKING:
    from dwh.checks.declarations import Declaration, Glance
    from dwh.seam import Engine, Row, Session
    from dwh.settings.config import Config
    from dwh.settings.sections import Checks
    from dwh.sources.listing import Listing
    from dwh.terminal.console import Console

Status = Literal["ok", "warn", "fail"]


class Run(Protocol):
    """What checks know of the script that runs them."""

    @property
    def console(self) -> Console:
        """Where it speaks."""

    @property
    def config(self) -> Config:
        """Its settings."""

    @property
    def engine(self) -> Engine:
        """The engine of the warehouse."""

    @property
    def locations(self) -> Mapping[str, Sequence[str]]:
        """Where the files of each kind lie."""

    def list_sources(self) -> Mapping[str, Listing]:
        """List the files of each kind. Raises EnvironmentFailure when a location cannot be read."""


class Finding(NamedTuple):
    """What a check measured: two numbers, and a few of the rows that break its promise."""

    expected: Any
    found: Any
    rows: Sequence[Row]


class Reason(NamedTuple):
    """One of several reasons for what a check found: how often it applies, and an example."""

    reason: str
    found: int
    example: dict[str, Any]


class Check(NamedTuple):
    """One promise, and how it is seen broken: `offending` gives a row, or the two numbers of `balance` differ.

    The first column of `offending` is the number of all such rows, `shows` names the others, `unit` says what they are.
    """

    name: str
    what: str
    offending: str = ""
    shows: str = ""
    unit: str = ""
    balance: str = ""
    glance: Glance | None = None  # where it counts 0, `offending` gives no row: asked first, because it takes less time
    share: bool = False  # the numbers of `balance` are a whole and its part: they may differ
    needs: tuple[str, ...] = ()  # statements that run before, once
    trusts: Check | None = None  # a check without which this one cannot be run
    parameters: Callable[[Checks], Sequence[object]] = lambda _settings: ()  # of `offending`
    look: Callable[[Run, Session], Finding | None] | None = None  # instead of SQL; None: it cannot be told
    severity: Literal["warn", "fail"] = "fail"
    tolerated: str = ""  # a key of [CHECKS]: up to so many only warn
    fix: str = ""  # the command that fixes it
    explain: Callable[[Session], Sequence[Reason]] | None = None  # asked with -v
    declared: Declaration | None = None  # what it promises, as data; None where its SQL is one of a kind


class Result(NamedTuple):
    """What came of a check."""

    check: Check
    status: Status
    expected: Any
    found: Any
    sample: Sequence[dict[str, Any]]
    reasons: Sequence[Reason] = ()

    @property
    def outcome(self) -> str:
        """What was found, in the words of the table."""
        if self.check.unit:
            return count(self.found, self.check.unit)
        if self.check.share:
            return f"{self.found:,} of {self.expected:,} ({self.found / (self.expected or 1):.1%})"
        if self.expected == self.found:
            return f"{self.expected:,} = {self.found:,}"
        return f"{self.found:,}, expected {self.expected:,}"

    @property
    def sample_lines(self) -> list[str]:
        """The sample, one line a row, as a person reads it."""
        return [printable("  ".join(f"{name}={value}" for name, value in row.items())) for row in self.sample]
