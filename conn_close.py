"""Close the warehouse, and take down what conn_start.py made where that costs money.
On DuckDB and PostgreSQL closing keeps the data; --delete-data removes it, but nothing that other programs made.
On Redshift closing deletes the cluster and everything with its tag, and keeps the data in a snapshot for 7 days.

  python conn_close.py                  close; say where the data is
  python conn_close.py --delete-data    remove the data too (asks for its name, and about lake and report)
  python conn_close.py --remove-all     remove the data, the lake and the report
  python conn_close.py --dry-run        show what would be closed or removed
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from dwh.script import begin, until_free
from dwh.seam import Change
from dwh.terminal.console import run
from dwh.terminal.errors import DwhError
from dwh.terminal.flags import ScriptParser, confirmation_flag, wait_flag, warehouse_parser
from dwh.terminal.wording import seconds
from star.owner import OURS

if TYPE_CHECKING:
    from dwh.script import Script
    from star.beside import Beside


def parser() -> ScriptParser:
    """Declare the flags of this script."""
    p = warehouse_parser("conn_close", __doc__)
    p.what.add_argument("--delete-data", action="store_true", help="remove the data too (asks for its name)")
    p.what.add_argument(
        "--remove-all", action="store_true", help="remove the data, and the lake and the report that it wrote"
    )
    p.what.add_argument(
        "--no-snapshot",
        action="store_const",
        const="no",
        help="take no final snapshot: this deletes the data too (Redshift)",
    )
    p.how.add_argument("--dry-run", action="store_true", help="change nothing, show what would be closed or removed")
    wait_flag(p)
    confirmation_flag(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Close the warehouse and say what is left."""
    script = begin("conn_close", parser(), argv, {"no_snapshot": ("CLUSTER", "FINAL_SNAPSHOT")})
    console, engine, delete = script.console, script.engine, script.args.delete_data or script.args.remove_all
    console.title(f"{engine.name}, {engine.place}")
    planned = until_free(lambda: engine.plan("delete" if delete else "stop", OURS), script.args.wait, console)
    beside = find_beside(script) if delete else []
    going: Sequence[Beside] = beside if script.args.remove_all else []
    if script.args.dry_run:
        changes = planned
    else:
        going = confirm(script, planned, beside)
        ours = OURS if delete else None
        changes = until_free(lambda: engine.stop(console.say, delete=ours), script.args.wait, console)
    changes = [*changes, *(tell_beside(each, each in going) for each in beside)]
    if not script.args.dry_run:
        remove_beside(script, going)
    for change in changes:
        console.result(str(change))
    if going and script.config.lake.glue_database:
        console.note(f"the tables in the Glue database {script.config.lake.glue_database} still name the lake")
    console.result("nothing was changed" if script.args.dry_run else f"closed in {seconds(console.elapsed)}")
    console.finish({"engine": engine.name, "place": engine.place, "changes": [str(change) for change in changes]})
    return 0


def find_beside(script: Script) -> list[Beside]:
    """Find what this warehouse wrote beside itself. What cannot be looked at is in the way only of --remove-all."""
    from star import beside

    try:
        return beside.find_beside(script)
    except DwhError as error:
        if script.args.remove_all:
            raise
        script.console.note(f"lake and report stay, and were not looked at: {error.message}")
        return []


def confirm(script: Script, planned: Sequence[Change], beside: Sequence[Beside]) -> Sequence[Beside]:
    """Have the user confirm what is removed; gives what of the things beside the warehouse goes with it.

    Raises ConfigError when the answer is another, or nobody can be asked; nothing was changed then.
    """
    console, all_of_it = script.console, script.args.remove_all
    going = list(beside) if all_of_it else []
    if going or any(change.mark == "-" for change in planned):
        for change in (*planned, *(tell_beside(each, going=True) for each in going)):
            console.say(str(change))
        name = os.path.basename(script.engine.place)
        lost = what_is_lost(planned)
        console.confirm(name, f"{lost}Type the name to continue ({name})", yes=script.args.yes)
    if all_of_it or script.args.yes:
        return going
    return [each for each in beside if console.agrees(f"Remove {each.what}, too?")]


def tell_beside(each: Beside, going: bool) -> Change:
    """Say that a lake or a report goes, or that it stays, and what would remove it."""
    return Change("-", each.what) if going else Change("=", f"{each.what}, stays     (--remove-all removes it)")


def remove_beside(script: Script, going: Sequence[Beside]) -> None:
    """Remove them, each when no export is under way."""
    from star import beside

    for each in going:
        until_free(partial(beside.remove, script, each), script.args.wait, script.console)


def what_is_lost(planned: Sequence[Change]) -> str:
    """Say which data a plan deletes: none when a snapshot keeps it, only our tables when the place stays."""
    marks = {change.mark for change in planned}
    if "+" in marks or "-" not in marks:
        return ""
    stays = any(change.mark == "=" and not change.beside for change in planned)
    return "This deletes every row of these tables, and nothing else. " if stays else "This deletes all data in it. "


if __name__ == "__main__":
    raise SystemExit(run(main))
