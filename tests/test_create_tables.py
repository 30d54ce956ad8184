"""create_tables.py makes what is missing, keeps what exists, and drops only after a confirmation."""

from __future__ import annotations

import re

import pytest
from checker import check
from warehouse import MARKER, REPO, STAR_COLUMNS, TABLES, Warehouse, event, song


@pytest.fixture
def started(bare: Warehouse) -> Warehouse:
    """A database file without tables."""
    bare.call("conn_start")
    return bare


@pytest.fixture
def loaded(warehouse: Warehouse) -> Warehouse:
    """A warehouse with one play and its song."""
    warehouse.write("log_data/a.json", [event()])
    warehouse.write("song_data/a.json", [song()])
    warehouse.etl()
    return warehouse


def test_all_tables_are_created(started: Warehouse) -> None:
    """Each table is named in the result, and the next step."""
    done = started.run("create_tables")
    assert done.code == 0
    assert sorted({name for name, *_ in started.schema()}) == sorted([*TABLES, MARKER])
    assert set(TABLES) <= set(re.findall(r"\w+", done.out))
    assert f"next: python {REPO}/etl.py --config {started.config}" in done.out


@pytest.mark.parametrize("table", STAR_COLUMNS)
def test_the_star_has_the_columns_everybody_knows(warehouse: Warehouse, table: str) -> None:
    """Names and order of the columns are those of the schema, ours at the end."""
    assert [column for name, _, column, *_ in warehouse.schema() if name == table] == STAR_COLUMNS[table].split()


def test_again_changes_nothing(loaded: Warehouse) -> None:
    """A second run leaves schema and rows, and says that all is there."""
    before = loaded.schema(), loaded.dump()
    done = loaded.run("create_tables")
    assert (done.code, (loaded.schema(), loaded.dump())) == (0, before)
    assert "= all 12 tables are there" in done.out


def test_a_missing_table_is_created(loaded: Warehouse) -> None:
    """Only what is missing is made; the other tables keep their rows."""
    before = loaded.schema()
    loaded.rows("DROP TABLE rejected_lines")
    done = loaded.run("create_tables")
    assert "+ rejected_lines" in done.out
    assert loaded.schema() == before
    check(loaded)


def test_a_new_column_of_the_star_is_added(loaded: Warehouse) -> None:
    """A column that the table in the database lacks is added, and only that one."""
    loaded.rows("ALTER TABLE songs DROP COLUMN year")
    done = loaded.run("create_tables")
    assert done.code == 0
    assert "~ songs.year" in done.out
    assert {column for name, _, column, *_ in loaded.schema() if name == "songs"} == set(STAR_COLUMNS["songs"].split())


@pytest.mark.parametrize(
    ("table", "column"), [("songs", "year"), ("time", "weekday"), ("songplays", "item_in_session")]
)
def test_a_new_column_of_the_star_is_filled_by_the_next_load(loaded: Warehouse, table: str, column: str) -> None:
    """An added column, also one that may not be null, is filled when new statements build the star again."""
    loaded.rows(f"ALTER TABLE {table} DROP COLUMN {column}")
    loaded.rows("UPDATE loads SET statements_sha256 = 'those that did not know the column'")
    loaded.call("create_tables")
    loaded.etl()
    check(loaded)


@pytest.mark.parametrize(("table", "column"), [("staging_events", "auth"), ("loaded_files", "status")])
def test_a_new_column_of_staging_is_refused(loaded: Warehouse, table: str, column: str) -> None:
    """Rows of staging and ledger cannot get a new column; the way out is named, and nothing is changed."""
    loaded.rows(f"ALTER TABLE {table} DROP COLUMN {column}")
    before = loaded.schema()
    done = loaded.run("create_tables")
    assert (done.code, loaded.schema()) == (2, before)
    assert f"{table} has no column {column}" in done.err
    assert f"  try: python {REPO}/create_tables.py --config {loaded.config} --recreate" in done.err


def test_recreate_adds_a_missing_column_of_staging(loaded: Warehouse) -> None:
    """That way out works: everything is loaded again."""
    loaded.rows("ALTER TABLE staging_events DROP COLUMN auth")
    assert loaded.run("create_tables", "--recreate", "--yes").code == 0
    loaded.etl()
    check(loaded)


def test_recreate_empties_every_table(loaded: Warehouse) -> None:
    """All rows of all tables are gone, the ledger's too."""
    assert loaded.run("create_tables", "--recreate", "--yes").code == 0
    assert set(map(len, loaded.dump().values())) == {0}


def test_recreate_leaves_other_tables(loaded: Warehouse) -> None:
    """A table in the same database that is not ours is not dropped."""
    loaded.rows("CREATE TABLE mine AS SELECT 42 AS answer")
    loaded.run("create_tables", "--recreate", "--yes")
    assert loaded.value("SELECT answer FROM mine") == 42


def test_recreate_is_refused_without_a_terminal(loaded: Warehouse) -> None:
    """Without a terminal it needs --yes."""
    before = loaded.dump()
    done = loaded.run("create_tables", "--recreate")
    assert (done.code, loaded.dump()) == (2, before)
    assert "--yes" in done.err


def test_recreate_asks_for_the_name(loaded: Warehouse) -> None:
    """On a terminal the name of the warehouse has to be typed."""
    assert loaded.run_on_terminal("create_tables", "--recreate", typed="warehouse.duckdb\n").code == 0
    assert loaded.value("SELECT COUNT(*) FROM songplays") == 0


def test_recreate_does_not_take_y(loaded: Warehouse) -> None:
    """Another answer is a no."""
    before = loaded.dump()
    assert loaded.run_on_terminal("create_tables", "--recreate", typed="y\n").code == 2
    assert loaded.dump() == before


@pytest.mark.parametrize("flags", [(), ("--recreate",)], ids=str)
def test_a_dry_run_changes_nothing(loaded: Warehouse, flags: tuple[str, ...]) -> None:
    """--dry-run leaves schema and rows, and asks nothing."""
    loaded.rows("ALTER TABLE songs DROP COLUMN year")
    before = loaded.schema(), loaded.dump()
    done = loaded.run("create_tables", "--dry-run", *flags)
    assert (done.code, (loaded.schema(), loaded.dump())) == (0, before)
    assert "nothing was changed" in done.out


def test_json_lists_the_changes(loaded: Warehouse) -> None:
    """Each change is one text with its mark."""
    loaded.rows("ALTER TABLE songs DROP COLUMN year")
    loaded.rows("DROP TABLE loads")
    found = loaded.run("create_tables", "--json").json
    assert (found["script"], found["ok"], found["changes"]) == ("create_tables", True, ["+ loads", "~ songs.year"])


def test_a_missing_database_is_named(bare: Warehouse) -> None:
    """Without a database file the message names conn_start.py."""
    done = bare.run("create_tables")
    assert done.code == 3
    assert f"  try: python {REPO}/conn_start.py --config {bare.config}" in done.err


def test_a_held_database_is_busy(started: Warehouse) -> None:
    """While another program has the file open it is busy."""
    with started.held() as holder:
        done = started.run("create_tables")
    assert done.code == 4
    assert str(holder.process.pid) in done.err
