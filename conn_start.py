"""Bring the warehouse up and wait until it is available.
A second run changes nothing. On DuckDB this makes the database file, on Redshift the role, network rule and cluster.

  python conn_start.py                make what is missing, wait until it can be used
  python conn_start.py --dry-run      show what would be made
  python conn_start.py --from-snapshot latest     make the cluster from its last final snapshot (Redshift)
  python conn_start.py --timeout 5m   wait for a program that holds it; give up sooner while a cluster is being made
"""

from __future__ import annotations

from collections.abc import Sequence

from dwh.beforehand import look_at_buckets, refuse_settings
from dwh.script import Script, begin, until_free
from dwh.terminal.console import run
from dwh.terminal.errors import ConfigError
from dwh.terminal.flags import ScriptParser, duration, wait_flag, warehouse_parser
from dwh.terminal.wording import seconds
from star.restored import prove_totals


def parser() -> ScriptParser:
    """Declare the flags of this script."""
    p = warehouse_parser("conn_start", __doc__)
    p.what.add_argument(
        "--from-snapshot",
        metavar="NAME",
        default="",
        help="make the cluster from this snapshot, or from the `latest` final one, and compare its totals (Redshift)",
    )
    p.how.add_argument("--dry-run", action="store_true", help="change nothing, show what would be made")
    p.how.add_argument(
        "--timeout",
        metavar="TIME",
        type=duration,
        help="give up waiting after this (default: 0s on duckdb, 1m on postgres, 30m on redshift)",
    )
    wait_flag(p)
    p.how.add_argument("--no-wait", action="store_true", help="do not wait: exit code 4 until it is available")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Start the warehouse and say what was made."""
    script = begin("conn_start", parser(), argv)
    console, engine = script.console, script.engine
    console.title(f"{engine.name}, {engine.place}")
    engine.snapshot = script.args.from_snapshot
    if engine.snapshot and not engine.restores:
        raise ConfigError(
            f"--from-snapshot: there are no snapshots on {engine.name}",
            hint="python conn_start.py     (docs/how-to/care.md tells how to put a backup back)",
        )
    look_first(script)
    if script.args.dry_run:
        changes = engine.plan("start")
    else:
        engine.patience = patience(script)
        changes = until_free(lambda: engine.start(console.say), engine.patience, console)
        if engine.snapshot:
            changes += prove_totals(script)
    for change in changes:
        console.result(str(change))
    console.result(
        "nothing was changed"
        if script.args.dry_run
        else f"ready in {seconds(console.elapsed)}   next: {script.next('etl' if engine.snapshot else 'create_tables')}"
    )
    new = any(change.mark == "+" and not change.beside for change in changes)
    console.finish(
        {
            "engine": engine.name,
            "place": engine.place,
            "created": new and not script.args.dry_run,
            **({"would_create": new} if script.args.dry_run else {}),
            "changes": [str(change) for change in changes],
        }
    )
    return 0


def patience(script: Script) -> float:
    """Give how long to wait, in seconds: --timeout, or what the engine takes by itself, or longer with --wait."""
    if script.args.no_wait:
        return 0.0
    if script.args.timeout is not None:
        return float(script.args.timeout)
    return max(script.engine.patience, float(script.args.wait))


def look_first(script: Script) -> None:
    """Raise an error for what can be seen before anything is made; on Redshift it would be billed."""
    script.engine.check()
    if script.engine.name == "redshift":
        refuse_settings(script.config)
        for note in look_at_buckets(script.config):
            script.console.note(note)


if __name__ == "__main__":
    raise SystemExit(run(main))
