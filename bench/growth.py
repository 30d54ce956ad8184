"""How the cost of a load grows: CPU per event from 1 to 20 million, per song file from 15,000 to a million.

  .venv/bin/python bench/growth.py                     measure all points, one after the other: about half an hour
  .venv/bin/python bench/growth.py --point events-5M   measure this one (again), keep the others
  .venv/bin/python bench/growth.py --draw              measure nothing; draw docs/explanation/growth.svg again

Every point is one `etl.py` into a new warehouse, MEMORY_LIMIT 2 GB, and nothing else in the process; its data is made
in a temporary folder (TMPDIR; 20 million events need 15 GB, a million song files as many inodes) and removed at once.
Goals: CPU per event and per song file stay within 1.2x from the smallest point to the largest; with 20 million events
peak memory <= 1.25x MEMORY_LIMIT. Exit code 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from bench.noise import Noise  # noqa: E402
from bench.samples import make_data  # noqa: E402
from bench.saved import begin  # noqa: E402
from bench.start import load_anew, warehouse_environment  # noqa: E402

MEMORY_LIMIT = 2_000_000_000  # bytes
FLAT, MEMORY_RATIO = 1.2, 1.25
DOCS = ROOT / "docs" / "explanation"
RESULTS, PICTURE = DOCS / "growth.json", DOCS / "growth.svg"


class Point(NamedTuple):
    """The data of one measurement. `grows` names what differs between the points of a line."""

    grows: str
    songs: int
    events: int
    days: int = 30
    users: int = 10_000


POINTS = {
    "base": Point("", 71, 8_000, 30, 100),
    "events-1M": Point("events", 15_000, 1_000_000, 100),
    "events-5M": Point("events", 15_000, 5_000_000, 100),
    "events-20M": Point("events", 15_000, 20_000_000, 200, 100_000),
    "songs-15k": Point("songs", 15_000, 8_000),
    "songs-150k": Point("songs", 150_000, 8_000),
    "songs-1M": Point("songs", 1_000_000, 8_000),
}


def tell(text: str) -> None:
    """Print to stderr."""
    print(text, file=sys.stderr, flush=True)


def measure_point(point: Point) -> dict[str, Any]:
    """Make the data, load it into a new warehouse, remove both."""
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        scratch, log = Path(folder), Path(folder) / "log"
        data = make_data(scratch / "data", point.songs, point.events, point.days, point.users)
        env = warehouse_environment(data, scratch / "star.duckdb", DWH_DUCKDB_MEMORY_LIMIT=f"{MEMORY_LIMIT} B")
        env |= {"TMPDIR": str(scratch)}
        taken = load_anew(env, log)
        return {
            **point._asdict(),
            "song_files": data.song_files,
            "mb": round(data.size / 1e6, 1),
            "wall_s": round(taken.wall, 1),
            "cpu_s": round(taken.cpu, 2),
            "peak_mb": round(taken.memory / 1e6),
            "database_mb": round((scratch / "star.duckdb").stat().st_size / 1e6),
        }


def lines(points: dict[str, dict[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """Give, for events and for song files, their number and the CPU microseconds of each.

    What a load takes that has next to nothing to load is taken off a load of song files, as it would hide their cost
    where there are few.
    """
    base = points.get("base", {}).get("cpu_s", 0.0)
    found: dict[str, list[tuple[int, float]]] = {"events": [], "songs": []}
    for point in points.values():
        if point["grows"] == "events":
            found["events"].append((point["events"], point["cpu_s"] / point["events"] * 1e6))
        elif point["grows"] == "songs":
            found["songs"].append((point["songs"], (point["cpu_s"] - base) / point["songs"] * 1e6))
    return {name: sorted(line) for name, line in found.items()}


def tell_table(points: dict[str, dict[str, Any]]) -> bool:
    """Print the results, and whether the goals are kept; gives the latter."""
    heads = ("seconds", "CPU s", "peak MB", "database MB")
    tell(f"{'':<12} {'events':>11} {'songs':>10} {'MB':>8} " + " ".join(f"{head:>11}" for head in heads))
    for name, one in points.items():
        numbers = f"{one['events']:>11,} {one['songs']:>10,} {one['mb']:>8,.0f} {one['wall_s']:>11.1f}"
        tell(f"{name:<12} {numbers} {one['cpu_s']:>11.1f} {one['peak_mb']:>11,} {one['database_mb']:>11,}")
    kept = []
    for name, line in lines(points).items():
        tell(f"CPU of each of the {name}: " + ", ".join(f"{number:,}: {us:.1f} us" for number, us in line))
        if len(line) > 1:
            kept.append(line[-1][1] / line[0][1] <= FLAT)
            told = f"{line[-1][1] / line[0][1]:.2f}x from {line[0][0]:,} to {line[-1][0]:,}"
            tell(f"{'ok  ' if kept[-1] else 'FAIL'}  CPU per one of the {name}: {told} (goal <= {FLAT}x)")
    if "events-20M" in points:
        ratio = points["events-20M"]["peak_mb"] * 1e6 / MEMORY_LIMIT
        kept.append(ratio <= MEMORY_RATIO)
        tell(f"{'ok  ' if kept[-1] else 'FAIL'}  G5 peak memory {ratio:.2f}x MEMORY_LIMIT (goal <= {MEMORY_RATIO}x)")
    return all(kept)


def draw(points: dict[str, dict[str, Any]], target: Path) -> None:
    """Draw both lines; the same points give the same bytes."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update(
        {"svg.hashsalt": "growth", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10}
    )
    from matplotlib import pyplot as plt

    named = {"events": "events", "songs": "song files"}
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for axis, (name, line) in zip(axes, lines(points).items(), strict=True):
        if not line:
            continue
        numbers, each = zip(*line, strict=True)
        axis.axhspan(each[0] / FLAT, each[0] * FLAT, color="#d9e7f5", lw=0)
        axis.plot(numbers, each, "o-", color="#1f5f99")
        for number, us in line:
            axis.annotate(f"{us:.0f}", (number, us), textcoords="offset points", xytext=(0, 7), ha="center")
        axis.set(xscale="log", ylim=(0, max(each) * 1.4), xlabel=named[name], ylabel="CPU microseconds each")
        axis.set_xticks(numbers, [f"{number:,}" for number in numbers])
        axis.minorticks_off()
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)


def main() -> int:
    """Measure the chosen points, add them to the earlier results, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--point", action="append", default=[], choices=POINTS, metavar="NAME", help=", ".join(POINTS))
    parser.add_argument("--draw", action="store_true", help="measure nothing, draw the stored results")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    args = parser.parse_args()
    kept = json.loads(args.results.read_text()) if args.results.exists() else {"points": {}}
    stamp, noise = begin(), Noise()
    for name in [] if args.draw else args.point or POINTS:
        noise.read()
        kept["points"][name] = measure_point(POINTS[name])
        noise.read()
        tell(f"{name}: {kept['points'][name]}")
        kept |= stamp | {"noise": noise.summary()}
        kept["points"] = {known: kept["points"][known] for known in POINTS if known in kept["points"]}
        args.results.write_text(json.dumps(kept, indent=1) + "\n")
    draw(kept["points"], args.picture)
    good = tell_table(kept["points"])
    print(json.dumps(kept))
    return int(not good)


if __name__ == "__main__":
    raise SystemExit(main())
