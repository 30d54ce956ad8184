"""bench/run.py compares only what is equal, and says what it measured in JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from warehouse import NOON, WATCHDOG, event, lines, plays, song

from docs.write_figures import figures, provenance

ROOT = Path(__file__).resolve().parents[1]
BY_HAND = ROOT / "bench" / "contestants" / "duckdb_by_hand.py"

# Everything that decides between records: the same play twice, two songs of one name, a user of two levels, blanks.
SONGS = {
    "A/one.json": [song(), song(year=0, title=" Undo ", duration=99.0)],
    "A/two.json": [song("S2", duration=11.6, artist_location=""), song("S3", artist_id=" ", title="Hyperballad")],
}
EVENTS = {
    "2018/a.json": [
        *plays(3),
        event(userId="", level="paid"),
        event(userId=" 9 ", itemInSession=7, song="Hyperballad"),
    ],
    "2018/b.json": [
        *plays(2, level="paid"),
        event(page="Home", ts=NOON + 5, level="paid"),
        event(artist=None, length=None),
    ],
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give a small source, in which most records have a rival."""
    for kind, files in (("song_data", SONGS), ("log_data", EVENTS)):
        for name, records in files.items():
            path = tmp_path / "data" / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(lines(records))
    return tmp_path / "data"


def run_bench(*argv: str | Path) -> tuple[int, dict[str, Any], str]:
    """Run bench/run.py; gives its exit code, its object, and what it told."""
    command = [sys.executable, ROOT / "bench" / "run.py", "--size", "S", "--rounds", "1", *argv]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WATCHDOG, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def test_equal_rows_get_a_ratio(data: Path) -> None:
    """etl.py and the yardstick make the same star of records that rival, and the ratio is that of their only round."""
    _, found, told = run_bench("--data", data, "--only", "etl")
    assert found["differ"] == found["not_run"] == {}, told
    ours, by_hand = (found["contestants"][name] for name in ("etl", "duckdb_by_hand"))
    assert ours["rows"] == by_hand["rows"] == "equal"
    assert ours["ratio"] == pytest.approx(ours["wall_s"] / by_hand["wall_s"], abs=0.01)
    assert ours["n"] == 1
    assert ours["peak_mb"] > 50
    assert 0 < ours["cpu_s"] < ours["wall_s"] * (os.cpu_count() or 1) * 1.1
    assert found["data"]["song_files"] == len(SONGS)
    assert found["data"]["songs"] == sum(map(len, SONGS.values()))
    assert found["data"]["events"] == sum(map(len, EVENTS.values()))
    assert {"ratio_interval", "cpu_ratio_interval"}.isdisjoint(ours), "one round has none"
    assert "not settled in 1 round\n" in told
    assert found["noise"]["one_core"]["readings"] == found["noise"]["all_cores"]["readings"] == 4
    assert f"the slowest {found['noise']['one_core']['slowest_above_quickest_percent']:.0f} % above" in told
    assert found["goals"] == []  # they are for a million events


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("UPDATE songplays SET level = 'x' WHERE user_id = 9", "songplays: 5 rows expected, 5 found; missing ("),
        ("INSERT INTO users FROM users LIMIT 1", "users: 2 rows expected, 3 found; not expected ("),
        ("ALTER TABLE time DROP COLUMN week", "time has the columns start_time, hour, day, month"),
        ("DROP TABLE artists", "a table cannot be read"),
    ],
)
def test_other_rows_get_none(tmp_path: Path, data: Path, change: str, difference: str) -> None:
    """A contestant with one other row, one row twice, or another column is named with the first difference."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import subprocess, sys, duckdb\n"
        f"subprocess.run([sys.executable, {str(BY_HAND)!r}, *sys.argv[1:]], check=True)\n"
        f"duckdb.connect(sys.argv[2] + '/star.duckdb').execute({change!r})\n"
    )
    code, found, told = run_bench("--data", data, "--only", "duckdb_by_hand", "--contestant", wrong)
    assert code == 1
    assert found["differ"]["wrong"].startswith(difference), told
    assert found["contestants"]["wrong"]["rows"] == "differ"
    assert "ratio" not in found["contestants"]["wrong"]
    assert "ratio" in found["contestants"]["duckdb_by_hand"]


def test_what_fails_is_named(tmp_path: Path, data: Path) -> None:
    """A contestant that fails is not run again, and its reason is told."""
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('no room')")
    code, found, _ = run_bench("--data", data, "--only", "duckdb_by_hand", "--contestant", broken)
    assert code == 1
    assert found["not_run"] == {"broken": "exit code 1: no room"}
    assert list(found["contestants"]) == ["duckdb_by_hand"]


@pytest.mark.parametrize(
    ("script", "argv", "table", "row"),
    [
        ("run", ("--size", "S", "--data", "DATA", "--only", "etl"), "yardstick", "| **etl.py into a new warehouse"),
        ("objects", ("--objects", "20"), "objects", "| 1 ms, boto3 with 16 threads | "),
        ("one_more_day", ("DATA",), "day", "| one more day, bytes | "),
        ("lake", ("--plays", "1000"), "lake", "| reading all of it back (`--check`) | "),
        ("keys", ("--keys", "10,2000"), "keys", "| 2,000 objects, postgres | "),
    ],
)
def test_what_a_bench_keeps_becomes_its_table(
    tmp_path: Path, data: Path, script: str, argv: tuple[str, ...], table: str, row: str
) -> None:
    """The JSON of each bench has what its table on the page needs, and says where it was measured."""
    kept = tmp_path / "new folder" / "kept.json"
    given = [str(data) if word == "DATA" else word for word in argv]
    command = [sys.executable, str(ROOT / "bench" / f"{script}.py"), *given, "--rounds", "1", "--save", str(kept)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WATCHDOG, check=False)
    assert kept.exists(), done.stderr
    found = json.loads(kept.read_text())
    assert f"\n{row}" in figures(table, [found])
    told = " ".join(provenance(found))
    assert f"by `bench/{script}.py {' '.join(argv)} --rounds 1`".replace("DATA", "data") in told
    assert str(tmp_path) not in kept.read_text()


def test_growth_is_drawn_alike(tmp_path: Path) -> None:
    """The picture of the same points is the same bytes, and what grows beyond the goal is told."""
    flat = {"songs": 15_000, "mb": 1, "wall_s": 9, "peak_mb": 900, "database_mb": 1, "grows": "events"}
    points = {
        "events-1M": {**flat, "events": 1_000_000, "cpu_s": 10.0},
        "events-20M": {**flat, "events": 20_000_000, "cpu_s": 250.0},
    }
    results = tmp_path / "growth.json"
    results.write_text(json.dumps({"points": points}))
    drawn = []
    for name in ("a.svg", "b.svg"):
        flags = ["--draw", "--results", str(results), "--picture", str(tmp_path / name)]
        command = [sys.executable, str(ROOT / "bench" / "growth.py"), *flags]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1, done.stderr
        assert "FAIL  CPU per one of the events: 1.25x from 1,000,000 to 20,000,000" in done.stderr
        drawn.append((tmp_path / name).read_bytes())
    assert drawn[0] == drawn[1]
    assert b"20,000,000" in drawn[0]
