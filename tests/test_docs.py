"""dwh.cfg, the help texts and every command that is named say what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from docs.write_reference import SCRIPTS, flags_of
from dwh.settings.sections import declared_keys
from dwh.terminal.flags import EXIT_CODES

ROOT = Path(__file__).resolve().parents[1]
LEAST_EXAMPLES = 2
DRIVERS = {"duckdb", "rich", "sqlglot", "psycopg2", "boto3", "obstore", "matplotlib", "jinja2", "zstandard"}
# Whose texts name commands: all that a user or a contributor reads.
WITH_COMMANDS = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("*.py"),
        *ROOT.glob("*.sh"),
        *ROOT.glob("dwh/**/*.py"),
        *ROOT.glob("star/**/*.py"),
        *ROOT.glob("docs/*.py"),
    ]
)
COMMAND = re.compile(r"\bpython ([\w/]+\.py)((?: [\w./=-]+)*)")


def test_dwh_cfg_holds_every_key_with_its_default_and_meaning() -> None:
    """The committed dwh.cfg has every key once, in its section, at its default, below a line with its meaning."""
    found = {}
    section, lines = "", (ROOT / "dwh.cfg").read_text(encoding="utf-8").splitlines()
    for before, line in pairwise(lines):
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            section = heading[1]
        elif key := re.fullmatch(r"(?:# )?([A-Z_]+) =(?: (.*))?", line):
            assert (section, key[1]) not in found
            found[section, key[1]] = (key[2] or "", before.removeprefix("# "))
    assert found == {key: (about.default, about.meaning) for key, about in declared_keys().items()}


def test_every_script_is_documented() -> None:
    """Each Python file at the top that can be run is in the reference of flags."""
    runnable = {p.stem for p in ROOT.glob("*.py") if '__name__ == "__main__"' in p.read_text(encoding="utf-8")}
    assert runnable == set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_is_complete_and_loads_no_driver(script: str) -> None:
    """--help exits 0, shows examples and what the exit codes mean, and imports nothing that takes long."""
    command = [sys.executable, "-X", "importtime", str(ROOT / f"{script}.py"), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    imported = {line.split("|")[-1].strip().split(".")[0] for line in shown.stderr.splitlines()}
    assert shown.returncode == 0
    assert len(re.findall(rf"^  python {script}\.py", shown.stdout, re.MULTILINE)) >= LEAST_EXAMPLES
    assert EXIT_CODES in shown.stdout
    assert "dwh" in imported
    assert imported & DRIVERS == set()


@pytest.mark.parametrize("path", WITH_COMMANDS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_that_are_named_exist(path: Path) -> None:
    """A command in an error, a help text or a document is a script that is there, with flags that it has."""
    for script, words in COMMAND.findall(path.read_text(encoding="utf-8")):
        assert (ROOT / script).is_file(), f"python {script}"
        if "/" in script:
            continue
        flags = {word.split("=")[0] for word in words.split() if re.match("--?[a-z]", word)}
        known = {option for written in flags_of(Path(script).stem) for option in re.findall(r"--?[\w-]+", written)}
        assert flags <= known, f"python {script}{words}"


def test_commands_are_found_where_they_are_named() -> None:
    """The search for commands finds them; it would pass over a misspelt pattern in silence."""
    found = {script for path in WITH_COMMANDS for script, _ in COMMAND.findall(path.read_text(encoding="utf-8"))}
    assert {f"{script}.py" for script in SCRIPTS} <= found
