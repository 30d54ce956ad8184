"""The care of the tables: statistics and deleted rows, after a load and never in one; sql_validate.py sees the rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2 import errors
from reference_star import star_of
from warehouse import event, plays, song

from redshift.conftest import Sql, run
from redshift.grammar import parse_all
from redshift.standin import RedshiftStandIn
from redshift.warehouse_on_redshift import Cloud, RedshiftWarehouse

STATE = 'SELECT tbl_rows, estimated_visible_rows, stats_off FROM svv_table_info WHERE "table" = %s AND schema = %s'
LARGE, SMALL = 40, 2


@pytest.fixture
def warehouse(here: Cloud, tmp_path: Path) -> RedshiftWarehouse:
    """An empty warehouse."""
    return RedshiftWarehouse(tmp_path / "w", cloud=here).create()


def load(warehouse: RedshiftWarehouse, *argv: str) -> list[str]:
    """Run etl.py; gives the statements of care that reached the cluster, and the ends of transactions, in order."""
    since = len(warehouse.place.standin.statements)
    warehouse.call("etl", *argv)
    asked = warehouse.place.standin.statements[since:]
    assert parse_all(sql for sql in asked if sql.startswith(("VACUUM", "ANALYZE"))) == {}
    return [sql for sql in asked if sql.startswith(("VACUUM", "ANALYZE", "BEGIN", "COMMIT"))]


def vacuumed(asked: list[str]) -> list[str]:
    """Name the tables of which the room was freed."""
    return [sql.split()[-1] for sql in asked if sql.startswith("VACUUM DELETE ONLY ")]


def analyzed(asked: list[str]) -> list[str]:
    """Name the tables whose statistics were renewed."""
    return [sql.split()[-1] for sql in asked if sql.startswith("ANALYZE")]


# ------------------------------------------------------------------------------------------------- the service's rules


def test_svv_table_info_counts_deleted_rows_and_stale_statistics(sql: Sql, connection: Any) -> None:
    """Deleted rows are rows until a VACUUM; an empty table is not there; ANALYZE makes the statistics current."""
    [(schema,)] = sql("SELECT current_schema()")
    sql("CREATE TABLE t (a BIGINT)")
    assert sql(STATE, "t", schema) == []
    for number in range(10):
        sql("INSERT INTO t (a) VALUES (%s)", number)
    sql("DELETE FROM t WHERE a < 4")
    assert sql(STATE, "t", schema) == [(10, 6, 100)]
    sql("ANALYZE t")
    assert [row[2] for row in sql(STATE, "t", schema)] == [0]
    sql("VACUUM DELETE ONLY t")
    assert sql(STATE, "t", schema) == [(6, 6, 0)]


def test_svv_table_info_is_shown_to_superusers_only(shared_standin: RedshiftStandIn) -> None:
    """To all others it is refused, and has_table_privilege says so before."""
    shared_standin.add_user("cara", "Her-Password-1")
    ours, hers = shared_standin.connect(), shared_standin.connect(user="cara", password="Her-Password-1")
    asked = "SELECT has_table_privilege(current_user, 'svv_table_info', 'SELECT')"
    assert (run(ours, asked), run(hers, asked)) == ([(True,)], [(False,)])
    with pytest.raises(errors.InsufficientPrivilege):
        run(hers, "SELECT COUNT(*) FROM svv_table_info")
    ours.close()
    hers.close()


def test_one_vacuum_runs_at_a_time(shared_standin: RedshiftStandIn, sql: Sql) -> None:
    """Of the whole cluster; another one is refused."""
    sql("CREATE TABLE t (a BIGINT)")
    with shared_standin.vacuuming, pytest.raises(psycopg2.Error, match="VACUUM is running"):
        sql("VACUUM DELETE ONLY t")
    sql("VACUUM DELETE ONLY t")


# ---------------------------------------------------------------------------------------------------- after, not in it


def test_p209_what_was_replaced_in_mass_is_freed_after_the_commit(warehouse: RedshiftWarehouse) -> None:
    """The first load deletes nothing. One that replaces most rows frees their room, once, when all is committed."""
    warehouse.write("log_data/a.json", plays(LARGE))
    warehouse.write("song_data/a.json", [song()])
    assert vacuumed(load(warehouse)) == []
    warehouse.write("log_data/a.json", [event(itemInSession=n, userAgent="another") for n in range(LARGE)])
    asked = load(warehouse)
    assert {"songplays", "staging_events", "users"} <= set(vacuumed(asked))
    assert "songs" not in vacuumed(asked)
    last_commit = max(at for at, sql in enumerate(asked) if sql == "COMMIT")
    assert min(at for at, sql in enumerate(asked) if sql.startswith("VACUUM")) > last_commit
    warehouse.write("log_data/a.json", plays(LARGE))
    assert "freed the room of deleted rows: " in warehouse.call("etl").err
    assert warehouse.call("sql_validate", "--only", "storage").code == 0


def test_p209_a_load_that_deletes_little_frees_nothing(warehouse: RedshiftWarehouse) -> None:
    """New events beside many old ones: only what they replace is looked at, and a second run only reads the ledger."""
    many = [event(itemInSession=n, userId=str(n), ts=1541105830796 + n) for n in range(LARGE)]
    warehouse.write("log_data/a.json", many)
    load(warehouse)
    warehouse.write(
        "log_data/b.json", [event(sessionId=9, itemInSession=n, ts=1541105830796 + n) for n in range(SMALL)]
    )
    assert vacuumed(load(warehouse)) == []
    assert load(warehouse) == ["BEGIN"]


def test_p209_only_what_changed_much_is_analyzed(warehouse: RedshiftWarehouse) -> None:
    """A table that grew by a twentieth keeps its statistics; one that was replaced gets new ones."""
    warehouse.write("log_data/a.json", [event(itemInSession=n, userId=str(n)) for n in range(LARGE)])
    first = analyzed(load(warehouse))
    assert {"staging_events", "songplays", "users", "time"} <= set(first)
    warehouse.write("log_data/b.json", plays(SMALL, sessionId=9))
    second = analyzed(load(warehouse))
    assert not {"staging_events", "songplays"} & set(second)
    assert {"loads", "loaded_files"} <= set(second)


def test_a_load_is_stored_whatever_comes_of_the_care(warehouse: RedshiftWarehouse, here: Cloud) -> None:
    """Another VACUUM runs in the cluster: exit code 0, the rows are there, and one line says what was not done."""
    warehouse.write("log_data/a.json", plays(LARGE))
    load(warehouse)
    warehouse.write("log_data/a.json", plays(LARGE, userAgent="another"))
    with here.standin.vacuuming:
        done = warehouse.call("etl")
    assert done.code == 0
    assert "the load is stored, but the room of deleted rows could not be seen to" in done.err
    assert "VACUUM is running" in done.err
    assert warehouse.star() == star_of(plays(LARGE, userAgent="another"), [])


def test_who_may_not_look_leaves_it_to_redshift(here: Cloud, tmp_path: Path) -> None:
    """An owner who is no superuser: Redshift judges by itself which statistics are old, and nothing is freed."""
    here.standin.add_user("owner", "Her-Password-1")
    with here.standin.postgres.connected(here.standin.database) as cursor:
        cursor.execute(f'GRANT CREATE ON DATABASE "{here.standin.database}" TO owner')
    own = RedshiftWarehouse(tmp_path / "w", cloud=here)
    own.configure(CLUSTER={"DB_USER": "owner", "DB_PASSWORD": "Her-Password-1"})
    own.create()
    for agent in ("one", "another"):
        own.write("log_data/a.json", plays(LARGE, userAgent=agent))
        asked = load(own)
    assert vacuumed(asked) == []
    assert "songplays" in analyzed(asked)
    said = own.call("sql_validate", "--only", "storage", "--json")
    assert said.json["checks"] == []
    assert "not checked how many rows are deleted" in said.err


# ------------------------------------------------------------------------------------------------------------ the check


@pytest.fixture
def worn(warehouse: RedshiftWarehouse) -> Callable[..., dict[str, Any]]:
    """Check the storage of a warehouse in which so many of 40 rows were deleted by hand."""

    def check(deleted: int) -> dict[str, Any]:
        warehouse.write("log_data/a.json", plays(LARGE))
        load(warehouse)
        with warehouse.place.standin.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"SET search_path TO {warehouse.schema_name}")
            cursor.execute("DELETE FROM staging_events WHERE CAST(item_in_session AS INTEGER) < %s", (deleted,))
        connection.close()
        found = warehouse.call("sql_validate", "--only", "storage", "--json").json["checks"]
        return dict(json.loads(json.dumps(found))[0])

    return check


def test_p209_a_table_more_than_a_fifth_deleted_is_a_warning(worn: Callable[..., dict[str, Any]]) -> None:
    """With its rows and how many of them are deleted."""
    found = worn(9)
    assert (found["status"], found["found"]) == ("warn", 1)
    assert found["sample"] == [{"table": "staging_events", "rows": 40, "deleted": 9}]


def test_p209_a_fifth_is_not_more_than_a_fifth(worn: Callable[..., dict[str, Any]]) -> None:
    """The limit itself is no warning."""
    assert worn(8)["status"] == "ok"
