"""README, dwh.cfg and the help texts say what the code does.

`python tests/test_docs.py` writes the tables of README again.
"""

from __future__ import annotations

import argparse
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import sql_queries as q  # noqa: E402
from dwh.ownership.tables import columns_of  # noqa: E402
from dwh.settings.sections import declared_keys  # noqa: E402
from dwh.terminal.errors import ExitCode  # noqa: E402
from dwh.terminal.flags import EXIT_CODES  # noqa: E402

README = ROOT / "README.md"
SCRIPTS = ("conn_start", "create_tables", "etl", "sql_validate", "export_lake", "report", "conn_close", "make_sample")
ON_THE_WAREHOUSE = SCRIPTS[:-1]
LEAST_EXAMPLES = 2
DRIVERS = {"duckdb", "rich", "psycopg2", "boto3", "obstore", "matplotlib", "jinja2"}
# Whose texts name commands: all that a user or a contributor reads.
WITH_COMMANDS = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("*.py"),
        *ROOT.glob("*.sh"),
        *ROOT.glob("dwh/**/*.py"),
        *ROOT.glob("star/**/*.py"),
    ]
)
COMMAND = re.compile(r"\bpython ([\w/]+\.py)((?: [\w./=-]+)*)")
REFERENCES = (
    ("start_time", "time", "when"),
    ("user_id", "users", "who"),
    ("song_id", "songs", "what"),
    ("artist_id", "artists", "by whom"),
)


def flags_of(script: str) -> dict[str, str]:
    """Give the flags of a script as its parser has them: how each is written, and what it means."""
    parser: argparse.ArgumentParser = importlib.import_module(script).parser()
    flags = {}
    for action in parser._actions:
        value = "" if action.nargs == 0 else f" {action.metavar or '|'.join(action.choices or ())}"
        written = "`, `".join(action.option_strings) + value if action.option_strings else value.strip()
        flags[f"`{written}`"] = (action.help or "").replace("%(prog)s", f"{script}.py")
    return flags


def write_flags() -> Iterator[str]:
    """Write the table of flags: first those of one script or some, then those that many share."""
    users: dict[tuple[str, str], list[str]] = {}
    for script in SCRIPTS:
        for flag in flags_of(script).items():
            users.setdefault(flag, []).append(script)
    yield from ("| flag | scripts | meaning |", "|---|---|---|")
    for (written, meaning), scripts in sorted(users.items(), key=lambda item: len(item[1]) >= len(ON_THE_WAREHOUSE)):
        names = ", ".join(scripts)
        if len(scripts) >= len(ON_THE_WAREHOUSE):
            names = "all" if len(scripts) == len(SCRIPTS) else "all but make_sample"
        yield row(written, names, meaning)


def write_config() -> Iterator[str]:
    """Write the table of settings."""
    yield from ("| key | default | meaning |", "|---|---|---|")
    for (section, name), about in declared_keys().items():
        default = f"`{about.default}`" if about.default else ""
        yield row(f"`[{section}] {name}`", default, about.meaning)


def write_star() -> Iterator[str]:
    """Draw the star from the statements that create it."""
    yield from ("```mermaid", "erDiagram")
    yield from (f'    {table} ||--o{{ songplays : "{label}"' for _, table, label in REFERENCES)
    foreign = {column for column, _, _ in REFERENCES}
    for table in ("songplays", *(table for _, table, _ in REFERENCES)):
        yield f"    {table} {{"
        for number, (column, kind) in enumerate(columns_of(q.STAR[table]).items()):
            key = " PK" if number == 0 else " FK" if table == "songplays" and column in foreign else ""
            yield f"        {re.split('[( ]', kind)[0].lower()} {column}{key}"
        yield "    }"
    yield "```"


def row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


BLOCKS = {"star": write_star, "flags": write_flags, "config": write_config}


def with_blocks(text: str) -> str:
    """Replace each generated block of a text by what it should be."""
    for name, write in BLOCKS.items():
        block = "\n".join([f"<!-- {name} -->", "", *write(), "", f"<!-- /{name} -->"])
        text, found = re.subn(f"<!-- {name} -->.*?<!-- /{name} -->", lambda _, b=block: b, text, flags=re.DOTALL)  # type: ignore[misc]
        assert found == 1, f"README has {found} blocks {name}"
    return text


def test_tables_of_readme_are_those_of_the_code() -> None:
    """The star, the flags and the settings in README are those of the code (to mend: python tests/test_docs.py)."""
    text = README.read_text(encoding="utf-8")
    assert text == with_blocks(text)


def test_readme_names_every_exit_code() -> None:
    """README's table has each exit code, and no other."""
    codes = re.findall(r"^\| (\d+) \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert codes == [str(int(code)) for code in ExitCode]


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
    """Each Python file beside README that can be run is in the tables of README."""
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


if __name__ == "__main__":
    README.write_text(with_blocks(README.read_text(encoding="utf-8")), encoding="utf-8")
