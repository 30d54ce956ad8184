"""Bring the warehouse up and wait until it is available.
Again changes nothing. On DuckDB this makes the database file.

  python conn_start.py                make what is missing, wait until it can be used
  python conn_start.py --dry-run      show what would be made
  python conn_start.py --timeout 5m   give up sooner while another program holds it
"""

from __future__ import annotations

from collections.abc import Sequence

from dwh.console import run, seconds
from dwh.flags import ScriptParser, duration, warehouse_parser
from dwh.script import begin, until_free


def parser() -> ScriptParser:
    """Declare the flags of this script."""
    p = warehouse_parser("conn_start", __doc__)
    p.how.add_argument("--dry-run", action="store_true", help="change nothing, show what would be made")
    p.how.add_argument(
        "--timeout",
        metavar="TIME",
        type=duration,
        help="give up after this (default: 1m on postgres, else 30m)",
    )
    p.how.add_argument("--no-wait", action="store_true", help="do not wait until it is available")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Start the warehouse and say what was made."""
    script = begin("conn_start", parser(), argv)
    console, engine = script.console, script.engine
    console.title(f"{engine.name}, {engine.place}")
    if script.args.dry_run:
        changes = engine.plan("start")
    else:
        patience = engine.patience if script.args.timeout is None else script.args.timeout
        wait = 0.0 if script.args.no_wait else patience
        changes = until_free(lambda: engine.start(console.say), wait, console)
    for change in changes:
        console.result(str(change))
    console.result(
        "nothing was changed"
        if script.args.dry_run
        else f"ready in {seconds(console.elapsed)}   next: python create_tables.py"
    )
    created = not script.args.dry_run and any(change.mark == "+" for change in changes)
    console.finish(
        {
            "engine": engine.name,
            "place": engine.place,
            "created": created,
            "changes": [str(change) for change in changes],
        }
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
