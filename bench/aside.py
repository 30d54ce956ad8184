"""Other measurements of bench/run.py: reading the bytes, tiny files, later runs, checks, --help, the sequence."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import limits
from bench.growth import MEMORY_LIMIT, MEMORY_RATIO
from bench.processes import Taken, clean_environment, measure
from bench.samples import ROOT, Sample, make_part
from bench.song_files import WAYS
from bench.start import load_anew, run_script, warehouse_environment

Found = dict[str, Any]
READ_ALL = """
import os, sys
for place, _, names in os.walk(sys.argv[1]):
    for name in names:
        with open(os.path.join(place, name), "rb", buffering=0) as file:
            while file.read(1 << 20):
                pass
"""
LEFT_THERE = shutil.ignore_patterns(".*", "data", "*.duckdb*", "lake", "report.html", "tests", "docs")
ANYWHERE = shutil.ignore_patterns("__pycache__")


def raw_read(data: Sample, scratch: Path, rounds: int) -> Found:
    """Read every byte, from the cache of the system."""
    command = [sys.executable, "-c", READ_ALL, str(data.folder)]
    taken = [measure(command, clean_environment(), scratch / "read.log") for _ in range(rounds + 1)][1:]
    wall = statistics.median(one.wall for one in taken)
    return {"wall_s": wall, "mb_per_s": data.size / 1e6 / wall}


def song_files(data: Sample, scratch: Path, rounds: int) -> Found:
    """Read the song files in four ways, in turn (G2)."""
    taken: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for number in range(rounds + 1):
        for way in WAYS:
            command = [sys.executable, str(ROOT / "bench" / "song_files.py"), way, str(data.folder / "song_data")]
            env = clean_environment(TMPDIR=str(scratch))
            done = subprocess.run(command, env=env, check=True, capture_output=True)
            if number:
                taken[way].append(json.loads(done.stdout))
    found: Found = {}
    for way, runs in taken.items():
        wall, cpu = (statistics.median(run[part] for run in runs) for part in ("wall", "cpu"))
        each = {"us_a_file": wall / data.song_files * 1e6, "cpu_us_a_file": cpu / data.song_files * 1e6}
        found[way] = {"wall_s": wall, "cpu_s": cpu, **each}
    spool, bare = found["spool"]["wall_s"], found["bare"]["wall_s"]
    faster = found["read_json"]["wall_s"] / found["spool_and_read"]["wall_s"]
    return found | {
        "goals_on_m": [
            {"goal": "G2 spool of the song files beside a bare one", "measured": spool / bare, "at_most": 2.0},
            {"goal": "G2 spool and read, faster than read_json on the list", "measured": faster, "at_least": 15},
        ]
    }


def later_runs(data: Sample, scratch: Path, rounds: int) -> Found:
    """Load all but the last log file; then run etl.py with that file new, and with one song file changed (G4)."""
    folder = scratch / "later"
    sources = make_part(data, 1.0, folder / "data")
    last, song = (sorted((sources.folder / kind).rglob("*.json"))[-1] for kind in ("log_data", "song_data"))
    away, log = folder / "away.json", scratch / "later.log"
    taken: dict[str, list[Taken]] = {"full_load": [], "one_new_log": [], "one_changed_song": []}
    env = warehouse_environment(sources, folder / "later.duckdb", TMPDIR=str(scratch))
    original = song.read_bytes()
    record = json.loads(original.splitlines()[0]) if original.count(b"{") == 1 else None
    new_log_bytes = last.stat().st_size
    for number in range(rounds + 1):
        last.rename(away)
        for path in folder.glob("later.duckdb*"):
            path.unlink()
        found = {"full_load": load_anew(env, log)}
        away.rename(last)
        found["one_new_log"] = run_script("etl", env, log)
        song.unlink()  # removes the link, not its target
        changed = (record or {"song_id": "SOBENCH"}) | {"year": 1900 + number}
        song.write_text(json.dumps(changed) + "\n")
        found["one_changed_song"] = run_script("etl", env, log)
        for name, one in found.items():
            if number:
                taken[name].append(one)
    shutil.rmtree(folder)
    told = {name: _middle(runs) for name, runs in taken.items()}
    ratios = {f"{name}_ratio": told[name]["wall_s"] / told["full_load"]["wall_s"] for name in list(taken)[1:]}
    goal = {
        "goal": "G4 one new log file beside the full load",
        "measured": ratios["one_new_log_ratio"],
        "at_most": 0.15,
    }
    return {**told, **ratios, "new_log_bytes": new_log_bytes, "goals_on_m": [goal]}


def nothing_new(data: Sample, scratch: Path, _rounds: int) -> Found:
    """Run etl.py with nothing new (G3), as bench/limits.py does."""
    env = limits.environment(data.folder, scratch)
    limits.measure_load(env)
    found = limits.measure_nothing_new(env)
    goal = {"goal": "G3 nothing new beside import duckdb and a scandir", "measured": found["measured"], "at_most": 2.0}
    return {**found, "goals": [goal]}


def checks(data: Sample, scratch: Path, rounds: int) -> Found:
    """Load, then run every check on what was loaded, in turn."""
    folder, log = scratch / "checks", scratch / "checks.log"
    folder.mkdir()
    env = warehouse_environment(
        data, folder / "checks.duckdb", TMPDIR=str(scratch), DWH_DUCKDB_MEMORY_LIMIT=f"{MEMORY_LIMIT} B"
    )
    taken: dict[str, list[Taken]] = {"etl": [], "sql_validate": []}
    for number in range(rounds + 1):
        for path in folder.glob("checks.duckdb*"):
            path.unlink()
        found = {"etl": load_anew(env, log), "sql_validate": run_script("sql_validate", env, log)}
        for name, one in found.items():
            if number or not rounds:
                taken[name].append(one)
    shutil.rmtree(folder)
    pairs = list(zip(taken["sql_validate"], taken["etl"], strict=True))
    goals = [
        {
            "goal": f"sql_validate.py beside the load, {told}",
            "measured": statistics.median(getattr(ours, part) / getattr(load, part) for ours, load in pairs),
            "at_most": 0.5,
        }
        for part, told in (("wall", "seconds"), ("cpu", "CPU s"))
    ]
    told = {name: _middle(runs) for name, runs in taken.items()}
    memory = {
        "goal": "sql_validate.py, peak memory beside MEMORY_LIMIT (2 GB)",
        "measured": told["sql_validate"]["peak_mb"] * 1e6 / MEMORY_LIMIT,
        "at_most": MEMORY_RATIO,
    }
    return {**told, "goals": [*goals, memory]}


def help_pages(data: Sample, scratch: Path, _rounds: int) -> Found:
    """Run --help of every script (G7), as bench/limits.py does; the goal is that of the slowest."""
    found = limits.measure_help(limits.environment(data.folder, scratch))
    slowest = max(found, key=lambda name: found[name]["measured"])
    goal = {"goal": f"{slowest} --help beside bare python", "measured": found[slowest]["measured"], "at_most": 6.0}
    return {**found, "goals": [goal]}


def sequence(_data: Sample, scratch: Path, rounds: int) -> Found:
    """Run the whole sequence on the sample, into a new warehouse each time; set up beforehand (G8)."""
    suite = scratch / "suite"
    # `lake` is also the name of a room in dwh/
    shutil.copytree(ROOT, suite, ignore=lambda at, names: (LEFT_THERE if Path(at) == ROOT else ANYWHERE)(at, names))
    env = clean_environment(SPARKIFY_VENV=str(scratch / "venv"))
    taken = []
    for _ in range(rounds + 1):
        for made in (*suite.glob("*.duckdb*"), suite / "report.html"):
            made.unlink(missing_ok=True)
        shutil.rmtree(suite / "lake", ignore_errors=True)
        taken.append(measure([str(suite / "run_all.sh"), "-q"], env, scratch / "sequence.log", cwd=suite))
    told = _middle(taken[1:])
    return told | {
        "goals": [
            {"goal": "G8 the whole sequence on the sample", "measured": told["wall_s"], "at_most": 6.0, "unit": " s"}
        ]
    }


ASIDE: Mapping[str, Callable[[Sample, Path, int], Found]] = {
    "raw_read": raw_read,
    "song_files": song_files,
    "nothing_new": nothing_new,
    "later_runs": later_runs,
    "checks": checks,
    "help": help_pages,
    "sequence": sequence,
}


def measure_aside(names: Sequence[str], data: Sample, scratch: Path, rounds: int) -> dict[str, Found]:
    """Run the named measurements; the results go to stderr."""
    found = {}
    for name in names:
        print(f"\n{name}: {(ASIDE[name].__doc__ or '').strip()}", file=sys.stderr)
        found[name] = ASIDE[name](data, scratch, rounds)
        for key, value in found[name].items():
            if not key.startswith("goals"):
                print(f"  {key:<20} {_brief(value)}", file=sys.stderr, flush=True)
    return found


def _middle(taken: Sequence[Taken]) -> Found:
    return {
        "wall_s": statistics.median(one.wall for one in taken),
        "cpu_s": statistics.median(one.cpu for one in taken),
        "peak_mb": max(one.memory for one in taken) / 1e6,
        "n": len(taken),
    }


def _brief(value: Any) -> str:
    if isinstance(value, Mapping):
        return "  ".join(f"{key} {_brief(one)}" for key, one in value.items())
    return f"{value:.3g}" if isinstance(value, float) else str(value)
