"""The reference star on cases small enough to check by eye, on real data, and on the worlds that tests are made of."""

import gzip
import hashlib
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from reference_star import Record, Star, build_star, records, star_of
from worlds import ANCHORS, LAYOUTS, Step, World, apply_step, every_tie, expected_star, render, shuffled_steps, worlds

REAL = Path(__file__).resolve().parents[1].parent / "shared" / "real"
NOON = 1541160000000  # Friday 2018-11-02, 12:00:00 UTC
SONGPLAYS = (
    "songplay_id", "start_time", "user_id", "level", "song_id", "artist_id", "session_id", "location", "user_agent",
    "item_in_session", "title", "artist_name", "duration",
)  # fmt: skip
TABLES = ("songplays", "users", "songs", "artists", "time")


def play(**changes: Any) -> Record:
    """Return a play of Undo by user 8, with changes."""
    event = {"page": "NextSong", "ts": NOON, "sessionId": 5, "itemInSession": 0, "userId": "8", "firstName": "Ada"}
    return event | {"level": "free", "song": "Undo", "artist": "Björk", "length": 11.0} | changes


def song(song_id: str, **changes: Any) -> Record:
    """Return a record of Undo, with changes."""
    known = {"title": "Undo", "artist_name": "Björk", "artist_id": "A1", "year": 2001, "duration": 11.0}
    return {"song_id": song_id, **known, **changes}


def plays_of(star: Star, *columns: str) -> list[tuple[Any, ...]]:
    """Return some columns of songplays, by name."""
    return [tuple(row[SONGPLAYS.index(column)] for column in columns) for row in star["songplays"]]


def matched(events: list[Record], songs: list[Record]) -> list[str | None]:
    """Return the song ids that plays are matched with."""
    return [row[0] for row in plays_of(star_of(events, songs), "song_id")]


def test_one_play_and_its_song_fill_every_table() -> None:
    """One event and one song give one row in each table, with all columns in their order."""
    place = {"artist_location": "Reykjavík", "artist_latitude": 64, "artist_longitude": -21.9}
    event = play(lastName="Lee", gender="F", location="Oslo", userAgent="X11", ts=NOON + 796)
    at = datetime(2018, 11, 2, 12, 0, 0, 796000)
    key = hashlib.md5(f"5|0|8|{NOON + 796}".encode()).hexdigest()
    assert star_of([event], [song("S1", **place)]) == {
        "songplays": [(key, at, 8, "free", "S1", "A1", 5, "Oslo", "X11", 0, "Undo", "Björk", 11.0)],
        "users": [(8, "Ada", "Lee", "F", "free", at)],
        "songs": [("S1", "Undo", "A1", 2001, 11.0, "Björk")],
        "artists": [("A1", "Björk", "Reykjavík", 64.0, -21.9)],
        "time": [(at, 12, 2, 44, 11, 2018, 5)],
    }


def test_nothing_gives_an_empty_star() -> None:
    """No records give five empty tables."""
    assert star_of([], []) == {table: [] for table in TABLES}


@pytest.mark.parametrize(
    ("came", "kept"),
    [(" Undo  ", "Undo"), ("", None), ("   ", None), (None, None), (27, "27"), ("Undo\t", "Undo\t"), ("\u00a0",) * 2],
)
def test_text_loses_its_edge_blanks_and_nothing_else(came: object, kept: str | None) -> None:
    """Only the plain space is a blank; what is empty then is None, and a whole number keeps its digits."""
    assert plays_of(star_of([play(song=came)], []), "title") == [(kept,)]


def test_keys_are_cleaned_too() -> None:
    """A padded or numeric id is the same id."""
    songs = [song(" 4", artist_id="A1 "), song("4"), song("S1") | {"song_id": 4}]
    star = star_of([play(userId=" 8 "), play(userId=8)], songs)
    assert [len(star[table]) for table in ("songplays", "users", "songs", "artists")] == [1, 1, 1, 1]
    assert star["songs"][0][0] == "4"


def test_numbers_may_come_as_text() -> None:
    """Digits are that integer, and an empty text is an unknown number."""
    star = star_of([play(ts=str(NOON), sessionId="5", itemInSession="0", length="")], [song("S1", year="2001")])
    assert plays_of(star, "session_id", "item_in_session", "duration") == [(5, 0, None)]
    assert star["songs"][0][3] == 2001


@pytest.mark.parametrize("year", [0, "0", "", None])
def test_an_unknown_year_is_none(year: object) -> None:
    """Year 0 means that nobody knows."""
    assert star_of([], [song("S1", year=year)])["songs"][0][3] is None


@pytest.mark.parametrize(("page", "count"), [("NextSong", 1), (" NextSong ", 1), ("nextsong", 0), ("Home", 0)])
def test_a_play_is_a_nextsong_event(page: str, count: int) -> None:
    """The page says what a play is, blanks aside; its time is kept only for plays."""
    star = star_of([play(page=page)], [])
    assert (len(star["songplays"]), len(star["time"]), len(star["users"])) == (count, count, 1)


def test_a_play_told_twice_is_one_row() -> None:
    """Of two events of one play the first by content stays, None last, in whichever order they come."""
    events = [play(song=None), play(song="Z", level="free"), play(song="Z", level="paid"), play(song="a", length=None)]
    for told in (events, events[::-1]):
        assert plays_of(star_of(told, []), "title", "level") == [("Z", "free")]


def test_plays_differ_by_session_item_user_and_time() -> None:
    """Each part of the key makes a play of its own, and all blank users are one."""
    apart = [play(), play(sessionId=6), play(itemInSession=1), play(userId="12"), play(ts=NOON + 1)]
    nobody = [play(userId=""), play(userId="  "), play(userId=None)]
    star = star_of(apart + nobody, [])
    assert sorted(Counter(row[0] for row in plays_of(star, "user_id")).items(), key=str) == [(12, 1), (8, 4), (None, 1)]


def test_text_is_ordered_by_its_bytes() -> None:
    """Capitals go before small letters, and a four-byte character after a three-byte one."""
    for first, second in (("Z", "a"), ("\uff2e", "🎵")):
        assert plays_of(star_of([play(song=second), play(song=first)], []), "title") == [(first,)]


def test_the_nearest_duration_wins_the_match() -> None:
    """Of several songs of that name the nearest in duration is taken, an unknown duration last."""
    songs = [song("S1", duration=None), song("S2", duration=13.0), song("S3", duration=10.0)]
    assert matched([play()], songs) == ["S3"]
    assert matched([play()], songs[:2]) == ["S2"]


def test_the_lowest_song_id_breaks_a_tie() -> None:
    """Equal distances, or none that is known, are decided by song_id."""
    songs = [song("S3", duration=10.0), song("S2", duration=12.0), song("S1", duration=20.0)]
    assert matched([play()], songs) == ["S2"]
    assert matched([play(length=None)], songs) == ["S1"]


def test_the_artist_of_a_play_is_that_of_the_matched_song() -> None:
    """The artist_id comes with the song, even where the song has none."""
    songs = [song("S1", artist_id=None), song("S2", artist_id="A2", duration=30.0)]
    assert plays_of(star_of([play()], songs), "song_id", "artist_id") == [("S1", None)]


def test_unknown_names_match_nothing() -> None:
    """A play without title or artist is kept, and does not match a song without them."""
    songs = [song("S1", title=None), song("S2", artist_name=""), song("S3", title="", artist_name=None)]
    assert matched([play(song=None), play(artist="", itemInSession=1)], songs) == [None, None]


def test_only_the_winning_record_of_a_song_is_matched() -> None:
    """A name that a losing variant of the song carried matches nothing."""
    assert matched([play()], [song("S1", year=0), song("S1", title="Undo (Live)")]) == [None]


def test_the_latest_event_of_a_user_wins_on_any_page() -> None:
    """Level and names are those of the latest event, a downgrade included, and last_seen is its time."""
    events = [play(level="paid"), play(page="Home", level="free", firstName=None, ts=NOON + 1), play(ts=NOON - 1)]
    assert star_of(events, [])["users"] == [(8, None, None, None, "free", datetime(2018, 11, 2, 12, 0, 0, 1000))]


def test_ties_of_a_user_are_decided_by_content() -> None:
    """At one moment level, first name, last name and gender decide in this order, None last."""
    tied = [play(level=None, firstName="Aa"), play(level="paid"), play(gender="M"), play(lastName="Z"), play()]
    for events in (tied, tied[::-1]):
        assert [row[1:5] for row in star_of(events, [])["users"]] == [("Ada", "Z", None, "free")]


def test_a_song_takes_one_whole_record() -> None:
    """A known year goes before a better title, and columns of two records are never mixed."""
    unknown_year = song("S1", title="A", year=0, duration=1.0)
    variants = [unknown_year, song("S1", title="C"), song("S1", title="B", duration=None)]
    for told in (variants, variants[::-1]):
        assert star_of([], told)["songs"] == [("S1", "B", "A1", 2001, None, "Björk")]


def test_an_artist_takes_one_whole_record() -> None:
    """A known location goes first, then both coordinates, then the name; losing song variants count as well."""
    half = song("S1", artist_name="A", artist_location="Oslo", artist_latitude=1.5)
    full = song("S1", artist_name="C", artist_location="Oslo", artist_latitude=1.5, artist_longitude=2)
    nowhere = song("S2", artist_name="A", artist_latitude=1.5, artist_longitude=2, artist_location=" ")
    assert star_of([], [nowhere, half, full])["artists"] == [("A1", "C", "Oslo", 1.5, 2.0)]
    assert star_of([], [nowhere, half])["artists"] == [("A1", "A", "Oslo", 1.5, None)]
    assert star_of([], [song("S1", artist_id="")])["artists"] == []


@pytest.mark.parametrize(
    ("ts", "row"),
    [
        (1541289600000, (0, 4, 44, 11, 2018, 0)),
        (1546300799999, (23, 31, 1, 12, 2018, 1)),
        (1483228800000, (0, 1, 52, 1, 2017, 0)),
    ],
)
def test_time_has_iso_weeks_and_sundays_are_zero(ts: int, row: tuple[int, ...]) -> None:
    """The last Monday of 2018 is in week 1, and the first Sunday of 2017 in week 52."""
    assert [time[1:] for time in star_of([play(ts=ts)], [])["time"]] == [row]


def test_equal_moments_are_one_row_of_time() -> None:
    """Two plays at one moment share their row of time."""
    star = star_of([play(), play(sessionId=6)], [])
    assert (len(star["songplays"]), len(star["time"])) == (2, 1)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_records(layout: str, zipped: bool) -> None:
    """However objects are laid out, they are read as they were written, line breaks in their text included."""
    rows = [play(song='"}{"\r\n'), {}, play(song="🎵", unknown={"a": [{}]})]
    name = "a.json.gz" if zipped else "a.json"
    assert list(records(name, render(rows, layout, zipped))) == rows
    assert list(records(name, render([], layout, zipped))) == []


def test_files_are_read_by_their_names(tmp_path: Path) -> None:
    """Files given by path, compressed or not, make one star."""
    plain, packed = tmp_path / "a.json", tmp_path / "b.json.gz"
    plain.write_text(json.dumps(play()))
    packed.write_bytes(gzip.compress(json.dumps(song("S1")).encode()))
    assert build_star([plain], [packed]) == star_of([play()], [song("S1")])
    assert build_star([plain, plain], iter([packed])) == build_star([plain], [packed])


# --- real data


@pytest.fixture(scope="module")
def real() -> tuple[list[Record], Star]:
    """The events and the star of the real sample."""
    if not REAL.is_dir():
        pytest.skip("the real sample is not beside the repository (../shared/real)")
    events, songs = (sorted((REAL / folder).rglob("*.json")) for folder in ("log_data", "song_data"))
    return [row for file in events for row in records(file.name, file.read_bytes())], build_star(events, songs)


def test_real_tables_have_their_sizes(real: tuple[list[Record], Star]) -> None:
    """The tables have as many rows as were counted twice by other means."""
    events, star = real
    assert len(events) == 8056
    assert {table: len(star[table]) for table in TABLES} == {
        "songplays": 6820, "users": 97, "songs": 71, "artists": 69, "time": 6813,
    }  # fmt: skip


def test_real_plays_are_the_known_ones(real: tuple[list[Record], Star]) -> None:
    """Levels, the one match, the first and last moment and the broken names are those of the sample."""
    star = real[1]
    assert Counter(plays_of(star, "level")) == {("paid",): 5591, ("free",): 1229}
    hits = [row for row in plays_of(star, "song_id", "title", "artist_name") if row[0]]
    assert hits == [("SOZCTXZ12AB0182364", "Setanta matins", "Elena")]
    starts = [row[0] for row in star["time"]]
    assert (starts[0], starts[-1]) == (
        datetime(2018, 11, 1, 21, 1, 46, 796000), datetime(2018, 11, 30, 19, 54, 24, 796000),
    )  # fmt: skip
    assert {start.microsecond for start in starts} == {796000}
    names = plays_of(star, "title", "artist_name")
    assert sum(not (str(title) + str(artist)).isascii() for title, artist in names) == 326


def test_real_users_are_the_known_ones(real: tuple[list[Record], Star]) -> None:
    """The latest level of each user, and the one who never played."""
    events, star = real
    assert Counter(row[4] for row in star["users"]) == {"free": 75, "paid": 22}
    played = {row[0] for row in plays_of(star, "user_id")}
    assert {row[0] for row in star["users"]} - played == {21}
    assert sum(not event["userId"].strip(" ") for event in events) == 286
    assert None not in played


def test_real_favourites_are_the_known_ones(real: tuple[list[Record], Star]) -> None:
    """The most played songs and artists, and the busiest users."""
    star = real[1]
    songs = Counter(row[0] for row in plays_of(star, "title")).most_common(4)
    assert songs == [("You're The One", 37), ("Undo", 28), ("Revelry", 27), ("Sehr kosmisch", 21)]
    artists = Counter(row[0] for row in plays_of(star, "artist_name")).most_common(3)
    assert artists == [("Coldplay", 58), ("Kings Of Leon", 55), ("Dwight Yoakam", 38)]
    assert Counter(row[0] for row in plays_of(star, "user_id")).most_common(3) == [(49, 689), (80, 665), (97, 557)]


def test_real_plays_fall_on_the_known_times(real: tuple[list[Record], Star]) -> None:
    """Plays by hour, ISO week and weekday, through the table time."""
    star = real[1]
    times = {row[0]: row for row in star["time"]}
    moments = [times[start] for (start,) in plays_of(star, "start_time")]
    assert Counter(row[1] for row in moments).most_common(3) == [(16, 542), (18, 498), (17, 494)]
    assert sorted(Counter(row[3] for row in moments).items()) == [
        (44, 410), (45, 1257), (46, 1958), (47, 1711), (48, 1484),
    ]  # fmt: skip
    weekdays = Counter(row[6] for row in moments)
    assert [weekdays[day] for day in (1, 2, 3, 4, 5, 6, 0)] == [1014, 1071, 1364, 1052, 1295, 628, 396]


# --- worlds


@settings(deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_star_depends_on_the_records_alone(world: World, rng: random.Random) -> None:
    """The order of files and records, and records told twice, do not change the star."""
    contents = world.contents_seen(world.last)
    events, songs = (
        [row for path, data in contents.items() if path.startswith(folder) for row in records(path, data)]
        for folder in ("log_data/", "song_data/")
    )
    shuffled = rng.sample(events, len(events)), rng.sample(songs, len(songs))
    assert star_of(*shuffled) == star_of(events + events, songs + songs) == expected_star(contents)


@settings(deadline=None)
@given(worlds())
def test_the_star_of_a_world_is_sound(world: World) -> None:
    """Ids are unique, every play has its user, song and moment, and no text is blank at an edge."""
    star = expected_star(world.contents_seen(world.last))
    for table in TABLES:
        ids = [row[0] for row in star[table]]
        assert len(ids) == len(set(ids)) and None not in ids
    ids_of = {table: {row[0] for row in star[table]} for table in TABLES}
    for start, user, song_id in plays_of(star, "start_time", "user_id", "song_id"):
        assert user in ids_of["users"] | {None} and song_id in ids_of["songs"] | {None} and start in ids_of["time"]
    texts = [value for table in TABLES for row in star[table] for value in row if isinstance(value, str)]
    assert all(value and value == value.strip(" ") for value in texts)


@settings(deadline=None)
@given(st.data())
def test_a_shuffled_world_ends_with_the_same_contents(data: st.DataObject) -> None:
    """Files arrive in another order, and what was seen in the end is the same."""
    world = data.draw(worlds())
    other = data.draw(shuffled_steps(world))
    assert other.contents_seen(other.last) == world.contents_seen(world.last)
    for one in (world, other):
        assert 1 <= len(one.steps) <= 4
        assert all(set(ANCHORS) <= set(one.tree(number)) for number in range(len(one.steps)))


@settings(deadline=None, max_examples=50)
@given(worlds())
def test_steps_make_the_tree_of_the_world(tmp_path_factory: pytest.TempPathFactory, world: World) -> None:
    """After each step the folder holds the files of that step, and what was written has a new time of change."""
    root, seen = tmp_path_factory.mktemp("world"), set[int]()
    for number, step in enumerate(world.steps):
        apply_step(root, step)
        files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
        assert {name: path.read_bytes() for name, path in files.items()} == world.tree(number)
        times = {files[name].stat().st_mtime_ns for name in step.written}
        assert len(times) == len(step.written) and not times & seen
        seen |= times


def test_ties_do_not_depend_on_the_file() -> None:
    """Two files that hold the rivals of every tie give the same star when their names are exchanged."""
    star, other = (expected_star(every_tie(swapped).contents_seen(0)) for swapped in (False, True))
    assert star == other
    assert min(len(rows) for table, rows in star.items() if table != "time") > 10


def test_a_vanished_file_is_still_seen() -> None:
    """The last content of a deleted file counts until another one takes its place."""
    path = "log_data/a.json"
    world = World([Step({path: b"1"}), Step({}, frozenset({path})), Step({path: b"2"})])
    assert [world.contents_seen(number)[path] for number in range(3)] == [b"1", b"1", b"2"]
    assert [path in world.tree(number) for number in range(3)] == [True, False, True]


def final_star(world: World) -> Star:
    """Return the star that a world ends with."""
    return expected_star(world.contents_seen(world.last))


def matches_change(world: World, of: Callable[[str | None], bool]) -> bool:
    """Say whether, in a later step, a play gets another song instead of one that `of` accepts."""
    stars = [expected_star(world.contents_seen(number)) for number in range(len(world.steps))]
    matches = [dict(plays_of(star, "songplay_id", "song_id")) for star in stars]
    return any(
        key in before and of(before[key]) and song_id not in (None, before[key])
        for before, after in itertools.pairwise(matches)
        for key, song_id in after.items()
    )


def rows_of(world: World, folder: str) -> list[Record]:
    """Return the records that a world ends with, as they came."""
    contents = world.contents_seen(world.last)
    return [row for path, data in contents.items() if path.startswith(folder) for row in records(path, data)]


def has_ambiguous_match(world: World) -> bool:
    """Say whether a matched play has two songs to choose from."""
    star = final_star(world)
    names = Counter((row[1], row[5]) for row in star["songs"])
    return any(hit and names[title, who] > 1 for hit, title, who in plays_of(star, "song_id", "title", "artist_name"))


def rewritten(world: World) -> list[tuple[bytes, bytes]]:
    """Return the old and the new content of files that a step writes again."""
    steps = range(1, len(world.steps))
    before = [(world.contents_seen(number - 1), world.steps[number].written) for number in steps]
    return [(seen[path], data) for seen, written in before for path, data in written.items() if path in seen]


COLLISIONS: dict[str, Callable[[World], bool]] = {
    "late song": lambda world: matches_change(world, lambda song_id: song_id is None),
    "a better song comes later": lambda world: matches_change(world, lambda song_id: song_id is not None),
    "ambiguous match": has_ambiguous_match,
    "play without user": lambda world: (None,) in plays_of(final_star(world), "user_id"),
    "plays told twice": lambda world: (
        sum(row["page"].strip() == "NextSong" for row in rows_of(world, "log_data/"))
        > len(final_star(world)["songplays"])
        > 1
    ),
    "variants of a song": lambda world: len(rows_of(world, "song_data/")) > len(final_star(world)["songs"]) > 1,
    "variants of an artist": lambda world: len(final_star(world)["songs"]) > len(final_star(world)["artists"]) > 1,
    "vanished file": lambda world: any(step.deleted for step in world.steps),
    "corrected file": lambda world: any(new and not new.startswith(old) for old, new in rewritten(world)),
    "growing file": lambda world: any(old and new != old and new.startswith(old) for old, new in rewritten(world)),
    "compressed file": lambda world: any(path.endswith(".gz") for path in world.tree(world.last)),
}


def test_worlds_reach_every_collision() -> None:
    """Each hard case is in one world of a hundred or more; a strategy that lost one would test less than it says."""
    reached: Counter[str] = Counter()

    @settings(max_examples=200, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(worlds())
    def count(world: World) -> None:
        reached.update(name for name, happens in COLLISIONS.items() if happens(world))

    count()
    assert {name: reached[name] for name in COLLISIONS if reached[name] < 2} == {}
