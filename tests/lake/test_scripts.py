"""P188 and P189: export_lake.py as a process of its own, killed where it changes something, and two of it at once."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import moto_s3
import pytest
from postgres_server import Make
from promises.seed import SEED
from redshift.s3 import Store
from redshift.warehouse_on_redshift import REGION, WORK, RedshiftWarehouse
from reference_star import Star
from warehouse import NOON, REPO, Result, Running, Warehouse, event, song

from lake.door import Door, opened
from lake.places import LakePlace
from star.lake_tables import SPECS

DAY = 86_400_000
BUCKET = "lakes"
DYING = str(REPO / "tests/lake/dying.py")
HELD = str(REPO / "tests/promises/held.py")
KILLED = -9
SAMPLED = 1  # of the steps of each place, in the slow group
# With --promises one step of so many, beginning with a random one: all of them take hours, and as many nights.
EVERY = int(os.environ.get("PROMISES_EVERY", "4"))
MOMENTS = {"folder": ("within", "after"), "s3": ("before", "after")}
PLACES = ("duckdb-folder", "duckdb-s3", "postgres-folder", "postgres-s3", "redshift-s3")


class Exports:
    """A loaded warehouse, its lake, and what is done to both."""

    def __init__(self, warehouse: Warehouse, lake: LakePlace, door: Door | None) -> None:
        self.warehouse, self.lake, self.door = warehouse, lake, door
        self.loads = 0
        self.before: Star = {}
        warehouse.write("song_data/one.json", [song(), song("S2", title="Army", artist_id="A2", year=0)])
        warehouse.write("log_data/one.json", [self.play(n, n) for n in (0, 1, 30, 31)])
        self.load()
        self.export()
        self.load()
        self.export()

    @staticmethod
    def play(day: int, session: int) -> dict[str, Any]:
        """A play so many days after 2018-11-02, by a user of that session."""
        return event(ts=NOON + DAY * day + session, sessionId=session, userId=str(session % 7 + 1), level="free")

    def load(self) -> None:
        """Load a play of the newest day, a late one, and a song: each of the five tables has other rows then."""
        self.before = self.warehouse.star() if self.loads else {}
        self.loads += 1
        number = 100 + self.loads
        user = {"firstName": f"Ada {number}"}
        self.warehouse.write(f"log_data/{number}.json", [self.play(31, number) | user, self.play(2, number) | user])
        added = song(f"S{number}", title=f"Song {number}", artist_id=f"A{number}", artist_name=f"Artist {number}")
        self.warehouse.write(f"song_data/{number}.json", [added])
        self.warehouse.etl()

    def call(self, *argv: str) -> dict[str, Any]:
        """Export in this process, and give the object that is printed."""
        env = dict(self.lake.environment)
        return self.warehouse.call("export_lake", "--json", "--to", self.lake.location, *argv, env=env).json

    def export(self, *argv: str) -> dict[str, Any]:
        """Export, and see that the lake is the star, that nothing is left over, and that --check says so."""
        told = self.call(*argv)
        self.is_the_star()
        return told

    def is_the_star(self) -> None:
        """See that the lake is the star for every reader, and that nothing is left over."""
        stored, star = self.lake.stored(), self.warehouse.star()
        assert self.lake.pinned(stored) == star
        assert self.lake.planned(stored) == {table: [rows] for table, rows in star.items()}
        assert self.lake.left_over(stored) == set()
        assert self.call("--check")["ok"] is True

    def is_old_or_new(self) -> bool:
        """See that export.json names one star, and that each table can be read by itself; tells whether it is new."""
        stored, star = self.lake.stored(), self.warehouse.star()
        pinned = self.lake.pinned(stored)
        assert pinned in (self.before, star)
        for table, found in self.lake.planned(stored).items():
            assert all(rows in (self.before[table], star[table]) for rows in found), table
        return pinned == star

    def is_what_a_full_one_writes(self) -> None:
        """Compare with a full export of the same star at another place: the same rows in the same pieces."""
        other = LakePlace(f"{self.lake.location}_full", self.lake.copies, self.lake.endpoint, self.lake.environment)
        whole = Exports.__new__(Exports)
        whole.warehouse, whole.lake, whole.door = self.warehouse, other, self.door
        assert whole.export()["written"] is True
        assert self.lake.pinned(self.lake.stored()) == other.pinned(other.stored())

    @contextmanager
    def started(self, *argv: str, command: list[str] | None = None) -> Iterator[Running]:
        """Start the script as a process of its own; a command is put before it."""
        own = self.warehouse.command("export_lake", "--json", "--to", self.lake.location, *argv)
        whole = [own[0], *command, *own[1:]] if command else own
        with self.warehouse.started("export_lake", command=whole, env=self.lake.environment) as script:
            yield script

    def killed(self, when: str, number: int) -> tuple[Result, int]:
        """Export, and be killed at a step; gives how it ended, and how many steps there were."""
        if self.door is None:
            with self.started(command=[DYING, when, str(number)]) as script:
                done = script.ended()
            return done, int(done.err.rpartition("steps: ")[2]) if "steps: " in done.err else 0
        with self.door.ending(self.started, number, after=when == "after") as script:
            done = script.ended()
        if isinstance(self.warehouse, RedshiftWarehouse):
            self.warehouse.place.standin.wait_for_sessions()
        return done, len(self.door.steps)

    def kill_and_go_on(self, when: str, number: int) -> bool:
        """Load, export and be killed at a step; see what is there, and that the next export completes it. Each second
        one is of a star that has been loaded again since. Tells whether there was such a step."""
        self.load()
        done, steps = self.killed(when, number)
        if done.code == 0:
            assert steps < number
            self.is_the_star()
            return False
        assert done.code == KILLED, done.err
        is_new = self.is_old_or_new()
        if number % 2:
            self.load()
        told = self.export()
        assert told["written"] is (bool(number % 2) or not is_new)
        assert self.call()["written"] is False
        return True


@pytest.fixture
def exports(request: pytest.FixtureRequest, make: Make, tmp_path: Path) -> Iterator[Exports]:
    """A warehouse with a lake of two exports, on an engine and at a place."""
    engine, place = request.param.split("-")
    copies = tmp_path / "copies"
    copies.mkdir()
    with ExitStack() as stack:
        warehouse = make(tmp_path / "w", engine)
        if place == "folder":
            yield Exports(warehouse, LakePlace(str(tmp_path / "lake"), copies), None)
            return
        if isinstance(warehouse, RedshiftWarehouse):
            endpoint, bucket = warehouse.place.endpoint, WORK
        else:
            endpoint, bucket = stack.enter_context(moto_s3.serving()), BUCKET
            where = {"LocationConstraint": moto_s3.REGION}
            moto_s3.client(endpoint).create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
        door = stack.enter_context(opened(endpoint))
        if isinstance(warehouse, RedshiftWarehouse):
            stack.enter_context(pytest.MonkeyPatch.context()).setattr(
                warehouse.place.standin, "store", Store(door.endpoint, REGION)
            )
        keys = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_DEFAULT_REGION": REGION}
        environment = {**keys, "AWS_ENDPOINT_URL": door.endpoint}
        yield Exports(warehouse, LakePlace(f"s3://{bucket}/{tmp_path.name}", copies, endpoint, environment), door)


def moments(exports: Exports) -> tuple[str, ...]:
    return MOMENTS["s3" if exports.door else "folder"]


def count_steps(exports: Exports) -> int:
    """Count the steps of an export that nothing happens to."""
    exports.load()
    done, steps = exports.killed("after", 10**6)
    assert done.code == 0, done.err
    exports.is_the_star()
    return steps


@pytest.mark.parametrize("exports", PLACES, indirect=True)
def test_p188_an_export_that_is_killed_at_some_steps(exports: Exports) -> None:
    """One step, another in every run; with --promises it is many."""
    steps = count_steps(exports)
    assert steps > 25
    for number in sorted(random.Random(SEED).sample(range(1, steps + 1), SAMPLED)):
        assert exports.kill_and_go_on(random.Random(SEED + number).choice(moments(exports)), number)
    exports.is_what_a_full_one_writes()


@pytest.mark.promises
@pytest.mark.parametrize("exports", PLACES, indirect=True)
def test_p188_an_export_that_is_killed_at_many_steps(exports: Exports, figure: Callable[[str], None]) -> None:
    """Old or new for every reader, never between; the next export completes it, and nothing is left over."""
    kills = 0
    for when in moments(exports):
        number = random.Random(f"{SEED} {when}").randint(1, EVERY)
        while exports.kill_and_go_on(when, number):
            number += EVERY
            kills += 1
        assert number > 25
    exports.is_what_a_full_one_writes()
    figure(f"{kills} killed exports of {exports.warehouse.config.parent.parent.name}, 0 differences")


# ------------------------------------------------------------------------------------------------------ two at a time

# Where both wait for one another, of which only the last can be won by one: S3 gives the name to the first who puts it.
MEETINGS = ("/data/", f"{SPECS[0].name}/metadata/v")


def two_at_once(exports: Exports, meeting: str) -> list[Result]:
    """Load, and export twice at once: to a folder both go for the lock in the same moment; to S3 both have looked at
    the lake, and begin to write, or to commit, in the same moment."""
    exports.load()
    if exports.door is None:
        own = exports.warehouse.command("export_lake", "--json", "--to", exports.lake.location)
        at = f"open:{exports.lake.location}"
        held = [[own[0], HELD, at, *own[1:]]] * 2
        with ExitStack() as stack:
            both = [stack.enter_context(exports.warehouse.started("export_lake", command=each)) for each in held]
            for script in both:
                script.wait_for("held")
            for script in both:
                script.release()
            return [script.ended() for script in both]
    with ExitStack() as stack:
        stack.enter_context(exports.door.meeting(meeting))
        both = [stack.enter_context(exports.started()) for _ in range(2)]
        return [script.ended() for script in both]


def see_one_winner(exports: Exports, ended: list[Result]) -> int:
    """See that one has written, and the other exits 4, or came after it and found nothing new; gives the number of the
    busy ones. Nothing is lost, and what the other left goes with the next export."""
    assert {done.code for done in ended} <= {0, 4}, [done.err for done in ended]
    assert [done.json["written"] for done in ended if done.code == 0].count(True) == 1
    busy = [done for done in ended if done.code == 4]
    assert all("another session" in done.err for done in busy)
    assert exports.is_old_or_new()
    assert exports.call("--check")["ok"] is True
    assert exports.call()["written"] is False
    exports.is_the_star()
    return len(busy)


@pytest.mark.parametrize("exports", PLACES, indirect=True)
def test_p189_of_two_exports_at_once_one_wins(exports: Exports) -> None:
    """Once for each moment at which they can meet."""
    busy = [see_one_winner(exports, two_at_once(exports, meeting)) for meeting in MEETINGS]
    assert exports.door is None or busy[-1] == 1


@pytest.mark.promises
@pytest.mark.parametrize("exports", PLACES, indirect=True)
def test_p189_of_two_exports_at_once_one_wins_50_times(exports: Exports, figure: Callable[[str], None]) -> None:
    """The same, 50 times."""
    busy = sum(see_one_winner(exports, two_at_once(exports, MEETINGS[n % 2])) for n in range(50))
    assert busy >= 25
    exports.is_what_a_full_one_writes()
    figure(f"two exports at once, 50 times: {busy} turned away, {50 - busy} came later, 0 differences")
