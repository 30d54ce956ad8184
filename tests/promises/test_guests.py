"""P208: a guest loads by grants. The role owns nothing, before and after, whatever it does."""

from __future__ import annotations

import pytest
from postgres_server import PostgresWarehouse
from warehouse import event, lines, plays, song

from dwh.terminal.errors import ConfigError, EnvironmentFailure

OWNED = """
SELECT c.relname
FROM pg_class AS c
JOIN pg_roles AS r ON r.oid = c.relowner
WHERE r.rolname = %s
"""


@pytest.fixture
def guest(postgres: PostgresWarehouse) -> str:
    """A role of the server that may sign in, and has no rights yet; its name has to be quoted."""
    role = f"IAM:{postgres.schema_name}"
    with postgres.server.connected() as cursor:
        cursor.execute(f'CREATE ROLE "{role}" LOGIN')
    return role


def become(postgres: PostgresWarehouse, user: str) -> None:
    """Let all scripts sign in as this user from now on; empty: as the owner."""
    postgres.configure(**({"POSTGRES": {"DB_USER": user}} if user else {}))


def test_p208_a_guest_does_all_that_a_load_does_and_owns_nothing(postgres: PostgresWarehouse, guest: str) -> None:
    """New, changed, gone and bad files, a rebuild, the checks: by the rights of --grant-loaders alone."""
    said = postgres.call("create_tables", "--grant-loaders", guest).out
    assert f"{guest} may load into" in said
    become(postgres, guest)
    postgres.write("log_data/a.json", plays(3))
    postgres.write("log_data/b.json", lines(plays(2, sessionId=9)) + b'{"page": "NextSong"}\n')
    postgres.write("song_data/a.json", [song()])
    postgres.call("etl", "--on-bad-line", "quarantine")
    assert postgres.value("SELECT COUNT(*) FROM songplays") == 5
    postgres.write("log_data/a.json", [event(itemInSession=7)])
    postgres.remove("log_data/b.json")
    assert postgres.etl()["files"]["changed"] == 1
    postgres.call("etl", "--forget", str(postgres.root / "log_data" / "b.json"))
    postgres.call("etl", "--rebuild", "--yes")
    assert postgres.value("SELECT COUNT(*) FROM songplays") == 1
    assert postgres.call("sql_validate").code == 0
    assert postgres.rows(OWNED, (guest,)) == []
    assert "all 12 tables are there" in postgres.call("create_tables").out


def test_p208_a_guest_changes_no_table_and_no_mark(postgres: PostgresWarehouse, guest: str) -> None:
    """The tables stay as their owner made them: no drop, no table made again, no other mark."""
    postgres.call("create_tables", "--grant-loaders", guest)
    postgres.etl()
    become(postgres, guest)
    with pytest.raises(EnvironmentFailure, match="may not"):
        postgres.call("create_tables", "--recreate", "--yes")
    with pytest.raises(EnvironmentFailure, match="may not"):
        postgres.call("conn_close", "--delete-data", "--yes")
    with postgres.server.connected() as cursor:
        cursor.execute("SELECT has_table_privilege(%s, %s, 'INSERT, UPDATE, DELETE')", (guest, marker(postgres)))
        assert cursor.fetchone() == (False,)
    become(postgres, "")
    assert postgres.call("sql_validate").code == 0


def marker(postgres: PostgresWarehouse) -> str:
    """Name the table that says whose the warehouse is, with its schema."""
    return f"{postgres.schema_name}.dwh_warehouse"


def test_readers_and_loaders_are_let_in_at_once(postgres: PostgresWarehouse, guest: str) -> None:
    """Both flags together; a role that is not there stops all of it."""
    said = postgres.call("create_tables", "--grant-readers", guest, "--grant-loaders", guest).out
    assert ("may read" in said, "may load into" in said) == (True, True)
    with pytest.raises(ConfigError, match="there is no role nobody"):
        postgres.call("create_tables", "--grant-loaders", "nobody")
