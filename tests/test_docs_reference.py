"""The reference says what the code does: its pages are what the code makes of them, and JSON is what scripts print."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from warehouse import REPO, Warehouse, event, lines, plays, song

from cloud.steps import MOST_MINUTES, MOST_STEPS, STEPS
from docs import json_keys, write_reference
from dwh.settings.sections import declared_keys
from dwh.terminal.errors import MEANINGS, ExitCode

NOTHING_ELSE = {"input.md"}  # written by hand


@pytest.mark.parametrize("name", write_reference.WRITERS)
def test_the_reference_is_what_the_code_makes(name: str) -> None:
    """A page of the reference is current; if not: python docs/write_reference.py."""
    committed = (write_reference.PLACE / f"{name}.md").read_text(encoding="utf-8")
    assert committed == write_reference.page(name)


def test_p232_the_page_of_the_walk_has_its_steps() -> None:
    """docs/cloud-check.md is current; if not: python docs/write_reference.py. They are few, and take half an hour."""
    committed = write_reference.CHECK_PAGE.read_text(encoding="utf-8")
    assert committed == write_reference.check_page(committed)
    assert f"\n| {len(STEPS)} | " in committed
    assert len(STEPS) <= MOST_STEPS
    assert sum(step.minutes for step in STEPS) <= MOST_MINUTES
    names = [step.name for step in STEPS]
    assert all(set(step.needs) <= set(names[:number]) for number, step in enumerate(STEPS))


def test_no_page_of_the_reference_is_left_over() -> None:
    """Each page is made from the code, or known to be written by hand."""
    made = {f"{name}.md" for name in write_reference.WRITERS}
    assert {path.name for path in write_reference.PLACE.iterdir()} == made | NOTHING_ELSE


def test_every_exit_code_has_a_meaning() -> None:
    """Each exit code is explained, in order, by words of its own; run_all.sh uses the same."""
    assert list(MEANINGS) == list(ExitCode)
    assert len({part for meaning in MEANINGS.values() for part in meaning}) == 3 * len(ExitCode)
    words = ", ".join(f"{int(code)} {meaning.short}" for code, meaning in MEANINGS.items() if code)
    assert words in (write_reference.ROOT / "run_all.sh").read_text(encoding="utf-8")


def test_the_reference_names_everything() -> None:
    """No setting and no script is lost on the way to the page."""
    settings = write_reference.page("settings")
    assert re.findall(r"^\| `([A-Z_]+)` \|", settings, re.MULTILINE) == [name for _, name in declared_keys()]
    headings = re.findall(r"^## (\w+)\.py$", write_reference.page("flags"), re.MULTILINE)
    assert headings == list(write_reference.SCRIPTS) == list(json_keys.SCRIPTS)


# ---------------------------------------------------------------------------------------------------------- JSON


def found_in(value: Any, declared: dict[str, str], path: str = "") -> Iterator[tuple[str, str]]:
    """Give path and type of every key of an object, written as docs/json_keys.py writes them."""
    if isinstance(value, dict) and declared.get(path) != "row":
        by_name = any(known.startswith(f"{path}.*") for known in declared)
        for key, inner in value.items():
            yield from found_in(inner, declared, f"{path}.{'*' if by_name else key}".removeprefix("."))
    elif isinstance(value, list):
        for inner in value:
            yield from found_in(inner, declared, f"{path}[]")
    else:
        kinds = {bool: "boolean", int: "integer", float: "number", str: "text", dict: "row"}
        yield path, kinds[type(value)]


def compare(script: str, printed: Sequence[dict[str, Any]], own: Sequence[json_keys.JsonKey]) -> None:
    """Fail when a printed key is not declared, or a declared one is in none of the objects."""
    declared = {key.path: key.type for key in (*json_keys.EVERY_SCRIPT, *own)}
    found = {pair for each in printed for pair in found_in(each, declared)}
    assert found == set(declared.items())
    assert {each["script"] for each in printed} == {script}


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What each script prints with --json, on data that fill every key."""
    warehouse = Warehouse(tmp_path_factory.mktemp("json"))
    warehouse.configure(LAKE={"KEEP": 1}, ETL={"ON_BAD_LINE": "quarantine"}, CHECKS={"MAX_REJECTED": 5})
    named = {"userid" if key == "userId" else key: value for key, value in event(itemInSession=8).items()}
    odd = [named, event(song="Unknown", itemInSession=9), event(ts="yesterday")]
    warehouse.write("log_data/a.json", lines([*odd, *plays(3)]))
    warehouse.write("song_data/a.json", lines([song()]))
    printed: dict[str, list[dict[str, Any]]] = {}
    for script, *flags in (
        ("conn_start", "--dry-run"),
        ("conn_start",),
        ("create_tables",),
        ("etl",),
        ("sql_validate", "-v"),
        ("sql_validate", "--list"),
        ("export_lake",),
        ("export_lake", "--again"),
        ("export_lake", "--again", "--dry-run"),
        ("export_lake", "--check"),
        ("report", "--quick"),
        ("ask", "SELECT title FROM songplays", "--limit", "1"),
        ("ask", "--list"),
        ("conn_close",),
    ):
        printed.setdefault(script, []).append(warehouse.call(script, "--json", *flags).json)
    plain = {"env": {"DWH_LAKE_FORMAT": "parquet"}}
    to = ("--json", "--to", str(warehouse.root / "plain"))
    for more in ((), ("--again",), ("--again",), ("--again", "--dry-run")):
        printed["export_lake"].append(warehouse.call("export_lake", *to, *more, **plain).json)
    target = str(warehouse.root / "sample")
    command = [sys.executable, str(REPO / "make_sample.py"), "--json", target]
    printed["make_sample"] = [warehouse.run("make_sample", command=command).json]
    return printed


@pytest.mark.parametrize("script", json_keys.SCRIPTS)
def test_json_has_the_keys_of_the_reference(script: str, objects: dict[str, list[dict[str, Any]]]) -> None:
    """A script prints the keys that the reference names, with their types, and no other."""
    compare(script, objects[script], json_keys.SCRIPTS[script])


def test_json_of_a_failure_has_the_keys_of_the_reference(bare: Warehouse) -> None:
    """A script that fails prints the keys that the reference names for that."""
    failed = bare.run("etl", "--json", "--engine", "oracle")
    assert failed.code == ExitCode.USAGE
    compare("etl", [failed.json], json_keys.FAILURE)


def test_a_key_that_is_not_declared_is_seen() -> None:
    """The comparison sees keys that are new, missing, or of another type."""
    good = {"script": "x", "ok": True, "rows": {"users": 1}, "list": [{"a": {"any": None}}]}
    own = [json_keys.JsonKey("rows.*", "integer", ""), json_keys.JsonKey("list[].a", "row", "")]
    compare("x", [good], own)
    for wrong in ({**good, "more": 1}, {**good, "rows": {"users": "1"}}, {**good, "list": []}):
        with pytest.raises(AssertionError):
            compare("x", [wrong], own)
