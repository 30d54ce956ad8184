"""The lake of plain Parquet files holds the star, readers see one whole version of it whatever happens, and --check
tells when it differs."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import pytest
from failing_calls import at_call
from postgres_server import DATABASE, PostgresWarehouse, Server
from redshift.warehouse_on_redshift import WORK, Cloud, RedshiftWarehouse, cloud
from reference_star import Star, in_order
from warehouse import MARKER, NOON, REPO, STAR_QUERIES, TABLES, WATCHDOG, Warehouse, event, lines, song

import sql_queries as q
from dwh.engines.choose import open_engine
from dwh.engines.duckdb import parquet
from dwh.engines.libpq import server_name
from dwh.engines.postgres.engine import PostgresEngine
from dwh.lake.s3 import Prefix
from dwh.ownership.marks import in_words
from dwh.ownership.tables import columns_of
from dwh.settings import sections as settings
from dwh.settings.config import load_config
from dwh.terminal.errors import Busy, ConfigError, DataError, EnvironmentFailure
from star import lake as star_lake

DAY = 86_400_000
# All that text can do to a file format in between: CSV's own signs, line ends, an empty-looking value, an emoji.
TEXTS = ('a "quoted" one, with comma', "line\nbreak\r\nand\ttab", "\\N", " 'x' ", "\\.", "Björk 🎵", "NULL", "%s {} ?")
EVENTS = [
    event(ts=NOON + DAY * 9 * n + 123 * n, sessionId=n, song=text, location=text, userAgent=text)
    for n, text in enumerate(TEXTS)
] + [event(ts=NOON + DAY * 40 + 7, sessionId=99, userId="", song=None, length=None, location=None)]


MANIFEST = (
    '{"format": "dwh-lake/1", "current": "", "kept": [], "revision": 1, "exported_at": "", "engine": "", "origin": {},'
    ' "tables": {}, "warehouse": %s}'
)


@pytest.fixture(scope="module", autouse=True)
def plain_files() -> Iterator[None]:
    """Every warehouse of this file has a lake of plain Parquet files."""
    with patch.object(Warehouse, "always", {"LAKE": {"FORMAT": "parquet"}}):
        yield


def load(warehouse: Warehouse, name: str = "one", events: list[dict[str, Any]] = EVENTS) -> Warehouse:
    """Load songs and plays of several months."""
    warehouse.write("song_data/one.json", lines([song(), song("S2", title="Army", artist_id="A2", year=0)]))
    warehouse.write(f"log_data/{name}.json", lines(events))
    warehouse.etl()
    return warehouse


@pytest.fixture
def loaded(warehouse: Warehouse) -> Warehouse:
    """A warehouse with plays of several months."""
    return load(warehouse)


def manifest_of(lake: Path) -> dict[str, Any]:
    """Read the manifest of a lake in a folder."""
    found = json.loads((lake / "manifest.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def read_lake(lake: Path) -> Star:
    """Read the current version as others do: the path from the manifest, and then every file below it."""
    tables = manifest_of(lake)["tables"]
    found: Star = {}
    with duckdb.connect() as connection:
        for table, query in STAR_QUERIES.items():
            folder = lake / tables[table]["path"]
            files = [str(path) for path in folder.rglob("*") if path.is_file()]
            assert sorted(str(lake / file["path"]) for file in tables[table]["files"]) == sorted(files)
            rows = []
            if files:
                connection.execute("SET VARIABLE files = ?", [[re.sub(r"([*?\[])", r"[\1]", file) for file in files]])
                connection.execute(
                    f"CREATE OR REPLACE VIEW {table} AS"
                    " FROM read_parquet(getvariable('files'), hive_partitioning = false)"
                )
                rows = connection.execute(query).fetchall()
            found[table] = in_order(rows)
    return found


def contents(folder: Path) -> dict[str, str]:
    """Give the digest of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def versions(lake: Path) -> list[str]:
    """Name what is in a lake beside the manifest."""
    return sorted(path.name for path in lake.iterdir() if path.name != "manifest.json")


# -------------------------------------------------------------------------------------------------- on every engine


@dataclass
class Target:
    """A warehouse, and its lake in a folder or in S3; `fetch` gives a folder with what is in it now."""

    warehouse: Warehouse
    location: str
    cloud: Cloud | None
    folder: Path

    def call(self, *argv: str) -> dict[str, Any]:
        """Export, and give the object that is printed."""
        environment = self.cloud.environment if self.cloud else {}
        keys = {name: value for name, value in environment.items() if name.startswith("AWS_")}
        return self.warehouse.call("export_lake", "--json", "--to", self.location, *argv, env=keys).json

    def fetch(self) -> Path:
        """Give the lake as a folder."""
        if not self.cloud:
            return Path(self.location)
        client, prefix = self.cloud.client(), self.location.removeprefix(f"s3://{WORK}/") + "/"
        fetched = self.folder / f"fetched-{len(list(self.folder.iterdir()))}"
        for item in client.list_objects_v2(Bucket=WORK, Prefix=prefix).get("Contents", ()):
            path = fetched / item["Key"].removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(client.get_object(Bucket=WORK, Key=item["Key"])["Body"].read())
        return fetched


@pytest.fixture(scope="module")
def some_cloud(postgres_server: Server) -> Iterator[Cloud]:
    """S3 by moto, and the stand-in for Redshift beside it."""
    with cloud(postgres_server) as made:
        yield made


Make = Callable[[str], Warehouse]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory, some_cloud: Cloud, postgres_server: Server) -> Make:
    """Make an empty warehouse on the named engine."""

    def warehouse(engine: str) -> Warehouse:
        root = tmp_path_factory.mktemp(engine) / "w"
        if engine == "postgres":
            return PostgresWarehouse(root, server=postgres_server).create()
        return RedshiftWarehouse(root, cloud=some_cloud).create() if engine == "redshift" else Warehouse(root).create()

    return warehouse


@pytest.fixture(scope="module")
def loaded_on(make: Make) -> Callable[[str], Warehouse]:
    """Give a loaded warehouse on the named engine, the same to all tests: they only add to it."""
    return cache(lambda engine: load(make(engine)))


@pytest.fixture(params=["duckdb-folder", "duckdb-s3", "postgres-folder", "postgres-s3", "redshift-s3"])
def target(
    request: pytest.FixtureRequest, tmp_path: Path, some_cloud: Cloud, loaded_on: Callable[[str], Warehouse]
) -> Target:
    """A loaded warehouse on each engine, and where its lake is to be."""
    engine, place = request.param.split("-")
    return target_of(loaded_on(engine), tmp_path, some_cloud if place == "s3" else None)


def target_of(warehouse: Warehouse, folder: Path, place: Cloud | None) -> Target:
    """Give an empty place for a lake, whose name has signs of SQL and of addresses in it."""
    (folder / "fetched").mkdir()
    location = f"s3://{WORK}/lakes of {folder.name}/it's 50%" if place else str(folder / "lake")
    return Target(warehouse, location, place, folder / "fetched")


def test_the_lake_holds_the_star(target: Target) -> None:
    """Every row and every value, each play in the folder of its month; --check agrees; nothing is left over."""
    star = target.warehouse.star()
    planned = target.call("--dry-run")
    assert planned["would_write"] is True
    assert planned["rows"] == {table: len(rows) for table, rows in star.items()}
    assert not target.fetch().exists()
    done = target.call()
    lake = target.fetch()
    assert read_lake(lake) == star
    assert {table: about["rows"] for table, about in done["tables"].items()} == planned["rows"]
    assert versions(lake) == [done["version"]]
    assert target.call("--check")["ok"] is True
    assert list((target.warehouse.root / "tmp").iterdir()) == []
    see_months_and_times(lake / done["version"] / "songplays")
    see_manifest(lake)


def see_months_and_times(folder: Path) -> None:
    """Check that each play lies in the folder of its month, and its time is one of microseconds, UTC."""
    with duckdb.connect() as connection:
        path = str(folder / "*" / "*" / "*.parquet")
        months = connection.execute(
            "SELECT DISTINCT year, month, strftime(start_time, '%Y-%m') FROM read_parquet(?, hive_partitioning = true)",
            [path],
        ).fetchall()
        assert len(months) == 3
        assert [f"{year}-{int(month):02}" for year, month, _ in months] == [seen for _, _, seen in months]
        kinds = connection.execute(
            "SELECT DISTINCT type, converted_type FROM parquet_schema(?) WHERE name = 'start_time'", [path]
        ).fetchall()
        assert kinds == [("INT64", "TIMESTAMP_MICROS")]
        assert ((NOON + 123 + DAY * 9) * 1000,) in connection.execute(
            "SELECT epoch_us(start_time) FROM read_parquet(?)", [path]
        ).fetchall()
    assert {path.name for path in folder.glob("*/*")} == {"month=11", "month=12", "month=01"}


def see_manifest(lake: Path) -> None:
    """Check rows, bytes and digest of every file; an object that Redshift wrote has no digest."""
    manifest = manifest_of(lake)
    for table in manifest["tables"].values():
        assert table["rows"] == sum(file["rows"] for file in table["files"])
        assert table["bytes"] == sum(file["bytes"] for file in table["files"])
        for file in table["files"]:
            data = (lake / file["path"]).read_bytes()
            assert len(data) == file["bytes"]
            expected = None if manifest["engine"] == "redshift" else hashlib.sha256(data).hexdigest()
            assert file["sha256"] == expected
            found = duckdb.execute("SELECT COUNT(*) FROM read_parquet(?)", [str(lake / file["path"])]).fetchall()
            assert found == [(file["rows"],)]


def test_an_unchanged_star_is_not_written_again(target: Target) -> None:
    """The second export changes no byte; one after a load replaces what there was, and keeps it for its readers."""
    first = target.call()
    before = contents(target.fetch())
    assert target.call("--dry-run")["would_write"] is False
    assert target.call()["written"] is False
    assert contents(target.fetch()) == before
    load(target.warehouse, target.folder.parent.name, [event(sessionId=1234 + len(target.location))])
    second = target.call()
    lake = target.fetch()
    assert second["written"] is True
    assert read_lake(lake) == target.warehouse.star()
    assert versions(lake) == sorted((first["version"], second["version"]))
    assert before.items() - contents(lake).items() == {("manifest.json", before["manifest.json"])}
    target.call("--again")
    assert first["version"] not in versions(target.fetch())


@pytest.mark.parametrize("engine", ["duckdb", "postgres", "redshift"])
def test_a_star_without_rows_has_a_lake(make: Make, engine: str, tmp_path: Path, some_cloud: Cloud) -> None:
    """Tables without rows are there for readers; plays have no month to be in."""
    target = target_of(make(engine), tmp_path, some_cloud if engine == "redshift" else None)
    target.call()
    assert read_lake(target.fetch()) == {table: [] for table in STAR_QUERIES}
    assert target.call("--check")["ok"] is True
    assert target.call()["written"] is False


# ---------------------------------------------------------------------------------------------------------- the totals

# As they stand in the manifests of lakes that are there: a lake whose totals have other names is written again.
NAMES_OF_TOTALS = {
    "users": "number_of_rows user_id first_name last_name gender level days milliseconds",
    "songs": "number_of_rows song_id title artist_id year durations duration artist_name",
    "artists": "number_of_rows artist_id name location latitudes latitude longitudes longitude",
    "time": "number_of_rows days milliseconds hour day week month year weekday",
    "songplays": "number_of_rows songplay_id days milliseconds users user_id level song_id artist_id session_id"
    " location user_agent item_in_session title artist_name durations duration",
}


def test_the_totals_keep_their_names(loaded: Warehouse) -> None:
    """Each table of a manifest has the same totals as ever, of every column."""
    loaded.call("export_lake")
    tables = manifest_of(loaded.root / "lake")["tables"]
    assert {table: " ".join(about["totals"]) for table, about in tables.items()} == NAMES_OF_TOTALS


def test_a_new_column_is_exported_and_compared() -> None:
    """What the lake holds follows the columns of a table; a second time does not take the name of a total twice."""
    columns = columns_of(q.STAR["users"]) | {"first_seen": "TIMESTAMP", "plays": "BIGINT", "share": "DOUBLE PRECISION"}
    names = " ".join(total.name for total in star_lake.choose_totals("users", columns))
    assert names == f"{NAMES_OF_TOTALS['users']} first_seen_days first_seen_milliseconds plays shares share"
    assert star_lake.select_rows("users", columns).endswith("last_seen, first_seen, plays, share FROM users")


# ----------------------------------------------------------------------------------------- the same star, another star


def test_the_same_data_give_the_same_bytes(loaded: Warehouse, tmp_path: Path, postgres_server: Server) -> None:
    """Two exports to two places differ in the name of the version only, and so does one of PostgreSQL."""
    other = load(PostgresWarehouse(tmp_path / "other", server=postgres_server).create())
    loaded.call("export_lake", "--to", str(tmp_path / "a"))
    loaded.configure(DUCKDB={"THREADS": 1})
    loaded.call("export_lake", "--to", str(tmp_path / "b"))
    other.call("export_lake", "--to", str(tmp_path / "c"))
    digests = [contents(next((tmp_path / name).glob("v-*"))) for name in "abc"]
    assert len(digests[0]) > 5
    assert digests[0] == digests[1] == digests[2]


def test_another_warehouse_of_the_same_files_is_another_star(loaded: Warehouse, tmp_path: Path) -> None:
    """Neither tables made anew nor another database file are taken for the star that was exported."""
    written = [loaded.call("export_lake", "--json").json["written"]]
    loaded.call("create_tables", "--recreate", "--yes")
    written.append(loaded.call("export_lake", "--json").json["written"])
    loaded.etl()
    written.append(loaded.call("export_lake", "--json").json["written"])
    loaded.configure(DUCKDB={"PATH": "another.duckdb"})
    loaded.create()
    loaded.etl()
    written.append(loaded.call("export_lake", "--json", "--take-over").json["written"])
    assert written == [True] * 4


def test_rows_changed_by_hand_are_noticed(loaded: Warehouse) -> None:
    """A value that no load changed is exported all the same: the totals tell."""
    loaded.call("export_lake")
    loaded.rows("UPDATE songplays SET start_time = start_time + INTERVAL 1 MILLISECOND WHERE user_id IS NULL")
    assert loaded.call("export_lake", "--json").json["written"] is True
    assert read_lake(loaded.root / "lake") == loaded.star()


def test_a_file_that_is_gone_is_written_again(loaded: Warehouse) -> None:
    """A lake that has lost a file is not taken for whole."""
    loaded.call("export_lake")
    next((loaded.root / "lake").rglob("users/*.parquet")).unlink()
    assert loaded.call("export_lake", "--json").json["written"] is True
    assert read_lake(loaded.root / "lake") == loaded.star()


@pytest.mark.parametrize("keep", [1, 3])
def test_so_many_exports_stay(loaded: Warehouse, keep: int) -> None:
    """[LAKE] KEEP counts the current one; what others put there is not touched."""
    loaded.configure(LAKE={"KEEP": keep})
    made = [loaded.call("export_lake", "--again", "--json").json["version"] for _ in range(4)]
    (loaded.root / "lake" / "v-mine").mkdir()
    made.append(loaded.call("export_lake", "--again", "--json").json["version"])
    assert set(versions(loaded.root / "lake")) == {*made[-keep:], "v-mine"}
    assert manifest_of(loaded.root / "lake")["kept"] == made[:-1][::-1][: keep - 1]


# -------------------------------------------------------------------------------------------------------- whose it is


def whose(target: Target) -> dict[str, str]:
    """Give the place that a lake names."""
    named: dict[str, str] = manifest_of(target.fetch())["warehouse"]
    return named


def place_of(warehouse: Warehouse) -> dict[str, str]:
    """Say how a lake has to name the place of a warehouse."""
    if isinstance(warehouse, PostgresWarehouse):
        server = f"{socket.gethostname().lower()}:{warehouse.server.port}"
        return {"engine": "postgres", "server": server, "database": DATABASE, "schema": warehouse.schema_name}
    if isinstance(warehouse, RedshiftWarehouse):
        standin = warehouse.place.standin
        named = {"database": standin.database, "schema": warehouse.schema_name}
        return {"engine": "redshift", "endpoint": server_name(standin.host, standin.port), **named}
    return {"engine": "duckdb", "file": os.path.realpath(warehouse.database)}


def test_p160_a_warehouse_of_another_place_does_not_replace_a_lake(target: Target, tmp_path: Path) -> None:
    """The same data in a database elsewhere: it may read the lake, and replaces it only with --take-over."""
    target.call()
    assert whose(target) == place_of(target.warehouse)
    other = Target(load(Warehouse(tmp_path / "other").create()), target.location, target.cloud, target.folder)
    before = contents(target.fetch())
    for flags in ((), ("--again",), ("--dry-run",)):
        with pytest.raises(EnvironmentFailure, match="was not written by this warehouse; it was not changed") as raised:
            other.call(*flags)
        told = [f"written by: {in_words(place_of(target.warehouse))}", in_words(place_of(other.warehouse))]
        assert [words for words, line in zip(told, raised.value.evidence, strict=True) if words not in line] == []
        follow(other, raised.value.hint[0], "--dry-run")
    assert contents(target.fetch()) == before
    if target.warehouse.star() == other.warehouse.star():  # others of these tests have added to the one
        assert other.call("--check")["ok"] is True
    assert other.call("--take-over", "--dry-run")["would_write"] is True
    assert contents(target.fetch()) == before
    with pytest.raises(EnvironmentFailure, match="was not written by this warehouse") as raised:
        other.call()  # the way that a dry run tells is dry too
    follow(other, raised.value.hint[1])
    assert whose(other) == place_of(other.warehouse)
    assert other.call()["written"] is False
    with pytest.raises(EnvironmentFailure, match="was not written by this warehouse"):
        target.call()
    assert target.call("--take-over")["written"] is True


def follow(target: Target, hint: str, *flags: str) -> None:
    """Do what a hint says."""
    words = shlex.split(hint.split("   ")[0])
    assert words[:4] == ["python", "export_lake.py", "--config", str(target.warehouse.config)]
    target.call(*words[4:], *flags)  # of a flag that is given twice the second counts


def test_p162_a_warehouse_that_is_made_again_goes_on_with_its_lake(target: Target, make: Make) -> None:
    """The data removed, schema or file made anew, and loaded again: the lake is still its own."""
    target.call()
    target.warehouse.call("create_tables", "--recreate", "--yes")
    target.warehouse.call("conn_close", "--delete-data", "--yes")
    target.warehouse.create()
    assert target.call()["written"] is True
    load(target.warehouse, target.folder.parent.name)
    assert target.call()["written"] is True
    assert read_lake(target.fetch()) == target.warehouse.star()


def test_p163_a_lake_that_names_no_place_is_known_by_its_load(target: Target, tmp_path: Path) -> None:
    """A lake of version 0.1 is its warehouse's after the upgrade, and no other's."""
    target.call()
    forget_the_place(target)
    other = Target(load(Warehouse(tmp_path / "other").create()), target.location, target.cloud, target.folder)
    before = contents(target.fetch())
    with pytest.raises(EnvironmentFailure, match="was not written by this warehouse") as raised:
        other.call()
    assert "written by: version 0.1" in raised.value.evidence[0]
    assert contents(target.fetch()) == before
    assert target.call("--dry-run")["would_write"] is True
    assert target.call()["written"] is True
    assert whose(target) == place_of(target.warehouse)
    assert target.call()["written"] is False


def forget_the_place(target: Target) -> None:
    """Make the manifest one of version 0.1."""
    manifest = manifest_of(target.fetch())
    del manifest["warehouse"]
    text = json.dumps(manifest).encode()
    if not target.cloud:
        Path(target.location, "manifest.json").write_bytes(text)
        return
    key = f"{target.location.removeprefix(f's3://{WORK}/')}/manifest.json"
    target.cloud.client().put_object(Bucket=WORK, Key=key, Body=text)


def test_a_server_of_this_machine_has_one_name_and_only_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Localhost, its addresses, a socket and the machine's own name are one server; those of other machines are not."""

    def named(**changes: Any) -> Mapping[str, str]:
        given = {"host": "localhost", "port": 5432, "db_name": "d", "schema": "s", "db_user": "ann", **changes}
        return PostgresEngine(settings.Postgres(given), settings.DuckDb({})).address

    here = named()
    assert "ann" not in json.dumps(here)
    alike = ("", "LOCALHOST", "127.0.0.1", "::1", "/var/run/postgresql", socket.gethostname().upper())
    assert [host for host in alike if named(host=host) != here] == []
    others = [named(**one) for one in ({"host": "db.acme.org"}, {"port": 5433}, {"db_name": "e"}, {"schema": "t"})]
    assert named(host="DB.acme.org.") == others[0]
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    others += [named(), here]
    assert len({json.dumps(one) for one in others}) == len(others)


def test_a_cluster_is_named_by_its_region_and_an_endpoint_by_itself(tmp_path: Path) -> None:
    """The cluster need not be there; neither its user nor its password is in the name."""
    named = {"DB_NAME": "dwh", "SCHEMA": "sparkify", "DB_USER": "ann", "DB_PASSWORD": "CANARY-7f3"}
    warehouse = Warehouse(tmp_path / "w")
    for cluster, place in (
        ({"IDENTIFIER": "Our-DWH"}, {"region": "eu-west-1", "cluster": "our-dwh"}),
        ({"HOST": "Wg.123.eu-west-1.redshift-serverless.amazonaws.com", "DB_PORT": "5440"},
         {"endpoint": "wg.123.eu-west-1.redshift-serverless.amazonaws.com:5440"}),
    ):  # fmt: skip
        warehouse.configure(WAREHOUSE={"ENGINE": "redshift"}, AWS={"REGION": "eu-west-1"}, CLUSTER={**named, **cluster})
        engine = open_engine(load_config(str(warehouse.config), {}, {}))
        assert engine.address == {"engine": "redshift", **place, "database": "dwh", "schema": "sparkify"}


def test_a_database_file_has_one_name_whatever_leads_to_it(loaded: Warehouse, tmp_path: Path) -> None:
    """By a link to its folder it is the same warehouse, and one that was moved with its lake is not."""
    loaded.call("export_lake")
    (tmp_path / "link").symlink_to(loaded.root)
    linked = Warehouse(tmp_path / "link")
    assert linked.call("export_lake", "--json").json["written"] is False
    os.rename(loaded.root, tmp_path / "moved")
    moved = Warehouse(tmp_path / "moved")
    with pytest.raises(EnvironmentFailure, match="was not written by this warehouse"):
        moved.call("export_lake")
    moved.call("export_lake", "--take-over")
    assert moved.call("export_lake", "--json").json["written"] is False


@pytest.mark.slow
@pytest.mark.parametrize("first", [False, True])
def test_of_two_warehouses_that_export_at_once_one_wins(
    loaded: Warehouse, some_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: bool
) -> None:
    """Each sees a lake that it may replace, or none: who comes second is told so, and refused the next time."""
    target = Target(loaded, f"s3://{WORK}/at once {first}", some_cloud, tmp_path)
    other = Target(load(Warehouse(tmp_path / "other").create()), target.location, some_cloud, tmp_path)
    flags = () if first else ("--take-over",)
    if not first:
        target.call()
    replace = Prefix.replace

    def overtaken(place: Prefix, *args: Any) -> None:
        monkeypatch.setattr(Prefix, "replace", replace)
        other.call(*flags)
        replace(place, *args)

    monkeypatch.setattr(Prefix, "replace", overtaken)
    with pytest.raises(Busy, match="another session has just exported"):
        target.call("--again")
    assert whose(target) == place_of(other.warehouse)
    with pytest.raises(EnvironmentFailure, match="was not written by this warehouse"):
        target.call("--again")


@pytest.mark.parametrize("name", ["thesis.txt", "data/log.json", "v-mine/x", ".git/../src/main.py"])
def test_p164_a_folder_of_other_things_is_no_lake(loaded: Warehouse, tmp_path: Path, name: str) -> None:
    """Whatever lies there stays alone."""
    there = tmp_path / "there" / name
    there.parent.mkdir(parents=True)
    there.write_text("years of work")
    for flags in ((), ("--take-over",), ("--again", "--dry-run")):
        with pytest.raises(ConfigError, match="is not a lake and holds other things"):
            loaded.call("export_lake", "--to", str(tmp_path / "there"), *flags)
    assert contents(tmp_path / "there") == {os.path.normpath(name): hashlib.sha256(b"years of work").hexdigest()}


def test_p164_an_empty_folder_may_hold_what_nobody_put_there(loaded: Warehouse, tmp_path: Path) -> None:
    """Hidden files of the machine and of git, the folder of a file system's own, and what a killed export left."""
    for name in (".DS_Store", ".gitkeep", "lost+found/.x", "v-20200101T000000Z-0123abcd/users/part-00000.parquet"):
        (tmp_path / "lake" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lake" / name).touch()
    assert loaded.call("export_lake", "--to", str(tmp_path / "lake"), "--json").json["removed"] == [
        "v-20200101T000000Z-0123abcd"
    ]
    assert (tmp_path / "lake" / ".DS_Store").exists()
    assert (tmp_path / "lake" / "lost+found" / ".x").exists()
    assert read_lake(tmp_path / "lake") == loaded.star()


def test_p164_a_lake_stays_out_of_the_sources_and_the_scripts(loaded: Warehouse, tmp_path: Path) -> None:
    """In a source, around one, or the very folder; also by a link, by a setting, and where a lake lies already."""
    source = loaded.root / "song_data"
    (tmp_path / "link").symlink_to(source)
    before = contents(loaded.root), contents(REPO / "dwh")
    for place in (source, source / "lake", source / "a" / "b", tmp_path / "link" / "lake", loaded.root, tmp_path, REPO):
        for flags in ((), ("--dry-run",), ("--take-over",)):
            with pytest.raises(ConfigError, match="cannot hold a lake: nothing was written") as raised:
                loaded.call("export_lake", "--to", str(place), *flags)
            follow(Target(loaded, "", None, tmp_path), raised.value.hint[1], "--dry-run")
    assert (contents(loaded.root), contents(REPO / "dwh")) == before
    loaded.call("export_lake")
    os.rename(loaded.root / "lake", source / "lake")
    loaded.configure(S3={"LOG_DATA": "log_data", "SONG_DATA": "song_data", "LAKE": "song_data/lake"})
    assert loaded.run("export_lake").code == 2


def test_p164_a_prefix_of_other_things_is_no_lake(loaded: Warehouse, some_cloud: Cloud, tmp_path: Path) -> None:
    """In S3 as in folders: other objects, a source, what holds a source. A name that only begins alike is another."""
    client, start = some_cloud.client(), f"p164/{tmp_path.parent.name}"
    for key in ("used/thesis.txt", "deep/used/thesis.txt", "empty/", "data/songs/s.json"):
        client.put_object(Bucket=WORK, Key=f"{start}/{key}", Body=b"" if key.endswith("/") else b"years of work")
    loaded.configure(S3={"LOG_DATA": "log_data", "SONG_DATA": f"s3://{WORK}/{start}/data/songs/"})
    before = some_cloud.work()
    for name, told in (
        *((name, "is not a lake and holds other things") for name in ("used", "deep/", "deep/used")),
        *((name, "cannot hold a lake") for name in ("data", "data/songs", "data/songs/", "data/songs/lake", "")),
    ):
        target = Target(loaded, f"s3://{WORK}/{start}/{name}", some_cloud, tmp_path)
        for flags in ((), ("--dry-run", "--take-over")):
            with pytest.raises(ConfigError, match=told):
                target.call(*flags)
    assert some_cloud.work() == before
    for name in ("empty", "data/songs2"):
        assert Target(loaded, f"s3://{WORK}/{start}/{name}", some_cloud, tmp_path).call()["written"] is True


# ------------------------------------------------------------------------------------------------------------- files


def test_a_month_of_many_plays_becomes_files_of_whole_days(loaded: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is sorted, and so is one after the other; a day of many plays is not cut."""
    same_month = [event(ts=NOON + DAY * (n // 2), sessionId=500, itemInSession=n) for n in range(12)]
    load(loaded, "two", same_month)
    monkeypatch.setattr(parquet, "FILE_ROWS", 5)
    loaded.call("export_lake")
    november = sorted((loaded.root / "lake").rglob("year=2018/month=11/*.parquet"))
    days: list[set[str]] = []
    keys: list[tuple[Any, ...]] = []
    for path in november:
        rows = duckdb.execute("SELECT start_time, songplay_id FROM read_parquet(?)", [str(path)]).fetchall()
        days.append({str(at.date()) for at, _ in rows})
        keys += rows
    assert [path.name for path in november] == [f"part-{n:05}.parquet" for n in range(len(november))]
    assert len(november) == 4
    assert not any(one & other for n, one in enumerate(days) for other in days[:n])
    assert keys == sorted(keys)
    assert read_lake(loaded.root / "lake") == loaded.star()


def test_the_last_day_of_all_can_be_exported(warehouse: Warehouse) -> None:
    """The latest ts there is."""
    load(warehouse, events=[event(ts=10**14 - 1)])
    warehouse.call("export_lake")
    assert read_lake(warehouse.root / "lake") == warehouse.star()


@pytest.mark.parametrize("name", ['it\'s 50% "good" %s; --all', "a [b] *?{c}", "x/y/ünï 🎵"])
def test_a_lake_may_have_any_name(loaded: Warehouse, tmp_path: Path, name: str) -> None:
    """Signs of SQL, of patterns and of the shell are a name's right."""
    place = tmp_path / name
    loaded.call("export_lake", f"--to={place}")
    assert read_lake(place) == loaded.star()
    assert loaded.call("export_lake", f"--to={place}", "--json").json["written"] is False
    assert loaded.call("export_lake", f"--to={place}", "--check").code == 0


# ------------------------------------------------------------------------------------------------ failing in the midst


def no_space() -> None:
    raise OSError(28, "No space left on device")


def see_one_whole_version(lake: Path, old: Star, new: Star) -> bool:
    """Check that a reader sees the old star or the new one; tells whether it is the new one."""
    found = read_lake(lake)
    assert found in (old, new)
    for table in manifest_of(lake)["tables"].values():
        for file in table["files"]:
            assert hashlib.sha256((lake / file["path"]).read_bytes()).hexdigest() == file["sha256"]
    return found == new


def test_an_export_that_fails_at_any_call_leaves_the_lake_whole(warehouse: Warehouse) -> None:
    """Old or new, never between; what was begun is gone at the latest after the next export."""
    loaded = load(warehouse, events=[event()])
    loaded.configure(LAKE={"KEEP": 1})
    lake, old = loaded.root / "lake", loaded.star()
    loaded.call("export_lake")
    load(loaded, "two", [event(sessionId=777)])
    new, number, outcomes = loaded.star(), 0, []
    saved = loaded.root / "saved"
    os.rename(lake, saved)
    while True:
        number += 1
        shutil.copytree(saved, lake)
        with at_call(number, no_space) as made, suppress(EnvironmentFailure, OSError):
            loaded.call("export_lake")
        if len(made) < number:
            break
        outcomes.append(see_one_whole_version(lake, old, new))
        if number % 4 == 0:
            loaded.call("export_lake")
            assert see_one_whole_version(lake, old, new)
            assert len(versions(lake)) == 1
        shutil.rmtree(lake)
    assert outcomes[0] is False
    assert outcomes[-1] is True
    assert outcomes == sorted(outcomes)
    assert number > 20


DRIVER = """
import os, signal, sys
sys.path[:0] = [{repo!r}, {tests!r}]
import export_lake, failing_calls
with failing_calls.at_call(int(sys.argv[1]), lambda: os.kill(os.getpid(), signal.SIGKILL)):
    sys.exit(export_lake.main(["--config", sys.argv[2]]))
"""


def test_an_export_that_is_killed_leaves_the_old_one(warehouse: Warehouse) -> None:
    """A real process, killed while it writes: nothing runs after that, and the next export finds its way."""
    loaded = load(warehouse, events=[event()])
    lake, old = loaded.root / "lake", loaded.star()
    loaded.call("export_lake")
    load(loaded, "two", [event(sessionId=777)])
    tests = Path(__file__).parent
    driver = DRIVER.format(repo=str(tests.parent), tests=str(tests))
    for number in (2, 12, 21):
        command = [sys.executable, "-W", "ignore", "-c", driver, str(number), str(loaded.config)]
        done = subprocess.run(command, env=loaded.environment(), capture_output=True, timeout=WATCHDOG, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert see_one_whole_version(lake, old, loaded.star()) is False
    assert len(versions(lake)) > 1
    loaded.call("export_lake")
    assert read_lake(lake) == loaded.star()
    assert len(versions(lake)) == 2


def test_what_a_kill_left_goes_even_if_the_star_is_the_same(loaded: Warehouse) -> None:
    """An export with nothing to write removes leftovers all the same."""
    loaded.call("export_lake")
    lake = loaded.root / "lake"
    (lake / "v-20200101T000000Z-0123abcd" / "users").mkdir(parents=True)
    assert loaded.call("export_lake", "--json").json["removed"] == ["v-20200101T000000Z-0123abcd"]
    assert len(versions(lake)) == 1
    assert read_lake(lake) == loaded.star()


# ------------------------------------------------------------------------------------------------------- two at once


def test_one_export_at_a_time_in_a_folder(loaded: Warehouse) -> None:
    """The second is told so, and exits 4."""
    (loaded.root / "lake").mkdir()
    descriptor = os.open(loaded.root / "lake", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(Busy, match="another session is exporting"):
            loaded.call("export_lake")
    finally:
        os.close(descriptor)


def test_of_two_exports_to_a_bucket_the_first_to_end_stays(
    loaded: Warehouse, some_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The other one finds another manifest than it began with, and does not replace it."""
    target = Target(loaded, f"s3://{WORK}/two", some_cloud, tmp_path)
    target.call()
    replace, won = Prefix.replace, []

    def overtaken(place: Prefix, *args: Any) -> None:
        monkeypatch.setattr(Prefix, "replace", replace)
        won.append(target.call("--again")["version"])
        replace(place, *args)

    monkeypatch.setattr(Prefix, "replace", overtaken)
    with pytest.raises(Busy, match="another session has just exported"):
        target.call("--again")
    lake = target.fetch()
    assert [manifest_of(lake)["current"]] == won
    assert read_lake(lake) == loaded.star()
    target.call()
    assert len(versions(target.fetch())) == 2


def test_a_commit_whose_answer_was_lost_is_a_commit(loaded: Warehouse, some_cloud: Cloud, tmp_path: Path) -> None:
    """The request is sent again, and S3 refuses it because of the first."""
    target = Target(loaded, f"s3://{WORK}/lost", some_cloud, tmp_path)
    replace = Prefix.replace

    def twice(place: Prefix, manifest: bytes, tag: str, version: str) -> None:
        replace(place, manifest, tag, version)
        replace(place, manifest, tag, version)

    with patch.object(Prefix, "replace", twice):
        assert target.call()["written"] is True
        assert target.call("--again")["written"] is True
    assert read_lake(target.fetch()) == loaded.star()


# ------------------------------------------------------------------------------------------------------------ --check


def damage(path: Path) -> None:
    """Change one byte of a value, and not the length."""
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("table", "harm", "said"),
    [
        *((table, damage, "SHA-256") for table in STAR_QUERIES),
        ("songplays", Path.unlink, "is missing"),
        ("songplays", Path.write_text, "bytes, not"),
    ],
)
def test_check_names_the_table_whose_file_is_not_what_was_written(
    loaded: Warehouse, table: str, harm: Callable[..., Any], said: str
) -> None:
    """A byte, a file, all of it."""
    loaded.call("export_lake")
    path = next((loaded.root / "lake").glob(f"v-*/{table}/**/*.parquet"))
    harm(path, *(("",) if harm is Path.write_text else ()))
    with pytest.raises(DataError, match=f"differs from the star in {table}$") as raised:
        loaded.call("export_lake", "--check")
    assert said in raised.value.evidence[0]
    loaded.call("export_lake", "--again")
    assert loaded.call("export_lake", "--check").code == 0


@pytest.mark.parametrize("target", ["duckdb-s3", "redshift-s3"], indirect=True)
def test_check_looks_at_every_object(target: Target) -> None:
    """An object that is gone, and one with other bytes: of Redshift's at least the length is known."""
    assert target.cloud
    done = target.call()
    client, prefix = target.cloud.client(), f"{target.location.removeprefix(f's3://{WORK}/')}/{done['version']}/"
    keys = [item["Key"] for item in client.list_objects_v2(Bucket=WORK, Prefix=prefix)["Contents"]]
    client.put_object(Bucket=WORK, Key=next(key for key in keys if "/users/" in key), Body=b"short")
    client.delete_object(Bucket=WORK, Key=next(key for key in keys if "/songplays/" in key))
    with pytest.raises(DataError, match=r"differs from the star in users, songplays$") as raised:
        target.call("--check")
    assert "has 5 bytes, not" in raised.value.evidence[0]
    assert "is missing" in raised.value.evidence[1]


CHANGES = {
    "songplays": "UPDATE songplays SET user_id = user_id + 1 WHERE user_id IS NOT NULL",
    "users": "UPDATE users SET last_seen = last_seen + INTERVAL 1 MILLISECOND",
    "songs": "UPDATE songs SET title = title || '!'",
    "artists": "UPDATE artists SET latitude = latitude + 0.001",
    "time": "DELETE FROM time WHERE day = 2",
}


@pytest.mark.parametrize("table", CHANGES)
def test_check_names_the_table_that_differs(loaded: Warehouse, table: str) -> None:
    """A row less, a text longer, a millisecond later."""
    loaded.call("export_lake")
    loaded.rows(CHANGES[table])
    done = loaded.run("export_lake", "--check")
    assert done.code == 1
    assert f"differs from the star in {table}\n" in done.err
    assert "in the lake" in done.err


def test_check_says_that_the_star_was_loaded_since(loaded: Warehouse) -> None:
    """An old lake is no damaged lake."""
    loaded.call("export_lake")
    load(loaded, "two", [event(sessionId=777)])
    with pytest.raises(DataError) as raised:
        loaded.call("export_lake", "--check")
    assert raised.value.evidence[-1] == "the star was loaded again after this export"
    assert raised.value.hint == ("python export_lake.py",)


def test_there_has_to_be_a_lake_to_check(loaded: Warehouse) -> None:
    """No lake, exit 3."""
    with pytest.raises(EnvironmentFailure, match="there is no lake"):
        loaded.call("export_lake", "--check")


# ------------------------------------------------------------------------------------------------------------ refusals


def test_a_place_that_cannot_be_written_is_named(loaded: Warehouse, tmp_path: Path) -> None:
    """A file where a folder should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailure, match="cannot be read or written") as raised:
        loaded.call("export_lake", "--to", str(tmp_path / "file" / "lake"))
    assert raised.value.hint == ("the same command again with --to lake_2",)


def test_a_full_disk_is_named(loaded: Warehouse) -> None:
    """No file may become longer than this: the same error path as a disk that is full."""
    load(loaded, "many", [event(sessionId=n, userAgent=hashlib.sha256(b"%d" % n).hexdigest()) for n in range(500)])
    done = subprocess.run(
        loaded.command("export_lake"),
        env=loaded.environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, 16_000)),
        capture_output=True,
        encoding="utf-8",
        timeout=WATCHDOG,
        check=False,
    )
    assert done.returncode == 3
    assert "error: the disk is full: " in done.stderr
    assert "/songplays/year=2018/month=11/part-00000.parquet needs more room" in done.stderr
    assert versions(loaded.root / "lake") == []


@pytest.mark.parametrize(
    "text",
    ['{"entries": []}', "[]", "not json", '{"format": "dwh-lake/2"}', MANIFEST % "[]", MANIFEST % '{"file": "x"}'],
)
def test_a_manifest_of_others_is_left_alone(loaded: Warehouse, tmp_path: Path, text: str) -> None:
    """It may be what Redshift or Spark wrote."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "manifest.json").write_text(text)
    with pytest.raises(ConfigError, match="nothing was changed"):
        loaded.call("export_lake", "--to", str(tmp_path / "there"), "--take-over")
    assert (tmp_path / "there" / "manifest.json").read_text() == text
    assert list(tmp_path.glob("there/v-*")) == []


def test_redshift_needs_a_lake_in_s3(tmp_path: Path, some_cloud: Cloud) -> None:
    """It is said before anything is asked of the warehouse."""
    warehouse = RedshiftWarehouse(tmp_path / "w", cloud=some_cloud)
    with pytest.raises(ConfigError, match="to S3 only") as raised:
        warehouse.call("export_lake", env={"DWH_S3_LAKE": "lake"})
    assert raised.value.hint == ("[S3] LAKE = s3://bucket/lake",)


def test_exporting_changes_nothing_in_the_warehouse(loaded: Warehouse) -> None:
    """Not a row, not a table."""
    before = (loaded.dump(), loaded.schema())
    loaded.call("export_lake")
    loaded.call("export_lake", "--check")
    assert (loaded.dump(), loaded.schema()) == before
    assert {name for (name,) in loaded.rows("SELECT table_name FROM duckdb_tables()")} == {*TABLES, MARKER}


def test_people_are_told_what_was_written(loaded: Warehouse) -> None:
    """Rows, files and bytes of each table, and where the current version is."""
    done = loaded.run("export_lake")
    assert done.code == 0, done.err
    assert re.search(rf"^  songplays +{len(EVENTS)} rows +\d+ files +\d+\.\d kB$", done.out, re.MULTILINE)
    version = manifest_of(loaded.root / "lake")["current"]
    assert f"  {loaded.root / 'lake' / version}: " in done.out
    assert f"nothing new: {loaded.root / 'lake' / version} is up to date" in loaded.run("export_lake").out
