"""The proof of a warehouse that was restored: its totals are those that its ledger tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dwh.checks.run import only_reading, run_checks
from dwh.seam import Change
from dwh.terminal.errors import DataError
from star.checks import CHECKS, choose_quick
from star.owner import check_owner

if TYPE_CHECKING:
    from dwh.script import Script

# Every check that compares two totals, but for those that choose the whole star again: what the ledger read, staged and
# rejected is in its tables, and the star has a row for each play and for each start time.
TOTALS = [check for check in choose_quick(CHECKS) if check.balance and not check.share]


def prove_totals(script: Script) -> list[Change]:
    """Compare the totals of the warehouse with its ledger, in one state of it; gives a line for each comparison.

    It reads no source. Raises DataError when two totals differ, EnvironmentFailure when other things have the names of
    our tables. A warehouse without our tables of today has nothing to compare, and a line says so.
    """
    with script.connected(read_only=True) as session, only_reading(session):
        standing = check_owner(session, script.engine)
        if standing.whose != "ours":
            what = "no tables of this suite" if standing.whose == "none" else "tables of version 0.1"
            return [Change("=", f"totals: not compared, it has {what}", beside=True)]
        results = list(run_checks(script, session, TOTALS))
    failed = [result for result in results if result.status == "fail"]
    if failed:
        raise DataError(
            "the restored warehouse is not what its ledger says",
            evidence=[f"{result.check.name}   {result.outcome}" for result in failed],
            hint=("python sql_validate.py", failed[0].check.fix),
        )
    return [Change("=", f"{result.check.name}   {result.outcome}", beside=True) for result in results]
