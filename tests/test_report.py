"""report.py: the numbers of the page are those of the data, and the page is safe, private, stable and readable."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from PIL import Image
from postgres_server import Make, PostgresWarehouse, Server
from warehouse import NOON, REPO, STAR_COLUMNS, WATCHDOG, Warehouse, event, plays, song

import report
from dwh.ownership.marks import in_words
from dwh.script import begin
from dwh.terminal.errors import ConfigError, EnvironmentFailure
from star.checks import CHECKS, choose_quick
from star.dictionary import tooltip
from star.report import charts as report_charts
from star.report import pictures as report_pictures
from star.report.queries import ENGINE, LATEST_LOAD, PREPARED, QUERIES

DAY = 86_400_000  # milliseconds
DRAWN = {
    "Plays by day", "Hour and weekday", "Top songs", "Top artists", "Plays by state", "Level changes",
    "Weekly retention",
}  # fmt: skip
VOID = {"meta", "link", "br", "img", "input", "hr"}
LINKING = {"href", "src", "srcset", "data", "action", "xlink:href", "poster", "background"}


@dataclass
class Page(HTMLParser):
    """A report as a browser takes it apart: its elements, what they say, and each table with the words before it."""

    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._section = ""
        self._cells: list[list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self._section = found["id"]
        elif tag == "table":
            self._cells = self.tables.setdefault(self._section, [])
        elif tag == "tr" and self._cells is not None:
            self._cells.append([])
        elif tag in ("td", "th") and self._cells is not None:
            self._cells[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "table":
            self._cells = None

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._cells and self._cells[-1] and {"td", "th"} & set(self.open):
            self._cells[-1][-1] += data.strip()

    @property
    def text(self) -> str:
        """Everything a person can read, style sheet included."""
        return "".join(self.texts)

    def numbers(self, section: str) -> dict[str, list[int]]:
        """Give the rows of a section's table by their first cell: the whole numbers in the other cells."""
        rows = self.tables[section][1:]
        return {
            row[0]: [int(cell.replace(",", "")) for cell in row[1:] if re.fullmatch(r"-?[\d,]+", cell)] for row in rows
        }


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    assert page.open == []
    return page


def write_report(warehouse: Warehouse, *flags: str) -> Path:
    """Write the report of a warehouse in this process."""
    path = warehouse.root / "report.html"
    assert warehouse.call("report", "--to", str(path), *flags).code == 0
    return path


def load(warehouse: Warehouse, *events: dict[str, object]) -> Warehouse:
    warehouse.write("log_data/e.json", list(events))
    warehouse.write("song_data/s.json", [song()])
    warehouse.etl()
    return warehouse


MONTH = [
    *plays(3),
    *(event(ts=NOON + DAY * n, sessionId=6 + n, userId=str(8 + n % 3), level="free") for n in range(1, 7)),
    *(event(ts=NOON + DAY * n, sessionId=6 + n, userId=str(8 + n % 3), level="paid") for n in range(7, 22)),
    event(ts=NOON + DAY * 30, sessionId=90, location="New York-Newark-Jersey City, NY-NJ-PA", song="Zero"),
    event(ts=NOON + DAY * 30, sessionId=91, userId="", location="Boise City, ID", artist=None),
    event(page="Home", sessionId=92, song=None, artist=None),
    event(sessionId=5, itemInSession=0),
]  # fmt: skip


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Warehouse:
    """A small warehouse in which there is something to draw in every picture. Tests must not change it."""
    return load(Warehouse(tmp_path_factory.mktemp("month")).create(empty_database), *MONTH)


@pytest.fixture(scope="session")
def page(month: Warehouse) -> Path:
    """Its report."""
    return write_report(month)


# ------------------------------------------------------------------------------------------------------------ numbers


def test_the_real_data_give_the_true_answers(real_warehouse: Warehouse) -> None:
    """The tables under the pictures, and the reconciliation, say what is known of the real data."""
    page = read(write_report(real_warehouse))
    days = page.numbers("plays-by-day")
    assert [sum(row[n] for row in days.values()) for n in range(4)] == [5591, 1229, 0, 6820]
    weeks: dict[int, int] = {}
    for day, row in days.items():
        week = date.fromisoformat(day.split()[0]).isocalendar()[1]
        weeks[week] = weeks.get(week, 0) + row[-1]
    assert weeks == {44: 410, 45: 1257, 46: 1958, 47: 1711, 48: 1484}
    hours = page.numbers("hour-and-weekday")
    assert hours["all hours"] == [1014, 1071, 1364, 1052, 1295, 628, 396, 6820]
    assert [hours[f"{hour}:00"][-1] for hour in (16, 18, 17)] == [542, 498, 494]
    assert sorted((row[-1] for name, row in hours.items() if name != "all hours"), reverse=True)[:3] == [542, 498, 494]
    songs = page.tables["top-songs"][1:5]
    assert [(row[0], row[2]) for row in songs] == [
        ("You're The One", "37"), ("Undo", "28"), ("Revelry", "27"), ("Sehr kosmisch", "21"),
    ]  # fmt: skip
    assert list(page.numbers("top-artists").items())[:3] == [
        ("Coldplay", [58, 24]), ("Kings Of Leon", [55, 19]), ("Dwight Yoakam", [38, 2]),
    ]  # fmt: skip
    assert [sum(row[n] for row in page.numbers("level-changes").values()) for n in range(2)] == [8, 1]
    assert sum(row[0] for row in page.numbers("weekly-retention").values()) == 96
    assert sum(row[0] for row in page.numbers("plays-by-state").values()) == 6820
    left_out = {row[0]: row[4:] for row in page.tables["reconciliation"][1:6]}
    assert left_out == {
        "songplays": ["6,820", "6,820", "0"], "users": ["97", "97", "0"], "songs": ["71", "71", "0"],
        "artists": ["69", "69", "0"], "time": ["6,813", "6,813", "0"],
    }  # fmt: skip
    why_not = "1 play. Why not: no such title and no such artist 6,470; text is encoded twice 326; no such title 20."
    for number in ("6,820", "96", "18.0%", "<0.1%", "71.0 plays each", why_not, "1,236 no play", "286 without a user"):
        assert number in page.text
    assert ["Undo", "Björk † (BjÃ\\x83Â¶rk)", "28", "no"] in page.tables["top-songs"]
    assert "Björk †" in page.text
    assert next(row for row in page.tables["weekly-retention"] if row[0] == "2018-10-29*")
    assert page.tables["level-changes"][-1][0] == "week of 2018-11-26*"


def test_each_picture_says_what_the_events_say(page: Path) -> None:
    """Each table is what can be counted by hand in the events of the small warehouse."""
    found = read(page)
    days = found.numbers("plays-by-day")
    assert days["2018-11-02 Fri"] == [0, 3, 0, 3]
    assert days["2018-11-23 Fri"] == [1, 0, 0, 1]
    assert days["2018-11-24 Sat"] == [0, 0, 0, 0]  # a day without plays is a day
    assert sum(row[-1] for row in days.values()) == 26
    assert found.numbers("hour-and-weekday")["12:00"] == [3, 3, 3, 3, 6, 3, 5, 26]
    assert found.tables["top-songs"][1:] == [
        ["Undo", "Björk", "24", "yes"], ["Undo", "unknown", "1", "no"], ["Zero", "Björk", "1", "no"],
    ]  # fmt: skip
    assert found.tables["top-artists"][1:] == [["Björk", "25", "2"]]
    assert found.tables["plays-by-state"][1:] == [["ID", "1"], ["NY", "1"], ["elsewhere or unknown", "24"]]
    assert found.numbers("level-changes") == {
        "week of 2018-11-05": [3, 0], "week of 2018-11-12": [0, 0], "week of 2018-11-19": [0, 0],
        "week of 2018-11-26": [0, 1],
    }  # fmt: skip
    assert found.numbers("weekly-retention") == {"2018-10-29*": [3, 3, 3, 3, 1]}
    (songplays,) = (row for row in found.tables["reconciliation"] if row[0] == "songplays")
    assert songplays == [
        "songplays", "28", "event records in 1 file",
        "0 rejected1 no play: page is not NextSong1 the same play again0 other play under the same key",
        "26", "26", "0",
    ]  # fmt: skip


def test_every_statement_gives_the_same_rows_on_postgresql(
    month: Warehouse, tmp_path: Path, postgres_server: Server
) -> None:
    """Each statement of the report gives equal rows, in one order, on DuckDB and on PostgreSQL."""
    other = load(PostgresWarehouse(tmp_path / "there", server=postgres_server).create(), *MONTH)
    found = []
    for warehouse in (month, other):
        script = begin("report", report.parser(), ["--config", str(warehouse.config), "-q"])
        found.append(report.ask(script, choose_quick(CHECKS), tmp_path / "none.html")[1])
    unordered = {"Named differences", "Rows of every table"}  # these are looked up by name
    for name in {query.name for query in QUERIES} - {LATEST_LOAD.name}:
        rows, others = (sorted(f[name]) if name in unordered else f[name] for f in found)
        assert rows == others, name
        assert rows, name
    assert "PostgreSQL" in found[1][ENGINE.name][0][0]


def test_only_aggregates_leave_the_warehouse() -> None:
    """A statement without a limit groups: what comes back does not grow with the plays."""
    for query in QUERIES:
        assert re.search(r"\bLIMIT \d+\b|\bGROUP BY\b|\bCOUNT\(", query.sql)


# ------------------------------------------------------------------------------------------------ safe, private, stable


HOSTILE = "<script>alert(1)</script>"
ESCAPES = "\x1b[31mred\x1b[0m\rover\u202e"


def test_what_data_say_is_neither_markup_nor_control(warehouse: Warehouse) -> None:
    """A name that is a script, and one with escape codes and a carriage return, are text: in tables and in pictures."""
    odd = (
        HOSTILE,
        ESCAPES,
        "$\\frac{1}{2}$",
        "</title></svg><svg onload=alert(1)>",
        "愛" * 60,
        "🎵 נועה",
        "{{ 7 * 7 }}",
        "%s",
    )
    named = [event(itemInSession=n, artist=text, song=text, location=f"X, {text}") for n, text in enumerate(odd)]
    most_played = event(itemInSession=50, song=odd[3], artist=odd[3])  # it is in the titles of pictures too
    load(warehouse, *named, most_played, event(page=HOSTILE, itemInSession=99))
    path = write_report(warehouse)
    raw, found = path.read_bytes(), read(path)
    assert not set(raw) & (set(range(32)) - {10})
    assert "\u202e".encode() not in raw
    assert {tag for tag, _ in found.elements if tag in ("script", "iframe", "object", "img", "link", "base")} == set()
    assert [name for _, attributes in found.elements for name in attributes if name.startswith("on")] == []
    cells = {cell for table in found.tables.values() for row in table for cell in row}
    assert {HOSTILE, "$\\frac{1}{2}$", "{{ 7 * 7 }}", "\\x1b[31mred\\x1b[0m\\rover\\u202e"} <= cells


def test_no_listener_is_in_it(warehouse: Warehouse) -> None:
    """No listener's name or id is on the page, not even where a check shows rows that are broken."""
    person = {"userId": "987654321", "firstName": "Quillaria", "lastName": "Zanzibar", "location": "Ultima Thule, ZQ"}
    person |= {"userAgent": "Netscrape", "gender": "Q"}
    load(warehouse, event(ts=NOON + DAY * 60, sessionId=7654321, **person), *MONTH)
    warehouse.rows("UPDATE users SET first_name = 'Quillarius' WHERE user_id = 987654321")
    warehouse.rows("UPDATE songplays SET user_agent = 'Netscraper' WHERE session_id = 7654321")
    warehouse.rows("INSERT INTO users SELECT * FROM users WHERE user_id = 987654321")
    text = write_report(warehouse).read_text(encoding="utf-8")
    assert "checks failed" in text
    assert "users: the rows are what staging gives" in text
    assert "not shown" in text
    canaries = ("987654321", "987,654,321", "Quilla", "Zanzibar", "Ultima", "Netscrape", "7654321", "7,654,321")
    assert [canary for canary in canaries if canary in text] == []


def test_no_secret_is_in_it(month: Warehouse) -> None:
    """Nothing of the settings but the place of the warehouse is on the page."""
    canary = "CANARY-7f3"
    names = ("POSTGRES_DB_PASSWORD", "AWS_KEY", "AWS_SECRET", "CLUSTER_DB_PASSWORD", "POSTGRES_DB_USER", "S3_LAKE")
    month.call("report", "--quick", "--to", str(month.root / "s.html"), env={f"DWH_{name}": canary for name in names})
    assert canary not in (month.root / "s.html").read_text(encoding="utf-8")


def test_the_same_data_give_the_same_bytes(month: Warehouse, page: Path, tmp_path: Path) -> None:
    """Written again, elsewhere, later, in another zone, with other settings of matplotlib: the same bytes."""
    (tmp_path / "matplotlibrc").write_text("xtick.labelsize: 30\naxes.xmargin: 0.3\n")
    env = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "7", "MATPLOTLIBRC": str(tmp_path)}
    month.run("report", "--to", str(tmp_path / "again.html"), env=env, cwd=tmp_path)
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_the_warehouse_stays_as_it_is(month: Warehouse) -> None:
    """Everything is asked in one transaction that is not committed, and no row is changed."""
    before = month.dump()
    told = month.call("report", "-v", "--to", str(month.root / "other.html")).err
    statements = re.findall(r"^ +[\d.]+s +-?[\d,]+ rows  (.*)$", told, re.MULTILINE)
    assert statements[0].startswith("BEGIN")
    assert [each for each in statements[1:] if each.startswith(("BEGIN", "COMMIT"))] == []
    assert len(statements) > len(CHECKS) + len(QUERIES)
    assert month.dump() == before


# ------------------------------------------------------------------------------------------------------------ the page


def test_it_needs_nothing_else(page: Path) -> None:
    """No script, no link, no picture from elsewhere; and a policy that would forbid them."""
    found = read(page)
    policy = next(a["content"] for t, a in found.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert [
        (tag, name)
        for tag, attributes in found.elements
        for name in attributes
        if name in LINKING and attributes[name][:1] != "#"
    ] == []
    raw = page.read_text(encoding="utf-8")
    assert re.findall(r"https?://|url\(|@import|<script|<foreignObject", raw) == []
    assert len(raw) < 400_000


def test_every_picture_can_be_heard_and_has_its_numbers(page: Path) -> None:
    """Each picture is well-formed, has a role, a title of its own, and a table below; no id stands twice."""
    found = read(page)
    pictures = re.findall(r"<svg .*?</svg>", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(pictures) == 8
    for picture in pictures:
        root = ET.fromstring(picture)
        assert root.get("role") == "img"
        assert root[0].tag == "title"
        assert root.get("aria-labelledby") == root[0].get("id")
        assert len(root[0].text or "") > 20
        assert "#00000" not in picture
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    drawn = {"plays-by-day", "hour-and-weekday", "top-songs", "top-artists", "plays-by-state", "level-changes"}
    assert drawn | {"weekly-retention", "reconciliation"} <= set(found.tables)


def test_tables_and_columns_explain_themselves(page: Path) -> None:
    """A table of the star, and a column of rows that a check shows, have their description as a tooltip."""
    told = {found["title"] for tag, found in read(page).elements if tag == "th" and "title" in found}
    assert {tooltip(table) for table in STAR_COLUMNS} <= told
    assert tooltip("songplays", "songplay_id") in told


def test_it_can_be_read_in_the_dark_on_a_phone_and_on_paper(page: Path) -> None:
    """The page names a language and a viewport, and its style sheet knows dark, narrow and print."""
    raw = page.read_text(encoding="utf-8")
    for needed in (
        '<html lang="en">',
        'name="viewport"',
        "prefers-color-scheme: dark",
        "@media print",
        "max-width: 720px",
    ):
        assert needed in raw


def test_colours_can_be_told_apart() -> None:
    """Text has the contrast that WCAG asks for, in light and in dark; the two colours of columns differ in grey."""
    css = (REPO / "star" / "report" / "page.css").read_text(encoding="utf-8")
    schemes = [
        dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    ]
    assert len(schemes) == 3
    light = schemes[0]
    for scheme in (light, light | schemes[1], light | schemes[2]):
        for text, ground in (("ink", "paper"), ("muted", "paper"), ("ink", "shade"), ("muted", "shade")):
            assert contrast(scheme[text], scheme[ground]) >= 4.5, (text, ground)
        for band in ("ok", "warn", "fail"):
            assert contrast("#ffffff", scheme[band]) >= 4.5, band
        for bar in ("paid", "free"):
            assert contrast(scheme[bar], scheme["paper"]) >= 3, bar
            assert contrast(scheme[bar], scheme["shade"]) >= 3, bar
        assert contrast(scheme["paid"], scheme["free"]) >= 2
        for opacity in (report_charts.FAINTEST, *(n / 1000 for n in range(70, 1001))):
            text = "on-paid" if opacity > report_charts.STRONG else "on-faint"
            assert contrast(scheme[text], blend(scheme["paid"], scheme["paper"], opacity)) >= 4.5, opacity


def blend(colour: str, ground: str, opacity: float) -> str:
    """Give the colour of a cell of this opacity on its ground, as a browser mixes them."""
    pairs = [(int(colour[n : n + 2], 16), int(ground[n : n + 2], 16)) for n in (1, 3, 5)]
    return "#" + "".join(f"{round(opacity * above + (1 - opacity) * below):02x}" for above, below in pairs)


def contrast(one: str, other: str) -> float:
    """Give the contrast ratio of two colours as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_sql_of_every_number_is_there(page: Path) -> None:
    """Each statement that was run, of the report and of the checks, can be read on the page."""
    text = read(page).text
    asked = [query.sql for query in (ENGINE, *QUERIES)]
    asked += [sql for check in CHECKS for sql in (*check.needs, check.offending, check.balance) if sql]
    assert [sql for sql in asked if sql.strip() not in text] == []


def test_every_query_says_what_its_numbers_mean(page: Path) -> None:
    """One sentence on each query stands on the page: beside its SQL, and beside the numbers of a picture."""
    text = read(page).text
    pictures = [query for query in QUERIES if query.name in DRAWN]
    assert len(pictures) == len(DRAWN)
    for query in (ENGINE, *QUERIES, *PREPARED):
        assert re.fullmatch(r"[A-Z][^.]+\.", query.meaning), query.name
        assert text.count(query.meaning) == 1 + (query in pictures), query.name


def test_the_verdict_comes_first(warehouse: Warehouse, page: Path) -> None:
    """The page begins with the result of the checks: all passed, one to look at, failed, or not all run."""
    assert verdict_of(page) == ("verdict warn", f"No check failed; {len(CHECKS) - 2} of {len(CHECKS)} checks passed")
    load(warehouse, *plays(3, level="paid"))
    assert verdict_of(write_report(warehouse)) == ("verdict ok", f"All {len(CHECKS)} checks passed")
    quick_ones = len(choose_quick(CHECKS))
    quick = write_report(warehouse, "--quick")
    assert verdict_of(quick) == ("verdict warn", f"No check failed; {quick_ones} of {quick_ones} checks passed")
    assert "6 checks not run" in read(quick).text
    warehouse.rows("DELETE FROM songplays WHERE item_in_session = 1")
    failed = write_report(warehouse)
    assert verdict_of(failed)[0] == "verdict fail"
    assert "songplays: -1 rows without an explanation" in read(failed).text


def verdict_of(path: Path) -> tuple[str, str]:
    """Give the class and the headline of the first thing in the body of a page."""
    body = path.read_text(encoding="utf-8").split("<body>")[1].lstrip()
    found = re.match(r'<div class="([\w ]+)" role="status"><p><strong>(.*?)</strong>', body)
    assert found
    return found[1], found[2]


def test_an_empty_star_is_a_page_that_says_so(warehouse: Warehouse) -> None:
    """Without plays, and without a load, there is a page without pictures."""
    text = read(write_report(warehouse)).text
    assert "No plays yet" in text
    assert "nothing was loaded yet" in text
    assert text.count("Nothing to show yet.") == 7
    warehouse.write("log_data/e.json", [event(page="Home", song=None, artist=None)])
    warehouse.etl()
    assert "1 no play: page is not NextSong" in read(write_report(warehouse)).text


@pytest.mark.parametrize(
    ("apart", "unit", "bars"),
    [
        (0, "day", 1),
        (91, "day", 92),
        (92, "week", 14),
        (92 * 7, "month", 22),
        (92 * 30, "year", 2),
        (2_900_000, "year", 2),
    ],
)
def test_long_spans_are_drawn_in_longer_units(apart: int, unit: str, bars: int) -> None:
    """Days that are too many to be told apart are drawn, and listed, as weeks, months or years."""
    first = date(2018, 11, 2)
    with report_charts.drawing():
        picture = report_pictures.picture_days(
            [(first, 1, 1, 2), (first + timedelta(days=apart), 0, 1, 3)][: apart + 1]
        )
    assert picture
    assert (picture.columns[0], len(picture.rows)) == (unit, bars)
    in_part = [str(row[0]).endswith("*") for row in picture.rows]
    assert in_part == [unit != "day" and place in (0, bars - 1) for place in range(bars)]
    assert ("* The data hold a part only" in picture.sentence) == (unit != "day")
    assert sum(int(str(row[-1])) for row in picture.rows) == (5 if apart else 2)
    assert f"Plays by {unit}, paid and free" in picture.drawings[0]


def test_the_last_day_of_all_can_be_drawn(warehouse: Warehouse) -> None:
    """A play in the last millisecond that is not taken for microseconds is a play."""
    load(warehouse, event(ts=10**14 - 1))
    assert read(write_report(warehouse, "--quick")).numbers("plays-by-day") == {"5138-11-16 Wed": [0, 1, 0, 1]}


def test_labels_are_cut_where_there_is_no_more_room() -> None:
    """A text is cut to its columns, of which a Chinese character takes two."""
    assert report_charts.shorten("Undo", 4) == "Undo"
    assert report_charts.shorten("Undone", 4) == "Und…"
    assert report_charts.shorten("愛愛愛", 4) == "愛…"
    assert [report_charts.compact(n) for n in (800, 9_999, 12_500, 1_234_567, 2e9)] == [
        "800",
        "9,999",
        "12.5k",
        "1.23M",
        "2G",
    ]


def test_half_a_year_of_changes_is_drawn() -> None:
    """Of a long time the latest 26 weeks are drawn and listed; the sentence counts all."""
    with report_charts.drawing():
        picture = report_pictures.picture_changes(
            [(date(2017, 1, 2), 5, 0), (date(2018, 11, 26), 2, 1)], date(2017, 1, 1), date(2018, 12, 2)
        )
    assert picture
    assert len(picture.rows) == 26
    assert picture.sentence.startswith("7 from free to paid, 1 from paid to free")
    assert picture.sentence.endswith("the latest 26 weeks.")


def test_a_week_that_is_not_whole_is_marked() -> None:
    """A Monday is the first day of its week and a Sunday the last; a day later or earlier the week is marked, in the
    rows and, of retention, in each number that the last week still may change."""
    weeks = [date(2018, 11, 5), date(2018, 11, 12)]
    rows = [(weeks[0], 0, 10), (weeks[0], 1, 4), (weeks[1], 0, 2)]
    marked = {}
    for name, first, last in (("whole", 5, 18), ("late", 6, 18), ("early", 5, 17)):
        with report_charts.drawing():
            picture = report_pictures.picture_retention(rows, date(2018, 11, first), date(2018, 11, last))
        assert picture
        marked[name] = [str(row[0]) for row in picture.rows if "*" in str(row[0])]
        assert ("40*" in picture.drawings[0], "100*" in picture.drawings[0]) == ((name == "early",) * 2)
        assert ("* The data hold a part only of this week." in picture.sentence) == (name != "whole")
    assert marked == {"whole": [], "late": ["2018-11-05*"], "early": ["2018-11-12*"]}


def test_what_stands_for_several_states_has_no_bar() -> None:
    """Only a state of its own is ranked: the states beyond the eleventh, and no state, have a number and no bar."""
    rows = [(f"{chr(65 + n)}A", 50 - n) for n in range(13)]
    bars = {}
    for name, states in (("eleven", rows[:11]), ("all", [*rows, (None, 900)])):
        with report_charts.drawing():
            picture = report_pictures.picture_states(states)
        assert picture
        bars[name] = re.findall(r"<path[^>]*var\(--paid\)", picture.drawings[0])
    assert len(bars["eleven"]) == 11
    assert bars["all"] == bars["eleven"]


def test_the_shades_of_the_hours_have_a_scale(page: Path) -> None:
    """Beside the hours stands what the faintest and the strongest shade mean."""
    drawn = re.findall(r'aria-labelledby="hours-title".*?</svg>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(drawn) == 1
    assert re.search(r">\s*0\s*</text>", drawn[0])
    most = max(
        row[day] for name, row in read(page).numbers("hour-and-weekday").items() for day in range(7) if ":" in name
    )
    assert re.search(rf">\s*{most} plays in an hour of a weekday\s*</text>", drawn[0])


def test_the_contents_lead_to_every_section(page: Path) -> None:
    """Each section is in the list of contents, in order, and the list names nothing else."""
    elements = read(page).elements
    links = [found["href"] for tag, found in elements if tag == "a"]
    assert links == [f"#{found['id']}" for tag, found in elements if tag == "section"]
    assert len(links) == len(DRAWN) + 3


# --------------------------------------------------------------------------------------------------------- the script


def test_json_is_one_object(month: Warehouse, tmp_path: Path) -> None:
    """--json says where the page is and what came of the checks, and nothing else is on stdout."""
    ran = month.run("report", "--json", "--to", str(tmp_path / "r.html"))
    assert ran.code == 0
    assert ran.json["report"] == str(tmp_path / "r.html")
    assert ran.json["bytes"] == (tmp_path / "r.html").stat().st_size
    assert ran.json["checks"] == {"ok": len(CHECKS) - 2, "warn": 2, "fail": 0}
    assert {"script", "ok", "engine", "seconds"} < set(ran.json)


def test_quiet_is_silent_where_nothing_can_be_written_but_the_page(month: Warehouse, tmp_path: Path) -> None:
    """With -q nothing is said, not even by matplotlib, whose folder of settings cannot be made."""
    (tmp_path / "file").touch()
    home = {"HOME": str(tmp_path / "file"), "MPLCONFIGDIR": str(tmp_path / "file" / "x")}
    ran = month.run("report", "-q", "--quick", "--to", str(tmp_path / "r.html"), env=home)
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_the_page_is_readable_for_all_and_there_at_once(month: Warehouse, tmp_path: Path) -> None:
    """The file has mode 644 whatever the umask is, replaces an earlier report, and nothing is left beside it."""
    before = os.umask(0o077)
    try:
        for _ in range(2):
            month.call("report", "--quick", "--to", str(tmp_path / "r.html"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "r.html").stat().st_mode) == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


def test_a_file_that_is_no_report_is_left_alone(month: Warehouse, tmp_path: Path) -> None:
    """A user's own page of that name is not replaced, and neither is a folder."""
    (tmp_path / "thesis.html").write_text("<html>years of work</html>")
    for target in ("thesis.html", ".", "none/r.html"):
        with pytest.raises(ConfigError):
            month.call("report", "--to", str(tmp_path / target))
    assert (tmp_path / "thesis.html").read_text() == "<html>years of work</html>"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.html"]


@pytest.fixture(scope="module")
def elsewhere(month: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A copy of that warehouse in another place."""
    return Warehouse(tmp_path_factory.mktemp("elsewhere")).create(month.database)


def whose(page: Path) -> dict[str, str]:
    """Give the place that a page names for machines; people read the same."""
    found = read(page)
    [named] = [json.loads(a["content"]) for tag, a in found.elements if a.get("name") == "warehouse"]
    assert isinstance(named, dict)
    assert in_words(named) in found.text
    return named


def test_p161_a_warehouse_of_another_place_does_not_replace_a_report(
    month: Warehouse, elsewhere: Warehouse, tmp_path: Path
) -> None:
    """The page names the place; a copy of the warehouse elsewhere replaces it only with --take-over."""
    page = tmp_path / "r.html"
    month.call("report", "--quick", "--to", str(page))
    assert whose(page) == {"engine": "duckdb", "file": os.path.realpath(month.database)}
    before = page.read_bytes()
    with pytest.raises(EnvironmentFailure, match="was not written by this warehouse; it was not changed") as raised:
        elsewhere.call("report", "--quick", "--to", str(page))
    assert [page.read_bytes(), *tmp_path.iterdir()] == [before, page]
    told = [f"written by: duckdb, file {os.path.realpath(month.database)}", os.path.realpath(elsewhere.database)]
    assert [words for words, line in zip(told, raised.value.evidence, strict=True) if words not in line] == []
    for hint in raised.value.hint:
        words = shlex.split(hint.split("   ")[0])
        assert words[:4] == ["python", "report.py", "--config", str(elsewhere.config)]
        elsewhere.call("report", "--quick", *words[4:])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.html", "r_2.html"]
    assert whose(page) == whose(tmp_path / "r_2.html") == {"engine": "duckdb", "file": told[1]}
    with pytest.raises(EnvironmentFailure, match="was not written by this warehouse"):
        month.call("report", "--quick", "--to", str(page))


def test_p161_of_two_warehouses_that_write_a_report_at_once_one_wins(
    month: Warehouse, elsewhere: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither finds a page when it begins; who comes second replaces nothing."""
    page, compose = tmp_path / "r.html", report.compose

    def overtaken(*args: Any) -> str:
        monkeypatch.setattr(report, "compose", compose)
        elsewhere.call("report", "--quick", "--to", str(page))
        return compose(*args)

    monkeypatch.setattr(report, "compose", overtaken)
    with pytest.raises(EnvironmentFailure, match="was not written by this warehouse"):
        month.call("report", "--quick", "--to", str(page))
    assert whose(page)["file"] == os.path.realpath(elsewhere.database)
    assert list(tmp_path.iterdir()) == [page]


def test_p162_a_warehouse_that_is_made_again_replaces_its_report(tmp_path: Path, make: Make) -> None:
    """The data removed, and everything made anew, on a server: the page is still its own."""
    warehouse = load(make(tmp_path / "w", "postgres"), *plays(2))
    warehouse.call("report", "--quick")
    assert whose(warehouse.root / "report.html")["engine"] == "postgres"
    warehouse.call("conn_close", "--delete-data", "--yes")
    warehouse.create()
    warehouse.call("report", "--quick")
    assert "No plays yet" in read(warehouse.root / "report.html").text


def test_p163_a_report_that_names_no_place_is_known_by_its_load(month: Warehouse, tmp_path: Path) -> None:
    """A page of version 0.1 is that of the warehouse that knows its last load, and of no other."""
    page = tmp_path / "r.html"
    month.call("report", "--quick", "--to", str(page))
    old = re.sub(r'<meta name="warehouse" .*\n', "", page.read_text(encoding="utf-8"))
    page.write_text(old, encoding="utf-8")
    other = load(Warehouse(tmp_path / "w").create(), *plays(2))
    with pytest.raises(EnvironmentFailure, match="was not written by this warehouse") as raised:
        other.call("report", "--quick", "--to", str(page))
    assert "written by: version 0.1" in raised.value.evidence[0]
    assert page.read_text(encoding="utf-8") == old
    month.call("report", "--quick", "--to", str(page))
    assert whose(page)["file"] == os.path.realpath(month.database)


@pytest.mark.parametrize("mark", ["not json", "[]", "{}", "{&#34;engine&#34;: 1}"])
def test_a_page_with_a_damaged_mark_is_no_report(month: Warehouse, page: Path, tmp_path: Path, mark: str) -> None:
    """Its owner is unknown, so it stays."""
    text = re.sub(
        '<meta name="warehouse" content="[^"]*">', f'<meta name="warehouse" content="{mark}">', page.read_text()
    )
    (tmp_path / "r.html").write_text(text)
    with pytest.raises(ConfigError, match="is not a report of this suite"):
        month.call("report", "--quick", "--to", str(tmp_path / "r.html"))
    assert (tmp_path / "r.html").read_text() == text


def test_the_page_lies_beside_the_settings_or_where_they_say(month: Warehouse, tmp_path: Path) -> None:
    """Not in the folder of who calls: [REPORT] PATH starts at its file, --to at the caller's folder."""
    warehouse = Warehouse(tmp_path / "w").create(month.database)
    assert warehouse.run("report", "--quick", "--json", cwd=tmp_path).json["report"] == str(tmp_path / "w/report.html")
    warehouse.configure(REPORT={"PATH": "song_data/page.html"})
    told = warehouse.run("report", "--quick", cwd=tmp_path)
    assert (told.code, "w/song_data/page.html, 0." in told.out) == (0, True), told.err
    assert warehouse.run("report", "--quick", "--to", "mine.html", cwd=tmp_path).code == 0
    made = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.html"))
    assert made == ["mine.html", "w/report.html", "w/song_data/page.html"]


def test_a_page_that_cannot_be_moved_leaves_nothing(
    month: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the last step fails the earlier report stays, and no half page beside it."""
    (tmp_path / "r.html").write_bytes(b"")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("no")))
    with pytest.raises(ConfigError, match="cannot be written"):
        month.call("report", "--quick", "--to", str(tmp_path / "r.html"))
    assert [(path.name, path.stat().st_size) for path in tmp_path.iterdir()] == [("r.html", 0)]


def test_without_tables_it_says_what_to_run(bare: Warehouse) -> None:
    """Without a warehouse, and without tables, the error names the script that makes them; no page is written."""
    for script in ("conn_start", "create_tables"):
        with pytest.raises(EnvironmentFailure) as raised:
            bare.call("report", "--to", str(bare.root / "r.html"))
        assert raised.value.hint == (f"python {script}.py",)
        bare.call(script)
    assert not (bare.root / "r.html").exists()


# -------------------------------------------------------------------------------------------------- in a real browser


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
    *("--force-device-scale-factor=1", "--proxy-server=127.0.0.1:9", "--enable-logging=stderr"),
)
FRAME = """<!doctype html><body style="margin:0"><iframe src="%s" style="border:0;width:%dpx;height:3000px"></iframe>
<script>onload = () => {
  const page = frames[0].document, wide = page.documentElement.scrollWidth;
  const shown = [...page.querySelectorAll("svg")].filter((each) => each.getBoundingClientRect().width > 0).length;
  document.title = JSON.stringify({wide, shown});
}</script>"""
Browse = Callable[..., str]


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """Open a page from disk in headless Chromium, which reaches nothing else; gives what it printed and logged."""
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")

    def browse(page: Path, *flags: str) -> str:
        with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
            done = subprocess.run(command, capture_output=True, text=True, timeout=WATCHDOG, check=True)
        return done.stdout + done.stderr

    return browse


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_offline_and_has_nothing_to_complain_of(
    browse: Browse, page: Path, tmp_path: Path, scheme: str
) -> None:
    """From disk, without a network, the page is drawn in light and in dark, and the console stays empty."""
    dark = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    logged = browse(page, "--window-size=1280,2400", f"--screenshot={tmp_path / 's.png'}", *dark)
    assert "CONSOLE" not in logged
    with Image.open(tmp_path / "s.png") as shot:
        assert shot.size == (1280, 2400)
        grey = shot.convert("L")
        corner = grey.getpixel((3, 1200))
        colours = shot.convert("RGB").getcolors(1 << 24)
    assert isinstance(corner, int)
    assert corner > 240 if scheme == "light" else corner < 40
    assert colours and len(colours) > 50


def test_the_console_would_tell(browse: Browse, page: Path, tmp_path: Path) -> None:
    """A page that tried to run a script would be seen in the console: its own policy forbids that."""
    (tmp_path / "bad.html").write_text(page.read_text(encoding="utf-8").replace("</main>", "<script>1</script></main>"))
    assert "Content Security Policy" in browse(tmp_path / "bad.html", f"--screenshot={tmp_path / 's.png'}")


@pytest.mark.parametrize(("width", "pictures"), [(390, 8 - 1), (1280, 8 - 1)])
def test_nothing_is_wider_than_the_screen(
    browse: Browse, page: Path, tmp_path: Path, width: int, pictures: int
) -> None:
    """On a phone and on a desk the page fits, and of the two drawings of the days one is shown."""
    (tmp_path / "frame.html").write_text(FRAME % (page.as_uri(), width))
    dom = browse(tmp_path / "frame.html", "--allow-file-access-from-files", "--window-size=1400,3000", "--dump-dom")
    found = re.search(r"<title>(.*?)</title>", dom)
    assert found
    assert json.loads(found[1]) == {"wide": width, "shown": pictures}


def test_it_prints(browse: Browse, page: Path, tmp_path: Path) -> None:
    """On paper it is some pages, not dozens: what is folded stays folded."""
    browse(page, f"--print-to-pdf={tmp_path / 'p.pdf'}", "--no-pdf-header-footer")
    pages = len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "p.pdf").read_bytes()))
    assert 2 <= pages <= 7


# axe-core 4.12, as this package bundles it (its newest of July 2026, 0.6 MB); what it depends on is not needed here
AXE = "axe-playwright-python==0.1.8"
LOOK = """<script src="axe.min.js"></script><script>
axe.run(document, {resultTypes: ["violations"]}).then((found) => {
  document.title = JSON.stringify({
    wide: innerWidth,
    passed: found.passes.map((each) => each.id),
    wrong: found.violations.map((each) => [each.id, each.nodes.map((node) => node.html.slice(0, 200))]),
  });
  parent.postMessage(document.title, "*");
});</script>"""
NARROW = """<!doctype html><html lang="en"><title></title><body style="margin:0">
<iframe src="look.html" style="border:0;width:%dpx;height:3000px"></iframe>
<script>onmessage = (told) => { document.title = told.data; }</script>"""


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core."""
    folder = tmp_path_factory.mktemp("axe")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), AXE)
    subprocess.run(pip, check=True, capture_output=True, timeout=WATCHDOG)
    return (folder / "axe_playwright_python" / "axe.min.js").read_text(encoding="utf-8")


def look_with_axe(browse: Browse, axe: str, folder: Path, raw: str, width: int, *flags: str) -> dict[str, Any]:
    """Let axe-core look at a page of this width. The page's own policy forbids scripts, so it is left out."""
    raw, left_out = re.subn(r"<meta http-equiv=[^>]*>", "", raw)
    assert left_out == 1
    (folder / "axe.min.js").write_text(axe, encoding="utf-8")
    (folder / "look.html").write_text(raw.replace("</body>", LOOK + "</body>"), encoding="utf-8")
    (folder / "frame.html").write_text(NARROW % width, encoding="utf-8")
    shown = (f"--window-size={width + 40},3000", "--virtual-time-budget=60000", "--dump-dom", *flags)
    found = re.search(
        r"<title>(\{.*?)</title>", browse(folder / "frame.html", "--allow-file-access-from-files", *shown)
    )
    assert found, "axe-core said nothing"
    return dict(json.loads(html.unescape(found[1])))


@pytest.mark.parametrize("look", ["light", "dark", "print"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_wrong(browse: Browse, axe: str, page: Path, tmp_path: Path, width: int, look: str) -> None:
    """axe-core has no objection to the page, at both widths, in light, in dark and as it is printed."""
    raw = page.read_text(encoding="utf-8")
    if look == "print":
        raw = raw.replace("@media print", "@media all")
    dark = ["--blink-settings=preferredColorScheme=0"] if look == "dark" else []
    found = look_with_axe(browse, axe, tmp_path, raw, width, *dark)
    assert found["wide"] == width
    assert found["wrong"] == []
    assert {"color-contrast", "html-has-lang", "list", "svg-img-alt"} <= set(found["passed"])


def test_axe_would_tell(browse: Browse, axe: str, page: Path, tmp_path: Path) -> None:
    """Text that is too faint is seen."""
    raw = page.read_text(encoding="utf-8").replace("--muted: #5c6870", "--muted: #b0b8bd")
    found = look_with_axe(browse, axe, tmp_path, raw, 1280)
    assert [rule for rule, _ in found["wrong"]] == ["color-contrast"]
