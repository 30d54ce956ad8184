"""Sorting the errors of PostgreSQL and Redshift: by SQLSTATE, or by text where the SQLSTATE says nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dwh.terminal.errors import DwhError, EnvironmentFailure

if TYPE_CHECKING:
    import psycopg2

UNSORTED = "XX000"  # Redshift's SQLSTATE for most errors
_CODE = re.compile(r"[0-9A-Z]{2}(?:[0-9A-Z]{3})?")  # a SQLSTATE or its class
# Beginnings of SQLSTATEs, or pieces of the text of XX000; our class, our message, what to try.
Case = tuple[tuple[str, ...], type[DwhError], str, str | tuple[str, ...]]
MAKING = ("another session is making tables in {place}", "the same command again")
NEEDED = (
    "another view or table needs a table of this suite in {place}: nothing was removed",
    "move that view or table elsewhere, or drop it     (if it is yours)",
)


def server_error(error: psycopg2.Error, place: str, engine: str, cases: Sequence[Case], *, lost: bool) -> DwhError:
    """Word an error of the server by the first matching case; an error without a case is a bug."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    code = error.pgcode or ""
    if lost or code.startswith(("08", "57P")):
        evidence = (first, "unfinished work was not stored; committed work is kept")
        return EnvironmentFailure(
            f"the connection to {place} was lost", evidence=evidence, hint="the same command again"
        )
    for signs, kind, message, hint in cases:
        words = [sign for sign in signs if not _CODE.fullmatch(sign)]
        if code.startswith(signs) or (code == UNSORTED and any(sign in first for sign in words)):
            return kind(message.format(place=place), evidence=f"{engine} {code}: {first}", hint=hint)
    return DwhError(f"{engine} {code}: {first}", hint="report this; -vv shows the statement")
