"""Small random worlds: source folders that change from step to step, made to collide on purpose.

A `World` is a list of steps; a `Step` is what changes in the folders `log_data` and `song_data` between two runs.
`worlds()` draws one from pools so small that the hard cases are frequent: the same event in two files, one play told in
two ways, ties in time, late songs, variants of one song and of one artist, ambiguous matches, blank users, corrected,
growing and vanished files. `shuffled_steps` draws another way to arrive at the same contents. `every_tie()` is a world
that was not left to chance: each rule of the star decides something in it. Every record of all of them is valid.

    @given(st.data())
    def test_order_does_not_matter(data):
        world = data.draw(worlds())
        for step in world.steps:
            apply_step(root, step)      # then load, and compare with expected_star(world.contents_seen(...))
"""

import gzip
import itertools
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from reference_star import Record, Star, records, star_of

LEFT_OUT: Any = ...  # as a value: the record has no such field
MOST_RECORDS = 8  # in one file, so that three event files hold 24 events at most

EVENT_PATHS = (
    "log_data/2018/11/2018-11-01-events.json",
    "log_data/2018/11/2018-11-02-events.json",
    "log_data/2018/12/Zoë's events.json.gz",
)
SONG_PATHS = ("song_data/A/A/A/TRAAA.json", "song_data/A/B/TRAAB.json", "song_data/B/many songs.json.gz")

# Empty files that every world has from its first step on: a source that matches no file at all is another subject.
ANCHORS = ("log_data/none.json", "song_data/none.json")

TIMES = (1541105830796, 1541105830797, 1541289600000, 1546300799999)  # one millisecond apart; a Sunday; ISO week 1

PEOPLE: tuple[Record, ...] = (
    {"userId": "8", "firstName": "Kaylee", "lastName": "Summers", "gender": "F", "level": "free"},
    {"userId": "8", "firstName": "Kaylee", "lastName": "Summers", "gender": "F", "level": "paid"},
    {"userId": 8, "firstName": "Zoë", "lastName": " Summers ", "gender": "", "level": "free"},
    {"userId": " 12 ", "firstName": "Walter", "lastName": "Frye", "gender": "M", "level": "paid"},
    {"userId": 12, "firstName": "walter", "lastName": None, "gender": "M", "level": "free"},
    {"userId": "", "firstName": None, "lastName": None, "gender": None, "level": "free"},
    {"userId": "  ", "firstName": None, "lastName": None, "gender": None, "level": "paid"},
    {"userId": None, "level": "free"},
)

PAGES: tuple[Record, ...] = (
    {"page": "NextSong"},
    {"page": "NextSong"},
    {"page": " NextSong  "},
    {"page": "Home", "artist": None, "song": None, "length": None},
    {"page": "Logout", "sessionId": "", "itemInSession": None, "length": ""},
    {"page": "nextsong"},
)

HEARD: tuple[Record, ...] = (
    {"song": "Undo", "artist": "Björk", "length": 11.75},
    {"song": "Undo", "artist": "Björk", "length": 11.0},
    {"song": "Undo", "artist": "Björk", "length": None},
    {"song": " Undo", "artist": "Björk ", "length": 10},
    {"song": 27, "artist": "Nina", "length": 12.5},
    {"song": "27", "artist": "Nina", "length": ""},
    {"song": "Undo", "artist": None, "length": 10.0},
    {"song": None, "artist": "", "length": 10.0},
)

EVENT_TWISTS: tuple[tuple[str, Any], ...] = (
    ("song", "Zero 🎵"), ("song", "Undo"), ("song", "undo"), ("song", " "), ("song", LEFT_OUT),
    ("artist", "Bjo\u0308rk"), ("artist", "\uff2eina"), ("artist", "Nina"), ("artist", 1999),
    ("length", 12.0), ("length", 252.21179), ("length", ""), ("length", LEFT_OUT),
    ("level", "paid"), ("level", " free "), ("level", None), ("level", ""),
    ("userId", "8"), ("userId", 8), ("userId", " 8"), ("userId", ""), ("userId", "  "), ("userId", LEFT_OUT),
    ("userId", "008"), ("userId", 8.0), ("userId", "8.0"), ("userId", "0.8e1"), ("sessionId", "5.0"),
    ("ts", float(TIMES[0])),
    ("ts", TIMES[0]), ("ts", TIMES[1]), ("ts", str(TIMES[0])), ("ts", TIMES[3]),
    ("sessionId", 5), ("sessionId", "5"), ("sessionId", 2**40), ("itemInSession", 0), ("itemInSession", "1"),
    ("firstName", "\\N"), ("firstName", 7), ("lastName", "O'Neil \"x\"\\"), ("gender", LEFT_OUT),
    ("location", " Oslo "), ("location", "oslo"), ("location", None), ("location", "\u00a0Oslo\t"),
    ("userAgent", "\"Mozilla/5.0 (X11)\""), ("userAgent", "line\nline, \r\n|end"), ("userAgent", None),
    ("song", "[Undo]"), ("location", "{Oslo}"), ("artist", "[]"),
    ("registration", 1540919166796.0), ("unknown", {"nested": [1, {"a": None}]}),
)  # fmt: skip

# Each world contests a few columns: its records differ in them, by these values, and else they are much alike. So ties
# go down to the last column of an order, and neighbours in an order pull in opposite directions. Lower values first.
EVENT_VALUES: dict[str, tuple[Any, Any]] = {
    "song": ("Undo", "Zero 🎵"), "artist": ("Björk", "Nina"), "length": (10.0, 12.0), "level": ("free", "paid"),
    "location": ("\uff2eesodden", "🎵"), "userAgent": ("X11", "a"), "firstName": ("Zoë", "anna"),
    "lastName": ("B", "a"), "gender": ("F", "M"), "ts": TIMES[:2], "userId": ("8", ""), "sessionId": (5, 6),
    "itemInSession": (0, 1),
}  # fmt: skip
EVENT_CONTESTS = (
    ("ts", "itemInSession", "length"),
    ("song", "artist", "length"),
    ("length", "level", "location"),
    ("level", "location", "userAgent"),
    ("level", "firstName", "lastName"),
    ("firstName", "lastName", "gender"),
    ("ts", "level", "userId"),
    ("sessionId", "itemInSession", "userId"),
)
SONG_VALUES: dict[str, tuple[Any, Any]] = {
    "song_id": ("S1", "S2"), "title": ("Undo", "Zero 🎵"), "artist_id": ("A1", "A2"), "year": (1999, 2005),
    "duration": (10.0, 12.0), "artist_name": ("Björk", "Nina"), "artist_location": ("Oslo", "bergen"),
    "artist_latitude": (59.9, 60.0), "artist_longitude": (10, 10.7),
}  # fmt: skip
SONG_CONTESTS = (
    ("song_id", "duration", "year"),
    ("song_id", "title", "duration"),
    ("title", "artist_name", "artist_id"),
    ("artist_id", "year", "duration"),
    ("artist_name", "artist_location", "artist_latitude"),
    ("artist_location", "artist_latitude", "artist_longitude"),
)

NAMES: tuple[Record, ...] = (
    {"title": "Undo", "artist_name": "Björk"},
    {"title": "Undo ", "artist_name": " Björk"},
    {"title": "27", "artist_name": "Nina"},
    {"title": 27, "artist_name": "Nina"},
    {"title": "Zero 🎵", "artist_name": "\uff2eina"},
    {"title": "Undo", "artist_name": ""},
    {"title": "", "artist_name": None},
)

PLACES: tuple[Record, ...] = (
    {"artist_location": "", "artist_latitude": None, "artist_longitude": None},
    {"artist_location": "Reykjavík", "artist_latitude": 64.1355, "artist_longitude": -21.8954},
    {"artist_location": "Oslo", "artist_latitude": 60, "artist_longitude": None},
    {"artist_location": " Oslo", "artist_latitude": 59.9, "artist_longitude": 10.7},
    {"artist_location": None, "artist_latitude": "", "artist_longitude": 10.7},
    {"artist_location": "  ", "artist_latitude": 59.9, "artist_longitude": 10},
)

SONG_TWISTS: tuple[tuple[str, Any], ...] = (
    ("song_id", "S1"), ("song_id", " S1 "), ("song_id", "s1"), ("song_id", 4), ("song_id", "4"),
    ("title", "Undo"), ("title", "undo"), ("title", "Undo (Live)"), ("title", None), ("title", LEFT_OUT),
    ("artist_name", "Björk"), ("artist_name", "Bjo\u0308rk"), ("artist_name", "Nina"), ("artist_name", "  "),
    ("artist_id", "A1"), ("artist_id", " A1"), ("artist_id", "A2"), ("artist_id", ""), ("artist_id", LEFT_OUT),
    ("year", 0), ("year", 1999), ("year", "2005"), ("year", ""), ("year", None), ("year", "0"),
    ("duration", 10.0), ("duration", 12), ("duration", ""), ("duration", None), ("duration", LEFT_OUT),
    ("artist_location", "Bergen"), ("artist_location", 2018), ("artist_latitude", ""), ("artist_longitude", LEFT_OUT),
    ("num_songs", 1), ("unknown", ["x", {"y": []}]),
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """What changes between two runs: the files written (new, corrected, grown or only touched), the files deleted."""

    written: dict[str, bytes]
    deleted: frozenset[str] = frozenset()


@dataclass(frozen=True)
class World:
    """The versions of a source tree, oldest first. Steps are counted from 0; paths are relative, with slashes."""

    steps: list[Step]

    @property
    def last(self) -> int:
        """The number of the last step."""
        return len(self.steps) - 1

    def contents_seen(self, upto: int) -> dict[str, bytes]:
        """Return the last content of every path up to and including a step; a vanished file keeps its last one."""
        return {path: data for step in self.steps[: upto + 1] for path, data in step.written.items()}

    def tree(self, upto: int) -> dict[str, bytes]:
        """Return the files that are there after a step; a vanished file is not."""
        there: dict[str, bytes] = {}
        for step in self.steps[: upto + 1]:
            there = {path: data for path, data in there.items() if path not in step.deleted} | step.written
        return there


@dataclass(frozen=True)
class Action:
    """What a step does to one file, with which records: numbers of the cast, what each says in a contest, twists."""

    verb: str
    path: str
    layout: str
    picks: list[tuple[int, tuple[int, int, int], list[tuple[str, Any]]]]


@dataclass(frozen=True)
class Cast:
    """The records that the files of one source are made from."""

    pool: list[Record]
    contest: tuple[str, ...]
    values: Mapping[str, tuple[Any, Any]]

    def record(self, number: int, said: tuple[int, ...], twists: list[tuple[str, Any]]) -> Record:
        """Return a record of the pool; of each contested column it says 0 its own value, 1 or 2 the first or second."""
        record = dict(self.pool[number % len(self.pool)])
        record.update({name: self.values[name][i - 1] for name, i in zip(self.contest, said, strict=True) if i})
        record.update(twists)
        return {name: value for name, value in record.items() if value is not LEFT_OUT}


def expected_star(contents: Mapping[str, bytes]) -> Star:
    """Return the star that these contents must give, by the reference."""

    def under(folder: str) -> list[Record]:
        return [record for path, data in contents.items() if path.startswith(folder) for record in records(path, data)]

    return star_of(under("log_data/"), under("song_data/"))


def worlds() -> st.SearchStrategy[World]:
    """Return a strategy of worlds: 1 to 4 steps, up to 6 files and 24 events at a time, 2 empty files that stay.

    Half of them are about matching: nearly all that is played and all that is known goes by one name. Nothing is
    filtered, and no draw depends on another one, so a failing world shrinks to a few plain records.
    """
    return st.one_of(_worlds(about_matching=True), _worlds(about_matching=False))


def raw_events(about_matching: bool = False) -> st.SearchStrategy[Record]:
    """Return a strategy of valid events as they stand in a file."""
    key = st.fixed_dictionaries(
        {
            "ts": st.sampled_from(TIMES),
            "sessionId": st.sampled_from([5, "5", 6]),
            "itemInSession": st.sampled_from([0, 1, "1"]),
            "location": st.sampled_from(["Oslo", "Bergen", ""]),
        }
    )
    heard, pages = (HEARD[:3], PAGES[:1]) if about_matching else (HEARD, PAGES)
    return st.builds(_merged, key, st.sampled_from(PEOPLE), st.sampled_from(heard), st.sampled_from(pages))


def raw_songs(about_matching: bool = False) -> st.SearchStrategy[Record]:
    """Return a strategy of valid song records as they stand in a file."""
    key = st.fixed_dictionaries(
        {
            "song_id": st.sampled_from(["S2", "S3", " S2", 4]),
            "artist_id": st.sampled_from(["A1", "A2", " A2 ", 9, None]),
            "duration": st.sampled_from([10.0, 12.0, 12, None]),
            "year": st.sampled_from([0, 1999, 2005, None]),
        }
    )
    return st.builds(_merged, key, st.sampled_from(NAMES[:2] if about_matching else NAMES), st.sampled_from(PLACES))


def shuffled_steps(world: World) -> st.SearchStrategy[World]:
    """Return a strategy of worlds with the same contents seen in the end, come by in another order and other steps.

    On the way a file may show an older content first, and may vanish after its last one.
    """
    final = world.contents_seen(world.last)
    movable = sorted(set(final) - set(ANCHORS))
    fate = st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans())
    fates = st.lists(fate, min_size=len(movable), max_size=len(movable))
    return st.builds(
        lambda count, order, chosen: _rearranged(world, count, dict(zip(order, chosen, strict=True))),
        st.integers(1, 4),
        st.permutations(movable),
        fates,
    )


def every_tie(swapped: bool = False) -> World:
    """Return a world of one step in which every column of every order decides a winner, against every later column.

    The first of two rivals is in one file, the second in another; `swapped` exchanges the contents of the two files.
    """
    event = _merged({"page": "Home", "ts": TIMES[0], "sessionId": 1, "itemInSession": 0}, PEOPLE[0], HEARD[0])
    song = _merged({"song_id": "S1", "artist_id": "A1", "duration": 11.0, "year": 1999}, NAMES[0], PLACES[1])
    plays = _rivals(event, ("song", "artist", "length", "level", "location", "userAgent"), EVENT_VALUES)
    users = _rivals(event, ("level", "firstName", "lastName", "gender", "ts"), EVENT_VALUES)
    songs = _rivals(song, ("title", "artist_name", "artist_id", "year", "duration"), SONG_VALUES)
    artists = _rivals(song, ("artist_name", "artist_location", "artist_latitude", "artist_longitude"), SONG_VALUES)
    events = [[play | {"page": "NextSong", "sessionId": 10 + n} for play in two] for n, two in enumerate(plays)]
    events += [[user | {"userId": 100 + n} for user in two] for n, two in enumerate(users)]
    known = [[record | {"song_id": f"T{n}"} for record in two] for n, two in enumerate(songs)]
    known += [
        [record | {"song_id": f"A{n}.{side}", "artist_id": f"T{n}"} for side, record in enumerate(two)]
        for n, two in enumerate(artists)
    ]
    names = [("Which", "One"), (None, "One"), ("Which", None), (None, None)]
    lengths = itertools.product(names, [10.0, 12.0, 20.0, None], [10.0, 12.0, 20.0, None])
    for n, ((title, artist), *durations) in enumerate(lengths):
        named = title and f"{title} {n}"
        heard = {"page": "NextSong", "sessionId": 1000 + n, "song": named, "artist": artist}
        events.append([event | heard | {"length": 11.0}, event | heard | {"length": None, "itemInSession": 1}])
        match = song | {"title": named, "artist_name": artist}
        known.append([match | {"song_id": f"M{n}.{i}", "duration": length} for i, length in enumerate(durations)])
    written = {ANCHORS[0]: b"", ANCHORS[1]: b""}
    for paths, pairs in ((EVENT_PATHS, events), (SONG_PATHS, known)):
        for side, rows in enumerate(zip(*pairs, strict=True)):
            written[paths[1 - side if swapped else side]] = render(list(rows), "lines")
    return World([Step(written)])


def apply_step(root: Path, step: Step) -> None:
    """Make the tree under `root` as it is after this step; whatever is written gets a time of change never used before.

    The times are given, not taken from the clock, because two writes within one tick of it could look the same.
    """
    for path in step.deleted:
        (root / path).unlink()
    for path, data in step.written.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        now = next(_clock)
        os.utime(file, ns=(now, now))


def render(rows: list[Record], layout: str, zipped: bool = False) -> bytes:
    """Return a file of these records in one of `LAYOUTS`; zipped ones are stored, so that their bytes stay readable."""
    data = LAYOUTS[layout](rows).encode()
    return gzip.compress(data, compresslevel=0, mtime=0) if zipped else data


def _lines(end: str, last: str, **how: Any) -> Callable[[list[Record]], str]:
    """Return a layout: each record by json.dumps, `end` after each but the last, which has `last` after it."""
    return lambda rows: end.join(json.dumps(row, **how) for row in rows) + (last if rows else "")


LAYOUTS: dict[str, Callable[[list[Record]], str]] = {
    "lines": _lines("\n", "\n", ensure_ascii=False),
    "no newline at the end": _lines("\n", ""),
    "crlf": _lines("\r\n", "\r\n", ensure_ascii=False),
    "blank lines": _lines("\n\n  \n", "\n\n", separators=(",", ":")),
    "pretty": _lines("\n", "\n", indent=2, ensure_ascii=False),
    "pretty crlf": lambda rows: _lines("\n", "", indent=4)(rows).replace("\n", "\r\n"),
    "on one line": _lines(" ", "\n"),
    "without a gap": _lines("", "", ensure_ascii=False),
}

_clock = itertools.count(1_600_000_000_000_000_000, 1_000_000_000)


def _worlds(about_matching: bool) -> st.SearchStrategy[World]:
    """Return a strategy of worlds of one kind."""
    event_contests, song_contests = (1, 2) if about_matching else (len(EVENT_CONTESTS), len(SONG_CONTESTS))
    events = st.builds(
        Cast,
        st.lists(raw_events(about_matching), min_size=1, max_size=4),
        st.sampled_from(EVENT_CONTESTS[:event_contests]),
        st.just(EVENT_VALUES),
    )
    songs = st.builds(
        Cast,
        st.lists(raw_songs(about_matching), min_size=1, max_size=3),
        st.sampled_from(SONG_CONTESTS[:song_contests]),
        st.just(SONG_VALUES),
    )
    of_events, of_songs = _actions(EVENT_PATHS, EVENT_TWISTS), _actions(SONG_PATHS, SONG_TWISTS)
    # Steps of one kind alone make songs come late; among mixed steps that is rare.
    step = st.one_of(*(st.lists(actions, max_size=9) for actions in (of_events | of_songs, of_events, of_songs)))
    return st.builds(_play, events, songs, st.lists(step, min_size=1, max_size=4))


def _actions(paths: tuple[str, ...], twists: tuple[tuple[str, Any], ...]) -> st.SearchStrategy[Action]:
    """Return a strategy of actions on these files."""
    said = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2))
    twisting = st.one_of(st.just([]), st.just([]), st.lists(st.sampled_from(twists), max_size=2))
    picks = st.tuples(st.integers(0, 4), said, twisting)
    return st.builds(
        Action,
        st.sampled_from([*["write", "append"] * 3, "delete", "empty"]),
        st.sampled_from(paths),
        st.sampled_from(list(LAYOUTS)),
        st.lists(picks, min_size=1, max_size=7),
    )


def _rivals(base: Record, columns: tuple[str, ...], values: Mapping[str, tuple[Any, Any]]) -> list[list[Record]]:
    """Return pairs of records that differ in one column, or pull in two columns in opposite directions."""
    pairs: list[tuple[Record, Record]] = []
    for one in columns:
        low, high = values[one]
        pairs += [({one: low}, {one: high})] + ([({one: None}, {one: high})] if one != "ts" else [])
    for one, two in itertools.permutations(columns, 2):
        (low, high), (least, most) = values[one], values[two]
        pairs.append(({one: low, two: most}, {one: high, two: least}))
        if "ts" not in (one, two):
            pairs.append(({one: None}, {two: None}))
        if two != "ts":
            pairs.append(({one: low, two: None}, {one: high, two: most}))
    return [[base | first, base | second] for first, second in pairs]


def _merged(*parts: Record) -> Record:
    """Return one record of several parts, the later ones winning."""
    return {name: value for part in parts for name, value in part.items()}


def _play(events: Cast, songs: Cast, plan: list[list[Action]]) -> World:
    """Return the world that a plan makes: to append to a file that is not there is to write it."""
    held: dict[str, tuple[str, list[Record]]] = {path: ("lines", []) for path in ANCHORS}
    steps: list[Step] = []
    for number, actions in enumerate(plan):
        before, touched = set(held), set(ANCHORS) if number == 0 else set()
        for action in actions:
            touched.add(action.path)
            layout, rows = held.pop(action.path, (action.layout, []))
            if action.verb == "delete":
                continue
            cast = events if action.path in EVENT_PATHS else songs
            added = [cast.record(*pick) for pick in action.picks]
            grown = (layout, (rows + added)[:MOST_RECORDS])
            held[action.path] = {"append": grown, "empty": (layout, [])}.get(action.verb, (action.layout, added))
        written = {path: render(held[path][1], held[path][0], path.endswith(".gz")) for path in held if path in touched}
        steps.append(Step(written, frozenset(before - set(held))))
    return World(steps)


def _rearranged(world: World, count: int, fates: dict[str, tuple[int, int, bool]]) -> World:
    """Return a world of `count` steps in which each file arrives, and maybe vanishes, by its fate, in that order."""
    final = world.contents_seen(world.last)
    steps: list[tuple[dict[str, bytes], set[str]]] = [({}, set()) for _ in range(count)]
    steps[0][0].update({path: final[path] for path in ANCHORS})
    for path, (when, draft, vanishes) in fates.items():
        arrival = when % count
        older = [step.written[path] for step in world.steps if path in step.written]
        if arrival and draft:
            steps[arrival - 1][0][path] = older[draft % len(older)]
        steps[arrival][0][path] = final[path]
        if vanishes and arrival + 1 < count:
            steps[arrival + 1][1].add(path)
    return World([Step(written, frozenset(deleted)) for written, deleted in steps])
