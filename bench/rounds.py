"""How many rounds are enough: as many as make the median of each ratio sure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from math import comb

CONFIDENCE = 0.95
NARROW = 0.05  # of the median
# Of five values, the lowest and the highest have the median between them 15 times of 16, which is not 95 of 100.
LEAST, MOST = 6, 15

Interval = tuple[float, float]


def interval(values: Sequence[float]) -> Interval | None:
    """Give two of the values that have the median between them in 95 of 100 cases; None for fewer than six.

    It assumes nothing of how they are distributed, only that no round knows of another. Each value is below the true
    median as often as a coin shows heads. So the k-th lowest and the k-th highest enclose it, unless fewer than k of n
    coins show heads, or fewer than k tails; k is the largest for which both together are at most 5 of 100. (Conover,
    Practical Nonparametric Statistics, on intervals of quantiles. Of 15 values: the 4th and the 12th.)
    """
    n, k, missed = len(values), 0, 1
    while 2 * missed <= (1 - CONFIDENCE) * 2**n:
        k += 1
        missed += comb(n, k)
    ordered = sorted(values)
    return (ordered[k - 1], ordered[-k]) if k else None


def is_settled(values: Sequence[float]) -> bool:
    """Say whether the interval of the median is narrower than 5 % of it."""
    found = interval(values)
    return found is not None and found[1] - found[0] < NARROW * statistics.median(values)


def enough_rounds(asked: int | None, settled: Callable[[], bool]) -> Iterator[int]:
    """Give 0 for the round that warms up, then the rounds that count: so many, or (None) 6 to 15, until they settled.

    `settled` is asked after each round, and a narrow interval can be luck. Simulated, intervals hold the median in 95
    of 100 runs even so. But where single ratios vary by 5 % (standard deviation), one run of six settles, and of those
    only 80 of 100 hold it: so read the noise beside a ratio.
    """
    yield 0
    for number in range(1, (MOST if asked is None else asked) + 1):
        yield number
        if asked is None and number >= LEAST and settled():
            return
