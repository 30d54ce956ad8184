"""The checks of this star: what sql_validate.py gates with, and report.py shows.

Each is one promise about the warehouse. Most are declared by table, column and condition; one that is like no other has
its SQL beside it. What a check is, and how it is run, is in dwh/checks/.

To add one: an entry in the module of its subject, and a case in tests/test_sql_validate.py in which it is broken.
"""

from __future__ import annotations

from collections.abc import Sequence

from dwh.checks.check import Check
from star.checks import comparison, ledger, oddities, star_tables, storage
from star.checks.prepared import CHOOSE_STAR_AGAIN

# In the order in which they run, on every engine.
CHECKS = (*ledger.CHECKS, *star_tables.CHECKS, *oddities.CHECKS, *comparison.CHECKS)


def checks_of(engine: str) -> Sequence[Check]:
    """Give the checks of an engine: Redshift leaves deleted rows where they are until VACUUM frees their room."""
    return (*CHECKS, *storage.CHECKS) if engine == "redshift" else CHECKS


def choose_quick(checks: Sequence[Check]) -> list[Check]:
    """Leave out the comparison of every row of the star with staging, which chooses the whole star once more."""
    return [check for check in checks if check.needs != CHOOSE_STAR_AGAIN]
