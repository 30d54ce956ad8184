"""P125 to P129: what a user should know about loaded data although no record is bad."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from postgres_server import Make
from reference_star import Record, left_out, records
from test_contract import ENGINES
from test_properties import fresh, play
from warehouse import LARGE, NOON, Warehouse, event, lines, plays, song
from worlds import World, every_tie, worlds

import report
from dwh.script import begin
from star import matches as star_matches
from star.checks import CHECKS, choose_quick
from star.report.reconciliation import reconcile

EMPTY_COLUMNS, NO_PLAYS = "staging: every column is filled", "staging_events: every file has plays"
PAGES, OTHERS = "staging_events: NextSong has no other spelling", "songplays: no other play under the same key"
AGAIN, MATCHES = "songplays: only repeated plays were left out", "songplays: enough plays match a song"
WARNED = (EMPTY_COLUMNS, NO_PLAYS, PAGES, OTHERS)


@pytest.fixture(params=ENGINES)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, make: Make) -> Warehouse:
    """An empty warehouse, once on every engine."""
    return make(tmp_path / "w", request.param)


def renamed(record: Record, **names: str) -> Record:
    """Return a record with other names of keys."""
    return {names.get(key, key): value for key, value in record.items()}


def validate(warehouse: Warehouse, *flags: str) -> dict[str, dict[str, Any]]:
    """Give the results of the checks by their names."""
    found = warehouse.call("sql_validate", "--json", "--quick", *flags).json
    return {check["name"]: check for check in found["checks"]}


# ------------------------------------------------------------------------------------------------------- keys not read


def test_p125_keys_in_another_case_are_named(warehouse: Warehouse) -> None:
    """In small and large files, packed and not, on one line and on many: the key, the spelling that is read, in how
    many files, and one of them. Nothing is said of a record that has both spellings."""
    lower = [renamed(record, userId="userid") for record in plays(LARGE // 150)]
    small = [renamed(record, userId="userid", level="LEVEL") for record in plays(2, sessionId=6)]
    warehouse.write("log_data/1.json", lower)
    warehouse.write("log_data/2.json.gz", gzip.compress(lines(small)))
    warehouse.write("log_data/3.json", json.dumps(renamed(event(sessionId=7), userId="userid"), indent=2).encode())
    warehouse.write("log_data/4.json", [event(sessionId=8, userid="9", USERID="10")])
    for number in range(5):
        warehouse.write(f"song_data/{number}.json", [renamed(song(f"S{number}"), artist_name="Artist_Name")])
    warehouse.write("song_data/good.json", [song("S9")])
    done = warehouse.call("etl", "--json")
    assert done.json["unread_keys"] == [
        unread("events", "LEVEL", "level", 1, f"{warehouse.root}/log_data/2.json.gz"),
        unread("events", "userid", "userId", 3, f"{warehouse.root}/log_data/1.json"),
        unread("songs", "Artist_Name", "artist_name", 5, f"{warehouse.root}/song_data/0.json"),
    ]
    told = f"note: the key userid in 3 event files, such as {warehouse.root}/log_data/1.json, is not read: "
    assert told + "upper and lower case matter, write userId" in done.err
    assert warehouse.etl()["unread_keys"] == []


def unread(kind: str, key: str, spelling: str, files: int, example: str) -> dict[str, Any]:
    """Give one entry of --json."""
    return {"kind": kind, "key": key, "spelling": spelling, "files": files, "example": example, "at_least": False}


def test_p125_a_record_that_lacks_a_key_is_refused_beside_the_one_it_has(tmp_path: Path) -> None:
    """Without sessionId a play is bad; that sessionid is there is said before the error, and once for several loads."""
    warehouse = Warehouse(tmp_path / "w").create()
    warehouse.configure(ETL={"MAX_LOAD_FILES": 1})
    warehouse.write("log_data/1.json", [renamed(event(page="Home"), sessionId="sessionid")])
    warehouse.write("log_data/2.json", [renamed(event(), sessionId="sessionid")])
    done = warehouse.run("etl")
    assert done.code == 1
    note, error = done.err.index("note: the key sessionid in 2 event files"), done.err.index("error: bad record")
    assert note < error
    assert done.err.count("note: the key") == 1


# ------------------------------------------------------------------------------------------- columns, pages, and files


def test_p126_what_nobody_filled_is_a_warning(warehouse: Warehouse) -> None:
    """A column that no record of a file of 100 fills, and most records of other files do; of a song, no play. Files
    without a play, and pages that are NextSong but for case and what stands around it."""
    whole = {"auth": "Logged In", "method": "PUT", "registration": 1.5, "status": 200}
    warehouse.write("log_data/1.json", plays(120, **whole))
    warehouse.write("log_data/2.json", plays(100, sessionId=6, userAgent=None, location=" ", song="", **whole))
    warehouse.write("log_data/3.json", plays(99, sessionId=7, firstName=None, artist=None, **whole))
    visits = [event(ts=NOON + n, page="Home", song=None, artist=None, length=None, **whole) for n in range(100)]
    warehouse.write("log_data/4.json", visits)
    odd = ("nextsong", "NextSong.", "\tNEXT_SONG", "NextSong Preview", "NextSong ", "NextSongs")
    warehouse.write("log_data/5.json", [event(sessionId=8, itemInSession=n, page=page) for n, page in enumerate(odd)])
    warehouse.write("log_data/6.json", [event(ts=NOON + 1, page="Home")] * 99)
    warehouse.write("song_data/1.json", [song(f"S{n}") for n in range(100)])
    warehouse.write("song_data/2.json", [song(f"T{n}", year=None, num_songs=None) for n in range(100)])
    half = [song(f"U{n}", num_songs=None) for n in range(120)]  # of the others as many fill it as do not
    warehouse.write("song_data/3.json", half)
    warehouse.etl()
    found = validate(warehouse)
    logs = f"{warehouse.root}/log_data"
    seen = {name: (found[name]["status"], found[name]["found"], found[name]["sample"]) for name in WARNED}
    assert seen == {
        EMPTY_COLUMNS: (
            "warn",
            4,
            [{"path": f"{logs}/2.json", "key": key, "records": 100} for key in ("location", "song", "userAgent")],
        ),
        NO_PLAYS: ("warn", 1, [{"path": f"{logs}/4.json", "records": 100}]),
        PAGES: (
            "warn",
            3,
            [{"page": page, "events": 1} for page in sorted(odd[:3])],
        ),
        OTHERS: ("ok", 0, []),
    }


# ----------------------------------------------------------------------------------- another play under the same key


def test_p127_another_play_under_the_same_key_has_its_own_name(warehouse: Warehouse) -> None:
    """Each difference between plays staged and songplays is the same play again or another play; etl.py says how many
    others its files brought, the report has a line of them, and they add up whatever is loaded, changed or rebuilt."""
    first, other, third = event(), event(song="Jóga"), event(level="paid")
    warehouse.configure(ETL={"MAX_LOAD_FILES": 1})
    warehouse.write("log_data/1.json", [first, other, other, event(song=" Jóga ")])
    warehouse.write("log_data/2.json", [first, third, event(sessionId=6)])
    done = warehouse.call("etl")
    assert "loaded 2 files, 7 records, 2 other plays under the same key in " in done.out
    found = validate(warehouse)
    assert (found[AGAIN]["expected"], found[AGAIN]["found"], found[AGAIN]["status"]) == (3, 3, "ok")
    assert (found[OTHERS]["status"], found[OTHERS]["found"]) == ("warn", 2)
    sample = [(row["differs"], row["title"], row["kept_title"]) for row in found[OTHERS]["sample"]]
    assert sample == [("title", "Undo", "Jóga"), ("title", "Undo", "Jóga")]
    [flow] = [flow for flow in flows_of(warehouse) if flow.table == "songplays"]
    assert dict(flow.differences) | {"unexplained": flow.unexplained} == {
        "rejected": 0, "no play: page is not NextSong": 0, "the same play again": 3,
        "other play under the same key": 2, "unexplained": 0,
    }  # fmt: skip
    warehouse.write("log_data/2.json", [first])
    assert warehouse.etl()["other_plays"] == 0
    assert validate(warehouse)[OTHERS]["found"] == 1
    assert warehouse.etl()["other_plays"] == 0
    assert warehouse.etl("--rebuild", "--yes")["other_plays"] == 1


def flows_of(warehouse: Warehouse) -> Any:
    """Give the reconciliation of the report."""
    with patch.dict(os.environ, warehouse.environment()):
        script = begin("report", report.parser(), ["--config", str(warehouse.config), "-q"])
        _, answers, _ = report.ask(script, choose_quick(CHECKS), warehouse.root / "report.html")
    names = ("Files and records", "Named differences", "Events that are no play", "Rows of every table")
    files, differences, pages, rows = (answers[name] for name in names)
    return reconcile(files, dict(differences), pages[0][0] if pages else 0, dict(rows))


def test_p128_every_column_of_a_play_can_make_it_another(warehouse: Warehouse) -> None:
    """Records under one key that differ in one column each: what is left out is counted as the reference counts."""
    world = every_tie()
    warehouse.apply(world.steps[0])
    told = warehouse.etl()["other_plays"]
    again, others = expected_left_out(world.contents_seen(0))
    found = validate(warehouse)
    assert (found[AGAIN]["found"], found[OTHERS]["found"], told) == (again, others, others)
    assert others > 5  # one for each column, or the world is too small


@settings(max_examples=5)
@given(world=worlds())
def test_p128_whatever_comes_plays_left_out_add_up(empty_database: Path, world: World) -> None:
    """In random histories too, by the reference."""
    with tempfile.TemporaryDirectory() as folder:
        warehouse = fresh(folder, empty_database, most_files=2)
        play(warehouse, world)
        again, others = expected_left_out(world.contents_seen(world.last))
        found = validate(warehouse, "--only", "songplays")
        assert (found[AGAIN]["expected"], found[AGAIN]["found"], found[OTHERS]["found"]) == (again, again, others)
        assert warehouse.etl("--rebuild", "--yes")["other_plays"] == others


def expected_left_out(contents: dict[str, bytes]) -> tuple[int, int]:
    """Count by the reference what contents leave out."""
    events = [r for path, data in contents.items() if path.startswith("log_data") for r in records(path, data)]
    return left_out(events)


# ---------------------------------------------------------------------------------------------- plays without a song

NFD = "Bjo\u0308rk"
REASONS = {  # what the plays name -> the reason, and what the example says beside that name
    ("Undo", "Björk"): "",
    ("UNDO", "björk"): "differs by case",
    (" Undo\u00a0", "Björk"): "differs by blanks",
    ("Undo", NFD): "differs by Unicode form",
    ("undo", NFD): "differs by Unicode form and case",
    ("Undo", "BjÃ\u0083Â¶rk"): "text is encoded twice",
    ("Donâ€™t", "Björk"): "text is encoded twice",
    ("Ünder", "Åse"): "text is encoded twice in songs",
    ("Undo", "Nina"): "title and artist are known, but not together",
    ("Undo", "Nobody"): "no such artist",
    ("Nothing", "Björk"): "no such title",
    ("Nothing", "Nobody"): "no such title and no such artist",
    (None, "Björk"): "the event names no title or no artist",
}


def test_p129_why_plays_find_no_song_is_told_with_v(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """By reason, with the number of plays and an example each; the catalogue is read in pages."""
    names = [name for n, name in enumerate(REASONS) for _ in range(n + 1)]
    heard = [event(itemInSession=n, song=title, artist=artist) for n, (title, artist) in enumerate(names)]
    warehouse.write("log_data/1.json", heard)
    encoded = song("S3", title="Ünder".encode().decode("latin-1"), artist_name="Åse".encode().decode("cp1252"))
    warehouse.write("song_data/1.json", [song("S1"), song("S2", title="Red", artist_name="Nina"), encoded])
    warehouse.etl()
    monkeypatch.setattr(star_matches, "PAGE", 1)
    assert "reasons" not in validate(warehouse, "--only", MATCHES)[MATCHES]
    reasons = validate(warehouse, "-v", "--only", MATCHES)[MATCHES]["reasons"]
    expected: dict[str, int] = {}
    for name, reason in REASONS.items():
        expected[reason] = expected.get(reason, 0) + names.count(name)
    del expected[""]
    assert {told["reason"]: told["found"] for told in reasons} == expected
    assert [told["found"] for told in reasons] == sorted(expected.values(), reverse=True)
    examples = {told["reason"]: told["example"] for told in reasons}
    assert examples["differs by case"] == {
        "title": "UNDO", "artist_name": "björk", "title_in_songs": "Undo", "artist_name_in_songs": "Björk",
    }  # fmt: skip
    assert examples["differs by Unicode form"]["form"] == "NFD, in songs NFC"
    assert examples["text is encoded twice"]["title_decoded"] == "Don’t"
    said = warehouse.call("sql_validate", "-v", "--only", MATCHES).out
    assert "  2  differs by case, such as title=UNDO  artist_name=björk  title_in_songs=Undo" in said


def test_p129_of_too_many_names_those_with_the_most_plays_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded, and the number of plays that were not looked at is shown."""
    warehouse = Warehouse(tmp_path / "w").create()
    warehouse.write(
        "log_data/1.json", [*plays(3), event(itemInSession=3, song="Red"), event(itemInSession=4, song="X")]
    )
    warehouse.etl()
    monkeypatch.setattr(star_matches, "MOST_NAMES", 1)
    reasons = validate(warehouse, "-v", "--only", MATCHES)[MATCHES]["reasons"]
    assert [(told["reason"], told["found"]) for told in reasons] == [
        ("no such title and no such artist", 3),
        ("not looked at: only the 1 names with the most plays are", 2),
    ]
