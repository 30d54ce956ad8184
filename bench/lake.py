"""Measure an export of many plays: export_lake.py against DuckDB's own COPY of the same tables, and the memory of both;
and the memory of report.py on the same star. The star is made by SQL in a temporary folder, not loaded.

  .venv/bin/python bench/lake.py                     20,000,000 plays, three rounds (about 12 GB of disk)
  .venv/bin/python bench/lake.py --plays 1000000     fewer
  .venv/bin/python bench/lake.py --save docs/explanation/measured/lake.json
                                                     keep the JSON object, for docs/write_figures.py
  .venv/bin/python bench/lake.py --format parquet    the lake of plain files; bench/one_more_day.py compares the two

Whole processes in turn. The COPY writes the same rows in the same order, with the same compression, a file for each
month, and nothing else: no digest, no fsync, no manifest. Goal: <= 1.3x of it, and peak memory <= 1.25x MEMORY_LIMIT.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.noise import Noise, in_words  # noqa: E402
from bench.saved import add_save_flag, begin, save  # noqa: E402

Taken = tuple[float, int]  # seconds, and bytes of memory at most
LIMIT, MEMORY_RATIO = 1.3, 1.25
MEMORY = 2_000_000_000  # bytes: the default of [DUCKDB] MEMORY_LIMIT
SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": f"{MEMORY}B",
    "preserve_insertion_order": False,
}
# Twelve months, 30 plays a second at most, 100,000 listeners and songs, texts as long as real ones.
MAKE = (
    """
INSERT INTO songplays
SELECT
    md5(i::VARCHAR), make_timestamp(1514764800000000 + (hash(i) % 31536000000)::BIGINT * 1000),
    hash(i, 1) % 100000, CASE WHEN hash(i, 2) % 5 = 0 THEN 'free' ELSE 'paid' END,
    CASE WHEN hash(i, 3) % 3 = 0 THEN 'SO' || lpad((hash(i, 4) % 100000)::VARCHAR, 16, '0') END,
    CASE WHEN hash(i, 3) % 3 = 0 THEN 'AR' || lpad((hash(i, 4) % 20000)::VARCHAR, 16, '0') END,
    hash(i, 5) % 5000000, 'Metropolitan-Area-' || (hash(i, 1) % 300) || ', CA',
    'Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 Chrome/' || (hash(i, 1) % 40) || '.0 Safari/537.36',
    i % 100, 'A title of some length ' || (hash(i, 4) % 100000), 'An artist ' || (hash(i, 4) % 20000),
    100 + hash(i, 4) % 300000 / 1000.0
FROM range($plays) AS r(i)
""",
    """
INSERT INTO users
SELECT i, 'First' || i % 900, 'Last' || i % 4000, CASE WHEN i % 2 = 0 THEN 'F' ELSE 'M' END, 'paid',
    TIMESTAMP '2018-12-31 12:00:00'
FROM range(100000) AS r(i)
""",
    """
INSERT INTO songs
SELECT 'SO' || lpad(i::VARCHAR, 16, '0'), 'A title of some length ' || i, 'AR' || lpad((i % 20000)::VARCHAR, 16, '0'),
    1960 + i % 60, 100 + i % 300, 'An artist ' || i % 20000
FROM range(100000) AS r(i)
""",
    """
INSERT INTO artists
SELECT 'AR' || lpad(i::VARCHAR, 16, '0'), 'An artist ' || i, 'Somewhere', i % 90, i % 180 FROM range(20000) AS r(i)
""",
    """
INSERT INTO time
SELECT start_time, hour(start_time), day(start_time), week(start_time), month(start_time), year(start_time),
    dayofweek(start_time)
FROM (SELECT DISTINCT start_time FROM songplays) AS t
""",
    "INSERT INTO loads VALUES (1, 'bench', 'load', TIMESTAMP '2019-01-01 00:00:00', 1, 0, 0, 'bench')",
)


def copy_by_duckdb(database: str, folder: str) -> None:
    """Write the five tables by hand: sorted, songplays with one file for each month."""
    import duckdb

    from star.lake import LAKE

    form = "(FORMAT parquet, COMPRESSION zstd)"
    with duckdb.connect(database, read_only=True, config=SETTINGS) as connection:
        for table, (query, keys, order) in LAKE.items():
            order_by = ", ".join(order)
            if not keys:
                os.makedirs(f"{folder}/{table}")
                connection.execute(f"COPY ({query} ORDER BY {order_by}) TO '{folder}/{table}/0.parquet' {form}")
                continue
            for year, month in connection.execute(
                f"SELECT DISTINCT year, month FROM ({query}) ORDER BY ALL"
            ).fetchall():
                path = f"{folder}/{table}/year={year}/month={month}"
                os.makedirs(path)
                connection.execute(
                    f"COPY (SELECT * EXCLUDE (year, month) FROM ({query}) WHERE start_time >= '{year}-{month}-01'"
                    f" AND start_time < DATE '{year}-{month}-01' + INTERVAL 1 MONTH ORDER BY {order_by})"
                    f" TO '{path}/0.parquet' {form}"
                )


def make_star(folder: Path, plays: int, form: str) -> None:
    """Make settings, and a warehouse with so many plays."""
    import duckdb

    for name in ("log_data", "song_data"):
        (folder / name).mkdir()
    config = folder / "dwh.cfg"
    config.write_text(
        f"[S3]\nLOG_DATA = log_data\nSONG_DATA = song_data\n[DUCKDB]\nPATH = star.duckdb\n[LAKE]\nFORMAT = {form}\n"
    )
    for script in ("conn_start", "create_tables"):
        subprocess.run([sys.executable, ROOT / f"{script}.py", "-q", "--config", config], check=True)
    with duckdb.connect(str(folder / "star.duckdb"), config=SETTINGS) as connection:
        for statement in MAKE:
            connection.execute(statement, {"plays": plays} if "$plays" in statement else None)


def measure(*command: str) -> Taken:
    """Run a process; gives its seconds, and its peak memory in bytes."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - started, usage.ru_maxrss * 1024


def rows_of(folder: Path) -> dict[str, tuple[object, ...]]:
    """Give a fingerprint of the rows of a lake: their number, and a sum of the hashes of whole rows."""
    import duckdb

    from star.lake import LAKE

    found = {}
    for table in LAKE:
        files = [str(path) for path in folder.rglob("*.parquet") if f"/{table}/" in str(path)]
        query = "SELECT COUNT(*), SUM(hash(r)) FROM read_parquet(?, hive_partitioning = false) AS r"
        [found[table]] = duckdb.execute(query, [files]).fetchall()
    return found


def main() -> int:
    """Measure, print, and say whether the goals are reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plays", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--format", choices=("iceberg", "parquet"), default="iceberg")
    add_save_flag(parser)
    parser.add_argument("--copy", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--make", help=argparse.SUPPRESS)
    parser.add_argument("--rows", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.copy:
        copy_by_duckdb(*args.copy)
    elif args.make:
        make_star(Path(args.make), args.plays, args.format)
    elif args.rows:
        print(rows_of(Path(args.rows)))
    else:
        found = compare(args.plays, args.rounds, args.format)
        save(found, args.save)
        return tell(found)
    return 0


def ask_self(*argv: str) -> str:
    """Run a part of this script as a process of its own: a process that has ever been large counts as large, and so do
    its children."""
    return subprocess.run([sys.executable, __file__, *argv], check=True, capture_output=True, text=True).stdout


def in_turn(folder: Path, rounds: int, noise: Noise) -> dict[str, list[Taken]]:
    """Export and copy in turn, then export what has not changed, check it, and make the report; of one star."""
    config, ours, theirs = folder / "dwh.cfg", folder / "ours", folder / "theirs"
    export = (str(ROOT / "export_lake.py"), "--config", str(config), "-q", "--to", str(ours))
    commands = {"export_lake": export, "COPY": (__file__, "--copy", str(folder / "star.duckdb"), str(theirs))}
    runs: dict[str, list[Taken]] = {name: [] for name in commands}
    noise.read()
    for _ in range(rounds):
        for path in (ours, theirs):
            shutil.rmtree(path, ignore_errors=True)
        for name, command in commands.items():
            runs[name].append(measure(sys.executable, *command))
        noise.read()
        if ask_self("--rows", str(ours)) != ask_self("--rows", str(theirs)):
            raise SystemExit("the two wrote different rows")
    runs["unchanged"] = [measure(sys.executable, *export)]
    runs["--check"] = [measure(sys.executable, *export, "--check")]
    page = ("--config", str(config), "-q", "--to", str(folder / "report.html"))
    runs["report"] = [measure(sys.executable, str(ROOT / "report.py"), *page)]
    noise.read()
    return runs


def compare(plays: int, rounds: int, form: str) -> dict[str, Any]:
    """Measure all on a star of so many plays; gives medians, peaks and the two ratios."""
    found, noise = begin(), Noise()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        ask_self("--make", str(folder), "--plays", str(plays), "--format", form)
        star = (folder / "star.duckdb").stat().st_size
        runs = in_turn(folder, rounds, noise)
        named = "manifest.json" if form == "parquet" else "export.json"
        size = json.loads((folder / "ours" / named).read_text())["tables"]["songplays"]["bytes"]
    took = {name: statistics.median(seconds for seconds, _ in results) for name, results in runs.items()}
    peak = {name: max(memory for _, memory in results) for name, results in runs.items()}
    return found | {
        "plays": plays,
        "format": form,
        "rounds": rounds,
        "star_gb": round(star / 1e9, 2),
        "songplays_mb": round(size / 1e6),
        "runs": {name: {"wall_s": round(took[name], 1), "peak_mb": round(peak[name] / 1e6)} for name in runs},
        "ratio": round(took["export_lake"] / took["COPY"], 3),
        "memory_ratio": round(max(peak["export_lake"], peak["report"]) / MEMORY, 3),
        "noise": noise.summary(),
    }


def tell(found: Mapping[str, Any]) -> int:
    """Print what was measured; gives 1 when a goal is missed."""
    print(f"{found['plays']:,} plays, {found['star_gb']:.2f} GB")
    for name, one in found["runs"].items():
        print(f"{name:12} {one['wall_s']:7.1f} s  peak {one['peak_mb']:6,.0f} MB")
    print(in_words(found["noise"]))
    ratio, memory = found["ratio"], found["memory_ratio"]
    limits = f"{ratio:.2f}x, limit {LIMIT}x; memory {memory:.2f}x, limit {MEMORY_RATIO}x"
    print(f"songplays {found['songplays_mb']:,} MB; {limits}")
    return int(ratio > LIMIT or memory > MEMORY_RATIO)


if __name__ == "__main__":
    raise SystemExit(main())
