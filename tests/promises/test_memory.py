"""P48: memory stays what MEMORY_LIMIT says, whatever the size of the source."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from warehouse import NOON, REPO, Warehouse, event, song

LIMIT = 256 * 1024 * 1024
INTERPRETER = 200 * 1024 * 1024  # Python, DuckDB's library and what it keeps beside its buffers
LARGE_GB = float(os.environ.get("PROMISES_LARGE_GB", "5"))
MEASURE = (
    "import json, resource, subprocess, sys, time; began = time.monotonic(); code = subprocess.call(sys.argv[1:],"
    " stdout=subprocess.DEVNULL); used = resource.getrusage(resource.RUSAGE_CHILDREN);"
    " print(json.dumps([code, used.ru_maxrss * 1024, time.monotonic() - began]))"
)


def measured(warehouse: Warehouse, script: str, *argv: str) -> tuple[int, int, float]:
    """Run a script; gives its exit code, the most memory it had (bytes), and its seconds."""
    command = [sys.executable, "-c", MEASURE, *warehouse.command(script, *argv)]
    done = subprocess.run(command, env=warehouse.environment(), stdout=subprocess.PIPE, check=True, cwd=REPO)
    code, memory, seconds = json.loads(done.stdout)
    return int(code), int(memory), float(seconds)


@pytest.fixture
def limited(warehouse: Warehouse) -> Warehouse:
    """A warehouse with little memory."""
    warehouse.configure(DUCKDB={"MEMORY_LIMIT": "256 MiB", "THREADS": 2})
    return warehouse


@pytest.mark.promises
def test_p48_15000_small_files(limited: Warehouse, figure: Callable[[str], None]) -> None:
    """Fifteen thousand files of one record each, in one load."""
    folder = limited.root / "song_data"
    for n in range(15_000):
        (folder / f"{n}.json").write_text(json.dumps(song(f"S{n}", artist_id=f"A{n % 3000}", title=f"Title {n}")))
    code, memory, seconds = measured(limited, "etl")
    figure(f"15,000 files: {seconds:.1f} s, {memory / 2**20:.0f} MiB")
    assert (code, limited.value("SELECT COUNT(*) FROM songs")) == (0, 15_000)
    assert memory <= 1.25 * LIMIT + INTERPRETER


def write_log(path: Path, size: float) -> int:
    """Write a log of so many bytes; gives the number of its records, of which one in seven is a play."""
    template = json.dumps(event(itemInSession="@I", ts="@T", page="@P", userAgent="x" * 3000))
    number = 0
    with path.open("w", encoding="utf-8") as log:
        written = 0
        while written < size:
            line = template.replace('"@I"', str(number)).replace('"@T"', str(NOON + number * 1000))
            written += log.write(line.replace("@P", "Home" if number % 7 else "NextSong") + "\n")
            number += 1
    return number


@pytest.mark.promises
def test_p48_one_large_log(limited: Warehouse, figure: Callable[[str], None]) -> None:
    """One log of PROMISES_LARGE_GB (5), twenty times the memory: staged, chosen and checked within the limit."""
    size = LARGE_GB * 1e9
    if shutil.disk_usage(limited.root).free < 2.5 * size:
        pytest.skip(f"there is no room for a log of {LARGE_GB} GB and its database")
    log = limited.root / "log_data/large.json"
    try:
        records = write_log(log, size)
        code, memory, seconds = measured(limited, "etl")
        figure(f"{LARGE_GB} GB, {records:,} records: {seconds:.1f} s, {memory / 2**20:.0f} MiB")
        assert (code, limited.value("SELECT COUNT(*) FROM staging_events")) == (0, records)
        assert memory <= 1.25 * LIMIT + INTERPRETER
    finally:
        log.unlink(missing_ok=True)
