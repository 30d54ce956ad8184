"""Rows of PostgreSQL on their way to Parquet: read once by COPY, kept in a DuckDB file, and written from there.

PostgreSQL reads the table once, for any number of files, and DuckDB sorts. Memory holds one piece of text, and what
MEMORY_LIMIT allows DuckDB.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dwh.terminal.errors import DwhError

if TYPE_CHECKING:
    from dwh.engines.duckdb.session import DuckDbSession

PIECE = 32 * 1024 * 1024  # bytes of CSV that DuckDB takes in at once
LONGEST_ROW = 16 * 1024 * 1024
# PostgreSQL's type numbers, and DuckDB's type names [pg_type.dat of PostgreSQL]
TYPES = {
    16: "BOOLEAN",
    20: "BIGINT",
    21: "SMALLINT",
    23: "INTEGER",
    25: "VARCHAR",
    701: "DOUBLE",
    1043: "VARCHAR",
    1082: "DATE",
    1114: "TIMESTAMP",
}
# Every parameter is given, so that DuckDB guesses none: the temporary folder may be called `level=paid`.
_TAKE = (
    "INSERT INTO rows SELECT * FROM read_csv(%s, columns = %s, auto_detect = false, header = false, delim = ',', "  # noqa: S608
    "quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, new_line = '\\n', encoding = 'utf-8', "
    "compression = 'none', comment = '', skip = 0, null_padding = false, strict_mode = true, ignore_errors = false, "
    "decimal_separator = '.', hive_partitioning = false, hive_types_autocast = false, union_by_name = false, "
    f"max_line_size = {LONGEST_ROW})"
)


class Rows:
    """The target of COPY, one row at a time: a piece of text, which becomes rows of a DuckDB table when it is full."""

    def __init__(self, session: DuckDbSession, types: Mapping[str, int], folder: Path) -> None:
        unknown = [name for name, number in types.items() if number not in TYPES]
        if unknown:
            raise DwhError(f"the column {unknown[0]} has a type that is not exported yet", hint="report this")
        self._session = session
        self._columns = {name: TYPES[number] for name, number in types.items()}
        self._path = folder / "rows.csv"
        self._piece: BinaryIO = self._path.open("wb")
        self._held = 0
        columns = ", ".join(f"{name} {kind}" for name, kind in self._columns.items())
        session.rows(f"CREATE TABLE rows ({columns})")

    def write(self, row: bytes) -> int:
        """Take one row: COPY always gives whole rows."""
        self._piece.write(row)
        self._held += len(row)
        if self._held >= PIECE:
            self.flush()
        return len(row)

    def flush(self) -> None:
        """Turn the piece into rows, and begin another."""
        self._piece.close()
        if self._held:
            self._session.rows(_TAKE, (str(self._path), self._columns))
        self._piece = self._path.open("wb")
        self._held = 0

    def close(self) -> None:
        """Turn the rest into rows."""
        self.flush()
        self._piece.close()
        self._path.unlink()
