"""The cost of the load beside other ways of doing the same job: whole processes in turn, medians, ratios.

  .venv/bin/python bench/run.py                               everything on M: a million events, 15,000 song files
  .venv/bin/python bench/run.py --size S                      8,000 events, 71 song files
  .venv/bin/python bench/run.py --only etl --only duckdb_by_hand --rounds 3
  .venv/bin/python bench/run.py --data big                    keep the data in ./big, or use what is there
  .venv/bin/python bench/run.py --contestant mine.py          one more script: given DATA and OUT it makes the star

Rounds go on until the median of each ratio to the yardstick is known to 5 %, with 95 % confidence, by the clock and in
CPU seconds, or 15 were run; the table says which ratios are not. --rounds fixes their number, for a quick look. A fixed
loop tells how noisy the machine was meanwhile. Rows are events and songs.

No ratio is printed of a contestant whose five tables, columns and rows are not the same as those of the yardstick
(bench/contestants/duckdb_by_hand.py); the first difference is. The table goes to stderr, one JSON object to stdout, and
with --save to a file that docs/write_figures.py makes the tables of docs/explanation/performance.md from.
The packages of the others are installed into .venv-bench (SPARKIFY_BENCH_VENV=FOLDER: there). Exit code: 0; 1 when rows
differ, a contestant fails, or a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from bench.aside import ASIDE, measure_aside  # noqa: E402
from bench.contest import CONTESTANTS, YARDSTICK, Contestant, ask_packages, python_of_bench  # noqa: E402
from bench.goals import judge, tell_goals  # noqa: E402
from bench.noise import Noise, in_words  # noqa: E402
from bench.processes import Failed  # noqa: E402
from bench.results import Field, all_settled, summarize, tell_table  # noqa: E402
from bench.rounds import LEAST, MOST, enough_rounds  # noqa: E402
from bench.samples import SIZES, make_part, make_sample  # noqa: E402
from bench.saved import add_save_flag, begin, save  # noqa: E402
from bench.star_rows import first_difference  # noqa: E402
from bench.start import Starter  # noqa: E402

ROUNDS_ASIDE = 5  # of the other measurements, which are no contest in turn


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


def run_all(fields: list[Field], starter: Starter, rounds: int | None, noise: Noise) -> None:
    """Run the quick ones in turn, after a round that warms up, whose rows are compared; then each slow one once, after
    the yardstick. The noise of the machine is read after each.

    `rounds` is how many; None: from 6 to 15, until the ratios are settled.
    """
    quick = [one for one in fields if not one.contestant.slow]
    for number in enough_rounds(rounds, lambda: all_settled(quick)):
        for one in quick:
            if not one.skipped:
                run_one(one, starter, keep=number > 0, compare=number == 0)
        noise.read()
    for one in fields:
        if one.contestant.slow and not one.skipped:
            one.beside = None if fields[0].skipped else starter.run(fields[0].contestant)
            run_one(one, starter, keep=True, compare=True)
            noise.read()


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
    p.add_argument("--rounds", type=int, help=f"run so many rounds; default: {LEAST} to {MOST}, until settled")
    p.add_argument("--data", type=Path, help="the folder of the data; made if it is missing, and kept")
    p.add_argument("--contestant", type=Path, action="append", default=[], help="one more script, given DATA and OUT")
    add_save_flag(p)
    return p


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Make the data, run all contestants and the other measurements; gives the object that is printed."""
    found, noise = begin(), Noise()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as closing:
        scratch = Path(folder)
        data = make_sample(args.size, (args.data or scratch / "data").resolve())
        only_aside = bool(args.only) and set(args.only) <= set(ASIDE) and not args.contestant
        fields = [] if only_aside else choose(args.only, args.contestant)
        part = make_part(data, min((one.contestant.part for one in fields), default=1.0), scratch / "part")
        starter = Starter(find_packages(fields), data, part, scratch, closing)
        noise.read()
        if fields:
            run_all(fields, starter, args.rounds, noise)
        records = starter.records
        contestants = {one.contestant.name: summarize(one, fields[0], data, records) for one in fields if one.taken}
        aside = [name for name in ASIDE if not args.only or name in args.only]
        rounds = ROUNDS_ASIDE if args.rounds is None else args.rounds
        measured_aside = measure_aside(aside, data, scratch, rounds)
        noise.read()
    return found | {
        "data": {"size": args.size, **data._asdict(), "folder": data.folder.name, **records._asdict()},
        "noise": noise.summary(),
        "contestants": contestants,
        "differ": {one.contestant.name: one.differs for one in fields if one.differs},
        "not_run": {one.contestant.name: one.skipped for one in fields if one.skipped},
        "aside": measured_aside,
        "goals": judge(args.size, contestants, measured_aside, found["machine"]["cores"]),
    }


def main() -> int:
    """Measure, print, keep; gives the exit code."""
    args = parser().parse_args()
    found = measure(args)
    save(found, args.save)
    if found["contestants"]:
        tell_table(found["contestants"], tell)
    tell(in_words(found["noise"]))
    tell_goals(found["goals"], tell)
    for kind, key in (("rows differ, no ratio", "differ"), ("not run", "not_run")):
        for name, reason in found[key].items():
            tell(f"{kind}: {name}: {reason}")
    print(json.dumps(found))
    return int(bool(found["differ"] or found["not_run"]) or not all(goal["kept"] for goal in found["goals"]))


if __name__ == "__main__":
    raise SystemExit(main())
