"""The temporary tables that some checks need: they are made before the first of these checks, and never kept."""

from __future__ import annotations

from string import Template

import sql_queries as q
from dwh.ownership.tables import columns_of
from star.load_queries import TOLD_PLAYS

_STAGED_AGAIN = """
EXISTS (
    SELECT 1
    FROM staged_plays AS s
    WHERE s.session_id = e.session_id AND s.item_in_session = e.item_in_session AND s.times > 1
)
"""

# Every play of staging by what makes its id, and how often it came; and what those said that came more than once. The
# id itself would cost three times as much; CHOOSE_STAR_AGAIN makes and compares it. A time that is none is NULL here:
# another check tells of it.
COUNT_STAGED_PLAYS = (
    """
CREATE TEMP TABLE staged_plays AS
SELECT session_id, item_in_session, user_id, MOMENT AS start_time, times
FROM (
    SELECT session_id, item_in_session, user_id, ts, COUNT(*) AS times
    FROM (
        SELECT
            e.session_id, e.item_in_session, USER_NUMBER AS user_id,
            CASE WHEN e.ts BETWEEN 100000000000 AND 99999999999999 THEN e.ts END AS ts
        FROM staging_events AS e
        WHERE TRIM(BOTH ' ' FROM e.page) = 'NextSong'
    ) AS p
    GROUP BY session_id, item_in_session, user_id, ts
) AS c
""".replace("USER_NUMBER", q.user_number("e.user_id")).replace("MOMENT", q.MOMENT),
    """
CREATE TEMP TABLE repeated_plays AS
SELECT
    songplay_id, session_id, item_in_session, title, artist_name, duration, level, location, user_agent,
    ROW_NUMBER() OVER (
        PARTITION BY songplay_id
        ORDER BY
            title ASC NULLS LAST, artist_name ASC NULLS LAST, duration ASC NULLS LAST, level ASC NULLS LAST,
            location ASC NULLS LAST, user_agent ASC NULLS LAST
    ) AS choice
FROM (
    SELECT DISTINCT
        songplay_id, session_id, item_in_session, title, artist_name, duration, level, location, user_agent
    FROM (TOLD_PLAYS) AS r
) AS d
""".replace("TOLD_PLAYS", TOLD_PLAYS.replace("CHOICE", _STAGED_AGAIN)),
)

OF_PLAYS = ("artist", "song", "length")  # events that are no play need not fill these
NEVER_EMPTY = ("page", "ts", "item_in_session", "song_id")  # a record that needs one and lacks it is refused

_COUNT_FILLED_EVENTS = Template("""
CREATE TEMP TABLE filled_events AS
SELECT
    file_id,
    COUNT(*) AS records,
    COUNT(CASE WHEN TRIM(BOTH ' ' FROM page) = 'NextSong' THEN 1 END) AS plays,
    $columns
FROM staging_events
GROUP BY file_id
""")
_COUNT_FILLED_SONGS = Template("""
CREATE TEMP TABLE filled_songs AS
SELECT
    file_id,
    COUNT(*) AS records,
    $columns
FROM staging_songs
GROUP BY file_id
""")


def _count_filled(statement: Template, table: str) -> str:
    """Make the statement that counts the records that fill each column; blank text fills none."""
    kinds = columns_of(q.STAGING[table])
    others = [column for column in kinds if column not in ("file_id", *OF_PLAYS, *NEVER_EMPTY)]
    counted = []
    for column in (*(column for column in OF_PLAYS if column in kinds), *others):
        filled = f"NULLIF(TRIM(BOTH ' ' FROM {column}), '')" if kinds[column].startswith("VARCHAR") else column
        if column in OF_PLAYS:
            filled = f"CASE WHEN TRIM(BOTH ' ' FROM page) = 'NextSong' THEN {filled} END"
        counted.append(f"COUNT({filled}) AS {column}")
    return statement.substitute(columns=",\n    ".join(counted))


# How many records of each file fill each column, where the columns of a song are those of plays.
COUNT_FILLED = (
    _count_filled(_COUNT_FILLED_EVENTS, "staging_events"),
    _count_filled(_COUNT_FILLED_SONGS, "staging_songs"),
)

# The star, chosen once more for all keys, beside the one that is there.
CHOOSE_STAR_AGAIN = (
    q.FIND_ALL_RIVALS,
    q.FIND_ALL_TIMES,
    *(
        Template("CREATE TEMP TABLE chosen_$table AS$choice").substitute(table=table, choice=choice)
        for table, choice in q.CHOOSE_ALL.items()
    ),
)
