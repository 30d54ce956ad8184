"""Each load records the days whose plays it changed: what an export has to write again, and no more than that."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postgres_server import Make
from reference_star import Record
from warehouse import NOON, Warehouse, event, failure, song
from worlds import World, worlds

from dwh.engines.choose import open_engine
from dwh.settings.config import load_config
from star import load_queries as queries
from star.touched import days_touched

DAY = 24 * 3600 * 1000
LOG, MORE, AGAIN, CATALOGUE = "log_data/a.json", "log_data/b.json", "log_data/c.json", "song_data/a.json"


def day(number: int) -> date:
    """The day of `on(number)`."""
    return date(2018, 11, 2) + timedelta(days=number)


def days(*numbers: int) -> set[date]:
    return {day(number) for number in numbers}


def on(number: int, **changes: Any) -> Record:
    """A play at noon, so many days after the first; each day is a session of its own."""
    return event(**{"ts": NOON + number * DAY, "sessionId": 100 + number, **changes})


def recorded(warehouse: Warehouse) -> dict[int, list[date | None]]:
    """What the table has of each load."""
    found: dict[int, list[date | None]] = {}
    for load_id, touched in warehouse.rows("SELECT load_id, day FROM touched_days ORDER BY load_id, day"):
        found.setdefault(load_id, []).append(touched)
    return found


def since(warehouse: Warehouse, *load_ids: int) -> list[set[date] | None]:
    """What an export has to write that was made after each of these loads, by a session of the suite's own."""
    with patch.dict(os.environ, warehouse.environment()):
        engine = open_engine(load_config(str(warehouse.config), {}, os.environ))
        with closing(engine.connect(lambda _trace: None)) as session:
            return [days_touched(session, load_id) for load_id in load_ids]


def by_day(rows: Iterable[Sequence[Any]], start_time: int) -> dict[date, list[Sequence[Any]]]:
    found: dict[date, list[Sequence[Any]]] = {}
    for row in rows:
        moment = row[start_time]
        assert isinstance(moment, datetime)
        found.setdefault(moment.date(), []).append(row)
    return found


def plays_and_times(warehouse: Warehouse) -> tuple[dict[date, list[Sequence[Any]]], dict[date, list[Sequence[Any]]]]:
    """The rows of the two tables that a lake cuts by time, by their day."""
    star = warehouse.star()
    return by_day(star["songplays"], 1), by_day(star["time"], 0)


def changed_days(before: Sequence[dict[date, Any]], after: Sequence[dict[date, Any]]) -> set[date]:
    """The days of which a row came, went or is another."""
    pairs = zip(before, after, strict=True)
    return {found for one, two in pairs for found in one.keys() | two.keys() if one.get(found) != two.get(found)}


# ------------------------------------------------------------------------------------------------ every kind of load


class Change(NamedTuple):
    """What happens to the sources, the flags of the load after it, and the days that this load touches."""

    name: str
    written: dict[str, list[Record]]
    touches: set[date]
    flags: tuple[str, ...] = ()


STORY = (
    Change("new", {LOG: [on(0), on(3, song="Other")]}, days(0, 3)),
    Change("events without plays", {MORE: [on(1, page="Home")]}, set()),
    Change("a day between two that are there", {MORE: [on(1, page="Home"), on(2)]}, days(2)),
    Change("a song, late, that two days played", {CATALOGUE: [song()]}, days(0, 2)),
    Change("a song that nobody played", {"song_data/b.json": [song("S2", title="Silence")]}, set()),
    Change("the song is corrected: another day played it", {CATALOGUE: [song(title="Other")]}, days(0, 2, 3)),
    Change("a play is corrected to another day", {MORE: [on(2, ts=NOON + 5 * DAY)]}, days(2, 5)),
    Change("the same play again", {AGAIN: [on(0)]}, days(0)),
    Change("another play in the place of one in another file", {AGAIN: [on(3, ts=NOON + 6 * DAY)]}, days(0, 3, 6)),
    Change("its file is emptied", {AGAIN: []}, days(3, 6)),
    Change("bad records", {"log_data/d.json": [{"page": "NextSong"}]}, set(), ("--on-bad-line", "quarantine")),
    Change("the last millisecond of a day", {AGAIN: [on(8, ts=NOON + 7 * DAY + DAY // 2 - 1)]}, days(7)),
    Change("the first of the next", {AGAIN: [on(8, ts=NOON + 7 * DAY + DAY // 2)]}, days(7, 8)),
)


def live_through(warehouse: Warehouse, story: Sequence[Change]) -> None:
    """Load change by change: each touches its days, nothing changes on another, and days add up over the loads."""
    all_touched: list[set[date]] = []
    after = plays_and_times(warehouse)
    for change in story:
        before = after
        for path, records in change.written.items():
            warehouse.write(path, records)
        warehouse.etl(*change.flags)
        expected: list[date | None] = [*sorted(change.touches)]
        assert recorded(warehouse)[len(all_touched) + 1] == (expected or [None]), change.name
        after = plays_and_times(warehouse)
        assert changed_days(before, after) <= change.touches, change.name
        all_touched.append(change.touches)
    assert recorded(warehouse).keys() == set(range(1, len(story) + 1))
    numbers = range(len(story) + 1)
    assert since(warehouse, *numbers) == [set[date]().union(*all_touched[number:]) for number in numbers]


@pytest.mark.parametrize("engine", ["duckdb", "postgres", "redshift"])
def test_p180_every_kind_of_load_records_its_days(make: Make, tmp_path: Path, engine: str) -> None:
    """Late, corrected, repeated and forgotten records: the days before and the days after. A rebuild is every day."""
    warehouse = make(tmp_path / "w", engine)
    assert since(warehouse, 0) == [set()]
    live_through(warehouse, STORY)
    last = len(STORY)
    warehouse.remove(LOG)
    warehouse.etl("--forget", str(warehouse.root / LOG))
    assert since(warehouse, last) == [days(0, 3)]
    warehouse.etl("--rebuild", "--yes")
    assert recorded(warehouse) == {}
    assert since(warehouse, 0, last, last + 1, last + 2) == [None, None, None, set()]
    warehouse.write(LOG, [on(9)])
    warehouse.etl()
    assert since(warehouse, last + 1, last + 2) == [None, days(9)]


@pytest.mark.parametrize("left_out", ["touched_times", "present_times"])
def test_without_the_days_before_or_after_the_story_goes_wrong(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, left_out: str
) -> None:
    """Both are needed: the test above was seen failing without each."""
    narrowed = queries.RECORD_TOUCHED_DAYS.replace(f"FROM {left_out}", f"FROM {left_out} WHERE 1 = 0")
    assert narrowed != queries.RECORD_TOUCHED_DAYS
    monkeypatch.setattr(queries, "RECORD_TOUCHED_DAYS", narrowed)
    with pytest.raises(AssertionError):
        live_through(warehouse, STORY)


@settings(max_examples=10)
@given(world=worlds(), most_files=st.sampled_from([1, 2, 20000]), forgotten=st.integers(0, 5))
def test_p180_no_row_changes_on_a_day_that_is_not_recorded(
    empty_database: Path, world: World, most_files: int, forgotten: int
) -> None:
    """Random histories, cut into loads in any way, with a file forgotten at the end: of songplays and of time, the rows
    of all other days are those that they were."""
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Warehouse(Path(folder).resolve()).create(empty_database)
        warehouse.configure(ETL={"MAX_LOAD_FILES": most_files}, DUCKDB={"THREADS": 1})

        def load(*flags: str) -> None:
            before, last = plays_and_times(warehouse), warehouse.value("SELECT COALESCE(MAX(load_id), 0) FROM loads")
            warehouse.etl(*flags)
            [touched] = since(warehouse, last)
            assert touched is not None
            assert changed_days(before, plays_and_times(warehouse)) <= touched

        for step in world.steps:
            warehouse.apply(step)
            load()
        seen = sorted(world.contents_seen(world.last))
        path = warehouse.root / seen[forgotten % len(seen)]
        path.unlink(missing_ok=True)
        load("--forget", str(path))


# ----------------------------------------------------------------------------------------- when it is not known


@pytest.fixture
def loaded(warehouse: Warehouse) -> Warehouse:
    """A warehouse with two loads of a play each."""
    for number, path in enumerate((LOG, MORE)):
        warehouse.write(path, [on(number)])
        warehouse.etl()
    return warehouse


def test_a_load_that_fails_records_nothing(loaded: Warehouse) -> None:
    """Neither a row of the load that was rolled back, nor one that is gone."""
    before = recorded(loaded)
    loaded.write(AGAIN, [on(4), {"page": "NextSong"}])
    failure(loaded)
    assert recorded(loaded) == before == {1: [day(0)], 2: [day(1)]}
    assert since(loaded, 2) == [set()]


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_p151_a_warehouse_of_0_2_0_gets_the_table(make: Make, tmp_path: Path, engine: str) -> None:
    """It keeps its rows and its mark. etl.py names the command at once; the days of earlier loads stay unknown."""
    warehouse = make(tmp_path / "w", engine)
    warehouse.write(LOG, [on(0)])
    warehouse.etl()
    warehouse.rows("DROP TABLE touched_days")
    warehouse.rows("UPDATE dwh_warehouse SET schema_version = 1, made_by = 'sparkify-warehouse 0.2.0'")
    [(made_at,)] = warehouse.rows("SELECT made_at FROM dwh_warehouse")
    warehouse.write(MORE, [on(1)])
    refused = failure(warehouse)
    assert "was made by an earlier version of this suite" in refused.message
    assert list(refused.hint) == ["python create_tables.py"]
    assert warehouse.call("create_tables", "--json").json["changes"] == ["+ touched_days"]
    assert warehouse.rows("SELECT schema_version, made_at FROM dwh_warehouse") == [(2, made_at)]
    warehouse.etl()
    assert recorded(warehouse) == {2: [day(1)]}
    assert since(warehouse, 0, 1, 2) == [None, days(1), set()]


@pytest.mark.parametrize("load_id", [-1, 3, 99])
def test_a_load_that_is_not_there_is_not_known(loaded: Warehouse, load_id: int) -> None:
    """An export of another warehouse, or of one that was made again, is of no load that is known here."""
    assert since(loaded, load_id) == [None]


def test_a_gap_in_the_loads_is_not_known(loaded: Warehouse) -> None:
    """A load that was removed by hand may have touched any day."""
    loaded.write(AGAIN, [on(2)])
    loaded.etl()
    assert since(loaded, 1) == [days(1, 2)]
    loaded.rows("DELETE FROM loads WHERE load_id = 2")
    assert since(loaded, 1, 2) == [None, None]


def test_a_star_table_that_was_made_again_is_not_known(loaded: Warehouse) -> None:
    """It is empty until the next load rebuilds the star, though no load came in between."""
    loaded.rows("DROP TABLE songplays")
    loaded.call("create_tables")
    assert since(loaded, 1, 2) == [None, None]
    loaded.etl()
    assert since(loaded, 2, 3) == [None, set()]


def test_the_numbers_of_a_rebuild_are_not_taken_from_an_earlier_load(loaded: Warehouse) -> None:
    """Rows that another load of that number left, when `loads` was made again by hand, do not count for a rebuild."""
    loaded.etl("--rebuild", "--yes")
    loaded.rows("INSERT INTO touched_days VALUES (3, DATE '2018-11-02')")
    assert since(loaded, 2) == [None]


def test_recreate_starts_again(loaded: Warehouse) -> None:
    """Load numbers begin again and the days with them; the mark of the warehouse tells that it is another one."""
    made_at = loaded.value("SELECT made_at FROM dwh_warehouse")
    loaded.call("create_tables", "--recreate", "--yes")
    assert recorded(loaded) == {}
    loaded.etl()
    assert recorded(loaded) == {1: [day(0), day(1)]}
    assert loaded.value("SELECT made_at FROM dwh_warehouse") > made_at


def test_a_rebuild_clears_what_was_damaged(loaded: Warehouse) -> None:
    """The fix that sql_validate.py names works: all rows go, and the next load has its own."""
    loaded.rows("INSERT INTO touched_days VALUES (77, DATE '1970-01-01')")
    only = ("--only", "touched_days")
    assert loaded.run("sql_validate", *only).code == 1
    loaded.etl("--rebuild", "--yes")
    assert (loaded.run("sql_validate", *only).code, recorded(loaded)) == (0, {})
