"""P90 to P97: messages are true, and their hints work."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from checker import check
from warehouse import NOON, REPO, Warehouse, event, plays, song

from dwh.terminal.errors import DwhError, EnvironmentFailure
from promises.hints import assert_real, fault_of

PRODUCT = sorted([*REPO.glob("*.py"), *(REPO / "star").rglob("*.py"), *(REPO / "dwh").rglob("*.py")])


FILLED_IN = "\0"


def texts(node: ast.AST) -> Iterator[str]:
    """Give the texts that an expression may become, with FILLED_IN for what is known when it runs only."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else FILLED_IN for part in node.values)  # type: ignore[misc]
    elif isinstance(node, ast.Tuple | ast.List):
        for element in node.elts:
            yield from texts(element)
    elif isinstance(node, ast.IfExp):
        yield from (*texts(node.body), *texts(node.orelse))


def hints_in(path: Path) -> list[str]:
    """Give the hints of a file: what is passed as `hint`, and each text that begins as a command of ours.

    Where the name of a script, a flag or the beginning is filled in, the recorder judges it when it is made."""
    found: list[str] = []
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    pieces = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if isinstance(node, ast.keyword) and node.arg == "hint":
            found += texts(node.value)
        elif id(node) not in pieces:
            found += [text for text in texts(node) if text.startswith("python ") and "\n" not in text]
    unknown = tuple(f"{opening}{FILLED_IN}" for opening in ("", "python ", "[", "-", "--"))
    return [
        hint.replace(FILLED_IN, "1") for hint in found if not hint.startswith(unknown) and f"--{FILLED_IN}" not in hint
    ]


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(REPO)))
def test_p93_every_hint_in_the_code_is_real(path: Path) -> None:
    """Commands are parsed by the script they name, settings exist, the rest begins as commands and edits do."""
    for hint in hints_in(path):
        assert fault_of(hint) is None, f"{hint}: {fault_of(hint)}"


def test_p93_the_search_finds_hints() -> None:
    """Otherwise a misspelt search would silently find nothing."""
    assert sum(len(hints_in(path)) for path in PRODUCT) > 100


@pytest.mark.parametrize(
    "hint",
    [*("python etl.py --on-bad-lines stop", "python etl.py --wait soon", "python elt.py", "[DUCKDB] FILE = x", "maybe"),
     *("[DUCK] PATH = x", "python etl.py --forget 'a", "", "the same command again with --wiat 5m"),
     *("python etl.py --forget PATH", "python export_lake.py --to FOLDER", 'python ask.py "SELECT ..."'),
     "python etl.py --config /path/to/dwh.cfg"],
)  # fmt: skip
def test_p93_what_is_no_hint_is_seen(hint: str) -> None:
    """The judge of hints was seen failing, and so was the recorder's verdict."""
    assert fault_of(hint) is not None
    with pytest.raises(AssertionError):
        assert_real([("failed", (hint,))])
    with pytest.raises(AssertionError):
        assert_real([("failed", ())])


def test_p93_the_recorder_sees_errors_of_the_product(warehouse: Warehouse) -> None:
    """An error that the product makes is recorded in this process; one made by a test is not."""
    assert DwhError.__init__.__name__ == "record"
    EnvironmentFailure("made by a test")
    warehouse.database.unlink()
    with pytest.raises(EnvironmentFailure, match="does not exist"):
        warehouse.etl()


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/St_Johns", "Europe/Berlin"])
def test_p96_neither_zone_nor_summer_time_matter(warehouse: Warehouse, zone: str) -> None:
    """Plays around both changes of the clock in 2018, at every quarter of an hour: the same star in every zone."""
    changes = (1521939600000, 1540688400000, 1520748000000, 1541311200000)  # Berlin, St. John's
    times = [change + 900_000 * quarter for change in changes for quarter in range(-8, 9)]
    warehouse.write("log_data/a.json", [event(itemInSession=n, ts=ts) for n, ts in enumerate([NOON, *times])])
    for script in ("etl", "sql_validate"):
        assert warehouse.run(script, env={"TZ": zone}).code == 0
    check(warehouse)


def test_p96_the_ledger_says_when_in_utc(warehouse: Warehouse) -> None:
    """Loaded under Kiritimati, 14 hours ahead, loaded_at is not in the future."""
    warehouse.write("log_data/a.json", plays(1))
    assert warehouse.run("etl", env={"TZ": "Pacific/Kiritimati"}).code == 0
    found = "SELECT MAX(loaded_at) <= now() AT TIME ZONE 'UTC' + INTERVAL 1 MINUTE FROM loaded_files"
    assert warehouse.value(found) is True


DRY = [("create_tables",), ("create_tables", "--recreate"), ("etl",), ("etl", "--rebuild"), ("conn_start",),
       ("conn_close",), ("conn_close", "--delete-data")]  # fmt: skip


@pytest.mark.parametrize("command", DRY, ids=" ".join)
def test_p94_a_dry_run_changes_no_byte(warehouse: Warehouse, command: tuple[str, ...]) -> None:
    """Database, sources and settings are the same bytes after --dry-run, and no file is new."""
    warehouse.write("log_data/a.json", plays(2))
    warehouse.write("song_data/a.json", [song()])
    warehouse.etl()
    warehouse.call("conn_close")
    warehouse.write("log_data/b.json", plays(4))
    before = contents(warehouse)
    script, *flags = command
    assert warehouse.call(script, "--dry-run", *flags).code == 0
    assert contents(warehouse) == before


def contents(warehouse: Warehouse) -> dict[Path, bytes]:
    """Give every file below the root of a warehouse."""
    return {path: path.read_bytes() for path in warehouse.root.rglob("*") if path.is_file()}
