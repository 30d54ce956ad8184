"""What every engine promises: the same files give the same rows, errors and refusals, on each of them."""

from __future__ import annotations

import json
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from checker import check, compare
from hypothesis import given, settings
from postgres_server import Make, PostgresWarehouse
from reference_star import Star
from warehouse import LARGE, NOON, PATIENTLY, Warehouse, event, lines, plays, song
from worlds import World, every_tie, expected_star, worlds

from dwh.terminal.errors import Busy, DataError, EnvironmentFailure

ENGINES = ("duckdb", "postgres", "redshift", "redshift-serverless")
LOG, SONGS = "log_data/case.json", "song_data/case.json"


@pytest.fixture(params=ENGINES)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, make: Make) -> Warehouse:
    """An empty warehouse, once on every engine."""
    return make(tmp_path / "w", request.param)


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=6)
@given(world=worlds())
def test_each_step_of_a_world_gives_the_star_of_what_was_seen(make: Make, engine: str, world: World) -> None:
    """Random histories of the source folders give the reference's star after each load."""
    with tempfile.TemporaryDirectory() as folder:
        warehouse = make(Path(folder).resolve(), engine)
        for number, step in enumerate(world.steps):
            warehouse.apply(step)
            warehouse.etl()
            compare(expected_star(world.contents_seen(number)), warehouse.star())
        check(warehouse)


@pytest.mark.parametrize("swapped", [False, True])
def test_every_tie_is_decided_by_content(warehouse: Warehouse, swapped: bool) -> None:
    """Where several records contest one row, each column of the order decides alike on every engine."""
    world = every_tie(swapped)
    warehouse.apply(world.steps[0])
    warehouse.etl()
    compare(expected_star(world.contents_seen(0)), warehouse.star())


def test_a_whole_life(warehouse: Warehouse) -> None:
    """First load, late song, correction, downgrade, growth, a file that goes and is forgotten, rebuild: all right."""
    warehouse.write(LOG, [*plays(3), event(ts=NOON - 1, level="paid", itemInSession=7)])
    warehouse.etl()
    assert warehouse.value("SELECT COUNT(song_id) FROM songplays") == 0
    warehouse.write(SONGS, [song()])
    warehouse.etl()
    assert warehouse.value("SELECT COUNT(song_id) FROM songplays") == 4
    warehouse.write(SONGS, [song(title="Undo (Live)")])
    warehouse.write("log_data/more.json", [event(ts=NOON + 99_123, level="free", sessionId=9)])
    warehouse.etl()
    assert warehouse.value("SELECT COUNT(song_id) FROM songplays") == 0
    assert warehouse.rows("SELECT level FROM users") == [("free",)]
    warehouse.write(LOG, [*plays(5), event(userId="", itemInSession=8)])
    warehouse.etl()
    warehouse.remove("log_data/more.json")
    assert warehouse.etl()["files"]["vanished"] == 1
    check(warehouse)
    warehouse.call("etl", "--forget", str(warehouse.root / "log_data/more.json"))
    check(warehouse)
    before = warehouse.star()
    warehouse.etl("--rebuild", "--yes")
    assert warehouse.star() == before
    assert warehouse.etl()["files"] == {
        "new": 0,
        "changed": 0,
        "vanished": 0,
        "already_loaded": 2,
        "rejected": 0,
        "passed_over": 0,
    }


ODD: dict[str, list[dict[str, Any]]] = {
    "milliseconds": [event(ts=NOON + n) for n in (0, 1, 999)],
    "unicode": [event(song="Été 🎵 נועה e\u0301", userAgent="a\r\nb\tc\\d")],
    "edge blanks": [event(userId=" 8 ", song="  Undo ", artist="\u00a0Björk", location="   ")],
    "numbers as text": [event(sessionId="5", itemInSession="0", ts=str(NOON), length="1.5", status="", userId=8)],
    "numbers where text is expected": [event(song=27, location=12345678901234567890, artist=0)],
    "nothing where a number is expected": [event(length="", registration="  ", status=None)],
    "too long in bytes": [event(song="é" * 513), event(sessionId=6, song="é" * 512)],
    "not whole": [event(sessionId=1.5), event(ts=1.5), event(itemInSession=True), event(userId="8a"), event(ts=-1)],
    "out of range": [event(ts=NOON * 1000), event(sessionId=10**30), event(length="1e999"), event(length="NaN")],
    "missing": [{"page": "NextSong", "ts": NOON}, {"ts": NOON}, {"page": "Home"}, {}, {"page": "Home", "ts": NOON}],
    "objects as text": [event(unknown={"a": [1, None]})],
}


@pytest.mark.parametrize("name", ODD)
def test_odd_values_are_taken_or_refused_alike(make: Make, tmp_path: Path, name: str) -> None:
    """Both engines store the same values and refuse the same records, for the same reason, at the same line."""
    seen: list[tuple[Star, Any]] = []
    for engine in ENGINES:
        warehouse = make(tmp_path / engine, engine)
        warehouse.write(LOG, [event(sessionId=99), *ODD[name]])
        warehouse.etl("--on-bad-line", "quarantine")
        seen.append((warehouse.star(), warehouse.rejected()))
    assert seen[0] == seen[1]
    assert len(seen[0][0]["songplays"]) >= 1


BROKEN = {
    "cut": lines([event()])[:40],
    "an array": b"[" + lines([event()]).strip() + b"]",
    "a scalar": b"null",
    "not UTF-8": b'{"page": "\xff"}',
    "a lone surrogate": rb'{"page": "\ud800", "ts": 1}',
    "a NUL character": rb'{"page": "a\u0000", "ts": 1}',
    "a raw control character": b'{"page": "a\x01\x02", "ts": 1}',
    "a comment": b'{"page": "Home", "ts": 1 /* now */}',
}


@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_line_is_named_and_nothing_is_stored(warehouse: Warehouse, name: str, large: bool) -> None:
    """What is no JSON object stops the load with file and line, on every engine, in small and in large files."""
    good = lines(plays(LARGE // 150 if large else 2))
    warehouse.write(LOG, good + BROKEN[name] + b"\n" + lines([event(sessionId=8)]))
    line = good.count(b"\n") + 1
    with pytest.raises(DataError) as refused:
        warehouse.etl()
    assert f"case.json line {line}" in refused.value.message
    assert warehouse.value("SELECT COUNT(*) FROM staging_events") == 0
    warehouse.etl("--on-bad-line", "quarantine")
    assert [number for number, *_ in warehouse.rejected()[LOG]] == [line]
    assert warehouse.value("SELECT COUNT(*) FROM staging_events") == good.count(b"\n") + 1


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_a_large_file_is_read_in_place(warehouse: Warehouse, end: bytes) -> None:
    """A file too large for the spool gives the star of its records."""
    warehouse.write(LOG, lines(plays(LARGE // 150)).replace(b"\n", end))
    warehouse.etl()
    check(warehouse)


def test_validate_passes_and_sees_damage(warehouse: Warehouse) -> None:
    """sql_validate.py finds a sound star sound, and a play that was changed by hand."""
    warehouse.write(LOG, plays(3))
    warehouse.write(SONGS, [song()])
    warehouse.etl()
    assert warehouse.call("sql_validate", "--json").json["ok"]
    warehouse.rows("UPDATE songplays SET level = 'paid' WHERE item_in_session = 1")
    done = warehouse.call("sql_validate", "--json")
    assert done.code == 1
    failed = {found["name"] for found in done.json["checks"] if found["status"] == "fail"}
    assert failed == {"songplays: the rows are what staging gives"}


def test_start_and_close_are_repeatable(postgres: PostgresWarehouse) -> None:
    """conn_start.py makes the schema once; conn_close.py drops it only when asked, and then it is gone."""
    assert postgres.call("conn_start", "--json").json["created"] is False
    postgres.call("conn_close")
    assert postgres.value("SELECT COUNT(*) FROM loads") == 0
    postgres.call("conn_close", "--delete-data", "--yes")
    with pytest.raises(EnvironmentFailure, match="does not exist"):
        postgres.etl()
    assert postgres.call("conn_start", "--json").json["created"] is True


def test_a_schema_that_is_not_ours_is_not_dropped(postgres: PostgresWarehouse) -> None:
    """A schema without our mark and without our ledger is refused, and stays."""
    postgres.rows("DROP TABLE dwh_warehouse")
    postgres.rows("DROP TABLE loaded_files")
    done = postgres.run("conn_close", "--delete-data", "--yes")
    assert (done.code, "try: " in done.err) == (3, True)
    assert postgres.value("SELECT COUNT(*) FROM loads") == 0


def test_a_table_is_analyzed_once_however_many_files_fill_it(postgres: PostgresWarehouse) -> None:
    """Large files are copied one by one: statistics after each of a hundred cost more than the load itself."""
    for day in range(3):
        postgres.write(f"log_data/{day}.json", plays(2_000, sessionId=day))
    shown = postgres.run("etl", "-v").err
    copied = shown.count("COPY json_lines") - 1  # one of them is the list of the files
    assert (copied, shown.count("ANALYZE staging_events")) == (3, 1)


def test_a_reader_is_not_in_the_way_of_a_load(postgres: PostgresWarehouse) -> None:
    """sql_validate.py checks what was committed while another program holds the lock of a load."""
    postgres.write(LOG, plays(2))
    postgres.etl()
    with postgres.server.connected() as cursor:
        cursor.execute(f"SET search_path TO {postgres.schema_name}")
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE loaded_files IN EXCLUSIVE MODE")
        assert postgres.call("sql_validate", "--json").json["ok"]


def test_another_sessions_load_is_waited_for_or_reported(postgres: PostgresWarehouse) -> None:
    """While another program loads, etl.py is busy at once; with --wait it goes on when that has ended."""
    postgres.write(LOG, plays(2))
    with postgres.server.connected() as cursor:
        cursor.execute(f"SET search_path TO {postgres.schema_name}")
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE loaded_files IN EXCLUSIVE MODE")
        with pytest.raises(Busy):
            postgres.etl()
        with postgres.started("etl", *PATIENTLY, "--json") as etl:
            wait_until_a_program_waits(postgres, "loaded_files")
            cursor.execute("COMMIT")
            assert etl.ended().json["rows"]["songplays"] == 2


@pytest.mark.parametrize("ending", ["terminated by the server", "SIGINT", "SIGTERM"])
def test_a_load_that_is_cut_off_stores_nothing(postgres: PostgresWarehouse, ending: str) -> None:
    """A lost connection is exit code 3, a stop 130; nothing is stored, and the next run loads everything."""
    postgres.write(LOG, plays(40))
    with postgres.server.connected() as cursor:
        cursor.execute(f"SET search_path TO {postgres.schema_name}")
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE staging_events IN EXCLUSIVE MODE")  # in the midst of the load it waits for this
        with postgres.started("etl", *PATIENTLY) as etl:
            pid = wait_until_a_program_waits(postgres, "staging_events")
            if ending == "terminated by the server":
                cursor.execute("SELECT pg_terminate_backend(%s)", (pid,))
            else:
                etl.signal(getattr(signal, ending))
            done = etl.ended()
    assert done.code == (3 if ending == "terminated by the server" else 130), done.err
    assert "Traceback" not in done.err
    assert postgres.value("SELECT COUNT(*) FROM staging_events") == 0
    assert postgres.etl()["rows"]["songplays"] == 40


def wait_until_a_program_waits(postgres: PostgresWarehouse, table: str) -> int:
    """Wait until a program waits for a lock on a table; gives the process of the server that works for it."""
    while True:
        with postgres.server.connected() as cursor:
            cursor.execute(
                "SELECT l.pid FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation JOIN pg_namespace AS n"
                " ON n.oid = c.relnamespace WHERE c.relname = %s AND n.nspname = %s AND NOT l.granted",
                (table, postgres.schema_name),
            )
            found = cursor.fetchall()
        if found:
            return int(found[0][0])
        time.sleep(0.02)


def test_a_server_that_does_not_answer_is_told(postgres: PostgresWarehouse) -> None:
    """A wrong port is exit code 3, with an edit to try, and no traceback."""
    postgres.config.write_text(postgres.config.read_text().replace(f"PORT = {postgres.server.port}", "PORT = 1"))
    done = postgres.run("etl", "--json")
    assert done.code == 3
    assert done.json["error"]["kind"] == "environment"
    assert json.dumps(done.json).count("[POSTGRES]") >= 1
    assert "Traceback" not in done.err
