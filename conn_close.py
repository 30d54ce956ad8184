"""Close the warehouse, and take down what conn_start.py made where that costs money.
On DuckDB and PostgreSQL closing keeps the data; --delete-data removes it, but nothing that other programs made.
On Redshift closing deletes the cluster and everything with its tag, and keeps the data in a snapshot for 7 days.

  python conn_close.py                  close; say where the data is
  python conn_close.py --delete-data    remove the data too (asks for its name)
  python conn_close.py --dry-run        show what would be closed or removed
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dwh.script import begin, until_free
from dwh.terminal.console import run
from dwh.terminal.flags import ScriptParser, confirmation_flag, wait_flag, warehouse_parser
from dwh.terminal.wording import seconds
from star.owner import OURS

if TYPE_CHECKING:
    from dwh.seam import Change


def parser() -> ScriptParser:
    """Declare the flags of this script."""
    p = warehouse_parser("conn_close", __doc__)
    p.what.add_argument("--delete-data", action="store_true", help="remove the data too (asks for its name)")
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
    console, engine, delete = script.console, script.engine, script.args.delete_data
    console.title(f"{engine.name}, {engine.place}")
    planned = until_free(lambda: engine.plan("delete" if delete else "stop", OURS), script.args.wait, console)
    removals = [change for change in planned if change.mark == "-"]
    if script.args.dry_run:
        changes = planned
    else:
        if removals:
            for change in planned:
                console.say(str(change))
            name = os.path.basename(engine.place)
            console.confirm(name, f"{what_is_lost(planned)}Type the name to continue ({name})", yes=script.args.yes)
        ours = OURS if delete else None
        changes = until_free(lambda: engine.stop(console.say, delete=ours), script.args.wait, console)
    for change in changes:
        console.result(str(change))
    console.result("nothing was changed" if script.args.dry_run else f"closed in {seconds(console.elapsed)}")
    console.finish({"engine": engine.name, "place": engine.place, "changes": [str(change) for change in changes]})
    return 0


def what_is_lost(planned: Sequence[Change]) -> str:
    """Say which data a plan deletes: none when a snapshot keeps it, only our tables when the place stays."""
    if any(change.mark == "+" for change in planned):
        return ""
    stays = any(change.mark == "=" and not change.beside for change in planned)
    return "This deletes every row of these tables, and nothing else. " if stays else "This deletes all data in it. "


if __name__ == "__main__":
    raise SystemExit(run(main))
