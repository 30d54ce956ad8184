"""Reads the lake with a program of others, by the lines that docs/how-to/read-the-lake.md shows.

It runs in the environment of requirements-readers.txt, stands in the folder that holds the lake, and imports nothing of
ours. stdin has a program and its lines by name, stdout gets what each of them found:

  {"program": "Polars", "lines": {"users": "..."}, "since": {"time": "2018-11-15T12:00:00"}, "before": []}
  {"users": {"columns": [...], "rows": [[...]], "count": 98, "since": null}}

`count` is the program's own count, which some take from the metadata, and `since` that of the rows from a moment on,
for which it may leave out files by their bounds. A line that fails gives {"error": "..."}. `before` are statements that
DuckDB runs first.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

Rows = tuple[Sequence[str], Iterable[Sequence[Any]]]
# Rows of a line, its count, and its count from a moment on.
Program = tuple[Callable[[str], Rows], Callable[[str], int], Callable[[str, datetime], int]]


def duckdb(before: Sequence[str]) -> Program:
    """DuckDB with the extensions that pip installed, and no way to fetch another one."""
    connection = import_module("duckdb").connect(config={"autoinstall_known_extensions": False})
    connection.execute("SET autoload_known_extensions = false")
    for name in ("avro", "httpfs", "iceberg"):  # iceberg needs avro
        [file] = Path(str(import_module(f"duckdb_extension_{name}").__file__)).parent.rglob("*.duckdb_extension")
        connection.load_extension(str(file))
    for statement in before:
        connection.execute(statement)

    def rows(line: str) -> Rows:
        found = connection.execute(line)
        return [column[0] for column in found.description], found.fetchall()

    def one(query: str) -> int:
        return int(connection.execute(query).fetchone()[0])

    def since(line: str, moment: datetime) -> int:
        return one(f"SELECT COUNT(*) FROM ({line}) WHERE start_time >= TIMESTAMP '{moment}'")

    return rows, lambda line: one(f"SELECT COUNT(*) FROM ({line})"), since


def clickhouse(_: Sequence[str]) -> Program:
    """ClickHouse as a library."""
    query = import_module("chdb").query

    def rows(line: str) -> Rows:
        found = json.loads(str(query(line, "JSONCompact")))
        types = [column["type"] for column in found["meta"]]
        return [column["name"] for column in found["meta"]], [
            [datetime.fromisoformat(v) if "DateTime64" in kind else v for v, kind in zip(row, types, strict=True)]
            for row in found["data"]
        ]

    def one(line: str) -> int:
        return int(json.loads(str(query(line, "JSONCompact")))["data"][0][0])

    def since(line: str, moment: datetime) -> int:
        return one(f"SELECT count() FROM ({line}) WHERE start_time >= toDateTime64('{moment}', 6, 'UTC')")

    return rows, lambda line: one(f"SELECT count() FROM ({line})"), since


def polars(_: Sequence[str]) -> Program:
    """Polars, which plans with pyiceberg."""
    pl = import_module("polars")

    def lazy(line: str) -> Any:
        return eval(line.removesuffix(".collect()"), {"polars": pl})

    def rows(line: str) -> Rows:
        frame = eval(line, {"polars": pl})
        return frame.columns, frame.iter_rows()

    def since(line: str, moment: datetime) -> int:
        return int(lazy(line).filter(pl.col("start_time") >= moment).select(pl.len()).collect().item())

    return rows, lambda line: int(lazy(line).select(pl.len()).collect().item()), since


def _by_pyiceberg(ending: str, rows_of: Callable[[Any], Rows]) -> Program:
    names = {"StaticTable": import_module("pyiceberg.table").StaticTable, "pandas": import_module("pandas")}

    def count(line: str) -> int:
        return int(eval(line.replace(ending, ".count()"), names))

    def since(line: str, moment: datetime) -> int:
        return count(line.replace(".scan(", f".scan(row_filter=\"start_time >= '{moment.isoformat()}'\"", 1))

    return lambda line: rows_of(eval(line, names)), count, since


def pyiceberg(_: Sequence[str]) -> Program:
    """pyiceberg with pyarrow."""

    def rows(table: Any) -> Rows:
        return table.column_names, zip(*table.to_pydict().values(), strict=True)

    return _by_pyiceberg(".to_arrow()", rows)


def pandas(_: Sequence[str]) -> Program:
    """pandas, which gets its rows from pyiceberg."""
    ending = ".to_arrow().to_pandas(types_mapper=pandas.ArrowDtype)"
    return _by_pyiceberg(ending, lambda frame: (list(frame), frame.astype(object).itertuples(index=False)))


PROGRAMS = {"DuckDB": duckdb, "Polars": polars, "pandas": pandas, "pyiceberg": pyiceberg, "ClickHouse": clickhouse}


def plain(value: Any) -> Any:
    """Give a value as JSON has it; what pandas has for NULL is NULL."""
    if type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value


def read(program: Program, line: str, since: str | None) -> dict[str, Any]:
    """Give what a line finds, or why it fails."""
    rows, count, count_since = program
    try:
        columns, found = rows(line)
        return {
            "columns": list(columns),
            "rows": [[plain(value) for value in row] for row in found],
            "count": count(line),
            "since": count_since(line, datetime.fromisoformat(since)) if since else None,
        }
    except Exception as error:  # noqa: BLE001 # each program has its own, and the test looks at the text
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Answer one request."""
    asked = json.load(sys.stdin)
    program, since = PROGRAMS[asked["program"]](asked["before"]), asked["since"]
    json.dump({name: read(program, line, since.get(name)) for name, line in asked["lines"].items()}, sys.stdout)


if __name__ == "__main__":
    main()
