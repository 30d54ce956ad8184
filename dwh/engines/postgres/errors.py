"""What PostgreSQL's errors mean for the user."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dwh.engines.libpq_errors import MAKING, NEEDED, Case
from dwh.terminal.errors import Busy, DwhError, EnvironmentFailure, NotReady, RecordsRefused

if TYPE_CHECKING:
    import psycopg2

    from dwh.settings.sections import Postgres


class DatabaseMissing(EnvironmentFailure):
    """The server answers, but has no such database."""


def connect_error(error: psycopg2.OperationalError, settings: Postgres, place: str) -> DwhError:
    """Sort an error while connecting, by its text: libpq gives nothing else."""
    text = " ".join(str(error).split())
    if re.search(r'database "[^"]*" does not exist', text):
        return DatabaseMissing(
            f"database {settings.db_name} does not exist on {settings.host}", hint="python conn_start.py"
        )
    if re.search('password authentication failed|no password supplied|role "|no pg_hba.conf entry', text):
        hint = ("[POSTGRES] DB_USER", "[POSTGRES] DB_PASSWORD in dwh.local.cfg, PGPASSWORD or ~/.pgpass")
        return EnvironmentFailure(f"{place} does not let this user in", evidence=text, hint=hint)
    if "could not translate host name" in text:
        return EnvironmentFailure(f"there is no host {settings.host}", evidence=text, hint="[POSTGRES] HOST")
    if "certificate" in text or "SSL" in text:
        return EnvironmentFailure(f"{place}: the connection is not safe", evidence=text, hint="[POSTGRES] SSLROOTCERT")
    return NotReady(
        f"{place} does not answer", evidence=text, hint=("[POSTGRES] HOST and PORT", "python conn_start.py")
    )


# SQLSTATE (or its class), our class, our message, what to try.
CASES: tuple[Case, ...] = (
    (("55P03", "40001", "40P01"), Busy, "another session is using {place}", "the same command again with --wait 5m"),
    # none of our tables has a key: two programs are making the same table at the same time
    (("23505", "42701", "42710", "42P07", "42P06"), Busy, *MAKING),
    (("2BP01",), EnvironmentFailure, *NEEDED),
    (
        ("3F000",),
        EnvironmentFailure,
        "this user may not use the schema of {place}",
        "ask the owner of the schema for it",
    ),
    (("42P01",), EnvironmentFailure, "a table is missing in {place}", "python create_tables.py"),
    (("42703",), EnvironmentFailure, "the tables in {place} are older than sql_queries.py", "python create_tables.py"),
    (("42501",), EnvironmentFailure, "this user may not do that in {place}", "ask the owner of the schema for it"),
    (("53",), EnvironmentFailure, "{place} has run out of room", "free space on the server and run this again"),
    (
        ("22", "54000", "54001"),
        RecordsRefused,
        "PostgreSQL refused a record that this suite found nothing wrong with",
        "report this, with the file",
    ),
)
