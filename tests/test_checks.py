"""Declared checks: what each template finds, and that only literal names become SQL."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

import sql_queries as q
from dwh.checks.check import Check
from dwh.checks.conditions import Condition, between, not_blank, not_equal, not_negative, not_null, one_of
from dwh.checks.declarations import EveryRow, References, SameRows, Unique, rows_in, sum_of
from dwh.checks.declare import equal, every_row, in_range, references, unique, with_defaults
from dwh.checks.sql_names import listed
from star.checks import CHECKS

ROOT = Path(__file__).resolve().parent.parent
# The modules that make SQL from the names of our tables and columns, and from nothing else.
WITH_TEMPLATES = {
    "dwh/checks/declarations.py",
    "star/checks/comparison.py",
    "star/checks/oddities.py",
    "star/checks/prepared.py",
    "star/lake.py",
    "star/other_warehouse.py",
}
A_NAME, NAMES = re.compile(r"[a-z][a-z0-9_]*"), re.compile(r"[a-z0-9_ ]+")
# What takes names: how many of its first arguments are names (None: all that are texts).
TAKES_NAMES = {
    "unique": None, "references": 3, "in_range": 1, "every_row": 1, "not_null": None, "not_blank": 1,
    "not_negative": None, "not_equal": 1, "between": 1, "one_of": None, "rows_in": None, "sum_of": None,
    "distinct": None,
}  # fmt: skip

THINGS = """
CREATE TABLE things AS
SELECT * FROM (VALUES
    (1, 'a', 0, 'red'), (1, 'a', -1, 'blue'), (2, ' ', 9, NULL), (2, 'b', 10, 'green'), (NULL, NULL, NULL, 'red'),
    (3, 'b', 5, 'red')
) AS t (id, name, size, colour)
"""


@pytest.fixture(scope="module")
def things() -> Iterator[duckdb.DuckDBPyConnection]:
    """A table of six rows with all kinds of faults, and one that has the ids 1 and 2."""
    with duckdb.connect() as connection:
        connection.execute(THINGS)
        connection.execute("CREATE TABLE others AS SELECT * FROM (VALUES (1), (2)) AS t (id)")
        yield connection


def glance(things: duckdb.DuckDBPyConnection, check: Check) -> int:
    """What a check asks first: the number of rows that its other statement would name."""
    assert check.glance
    [(number,)] = things.execute(check.glance.glance("HASH({})")).fetchall()
    return int(number)


@pytest.mark.parametrize(
    ("condition", "sizes"),
    [
        (not_null("id", "colour"), [9, None]),
        (not_blank("name"), [9, None]),
        (not_negative("size"), [-1, None]),
        (not_equal("size", 5), [5]),
        (between("size", 0, 9), [-1, 10, None]),
        (one_of("colour", "red", "blue"), [9, 10]),
    ],
    ids=lambda value: value.promise if isinstance(value, Condition) else "",
)
def test_a_condition_finds_the_rows_that_break_it(
    things: duckdb.DuckDBPyConnection, condition: Condition, sizes: list[int | None]
) -> None:
    """Bounds are included, and NULL breaks every condition but one."""
    check = in_range("things", condition, shows="size")
    assert things.execute(check.offending).fetchall() == [(len(sizes), size) for size in sizes]
    assert glance(things, check) == len(sizes)


def test_several_conditions_are_one_check(things: duckdb.DuckDBPyConnection) -> None:
    """A row that breaks several counts once; at most three are shown, in the order that was asked for."""
    check = every_row(
        "things", "all is well", not_negative("size"), not_blank("name"), one_of("colour", "red", "blue"),
        shows="id name", order="size id",
    )  # fmt: skip
    assert things.execute(check.offending).fetchall() == [(4, 1, "a"), (4, 2, " "), (4, 2, "b")]
    assert glance(things, check) == 4
    assert check.name == "things: all is well"
    assert check.what == "size is 0 or more; name is not blank; colour is red or blue"


def test_unique_counts_the_keys_that_stand_twice(things: duckdb.DuckDBPyConnection) -> None:
    """Of one column, and of several together."""
    assert things.execute(unique("things", "id").offending).fetchall() == [(2, 1, 2), (2, 2, 2)]
    assert things.execute(unique("things", "id", "name").offending).fetchall() == [(1, 1, "a", 2)]
    assert [glance(things, unique("things", *columns)) for columns in (("id",), ("id", "name"))] == [2, 1]
    assert unique("things", "id", "name", each="thing").name == "things: one row for each thing"


def test_references_finds_what_is_not_there(things: duckdb.DuckDBPyConnection) -> None:
    """NULL is not there either, unless the reference is optional."""
    needed = references("things", "id", "others", shows="id size")
    optional = references("things", "id", "others", shows="id size", optional=True)
    assert things.execute(needed.offending).fetchall() == [(2, 3, 5), (2, None, None)]
    assert things.execute(optional.offending).fetchall() == [(1, 3, 5)]
    assert [glance(things, check) for check in (needed, optional)] == [2, 1]


def test_equal_gives_both_totals(things: duckdb.DuckDBPyConnection) -> None:
    """Rows of one table and of several, and sums; of no rows they are 0."""
    found = [
        things.execute(equal("things: x", "", expected, total).balance).fetchall()
        for expected, total in (
            (rows_in("things"), rows_in("things", "others")),
            (sum_of("things", "size"), sum_of("things", "size", "id")),
        )
    ]
    assert found == [[(6, 8)], [(23, 32)]]


@pytest.mark.parametrize("name", ["id; DROP TABLE things", "Id", "", "a b", "1st", 'a"b', "id\n", "%s"])
def test_nothing_but_a_name_becomes_sql(name: str) -> None:
    """Every template refuses what is no plain lower-case name."""
    for declare in (
        lambda: unique(name, "id"), lambda: unique("things", name), lambda: in_range(name, not_null("id"), shows="id"),
        lambda: references("things", name, "others", shows="id"), lambda: references("things", "id", name, shows="id"),
        lambda: not_null(name), lambda: between(name, 0, 1), lambda: one_of("colour", name), lambda: rows_in(name).sql,
        lambda: sum_of("things", name), lambda: listed((name,)),
        lambda: SameRows(name, "others", ("id",)).glance("HASH({})"),
        lambda: SameRows("things", name, ("id",)).glance("HASH({})"),
        lambda: SameRows("things", "others", (name,)).glance("HASH({})"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="not a name"):
            declare()


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call in star/ of what takes names."""
    for path in sorted((ROOT / "star").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TAKES_NAMES:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_names_are_literals() -> None:
    """A name of a table or a column stands in the code where a check is declared: it is no variable, and no value."""
    wrong = []
    for place, call in calls():
        assert isinstance(call.func, ast.Name)
        names = call.args[: TAKES_NAMES[call.func.id]]
        sorts = [keyword.value for keyword in call.keywords if keyword.arg in ("shows", "order")]
        for pattern, nodes in ((A_NAME, names), (NAMES, sorts)):
            wrong += [
                f"{place} {ast.unparse(node)}"
                for node in nodes
                if not (isinstance(node, ast.Constant) and pattern.fullmatch(str(node.value)))
            ]
    assert wrong == []
    assert len(list(calls())) > len([check for check in CHECKS if check.declared])  # or the walk finds nothing


def test_sql_is_made_from_templates_in_few_places() -> None:
    """Whoever adds a template sees this list, and that only names of ours may be filled in."""
    code = [*(ROOT / "star").rglob("*.py"), *(ROOT / "dwh").rglob("*.py"), *ROOT.glob("*.py")]
    found = {str(path.relative_to(ROOT)) for path in code if "Template(" in path.read_text(encoding="utf-8")}
    assert found == WITH_TEMPLATES


FAULTS = (
    "INSERT INTO users (user_id) VALUES (1), (1), (NULL)",
    "INSERT INTO songs (song_id, year, artist_id) VALUES ('S1', 0, 'A1'), ('S1', 2001, NULL), (' ', 2001, 'A9')",
    "INSERT INTO artists (artist_id) VALUES ('A1'), ('A1'), (' ')",
    "INSERT INTO time VALUES (NULL, 24, 1, 1, 1, 2018, 1), (NULL, 1, 1, 54, 1, NULL, 1)",
    "INSERT INTO songplays (songplay_id, user_id, song_id) VALUES ('x', 1, 'S1'), ('x', 7, 'S7'), ('y', NULL, NULL)",
)


@pytest.mark.parametrize("table", q.STAR)
def test_the_checks_of_one_table_can_be_asked_in_one_scan(table: str) -> None:
    """The data of the declarations are enough to ask a table once: the answers are those of the checks."""
    declared = [check for check in CHECKS if getattr(check.declared, "table", "") == table]
    with duckdb.connect() as connection:
        connection.execute("CREATE MACRO octet_length(t) AS strlen(t)")  # as our sessions have it
        for name, statement in q.STAR.items():
            connection.execute(statement.replace(" NOT NULL", ""))
            connection.execute(next(fault for fault in FAULTS if fault.startswith(f"INSERT INTO {name} ")))
        asked = ", ".join(map(in_one_scan, declared))
        found = dict(zip(declared, connection.execute(f"SELECT {asked} FROM {table} AS r").fetchall()[0], strict=True))
        for check, broken in found.items():
            rows = connection.execute(check.offending).fetchall()
            assert bool(rows) == bool(broken), check.name
            if not isinstance(check.declared, Unique):  # which counts keys, not rows
                assert (rows[0][0] if rows else 0) == broken, check.name
        assert any(found.values())


def in_one_scan(check: Check) -> str:
    """Give an aggregate over the table `r` that is the number of rows that break a check."""
    match check.declared:
        case Unique(_, [column]):
            return f"COUNT({column}) - COUNT(DISTINCT {column}) + GREATEST(COUNT(*) - COUNT({column}) - 1, 0)"
        case EveryRow(_, conditions):
            return f"COUNT(CASE WHEN {' OR '.join(f'({each.broken})' for each in conditions)} THEN 1 END)"
        case References(_, column, other, True):
            there = f"EXISTS (SELECT 1 FROM {other} AS o WHERE o.{column} = r.{column})"
            return f"COUNT(CASE WHEN r.{column} IS NOT NULL AND NOT {there} THEN 1 END)"
    raise AssertionError(check)


def test_defaults_leave_what_a_check_says_itself() -> None:
    """A field that is given stays; the others get the default."""
    own, other = with_defaults((Check("a: b", "", fix="mine"), Check("a: c", "")), fix="all", severity="warn")
    assert [(check.fix, check.severity) for check in (own, other)] == [("mine", "warn"), ("all", "warn")]


def test_a_check_asks_first_what_it_would_name_then() -> None:
    """What counts first is what is declared, and what names is the SQL of the same: a count of 0 hides no row."""
    counted = [check for check in CHECKS if check.glance is not None and not isinstance(check.glance, SameRows)]
    assert len(counted) > 20
    for check in counted:
        assert check.glance is check.declared
        assert check.offending == check.glance.sql  # type: ignore[union-attr]
        assert check.parameters is Check("", "").parameters
    for check in CHECKS:
        if isinstance(check.glance, SameRows):
            assert all(name in check.offending for name in (check.glance.table, check.glance.other))
