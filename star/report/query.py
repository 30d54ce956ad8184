"""What the report asks the warehouse."""

from __future__ import annotations

from typing import NamedTuple


class Query(NamedTuple):
    """One query of the report. `meaning` is one sentence on what its numbers mean; the page shows it with the SQL."""

    name: str
    meaning: str
    sql: str
