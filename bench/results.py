"""The results of the contestants: medians, ratios to the yardstick and how sure they are, as JSON and as a table."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.contest import Contestant
from bench.processes import Taken
from bench.rounds import interval, is_settled
from bench.samples import Records, Sample

KEPT = 3  # digits after the point
Part = Literal["wall", "cpu"]
RATIOS: Mapping[Part, str] = {"wall": "ratio", "cpu": "cpu_ratio"}


@dataclass
class Field:
    """The results of one contestant: its runs, one a round, and its error if it has one."""

    contestant: Contestant
    taken: list[Taken] = field(default_factory=list)
    beside: Taken | None = None  # of a slow one: the yardstick, run just before it
    skipped: str = ""
    differs: str = ""
    packages: dict[str, tuple[str, float]] = field(default_factory=dict)


def ratios(one: Field, yardstick: Field, part: Part) -> list[float]:
    """Give what each run of a contestant took beside the yardstick's in the same round; none where rows differ."""
    if one.differs:
        return []
    others = [one.beside] if one.beside else yardstick.taken
    share = one.contestant.part
    return [getattr(a, part) / share / getattr(b, part) for a, b in zip(one.taken, others, strict=False)]


def all_settled(quick: Sequence[Field]) -> bool:
    """Say whether the ratios of all that have one are settled; the yardstick is the first."""
    yardstick = quick[0]
    rivals = [] if yardstick.skipped else [one for one in quick[1:] if not one.skipped and not one.differs]
    return all(is_settled(ratios(one, yardstick, part)) for one in rivals for part in RATIOS)


def summarize(one: Field, yardstick: Field, data: Sample, records: Records) -> dict[str, Any]:
    """Give the medians of a contestant, what it did in a CPU second, and its ratios."""
    share = one.contestant.part
    wall, cpu = (statistics.median(getattr(taken, part) for taken in one.taken) / share for part in RATIOS)
    found: dict[str, Any] = {
        "told": one.contestant.told,
        "wall_s": round(wall, KEPT),
        "cpu_s": round(cpu, KEPT),
        "peak_mb": round(max(taken.memory for taken in one.taken) / 1e6, 1),
        "mb_per_s": round(data.size / 1e6 / wall, 1),
        "mb_per_cpu_s": round(data.size / 1e6 / cpu, KEPT),
        "rows_per_cpu_s": round(sum(records) / cpu),
        "n": len(one.taken),
        "rows": "differ" if one.differs else "equal",
        "wall_of_each_s": [round(taken.wall, KEPT) for taken in one.taken],
        "cpu_of_each_s": [round(taken.cpu, KEPT) for taken in one.taken],
        **sum_up_ratios(one, yardstick),
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


def sum_up_ratios(one: Field, yardstick: Field) -> dict[str, Any]:
    """Give the median of each ratio, its interval where the rounds are enough for one, and whether it is settled."""
    found: dict[str, Any] = {}
    known = {part: ratios(one, yardstick, part) for part in RATIOS}
    for part, values in known.items():
        if values:
            found[RATIOS[part]] = round(statistics.median(values), KEPT)
        if one is not yardstick and (sure := interval(values)):
            found[f"{RATIOS[part]}_interval"] = [round(end, KEPT) for end in sure]
    if found and one is not yardstick and not one.contestant.slow:
        found["settled"] = all(is_settled(values) for values in known.values())
    return found


def tell_table(found: Mapping[str, Mapping[str, Any]], tell: Callable[[str], None]) -> None:
    """Print the contestants, the fastest first. Behind a ratio stands where its median is 95 times of 100."""
    heads = f"{'seconds':>9} {'ratio':<18} {'CPU s':>9} {'ratio':<18} {'peak MB':>8} {'MB/CPU s':>8} {'rows/CPU s':>10}"
    tell(f"\n{'':<20} {heads}  n")
    for contestant, one in sorted(found.items(), key=lambda item: item[1]["wall_s"]):
        wall, cpu = (f"{one[f'{part}_s']:>9.2f} {in_words(one, name):<18}" for part, name in RATIOS.items())
        done = f"{one['peak_mb']:>8.0f} {one['mb_per_cpu_s']:>8.1f} {one['rows_per_cpu_s']:>10,}"
        tell(f"{contestant:<20} {wall} {cpu} {done}  {one['n']}  {'; '.join(remarks(one))}")


def in_words(one: Mapping[str, Any], name: str) -> str:
    """Give a ratio with its interval, as far as there are any."""
    if name not in one:
        return "-"
    ends = one.get(f"{name}_interval")
    return f"{one[name]:.2f}" + (f" ({ends[0]:.2f} to {ends[1]:.2f})" if ends else "")


def remarks(one: Mapping[str, Any]) -> list[str]:
    """Give what a reader of the figures of a contestant has to know."""
    told = [one["note"]] if "note" in one else []
    if one.get("settled") is False:
        told.append(f"not settled in {one['n']} round{'' if one['n'] == 1 else 's'}")
    return told
