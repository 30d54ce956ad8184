"""What PostgreSQL's errors mean for the user."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dwh.errors import Busy, DwhError, EnvironmentFailure, NotReady, RecordsRefused

if TYPE_CHECKING:
    import psycopg2

    from dwh.settings import Postgres


class DatabaseMissing(EnvironmentFailure):
    """The server answers, and has no such database."""


def connect_error(error: psycopg2.OperationalError, settings: Postgres, place: str) -> DwhError:
    """Sort what goes wrong while connecting: libpq gives text only."""
    text = " ".join(str(error).split())
    if re.search(r'database "[^"]*" does not exist', text):
        return DatabaseMissing(
            f"database {settings.db_name} does not exist on {settings.host}", hint="python conn_start.py"
        )
    if "password authentication failed" in text or "no password supplied" in text or "role" in text:
        hint = ("[POSTGRES] DB_USER", "[POSTGRES] DB_PASSWORD in dwh.local.cfg, PGPASSWORD or ~/.pgpass")
        return EnvironmentFailure(f"{place} does not let this user in", evidence=text, hint=hint)
    if "could not translate host name" in text:
        return EnvironmentFailure(f"there is no host {settings.host}", evidence=text, hint="[POSTGRES] HOST")
    if "certificate" in text or "SSL" in text:
        return EnvironmentFailure(f"{place}: the connection is not safe", evidence=text, hint="[POSTGRES] SSLROOTCERT")
    return NotReady(
        f"{place} does not answer", evidence=text, hint=("[POSTGRES] HOST and PORT", "python conn_start.py")
    )


def server_error(error: psycopg2.Error, place: str, *, lost: bool) -> DwhError:
    """Sort an error of the server by its SQLSTATE; what is not known here is a bug."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    code = error.pgcode or ""
    if lost or code.startswith(("08", "57P")):
        evidence = (first, "what was under way was not stored, unless it was being committed: the next run finds out")
        return EnvironmentFailure(
            f"the connection to {place} was lost", evidence=evidence, hint="the same command again"
        )
    for codes, kind, message, hint in _CASES:
        if code.startswith(codes):
            return kind(message.format(place=place), evidence=f"PostgreSQL {code}: {first}", hint=hint)
    return DwhError(f"PostgreSQL {code}: {first}", hint="report this; -vv shows the statement")


# SQLSTATE (or its class), our class, our words, what to try.
_CASES: tuple[tuple[tuple[str, ...], type[DwhError], str, str], ...] = (
    (("55P03", "40001", "40P01"), Busy, "somebody else is loading into {place}", "python etl.py --wait 5m"),
    (("42P01",), EnvironmentFailure, "a table is missing in {place}", "python create_tables.py"),
    (("42703",), EnvironmentFailure, "the tables in {place} are older than sql_queries.py", "python create_tables.py"),
    (("42501",), EnvironmentFailure, "this user may not do that in {place}", "ask the owner of the schema for it"),
    (("53",), EnvironmentFailure, "{place} has run out of room", "free space on the server and run this again"),
    (
        ("22P02", "22P04", "22P05", "22021", "22023", "22032", "22030", "54000", "54001"),
        RecordsRefused,
        "PostgreSQL refused a record that this suite found nothing wrong with",
        "report this, with the file",
    ),
)
