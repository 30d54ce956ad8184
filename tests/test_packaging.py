"""What the wheel and the image are made of, as far as it can be seen without building them (see test_installed.py)."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest
from dockerfile import instructions, is_sent, pip_commands
from warehouse import REPO

import etl
import installed
from dwh.monitoring import status
from dwh.settings import config
from dwh.terminal.commands import Call, script_of
from dwh.terminal.errors import ConfigError

PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))
SCRIPTS = {path.stem for path in REPO.glob("*.py")} - {"sql_queries"}
IMAGE = instructions()


def test_p225_every_script_is_a_command() -> None:
    """Each script has a command of its name, a function that it calls, and a place in the wheel."""
    commands = {f"sparkify-{name.replace('_', '-')}": f"sparkify_warehouse:{name}" for name in SCRIPTS}
    assert PROJECT["project"]["scripts"] == commands
    assert {name: getattr(installed, name).args for name in SCRIPTS} == {name: (name,) for name in SCRIPTS}
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {f"{name}.py" for name in SCRIPTS} < set(wheel["only-include"])
    assert wheel["sources"] == {"": "sparkify_warehouse"}


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process is sparkify-etl, which PATH finds."""
    program = tmp_path / "bin" / "sparkify-etl"
    program.parent.mkdir()
    program.touch(0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", str(program.parent))
    return program


def test_p226_what_is_told_is_the_installed_command(on_path: Path) -> None:
    """In hints, in the next command, in usage and in the examples of --help."""
    call = Call("etl", ("--wait", "1s"))
    assert call.again() == "sparkify-etl --wait 1s"
    assert call.complete("python sql_validate.py -v     (shows all)") == "sparkify-sql-validate -v     (shows all)"
    assert call.complete("the same command again with --yes") == "sparkify-etl --wait 1s --yes"
    shown = etl.parser().format_help()
    assert "usage: sparkify-etl " in shown and "  sparkify-etl --dry-run " in shown and ".py" not in shown
    with pytest.raises(ConfigError) as refused:
        etl.parser().parse_args(["--dry-rum"])
    assert call.complete(refused.value.hint[0]) == "sparkify-etl --dry-run"
    assert script_of(str(on_path)) == "etl"


def test_p226_a_command_that_path_does_not_find_is_told_with_its_folder(
    on_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program of this name on PATH is not meant."""
    folder = on_path.parent.parent
    monkeypatch.setattr(sys, "argv", [str(folder / "sparkify-etl")])
    assert Call("etl", ()).other("create_tables") == str(folder / "sparkify-create-tables")


def test_p227_installed_the_settings_are_those_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dwh.cfg there, else the defaults; a relative path starts there, and status.json is written there."""
    monkeypatch.setattr(config, "INSTALLED", True)
    monkeypatch.chdir(tmp_path)
    read = config.load_config(None, {}, {})
    assert (read.path, read.duckdb.path) == (tmp_path / "dwh.cfg", str(tmp_path / "sparkify.duckdb"))
    assert set(read.origins.values()) == {"default"}
    told = {"script": "etl", "at": "now", "run_id": "r", "ok": True, "exit_code": 0}
    status.update(read.path, {}, told)
    assert status.read(read.path, {})["load"]["run_id"] == "r"
    (tmp_path / "dwh.cfg").write_text("[DUCKDB]\nPATH = mine.duckdb\n")
    assert config.load_config(None, {}, {}).duckdb.path == str(tmp_path / "mine.duckdb")


def test_p228_the_image_has_a_pinned_base_and_no_root() -> None:
    """One base, a slim one with its whole version; the last user is not root, and nothing runs after it."""
    bases = [rest for name, rest in IMAGE if name == "FROM"]
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+ AS base", bases[0])
    assert all(base.split()[0] == "base" for base in bases[1:])
    users = [number for number, (name, _) in enumerate(IMAGE) if name == "USER"]
    assert IMAGE[users[-1]].rest == "1000:1000"
    assert {name for name, _ in IMAGE[users[-1] + 1 :]} <= {"WORKDIR", "CMD"}


def test_p228_the_image_installs_the_pinned_packages_and_the_wheel() -> None:
    """Wheels of requirements.txt in one layer, and ours without asking an index."""
    wheel, theirs, ours = pip_commands()
    assert wheel.startswith("pip wheel ") and "--no-deps" in wheel
    assert theirs.split()[-4:] == ["--only-binary", ":all:", "--requirement", "requirements.txt"]
    assert {"--no-deps", "--no-index", "/wheels/*.whl"} < set(ours.split())


def test_p228_what_is_copied_is_there_and_nothing_private_is_sent() -> None:
    """The sources of COPY and of mounts exist and are sent; data, secrets and warehouses are not."""
    texts = [rest for name, rest in IMAGE if name in ("COPY", "RUN") and "from=" not in rest]
    copied = [word for rest in texts for word in re.findall(r"source=([^,\s]+)", rest)]
    copied += [word for name, rest in IMAGE if name == "COPY" for word in rest.split()[:-1]]
    assert sorted(copied) == [".", "requirements.txt"]
    assert all((REPO / source).exists() for source in copied)
    private = [
        "dwh.local.cfg",
        "data/log_data/a.json",
        "sparkify.duckdb",
        "lake/x",
        ".git/config",
        ".env",
        "status.json",
    ]
    assert [path for path in private if is_sent(path)] == []
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = [
        *wheel["only-include"],
        *wheel["force-include"],
        "installed/dependencies.py",
        "requirements.txt",
        "LICENSE",
    ]
    assert [path for path in needed if not is_sent(path) or not (REPO / path).exists()] == []
