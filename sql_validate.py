"""Check the warehouse: every record is accounted for, and the star is what staging gives.
Exit code 1 when a check fails, 0 when none does (a warning is not a failure). Nothing is changed.

  python sql_validate.py                    run every check
  python sql_validate.py --only songplays   run the checks whose names begin with songplays
  python sql_validate.py --quick            leave out the comparison of every row of the star with staging
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import sql_queries as q
from dwh.checks.run import choose, only_reading, run_checks
from dwh.checks.show import conclude, list_checks, show, write_junit
from dwh.script import Script, begin
from dwh.terminal.console import run
from dwh.terminal.errors import ConfigError
from dwh.terminal.flags import ScriptParser, wait_flag, warehouse_parser
from dwh.terminal.wording import count
from star.checks import checks_of, choose_quick
from star.tables import refuse_missing_tables

if TYPE_CHECKING:
    from dwh.seam import Session


def parser() -> ScriptParser:
    """Declare the flags of this script."""
    p = warehouse_parser("sql_validate", __doc__)
    p.what.add_argument(
        "--only", metavar="NAME", action="append", help="run this check, or all that begin with NAME (repeatable)"
    )
    p.what.add_argument("--quick", action="store_true", help="leave out the comparison of every row with staging")
    p.what.add_argument("--list", action="store_true", help="run no check: list them with what each promises")
    p.how.add_argument("--fail-fast", action="store_true", help="stop at the first check that fails")
    wait_flag(p)
    p.output.add_argument("--junit", metavar="FILE", help="write the results as JUnit XML as well")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the checks in one transaction, show each result, fail when a check failed."""
    script = begin("sql_validate", parser(), argv)
    checks = choose(checks_of(script.engine.name), script.args.only)
    if script.args.quick:
        checks = choose_quick(checks)
    if not checks:
        raise ConfigError("--quick leaves out all that --only names", hint=script.next("sql_validate", "--quick"))
    if script.args.list:
        return list_checks(script.console, checks)
    script.console.title(f"{count(len(checks), 'check')}, {script.engine.name}, {script.engine.place}")
    results = []
    with script.connected(script.args.wait, read_only=True) as session, only_reading(session):
        refuse_missing_tables(script, session)
        tables = count_rows(script, session)
        for result in run_checks(script, session, checks):
            results.append(result)
            show(script.console, result, width=max(len(check.name) for check in checks))
            if result.status == "fail" and script.args.fail_fast:
                script.console.note("stopped at the first check that failed")
                break
    if script.args.junit:
        write_junit(script.args.junit, results, script.console)
    return conclude(script, tables, results)


def count_rows(script: Script, session: Session) -> dict[str, int]:
    """Count the rows of every table, and show them."""
    found: dict[str, int] = dict(session.rows(q.COUNT_ALL_ROWS))
    rows = {table: found[table] for table in q.TABLES}
    for group, tables in (("ledger", q.LEDGER), ("staging", q.STAGING), ("star", q.STAR)):
        script.console.result(f"{group:<8}" + "  ".join(f"{table} {rows[table]:,}" for table in tables))
    return rows


if __name__ == "__main__":
    raise SystemExit(run(main))
