"""Programs of others read the lake by the lines of docs/how-to/read-the-lake.md, and find the rows of the warehouse."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import duckdb
import moto_s3
import pytest
from doc_pages import blocks
from reference_star import in_order
from test_export_iceberg import Killed, export, load, on_day, pins_of
from warehouse import REPO, STAR_COLUMNS, WATCHDOG, Warehouse, event, song

from dwh.lake.iceberg.folder import FolderStore

PAGE = (REPO / "docs/how-to/read-the-lake.md").read_text(encoding="utf-8")
REQUIREMENTS = REPO / "requirements-readers.txt"
SAMPLE = ("--events", "1000", "--days", "40")  # two months
MIDDLE = "2018-11-15T12:00:00"  # amid the days of a file, so that wrong bounds lose rows
KEPT = 9  # exports: more than a test makes
SNAPSHOT, TAG = "7771646004926238342", "export-7"  # what the page pins
PACKAGES = {"ClickHouse": "chdb", "DuckDB": "duckdb", "Polars": "polars", "pandas": "pandas", "pyiceberg": "pyiceberg"}
# Values that readers have been seen to take for others, each in a file of its own.
ODD = [
    event(sessionId=900, song="quote ' \" \\ \t \n 日本 🎵", artist=None, length=None, location=" "),
    event(sessionId=901, userId="", firstName=None, lastName=None, gender=None, level=None, length=0.1 + 0.2),
    event(sessionId=2**53 + 1, userId=str(2**62 + 1), song="NULL", artist="nan", userAgent=""),
    event(sessionId=903, ts=1543622400000 - 1, itemInSession=1),  # the last millisecond of November
    event(sessionId=903, ts=1543622400000, itemInSession=2),
]
ODD_SONGS = [song("S8", artist_id="A8", year=0, artist_latitude=None, artist_longitude=-0.0, artist_location=None)]


class Line(NamedTuple):
    """A row of a table of the page: the line of a program, and who has run it."""

    line: str
    who: str


def lines_of(heading: str) -> dict[str, Line]:
    """Give the lines below a heading of the page, by program."""
    [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return {program: Line(*rest) for program, *rest in re.findall(r"^\| (\w+) \| `(.+?)` \| (.+) \|$", section, re.M)}


NOW, PINNED = lines_of("All plays"), lines_of("All five tables of one export")
BY_TEST = [program for program, line in NOW.items() if line.who.startswith("a test")]
every_program = pytest.mark.parametrize("program", BY_TEST)


def test_the_page_names_the_versions_that_are_tested() -> None:
    """And no other program is said to be tested; for each one there is a line, and for most a line that pins."""
    pins = dict(line.split("==") for line in REQUIREMENTS.read_text("utf-8").splitlines() if "==" in line)
    assert list(NOW) == ["DuckDB", "Polars", "pandas", "pyiceberg", "ClickHouse", *list(NOW)[5:]]
    assert {"Spark", "Trino", "Athena", "Redshift", "Snowflake"} == set(NOW) - set(BY_TEST)
    assert [program for program in NOW if program not in PINNED] == ["Redshift"]
    for lines in (NOW, PINNED):
        for program, line in lines.items():
            version = pins[PACKAGES[program]] if program in BY_TEST else ""
            named = "chdb " if program == "ClickHouse" else ""
            assert line.who == (f"a test, with {named}{version}" if version else "nobody yet")


# ----------------------------------------------------------------------------------------------------------- programs


@pytest.fixture(scope="session")
def readers() -> Path:
    """The Python that has the programs of others; without it the tests fail, and say how it is made."""
    folder = Path(os.environ.get("SPARKIFY_READERS_VENV") or REPO / ".venv-readers")
    script = 'here=$1 venv=$2; . "$here/setup_venv.sh"; wheels=$3; venv_stamp "$3"'
    stamp = subprocess.run(
        ["sh", "-c", script, "sh", REPO, folder, REQUIREMENTS.name], capture_output=True, encoding="utf-8", check=True
    )
    made = folder / f"{REQUIREMENTS.name}.stamp"
    if not made.is_file() or made.read_text("utf-8") != stamp.stdout:
        pytest.fail(f"{folder} has not the packages of {REQUIREMENTS.name}\n  try: ./run_tests.sh --slow {__file__}")
    return folder / "bin" / "python"


class Reader(NamedTuple):
    """A program, in a folder that holds a lake."""

    python: Path
    program: str
    folder: Path

    def read(
        self, lines: Mapping[str, str], environment: Mapping[str, str] | None = None, before: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Run lines in a process of its own, in another zone than UTC; gives what each of them found."""
        since = {name: MIDDLE for name in lines if name.split()[0] in ("songplays", "time")}
        asked = {"program": self.program, "lines": lines, "since": since, "before": before}
        done = subprocess.run(
            [self.python, "-W", "ignore", REPO / "tests/lake/foreign_reader.py"],
            cwd=self.folder,
            env={**os.environ, **(environment or {}), "TZ": "Asia/Kolkata", "PYTHONPATH": ""},
            input=json.dumps(asked),
            capture_output=True,
            encoding="utf-8",
            timeout=WATCHDOG,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert isinstance(found, dict)
        return found

    def lines(self, export: int | None = None) -> dict[str, str]:
        """Give the line of every table, of now or of one export, each under the name of its table (and export)."""
        if export is None:
            return {table: NOW[self.program].line.replace("songplays", table) for table in STAR_COLUMNS}
        pins = pins_of(self.folder / "lake")
        of_export = {pins["export"]: {table: about["pin"] for table, about in pins["tables"].items()}}
        of_export |= {kept["export"]: kept["tables"] for kept in pins["kept"]}
        found = {}
        for table, pin in of_export[export].items():
            line = PINNED[self.program].line.replace("songplays", table)
            assert SNAPSHOT in line or TAG in line
            line = line.replace(SNAPSHOT, str(pin["snapshot"])).replace(f'"{TAG}"', f'"export-{export}"')
            found[f"{table} of {export}"] = line
        return found


def content(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Give what a program should find of a table."""
    found: dict[str, Any] = {"columns": list(columns), "rows": in_order([tuple(map(plain, row)) for row in rows])}
    since = None
    if "start_time" in columns:
        place = found["columns"].index("start_time")
        since = len([row for row in rows if row[place] >= datetime.fromisoformat(MIDDLE)])
    return {**found, "count": len(rows), "since": since}


def plain(value: Any) -> Any:
    """Give a value as JSON has it."""
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value


def star_of(warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    """Give what a program should find of each table, as the warehouse is now."""
    found = {}
    with duckdb.connect(str(warehouse.database), read_only=True) as connection:
        for table in STAR_COLUMNS:
            query = connection.execute(f"SELECT * FROM {table}")
            found[table] = content([column[0] for column in query.description], query.fetchall())
    return found


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Say where the answers differ from what was expected, the first rows of each in words."""
    wrong = []
    for name, wanted in expected.items():
        answer = found[name]
        if "error" in answer:
            wrong.append(f"{name}: {answer['error']}")
            continue
        got = {**answer, "rows": in_order([tuple(row) for row in answer["rows"]])}
        for key in wanted:
            if got[key] != wanted[key]:
                both = zip(got[key], wanted[key], strict=False) if key == "rows" else [(got[key], wanted[key])]
                wrong.append(f"{name}: {key}: {next(((a, b) for a, b in both if a != b), 'another number of rows')}")
    return wrong


# -------------------------------------------------------------------------------------------------------- the promises

NEW_COLUMNS = {  # as CONTRIBUTING.md says: a line of the table, and the same name in what chooses its rows
    "Day of the week. 0 is Sunday, 6 is Saturday. e.g. 6\n": "minute  INTEGER NOT NULL  Minute of the hour. e.g. 22\n",
    "AS INTEGER) AS weekday": ",\n    CAST(EXTRACT(MINUTE FROM start_time) AS INTEGER) AS minute",
    "finds its song by it. NULL when not known. e.g. The Copper Teapots\n": "decade  BIGINT  The decade. e.g. 2000\n",
    "SELECT song_id, title, artist_id, year, duration, artist_name": ", year - year % 10",
}


@pytest.fixture
def later_suite(tmp_path: Path) -> Path:
    """A copy of the scripts whose star has two columns more, one in a table by month, one in a table that is whole."""
    folder = tmp_path / "later"
    folder.mkdir()
    for path in REPO.glob("*.py"):
        shutil.copy(path, folder)
    for room in ("dwh", "star"):
        shutil.copytree(REPO / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / "sql_queries.py").read_text("utf-8")
    for before, added in NEW_COLUMNS.items():
        assert text.count(before) == 1, before
        text = text.replace(before, before + added)
    (folder / "sql_queries.py").write_text(text, "utf-8")
    return folder


def fill(warehouse: Warehouse) -> Warehouse:
    """Load a sample of two months, and what is odd; as many exports stay as there will be."""
    importlib.import_module("make_sample").main(["-q", str(warehouse.root), *SAMPLE])
    warehouse.write("log_data/odd.json", ODD)
    warehouse.write("song_data/odd.json", ODD_SONGS)
    warehouse.configure(LAKE={"KEEP": KEPT})
    return load(warehouse)


def states(warehouse: Warehouse, later_suite: Path) -> Iterator[str]:
    """Make the lake at one place what it is after each of these, and say which."""

    def run(*scripts: str) -> None:
        for script in scripts:
            done = warehouse.run(script, command=warehouse.command(script, scripts=later_suite))
            assert done.code == 0, done.err

    export(fill(warehouse))
    yield "the first export"
    for number, day in enumerate((50, 3)):  # a new month, and a late play
        warehouse.write(f"log_data/more{number}.json", [on_day(day, day)])
        warehouse.etl()
        export(warehouse)
    yield "three exports"
    run("create_tables", "etl", "export_lake")
    yield "an added column"
    warehouse.configure(LAKE={"KEEP": 1})
    warehouse.write("log_data/last.json", [on_day(51, 51)])
    run("etl", "export_lake")
    yield "an expiry"


@every_program
def test_p185_each_program_finds_the_rows_of_the_warehouse(
    program: str, readers: Path, warehouse: Warehouse, later_suite: Path
) -> None:
    """At one path after the first export, three, an added column and an expiry; of every export that stays."""
    reader = Reader(readers, program, warehouse.root)
    stars: dict[int, dict[str, dict[str, Any]]] = {}
    seen = []
    for state in states(warehouse, later_suite):
        pins = pins_of(warehouse.root / "lake")
        stars[pins["export"]] = star_of(warehouse)
        kept = sorted([pins["export"], *(older["export"] for older in pins["kept"])])
        lines, expected = reader.lines(), dict(stars[pins["export"]])
        for number in kept:
            lines |= reader.lines(number)
            if number in stars:
                expected |= {f"{table} of {number}": wanted for table, wanted in stars[number].items()}
        assert differences(reader.read(lines), expected) == [], state
        seen.append((state, kept))
    assert [kept for _, kept in seen] == [[1], [1, 2, 3], [1, 2, 3, 4], [5]]
    assert {column for number in (3, 4) for column in stars[number]["songs"]["columns"]} >= {"decade"}
    assert "minute" in stars[4]["time"]["columns"] and "minute" not in stars[3]["time"]["columns"]


@every_program
def test_p186_a_program_that_names_an_export_reads_no_other(program: str, readers: Path, warehouse: Warehouse) -> None:
    """While the next export is half committed, and after it; of one that is gone it finds its rows or an error."""
    export(fill(warehouse))
    old = star_of(warehouse)
    reader = Reader(readers, program, warehouse.root)
    pinned = reader.lines(1)
    before = {f"{table} of 1": wanted for table, wanted in old.items()}
    warehouse.write("log_data/more.json", [on_day(50, 50, userId="77", lastName="New")])
    warehouse.etl()
    new = star_of(warehouse)
    create = FolderStore.create

    def stop_at_plays(store: FolderStore, path: str, data: bytes) -> bool:
        if path.startswith("songplays/"):
            raise Killed
        return create(store, path, data)

    with patch.object(FolderStore, "create", stop_at_plays), pytest.raises(Killed):
        export(warehouse)
    now = reader.read({**reader.lines(), **pinned})
    assert differences(now, before) == []
    assert differences(now, {"users": new["users"], "songplays": old["songplays"]}) == [], "a mix, as the page says"
    warehouse.configure(LAKE={"KEEP": 1})
    number = export(warehouse)["export"]
    after = reader.read({**reader.lines(number), **pinned})
    assert differences(after, {f"{table} of {number}": wanted for table, wanted in new.items()}) == []
    assert [table for table in ("users", "time", "songplays") if "error" not in after[f"{table} of 1"]] == []
    assert differences(after, {name: rows for name, rows in before.items() if "error" not in after[name]}) == []


@every_program
def test_p185_in_s3_too(program: str, readers: Path, warehouse: Warehouse, tmp_path: Path) -> None:
    """The lines of the page with a place in S3; its address and keys are named, because it is not that of AWS."""
    with moto_s3.serving() as endpoint:
        place = {"Bucket": "lake", "CreateBucketConfiguration": {"LocationConstraint": moto_s3.REGION}}
        moto_s3.client(endpoint).create_bucket(**place)
        keys = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_REGION": moto_s3.REGION}
        done = fill(warehouse).run("export_lake", "--to", "s3://lake/a", env={**keys, "AWS_ENDPOINT_URL": endpoint})
        assert done.code == 0, done.err
        reader = Reader(readers, program, tmp_path)
        host = endpoint.removeprefix("http://")
        secret = f"KEY_ID 'tests', SECRET 'tests', ENDPOINT '{host}', USE_SSL false, URL_STYLE 'path'"
        named = {
            "DuckDB": ("'lake/", "'s3://lake/a/"),
            "ClickHouse": (r"icebergLocal\('lake/(\w+)'", rf"icebergS3('{endpoint}/lake/a/\1', 'tests', 'tests'"),
            "Polars": (r'"lake/(\w+)"', rf'"s3://lake/a/\1", storage_options={{"s3.endpoint": "{endpoint}"}}'),
        }.get(program, (r'"lake/(\w+)"', rf'"s3://lake/a/\1", {{"s3.endpoint": "{endpoint}"}}'))
        lines = {table: re.sub(*named, line) for table, line in reader.lines().items()}
        found = reader.read(lines, keys, [f"CREATE SECRET (TYPE s3, {secret})"])
    assert differences(found, star_of(warehouse)) == []


WITHOUT_ICEBERG = {
    "sql": """
connection = duckdb.connect()
connection.execute(code[: code.index("SELECT date_trunc")])
rows = connection.execute("FROM read_parquet(getvariable('plays'))").fetchall()
""",
    "python": """
names = {}
exec(code, names)
plays = names["plays"].astype(object)
rows = plays.where(plays.notna(), None).values.tolist()
""",
}


@pytest.mark.parametrize("language", WITHOUT_ICEBERG)
def test_p187_without_iceberg_the_current_files_are_those_of_export_json(
    language: str, readers: Path, warehouse: Warehouse
) -> None:
    """By the two ways of the page; all that lies there is more than that, as the page warns."""
    export(fill(warehouse))
    warehouse.write("log_data/more.json", [on_day(3, 3)])
    warehouse.etl()
    export(warehouse)
    plays = [tuple(row) for row in star_of(warehouse)["songplays"]["rows"]]
    there = [str(path) for path in (warehouse.root / "lake/songplays/data").iterdir()]
    [(everything,)] = duckdb.execute("SELECT COUNT(*) FROM read_parquet($there)", {"there": there}).fetchall()
    assert everything > len(plays)
    [block] = blocks(PAGE[PAGE.index("## Without Iceberg") :], language)
    program = f"import duckdb, json, sys\ncode = sys.stdin.read()\n{WITHOUT_ICEBERG[language]}\n"
    program += "print(json.dumps([[*row[:1], row[1].isoformat(timespec='microseconds'), *row[2:]] for row in rows]))"
    done = subprocess.run(
        [readers, "-W", "ignore", "-c", program],
        cwd=warehouse.root, input=block.text, capture_output=True, encoding="utf-8", timeout=WATCHDOG, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert in_order([tuple(row) for row in json.loads(done.stdout)]) == plays
