"""UNLOAD of the stand-in writes what Redshift writes, where, and refuses what it refuses."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest
from psycopg2 import errors

from redshift.conftest import Bucket, Sql
from redshift.grammar import parse_all

ROLE = "arn:aws:iam::123456789012:role/sparkify-dwh"
ROWS = [
    (1, "it's", 2.5, datetime(2018, 11, 1, 10, 0, 0, 101000), 2018),
    (2, None, None, datetime(2018, 11, 2), 2018),
    (3, "", -1.0, datetime(2019, 1, 1), None),
    (4, 'é\n"x", y', 1e300, None, 2019),
]


@pytest.fixture
def plays(sql: Sql) -> Sql:
    """A table of four rows."""
    sql("CREATE TABLE plays (id BIGINT, title VARCHAR(50), seconds DOUBLE PRECISION, began TIMESTAMP, year INT)")
    for row in ROWS:
        sql("INSERT INTO plays (id, title, seconds, began, year) VALUES (%s, %s, %s, %s, %s)", *row)
    return sql


def unload(target: str, options: str = "", query: str = "SELECT * FROM plays ORDER BY id") -> str:
    """Write an UNLOAD statement."""
    quoted = query.replace("'", "''")
    return f"UNLOAD ('{quoted}') TO '{target}' IAM_ROLE '{ROLE}' FORMAT AS PARQUET {options}"


def read(bucket: Bucket, folder: Path, *names: str) -> list[tuple[Any, ...]]:
    """Read Parquet files of the bucket, in the order of their first column."""
    paths = []
    for number, name in enumerate(names):
        (folder / str(number)).write_bytes(bucket.read(name))
        paths.append(str(folder / str(number)))
    with duckdb.connect() as connection:
        return connection.execute("SELECT * FROM read_parquet($1) ORDER BY 1", [paths]).fetchall()


def test_rows_come_back_as_they_were(plays: Sql, bucket: Bucket, tmp_path: Path, connection: Any) -> None:
    """Types, NULL and the empty text, quotes: one file a slice, named by slice and part."""
    statement = unload(bucket.url("lake/"))
    plays(statement)
    assert bucket.keys() == ["lake/0000_part_00.parquet", "lake/0001_part_00.parquet"]
    assert read(bucket, tmp_path, *bucket.keys()) == ROWS
    assert connection.notices[-1] == "INFO:  UNLOAD completed, 4 record(s) unloaded successfully.\n"
    assert plays("SELECT pg_last_unload_count()") == [(4,)]
    assert parse_all([statement]) == {}


def test_one_file_without_parallel(plays: Sql, bucket: Bucket, tmp_path: Path) -> None:
    """In the order of the query, quotes in it doubled."""
    query = "SELECT id, title FROM plays WHERE title = 'it''s' OR id > 3 ORDER BY id DESC"
    plays(unload(bucket.url("one_"), "PARALLEL OFF", query))
    assert bucket.keys() == ["one_000.parquet"]
    assert read(bucket, tmp_path, "one_000.parquet") == [(1, "it's"), (4, 'é\n"x", y')]


def test_partitions_are_folders(plays: Sql, bucket: Bucket, tmp_path: Path) -> None:
    """Named key=value, the column taken out of the files unless INCLUDE; NULL has a name of its own."""
    statement = unload(bucket.url("lake"), "PARTITION BY (year) MANIFEST VERBOSE PARALLEL OFF")
    plays(statement)
    names = [f"lake/year={year}/000.parquet" for year in (2018, 2019, "__HIVE_DEFAULT_PARTITION__")]
    assert bucket.keys() == ["lake/manifest", *names]
    assert read(bucket, tmp_path, names[0]) == [row[:4] for row in ROWS[:2]]
    manifest = json.loads(bucket.read("lake/manifest"))
    assert sorted(entry["url"] for entry in manifest["entries"]) == [bucket.url(name) for name in names]
    assert manifest["entries"][0]["meta"]["content_length"] == len(bucket.read(names[0]))
    assert manifest["meta"]["record_count"] == 4
    assert manifest["author"]["name"] == "Amazon Redshift"
    plays(unload(bucket.url("whole"), "PARTITION BY (year) INCLUDE PARALLEL OFF"))
    assert read(bucket, tmp_path, "whole/year=2018/000.parquet") == ROWS[:2]
    assert parse_all([statement]) == {}


@pytest.mark.parametrize("options", ["", "PARALLEL OFF", "PARTITION BY (year)"])
def test_a_query_without_rows_writes_nothing(plays: Sql, bucket: Bucket, connection: Any, options: str) -> None:
    """No file of its schema, and no manifest; it is counted as an UNLOAD all the same."""
    plays(unload(bucket.url("lake/"), f"{options} MANIFEST VERBOSE", "SELECT * FROM plays WHERE id > 4"))
    assert bucket.keys() == []
    assert connection.notices[-1] == "INFO:  UNLOAD completed, 0 record(s) unloaded successfully.\n"
    assert plays("SELECT pg_last_unload_count()") == [(0,)]


def test_what_is_there_is_not_overwritten(plays: Sql, bucket: Bucket) -> None:
    """By default anything under the prefix is in the way. ALLOWOVERWRITE leaves what has another name."""
    bucket.put("lake/other", "x")
    with pytest.raises(errors.InternalError_, match="not empty"):
        plays(unload(bucket.url("lake/")))
    assert bucket.keys() == ["lake/other"]
    for _ in range(2):
        plays(unload(bucket.url("lake/"), "ALLOWOVERWRITE PARALLEL OFF"))
        assert bucket.keys() == ["lake/000.parquet", "lake/other"]


def test_cleanpath_removes_first(plays: Sql, bucket: Bucket) -> None:
    """All under the path; with partitions only in those that get rows, so an old partition stays."""
    bucket.put("lake/other", "x")
    plays(unload(bucket.url("lake/"), "CLEANPATH PARALLEL OFF"))
    assert bucket.keys() == ["lake/000.parquet"]
    for name in ("parts/year=2017/old", "parts/year=2018/old"):
        bucket.put(name, "x")
    plays(
        unload(bucket.url("parts/"), "PARTITION BY (year) CLEANPATH PARALLEL OFF", "SELECT * FROM plays WHERE id < 3")
    )
    assert bucket.keys() == ["lake/000.parquet", "parts/year=2017/old", "parts/year=2018/000.parquet"]


WRONG = [
    ("CLEANPATH ALLOWOVERWRITE", "SELECT id FROM plays"),
    ("NOSUCHOPTION", "SELECT id FROM plays"),
    ("GZIP", "SELECT id FROM plays"),
    ("MAXFILESIZE 1 MB", "SELECT id FROM plays"),
    ("PARTITION BY (nope)", "SELECT id FROM plays"),
    ("PARTITION BY ('2018')", "SELECT id FROM plays"),
    ("PARTITION BY (id)", "SELECT id FROM plays"),
    ("PARTITION BY (seconds)", "SELECT id, seconds FROM plays"),
    ("REGION 'eu-west-1'", "SELECT id FROM plays"),
    ("", "SELECT id FROM plays LIMIT 1"),
    ("", "DELETE FROM plays"),
    ("", "SELECT id, id FROM plays"),
    ("", "SELECT STRING_AGG(title, ',') FROM plays"),
    ("", "SELECT nope FROM plays"),
]


@pytest.mark.parametrize(("options", "query"), WRONG)
def test_a_wrong_unload_writes_nothing(plays: Sql, bucket: Bucket, options: str, query: str) -> None:
    """Nor does it take the transaction with it silently."""
    plays("BEGIN")
    with pytest.raises(psycopg2.Error) as caught:
        plays(unload(bucket.url("lake/"), options, query))
    assert not isinstance(caught.value, errors.InFailedSqlTransaction)
    with pytest.raises(errors.InFailedSqlTransaction):
        plays("SELECT 1")
    plays("ROLLBACK")
    assert bucket.keys() == []


def test_it_unloads_what_its_transaction_sees(plays: Sql, bucket: Bucket, tmp_path: Path) -> None:
    """Rows of the open transaction are written; a LIMIT inside is fine."""
    plays("BEGIN")
    plays("DELETE FROM plays WHERE id > 1")
    plays(unload(bucket.url("lake/"), "MAXFILESIZE 256 MB", "SELECT id FROM (SELECT id FROM plays LIMIT 5) AS p"))
    plays("ROLLBACK")
    assert read(bucket, tmp_path, "lake/0000_part_00.parquet") == [(1,)]
