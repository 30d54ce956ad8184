"""./dev runs the command that each task names, the hooks of a commit are tasks of ./dev, and the workflow runs both."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TASKS = ("test", "slow", "promises", "lint", "format", "docs", "bench", "help")
PACKAGES = ("requirements.txt", "requirements-dev.txt", "requirements-readers.txt")
SCRIPTS = ("dev", "run_tests.sh", "setup_venv.sh", *PACKAGES)

# Stands in for the Python of the environment and for each tool in it: notes how it was called, and fails when FAIL is
# in that call.
STUB = """#!/bin/sh
case "$*" in
-V) echo Python 3.13.1 && exit ;;
*version_info*) echo 3.13 && exit ;;
esac
echo "${0##*/} $*" >>"$CALLS"
case "${0##*/} $*" in *"${FAIL:-nothing fails}"*) exit 7 ;; esac
"""
LINT = [
    "python -m ruff check",
    "python -m ruff format --check",
    "python -m mypy",
    "shellcheck dev run_all.sh run_tests.sh setup_venv.sh .ci/run",
    "hadolint Dockerfile",
    "zizmor --offline --quiet .github/workflows",
    "actionlint ",
]
DEFAULT_TESTS = "python -m pytest -n auto"


@dataclass(frozen=True)
class Desk:
    """A copy of ./dev in a folder of its own, whose environment holds only stand-ins."""

    folder: Path
    environ: dict[str, str]

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run ./dev to its end, called from another folder."""
        return subprocess.run(
            [self.folder / "dev", *words], cwd=self.folder.parent, env={**self.environ, **environ},
            capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip

    def calls(self) -> list[str]:
        """Give the calls of the stand-ins, in order."""
        noted = Path(self.environ["CALLS"])
        return noted.read_text().splitlines() if noted.exists() else []


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A folder whose name would do harm in a shell that does not quote; nothing has to be installed."""
    folder, venv, readers = tmp_path / "a desk's $(touch harm)", tmp_path / "env", tmp_path / "readers"
    for made in (folder, venv / "bin", readers / "bin"):
        made.mkdir(parents=True)
    for name in SCRIPTS:
        shutil.copy(ROOT / name, folder)
    for tool in ("python", "shellcheck", "hadolint", "zizmor", "actionlint"):
        (venv / "bin" / tool).write_text(STUB)
        (venv / "bin" / tool).chmod(0o755)
    shutil.copy(venv / "bin/python", readers / "bin")
    (readers / "pyvenv.cfg").touch()
    environ = {"PATH": f"{venv / 'bin'}:{os.environ['PATH']}", "CALLS": f"{tmp_path}/calls"}
    environ |= {"SPARKIFY_VENV": str(venv), "SPARKIFY_READERS_VENV": str(readers)}
    for place, wheels, name in ((venv, PACKAGES[0], PACKAGES[1]), (readers, PACKAGES[2], PACKAGES[2])):
        stamp = subprocess.run(
            ["sh", "-c", f'here=. venv="{place}" && . ./setup_venv.sh && wheels={wheels} && venv_stamp {name}'],
            cwd=folder, env=environ, check=True, capture_output=True, text=True,
        )  # fmt: skip
        (place / f"{name}.stamp").write_text(stamp.stdout)
    return Desk(folder, environ)


@pytest.mark.parametrize(
    ("words", "calls"),
    [
        (["test"], [*LINT, DEFAULT_TESTS]),
        (["test", "tests/test_etl.py", "-x"], ["python -m pytest tests/test_etl.py -x"]),
        (["slow", "-k", "p01"], ["python -m pytest -n auto -m slow and not promises -k p01"]),
        (["promises", "-x"], ["python -m pytest -n auto -m promises --durations 10 -x"]),
        (["lint"], LINT),
        (["format"], ["python -m ruff check --fix-only -- .", "python -m ruff format -- ."]),
        (["format", "a b.py"], ["python -m ruff check --fix-only -- a b.py", "python -m ruff format -- a b.py"]),
        (["docs"], ["python docs/write_reference.py", "python docs/write_figures.py"]),
        (["bench", "--only", "etl"], ["python bench/run.py --only etl"]),
    ],
)
def test_each_task_runs_its_command(desk: Desk, words: list[str], calls: list[str]) -> None:
    """A task runs the command that it names, with the arguments it was given, and nothing else."""
    done = desk.run(*words)
    assert (done.returncode, desk.calls()) == (0, calls), done.stderr


@pytest.mark.parametrize("task", ["slow", "promises", "format", "docs", "bench"])
def test_a_task_ends_with_the_exit_code_of_its_command(desk: Desk, task: str) -> None:
    """What a command of a task fails with is what ./dev fails with."""
    assert desk.run(task, FAIL="python").returncode == 7


def test_the_slow_tests_run_without_the_programs_that_read_the_lake(desk: Desk) -> None:
    """What cannot be installed is an error with the code of a missing environment; the other tests run all the same."""
    stamp = Path(desk.environ["SPARKIFY_READERS_VENV"], "requirements-readers.txt.stamp")
    stamp.unlink()
    done = desk.run("slow", FAIL="pip install")
    assert (done.returncode, desk.calls()[-1]) == (3, "python -m pytest -n auto -m slow and not promises")
    assert "error: the packages in requirements-readers.txt cannot be installed\n" in done.stderr
    assert not stamp.exists()
    assert desk.run("slow").returncode == 0
    assert stamp.exists()
    assert sum("pip install" in call for call in desk.calls()) == 2, "and the first time nothing else was tried"


def test_lint_goes_on_after_a_failure_and_keeps_its_exit_code(desk: Desk) -> None:
    """All checks run, whichever fails, and the tests after them; the exit code is that of the first failure."""
    assert (desk.run("lint", FAIL="ruff check").returncode, desk.calls()) == (7, LINT)
    Path(desk.environ["CALLS"]).unlink()
    assert (desk.run("test", FAIL="zizmor").returncode, desk.calls()) == (7, [*LINT, DEFAULT_TESTS])


def test_without_actionlint_lint_names_what_was_not_checked(desk: Desk) -> None:
    """Where actionlint is missing, lint passes with the other checks, and says that it did not run."""
    Path(desk.environ["SPARKIFY_VENV"], "bin", "actionlint").unlink()
    (few := desk.folder.parent / "few").mkdir()
    for tool in ("sh", "cat", "cksum", "dirname"):
        (few / tool).symlink_to(str(shutil.which(tool)))
    done = desk.run("lint", PATH=str(few))
    assert (done.returncode, desk.calls()) == (0, LINT[:-1])
    assert done.stderr == "actionlint is not on this machine: zizmor alone looked at .github/workflows\n"


@pytest.mark.parametrize("words", [(), ("help",), ("--help",)])
def test_help_names_every_task(desk: Desk, words: tuple[str, ...]) -> None:
    """./dev alone, and help, list the tasks; nothing is set up or run."""
    done = desk.run(*words, SPARKIFY_VENV="/nowhere/at all")
    assert (done.returncode, done.stderr, desk.calls()) == (0, "", [])
    assert tuple(re.findall(r"^  ([a-z]+)   +\S", done.stdout, re.MULTILINE)) == TASKS


@pytest.mark.parametrize(
    ("word", "hint"), [("tset", "test"), ("benchmark", "bench"), ("install", "help"), ("*", "help")]
)
def test_an_unknown_task_is_refused_with_a_suggestion(desk: Desk, word: str, hint: str) -> None:
    """A task that does not exist is exit 2, in the form of the suite's errors, and nothing runs."""
    done = desk.run(word)
    assert (done.returncode, done.stdout, desk.calls()) == (2, "", [])
    assert done.stderr == f"error: dev: there is no task {word}\n  try: ./dev {hint}\n"


def test_every_shell_script_is_linted() -> None:
    """A shell script that git tracks, or would track, is in the list of shellcheck."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("this is no git checkout")
    files = [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    scripts = {name for name in files if re.match(rb"#!.*sh\n|# shellcheck", (ROOT / name).read_bytes()[:40])}
    assert scripts == set(LINT[3].split()[1:])


# --------------------------------------------------------------------------------------------- commits and the workflow


@pytest.fixture
def pre_commit() -> str:
    """The program, of the environment that runs the tests."""
    found = shutil.which("pre-commit", path=sysconfig.get_path("scripts"))
    return found or pytest.skip("pre-commit is not installed here (./run_tests.sh installs it)")


def test_the_hooks_of_a_commit_format_its_files_and_lint(desk: Desk, pre_commit: str) -> None:
    """A commit runs ./dev format on its Python files and ./dev lint on everything, without a network."""
    shutil.copy(ROOT / ".pre-commit-config.yaml", desk.folder)
    (desk.folder / "a b.py").touch()
    for command in (["git", "init", "-q"], ["git", "add", "."], [pre_commit, "run"]):
        done = subprocess.run(
            command, cwd=desk.folder, env={**desk.environ, "PRE_COMMIT_HOME": f"{desk.folder.parent}/hooks"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    formatted = ["python -m ruff check --fix-only -- a b.py", "python -m ruff format -- a b.py"]
    assert desk.calls() == [*formatted, *LINT]


def test_the_workflow_runs_on_every_supported_python() -> None:
    """The versions of the workflow are those that setup_venv.sh supports."""
    [supported] = re.findall(r"^SUPPORTED='(.+)'", (ROOT / "setup_venv.sh").read_text(), re.MULTILINE)
    [listed] = re.findall(r"^ +python: \[(.+)\]$", workflow(), re.MULTILINE)
    assert sorted(re.findall(r"'(.+?)'", listed)) == sorted(supported.split())


def test_the_workflow_runs_commands_that_exist() -> None:
    """Every script that the workflow calls is here and can be run; the jobs of the night are tasks of ./dev."""
    commands = set(re.findall(r"run: \./(\S+)", workflow()))
    assert commands == {"run_tests.sh", "run_all.sh", "dev"}
    assert [name for name in commands if not os.access(ROOT / name, os.X_OK)] == []
    [tasks] = re.findall(r"^ +task: \[(.+)\]$", workflow(), re.MULTILINE)
    assert tasks.split(", ") == ["slow", "promises"]


def test_the_workflow_has_no_secret_and_pins_every_action() -> None:
    """It may only read, an action is one commit of it, and each job ends by itself."""
    text = workflow()
    assert "secrets." not in text
    assert re.findall(r"^ *permissions:\n((?: +.+\n)+)", text, re.MULTILINE) == ["  contents: read\n"]
    assert [used for used in re.findall(r"uses: (.+)", text) if not re.search(r"@[0-9a-f]{40} # v\d", used)] == []
    assert text.count("runs-on: ") == text.count("timeout-minutes: ") > 0


def workflow() -> str:
    return (ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8")
