"""The real data in a bucket, on each engine, the scripts as people run them: AWS_ENDPOINT_URL is all that differs."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import moto_s3
import pytest
from postgres_server import PostgresWarehouse
from reference_star import star_of
from warehouse import Warehouse, lines, plays, song

from dwh.sources import objects

SOURCES = {"LOG_DATA": "s3://real/log_data", "SONG_DATA": "s3://real/song_data"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A moto server."""
    with moto_s3.serving() as url:
        yield url


@pytest.fixture(scope="module")
def real_bucket(endpoint: str, real_source: Path) -> int:
    """The real data in the bucket `real`; gives the number of objects."""
    return moto_s3.fill(endpoint, "real", real_source)


@pytest.fixture(params=["duckdb", "postgres"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    """An empty warehouse on each engine."""
    if request.param == "duckdb":
        return Warehouse(tmp_path / "w").create()
    return PostgresWarehouse(tmp_path / "w", server=request.getfixturevalue("postgres_server")).create()


@pytest.fixture
def signed_in(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """The environment holds credentials for that endpoint; the region is not set."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("signed_in")
def test_the_real_data_gives_the_same_star_from_a_bucket(
    warehouse: Warehouse, real_warehouse: Warehouse, real_bucket: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run asks for no object."""
    warehouse.configure(S3=SOURCES)
    first = warehouse.run("etl", "--json")
    assert first.code == 0, first.err
    assert first.json["files"]["new"] == real_bucket == 101
    assert warehouse.star() == real_warehouse.star()
    assert warehouse.run("sql_validate").code == 0

    def refuse(*_args: object) -> None:
        raise AssertionError("an object was fetched")

    monkeypatch.setattr(objects, "_get", refuse)
    again = warehouse.etl()
    assert (again["files"]["already_loaded"], again["loads"]) == (101, [])


@pytest.mark.usefixtures("signed_in")
def test_a_late_corrected_and_removed_object(warehouse: Warehouse, endpoint: str) -> None:
    """The ledger works on ETags as it does on files."""
    s3, bucket = moto_s3.client(endpoint), f"life-{warehouse.__class__.__name__.lower()}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": moto_s3.REGION})
    warehouse.configure(S3={"LOG_DATA": f"s3://{bucket}/log_data", "SONG_DATA": f"s3://{bucket}/song_data"})
    first, corrected, late = plays(3), plays(2, song="Revelry"), plays(2, sessionId=9)
    steps = (
        ({"log_data/a.json": first, "song_data/s.json": [song()]}, [*first]),
        ({"log_data/a.json": corrected, "log_data/b.json": late}, [*corrected, *late]),
        ({"log_data/c.json": first}, [*corrected, *late, *first]),
    )
    for written, seen in steps:
        for key, records in written.items():
            s3.put_object(Bucket=bucket, Key=key, Body=lines(records))
        warehouse.etl()
        assert warehouse.star() == star_of(seen, [song()])
    s3.delete_object(Bucket=bucket, Key="log_data/c.json")
    assert warehouse.etl()["files"]["vanished"] == 1
    assert warehouse.call("etl", "--forget", f"s3://{bucket}/log_data/c.json").code == 0
    assert warehouse.star() == star_of([*corrected, *late], [song()])


@pytest.mark.usefixtures("signed_in")
def test_what_is_said_of_a_bucket_on_a_terminal(tmp_path: Path, real_bucket: int) -> None:
    """The title names the prefixes as they were written, and the JSON says what was loaded."""
    assert real_bucket
    warehouse = Warehouse(tmp_path / "w").create()
    warehouse.configure(S3=SOURCES)
    shown = warehouse.run_on_terminal("etl").out
    assert "s3://real/song_data, s3://real/log_data" in shown
    assert "loaded 101 files, 8,127 records" in shown
    assert json.loads(warehouse.run("etl", "--json").out)["files"]["already_loaded"] == 101


@pytest.fixture
def bucket(endpoint: str, warehouse: Warehouse) -> Iterator[str]:
    """A bucket of the test's own; the warehouse has its sources there."""
    name = f"files-{uuid.uuid4().hex[:8]}"
    place = {"LocationConstraint": moto_s3.REGION}
    moto_s3.client(endpoint).create_bucket(Bucket=name, CreateBucketConfiguration=place)
    warehouse.configure(S3={"LOG_DATA": f"s3://{name}/log_data", "SONG_DATA": f"s3://{name}/song_data"})
    yield name


@pytest.mark.usefixtures("signed_in")
@pytest.mark.parametrize("storage", ["GLACIER", "DEEP_ARCHIVE"])
def test_p139_archived_objects_are_told_by_name(warehouse: Warehouse, endpoint: str, bucket: str, storage: str) -> None:
    """Exit code 3 with the object and its class; restored, it is loaded."""
    s3 = moto_s3.client(endpoint)
    s3.put_object(Bucket=bucket, Key="song_data/s.json", Body=lines([song()]))
    s3.put_object(Bucket=bucket, Key="log_data/a.json", Body=lines(plays(3)), StorageClass=storage)
    done = warehouse.run("etl")
    assert done.code == 3
    assert f"s3://{bucket}/log_data/a.json is archived ({storage})" in done.err
    assert f"try: aws s3api restore-object --bucket {bucket} --key log_data/a.json --restore-request Days=7" in done.err
    s3.restore_object(Bucket=bucket, Key="log_data/a.json", RestoreRequest={"Days": 7})
    assert warehouse.etl()["rows"]["songplays"] == 3


@pytest.mark.usefixtures("signed_in")
def test_p136_swapped_buckets_are_named(warehouse: Warehouse, endpoint: str, bucket: str) -> None:
    """Markers, hidden keys and other names beside them, as moto lists them; then the right way round."""
    s3 = moto_s3.client(endpoint)
    for key, body in {
        "log_data/": b"",
        "log_data/2018/": b"",
        "log_data/_SUCCESS": b"",
        "log_data/part-0": b"x",
        "log_data/s.jsonl": lines([song()]),
        "song_data/e.ndjson.gz": gzip.compress(lines(plays(20))),
    }.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    done = warehouse.run("etl", "--on-bad-line", "quarantine")
    assert done.code == 2
    assert "1 file passed over" in done.err
    assert f"try: [S3] LOG_DATA = s3://{bucket}/song_data" in done.err
    warehouse.configure(S3={"LOG_DATA": f"s3://{bucket}/song_data", "SONG_DATA": f"s3://{bucket}/log_data"})
    assert warehouse.etl()["rows"]["songplays"] == 20
