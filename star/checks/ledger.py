"""The checks of where the data came from: every record of the source is in staging or was rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sql_queries as q
from dwh.checks.check import Check, Finding, Run
from dwh.checks.conditions import Condition, between, not_blank, not_negative, not_null, one_of
from dwh.checks.declarations import rows_in, sum_of
from dwh.checks.declare import equal, in_range, references, unique, with_defaults
from dwh.sources.ledger import Entry, find_work
from dwh.terminal.errors import EnvironmentFailure
from dwh.terminal.wording import count
from star.checks.fixes import LOAD, REBUILD, RELOAD

if TYPE_CHECKING:
    from dwh.seam import Session

SHOWN_ROWS = 3


def find_unloaded(run: Run, session: Session) -> Finding | None:
    """Compare the listing of the sources with the ledger; None, and a note, when a source cannot be reached."""
    try:
        listings = run.list_sources()
    except EnvironmentFailure as error:
        run.console.note(f"not checked whether every file of the source is loaded: {error.message}")
        return None
    work = find_work(listings, map(Entry._make, session.stream(q.SELECT_LEDGER)), run.locations)
    if work.vanished:
        gone = count(len(work.vanished), "file")
        run.console.note(f"{gone} gone from the source, rows kept: {work.vanished[0].path}")
    waiting = [("new" if file.replaces is None else "changed", file.source.path) for file in work.pending[:SHOWN_ROWS]]
    return Finding(work.already_loaded + len(work.pending), work.already_loaded, waiting)


WRONG_MARK = """
SELECT number_of_rows, number_of_rows, newest
FROM (SELECT COUNT(*) AS number_of_rows, MAX(schema_version) AS newest FROM dwh_warehouse) AS w
WHERE number_of_rows <> 1 OR newest < 1 OR newest > CAST(%s AS BIGINT)
"""

FILES_NOT_ADDING_UP = """
SELECT COUNT(*) OVER (), path, records_read, staged, rejected
FROM loaded_files
WHERE records_read <> staged + rejected
ORDER BY path ASC NULLS LAST
LIMIT 3
"""

FILES_WITH_OTHER_STAGING = """
SELECT COUNT(*) OVER (), f.path, f.staged, COALESCE(s.staged, 0)
FROM loaded_files AS f
LEFT JOIN (
    SELECT 'songs' AS kind, file_id, COUNT(*) AS staged FROM staging_songs GROUP BY file_id
    UNION ALL
    SELECT 'events' AS kind, file_id, COUNT(*) AS staged FROM staging_events GROUP BY file_id
) AS s ON s.file_id = f.file_id AND s.kind = f.kind
WHERE f.staged <> COALESCE(s.staged, 0)
ORDER BY f.path ASC NULLS LAST
LIMIT 3
"""

FILES_WITH_OTHER_REJECTED = """
SELECT COUNT(*) OVER (), f.path, f.rejected, COALESCE(r.rejected, 0)
FROM loaded_files AS f
LEFT JOIN (SELECT file_id, COUNT(*) AS rejected FROM rejected_lines GROUP BY file_id) AS r ON r.file_id = f.file_id
WHERE f.rejected <> COALESCE(r.rejected, 0)
ORDER BY f.path ASC NULLS LAST
LIMIT 3
"""

REJECTED_RECORDS = """
SELECT COUNT(*) OVER (), f.path, r.line_number, r.reason
FROM rejected_lines AS r
LEFT JOIN loaded_files AS f ON f.file_id = r.file_id
ORDER BY f.path ASC NULLS LAST, r.line_number ASC NULLS LAST, r.reason ASC NULLS LAST
LIMIT 3
"""

USER_IS_A_NUMBER = Condition(
    ("user_id",),
    "TRIM(BOTH ' ' FROM user_id) <> '' AND USER_NUMBER IS NULL".replace("USER_NUMBER", q.user_number("user_id")),
    "user_id is blank or a whole number",
)
PLAY_HAS_ITS_KEYS = Condition(
    ("page", "session_id", "item_in_session"),
    "TRIM(BOTH ' ' FROM page) = 'NextSong' AND (session_id IS NULL OR item_in_session IS NULL)",
    "a play has session_id and item_in_session",
)
# The days of the times that a record may have, from 100,000,000,000 to 99,999,999,999,999 milliseconds since 1970.
DAY_IS_OF_A_PLAY = Condition(
    ("day",),
    "day NOT BETWEEN DATE '1973-03-03' AND DATE '5138-11-16'",
    "day is NULL, or 1973-03-03 to 5138-11-16",
)
# Without it no star can be chosen from staging, so the comparison with the star trusts it.
EVENTS_ARE_SOUND = in_range(
    "staging_events",
    not_blank("page"), between("ts", 100_000_000_000, 99_999_999_999_999), USER_IS_A_NUMBER, PLAY_HAS_ITS_KEYS,
    shows="file_id page ts user_id session_id item_in_session", order="file_id ts",
)._replace(fix=RELOAD)  # fmt: skip

CHECKS = with_defaults(
    (
        Check(
            "dwh_warehouse: one row with a known version",
            "this row says that this suite made the tables, and which version of it",
            WRONG_MARK, "rows schema_version", "wrong row", fix="python create_tables.py --recreate",
            parameters=lambda _settings: (q.SCHEMA_VERSION,),
        ),
        Check(
            "loaded_files: every file of the source is loaded",
            "the files in the source now are those in the ledger, by path and fingerprint",
            look=find_unloaded, shows="state path", fix=LOAD,
        ),
        equal(
            "loaded_files: records read = staged + rejected", "in total and in each file",
            sum_of("loaded_files", "records_read"), sum_of("loaded_files", "staged", "rejected"),
            FILES_NOT_ADDING_UP, "path read staged rejected",
        ),
        equal(
            "loaded_files: records staged are in staging", "for each file as many rows as the ledger says",
            sum_of("loaded_files", "staged"), rows_in("staging_songs", "staging_events"),
            FILES_WITH_OTHER_STAGING, "path ledger staging",
        ),
        equal(
            "loaded_files: records rejected are in rejected_lines", "for each file as many rows as the ledger says",
            sum_of("loaded_files", "rejected"), rows_in("rejected_lines"),
            FILES_WITH_OTHER_REJECTED, "path ledger rejected_lines",
        ),
        unique("loaded_files", "file_id"),
        unique("loaded_files", "kind", "path", each="file"),
        in_range(
            "loaded_files",
            not_null("file_id", "path", "fingerprint", "loaded_at"), one_of("kind", "songs", "events"),
            one_of("status", "loaded", "rejected"), not_negative("records_read", "staged", "rejected"),
            shows="path kind status records_read staged rejected",
        )._replace(shows="path kind status read staged rejected"),  # a sample names records_read as the checks above do
        references("loaded_files", "load_id", "loads", shows="path load_id"),
        unique("loads", "load_id"),
        in_range(
            "loads",
            not_null("load_id", "run_id", "loaded_at", "statements_sha256"),
            one_of("action", "load", "rebuild", "forget"), not_negative("files", "records"),
            shows="load_id run_id action files records",
        ),
        *with_defaults(
            (
                unique("touched_days", "load_id", "day"),
                in_range("touched_days", DAY_IS_OF_A_PLAY, shows="load_id day"),
                references("touched_days", "load_id", "loads", shows="load_id day"),
            ),
            fix=REBUILD,  # which removes all of its rows
        ),
        references(
            "staging_events", "file_id", "loaded_files",
            shows="file_id session_id item_in_session ts", order="file_id ts",
        ),
        EVENTS_ARE_SOUND,
        references("staging_songs", "file_id", "loaded_files", shows="file_id song_id title", order="file_id song_id"),
        in_range("staging_songs", not_blank("song_id"), shows="file_id song_id title", order="file_id title"),
        references(
            "rejected_lines", "file_id", "loaded_files",
            shows="file_id line_number reason", order="file_id line_number",
        ),
        Check(
            "rejected_lines: no record was rejected", "warns up to [CHECKS] MAX_REJECTED records, fails above",
            REJECTED_RECORDS, "path line_number reason", "record", tolerated="max_rejected",
            fix="python etl.py     (after the files are fixed)",
        ),
    ),
    fix=RELOAD,
)  # fmt: skip
