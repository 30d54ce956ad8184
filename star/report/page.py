"""The page of report.py: what stands on it besides the pictures, and the template that is filled in.

The same data give the same bytes: nothing here asks for the time. No listener's name or id is on the page; of the rows
that a check found only the columns of PUBLIC are shown.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from dwh import __version__
from dwh.ownership.marks import Mark, read_address
from dwh.terminal.wording import count, printable
from star.dictionary import tooltip
from star.report.queries import ENGINE, PREPARED, QUERIES

if TYPE_CHECKING:
    from dwh.checks.check import Check, Result
    from star.report.pictures import Picture
    from star.report.reconciliation import Flow

TEMPLATES = Path(__file__).resolve().parent
GENERATOR = "sparkify-warehouse report"
# By these report.py knows a page that it may replace. The first two stand before all that comes from data.
HEAD_BYTES = 16 * 1024
_GENERATOR = f'<meta name="generator" content="{GENERATOR} '.encode()
_WAREHOUSE = re.compile(rb'<meta name="warehouse" content="([^"]*)">')
_LAST_LOAD = re.compile(rb"<dd>number \d+ of run ([\w-]+)</dd>")
# Columns of a check's sample that say nothing about a listener. One that is not named here is not shown.
# fmt: off
PUBLIC = frozenset((
    "action", "after", "artist_id", "artist_name", "before", "day", "difference", "differs", "duration", "events",
    "file_id", "files", "hour", "item_in_session", "kept_artist_name", "kept_title", "key", "kind", "last_play",
    "ledger", "level", "line_number", "load_id", "matched", "month", "name", "page", "path", "plays", "read",
    "reason", "records", "rejected", "rejected_lines", "rows", "run_id", "song_id", "songplay_id", "staged",
    "staging", "start_time", "state", "status", "table", "title", "week", "weekday", "year",
))
# fmt: on


def read_mark(page: BinaryIO) -> Mark | None:
    """Say which warehouse a page comes from; None when it is no report."""
    head = page.read(HEAD_BYTES)
    if _GENERATOR not in head:
        return None
    named, run = _WAREHOUSE.search(head), _LAST_LOAD.search(head + page.read())
    try:
        address = read_address(json.loads(html.unescape(named[1].decode()))) if named else None
    except ValueError:
        return None
    return Mark(address, run[1].decode() if run else "")


class Verdict(NamedTuple):
    """What came of the checks, in one word of the style sheet and one sentence."""

    status: str
    headline: str
    detail: str


def judge(results: Sequence[Result], flows: Sequence[Flow], not_run: Sequence[str]) -> Verdict:
    """Say first what everybody wants to know first."""
    failed = [result.check.name for result in results if result.status == "fail"]
    failed += [f"{flow.table}: {flow.unexplained:+,} rows without an explanation" for flow in flows if flow.unexplained]
    warned = [result.check.name for result in results if result.status == "warn"]
    left = f"{count(len(not_run), 'check')} not run" if not_run else ""
    if failed:
        return Verdict("fail", f"{count(len(failed), 'check')} failed", "; ".join(failed))
    passed = f"{len(results) - len(warned):,} of {count(len(results), 'check')} passed"
    if warned or left:
        return Verdict(
            "warn", f"No check failed; {passed}", "Look at " + "; ".join([*warned, left] if left else warned)
        )
    return Verdict("ok", f"All {count(len(results), 'check')} passed", "Every record is accounted for")


def render(pictures: Sequence[Picture], results: Sequence[Result], context: Mapping[str, Any]) -> str:
    """Fill in the template. Every text is escaped and made printable, whatever its data hold."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: value if hasattr(value, "__html__") else printable(value),
    )
    environment.globals["tooltip"] = tooltip
    environment.filters["anchor"] = lambda name: name.lower().replace(" ", "-")
    environment.filters["number"] = lambda value: f"{value:,}" if isinstance(value, int) else value
    shown = [_shown(result) for result in sorted(results, key=lambda result: _ORDER[result.status])]
    return environment.get_template("page.html.j2").render(
        generator=f"{GENERATOR} {__version__}",
        mark=json.dumps(context["address"]),
        pictures={picture.name: picture for picture in pictures},
        checks=shown,
        queries={query.name: query for query in (ENGINE, *QUERIES, *PREPARED)},
        **context,
    )


def _shown(result: Result) -> dict[str, Any]:
    """Give what the page shows of a result; the values of columns that are not public stay away from it."""
    cells = [
        ["not shown" if name not in PUBLIC else "NULL" if value is None else value for name, value in row.items()]
        for row in result.sample
    ]
    return {
        "status": result.status,
        "check": result.check,
        "table": result.check.name.partition(":")[0],
        "outcome": result.outcome,
        "columns": list(result.sample[0]) if result.sample else [],
        "cells": cells,
        "sql": _statements(result.check),
    }


def _statements(check: Check) -> list[str]:
    texts = [text.strip() for text in (check.offending, check.balance) if text]
    return ";\n\n".join(texts).splitlines()


_ORDER = {"fail": 0, "warn": 1, "ok": 2}
