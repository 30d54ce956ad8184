"""What may go wrong between etl.py and its server, and between programs that use one warehouse at the same time.

The answer to a COMMIT is lost, before or after the server did it; several programs start together. Whatever happens,
the warehouse is what its ledger says (checker.py), and the next run goes on from there.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from checker import check
from postgres_server import Make, PostgresWarehouse, Server
from warehouse import PATIENTLY, REPO, Running, Warehouse, event, lines, plays, song

from dwh.engines.choose import open_engine
from dwh.settings.config import load_config
from dwh.terminal.errors import Busy, EnvironmentFailure
from star.ingestion import Ingestion

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"  # libpq's message of this statement
LOADS = 3
WAITING = (
    "SELECT COUNT(*) FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation JOIN pg_namespace AS n"
    " ON n.oid = c.relnamespace WHERE c.relname = 'loaded_files' AND n.nspname = %s AND NOT l.granted"
)


class CuttingProxy:
    """Passes everything on to a server, and cuts the line at the COMMIT of the given number (from 1).

    With `forward` the server gets that COMMIT, and its answer is awaited and dropped; without, it never arrives.
    """

    def __init__(self, server: Server, number: int, *, forward: bool) -> None:
        self.server = server
        self.number = number
        self.forward = forward
        self.cut = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # the end of the test closes the listener
            while True:
                client = self.listener.accept()[0]
                server = socket.socket(socket.AF_UNIX)
                server.connect(f"{self.server.host}/.s.PGSQL.{self.server.port}")
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        stop = threading.Event()
        answers = threading.Thread(target=self._answer, args=(server, client, stop), daemon=True)
        answers.start()
        with client, server:
            while data := client.recv(1 << 16):
                if data.endswith(COMMIT):
                    self.number -= 1
                    if self.number == 0:
                        self.cut += 1
                        stop.set()  # nothing that comes from here on is passed on
                        if self.forward:
                            server.sendall(data)
                            answers.join()
                        # closing alone would leave the other thread's recv open
                        server.shutdown(socket.SHUT_RDWR)
                        return
                server.sendall(data)

    def _answer(self, server: socket.socket, client: socket.socket, stop: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if stop.is_set():
                    return
                client.sendall(data)


@contextmanager
def cutting_proxy(server: Server, number: int, *, forward: bool) -> Iterator[CuttingProxy]:
    """Run the proxy during the block."""
    proxy = CuttingProxy(server, number, forward=forward)
    try:
        yield proxy
    finally:
        proxy.listener.close()


def write_sources(warehouse: Warehouse, number: int = 0) -> None:
    """Write a song and two logs that no earlier number wrote: three loads, when a load is one file."""
    warehouse.write(f"song_data/{number}.json", [song(f"S{number}")])
    for part in range(2):
        warehouse.write(f"log_data/{number}-{part}.json", plays(20, sessionId=10 * number + part))


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "not stored"])
def test_an_unanswered_commit_is_told_and_found_out_by_the_next_run(postgres: PostgresWarehouse, stored: bool) -> None:
    """It is unknown whether the load was stored: the error says so, exit code 3; the same command finds out."""
    postgres.configure(ETL={"MAX_LOAD_FILES": 1})
    write_sources(postgres)
    with cutting_proxy(postgres.server, 2, forward=stored) as proxy:
        place = {"DWH_POSTGRES_HOST": "127.0.0.1", "DWH_POSTGRES_PORT": str(proxy.port)}
        done = postgres.run("etl", env=place)
        assert proxy.cut == 1
    assert done.code == 3, done.err
    assert "it is unknown whether this was stored" in done.err
    assert f"try: python {REPO}/etl.py --config" in done.err
    assert "Traceback" not in done.err
    wait_until_alone(postgres)
    check(postgres)
    loads = 2 if stored else 1
    assert postgres.value("SELECT COUNT(*) FROM loads") == loads
    again = postgres.etl()
    assert again["files"]["new"] == LOADS - loads
    assert again["rows"]["songplays"] == 40
    check(postgres)


def test_a_connection_lost_before_the_commit_stores_nothing_and_says_so(postgres: PostgresWarehouse) -> None:
    """When it is known that nothing was stored, the error does not claim otherwise."""
    write_sources(postgres)
    with postgres.server.connected() as cursor:
        cursor.execute(f"SET search_path TO {postgres.schema_name}")
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE loaded_files IN EXCLUSIVE MODE")
        with postgres.started("etl", *PATIENTLY) as etl:
            wait_until_waiting(postgres, [etl])
            cursor.execute(
                "SELECT pg_terminate_backend(l.pid) FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation"
                " JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = %s AND NOT l.granted",
                (postgres.schema_name,),
            )
            done = etl.ended()
        cursor.execute("ROLLBACK")  # the lock is free now; a closed connection keeps it a while longer
    assert done.code == 3
    assert "unfinished work was not stored" in done.err
    assert "not known" not in done.err
    assert postgres.etl()["rows"]["songplays"] == 40
    check(postgres)


# --------------------------------------------------------------------------------------------------- several at a time


@contextmanager
def started_together(warehouse: Warehouse, number: int, script: str, *argv: str) -> Iterator[list[Running]]:
    """Start the same script several times, without waiting for any."""
    with ExitStack() as together:
        yield [together.enter_context(warehouse.started(script, *argv)) for _ in range(number)]


def wait_until_waiting(postgres: PostgresWarehouse, runs: Sequence[Running]) -> None:
    """Wait until all the programs wait for the lock on the ledger, and will until they have it.

    Each says so after a first attempt of a millisecond, which is no wait to rely on: it ends by itself.
    """
    for run in runs:
        run.wait_for("waiting up to")
    until(lambda: postgres_count(postgres, WAITING) == len(runs))


def wait_until_alone(postgres: PostgresWarehouse) -> None:
    """Wait until the server has noticed that a program is gone."""
    query = WAITING.replace("NOT l.granted", "l.mode = 'ExclusiveLock'")
    until(lambda: postgres_count(postgres, query) == 0)


def postgres_count(postgres: PostgresWarehouse, query: str) -> int:
    """Count by a query that takes the name of the schema."""
    with postgres.server.connected() as cursor:
        cursor.execute(query, (postgres.schema_name,))
        return int(cursor.fetchone()[0])


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    while not condition():
        time.sleep(0.02)


@pytest.mark.parametrize("number", [2, 5])
def test_programs_that_wait_load_one_after_the_other(postgres: PostgresWarehouse, number: int) -> None:
    """Let go at the same moment, one loads, the others find nothing new: all end well, and nothing is loaded twice."""
    for turn in range(2):
        write_sources(postgres, turn)
        with postgres.server.connected() as cursor:
            cursor.execute(f"SET search_path TO {postgres.schema_name}")
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE loaded_files IN EXCLUSIVE MODE")
            with started_together(postgres, number, "etl", *PATIENTLY) as runs:
                wait_until_waiting(postgres, runs)
                cursor.execute("COMMIT")
                results = [run.ended() for run in runs]
        assert [done.code for done in results] == [0] * number, [done.err for done in results]
        assert sum("loaded 3 files" in done.out for done in results) == 1
        assert sum("nothing new" in done.out for done in results) == number - 1
        assert postgres.value("SELECT COUNT(*) FROM loads") == turn + 1
        check(postgres)


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_programs_that_do_not_wait_load_or_are_busy(make: Make, tmp_path: Path, engine: str) -> None:
    """Started together, each does the work, finds it done, or is busy; never do two load, never does one hang."""
    warehouse = make(tmp_path / "w", engine)
    for turn, number in enumerate((2, 5)):
        write_sources(warehouse, turn)
        with started_together(warehouse, number, "etl") as runs:
            results = [run.ended() for run in runs]
        assert {done.code for done in results} <= {0, 4}, [done.err for done in results]
        assert sum("loaded 3 files" in done.out for done in results) == 1
        assert all("try: " in done.err for done in results if done.code == 4)
        assert warehouse.value("SELECT COUNT(*) FROM loads") == turn + 1
        check(warehouse)


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
@pytest.mark.parametrize("first", [0, 1], ids=["etl first", "etl second"])
@pytest.mark.parametrize("other", [("sql_validate",), ("create_tables", "--recreate", "--yes")], ids=["check", "drop"])
def test_a_load_beside_another_script(
    make: Make, tmp_path: Path, engine: str, other: tuple[str, ...], first: int
) -> None:
    """Whichever comes first: each sees one consistent state or is busy; what is loaded in the end is right."""
    warehouse = make(tmp_path / "w", engine)
    write_sources(warehouse)
    warehouse.etl()
    write_sources(warehouse, 1)
    with ExitStack() as together:
        runs = [
            together.enter_context(warehouse.started(script, *argv, "--json"))
            for script, *argv in [("etl",), other][:: 1 - 2 * first]
        ]
        results = {done.json["script"]: done for done in (run.ended() for run in runs)}
    checked = results.pop("sql_validate", None)
    assert {done.code for done in results.values()} <= {0, 4}, [done.err for done in results.values()]
    if checked and checked.code != 4:
        failed = {found["name"] for found in checked.json["checks"] if found["status"] == "fail"}
        # it may well come before the load
        assert failed <= {"loaded_files: every file of the source is loaded"}, checked.err
    check(warehouse)
    warehouse.etl()
    assert warehouse.value("SELECT COUNT(*) FROM songplays") == 80
    check(warehouse)


def test_a_drop_waits_for_no_load(postgres: PostgresWarehouse) -> None:
    """While a load is under way, create_tables.py --recreate is busy at once and drops nothing."""
    write_sources(postgres)
    postgres.etl()
    with postgres.server.connected() as cursor:
        cursor.execute(f"SET search_path TO {postgres.schema_name}")
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE loaded_files IN EXCLUSIVE MODE")
        done = postgres.run("create_tables", "--recreate", "--yes")
    assert (done.code, "another session is using" in done.err) == (4, True), done.err
    check(postgres)


def test_a_drop_gives_up_on_a_reader_that_stays(postgres: PostgresWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another session's open query blocks the drop of a table: busy after a few seconds, and nothing is dropped."""
    write_sources(postgres)
    postgres.etl()
    with postgres.server.connected() as cursor:
        cursor.execute(f"SET search_path TO {postgres.schema_name}")
        cursor.execute("BEGIN")
        cursor.execute("SELECT COUNT(*) FROM songs")
        monkeypatch.setattr("dwh.engines.postgres.session.READER_SECONDS", 0.2)
        with pytest.raises(Busy, match="another session is using"):
            postgres.call("create_tables", "--recreate", "--yes")
    check(postgres)


def test_tables_made_by_several_at_once_are_made_once(postgres: PostgresWarehouse) -> None:
    """create_tables.py started four times on an empty schema: made, found or busy, and then they are all there."""
    postgres.call("conn_close", "--delete-data", "--yes")
    postgres.call("conn_start")
    with started_together(postgres, 4, "create_tables") as runs:
        results = [run.ended() for run in runs]
    assert {done.code for done in results} <= {0, 4}, [done.err for done in results]
    assert 0 in {done.code for done in results}
    postgres.write("log_data/a.json", lines([event()]))
    assert postgres.etl()["rows"]["songplays"] == 1
    check(postgres)


# ----------------------------------------------------------------------------------------------------------- the lock


@contextmanager
def holder(warehouse: PostgresWarehouse) -> Iterator[int]:
    """Hold the lock of loads for the block, as another program does that is idle then; gives its session's number."""
    with warehouse.server.connected() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
        cursor.execute("BEGIN")
        cursor.execute(f"LOCK TABLE {warehouse.schema_name}.loaded_files IN EXCLUSIVE MODE")
        yield pid
        cursor.execute("ROLLBACK")


def test_p192_who_waits_is_told_for_whom(postgres: PostgresWarehouse) -> None:
    """At once: the session, its user, since when and from where."""
    write_sources(postgres)
    with ExitStack() as held:
        pid = held.enter_context(holder(postgres))
        with postgres.started("etl", *PATIENTLY) as etl:
            said = etl.wait_for("waiting up to")
            assert f"held by session {pid} of {postgres.server.user} since 20" in said
            assert said.rstrip().endswith("UTC, from its server")
            held.close()
            assert etl.ended().code == 0


def test_p192_who_does_not_wait_is_told_too(postgres: PostgresWarehouse) -> None:
    """With the statement that ends that session, should its program be gone."""
    write_sources(postgres)
    with holder(postgres) as pid, pytest.raises(Busy) as raised:
        postgres.etl()
    assert f"held by session {pid} of" in raised.value.evidence[0]
    assert any(f"pg_terminate_backend({pid})" in hint for hint in raised.value.hint)


def test_p191_a_client_that_vanished_loses_the_lock(
    postgres: PostgresWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing more, and closes nothing: the server ends its session, and whoever waits gets the lock."""
    monkeypatch.setattr("dwh.engines.postgres.session.VANISHED_SECONDS", 1)
    write_sources(postgres)
    engine = open_engine(load_config(str(postgres.config), {}, {}))
    with (
        closing(engine.connect(lambda _trace: None)) as vanished,
        pytest.raises(EnvironmentFailure, match="was lost"),
        vanished.transaction("loaded_files"),
    ):
        assert postgres.etl("--wait", "1h")["rows"]["songplays"] == 40
        vanished.rows("SELECT 1")
    check(postgres)


def test_p191_a_client_that_reads_files_for_long_is_no_vanished_one(
    postgres: PostgresWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two statements of a load the server hears that its client is alive."""
    monkeypatch.setattr("dwh.engines.lock.BEAT_SECONDS", 0.01)
    write_sources(postgres)
    bring_in = Ingestion.bring_in
    beats: list[int] = []

    def read_slowly(ingestion: Ingestion, *rest: Any) -> Any:
        session: Any = ingestion.session
        pid = session.rows("SELECT pg_backend_pid()")[0][0]
        with postgres.server.connected() as cursor:
            asked = ""
            while asked != "SELECT 1":  # the query that the server has last seen of the load
                cursor.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", (pid,))
                asked = cursor.fetchone()[0]
        beats.append(pid)
        return bring_in(ingestion, *rest)

    monkeypatch.setattr(Ingestion, "bring_in", read_slowly)
    assert postgres.etl()["rows"]["songplays"] == 40
    assert beats
