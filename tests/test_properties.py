"""The star is a function of the contents loaded: any order, any split into loads, any repetition gives the same star.

Random worlds are compared with the reference; then single steps are taken out of the load, to see that it goes wrong.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from checker import Wrong, check, compare
from hypothesis import given, settings
from hypothesis import strategies as st
from postgres_server import Make
from warehouse import Warehouse, event, lines, plays, song
from worlds import ANCHORS, Step, World, every_tie, expected_star, shuffled_steps, worlds

import sql_queries as q
from star.loads import OF_ONE_KIND

SPLITS = st.sampled_from([1, 2, 3, 20000])  # most files in one load


def fresh(folder: str, template: Path, most_files: int = 20000) -> Warehouse:
    """Make an empty warehouse in a folder that is removed with the example."""
    warehouse = Warehouse(Path(folder).resolve()).create(template)
    warehouse.configure(ETL={"MAX_LOAD_FILES": most_files}, DUCKDB={"THREADS": 1})
    return warehouse


def play(warehouse: Warehouse, world: World) -> None:
    """Let the source folders change step by step, with a load after each."""
    for step in world.steps:
        warehouse.apply(step)
        warehouse.etl()


@settings(max_examples=10)
@given(world=worlds(), most_files=SPLITS)
def test_each_step_of_a_world_gives_the_star_of_what_was_seen(
    empty_database: Path, world: World, most_files: int
) -> None:
    """After each run the star is that of the last content seen of every file, whatever the loads were cut into."""
    with tempfile.TemporaryDirectory() as folder:
        warehouse = fresh(folder, empty_database, most_files)
        for number, step in enumerate(world.steps):
            warehouse.apply(step)
            warehouse.etl()
            compare(expected_star(world.contents_seen(number)), warehouse.star())
        check(warehouse)


@settings(max_examples=10)
@given(data=st.data(), most_files=SPLITS)
def test_another_way_to_the_same_contents_gives_the_same_star(
    empty_database: Path, data: st.DataObject, most_files: int
) -> None:
    """Files that arrive in another order, in other steps, after a draft or vanishing later, give the same star."""
    world = data.draw(worlds())
    other = data.draw(shuffled_steps(world))
    with tempfile.TemporaryDirectory() as folder:
        warehouse = fresh(folder, empty_database, most_files)
        play(warehouse, other)
        compare(expected_star(world.contents_seen(world.last)), warehouse.star())


@settings(max_examples=10)
@given(data=st.data(), most_files=SPLITS)
def test_on_postgresql_every_way_gives_the_same_star(make: Make, data: st.DataObject, most_files: int) -> None:
    """The same there: shuffled steps, split loads, a full rebuild and a run with nothing new; all by the reference."""
    world = data.draw(worlds())
    other = data.draw(shuffled_steps(world))
    with tempfile.TemporaryDirectory() as folder:
        warehouse = make(Path(folder).resolve(), "postgres")
        warehouse.configure(ETL={"MAX_LOAD_FILES": most_files})
        play(warehouse, other)
        expected = expected_star(world.contents_seen(world.last))
        compare(expected, warehouse.star())
        check(warehouse)
        warehouse.etl("--rebuild", "--yes")
        compare(expected, warehouse.star())
        before = warehouse.dump()
        warehouse.etl()
        assert warehouse.dump() == before


@settings(max_examples=6)
@given(world=worlds())
def test_a_run_with_nothing_new_leaves_every_row(empty_database: Path, world: World) -> None:
    """Run again, no row of any table is another, nor is there a load more."""
    with tempfile.TemporaryDirectory() as folder:
        warehouse = fresh(folder, empty_database)
        play(warehouse, world)
        before = warehouse.dump()
        warehouse.etl()
        assert warehouse.dump() == before


@settings(max_examples=6)
@given(world=worlds())
def test_a_full_rebuild_gives_the_rows_of_the_steps(empty_database: Path, world: World) -> None:
    """Built from staging at once, the star is the one that the loads built touched key by touched key."""
    with tempfile.TemporaryDirectory() as folder:
        warehouse = fresh(folder, empty_database)
        play(warehouse, world)
        before = warehouse.star()
        warehouse.etl("--rebuild", "--yes")
        compare(before, warehouse.star())


@settings(max_examples=6)
@given(data=st.data())
def test_forgetting_a_file_gives_the_star_without_it(empty_database: Path, data: st.DataObject) -> None:
    """A file that vanished and is forgotten leaves the star of all the others."""
    world = data.draw(worlds())
    seen = world.contents_seen(world.last)
    path = data.draw(st.sampled_from(sorted(seen)))
    with tempfile.TemporaryDirectory() as folder:
        warehouse = fresh(folder, empty_database)
        play(warehouse, world)
        (warehouse.root / path).unlink(missing_ok=True)
        warehouse.etl("--forget", str(warehouse.root / path))
        del seen[path]
        compare(expected_star(seen), warehouse.star())
        check(warehouse)


@pytest.mark.parametrize("most_files", [1, 20000])
@pytest.mark.parametrize("swapped", [False, True])
def test_every_tie_is_decided_by_content(warehouse: Warehouse, swapped: bool, most_files: int) -> None:
    """In a world where each column of each order decides something, the names of the files and the loads do not."""
    world = every_tie(swapped)
    warehouse.configure(ETL={"MAX_LOAD_FILES": most_files})
    play(warehouse, world)
    compare(expected_star(world.contents_seen(world.last)), warehouse.star())


# --------------------------------------------------------------------------------------------------- one step taken out

LOG, MORE, CATALOGUE = "log_data/a.json", "log_data/b.json", "song_data/a.json"
BAD = b'{"page": "NextSong"}\n'


def history() -> list[Step]:
    """Return a short history in which each statement of a load is needed: late, corrected and repeated records."""
    there = {LOG: lines([event()]), ANCHORS[1]: b""}
    other = event(ts=event()["ts"] + 5000, sessionId=6, song="Other")
    later = event(ts=event()["ts"] + 1000, firstName="Eve", level="paid")
    return [
        Step(there),  # a play whose song is not known yet,
        Step({CATALOGUE: lines([song()]) + BAD}),  # its song, late, beside a bad record,
        Step({MORE: lines([other])}),  # a play that names another title,
        Step({CATALOGUE: lines([song(title="Other", artist_location="Oslo")])}),  # to which the song is corrected,
        Step({LOG: lines([later])}),  # the first play is corrected to another time,
        Step({"log_data/c.json": lines([later])}),  # it comes a second time,
        Step({LOG: lines([])}),  # and stays in the other file,
        Step({"log_data/d.json": lines([event(ts=other["ts"], sessionId=7)])}),  # a user plays at the time of another,
        Step({CATALOGUE: b""}),  # and the catalogue is emptied.
    ]


def live_through_history(warehouse: Warehouse) -> None:
    """Load the history step by step, and check after each."""
    for step in history():
        warehouse.apply(step)
        warehouse.etl("--on-bad-line", "quarantine")
        fixed = warehouse.root / CATALOGUE
        good = {CATALOGUE: lines([song()])} if fixed.exists() and BAD in fixed.read_bytes() else {}
        check(warehouse, good)


EMPTIED = (
    *("TOUCH_SONGS", "TOUCH_ARTISTS", "TOUCH_USERS", "TOUCH_PLAYS", "TOUCH_NAMES_BEFORE"),
    *("TOUCH_TIMES_BEFORE", "FIND_RIVAL_PLAYS", "FIND_PRESENT_TIMES"),
)
REMOVED = (
    *("TOUCH_NAMES_AFTER", "TOUCH_PLAYS_BY_NAME"),
    *("DELETE_TOUCHED_SONGS", "DELETE_TOUCHED_ARTISTS", "DELETE_TOUCHED_USERS"),
    *("DELETE_TOUCHED_PLAYS", "DELETE_TOUCHED_TIMES", "DELETE_PRESENT_TIMES"),
    *("INSERT_SONGS", "INSERT_ARTISTS", "INSERT_USERS", "INSERT_SONGPLAYS", "INSERT_TIME"),
)


def take_out(monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    """Put another statement in the place of one of the load."""
    groups = {name: getattr(q, name) for name in ("TOUCH_KEYS", "REBUILD_TOUCHED")}
    assert sum(statements.count(old) for statements in groups.values()) == 1
    for name, statements in groups.items():
        monkeypatch.setattr(q, name, tuple(new if text == old else text for text in statements))
    for kind, statements in OF_ONE_KIND.items():
        monkeypatch.setitem(OF_ONE_KIND, kind, tuple(new if text == old else text for text in statements))


def test_the_short_history_goes_well(warehouse: Warehouse) -> None:
    """With every statement in place the history is told right: what follows fails for its mutation alone."""
    live_through_history(warehouse)


@pytest.mark.parametrize("name", [*EMPTIED, *REMOVED])
def test_the_star_goes_wrong_without(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Each statement between staging and star is needed: without it the history is told wrong."""
    statement = getattr(q, name)
    take_out(monkeypatch, statement, f"{statement}\nLIMIT 0" if name in EMPTIED else "SELECT 1")
    with pytest.raises(Wrong):
        live_through_history(warehouse)


def test_every_statement_of_the_load_was_taken_out() -> None:
    """There is no other statement between staging and star: a new one has to be seen failing too."""
    assert {getattr(q, name) for name in (*EMPTIED, *REMOVED)} == {*q.TOUCH_KEYS, *q.REBUILD_TOUCHED}


def live_through_every_tie(warehouse: Warehouse) -> None:
    """Load a world in which everything has a choice at once, and build it again."""
    warehouse.apply(every_tie(swapped=False).steps[0])
    for flags in ((), ("--rebuild", "--yes")):
        warehouse.etl(*flags)
        check(warehouse)


def test_p233_a_first_load_and_a_rebuild_look_for_no_touched_key(warehouse: Warehouse) -> None:
    """What builds an empty star is the text of every other load without its touched keys, and gives the same rows."""
    assert [text for text in q.BUILD_ALL if "touched_" in text] == [q.FIND_NO_TIMES]
    live_through_every_tie(warehouse)


@pytest.mark.parametrize("number", [n for n, text in enumerate(q.BUILD_ALL) if text != q.FIND_NO_TIMES])
def test_p233_a_first_load_goes_wrong_without(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Each statement that builds an empty star is needed."""
    text = q.BUILD_ALL[number]
    without = f"{text}\nLIMIT 0" if text.lstrip().startswith("CREATE") else "SELECT 1"
    monkeypatch.setattr(q, "BUILD_ALL", (*q.BUILD_ALL[:number], without, *q.BUILD_ALL[number + 1 :]))
    with pytest.raises(Wrong):
        live_through_every_tie(warehouse)


def test_p246_a_load_of_one_kind_of_files_runs_what_this_kind_changes(warehouse: Warehouse) -> None:
    """New, changed and forgotten files alike: nothing of songs for events, nothing of users for songs; all is right."""
    warehouse.write("song_data/1.json", [song()])
    warehouse.write("log_data/1.json", plays(2))
    warehouse.etl()
    for path, records, own in (
        ("log_data/1.json", plays(3, level="paid"), "events"),
        ("log_data/2.json", plays(2, sessionId=7, userId="8"), "events"),
        ("song_data/1.json", [song(title="Undo (Live)")], "songs"),
        ("song_data/2.json", [song("S2")], "songs"),
    ):
        warehouse.write(path, records)
        said = warehouse.call("etl", "-v").err
        assert_runs(said, own)
        check(warehouse)
    for path, own in (("log_data/2.json", "events"), ("song_data/2.json", "songs")):
        warehouse.remove(path)
        assert_runs(warehouse.call("etl", "-v", "--forget", str(warehouse.root / path)).err, own)
        check(warehouse)


def assert_runs(said: str, own: str) -> None:
    """The statements that were shown are those of one kind of files, and those of both kinds."""
    told = {"songs": ("touched_songs", "INSERT INTO songs", "touched_names"), "events": ("INSERT INTO users",)}
    for kind, texts in told.items():
        assert all((text in said) == (kind == own) for text in texts), (kind, own)
    assert "INSERT INTO songplays" in said


@pytest.mark.parametrize("number", range(4))
def test_the_warehouse_goes_wrong_when_rows_that_go_stay(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The earlier version of a changed file has to leave staging, rejected_lines and the ledger."""
    assert len(q.REMOVE_GOING_ROWS) == 4
    kept = tuple(text for n, text in enumerate(q.REMOVE_GOING_ROWS) if n != number)
    monkeypatch.setattr(q, "REMOVE_GOING_ROWS", kept)
    with pytest.raises(Wrong):
        live_through_history(warehouse)


def test_the_other_rivals_of_a_touched_key_count(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is chosen for a touched key is chosen from all of staging, not from the files of this load."""
    narrowed = q.INSERT_SONGS.replace(
        "FROM staging_songs", "FROM (SELECT * FROM staging_songs WHERE file_id IN (SELECT file_id FROM touched_files))"
    )
    assert narrowed != q.INSERT_SONGS
    take_out(monkeypatch, q.INSERT_SONGS, narrowed)
    with pytest.raises(Wrong):
        for path, title in (("song_data/a.json", "A"), ("song_data/b.json", "B")):
            warehouse.write(path, [song(title=title)])
            warehouse.etl()
            check(warehouse)


# --------------------------------------------------------------------------------------------------- the checker itself

DAMAGES = {
    "a play is gone": "DELETE FROM songplays",
    "a play stands twice": "INSERT INTO songplays SELECT * FROM songplays",
    "a user has another level": "UPDATE users SET level = 'gold'",
    "a time is gone": "DELETE FROM time",
    "an event is gone from staging": "DELETE FROM staging_events",
    "a stranger's row in staging": "INSERT INTO staging_songs (file_id, song_id) VALUES (99, 'S9')",
    "a stranger's rejected line": "INSERT INTO rejected_lines (file_id, reason) VALUES (99, 'x')",
    "the ledger counts one too many": "UPDATE loaded_files SET records_read = records_read + 1",
    "the ledger says rejected": "UPDATE loaded_files SET rejected = 1, staged = staged - 1 WHERE kind = 'songs'",
    "a file is gone from the ledger": "DELETE FROM loaded_files WHERE kind = 'songs'",
    "a file stands twice in the ledger": "INSERT INTO loaded_files SELECT * FROM loaded_files",
    "the days of a load are gone": "DELETE FROM touched_days",
    "a load has a row without a day too many": "INSERT INTO touched_days VALUES (1, NULL)",
    "days of a load that was rolled back": "INSERT INTO touched_days VALUES (2, DATE '2018-11-02')",
    "another version in the ledger": "UPDATE loaded_files SET fingerprint = '1:1'",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_checker_sees(warehouse: Warehouse, damage: str) -> None:
    """The checker was seen failing: it accepts a good warehouse, and not one that was damaged by hand."""
    warehouse.write(LOG, [event()])
    warehouse.write(CATALOGUE, [song()])
    warehouse.etl()
    check(warehouse)
    warehouse.rows(DAMAGES[damage])
    with pytest.raises(Wrong):
        check(warehouse)
