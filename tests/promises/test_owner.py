"""P150 to P159: what is not ours is never altered, filled or removed, and what is ours goes without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from postgres_server import Make, PostgresWarehouse, Server
from warehouse import LARGE, MARKER, Warehouse, event, lines, plays, song

import create_tables
import sql_queries as q
from dwh.terminal.errors import Busy, EnvironmentFailure

ENGINES = ("duckdb", "postgres", "redshift")
FAMILY = "(user_id INTEGER, first_name VARCHAR(9), last_name VARCHAR(9), gender VARCHAR(1), level VARCHAR(9))"
ONE = "(x INTEGER)"
NewPlace = Callable[[], Warehouse]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine by its name."""
    return str(request.param)


@pytest.fixture
def new_place(engine: str, tmp_path: Path, make: Make, postgres_server: Server) -> NewPlace:
    """Give a function that makes a place for a warehouse, as conn_start.py does, without tables."""
    made: list[Warehouse] = []

    def place() -> Warehouse:
        root = tmp_path / str(len(made))
        warehouse: Warehouse
        if engine == "duckdb":
            warehouse = Warehouse(root)
        elif engine == "postgres":
            warehouse = PostgresWarehouse(root, server=postgres_server)
        else:
            from redshift.warehouse_on_redshift import RedshiftWarehouse

            first = made[0] if made else make(tmp_path / "first", engine)
            assert isinstance(first, RedshiftWarehouse)
            warehouse = RedshiftWarehouse(root, cloud=first.place)
        made.append(warehouse)
        warehouse.call("conn_start")
        return warehouse

    return place


@pytest.fixture
def place(new_place: NewPlace) -> Warehouse:
    """An empty place."""
    return new_place()


@pytest.fixture
def warehouse(place: Warehouse) -> Warehouse:
    """A warehouse with one play and its song."""
    place.call("create_tables")
    place.write("log_data/a.json", [event()])
    place.write("song_data/a.json", [song()])
    place.etl()
    return place


def run_sql(warehouse: Warehouse, *statements: str) -> None:
    """Run statements as another user."""
    for statement in statements:
        warehouse.rows(statement)


def catalogue(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """Name everything that stands in the place, with its columns."""
    if isinstance(warehouse, PostgresWarehouse) or hasattr(warehouse, "schema_name"):
        return warehouse.rows(
            "SELECT c.relname, c.relkind, a.attname, a.atttypid FROM pg_class AS c LEFT JOIN pg_attribute AS a"
            " ON a.attrelid = c.oid AND a.attnum > 0 JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s ORDER BY 1, 3",
            (warehouse.schema_name,),
        )
    return [*warehouse.schema(), *warehouse.rows("SELECT view_name, sql FROM duckdb_views() WHERE NOT internal")]


COMMANDS = (
    ("create_tables",),
    ("create_tables", "--dry-run"),
    ("create_tables", "--recreate", "--yes"),
    ("create_tables", "--recreate", "--dry-run"),
    ("etl",),
    ("etl", "--rebuild", "--yes"),
    ("sql_validate",),
    ("report",),
    ("conn_close", "--delete-data", "--yes"),
    ("conn_close", "--delete-data", "--dry-run"),
)
STRANGERS: Mapping[str, tuple[str, ...]] = {
    "a table of this family": (f"CREATE TABLE users {FAMILY}", "INSERT INTO users VALUES (1, 'a', 'b', 'F', 'free')"),
    "a table with all our columns": (q.STAR["users"],),
    "a view": ("CREATE VIEW songs AS SELECT 1 AS song_id",),
    "every name": tuple(f"CREATE TABLE {name} {ONE}" for name in q.TABLES),
    "a mark of another kind": (f"CREATE TABLE {MARKER} {ONE}",),
    "a mark without its row": (q.TABLES[MARKER],),
    "a ledger with one column more": (q.TABLES["loads"], f"CREATE TABLE loaded_files {ONE}"),
    "half a ledger": (q.TABLES["loads"],),
}
OF_AN_ENGINE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "duckdb": {"a table in capitals": ('CREATE TABLE "Users" (x INTEGER)',)},
    "postgres": {
        "a materialized view": ("CREATE MATERIALIZED VIEW time AS SELECT 1 AS hour",),
        "a sequence": ("CREATE SEQUENCE artists",),
        "an index": ("CREATE TABLE mine (x INTEGER)", "CREATE INDEX loads ON mine (x)"),
        "a type": ("CREATE TYPE songplays AS ENUM ('a')",),
    },
    "redshift": {"a lock of another kind": (f"CREATE TABLE dwh_lock {FAMILY}",)},
}


def test_p150_names_of_ours_that_are_not_ours_are_refused(engine: str, new_place: NewPlace) -> None:
    """Anything with one of our names in a place that is not ours: every script exits 3 and changes nothing."""
    for name, statements in {**STRANGERS, **OF_AN_ENGINE[engine]}.items():
        place = new_place()
        place.write("log_data/a.json", [event()])
        run_sql(place, *statements)
        before = catalogue(place)
        for script, *flags in COMMANDS:
            with pytest.raises(EnvironmentFailure) as refused:
                place.call(script, *flags)
            assert len(refused.value.hint) >= 1, (name, script)
            assert catalogue(place) == before, (name, script)
        with pytest.raises(EnvironmentFailure, match="is not a warehouse of this suite") as refused:
            place.call("create_tables")
        assert "another" in refused.value.hint[0] and "rename" in refused.value.hint[1], name


def test_p150_a_view_in_place_of_a_table_of_ours_is_refused(warehouse: Warehouse) -> None:
    """Also in a warehouse that is ours: it is not ours to drop, and cannot be filled."""
    run_sql(warehouse, "DROP TABLE rejected_lines", "CREATE VIEW rejected_lines AS SELECT 1 AS file_id")
    for script, *flags in (COMMANDS[0], COMMANDS[2], COMMANDS[-2]):
        with pytest.raises(EnvironmentFailure, match="have the names of its tables: view rejected_lines"):
            warehouse.call(script, *flags)
    assert warehouse.rows("SELECT * FROM rejected_lines") == [(1,)]


@pytest.mark.parametrize("columns", ["(x INTEGER)", "(load_id BIGINT NOT NULL, day DATE)"], ids=["others", "the same"])
def test_p150_a_name_that_a_later_version_took_is_anothers(warehouse: Warehouse, columns: str) -> None:
    """In a warehouse of 0.2.0, which had no touched_days, a table of that name is not ours, whatever its columns."""
    run_sql(warehouse, "DROP TABLE touched_days", f"UPDATE {MARKER} SET schema_version = 1")
    run_sql(warehouse, f"CREATE TABLE touched_days {columns}")
    before = catalogue(warehouse)
    for script, *flags in (("etl",), *COMMANDS[:4], *COMMANDS[-2:]):
        with pytest.raises(EnvironmentFailure, match="have the names of its tables: table touched_days"):
            warehouse.call(script, *flags)
        assert catalogue(warehouse) == before
    run_sql(warehouse, "ALTER TABLE touched_days RENAME TO their_days")
    assert warehouse.call("create_tables", "--json").json["changes"] == ["+ touched_days"]


def test_p150_the_rows_of_others_stay(place: Warehouse) -> None:
    """The error lists the names in use, and both ways out; every row that is not ours stays."""
    run_sql(place, *STRANGERS["a table of this family"])
    done = place.run("create_tables", "--recreate", "--yes")
    assert done.code == 3
    assert "table users" in done.err and done.err.count("  try: ") == 2
    assert place.rows("SELECT * FROM users") == [(1, "a", "b", "F", "free")]


@pytest.mark.parametrize("column", ["extra", ""], ids=["with a column more", "exactly"])
def test_p151_a_warehouse_of_0_1_is_known_by_its_ledger(warehouse: Warehouse, column: str) -> None:
    """Without a mark, two tables with exactly the columns of 0.1 are ours: etl.py names the command that adds the mark,
    and every row stays. With one column more they are not ours."""
    before = warehouse.dump()
    run_sql(warehouse, f"DROP TABLE {MARKER}")
    if column:
        run_sql(warehouse, f"ALTER TABLE loads ADD COLUMN {column} INTEGER")
        with pytest.raises(EnvironmentFailure, match="is not a warehouse of this suite"):
            warehouse.call("create_tables", "--recreate", "--yes")
        return
    with pytest.raises(EnvironmentFailure, match=r"made by version 0\.1") as told:
        warehouse.etl()
    assert told.value.hint == ("python create_tables.py",)
    assert warehouse.call("create_tables", "--json").json["changes"] == [f"+ {MARKER}"]
    assert warehouse.dump() == before
    assert warehouse.etl()["files"]["already_loaded"] == 2
    assert warehouse.call("sql_validate").code == 0


def test_p152_a_later_version_is_left_alone(warehouse: Warehouse) -> None:
    """A schema version that is unknown is neither filled, changed nor removed, and the error says so."""
    run_sql(warehouse, f"UPDATE {MARKER} SET schema_version = 99, made_by = 'sparkify-warehouse 9.0'")
    before = warehouse.dump()
    for script, *flags in COMMANDS:
        with pytest.raises(EnvironmentFailure, match=r"later version of this suite, sparkify-warehouse 9\.0"):
            warehouse.call(script, *flags)
    assert warehouse.dump() == before


def test_p153_a_mark_that_goes_while_a_load_waits_ends_it(warehouse: Warehouse) -> None:
    """The mark is read again under the lock: a warehouse that is no longer ours is not filled."""
    from star.load import StarLoader

    seen: list[int] = []
    real = StarLoader.note_last_load

    def meanwhile(loader: StarLoader) -> None:
        real(loader)
        if not seen:
            seen.append(loader.session.execute(f"UPDATE {MARKER} SET schema_version = 99"))

    warehouse.write("log_data/b.json", plays(2))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(EnvironmentFailure, match="later version"):
        patch.setattr(StarLoader, "note_last_load", meanwhile)
        warehouse.etl()
    assert warehouse.value("SELECT COUNT(*) FROM songplays") == 1


def test_p154_what_stands_next_door_is_not_reached(engine: str, place: Warehouse) -> None:
    """Tables of our names in another schema, and of the names of our temporary tables in ours, are not in the way, and
    hold the same rows after a whole life."""
    own = "main" if engine == "duckdb" else place.schema_name  # type: ignore[attr-defined]
    next_door = f"{own}_next_door"
    temporary = sorted({drop.split()[-1] for drop in q.DROP_TEMPORARY} | {"staged_plays", "chosen_users", "json_lines"})
    others = [*(f"{next_door}.{name}" for name in q.TABLES), *(f"{own}.{name}" for name in temporary)]
    run_sql(place, f"CREATE SCHEMA {next_door}")
    for name in others:
        run_sql(place, f"CREATE TABLE {name} {ONE}", f"INSERT INTO {name} VALUES (42)")
    place.call("create_tables")
    place.write("log_data/a.json", [event(), event(itemInSession=1)])
    place.write("log_data/c.json", [{"page": "NextSong"}])
    place.write("log_data/b.json", lines(plays(LARGE // 150, sessionId=6)))
    place.write("song_data/a.json", [song()])
    place.etl("--on-bad-line", "quarantine")
    place.remove("log_data/b.json")
    place.call("etl", "--forget", str(place.root / "log_data/b.json"))
    place.etl("--rebuild", "--yes")
    assert place.value("SELECT COUNT(song_id) FROM songplays") == 2
    place.call("sql_validate", "--json")
    place.call("create_tables", "--recreate", "--yes")
    done = place.call("conn_close", "--delete-data", "--yes")
    assert "stays" in done.out
    for name in others:
        assert place.rows(f"SELECT * FROM {name}") == [(42,)], name


def test_p155_of_two_create_tables_at_once_one_makes_the_tables(place: Warehouse) -> None:
    """Started together each ends with 0 or 4, one at least with 0; there is one mark, and all tables."""
    with place.started("create_tables") as one, place.started("create_tables") as other:
        ended = [one.ended(), other.ended()]
    codes = sorted(done.code for done in ended)
    assert (codes[0], set(codes) <= {0, 4}) == (0, True), [done.err for done in ended]
    assert place.value(f"SELECT COUNT(*) FROM {MARKER}") == 1
    assert place.call("create_tables", "--json").json["changes"] == []


def test_p155_tables_that_come_meanwhile_are_not_marked_twice(engine: str, place: Warehouse) -> None:
    """A program that looked before the other made the tables is busy, and there is one mark."""
    if engine == "duckdb":
        pytest.skip("a DuckDB file has one process")
    real = create_tables.change_tables
    with pytest.MonkeyPatch.context() as patch:

        def meanwhile(*given: Any) -> None:
            patch.undo()
            place.call("create_tables")
            real(*given)

        patch.setattr(create_tables, "change_tables", meanwhile)
        with pytest.raises(Busy):
            place.call("create_tables")
    assert place.value(f"SELECT COUNT(*) FROM {MARKER}") == 1


@pytest.fixture
def broken_ddl(engine: str, place: Warehouse, postgres_server: Server) -> Iterator[None]:
    """A server that fails at the last table of this place."""
    if engine == "duckdb":
        pytest.skip("a file has one process: what a kill leaves of a transaction is P02")
    database = "sparkify_tests" if engine == "postgres" else place.place.standin.database  # type: ignore[attr-defined]
    schema = place.schema_name  # type: ignore[attr-defined]
    with postgres_server.connected(database) as cursor:
        cursor.execute(
            f"CREATE FUNCTION public.fail_{schema}() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN IF EXISTS ("
            f"SELECT 1 FROM pg_event_trigger_ddl_commands() WHERE object_identity = '{schema}.songplays')"
            " THEN RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'no room'; END IF; END $$"
        )
        cursor.execute(f"CREATE EVENT TRIGGER t_{schema} ON ddl_command_end EXECUTE FUNCTION public.fail_{schema}()")
        try:
            yield
        finally:
            cursor.execute(f"DROP EVENT TRIGGER t_{schema}")
            cursor.execute(f"DROP FUNCTION public.fail_{schema}()")


@pytest.mark.usefixtures("broken_ddl")
def test_p155_half_a_warehouse_is_never_made(place: Warehouse) -> None:
    """When the last of the tables cannot be made none is, and the next run starts from the beginning."""
    done = place.run("create_tables")
    assert done.code not in (0, 70) or "no room" in done.err
    assert {name for name, *_ in catalogue(place)} <= {"dwh_lock"}


def test_p156_who_may_make_nothing_is_told(engine: str, place: Warehouse, postgres_server: Server) -> None:
    """A user without the right to make tables: exit code 3, in words, from conn_start.py too; nothing was made."""
    if engine == "duckdb":
        pytest.skip("a file that may not be written is P97")
    user = f"reader_{place.schema_name}"  # type: ignore[attr-defined]
    if engine == "postgres":
        with postgres_server.connected() as cursor:
            cursor.execute(f"CREATE ROLE {user} LOGIN")
        place.configure(POSTGRES={"DB_USER": user})
    else:
        place.place.standin.add_user(user, "Her-Password-1")  # type: ignore[attr-defined]
        place.configure(CLUSTER={"DB_USER": user, "DB_PASSWORD": "Her-Password-1"})
    for grant in ("", "GRANT USAGE ON SCHEMA {} TO {}"):
        if grant:
            run_sql(place, grant.format(place.schema_name, user))  # type: ignore[attr-defined]
        done = place.run("create_tables")
        assert (done.code, "Traceback" in done.err) == (3, False), done.err
        assert "may not" in done.err and "ask the owner" in done.err, done.err
    assert place.run("conn_start").code == 0
    assert {name for name, *_ in catalogue(place)} <= {"dwh_lock"}


# --------------------------------------------------------------------------------------------------------- conn_close

LEFT: Mapping[str, tuple[str, ...]] = {
    "table payroll": ("CREATE TABLE payroll (pay INTEGER)", "INSERT INTO payroll VALUES (100)"),
    "view staff": ("CREATE VIEW staff AS SELECT 1 AS one",),
}
LEFT_OF_AN_ENGINE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "duckdb": {
        "sequence main.numbers": ("CREATE SEQUENCE numbers",),
        "macro main.twice": ("CREATE MACRO twice(x) AS 2 * x",),
        "type main.mood": ("CREATE TYPE mood AS ENUM ('fine')",),
        "schema hr": ("CREATE SCHEMA hr",),
    },
    "postgres": {
        "sequence numbers": ("CREATE SEQUENCE numbers",),
        "function {}.twice(integer)": ("CREATE FUNCTION twice(x INTEGER) RETURNS INTEGER LANGUAGE sql AS 'SELECT 1'",),
        "type mood": ("CREATE TYPE mood AS ENUM ('fine')",),
        "materialized view rich": ("CREATE MATERIALIZED VIEW rich AS SELECT 1 AS one",),
    },
    "redshift": {
        "function twice()": ("CREATE FUNCTION twice(x INTEGER) RETURNS INTEGER LANGUAGE sql AS 'SELECT 1'",),
    },
}


def test_p157_what_is_not_ours_stays_when_ours_goes(engine: str, new_place: NewPlace) -> None:
    """Beside anything of another user --delete-data drops only our tables, and says so before and after."""
    for name, statements in {**LEFT, **LEFT_OF_AN_ENGINE[engine]}.items():
        warehouse = new_place()
        warehouse.call("create_tables")
        run_sql(warehouse, *statements)
        left = name.format(getattr(warehouse, "schema_name", ""))
        for flags in (("--dry-run",), ("--yes",)):
            changes = warehouse.call("conn_close", "--delete-data", "--json", *flags).json["changes"]
            assert [change[:2] for change in changes] == ["- ", "= "], (name, changes)
            assert changes[1].endswith(f" stays, with {left}"), (name, changes)
            assert "songplays" in changes[0]
        with pytest.raises(EnvironmentFailure, match="it has none of its tables"):
            warehouse.call("conn_close", "--delete-data", "--yes")
        names = {row[0] for row in catalogue(warehouse)}
        assert names.isdisjoint(q.TABLES)
        if name == "table payroll":
            assert warehouse.rows("SELECT pay FROM payroll") == [(100,)]


def test_p157_the_question_names_what_stays(warehouse: Warehouse) -> None:
    """On a terminal the line is above the question."""
    run_sql(warehouse, *LEFT["table payroll"])
    shown = warehouse.run_on_terminal("conn_close", "--delete-data", typed="no\n", wait_for="Type ").out
    assert 0 <= shown.index("stays, with table payroll") < shown.index("Type the name")
    assert warehouse.value("SELECT COUNT(*) FROM songplays") == 1


@pytest.mark.parametrize("next_door", [False, True], ids=["here", "in another schema"])
def test_p158_a_view_on_our_tables_keeps_them(engine: str, warehouse: Warehouse, next_door: bool) -> None:
    """A view of another user on our tables is named, and nothing is removed until it is gone."""
    view = "reading"
    if next_door:
        schema = "hr" if engine == "duckdb" else f"{warehouse.schema_name}_hr"  # type: ignore[attr-defined]
        run_sql(warehouse, f"CREATE SCHEMA {schema}")
        view = f"{schema}.reading"
    own = "main" if engine == "duckdb" else warehouse.schema_name  # type: ignore[attr-defined]
    run_sql(
        warehouse, f"CREATE VIEW {view} AS SELECT user_id FROM {own}.songplays", "CREATE VIEW other AS SELECT 1 AS a"
    )
    before = warehouse.dump()
    for flags in (("--dry-run",), ("--yes",)):
        with pytest.raises(EnvironmentFailure, match=f"still needed by view {view}"):
            warehouse.call("conn_close", "--delete-data", *flags)
    assert warehouse.dump() == before
    run_sql(warehouse, f"DROP VIEW {view}")
    assert "stays, with" in warehouse.call("conn_close", "--delete-data", "--yes").out


def test_p158_whatever_else_needs_our_tables_keeps_them(engine: str, warehouse: Warehouse) -> None:
    """A foreign key, or a table that inherits: the engine names it, in one transaction, and nothing is removed."""
    if engine == "redshift":
        pytest.skip("Redshift keeps no key, and has no tables that inherit")
    run_sql(warehouse, "ALTER TABLE users ADD PRIMARY KEY (user_id)")
    run_sql(warehouse, "CREATE TABLE mine (who BIGINT REFERENCES users (user_id))")
    before = warehouse.dump()
    for script, flag in (("conn_close", "--delete-data"), ("create_tables", "--recreate")):
        with pytest.raises(EnvironmentFailure, match="needs a table of this suite"):
            warehouse.call(script, flag, "--yes")
        assert warehouse.dump() == before


def test_p158_public_with_a_payroll_in_it(engine: str, tmp_path: Path, make: Make, postgres_server: Server) -> None:
    """A warehouse in the shared schema `public`: our tables are dropped, the payroll and the schema stay."""
    if engine == "duckdb":
        pytest.skip("a DuckDB file has no schema public")
    if engine == "postgres":
        warehouse: Any = PostgresWarehouse(tmp_path / "w", server=postgres_server, schema_name="public")
        database = f"public_{tmp_path.name.lower()[-8:]}_{id(warehouse)}"
        warehouse.configure(POSTGRES={"DB_NAME": database})
        warehouse.call("conn_start")
    else:
        from redshift.warehouse_on_redshift import RedshiftWarehouse

        first: Any = make(tmp_path / "first", engine)
        database = first.place.standin.database
        warehouse = RedshiftWarehouse(tmp_path / "w", cloud=first.place, schema_name="public")
    with postgres_server.connected(database) as cursor:
        cursor.execute("CREATE TABLE public.payroll (pay INTEGER)")
        cursor.execute("INSERT INTO public.payroll VALUES (100)")
        warehouse.call("create_tables")
        warehouse.write("log_data/a.json", [event()])
        warehouse.etl()
        done = warehouse.call("conn_close", "--delete-data", "--yes")
        assert "with table payroll" in done.out
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchall() == [("payroll",)]
        cursor.execute("SELECT pay FROM public.payroll")
        assert cursor.fetchall() == [(100,)]
        cursor.execute("DROP TABLE public.payroll")
        warehouse.call("create_tables")
        assert "schema public" in warehouse.call("conn_close", "--delete-data", "--yes").out
        cursor.execute("SELECT COUNT(*) FROM pg_namespace WHERE nspname = 'public'")
        assert cursor.fetchall() == [(1,)]
        cursor.execute("SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchall() == [(0,)]
    if engine == "postgres":
        with postgres_server.connected("postgres") as cursor:
            cursor.execute(f"DROP DATABASE {database} WITH (FORCE)")


def test_p158_where_nothing_else_is_the_place_goes(engine: str, warehouse: Warehouse) -> None:
    """A user's index on one of our tables is dropped with it, and so is the schema or the file."""
    if engine != "redshift":
        run_sql(warehouse, "CREATE INDEX by_user ON songplays (user_id)")
    done = warehouse.call("conn_close", "--delete-data", "--yes")
    assert done.out.startswith("  - ")
    if engine == "duckdb":
        assert not warehouse.database.exists()
    else:
        name = warehouse.schema_name  # type: ignore[attr-defined]
        assert warehouse.rows("SELECT 1 FROM pg_namespace WHERE nspname = %s", (name,)) == []


def test_p159_a_file_that_is_no_database_is_left_alone(bare: Warehouse) -> None:
    """With 0 bytes or other content: exit code 3, and the file is unchanged."""
    for content in (b"", b"the only copy of my thesis\n" * 500):
        bare.database.write_bytes(content)
        for script, *flags in (("conn_close", "--delete-data", "--yes"), ("create_tables",), ("conn_start",)):
            with pytest.raises(EnvironmentFailure):
                bare.call(script, *flags)
        assert bare.database.read_bytes() == content


def test_p159_a_database_that_was_never_filled_goes(bare: Warehouse) -> None:
    """What conn_start.py made, and nobody filled, is removed."""
    bare.call("conn_start")
    assert bare.call("conn_close", "--delete-data", "--yes").out.startswith("  - ")
    assert not bare.database.exists()


def test_p159_create_tables_makes_what_a_load_on_redshift_needs(tmp_path: Path, make: Make) -> None:
    """[slow] With [CLUSTER] HOST, and conn_start.py never run, the table that loads lock comes with the others."""
    from redshift.warehouse_on_redshift import RedshiftWarehouse

    first = make(tmp_path / "first", "redshift")
    assert isinstance(first, RedshiftWarehouse)
    warehouse = RedshiftWarehouse(tmp_path / "w", cloud=first.place)
    first.rows(f"CREATE SCHEMA {warehouse.schema_name} AUTHORIZATION awsuser")
    for flags in ((), ("--recreate", "--yes")):
        changes = warehouse.call("create_tables", "--json", *flags).json["changes"]
        assert "+ dwh_lock" in changes
        warehouse.write("log_data/a.json", [event()])
        assert warehouse.etl()["rows"]["songplays"] == 1
        warehouse.rows("DROP TABLE dwh_lock")
