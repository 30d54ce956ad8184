"""Show what came of the checks: on a terminal, as one JSON object, as JUnit XML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dwh.checks.check import Check, Result, Run
from dwh.terminal.errors import ConfigError, DataError
from dwh.terminal.wording import count, seconds

if TYPE_CHECKING:
    from dwh.terminal.console import Console

SHOWN_WIDTH = 160  # characters of a sample row in the table, without -v
SHOWN_CHECKS = 4  # in the error of a run in which more failed
COLOURS = {"ok": "", "warn": "yellow", "fail": "red"}


def list_checks(console: Console, checks: Sequence[Check]) -> int:
    """Name the checks and say what each promises."""
    width = max(len(check.name) for check in checks)
    for check in checks:
        console.result(f"{check.severity}s  {check.name:<{width}}  {check.what}")
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
        console.result(
            f"        {reason.found:,}  {console.call.complete(reason.reason)}"
            + (f", such as {example}" if example else "")
        )
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
    return DataError(f"{len(failed):,} of {count(total, 'check')} failed", evidence=evidence, hint=(look, first.fix))


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
        hint = "the same command again with --junit checks.xml"
        raise ConfigError(f"{path} cannot be written", evidence=str(error), hint=hint) from error
