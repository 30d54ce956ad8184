"""The wheel, built from what an image is built from and installed by the commands of the Dockerfile into an environment
of its own, with packages from the index: its commands, run from an empty folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import NamedTuple

import pytest
from dockerfile import copy_context, pip_commands
from test_packaging import SCRIPTS
from warehouse import REPO

import dwh


class Installed(NamedTuple):
    """An environment with the suite and nothing else, and the wheel that it was installed from."""

    folder: Path
    wheel: Path

    def sh(self, command: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command as a user of the environment types it; one that ends otherwise fails the test."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environ["PATH"] = f"{self.folder / 'bin'}:{environ['PATH']}"
        done = subprocess.run(["sh", "-c", command], cwd=cwd, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == code, f"{command}\n{done.stdout}{done.stderr}"
        return done


def files_in(folder: Path) -> set[Path]:
    """Give the files below a folder, but for bytecode."""
    return {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The suite, installed by the commands of the Dockerfile."""
    root = tmp_path_factory.mktemp("installed")
    context, wheels = root / "source", root / "wheels"
    copy_context(context)
    before = files_in(context)
    subprocess.run([sys.executable, "-m", "venv", root / "venv"], check=True)
    suite = Installed(root / "venv", wheels)
    for command in pip_commands():
        told = command.replace("/wheels", shlex.quote(str(wheels)))
        # without bytecode of packages that are imported once or never: a minute of CPU
        suite.sh(told.replace("pip install", "pip install --no-compile"), context)
    assert files_in(context) == before  # the build leaves nothing in the checkout
    [wheel] = wheels.iterdir()
    return suite._replace(wheel=wheel)


def test_p225_the_wheel_is_one_package_with_the_pinned_packages(suite: Installed) -> None:
    """All files lie below sparkify_warehouse; the dependencies are the lines of requirements.txt."""
    with zipfile.ZipFile(suite.wheel) as wheel:
        names = wheel.namelist()
        [about] = [message_from_bytes(wheel.read(name)) for name in names if name.endswith("/METADATA")]
    info = f"sparkify_warehouse-{dwh.__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"sparkify_warehouse", info}
    ours = {name.removeprefix("sparkify_warehouse/") for name in names if name.startswith("sparkify_warehouse/")}
    tracked = {
        path.relative_to(REPO).as_posix()
        for folder in ("dwh", "star", "questions")
        for path in (REPO / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert ours == {*tracked, *(f"{name}.py" for name in SCRIPTS), "sql_queries.py", "dwh.cfg", "__init__.py"}
    pinned = [line for line in (REPO / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    asked = {line.lower() for line in about.get_all("Requires-Dist") or []}
    assert asked == {line.lower() for line in pinned}
    assert set(about["Requires-Python"].split(",")) == {">=3.11", "<3.15"}
    suite.sh("pip check", suite.folder)


def test_p225_nothing_of_ours_is_at_top_level(suite: Installed, tmp_path: Path) -> None:
    """Another program in that environment finds no `dwh`, `star` or `etl`, even after it imports the package."""
    asked = ["dwh", "star", "sql_queries", "installed", *sorted(SCRIPTS)]
    code = f"import importlib.util as u, sparkify_warehouse; print([n for n in {asked!r} if u.find_spec(n)])"
    assert suite.sh(f"python -c {shlex.quote(code)}", tmp_path).stdout == "[]\n"


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_p225_every_command_tells_its_version(suite: Installed, tmp_path: Path, script: str) -> None:
    """As every script does."""
    done = suite.sh(f"sparkify-{script.replace('_', '-')} --version", tmp_path)
    assert done.stdout == f"sparkify-warehouse {dwh.__version__}\n"


def test_p225_a_whole_life_in_an_empty_folder(suite: Installed, tmp_path: Path) -> None:
    """From a sample to a report and back, by the commands alone: all that is made is in this folder."""
    suite.sh("sparkify-make-sample -q data", tmp_path)
    refused = suite.sh("sparkify-etl", tmp_path, code=3).stderr
    command = re.findall(r"try: (.+)", refused)[0]
    assert command == "sparkify-conn-start"
    told = suite.sh(command, tmp_path).stdout
    command = told.partition("next: ")[2].strip()
    assert command == "sparkify-create-tables"
    suite.sh(command, tmp_path)
    assert json.loads(suite.sh("sparkify-etl --json", tmp_path).stdout)["script"] == "etl"
    suite.sh("sparkify-sql-validate -q && sparkify-export-lake -q && sparkify-report -q", tmp_path)
    assert "title" in suite.sh("sparkify-ask top-songs --csv", tmp_path).stdout
    suite.sh("sparkify-conn-close -q", tmp_path)
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"data", "sparkify.duckdb", "lake", "report.html", "status.json"}


def test_p227_a_config_in_the_folder_is_read(suite: Installed, tmp_path: Path) -> None:
    """And its relative paths start there; the folder of the package stays as it was installed."""
    (tmp_path / "dwh.cfg").write_text("[DUCKDB]\nPATH = mine.duckdb\n")
    suite.sh("sparkify-conn-start -q", tmp_path)
    assert (tmp_path / "mine.duckdb").exists()
    assert list(suite.folder.rglob("*.duckdb")) == []
