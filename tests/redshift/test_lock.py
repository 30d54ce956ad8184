"""Who holds the lock of loads on Redshift, and how a client that has vanished loses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from warehouse import PATIENTLY, plays

from dwh.terminal.errors import Busy, EnvironmentFailure
from redshift.conftest import Sql
from redshift.standin import RedshiftStandIn
from redshift.warehouse_on_redshift import REGION, Cloud, RedshiftWarehouse

WAITING = (
    "SELECT COUNT(*) FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation JOIN pg_namespace AS n"
    " ON n.oid = c.relnamespace WHERE c.relname = 'dwh_lock' AND n.nspname = %s AND NOT l.granted"
)


@pytest.fixture
def warehouse(here: Cloud, tmp_path: Path) -> RedshiftWarehouse:
    """An empty warehouse with a file to load."""
    made = RedshiftWarehouse(tmp_path / "w", cloud=here).create()
    made.write("log_data/a.json", plays(3))
    return made


@contextmanager
def holder(warehouse: RedshiftWarehouse, **login: str) -> Iterator[Any]:
    """Hold the lock of loads for the block, as another program."""
    with closing(warehouse.place.standin.connect(**login)) as other, other.cursor() as cursor:
        cursor.execute(f"SET search_path TO {warehouse.schema_name}")
        cursor.execute("LOCK dwh_lock")
        yield other


def test_p192_who_waits_is_told_for_whom(warehouse: RedshiftWarehouse) -> None:
    """At once: the session, its user, since when and from where; and the load is done when it has gone."""
    with holder(warehouse) as other:
        pid = other.info.backend_pid
        with warehouse.started("etl", *PATIENTLY) as etl:
            said = etl.wait_for("waiting up to")
            assert f"held by session {pid} of awsuser since 20" in said
            assert said.rstrip().endswith("UTC, from 127.0.0.1")
            other.rollback()
            done = etl.ended()
    assert done.code == 0, done.err
    assert warehouse.rows("SELECT COUNT(*) FROM songplays") == [(3,)]


def test_p192_who_does_not_wait_is_told_too(warehouse: RedshiftWarehouse) -> None:
    """With the statement that ends that session, should its program be gone."""
    with holder(warehouse) as other, pytest.raises(Busy, match="another session is loading") as raised:
        pid = other.info.backend_pid
        warehouse.etl()
    assert f"held by session {pid} of awsuser" in raised.value.evidence[0]
    assert any(f"pg_terminate_backend({pid})" in hint for hint in raised.value.hint)


def test_another_users_lock_is_not_shown_to_a_regular_user(warehouse: RedshiftWarehouse) -> None:
    """The error is what it was: to name the holder is a help, not a condition."""
    standin = warehouse.place.standin
    standin.add_user("loader", "Loader-1-pw")
    for what in (f"SCHEMA {warehouse.schema_name}", f"ALL TABLES IN SCHEMA {warehouse.schema_name}"):
        warehouse.rows(f"GRANT ALL ON {what} TO loader")
    warehouse.configure(CLUSTER={"DB_USER": "loader", "DB_PASSWORD": "Loader-1-pw"})
    with holder(warehouse), pytest.raises(Busy, match="another session is loading") as raised:
        warehouse.etl()
    assert "held by" not in str(raised.value.evidence)


def test_p191_a_client_that_vanished_loses_the_lock(warehouse: RedshiftWarehouse) -> None:
    """When its user has a limit: whoever waits for the lock gets it then."""
    standin = warehouse.place.standin
    with closing(standin.connect()) as admin, admin.cursor() as cursor:
        admin.autocommit = True
        cursor.execute("ALTER USER awsuser SESSION TIMEOUT 3600")
        with holder(warehouse) as vanished, warehouse.started("etl", *PATIENTLY) as etl:
            while warehouse.rows(WAITING, (warehouse.schema_name,)) == [(0,)]:
                pass
            assert standin.let_pass(3599) == 0
            while not standin.let_pass(3600):  # the thread of its session may still be on its way to the next statement
                pass
            assert etl.ended().code == 0
            with pytest.raises(psycopg2.OperationalError):
                vanished.commit()
        cursor.execute("ALTER USER awsuser RESET SESSION TIMEOUT")
    assert warehouse.rows("SELECT COUNT(*) FROM songplays") == [(3,)]


def test_on_a_host_no_user_is_altered(warehouse: RedshiftWarehouse) -> None:
    """It belongs to others: docs/how-to/redshift.md says what its owner may do."""
    since = len(warehouse.place.standin.statements)
    warehouse.call("conn_start")
    assert [sql for sql in warehouse.place.standin.statements[since:] if "ALTER USER" in sql] == []


# ------------------------------------------------------------------------------------------- the rules of the stand-in


def test_only_a_superuser_limits_sessions_and_not_to_anything(standin: RedshiftStandIn) -> None:
    """From a minute to twenty days; what is set is shown to superusers."""
    standin.add_user("nobody", "Nobody-1-pw")
    with closing(standin.connect()) as admin, admin.cursor() as cursor:
        admin.autocommit = True
        for text in ("59", "1728001"):
            with pytest.raises(psycopg2.DataError):
                cursor.execute(f"ALTER USER awsuser SESSION TIMEOUT {text}")
        cursor.execute("ALTER USER awsuser SESSION TIMEOUT 60")
        cursor.execute("SELECT session_timeout FROM svv_user_info WHERE user_name = 'awsuser'")
        assert cursor.fetchall() == [(60,)]
        assert standin.let_pass(1000) == 0, "it counts for new sessions"
    with closing(standin.connect(user="nobody", password="Nobody-1-pw")) as user, user.cursor() as cursor:
        user.autocommit = True
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("ALTER USER awsuser SESSION TIMEOUT 60")
        for view in ("svv_user_info", "sys_connection_log"):
            cursor.execute(f"SELECT COUNT(*) FROM {view}")
            assert cursor.fetchall() == [(0,)]


def test_the_locks_of_others_are_shown_to_superusers(open_session: Callable[[], Any], sql: Sql) -> None:
    """With the session, its user and the begin of its transaction."""
    sql("CREATE TABLE held (n INTEGER)")
    other = open_session()
    with other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK held")
        found = sql(
            "SELECT t.txn_owner, t.pid, t.lock_mode FROM svv_transactions AS t JOIN pg_class AS c ON c.oid = t.relation"
            " WHERE c.relname = 'held' AND t.granted"
        )
        assert found == [("awsuser", other.info.backend_pid, "AccessExclusiveLock")]
        assert sql("SELECT remote_host FROM sys_connection_log WHERE session_id = %s", found[0][1])[0][0].strip()


# ----------------------------------------------------------------------------------------------------- rights that lack


def test_a_refusal_of_unload_is_one_of_the_lake(warehouse: RedshiftWarehouse, here: Cloud) -> None:
    """And not of WORK, which COPY reads; the role may lack either."""
    warehouse.etl()
    bucket = f"lake-{warehouse.schema_name}"  # other tests look at all that is in the bucket of WORK
    here.client().create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    lake = f"s3://{bucket}/lake"
    here.standin.store.denied = (lake,)
    try:
        with pytest.raises(EnvironmentFailure, match=r"role of UNLOAD may not write to \[S3\] LAKE"):
            warehouse.call("export_lake", "--to", lake)
    finally:
        here.standin.store.denied = ()
    assert warehouse.call("export_lake", "--to", lake).code == 0


def test_a_refusal_of_copy_names_the_object(warehouse: RedshiftWarehouse, here: Cloud) -> None:
    """In WORK, or in the source, when Redshift itself reads it."""
    here.standin.store.denied = ("s3://stand-in-work/",)
    try:
        with pytest.raises(EnvironmentFailure, match=r"role of COPY may not read \[S3\] WORK") as raised:
            warehouse.etl()
    finally:
        here.standin.store.denied = ()
    assert f"read: s3://stand-in-work/{warehouse.schema_name}/" in raised.value.evidence[1]


# ----------------------------------------------------------------------------------------- users without every right


def test_a_user_who_may_not_make_schemas_uses_the_one_that_is_there(warehouse: RedshiftWarehouse) -> None:
    """conn_start.py ends with 0; where the schema is missing it says whom to ask."""
    standin = warehouse.place.standin
    standin.add_user("guest", "Guest-1-pw")
    warehouse.rows(f"GRANT USAGE ON SCHEMA {warehouse.schema_name} TO guest")
    login = {"DB_USER": "guest", "DB_PASSWORD": "Guest-1-pw"}
    warehouse.configure(CLUSTER=login)
    assert warehouse.call("conn_start").code == 0
    warehouse.configure(CLUSTER={**login, "SCHEMA": "not_there"})
    with pytest.raises(EnvironmentFailure, match="may not do that") as raised:
        warehouse.call("conn_start")
    assert "ask the owner" in raised.value.hint[0]


def test_without_the_lock_table_the_hint_leads_on(warehouse: RedshiftWarehouse) -> None:
    """etl.py names create_tables.py, which makes it; then the same etl.py loads."""
    warehouse.rows("DROP TABLE dwh_lock")
    with pytest.raises(EnvironmentFailure, match="a table is missing") as raised:
        warehouse.etl()
    assert raised.value.hint == ("python create_tables.py",)
    assert "+ dwh_lock" in warehouse.call("create_tables").out
    assert warehouse.etl()["rows"]["songplays"] == 3
