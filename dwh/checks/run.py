"""Run checks in one transaction that changes nothing."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from dwh.checks.check import Check, Finding, Result, Run, Status
from dwh.terminal.errors import ConfigError

if TYPE_CHECKING:
    from dwh.seam import Session
    from dwh.settings.sections import Checks


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
    rows = []
    if check.offending and not _holds_at_a_glance(session, check):
        rows = session.rows(check.offending, check.parameters(settings))
    expected, found = session.rows(check.balance)[0] if check.balance else (0, rows[0][0] if rows else 0)
    return Finding(expected, found, [row[1:] for row in rows])


def _holds_at_a_glance(session: Session, check: Check) -> bool:
    sql = check.glance.glance(session.row_digest) if check.glance else ""
    return bool(sql and session.rows(sql)[0][0] == 0)


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
            again = f"the same command again with --only {shlex.quote(close[0])}" if close else ""
            hint = again or "python sql_validate.py --list"
            raise ConfigError(f"no check has a name that begins with {name}", hint=hint)
    return [check for check in checks if not names or check.name.startswith(tuple(names))]
