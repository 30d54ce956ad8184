"""The shape of the code: imports point one way, files and functions stay readable, nothing happens at import."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted(path for path in ROOT.glob("*.py") if path.name != "sql_queries.py")
STAR = sorted((ROOT / "star").rglob("*.py"))
PLUMBING = sorted((ROOT / "dwh").rglob("*.py"))
CODE = [*SCRIPTS, *STAR, *PLUMBING]
CLOUD = sorted((ROOT / "cloud").glob("*.py"))  # for maintainers
DRIVERS = {
    "sqlglot",
    "duckdb",
    "psycopg2",
    "boto3",
    "obstore",
    "matplotlib",
    "jinja2",
    "rich",
    "pyiceberg",
    "zstandard",
}
CATCHES_EVERYTHING = {"console.py": ["run"], "flights.py": ["_fly"]}
LONGEST_FILE, LONGEST_FUNCTION, MOST_PARAMETERS = 300, 40, 6
LEAST_TABLE = 10
MOST_LINES_OF_SQL = 1000

# Which room may import which, besides itself; all of dwh/ may import `seam`. What is not here may not be imported, for
# types neither. A room is a folder, or a file that stands beside the folders.
TERMINAL = {"terminal"}
SETTINGS = {"settings", *TERMINAL}
SOURCES = {"sources", *SETTINGS}
SPOOL = {"spool", *SOURCES}
ENGINES = {"engines", "ownership", "cluster", *SPOOL}
MAY_IMPORT = {
    "seam": set[str](),
    "terminal": set[str](),
    "settings": TERMINAL,
    "sources": SETTINGS,
    "spool": SOURCES,
    "ownership": TERMINAL,
    "cluster": SETTINGS,
    "engines": {"ownership", *TERMINAL},  # what several engines share
    "engines.duckdb": ENGINES,
    "engines.postgres": {"engines.duckdb", *ENGINES},  # DuckDB writes its Parquet
    "engines.redshift": ENGINES,
    "engines.choose": {"engines.duckdb", "engines.postgres", "engines.redshift", *ENGINES},
    "checks": {"engines", *SOURCES},
    "questions": TERMINAL,
    "answers": {"engines.duckdb", *SPOOL},  # DuckDB writes its Parquet
    "lake": {"engines.duckdb", *ENGINES},
    "lake.iceberg": {"lake", "engines.duckdb", *ENGINES},
    "monitoring": SETTINGS,
    "beforehand": SOURCES,
    "script": {"engines.choose", "monitoring", "ownership", *SOURCES},
}
FOLDERS = {room.replace(".", "/") for room in MAY_IMPORT}

every_file = pytest.mark.parametrize("path", [*CODE, *CLOUD], ids=lambda path: str(path.relative_to(ROOT)))


@cache
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


def test_sql_queries_stays_short() -> None:
    """A data person can read all of it: what decides nothing about tables, records and rows stands elsewhere."""
    assert len((ROOT / "sql_queries.py").read_text(encoding="utf-8").splitlines()) <= MOST_LINES_OF_SQL


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in [*CODE, ROOT / "sql_queries.py"]}


def room_of(module: str) -> str:
    """The room of a module of ours: `engines.duckdb`, `spool`, `script`; of what is not in dwh/: `star`, or itself."""
    top, _, rest = module.partition(".")
    parts = rest.split(".")
    if top != "dwh" or not rest:
        return top
    return next((room for room in (".".join(parts[:2]), parts[0]) if room in MAY_IMPORT), parts[0])


@cache
def imports_of(path: Path) -> Sequence[tuple[str, str]]:
    """The modules of ours that a file imports, anywhere in it and for types too, each with a name it takes from it."""
    return tuple(imports_in(parse(path)))


def imports_in(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield (whole, "") if whole in MODULES else (node.module, alias.name)


def circle_in(imports: dict[str, set[str]]) -> list[str]:
    """A way from a module back to itself; empty when there is none."""
    left = {module: set(others) for module, others in imports.items()}
    while free := [module for module, others in left.items() if not others & left.keys()]:
        for module in free:
            del left[module]
    way = sorted(left)[:1]
    while way and way[-1] not in way[:-1]:
        way.append(min(left[way[-1]] & left.keys()))
    return way[way.index(way[-1]) :] if way else []


@pytest.mark.parametrize("path", PLUMBING, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_what_the_table_allows(path: Path) -> None:
    """Nothing in dwh/ imports a script, the star or its SQL, nor a room that the table does not allow it."""
    if path.parent == ROOT / "dwh" and path.stem == "__init__":
        assert list(imports_of(path)) == []
        return
    own = room_of(module_of(path))
    allowed = MAY_IMPORT[own] | {own, "seam"} if own != "seam" else set()
    found = {room_of(module) for module, name in imports_of(path) if (module, name) != ("dwh", "__version__")}
    assert found <= allowed, f"{own} may not import {', '.join(sorted(found - allowed))}"


@pytest.mark.parametrize("path", STAR, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_star_imports_no_script(path: Path) -> None:
    """Rooms of the star import one another, sql_queries and dwh/."""
    found = {module.partition(".")[0] for module, _ in imports_of(path)}
    assert found <= {"star", "sql_queries", "dwh"}


def test_no_import_goes_in_a_circle() -> None:
    """No module of ours reaches itself by way of its imports, those for types included; nor does a room."""
    modules = {module: {other for other, _ in imports_of(path)} for module, path in MODULES.items()}
    rooms: dict[str, set[str]] = {}
    for module, others in modules.items():
        rooms.setdefault(room_of(module), set()).update(room_of(other) for other in others)
    assert circle_in(modules) == []
    assert circle_in({room: others - {room} for room, others in rooms.items()}) == []


@pytest.mark.parametrize("room", sorted(folder for folder in FOLDERS if (ROOT / "dwh" / folder).is_dir()))
def test_the_face_of_a_room_names_what_others_use(room: str) -> None:
    """The docstring of a room's __init__.py names, module by module, exactly what other rooms import from it."""
    shown = ast.get_docstring(parse(ROOT / "dwh" / room / "__init__.py")) or ""
    table = re.sub(r"\n {8,}", " ", shown.partition("Other rooms use:")[2])
    named = {module: set(names.split(", ")) for module, names in re.findall(r"^    (\w+) +(.+)$", table, re.MULTILINE)}
    used: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        for other, name in imports_of(path):
            if room_of(other) == room.replace("/", ".") != room_of(module):
                used.setdefault(other.rpartition(".")[2], set()).add(name)
    assert shown
    assert named == used


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
    ours = {script.stem for script in SCRIPTS} | {"sql_queries", "dwh", "star", "cloud"}
    foreign = {name.split(".")[0] for name in imported(parse(path))} - set(sys.stdlib_module_names) - ours
    assert foreign <= pinned


def lines_of_data(tree: ast.Module) -> int:
    """The lines of tables: values of ten lines and more that are given a name at the top level."""
    values = [node for node in tree.body if isinstance(node, ast.Assign)]
    return sum(lines for node in values if (lines := (node.end_lineno or 0) - node.lineno + 1) >= LEAST_TABLE)


@every_file
def test_files_and_functions_stay_short(path: Path) -> None:
    """A file past 300 lines or a function past 40 wants a room of its own."""
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) - lines_of_data(ast.parse(source)) <= LONGEST_FILE
    long = [f.name for f in functions(ast.parse(source)) if (f.end_lineno or 0) - f.lineno >= LONGEST_FUNCTION]
    assert long == []


@every_file
def test_only_run_catches_everything(path: Path) -> None:
    """`except Exception` and bare `except` stand in dwh.terminal.console.run, and in the threads of flights.py, whose
    errors are raised where their results are taken; a roll-back may catch BaseException to raise it again."""
    broad = []
    for function in functions(parse(path)):
        for handler in (node for node in ast.walk(function) if isinstance(node, ast.ExceptHandler)):
            names = ast.unparse(handler.type) if handler.type else "everything"
            again = any(isinstance(node, ast.Raise) and node.exc is None for node in handler.body)
            if names in ("Exception", "everything") or (names == "BaseException" and not again):
                broad.append(function.name)
    assert broad == CATCHES_EVERYTHING.get(path.name, [])


@every_file
def test_nothing_is_executed_from_data(path: Path) -> None:
    """No eval, exec, pickle or yaml.load, and no shell."""
    calls = {ast.unparse(node.func) for node in ast.walk(parse(path)) if isinstance(node, ast.Call)}
    assert calls & {"eval", "exec", "pickle.load", "pickle.loads", "yaml.load", "os.system", "os.popen"} == set()
    assert "shell=True" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", CLOUD, ids=lambda path: path.name)
def test_what_maintainers_run_imports_no_star(path: Path) -> None:
    """The walk on an account runs the scripts as processes, and looks by what is in dwh/; nothing imports it."""
    found = {name.partition(".")[0] for name in imported(parse(path))}
    assert found & {"star", "sql_queries", *(script.stem for script in SCRIPTS)} == set()
    assert [code for code in CODE if any(name.startswith("cloud.") for name in imported(parse(code)))] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_have_one_form(path: Path) -> None:
    """A script is a docstring, parser(), main(argv) and one last line."""
    tree = parse(path)
    assert ast.get_docstring(tree)
    assert {"parser", "main"} <= {f.name for f in functions(tree)}
    assert ast.unparse(tree.body[-1]).replace('"', "'") == "if __name__ == '__main__':\n    raise SystemExit(run(main))"
