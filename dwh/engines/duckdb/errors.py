"""What DuckDB's errors mean for the user."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dwh.terminal.errors import Busy, DwhError, EnvironmentFailure, RecordsRefused

if TYPE_CHECKING:
    import duckdb


def server_error(error: duckdb.Error, place: str) -> DwhError:
    """Sort an error of the driver by what the user can do about it; an unknown one is a bug."""
    text = str(error)
    first = text.splitlines()[0]
    for pattern, kind, message, evidence, hints in _CASES:
        found = re.search(pattern, text)
        if found:
            words = {"place": place, "first": first}
            return kind(
                message.format(*found.groups(), **words), evidence=[e.format(**words) for e in evidence], hint=hints
            )
    return DwhError(f"DuckDB: {first}", evidence=text.splitlines()[1:], hint="report this; -vv shows the statement")


# The text of DuckDB 2.0 (its error classes are too coarse), our class, our message, the evidence, what to try.
_CASES: tuple[tuple[str, type[DwhError], str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        r"lock is held in (?:.*/)?(.*) \(PID ([0-9]+)\)",
        Busy,
        "{place} is open in another program: {0} (process {1})",
        ("DuckDB lets one program write, or several read, not both at once",),
        (
            "close it (a notebook?) and run this again",
            "the same command again with --wait 5m",
            "[DUCKDB] READERS_COPY = readers.duckdb     (what readers open while a load runs)",
        ),
    ),
    (
        r"No space left on device|File too large",
        EnvironmentFailure,
        "the disk is full: {place} needs more room",
        ("{first}", "unfinished work was rolled back; earlier loads are intact"),
        ("free space and run this again", "[DUCKDB] PATH = /bigger/disk/sparkify.duckdb"),
    ),
    (
        r"^Out of Memory Error",
        EnvironmentFailure,
        "MEMORY_LIMIT is too small for {place}",
        ("{first}", "unfinished work was rolled back; earlier loads are intact"),
        ("[DUCKDB] MEMORY_LIMIT = 4 GB",),
    ),
    (
        r"does not have a column|Referenced column",
        EnvironmentFailure,
        "the tables in {place} are older than sql_queries.py",
        ("{first}",),
        ("python create_tables.py",),
    ),
    (
        r"^Catalog Error: Could not drop the table",
        EnvironmentFailure,
        "another view or table needs a table of this suite in {place}: nothing was removed",
        ("{first}",),
        ("move that table elsewhere, or drop it     (if it is yours)",),
    ),
    (
        r"Table with name (\w+) does not exist",
        EnvironmentFailure,
        "table {0} does not exist in {place}",
        (),
        ("python create_tables.py",),
    ),
    (
        r"^Invalid Input Error: .*JSON|^Conversion Error|^Out of Range Error",
        RecordsRefused,
        "DuckDB refused a record that this suite found nothing wrong with",
        ("{first}", "nothing of this load was stored"),
        ("report this, with the file that the line above names",),
    ),
    (
        r"^IO Error",
        EnvironmentFailure,
        "{place} cannot be used",
        ("{first}",),
        ("[DUCKDB] PATH = another file",),
    ),
)
