"""Write one HTML page that shows what is in the warehouse: pictures, the reconciliation, the quality checks.
The page works offline, and shows no listener's name or id. It changes nothing in the warehouse.

  python report.py                    write [REPORT] PATH: report.html beside dwh.cfg
  python report.py --to friday.html   write another file
  python report.py --quick            leave out the comparison of every row of the star with staging
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dwh.checks.run import only_reading, run_checks
from dwh.ownership.marks import in_words
from dwh.script import Script, begin, refuse_others
from dwh.terminal.console import run
from dwh.terminal.errors import ConfigError
from dwh.terminal.flags import ScriptParser, take_over_flag, wait_flag, warehouse_parser
from dwh.terminal.wording import near, seconds

if TYPE_CHECKING:
    from dwh.checks.check import Check, Reason, Result
    from dwh.seam import Row
    from star.report.pictures import Picture
    from star.report.totals import Totals


def parser() -> ScriptParser:
    """Declare the flags of this script."""
    p = warehouse_parser("report", __doc__)
    p.what.add_argument("--quick", action="store_true", help="leave out the comparison of every row with staging")
    take_over_flag(p)
    wait_flag(p)
    p.output.add_argument("--to", metavar="FILE", help="another file than [REPORT] PATH")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run all queries in one transaction, draw the pictures, and write the page."""
    script = begin("report", parser(), argv, {"to": ("REPORT", "PATH")})
    from star.checks import checks_of, choose_quick

    console, target = script.console, Path(script.config.report.path)
    console.title(f"{near(target)}, {script.engine.name}, {script.engine.place}")
    checks = checks_of(script.engine.name)
    checks = choose_quick(checks) if script.args.quick else checks
    asked = ask(script, checks, target)
    size = write(script, target, compose(script, *asked))
    statuses = [result.status for result in asked[0]]
    found = {status: statuses.count(status) for status in ("ok", "warn", "fail")}
    if found["fail"]:
        see = script.next("sql_validate")
        console.note(f"{found['fail']:,} checks failed, as the top of the page shows; see: {see}")
    console.result(f"{near(target)}, {size / 1e6:.1f} MB in {seconds(console.elapsed)}")
    took = round(console.elapsed, 3)
    console.finish(
        {"engine": script.engine.name, "report": str(target), "bytes": size, "checks": found, "seconds": took}
    )
    return 0


def ask(
    script: Script, checks: Sequence[Check], target: Path
) -> tuple[list[Result], dict[str, list[Row]], list[Reason]]:
    """Run the checks and the queries of the report on one state of the warehouse, and find why plays match no song.

    Raises EnvironmentFailure when tables are missing, and the errors of `refuse_foreign`.
    """
    from star.loads import has_run
    from star.matches import explain_unmatched
    from star.report.queries import ENGINE, QUERIES
    from star.tables import refuse_missing_tables

    with script.connected(script.args.wait, read_only=True) as session, only_reading(session):
        refuse_missing_tables(script, session)
        refuse_foreign(script, target, partial(has_run, session))
        results = list(run_checks(script, session, checks))
        answers = {query.name: session.rows(query.sql) for query in (ENGINE, *QUERIES)}
        reasons = [] if script.args.quick else explain_unmatched(session)
    return results, answers, reasons


def compose(script: Script, results: Sequence[Result], answers: dict[str, list[Row]], reasons: Sequence[Reason]) -> str:
    """Make the page from the results."""
    from star.checks import checks_of
    from star.report.page import judge, render
    from star.report.queries import ENGINE, LATEST_LOAD, TABLES
    from star.report.reconciliation import DIFFERENCES, FILES, PAGES, reconcile
    from star.report.totals import TOTALS, Totals

    totals = Totals(*answers[TOTALS.name][0])
    files, pages = answers[FILES.name], answers[PAGES.name]
    no_plays = pages[0][0] if pages else 0
    flows = reconcile(files, dict(answers[DIFFERENCES.name]), no_plays, dict(answers[TABLES.name]))
    ran = {result.check.name for result in results}
    not_run = [check.name for check in checks_of(script.engine.name) if check.name not in ran]
    context: dict[str, Any] = {
        "verdict": judge(results, flows, not_run),
        "not_run": not_run,
        "totals": totals,
        "tiles": totals.tiles(reasons),
        "flows": flows,
        "pages": [(page, events) for _, page, events in pages],
        "other_pages": no_plays - sum(row[2] for row in pages),
        "load": next(iter(answers[LATEST_LOAD.name]), None),
        "files": sum(row[1] for row in files),
        "address": script.engine.address,
        "place": in_words(script.engine.address),
        "engine": (script.engine.name, os.path.basename(script.engine.place), answers[ENGINE.name][0][0]),
    }
    return render(draw(answers, totals), results, context)


def draw(answers: dict[str, list[Row]], totals: Totals) -> list[Picture]:
    """Draw the pictures that have data."""
    from star.report import pictures as pictures
    from star.report.charts import drawing

    if not totals.first_play or not totals.last_play:
        return []
    first, last = totals.first_play.date(), totals.last_play.date()
    with drawing():
        drawn = (
            pictures.picture_days(answers[pictures.DAYS.name]),
            pictures.picture_hours(answers[pictures.HOURS.name]),
            pictures.picture_songs(answers[pictures.SONGS.name]),
            pictures.picture_artists(answers[pictures.ARTISTS.name], totals.plays),
            pictures.picture_states(answers[pictures.STATES.name]),
            pictures.picture_changes(answers[pictures.CHANGES.name], first, last),
            pictures.picture_retention(answers[pictures.RETENTION.name], first, last),
        )
    return [picture for picture in drawn if picture]


def refuse_foreign(script: Script, target: Path, has_run: Callable[[str], bool]) -> None:
    """Raise an error when the file is not a report, or is that of another warehouse; it is not replaced."""
    from star.report.page import read_mark

    try:
        with target.open("rb") as page:
            mark, size = read_mark(page), page.seek(0, os.SEEK_END)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _not_written(target, error) from error
    if not size:
        return
    another = str(target.with_stem(f"{target.stem}_2"))
    if mark is None:
        raise ConfigError(
            f"{target} is not a report of this suite; it was not changed", hint=script.command("--to", another)
        )
    refuse_others(script, f"the report {target}", mark, has_run, another)


def write(script: Script, target: Path, page: str) -> int:
    """Write the page at once, readable for all; gives its number of bytes. Raises ConfigError when it cannot be
    written; the old page stays then."""
    import tempfile  # not at the top: it would take a third of the time of --help

    data = page.encode()
    made = None
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            made = file.name
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o644)
        # again: another warehouse may have written there since; a report that names none was looked up in `ask`
        refuse_foreign(script, target, lambda _run: True)
        os.replace(made, target)
    except OSError as error:
        raise _not_written(target, error) from error
    finally:
        if made:
            with suppress(FileNotFoundError):
                os.unlink(made)
    return len(data)


def _beside(target: Path) -> str:
    """Give a place for the report where everybody may write."""
    import tempfile

    return os.path.join(tempfile.gettempdir(), target.name)


def _not_written(target: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"{target} cannot be written",
        evidence=str(error),
        hint=("[REPORT] PATH = report.html", f"the same command again with --to {shlex.quote(_beside(target))}"),
    )


if __name__ == "__main__":
    raise SystemExit(run(main))
