"""Write the tables of docs/explanation/performance.md from what the benches measured and kept as JSON.

  python docs/write_figures.py    write them again

A table stands between `<!-- figures: NAME of FILE -->` and `<!-- end of figures -->`; NAME is one of FIGURES, FILE what
a bench wrote with --save, in docs/explanation. While there is no such FILE, or it lacks what the table needs, the text
between the two stays. tests/test_docs_figures.py fails when a table is not what this writes.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from bench import lake  # noqa: E402
from bench.contest import OURS, YARDSTICK  # noqa: E402
from bench.growth import FLAT, MEMORY_LIMIT, MEMORY_RATIO, lines  # noqa: E402
from bench.noise import in_words as noise_in_words  # noqa: E402
from bench.results import in_words, remarks  # noqa: E402
from docs.write_reference import table  # noqa: E402

Found = Mapping[str, Any]
PAGE = ROOT / "docs" / "explanation" / "performance.md"
BLOCK = re.compile(
    r"(?P<head><!-- figures: (?P<name>\w+) of (?P<files>[\w./ -]+?) -->\n).*?(?=<!-- end of figures -->)", re.DOTALL
)
WIDE = 150
# Measured by others, on other machines, of other data: MB, rows, CPU seconds. The file of results, of 2025-02-26, is
# results/http_jsoneachrow_1000000_unsorted_no_compression.json.
OTHERS = (
    (
        "[FastFormats](https://github.com/ClickHouse/FastFormats): a ClickHouse server takes JSONEachRow",
        23_007.8,
        10_000_000,
        147.01,
    ),
)
CONTEST = "|seconds|ratio|CPU s|ratio|MB a CPU s|rows a CPU s|peak MB|rounds|its packages, MB"


def number(value: float) -> str:
    """Give a number with three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def provenance(found: Found) -> Iterator[str]:
    """Say where, when and by which command something was measured, and how noisy the machine was."""
    machine = found["machine"]
    system = re.sub(r"(\d+\.\d+)\S*", r"\1", machine["system"])
    software = f"Python {machine['python']}, DuckDB {machine['duckdb']}"
    on = f"on {machine['cores']} cores of {machine['processor']}, {machine['memory_gb']:.0f} GB, {system}, {software}"
    told = f"Measured {on}."
    if "command" in found:  # the points of bench/growth.py are older than this
        told = (
            f"Measured on {found['measured_on']} by `{found['command']}`, {on}, load {machine['load_average']} before."
        )
        told = f"{told} {noise_in_words(found['noise'])}"
    yield from textwrap.wrap(told, WIDE, break_on_hyphens=False)


# ------------------------------------------------------------------------------------------------- the contestants


def contest_row(name: str, one: Found, where: str = "") -> Iterator[str]:
    """Give the row of a contestant."""
    told = f"{where}{one['told']}"
    yield f"**{told}**" if name == OURS else told
    for part, ratio in (("wall_s", "ratio"), ("cpu_s", "cpu_ratio")):
        yield number(one[part])
        yield "1" if name == YARDSTICK else in_words(one, ratio)
    yield from (number(one["mb_per_cpu_s"]), number(one["rows_per_cpu_s"]), number(one["peak_mb"]))
    yield "; ".join([str(one["n"]), *remarks(one)])
    packages = sum(package["mb"] for package in one.get("packages", {}).values())
    yield number(packages) if packages else ""


def write_contest(files: Sequence[Found]) -> Iterator[str]:
    """Write all contestants, the quickest first, and what others measured."""
    (found,) = files
    ranked = sorted(found["contestants"].items(), key=lambda item: float(item[1]["wall_s"]))
    rows: list[Iterable[str]] = [contest_row(name, one) for name, one in ranked]
    rows += [(told, *[""] * 4, number(mb / cpu), number(count / cpu), *[""] * 3) for told, mb, count, cpu in OTHERS]
    yield from table(CONTEST, rows)


def write_yardstick(files: Sequence[Found]) -> Iterator[str]:
    """Write etl.py and the yardstick alone; of one size or several."""
    rows = []
    for found in files:
        data = found["data"]
        where = f"{data['size']}, {data['events']:,} events, {data['songs']:,} songs: " if len(files) > 1 else ""
        rows += [contest_row(name, found["contestants"][name], where) for name in (YARDSTICK, OURS)]
    yield from table(CONTEST, rows)


def write_parts(files: Sequence[Found]) -> Iterator[str]:
    """Write all that has a goal; of one size or several."""
    rows = [
        (
            (f"{found['data']['size']}: " if len(files) > 1 else "") + re.sub(r"^G\d+ ", "", goal["goal"]),
            f"{goal['measured']}{goal['unit']}",
            f"{'<=' if goal['kind'] == 'at_most' else '>='} {goal['limit']}{goal['unit']}",
            "kept" if goal["kept"] else "missed",
        )
        for found in files
        for goal in found["goals"]
    ]
    if not rows:
        raise KeyError("goals")
    yield from table("|measured|goal|", rows)


# ------------------------------------------------------------------------------------------------- the other benches


def write_growth(files: Sequence[Found]) -> Iterator[str]:
    """Write the points of bench/growth.py, and how the cost of one grows."""
    (found,) = files
    points = found["points"]
    each = {name: dict(line) for name, line in lines(points).items()}
    rows = []
    for one in points.values():
        if kind := one["grows"]:
            told = f"{one[kind]:,} {'events' if kind == 'events' else 'song files'}"
            all_files = f"{one['song_files'] + one['days']:,}"  # a log file a day
            values = (one["mb"], one["wall_s"], one["cpu_s"], each[kind][one[kind]], one["peak_mb"], one["database_mb"])
            rows.append((told, all_files, *map(number, values)))
    yield from table("|files|MB of JSON|seconds|CPU s|CPU µs each|peak MB|database MB", rows)
    yield from textwrap.wrap(growth_in_words(points), WIDE)
    yield ""


def growth_in_words(points: Found) -> str:
    """Say how much more the largest point takes for each event and song file than the smallest."""
    found = lines(dict(points))
    events, songs = (
        f"{line[-1][1] / line[0][1]:.2f} times from {line[0][0]:,} to {line[-1][0]:,}" for line in found.values()
    )
    peak = points["events-20M"]["peak_mb"]
    return (
        f"The CPU of an event grows by {events}, that of a song file by {songs} (goal: at most {FLAT})."
        f" Peak memory with 20 million events is {peak:,} MB, {peak * 1e6 / MEMORY_LIMIT:.2f} times MEMORY_LIMIT"
        f" (goal: at most {MEMORY_RATIO})."
    )


def write_lake(files: Sequence[Found]) -> Iterator[str]:
    """Write an export beside a COPY by hand, and the report, of bench/lake.py."""
    (found,) = files
    told = {
        "export_lake": "**export_lake.py**",
        "COPY": "DuckDB's own COPY of the same tables",
        "unchanged": "an export of the unchanged star",
        "--check": "reading all of it back (`--check`)",
        "report": "report.py, every check of every row",
    }
    rows = [(told[name], number(one["wall_s"]), number(one["peak_mb"])) for name, one in found["runs"].items()]
    yield from table(f"{found['plays']:,} plays, {found['format']}|seconds|peak MB", rows)
    ratio, memory = f"{found['ratio']:.2f}", f"{found['memory_ratio']:.2f}"
    rounds = "one round" if found["rounds"] == 1 else f"medians of {found['rounds']} rounds"
    yield from textwrap.wrap(
        f"The export takes {ratio} times of the COPY (goal: at most {lake.LIMIT}), {rounds}."
        f" Peak memory of export and report is {memory} times MEMORY_LIMIT, 2 GB (goal: at most {lake.MEMORY_RATIO}).",
        WIDE,
    )


def write_day(files: Sequence[Found]) -> Iterator[str]:
    """Write a first export, one more day and nothing new of bench/one_more_day.py."""
    (found,) = files
    rows = []
    for told, key in (("first export", "first"), ("one more day", "day"), ("nothing new", "nothing new")):
        cells = (
            f"{found['bytes'][f'{key} {form}'] / 1e6:.2f} MB in {found['seconds'][f'{key} {form}']:.2f} s"
            for form in ("iceberg", "parquet")
        )
        rows.append((told, *cells))
    yield from table(f"medians of {found['rounds']} rounds|Iceberg|plain files", rows)
    limits = [
        (
            one["name"],
            number(one["measured"]),
            number(one["limit"]),
            "kept" if one["measured"] <= one["limit"] else "missed",
        )
        for one in found["limits"]
    ]
    yield from table("|measured|at most|", limits)


def write_objects(files: Sequence[Found]) -> Iterator[str]:
    """Write what fetching objects takes, of bench/objects.py, a latency a file."""
    rows = []
    for found in files:
        for name, one in found["contestants"].items():
            ours = name == "suite"
            told = f"{found['latency_s'] * 1000:.0f} ms{'' if ours else ', boto3 with 16 threads'}"
            at_once = f"up to {found['at_once']}" if ours else "16"
            rows.append((told, number(one["wall_s"]), f"{one['cpu_us_each']:,}", at_once))
    yield from table(f"{files[0]['objects']:,} objects|seconds|client CPU, µs an object|requests at once", rows)


def write_keys(files: Sequence[Found]) -> Iterator[str]:
    """Write what a run with nothing new takes of many objects, and what one object more costs, of bench/keys.py."""
    (found,) = files
    each = {(one["engine"], one["up_to"]): (number(one["cpu_us"]), f"{one['bytes']:,}") for one in found["an_object"]}
    rows = []
    for one in found["points"]:
        values = (number(one["wall"]), number(one["cpu"]), number(one["memory"] / 1e6))
        told = f"{one['keys']:,} objects, {one['engine']}"
        rows.append((told, *values, *each.get((one["engine"], one["keys"]), ("", ""))))
    yield from table("|seconds|CPU s|peak MB|CPU µs for one more|bytes for one more", rows)


FIGURES: Mapping[str, Callable[[Sequence[Found]], Iterator[str]]] = {
    "contest": write_contest,
    "yardstick": write_yardstick,
    "parts": write_parts,
    "growth": write_growth,
    "lake": write_lake,
    "day": write_day,
    "objects": write_objects,
    "keys": write_keys,
}


def figures(name: str, files: Sequence[Found]) -> str:
    """Give the table of a block. Raises KeyError when the files lack what it needs."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(FIGURES[name](files))).strip() + "\n"


def page(text: str, folder: Path = PAGE.parent) -> str:
    """Give the text of a page with the tables as the files in its folder have them.

    Below the first table of a file stands where it was measured; below later ones, that it was the same run.
    """
    told: set[str] = set()

    def block(found: re.Match[str]) -> str:
        names = found["files"].split()
        if not all((folder / name).exists() for name in names):
            return found[0]
        files = {name: json.loads((folder / name).read_text(encoding="utf-8")) for name in names}
        try:
            parts = [figures(found["name"], list(files.values()))]
        except KeyError:
            return found[0]
        parts += ["\n".join(provenance(one)) + "\n" for name, one in files.items() if name not in told]
        told.update(names)
        return found["head"] + "\n".join(parts if len(parts) > 1 else [*parts, "Measured in the run above.\n"])

    return BLOCK.sub(block, text)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
