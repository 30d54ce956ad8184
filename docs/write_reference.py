"""Write the pages of docs/reference that are made from the code: flags, settings, exit codes, JSON, star, checks; and
the steps of docs/cloud-check.md.

  python docs/write_reference.py    write all of them again

tests/test_docs_reference.py fails when a page is not what this writes.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import sql_queries as q  # noqa: E402
from cloud.steps import page_table  # noqa: E402
from docs import json_keys  # noqa: E402
from dwh.ownership.tables import columns_of  # noqa: E402
from dwh.settings.sections import SECTIONS, declared_keys  # noqa: E402
from dwh.terminal.errors import MEANINGS  # noqa: E402
from star.checks import checks_of  # noqa: E402

PLACE = ROOT / "docs" / "reference"
ON_THE_WAREHOUSE = ("conn_start", "create_tables", "etl", "sql_validate", "export_lake", "report", "ask", "conn_close")
SCRIPTS = (*ON_THE_WAREHOUSE, "make_sample")
REFERENCES = (
    ("start_time", "time", "when"),
    ("user_id", "users", "who"),
    ("song_id", "songs", "what"),
    ("artist_id", "artists", "by whom"),
)


def row(*cells: str) -> str:
    """Give a row of a table."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def table(heading: str, rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Write a table with an empty line before and after; `heading` holds the names of the columns, divided by `|`."""
    names = heading.split("|")
    yield from ("", row(*names), "|" + "---|" * len(names))
    yield from (row(*cells) for cells in rows)
    yield ""


# --------------------------------------------------------------------------------------------------------- flags


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
    """Write the flags that scripts share, those of each script, and the usage of run_all.sh."""
    users: dict[tuple[str, str], list[str]] = {}
    for script in SCRIPTS:
        for flag in flags_of(script).items():
            users.setdefault(flag, []).append(script)
    shared = [flag for flag, scripts in users.items() if len(scripts) >= len(ON_THE_WAREHOUSE)]
    yield from (
        "# Flags",
        "",
        "`python etl.py --help` shows the flags of a script, with examples. A flag counts more than the same",
        "[setting](settings.md). A TIME is a number with `s`, `m` or `h`, such as `5m`.",
        "",
        "## Flags of all scripts",
    )
    everywhere = [(*flag, "yes" if len(users[flag]) == len(SCRIPTS) else "no") for flag in shared]
    yield from table("flag|meaning|make_sample too", everywhere)
    for script in SCRIPTS:
        own = [flag for flag in flags_of(script).items() if flag not in shared]
        yield from (f"## {script}.py", "", first_paragraph(script))
        yield from table("flag|meaning", own)
    usage = (ROOT / "run_all.sh").read_text(encoding="utf-8").partition("<<'END'\n")[2].partition("\nEND\n")[0]
    yield from ("## run_all.sh", "", "```text", *usage.splitlines(), "```")


def first_paragraph(script: str) -> str:
    """Give what a script says of itself, before its examples."""
    return (importlib.import_module(script).__doc__ or "").strip().partition("\n\n")[0]


# ------------------------------------------------------------------------------------------------------ settings


def write_settings() -> Iterator[str]:
    """Write the settings, a table for each section."""
    yield from (
        "# Settings",
        "",
        "The first of these that names a setting decides:",
        "",
        "1. a flag: `--engine`, `--on-bad-line`, `--to`",
        "2. the environment: `DWH_<SECTION>_<KEY>`, such as `DWH_S3_LOG_DATA`; `DWH_ENGINE` for short",
        "3. `dwh.local.cfg` beside `dwh.cfg`: only the keys that differ; git ignores it",
        "4. `dwh.cfg`, or the file that `--config` or `DWH_CONFIG` names",
        "5. the default",
        "",
        "`python etl.py -v --dry-run` says where each value comes from. A relative path starts at the folder of the",
        "file that it stands in. A comment has a line of its own. A value may stand in quotes. An empty value means",
        "the default.",
        "",
        "Put passwords and keys into `dwh.local.cfg`, and let nobody else read it: `chmod 600 dwh.local.cfg`.",
    )
    for section, cls in SECTIONS.items():
        keys = [(name, about) for (of, name), about in declared_keys().items() if of == section]
        yield from ("", f"## [{section}]", "", (cls.__doc__ or "").strip())
        yield from table(
            "key|default|meaning",
            ((f"`{name}`", f"`{about.default}`" if about.default else "", about.meaning) for name, about in keys),
        )


# --------------------------------------------------------------------------------------------- exit codes and JSON


def write_exit_codes() -> Iterator[str]:
    """Write what each exit code means, and what to do."""
    yield from ("# Exit codes", "", "Every script ends with one of these. What a code means does not change.")
    rows = ((str(int(code)), code.name, about.sentence, about.action) for code, about in MEANINGS.items())
    yield from table("code|name|meaning|what to do", rows)
    yield from (
        "A warning of `sql_validate.py` is no failure: the exit code is 0. `run_all.sh` stops at the first step that",
        "fails, and ends with its exit code.",
        "",
        "An error is at most eight lines on stderr: what failed, where it was seen, and after `try:` a command or an",
        "edit that helps. With `--json` the [same stands on stdout](json.md#when-a-script-fails).",
    )


def write_json() -> Iterator[str]:
    """Write the keys of the object that each script prints with --json."""
    yield from (
        "# JSON objects",
        "",
        "With `--json` a script prints one object on stdout, and nothing else. `./run_all.sh --json` prints one a line",
        "for each script. New keys may come; those named here stay, and keep their meaning.",
        "",
        "`a.b` is the key `b` of the object `a`. `a[]` is each item of the list `a`. `a.*` is the value of each key of",
        "`a`, where the keys are names of tables. A row is an object whose keys are columns.",
        "",
        "## Every script",
    )
    yield from table("key|type|meaning", _json_rows(json_keys.EVERY_SCRIPT))
    yield from ("## When a script fails", "", "`ok` is false, and instead of its own keys a script has these.")
    yield from ("The one exception is a failed check: `sql_validate.py` prints its own keys then too.",)
    yield from table("key|type|meaning", _json_rows(json_keys.FAILURE))
    for script, keys in json_keys.SCRIPTS.items():
        yield from (f"## {script}.py",)
        yield from table("key|type|meaning", _json_rows(keys))


def _json_rows(keys: Iterable[json_keys.JsonKey]) -> Iterator[tuple[str, str, str]]:
    return ((f"`{key.path}`", key.type, key.meaning) for key in keys)


# ------------------------------------------------------------------------------------------------ star and checks


def write_star() -> Iterator[str]:
    """Draw the star from the statements that create it, then describe every table and its columns."""
    yield from (
        "# The tables",
        "",
        "The database says the same: each table and column has its description as a comment. The examples follow one",
        "play of the sample through all tables.",
        "",
        "## The star",
        "",
        "```mermaid",
        "erDiagram",
    )
    yield from (f'    {name} ||--o{{ songplays : "{label}"' for _, name, label in REFERENCES)
    foreign = {column for column, _, _ in REFERENCES}
    for name in ("songplays", *(name for _, name, _ in REFERENCES)):
        yield f"    {name} {{"
        for number, (column, kind) in enumerate(columns_of(q.STAR[name]).items()):
            key = " PK" if number == 0 else " FK" if name == "songplays" and column in foreign else ""
            yield f"        {re.split('[( ]', kind)[0].lower()} {column}{key}"
        yield "    }"
    yield "```"
    for name in ("songplays", *(name for _, name, _ in REFERENCES)):
        yield from _columns(name)
    yield from ("## Beside the star",)
    for name in (*q.LEDGER, *q.STAGING):
        yield from _columns(name)


def _columns(name: str) -> Iterator[str]:
    yield from ("", f"### {name}", "", q.ABOUT[name])
    rows = (
        (f"`{column}`", kind.removesuffix(" NOT NULL"), "no" if "NOT NULL" in kind else "yes", words, f"`{example}`")
        for column, (kind, words, example) in q.COLUMNS[name].items()
    )
    yield from table("column|type|may be NULL|description|example", rows)


def write_checks() -> Iterator[str]:
    """Write the checks in the order in which they run."""
    yield from (
        "# Checks",
        "",
        "`python sql_validate.py` runs these in this order, and `report.py` shows them. A check with `fail` ends the",
        "run with exit code 1; one with `warn` does not. `python sql_validate.py -v --only NAME` shows the rows that",
        "break a check, and its SQL. [Settings](settings.md#checks) move the limits.",
    )
    rows = (
        (check.name, severity_of(check.severity, check.tolerated), check.what, _command(check.fix))
        for check in checks_of("redshift")
    )
    yield from table("check|severity|what it promises|try", rows)


def severity_of(severity: str, tolerated: str) -> str:
    """Say whether a check fails or warns, and from where on."""
    return f"{severity} above `[CHECKS] {tolerated.upper()}`, else warn" if tolerated else severity


def _command(hint: str) -> str:
    command, _, about = hint.partition("     ")
    return f"`{command}` {about}".strip() if command else ""


WRITERS: dict[str, Callable[[], Iterator[str]]] = {
    "flags": write_flags,
    "settings": write_settings,
    "exit-codes": write_exit_codes,
    "json": write_json,
    "star": write_star,
    "checks": write_checks,
}


def page(name: str) -> str:
    """Give the text of a page."""
    head = "<!-- Made by `python docs/write_reference.py`: change the code, not this page. -->\n\n"
    return head + re.sub(r"\n{3,}", "\n\n", "\n".join(WRITERS[name]())).strip() + "\n"


CHECK_PAGE = ROOT / "docs" / "cloud-check.md"


def check_page(text: str) -> str:
    """Give the text of docs/cloud-check.md with the steps as cloud/steps.py has them."""
    steps = "\n".join(page_table())
    return re.sub(
        r"(<!-- steps: .*? -->\n).*?(?=<!-- end of steps)", lambda found: f"{found[1]}{steps}\n", text, flags=re.DOTALL
    )


def main() -> None:
    """Write every page."""
    CHECK_PAGE.write_text(check_page(CHECK_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    PLACE.mkdir(exist_ok=True)
    for name in WRITERS:
        (PLACE / f"{name}.md").write_text(page(name), encoding="utf-8")


if __name__ == "__main__":
    main()
