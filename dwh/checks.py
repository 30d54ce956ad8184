"""What a check is: one promise about the warehouse, the SQL that sees it broken, and how the results are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from dwh.terminal.console import Console
from dwh.terminal.errors import ConfigError, DataError
from dwh.terminal.wording import count, printable, seconds

if TYPE_CHECKING:
    from dwh.seam import Engine, Row, Session
    from dwh.settings.config import Config
    from dwh.settings.sections import Checks
    from dwh.sources.listing import Listing

SHOWN_WIDTH = 160  # characters of a sample row in the table, without -v
SHOWN_CHECKS = 4  # in the error of a run in which more failed
COLOURS = {"ok": "", "warn": "yellow", "fail": "red"}

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
    share: bool = False  # the numbers of `balance` are a whole and its part: they may differ
    needs: tuple[str, ...] = ()  # statements that run before, once
    trusts: Check | None = None  # a check without which this one cannot be run
    parameters: Callable[[Checks], Sequence[object]] = lambda _settings: ()  # of `offending`
    look: Callable[[Run, Session], Finding | None] | None = None  # instead of SQL; None: it cannot be told
    severity: Literal["warn", "fail"] = "fail"
    tolerated: str = ""  # a key of [CHECKS]: up to so many only warn
    mend: str = ""  # a command that fixes it
    explain: Callable[[Session], Sequence[Reason]] | None = None  # asked with -v


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


@contextmanager
def only_reading(session: Session) -> Iterator[None]:
    """Open a transaction that sees one state of the warehouse, and is rolled back whatever was done in it.

    It takes no lock: a load may run meanwhile, and is not seen.
    """
    with suppress(_RollBack), session.transaction():
        yield
        raise _RollBack


class _RollBack(Exception):
    pass


def run_checks(run: Run, session: Session, checks: Sequence[Check]) -> Iterator[Result]:
    """Run checks in their order; one that cannot be told has no result.

    Where what a check trusts is broken, it is not run, and that other check's result is given, chosen or not.
    """
    prepared: set[str] = set()
    broken: dict[str, bool] = {}
    for check in checks:
        for needed in (check.trusts, check):
            if needed is None or needed.name in broken:
                continue
            if needed.trusts and broken[needed.trusts.name]:
                run.console.note(f"{needed.name}: not checked, since {needed.trusts.name} is not so")
                continue
            result = _run_check(run, session, needed, prepared)
            broken[needed.name] = result is not None and result.status == "fail"
            if result is not None and (needed is check or broken[needed.name]):
                yield result


def _run_check(run: Run, session: Session, check: Check, prepared: set[str]) -> Result | None:
    for statement in check.needs:
        if statement not in prepared:
            session.execute(statement)
            prepared.add(statement)
    finding = check.look(run, session) if check.look else _measure(session, check, run.config.checks)
    if finding is None:
        return None
    names = check.shows.split()
    sample = [dict(zip(names, row, strict=True)) for row in finding.rows]
    reasons = check.explain(session) if check.explain and run.console.verbosity else ()
    return Result(check, _judge(check, finding, run.config.checks), finding.expected, finding.found, sample, reasons)


def _measure(session: Session, check: Check, settings: Checks) -> Finding:
    rows = session.rows(check.offending, check.parameters(settings)) if check.offending else []
    expected, found = session.rows(check.balance)[0] if check.balance else (0, rows[0][0] if rows else 0)
    return Finding(expected, found, [row[1:] for row in rows])


def _judge(check: Check, finding: Finding, settings: Checks) -> Status:
    if not finding.rows and (check.share or finding.expected == finding.found):
        return "ok"
    tolerated = bool(check.tolerated) and finding.found <= getattr(settings, check.tolerated)
    return "warn" if tolerated else check.severity


def choose(checks: Sequence[Check], names: Sequence[str] | None) -> Sequence[Check]:
    """Choose the checks whose names begin with one of `names`, or all. Raises ConfigError when none begins so."""
    for name in names or ():
        if not any(check.name.startswith(name) for check in checks):
            import difflib

            known = [check.name for check in checks] + [check.name.partition(":")[0] for check in checks]
            close = difflib.get_close_matches(name, known, n=1)
            hint = f'python sql_validate.py --only "{close[0]}"' if close else "python sql_validate.py --list"
            raise ConfigError(f"no check has a name that begins with {name}", hint=hint)
    return [check for check in checks if not names or check.name.startswith(tuple(names))]


def list_checks(console: Console, checks: Sequence[Check]) -> int:
    """Name the checks and say what each promises."""
    width = max(len(check.name) for check in checks)
    for check in checks:
        console.result(f"{check.severity}  {check.name:<{width}}  {check.what}")
    listed = [{"name": check.name, "what": check.what, "severity": check.severity} for check in checks]
    console.finish({"checks": listed})
    return 0


def show(console: Console, result: Result, width: int) -> None:
    """Show one result: its line, and a few rows when it is not ok; with -v whole rows, and the SQL of a failure."""
    check = result.check
    console.result(f"{result.status:<4}  {check.name:<{width}}  {result.outcome}", COLOURS[result.status])
    for line in result.sample_lines:
        console.result(
            f"        {line if console.verbosity or len(line) <= SHOWN_WIDTH else line[:SHOWN_WIDTH] + ' ...'}"
        )
    for reason in result.reasons:
        example = "  ".join(f"{name}={value}" for name, value in reason.example.items())
        console.result(f"        {reason.found:,}  {reason.reason}" + (f", such as {example}" if example else ""))
    if result.status == "fail" and console.verbosity:
        for line in (*check.offending.strip().splitlines(), *check.balance.strip().splitlines()):
            console.result(f"        | {line}")


def conclude(run: Run, tables: dict[str, int], results: Sequence[Result]) -> int:
    """Say what came of all checks. Raises DataError when one failed; with --json the object tells that, and gives 1."""
    console = run.console
    failed = [result for result in results if result.status == "fail"]
    warned = sum(result.status == "warn" for result in results)
    kept = f"{len(results) - warned - len(failed):,} ok, {count(warned, 'warning')}"
    console.result(f"{kept}, {len(failed):,} failed in {seconds(console.elapsed)}", "" if failed else "green")
    checks = [
        {"name": r.check.name, "status": r.status, "expected": r.expected, "found": r.found, "sample": r.sample}
        | ({"reasons": [reason._asdict() for reason in r.reasons]} if r.reasons else {})
        for r in results
    ]
    console.finish({"engine": run.engine.name, "tables": tables, "checks": checks}, ok=not failed)
    if not failed:
        return 0
    error = _gate_closed(failed, len(results))
    if not console.json:
        raise error
    console.say(f"error: {error.message}: {', '.join(result.check.name for result in failed)}", "red", indent="")
    return error.exit_code


def _gate_closed(failed: Sequence[Result], total: int) -> DataError:
    first = failed[0].check
    evidence = [f"{result.check.name}   {result.outcome}" for result in failed[:SHOWN_CHECKS]]
    if len(failed) > SHOWN_CHECKS:
        evidence.append(f"and {len(failed) - SHOWN_CHECKS:,} more")
    look = f'python sql_validate.py -v --only "{first.name}"'
    return DataError(f"{len(failed):,} of {count(total, 'check')} failed", evidence=evidence, hint=(look, first.mend))


def write_junit(path: str, results: Sequence[Result], console: Console) -> None:
    """Write the results as JUnit XML, one test case a check. Raises ConfigError when the file cannot be written."""
    import xml.etree.ElementTree as ET

    failed = sum(result.status == "fail" for result in results)
    totals = {"tests": str(len(results)), "failures": str(failed), "errors": "0", "time": f"{console.elapsed:.3f}"}
    suite = ET.Element("testsuite", {"name": console.script, **totals})
    for result in results:
        subject, _, promise = result.check.name.partition(": ")
        case = ET.SubElement(suite, "testcase", classname=f"{console.script}.{subject}", name=promise)
        seen = "\n".join((result.outcome, *result.sample_lines))
        if result.status == "fail":
            ET.SubElement(case, "failure", message=result.outcome).text = seen
        elif result.status == "warn":
            ET.SubElement(case, "system-out").text = f"warning: {seen}"
    try:
        ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        hint = "python sql_validate.py --junit checks.xml"
        raise ConfigError(f"{path} cannot be written", evidence=str(error), hint=hint) from error
