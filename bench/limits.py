"""Measure the promises of the default engine: memory of a large load, a run with nothing new, --help.
Ratios of whole processes run side by side, in turn, five rounds; medians.

  .venv/bin/python bench/limits.py                    a million events and 15,000 songs in a temporary folder
  .venv/bin/python bench/limits.py --events 100000    smaller
  .venv/bin/python bench/limits.py --data big         with a sample that make_sample.py wrote before

G3: `etl.py` with nothing new <= 2x `import duckdb` and a scandir with stat of the same files.
G7: `--help` of every script <= 6x bare python.
Memory: peak of the first load <= 1.25x MEMORY_LIMIT (1 GB) and the interpreter's own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ("conn_start", "create_tables", "etl", "sql_validate", "export_lake", "report", "conn_close", "make_sample")
PYTHON = sys.executable
SCRIPT = {name: [PYTHON, str(ROOT / f"{name}.py")] for name in SCRIPTS}
ROUNDS = 5
MEMORY_LIMIT = 10**9  # bytes
LISTING = """
import os, sys
import duckdb
folders = sys.argv[1:]
while folders:
    with os.scandir(folders.pop()) as entries:
        for entry in entries:
            if entry.is_dir():
                folders.append(entry.path)
            else:
                entry.stat()
"""


def seconds(command: Sequence[str], env: dict[str, str] | None = None) -> float:
    """Run a command that must succeed; gives its wall-clock seconds."""
    started = time.perf_counter()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def side_by_side(ours: Sequence[str], other: Sequence[str], env: dict[str, str]) -> tuple[float, float]:
    """Run two commands in turn, after a warm-up round; gives the median seconds of each."""
    rounds = [(seconds(ours, env), seconds(other, env)) for _ in range(ROUNDS + 1)][1:]
    return statistics.median(a for a, _ in rounds), statistics.median(b for _, b in rounds)


def environment(data: Path, folder: Path) -> dict[str, str]:
    """Give the environment of a script: a warehouse in `folder`, loaded from `data`."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("DWH_")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env | {
        "DWH_S3_LOG_DATA": str(data / "log_data"),
        "DWH_S3_SONG_DATA": str(data / "song_data"),
        "DWH_DUCKDB_PATH": str(folder / "limits.duckdb"),
        "DWH_DUCKDB_MEMORY_LIMIT": f"{MEMORY_LIMIT} B",
        "PYTHONPYCACHEPREFIX": str(folder / "pycache"),
    }


def measure_load(env: dict[str, str]) -> dict[str, float]:
    """Load the data into a new warehouse, and measure the memory of that."""
    seconds([PYTHON, "-c", "import duckdb, rich.progress"], env)
    interpreter = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    seconds(SCRIPT["conn_start"], env)
    seconds(SCRIPT["create_tables"], env)
    load = seconds(SCRIPT["etl"], env)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "measured": (peak - interpreter) * unit / MEMORY_LIMIT,
        "limit": 1.25,
        "peak MB": peak * unit / 1e6,
        "interpreter MB": interpreter * unit / 1e6,
        "load seconds": load,
    }


def measure_nothing_new(env: dict[str, str]) -> dict[str, float]:
    """Measure etl.py on a warehouse that has loaded everything."""
    listing = [PYTHON, "-c", LISTING, env["DWH_S3_LOG_DATA"], env["DWH_S3_SONG_DATA"]]
    again, bare = side_by_side(SCRIPT["etl"], listing, env)
    return {"measured": again / bare, "limit": 2.0, "etl.py s": again, "import and scandir s": bare}


def measure_help(env: dict[str, str]) -> dict[str, dict[str, float]]:
    """Measure --help of every script."""
    found = {}
    for name in SCRIPTS:
        shown, bare = side_by_side([*SCRIPT[name], "--help"], [PYTHON, "-c", ""], env)
        found[f"G7 {name}"] = {"measured": shown / bare, "limit": 6.0, "--help s": shown, "bare python s": bare}
    return found


def measure(data: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Load the data once and measure; gives the measured value, the limit and the parts of each promise."""
    env = environment(data, folder)
    return {"memory": measure_load(env), "G3": measure_nothing_new(env), **measure_help(env)}


def main() -> int:
    """Make the data, measure, print; exit code 1 when a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with log_data and song_data")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--songs", type=int, default=15_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="limits-") as folder:
        data = args.data or Path(folder) / "data"
        if args.data is None:
            size = ["--events", str(args.events), "--songs", str(args.songs), "--days", "100", "--users", "10000"]
            seconds([sys.executable, str(ROOT / "make_sample.py"), *size, str(data)])
        found = measure(data.resolve(), Path(folder))
    for name, parts in found.items():
        kept = "ok  " if parts["measured"] <= parts["limit"] else "FAIL"
        detail = "  ".join(f"{key} {value:.3g}" for key, value in parts.items() if key not in ("measured", "limit"))
        print(f"{kept}  {name:<18} {parts['measured']:.2f}x  (limit {parts['limit']}x)  {detail}", file=sys.stderr)
    print(json.dumps(found))
    return int(any(parts["measured"] > parts["limit"] for parts in found.values()))


if __name__ == "__main__":
    raise SystemExit(main())
