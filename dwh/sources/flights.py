"""Requests that are under way at once: how many, how many bytes, and what they bring, as it comes.

A request waits 100 to 200 ms for S3, so their number decides how many objects come in a second. Each has a thread:
0.7 times the client CPU of asyncio (decision 42).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from queue import SimpleQueue
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
R = TypeVar("R")
THREADS = 16
FIRST, MOST, LEAST = 32, 256, 4  # requests under way: at the beginning, and the bounds
GAIN = 1.2  # as many requests again have to bring at least so many times as much
SHORTEST = 0.1  # seconds that are measured before the number changes
HELD = 1.0  # seconds for which a number stays that brought most
SLOWED = 30.0  # seconds for which it stays after S3 has asked to slow down
DEAF = 1.0  # seconds in which more of the same refusals, of requests sent before, say nothing new
AHEAD = 64 * 1024 * 1024  # bytes that are under way, or wait to be taken


class Pace:
    """How many requests are under way at once: twice as many while that brings more, half as many when S3 refuses some.

    S3 answers 503 SlowDown above about 5,500 GETs a second under one prefix [D s3 optimizing-performance.html]."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, first: int = FIRST, most: int = MOST) -> None:
        self.limit = first
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._before, self._rate = first, 0.0  # the number that brought most so far, and what it brought a second
        self._held_until = self._deaf_until = clock()
        self._measure()

    def answered(self) -> None:
        """Note that a request has brought what it was sent for."""
        with self._lock:
            self._answers += 1
            if self._answers < self.limit:  # these were sent under the number before
                return
            now = self._clock()
            if self._answers == self.limit:
                self._since = now
            elif self._answers >= 2 * self.limit and now - self._since >= SHORTEST and now >= self._held_until:
                self._judge((self._answers - self.limit) / (now - self._since), now)

    def slow_down(self) -> None:
        """Note that S3 has refused a request because there are too many."""
        with self._lock:
            now = self._clock()
            if now < self._deaf_until:
                return
            self._deaf_until, self._held_until = now + DEAF, now + SLOWED
            self.limit = self._before = max(LEAST, self.limit // 2)
            self._rate = 0.0
            self._measure()

    def _judge(self, rate: float, now: float) -> None:
        """Go on to twice as many, or back to the number that brought most, and keep that for a while."""
        if rate >= GAIN * self._rate:
            self._before, self._rate = self.limit, rate
            self.limit = min(self._most, 2 * self.limit)
        else:
            self.limit, self._rate, self._held_until = self._before, 0.0, now + HELD
        self._measure()

    def _measure(self) -> None:
        self._answers, self._since = 0, 0.0


class _End(Enum):
    """What follows the last item; an item may be None."""

    END = 0


class _Landed(NamedTuple, Generic[T, R]):
    """An item whose work is done: its result, or the error of it."""

    item: T
    result: R | None
    error: BaseException | None


def _fly(work: Callable[[T], R], todo: SimpleQueue[T | _End], done: SimpleQueue[_Landed[T, R]]) -> None:
    """Do the work for one item after the other. An error is not lost: it is raised where the results are taken."""
    while (item := todo.get()) is not _End.END:
        try:
            landed = _Landed[T, R](item, work(item), None)
        except BaseException as error:  # noqa: BLE001
            landed = _Landed[T, R](item, None, error)
        done.put(landed)


def in_flight(work: Callable[[T], R], items: Iterable[T], weigh: Callable[[T], int], pace: Pace) -> Iterator[R]:
    """Do the work for every item, as many at once as `pace` says, and give the results as they come; the first error
    ends it. The items whose work is under way, or whose result has not been taken yet, weigh at most AHEAD (one that
    weighs more goes alone).

    The threads are daemons, and only this function waits, so that a server that does not answer cannot delay a stop.
    """
    todo: SimpleQueue[T | _End] = SimpleQueue()
    done: SimpleQueue[_Landed[T, R]] = SimpleQueue()
    waiting, threads, under_way, ahead = iter(items), 0, 0, 0
    item = next(waiting, _End.END)
    try:
        while item is not _End.END or under_way:
            while item is not _End.END and under_way < pace.limit and (not ahead or ahead + weigh(item) <= AHEAD):
                under_way, ahead = under_way + 1, ahead + weigh(item)
                if under_way > threads:
                    threads += 1
                    threading.Thread(target=_fly, args=(work, todo, done), daemon=True).start()
                todo.put(item)
                item = next(waiting, _End.END)
            landed = done.get()
            if landed.error is not None:
                raise landed.error
            pace.answered()
            yield landed.result  # type: ignore[misc]  # there is one, as there is no error
            under_way, ahead = under_way - 1, ahead - weigh(landed.item)
    finally:
        for _ in range(threads):
            todo.put(_End.END)


def in_threads(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Do the work for every item as `in_flight` does, 16 at once."""
    return in_flight(work, items, lambda _item: 0, Pace(first=THREADS, most=THREADS))
