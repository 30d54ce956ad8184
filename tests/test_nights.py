"""Runs that nobody watches: the log, status.json, the file for Prometheus, the commands of [NOTIFY]."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any

import pytest
from warehouse import REPO, Warehouse, event, plays, song

from dwh.monitoring import status
from dwh.monitoring.metrics import to_prometheus
from dwh.monitoring.notify import notify
from dwh.settings.config import load_config
from dwh.terminal.console import run
from dwh.terminal.errors import ConfigError
from dwh.terminal.log import rotate

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (\d{8}-\d{6}) (DEBUG|INFO|WARNING|ERROR) +(\S.*| .*)")
SAMPLE = re.compile(r'([a-z_]+)\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)+)\} (\S+)')


@pytest.fixture
def loaded(warehouse: Warehouse) -> Warehouse:
    """A warehouse with a song and plays that are not loaded yet."""
    warehouse.write("song_data/a.json", [song()])
    warehouse.write("log_data/a.json", plays(3))
    return warehouse


def script(warehouse: Warehouse, name: str, *argv: str) -> int:
    """Run a script to its end in this process, with all that follows it, and give its exit code."""
    module = __import__(name)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return run(module.main, ["--config", str(warehouse.config), "-q", *argv])
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def known(warehouse: Warehouse) -> dict[str, Any]:
    """Give what status.json holds."""
    found = json.loads(warehouse.config.with_name("status.json").read_text())
    assert isinstance(found, dict)
    return found


# ----------------------------------------------------------------------------------------------------------- the log


def test_p212_every_line_of_the_log_says_when_and_which_run(loaded: Warehouse) -> None:
    """Time in UTC, run and level on each line, those of an SQL text and of a traceback too; a header for each run; the
    run is the one in the ledger."""
    log = loaded.root / "night.log"
    assert script(loaded, "etl", "--log-file", str(log)) == 0
    loaded.write("log_data/b.json", [event(ts="yesterday")])
    assert script(loaded, "etl", "--log-file", str(log)) == 1
    lines = [LINE.fullmatch(line) for line in log.read_text().splitlines()]
    assert None not in lines
    told = [(line[1], line[2], line[3]) for line in lines if line]
    assert sum(text.startswith("etl 0.") and "--log-file" in text for _, _, text in told) == 2
    assert {text.strip() for _, level, text in told if level == "DEBUG"} >= {"FROM staging_songs"}
    assert [level for _, level, text in told if text.startswith("error: bad record")] == ["ERROR"]
    assert any(level == "ERROR" and text.startswith("Traceback") for _, level, text in told)
    assert told[0][0] in {run_id for (run_id,) in loaded.rows("SELECT run_id FROM loads")}


def test_a_log_that_cannot_be_written_gets_another_name(loaded: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names a command that works."""
    assert script(loaded, "etl", "--log-file", str(loaded.root / "no" / "l.log")) == 2
    [command] = re.findall("try: python (.*)", capsys.readouterr().err)
    assert shlex.split(command)[-2:] == ["--log-file", os.path.join(os.environ.get("TMPDIR", "/tmp"), "l.log")]


def test_p213_a_log_of_yesterday_is_put_aside_and_old_ones_go(tmp_path: Path) -> None:
    """KEEP_DAYS: a file a day, so many days are kept; other files stay, and no line is lost when two rotate at once."""
    log, other = tmp_path / "a.log", tmp_path / "a.log.notes"
    for file, text in ((log, "yesterday"), (tmp_path / "a.log.2026-11-20", "old"), (other, "mine")):
        file.write_text(text)
    (tmp_path / "a.log.2026-11-24").write_text("kept")
    noon = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()
    os.utime(log, (noon, noon))
    for _ in range(2):
        rotate(str(log), 3, date(2026, 11, 27))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a.log.2026-11-26": "yesterday", "a.log.2026-11-24": "kept", "a.log.notes": "mine"
    }  # fmt: skip
    log.write_text("today")
    os.utime(log, (noon, noon))
    rotate(str(log), 3, date(2026, 11, 27))  # the name is taken: it goes on in the file
    assert (log.read_text(), (tmp_path / "a.log.2026-11-26").read_text()) == ("today", "yesterday")


def test_p213_a_script_rotates_only_when_it_was_asked_to(loaded: Warehouse) -> None:
    """Off by default; with [LOG] KEEP_DAYS the file of an earlier day is put aside before the first line."""
    log = loaded.root / "a.log"
    for keep, files in ({}, 1), ({"LOG": {"KEEP_DAYS": 36000}}, 2):
        log.write_text("yesterday\n")
        os.utime(log, (0, 0))
        loaded.configure(**keep)
        assert script(loaded, "sql_validate", "--list", "--log-file", str(log)) == 0
        assert len(list(loaded.root.glob("a.log*"))) == files
    assert (loaded.root / "a.log.1970-01-01").read_text() == "yesterday\n"
    assert "yesterday" not in log.read_text()


# ------------------------------------------------------------------------------------------- status.json and metrics


def test_p215_status_tells_the_last_load_check_and_export(loaded: Warehouse) -> None:
    """What each script knows; a run that only looks, or fails, leaves the rest as it was."""
    for name in ("etl", "sql_validate", "export_lake"):
        assert script(loaded, name) == 0
    first = known(loaded)
    assert first["rows"]["songplays"] == 3
    assert first["freshness"] == {"newest": "2018-11-02T12:00:02Z"}
    assert (first["load"]["ok"], first["load"]["files"]["new"]) == (True, 2)
    assert (first["check"]["checks"]["fail"], first["check"]["failed"]) == (0, [])
    assert (first["lake"]["written"], first["warehouse"]["engine"]) == (True, "duckdb")
    for name, *argv in (("etl", "--dry-run"), ("sql_validate", "--list"), ("sql_validate", "--only", "time")):
        assert script(loaded, name, *argv) == 0
    assert known(loaded) == first
    loaded.write("log_data/b.json", [event(ts="yesterday")])
    assert script(loaded, "etl") == 1
    failed = known(loaded)
    assert (failed["load"]["ok"], failed["load"]["exit_code"], failed["load"]["error"]["kind"]) == (False, 1, "data")
    assert failed["load"]["last_ok"] == first["load"]["at"]
    assert failed | {"load": 0} == first | {"load": 0}


def test_p215_status_is_written_at_once_or_not_at_all(loaded: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails leaves the old file and nothing beside it, and the load is as good as without."""
    assert script(loaded, "etl") == 0
    before = known(loaded)
    loaded.write("log_data/b.json", plays(5))
    monkeypatch.setattr("dwh.monitoring.files.os.fsync", lambda _file: (_ for _ in ()).throw(OSError(28, "full")))
    assert script(loaded, "etl") == 0
    monkeypatch.undo()
    assert known(loaded) == before
    assert [path.name for path in loaded.root.iterdir() if path.name.startswith(".")] == []
    assert loaded.value("SELECT count(*) FROM songplays") == 5


def test_another_warehouse_beside_the_config_begins_anew(tmp_path: Path) -> None:
    """What is known of one warehouse is not told of another."""
    config = tmp_path / "dwh.cfg"
    config.touch()
    told = {"script": "etl", "at": "2026-11-27T03:15:00Z", "run_id": "20261127-031500", "ok": True, "exit_code": 0}
    status.update(config, {"engine": "duckdb", "file": "a"}, {**told, "rows": {"time": 7}})
    found = status.update(config, {"engine": "duckdb", "file": "b"}, told)
    assert (found["warehouse"]["file"], "rows" in found) == ("b", False)
    config.with_name("status.json").write_text("{")
    assert status.read(config, {"engine": "duckdb"}) == {"warehouse": {"engine": "duckdb"}}


KNOWN = {
    "warehouse": {"engine": "duckdb", "file": "a"},
    "load": {"at": "2026-11-27T03:15:00Z", "last_ok": None, "ok": False, "seconds": 1.5},
    "check": {"at": "2026-11-27T03:16:00Z", "ok": True, "checks": {"ok": 54, "warn": 1, "fail": 0}},
    "rows": {'od"d\\': 3, "time": 2},
    "freshness": {"newest": "2018-11-30T23:26:24Z"},
}


def test_p215_metrics_follow_the_rules_of_prometheus() -> None:
    """Each name has the prefix, its unit at the end, one HELP and one TYPE before its samples, and finite numbers."""
    text = to_prometheus(KNOWN)
    assert text.endswith("\n")
    named: list[str] = []
    for line in text.splitlines():
        if line.startswith("# HELP "):
            named.append(line.split()[2])
        elif line.startswith("# TYPE "):
            assert line.split()[2:] == [named[-1], "gauge"]
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample
            assert sample[1] == named[-1]
            assert float(sample[3]) >= 0
    assert len(named) == len(set(named))
    assert all(re.fullmatch(r"sparkify_[a-z_]+", name) and not name.endswith("_total") for name in named)
    assert 'sparkify_load_last_run_timestamp_seconds{engine="duckdb"} 1795749300' in text
    assert 'sparkify_load_success{engine="duckdb"} 0' in text
    assert r'sparkify_table_rows{engine="duckdb",table="od\"d\\"} 3' in text
    assert "load_last_success" not in text  # never yet


def test_p215_the_parser_of_prometheus_reads_them() -> None:
    """The parser that Prometheus publishes for Python finds every sample with its labels."""
    parser = pytest.importorskip("prometheus_client.parser")
    families = {family.name: family for family in parser.text_string_to_metric_families(to_prometheus(KNOWN))}
    assert {sample.labels["table"] for sample in families["sparkify_table_rows"].samples} == {'od"d\\', "time"}
    assert families["sparkify_load_duration_seconds"].samples[0].value == 1.5


def test_metrics_are_written_by_every_script_and_refused_before_it_begins(loaded: Warehouse) -> None:
    """The file is there after the run, readable for the collector; one that cannot be written ends with 2."""
    file = loaded.root / "w.prom"
    assert script(loaded, "etl", "--metrics", str(file)) == 0
    assert "sparkify_load_success" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o644
    assert script(loaded, "etl", "--metrics", str(loaded.root / "no" / "w.prom")) == 2


# ---------------------------------------------------------------------------------------------------------- [NOTIFY]

KEEP = "import pathlib, sys; pathlib.Path(sys.argv[1]).open('a').write(sys.stdin.read() + chr(10))"


def keeping(file: Path, *more: str) -> str:
    """Give a command that keeps what it is told, a line each time."""
    return shlex.join([sys.executable, "-c", KEEP, str(file), *more])


def test_p214_a_run_is_told_on_stdin(loaded: Warehouse) -> None:
    """ON_SUCCESS and ON_FAILURE get the JSON object of the run; a run that only looks tells nobody."""
    good, bad = loaded.root / "good", loaded.root / "bad"
    loaded.configure(NOTIFY={"ON_SUCCESS": keeping(good), "ON_FAILURE": keeping(bad)})
    assert (script(loaded, "etl"), script(loaded, "etl", "--dry-run")) == (0, 0)
    [told] = map(json.loads, good.read_text().splitlines())
    assert (told["script"], told["ok"], told["exit_code"], told["rows"]["songplays"]) == ("etl", True, 0, 3)
    assert not bad.exists()
    loaded.write("log_data/b.json", [event(ts="yesterday")])
    assert script(loaded, "etl") == 1
    [told] = map(json.loads, bad.read_text().splitlines())
    assert (told["ok"], told["exit_code"], told["error"]["kind"]) == (False, 1, "data")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("false", "false ended with 1"),
        ("/nowhere/at-all", "cannot be run: No such file or directory"),
        (shlex.join([sys.executable, "-c", "raise SystemExit('no such room')"]), "ended with 1: no such room"),
    ],
)
def test_p214_a_command_that_fails_fails_no_load(
    loaded: Warehouse, capsys: pytest.CaptureFixture[str], command: str, said: str
) -> None:
    """The load ends with 0 and one line says what happened, also with -q."""
    loaded.configure(NOTIFY={"ON_SUCCESS": command})
    assert script(loaded, "etl") == 0
    assert said in capsys.readouterr().err


def test_p214_a_command_has_half_a_minute_with_all_that_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not done in time is killed, and so is what it started: the pipe that the child holds open ends."""
    fifo, real, patience = tmp_path / "fifo", subprocess.Popen.wait, list[float | None]()
    os.mkfifo(fifo)
    held: list[IO[str]] = []

    def wait(self: Any, timeout: float | None = None) -> int:
        if held:
            return real(self, timeout)
        patience.append(timeout)
        held.append(fifo.open())
        assert held[0].readline() == "up\n"
        raise subprocess.TimeoutExpired("", timeout or 0)

    child = f"import signal; f = open({str(fifo)!r}, 'w'); print('up', file=f, flush=True); signal.pause()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    monkeypatch.setattr(subprocess.Popen, "wait", wait)
    problem = notify([sys.executable, "-c", code], {})
    assert held[0].read() == ""
    held[0].close()
    assert patience == [30.0]
    assert problem == f"{sys.executable} was not done after 30 seconds, and was stopped"


def test_p214_no_shell_reads_a_command(loaded: Warehouse) -> None:
    """What would be a second command, or a file that a shell writes, is a word like another."""
    file = loaded.root / "told"
    loaded.configure(NOTIFY={"ON_SUCCESS": keeping(file, "$(touch harm)", "; touch harm")})
    assert script(loaded, "etl") == 0
    assert (file.exists(), list(loaded.root.rglob("harm"))) == (True, [])


@pytest.mark.parametrize(("mode", "taken"), [(0o600, True), (0o644, True), (0o664, False), (0o606, False)])
def test_p214_a_command_is_taken_from_a_file_that_nobody_else_can_write(tmp_path: Path, mode: int, taken: bool) -> None:
    """A file that the group or others can write is refused with 2, and only when it holds a command."""
    config = tmp_path / "dwh.cfg"
    for text, fine in (("[NOTIFY]\nON_FAILURE = mail ann\n", taken), ("[NOTIFY]\nON_FAILURE =\n", True)):
        config.write_text(text)
        config.chmod(mode)
        if fine:
            assert load_config(str(config), {}, {}).notify.on_failure == (("mail", "ann") if "mail" in text else ())
        else:
            with pytest.raises(ConfigError, match="others can write it") as refused:
                load_config(str(config), {}, {})
            subprocess.run(shlex.split(refused.value.hint[0]), check=True)
            assert load_config(str(config), {}, {}).notify.on_failure == ("mail", "ann")


def test_p214_a_command_of_another_user_or_of_the_environment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the user and root may say what runs as the user."""
    config = tmp_path / "dwh.cfg"
    config.write_text("[NOTIFY]\nON_FAILURE = mail ann\n")
    owner = config.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner == 0:
        assert load_config(str(config), {}, {}).notify.on_failure == ("mail", "ann")
        monkeypatch.setattr(type(config), "stat", lambda self: os.stat_result((0o100600, 0, 0, 1, 7, 0, 0, 0, 0, 0)))
    with pytest.raises(ConfigError, match="owns it"):
        load_config(str(config), {}, {})
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="taken from a file only"):
        load_config(str(config), {}, {"DWH_NOTIFY_ON_FAILURE": "mail ann"})


@pytest.mark.parametrize("wrong", ["mail -s bad ; rm x", "mail # ann", "mail 'ann"])
def test_a_value_that_a_shell_would_read_otherwise_is_quoted(tmp_path: Path, wrong: str) -> None:
    """A `;` or `#` outside quotes, and a quote that is not closed, are refused; nothing of the command is shown."""
    config = tmp_path / "dwh.cfg"
    config.write_text(f"[NOTIFY]\nON_FAILURE = {wrong}\n")
    with pytest.raises(ConfigError) as refused:
        load_config(str(config), {}, {})
    assert "mail" not in f"{refused.value.message}{refused.value.evidence}{refused.value.hint}"
    config.write_text("[NOTIFY]\nON_FAILURE = mail -s 'bad ; # night' ann\n")
    assert load_config(str(config), {}, {}).notify.on_failure == ("mail", "-s", "bad ; # night", "ann")


def test_a_program_beside_the_config_is_found(tmp_path: Path) -> None:
    """A path starts at the folder of the file; a name alone is looked for in PATH."""
    config = tmp_path / "dwh.cfg"
    config.write_text("[NOTIFY]\nON_FAILURE = ./tell.sh 1\nON_SUCCESS = tell 1\n")
    found = load_config(str(config), {}, {}).notify
    assert (found.on_failure, found.on_success) == ((f"{tmp_path}/./tell.sh", "1"), ("tell", "1"))


def test_the_scripts_are_where_the_tests_look() -> None:
    """`script` imports them by name."""
    assert all((REPO / f"{name}.py").is_file() for name in ("etl", "sql_validate", "export_lake"))
