"""The checks of this star: what sql_validate.py gates with, and report.py shows.

Each is one promise about the warehouse, and how it is seen broken; what a check is, and how it is run, is in
dwh/checks.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import sql_queries as q
from dwh.checks import Check, Finding, Run
from dwh.ownership.tables import columns_of
from dwh.sources.ledger import Entry, find_work
from dwh.terminal.errors import EnvironmentFailure
from dwh.terminal.wording import count
from star.matches import explain_unmatched

if TYPE_CHECKING:
    from dwh.seam import Session
    from dwh.settings.sections import Checks

SHOWN_ROWS = 3

LOAD = "python etl.py"
REBUILD = "python etl.py --rebuild"
RELOAD = "python create_tables.py --recreate     (then etl.py loads everything again)"


def find_unloaded(run: Run, session: Session) -> Finding | None:
    """Compare the listing of the sources with the ledger; None, and a note, when a source cannot be reached."""
    try:
        listings = run.list_sources()
    except EnvironmentFailure as error:
        run.console.note(f"not checked whether every file of the source is loaded: {error.message}")
        return None
    work = find_work(listings, [Entry(*row) for row in session.rows(q.SELECT_LEDGER)], run.locations)
    if work.vanished:
        gone = count(len(work.vanished), "file")
        run.console.note(f"{gone} gone from the source, rows kept: {work.vanished[0].path}")
    waiting = [("new" if file.replaces is None else "changed", file.source.path) for file in work.pending[:SHOWN_ROWS]]
    return Finding(work.already_loaded + len(work.pending), work.already_loaded, waiting)


def oldest_day(settings: Checks) -> Sequence[object]:
    """Give the day before which the last play is too old; while MAX_AGE_DAYS is off, the first day there is."""
    if settings.max_age_days is None:
        return (date.min,)
    return (datetime.now(UTC).date() - timedelta(days=settings.max_age_days),)


EVENTS_ARE_SOUND = Check(
    "staging_events: values are in range", "page, ts and the keys of a play are there, userId is whole or blank",
    q.CHECK_STAGING_EVENTS_VALUES, "file_id page ts user_id session_id item_in_session", "bad row", mend=RELOAD,
)  # fmt: skip
# In the order in which they run. To add one: its SQL at the end of sql_queries.py, an entry here, and a case in
# tests/test_sql_validate.py in which it is broken.
CHECKS = (
    Check(
        "dwh_warehouse: one row, of a known version", "it says that the warehouse is ours, and which tables it has",
        q.CHECK_WAREHOUSE, "rows schema_version", "wrong row", mend="python create_tables.py --recreate",
        parameters=lambda _settings: (q.SCHEMA_VERSION,),
    ),
    # source, ledger, staging: every record is accounted for
    Check(
        "loaded_files: every file of the source is loaded", "as it is now, by path and fingerprint",
        look=find_unloaded, shows="state path", mend=LOAD,
    ),
    Check(
        "loaded_files: records read = staged + rejected", "in each file",
        q.CHECK_READ, "path read staged rejected", balance=q.BALANCE_READ, mend=RELOAD,
    ),
    Check(
        "loaded_files: records staged are in staging", "of each file as many as the ledger says",
        q.CHECK_STAGED, "path ledger staging", balance=q.BALANCE_STAGED, mend=RELOAD,
    ),
    Check(
        "loaded_files: records rejected are in rejected_lines", "of each file as many as the ledger says",
        q.CHECK_REJECTED, "path ledger rejected_lines", balance=q.BALANCE_REJECTED, mend=RELOAD,
    ),
    Check(
        "loaded_files: one row for each file_id", "no file_id stands twice",
        q.CHECK_LOADED_FILES_ID, "file_id rows", "duplicate", mend=RELOAD,
    ),
    Check(
        "loaded_files: one row for each file", "no kind and path stand twice",
        q.CHECK_LOADED_FILES_PATH, "kind path rows", "duplicate", mend=RELOAD,
    ),
    Check(
        "loaded_files: values are in range", "status loaded or rejected, kind songs or events, counts from 0",
        q.CHECK_LOADED_FILES_VALUES, "path kind status read staged rejected", "bad row", mend=RELOAD,
    ),
    Check(
        "loaded_files: load_id is in loads", "every file came with a load that was recorded",
        q.CHECK_LOADED_FILES_LOAD, "path load_id", "orphan", mend=RELOAD,
    ),
    Check(
        "loads: one row for each load_id", "no load_id stands twice",
        q.CHECK_LOADS_KEY, "load_id rows", "duplicate", mend=RELOAD,
    ),
    Check(
        "loads: values are in range", "action load, rebuild or forget, counts from 0",
        q.CHECK_LOADS_VALUES, "load_id run_id action files records", "bad row", mend=RELOAD,
    ),
    Check(
        "staging_events: file_id is in loaded_files", "every staged event has its file",
        q.CHECK_STAGING_EVENTS_FILE, "file_id session_id item_in_session ts", "orphan", mend=RELOAD,
    ),
    EVENTS_ARE_SOUND,
    Check(
        "staging_songs: file_id is in loaded_files", "every staged song has its file",
        q.CHECK_STAGING_SONGS_FILE, "file_id song_id title", "orphan", mend=RELOAD,
    ),
    Check(
        "staging_songs: values are in range", "song_id is there",
        q.CHECK_STAGING_SONGS_VALUES, "file_id song_id title", "bad row", mend=RELOAD,
    ),
    Check(
        "rejected_lines: file_id is in loaded_files", "every rejected record has its file",
        q.CHECK_REJECTED_LINES_FILE, "file_id line_number reason", "orphan", mend=RELOAD,
    ),
    Check(
        "rejected_lines: no record was rejected", "warns up to [CHECKS] MAX_REJECTED, fails above",
        q.CHECK_REJECTED_RECORDS, "path line_number reason", "record", tolerated="max_rejected",
        mend="python etl.py     (once the files are fixed)",
    ),
    # the star, each table by itself
    Check(
        "songplays: every play has one row", "the plays of staging are the rows of songplays",
        q.CHECK_PLAYS, "difference songplay_id", balance=q.BALANCE_PLAYS, needs=q.COUNT_STAGED_PLAYS, mend=REBUILD,
    ),
    Check(
        "songplays: left out is only the same play again",
        "plays staged = rows of songplays + the same play again + other plays under the same key",
        balance=q.BALANCE_SAME_PLAY_AGAIN, needs=q.COUNT_STAGED_PLAYS, mend=REBUILD,
    ),
    Check(
        "songplays: one row for each songplay_id", "no songplay_id stands twice",
        q.CHECK_SONGPLAYS_KEY, "songplay_id rows", "duplicate", mend=REBUILD,
    ),
    Check(
        "songplays: values are in range", "songplay_id is an MD5; start_time, session_id, item_in_session are there",
        q.CHECK_SONGPLAYS_VALUES, "songplay_id start_time session_id item_in_session", "bad row", mend=REBUILD,
    ),
    Check(
        "songplays: user_id is in users", "where a play has one",
        q.CHECK_SONGPLAYS_USER, "songplay_id user_id", "orphan", mend=REBUILD,
    ),
    Check(
        "songplays: song_id is in songs", "where a play has one",
        q.CHECK_SONGPLAYS_SONG, "songplay_id song_id", "orphan", mend=REBUILD,
    ),
    Check(
        "songplays: artist_id is in artists", "where a play has one",
        q.CHECK_SONGPLAYS_ARTIST, "songplay_id artist_id", "orphan", mend=REBUILD,
    ),
    Check(
        "users: one row for each user_id", "no user_id stands twice",
        q.CHECK_USERS_KEY, "user_id rows", "duplicate", mend=REBUILD,
    ),
    Check(
        "users: values are in range", "user_id and last_seen are there",
        q.CHECK_USERS_VALUES, "user_id first_name last_name last_seen", "bad row", mend=REBUILD,
    ),
    Check(
        "songs: one row for each song_id", "no song_id stands twice",
        q.CHECK_SONGS_KEY, "song_id rows", "duplicate", mend=REBUILD,
    ),
    Check(
        "songs: values are in range", "song_id is there, an unknown year is NULL and not 0",
        q.CHECK_SONGS_VALUES, "song_id title year", "bad row", mend=REBUILD,
    ),
    Check(
        "songs: artist_id is in artists", "where a song has one",
        q.CHECK_SONGS_ARTIST, "song_id artist_id", "orphan", mend=REBUILD,
    ),
    Check(
        "artists: one row for each artist_id", "no artist_id stands twice",
        q.CHECK_ARTISTS_KEY, "artist_id rows", "duplicate", mend=REBUILD,
    ),
    Check(
        "artists: values are in range", "artist_id is there",
        q.CHECK_ARTISTS_VALUES, "artist_id name", "bad row", mend=REBUILD,
    ),
    Check(
        "time: one row for each start_time", "no start_time stands twice",
        q.CHECK_TIME_KEY, "start_time rows", "duplicate", mend=REBUILD,
    ),
    Check(
        "time: values are in range", "hour 0-23, day 1-31, week 1-53, month 1-12, weekday 0-6",
        q.CHECK_TIME_VALUES, "start_time hour day week month year weekday", "bad row", mend=REBUILD,
    ),
    Check(
        "time: the start times of songplays, exactly", "none is missing, none is more",
        q.CHECK_TIMES, "difference start_time", balance=q.BALANCE_TIMES, mend=REBUILD,
    ),
    # what a person should look at, though nothing is broken
    Check(
        "star: no table is empty", "songplays, users, songs, artists",
        q.CHECK_EMPTY_TABLES, "table", "empty table", severity="warn", mend=LOAD,
    ),
    Check(
        "staging: every column is filled", "in files of 100 records and more, where most records of others fill it",
        q.CHECK_EMPTY_COLUMNS, "path key records", "empty column", needs=q.COUNT_FILLED, severity="warn",
    ),
    Check(
        "staging_events: every file has plays", "of those with 100 records and more",
        q.CHECK_FILES_WITHOUT_PLAYS, "path records", "file", needs=q.COUNT_FILLED, severity="warn",
    ),
    Check(
        "staging_events: a play is NextSong", "no page is NextSong but for case, blanks or other characters around it",
        q.CHECK_PAGES, "page events", "event", severity="warn",
    ),
    Check(
        "songplays: no other play under the same key",
        "same user, session, itemInSession and ts, yet another title, artist_name, duration, level, location or "
        "user_agent: one of them is the play, the others are left out",
        q.CHECK_OTHER_PLAYS,
        "songplay_id session_id item_in_session differs title artist_name kept_title kept_artist_name", "play",
        needs=q.COUNT_STAGED_PLAYS, severity="warn",
    ),
    Check(
        "songplays: every play has a user", "a play without one is kept, user_id NULL",
        q.CHECK_PLAYS_WITHOUT_USER, "songplay_id session_id start_time", "play", severity="warn",
    ),
    Check(
        "songplays: enough plays find their song", "at least the share [CHECKS] MIN_MATCH_RATIO; -v says why not",
        q.CHECK_MATCHES, "plays matched", balance=q.BALANCE_MATCHES, share=True, severity="warn",
        parameters=lambda settings: (settings.min_match_ratio,), explain=explain_unmatched,
    ),
    Check(
        "songplays: no day is missing", "between the first play and the last",
        q.CHECK_DAYS, "after before", balance=q.BALANCE_DAYS, severity="warn",
    ),
    Check(
        "songplays: the last play is young enough", "not older than [CHECKS] MAX_AGE_DAYS",
        q.CHECK_AGE, "last_play", "overdue day", severity="warn", parameters=oldest_day,
    ),
    Check(
        "songplays: text is encoded once", "title and artist_name are not UTF-8 encoded twice, which can match no song",
        q.CHECK_SONGPLAYS_ENCODING, "title artist_name plays", "play", severity="warn",
    ),
    Check(
        "songs: text is encoded once", "title and artist_name are not UTF-8 encoded twice, which can match no play",
        q.CHECK_SONGS_ENCODING, "song_id title artist_name", "song", severity="warn",
    ),
    Check(
        "levels: free or paid", "in songplays and users",
        q.CHECK_LEVELS, "table level rows", "row", severity="warn",
    ),
    # every row of the star against the row that staging gives
    Check(
        "songplays: the duration of all plays", "in 1/100,000 s, songplays against what staging gives",
        balance=q.BALANCE_DURATIONS, needs=q.CHOOSE_STAR_AGAIN, trusts=EVENTS_ARE_SOUND, mend=REBUILD,
    ),
    *(
        Check(
            f"{table}: the rows are what staging gives", "chosen again from staging and compared, both ways",
            statement, " ".join(("difference", *columns_of(q.STAR[table]))), "differing row",
            needs=q.CHOOSE_STAR_AGAIN, trusts=EVENTS_ARE_SOUND, mend=REBUILD,
        )
        for table, statement in q.CHECK_STAR.items()
    ),
)  # fmt: skip


def choose_quick(checks: Sequence[Check]) -> list[Check]:
    """Leave out the comparison of every row of the star with staging, which chooses the whole star once more."""
    return [check for check in checks if check.needs != q.CHOOSE_STAR_AGAIN]


def has_run(session: Session, run_id: str) -> bool:
    """Tell whether a run loaded into this warehouse."""
    return bool(session.rows(q.FIND_RUN, (run_id,)))
