"""The end of `export_lake.py --check`, in whichever format the lake is: what differs from the star, table by table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dwh.terminal.errors import DataError
from dwh.terminal.wording import seconds
from star.lake import ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dwh.script import Script

Totals = dict[str, dict[str, int]]


def differing(star: Mapping[str, int], lake: Mapping[str, int]) -> list[str]:
    """Name the totals that differ."""
    return [
        f"{name}: {lake.get(name, 0):,} in the lake, {expected:,} in the star"
        for name, expected in star.items()
        if lake.get(name, 0) != expected
    ]


def tell_check(
    script: Script, where: str, totals: Totals, wrong: Mapping[str, Sequence[str]], *, stale: bool, again: bool
) -> int:
    """Report for each table what is wrong with the lake at `where`; `totals` are those of the star. Gives the exit code
    of a lake that matches it.

    Raises DataError naming the tables that differ. `stale`: the star was loaded again since. `again`: only an export of
    all rows would help.
    """
    console = script.console
    for table, lines in wrong.items():
        console.result(f"{'fail' if lines else 'ok':<5} {table:<10} {totals[table][ROWS]:>12,} rows")
        for line in lines:
            console.result(f"      {line}")
    failed = [table for table, lines in wrong.items() if lines]
    if failed:
        raise DataError(
            f"the lake in {where} differs from the star in {', '.join(failed)}",
            evidence=[*(f"{table}: {wrong[table][0]}" for table in failed[:3])]
            + (["the star was loaded again after this export"] if stale else []),
            hint="python export_lake.py --again" if again else "python export_lake.py",
        )
    console.result(f"the lake matches the star, in {seconds(console.elapsed)}", "green")
    rows = {table: found[ROWS] for table, found in totals.items()}
    console.finish({"engine": script.engine.name, "lake": where, "rows": rows})
    return 0
