"""The cost of the load beside other ways of doing the same job: whole processes in turn, medians, ratios.

  .venv/bin/python bench/run.py                               everything on M: a million events, 15,000 song files
  .venv/bin/python bench/run.py --size S                      8,000 events, 71 song files
  .venv/bin/python bench/run.py --only etl --only duckdb_by_hand --rounds 5
  .venv/bin/python bench/run.py --data big                    keep the data in ./big, or use what is there
  .venv/bin/python bench/run.py --contestant mine.py          one more script: given DATA and OUT it makes the star

No ratio is printed of a contestant whose five tables, columns and rows are not the same as those of the yardstick
(bench/contestants/duckdb_by_hand.py); the first difference is. The table goes to stderr, one JSON object to stdout.
The packages of the others are installed into .venv-bench (SPARKIFY_BENCH_VENV=FOLDER: there). Exit code: 0; 1 when rows
differ, a contestant fails, or a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from bench.aside import ASIDE, measure_aside  # noqa: E402
from bench.contest import CONTESTANTS, OURS, YARDSTICK, Contestant, ask_packages, python_of_bench  # noqa: E402
from bench.goals import judge, tell_goals  # noqa: E402
from bench.machine import describe_machine  # noqa: E402
from bench.processes import Failed, Taken  # noqa: E402
from bench.samples import SIZES, Sample, make_part, make_sample  # noqa: E402
from bench.star_rows import first_difference  # noqa: E402
from bench.start import Starter  # noqa: E402

KEPT = 3  # digits after the point


@dataclass
class Field:
    """The results of one contestant: its runs, and its error if it has one."""

    contestant: Contestant
    taken: list[Taken] = field(default_factory=list)
    beside: Taken | None = None  # of a slow one: the yardstick, run just before it
    skipped: str = ""
    differs: str = ""
    packages: dict[str, tuple[str, float]] = field(default_factory=dict)


def tell(text: str) -> None:
    """Print to stderr."""
    print(text, file=sys.stderr, flush=True)


def choose(only: Iterable[str], added: Iterable[Path]) -> list[Field]:
    """Give the contestants to run; the yardstick is always one, if there is any."""
    wanted = set(only)
    chosen = [c for c in CONTESTANTS if not wanted or c.name in wanted]
    chosen += [Contestant(path.stem, "given by --contestant", script=path.resolve()) for path in added]
    if chosen and not any(c.name == YARDSTICK for c in chosen):
        chosen += [c for c in CONTESTANTS if c.name == YARDSTICK]
    return [Field(c) for c in sorted(chosen, key=lambda c: c.name != YARDSTICK)]


def run_all(fields: list[Field], starter: Starter, rounds: int) -> None:
    """Run the quick ones in turn, after a round that warms up, whose rows are compared; then each slow one once, after
    the yardstick."""
    for number in range(rounds + 1):
        for one in fields:
            if not one.contestant.slow and not one.skipped:
                run_one(one, starter, keep=number > 0, compare=number == 0)
    for one in fields:
        if one.contestant.slow and not one.skipped:
            one.beside = None if fields[0].skipped else starter.run(fields[0].contestant)
            run_one(one, starter, keep=True, compare=True)


def run_one(one: Field, starter: Starter, *, keep: bool, compare: bool) -> None:
    """Run a contestant once; one that fails is skipped from here on."""
    name = one.contestant.name
    try:
        taken = starter.run(one.contestant)
        tell(f"{name:<20} {taken.wall:8.2f} s  {taken.cpu:8.2f} s CPU  {'' if keep else '(warm-up)'}")
        if compare and (differs := starter.compare(one.contestant, first_difference)):
            one.differs = differs
            tell(f"{name}: the rows differ: {differs}")
    except (Failed, ImportError, subprocess.CalledProcessError) as error:
        one.skipped = str(error)
        tell(f"{name}: {one.skipped}")
    else:
        one.taken += [taken] * keep


def summarize(one: Field, data: Sample) -> dict[str, Any]:
    """Give the medians of a contestant; `add_ratios` adds the ratio to the yardstick's."""
    share = one.contestant.part
    wall, cpu = (statistics.median(getattr(taken, part) for taken in one.taken) / share for part in ("wall", "cpu"))
    found: dict[str, Any] = {
        "told": one.contestant.told,
        "wall_s": round(wall, KEPT),
        "cpu_s": round(cpu, KEPT),
        "peak_mb": round(max(taken.memory for taken in one.taken) / 1e6, 1),
        "mb_per_s": round(data.size / 1e6 / wall, 1),
        "n": len(one.taken),
        "rows": "differ" if one.differs else "equal",
        "wall_of_each_s": [round(taken.wall, KEPT) for taken in one.taken],
    }
    if one.beside:
        found["yardstick_beside"] = {"wall_s": round(one.beside.wall, KEPT), "cpu_s": round(one.beside.cpu, KEPT)}
    if one.contestant.makes == "staging":
        found["note"] = "staging only: the rows staged are counted"
    if share < 1:
        found["note"] = f"extrapolated from {share:.0%} of the files"
    if one.packages:
        found["packages"] = {name: {"version": v, "mb": mb} for name, (v, mb) in one.packages.items()}
    return found


def add_ratios(found: dict[str, dict[str, Any]]) -> None:
    """Add the ratios to the yardstick, only for contestants with equal rows."""
    yardstick = found.get(YARDSTICK)
    for one in found.values():
        if yardstick and one["rows"] == "equal":
            beside = one.get("yardstick_beside", yardstick)
            one["ratio"] = round(one["wall_s"] / beside["wall_s"], 2)
            one["cpu_ratio"] = round(one["cpu_s"] / beside["cpu_s"], 2)


def tell_table(found: dict[str, dict[str, Any]]) -> None:
    """Print the contestants, the fastest first."""
    tell(f"\n{'':<20} {'seconds':>9} {'ratio':>7} {'CPU s':>8} {'ratio':>7} {'peak MB':>8} {'MB/s':>7}  n")
    for name, one in sorted(found.items(), key=lambda item: item[1]["wall_s"]):
        ratios = [f"{one[key]:.2f}" if key in one else "-" for key in ("ratio", "cpu_ratio")]
        numbers = f"{one['wall_s']:>9.2f} {ratios[0]:>7} {one['cpu_s']:>8.2f} {ratios[1]:>7} {one['peak_mb']:>8.0f}"
        tell(f"{name:<20} {numbers} {one['mb_per_s']:>7.1f}  {one['n']}  {one.get('note', '')}")


def find_packages(fields: list[Field]) -> Path:
    """Give the interpreter of the bench, with its contestants' packages; one that cannot be installed is skipped."""
    needy = [one for one in fields if one.contestant.packages]
    if not needy:
        return Path(sys.executable)
    try:
        python = python_of_bench()
    except subprocess.CalledProcessError as error:
        for one in needy:
            one.skipped = f"pip could not install bench/requirements.txt: exit code {error.returncode}"
        return Path(sys.executable)
    for one in needy:
        one.packages = ask_packages(python, one.contestant.packages)
    return python


def parser() -> argparse.ArgumentParser:
    """Declare the flags."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [c.name for c in CONTESTANTS] + list(ASIDE)
    p.add_argument("--size", choices=SIZES, default="M")
    p.add_argument("--only", action="append", default=[], choices=names, metavar="NAME", help=", ".join(names))
    p.add_argument("--rounds", type=int, default=5, help="rounds of the quick contestants (default: 5)")
    p.add_argument("--data", type=Path, help="the folder of the data; made if it is missing, and kept")
    p.add_argument("--contestant", type=Path, action="append", default=[], help="one more script, given DATA and OUT")
    return p


def main() -> int:
    """Make the data, run all contestants, compare, print."""
    args = parser().parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as closing:
        scratch = Path(folder)
        data = make_sample(args.size, (args.data or scratch / "data").resolve())
        only_aside = bool(args.only) and set(args.only) <= set(ASIDE) and not args.contestant
        fields = [] if only_aside else choose(args.only, args.contestant)
        part = make_part(data, min((one.contestant.part for one in fields), default=1.0), scratch / "part")
        starter = Starter(find_packages(fields), data, part, scratch, closing)
        run_all(fields, starter, args.rounds)
        contestants = {one.contestant.name: summarize(one, data) for one in fields if one.taken}
        add_ratios(contestants)
        aside = measure_aside([x for x in ASIDE if not args.only or x in args.only], data, scratch, args.rounds)
    if contestants:
        tell_table(contestants)
    goals = judge(args.size, contestants.get(OURS), contestants.get("pyspark_local"), aside)
    tell_goals(goals, tell)
    wrong = {one.contestant.name: one.differs for one in fields if one.differs}
    skipped = {one.contestant.name: one.skipped for one in fields if one.skipped}
    for kind, named in (("rows differ, no ratio", wrong), ("not run", skipped)):
        for name, reason in named.items():
            tell(f"{kind}: {name}: {reason}")
    measured = {"size": args.size, **data._asdict(), "folder": data.folder.name}
    print(
        json.dumps(
            {
                "machine": describe_machine(),
                "data": measured,
                "contestants": contestants,
                "differ": wrong,
                "not_run": skipped,
                "aside": aside,
                "goals": goals,
            }
        )
    )
    return int(bool(wrong or skipped) or not all(goal["kept"] for goal in goals))


if __name__ == "__main__":
    raise SystemExit(main())
