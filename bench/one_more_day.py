"""Measure the lake of Iceberg tables beside the lake of plain Parquet files, on the same warehouse, in turn.

  python make_sample.py --events 1000000 --songs 15000 --days 90 --users 10000 /tmp/sample
  .venv/bin/python bench/one_more_day.py /tmp/sample               what every figure is, and its limit
  .venv/bin/python bench/one_more_day.py /tmp/sample --rounds 3
  .venv/bin/python bench/one_more_day.py /tmp/sample --save docs/explanation/measured/one-more-day.json
                                                                   keep the JSON object, for docs/write_figures.py

The last day of the sample is set aside, and all others are loaded: the first export. Then that day is loaded: one
more day. Then nothing is new, which is compared with `sql_validate.py --only loads`. Each is the median of the rounds.
The sample is only read. Ends with 1 when a limit is passed.
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
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from bench.noise import Noise, in_words  # noqa: E402
from bench.saved import add_save_flag, begin, save  # noqa: E402

FORMATS = ("iceberg", "parquet")
# Of Iceberg, beside the plain files: the limits of one more day (bytes of it, its share of a full export, its seconds),
# of a first export (bytes, seconds), and of nothing new beside a check.
DAY_BYTES, DAY_SHARE, DAY_SECONDS = 1_500_000, 0.10, 0.5
FIRST_BYTES, FIRST_SECONDS = 1.25, 1.5
NOTHING_NEW = 2.0


class Bench:
    """A warehouse of a sample in a folder of its own, and the lakes of it."""

    def __init__(self, sample: Path, folder: Path) -> None:
        self.folder = folder
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.bytes: dict[str, int] = {}
        events = sorted((sample / "log_data").rglob("*.json*"))
        self.aside = events[-1]
        for path in events[:-1]:
            self.link(path)
        self.config = folder / "dwh.cfg"
        self.config.write_text(
            f'[S3]\nLOG_DATA = log_data\nSONG_DATA = "{sample / "song_data"}"\n[DUCKDB]\nPATH = star.duckdb\n'
        )
        for script in ("conn_start", "create_tables", "etl"):
            self.run(script)

    def link(self, path: Path) -> None:
        """Make a file of the sample a source of the warehouse."""
        (self.folder / "log_data").mkdir(exist_ok=True)
        shutil.copy2(path, self.folder / "log_data" / path.name)

    def run(self, script: str, *argv: str, env: dict[str, str] | None = None) -> str:
        """Run a script, and give its standard output."""
        command = [sys.executable, str(ROOT / f"{script}.py"), "--config", str(self.config), *argv]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **(env or {})})
        return done.stdout

    def export(self, what: str, form: str) -> None:
        """Export in one format, and take seconds and bytes."""
        before = written(self.folder / form)
        started = time.perf_counter()
        self.run("export_lake", "-q", "--to", str(self.folder / form), env={"DWH_LAKE_FORMAT": form})
        self.seconds[f"{what} {form}"].append(time.perf_counter() - started)
        after = written(self.folder / form)
        self.bytes[f"{what} {form}"] = sum(size for path, size in after.items() if before.get(path) != size)

    def first(self) -> None:
        """Write each lake anew."""
        for form in FORMATS:
            shutil.rmtree(self.folder / form, ignore_errors=True)
            self.export("first", form)

    def one_more_day(self, rounds: int) -> None:
        """Load the day that was set aside, and export it to copies of the lakes, as they were before."""
        for form in FORMATS:
            os.rename(self.folder / form, self.folder / f"{form}.first")
        self.link(self.aside)
        self.run("etl", "-q")
        for _ in range(rounds):
            for form in FORMATS:
                shutil.rmtree(self.folder / form, ignore_errors=True)
                shutil.copytree(self.folder / f"{form}.first", self.folder / form)
                os.sync()
                self.export("day", form)

    def nothing_new(self, rounds: int) -> None:
        """Export again, and run one check."""
        for _ in range(rounds):
            for form in FORMATS:
                self.export("nothing new", form)
            started = time.perf_counter()
            self.run("sql_validate", "-q", "--only", "loads")
            self.seconds["only loads"].append(time.perf_counter() - started)


def written(lake: Path) -> dict[str, int]:
    """Give the files of a lake, with their bytes."""
    return {str(path): path.stat().st_size for path in lake.rglob("*") if path.is_file()}


def measure(sample: Path, rounds: int) -> tuple[dict[str, Any], bool]:
    """Measure all three; gives the medians beside their limits, and whether those and the lake's own check are kept."""
    found, noise = begin(), Noise()
    noise.read()
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(sample, Path(temporary))
        for _ in range(rounds):
            bench.first()
            noise.read()
        bench.one_more_day(rounds)
        noise.read()
        bench.nothing_new(rounds)
        noise.read()
        check = json.loads(bench.run("export_lake", "--json", "--check", "--to", str(Path(temporary) / "iceberg")))
    took = {name: statistics.median(seconds) for name, seconds in bench.seconds.items()}
    limits = compare(took, bench.bytes)
    kept = check["ok"] and all(limit["measured"] <= limit["limit"] for limit in limits)
    rounded = {name: round(seconds, 2) for name, seconds in took.items()}
    measured = {"rounds": rounds, "seconds": rounded, "bytes": bench.bytes, "limits": limits}
    return found | measured | {"noise": noise.summary()}, kept


def compare(took: Mapping[str, float], size: Mapping[str, int]) -> list[dict[str, Any]]:
    """Give what has a limit: its name, what was measured, the limit."""
    limits = (
        ("one more day, bytes", size["day iceberg"], DAY_BYTES),
        ("one more day, of a first export", size["day iceberg"] / size["first iceberg"], DAY_SHARE),
        ("one more day, seconds of plain files", took["day iceberg"] / took["day parquet"], DAY_SECONDS),
        ("first export, bytes of plain files", size["first iceberg"] / size["first parquet"], FIRST_BYTES),
        ("first export, seconds of plain files", took["first iceberg"] / took["first parquet"], FIRST_SECONDS),
        ("nothing new, seconds of a check", took["nothing new iceberg"] / took["only loads"], NOTHING_NEW),
    )
    return [{"name": name, "measured": round(found, 3), "limit": limit} for name, found, limit in limits]


def main() -> int:
    """Measure, print, and say whether the limits are kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sample", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    add_save_flag(parser)
    args = parser.parse_args()
    found, kept = measure(args.sample.resolve(), args.rounds)
    save(found, args.save)
    for name, seconds in found["seconds"].items():
        print(f"{name:20} {seconds:6.2f} s  {found['bytes'].get(name, 0) / 1e6:8.2f} MB written")
    for limit in found["limits"]:
        print(f"{limit['name']:40} {limit['measured']:12,.2f}, limit {limit['limit']:,.2f}")
    print(in_words(found["noise"]))
    return int(not kept)


if __name__ == "__main__":
    raise SystemExit(main())
