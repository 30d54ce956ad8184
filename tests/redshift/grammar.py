"""Whether what reached the cluster is Redshift's SQL, by sqlfluff's grammar of it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from sqlfluff.core import FluffConfig, Linter


@cache
def _linter() -> Linter:
    return Linter(config=FluffConfig(overrides={"dialect": "redshift"}))


@cache
def _violations(statement: str) -> tuple[str, ...]:
    parsed = _linter().parse_string(statement.rstrip().rstrip(";") + ";\n")
    return tuple(f"{v.line_no}:{v.line_pos} {v.desc()}" for v in parsed.violations)


def parse_all(statements: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Give the statements that do not parse, with the reasons; empty when all are Redshift's SQL.

    sqlfluff 4.5 refuses two things that Redshift takes: IGNOREALLERRORS and COPY JOB.
    """
    return {statement: found for statement in statements if (found := _violations(statement))}
