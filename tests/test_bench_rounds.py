"""The bench runs as many rounds as make its ratios sure, and says how sure they are."""

from __future__ import annotations

import random
from itertools import count

import pytest

from bench.contest import CONTESTANTS, OURS, YARDSTICK
from bench.processes import Taken
from bench.results import Field, all_settled, ratios, remarks, summarize
from bench.rounds import LEAST, MOST, enough_rounds, interval, is_settled
from bench.samples import ROOT, Records, Sample
from bench.saved import command

CASES = 1_000
NAMED = {one.name: one for one in CONTESTANTS}
STEADY = [2.0, 2.02, 1.99, 2.01, 2.0, 2.03]


@pytest.mark.parametrize(
    ("rounds", "lowest", "highest"),
    [(6, 1, 6), (8, 1, 8), (9, 2, 8), (11, 2, 10), (12, 3, 10), (14, 3, 12), (15, 4, 12), (17, 5, 13), (20, 6, 15)],
)
def test_the_interval_is_that_of_the_tables(rounds: int, lowest: int, highest: int) -> None:
    """The places of both ends are those in printed tables of intervals of the median, in whatever order values come."""
    values = [float(number) for number in range(1, rounds + 1)]
    random.Random(7).shuffle(values)
    assert interval(values) == (lowest, highest)


def test_few_rounds_have_no_interval() -> None:
    """Five values enclose the median 15 times of 16, which is less than 95 of 100."""
    assert [interval([1.0] * n) for n in range(LEAST)] == [None] * LEAST
    assert interval([1.0] * LEAST) == (1.0, 1.0)


def test_the_interval_holds_the_median_as_often_as_it_says() -> None:
    """Of values with a long tail, as seconds have one, at least 95 of 100 intervals hold the median."""
    chance = random.Random(19)
    for rounds in (LEAST, 9, MOST):
        found = (interval([chance.lognormvariate(0, 0.5) for _ in range(rounds)]) for _ in range(CASES))
        held = sum(ends is not None and ends[0] <= 1 <= ends[1] for ends in found)
        assert 0.94 < held / CASES < 0.995


def test_rounds_end_when_they_are_settled() -> None:
    """Six rounds at least, fifteen at most, and in between as soon as the interval is narrower than 5 % of the median;
    a number that was asked for is run whatever comes."""
    assert is_settled(STEADY)
    assert not is_settled([*STEADY[:-1], 2.11])
    assert list(enough_rounds(None, lambda: True)) == list(range(LEAST + 1))
    assert list(enough_rounds(None, lambda: False)) == list(range(MOST + 1))
    asked = count(LEAST)
    assert list(enough_rounds(None, lambda: next(asked) == 9)) == list(range(10))
    assert list(enough_rounds(2, lambda: True)) == [0, 1, 2]


def test_the_slowest_to_settle_decides() -> None:
    """Rounds go on for wall or CPU of any contestant; one that failed, or whose rows differ, holds nobody up."""
    yardstick, steady, restless = (Field(NAMED[name]) for name in (YARDSTICK, OURS, "chdb_star"))
    quick = [yardstick, steady, restless]
    yardstick.taken = [Taken(1.0, 1.0, 1)] * len(STEADY)
    steady.taken = [Taken(ratio, ratio, 1) for ratio in STEADY]
    restless.taken = [Taken(2.0, cpu, 1) for cpu in (1.0, 1.3, 1.1, 1.2, 1.0, 1.4)]
    assert all_settled(quick[:2])
    assert not all_settled(quick)
    restless.differs = "one row"
    assert all_settled(quick)
    restless.differs, restless.skipped = "", "exit code 1"
    assert all_settled(quick)


def test_a_ratio_is_that_of_a_round() -> None:
    """A machine that is slow for a round is slow for both: the ratio is the median of those of each round."""
    yardstick, ours = (Field(NAMED[name]) for name in (YARDSTICK, OURS))
    yardstick.taken = [Taken(wall, 2.0, 1) for wall in (1.0, 4.0, 1.0, 1.0, 1.0, 1.0)]
    ours.taken = [Taken(wall, 5.0, 1_000_000) for wall in (2.0, 8.0, 2.0, 2.0, 2.0, 3.0)]
    assert ratios(ours, yardstick, "wall") == [2, 2, 2, 2, 2, 3]
    found = summarize(ours, yardstick, Sample(ROOT, 1, 9_000_000, 1, 1_000_000), Records(900, 100))
    assert (found["ratio"], found["ratio_interval"]) == (2, [2, 3])
    assert (found["cpu_ratio"], found["cpu_ratio_interval"]) == (2.5, [2.5, 2.5])
    assert (found["mb_per_cpu_s"], found["rows_per_cpu_s"]) == (2, 200)
    assert found["settled"] is False
    assert remarks(found) == ["not settled in 6 rounds"]
    assert "settled" not in summarize(yardstick, yardstick, Sample(ROOT, 1, 1, 1, 1), Records(1, 1))


def test_a_command_names_no_folder_of_the_machine() -> None:
    """What a page shows of a command can be typed anywhere."""
    typed = [str(ROOT / "bench" / "run.py"), "--data", "/tmp/x/big", "--save", "/a folder/M.json", "--only", "etl"]
    assert command(typed) == "bench/run.py --data big --only etl"
    assert command([typed[0], "--data=/tmp/x/big", "--save=M.json"]) == "bench/run.py --data=big"
