"""Load new song and event files into the star schema.
Files already loaded are skipped, changed files are loaded again, a load is all or nothing.

  python etl.py                             load what is new
  python etl.py --dry-run                   show what would be loaded
  python etl.py --on-bad-line quarantine    set bad records aside instead of stopping
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import sql_queries as q
from dwh.script import Script, begin
from dwh.sources.ledger import Work, cut_loads, find_work, refuse_other_sources
from dwh.sources.listing import refuse_shared_places
from dwh.terminal.console import run
from dwh.terminal.flags import ScriptParser, confirmation_flag, wait_flag, warehouse_parser
from dwh.terminal.objects import kept_objects
from dwh.terminal.wording import count, seconds
from star.forgetting import find_going
from star.load_queries import COUNT_REJECTED_FILES, SELECT_NEWEST_PLAY
from star.owner import OURS, require_ours
from star.telling import tell_unread, tell_unread_keys, tell_work

if TYPE_CHECKING:
    from star.load import StarLoader

SHOWN_FILES = 10
STAR = ("songplays", "users", "songs", "artists", "time")
COUNTED = ("staging_events", "staging_songs", "rejected_lines", *STAR)


def parser() -> ScriptParser:
    """Declare the flags of this script."""
    p = warehouse_parser("etl", __doc__)
    p.what.add_argument(
        "--on-bad-line",
        choices=("stop", "quarantine"),
        help="stop (default), or set bad records aside in rejected_lines",
    )
    p.what.add_argument(
        "--from-warehouse", metavar="FILE", help="only fill this empty warehouse with what another one has staged"
    )
    p.what.add_argument("--rebuild", action="store_true", help="rebuild the whole star from staging (asks first)")
    p.what.add_argument(
        "--forget", metavar="PATH", help="only drop the rows of a file or folder that is gone from the source"
    )
    p.what.add_argument(
        "--add-source", action="store_true", help="load a second source into a warehouse that holds the data of another"
    )
    p.how.add_argument("--dry-run", action="store_true", help="change nothing, show what would be loaded")
    wait_flag(p)
    confirmation_flag(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Find the new files, load them, report the changes."""
    script = begin("etl", parser(), argv, {"on_bad_line": ("ETL", "ON_BAD_LINE")})
    refuse_shared_places(script.locations)
    from dwh.spool.folder import open_spool
    from star.load import StarLoader
    from star.refusals import LedgerMoved, record_rules

    places = [place for places in script.locations.values() for place in places]
    script.console.title(script.engine.place if script.args.from_warehouse else ", ".join(places))
    if script.args.rebuild and not script.args.dry_run:
        question = "This empties the star and builds it again from staging. Type star to continue"
        script.console.confirm("star", question, yes=script.args.yes)
    with (
        script.connected(script.args.wait) as session,
        open_spool(
            record_rules(lenient=session.lenient_json), in_place=session.reads_files, packer=session.packer
        ) as spools,
    ):
        if session.reads_objects and script.config.s3.log_jsonpath and not script.args.from_warehouse:
            script.sources.check_jsonpaths(script.config.s3.log_jsonpath, q.EVENT_KEYS)
        settings = script.config.etl
        loader = StarLoader(session, script.console, script.sources, spools, settings, script.args.wait)
        while True:
            try:
                return look_and_load(script, loader)
            except LedgerMoved as moved:
                script.console.say(f"{moved.message}; looking again")


def look_and_load(script: Script, loader: StarLoader) -> int:
    """Find the new files, and load them. Raises LedgerMoved when another session has loaded in the meantime."""
    require_ours(loader.session, script.engine)
    loader.note_last_load()
    if script.args.from_warehouse is not None:
        return take_from_other(script, loader)
    if script.args.forget is not None:
        return forget(script, loader)
    with kept_objects():
        listings = script.list_sources()
        tell_unread(script, listings)
        work = find_work(listings, loader.read_ledger(), script.locations)
    if not script.args.add_source:
        refuse_other_sources(work, script.locations, script.engine.another)
    tell_work(script, work)
    if script.args.dry_run:
        return show_plan(script, loader, work)
    return load_all(script, loader, work)


def load_all(script: Script, loader: StarLoader, work: Work) -> int:
    """Rebuild the star if needed, then load the pending files, load by load."""
    rebuild_when_due(script, loader)
    settings = script.config.etl
    cut = list(cut_loads(work.pending, settings.max_load_files, settings.max_load_bytes))
    try:
        for number, files in enumerate(cut, 1):
            loader.load(files)
            if len(cut) > 1 and loader.loads:
                done = loader.loads[-1]
                loaded = f"{count(done.files, 'file')}  {count(done.records, 'record')}  {seconds(done.seconds)}"
                script.console.say(f"load {number}/{len(cut)}  {loaded}")
    finally:
        tell_unread_keys(script, loader.unread)
    return tell_result(script, loader, work)


def rebuild_when_due(script: Script, loader: StarLoader) -> None:
    """Rebuild the star if --rebuild asks for it, or if different statements made it."""
    if loader.star_is_outdated():
        script.console.note("the statements of the star changed since the last load: it is rebuilt from staging")
    if script.args.rebuild or loader.star_is_outdated():
        loader.rebuild()


def take_from_other(script: Script, loader: StarLoader) -> int:
    """Fill this empty warehouse with what another one has staged, and build the star from it; no source is read."""
    from star.other_warehouse import open_other, refuse_filled

    refuse_filled(script, loader.session)
    with open_other(script) as other:
        script.console.say(f"taking {other.contents} from {other.place}")
        if script.args.dry_run:
            script.console.result("nothing was changed")
            return finish(script, loader, Work([], [], 0))
        loader.rebuild(other)
        tell_star(script, loader)
        script.console.result(f"took {other.contents}, {other.proof}, in {seconds(script.console.elapsed)}", "green")
    return finish(script, loader, Work([], [], 0))


def forget(script: Script, loader: StarLoader) -> int:
    """Drop the rows of files that are gone from the source, and take them out of the ledger."""
    going = find_going(script, loader.read_ledger())
    if script.args.dry_run:
        script.console.result(f"would drop {count(len(going), 'file')}; nothing was changed")
    else:
        rebuild_when_due(script, loader)
        loader.forget(going)
        tell_star(script, loader)
        script.console.result(
            f"forgot {count(len(going), 'file')} in {seconds(script.console.elapsed)}", colour="green"
        )
    return finish(script, loader, Work([], [], 0))


def show_plan(script: Script, loader: StarLoader, work: Work) -> int:
    """Show what a run would load."""
    shown = work.pending if script.args.verbose else work.pending[:SHOWN_FILES]
    for file in shown:
        script.console.result(f"{'+' if file.replaces is None else '~'} {file.source.path}")
    if len(shown) < len(work.pending):
        script.console.result(f"... and {len(work.pending) - len(shown):,} more (-v shows all)")
    if script.args.rebuild or loader.star_is_outdated():
        script.console.result("~ the whole star, rebuilt from staging")
    script.console.result("nothing was changed")
    return finish(script, loader, work)


def tell_result(script: Script, loader: StarLoader, work: Work) -> int:
    """Report what was loaded, and what the star holds now."""
    console = script.console
    if loader.left:
        console.note(
            f"{count(len(loader.left), 'file')} changed while being read, left for the next run: {min(loader.left)}"
        )
    if not loader.loads:
        console.result(
            f"nothing new: {count(work.already_loaded, 'file')} already loaded  in {seconds(console.elapsed)}"
        )
        return finish(script, loader, work)
    rows = tell_star(script, loader)
    if rows["rejected_lines"]:
        console.note(
            f"{count(rows['rejected_lines'], 'bad record')} in rejected_lines, tried again when the file changes"
        )
    files, records = sum(load.files for load in loader.loads), sum(load.records for load in loader.loads)
    done = f"loaded {count(files, 'file')}, {count(records, 'record')}" if files else "rebuilt the star from staging"
    others = f", {count(loader.other_plays, 'other play')} under the same key" if loader.other_plays else ""
    console.result(f"{done}{others} in {seconds(console.elapsed)}", colour="green")
    if others:
        see = script.next("sql_validate", "--only", "songplays: no other play")
        console.note(f"some of them have no row; see: {see}")
    return finish(script, loader, work)


def tell_star(script: Script, loader: StarLoader) -> dict[str, int]:
    """Report the number of rows of each star table; gives those of every table."""
    rows = count_rows(loader)
    script.console.result("the star: " + "  ".join(f"{table} {rows[table]:,}" for table in STAR))
    return rows


def count_rows(loader: StarLoader) -> dict[str, int]:
    """Count the rows of staging, rejected_lines and the star."""
    rows: dict[str, int] = dict(loader.session.rows(q.COUNT_ROWS))
    return {table: rows[table] for table in COUNTED}


def newest(loader: StarLoader) -> str | None:
    """Give the time of the newest play in UTC, as ISO writes it; None without a play."""
    [(found,)] = loader.session.rows(SELECT_NEWEST_PLAY)
    return found and f"{found:%Y-%m-%dT%H:%M:%SZ}"


def finish(script: Script, loader: StarLoader, work: Work) -> int:
    """Let readers see what was loaded, care for the tables, and print the object of --json."""
    if not script.args.dry_run:
        script.settle(loader.session, OURS, loaded=bool(loader.loads))
    [(rejected,)] = loader.session.rows(COUNT_REJECTED_FILES)
    # of a star that did not change nothing is counted, unless --json asks
    counted = {"rows": count_rows(loader), "newest": newest(loader)} if script.console.json or loader.loads else {}
    script.console.finish(
        {
            "engine": script.engine.name,
            "run_id": loader.run_id,
            "seconds": round(script.console.elapsed, 3),
            "files": {
                "new": work.new,
                "changed": work.changed,
                "vanished": len(work.vanished),
                "already_loaded": work.already_loaded,
                "rejected": rejected,
                "passed_over": work.passed_over,
            },
            **counted,
            "loads": [load._asdict() for load in loader.loads],
            "other_plays": loader.other_plays,
            "unread_keys": [{**key._asdict(), **seen._asdict()} for key, seen in loader.unread.all().items()],
        }
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
