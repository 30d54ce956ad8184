"""What a folder, an S3 prefix and the memory of the tests can do alike, and what two sessions at once see of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Lock
from typing import Any
from unittest.mock import patch

import moto_s3
import pytest
from warehouse import WATCHDOG

from dwh.lake.iceberg.folder import FolderStore
from dwh.lake.iceberg.lake import IcebergLake
from dwh.lake.iceberg.places import open_store
from dwh.lake.iceberg.s3 import S3Store
from dwh.lake.iceberg.store import Store
from dwh.settings.config import load_config
from dwh.settings.secrets import Secret
from dwh.settings.sections import S3, Aws
from dwh.sources.buckets import Buckets
from dwh.terminal.errors import Busy, ConfigError, EnvironmentFailure
from lake.memory_store import MemoryStore
from lake.small_star import SPECS, export, wrong_files

BUCKET = "lakes"
Make = Callable[[], Store]
every_place = pytest.mark.parametrize("place", ["the-memory", "the-folder", "the-s3"])


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto_s3.serving() as url:
        where = {"LocationConstraint": moto_s3.REGION}
        moto_s3.client(url).create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
        yield url


class SteadyStore(S3Store):
    """S3 looks whether an object is there and puts it in one step, and moto does so in two: here one at a time does."""

    _one_at_a_time = Lock()

    def replace(self, path: str, data: bytes, tag: str) -> bool:
        with self._one_at_a_time:
            return super().replace(path, data, tag)


def prefix(endpoint: str, key: str, *, by_engine: bool = False) -> S3Store:
    about = {"endpoint_url": endpoint, "region": moto_s3.REGION, "anonymous": False, "timeout": WATCHDOG}
    who = {"key": Secret("tests"), "secret": Secret("tests"), "region": moto_s3.REGION, "profile": ""}
    buckets = Buckets(S3(about), Aws(who))
    return SteadyStore(f"s3://{BUCKET}/{key}", buckets, by_engine=by_engine)


@pytest.fixture
def make(place: str, request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Give a function that opens the place, as one more session does."""
    if place == "the-memory":
        store = MemoryStore()
        return lambda: store
    if place == "the-folder":
        return lambda: FolderStore(tmp_path / "lake")
    endpoint = request.getfixturevalue("endpoint")
    return lambda: prefix(endpoint, tmp_path.name)


@every_place
def test_a_file_is_created_once(make: Make) -> None:
    store = make()
    assert store.create("things/metadata/v1.metadata.json", b"one")
    assert not store.create("things/metadata/v1.metadata.json", b"two")
    assert store.read("things/metadata/v1.metadata.json")[0] == b"one"
    assert store.sizes() == {"things/metadata/v1.metadata.json": 3}


@every_place
def test_a_file_is_replaced_if_it_is_the_one_that_was_read(make: Make) -> None:
    store = make()
    with pytest.raises(FileNotFoundError):
        store.read("export.json")
    assert not store.replace("export.json", b"zero", "0" * 64), "there is none to replace"
    assert store.replace("export.json", b"one", "")
    assert not store.replace("export.json", b"two", "")
    tag = store.read("export.json")[1]
    assert store.replace("export.json", b"two", tag)
    assert not store.replace("export.json", b"three", tag)
    assert store.read("export.json")[0] == b"two"
    assert store.sizes() == {"export.json": 3}


@every_place
def test_files_are_listed_fetched_and_deleted(make: Make, tmp_path: Path) -> None:
    store = make()
    assert store.sizes() == {}
    store.write("things/data/a b#%20.parquet", b"1234")
    store.write("things/metadata/x.avro", b"")
    assert store.sizes() == {"things/data/a b#%20.parquet": 4, "things/metadata/x.avro": 0}
    assert store.fetch("things/data/a b#%20.parquet", tmp_path).read_bytes() == b"1234"
    with pytest.raises(FileNotFoundError):
        store.fetch("things/data/other.parquet", tmp_path)
    store.delete(["things/data/a b#%20.parquet", "things/data/gone.parquet"])
    assert store.sizes() == {"things/metadata/x.avro": 0}
    assert store.is_here(store.location)
    assert not store.is_here(f"{store.location}2")


@pytest.mark.parametrize("place", ["the-folder", "the-s3"])
def test_a_data_file_comes_to_its_place(make: Make) -> None:
    store = make()
    with store.workspace("things") as workspace:
        Path(workspace, "all-r1.parquet").write_bytes(b"rows")
        there = store.adopt("things/data/all-r1.parquet", workspace)
    assert there == (4, hashlib.sha256(b"rows").hexdigest())
    assert store.read("things/data/all-r1.parquet")[0] == b"rows"
    with store.workspace("things") as workspace, pytest.raises(EnvironmentFailure):
        store.adopt("things/data/all-r2.parquet", workspace)


@every_place
def test_of_many_who_create_a_file_one_does(make: Make) -> None:
    start = Barrier(8)

    def create(number: int) -> bool:
        store = make()
        start.wait()
        return store.create("things/metadata/v1.metadata.json", str(number).encode())

    with ThreadPoolExecutor(8) as threads:
        created = list(threads.map(create, range(8)))
    assert sum(created) == 1
    assert make().read("things/metadata/v1.metadata.json")[0] == str(created.index(True)).encode()


@every_place
def test_a_lake_is_exported_read_and_tidied(make: Make, place: str) -> None:
    for version in (1, 2, 3, 3):
        made = export(make(), version)
    assert made is None
    lake = IcebergLake(make(), SPECS, 2)
    assert lake.is_settled() and lake.expired() == [] and lake.others() == set()
    assert lake.pins and lake.pins.export == 3
    stored = {path: lake.store.read(path)[0] for path in lake.store.sizes()}
    assert wrong_files(lake.pins, stored) == []


@pytest.mark.promises
@pytest.mark.parametrize("place", ["the-folder", "the-s3"])
def test_of_two_exports_at_once_one_wins_50_times(make: Make) -> None:
    """Each time a newer star: one exports it, and the other does so after that, or is told that it is busy."""
    export(make(), 1)
    start = Barrier(2)

    def one_export(version: int) -> str:
        start.wait()
        store = make()
        try:
            with store.held():
                return "exported" if export(store, version) else "nothing new"
        except Busy:
            return "busy"

    found = set()
    with ThreadPoolExecutor(2) as threads:
        for time in range(50):
            ends = list(threads.map(one_export, (2 + 2 * time, 3 + 2 * time)))
            assert "exported" in ends
            found.add(tuple(sorted(ends)))
            lake = IcebergLake(make(), SPECS, 2)
            assert lake.pins
            stored = {path: lake.store.read(path)[0] for path in lake.store.sizes()}
            assert wrong_files(lake.pins, stored) == []
    assert ("busy", "exported") in found


def test_one_export_at_a_time_in_a_folder(tmp_path: Path) -> None:
    with (
        FolderStore(tmp_path / "lake").held(),
        pytest.raises(Busy, match="another session is exporting to"),
        FolderStore(tmp_path / "lake").held(),
    ):
        pass
    with FolderStore(tmp_path / "lake").held():
        pass


def test_what_a_metadata_file_names_is_on_the_disk_before_it_is(tmp_path: Path) -> None:
    """A file is synced, then its folder, then the name of the metadata is made, and then synced."""
    store = FolderStore(tmp_path)
    order: list[str] = []
    synced, linked = os.fsync, os.link

    def fsync(descriptor: int) -> None:
        order.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name.split('.')[0]}")
        synced(descriptor)

    def link(file: Path, name: Path) -> None:
        order.append(f"link {name.name}")
        linked(file, name)

    with patch.object(os, "fsync", fsync), patch.object(os, "link", link):
        store.write("things/metadata/m0.avro", b"x")
        store.create("things/metadata/v1.metadata.json", b"x")
    at = order.index("link v1.metadata.json")
    assert "sync m0" in order[:at]
    assert {"sync metadata", "sync things"} <= set(order[order.index("sync m0") : at])
    assert order[at + 1 :] == ["sync metadata"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "things").write_text("a file stands where a folder has to be")
    store = FolderStore(tmp_path)
    for change in (
        lambda: store.create("things/metadata/v1.metadata.json", b"x"),
        lambda: store.write("things/metadata/m0.avro", b"x"),
        lambda: store.replace("things/x", b"x", ""),
    ):
        with pytest.raises(EnvironmentFailure, match="cannot be read or written"):
            change()


def test_what_an_engine_wrote_to_a_bucket_is_looked_at_there(endpoint: str) -> None:
    store = prefix(endpoint, "engine", by_engine=True)
    with store.workspace("things") as workspace:
        assert workspace == f"s3://{BUCKET}/engine/things/data"
        store.write("things/data/all-r1.parquet", b"rows")
        assert store.adopt("things/data/all-r1.parquet", workspace) == (4, None)
        with pytest.raises(EnvironmentFailure, match="is gone before the export has ended"):
            store.adopt("things/data/all-r2.parquet", workspace)


def test_a_request_whose_answer_was_lost_is_known_again(endpoint: str) -> None:
    """It is sent again, and S3 refuses it because of the first."""
    import obstore

    store = prefix(endpoint, "lost")
    put = obstore.put

    def twice(*args: Any, **how: Any) -> object:
        put(*args, **how)
        return put(*args, **how)

    with patch.object(obstore, "put", twice):
        assert store.create("v1.metadata.json", b"one")
        assert store.replace("export.json", b"one", "")
        assert store.replace("export.json", b"two", store.read("export.json")[1])
        assert not store.create("v1.metadata.json", b"two")


@pytest.mark.parametrize(
    ("place", "by_engine", "found"),
    [
        ("/tmp/lake", False, "FolderStore"),
        ("s3://acme/lake", False, "S3Store"),
        ("s3://acme/lake/", True, "S3Store"),
        ("/tmp/lake", True, "Redshift writes its lake to S3 only"),
        ("", False, "names no folder"),
        ("gs://acme/lake", False, "names no folder"),
    ],
)
def test_a_place_is_opened_as_it_is_named(place: str, by_engine: bool, found: str, tmp_path: Path) -> None:
    (tmp_path / "dwh.cfg").write_text("")
    config = load_config(str(tmp_path / "dwh.cfg"), {}, {})
    config.s3.__dict__["lake"] = place
    try:
        store = open_store(config, exports_to_s3=by_engine)
    except ConfigError as error:
        assert found in error.message
    else:
        assert type(store).__name__ == found
        assert store.location == place.rstrip("/")
