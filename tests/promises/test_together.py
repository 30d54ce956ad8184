"""P18 and P19: several programs at one warehouse, at once: each sees a whole state, or exits 4; none waits for ever."""

from __future__ import annotations

import random
import subprocess
import time

import pytest
from checker import check
from warehouse import ELSEWHERE, Warehouse, plays, song

from promises.seed import SEED

LONGEST = 60  # seconds; nothing here takes more than two


def fill(warehouse: Warehouse, rounds: int = 0) -> None:
    """Write sources, in three loads; with each round there is more to load."""
    warehouse.configure(ETL={"MAX_LOAD_FILES": 3})
    warehouse.write("song_data/a.json", [song()])
    for n in range(8 + rounds):
        warehouse.write(f"log_data/{n}.json", plays(20, sessionId=n))


def start(warehouse: Warehouse, script: str, *argv: str) -> subprocess.Popen[str]:
    """Start a script."""
    return subprocess.Popen(
        warehouse.command(script, *argv),
        cwd=warehouse.root / ELSEWHERE,
        env=warehouse.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait until a script ends; gives its exit code and what it said."""
    _, said = process.communicate(timeout=LONGEST)
    assert "Traceback" not in said, said
    return process.returncode, said


def together(warehouse: Warehouse, number: int, *argv: str) -> list[int]:
    """Run several etl.py at once; gives their exit codes."""
    started = [start(warehouse, "etl", *argv) for _ in range(number)]
    return sorted(end(process)[0] for process in started)


def test_p18_of_two_loads_at_once_one_works(warehouse: Warehouse) -> None:
    """Started together, each ends with 0 or 4, one at least with 0; with --wait all end with 0. Nothing is doubled."""
    fill(warehouse)
    codes = together(warehouse, 2)
    assert (codes[0], set(codes) <= {0, 4}) == (0, True)
    check(warehouse)
    warehouse.write("log_data/more.json", plays(9, sessionId=99))
    assert together(warehouse, 2, "--wait", "60s") == [0, 0]
    check(warehouse)


@pytest.mark.promises
def test_p18_of_many_loads_at_once_one_works(warehouse: Warehouse) -> None:
    """The same with two to five of them, in twenty rounds."""
    rng = random.Random(SEED)
    for n in range(20):
        fill(warehouse, n)
        codes = together(warehouse, rng.randint(2, 5), *rng.choice([(), ("--wait", "60s")]))
        assert (codes[0], set(codes) <= {0, 4}) == (0, True)
        check(warehouse)


def side_by_side(warehouse: Warehouse, other: tuple[str, ...], offset: float) -> None:
    """Start etl.py, and some time later (or before) another script; see that each saw a whole state."""
    first, second = (("etl",), other) if offset >= 0 else (other, ("etl",))
    one = start(warehouse, *first)
    time.sleep(abs(offset))
    two = start(warehouse, *second)
    for process in (one, two):
        code, said = end(process)
        assert code in (0, 4), said
        assert code == 0 or "is open in another program" in said
    check(warehouse)


OTHERS = {"sql_validate": ("sql_validate", "--only", "songplays"), "recreate": ("create_tables", "--recreate", "--yes")}


@pytest.mark.parametrize("other", OTHERS)
def test_p19_a_load_beside_another_script(warehouse: Warehouse, other: str) -> None:
    """sql_validate.py never sees half a load as damage; --recreate beside a load leaves a whole warehouse."""
    fill(warehouse)
    warehouse.etl()
    fill(warehouse, 1)
    side_by_side(warehouse, OTHERS[other], random.Random(SEED).uniform(-0.5, 0.5))
    warehouse.etl()
    check(warehouse)


@pytest.mark.promises
@pytest.mark.parametrize("other", OTHERS)
def test_p19_a_load_beside_another_script_many_times(warehouse: Warehouse, other: str) -> None:
    """The same, twenty times, with other offsets."""
    rng = random.Random(SEED)
    fill(warehouse)
    warehouse.etl()
    for n in range(20):
        fill(warehouse, 1 + n)
        side_by_side(warehouse, OTHERS[other], rng.uniform(-0.8, 0.8))
        warehouse.etl()
        check(warehouse)
