"""The sample is deterministic, counts to the record, and has every quirk of the real files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from warehouse import WATCHDOG

SCRIPT = Path(__file__).resolve().parents[1] / "make_sample.py"
Record = dict[str, Any]
SONG_KEYS = [
    "num_songs", "artist_id", "artist_latitude", "artist_longitude", "artist_location", "artist_name", "song_id",
    "title", "duration", "year",
]  # fmt: skip
EVENT_KEYS = [
    "artist", "auth", "firstName", "gender", "itemInSession", "lastName", "length", "level", "location", "method",
    "page", "registration", "sessionId", "song", "status", "ts", "userAgent", "userId",
]  # fmt: skip
NULL_WITHOUT_USER = {
    "artist",
    "firstName",
    "gender",
    "lastName",
    "length",
    "location",
    "registration",
    "song",
    "userAgent",
}
REAL_ANSWERS = {
    "About": ("GET", 200), "Downgrade": ("GET", 200), "Error": ("GET", 404), "Help": ("GET", 200), "Home": ("GET", 200),
    "Login": ("PUT", 307), "Logout": ("PUT", 307), "NextSong": ("PUT", 200), "Save Settings": ("PUT", 307),
    "Settings": ("GET", 200), "Submit Downgrade": ("PUT", 307), "Submit Upgrade": ("PUT", 307), "Upgrade": ("GET", 200),
}  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """A written sample: its texts by path, and the records in them."""

    texts: dict[str, str]
    songs: list[Record]
    logs: dict[str, list[Record]]

    @property
    def events(self) -> list[Record]:
        return [event for events in self.logs.values() for event in events]

    @property
    def plays(self) -> list[Record]:
        return [event for event in self.events if event["page"] == "NextSong"]

    def song_texts(self) -> list[str]:
        return [text for path, text in self.texts.items() if path.startswith("song_data")]


def make(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the script from another folder than its own."""
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", timeout=WATCHDOG, check=False)


def made(folder: Path, *arguments: object) -> Sample:
    run = make(folder, *arguments, "sample")
    assert run.returncode == 0, run.stderr
    return read(folder / "sample")


def read(folder: Path) -> Sample:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    texts = {path.relative_to(folder).as_posix(): path.read_bytes().decode("ascii") for path in files}
    songs = [song for path, text in texts.items() if path.startswith("song_data") for song in objects(text)]
    logs = {
        path: [json.loads(line) for line in text.split("\n")]
        for path, text in texts.items()
        if path.startswith("log_data")
    }
    return Sample(texts, songs, logs)


def objects(text: str) -> Iterator[Record]:
    while text := text.lstrip():
        record, end = json.JSONDecoder().raw_decode(text)
        yield record
        text = text[end:]


def levels_of_users(events: list[Record]) -> list[str]:
    """Give the levels of each user in the order of time, repetitions left out: "free paid free"."""
    levels: dict[str, list[str]] = defaultdict(list)
    for event in sorted(events, key=lambda e: (e["ts"], e["sessionId"], e["itemInSession"])):
        if event["userId"] and levels[event["userId"]][-1:] != [event["level"]]:
            levels[event["userId"]].append(event["level"])
    return [" ".join(path) for path in levels.values()]


def durations_of_namesakes(songs: list[Record]) -> list[list[float]]:
    """Give the durations of the songs that share title and artist name, for each such name."""
    durations: dict[tuple[str, str], list[float]] = defaultdict(list)
    for song in songs:
        durations[song["title"], song["artist_name"]].append(song["duration"])
    return [found for found in durations.values() if len(found) > 1]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return made(tmp_path_factory.mktemp("default"))


def test_same_arguments_give_the_same_bytes(sample: Sample, tmp_path: Path) -> None:
    """Two runs with the same arguments write the same files with the same bytes."""
    assert made(tmp_path).texts == sample.texts


def test_another_seed_gives_other_bytes(sample: Sample, tmp_path: Path) -> None:
    """Another seed changes both the songs and the events."""
    other = made(tmp_path, "--seed", 2)
    assert other.songs != sample.songs
    assert other.events != sample.events


def test_more_events_leave_the_songs_as_they_are(sample: Sample, tmp_path: Path) -> None:
    """The catalogue depends on --songs and --seed only."""
    assert made(tmp_path, "--events", 10, "--days", 2, "--users", 3).songs == sample.songs


def test_default_counts(sample: Sample) -> None:
    """Without flags there are 71 songs, 8,000 events and 30 days."""
    assert (len(sample.songs), len(sample.events), len(sample.logs)) == (71, 8000, 30)


@pytest.mark.parametrize(
    ("songs", "events", "days", "users"),
    [(0, 0, 1, 1), (1, 0, 30, 100), (0, 9, 2, 1), (5, 1, 30, 4), (6, 40, 61, 7), (300, 1001, 7, 1)],
)
def test_exact_counts_of_odd_sizes(tmp_path: Path, songs: int, events: int, days: int, users: int) -> None:
    """Records are counted exactly, however small or lopsided the order; both folders exist."""
    sample = made(tmp_path, "--songs", songs, "--events", events, "--days", days, "--users", users)
    folders = {path.name for path in (tmp_path / "sample").iterdir()}
    assert (len(sample.songs), len(sample.events), folders) == (songs, events, {"song_data", "log_data"})


def test_identifiers_of_songs_are_unique(sample: Sample) -> None:
    """Every song record has its own song_id."""
    assert len({song["song_id"] for song in sample.songs}) == 71


def test_song_keys(sample: Sample) -> None:
    """Song records have the keys of the real ones, in their order."""
    assert {tuple(song) for song in sample.songs} == {tuple(SONG_KEYS)}


def test_event_keys(sample: Sample) -> None:
    """Events have the keys of the real ones, in their order."""
    assert {tuple(event) for event in sample.events} == {tuple(EVENT_KEYS)}


def test_style_of_song_files(sample: Sample) -> None:
    """Song files are written with blanks after comma and colon, as the real ones."""
    plain = [text for text in sample.song_texts() if text == json.dumps(next(objects(text)))]
    assert len(plain) == 70 - len(["the pretty-printed one", "the one with two objects"])


def test_style_of_log_lines(sample: Sample) -> None:
    """Log lines are compact JSON with escaped slashes, as the real ones."""
    lines = [line for path, text in sample.texts.items() if path.startswith("log_data") for line in text.split("\n")]
    assert lines == [json.dumps(json.loads(line), separators=(",", ":")).replace("/", "\\/") for line in lines]


def test_paths_of_song_files(sample: Sample) -> None:
    """A song file lies in the folders that its name spells."""
    paths = [Path(path) for path in sample.texts if path.startswith("song_data")]
    assert all(path.parts[1:4] == tuple(path.name[2:5]) and path.name.startswith("TRA") for path in paths)


def test_paths_of_log_files_go_on_into_the_next_month(tmp_path: Path) -> None:
    """Day 31 lies in the folder of December."""
    assert list(made(tmp_path, "--days", 31, "--events", 500).logs)[-1] == "log_data/2018/12/2018-12-01-events.json"


def test_no_file_ends_in_a_newline(sample: Sample) -> None:
    """As in the real data, the last line of a file has no newline."""
    assert not [path for path, text in sample.texts.items() if text.endswith("\n")]


def test_one_file_is_pretty_printed(sample: Sample) -> None:
    """Exactly one song file spreads its object over lines."""
    assert len([text for text in sample.song_texts() if text.startswith("{\n")]) == 1


def test_one_file_has_two_objects(sample: Sample) -> None:
    """Exactly one song file has two records, so there are 70 files for 71 songs."""
    assert Counter(len(list(objects(text))) for text in sample.song_texts()) == {1: 69, 2: 1}


def test_a_number_where_text_is_expected(sample: Sample) -> None:
    """One artist_location is the number 27."""
    assert [song["artist_location"] for song in sample.songs if not isinstance(song["artist_location"], str)] == [27]


def test_unknown_years_are_common(sample: Sample) -> None:
    """At least a third of the songs has year 0."""
    assert sum(song["year"] == 0 for song in sample.songs) > 71 / 3


def test_unknown_coordinates_are_null(sample: Sample) -> None:
    """Some songs have coordinates, some have none."""
    assert {type(song["artist_latitude"]) for song in sample.songs} == {float, type(None)}


def test_artists_with_several_names(sample: Sample) -> None:
    """One artist_id has a name with "feat." and the name without it."""
    names = defaultdict(set)
    for song in sample.songs:
        names[song["artist_id"]].add(song["artist_name"])
    assert any(f"{short} feat." in long for found in names.values() for short in found for long in found)


def test_namesakes_of_differing_durations(sample: Sample) -> None:
    """Two songs share title and artist name, not the duration."""
    assert any(len(set(found)) > 1 for found in durations_of_namesakes(sample.songs))


def test_namesakes_of_equal_durations(sample: Sample) -> None:
    """Two songs share title, artist name and duration."""
    assert any(len(set(found)) < len(found) for found in durations_of_namesakes(sample.songs))


def test_namesakes_are_played(sample: Sample) -> None:
    """The ambiguous songs are in the plays, so that a match has to decide."""
    names = Counter((song["title"], song["artist_name"]) for song in sample.songs)
    played = {(play["song"], play["artist"]) for play in sample.plays}
    assert {name for name, songs in names.items() if songs > 1} <= played


@pytest.mark.parametrize(
    "quirk",
    [
        pytest.param(lambda text: any(ord(c) > 0xFFFF for c in text), id="emoji"),
        pytest.param(lambda text: any(unicodedata.bidirectional(c) in ("R", "AL") for c in text), id="right-to-left"),
        pytest.param(lambda text: any(unicodedata.combining(c) for c in text), id="combining"),
    ],
)
@pytest.mark.parametrize("key", ["artist", "song"])
def test_unicode_names_in_plays(sample: Sample, key: str, quirk: Callable[[str], bool]) -> None:
    """Emoji, right-to-left text and combining marks are in played names."""
    assert any(quirk(play[key]) for play in sample.plays if play[key])


def test_unicode_names_of_users(sample: Sample) -> None:
    """Some users have names beyond ASCII."""
    assert any(not (event["firstName"] or "").isascii() for event in sample.events)


def test_about_thirty_percent_of_the_plays_match(sample: Sample) -> None:
    """Title and artist name of 25 to 35 % of the plays are those of a song."""
    known = {(song["title"], song["artist_name"]) for song in sample.songs}
    matched = sum((play["song"], play["artist"]) in known for play in sample.plays)
    assert 0.25 < matched / len(sample.plays) < 0.35


def test_covers_do_not_match(sample: Sample) -> None:
    """Some plays name a known title by another artist."""
    known = {(song["title"], song["artist_name"]) for song in sample.songs}
    titles = {song["title"] for song in sample.songs}
    assert any(play["song"] in titles and (play["song"], play["artist"]) not in known for play in sample.plays)


def test_damaged_names_do_not_match(sample: Sample) -> None:
    """Some plays name an artist in the double mis-encoding of the real logs."""
    damaged = {song["artist_name"].encode().decode("latin-1").encode().decode("latin-1") for song in sample.songs}
    undamaged = {song["artist_name"] for song in sample.songs}
    assert (damaged - undamaged) & {play["artist"] for play in sample.plays}


def test_popularity_is_heavy_tailed(sample: Sample) -> None:
    """The most played tenth of the songs has at least a quarter of the plays."""
    plays = sorted(Counter((play["artist"], play["song"]) for play in sample.plays).values(), reverse=True)
    assert sum(plays[: len(plays) // 10]) > sum(plays) / 4


def test_activity_is_heavy_tailed(sample: Sample) -> None:
    """The ten most active of the hundred users make at least a quarter of the events."""
    events = Counter(event["userId"] for event in sample.events if event["userId"])
    assert sum(number for _, number in events.most_common(10)) > sum(events.values()) / 4


def test_share_of_plays(sample: Sample) -> None:
    """About 85 % of the events are plays."""
    assert 0.82 < len(sample.plays) / len(sample.events) < 0.88


def test_pages_answer_as_the_real_ones(sample: Sample) -> None:
    """Every page of the real logs occurs, with its method and status."""
    assert {e["page"]: (e["method"], e["status"]) for e in sample.events} == REAL_ANSWERS


def test_events_without_user(sample: Sample) -> None:
    """A logged-out event has the empty userId and the nulls of the real ones."""
    nulls = {frozenset(key for key in event if event[key] is None) for event in sample.events if event["userId"] == ""}
    assert nulls == {frozenset(NULL_WITHOUT_USER)}


def test_logged_out_is_without_user(sample: Sample) -> None:
    """An event has no user exactly if it is logged out."""
    assert {(event["auth"], event["userId"] == "") for event in sample.events} == {
        ("Logged In", False),
        ("Logged Out", True),
    }


def test_pages_have_no_song(sample: Sample) -> None:
    """What is not a play has null for artist, song and length."""
    assert {(e["artist"], e["song"], e["length"]) for e in sample.events if e["page"] != "NextSong"} == {
        (None, None, None)
    }


@pytest.mark.parametrize("key", ["artist", "length"])
def test_few_plays_lack_something(sample: Sample, key: str) -> None:
    """Some plays, not many, have no artist or no length."""
    assert 0 < sum(play[key] is None for play in sample.plays) < len(sample.plays) / 100


def test_registration_is_a_float(sample: Sample) -> None:
    """The registration is written with a fraction, as in the real logs."""
    written = {text for line in sample.texts.values() for text in re.findall(r'"registration":([^,]*)', line)}
    assert all(re.fullmatch(r"null|15[0-9]{11}\.0", text) for text in written)


def test_user_agents_are_quoted_and_escaped(sample: Sample) -> None:
    """The file has the quotes inside some user agents as backslash and quote, slashes as backslash and slash."""
    assert '"userAgent":"\\"Mozilla\\/5.0' in "".join(sample.texts.values())


@pytest.mark.parametrize("path", ["free paid", "paid free"])
def test_users_change_level_both_ways(sample: Sample, path: str) -> None:
    """Some users go from free to paid, some from paid to free and stay there."""
    assert path in levels_of_users(sample.events)


def test_a_user_changes_level_twice(sample: Sample) -> None:
    """A user who paid for a while ends downgraded."""
    assert "free paid free" in levels_of_users(sample.events)


def test_levels_change_by_their_page(sample: Sample) -> None:
    """There is one page that submits the change for each change of level."""
    changes = sum(path.count(" ") for path in levels_of_users(sample.events))
    assert changes == sum(event["page"].startswith("Submit") for event in sample.events)


def test_sessions_count_from_zero(sample: Sample) -> None:
    """The items of every session are 0, 1, 2 ... without gap or repetition, in the order of time."""
    items = defaultdict(list)
    for event in sorted(sample.events, key=lambda e: (e["ts"], e["itemInSession"])):
        items[event["sessionId"]].append(event["itemInSession"])
    assert all(found == list(range(len(found))) for found in items.values())


def test_events_are_in_the_order_of_time(sample: Sample) -> None:
    """The lines of a log file are sorted by ts."""
    assert all(events == sorted(events, key=lambda event: event["ts"]) for events in sample.logs.values())


def test_events_lie_within_the_day_of_their_file(tmp_path: Path) -> None:
    """Every timestamp is of the file's day in UTC, also where visits are long and the day is full."""
    logs = made(tmp_path, "--songs", 9, "--events", 6000, "--days", 2).logs
    days = {
        (path[-22:-12], f"{datetime.fromtimestamp(e['ts'] / 1000, UTC):%Y-%m-%d}")
        for path, events in logs.items()
        for e in events
    }
    assert days == {("2018-11-01", "2018-11-01"), ("2018-11-02", "2018-11-02")}


def test_users_in_the_same_second(sample: Sample) -> None:
    """Now and then two users do something in the same second."""
    users = defaultdict(set)
    for event in sample.events:
        if event["userId"]:
            users[event["ts"] // 1000].add(event["userId"])
    assert any(len(found) > 1 for found in users.values())


def test_timestamps_have_milliseconds(sample: Sample) -> None:
    """Most timestamps end in .796, as all the real ones; some do not."""
    endings = Counter(event["ts"] % 1000 for event in sample.events)
    assert 0.8 < endings[796] / len(sample.events) < 1


@pytest.mark.parametrize("there", ["song_data/A/x.json", "log_data/x.json", "log_data"])
def test_refuses_a_target_that_would_be_mixed(tmp_path: Path, there: str) -> None:
    """A target with content is not changed: exit code 2 and a way out."""
    (tmp_path / "data" / there).parent.mkdir(parents=True)
    (tmp_path / "data" / there).write_text("mine")
    run = make(tmp_path)
    files = [path.relative_to(tmp_path / "data").as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert (run.returncode, run.stdout, "try: " in run.stderr, files) == (2, "", True, [there])


def test_other_content_of_the_target_stays(tmp_path: Path) -> None:
    """A target with empty folders and files of other names takes the sample in and keeps the files."""
    (tmp_path / "data" / "song_data").mkdir(parents=True)
    (tmp_path / "data" / "notes.txt").write_text("mine")
    run = make(tmp_path, "--events", 5)
    names = sorted(path.name for path in (tmp_path / "data").iterdir())
    assert (run.returncode, names) == (0, ["log_data", "notes.txt", "song_data"])


@pytest.mark.parametrize("flag", [("--songs", -1), ("--events", -1), ("--days", 0), ("--users", 0)])
def test_refuses_sizes_that_make_no_sense(tmp_path: Path, flag: tuple[str, int]) -> None:
    """A size below the least is a mistake of usage that names the flag, and nothing is written."""
    run = make(tmp_path, *flag)
    assert (run.returncode, flag[0] in run.stderr, "try: " in run.stderr, list(tmp_path.iterdir())) == (
        2,
        True,
        True,
        [],
    )


@contextmanager
def endless(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a run that would go on for days, and wait until it writes; it is gone at the end of the block."""
    command = [sys.executable, str(SCRIPT), "--events", "3000000000", "--days", "10000", "data"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as run:
        try:
            while not list(folder.glob("data.partial-*/log_data/*/*/*.json")):
                assert run.poll() is None
                time.sleep(0.02)
            yield run
        finally:
            run.kill()


def test_a_killed_run_leaves_no_half_sample(tmp_path: Path) -> None:
    """A run killed in the middle leaves no target, so nothing takes half a sample for a whole one."""
    with endless(tmp_path) as run:
        run.kill()
        run.wait()
    assert [path.name for path in tmp_path.iterdir()] == [f"data.partial-{run.pid}"]


def test_a_stopped_run_cleans_up(tmp_path: Path) -> None:
    """SIGTERM leaves nothing at all and exits with 130."""
    with endless(tmp_path) as run:
        run.terminate()
        code = run.wait(timeout=WATCHDOG)
    assert (code, list(tmp_path.iterdir())) == (130, [])


def test_result_line(tmp_path: Path) -> None:
    """The result says what was written and where."""
    assert "data: 71 songs in 70 files, 90 events in 3 files, " in make(tmp_path, "--events", 90, "--days", 3).stdout


def test_json_result(tmp_path: Path) -> None:
    """With --json stdout is one object that counts what was written."""
    result = json.loads(make(tmp_path, "--events", 90, "--days", 3, "--json").stdout)
    size = sum(path.stat().st_size for path in tmp_path.rglob("*.json"))
    assert result.pop("seconds") >= 0
    assert result == {"script": "make_sample", "ok": True, "songs": 71, "events": 90, "files": 73, "bytes": size}


def test_quiet(tmp_path: Path) -> None:
    """With -q nothing is printed."""
    run = make(tmp_path, "--events", 9, "-q")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
