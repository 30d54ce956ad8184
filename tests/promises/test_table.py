"""The table of the promises names tests that exist, and every test with a number stands in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROWS = re.findall(r"^\| (P\d+(?:-P\d+)?) \| (.+?) \| (.+?) \|$", (HERE / "README.md").read_text("utf-8"), re.MULTILINE)
NAMED = [(number, *named) for number, _, cell in ROWS for named in re.findall(r"`([\w./]+)::(\w+)`(\*?)", cell)]


def those_of(path: Path) -> dict[str, bool]:
    """Give the tests of a file, and whether each belongs to the long group."""
    found = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {
        node.name: any("promises" in ast.unparse(mark) for mark in node.decorator_list)
        for node in found
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize(("number", "file", "test", "long"), NAMED, ids=[f"{n}-{test}" for n, _, test, _ in NAMED])
def test_a_test_that_the_table_names_exists(number: str, file: str, test: str, long: str) -> None:
    """In the file that is named, in the group that is named."""
    assert those_of(HERE / file).get(test) is bool(long)


def test_every_numbered_test_is_in_the_table() -> None:
    """A test of this folder with a number in its name stands in the row of that number."""
    known = {(number, test) for number, _, test, _ in NAMED}
    numbered = [
        (f"P{re.findall('[0-9]+', test)[0]}", test)
        for path in HERE.glob("test_*.py")
        for test in those_of(path)
        if test[5:6] == "p"
    ]
    own = {test for number, test in known}
    assert [test for _, test in numbered if test not in own and not test.endswith("_seen")] == []
    assert len(numbered) > 30


def test_no_number_stands_twice() -> None:
    """One row for each promise."""
    numbers = [number for number, _, _ in ROWS]
    assert len(numbers) == len(set(numbers)) > 30
