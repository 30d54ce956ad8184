"""The shape of the code: imports point one way, files and functions stay readable, nothing happens at import."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted(path for path in ROOT.glob("*.py") if path.name != "sql_queries.py")
PLUMBING = sorted((ROOT / "dwh").rglob("*.py"))
CODE = [*SCRIPTS, *PLUMBING]
ROOMS = {
    "star_load",
    "star_refusals",
    "star_other_files",
    "star_checks",
    "star_matches",
    "star_owner",
    "report_page",
    "report_pictures",
    "report_charts",
}  # of scripts: what one of them does, or two share
DRIVERS = {"duckdb", "psycopg2", "boto3", "obstore", "matplotlib", "jinja2", "rich"}
LONGEST_FILE, LONGEST_FUNCTION, MOST_PARAMETERS = 310, 40, 6

every_file = pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules a piece of code imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_sql_queries_imports_nothing() -> None:
    """The file a data person edits is SQL and nothing else."""
    assert list(imported(parse(ROOT / "sql_queries.py"))) == []


@pytest.mark.parametrize("path", PLUMBING, ids=lambda path: str(path.relative_to(ROOT)))
def test_plumbing_imports_no_script_and_no_sql(path: Path) -> None:
    """Nothing in dwh/ knows a script or the SQL of the star."""
    own = {script.stem for script in SCRIPTS} | {"sql_queries"}
    assert own & {name.split(".")[0] for name in imported(parse(path))} == set()


@pytest.mark.parametrize("path", PLUMBING, ids=lambda path: str(path.relative_to(ROOT)))
def test_plumbing_knows_no_song(path: Path) -> None:
    """The words of this business stand in the SQL and in the scripts, not in dwh/."""
    text = path.read_text(encoding="utf-8").lower()
    assert [word for word in ("songplay", "artist", "nextsong", "user_id") if word in text] == []


@every_file
def test_drivers_are_imported_where_they_are_used(path: Path) -> None:
    """No driver is imported when a module is: --help answers at once."""
    at_import = [node for node in parse(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert DRIVERS & {name.split(".")[0] for node in at_import for name in imported(node)} == set()


@every_file
def test_third_party_imports_are_declared(path: Path) -> None:
    """What is imported is the standard library, ours, or pinned in requirements.txt."""
    names = [line.split("==")[0].lower() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    pinned = {name.removesuffix("-binary") for name in names}
    ours = {script.stem for script in SCRIPTS} | {"sql_queries", "dwh"}
    foreign = {name.split(".")[0] for name in imported(parse(path))} - set(sys.stdlib_module_names) - ours
    assert foreign <= pinned


@every_file
def test_files_and_functions_stay_short(path: Path) -> None:
    """A file past 300 lines or a function past 40 wants a room of its own."""
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= LONGEST_FILE
    long = [f.name for f in functions(ast.parse(source)) if (f.end_lineno or 0) - f.lineno >= LONGEST_FUNCTION]
    assert long == []


@every_file
def test_only_run_catches_everything(path: Path) -> None:
    """`except Exception` and bare `except` stand in dwh.console.run alone; a roll-back may catch BaseException to
    raise it again."""
    broad = []
    for function in functions(parse(path)):
        for handler in (node for node in ast.walk(function) if isinstance(node, ast.ExceptHandler)):
            names = ast.unparse(handler.type) if handler.type else "everything"
            again = any(isinstance(node, ast.Raise) and node.exc is None for node in handler.body)
            if names in ("Exception", "everything") or (names == "BaseException" and not again):
                broad.append(function.name)
    assert broad == (["run"] if path.name == "console.py" else [])


@every_file
def test_no_value_becomes_sql(path: Path) -> None:
    """Outside the engines no SQL is put together: no f-string, no % and no + on a statement, no str.format."""
    if "engines" in path.parts or path.name in ("create_tables.py",):
        return
    spliced = []
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod)):
            text = ast.unparse(node)
            starts = ("SELECT ", "INSERT ", "DELETE ", "UPDATE ", "CREATE ", "DROP ", "ALTER ")
            if any(f"'{start}" in text or f'"{start}' in text or "q." in text for start in starts):
                spliced.append(text)
    assert spliced == []


@every_file
def test_nothing_is_executed_from_data(path: Path) -> None:
    """No eval, exec, pickle or yaml.load, and no shell."""
    calls = {ast.unparse(node.func) for node in ast.walk(parse(path)) if isinstance(node, ast.Call)}
    assert calls & {"eval", "exec", "pickle.load", "pickle.loads", "yaml.load", "os.system", "os.popen"} == set()
    assert "shell=True" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_have_one_form(path: Path) -> None:
    """A script is a docstring, parser(), main(argv) and one last line."""
    if path.stem in ROOMS:
        return
    tree = parse(path)
    assert ast.get_docstring(tree)
    assert {"parser", "main"} <= {f.name for f in functions(tree)}
    assert ast.unparse(tree.body[-1]).replace('"', "'") == "if __name__ == '__main__':\n    raise SystemExit(run(main))"
