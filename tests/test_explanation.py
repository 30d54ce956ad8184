"""What docs/explanation and docs/decisions say about the code is there, and is short enough to be read."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WALKS = ROOT / "docs" / "explanation" / "how-a-load-works.md"
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
MOST_FILES = 3  # that a walk opens
MOST_LINES = 25  # of a decision record
STEP = re.compile(r"^\| `([\w./]+\.\w+)` \| `([\w.]+)` \|", re.MULTILINE)
PATH = re.compile(r"`((?:[\w.]+/)*[\w.]+(?:\.py|/))`")
MADE = {"data/", "lake/", "_temporary/", "_delta_log/"}  # by a run, or by other tools
WITH_PATHS = [*sorted(WALKS.parent.glob("*.md")), ROOT / "CONTRIBUTING.md", *DECISIONS]
HEADINGS = ("**Context.**", "**Decision.**", "**Consequence.**")


def walks_of(page: str) -> dict[str, list[tuple[str, str]]]:
    """Give the steps of each walk of a page: the file and the name to look at there."""
    sections = re.split(r"^## ", page, flags=re.MULTILINE)
    return {text.partition("\n")[0]: STEP.findall(text) for text in sections if text.startswith("Walk ")}


def names_in(file: Path) -> set[str]:
    """Give the functions, classes, methods (Class.method) and constants that a file of Python defines."""
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
            names |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return names


def test_both_walks_open_at_most_three_files() -> None:
    """From a JSON line to its row, and from a setting to its effect, a reader opens three files at most."""
    walks = walks_of(WALKS.read_text(encoding="utf-8"))
    assert [name.partition(":")[0] for name in walks] == ["Walk 1", "Walk 2"]
    for name, steps in walks.items():
        files = {file for file, _ in steps}
        assert 0 < len(files) <= MOST_FILES, f"{name}: {sorted(files)}"


def test_each_step_of_a_walk_is_in_its_file() -> None:
    """The function, method or statement that a walk names is defined in the file it names."""
    for name, steps in walks_of(WALKS.read_text(encoding="utf-8")).items():
        missing = [step for step in steps if step[1] not in names_in(ROOT / step[0])]
        assert not missing, f"{name} names what is not there: {missing}"


@pytest.mark.parametrize("page", WITH_PATHS, ids=lambda page: page.stem)
def test_files_that_are_named_exist(page: Path) -> None:
    """Each Python file and each folder that a page names is there; a bare name is a file at top level."""
    named = set(PATH.findall(page.read_text(encoding="utf-8")))
    assert {path for path in named if not (ROOT / path).exists()} - MADE == set()


def test_files_are_found_where_they_are_named() -> None:
    """The search for files and folders finds them; it would pass over a misspelt pattern in silence."""
    named = {path for page in WITH_PATHS for path in PATH.findall(page.read_text(encoding="utf-8"))}
    assert {"etl.py", "star/load.py", "dwh/settings/", "dwh/seam.py"} <= named


@pytest.mark.parametrize("record", DECISIONS, ids=lambda record: record.stem[:4])
def test_a_decision_is_short_and_has_its_three_parts(record: Path) -> None:
    """A decision record has a context, a decision and a consequence, in this order, on 25 lines at most."""
    text = record.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    places = [text.find(heading) for heading in HEADINGS]
    assert -1 not in places, f"{HEADINGS[places.index(-1)]} is missing"
    assert places == sorted(places)
