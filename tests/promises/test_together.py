"""P18 and P19: several programs at one warehouse, at once: each sees a whole state, or exits 4; none waits for ever."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import ExitStack

import pytest
from checker import check
from warehouse import PATIENTLY, Running, Warehouse, plays, song

from promises.seed import SEED


def fill(warehouse: Warehouse, rounds: int = 0) -> None:
    """Write sources, in three loads; with each round there is more to load."""
    warehouse.configure(ETL={"MAX_LOAD_FILES": 3})
    warehouse.write("song_data/a.json", [song()])
    for n in range(8 + rounds):
        warehouse.write(f"log_data/{n}.json", plays(20, sessionId=n))


def end(script: Running) -> tuple[int, str]:
    """Wait until a script ends; gives its exit code and what it said."""
    done = script.ended()
    assert "Traceback" not in done.err, done.err
    return done.code, done.err


def together(warehouse: Warehouse, number: int, *argv: str) -> list[int]:
    """Run several etl.py at once; gives their exit codes."""
    with ExitStack() as at_once:
        started = [at_once.enter_context(warehouse.started("etl", *argv)) for _ in range(number)]
        return sorted(end(script)[0] for script in started)


def test_p18_of_two_loads_at_once_one_works(warehouse: Warehouse) -> None:
    """Started together, each ends with 0 or 4, one at least with 0; with --wait all end with 0. Nothing is doubled."""
    fill(warehouse)
    codes = together(warehouse, 2)
    assert (codes[0], set(codes) <= {0, 4}) == (0, True)
    check(warehouse)
    warehouse.write("log_data/more.json", plays(9, sessionId=99))
    assert together(warehouse, 2, *PATIENTLY) == [0, 0]
    check(warehouse)


@pytest.mark.promises
def test_p18_of_many_loads_at_once_one_works(warehouse: Warehouse) -> None:
    """The same with two to five of them, in twenty rounds."""
    rng = random.Random(SEED)
    for n in range(20):
        fill(warehouse, n)
        codes = together(warehouse, rng.randint(2, 5), *rng.choice([(), PATIENTLY]))
        assert (codes[0], set(codes) <= {0, 4}) == (0, True)
        check(warehouse)


def side_by_side(warehouse: Warehouse, scripts: Sequence[Sequence[str]], line: int) -> None:
    """Start a script, and another when the first has said so many lines with -v; each sees a whole state."""
    first, second = scripts
    with warehouse.started(*first, "-v") as one:
        for _ in range(line):
            one.wait_for("")
        with warehouse.started(*second) as two:
            ended = [end(one), end(two)]
    for code, said in ended:
        assert code in (0, 4), said
        assert code == 0 or "is open in another program" in said
    check(warehouse)


OTHERS = {"sql_validate": ("sql_validate", "--only", "songplays"), "recreate": ("create_tables", "--recreate", "--yes")}


def loaded_twice(warehouse: Warehouse) -> None:
    """Load, and write more to load."""
    fill(warehouse)
    warehouse.etl()
    fill(warehouse, 1)


@pytest.mark.parametrize("other", OTHERS)
def test_p19_a_script_beside_a_load(warehouse: Warehouse, other: str) -> None:
    """Before the load reads, within a statement of its second load, and before the COMMIT: the other script is busy,
    and the load goes on."""
    loaded_twice(warehouse)
    warehouse.configure(ETL={"MAX_LOAD_FILES": 1})
    for n, held in enumerate(("before:BEGIN", "before:INSERT INTO songplays#2", "before:COMMIT")):
        warehouse.write(f"log_data/more {n}.json", plays(3, sessionId=100 + n))
        warehouse.write(f"log_data/yet more {n}.json", plays(3, sessionId=200 + n))
        with warehouse.started("etl", held=held) as etl:
            etl.wait_for("held")
            done = warehouse.run(*OTHERS[other])
            assert (done.code, "is open in another program" in done.err) == (4, True), done.err
            etl.release()
            assert end(etl)[0] == 0
        check(warehouse)


@pytest.mark.parametrize("other", OTHERS)
def test_p19_a_load_beside_another_script(warehouse: Warehouse, other: str) -> None:
    """sql_validate.py never sees half a load as damage; --recreate beside a load leaves a whole warehouse."""
    loaded_twice(warehouse)
    for scripts in ((OTHERS[other], ("etl",)), (("etl",), OTHERS[other])):
        side_by_side(warehouse, scripts, random.Random(SEED).randint(0, 5))
        warehouse.etl()
        check(warehouse)


@pytest.mark.promises
@pytest.mark.parametrize("other", OTHERS)
def test_p19_a_load_beside_another_script_many_times(warehouse: Warehouse, other: str) -> None:
    """The same, twenty times, the second begun earlier or later."""
    rng = random.Random(SEED)
    fill(warehouse)
    warehouse.etl()
    for n in range(20):
        fill(warehouse, 1 + n)
        side_by_side(warehouse, rng.sample((("etl",), OTHERS[other]), 2), rng.randint(0, 200))
        warehouse.etl()
        check(warehouse)
