"""Compare the stars of two contestants: the same five tables, columns and rows."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests")]

from warehouse import STAR_COLUMNS  # noqa: E402

SHOWN = 300  # characters of a differing row


def first_difference(expected: Path, found: Path) -> str | None:
    """Compare the results in the folders of two contestants; None when equal, else the first difference in words.

    A folder holds star.duckdb, or for each table TABLE.parquet (a file or a folder of them), or TABLE.csv without a
    header. Values are compared as the types of what is expected: a contestant may keep a number narrower.
    """
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false; SET memory_limit = '4GB'")
        try:
            _show(connection, "expected", expected)
            _show(connection, "found", found)
        except (duckdb.Error, FileNotFoundError) as error:
            return f"a table cannot be read: {str(error).splitlines()[0]}"
        return next((told for table in STAR_COLUMNS if (told := _differing_row(connection, table))), None)


def _show(connection: duckdb.DuckDBPyConnection, schema: str, folder: Path) -> None:
    """Make a view of each table in a schema of that name."""
    database = folder / "star.duckdb"
    if database.exists():
        connection.execute(f"ATTACH '{database}' AS {schema}_file (READ_ONLY)")
    connection.execute(f"CREATE SCHEMA {schema}")
    for table in STAR_COLUMNS:
        parquet, csv = folder / f"{table}.parquet", folder / f"{table}.csv"
        if database.exists():
            source = f"{schema}_file.{table}"
        elif parquet.exists():
            source = (
                f"read_parquet('{parquet}{'/**/*.parquet' if parquet.is_dir() else ''}', hive_partitioning = false)"
            )
        elif csv.exists():
            types = _columns(connection, f"expected.{table}")
            options = f"header = false, columns = {types}, allow_quoted_nulls = false, hive_partitioning = false"
            source = f"read_csv('{csv}', {options})"
        else:
            raise FileNotFoundError(f"there is no {table} in {folder.name}")
        connection.execute(f"CREATE VIEW {schema}.{table} AS SELECT * FROM {source}")


def _columns(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}


def _differing_row(connection: duckdb.DuckDBPyConnection, table: str) -> str | None:
    types, names = _columns(connection, f"expected.{table}"), list(_columns(connection, f"found.{table}"))
    if names != STAR_COLUMNS[table].split():
        return f"{table} has the columns {', '.join(names)}, not {STAR_COLUMNS[table].replace(' ', ', ')}"
    values = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in types.items())
    expected, found = (f"SELECT {values} FROM {schema}.{table}" for schema in ("expected", "found"))
    missing, more = (
        connection.execute(f"SELECT * FROM (({a}) EXCEPT ALL ({b})) ORDER BY ALL LIMIT 1").fetchall()
        for a, b in ((expected, found), (found, expected))
    )
    if not missing and not more:
        return None
    rows = [connection.execute(f"SELECT COUNT(*) FROM ({query})").fetchall()[0][0] for query in (expected, found)]
    told = [f"{table}: {rows[0]:,} rows expected, {rows[1]:,} found"]
    told += [f"missing {str(row)[:SHOWN]}" for row in missing] + [f"not expected {str(row)[:SHOWN]}" for row in more]
    return "; ".join(told)
