"""All places that name the version agree, and the policy of CHANGELOG names only what exists."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

import dwh
import sql_queries as q
from dwh.terminal.errors import ExitCode

ROOT = Path(__file__).resolve().parents[1]
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
