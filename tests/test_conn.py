"""conn_start.py and conn_close.py on DuckDB: the database file is made, kept, and removed only after a confirmation."""

from __future__ import annotations

import os

import duckdb
import pytest
from warehouse import REPO, Warehouse, event


@pytest.fixture
def started(bare: Warehouse) -> Warehouse:
    """A warehouse whose database file is made, without tables."""
    bare.call("conn_start")
    return bare


@pytest.fixture
def loaded(warehouse: Warehouse) -> Warehouse:
    """A warehouse with one play in it."""
    warehouse.write("log_data/a.json", [event()])
    warehouse.etl()
    return warehouse


# ---------------------------------------------------------------------------------------------------------------- start


def test_the_first_start_makes_the_file(bare: Warehouse) -> None:
    """What was made is marked +, and the next step is named."""
    done = bare.run("conn_start")
    assert done.code == 0
    assert bare.database.exists()
    assert done.out.startswith("  + ")
    assert f"next: python {REPO}/create_tables.py --config {bare.config}" in done.out


def test_the_second_start_changes_nothing(loaded: Warehouse) -> None:
    """What is there is marked =, and every row stays."""
    before = loaded.dump()
    done = loaded.run("conn_start")
    assert (done.code, loaded.dump()) == (0, before)
    assert done.out.startswith("  = ")


def test_json_says_whether_it_was_created(bare: Warehouse) -> None:
    """run_all.sh reads from this whether it may close the warehouse at its end."""
    assert [bare.run("conn_start", "--json").json["created"] for _ in range(2)] == [True, False]


def test_json_of_a_start(started: Warehouse) -> None:
    """The object starts with script, ok and engine, like that of every script."""
    found = started.run("conn_start", "--json").json
    assert list(found.items())[:3] == [("script", "conn_start"), ("ok", True), ("engine", "duckdb")]


def test_a_dry_run_of_start_makes_no_file(bare: Warehouse) -> None:
    """--dry-run says what would be made, and makes nothing."""
    done = bare.run("conn_start", "--dry-run")
    assert done.code == 0
    assert done.out.startswith("  + ")
    assert not bare.database.exists()


def test_a_dry_run_of_start_created_nothing(bare: Warehouse) -> None:
    """Nor does --json say that something was created."""
    assert bare.run("conn_start", "--dry-run", "--json").json["created"] is False


def test_start_makes_the_folders_above_the_file(bare: Warehouse) -> None:
    """The path of the database may lie in folders that do not exist yet."""
    bare.configure(DUCKDB={"PATH": "far/away/warehouse.duckdb"})
    assert bare.run("conn_start").code == 0
    assert (bare.root / "far/away/warehouse.duckdb").exists()


def test_start_says_when_a_folder_cannot_be_made(bare: Warehouse) -> None:
    """A file in the way of a folder is a failure of the surroundings."""
    (bare.root / "far").touch()
    bare.configure(DUCKDB={"PATH": "far/away/warehouse.duckdb"})
    done = bare.run("conn_start")
    assert done.code == 3
    assert "far" in done.err
    assert "  try: " in done.err


def test_start_says_when_the_path_is_a_folder(bare: Warehouse) -> None:
    """A folder at the database's place is a failure of the surroundings, with a way out."""
    bare.database.mkdir()
    done = bare.run("conn_start")
    assert done.code == 3
    assert "  try: " in done.err


def test_start_gives_up_on_a_held_file(started: Warehouse) -> None:
    """While another program has the file open, start waits as long as it may, and is busy then."""
    with started.held() as holder:
        done = started.run("conn_start", "--timeout", "1s")
    assert done.code == 4
    assert str(holder.process.pid) in done.err


def test_start_waits_for_a_held_file(started: Warehouse) -> None:
    """When the other program ends in time, start succeeds."""
    with started.held() as holder, started.started("conn_start", "--timeout", "1h") as start:
        start.wait_for("waiting up to")
        holder.release()
        assert start.ended().code == 0


def test_start_does_not_wait_when_told_so(started: Warehouse) -> None:
    """--no-wait is busy at once."""
    with started.held():
        assert started.run("conn_start", "--no-wait").code == 4


@pytest.mark.parametrize("time", ["soon", "-1s", "5 minutes", ""])
def test_a_duration_of_another_form_is_refused(bare: Warehouse, time: str) -> None:
    """A duration is a number and s, m or h."""
    done = bare.run("conn_start", f"--timeout={time}")
    assert done.code == 2
    assert "90s, 5m, 1h" in done.err


# ---------------------------------------------------------------------------------------------------------------- close


def test_close_keeps_the_data(loaded: Warehouse) -> None:
    """Closing keeps the file, with every row, and says where it is."""
    before = loaded.dump()
    done = loaded.run("conn_close")
    assert (done.code, loaded.dump()) == (0, before)
    assert "warehouse.duckdb" in done.out


def test_close_leaves_one_file(loaded: Warehouse) -> None:
    """After closing everything is in the one file, which can be copied."""
    assert loaded.run("conn_close").code == 0
    assert [name for name in os.listdir(loaded.root) if name.startswith("warehouse.duckdb")] == ["warehouse.duckdb"]


def test_close_of_nothing_is_success(bare: Warehouse) -> None:
    """Where no database is, there is nothing to do."""
    done = bare.run("conn_close")
    assert done.code == 0
    assert "does not exist" in done.out


def test_close_is_busy_while_the_file_is_held(loaded: Warehouse) -> None:
    """A file that another program has open cannot be closed, or removed."""
    with loaded.held():
        assert loaded.run("conn_close", "--delete-data", "--yes").code == 4
    assert loaded.database.exists()


def test_a_dry_run_of_close_removes_nothing(loaded: Warehouse) -> None:
    """--dry-run marks what would be removed with -, and needs no confirmation."""
    done = loaded.run("conn_close", "--delete-data", "--dry-run")
    assert done.code == 0
    assert done.out.startswith("  - ")
    assert loaded.database.exists()


def test_deleting_is_refused_without_a_terminal(loaded: Warehouse) -> None:
    """Without a terminal, --delete-data needs --yes."""
    done = loaded.run("conn_close", "--delete-data")
    assert done.code == 2
    assert "--yes" in done.err
    assert loaded.database.exists()


def test_deleting_with_json_is_refused_without_yes(loaded: Warehouse) -> None:
    """--json is for programs: it does not ask, and fails as an object."""
    done = loaded.run("conn_close", "--delete-data", "--json")
    assert (done.code, done.json["error"]["exit_code"]) == (2, 2)
    assert loaded.database.exists()


def test_deleting_removes_file_and_log(loaded: Warehouse) -> None:
    """With --yes the file is gone, and what DuckDB keeps beside it."""
    loaded.database.with_name("warehouse.duckdb.tmp").mkdir()
    done = loaded.run("conn_close", "--delete-data", "--yes")
    assert done.code == 0
    assert "  - " in done.out
    assert [name for name in os.listdir(loaded.root) if name.startswith("warehouse.duckdb")] == []


def test_deleting_removes_the_log_of_a_killed_run(loaded: Warehouse) -> None:
    """A write-ahead log that a killed program left behind goes with the file."""
    code = "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('DELETE FROM loads'); os._exit(9)"
    loaded.run("", command=[loaded.command("etl")[0], "-c", code, str(loaded.database)])
    assert loaded.database.with_name("warehouse.duckdb.wal").exists()
    assert loaded.run("conn_close", "--delete-data", "--yes").code == 0
    assert not loaded.database.with_name("warehouse.duckdb.wal").exists()


def test_deleting_leaves_the_sources(loaded: Warehouse) -> None:
    """Source files are never touched."""
    loaded.run("conn_close", "--delete-data", "--yes")
    assert (loaded.root / "log_data/a.json").exists()


def test_deleting_twice_is_success(loaded: Warehouse) -> None:
    """Again there is nothing to do."""
    assert [loaded.run("conn_close", "--delete-data", "--yes").code for _ in range(2)] == [0, 0]


@pytest.mark.parametrize("tables", ["CREATE TABLE mine (x INT)", "CREATE VIEW mine AS SELECT 1", "CREATE SCHEMA mine"])
def test_a_database_that_is_not_ours_is_not_deleted(bare: Warehouse, tables: str) -> None:
    """A DuckDB file that holds something, and nothing of ours, is refused with the setting that points to it."""
    with duckdb.connect(str(bare.database)) as connection:
        connection.execute(tables)
    done = bare.run("conn_close", "--delete-data", "--yes")
    assert done.code == 3
    assert "[DUCKDB] PATH" in done.err
    assert bare.database.exists()


def test_a_file_that_is_no_database_is_not_deleted(bare: Warehouse) -> None:
    """A file of something else is never removed."""
    bare.database.write_bytes(b"the only copy of my thesis\n" * 500)
    assert bare.run("conn_close", "--delete-data", "--yes").code == 3
    assert bare.database.exists()


def test_typing_the_name_deletes(loaded: Warehouse) -> None:
    """On a terminal the name of the database is asked for, and typing it deletes."""
    done = loaded.run_on_terminal("conn_close", "--delete-data", typed="warehouse.duckdb\n")
    assert done.code == 0, done.out
    assert "warehouse.duckdb" in done.out
    assert not loaded.database.exists()


@pytest.mark.parametrize("typed", ["y\n", "yes\n", "\n", "Warehouse.duckdb\n", "\x04"])
def test_typing_something_else_does_not_delete(loaded: Warehouse, typed: str) -> None:
    """Any other answer is a no, exit code 2, and every row stays."""
    before = loaded.dump()
    done = loaded.run_on_terminal("conn_close", "--delete-data", typed=typed)
    assert (done.code, loaded.dump()) == (2, before)
    assert "nothing was changed" in done.out


def test_ctrl_c_at_the_question_does_not_delete(loaded: Warehouse) -> None:
    """Ctrl-C instead of an answer ends with 130, and nothing is removed."""
    done = loaded.run_on_terminal("conn_close", "--delete-data", typed="\x03", wait_for="Type the name to continue")
    assert done.code == 130
    assert loaded.database.exists()


def test_what_will_be_deleted_is_shown_before_the_question(loaded: Warehouse) -> None:
    """The plan stands above the question."""
    shown = loaded.run_on_terminal("conn_close", "--delete-data", typed="no\n").out
    assert 0 <= shown.index("- ") < shown.index("Type the name")
