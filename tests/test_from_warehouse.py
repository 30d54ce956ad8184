"""etl.py --from-warehouse: an empty warehouse takes ledger and staging of another, on any engine, and no source."""

from __future__ import annotations

import re
import shlex
import signal
import sys
from pathlib import Path

import pytest
from postgres_server import Make
from warehouse import Warehouse, event, failure, plays, song, text

from dwh.terminal.errors import Busy, ConfigError, DataError, EnvironmentFailure

# What is a warehouse's own: its mark, and what a rebuild does not keep.
OWN = {"dwh_warehouse", "touched_days", "loads"}


def fill(warehouse: Warehouse) -> Warehouse:
    """Load two runs: plays that match and that do not, a bad record set aside, odd texts, times and numbers."""
    warehouse.write("song_data/a.json", [song(song_id="S1"), song(song_id="S2", title='quote " and \\ and é 🎵')])
    warehouse.write("log_data/a.json", [*plays(5), event(page="Home", itemInSession=None, length=0.1 + 0.2)])
    warehouse.etl()
    warehouse.write("log_data/b.json", [event(sessionId=9, artist="tab\tand\nline", ts=1541269373796), event(ts="no")])
    warehouse.etl("--on-bad-line", "quarantine")
    return warehouse


def pair(make: Make, root: Path, engines: str) -> tuple[Warehouse, Warehouse]:
    """Make a warehouse that is filled, and an empty one, on two engines."""
    source, target = engines.split(" to ")
    return fill(make(root / "source", source)), make(root / "target", target)


def checks(warehouse: Warehouse) -> dict[str, str]:
    """Run all checks; gives the outcome of each."""
    found = warehouse.call("sql_validate", "--json").json["checks"]
    return {
        check["name"]: check["status"]
        for check in found
        if not re.search("touched_days|of the source|storage: ", check["name"])
    }


@pytest.mark.parametrize(
    "engines",
    ["duckdb to postgres", "postgres to duckdb", "duckdb to duckdb", "duckdb to redshift", "redshift to duckdb"],
)
def test_p220_every_row_is_taken(engines: str, make: Make, tmp_path: Path) -> None:
    """P220: ledger, staging, rejected records and star are row by row the same; one more load tells of the rebuild."""
    source, target = pair(make, tmp_path, engines)
    before = source.dump()
    for place in ("log_data", "song_data"):  # nothing of the source is needed
        (source.root / place).rename(source.root / f"{place}.gone")
    done = target.call("etl", "--from-warehouse", str(source.config))
    assert done.code == 0
    assert "took 3 files, 9 records, row by row the same" in done.out
    taken = target.dump()
    assert {table: rows for table, rows in taken.items() if table not in OWN} == {
        table: rows for table, rows in before.items() if table not in OWN
    }
    assert all(before[table] for table in before)
    *loads, rebuilt = taken["loads"]
    assert (loads, rebuilt[0], rebuilt[2], taken["touched_days"]) == (before["loads"], 3, "rebuild", [])
    assert source.dump() == before
    assert checks(target) == checks(source)


def test_the_next_load_goes_on(make: Make, tmp_path: Path) -> None:
    """The files that were taken are known, also to their fingerprints: a run finds nothing new, then what is new."""
    source, target = pair(make, tmp_path, "duckdb to postgres")
    target.configure(S3={place: str(source.root / place.lower()) for place in ("LOG_DATA", "SONG_DATA")})
    target.etl("--from-warehouse", str(source.config))
    assert target.etl()["files"] | {"rejected": 0} == source.etl()["files"] | {"rejected": 0}
    source.write("log_data/c.json", plays(3, sessionId=77))
    assert source.etl()["rows"] == target.etl()["rows"]
    assert source.star() == target.star()


# ------------------------------------------------------------------------------------------------------------ refusals


def test_only_an_empty_warehouse_takes(warehouse: Warehouse, tmp_path: Path, empty_database: Path) -> None:
    """A warehouse with rows is refused, and names what it holds; it stays as it is."""
    source = fill(Warehouse(tmp_path / "source").create(empty_database))
    warehouse.write("log_data/own.json", [event()])
    warehouse.etl()
    before = warehouse.dump()
    error = failure(warehouse, "--from-warehouse", str(source.config))
    assert isinstance(error, ConfigError)
    assert "is not empty" in error.message
    assert "staging_events 1" in text(error)
    assert warehouse.dump() == before


def test_a_warehouse_does_not_take_from_itself(warehouse: Warehouse) -> None:
    """Another config that names this warehouse is refused."""
    other = warehouse.root / "other.cfg"
    other.write_text(f"[DUCKDB]\nPATH = ../w/{warehouse.database.name}\n", "utf-8")
    error = failure(warehouse, "--from-warehouse", str(other))
    assert isinstance(error, ConfigError)
    assert "itself" in error.message


def test_the_environment_is_about_this_warehouse(
    warehouse: Warehouse, tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that choose this warehouse do not choose the other."""
    source = fill(Warehouse(tmp_path / "source").create(empty_database))
    monkeypatch.setenv("DWH_DUCKDB_PATH", str(warehouse.database))
    warehouse.etl("--from-warehouse", str(source.config))
    assert warehouse.star() == source.star()


def test_what_cannot_be_taken_from_is_named(warehouse: Warehouse, bare: Warehouse, tmp_path: Path) -> None:
    """A config that is not there, a warehouse that is not there, and one without a load: each is named."""
    assert isinstance(failure(warehouse, "--from-warehouse", str(tmp_path / "no.cfg")), ConfigError)
    nowhere = tmp_path / "nowhere.cfg"
    nowhere.write_text("[DUCKDB]\nPATH = nowhere.duckdb\n", "utf-8")
    missing = failure(warehouse, "--from-warehouse", str(nowhere))
    assert isinstance(missing, EnvironmentFailure)
    assert "nowhere.duckdb does not exist" in missing.message
    assert missing.hint == (f"edit {nowhere}     (it names the warehouse to take from)",)
    assert not (tmp_path / "nowhere.duckdb").exists()
    empty = Warehouse(tmp_path / "empty").create()
    nothing = failure(warehouse, "--from-warehouse", str(empty.config))
    assert isinstance(nothing, ConfigError)
    assert "holds no load" in nothing.message


def test_the_copy_for_readers_is_not_taken_from(warehouse: Warehouse, tmp_path: Path, empty_database: Path) -> None:
    """It may be older than the warehouse: what is taken is the warehouse."""
    source = Warehouse(tmp_path / "source").create(empty_database)
    source.configure(DUCKDB={"PATH": source.database.name, "READERS_COPY": "copy.duckdb"})
    fill(source)
    source.configure()
    source.write("log_data/new.json", plays(2, sessionId=99))
    source.etl()
    source.configure(DUCKDB={"PATH": source.database.name, "READERS_COPY": "copy.duckdb"})
    warehouse.etl("--from-warehouse", str(source.config))
    assert warehouse.star() == source.star()


def test_a_held_warehouse_is_not_taken_from(warehouse: Warehouse, tmp_path: Path, empty_database: Path) -> None:
    """While another program holds the other file, it is busy, and nothing is taken."""
    source = fill(Warehouse(tmp_path / "source").create(empty_database))
    with source.held():
        assert isinstance(failure(warehouse, "--from-warehouse", str(source.config)), Busy)
    assert warehouse.dump()["loads"] == []


def test_a_dry_run_takes_nothing(warehouse: Warehouse, tmp_path: Path, empty_database: Path) -> None:
    """It says what there is to take."""
    source = fill(Warehouse(tmp_path / "source").create(empty_database))
    before = warehouse.dump()
    done = warehouse.call("etl", "--from-warehouse", str(source.config), "--dry-run")
    assert "3 files, 9 records from duckdb" in done.err
    assert warehouse.dump() == before


# ---------------------------------------------------------------------------------------------------- all or nothing


@pytest.mark.parametrize(
    "row", ["staging_events SET artist = 'x'", "loads SET run_id = 'x'", "songplays SET level = 'x'"]
)
def test_p221_a_row_that_did_not_arrive_is_an_error(
    row: str, warehouse: Warehouse, tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P221: one value of one row that differs afterwards is an error, and nothing is stored."""
    from star.other_warehouse import OtherWarehouse

    source = fill(Warehouse(tmp_path / "source").create(empty_database))
    prove = OtherWarehouse.prove

    def damaged(self: OtherWarehouse, session: object) -> None:
        table = row.partition(" ")[0]
        session.execute(f"UPDATE {row} WHERE rowid = (SELECT MIN(rowid) FROM {table})")  # type: ignore[attr-defined]
        prove(self, session)  # type: ignore[arg-type]

    monkeypatch.setattr(OtherWarehouse, "prove", damaged)
    error = failure(warehouse, "--from-warehouse", str(source.config))
    assert isinstance(error, EnvironmentFailure | DataError)
    assert row.partition(" ")[0] in error.message
    assert all(not rows for table, rows in warehouse.dump().items() if table != "dwh_warehouse")


def test_a_star_of_other_statements_is_built_anew(warehouse: Warehouse, tmp_path: Path, empty_database: Path) -> None:
    """Its rows may differ, so they are not compared; ledger and staging are."""
    source = fill(Warehouse(tmp_path / "source").create(empty_database))
    star = source.star()
    source.rows("UPDATE loads SET statements_sha256 = 'older'")
    source.rows("DELETE FROM songplays")
    done = warehouse.call("etl", "--from-warehouse", str(source.config))
    assert "row by row the same but for the star" in done.out
    assert warehouse.star() == star


@pytest.mark.parametrize("place", ["INSERT INTO staging_events", "INSERT INTO songplays", "INSERT INTO loads"])
def test_p222_a_killed_take_stores_nothing(
    place: str, warehouse: Warehouse, tmp_path: Path, empty_database: Path
) -> None:
    """P222: killed in the midst, the warehouse is empty, and the same command takes everything."""
    source = fill(Warehouse(tmp_path / "source").create(empty_database))
    flags = ("--from-warehouse", str(source.config))
    with warehouse.started("etl", *flags, held=f"before:{place}") as etl:
        etl.wait_for("held")
        etl.signal(signal.SIGKILL)
        etl.process.wait()
    assert all(not rows for table, rows in warehouse.dump().items() if table != "dwh_warehouse")
    warehouse.etl(*flags)
    assert warehouse.star() == source.star()


# ------------------------------------------------------------------------------------------------ a source that moved


@pytest.mark.parametrize("first", ["--add-source", "--forget"])
def test_p224_the_commands_for_a_moved_source_work_as_printed(first: str, warehouse: Warehouse) -> None:
    """P224: the refusal names the place that is gone; each command runs as printed, in either order."""
    for kind, record in (("song", song()), ("log", event())):
        warehouse.write(f"old/{kind}_data/a.json", [record])
    warehouse.configure(S3={"LOG_DATA": "old/log_data", "SONG_DATA": "old/song_data"})
    warehouse.etl()
    star = warehouse.star()
    (warehouse.root / "old").rename(warehouse.root / "new")
    warehouse.configure(S3={"LOG_DATA": "new/log_data", "SONG_DATA": "new/song_data"})
    lines = [line.strip().partition("     (")[0] for line in warehouse.run("etl").err.splitlines()]
    printed = [shlex.split(line)[2:] for line in lines if line.startswith("try: python") and "etl.py" in line]
    assert [("--add-source" in words, "--forget" in words) for words in printed] == [(True, False), (False, True)]
    for words in printed if first == "--add-source" else [*reversed(printed)]:
        assert warehouse.run("etl", command=[sys.executable, *words]).code == 0
    assert warehouse.etl()["files"]["already_loaded"] == 2
    assert warehouse.star() == star
    assert [path for (path,) in warehouse.rows("SELECT path FROM loaded_files WHERE path LIKE '%/old/%'")] == []
