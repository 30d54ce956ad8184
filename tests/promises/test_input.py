"""P30 to P49: for any input, each record is in the star or named; nothing is lost, nothing breaks the suite.

The named files, one for each kind of bad input, are in tests/test_bad_records.py. Here is what is left: that every
message says where, that an engine which refuses what looks good costs no more than the file it is in, and a fuzzer.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from checker import check
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from postgres_server import PostgresWarehouse, Server
from test_bad_records import BAD_LINE, between
from warehouse import Warehouse, event, lines, song

from dwh.spool import records
from dwh.spool.care import needs_care
from dwh.terminal.errors import DataError
from promises.mutations import Damaged, damaged_files
from promises.seed import SEED
from star import refusals as star_refusals


def member(text: bytes) -> bytes:
    """Return an event that has one more member, before all others."""
    return b"{" + text + b", " + lines([event(sessionId=3)]).strip()[1:]


# The same on every engine, in a small file and in one with bad neighbours.
TAKEN = {
    "our key, with an escape in it": member(b'"\\u0064wh_file_id": 1'),
    "our key, with another escape": member(b'"dwh\\u005Freason": "x"'),
    "our key beside what only DuckDB takes for JSON": member(b'"dwh_record_number": 1, "x": [1, 2]'),
    "our key in an object of theirs": member(b'"x": {"dwh_file_id": 1}'),
    "our key and its name in a text": lines([event(sessionId=3, song='"dwh_file_id": 7', dwh_reason="x")]).strip(),
    "a carriage return between two values": lines([event(sessionId=3)]).strip().replace(b", ", b",\r ", 1),
}
REFUSED = {
    "a NUL in the name of a key": member(b'"a\\u0000": 1'),
    "a NUL within an array": member(b'"x": ["\\u0000"]'),
    "a NUL within an object of ours": member(b'"location": {"a": "\\u0000"}'),
    "a lone surrogate in the name of a key": member(b'"\\udc00": 1'),
}


@pytest.fixture(params=["duckdb", "postgres"])
def engine(request: pytest.FixtureRequest, warehouse: Warehouse, tmp_path: Path) -> Warehouse:
    """An empty warehouse, on DuckDB and on PostgreSQL."""
    if request.param == "duckdb":
        return warehouse
    return PostgresWarehouse(tmp_path / "p", server=request.getfixturevalue("postgres_server")).create()


@pytest.mark.parametrize("name", TAKEN)
def test_p42_odd_keys_and_blanks_are_taken(engine: Warehouse, name: str) -> None:
    """Keys of our own making never steer a load, however they are written; blanks of JSON are blanks."""
    engine.write("log_data/a.json", [event(sessionId=8)])
    engine.write("log_data/case.json", between(TAKEN[name]))
    engine.etl()
    check(engine)


def test_p42_what_only_duckdb_takes_for_json_may_stand_beside_our_keys(warehouse: Warehouse) -> None:
    """A key of our making beside a number that JSON does not know: no crash, and the record is kept as without it."""
    warehouse.write("log_data/case.json", between(member(b'"dwh_file_id": 9, "x": {"a": -inf}')))
    assert warehouse.etl()["rows"]["songplays"] == 3


def test_p44_a_number_of_5000_digits_is_no_matter_where_nobody_asks_for_it(warehouse: Warehouse) -> None:
    """Python refuses to convert it, and need not, also where the file is read record by record."""
    warehouse.write("log_data/case.json", between(member(b'"x": ' + b"9" * 5000)) + BAD_LINE)
    warehouse.etl("--on-bad-line", "quarantine")
    assert [line for line, *_ in warehouse.rejected()["log_data/case.json"]] == [4]


@pytest.mark.parametrize("name", REFUSED)
def test_p36_what_no_engine_can_store_is_refused_on_all(engine: Warehouse, name: str) -> None:
    """What one engine would take and another not is refused by us, with line and column."""
    engine.write("log_data/case.json", between(REFUSED[name]))
    with pytest.raises(DataError, match=r"case\.json line 2$") as raised:
        engine.etl()
    assert "column" in raised.value.evidence[0]


# ------------------------------------------------------------------------------- the engine refuses what we find good


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the careful reader blind for a key that stands twice, which DuckDB refuses."""
    rules = star_refusals.record_rules

    def without_keys(*, lenient: bool) -> Any:
        return {kind: strict._replace(keys=frozenset()) for kind, strict in rules(lenient=lenient).items()}

    monkeypatch.setattr(records, "_write_values", lambda *_: None)  # the engine reads the text as it stands
    monkeypatch.setattr(star_refusals, "record_rules", without_keys)


TWICE = lines([event()]).strip()[:-1] + b', "page": "Home"}'


@pytest.mark.usefixtures("blind")
def test_p49_a_file_that_only_the_engine_refuses_is_named(warehouse: Warehouse) -> None:
    """Under stop the file is named, with the engine's words; nothing is stored."""
    for n in range(7):
        warehouse.write(f"log_data/{n}.json", [event(sessionId=n)])
    path = warehouse.write("log_data/4.json", between(TWICE))
    with pytest.raises(DataError) as raised:
        warehouse.etl()
    assert str(path) in raised.value.message
    assert 'duplicate key "page"' in raised.value.evidence[0]
    assert set(map(len, warehouse.dump().values())) == {0}


@pytest.mark.usefixtures("blind")
@pytest.mark.parametrize("bad", [{0}, {6}, {2, 3, 5}, set(range(7))], ids=str)
def test_p49_files_that_only_the_engine_refuses_are_set_aside(warehouse: Warehouse, bad: set[int]) -> None:
    """Under quarantine they are rejected, each as a whole, and all the others are in the star."""
    for n in range(7):
        warehouse.write(f"log_data/{n}.json", between(TWICE) if n in bad else [event(sessionId=n)])
    warehouse.write("song_data/a.json", [song()])
    found = warehouse.etl("--on-bad-line", "quarantine")
    assert found["files"]["rejected"] == len(bad)
    check(warehouse, {f"log_data/{n}.json": b"" for n in bad})
    assert all("duplicate key" in reason for rows in warehouse.rejected().values() for _, reason, _ in rows)


def test_p49_a_file_that_goes_while_it_is_searched_is_left_out(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that vanishes after the engine refused it is left for the next run."""
    path = warehouse.write("log_data/a.json", b'{"page": "Home", "ts": 1 /* so */}')
    warehouse.write("log_data/b.json", [event()])

    def vanish(*args: Any) -> bool:
        path.unlink(missing_ok=True)
        return needs_care(*args)

    monkeypatch.setattr(star_refusals, "needs_care", vanish)
    assert warehouse.etl()["rows"]["songplays"] == 1
    check(warehouse)


# ----------------------------------------------------------------------------------------------------------- the fuzzer

Make = Callable[[Path], Warehouse]


@pytest.fixture(scope="module")
def make(empty_database: Path) -> Make:
    """Make an empty warehouse on DuckDB in a folder."""
    return lambda folder: Warehouse(folder).create(empty_database)


@pytest.fixture(scope="module")
def make_on_postgres(postgres_server: Server) -> Make:
    """Make an empty warehouse on PostgreSQL in a folder; its schema is emptied for the next."""
    made: list[PostgresWarehouse] = []

    def warehouse(folder: Path) -> Warehouse:
        if not made:
            made.append(PostgresWarehouse(folder, server=postgres_server).create())
            return made[0]
        made[0].root, made[0].versions = folder, {}
        made[0].__post_init__()
        made[0].call("create_tables", "--recreate", "--yes")
        return made[0]

    return warehouse


Rows = dict[str, list[Any]]


def rows_of(warehouse: Warehouse) -> Rows:
    """Give what staging and rejected_lines hold of each file, without order."""
    found: Rows = {}
    for table in ("staging_events", "staging_songs", "rejected_lines"):
        for path, *row in warehouse.rows(
            f"SELECT f.path, f.status, s.* FROM {table} AS s JOIN loaded_files AS f ON f.file_id = s.file_id"
        ):
            row[1] = table  # file_id, which depends on the order of loading
            found.setdefault(os.path.relpath(path, warehouse.root), []).append(repr(row))
    return {path: sorted(rows) for path, rows in found.items()}


def survive(make: Make, files: list[Damaged]) -> None:
    """Load files, under stop and under quarantine, and see that each record is in the star or named."""
    with tempfile.TemporaryDirectory() as folder:
        warehouse = make(Path(folder).resolve() / "one")
        warehouse.configure(CHECKS={"MAX_REJECTED": 10**9}, DUCKDB={"PATH": "warehouse.duckdb", "THREADS": 1})
        named = {file.path.replace("case", f"{n:03}"): file.data for n, file in enumerate(files)}
        for path, data in named.items():
            warehouse.write(path, data)
        stopped = stop(warehouse)
        after = warehouse.etl("--on-bad-line", "quarantine")
        assert stopped == bool(after["rows"]["rejected_lines"])
        assert warehouse.call("sql_validate", "--json").json["ok"]
        alone = rows_of(warehouse)

        # what a file gives does not depend on what else is in it: with a bad line at its end it is read carefully
        warehouse = make(Path(folder).resolve() / "two")
        plain = {path: data for path, data in named.items() if not path.endswith(".gz") and BAD_LINE not in data}
        for path, data in plain.items():
            warehouse.write(path, data + b"\n" + BAD_LINE + b"\n")
        warehouse.etl("--on-bad-line", "quarantine")
        beside = rows_of(warehouse)
        for path in plain:
            one = [row for row in alone.get(path, []) if "'rejected'" not in row]
            two = [row for row in beside[path] if "oops" not in row and "'rejected'" not in row]
            assert one == two, path


def stop(warehouse: Warehouse) -> bool:
    """Load under stop: a bad record ends it in the documented way. Tells whether there was one."""
    try:
        warehouse.etl()
    except DataError as error:
        assert str(warehouse.root) in error.message
        assert re.search(r" line \d+$| cannot be read$", error.message), error.message
        assert (
            warehouse.value("SELECT COUNT(*) FROM loads") == warehouse.value("SELECT COUNT(*) FROM loaded_files") == 0
        )
        return True
    return False


@seed(SEED)
@settings(max_examples=5)
@given(files=st.lists(damaged_files(), min_size=20, max_size=20))
def test_p49_whatever_comes_is_loaded_or_named(make: Make, files: list[Damaged]) -> None:
    """A hundred damaged files, twenty at once."""
    survive(make, files)


@pytest.mark.promises
@seed(SEED)
@settings(max_examples=40)
@given(files=st.lists(damaged_files(), min_size=40, max_size=40))
def test_p49_whatever_comes_is_loaded_or_named_long(make: Make, files: list[Damaged]) -> None:
    """Thousands of damaged files."""
    survive(make, files)


@pytest.mark.promises
@seed(SEED)
@settings(max_examples=4)
@given(files=st.lists(damaged_files(large=True), min_size=6, max_size=6))
def test_p49_whatever_comes_in_large_files_is_loaded_or_named(make: Make, files: list[Damaged]) -> None:
    """Damage at the end of files that the engine reads by itself."""
    survive(make, files)


@pytest.mark.promises
@seed(SEED)
@settings(max_examples=12)
@given(files=st.lists(damaged_files(), min_size=20, max_size=20))
def test_p49_whatever_comes_is_loaded_or_named_on_postgres(make_on_postgres: Make, files: list[Damaged]) -> None:
    """Damaged files on PostgreSQL."""
    survive(make_on_postgres, files)
