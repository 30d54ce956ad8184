"""Pieces of a table: the files that every engine writes of some days are the rows of those days, and no others."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import pytest
from postgres_server import Make
from redshift.warehouse_on_redshift import WORK, RedshiftWarehouse
from warehouse import NOON, Warehouse, event

from dwh.engines.choose import open_engine
from dwh.engines.duckdb import parquet
from dwh.engines.redshift import unload
from dwh.lake.bounds import Bounds, days_of, find_bounds
from dwh.seam import Extract, Piece, Session, Trace, Written
from dwh.settings.config import load_config
from dwh.terminal import signals
from dwh.terminal.errors import EnvironmentFailure, Interrupted

ENGINES = ("duckdb", "postgres", "redshift")
DAY = 86_400_000  # milliseconds
MIDNIGHT = NOON - DAY // 2
COLUMNS = ("songplay_id", "start_time", "user_id", "level", "session_id", "item_in_session", "title", "duration")
# One number is left out, as after a column that was dropped: a field id is no position.
FIELD_IDS = {column: number for number, column in enumerate(COLUMNS, 3)}
PLAYS = Extract(
    "songplays",
    f"SELECT {', '.join(COLUMNS)} FROM songplays",
    ("level",),  # which a piece takes no notice of
    ("start_time", "songplay_id"),
    FIELD_IDS,
)
USERS = Extract("users", "SELECT user_id, first_name, last_seen FROM users", (), ("user_id",))
# Days since 2018-11-02 and milliseconds of each play: the first and the last of a day, two at once, a leap day.
TIMES = [(0, 0), (0, DAY - 1), (1, 0), (1, 5), (28, 7), (29, 7), (30, 7), (30, 7), (484, 123)]
EVENTS = [
    event(
        ts=MIDNIGHT + day * DAY + after,
        sessionId=number,
        level=("free", "paid")[number % 2],
        song=f"it's 100% \n{number}",
        length=number or None,
    )
    for number, (day, after) in enumerate(TIMES)
]
PIECES = [
    Piece("one", (date(2018, 11, 2), date(2018, 11, 2))),
    Piece("one-more", (date(2018, 11, 3), date(2018, 11, 30))),
    Piece("none", (date(2018, 12, 20), date(2019, 1, 31))),
    Piece("2018-12", (date(2018, 12, 1), date(2018, 12, 19))),
    Piece("2020", (date(2020, 1, 1), date(2020, 2, 29))),
]
ROWS_OF = {"one": 2, "one-more": 3, "none": 0, "2018-12": 3, "2020": 1}


@dataclass
class Place:
    """A session of a warehouse, and where its pieces go; `star` is what the lake has to hold, and `traces` every
    statement that ran."""

    session: Session
    warehouse: Warehouse
    folder: Path
    star: Mapping[str, list[tuple[Any, ...]]]
    traces: list[Trace]

    @property
    def target(self) -> str:
        """Where an engine is told to write."""
        if isinstance(self.warehouse, RedshiftWarehouse):
            return f"s3://{WORK}/it's 50%/{self.folder.parent.name}"
        return str(self.folder)

    def write(self, extract: Extract, *pieces: Piece) -> dict[str, list[Written]]:
        """Write pieces, and give their files by name; then all that lies there is in the folder."""
        written = list(self.session.write_pieces(extract, pieces, self.target))
        assert [piece for piece, _ in written] == list(pieces)
        if isinstance(self.warehouse, RedshiftWarehouse):
            client, prefix = self.warehouse.place.client(), self.target.removeprefix(f"s3://{WORK}/") + "/"
            for item in client.list_objects_v2(Bucket=WORK, Prefix=prefix).get("Contents", ()):
                path = self.folder / item["Key"].removeprefix(prefix)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(client.get_object(Bucket=WORK, Key=item["Key"])["Body"].read())
        return {piece.name: files for piece, files in written}

    def rows(self, files: Sequence[Written]) -> list[tuple[Any, ...]]:
        """Read files in the order in which they were written, each from its first row to its last."""
        found = []
        for file in files:
            query = "FROM read_parquet(?, hive_partitioning = false)"
            rows = duckdb.execute(query, [str(self.folder / file.path)]).fetchall()
            assert len(rows) == file.rows
            found += rows
        return found


@contextmanager
def place_of(warehouse: Warehouse, folder: Path) -> Iterator[Place]:
    """Connect to a warehouse for the block."""
    # by a connection of the test's own, which DuckDB lets in only before
    star = {
        extract.table: warehouse.rows(f"{extract.query} ORDER BY {', '.join(extract.order_by)}")
        for extract in (PLAYS, USERS)
    }
    environment: Mapping[str, str] = warehouse.place.environment if isinstance(warehouse, RedshiftWarehouse) else {}
    traces: list[Trace] = []
    with patch.dict(os.environ, environment):
        engine = open_engine(load_config(str(warehouse.config), {}, {}))
        with closing(engine.connect(traces.append)) as session:
            yield Place(session, warehouse, folder, star, traces)


@pytest.fixture(scope="module", params=ENGINES)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, make: Make) -> Warehouse:
    """Plays of four months, once on every engine: the tests change nothing."""
    warehouse = make(tmp_path_factory.mktemp("pieces") / "w", request.param)
    warehouse.write("log_data/case.json", EVENTS)
    warehouse.etl()
    return warehouse


@pytest.fixture
def place(loaded: Warehouse, tmp_path: Path) -> Iterator[Place]:
    """A session, and a place of the test's own for the pieces."""
    with place_of(loaded, tmp_path / "data") as place:
        yield place


def test_the_pieces_are_the_table(place: Place) -> None:
    """Piece after piece gives every row once, sorted, each value as it was; a piece without rows has no file."""
    written = place.write(PLAYS, *PIECES)
    files = [file for found in written.values() for file in found]
    assert place.rows(files) == place.star["songplays"]
    assert {name: sum(file.rows for file in found) for name, found in written.items()} == ROWS_OF
    assert written["none"] == []
    assert sorted(file.path for file in files) == sorted(os.listdir(place.folder))
    end = ".000.parquet" if isinstance(place.warehouse, RedshiftWarehouse) else "-00000.parquet"
    assert [file.path for file in files] == [name + end for name, rows in ROWS_OF.items() if rows]


def test_some_pieces_are_their_rows(place: Place) -> None:
    """In any order, also with days between them, and when the name of one begins another's; no piece is no file."""
    some = [PIECES[4], PIECES[1], PIECES[0]]
    written = place.write(PLAYS, *some)
    for piece in some:
        assert piece.days
        expected = [row for row in place.star["songplays"] if piece.days[0] <= row[1].date() <= piece.days[1]]
        assert len(expected) == ROWS_OF[piece.name]
        assert place.rows(written[piece.name]) == expected
    assert place.write(PLAYS) == {}
    assert find_bounds(place.session, PLAYS, [], ["start_time"]) == []


def test_a_piece_of_no_days_is_the_whole_table(place: Place) -> None:
    """Of any table, in the order that its extract says."""
    for extract in (PLAYS, USERS):
        [[file]] = place.write(extract, Piece(f"all-{extract.table}", None)).values()
        assert place.rows([file]) == place.star[extract.table]


def test_a_table_without_rows_has_no_file(place: Place) -> None:
    """Whether days are named or not; nor has it days, or bounds."""
    empty = PLAYS._replace(query=f"{PLAYS.query} WHERE user_id = 0")
    for pieces in ([Piece("all", None)], PIECES[:2]):
        assert place.write(empty, *pieces) == {piece.name: [] for piece in pieces}
        assert find_bounds(place.session, empty, pieces, ["start_time"]) == [Bounds(0, {}) for _ in pieces]
    assert not place.folder.exists() or os.listdir(place.folder) == []
    assert days_of(place.session, empty) == []


def schema_of(path: Path) -> dict[str, tuple[int | None, str | None]]:
    """Give field id and logical type of each column of a file."""
    query = "SELECT name, field_id, logical_type FROM parquet_schema(?) WHERE type IS NOT NULL"
    return {name: (number, kind) for name, number, kind in duckdb.execute(query, [str(path)]).fetchall()}


def test_times_are_no_instants_and_columns_have_their_ids(place: Place) -> None:
    """Microseconds, not adjusted to UTC. Redshift writes no ids; the other engines write those of the extract."""
    for extract in (PLAYS, PLAYS._replace(field_ids={})):
        [[file]] = place.write(extract, PIECES[0]._replace(name=f"{len(extract.field_ids)}-ids")).values()
        schema = schema_of(place.folder / file.path)
        kind = str(schema["start_time"][1])
        assert "isAdjustedToUTC=0" in kind
        assert "MICROS=Micro" in kind
        expected = {} if isinstance(place.warehouse, RedshiftWarehouse) else extract.field_ids
        assert {name: number for name, (number, _) in schema.items()} == {name: expected.get(name) for name in COLUMNS}


def test_days_and_bounds_are_those_of_the_rows(place: Place) -> None:
    """How many rows each day has, and between which values those of a piece lie; a column of NULLs has no bounds."""
    counted = Counter(row[1].date() for row in place.star["songplays"])
    assert days_of(place.session, PLAYS) == sorted(counted.items())
    columns = ["start_time", "duration", "item_in_session"]
    found = find_bounds(place.session, PLAYS, [PIECES[1], PIECES[4], PIECES[2]], columns)
    first, last = datetime(2018, 11, 3), datetime(2020, 2, 29, 0, 0, 0, 123000)
    assert found == [
        Bounds(
            3, {"start_time": (first, first + timedelta(27, 0, 7000)), "duration": (2, 4), "item_in_session": (0, 0)}
        ),
        Bounds(1, {"start_time": (last, last), "duration": (8, 8), "item_in_session": (0, 0)}),
        Bounds(0, {}),
    ]
    whole = find_bounds(place.session, PLAYS, [Piece("all", None)], ["start_time"])
    assert whole == [Bounds(9, {"start_time": (datetime(2018, 11, 2), last)})]
    nothing = PLAYS._replace(query="SELECT start_time, NULLIF(item_in_session, 0) AS place FROM songplays")
    assert find_bounds(place.session, nothing, PIECES[:1], ["place"]) == [Bounds(2, {})]


def test_many_rows_become_files_of_whole_days(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """No day is in two files, a day larger than a file is one; together they are sorted. Redshift cuts by bytes."""
    monkeypatch.setattr(parquet, "FILE_ROWS", 2)
    [files] = place.write(PLAYS, Piece("all", (date(2018, 11, 1), date(2020, 12, 31)))).values()
    assert place.rows(files) == place.star["songplays"]
    if isinstance(place.warehouse, RedshiftWarehouse):
        assert [file.rows for file in files] == [9]
        return
    assert [file.rows for file in files] == [2, 2, 2, 2, 1]  # 2018-11-30 and the day after share the third
    assert [file.path for file in files] == [f"all-{number:05}.parquet" for number in range(5)]


def test_a_piece_sees_what_its_transaction_sees(place: Place) -> None:
    """A change that was not committed yet is written."""
    for piece, rows in ((PIECES[0], 1), (PIECES[0]._replace(name="after"), 2)):
        with suppress(ZeroDivisionError), place.session.transaction():
            if rows == 1:
                place.session.execute("DELETE FROM songplays WHERE session_id = %s", (0,))
            [[file]] = place.write(PLAYS, piece).values()
            assert file.rows == rows
            raise ZeroDivisionError


# ------------------------------------------------------------------------------------------------------ what it costs


@pytest.mark.parametrize("loaded", ["duckdb", "postgres"], indirect=True)
def test_the_same_rows_give_the_same_bytes(loaded: Warehouse, tmp_path: Path) -> None:
    """Written again, and by another number of threads, a piece is the same file."""
    contents: list[dict[str, bytes]] = []
    for threads in (2, 2, 1):
        loaded.configure(DUCKDB={"THREADS": threads})
        with place_of(loaded, tmp_path / str(len(contents))) as place:
            place.write(PLAYS, *PIECES)
            contents.append({path.name: path.read_bytes() for path in place.folder.iterdir()})
    loaded.configure()
    assert len(contents[0]) == 4
    assert contents[0] == contents[1] == contents[2]


@pytest.mark.parametrize("loaded", ["postgres"], indirect=True)
def test_only_the_days_of_the_pieces_leave_postgresql_and_once(place: Place) -> None:
    """One COPY, however many pieces, of their rows: not one of the days between."""
    again = PIECES[4]._replace(name="again")
    for pieces, rows in ((PIECES, 9), ([PIECES[0], PIECES[3]], 5), ([PIECES[2]], 0), ([PIECES[4], again], 1)):
        place.traces.clear()
        place.write(PLAYS, *pieces)
        assert [trace.rows for trace in place.traces if trace.sql.endswith("ENCODING 'UTF8')")] == [rows]


@pytest.mark.parametrize("loaded", ["redshift"], indirect=True)
def test_a_piece_is_one_unload_on_redshift(place: Place) -> None:
    """One statement, and one that asks how many rows it wrote; the manifests are gone."""
    place.traces.clear()
    place.write(PLAYS, *PIECES)
    assert [trace.sql.split(" ")[0] for trace in place.traces] == ["UNLOAD", "SELECT"] * len(PIECES)
    assert [name for name in os.listdir(place.folder) if not name.endswith(".parquet")] == []


@pytest.mark.parametrize("loaded", ["redshift"], indirect=True)
def test_a_manifest_without_entries_is_no_success(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows were written, but their files are not known."""
    monkeypatch.setattr(unload, "_take", lambda *_where: b'{"entries": null}')
    with pytest.raises(EnvironmentFailure, match="UNLOAD of songplays wrote 2 rows, its manifest lists 0"):
        place.write(PLAYS, PIECES[0])


@pytest.mark.parametrize("loaded", ["duckdb", "postgres"], indirect=True)
def test_a_place_that_cannot_be_written_is_named(place: Place) -> None:
    """A file where the folder should be."""
    place.folder.write_text("")
    with pytest.raises(EnvironmentFailure, match=r"one-00000\.parquet cannot be read or written"):
        place.write(PLAYS, PIECES[0])


DAYS = [Piece(f"day-{day}", (date(2018, 11, day), date(2018, 11, day))) for day in range(1, 31)]


def only_where_days_are_written_at_once(place: Place) -> None:
    """Redshift writes each day by a statement of its own session."""
    if isinstance(place.warehouse, RedshiftWarehouse):
        pytest.skip("Redshift writes one piece after the other")
    place.folder.mkdir()


def test_nothing_is_written_any_more_once_days_are_given_up(place: Place) -> None:
    """Of the days that are written at the same time no thread is left when the first is enough."""
    only_where_days_are_written_at_once(place)
    before = threading.active_count()
    with closing(place.session.write_pieces(PLAYS, DAYS, place.target)) as written:
        next(written)
        assert threading.active_count() > before
    assert threading.active_count() == before


def test_a_day_that_cannot_be_written_is_named(place: Place) -> None:
    """The days before it are given, and it is told as one file alone would be."""
    only_where_days_are_written_at_once(place)
    (place.folder / "day-3-00000.parquet").mkdir()
    with closing(place.session.write_pieces(PLAYS, DAYS, place.target)) as written:
        assert [next(written)[0].name for _ in range(2)] == ["day-1", "day-2"]
        with pytest.raises(EnvironmentFailure, match=r"day-3-00000\.parquet cannot be read or written"):
            next(written)


def test_a_stop_ends_all_days_at_once(place: Place) -> None:
    """Ctrl-C while days are written calls off those that wait, and raises once those that run have ended."""
    only_where_days_are_written_at_once(place)
    before = threading.active_count()
    with closing(place.session.write_pieces(PLAYS, DAYS, place.target)) as written:
        next(written)
        with patch.object(signals, "_received", [signal.SIGINT]), pytest.raises(Interrupted):
            next(written)
    assert threading.active_count() == before
