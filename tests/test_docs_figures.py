"""The tables of what a load costs say what the benches measured."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench.contest import CONTESTANTS, OURS, YARDSTICK
from bench.noise import summarize as sum_up_noise
from bench.processes import Taken
from bench.results import Field, summarize
from bench.samples import Records, Sample
from docs.write_figures import BLOCK, FIGURES, PAGE, page

TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = list(BLOCK.finditer(TEXT))
NAMED = {one.name: one for one in CONTESTANTS}
LOOP = sum_up_noise([0.3, 0.33, 0.3])
STAMP = {
    "measured_on": "2026-11-28",
    "command": "bench/run.py --data big",
    "machine": {
        "cores": 2,
        "processor": "AMD EPYC",
        "memory_gb": 25.3,
        "system": "Linux 6.18.44-x",
        "load_average": 0.4,
        "python": "3.11.7",
        "duckdb": "2.0.0",
    },
    "noise": {"one_core": LOOP, "all_cores": LOOP},
}


def run_of(size: str, *, ours: list[float]) -> dict[str, Any]:
    """What bench/run.py keeps of a run in which the yardstick took 4 s each time, and dlt ran once."""
    fields = [Field(NAMED[name]) for name in (YARDSTICK, OURS, "dlt_staging")]
    fields[0].taken = [Taken(4.0, 5.0, 700_000_000)] * len(ours)
    fields[1].taken = [Taken(wall, 10.0, 400_000_000) for wall in ours]
    fields[2].taken, fields[2].beside = [Taken(400.0, 400.0, 10**9)], Taken(4.0, 4.0, 1)
    data = Sample(Path(), 100, 460_000_000, 10, 40_000_000)
    found = {one.contestant.name: summarize(one, fields[0], data, Records(999_000, 1_000)) for one in fields}
    goal = {"goal": "G3 nothing new", "measured": 1.8, "limit": 2.0, "kind": "at_most", "unit": "x", "kept": True}
    told = {"size": size, "events": 999_000, "songs": 1_000}
    return STAMP | {
        "data": told,
        "contestants": found,
        "aside": {"nothing_new": {}},
        "goals": [goal | {"of": "nothing_new"}],
    }


def test_the_tables_are_what_was_measured() -> None:
    """Each table that has a file is what the file gives; if not: python docs/write_figures.py."""
    assert page(TEXT) == TEXT
    assert "| 20,000,000 events | 15,199 | 9,409 |" in TEXT, "growth.json is there, so its table is made"
    assert page(TEXT.replace("| 20,000,000 events | 15,199", "| 20,000,000 events | 15,198")) == TEXT


def test_each_table_has_its_files_and_each_file_its_table() -> None:
    """No table is of a writer that is not there, no writer is unused, and no kept measurement is on no page."""
    assert {found["name"] for found in BLOCKS} == set(FIGURES)
    assert TEXT.count("<!-- figures: ") == TEXT.count("<!-- end of figures -->") == len(BLOCKS)
    named = {name for found in BLOCKS for name in found["files"].split()}
    kept = {path.relative_to(PAGE.parent).as_posix() for path in PAGE.parent.rglob("*.json")}
    assert kept <= named
    listed = (PAGE.parent / "measured" / "README.md").read_text(encoding="utf-8")
    assert all(name.removeprefix("measured/") in listed for name in named)


RUNS = {
    **{name: [6.0, 6.0, 6.1, 6.0, 6.0, 6.1] for name in ("M", "contest", "60k", "200k")},
    "L": [8.0, 9.0],
    "X": [12.0],
}


@pytest.fixture
def written(tmp_path: Path) -> str:
    """Give the page as it would be after runs on each size, and one of all contestants."""
    shutil.copy(PAGE.parent / "growth.json", tmp_path)
    (tmp_path / "measured").mkdir()
    for size, ours in RUNS.items():
        (tmp_path / "measured" / f"{size}.json").write_text(json.dumps(run_of(size, ours=ours)))
    return page(TEXT, tmp_path)


def test_a_ratio_stands_beside_its_interval(written: str) -> None:
    """The page has the ratio, its interval, MB and rows a CPU second; ratios that are not settled say so."""
    ours = "etl.py into a new warehouse, everything it promises**"
    line = f"| **{ours} | 6 | 1.50 (1.50 to 1.52) | 10 | 2.00 (2.00 to 2.00) | 50 | 100,000 | 400 | 6 |  |"
    assert written.count(line) == 2, "of M, and among all contestants"
    assert f"| **L, 999,000 events, 1,000 songs: {ours} | 8.5 | 2.12 |" in written
    assert "| 2; not settled in 2 rounds |" in written
    assert "| dlt into DuckDB | 400 | 100.00 | 400 | 100.00 | 1.25 | 2,500 | 1,000 | 1; staging only" in written
    assert "a ClickHouse server takes JSONEachRow |  |  |  |  | 157 | 68,023 |" in written
    assert "| nothing new | 1.8x | <= 2.0x | kept |" in written
    assert "| 200k: nothing new | 1.8x | <= 2.0x | kept |" in written


def test_a_table_tells_how_it_was_measured(written: str) -> None:
    """Below the first table of a run stand date, command, machine and noise; below its others, that it is the same."""
    told = " ".join(written.split())
    for part in (
        "Measured on 2026-11-28 by `bench/run.py --data big`, on 2 cores of AMD EPYC, 25 GB, Linux 6.18, Python 3.11.7",
        "load 0.4 before. The same loop, run 3 times before, between and after, took 0.30 s on one core (0.30 to 0.33,",
        "the slowest 10 % above the quickest) and 0.30 s on all cores",
    ):
        assert told.count(part) == len(RUNS)
    assert told.count("Measured in the run above.") == 2
    older = {found["name"]: found[0] for found in BLOCKS}
    assert older["yardstick"] not in written, "what was said of the older run went with it"
    assert older["objects"] in written, "there is no file of S3, so its table stays"
