"""Parquet files, written by DuckDB: the lake of DuckDB and of PostgreSQL.

One COPY writes one sorted file. DuckDB uses all its threads, and the bytes do not depend on their number.
(Measured on 2.0.0: PARTITION_BY and ROW_GROUPS_PER_FILE give other bytes each time; PARTITION_BY breaks the order in
places, ROW_GROUPS_PER_FILE takes twice as long.)
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import quote

from dwh.engines.duckdb.records import READ_JSON, literally
from dwh.engines.pieces import select_pieces
from dwh.seam import Columns, Extract, Piece, Session, Written
from dwh.terminal.errors import EnvironmentFailure

if TYPE_CHECKING:
    from dwh.engines.duckdb.at_once import Statement
    from dwh.seam import Row

# About 128 MB of plays: large enough for a reader on S3, small enough to be sorted in memory.
FILE_ROWS = 2_000_000
# DuckDB's own default: a reader works on one row group at a time, or skips it by the times in it.
ROW_GROUP_ROWS = 122_880
NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"


class SessionAtOnce(Session, Protocol):
    """A session that can run several statements at the same time."""

    def rows_at_once(self, statements: Sequence[Statement]) -> Generator[list[Row], None, None]:
        """Run queries that take one thread each, and give the rows of each, in their order."""


class Cut(NamedTuple):
    """The content of one file: its folders, and its first and last day (None: all)."""

    values: tuple[object, ...]
    days: tuple[date, date] | None


def write_parquet(session: Session, extract: Extract, target: str) -> Iterator[Written]:
    """Write the rows of a query of this session below a folder. Raises EnvironmentFailure when it cannot be written."""
    numbers: dict[str, int] = {}
    conditions = [f"{column} IS NOT DISTINCT FROM %s" for column in extract.partition_by]
    without = f"EXCLUDE ({', '.join(extract.partition_by)})" if extract.partition_by else ""
    for cut in _cut(session, extract):
        folder = _folder(extract.partition_by, cut.values)
        numbers[folder] = numbers.get(folder, -1) + 1
        path = os.path.join(folder, f"part-{numbers[folder]:05}.parquet")
        query, times = select_pieces(extract, [Piece(path, cut.days)])
        query = f"SELECT * {without} FROM ({query}) AS f WHERE {' AND '.join(conditions) or 'true'}"  # noqa: S608
        rows = _write(session, _sort(query, extract), (*times, *cut.values), os.path.join(target, path), {})
        yield Written(path, rows)


def write_pieces(
    session: SessionAtOnce, extract: Extract, pieces: Sequence[Piece], target: str
) -> Generator[tuple[Piece, list[Written]], None, None]:
    """Write pieces of a query of this session directly below a folder. A piece of many rows becomes several files of
    whole days, a piece without rows gets no file. Raises EnvironmentFailure when a file cannot be written."""
    options: dict[str, object] = {"WRITE_EMPTY_FILE": False}
    if extract.field_ids:
        options["FIELD_IDS"] = dict(extract.field_ids)
    for is_day, some in groupby(pieces, _is_day):
        if is_day:
            yield from _write_days(session, extract, list(some), target, options)
        else:
            yield from _write_spans(session, extract, list(some), target, options)


def _is_day(piece: Piece) -> bool:
    return piece.days is not None and piece.days[0] == piece.days[1]


def _write_days(
    session: SessionAtOnce, extract: Extract, days: Sequence[Piece], target: str, options: Mapping[str, object]
) -> Generator[tuple[Piece, list[Written]], None, None]:
    """Write pieces of one day each, several at once: a day has so few rows that DuckDB gives it one thread."""
    paths = [f"{piece.name}-00000.parquet" for piece in days]
    statements = []
    for piece, path in zip(days, paths, strict=True):
        query, times = select_pieces(extract, [piece])
        statements.append(_copy(_sort(query, extract), times, os.path.join(target, path), options))
    with _worded(os.path.join(target, paths[0])):
        os.makedirs(target, exist_ok=True)
    with closing(session.rows_at_once(statements)) as answers:
        for piece, path in zip(days, paths, strict=True):
            with _worded(os.path.join(target, path)):
                ((rows,),) = next(answers)
            yield piece, [Written(path, int(rows))] if rows else []


def _write_spans(
    session: Session, extract: Extract, spans: Sequence[Piece], target: str, options: Mapping[str, object]
) -> Generator[tuple[Piece, list[Written]], None, None]:
    """Write pieces of several days, or of all rows, one after the other."""
    for piece in spans:
        written = []
        for number, days in enumerate(_spans(session, extract, piece)):
            path = f"{piece.name}-{number:05}.parquet"
            query, times = select_pieces(extract, [piece._replace(days=days)])
            rows = _write(session, _sort(query, extract), times, os.path.join(target, path), options)
            written += [Written(path, rows)] if rows else []
        yield piece, written


def write_rows(session: Session, columns: Columns, lines: str, path: str) -> None:
    """Write a Parquet file of rows that stand in a file as lines of JSON, with the keys c0, c1, ... in the order of the
    columns. Raises EnvironmentFailure when it cannot be written."""
    keys = {f"c{number}": kind for number, kind in enumerate(columns.values())}
    session.execute("SET preserve_insertion_order = true")
    session.execute(f"CREATE TABLE answer ({', '.join(f'{_quoted(name)} {kind}' for name, kind in columns.items())})")
    if os.path.getsize(lines):
        session.execute(f"INSERT INTO answer SELECT {', '.join(keys)} FROM {READ_JSON}", ([literally(lines)], keys))  # noqa: S608
    session.execute("COPY answer TO %s (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)", (path,))


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def name_files(session: Session, table: str, paths: Sequence[str]) -> None:
    """Make a table name stand for Parquet files, until a later call gives it to others."""
    session.rows("SET VARIABLE lake_files = %s", ([literally(path) for path in paths],))
    session.rows(
        f"CREATE OR REPLACE TEMP VIEW {table} AS "  # noqa: S608
        "SELECT * FROM read_parquet(getvariable('lake_files'), hive_partitioning = false, hive_types_autocast = false, "
        "union_by_name = false, binary_as_string = false, filename = false)"
    )


def _cut(session: Session, extract: Extract) -> Iterator[Cut]:
    """Cut a table into files: one, or one for each folder; a folder of many rows gets several files of whole days."""
    if extract.partition_by:
        yield from _whole_days(session, extract.query, (), extract)
    else:
        yield Cut((), None)


def _spans(session: Session, extract: Extract, piece: Piece) -> list[tuple[date, date] | None]:
    """Give the days of each file of a piece. Rows are counted only where the piece can become several files."""
    if piece.days is None or piece.days[0] == piece.days[1]:
        return [piece.days]
    query, params = select_pieces(extract, [piece])
    return [cut.days for cut in _whole_days(session, query, params, extract._replace(partition_by=()))]


def _whole_days(session: Session, query: str, params: Sequence[object], extract: Extract) -> Iterator[Cut]:
    """Cut the rows of a query into files of one folder and whole days, of at most FILE_ROWS rows where a day has not
    more."""
    keys = "".join(f"{column}, " for column in extract.partition_by)
    day = f"CAST({extract.order_by[0]} AS DATE)"
    rows = session.rows(
        f"SELECT {keys}{day}, COUNT(*) FROM ({query}) AS r GROUP BY ALL ORDER BY ALL NULLS LAST",  # noqa: S608
        params,
    )
    values: Sequence[object] = ()
    first = last = date.min
    held = 0
    for *folder, on, number in rows:
        if held and (folder != values or held + number > FILE_ROWS):
            yield Cut(tuple(values), (first, last))
            held = 0
        if not held:
            values, first = folder, on
        last, held = on, held + number
    if held:
        yield Cut(tuple(values), (first, last))


def _sort(query: str, extract: Extract) -> str:
    order = ", ".join(f"{column} NULLS LAST" for column in extract.order_by)
    return f"SELECT * FROM ({query}) AS s ORDER BY {order}"  # noqa: S608


def _write(session: Session, query: str, params: Sequence[object], path: str, options: Mapping[str, object]) -> int:
    """Write one file and give its number of rows."""
    with _worded(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        [(rows,)] = session.rows(*_copy(query, params, path, options))
    return int(rows)


def _copy(query: str, params: Sequence[object], path: str, options: Mapping[str, object]) -> Statement:
    """Give the statement that writes one file. `options` are added to the options of COPY that every file has."""
    sql = (
        f"COPY ({query}) TO %s (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS}, "
        "PARQUET_VERSION v1, PER_THREAD_OUTPUT false, USE_TMP_FILE false"
        f"{''.join(f', {name} %s' for name in options)})"
    )
    return sql, (*params, path, *options.values())


@contextmanager
def _worded(path: str) -> Iterator[None]:
    """Word what the disk refuses while a file is written."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, str(error)) from error
    except EnvironmentFailure as error:
        if os.path.dirname(path) not in str(error.__cause__):
            raise
        raise cannot_write(path, str(error.__cause__).splitlines()[0]) from error


def cannot_write(path: str, seen: str) -> EnvironmentFailure:
    """Word the error of a lake that cannot be written."""
    full = "No space left on device" in seen or "File too large" in seen
    return EnvironmentFailure(
        f"the disk is full: {path} needs more room" if full else f"{path} cannot be read or written",
        evidence=(seen, "the lake was not changed"),
        hint="free space and run this again" if full else "the same command again with --to lake_2",
    )


def _folder(columns: Sequence[str], values: Sequence[object]) -> str:
    named = zip(columns, values, strict=True)
    return "/".join(f"{name}={NULL_FOLDER if value is None else quote(str(value), safe='')}" for name, value in named)
