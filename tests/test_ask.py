"""ask.py: a question gives rows, on every engine alike, and changes nothing whatever it is."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from postgres_server import Make
from sqlfluff.core import FluffConfig, Linter
from test_sql_text import DENIED
from warehouse import NOON, Warehouse, event, plays, song

import ask
from dwh.questions import Question, read_question, read_questions
from dwh.terminal.errors import ConfigError, EnvironmentFailure
from star.report.pictures import RETENTION

ENGINES = ("duckdb", "postgres", "redshift")
QUESTIONS = read_questions(ask.QUESTIONS)
WEEK = 7 * 24 * 3600 * 1000


def fill(warehouse: Warehouse) -> Warehouse:
    """Load plays of two users in two weeks, of songs that are known, half known and not known."""
    warehouse.write("song_data/a.json", [song(), song("S2", title="Hyperballad")])
    later = [event(ts=NOON + WEEK + n, userId="9", sessionId=7, itemInSession=n, level="paid") for n in range(3)]
    others = [
        event(song="Unknown", itemInSession=20, ts=NOON + 20),
        event(artist="Nobody", itemInSession=21, ts=NOON + 21, length=None),
        event(song="No", artist="No", itemInSession=22, ts=NOON + WEEK, level="paid", userId="8"),
        event(userId="", itemInSession=23, sessionId=8, ts=NOON + 23),
        event(song=None, itemInSession=24, ts=NOON + 24),
    ]
    warehouse.write("log_data/a.json", [*plays(4), *later, *others])
    warehouse.etl()
    return warehouse


def test_the_question_of_the_report_is_the_question_that_is_asked() -> None:
    """The page shows a query that runs as it stands, the file one with a parameter; otherwise it is one text."""
    asked = (ask.QUESTIONS / "retention.sql").read_text()
    statement = asked[asked.index("WITH") :].replace("CAST(:weeks AS INTEGER) * 7", "84")
    assert RETENTION.sql.strip() == statement.strip()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Warehouse:
    """A loaded warehouse; tests must not change it."""
    return fill(Warehouse(tmp_path_factory.mktemp("ask")).create(empty_database))


@pytest.fixture(scope="module", params=ENGINES)
def on_engine(request: pytest.FixtureRequest, small: Warehouse, make: Make, tmp_path_factory: Any) -> Warehouse:
    """The same, once on every engine."""
    if request.param == "duckdb":
        return small
    return fill(make(tmp_path_factory.mktemp("ask") / "w", request.param))


def rows(warehouse: Warehouse, *argv: str) -> list[dict[str, Any]]:
    """Ask, and give the rows of --json."""
    found = warehouse.call("ask", "--json", *argv).json["rows"]
    assert isinstance(found, list)
    return found


# ------------------------------------------------------------------------------------------------ named questions


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=list(QUESTIONS))
def test_p171_a_named_question_gives_the_same_rows_everywhere(
    question: Question, on_engine: Warehouse, small: Warehouse
) -> None:
    """Each question of questions/ finds rows, and every engine gives those of DuckDB, in the same order."""
    found = rows(on_engine, question.name)
    assert found
    if on_engine is not small and question.name != "latest-arrivals":  # which names the folder of a warehouse
        assert found == rows(small, question.name)


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=list(QUESTIONS))
def test_a_named_question_is_portable_sql(question: Question) -> None:
    """Its words end with ?, its parameters are declared and used, Redshift's grammar takes it, and it uses nothing that
    differs between engines."""
    assert re.match(r"[A-Z].*\?", question.words)
    used = set(re.findall(r":([a-z_]+)", question.sql))
    assert used == {parameter.name for parameter in question.parameters}
    sql, values = question.bind({})
    assert "%" not in sql.replace("%s", "")
    assert len(values) == sql.count("%s")
    linter = Linter(config=FluffConfig(overrides={"dialect": "redshift"}))
    assert not linter.parse_string(sql.replace("%s", "1") + ";\n").violations
    text = re.sub(r"'[^']*'", "''", sql)
    assert {found: why for found, why in DENIED.items() if re.search(found, text, re.IGNORECASE)} == {}
    for order in re.findall(r"ORDER BY\s+(.*?)(?:\n\s*\)|\nLIMIT|\n\s*LIMIT|\Z)", sql, re.DOTALL):
        for column in re.split(r",\s+(?![^(]*\))", order.strip()):
            assert re.search(r"NULLS (FIRST|LAST)$", column) or column == "f.load_id DESC", column


def test_a_parameter_is_bound(small: Warehouse) -> None:
    """A value given by its flag decides; SQL in it stays a value, and one of another type is refused."""
    assert [row["plays"] for row in rows(small, "top-songs", "--days", "1")] == [3, 1]
    assert len(rows(small, "top-songs", "--top", "1")) == 1
    assert [row["user_id"] for row in rows(small, "user-levels", "--user", "9")] == [9]
    for value in ("1; DROP TABLE users", "1 OR 1=1", "x", "1e3", "9" * 19):
        with pytest.raises(ConfigError, match="a whole number is expected"):
            small.call("ask", "user-levels", "--user", value)


def test_text_and_days_are_bound_too(tmp_path: Path) -> None:
    """A parameter may be text or a day; where one stands twice, its value is bound twice."""
    file = tmp_path / "top-songs.sql"
    file.write_text(
        "-- Which plays?\n-- :top text = Undo   the title\n-- :days date = 2018-11-02   from then on\n"
        "SELECT :top, :days WHERE title = :top\n"
    )
    question = read_question(file)
    assert (question.name, question.words) == ("top-songs", "Which plays?")
    sql, values = question.bind({"top": "'; DROP"})
    assert sql == "SELECT %s, %s WHERE title = %s"
    assert values == ["'; DROP", date(2018, 11, 2), "'; DROP"]
    with pytest.raises(ConfigError, match="a day such as"):
        question.bind({"days": "yesterday"})


def test_questions_are_listed(small: Warehouse) -> None:
    """--list names every question with its words and its parameters, for people and with --json."""
    shown = small.call("ask", "--list").out
    assert all(question.name in shown and question.words in shown for question in QUESTIONS.values())
    listed = small.call("ask", "--list", "--json").json["questions"]
    assert [(each["name"], len(each["parameters"])) for each in listed] == [
        (name, len(question.parameters)) for name, question in QUESTIONS.items()
    ]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("top-song",), "there is no question top-song"),
        (("top-songs", "--user", "1"), "top-songs has no --user"),
        (("--user", "1", "SELECT 1"), "--user is a parameter of named questions only"),
        (("SELECT 1", "-f", "x.sql"), "a question and -f"),
        (("-f", "no.sql"), "no.sql cannot be read"),
        (("SELECT 1", "--csv", "--json"), "only one of"),
        (("SELECT 1", "--limit", "-1"), "--limit -1: a whole number"),
    ],
)
def test_what_is_asked_wrongly_is_refused(small: Warehouse, argv: tuple[str, ...], said: str) -> None:
    """A call that means nothing, or two things, is a wrong call."""
    with pytest.raises(ConfigError, match=re.escape(said)):
        small.call("ask", *argv)


# ------------------------------------------------------------------------------------------------- nothing changes


REFUSED = {
    "three statements": "SELECT 1; COMMIT; DROP TABLE users",
    "two questions": "SELECT 1; SELECT 2",
    "a delete": "DELETE FROM users",
    "a delete in a WITH": "WITH x AS (DELETE FROM users RETURNING user_id) SELECT * FROM x",
    "an insert in a WITH": "WITH x AS (INSERT INTO time (start_time) SELECT start_time FROM time RETURNING hour) "
    "SELECT * FROM x",
    "COPY": "COPY users TO '/tmp/never-written.csv'",
    "COPY of a query": "COPY (SELECT 1) TO '/tmp/never-written.csv'",
    "a table": "CREATE TABLE stolen AS SELECT * FROM users",
    "a temporary table": "CREATE TEMP TABLE stolen AS SELECT * FROM users",
    "a setting": "SET TimeZone = 'Asia/Tokyo'",
    "a transaction": "BEGIN",
    "nothing": "  -- nothing\n",
    "no SQL": "SELECT * FRM users WHERE (",
    "no such table": "SELECT * FROM usrs",
    "no such column": "SELECT nosuch FROM users",
    "a value that is none": "SELECT CAST('x' AS INTEGER)",
}
OF_ENGINE = {
    "duckdb": {
        "ATTACH": "ATTACH '/tmp/never-written.duckdb' AS other",
        "a file": "SELECT * FROM read_csv('/etc/passwd')",
        "a file by its name": "SELECT * FROM '/etc/passwd.csv'",
        "text of a file": "SELECT content FROM read_text('/etc/hostname')",
        "names of files": "SELECT * FROM glob('/etc/*')",
        "an extension": "INSTALL httpfs",
        "the lock": "SET enable_external_access = true",
        "a time with a zone": "SELECT now()",
    },
    "postgres": {
        "a lock": "SELECT * FROM users FOR UPDATE",
        "INTO": "SELECT * INTO stolen FROM users",
        "a file": "SELECT pg_read_file('/etc/hostname')",
        "a session": "SELECT pg_terminate_backend(1)",
        "a program": "DO $$ BEGIN DELETE FROM users; END $$",
        "hidden in a text": "SELECT $a$ ' $a$; DROP TABLE users; SELECT ' '",
        "a delete within": "SELECT * FROM (WITH x AS (DELETE FROM users RETURNING user_id) SELECT * FROM x) AS y",
    },
    "redshift": {
        "UNLOAD": "UNLOAD ('SELECT 1') TO 's3://b/p' IAM_ROLE default",
        "a quote": r"SELECT '\'; DROP TABLE users",
    },
}


def engine_of(warehouse: Warehouse) -> str:
    """Name the engine of a warehouse."""
    return next((name for name in ENGINES[1:] if f"ENGINE = {name}" in warehouse.config.read_text()), "duckdb")


def test_p170_a_question_changes_nothing(on_engine: Warehouse) -> None:
    """Whatever is not one SELECT ends with 2, and every table, and the schema, is as it was."""
    before = on_engine.star()
    for name, sql in {**REFUSED, **OF_ENGINE[engine_of(on_engine)]}.items():
        with pytest.raises(ConfigError) as refused:
            on_engine.call("ask", sql)
        assert refused.value.hint, name
    assert on_engine.star() == before
    with pytest.raises(ConfigError):
        on_engine.call("ask", "SELECT * FROM stolen")
    assert not Path("/tmp/never-written.csv").exists()


def test_p170_the_server_refuses_what_the_parser_lets_through(make: Make, tmp_path: Path, monkeypatch: Any) -> None:
    """On PostgreSQL every transaction of the session is read only, also one that begins after a COMMIT."""
    monkeypatch.setattr("dwh.engines.libpq.require_one_select", lambda _sql, _dialect: None)
    warehouse = make(tmp_path / "w", "postgres")
    for sql in ("SELECT 1; COMMIT; DROP TABLE users", "SELECT nextval('s')", "SELECT 1; DELETE FROM loads"):
        with pytest.raises(ConfigError):
            warehouse.call("ask", sql)
    assert warehouse.value("SELECT COUNT(*) FROM users") == 0


def test_a_percent_sign_and_a_colon_are_text(on_engine: Warehouse) -> None:
    """SQL of one's own has no parameters."""
    sql = "SELECT COUNT(*) AS n FROM users WHERE first_name LIKE 'A%' AND last_name <> ':days %s ?'"
    assert rows(on_engine, sql) == [{"n": 2}]


# --------------------------------------------------------------------------------------------------- how it is shown

ODD = "SELECT 'a' || chr(27) || '[31m' AS evil, NULL AS nothing, 2 AS n, 3 AS n, 'é' AS last, 1.5 AS half, TRUE AS yes"


def test_a_table_is_fitted_to_the_terminal(small: Warehouse) -> None:
    """On a terminal long texts are cut to its width, numbers never; control characters are spelt out."""
    sql = f"SELECT repeat('long ', 40) AS words, 123456789 AS number, chr(27) || '[31m' AS evil /* {'x' * 9} */"
    shown = small.run_on_terminal("ask", sql, env={"COLUMNS": "60"}).out
    table = [line for line in shown.splitlines() if "123456789" in line]
    assert len(table) == 1
    assert len(table[0]) <= 60
    assert "…" in table[0]
    assert r"\x1b[31m" in shown
    assert "\x1b[31m" not in shown
    sql = "SELECT repeat('long ', 9) AS words, 123456789 AS a, 223456789 AS b, 323456789 AS c, repeat('x', 9) AS x"
    narrow = small.run_on_terminal("ask", sql, env={"COLUMNS": "44"}).out
    assert all(number in narrow for number in ("123456789", "223456789", "323456789"))
    numbers = ", ".join(f"{number}23456789 AS n{number}" for number in range(1, 9))
    tall = small.run_on_terminal("ask", f"SELECT {numbers}, 'x' AS word", env={"COLUMNS": "60"}).out.splitlines()
    assert [line.split() for line in tall if "23456789" in line] == [[f"n{n}", f"{n}23456789"] for n in range(1, 9)]
    sql = f"SELECT repeat('long ', 40) AS words /* {'x' * 9} */"
    wide = small.call("ask", sql).out
    assert ("long " * 40).rstrip() + "\n" in wide


def test_a_table_is_ascii_where_stdout_is(small: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that knows ASCII only gets no box characters."""
    from dwh.answers import Cut, write_table
    from dwh.seam import Answer

    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    write_table(Answer({"a": "BIGINT"}, iter(())), Cut(iter([(1,)]), 0), stream)
    stream.seek(0)
    assert stream.read() == "+-+\n|a|\n|-|\n|1|\n+-+\n"


def test_csv_and_json_hold_the_values(small: Warehouse) -> None:
    """CSV is as the values are, JSON keeps numbers numbers; a name that stands twice is numbered."""
    done = small.call("ask", "--csv", ODD)
    assert done.out == "evil,nothing,n,n_2,last,half,yes\na\x1b[31m,,2,3,é,1.5,true\n"
    shown = small.call("ask", "--json", ODD).json
    assert shown["rows"] == [
        {"evil": "a\x1b[31m", "nothing": None, "n": 2, "n_2": 3, "last": "é", "half": 1.5, "yes": True}
    ]
    assert [column["name"] for column in shown["columns"]] == ["evil", "nothing", "n", "n_2", "last", "half", "yes"]
    assert rows(small, "SELECT 'nan'::DOUBLE AS a, [1, 2] AS b, {'k': 1} AS c, 'x'::BLOB AS d") == [
        {"a": None, "b": [1, 2], "c": {"k": 1}, "d": "78"}
    ]


def test_parquet_holds_the_values(on_engine: Warehouse, tmp_path: Path) -> None:
    """A Parquet file has the columns with their types, and the rows in their order; it replaces only Parquet."""
    file = tmp_path / "plays.parquet"
    sql = "SELECT start_time, title, user_id, duration FROM songplays ORDER BY start_time, item_in_session"
    for limit, expected in (("0", 12), ("5", 5)):
        on_engine.call("ask", sql, "--parquet", str(file), "--limit", limit)
        with duckdb.connect() as reader:
            found = reader.execute("SELECT * FROM read_parquet(?)", [str(file)])
            assert [str(column[1]) for column in found.description or ()] == [
                "TIMESTAMP",
                "VARCHAR",
                "BIGINT",
                "DOUBLE",
            ]
            assert found.fetchall() == on_engine.rows(sql)[:expected]
    on_engine.call("ask", "SELECT user_id FROM users WHERE user_id < 0", "--parquet", str(file))
    with duckdb.connect() as reader:
        assert reader.execute("SELECT COUNT(*) FROM read_parquet(?)", [str(file)]).fetchone() == (0,)
    if engine_of(on_engine) == "duckdb":
        on_engine.call("ask", "SELECT range AS n FROM range(300000)", "--parquet", str(file))
        with duckdb.connect() as reader:
            found = reader.execute("SELECT n FROM read_parquet(?)", [str(file)])
            assert found.fetchall() == [(n,) for n in range(300000)]
    other = tmp_path / "letter.txt"
    other.write_text("Dear")
    for target in (other, tmp_path / "no" / "x.parquet"):
        with pytest.raises(ConfigError):
            on_engine.call("ask", "SELECT 1", "--parquet", str(target))
    assert other.read_text() == "Dear"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letter.txt", "plays.parquet"]


@pytest.mark.parametrize("how", [(), ("--csv",), ("--json",)])
def test_a_limit_says_that_it_cuts(on_engine: Warehouse, how: tuple[str, ...]) -> None:
    """--limit writes so many rows, and says so when there are more; as many as there are is no cut."""
    sql = "SELECT user_id FROM users ORDER BY user_id"
    for limit, cut in (("1", True), ("2", False), ("0", False)):
        done = on_engine.call("ask", sql, *how, "--limit", limit)
        assert ("there are more rows" in done.err) is cut
        if how == ("--json",):
            assert (done.json["cut"], len(done.json["rows"])) == (cut, 1 if cut else 2)


def test_a_table_has_100_rows_and_files_all(small: Warehouse) -> None:
    """Without --limit a table is cut at 100 rows and says so, CSV has them all; more than one batch comes whole."""
    done = small.call("ask", "SELECT range AS n FROM range(2500)")
    assert len(done.out.splitlines()) == 102
    assert "there are more rows than 100" in done.err
    assert len(small.call("ask", "--csv", "SELECT range AS n FROM range(2500)").out.splitlines()) == 2501


def test_more_than_one_batch_comes_whole(make: Make, tmp_path: Path) -> None:
    """PostgreSQL sends the rows of a cursor batch by batch: none is lost, none twice."""
    warehouse = make(tmp_path / "w", "postgres")
    for number in (999, 1000, 1001, 2500):
        found = rows(warehouse, f"SELECT n FROM generate_series(1, {number}) AS s(n)")
        assert [row["n"] for row in found] == list(range(1, number + 1))


def test_sql_comes_from_a_file_and_from_stdin(small: Warehouse, tmp_path: Path, monkeypatch: Any) -> None:
    """-f FILE, -f - and stdin are the same."""
    file = tmp_path / "q.sql"
    file.write_bytes("\ufeffSELECT 'é' AS e;\n-- the end".encode())
    stdin = io.TextIOWrapper(io.BytesIO(file.read_bytes()))
    assert rows(small, "-f", str(file)) == [{"e": "é"}]
    monkeypatch.setattr("sys.stdin", stdin)
    assert rows(small) == [{"e": "é"}]
    stdin.seek(0)
    assert rows(small, "-f", "-") == [{"e": "é"}]


def test_ctrl_c_ends_a_question(small: Warehouse) -> None:
    """A question that would take days is cancelled: 130."""
    endless = "SELECT COUNT(*) FROM range(1000000000000000) AS r(n) WHERE n % 3 = 1"
    done = small.run_on_terminal("ask", endless, typed="\x03", wait_for="duckdb")
    assert done.code == 130
    assert "interrupted" not in done.out
    assert "stopped before the end" in done.out


def test_a_warehouse_without_tables_is_named(bare: Warehouse) -> None:
    """A named question needs the tables: that is no fault of the question."""
    bare.call("conn_start")
    with pytest.raises(EnvironmentFailure, match="does not exist"):
        bare.call("ask", "top-songs")


def test_json_has_one_object_also_on_failure(small: Warehouse) -> None:
    """A query that is refused gives one object and exit code 2."""
    done = small.run("ask", "--json", "DELETE FROM users")
    assert (done.code, done.json["error"]["kind"]) == (2, "usage")
    assert json.loads(done.out)["ok"] is False


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the terminal of whoever runs the tests is like says nothing."""
    monkeypatch.delenv("COLUMNS", raising=False)
    yield
