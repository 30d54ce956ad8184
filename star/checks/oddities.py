"""The checks of what a person should look at, though nothing is broken: they warn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from string import Template
from typing import TYPE_CHECKING

import sql_queries as q
from dwh.checks.check import Check
from dwh.checks.conditions import Condition, not_null
from dwh.checks.declare import every_row, with_defaults
from star.checks.fixes import LOAD
from star.checks.prepared import COUNT_FILLED, COUNT_STAGED_PLAYS, NEVER_EMPTY, OF_PLAYS
from star.matches import explain_unmatched

if TYPE_CHECKING:
    from dwh.settings.sections import Checks


def oldest_day(settings: Checks) -> Sequence[object]:
    """Give the day before which the newest play is too old; while MAX_AGE_DAYS is off, the first day there is."""
    if settings.max_age_days is None:
        return (date.min,)
    return (datetime.now(UTC).date() - timedelta(days=settings.max_age_days),)


EMPTY_TABLES = """
SELECT COUNT(*) OVER (), name
FROM (
    SELECT 'songplays' AS name, COUNT(*) AS lines FROM songplays
    UNION ALL
    SELECT 'users' AS name, COUNT(*) AS lines FROM users
    UNION ALL
    SELECT 'songs' AS name, COUNT(*) AS lines FROM songs
    UNION ALL
    SELECT 'artists' AS name, COUNT(*) AS lines FROM artists
) AS t
WHERE lines = 0
ORDER BY name ASC NULLS LAST
LIMIT 3
"""

# A column that no record of a file fills, and most records of the other files of its kind do: what a key in another
# spelling leads to. Small files say nothing.
_EMPTY_COLUMN = Template("""
    SELECT f.file_id, '$key' AS name, f.$rows AS records
    FROM $filled AS f
    CROSS JOIN (SELECT SUM($rows) AS records, SUM($column) AS filled FROM $filled) AS a
    WHERE f.$column = 0 AND f.records >= 100 AND f.$rows > 0
    AND a.filled * 2 > a.records - f.$rows
""")


def _empty_columns(filled: str, keys: Iterable[tuple[str, str]], rows: str) -> list[str]:
    return [_EMPTY_COLUMN.substitute(filled=filled, rows=rows, key=key, column=column) for key, column in keys]


EMPTY_COLUMNS = """
SELECT COUNT(*) OVER (), l.path, c.name, c.records
FROM (EMPTY_COLUMNS) AS c
LEFT JOIN loaded_files AS l ON l.file_id = c.file_id
ORDER BY l.path ASC NULLS LAST, c.name ASC NULLS LAST
LIMIT 3
""".replace(
    "EMPTY_COLUMNS",
    "    UNION ALL".join(
        (
            *_empty_columns("filled_events", (each for each in q.EVENT_KEYS.items() if each[1] in OF_PLAYS), "plays"),
            *_empty_columns(
                "filled_events",
                (each for each in q.EVENT_KEYS.items() if each[1] not in (*OF_PLAYS, *NEVER_EMPTY)),
                "records",
            ),
            *_empty_columns("filled_songs", (e for e in q.SONG_KEYS.items() if e[1] not in NEVER_EMPTY), "records"),
        )
    ),
)

FILES_WITHOUT_PLAYS = """
SELECT COUNT(*) OVER (), l.path, f.records
FROM filled_events AS f
LEFT JOIN loaded_files AS l ON l.file_id = f.file_id
WHERE f.records >= 100 AND f.plays = 0
ORDER BY l.path ASC NULLS LAST
LIMIT 3
"""

# Pages that would be plays but for upper and lower case, blanks and what is neither letter nor digit.
OTHER_SPELLINGS = """
SELECT CAST(SUM(events) OVER () AS BIGINT), page, events
FROM (
    SELECT page, COUNT(*) AS events
    FROM staging_events
    WHERE TRIM(BOTH ' ' FROM page) <> 'NextSong'
    GROUP BY page
) AS p
WHERE POSITION('nextsong' IN REPLACE(REPLACE(REPLACE(LOWER(page), ' ', ''), '_', ''), '-', '')) > 0
AND NOT REPLACE(REPLACE(REPLACE(REPLACE(LOWER(page), ' ', ''), '_', ''), '-', ''), 'nextsong', '')
~ '([0-9]|[^0-9])*[a-z0-9]([0-9]|[^0-9])*'
ORDER BY events DESC NULLS LAST, page ASC NULLS LAST
LIMIT 3
"""

# The second name of what is left out: what comes first by the order of CHOOSE_SONGPLAYS is the play, the rest is
# another play.
OTHER_PLAYS = """
SELECT
    COUNT(*) OVER (),
    o.songplay_id,
    o.session_id,
    o.item_in_session,
    CASE
        WHEN COALESCE(o.title, '') <> COALESCE(k.title, '') THEN 'title'
        WHEN COALESCE(o.artist_name, '') <> COALESCE(k.artist_name, '') THEN 'artist_name'
        WHEN COALESCE(o.duration, -1) <> COALESCE(k.duration, -1) THEN 'duration'
        WHEN COALESCE(o.level, '') <> COALESCE(k.level, '') THEN 'level'
        WHEN COALESCE(o.location, '') <> COALESCE(k.location, '') THEN 'location'
        ELSE 'user_agent'
    END,
    o.title,
    o.artist_name,
    k.title,
    k.artist_name
FROM repeated_plays AS o
JOIN repeated_plays AS k ON k.songplay_id = o.songplay_id AND k.choice = 1
WHERE o.choice > 1
ORDER BY o.songplay_id ASC NULLS LAST, o.choice ASC NULLS LAST
LIMIT 3
"""

TOO_FEW_MATCHES = """
SELECT COUNT(*) OVER (), plays, matched
FROM (SELECT COUNT(*) AS plays, COUNT(song_id) AS matched FROM songplays) AS p
WHERE matched < plays * CAST(%s AS DOUBLE PRECISION)
"""

COUNT_MATCHES = "SELECT COUNT(*), COUNT(song_id) FROM songplays"

GAPS = """
SELECT COUNT(*) OVER (), day, next_day
FROM (
    SELECT
        day,
        LEAD(day) OVER (
            ORDER BY day ASC NULLS LAST
        ) AS next_day
    FROM (SELECT DISTINCT CAST(start_time AS DATE) AS day FROM songplays) AS d
) AS n
WHERE next_day - day > 1
ORDER BY day ASC NULLS LAST
LIMIT 3
"""

COUNT_DAYS = """
SELECT COALESCE(MAX(day) - MIN(day) + 1, 0), COUNT(*)
FROM (SELECT DISTINCT CAST(start_time AS DATE) AS day FROM songplays) AS d
"""

# Led by the number of days that the newest play is too old.
NEWEST_PLAY_TOO_OLD = """
SELECT oldest - last_day, last_day
FROM (SELECT CAST(MAX(start_time) AS DATE) AS last_day, CAST(%s AS DATE) AS oldest FROM songplays) AS p
WHERE last_day < oldest
"""

OTHER_LEVELS = """
SELECT CAST(SUM(COUNT(*)) OVER () AS BIGINT), name, level, COUNT(*)
FROM (
    SELECT 'songplays' AS name, level FROM songplays
    UNION ALL
    SELECT 'users' AS name, level FROM users
) AS t
WHERE level NOT IN ('free', 'paid')
GROUP BY name, level
ORDER BY COUNT(*) DESC NULLS LAST, name ASC NULLS LAST, level ASC NULLS LAST
LIMIT 3
"""

# UTF-8 that was taken for Latin-1 and encoded once more: U+00C2 or U+00C3, then a character from U+0080 to U+00BF.
_GARBLED = "ASCII(SUBSTRING(COLUMN, NULLIF(POSITION('FIRST' IN COLUMN), 0) + 1, 1)) BETWEEN 128 AND 191"
GARBLED = "\nOR ".join(
    _GARBLED.replace("COLUMN", column).replace("FIRST", first) for column in ("title", "artist_name") for first in "ÃÂ"
)
NOT_GARBLED = Condition(("title", "artist_name"), GARBLED, "title and artist_name are not encoded twice")

GARBLED_PLAYS = """
SELECT CAST(SUM(COUNT(*)) OVER () AS BIGINT), title, artist_name, COUNT(*)
FROM songplays
WHERE GARBLED
GROUP BY title, artist_name
ORDER BY COUNT(*) DESC NULLS LAST, title ASC NULLS LAST, artist_name ASC NULLS LAST
LIMIT 3
""".replace("GARBLED", GARBLED)

CHECKS = with_defaults(
    (
        Check(
            "star: no table is empty", "songplays, users, songs and artists have rows",
            EMPTY_TABLES, "table", "empty table", fix=LOAD,
        ),
        Check(
            "staging: every column is filled",
            "in files of 100 records or more: a column that no record fills, though most records of the other files do",
            EMPTY_COLUMNS, "path key records", "empty column", needs=COUNT_FILLED,
        ),
        Check(
            "staging_events: every file has plays", "files of 100 records or more",
            FILES_WITHOUT_PLAYS, "path records", "file", needs=COUNT_FILLED,
        ),
        Check(
            "staging_events: NextSong has no other spelling",
            "an event is a play only if its page is exactly NextSong; other case or signs around it make it none",
            OTHER_SPELLINGS, "page events", "event",
        ),
        Check(
            "songplays: no other play under the same key",
            "plays with the same user, session, itemInSession and ts, but another title, artist_name, duration, level, "
            "location or user_agent: one is kept, the others are left out",
            OTHER_PLAYS,
            "songplay_id session_id item_in_session differs title artist_name kept_title kept_artist_name", "play",
            needs=COUNT_STAGED_PLAYS,
        ),
        every_row(
            "songplays", "every play has a user", not_null("user_id"),
            shows="songplay_id session_id start_time", order="start_time songplay_id",
        )._replace(what="a play without a user is kept, with user_id NULL", unit="play"),
        Check(
            "songplays: enough plays match a song", "at least the share [CHECKS] MIN_MATCH_RATIO; -v says why not",
            TOO_FEW_MATCHES, "plays matched", balance=COUNT_MATCHES, share=True,
            parameters=lambda settings: (settings.min_match_ratio,), explain=explain_unmatched,
        ),
        Check(
            "songplays: no day is missing", "from the first play to the last, every day has plays",
            GAPS, "after before", balance=COUNT_DAYS,
        ),
        Check(
            "songplays: the newest play is recent enough", "not older than [CHECKS] MAX_AGE_DAYS",
            NEWEST_PLAY_TOO_OLD, "last_play", "overdue day", parameters=oldest_day,
        ),
        Check(
            "songplays: no garbled text (encoded twice)",
            "a title or artist_name that was encoded twice, as BjÃ¶rk for Björk, matches no song",
            GARBLED_PLAYS, "title artist_name plays", "play",
        ),
        every_row("songs", "no garbled text (encoded twice)", NOT_GARBLED, shows="song_id title artist_name")._replace(
            what="a title or artist_name that was encoded twice, as BjÃ¶rk for Björk, matches no play", unit="song"
        ),
        Check(
            "levels: free or paid", "no other level in songplays and users",
            OTHER_LEVELS, "table level rows", "row",
        ),
    ),
    severity="warn",
)  # fmt: skip
