"""What Redshift's errors mean for the user. It has few SQLSTATEs: many errors are XX000 with a text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dwh.engines.libpq_errors import MAKING, NEEDED, Case, server_error
from dwh.terminal.errors import Busy, DwhError, EnvironmentFailure, RecordsRefused

if TYPE_CHECKING:
    import psycopg2

# Texts of S3's refusal [D23 dg/s3serviceexception-error.html; G dbt-labs/redshift#62].
DENIED = ("Access Denied", "is not authorized to perform")
# SQLSTATE, or a piece of the text of XX000 [D23, G]; our class, our message, what to try.
CASES: tuple[Case, ...] = (
    (("57014",), Busy, "a statement took too long on {place}", "the same command again, later"),
    (("1023",), Busy, "another session is loading into {place}", "the same command again with --wait 5m"),
    (("40001",), Busy, "another session is loading into {place}", "the same command again with --wait 5m"),
    (("23505", "42701", "42710", "42P07", "42P06"), Busy, *MAKING),
    (("2BP01",), EnvironmentFailure, *NEEDED),
    (("42P01",), EnvironmentFailure, "a table is missing in {place}", "python create_tables.py"),
    (
        ("3F000",),
        EnvironmentFailure,
        "the schema is missing in {place}, or this user may not use it",
        "python conn_start.py     (or ask the owner of the schema for it)",
    ),
    (("42703",), EnvironmentFailure, "the tables in {place} are older than sql_queries.py", "python create_tables.py"),
    (("42501",), EnvironmentFailure, "this user may not do that in {place}", "ask the owner of the tables for it"),
    (("Check '",), RecordsRefused, "COPY refused a record that this suite found nothing wrong with", "report this"),
    (
        ("22", "Invalid digit", "Overflow"),
        RecordsRefused,
        "Redshift refused a record that this suite found nothing wrong with",
        "report this, with the file",
    ),
    (
        ("not authorized to assume IAM Role",),
        EnvironmentFailure,
        "the role of COPY cannot be used yet",
        "[IAM_ROLE] ARN, or the same command again in a minute (a new role takes a moment)",
    ),
    (
        ("Not authorized to get credentials of role",),
        EnvironmentFailure,
        "the warehouse may not use the role of COPY",
        "[IAM_ROLE] ARN: it must trust redshift.amazonaws.com and redshift-serverless.amazonaws.com",
    ),
    (DENIED, EnvironmentFailure, "the role of COPY may not read [S3] WORK", "python conn_start.py"),
    (("must be addressed using the specified endpoint",), EnvironmentFailure, "[S3] WORK is elsewhere", "[S3] REGION"),
    (("The specified S3 prefix",), EnvironmentFailure, "COPY found nothing under [S3] WORK", "the same command again"),
    (("Disk Full",), EnvironmentFailure, "{place} has run out of room", "[CLUSTER] NUM_NODES = more"),
)
# UNLOAD writes where COPY reads: the same texts are about another place and another right.
UNLOAD_CASES: tuple[Case, ...] = (
    (
        DENIED,
        EnvironmentFailure,
        "the role of UNLOAD may not write to [S3] LAKE",
        ("python conn_start.py", "[IAM_ROLE] ARN     (if it is set: that role needs s3:PutObject below LAKE)"),
    ),
    (("must be addressed using the specified endpoint",), EnvironmentFailure, "[S3] LAKE is elsewhere", "[S3] REGION"),
)
_READ = re.compile(r"S3 key being read : (s3://\S+)")  # [G embulk/embulk-output-jdbc#85]


def sort_error(error: psycopg2.Error, place: str, *, lost: bool) -> DwhError:
    """Word an error of Redshift, by the statement that it is about and the object that it names."""
    asked = (error.cursor.query if error.cursor else None) or b""
    unload = asked.lstrip().startswith(b"UNLOAD")
    worded = server_error(error, place, "Redshift", (*UNLOAD_CASES, *CASES) if unload else CASES, lost=lost)
    if not unload and (read := _READ.search(str(error))):
        worded.evidence = (*worded.evidence, f"read: {read[1]}")
    return worded
