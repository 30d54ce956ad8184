"""The checks of the star, each table by itself: one row for each key, values in range, no reference into nothing."""

from __future__ import annotations

import sql_queries as q
from dwh.checks.check import Check
from dwh.checks.conditions import Condition, between, not_blank, not_equal, not_null
from dwh.checks.declarations import SameRows, rows_in
from dwh.checks.declare import equal, in_range, references, unique, with_defaults
from star.checks.fixes import REBUILD
from star.checks.prepared import COUNT_STAGED_PLAYS

KEY_OF_A_PLAY = ("session_id", "item_in_session", "user_id", "start_time")
PLAYS_THAT_DIFFER = """
SELECT
    COUNT(*) OVER (),
    CASE
        WHEN SUM(present) = 0 THEN 'missing from songplays'
        WHEN SUM(staged) = 0 THEN 'not in staging'
        ELSE 'more than one row'
    END,
    session_id, item_in_session, user_id, start_time
FROM (
    SELECT 1 AS staged, 0 AS present, session_id, item_in_session, user_id, start_time FROM staged_plays
    UNION ALL
    SELECT 0 AS staged, 1 AS present, session_id, item_in_session, user_id, start_time FROM songplays
) AS p
GROUP BY session_id, item_in_session, user_id, start_time
HAVING SUM(staged) <> 1 OR SUM(present) <> 1
ORDER BY session_id ASC NULLS LAST, item_in_session ASC NULLS LAST, start_time ASC NULLS LAST, user_id ASC NULLS LAST
LIMIT 3
"""

# What is left out between staged plays and songplays has one of two names, the same play again and another play under
# the same key: this counts the first, star/checks/oddities.py the second.
COUNT_SAME_PLAY_AGAIN = """
SELECT e.plays - e.keys - o.plays, e.plays - f.plays - o.plays
FROM (
    SELECT CAST(COALESCE(SUM(times), 0) AS BIGINT) AS plays, COUNT(*) AS keys
    FROM staged_plays
) AS e
CROSS JOIN (SELECT COUNT(*) AS plays FROM repeated_plays WHERE choice > 1) AS o
CROSS JOIN (SELECT COUNT(*) AS plays FROM songplays) AS f
"""

TIMES_THAT_DIFFER = """
SELECT
    COUNT(*) OVER (),
    CASE WHEN t.start_time IS NULL THEN 'missing from time' ELSE 'no play starts then' END,
    COALESCE(p.start_time, t.start_time)
FROM present_times AS p
FULL JOIN time AS t ON t.start_time = p.start_time
WHERE p.start_time IS NULL OR t.start_time IS NULL
ORDER BY COALESCE(p.start_time, t.start_time) ASC NULLS LAST
LIMIT 3
"""

HAS_THE_LENGTH_OF_AN_MD5 = Condition(
    ("songplay_id",),
    "songplay_id IS NULL OR OCTET_LENGTH(songplay_id) <> 32",
    "songplay_id has 32 bytes",
)

CHECKS = with_defaults(
    (
        equal(
            "songplays: every play has one row", "songplays has exactly one row for each play in staging",
            rows_in("staged_plays"), rows_in("songplays"), PLAYS_THAT_DIFFER,
            " ".join(("difference", *KEY_OF_A_PLAY)),
        )._replace(needs=COUNT_STAGED_PLAYS, glance=SameRows("staged_plays", "songplays", KEY_OF_A_PLAY)),
        Check(
            "songplays: only repeated plays were left out",
            "plays in staging = rows of songplays + repeated plays + other plays under the same key",
            balance=COUNT_SAME_PLAY_AGAIN, needs=COUNT_STAGED_PLAYS,
        ),
        unique("songplays", "songplay_id"),
        in_range(
            "songplays",
            HAS_THE_LENGTH_OF_AN_MD5, not_null("start_time", "session_id", "item_in_session"),
            shows="songplay_id start_time session_id item_in_session",
        ),
        references("songplays", "user_id", "users", shows="songplay_id user_id", optional=True),
        references("songplays", "song_id", "songs", shows="songplay_id song_id", optional=True),
        references("songplays", "artist_id", "artists", shows="songplay_id artist_id", optional=True),
        unique("users", "user_id"),
        in_range("users", not_null("user_id", "last_seen"), shows="user_id first_name last_name last_seen"),
        unique("songs", "song_id"),
        in_range("songs", not_blank("song_id"), not_equal("year", 0), shows="song_id title year"),
        references("songs", "artist_id", "artists", shows="song_id artist_id", optional=True),
        unique("artists", "artist_id"),
        in_range("artists", not_blank("artist_id"), shows="artist_id name", order="name"),
        unique("time", "start_time"),
        in_range(
            "time",
            not_null("start_time", "year"), between("hour", 0, 23), between("day", 1, 31), between("week", 1, 53),
            between("month", 1, 12), between("weekday", 0, 6),
            shows="start_time hour day week month year weekday",
        ),
        equal(
            "time: exactly the start times of songplays", "no start time is missing, and none is extra",
            rows_in("present_times"), rows_in("time"), TIMES_THAT_DIFFER, "difference start_time",
        )._replace(needs=(q.FIND_ALL_TIMES,), glance=SameRows("present_times", "time", ("start_time",))),
    ),
    fix=REBUILD,
)  # fmt: skip
