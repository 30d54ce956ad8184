"""run_all.sh runs the sequence in order, stops where it fails, closes only what it made, and sets itself up."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from postgres_server import DATABASE, Server
from warehouse import WATCHDOG, event, lines, song

ROOT = Path(__file__).resolve().parents[1]
STEPS = ["conn_start", "create_tables", "etl", "sql_validate", "export_lake", "report", "conn_close"]
SHELL_SCRIPTS = ["dev", "run_all.sh", "run_tests.sh", "setup_venv.sh", ".ci/run"]
# What a run leaves in the folder of the suite, and what is no part of it; `lake` and `data` are also names of rooms.
LEFT_THERE = (".git", ".venv*", "data", "data.partial-*", "report.html", "lake", "dwh.local.cfg", ".hypothesis")
ANYWHERE = shutil.ignore_patterns("*.duckdb*", "__pycache__", ".*_cache")
BAD_EVENT = '{"page":"NextSong","ts":"yesterday","sessionId":1,"itemInSession":0}\n'

# Stands in for a script: notes its name and flags in calls.txt, prints its name, and fails when FAIL names it.
STUB = """
import os, pathlib, sys
name = pathlib.Path(__file__).stem
if "--dry-run" in sys.argv:
    sys.exit(print(os.environ["PLAN"]))
with open(pathlib.Path(__file__).with_name("calls.txt"), "a") as calls:
    print(name, *sys.argv[1:], file=calls)
print(name)
sys.exit(3 if os.environ.get("FAIL") == name else 0)
"""
FILE_IS_THERE = json.dumps({"script": "conn_start", "engine": "duckdb", "changes": ["= sparkify.duckdb"]})
CLUSTER_IS_NEW = json.dumps({"engine": "redshift", "would_create": True, "changes": ["= role", "+ cluster"]})
SCHEMA_IS_NEW = json.dumps({"engine": "postgres", "would_create": True, "changes": ["+ schema"]})
RULE_IS_NEW = json.dumps({"engine": "redshift", "would_create": False, "changes": ["+ port", "~ role", "= cluster"]})
CLUSTER_IS_THERE = json.dumps({"engine": "redshift", "would_create": False, "changes": ["= role", "= cluster"]})


@dataclass(frozen=True)
class Suite:
    """A copy of the suite in a folder of its own, and the environment its scripts run in."""

    folder: Path
    environ: dict[str, str]

    def run(self, *flags: str, command: str = "", cwd: Path | None = None, **environ: str) -> Run:
        """Run run_all.sh, or another command, to its end."""
        done = subprocess.run(
            [command or str(self.folder / "run_all.sh"), *flags],
            cwd=cwd or self.folder,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WATCHDOG,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def script(self, name: str, *flags: str) -> Run:
        """Run one script, with the Python that run_all.sh takes."""
        python = Path(self.environ["SPARKIFY_VENV"], "bin", "python")
        return self.run(str(self.folder / f"{name}.py"), *flags, command=str(python))

    def calls(self) -> list[str]:
        """Give what the stubs were called with, in order."""
        noted = self.folder / "calls.txt"
        return noted.read_text().splitlines() if noted.exists() else []


@dataclass(frozen=True)
class Run:
    """What one run of a command left."""

    code: int
    out: str
    err: str

    def steps(self) -> list[str]:
        """Give the steps of the table at the end that were run, in order."""
        words = [line.split() for line in self.err.splitlines() if line.startswith("  ")]
        return [w[0] for w in words if len(w) == 2 and w[0] in STEPS and w[1][-1] == "s" and w[1][0].isdigit()]


def not_copied(folder: str, names: list[str]) -> set[str]:
    at_top = shutil.ignore_patterns(*LEFT_THERE)(folder, names) if Path(folder) == ROOT else set[str]()
    return at_top | ANYWHERE(folder, names)


def copy_suite(parent: Path, environ: dict[str, str]) -> Suite:
    """Copy the suite into a folder whose name would do harm in a shell that does not quote."""
    folder = parent / "our ware'house $(touch harm)"
    shutil.copytree(ROOT, folder, ignore=not_copied)
    return Suite(folder, environ)


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment without settings, and with a virtual environment that borrows the packages of this one."""
    venv = tmp_path_factory.mktemp("venv") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    site = next(venv.glob("lib/python3*/site-packages"))
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("DWH_", "SPARKIFY_"))}
    ours |= {"SPARKIFY_VENV": str(venv)}
    stamp = subprocess.run(
        ["sh", "-c", "here=. venv=$SPARKIFY_VENV && . ./setup_venv.sh && venv_stamp requirements.txt"],
        cwd=ROOT, env=ours, check=True, capture_output=True, text=True,
    )  # fmt: skip
    (venv / "requirements.txt.stamp").write_text(stamp.stdout)
    return ours


@pytest.fixture
def suite(tmp_path: Path, environ: dict[str, str]) -> Suite:
    return copy_suite(tmp_path, environ)


@pytest.fixture
def stubs(tmp_path: Path, environ: dict[str, str]) -> Suite:
    """A copy whose scripts only note that they were called."""
    suite = copy_suite(tmp_path, {**environ, "PLAN": FILE_IS_THERE})
    for step in [*STEPS, "make_sample"]:
        (suite.folder / f"{step}.py").write_text(STUB)
    return suite


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]) -> tuple[Suite, Run]:
    """A copy that ran once, and what that printed."""
    suite = copy_suite(tmp_path_factory.mktemp("ran"), environ)
    return suite, suite.run()


# ----------------------------------------------------------------------------------------------------- with the scripts


def test_first_run_does_every_step_and_says_how_long_each_took(ran: tuple[Suite, Run]) -> None:
    """The first run makes the sample, loads and checks it, closes, and ends with the steps and what to do next."""
    suite, run = ran
    assert (run.code, run.steps()) == (0, STEPS), run.err
    assert (suite.folder / "data" / "log_data").is_dir()
    assert (suite.folder / "sparkify.duckdb").stat().st_size > 0
    assert (suite.folder / "report.html").stat().st_size > 0
    assert "done in " in run.err
    ending = run.err.split("done in ")[1]
    assert [name for name in ("report.html", "python etl.py") if name not in ending] == []


def test_second_run_finds_nothing_new(ran: tuple[Suite, Run]) -> None:
    """A second run finds nothing new (bench/limits.py has what that costs); with -q it prints nothing at all."""
    run, quiet = ran[0].run(), ran[0].run("-q", "--yes")
    assert (run.code, quiet.code, quiet.out, quiet.err) == (0, 0, "", "")
    assert "nothing new: 100 files already loaded" in run.out


def test_json_is_one_object_a_script_and_nothing_else(ran: tuple[Suite, Run]) -> None:
    """--json prints the object of each script on a line of its own, in order, and nothing else on stdout."""
    lines = ran[0].run("--json").out.removesuffix("\n").split("\n")
    assert [(each["script"], each["ok"]) for each in map(json.loads, lines)] == [(step, True) for step in STEPS]


def test_no_name_of_a_folder_becomes_shell(ran: tuple[Suite, Run]) -> None:
    """A folder with a command in its name runs no command."""
    assert not [path for path in (ran[0].folder, ran[0].folder.parent) if (path / "harm").exists()]


def test_runs_from_any_folder_and_through_links(ran: tuple[Suite, Run], tmp_path: Path) -> None:
    """Called through a link to a link it finds its scripts, and a relative --config starts at the caller's folder."""
    for folder in ("bin", "logs", "songs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "near").symlink_to(ran[0].folder)
    (tmp_path / "bin" / "hop").symlink_to("../near/run_all.sh")
    (tmp_path / "bin" / "load").symlink_to("hop")
    (tmp_path / "my own.cfg").write_text("[S3]\nLOG_DATA = logs\nSONG_DATA = songs\n[DUCKDB]\nPATH = mine.duckdb\n")
    (tmp_path / "dwh.local.cfg").write_text("[REPORT]\nPATH = page of mine.html\n")
    run = ran[0].run("--config", "my own.cfg", "--keep", command=str(tmp_path / "bin" / "load"), cwd=tmp_path)
    assert run.steps()[:3] == STEPS[:3], run.err
    assert "Look at it:      page of mine.html\n" in run.err
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bin",
        "dwh.local.cfg",
        "lake",
        "logs",
        "mine.duckdb",
        "my own.cfg",
        "near",
        "page of mine.html",
        "songs",
        "status.json",
    ]


def test_p162_what_was_removed_is_made_again_and_keeps_its_lake(ran: tuple[Suite, Run]) -> None:
    """The whole sequence, the data removed, the whole sequence: lake and report are replaced, and it ends with 0."""
    suite = ran[0]
    lake, page = suite.folder / "lake" / "export.json", suite.folder / "report.html"
    before = lake.read_bytes(), page.read_bytes()
    removed = suite.script("conn_close", "--delete-data", "--yes")
    assert (removed.code, (suite.folder / "sparkify.duckdb").exists()) == (0, False), removed.err
    again = suite.run()
    assert (again.code, again.steps()) == (0, STEPS), again.err
    assert (lake.read_bytes() != before[0], page.read_bytes() != before[1]) == (True, True)


@pytest.mark.slow
def test_p162_what_was_removed_is_made_again_on_a_server(suite: Suite, postgres_server: Server) -> None:
    """The same on PostgreSQL: the schema is dropped, and made again."""
    for kind, record in (("log_data", event()), ("song_data", song())):
        (suite.folder / "data" / kind).mkdir(parents=True)
        (suite.folder / "data" / kind / "one.json").write_bytes(lines([record]))
    schema = f"w{uuid.uuid4().hex[:12]}"
    (suite.folder / "dwh.local.cfg").write_text(
        f"[WAREHOUSE]\nENGINE = postgres\n[POSTGRES]\nHOST = {postgres_server.host}\nPORT = {postgres_server.port}\n"
        f"DB_NAME = {DATABASE}\nDB_USER = {postgres_server.user}\nSCHEMA = {schema}\n"
    )
    assert suite.run().code == 0
    removed = suite.script("conn_close", "--delete-data", "--yes")
    assert removed.code == 0, removed.err
    with postgres_server.connected() as cursor:
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,))
        assert cursor.fetchall() == []
    again = suite.run()
    assert (again.code, again.steps()) == (0, STEPS), again.err
    named = json.loads((suite.folder / "lake" / "export.json").read_text())["warehouse"]
    assert (named["database"], named["schema"]) == (DATABASE, schema)


@pytest.mark.slow
def test_p160_a_suite_that_was_moved_takes_its_lake_over(ran: tuple[Suite, Run], tmp_path: Path) -> None:
    """Moved with database, lake and report the sequence is refused, and told the way; then they are its own."""
    moved = Suite(tmp_path / "moved", ran[0].environ)
    shutil.copytree(ran[0].folder, moved.folder)
    data = ran[0].folder / "data"  # the sources stay where they are
    (moved.folder / "dwh.local.cfg").write_text(f'[S3]\nLOG_DATA = "{data}/log_data"\nSONG_DATA = "{data}/song_data"\n')
    before = (moved.folder / "report.html").read_bytes()
    refused = moved.run()
    assert (refused.code, refused.steps()[-1]) == (3, "export_lake"), refused.err
    [hint] = re.findall(r"try: python export_lake\.py (--take-over)  ", refused.err)
    assert (moved.folder / "report.html").read_bytes() == before
    taken = moved.run(hint)
    assert (taken.code, taken.steps()) == (0, STEPS), taken.err
    again = moved.run()
    assert (again.code, "is up to date" in again.out) == (0, True), again.err
    assert json.loads((moved.folder / "lake" / "export.json").read_text())["warehouse"] == {
        "engine": "duckdb", "file": os.path.realpath(moved.folder / "sparkify.duckdb")
    }  # fmt: skip


def test_broken_settings_stop_at_the_first_step(suite: Suite) -> None:
    """With an unknown key the first step fails with 2, reported once; the later steps are not run."""
    (suite.folder / "dwh.local.cfg").write_text("[DUCKDB]\nPAHT = x\n")
    run = suite.run()
    assert (run.code, run.steps()) == (2, ["conn_start"])
    assert run.err.count("error:") == 1
    assert "conn_start ended with exit code 2" in run.err


@pytest.mark.parametrize(
    ("flags", "steps"),
    [((), STEPS[:3]), (("--always-close",), [*STEPS[:3], "conn_close"])],
)
def test_a_bad_record_ends_the_run(suite: Suite, flags: Sequence[str], steps: list[str]) -> None:
    """A bad line in a log gives exit 1, nothing is checked then; only --always-close still closes."""
    for kind, text in (("log_data", BAD_EVENT), ("song_data", "")):
        (suite.folder / "data" / kind).mkdir(parents=True)
        (suite.folder / "data" / kind / "one.json").write_text(text)
    run = suite.run(*flags)
    assert (run.code, run.steps()) == (1, steps)
    assert "one.json line 1" in run.err
    assert "etl ended with exit code 1" in run.err


# ------------------------------------------------------------------------------------------- with stubs of the scripts


def test_every_step_gets_the_flags_in_order(stubs: Suite) -> None:
    """Each script gets the flags and their values as they were given; conn_close is not left to ask."""
    flags = ["--config", "a b.cfg", "--engine=duckdb", "-vv", "--no-color", "--log-file", "l"]
    stubs.run(*flags, "--yes")
    passed = "--config=a b.cfg --engine=duckdb -vv --no-color --log-file=l"
    assert stubs.calls()[-len(STEPS) :] == [f"{step} {passed}" for step in STEPS[:-1]] + [f"conn_close {passed} --yes"]


def test_every_step_waits(stubs: Suite) -> None:
    """--wait goes to every script; making the sample takes no other program."""
    assert stubs.run("-q", "--wait", "30m").code == 0
    assert stubs.calls()[-len(STEPS) :] == [
        *(f"{step} -q --wait=30m" for step in STEPS[:-1]),
        "conn_close -q --wait=30m --yes",
    ]


def test_p214_a_whole_run_is_told_once_and_its_lines_are_dated(stubs: Suite) -> None:
    """[NOTIFY] runs once for all scripts, with the step that failed; the log has the lines of run_all.sh too."""
    keep = "import sys; open('told.jsonl', 'a').write(sys.stdin.read() + chr(10))"
    command = shlex.join([sys.executable, "-c", keep])
    (stubs.folder / "dwh.local.cfg").write_text(f"[NOTIFY]\nON_FAILURE = {command}\nON_SUCCESS = {command}\n")
    failed, done = stubs.run("--log-file=n.log", FAIL="etl"), stubs.run("-q")
    told = [json.loads(line) for line in (stubs.folder / "told.jsonl").read_text().splitlines()]
    assert (failed.code, done.code) == (3, 0)
    assert [(each["script"], each["ok"], each["exit_code"]) for each in told] == [
        ("run_all", False, 3),
        ("run_all", True, 0),
    ]
    assert told[0]["failed"] == "etl"
    logged = (stubs.folder / "n.log").read_text().splitlines()
    pattern = rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ {told[0]['run_id']} (INFO   |ERROR  ) \S?.*"
    assert [line for line in logged if not re.fullmatch(pattern, line)] == []
    assert any("ERROR   etl ended with exit code 3" in line for line in logged)
    assert (stubs.folder / "n.log").stat().st_mode & 0o777 == 0o600


def test_the_commands_at_the_end_have_the_settings(stubs: Suite) -> None:
    """--config and --engine as they were given, quoted; the engine is named once."""
    run = stubs.run("--config", "a b.cfg", "--engine=redshift", PLAN=CLUSTER_IS_THERE)
    assert run.err.splitlines()[-1].endswith("python conn_close.py '--config=a b.cfg' --engine=redshift")
    run = stubs.run("--config", "my.cfg")
    assert "python conn_close.py --config=my.cfg --remove-all" in run.err


def test_remove_all_runs_one_script(stubs: Suite) -> None:
    """Only conn_close.py runs, which asks unless --yes is given; its exit code is that of the run."""
    assert stubs.run("--config", "a b.cfg", "--remove-all").code == 0
    assert stubs.run("--remove-all", "--yes", "--wait=5m", FAIL="conn_close").code == 3
    assert stubs.calls() == ["conn_close --config=a b.cfg --remove-all", "conn_close --remove-all --wait=5m --yes"]
    assert stubs.run("--remove-all", "--keep").code == 2


def test_only_what_is_replaced_is_taken_over(stubs: Suite) -> None:
    """--take-over goes to the two scripts that have it."""
    assert stubs.run("--take-over", "-q").code == 0
    taking = [f"{step} -q{' --take-over' if step in ('export_lake', 'report') else ''}" for step in STEPS[:-1]]
    assert stubs.calls()[-len(STEPS) :] == [*taking, "conn_close -q --yes"]


def test_keep_leaves_the_warehouse_up(stubs: Suite) -> None:
    """--keep runs everything but conn_close, and says so."""
    run = stubs.run("--keep")
    assert (run.code, run.steps()) == (0, STEPS[:-1])
    assert "not run: --keep" in run.err


@pytest.mark.parametrize("plan", [CLUSTER_IS_NEW, SCHEMA_IS_NEW], ids=["cluster", "schema"])
def test_a_cluster_that_this_run_made_is_closed(stubs: Suite, plan: str) -> None:
    """What conn_start makes in this run, conn_close takes down at its end."""
    assert stubs.run(PLAN=plan).code == 0
    assert stubs.calls()[-1] == "conn_close --yes"


@pytest.mark.parametrize("flags", [(), ("--always-close",)])
@pytest.mark.parametrize(("failing", "plan"), [("", CLUSTER_IS_THERE), ("etl", CLUSTER_IS_THERE), ("", RULE_IS_NEW)])
def test_a_cluster_that_was_up_before_is_never_closed(
    stubs: Suite, flags: Sequence[str], failing: str, plan: str
) -> None:
    """A cluster that this run found is left alone, also when this run lets a new address in, and its cost is named."""
    run = stubs.run(*flags, PLAN=plan, FAIL=failing)
    assert not [call for call in stubs.calls() if call.startswith("conn_close")]
    assert "redshift is billed while it is up; to end it: python conn_close.py --engine redshift" in run.err


def test_a_failed_step_on_a_cluster_says_that_it_is_billed(stubs: Suite) -> None:
    """After a failure the cluster stays open, and the last line says that it is billed and how to end that."""
    run = stubs.run("-q", PLAN=CLUSTER_IS_NEW, FAIL="create_tables")
    assert run.code == 3
    assert [call.split()[0] for call in stubs.calls()[-2:]] == ["conn_start", "create_tables"]
    assert "create_tables ended with exit code 3" in run.err
    assert run.err.splitlines()[-1].endswith("python conn_close.py --engine redshift")


def test_a_failed_close_is_a_failed_run(stubs: Suite) -> None:
    """When only conn_close fails, its exit code is the exit code."""
    run = stubs.run(FAIL="conn_close")
    assert run.code == 3
    assert "conn_close ended with exit code 3" in run.err


def test_always_close_keeps_the_exit_code_of_the_failure(stubs: Suite) -> None:
    """The exit code is that of the step that failed, though closing went well after it."""
    assert stubs.run("--always-close", FAIL="sql_validate").code == 3
    assert stubs.calls()[-1] == "conn_close --yes"


@pytest.mark.parametrize("closing", [False, True])
def test_ctrl_c_stops_the_step_and_the_run(stubs: Suite, closing: bool) -> None:
    """Ctrl-C ends the step that runs and the run with it, exit 130; only --always-close goes on to close."""
    (stubs.folder / "etl.py").write_text("import threading\nprint('loading', flush=True)\nthreading.Event().wait()\n")
    command = [str(stubs.folder / "run_all.sh"), *(["--always-close"] if closing else [])]
    with subprocess.Popen(
        command, env=stubs.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert "loading\n" in iter(process.stdout.readline, "")
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=WATCHDOG)
    assert process.returncode == 130
    assert "etl ended with exit code 130" in err
    assert [call.split()[0] for call in stubs.calls()[-1:]] == (["conn_close"] if closing else ["create_tables"])


@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_sample_is_made_only_for_the_default_sources(stubs: Suite, elsewhere: bool) -> None:
    """The sample is made when the settings look for it and it is missing, not when the data is elsewhere."""
    mine = {"DWH_S3_LOG_DATA": "/logs", "DWH_S3_SONG_DATA": "/songs"} if elsewhere else {}
    run = Suite(stubs.folder, stubs.environ | mine).run("--json")
    assert (stubs.calls()[0] == f"make_sample {stubs.folder}/data") is not elsewhere
    assert run.out.split() == STEPS  # what making the sample prints would be no JSON


@pytest.mark.parametrize("broken", [False, True])
def test_what_keeps_the_settings_from_being_read_is_shown(stubs: Suite, broken: bool) -> None:
    """Wrong settings are told by the first step, once; an error of the suite itself is shown where it happens."""
    if broken:
        with (stubs.folder / "dwh" / "settings" / "config.py").open("a") as code:
            code.write("raise OSError('the disk is gone')\n")
    run = stubs.run(FAIL="conn_start", DWH_WAREHOUSE_ENGINE="no such engine")
    assert stubs.calls() == ["conn_start"]
    assert run.code == 3 or broken
    # both by the look for the sample, and by the command of [NOTIFY] at the end
    assert run.err.count("OSError: the disk is gone\n") == (2 if broken else 0)
    assert ("Traceback" in run.err) is broken


@pytest.mark.parametrize(
    "flags", [["--nope"], ["again"], ["--config"], ["--wait-for", "5m"], ["--keep", "--always-close"]]
)
def test_a_wrong_call_is_refused_before_anything_runs(stubs: Suite, flags: list[str]) -> None:
    """An unknown flag, a missing value or a contradiction is exit 2, in the form of the suite's errors."""
    run = stubs.run(*flags)
    lines = run.err.splitlines()
    assert (run.code, len(lines), stubs.calls()) == (2, 2, [])
    assert lines[0].startswith("error: run_all.sh: ")
    assert lines[1] == "  try: ./run_all.sh --help"


def test_help_names_every_flag_and_needs_no_python(stubs: Suite) -> None:
    """--help names every flag of its own, and answers before anything is set up."""
    run = stubs.run("--help", SPARKIFY_VENV="/nowhere/at all")
    assert run.code == 0
    assert [
        flag
        for flag in ("--keep", "--always-close", "--take-over", "--wait", "--yes", "[REPORT] PATH", "SPARKIFY_VENV")
        if flag not in run.out
    ] == []


def test_shell_scripts_are_clean() -> None:
    """shellcheck finds nothing in any shell script."""
    shellcheck = shutil.which("shellcheck", path=f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}")
    if not shellcheck:
        pytest.skip("shellcheck is not installed here (./run_tests.sh installs it)")
    found = subprocess.run([shellcheck, *SHELL_SCRIPTS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


# ------------------------------------------------------------------------------------- setting up on various machines


OLD_PYTHON = 'case "$1" in -V) echo Python 3.8.1 ;; *) exit 1 ;; esac'
PYTHON = f"""case "$*" in *"import %s"* | *"import %s,"*) exit 1 ;; esac
exec "{sys.executable}" "$@"
"""
# Stands in for a Python of another version: it makes environments whose Python says the same of itself.
OTHER_PYTHON = f"""case "$*" in
-V) echo Python %s.1 ;;
*version_info*) echo %s ;;
*"import ensurepip"* | *"import pip"*) ;;
"-m venv"*) for last; do :; done; mkdir -p "$last/bin"; cp "$0" "$last/bin/python"; touch "$last/pyvenv.cfg" ;;
*"pip install"*) echo "$(%s -V): $*" >>pip.txt; %s ;;
*) exec "{sys.executable}" "$@" ;;
esac"""
NO_WHEEL = "echo 'ERROR: No matching distribution found for duckdb==2.0.0' >&2; exit 1"
NO_NETWORK = f"echo 'WARNING: Retrying (Retry(total=0) after connection broken' >&2; {NO_WHEEL}"


@dataclass(frozen=True)
class Machine:
    """A machine with few programs, to set up on: `tools` is all of its PATH."""

    folder: Path
    tools: Path

    def add(self, name: str, text: str) -> None:
        """Put a shell script on the PATH."""
        (self.tools / name).unlink(missing_ok=True)
        (self.tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.tools / name).chmod(0o755)

    def add_python(self, name: str = "python3", *, without: str) -> None:
        """Put a Python on the PATH that lacks up to two modules."""
        lacking = without.split()
        self.add(name, PYTHON % (lacking[0], lacking[-1]))

    def set_up(self, then: str = "", **environ: str) -> Run:
        """Set the environment up as run_all.sh does, then do more, and print what Python there says of itself."""
        program = f"""here=$PWD; . ./setup_venv.sh; setup_venv requirements.txt; {then or ":"}
"$python" -c "import sys; print(sys.prefix)"
"""
        kept = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "SSL_", "HOME"))}
        done = subprocess.run(
            ["sh", "-euc", program], cwd=self.folder, env={**kept, "PATH": str(self.tools), **environ},
            capture_output=True, text=True, timeout=WATCHDOG, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        return Run(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without Python, whose uv makes environments and only notes what it should install."""
    machine = Machine(tmp_path / "a place", tmp_path / "bin")
    for folder in (machine.folder, machine.tools):
        folder.mkdir()
    for tool in ("sh", "cat", "cksum", "rm", "mkdir", "cp", "touch"):
        (machine.tools / tool).symlink_to(str(shutil.which(tool)))
    made = f'for last; do :; done; "{sys.executable}" -m venv --without-pip "$last"'
    machine.add("uv", f'echo "$1 $2" >>uv.txt; [ "$1" = pip ] || {{ {made}; }}')
    shutil.copy(ROOT / "setup_venv.sh", machine.folder)
    (machine.folder / "requirements.txt").write_text("# nothing\n")
    return machine


def test_set_up_happens_once(machine: Machine) -> None:
    """The environment is made on first use, which is said in one line; the next time nothing is done or said."""
    machine.add_python(without="ensurepip pip")
    runs = [machine.set_up(), machine.set_up()]
    assert [(run.code, run.out.strip()) for run in runs] == [(0, str(machine.folder / ".venv"))] * 2, runs[0].err
    assert [run.err for run in runs] == ["setting up .venv (once) ...\n", ""]
    assert (machine.folder / "uv.txt").read_text() == "venv --quiet\npip install\n"


def test_what_reads_the_lake_has_an_environment_of_its_own(machine: Machine) -> None:
    """Beside ours, with its own packages and none of ours; made once, and our Python stays the one that is used."""
    machine.add_python(without="ensurepip pip")
    machine.add("uv", (machine.tools / "uv").read_text().replace('"$1 $2"', '"$*"'))
    (machine.folder / "requirements-readers.txt").write_text("# nothing\n")
    runs = [machine.set_up("setup_readers"), machine.set_up("setup_readers")]
    assert [(run.code, run.out.strip()) for run in runs] == [(0, str(machine.folder / ".venv"))] * 2, runs[0].err
    assert runs[0].err == "setting up .venv (once) ...\nsetting up .venv-readers (once) ...\n"
    assert runs[1].err == ""
    installed = re.findall(r"--python (.+?)/bin/python .*-r .*/(.+)$", (machine.folder / "uv.txt").read_text(), re.M)
    own = str(machine.folder / ".venv-readers")
    assert installed == [(str(machine.folder / ".venv"), "requirements.txt"), (own, "requirements-readers.txt")]
    shutil.rmtree(own)
    (machine.folder / "home").mkdir()
    refused = machine.set_up("setup_readers", SPARKIFY_READERS_VENV="home")
    assert (refused.code, "error: SPARKIFY_READERS_VENV is " in refused.err) == (2, True)


@pytest.mark.parametrize("damage", ["requirements", "python", "half", "killed"])
def test_set_up_happens_again_when_it_must(machine: Machine, damage: str) -> None:
    """Other requirements, a Python that is gone, or a set-up that was killed: it is made good, once."""
    machine.add_python(without="ensurepip pip")
    machine.set_up()
    venv = machine.folder / ".venv"
    if damage == "requirements":
        (machine.folder / "requirements.txt").write_text("# nothing else\n")
    elif damage == "python":
        for name in ("python", "python3"):
            (venv / "bin" / name).unlink(missing_ok=True)
            (venv / "bin" / name).symlink_to("/nowhere/python3")
    elif damage == "half":
        shutil.rmtree(venv)
        venv.mkdir()
    else:
        (venv / "requirements.txt.stamp").unlink()
    again = machine.set_up()
    assert (again.code, again.out.strip()) == (0, str(venv)), again.err
    assert (again.err, machine.set_up().err) == ("setting up .venv (once) ...\n", "")


def test_without_ensurepip_and_uv_the_pip_of_the_machine_installs(machine: Machine) -> None:
    """Debian with python3-pip and without python3-venv: its pip installs into an environment that has none."""
    (machine.tools / "uv").unlink()
    machine.add_python(without="ensurepip")
    run = machine.set_up()
    assert (run.code, run.out.strip()) == (0, str(machine.folder / ".venv")), run.err


def add_other(machine: Machine, version: str, installing: str = "exit 0") -> None:
    """Put a Python of another version on the PATH, and say how its pip ends."""
    name = f"python{version}"
    machine.add(name, OTHER_PYTHON % (version, version, '"$0"', installing))


def versions_asked(machine: Machine) -> list[str]:
    """Give the versions whose pip was asked to install, in order."""
    noted = (machine.folder / "pip.txt").read_text().splitlines()
    return [line.split(".1:")[0].removeprefix("Python ") for line in noted]


def test_the_newest_python_with_wheels_is_taken(machine: Machine) -> None:
    """A version that is none of ours, a shim that does not run, and one without wheels are passed over."""
    machine.add("python3.14", "echo 'pyenv: python3.14: command not found' >&2; exit 127")
    add_other(machine, "3.13", NO_WHEEL)
    add_other(machine, "3.12")
    add_other(machine, "3.11")
    machine.add("python3", OTHER_PYTHON % ("3.15", "3.15", '"$0"', "exit 0"))
    run = machine.set_up()
    assert (run.code, versions_asked(machine)) == (0, ["3.13", "3.12"]), run.err
    assert run.err.splitlines()[1:] == ["some packages in requirements.txt have no wheels for Python 3.13"]
    assert "--only-binary :all:" in (machine.folder / "pip.txt").read_text()
    assert machine.set_up().err == ""


def test_without_a_network_no_other_python_is_tried(machine: Machine) -> None:
    """What pip says of a package is not about wheels when its index does not answer."""
    add_other(machine, "3.13", NO_NETWORK)
    add_other(machine, "3.12")
    run = machine.set_up()
    assert (run.code, versions_asked(machine)) == (3, ["3.13"])
    assert "error: the packages in requirements.txt cannot be installed\n" in run.err


def test_where_no_python_has_wheels_that_is_an_error(machine: Machine) -> None:
    """Each version is tried once, though it has several names; the error ends with what pip said."""
    add_other(machine, "3.13", NO_WHEEL)
    add_other(machine, "3.12", NO_WHEEL)
    (machine.tools / "python3").symlink_to("python3.13")
    run = machine.set_up()
    assert (run.code, versions_asked(machine)) == (3, ["3.13", "3.12"])
    assert "No matching distribution found for duckdb==2.0.0" in run.err
    assert run.err.count("error:") == 1


def test_a_named_python_is_taken_and_no_other(machine: Machine) -> None:
    """SPARKIFY_PYTHON makes the environment, and makes it again when it names another version."""
    add_other(machine, "3.13")
    add_other(machine, "3.12")
    (machine.folder / "my python").symlink_to(machine.tools / "python3.12")
    assert machine.set_up().code == 0
    runs = [machine.set_up(SPARKIFY_PYTHON="./my python") for _ in range(2)]
    assert [(run.code, run.err) for run in runs] == [(0, "setting up .venv (once) ...\n"), (0, "")]
    assert versions_asked(machine) == ["3.13", "3.12"]
    assert machine.set_up(SPARKIFY_PYTHON="python3.9").code == 3


def test_ci_runs_the_sequence_on_every_python_of_the_machine(machine: Machine) -> None:
    """Twice on each supported one, newest first, those of pyenv that are not activated too; and it says which."""
    for tool in ("bash", "dirname", "mktemp"):
        (machine.tools / tool).symlink_to(str(shutil.which(tool)))
    machine.add("chromium", "")
    add_other(machine, "3.14")
    machine.add("python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    machine.add("python3", OTHER_PYTHON % ("3.11", "3.11", '"$0"', "exit 0"))
    for version in ("3.13", "3.10"):
        folder = machine.folder / f"py env/versions/{version}.1/bin"
        folder.mkdir(parents=True)
        add_other(machine, version)
        shutil.move(machine.tools / f"python{version}", folder / "python")
    machine.add("python3.13", "exit 127")
    (machine.folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", machine.folder / ".ci/run")
    for script in ("run_tests", "run_all"):
        machine.add(f"{script}.sh", f'echo "{script} $* ${{SPARKIFY_PYTHON##*/bin/}}" >>calls.txt')
        shutil.move(machine.tools / f"{script}.sh", machine.folder)
    done = subprocess.run(
        ["bash", ".ci/run"], cwd=machine.folder, env={"PATH": str(machine.tools), "PYENV_ROOT": "py env"},
        capture_output=True, text=True, timeout=WATCHDOG, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1].startswith("run_all.sh ended well on Python 3.14.1, 3.13.1, 3.11.1 (")
    calls = (machine.folder / "calls.txt").read_text().splitlines()
    assert calls[:2] == ["run_tests  ", "run_tests --slow "]
    assert calls[2:] == [f"run_all -q --yes {name}" for name in ("python3.14", "python", "python3") for _ in range(2)]


def test_an_old_python_is_passed_over(machine: Machine) -> None:
    """When python3 is too old and a newer one is beside it, the newer one is taken."""
    machine.add("python3", OLD_PYTHON)
    machine.add_python("python3.12", without="ensurepip pip")
    assert machine.set_up().code == 0


@pytest.mark.parametrize(
    ("python", "told"),
    [
        ("", "error: Python 3.11 to 3.14 is needed; this machine has no python3\n"),
        (OLD_PYTHON, "error: Python 3.11 to 3.14 is needed; this machine has Python 3.8.1\n"),
        (PYTHON % ("ensurepip", "pip"), "  try: sudo apt install python3-venv\n"),
    ],
    ids=["no python", "old python", "no ensurepip"],
)
def test_a_machine_that_lacks_something_is_told_what(machine: Machine, python: str, told: str) -> None:
    """What is missing is said in one error with exit 3, and no half environment is left."""
    (machine.tools / "uv").unlink()
    if python:
        machine.add("python3", python)
    run = machine.set_up()
    assert run.code == 3
    assert told in run.err
    assert run.err.count("error:") == 1
    assert not (machine.folder / ".venv").exists()


def test_a_failed_install_is_an_error_and_is_tried_again(machine: Machine) -> None:
    """When packages cannot be installed that is exit 3, and the next run does not take it for done."""
    machine.add_python(without="ensurepip pip")
    machine.set_up()
    (machine.folder / "requirements.txt").write_text("# more\n")
    machine.add("uv", "exit 1")
    runs = [machine.set_up(), machine.set_up()]
    assert [run.code for run in runs] == [3, 3]
    assert "error: the packages in requirements.txt cannot be installed\n" in runs[1].err


def test_a_folder_that_is_no_environment_is_not_replaced(machine: Machine) -> None:
    """SPARKIFY_VENV naming a folder with something else in it is refused, and the folder is not changed."""
    machine.add_python(without="ensurepip pip")
    (machine.folder / "home").mkdir()
    (machine.folder / "home" / "letter").touch()
    run = machine.set_up(SPARKIFY_VENV="home")
    assert run.code == 2
    assert (machine.folder / "home" / "letter").exists()
