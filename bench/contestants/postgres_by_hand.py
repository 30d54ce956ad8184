"""The same star by hand, for bench/postgres.py: COPY the lines, cast the JSON, insert set by set.

python bench/contestants/postgres_by_hand.py HOST PORT USER DATABASE DATA
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
from files import one_object_a_line

COPY = r"COPY lines FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')"

TABLES = """
CREATE SCHEMA by_hand;
SET search_path TO by_hand;
SET timezone TO 'UTC';
SET work_mem TO '128MB';
CREATE TABLE staging_events (
    artist text, auth text, first_name text, gender text, item_in_session bigint, last_name text,
    length double precision, level text, location text, method text, page text, registration double precision,
    session_id bigint, song text, status bigint, ts bigint, user_agent text, user_id text
);
CREATE TABLE staging_songs (
    num_songs bigint, artist_id text, artist_latitude double precision, artist_longitude double precision,
    artist_location text, artist_name text, song_id text, title text, duration double precision, year bigint
);
CREATE TABLE songplays (
    songplay_id varchar(32), start_time timestamp, user_id bigint, level text, song_id text, artist_id text,
    session_id bigint, location text, user_agent text, item_in_session bigint, title text, artist_name text,
    duration double precision
);
CREATE TABLE users (
    user_id bigint, first_name text, last_name text, gender text, level text, last_seen timestamp
);
CREATE TABLE songs (
    song_id text, title text, artist_id text, year bigint, duration double precision, artist_name text
);
CREATE TABLE artists (
    artist_id text, name text, location text, latitude double precision, longitude double precision
);
CREATE TABLE time (start_time timestamp, hour int, day int, week int, month int, year int, weekday int);
CREATE TEMP TABLE lines (line text);
"""

SONGS = """
INSERT INTO staging_songs
SELECT r.*
FROM lines, json_to_record(line::json) AS r(
    num_songs bigint, artist_id text, artist_latitude double precision, artist_longitude double precision,
    artist_location text, artist_name text, song_id text, title text, duration double precision, year bigint
);
TRUNCATE lines;
ANALYZE staging_songs;
INSERT INTO songs
SELECT DISTINCT ON (song_id) song_id, title, artist_id, year, duration, artist_name
FROM (
    SELECT
        btrim(song_id) AS song_id, nullif(btrim(title), '') AS title, nullif(btrim(artist_id), '') AS artist_id,
        nullif(year, 0) AS year, duration, nullif(btrim(artist_name), '') AS artist_name
    FROM staging_songs
) AS s
ORDER BY song_id, year IS NULL, title, artist_name, artist_id, year, duration;
INSERT INTO artists
SELECT DISTINCT ON (artist_id) artist_id, name, location, latitude, longitude
FROM (
    SELECT
        nullif(btrim(artist_id), '') AS artist_id, nullif(btrim(artist_name), '') AS name,
        nullif(btrim(artist_location), '') AS location, artist_latitude AS latitude, artist_longitude AS longitude
    FROM staging_songs
) AS a
WHERE artist_id IS NOT NULL
ORDER BY artist_id, location IS NULL, latitude IS NULL OR longitude IS NULL, name, location, latitude, longitude;
ANALYZE songs;
"""

EVENTS = """
INSERT INTO staging_events
SELECT r.*
FROM lines, json_to_record(line::json) AS r(
    artist text, auth text, "firstName" text, gender text, "itemInSession" bigint, "lastName" text,
    length double precision, level text, location text, method text, page text, registration double precision,
    "sessionId" bigint, song text, status bigint, ts bigint, "userAgent" text, "userId" text
);
DROP TABLE lines;
ANALYZE staging_events;
INSERT INTO users
SELECT DISTINCT ON (user_id)
    user_id, first_name, last_name, gender, level, timestamp 'epoch' + ts * interval '1 millisecond'
FROM (
    SELECT
        nullif(btrim(user_id), '')::bigint AS user_id, nullif(btrim(first_name), '') AS first_name,
        nullif(btrim(last_name), '') AS last_name, nullif(btrim(gender), '') AS gender,
        nullif(btrim(level), '') AS level, ts
    FROM staging_events
) AS u
WHERE user_id IS NOT NULL
ORDER BY user_id, ts DESC, level, first_name, last_name, gender;
INSERT INTO songplays
WITH play AS (
    SELECT DISTINCT ON (songplay_id) *
    FROM (
        SELECT
            md5(session_id || '|' || item_in_session || '|' || coalesce(btrim(user_id), '') || '|' || ts)
                AS songplay_id,
            timestamp 'epoch' + ts * interval '1 millisecond' AS start_time,
            nullif(btrim(user_id), '')::bigint AS user_id, nullif(btrim(level), '') AS level, session_id,
            nullif(btrim(location), '') AS location, nullif(btrim(user_agent), '') AS user_agent, item_in_session,
            nullif(btrim(song), '') AS title, nullif(btrim(artist), '') AS artist_name, length AS duration
        FROM staging_events
        WHERE btrim(page) = 'NextSong'
    ) AS e
    ORDER BY songplay_id, title, artist_name, duration, level, location, user_agent
)
SELECT DISTINCT ON (p.songplay_id)
    p.songplay_id, p.start_time, p.user_id, p.level, s.song_id, s.artist_id, p.session_id, p.location, p.user_agent,
    p.item_in_session, p.title, p.artist_name, p.duration
FROM play AS p
LEFT JOIN songs AS s ON s.title = p.title AND s.artist_name = p.artist_name
ORDER BY p.songplay_id, abs(s.duration - p.duration), s.song_id;
ANALYZE songplays;
INSERT INTO time
SELECT
    start_time, extract(hour FROM start_time), extract(day FROM start_time), extract(week FROM start_time),
    extract(month FROM start_time), extract(year FROM start_time), extract(dow FROM start_time)
FROM (SELECT DISTINCT start_time FROM songplays) AS t;
"""


class Lines(io.RawIOBase):
    """The lines of many files as one stream; a file that is not one object a line is parsed and written again."""

    def __init__(self, paths: Iterator[Path]) -> None:
        self._paths = paths
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        """Give the next bytes."""
        pieces, length = [self._rest], len(self._rest)
        while length < size and (path := next(self._paths, None)):
            pieces.append(one_object_a_line(path.read_bytes()))
            length += len(pieces[-1])
        data = b"".join(pieces)
        self._rest = data[size:]
        return data[:size]


def main() -> None:
    """Load everything in one transaction."""
    host, port, user, database, data = sys.argv[1:]
    connection = psycopg2.connect(host=host, port=port, user=user, dbname=database)
    with connection, connection.cursor() as cursor:
        cursor.execute(TABLES)
        for folder, statements in (("song_data", SONGS), ("log_data", EVENTS)):
            cursor.copy_expert(COPY, Lines(iter(sorted(Path(data, folder).rglob("*.json")))), 64 * 1024)
            cursor.execute(statements)
    connection.close()


if __name__ == "__main__":
    main()
