"""Every table and column is described, once: in sql_queries.py. Database, docs and report say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from postgres_server import Make, PostgresWarehouse
from sqlfluff.core import FluffConfig, Linter
from warehouse import Warehouse, event

import make_sample
import sql_queries as q
from dwh.terminal.errors import Busy
from star.dictionary import TABLE, describe_all, describe_columns, tooltip
from star.tables import describe

ROOT = Path(q.__file__).resolve().parent
ENGINES = ("duckdb", "postgres", "redshift")
UNITS = ("UTC", "milliseconds", "seconds", "degrees", "bytes")
OF_THE_SAMPLE = (*q.STAR, *q.STAGING)
NEW_COLUMN = "mood  VARCHAR(32)  Mood of the user. e.g. happy\n"
every_column = pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table, columns in q.COLUMNS.items() for column in columns]
)


def comments(warehouse: Warehouse) -> dict[str, dict[str, str]]:
    """The comments in the database, read by a connection of the test's own."""
    if isinstance(warehouse, PostgresWarehouse) or hasattr(warehouse, "schema_name"):
        found = warehouse.rows(
            "SELECT c.relname, a.attname, d.description FROM pg_description AS d JOIN pg_class AS c ON c.oid = d.objoid"
            " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0"
            " WHERE n.nspname = %s",
            (warehouse.schema_name,),
        )
    else:
        found = warehouse.rows(
            "SELECT table_name, NULL, comment FROM duckdb_tables() WHERE comment IS NOT NULL"
            " UNION ALL SELECT table_name, column_name, comment FROM duckdb_columns() WHERE comment IS NOT NULL"
        )
    said: dict[str, dict[str, str]] = {}
    for table, column, text in found:
        said.setdefault(table, {})[column or TABLE] = text
    return said


def changes(warehouse: Warehouse, *flags: str) -> list[str]:
    """What create_tables.py says it changed."""
    found = warehouse.call("create_tables", "--json", *flags).json["changes"]
    assert isinstance(found, list)
    return found


# ------------------------------------------------------------------------------------------------------- the texts


def test_every_table_is_described() -> None:
    """What a table holds is one sentence or more, of every table that is created."""
    assert q.ABOUT.keys() == q.TABLES.keys() == q.COLUMNS.keys()
    assert [table for table, text in q.ABOUT.items() if not re.fullmatch(r"[A-Z].+\.", text)] == []


@every_column
def test_every_column_has_a_description_and_an_example(table: str, column: str) -> None:
    """The description is a sentence, says when it is NULL, and has nothing that is special in a literal: on Redshift a
    backslash begins an escape, and a percent sign or a question mark may be a parameter."""
    kind, description, example = q.COLUMNS[table][column]
    assert re.fullmatch(r"[A-Z][ -~]+\.", description), description
    assert not set("\\%?") & set(description)
    assert example
    assert "NOT NULL" in kind or table in q.STAGING or "NULL when" in description, "when is it NULL"
    assert "NOT NULL" not in kind or "NULL when" not in description


@every_column
def test_an_example_has_the_type_of_its_column(table: str, column: str) -> None:
    """It can be cast to the type, and is no longer than the type allows."""
    kind, _, example = q.COLUMNS[table][column]
    bare = kind.removesuffix(" NOT NULL")
    [[value]] = duckdb.execute(f"SELECT CAST(? AS {bare})", [example]).fetchall()
    assert value is not None
    if width := re.search(r"VARCHAR\((\d+)\)", bare):
        assert len(example.encode()) <= int(width[1])


def test_a_column_of_one_name_has_one_unit() -> None:
    """Whether it is in seconds, in UTC or in degrees is said, and said alike, wherever the column stands."""
    said: dict[str, set[frozenset[str]]] = {}
    for columns in describe_columns().values():
        for column, text in columns.items():
            said.setdefault(column, set()).add(frozenset(unit for unit in UNITS if re.search(rf"\b{unit}\b", text)))
    assert {column: units for column, units in said.items() if len(units) > 1} == {}
    assert said["start_time"] == {frozenset({"UTC"})}
    assert said["duration"] == {frozenset({"seconds"})}


@pytest.mark.parametrize("kind", ["TIMESTAMP", "DOUBLE PRECISION"])
def test_times_and_measures_have_a_unit(kind: str) -> None:
    """A time says that it is in UTC, a measure what it is measured in."""
    assert [
        f"{table}.{column}"
        for table, columns in q.COLUMNS.items()
        for column, (found, text, _) in columns.items()
        if found.startswith(kind) and not any(unit in text for unit in UNITS)
    ] == []


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Warehouse:
    """A warehouse with the sample in it."""
    warehouse = Warehouse(tmp_path_factory.mktemp("dictionary")).create(empty_database)
    assert make_sample.main(["-q", str(warehouse.root / "data")]) == 0
    warehouse.configure(S3={"LOG_DATA": "data/log_data", "SONG_DATA": "data/song_data"})
    warehouse.etl()
    return warehouse


@pytest.mark.parametrize("table", OF_THE_SAMPLE)
def test_the_examples_of_a_table_are_one_row_of_the_sample(sample: Warehouse, table: str) -> None:
    """What the dictionary shows is there: all examples of a table are values of one and the same row."""
    columns = q.COLUMNS[table].items()
    same = " AND ".join(f"{name} = CAST(? AS {kind.removesuffix(' NOT NULL')})" for name, (kind, *_) in columns)
    found = sample.rows(f"SELECT COUNT(*) FROM {table} WHERE {same}", [example for _, (_, _, example) in columns])
    assert found == [(1,)]


def test_a_new_column_of_staging_is_one_line() -> None:
    """A text that records bring is created, read, judged and staged by its line in the description alone."""
    source = Path(q.__file__).read_text(encoding="utf-8")
    anchor = re.search(r"^item_in_session = itemInSession .*\n", source, re.MULTILINE)
    assert anchor
    changed: dict[str, Any] = {"__name__": "changed"}
    exec(source.replace(anchor[0], NEW_COLUMN + anchor[0], 1), changed)
    made: Any = SimpleNamespace(**changed)
    assert made.EVENT_KEYS == {**q.EVENT_KEYS, "mood": "mood"}
    assert "mood VARCHAR(36)" in made.CREATE_INCOMING_EVENTS
    moods = "INSERT INTO incoming_events (file_id, page, ts, mood) SELECT 1, 'Home', '1541160000000', mood"
    with duckdb.connect() as connection:
        connection.execute("CREATE OR REPLACE TEMP MACRO octet_length(text) AS strlen(text)")
        for statement in (
            *made.STAGING.values(),
            *made.CREATE_INCOMING,
            *made.WIDEN_INCOMING,
            f"{moods} FROM (VALUES ('fine'), ('[]'), ('{'x' * 33}')) AS m (mood)",
            made.REFUSE_EVENTS,
            made.STAGE_GOOD_EVENTS,
        ):
            connection.execute(statement)
        reasons = connection.execute("SELECT reason FROM refused_events ORDER BY 1").fetchall()
        assert reasons == [("it has to be read record by record",), ("mood is longer than 32 bytes",)]
        assert connection.execute("SELECT mood FROM staging_events").fetchall() == [("fine",)]


def test_what_is_chosen_has_the_order_of_the_columns() -> None:
    """INSERT names the columns as they are described, so each CHOOSE_ must give them in the same order."""
    seen = set()
    with duckdb.connect() as connection:
        connection.execute("CREATE OR REPLACE TEMP MACRO octet_length(text) AS strlen(text)")
        for statement in (*q.TABLES.values(), *q.CREATE_INCOMING, q.TOUCH_FILES, *q.TOUCH_KEYS, *q.REBUILD_TOUCHED):
            table = statement.removeprefix("INSERT INTO ").partition(" ")[0]
            if table in q.STAR:
                chosen = connection.execute(statement.partition(")")[2])
                assert [name for name, *_ in chosen.description or ()] == list(q.COLUMNS[table])
                seen.add(table)
            connection.execute(statement)
    assert seen == q.STAR.keys()


# ---------------------------------------------------------------------------------------------------- the database


@pytest.mark.parametrize("engine", ENGINES)
def test_the_database_says_what_the_descriptions_say(make: Make, tmp_path: Path, engine: str) -> None:
    """After create_tables.py every table and column has its comment. One that differs is set right and told; a second
    run finds nothing to do; a dry run changes nothing."""
    warehouse = make(tmp_path / "w", engine)
    assert comments(warehouse) == describe_all()
    assert changes(warehouse) == []
    warehouse.rows("COMMENT ON COLUMN users.level IS 'free, mostly'")
    warehouse.rows("COMMENT ON TABLE time IS NULL")
    before = comments(warehouse)
    told = ["~ users.level: description", "~ time: description"]
    assert changes(warehouse, "--dry-run") == told
    assert comments(warehouse) == before
    assert changes(warehouse) == told
    assert comments(warehouse) == describe_all()
    assert changes(warehouse) == []


def test_a_second_run_writes_nothing(warehouse: Warehouse) -> None:
    """Where every description is current the file stays as it is, byte for byte."""
    before = warehouse.database.read_bytes()
    assert changes(warehouse) == []
    assert warehouse.database.read_bytes() == before


def test_a_warehouse_without_descriptions_gets_them(warehouse: Warehouse) -> None:
    """One of an earlier version: each table is named once, and its rows stay."""
    warehouse.write("log_data/a.json", [event()])
    warehouse.etl()
    rows = warehouse.dump()
    with duckdb.connect(str(warehouse.database)) as connection:
        for table, texts in describe_all().items():
            for column in texts:
                connection.execute(describe(table, column, "").replace("''", "NULL"))
    assert comments(warehouse) == {}
    assert changes(warehouse) == [f"~ {table}: descriptions" for table in q.TABLES]
    assert (comments(warehouse), warehouse.dump()) == (describe_all(), rows)


def test_what_is_made_is_described_silently(warehouse: Warehouse) -> None:
    """A table or a column that is new is told as such, and not once more for its description."""
    warehouse.rows("ALTER TABLE songs DROP COLUMN year")
    warehouse.rows("DROP TABLE loads")
    assert changes(warehouse) == ["+ loads", "~ songs.year"]
    assert comments(warehouse) == describe_all()
    assert [change for change in changes(warehouse, "--recreate", "--yes") if change[0] == "~"] == []
    assert comments(warehouse) == describe_all()


def test_comments_on_other_things_stay(warehouse: Warehouse) -> None:
    """Those on a column of ours that is not in sql_queries.py, or on a table of another, are not ours to change."""
    for statement in (
        "ALTER TABLE users ADD COLUMN score INTEGER",
        "COMMENT ON COLUMN users.score IS 'by the marketing team'",
        "CREATE TABLE payroll (pay INTEGER)",
        "COMMENT ON TABLE payroll IS 'secret'",
    ):
        warehouse.rows(statement)
    assert changes(warehouse) == []
    found = comments(warehouse)
    assert (found["users"]["score"], found["payroll"][TABLE]) == ("by the marketing team", "secret")


def test_on_postgresql_who_owns_no_table_goes_on_without(postgres: PostgresWarehouse) -> None:
    """A role that may load, and owns nothing, is told nothing and changes nothing. A member of the owning role may."""
    role, team = f"loader_{postgres.schema_name}", f"team_{postgres.schema_name}"
    for statement in (
        f"CREATE ROLE {role} LOGIN",
        f"CREATE ROLE {team}",
        f"GRANT USAGE ON SCHEMA {postgres.schema_name} TO {role}, {team}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA {postgres.schema_name} TO {role}",
        "COMMENT ON COLUMN users.level IS 'another'",
    ):
        postgres.rows(statement)
    postgres.configure(POSTGRES={"DB_USER": role})
    assert changes(postgres) == []
    assert comments(postgres)["users"]["level"] == "another"
    postgres.rows(f"ALTER TABLE users OWNER TO {team}")
    postgres.rows(f"GRANT {team} TO {role}")
    assert changes(postgres) == ["~ users.level: description"]
    assert comments(postgres) == describe_all()


def test_on_postgresql_a_load_is_not_waited_for(postgres: PostgresWarehouse) -> None:
    """While another session loads, a description that differs is left for later: exit code 4. One that is current is in
    nobody's way."""
    with postgres.server.connected() as loading:
        loading.execute("BEGIN")
        loading.execute(f"LOCK TABLE {postgres.schema_name}.loaded_files IN EXCLUSIVE MODE")
        assert changes(postgres) == []
        postgres.rows("COMMENT ON COLUMN users.level IS 'another'")
        with pytest.raises(Busy):
            postgres.call("create_tables")
        loading.execute("ROLLBACK")
    assert comments(postgres)["users"]["level"] == "another"


def test_redshift_can_parse_every_comment() -> None:
    """The statements are valid there, and quotes are doubled."""
    said = [describe(table, column, text) for table, texts in describe_all().items() for column, text in texts.items()]
    said.append(describe("users", "level", "the user's level"))
    assert said[-1] == "COMMENT ON COLUMN users.level IS 'the user''s level'"
    parsed = Linter(config=FluffConfig(overrides={"dialect": "redshift"})).parse_string(";\n".join(said) + ";\n")
    assert not parsed.violations, parsed.violations[:3]


# ------------------------------------------------------------------------------------------------ docs and tooltips


def rows_of(page: str) -> Iterator[tuple[str, list[str]]]:
    """The rows of a page's tables, each with the heading above it."""
    heading = ""
    for line in page.splitlines():
        if line.startswith("#"):
            heading = line.strip("# ")
        elif line.startswith("| `"):
            yield heading, [cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_dictionary_names_everything() -> None:
    """Each column stands under its table with its type, description and example."""
    found = {
        (table, cells[0]): cells[1:]
        for table, cells in rows_of((ROOT / "docs/reference/star.md").read_text(encoding="utf-8"))
    }
    assert found == {
        (table, column): [
            kind.removesuffix(" NOT NULL"),
            "no" if kind.endswith(" NOT NULL") else "yes",
            description,
            example,
        ]
        for table, columns in q.COLUMNS.items()
        for column, (kind, description, example) in columns.items()
    }


def test_a_tooltip_is_the_description() -> None:
    """Of a column, or of a table; what is no column has none."""
    assert tooltip("users", "level") == q.COLUMNS["users"]["level"][1]
    assert tooltip("users") == q.ABOUT["users"]
    assert tooltip("users", "nothing") == tooltip("nothing", "level") == ""
