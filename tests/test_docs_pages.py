"""What the pages show is true: commands print it, SQL and settings are accepted, links lead somewhere."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

import duckdb
import pytest
from doc_console import Ran, copy_for, fault_of, shows, with_output
from doc_pages import ROOT, Block, Command, anchors, blocks, commands, links, named, tracked_pages, user_pages
from postgres_server import Make, PostgresWarehouse, start_server
from warehouse import Warehouse

from dwh.settings.config import load_config
from dwh.terminal.errors import ConfigError

MOST_LINES_OF_README = 120
SAMPLE = ("--events", "1000", "--days", "40")  # two months, and every kind of play
DUCKDB_ONLY, POSTGRESQL_ONLY = "-- DuckDB", "-- PostgreSQL"  # the first line of a block of SQL for one engine
FLAGS = {
    name: set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", (ROOT / name).read_text(encoding="utf-8")))
    for name in ("run_all.sh", "run_tests.sh")
}

PAGES = user_pages()
WITH_COMMANDS = [path for path in PAGES if next(blocks(path.read_text(encoding="utf-8"), "console"), None)]
every_page = pytest.mark.parametrize("path", tracked_pages(), ids=named)


def blocks_of(language: str, without: str = "no line has this") -> list[object]:
    """The blocks of all pages of users in a language, as parameters of a test; those with a text left out."""
    return [
        pytest.param(block, id=f"{named(path)}:{block.line}")
        for path in PAGES
        for block in blocks(path.read_text(encoding="utf-8"), language)
        if without not in block.text
    ]


# ------------------------------------------------------------------------------------------------------ commands


@pytest.mark.parametrize("path", WITH_COMMANDS, ids=named)
def test_commands_print_what_the_page_shows(path: Path, request: pytest.FixtureRequest) -> None:
    """All commands of a page, in order, in a fresh copy of the suite: each prints what stands below it."""
    page = path.read_text(encoding="utf-8")
    with copy_for(page, lambda: request.getfixturevalue("postgres_server")) as copy:
        faults = [fault for fault in map(fault_of, copy.run(commands(page))) if fault]
    assert not faults, f"{named(path)}\n" + "\n\n".join(faults)


def test_what_may_differ_is_no_difference() -> None:
    """Seconds, sizes, times, exports, versions and blanks may differ; a `...` stands for any lines; numbers may not."""
    page = ["  loaded 100 files, 8,071 records in 0.6s", "...", "lake/v-20181201T101503Z-061a3ea8: 5 files, 0.3 MB"]
    printed = [
        "  loaded 100 files, 8,071 records in 1m 02s",
        "between",
        "lake/v-20261201T101503Z-99999999: 5 files, 9 kB",
    ]
    assert shows(page, printed)
    assert shows(page, [printed[0], printed[2]])
    assert not shows(page, [printed[0].replace("8,071", "8,072"), *printed[1:]])
    assert not shows(page, printed[:2])
    assert not shows([page[0], page[2]], printed)


def test_a_command_that_fails_unseen_is_seen() -> None:
    """A page may show a failed command, with its error; what fails without it, or does not fail, is a fault."""
    failed = Command("false", (), 1)
    assert fault_of(Ran(failed, (), 1))
    assert fault_of(Ran(failed, (), 0)) is None
    told = Command("false", ("error: no",), 1)
    assert fault_of(Ran(told, ("error: no",), 1)) is None
    assert fault_of(Ran(told, ("error: no",), 0))
    assert fault_of(Ran(told, ("error: yes",), 1))
    assert fault_of(Ran(Command("true", None, 1), ("anything",), 0)) is None


def test_the_commands_of_a_page_run_in_one_shell() -> None:
    """A folder that was entered stays, so does an exit code, what setup wrote is there, a command may have lines."""
    page = "<!-- setup: echo 7 > seven -->\n```console\n$ cd docs_of_mine && cat ../seven\n7\n$ printf '%s\\n' a \\\n"
    page += ">     b\na\nb\n$ echo error: no; (exit 3)\nerror: no\n$ echo $?\n3\n"
    page += "$ pwd\n/home/ann/sparkify-warehouse/docs_of_mine\n```\n"
    with copy_for(page, start_server) as copy:
        (copy.folder / "docs_of_mine").mkdir()
        assert [fault_of(ran) for ran in copy.run(commands(page))] == [None] * 6


def test_a_page_is_shown_what_its_commands_print() -> None:
    """What no longer fits is written anew, what fits or is shortened stays."""
    page = "```console\n$ a\n1.0s\n$ b\nold\n$ c\n...\nold\n```\n"
    a, b, c = commands(page)
    written = with_output(page, [Ran(a, ("2.0s",), 0), Ran(b, ("new", "er", ""), 0), Ran(c, ("new",), 0)])
    assert written == page.replace("$ b\nold", "$ b\nnew\ner")


# ----------------------------------------------------------------------------------------------------------- SQL


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Warehouse:
    """A sample that is loaded, and written to lake/."""
    warehouse = Warehouse(tmp_path_factory.mktemp("sample"))
    make_sample(warehouse)
    warehouse.create(empty_database)
    warehouse.etl()
    warehouse.call("export_lake")
    return warehouse


def make_sample(warehouse: Warehouse) -> None:
    """Write a sample into the source folders of a warehouse."""
    importlib.import_module("make_sample").main(["-q", str(warehouse.root), *SAMPLE])


def statements_of(block: Block) -> list[str]:
    """The statements of a block, one at a time."""
    return [statement.query for statement in duckdb.extract_statements(block.text)]


@pytest.mark.parametrize("block", blocks_of("sql", POSTGRESQL_ONLY))
def test_sql_gives_rows(block: Block, sample: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block of SQL runs on the sample, on DuckDB, where the lake lies; its last query finds rows."""
    monkeypatch.chdir(sample.root)
    with duckdb.connect(str(sample.database), read_only=True) as connection:
        found = [connection.execute(statement).fetchall() for statement in statements_of(block)]
    assert found[-1]


@pytest.fixture(scope="module")
def sample_on_postgresql(make: Make, tmp_path_factory: pytest.TempPathFactory) -> PostgresWarehouse:
    """The same sample on PostgreSQL."""
    warehouse = make(tmp_path_factory.mktemp("sample_pg") / "w", "postgres")
    assert isinstance(warehouse, PostgresWarehouse)
    make_sample(warehouse)
    warehouse.etl()
    return warehouse


@pytest.mark.parametrize("block", blocks_of("sql", DUCKDB_ONLY))
def test_sql_gives_rows_on_postgresql(block: Block, sample_on_postgresql: PostgresWarehouse) -> None:
    """Each block of SQL that is not for DuckDB alone runs on PostgreSQL too; what it changes is rolled back."""
    warehouse = sample_on_postgresql
    with warehouse.server.connected() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT set_config('search_path', %s, true)", (warehouse.schema_name,))
        # a role belongs to the whole server, which other tests use too
        text = block.text.replace("sparkify", warehouse.schema_name)
        cursor.execute(re.sub(r"\banalyst\b", f"{warehouse.schema_name}_analyst", text))
        assert cursor.fetchall()
        cursor.execute("ROLLBACK")


@pytest.mark.parametrize("block", blocks_of("python"))
def test_python_compiles(block: Block) -> None:
    """Each block of Python is Python; what it imports may not be here."""
    compile(block.text, f"line {block.line}", "exec")


# ------------------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize("block", blocks_of("ini"))
def test_settings_are_accepted(block: Block, tmp_path: Path) -> None:
    """Each block of settings is read without an error when it stands in dwh.local.cfg."""
    shutil.copy(ROOT / "dwh.cfg", tmp_path)
    local = tmp_path / "dwh.local.cfg"
    local.touch(0o600)
    local.write_text(block.text, encoding="utf-8")
    config = load_config(str(tmp_path / "dwh.cfg"), {}, {})
    assert any(origin.startswith(local.name) for origin in config.origins.values())


def test_a_wrong_setting_is_seen(tmp_path: Path) -> None:
    """The test above refuses what the scripts refuse."""
    with pytest.raises(ConfigError):
        test_settings_are_accepted(Block("ini", "[S3]\nLOGDATA = x\n", 1), tmp_path)


# -------------------------------------------------------------------------------------------------- sh and links


def fault_of_line(line: str) -> str | None:
    """Say what is wrong with a command of a page: a script that is not there, or a flag that it has not."""
    words = shlex.split(line, comments=True)
    for number, word in enumerate(words):
        name = word.removeprefix("./")
        arguments = words[number + 1 :]
        stop = next((n for n, each in enumerate(arguments) if each in ("|", "&&", "||", ">", ">>", ";")), None)
        given = {each.split("=")[0] for each in arguments[:stop] if re.match(r"--?[a-z]", each)}
        if name.endswith(".py") and number and Path(words[number - 1]).name.startswith("python"):
            if not (ROOT / Path(name).name).is_file() and not (ROOT / name).is_file():
                return f"there is no {name}"
            if (ROOT / Path(name).name).is_file():
                parser = importlib.import_module(Path(name).stem).parser()
                if wrong := given - set(parser._option_string_actions) - {"-vv"}:
                    return f"{name} has no {', '.join(sorted(wrong))}"
        elif word.startswith("./"):
            if not (ROOT / name).is_file():
                return f"there is no {word}"
            if wrong := given - FLAGS.get(name, given):
                return f"{word} has no {', '.join(sorted(wrong))}"
    return None


@pytest.mark.parametrize("block", blocks_of("sh"))
def test_commands_for_elsewhere_exist(block: Block) -> None:
    """Commands that cannot run here, for they need a server or an account, name scripts and flags that there are."""
    joined = re.sub(r"\\\n\s*", "", block.text)
    assert [fault for fault in map(fault_of_line, joined.splitlines()) if fault] == []


@pytest.mark.parametrize(
    "line",
    [
        "python elt.py",
        "python etl.py --wait-for 5m",
        "./run_all.sh --keeep",
        "./run_al.sh",
        "a && python etl.py -z | b",
    ],
)
def test_a_command_that_is_not_there_is_seen(line: str) -> None:
    """The search for commands knows scripts and flags."""
    assert fault_of_line(line)
    assert fault_of_line("0 3 * * * cd '/srv/a b' && .venv/bin/python etl.py -q --wait 5m -vv >> log 2>&1") is None


@every_page
def test_links_lead_somewhere(path: Path) -> None:
    """Each relative link of a page names a file that is there, and a heading that it has; others are https."""
    broken = []
    for link in links(path.read_text(encoding="utf-8")):
        target = urlsplit(link)
        if target.scheme or target.netloc:
            broken += [] if target.scheme in ("https", "mailto") else [link]
            continue
        page = path if not target.path else Path(os.path.normpath(path.parent / unquote(target.path)))
        there = page.exists() and page.is_relative_to(ROOT)
        if not there or (target.fragment and target.fragment not in anchors(page.read_text(encoding="utf-8"))):
            broken.append(link)
    assert broken == []


# A pattern below a table of the lake, or below all of them.
PATTERN_OVER_THE_LAKE = re.compile(
    r"(?:lake|data|songplays|users|songs|artists|time)/[^\s'\"`)]*[*?][^\s'\"`)]*\.?(?:parquet|['\"`])"
)


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_p187_no_page_reads_the_lake_by_a_pattern(path: Path) -> None:
    """Files of older exports lie beside the current ones, so that a pattern over them is never right."""
    assert PATTERN_OVER_THE_LAKE.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line", ["read_parquet('lake/songplays/data/*.parquet')", 'scan("lake/*/data/**")', "`users/data/2018-1?.parquet`"]
)
def test_a_pattern_over_the_lake_is_seen(line: str) -> None:
    """However it is written."""
    assert PATTERN_OVER_THE_LAKE.search(line)


def test_links_and_anchors_are_found() -> None:
    """Links around pictures, in angle brackets and in HTML are links; those in code are not."""
    page = "# A, b: `c`!\n## A\n## A\n[x](a.md#b) ![y](<p q.png>) `[no](no.md)` [![i](i.png)](j.md)\n"
    page += '<img src="k.png">\n```sh\n[no](no.md)\n```\n'
    assert sorted(links(page)) == ["a.md#b", "i.png", "j.md", "k.png", "p q.png"]
    assert anchors(page) == {"a-b-c", "a", "a-1"}


def test_readme_is_one_page() -> None:
    """README has at most 120 lines."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= MOST_LINES_OF_README
