"""All places that name the version agree, and CHANGELOG and SECURITY name only what exists."""

from __future__ import annotations

import ast
import re
import tomllib
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

import dwh
import sql_queries as q
from dwh.terminal.errors import ExitCode

ROOT = Path(__file__).resolve().parents[1]
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^## (\[.+)$", CHANGELOG, re.MULTILINE)
RELEASES = [re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)", heading) for heading in HEADINGS[1:]]


def test_code_package_and_changelog_name_one_version() -> None:
    """What --version says, what pyproject.toml says and the newest release of CHANGELOG are the same."""
    package = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    newest = re.findall(r"^## \[([\d.]+)\]", CHANGELOG, re.MULTILINE)[0]
    assert (dwh.__version__, package) == (newest, newest)


def test_releases_stand_newest_first_below_what_is_unreleased() -> None:
    """First [Unreleased], then every release with its number and day, the newest first."""
    assert HEADINGS[0] == "[Unreleased]"
    found = [
        ([int(part) for part in release.groups()[:3]], date.fromisoformat(release[4]))
        for release in RELEASES
        if release
    ]
    assert len(found) == len(RELEASES) > 0
    assert found == sorted(found, reverse=True)


def test_the_policy_names_every_exit_code_and_tables_that_exist() -> None:
    """What a user may rely on is what the code has."""
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", CHANGELOG.split("## What you may rely on")[1], re.MULTILINE))
    assert [int(code) for code in re.findall(r"\d+", rows["exit codes"])] == [int(code) for code in ExitCode]
    [star] = [what for what in rows if what.startswith("the star: ")]
    assert set(re.findall(r"`(\w+)`", star)) == set(q.STAR)
    [records] = [what for what in rows if "loaded_files" in what]
    assert set(re.findall(r"`(\w+)`", records)) <= set(q.TABLES)


def test_security_names_promises_that_exist() -> None:
    """Each number in SECURITY.md is a row of the table of promises."""
    named = set(re.findall(r"\bP\d+\b", SECURITY))
    table = (ROOT / "tests/promises/README.md").read_text(encoding="utf-8")
    assert named - set(re.findall(r"^\| (P\d+) \|", table, re.MULTILINE)) == set()
    assert len(named) > 10


@pytest.mark.parametrize(("file", "test"), re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", SECURITY))
def test_security_names_tests_that_exist(file: str, test: str) -> None:
    """Each test that SECURITY.md names is in its file."""
    nodes = ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
    assert test in {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


def test_every_claim_of_security_names_what_keeps_it() -> None:
    """Each item and each paragraph below "What is defended" names what keeps it."""
    blocks = SECURITY.split("## What is defended\n")[1].split("\n## ")[0].strip().split("\n\n")
    opening = {block for block, following in pairwise(blocks) if following.startswith("- ")}
    claims = [
        claim for block in blocks if block not in opening for claim in re.split(r"^- ", block, flags=re.MULTILINE)
    ]
    unkept = [claim for claim in claims if claim and not re.search(r"\bP\d+\b|`tests/\S+::", claim)]
    assert unkept == []
    assert len(claims) > 12
