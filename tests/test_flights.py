"""Requests at once: their number grows while that helps and falls when S3 asks for it, and their bytes have a bound."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import faulty_s3
import pytest
from faulty_s3 import FaultyS3

from dwh.settings.sections import S3, Aws
from dwh.sources.buckets import Buckets, S3Path
from dwh.sources.flights import AHEAD, FIRST, LEAST, MOST, Pace, in_flight, in_threads
from dwh.sources.keys import found_under

MEGABYTE = 1024 * 1024


@pytest.fixture
def s3() -> Iterator[FaultyS3]:
    """An endpoint without objects."""
    with faulty_s3.serving() as server:
        yield server


@pytest.fixture
def buckets(s3: FaultyS3) -> Buckets:
    """The client of it."""
    return Buckets(S3({"endpoint_url": s3.endpoint, "region": "us-east-1", "anonymous": True, "timeout": 60}), Aws({}))


class World:
    """A server that answers so many requests a second for each one under way, up to its most; its time is its own."""

    def __init__(self, most: float, each: float = 10.0) -> None:
        self.now = 0.0
        self.pace = Pace(lambda: self.now)
        self.most, self.each = most, each

    def answer(self, number: int) -> int:
        """Answer so many requests; gives how many are under way at the end."""
        for _ in range(number):
            self.now += 1 / min(self.most, self.each * self.pace.limit)
            self.pace.answered()
        return self.pace.limit


def test_p237_as_many_requests_as_help() -> None:
    """All of them where the server only takes its time; where 64 bring all that it gives, not many more."""
    assert World(most=10**9).answer(15_000) == MOST
    assert World(most=640).answer(15_000) in (64, 128)
    assert World(most=100).answer(15_000) <= 2 * FIRST


def test_p237_more_requests_again_once_the_network_is_better() -> None:
    """A number that did not help is tried again later."""
    world = World(most=320)
    assert world.answer(5000) <= 2 * FIRST
    world.most = 10**9
    assert world.answer(15_000) == MOST


def test_p237_half_as_many_requests_when_s3_asks_to_slow_down() -> None:
    """Once for all the refusals of a moment, down to a few, and grown again after a while."""
    world = World(most=10**9)
    world.answer(15_000)
    for _ in range(MOST):
        world.pace.slow_down()
    assert world.answer(1000) == MOST // 2
    for _ in range(20):
        world.now += 1.0
        world.pace.slow_down()
    assert world.pace.limit == LEAST
    assert world.answer(15_000) == MOST


@pytest.mark.parametrize(("weight", "most"), [(8 * MEGABYTE, 8), (2 * AHEAD, 1), (0, FIRST)])
def test_p238_bytes_under_way_have_a_bound(weight: int, most: int) -> None:
    """As many as fit are under way at once, and no more: none ends before so many have begun."""
    begun, enough = [0], threading.Event()
    lock = threading.Lock()

    def work(item: int) -> int:
        with lock:
            begun[0] += 1
            if begun[0] == most:
                enough.set()
        enough.wait()
        return item

    results = in_flight(work, range(100), lambda _item: weight, Pace(lambda: 0.0))
    taken = [next(results)]
    with lock:
        assert begun[0] == most, "a result that is not taken yet has its weight"
    assert sorted([*taken, *results]) == list(range(100))


def test_p238_an_error_of_one_is_raised_and_the_others_are_not_waited_for() -> None:
    never = threading.Event()

    def work(item: int) -> int:
        if item:
            never.wait()
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        list(in_flight(work, range(10), lambda _item: 1, Pace()))
    never.set()


def test_an_item_may_be_none() -> None:
    """It is work like any other, and so is a result of None."""
    assert list(in_threads(lambda item: item, [None, 0, None])).count(None) == 2
    assert list(in_threads(lambda _item: None, [])) == []


def test_p237_a_refusal_is_told_and_the_object_comes_whole(s3: FaultyS3, buckets: Buckets) -> None:
    """Its request is sent again, with obstore's patience; other failures are no reason to send fewer."""
    import obstore

    s3.objects["a"] = b"body"
    buckets.open(s3.bucket)
    for status, code, told in ((503, "SlowDown", [1]), (500, "InternalError", [])):
        slowed: list[int] = []
        s3.fault = faulty_s3.failing(2, status, code)
        body = buckets.ask_eagerly(
            "GetObject",
            S3Path(s3.bucket, "a"),
            lambda store: bytes(obstore.get(store, "a").bytes()),
            lambda slowed=slowed: slowed.append(1),  # type: ignore[misc]
        )
        assert (body, slowed) == (b"body", told)


NAMES = (
    "with blank",
    "a+b",
    "a%20b",
    "100%",
    "Zoë 日本 🎵",
    "x#y",
    "q?x",
    "[x]*",
    "back\\slash",
    "&amp;",
    "A",
    "A0",
    "a",
)


def test_p237_folders_are_listed_at_once_and_nothing_is_left_out(s3: FaultyS3, buckets: Buckets) -> None:
    """Each key of folders of strange names once, objects and markers beside the folders too."""
    s3.objects = {f"data/{name}/{n:04}/{n}.json": b"{}" for name in NAMES for n in range(150)}
    s3.objects |= {f"data/{name}.json": b"{}" for name in NAMES} | {
        "data/a/": b"",
        "data/A": b"x",
        "data2/x.json": b"{}",
    }
    found = [file.path for file in found_under(buckets, S3Path(s3.bucket, "data"))]
    wanted = sorted(faulty_s3.url(s3, key.rstrip("/")) for key in s3.objects if key.startswith("data/"))
    assert sorted(found) == wanted
    assert len([key for _, key in s3.requests if not key]) <= 2 + len(NAMES) + 1


@pytest.mark.parametrize(("keys", "requests"), [("{}.json", 3), ("{}/x.json", 3), ("one/{}.json", 4)])
def test_p237_what_has_no_large_folders_is_listed_in_pages(
    s3: FaultyS3, buckets: Buckets, keys: str, requests: int
) -> None:
    """A request for each of many small folders would take longer than the pages."""
    s3.objects = {f"data/{keys.format(n)}": b"{}" for n in range(1500)}
    assert len(found_under(buckets, S3Path(s3.bucket, "data"))) == 1500
    assert len(s3.requests) <= requests
