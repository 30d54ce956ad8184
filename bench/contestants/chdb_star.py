"""The star by ClickHouse, run inside this process by chdb, written as Parquet.

python bench/contestants/chdb_star.py DATA OUT        makes OUT/TABLE.parquet
"""

from __future__ import annotations

import sys
from pathlib import Path

from chdb import session
from files import join_files

# nulls stand last in every ORDER BY of ClickHouse, whichever its direction
STAGED_SONGS = """
CREATE TABLE staged_songs ENGINE = Memory AS
SELECT
    clean(song_id) AS song_id, clean(title) AS title, clean(artist_id) AS artist_id, nullIf(year, 0) AS year, duration,
    clean(artist_name) AS artist_name, clean(artist_location) AS location, artist_latitude AS latitude,
    artist_longitude AS longitude
FROM file('{songs}', JSONEachRow, 'artist_id Nullable(String), artist_latitude Nullable(Float64),
    artist_longitude Nullable(Float64), artist_location Nullable(String), artist_name Nullable(String),
    song_id Nullable(String), title Nullable(String), duration Nullable(Float64), year Nullable(Int64)')
"""
STAGED_EVENTS = """
CREATE TABLE staged_events ENGINE = Memory AS
SELECT
    clean(page) = 'NextSong' AS is_play, ts, toInt64OrNull(clean(userId)) AS user_id,
    ifNull(clean(userId), '') AS user_text, clean(firstName) AS first_name, clean(lastName) AS last_name,
    clean(gender) AS gender, clean(level) AS level, sessionId AS session_id, itemInSession AS item_in_session,
    clean(location) AS location, clean(userAgent) AS user_agent, clean(song) AS title, clean(artist) AS artist_name,
    length AS duration
FROM file('{logs}', JSONEachRow, 'artist Nullable(String), firstName Nullable(String), gender Nullable(String),
    itemInSession Nullable(Int64), lastName Nullable(String), length Nullable(Float64), level Nullable(String),
    location Nullable(String), page Nullable(String), sessionId Nullable(Int64), song Nullable(String), ts Int64,
    userAgent Nullable(String), userId Nullable(String)')
"""
SETTINGS = (
    "SET join_use_nulls = 1",
    "SET input_format_skip_unknown_fields = 1",
    "CREATE OR REPLACE FUNCTION clean AS x -> nullIf(trim(BOTH ' ' FROM x), '')",
)
STAR = {
    "songs": """
SELECT song_id, title, artist_id, year, duration, artist_name
FROM staged_songs
ORDER BY song_id, isNull(year), title, artist_name, artist_id, year, duration
LIMIT 1 BY song_id
""",
    "artists": """
SELECT artist_id, artist_name AS name, location, latitude, longitude
FROM staged_songs
WHERE artist_id IS NOT NULL
ORDER BY artist_id, isNull(location), isNull(latitude) OR isNull(longitude), name, location, latitude, longitude
LIMIT 1 BY artist_id
""",
    "users": """
SELECT user_id, first_name, last_name, gender, level, fromUnixTimestamp64Milli(ts, 'UTC') AS last_seen
FROM staged_events
WHERE user_id IS NOT NULL
ORDER BY user_id, ts DESC, level, first_name, last_name, gender
LIMIT 1 BY user_id
""",
    "songplays": """
SELECT
    lower(hex(MD5(concat(toString(p.session_id), '|', toString(p.item_in_session), '|', p.user_text, '|',
        toString(p.ts))))) AS songplay_id,
    fromUnixTimestamp64Milli(p.ts, 'UTC') AS start_time, p.user_id AS user_id, p.level AS level, s.song_id AS song_id,
    s.artist_id AS artist_id, p.session_id AS session_id, p.location AS location, p.user_agent AS user_agent,
    p.item_in_session AS item_in_session, p.title AS title, p.artist_name AS artist_name, p.duration AS duration
FROM (SELECT * FROM staged_events WHERE is_play) AS p
LEFT JOIN songs AS s ON s.title = p.title AND s.artist_name = p.artist_name
ORDER BY
    p.session_id, p.item_in_session, p.user_text, p.ts, p.title, p.artist_name, p.duration, p.level, p.location,
    p.user_agent, abs(s.duration - p.duration), s.song_id
LIMIT 1 BY p.session_id, p.item_in_session, p.user_text, p.ts
""",
    "time": """
SELECT
    start_time, toHour(start_time) AS hour, toDayOfMonth(start_time) AS day, toISOWeek(start_time) AS week,
    toMonth(start_time) AS month, toYear(start_time) AS year, toDayOfWeek(start_time) % 7 AS weekday
FROM (SELECT DISTINCT start_time FROM songplays)
""",
}


def main() -> None:
    """Make the star."""
    data, out = (Path(argument) for argument in sys.argv[1:])
    clickhouse = session.Session()
    for statement in SETTINGS:
        clickhouse.query(statement)
    clickhouse.query(STAGED_SONGS.format(songs=join_files(data / "song_data", out / "songs.json")))
    clickhouse.query(STAGED_EVENTS.format(logs=f"{data}/log_data/**/*.json"))
    for table, choose in STAR.items():
        clickhouse.query(f"CREATE TABLE {table} ENGINE = Memory AS {choose}")
        clickhouse.query(f"SELECT * FROM {table} INTO OUTFILE '{out}/{table}.parquet' FORMAT Parquet")
    clickhouse.close()


if __name__ == "__main__":
    main()
