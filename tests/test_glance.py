"""Two tables are compared by a digest of each row first. Whatever differs between them, the digest sees it too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from postgres_server import Make
from warehouse import NOON, Warehouse, event, song

import sql_queries as q
from dwh.checks.declarations import SameRows
from dwh.engines.choose import open_engine
from dwh.ownership.tables import columns_of
from dwh.seam import Session
from dwh.settings.config import load_config
from star.checks import CHECKS
from star.checks.comparison import SAME_ROWS

LATER = 9999 * 3_600_000  # milliseconds: another hour, day, week, month, year and weekday
ONE, ANOTHER = (
    {"artist": "A", "song": "T", "length": 100.5, "firstName": "F", "lastName": "L", "gender": "F", "level": "free",
     "location": "Here", "userAgent": "U", "userId": "7", "sessionId": 1, "itemInSession": 1, "ts": NOON},
    {"artist": "B", "song": "X", "length": 200.25, "firstName": "G", "lastName": "M", "gender": "M", "level": "paid",
     "location": "There", "userAgent": "V", "userId": "8", "sessionId": 2, "itemInSession": 3, "ts": NOON + LATER},
)  # fmt: skip
SONGS = (
    song("S1", artist_id="A1", title="T", artist_name="A", duration=100.5, year=1999, artist_location="Rome",
         artist_latitude=1.5, artist_longitude=2.5),
    song("S2", artist_id="A2", title="X", artist_name="B", duration=200.25, year=2001, artist_location="Oslo",
         artist_latitude=3.5, artist_longitude=4.5),
)  # fmt: skip
ENGINES = ["duckdb", "postgres"]


@pytest.fixture(params=ENGINES)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, make: Make) -> Warehouse:
    """A star of two rows in each table, which differ in every column, on an engine that has a digest."""
    made = make(tmp_path / "w", request.param)
    made.write("song_data/a.json", list(SONGS))
    made.write("log_data/a.json", [event(**ONE), event(**ANOTHER)])
    made.etl()
    return made


@pytest.fixture
def session(warehouse: Warehouse) -> Iterator[Session]:
    """A connection to it."""
    engine = open_engine(load_config(str(warehouse.config), {}, {}))
    with closing(engine.connect(lambda _trace: None)) as opened:
        yield opened


def changes(table: str) -> Iterator[tuple[str, ...]]:
    """Statements that change a copy of a table: in one column of one row or all, in two rows, in their number."""
    kinds = columns_of(q.STAR[table])
    key = next(iter(kinds))
    first, last = (f"(SELECT {end}({key}) FROM {table})" for end in ("MIN", "MAX"))
    again = f"INSERT INTO other SELECT * FROM {table} WHERE {key} = {first}"
    gone = f"DELETE FROM other WHERE {key} = {last}"
    yield from (("DELETE FROM other",), (again,), (gone,), (again, gone), (again, again, gone))
    for name, kind in kinds.items():
        yield (f"UPDATE other SET {name} = NULL WHERE {key} = {first}",)
        yield (f"UPDATE other SET {name} = {another_value(kind)}",)
        if name != key:  # the two rows swap their values
            of_the_other = f"SELECT {name} FROM {table} AS t WHERE t.{key} <> other.{key}"
            yield (f"UPDATE other SET {name} = ({of_the_other})",)
        if kind.startswith("BIGINT"):
            yield (f"UPDATE other SET {name} = {name} + 4294967296",)
    for one, two in zip(kinds, list(kinds)[1:], strict=False):
        if kinds[one].split()[0] == kinds[two].split()[0]:
            yield (f"UPDATE other SET {one} = {two}, {two} = {one}",)


def nothing_like_null(kind: str) -> str:
    """The value of a type that is most like none."""
    return {"VARCHAR": "''", "TIMESTAMP": "TIMESTAMP '1970-01-01'"}.get(kind.partition("(")[0].split()[0], "0")


def another_value(kind: str) -> str:
    """A value of a type that no row has."""
    return {"VARCHAR": "'other'", "TIMESTAMP": "TIMESTAMP '1999-01-01'"}.get(kind.partition("(")[0].split()[0], "77")


@pytest.mark.parametrize("by", ["digest", "key"])
@pytest.mark.parametrize("table", q.STAR)
def test_p247_a_glance_sees_every_change(session: Session, table: str, by: str) -> None:
    """None of them leaves the answer as it was, and a copy in another order is the same."""
    columns = SAME_ROWS[table].columns
    assert columns == tuple(columns_of(q.STAR[table]))
    session.execute(f"CREATE TEMP TABLE kept AS SELECT {', '.join(columns)} FROM {table}")
    session.execute("CREATE TEMP TABLE other AS SELECT * FROM kept")
    glance = SAME_ROWS[table]._replace(table="kept", other="other")
    same = glance.glance(session.row_digest if by == "digest" else "")
    tried = 0

    def try_it(change: tuple[str, ...]) -> None:
        session.execute("DELETE FROM other")
        session.execute(f"INSERT INTO other SELECT * FROM kept ORDER BY {columns[0]} DESC")
        assert session.rows(same) == [(0,)]
        for statement in change:
            session.execute(statement)
        rows = [Counter(session.rows(f"SELECT * FROM {name}")) for name in ("kept", "other")]
        assert rows[0] != rows[1], f"it changes nothing: {change}"
        assert session.rows(same)[0][0] > 0, change

    for change in changes(table):
        try_it(change)
        tried += 1
    for name, kind in list(columns_of(q.STAR[table]).items())[1:]:
        session.execute(f"UPDATE kept SET {name} = NULL")
        try_it((f"UPDATE other SET {name} = {nothing_like_null(kind)}",))
        tried += 1
    assert tried > 4 * len(columns)


@pytest.mark.parametrize("table", q.STAR)
def test_what_is_chosen_again_has_the_types_of_the_star(session: Session, table: str) -> None:
    """A number of another type has another digest: each comparison would then take the slow way."""
    with session.transaction():
        for statement in CHECKS[-1].needs:
            session.execute(statement)
        compared = [
            check.glance for check in CHECKS if isinstance(check.glance, SameRows) and check.needs == CHECKS[-1].needs
        ]
        (same,) = (one for one in compared if one.other == table)
        assert session.rows(same.glance(session.row_digest)) == [(0,)]


@pytest.mark.parametrize("engine", [*ENGINES, "redshift"])
def test_only_an_engine_without_a_digest_joins_every_row(tmp_path: Path, make: Make, engine: str) -> None:
    """On a sound warehouse the statements that name the difference are not run; a difference is named on each."""
    warehouse = make(tmp_path / "w", engine)
    warehouse.write("song_data/a.json", list(SONGS))
    warehouse.write("log_data/a.json", [event(**ONE), event(**ANOTHER)])
    warehouse.etl()
    log = tmp_path / "log"
    warehouse.call("sql_validate", "--log-file", str(log))
    sound = log.read_text()
    assert "chosen_songplays" in sound
    for named in ("missing from songplays", "missing from time"):
        assert (named in sound) == (engine == "redshift")
    assert "missing from the star" not in sound
    assert ("FULL JOIN songplays" in sound) == (engine == "redshift")
    warehouse.rows("UPDATE songplays SET duration = 1 WHERE session_id = 1 RETURNING 1")
    done = warehouse.run("sql_validate", "--json", "--only", "songplays: the rows")
    (check,) = done.json["checks"]
    assert check["status"] == "fail"
    assert {row["difference"] for row in check["sample"]} == {"missing from the star", "not from staging"}
