"""The lake of Iceberg tables: what an export writes of a load, and that the lake is the star after it, row by row."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import pytest
from postgres_server import Make
from redshift.warehouse_on_redshift import WORK, Cloud, RedshiftWarehouse
from reference_star import Star, in_order
from warehouse import NOON, REPO, STAR_QUERIES, Warehouse, event, song

from dwh.lake.iceberg.folder import FolderStore
from dwh.lake.iceberg.pieces import days_of_month
from dwh.lake.iceberg.spec import piece_of
from dwh.terminal.errors import Busy, ConfigError, DataError, EnvironmentFailure
from star import lake_tables

DAY = 86_400_000
PLAYED = ("songplays", "time")
DECEMBER = tuple(day.isoformat() for day in days_of_month("2018-12"))
NOVEMBER = [event(ts=NOON + DAY * day, sessionId=day, song=f"Song {day}") for day in range(3)]


def on_day(day: int, session: int, **changes: Any) -> dict[str, Any]:
    """A play so many days after 2018-11-02."""
    return event(ts=NOON + DAY * day + session, sessionId=session, **changes)


@pytest.fixture
def loaded(warehouse: Warehouse) -> Warehouse:
    """A warehouse with plays of November and December."""
    return load(warehouse)


def load(warehouse: Warehouse) -> Warehouse:
    """Load two songs, and plays of two months."""
    warehouse.write("song_data/one.json", [song(), song("S2", title="Army", artist_id="A2", year=0)])
    warehouse.write("log_data/one.json", NOVEMBER)
    warehouse.write("log_data/two.json", [on_day(30, 30), on_day(31, 31)])
    warehouse.etl()
    return warehouse


def export(warehouse: Warehouse, *argv: str) -> dict[str, Any]:
    """Export, and give the object that is printed."""
    return warehouse.call("export_lake", "--json", *argv).json


def pins_of(lake: Path) -> dict[str, Any]:
    """Read export.json of a lake in a folder."""
    found = json.loads((lake / "export.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def read_lake(lake: Path) -> Star:
    """Read the files that export.json names, as a reader without Iceberg does."""
    found: Star = {}
    for table, query in STAR_QUERIES.items():
        files = [str(lake / file["path"]) for file in pins_of(lake)["tables"][table]["files"]]
        sql = query.replace(f"FROM {table}", "FROM read_parquet($files)")
        found[table] = in_order(duckdb.execute(sql, {"files": files}).fetchall()) if files else []
    return found


def contents(folder: Path) -> dict[str, str]:
    """Give the digest of every file below a folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# ------------------------------------------------------------------------------- every kind of load, on every engine


class Lake:
    """The lake of a warehouse, in a folder or in S3, and a full export of the same star beside it."""

    def __init__(self, warehouse: Warehouse, root: Path, place: Cloud | None) -> None:
        self.warehouse = warehouse
        self.root = root
        self.place = place
        self.number = 0
        self.folder = root

    def export(self, *argv: str, to: str = "lake") -> tuple[dict[str, Any], Path]:
        """Export, and give what is printed, and a folder that holds export.json and the data of the lake."""
        if self.place is None:
            return export(self.warehouse, "--to", str(self.root / to), *argv), self.root / to
        prefix = f"lakes of {self.root.name}/it's 50%/{to}"
        keys = {k: v for k, v in self.place.environment.items() if k.startswith("AWS_")}
        told = self.warehouse.call("export_lake", "--json", "--to", f"s3://{WORK}/{prefix}", *argv, env=keys).json
        self.number += 1
        folder, client = self.root / f"fetched-{self.number}", self.place.client()
        for item in client.list_objects_v2(Bucket=WORK, Prefix=f"{prefix}/").get("Contents", ()):
            path = folder / item["Key"].removeprefix(f"{prefix}/")
            if path.parent.name == "metadata":
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(client.get_object(Bucket=WORK, Key=item["Key"])["Body"].read())
        return told, folder

    def is_the_star_after(self, *planned: str) -> None:
        """Export what changed: these pieces of the plays may be others, and the lake is then what a full export writes.
        What a full export writes lies beside it, piece by piece."""
        pieces = self.export("--dry-run")[0]["pieces"]
        assert pieces.get("songplays", []) == pieces.get("time", []) == list(planned)
        before = paths_of(self.folder) if self.folder != self.root else {}
        told, self.folder = self.export()
        self.number += 1
        full = self.export(to=f"full-{self.number}")[1]
        assert told["written"]
        assert read_lake(self.folder) == read_lake(full) == self.warehouse.star()
        after, wanted = paths_of(self.folder), paths_of(full)
        for table in STAR_QUERIES:
            assert [piece_of(path) for path in after[table]] == [piece_of(path) for path in wanted[table]]
        for table in PLAYED if before else ():
            newest = max(map(piece_of, after[table]), default="")
            gone = set(before[table]) - set(after[table])
            assert [path for path in gone if not touches(path, planned) and piece_of(path) <= newest] == []


def paths_of(lake: Path) -> dict[str, list[str]]:
    """Give the paths of the current files of every table."""
    return {t: sorted(file["path"] for file in about["files"]) for t, about in pins_of(lake)["tables"].items()}


def touches(path: str, pieces: tuple[str, ...]) -> bool:
    """Tell whether a file holds days of these pieces."""
    own = piece_of(path)
    return any(piece.startswith(own) or own.startswith(piece) for piece in pieces)


@pytest.mark.parametrize("place", ["duckdb", "postgres", "duckdb-s3", "postgres-s3", "redshift-s3"])
def test_p181_after_every_kind_of_load_the_lake_is_what_a_full_export_writes(
    make: Make, place: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Row by row, and in the same pieces; the files of other days stay."""
    warehouse = load(make(tmp_path / "w", place.partition("-")[0]))
    in_s3 = request.getfixturevalue("some_cloud") if place.endswith("-s3") else None
    lake = Lake(warehouse, tmp_path, warehouse.place if isinstance(warehouse, RedshiftWarehouse) else in_s3)
    lake.is_the_star_after("2018-11", "2018-12-02", "2018-12-03")

    def step(*planned: str, **files: list[dict[str, Any]]) -> None:
        for name, records in files.items():
            warehouse.write(f"{'song' if name.startswith('song') else 'log'}_data/{name}.json", records)
        warehouse.etl()
        lake.is_the_star_after(*planned)

    step("2018-12-04", new_day=[on_day(32, 32)])
    step("2018-11", late=[on_day(20, 20)])
    step("2018-12-02", "2018-12-03", two=[on_day(30, 30), on_day(31, 31, level="paid")])
    step("2018-11", "2018-12-02", "2018-12-03", two=[on_day(3, 30), on_day(31, 31, level="paid")])
    step("2018-11", song_two=[song("S3", title="Song 1")])
    step("2018-12", "2019-01-04", new_month=[on_day(63, 63)])
    step(other_pages=[event(ts=NOON + DAY * 90, page="Home", userId="9", song=None, artist=None, length=None)])
    warehouse.remove("log_data/new_month.json")
    warehouse.etl("--forget", str(warehouse.root / "log_data/new_month.json"))
    lake.is_the_star_after(*DECEMBER)
    warehouse.etl("--rebuild", "--yes")
    lake.is_the_star_after("2018-11", "2018-12-03", "2018-12-04")
    warehouse.call("create_tables", "--recreate", "--yes")
    lake.is_the_star_after()
    warehouse.etl()
    lake.is_the_star_after("2018-11", "2018-12-03", "2018-12-04")


# -------------------------------------------------------------------------------------------------- what is not done

READS = re.compile(r"\b(?:FROM|JOIN) (?:songplays|users|songs|artists|time)\b")


def statements(warehouse: Warehouse, *argv: str) -> list[str]:
    """Export, and give every statement that ran."""
    return warehouse.call("export_lake", "-vv", *argv).err.split("\n\n")


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_p182_an_unchanged_star_is_not_read_and_nothing_is_written(make: Make, engine: str, tmp_path: Path) -> None:
    """Not a table of the star, not a byte of the lake; another load is noticed by the same means."""
    warehouse = load(make(tmp_path / "w", engine))
    assert any(map(READS.search, statements(warehouse)))
    before = contents(warehouse.root / "lake")
    assert not any(map(READS.search, statements(warehouse)))
    assert export(warehouse)["written"] is False
    assert contents(warehouse.root / "lake") == before
    warehouse.write("log_data/more.json", [on_day(32, 32)])
    warehouse.etl()
    assert any(map(READS.search, statements(warehouse)))


def test_nothing_new_needs_no_iceberg_library(loaded: Warehouse) -> None:
    """Its import alone would take longer than all the rest."""
    export(loaded)
    code = f"""
import sys
sys.path.insert(0, {str(REPO)!r})
import export_lake
export_lake.main(sys.argv[1:])
print([name for name in sys.modules if name.startswith("pyiceberg")])
"""
    done = loaded.run(
        "",
        command=[
            sys.executable,
            "-c",
            code,
            "--config",
            str(loaded.config),
            "-q",
        ],
    )
    assert (done.code, done.out.strip()) == (0, "[]"), done.err


def test_an_export_of_one_day_reads_that_day_alone(loaded: Warehouse) -> None:
    """Every statement on the plays has their time in its condition."""
    export(loaded)
    loaded.write("log_data/more.json", [on_day(31, 99)])
    loaded.etl()
    asked = [text for text in statements(loaded) if re.search(r"\bFROM songplays\b", text)]
    assert asked
    assert [text for text in asked if "start_time >=" not in text] == []


def test_a_small_table_whose_rows_stay_is_not_written(loaded: Warehouse) -> None:
    """The same user plays once more and stays as he was: the file of users stays the one that it was."""
    export(loaded)
    before = pins_of(loaded.root / "lake")["tables"]
    loaded.write("log_data/more.json", [on_day(0, 50)])
    loaded.etl()
    told = export(loaded)
    after = pins_of(loaded.root / "lake")["tables"]
    assert told["written"]
    assert {t for t in after if after[t]["files"] != before[t]["files"]} == {"songplays", "time"}
    assert {t: after[t]["version"] - before[t]["version"] for t in after} == dict.fromkeys(after, 1)
    assert told["bytes_written"] == sum(
        f["bytes"] for t in PLAYED for f in after[t]["files"] if f not in before[t]["files"]
    )


def test_other_words_about_a_column_are_told_and_no_file_is_written(loaded: Warehouse) -> None:
    """Descriptions are part of the tables of the lake."""
    export(loaded)
    spec = lake_tables.SPECS[0]
    other = spec._replace(columns=[spec.columns[0]._replace(doc="other words"), *spec.columns[1:]])
    with (
        patch.object(lake_tables, "TABLES_SHA256", "other"),
        patch("star.iceberg_lake.SPECS", [other, *lake_tables.SPECS[1:]]),
    ):
        told = export(loaded)
        assert (told["written"], told["bytes_written"]) == (True, 0)
        assert export(loaded)["written"] is False
    path = loaded.root / "lake" / pins_of(loaded.root / "lake")["tables"][spec.name]["pin"]["metadata"]
    assert "other words" in path.read_text()


# ------------------------------------------------------------------------------------------ another star, another lake


def test_a_copy_of_the_database_that_was_put_back_is_another_star(loaded: Warehouse, tmp_path: Path) -> None:
    """Its loads have the numbers of those that are gone, and are not they."""
    shutil.copyfile(loaded.database, tmp_path / "copy")
    loaded.write("log_data/gone.json", [on_day(31, 77)])
    loaded.etl()
    export(loaded)
    shutil.copyfile(tmp_path / "copy", loaded.database)
    loaded.remove("log_data/gone.json")
    loaded.write("log_data/other.json", [on_day(1, 78)])
    loaded.etl()
    export(loaded)
    assert read_lake(loaded.root / "lake") == loaded.star()


def test_another_warehouse_takes_over_and_writes_everything(
    loaded: Warehouse, tmp_path: Path, empty_database: Path
) -> None:
    """It is refused first, and the lake stays as it is."""
    export(loaded)
    other = Warehouse(tmp_path / "other").create(empty_database)
    other.write("log_data/one.json", [on_day(40, 40)])
    other.etl()
    lake, before = str(loaded.root / "lake"), contents(loaded.root / "lake")
    for flags in ((), ("--again",), ("--dry-run",)):
        with pytest.raises(EnvironmentFailure, match="was not written by this warehouse"):
            export(other, "--to", lake, *flags)
    assert contents(loaded.root / "lake") == before
    export(other, "--to", lake, "--take-over")
    assert read_lake(loaded.root / "lake") == other.star()
    assert export(other, "--to", lake)["written"] is False
    export(loaded, "--take-over")
    assert read_lake(loaded.root / "lake") == loaded.star()


def test_a_lake_of_another_format_is_recognised_and_left_alone(loaded: Warehouse) -> None:
    """Both ways round; what is said leads on."""
    lake = loaded.root / "lake"
    for first, second in (("parquet", "iceberg"), ("iceberg", "parquet")):
        loaded.configure(LAKE={"FORMAT": first})
        export(loaded)
        before = contents(lake)
        loaded.configure(LAKE={"FORMAT": second})
        for flags in ((), ("--again",), ("--check",), ("--dry-run",), ("--take-over",)):
            with pytest.raises(ConfigError, match=f"holds a lake of FORMAT = {first}") as raised:
                export(loaded, *flags)
        assert raised.value.hint[0] == f"[S3] LAKE = {lake}_{second}"
        assert contents(lake) == before
        export(loaded, "--to", f"{lake}_{second}")
        shutil.rmtree(lake)
        shutil.rmtree(f"{lake}_{second}")


@pytest.mark.parametrize("name", ["thesis.txt", "users/data/photo.jpg", "time/notes.txt", "songs/metadata/mine.json"])
def test_a_folder_of_other_things_is_no_lake(loaded: Warehouse, tmp_path: Path, name: str) -> None:
    """Whatever lies there stays alone, also under a name that a table has."""
    there = tmp_path / "there" / name
    there.parent.mkdir(parents=True)
    there.write_text("years of work")
    for flags in ((), ("--take-over",), ("--again", "--dry-run")):
        with pytest.raises(ConfigError, match="is not a lake and holds other things"):
            export(loaded, "--to", str(tmp_path / "there"), *flags)
    assert contents(tmp_path / "there") == {name: hashlib.sha256(b"years of work").hexdigest()}


def test_what_others_put_into_a_lake_stays(loaded: Warehouse) -> None:
    """What expired goes, and nothing that no export wrote."""
    lake = loaded.root / "lake"
    export(loaded)
    for name in ("songplays/data/mine.parquet", "users/README", "notes.txt"):
        (lake / name).write_text("mine")
    for _ in range(3):
        export(loaded, "--again")
    assert {(lake / name).read_text() for name in ("songplays/data/mine.parquet", "users/README", "notes.txt")} == {
        "mine"
    }


def test_a_lake_that_was_moved_is_told_and_named_anew(loaded: Warehouse, tmp_path: Path) -> None:
    """--check ends with 1; the next export names the new place, and writes no data file for it."""
    export(loaded)
    os.rename(loaded.root / "lake", tmp_path / "elsewhere")
    to = ("--to", str(tmp_path / "elsewhere"))
    with pytest.raises(DataError, match="differs from the star") as raised:
        export(loaded, "--check", *to)
    assert "names another place" in raised.value.evidence[0]
    told = export(loaded, *to)
    assert (told["written"], told["bytes_written"]) == (True, 0)
    assert export(loaded, "--check", *to)["ok"] is True
    assert read_lake(tmp_path / "elsewhere") == loaded.star()


# ------------------------------------------------------------------------------------------------------------ --check


def damage(path: Path) -> None:
    """Change one byte of a value, and not the length."""
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(("harm", "said"), [(damage, "SHA-256"), (Path.unlink, "is missing")])
def test_check_names_the_table_whose_file_is_not_what_was_written(
    loaded: Warehouse, harm: Callable[[Path], None], said: str
) -> None:
    """A byte, a file; --again writes it anew."""
    lake = loaded.root / "lake"
    export(loaded)
    assert export(loaded, "--check")["rows"] == {table: len(rows) for table, rows in loaded.star().items()}
    for table in STAR_QUERIES:
        harm(lake / pins_of(lake)["tables"][table]["files"][0]["path"])
        with pytest.raises(DataError, match=f"differs from the star in {table}$") as raised:
            export(loaded, "--check")
        assert said in raised.value.evidence[0]
        export(loaded, "--again")
        assert export(loaded, "--check")["ok"] is True


def test_a_file_that_is_gone_is_written_again(loaded: Warehouse) -> None:
    """A lake that has lost a file is not up to date, and its table is written anew."""
    lake = loaded.root / "lake"
    export(loaded)
    (lake / pins_of(lake)["tables"]["songplays"]["files"][0]["path"]).unlink()
    assert export(loaded)["written"] is True
    assert read_lake(lake) == loaded.star()
    assert export(loaded, "--check")["ok"] is True


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("songplays", "UPDATE songplays SET user_id = user_id + 1 WHERE session_id = 1"),
        ("users", "UPDATE users SET last_seen = last_seen + INTERVAL 1 MILLISECOND"),
        ("time", "DELETE FROM time WHERE day = 2"),
        ("songplays", "UPDATE songplays SET level = 'paid' WHERE session_id = 1"),
        ("users", "UPDATE users SET first_name = 'Eva'"),
        ("users", "UPDATE users SET gender = '', level = level || gender"),
        ("songs", "UPDATE songs SET year = 0 WHERE year IS NULL"),
        ("songs", "UPDATE songs SET title = CASE title WHEN 'Undo' THEN 'Army' ELSE 'Undo' END"),
    ],
)
def test_check_names_the_table_that_differs(loaded: Warehouse, table: str, change: str) -> None:
    """What was changed by hand is found, and put right by --again: also a text of the same length, a value that went
    into another column, 0 in the place of NULL, and two values that have changed places."""
    export(loaded)
    loaded.rows(change)
    assert export(loaded)["written"] is False
    done = loaded.run("export_lake", "--check")
    assert done.code == 1
    assert f"differs from the star in {table}\n" in done.err
    export(loaded, "--again")
    assert export(loaded, "--check")["ok"] is True


@pytest.mark.parametrize("place", ["postgres", "redshift-s3"])
def test_check_finds_what_was_changed_by_hand_on_every_engine(make: Make, place: str, tmp_path: Path) -> None:
    """And takes no value of any kind for another one: the same text of a row is made of it everywhere."""
    warehouse = load(make(tmp_path / "w", place.partition("-")[0]))
    odd = {
        "firstName": "a\\b'c\"",
        "lastName": None,
        "location": "Zürich, 東京 🎵",
        "userAgent": "x,-|y",
        "length": 0.1,
    }
    warehouse.write("log_data/odd.json", [on_day(2, 123, **odd, userId="9"), on_day(30, 120, **odd, userId="")])
    numbers = {"artist_latitude": -0.000005, "artist_longitude": None, "artist_location": ""}
    warehouse.write("song_data/odd.json", [song("S9", title="", artist_id="A9", duration=1e-7, **numbers)])
    warehouse.etl()
    lake = Lake(warehouse, tmp_path, warehouse.place if isinstance(warehouse, RedshiftWarehouse) else None)
    lake.export()
    assert lake.export("--check")[0]["ok"] is True
    warehouse.rows("UPDATE songplays SET level = 'paid' WHERE session_id = 1")
    assert lake.export()[0]["written"] is False
    with pytest.raises(DataError, match=r"differs from the star in songplays$"):
        lake.export("--check")
    lake.export("--again")
    assert lake.export("--check")[0]["ok"] is True


def test_an_export_of_an_older_copy_for_readers_is_the_older_star_whole(loaded: Warehouse) -> None:
    """[DUCKDB] READERS_COPY: the lake goes back to what the copy holds, and forward when that has been renewed."""
    lake = loaded.root / "lake"
    with_copy: dict[str, object] = {"READERS_COPY": "readers.duckdb"}

    def load_more(day: int, **settings: object) -> Star:
        loaded.configure(DUCKDB=settings)
        loaded.write(f"log_data/more-{day}.json", [on_day(day, 60 + day, firstName=f"Ada {day}"), on_day(2, 90 + day)])
        loaded.etl()
        return loaded.star()

    older = load_more(31, **with_copy)
    newer = load_more(32)
    for settings, expected in (({}, newer), (with_copy, older), ({}, newer), (with_copy, older)):
        loaded.configure(DUCKDB=settings)
        assert export(loaded)["written"] is True
        assert read_lake(lake) == expected
        assert export(loaded, "--check")["ok"] is True
        assert export(loaded)["written"] is False
    newest = load_more(33, **with_copy)
    export(loaded)
    assert read_lake(lake) == newest
    assert export(loaded, "--check")["ok"] is True


# ------------------------------------------------------------------------------------------- kills, and two at a time

STEPS = ("write", "create", "replace", "adopt", "delete")


class Killed(BaseException):
    """What ends an export where it is, as a kill does: nothing is tidied after it."""


@contextmanager
def killed_at(number: int, *, after: bool) -> Iterator[list[str]]:
    """For the block, end at so-manieth step of the store, before it is done or after; gives the steps so far."""
    made: list[str] = []

    def wrap(name: str) -> Callable[..., Any]:
        original = getattr(FolderStore, name)

        def step(store: FolderStore, *args: Any) -> Any:
            if len(made) >= number:
                raise Killed
            made.append(name)
            if len(made) == number and not after:
                raise Killed
            found = original(store, *args)
            if len(made) == number:
                raise Killed
            return found

        return step

    with ExitStack() as patches:
        for name in STEPS:
            patches.enter_context(patch.object(FolderStore, name, wrap(name)))
        yield made


def killed_export(warehouse: Warehouse, number: int, *, after: bool) -> list[str] | None:
    """Export until a step of the store; None: there are fewer."""
    with killed_at(number, after=after) as made:
        try:
            export(warehouse)
        except Killed:
            return made
    return None


def is_whole(lake: Path) -> Star:
    """Give the star that a reader finds; every file that export.json names is the one that was written."""
    for table in pins_of(lake)["tables"].values():
        for file in table["files"]:
            assert hashlib.sha256((lake / file["path"]).read_bytes()).hexdigest() == file["sha256"]
    return read_lake(lake)


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
def test_p183_an_export_that_is_killed_at_any_step_leaves_the_lake_whole(loaded: Warehouse, after: bool) -> None:
    """Old or new, never between; the next one, of one more load, completes it, and no orphan stays."""
    lake, saved = loaded.root / "lake", loaded.root / "saved"
    export(loaded)
    old = loaded.star()
    loaded.write("log_data/more.json", [on_day(31, 70), on_day(2, 71)])
    loaded.etl()
    new = loaded.star()
    os.rename(lake, saved)
    database = loaded.root / "database"
    shutil.copyfile(loaded.database, database)
    number, outcomes = 0, []
    while True:
        number += 1
        shutil.copytree(saved, lake)
        if killed_export(loaded, number, after=after) is None:
            break
        found = is_whole(lake)
        assert found in (old, new)
        outcomes.append(found == new)
        loaded.write("log_data/third.json", [on_day(1, 80)])
        loaded.etl()
        export(loaded)
        assert is_whole(lake) == loaded.star()
        assert export(loaded, "--check")["ok"] is True
        assert export(loaded)["written"] is False
        see_no_orphan(lake)
        shutil.copyfile(database, loaded.database)
        loaded.remove("log_data/third.json")
        shutil.rmtree(lake)
    assert outcomes == sorted(outcomes)
    assert number > 25


def see_no_orphan(lake: Path) -> None:
    """Every data file is one of an export that stays."""
    pins = pins_of(lake)
    named = {file["path"] for table in pins["tables"].values() for file in table["files"]}
    named |= {path for kept in pins["kept"] for pin in kept["tables"].values() for path in pin["files"]}
    assert {str(path.relative_to(lake)) for path in lake.rglob("*.parquet")} <= named


def test_a_table_that_is_ahead_is_judged_by_its_own_snapshot(loaded: Warehouse) -> None:
    """An export is killed when its first table is committed; what is loaded then touches other days."""
    lake = loaded.root / "lake"
    export(loaded)
    loaded.write("log_data/more.json", [on_day(31, 70)])
    loaded.etl()
    shutil.copytree(lake, loaded.root / "copy")
    with killed_at(10**6, after=True) as steps:
        export(loaded, "--to", str(loaded.root / "copy"))
    commits = [number for number, step in enumerate(steps, 1) if step == "create"]
    names = [spec.name for spec in lake_tables.SPECS]
    assert killed_export(loaded, commits[names.index("time")], after=True)
    assert (lake / "time/metadata/v2.metadata.json").exists()
    assert not (lake / "songplays/metadata/v2.metadata.json").exists()
    loaded.write("log_data/third.json", [on_day(1, 80)])
    loaded.etl()
    planned = export(loaded, "--dry-run")["pieces"]
    assert planned["time"] == ["2018-11"]
    assert planned["songplays"] == ["2018-11", "2018-12-03"]
    export(loaded)
    assert is_whole(lake) == loaded.star()


def test_an_export_that_fails_leaves_no_file(loaded: Warehouse) -> None:
    """A disk that fills up while the data is written: the lake is as it was."""
    export(loaded)
    before = contents(loaded.root / "lake")

    def no_space(*_: Any) -> None:
        raise EnvironmentFailure("the disk is full")

    with patch.object(FolderStore, "adopt", no_space), pytest.raises(EnvironmentFailure, match="disk is full"):
        export(loaded, "--again")
    assert contents(loaded.root / "lake") == before


def test_one_export_at_a_time_in_a_folder(loaded: Warehouse) -> None:
    """The second is told so, and exits 4."""
    with FolderStore(loaded.root / "lake").held():
        done = loaded.run("export_lake")
    assert done.code == 4
    assert "another session is exporting" in done.err


@pytest.mark.slow
def test_of_two_exports_at_once_one_wins(loaded: Warehouse) -> None:
    """Where nobody can be kept out, the slower one is turned away at its first table, and nothing of it stays."""
    lake = loaded.root / "lake"
    export(loaded)
    original = FolderStore.create
    won: list[int] = []

    def overtaken(store: FolderStore, path: str, data: bytes) -> bool:
        if not won:
            won.append(0)
            won[0] = export(loaded, "--again")["export"]
        return original(store, path, data)

    with (
        patch.object(FolderStore, "held", lambda _: nullcontext()),
        patch.object(FolderStore, "create", overtaken),
        pytest.raises(Busy, match="another session has just exported"),
    ):
        export(loaded, "--again")
    assert pins_of(lake)["export"] == won[0]
    assert is_whole(lake) == loaded.star()
    export(loaded, "--again")
    see_no_orphan(lake)


# --------------------------------------------------------------------------------------------------------------- other


def test_a_star_without_rows_has_a_lake(warehouse: Warehouse) -> None:
    """Tables without a file, which are there for readers."""
    export(warehouse)
    assert read_lake(warehouse.root / "lake") == {table: [] for table in STAR_QUERIES}
    assert export(warehouse, "--check")["ok"] is True
    assert export(warehouse)["written"] is False


def test_exporting_changes_nothing_in_the_warehouse(loaded: Warehouse) -> None:
    """Not a row, not a table."""
    before = (loaded.dump(), loaded.schema())
    export(loaded)
    export(loaded, "--check")
    assert (loaded.dump(), loaded.schema()) == before


def test_people_are_told_what_was_written(loaded: Warehouse) -> None:
    """Rows, files and bytes of each table, what of it is new, and the number of the export."""
    done = loaded.run("export_lake")
    assert done.code == 0, done.err
    assert re.search(r"^  songplays +5 rows +3 files +\d+\.\d kB +\d+\.\d kB written$", done.out, re.MULTILINE)
    assert re.search(rf"^  {loaded.root / 'lake'}: export 1, \d+\.\d kB written, in ", done.out, re.MULTILINE)
    assert f"nothing new: {loaded.root / 'lake'}: export 1 is up to date" in loaded.run("export_lake").out
    loaded.write("log_data/more.json", [on_day(31, 70), on_day(2, 71)])
    loaded.etl()
    shown = loaded.run("export_lake", "--dry-run").out
    assert "+ songplays  2018-11, 2018-12-03\n" in shown
    assert re.search(r"^  - 5 files that they replace, \d+\.\d kB$", shown, re.MULTILINE)
