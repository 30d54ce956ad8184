"""P01 to P08: whatever ends a load, at whatever moment, nothing committed is lost and nothing partial is stored.

Every statement and every read and write of a file fails once, and is the last one once. After each the checker compares
the star with the reference's for what the ledger says; then the next run goes on to the end, and it is checked again.
"""

from __future__ import annotations

import errno
import gzip
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from checker import check
from warehouse import REPO, Warehouse, lines, plays, song

from dwh.terminal.errors import EnvironmentFailure
from promises.faults import KILLED, Faults, in_a_child, kill, run_script
from promises.seed import SEED

ENDED_BY_ITSELF = 77
SAMPLED = 3  # of the calls, in the default run


def fill(warehouse: Warehouse) -> None:
    """Load a first version, and write what the next run has to do, in two loads: new, changed and odd files."""
    warehouse.write("log_data/a.json", plays(4))
    warehouse.write("song_data/a.json", [song()])
    warehouse.configure(ETL={"MAX_LOAD_FILES": 2}, DUCKDB={"THREADS": 1})
    warehouse.etl()
    warehouse.write("log_data/a.json", plays(3, song="Other"))
    warehouse.write("song_data/a.json", [song(), song("S2", title="Other")])
    warehouse.write("log_data/b.json", b'{"page": "Home",\n "ts": 1541160000005}\n')
    warehouse.write("log_data/c.json.gz", gzip.compress(lines(plays(3, sessionId=7))))


@pytest.fixture
def begin(warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The database as it is before the run that fails."""
    monkeypatch.setattr("tempfile.tempdir", str(warehouse.root / "tmp"))
    fill(warehouse)
    return Path(shutil.copyfile(warehouse.database, tmp_path / "begin.duckdb"))


def begin_again(warehouse: Warehouse, begin: Path) -> None:
    """Put the database back."""
    shutil.copyfile(begin, warehouse.database)
    warehouse.database.with_name(f"{warehouse.database.name}.wal").unlink(missing_ok=True)


def go_on(warehouse: Warehouse) -> None:
    """Check what is there, run to the end, check that all is loaded, and that no folder of a run is left."""
    check(warehouse)
    assert run_script(warehouse, "etl") == 0
    check(warehouse)
    assert all_is_loaded(warehouse)
    nothing_is_left(warehouse)


def all_is_loaded(warehouse: Warehouse) -> bool:
    """Tell whether every file is in the ledger."""
    there = [path for path in warehouse.root.glob("*_data/*") if path.is_file()]
    return bool(warehouse.value("SELECT COUNT(*) FROM loaded_files") == len(there))


def nothing_is_left(warehouse: Warehouse) -> None:
    """See that no folder of a run is left; one that was killed before it had its name may leave an empty lock."""
    for folder in (warehouse.root / "tmp").iterdir():
        assert not folder.name.startswith("dwh-spool-")
        assert [path.name for path in folder.iterdir() if path.name != "lock" or path.stat().st_size] == []


PLACES = {"session": Faults.in_session, "files": Faults.in_files}


def fail(place: str) -> None:
    """Fail as the engine, or as the machine does."""
    if place == "files":
        raise OSError(errno.EIO, "Input/output error")
    raise EnvironmentFailure("the engine says no", hint="the same command again")


def break_at(warehouse: Warehouse, begin: Path, place: str, how: str, n: int) -> bool:
    """Let the nth call fail, or be the last; then check, and go on. Tells whether there was an nth call."""
    begin_again(warehouse, begin)

    def run() -> int:
        with PLACES[place](Faults(n, kill if how == "killed" else lambda: fail(place))) as faults:
            code = run_script(warehouse, "etl")
        return code if faults.reached else ENDED_BY_ITSELF

    code = in_a_child(run)
    if code == ENDED_BY_ITSELF:
        check(warehouse)
        return False
    if code == 0 and how == "failed" and place == "files":  # its folder could not be removed; the next run does that
        assert all_is_loaded(warehouse), f"call {n} failed silently"
    else:
        assert code == (KILLED if how == "killed" else 3), f"{place}, {how} at call {n}: exit code {code}"
    go_on(warehouse)
    return True


def count_calls(warehouse: Warehouse, begin: Path, place: str) -> int:
    """Count the calls of a run that nothing happens to."""
    begin_again(warehouse, begin)
    with PLACES[place](Faults(0, kill)) as faults:
        assert run_script(warehouse, "etl") == 0
    return faults.calls


@pytest.mark.parametrize("how", ["failed", "killed"])
@pytest.mark.parametrize("place", PLACES)
def test_p02_some_calls_fail_or_are_the_last(warehouse: Warehouse, begin: Path, place: str, how: str) -> None:
    """A statement, a read or a write that fails, or at which the process is killed: nothing is lost, or half stored.

    Some calls only, others in every run; with --promises it is every call."""
    calls = count_calls(warehouse, begin, place)
    assert calls > 30
    for n in random.Random(SEED).sample(range(1, calls + 1), SAMPLED):
        assert break_at(warehouse, begin, place, how, n)
    assert not break_at(warehouse, begin, place, how, calls + 1)


@pytest.mark.promises
@pytest.mark.parametrize("how", ["failed", "killed"])
@pytest.mark.parametrize("place", PLACES)
def test_p02_every_call_fails_or_is_the_last(
    warehouse: Warehouse, begin: Path, place: str, how: str, figure: Callable[[str], None]
) -> None:
    """The same for n = 1, 2, ... until a run ends by itself."""
    n = 1
    while break_at(warehouse, begin, place, how, n):
        n += 1
    assert n > 30
    figure(f"{place}: {how} at each of {n - 1} calls, 0 differences")


# ------------------------------------------------------------------------------------------------------ real processes


def many_files(warehouse: Warehouse, number: int) -> None:
    """Write a source of small files, with songs, odd files and files that share plays."""
    warehouse.configure(ETL={"MAX_LOAD_FILES": max(1, number // 12)}, DUCKDB={"THREADS": 1})
    for n in range(number // 10):
        warehouse.write(f"song_data/{n}.json", [song(f"S{n}", title=f"Song {n % 7}", duration=n)])
    for n in range(number - number // 10):
        told = plays(3, sessionId=n // 2, song=f"Song {n % 9}", userId=str(n % 11))
        warehouse.write(f"log_data/{n}.json", lines(told) if n % 5 else lines(told).replace(b", ", b",\n", 1))


def run_to_the_end(warehouse: Warehouse) -> int:
    """Run etl.py with -vv; gives the number of lines it said."""
    with warehouse.started("etl", "-vv") as etl:
        done = etl.ended()
    assert done.code == 0, done.err
    return done.err.count("\n")


def kill_at(warehouse: Warehouse, line: int) -> int:
    """Start etl.py, and kill it when it has said so many lines with -vv; gives its exit code.

    It is a statement or so further on then, at whatever it does there: no two kills hit the same instruction."""
    with warehouse.started("etl", "-vv") as etl:
        for _ in range(line):
            etl.wait_for("")
            assert "\nerror: " not in etl.said, etl.said
        etl.process.kill()
        return etl.process.wait()


def kill_many(warehouse: Warehouse, empty: Path, kills: int, files: int) -> int:
    """Kill etl.py at random moments, check after each; gives the number of kills that hit. A source that is loaded is
    loaded again into an empty warehouse. No run gets as far as a whole one: the next goes on where it was killed,
    and so every moment of the load is reached with fewer runs that end by themselves."""
    rng = random.Random(SEED)
    many_files(warehouse, files)
    whole = run_to_the_end(warehouse)
    check(warehouse)
    hits = 0
    shutil.copyfile(empty, warehouse.database)
    while hits < kills:
        left = warehouse.value("SELECT COUNT(*) FROM loaded_files") < files
        code = kill_at(warehouse, rng.randint(1, whole * 6 // 10)) if left else 0
        check(warehouse)
        if code == -signal.SIGKILL:
            hits += 1
        else:
            assert code == 0
            shutil.copyfile(empty, warehouse.database)
    run_to_the_end(warehouse)
    check(warehouse)
    nothing_is_left(warehouse)
    return hits


def test_p01_a_killed_run_is_gone_on_with(warehouse: Warehouse, empty_database: Path) -> None:
    """SIGKILL at a random moment of a real run, a few times: nothing lost, nothing partial."""
    assert kill_many(warehouse, empty_database, kills=3, files=30) == 3


@pytest.mark.promises
def test_p01_300_killed_runs_are_gone_on_with(
    warehouse: Warehouse, empty_database: Path, figure: Callable[[str], None]
) -> None:
    """300 kills of a run over 200 files, each followed by the checker: 0 differences."""
    kills = int(os.environ.get("PROMISES_KILLS", "300"))
    assert kill_many(warehouse, empty_database, kills, files=200) == kills
    figure(f"{kills} kills of a run over 200 files, 0 differences")


def test_p03_what_was_said_to_be_loaded_survives_a_kill(warehouse: Warehouse) -> None:
    """Killed at the moment it says `load 1/3`: those files are in the warehouse."""
    many_files(warehouse, 30)
    warehouse.configure(ETL={"MAX_LOAD_FILES": 10})
    with warehouse.started("etl") as etl:
        etl.wait_for("load 1/3")
        etl.process.kill()
        etl.process.wait()
    assert warehouse.value("SELECT COUNT(*) FROM loaded_files") >= 10
    check(warehouse)


def test_p05_a_second_ctrl_c_leaves_at_once(warehouse: Warehouse) -> None:
    """While the first waits for a long roll-back, only the second ends the process."""
    code = (
        "import sys, threading; sys.path.insert(0, sys.argv.pop(1))\n"
        "from dwh.terminal import console\n"
        "from dwh.engines.duckdb.session import DuckDbSession\n"
        "def slow(session):\n"
        "    print('rolling back', file=sys.stderr, flush=True)\n"
        "    threading.Event().wait()\n"
        "def load(*args):\n"
        "    DuckDbSession._roll_back = slow\n"
        "    print('loading', file=sys.stderr, flush=True)\n"
        "    threading.Event().wait()\n"
        "DuckDbSession.load = load\n"
        "import etl\n"
        "raise SystemExit(console.run(etl.main))\n"
    )
    warehouse.write("log_data/a.json", plays(3))
    command = [sys.executable, "-c", code, str(REPO), "--config", str(warehouse.config)]
    with warehouse.started("etl", command=command) as etl:
        for awaited in ("loading", "rolling back"):
            etl.wait_for(awaited)
            etl.signal(signal.SIGINT)
        assert etl.ended().code == 130
    check(warehouse)
