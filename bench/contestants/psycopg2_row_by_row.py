"""The star the way many first write it: json.loads, and one INSERT a row, through psycopg2 into PostgreSQL.

python bench/contestants/psycopg2_row_by_row.py HOST PORT USER DATABASE DATA        fills the schema row_by_row

Run on a part of the data, as it takes half an hour for a million events.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
from files import files_of, song_lines

TABLES = """
CREATE SCHEMA row_by_row;
CREATE TABLE row_by_row.songplays (
    songplay_id varchar(32) PRIMARY KEY, start_time timestamp, user_id bigint, level text, song_id text, artist_id text,
    session_id bigint, location text, user_agent text, item_in_session bigint, title text, artist_name text,
    duration double precision
);
CREATE TABLE row_by_row.users (
    user_id bigint PRIMARY KEY, first_name text, last_name text, gender text, level text, last_seen timestamp
);
CREATE TABLE row_by_row.songs (
    song_id text PRIMARY KEY, title text, artist_id text, year bigint, duration double precision, artist_name text
);
CREATE INDEX ON row_by_row.songs (title, artist_name);
CREATE TABLE row_by_row.artists (
    artist_id text PRIMARY KEY, name text, location text, latitude double precision, longitude double precision
);
CREATE TABLE row_by_row.time (
    start_time timestamp PRIMARY KEY, hour int, day int, week int, month int, year int, weekday int
);
SET search_path TO row_by_row;
"""
FIND_SONG = """
SELECT song_id, artist_id
FROM songs
WHERE title = %s AND artist_name = %s
ORDER BY abs(duration - %s) NULLS LAST, song_id
LIMIT 1
"""
# of each table: its columns, and what decides between two rows of one key, the first better one wins, nulls last
RULES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "songs": (
        ("song_id", "title", "artist_id", "year", "duration", "artist_name"),
        ("{0}.year IS NULL", "title", "artist_name", "artist_id", "year", "duration"),
    ),
    "artists": (
        ("artist_id", "name", "location", "latitude", "longitude"),
        (
            "{0}.location IS NULL",
            "({0}.latitude IS NULL OR {0}.longitude IS NULL)",
            "name",
            "location",
            "latitude",
            "longitude",
        ),
    ),
    "users": (
        ("user_id", "first_name", "last_name", "gender", "level", "last_seen"),
        ("-extract(epoch FROM {0}.last_seen)", "level", "first_name", "last_name", "gender"),
    ),
    "songplays": (
        (
            "songplay_id",
            "start_time",
            "user_id",
            "level",
            "song_id",
            "artist_id",
            "session_id",
            "location",
            "user_agent",
            "item_in_session",
            "title",
            "artist_name",
            "duration",
        ),
        ("title", "artist_name", "duration", "level", "location", "user_agent"),
    ),
    "time": (("start_time", "hour", "day", "week", "month", "year", "weekday"), ()),
}


def write_upsert(table: str) -> str:
    """Give the INSERT of one row: where there is one of this key, the better of the two stays."""
    columns, order = RULES[table]
    key, *rest = columns
    insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"
    if not order:
        return f"{insert} ON CONFLICT ({key}) DO NOTHING"
    new, old = (
        ", ".join(
            part.format(row) if "{" in part else f"{row}.{part} IS NULL, coalesce({row}.{part}, {empty(part)})"
            for part in order
        )
        for row in ("excluded", table)
    )
    changes = ", ".join(f"{column} = excluded.{column}" for column in rest)
    return f"{insert} ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE ({new}) < ({old})"


def empty(column: str) -> str:
    """Give what stands for a null, once nulls have been put last."""
    return "0" if column in ("year", "duration", "latitude", "longitude") else "''"


UPSERTS = {table: write_upsert(table) for table in RULES}


def clean(text: str | None) -> str | None:
    """Give a text without blanks around it; None when nothing is left."""
    return (text or "").strip(" ") or None


def read(lines: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """Give the records of lines."""
    for several in lines:
        for line in several.splitlines():
            yield json.loads(line)


def save_song(cursor: Any, song: dict[str, Any]) -> None:
    """Insert a song and its artist."""
    song_id, title, artist_id, name, location = (
        clean(song[key]) for key in ("song_id", "title", "artist_id", "artist_name", "artist_location")
    )
    cursor.execute(UPSERTS["songs"], (song_id, title, artist_id, song["year"] or None, song["duration"], name))
    if artist_id:
        place = song["artist_latitude"], song["artist_longitude"]
        cursor.execute(UPSERTS["artists"], (artist_id, name, location, *place))


def save_event(cursor: Any, event: dict[str, Any]) -> None:
    """Insert the user of an event, and the play it may be."""
    at = datetime(1970, 1, 1) + timedelta(milliseconds=event["ts"])
    user, level = clean(event["userId"]), clean(event["level"])
    if user:
        person = (clean(event[key]) for key in ("firstName", "lastName", "gender"))
        cursor.execute(UPSERTS["users"], (int(user), *person, level, at))
    if clean(event["page"]) != "NextSong":
        return
    week, weekday = at.isocalendar()[1], at.isoweekday() % 7
    cursor.execute(UPSERTS["time"], (at, at.hour, at.day, week, at.month, at.year, weekday))
    title, artist, length = clean(event["song"]), clean(event["artist"]), event["length"]
    cursor.execute(FIND_SONG, (title, artist, length))
    song_id, artist_id = cursor.fetchone() or (None, None)
    session, item = event["sessionId"], event["itemInSession"]
    play = hashlib.md5(f"{session}|{item}|{user or ''}|{event['ts']}".encode()).hexdigest()
    place, agent = clean(event["location"]), clean(event["userAgent"])
    row = (play, at, user and int(user), level, song_id, artist_id, session, place, agent, item, title, artist, length)
    cursor.execute(UPSERTS["songplays"], row)


def main() -> None:
    """Insert songs, then events; commit after each file."""
    host, port, user, database, data = sys.argv[1:]
    connection = psycopg2.connect(host=host, port=port, user=user, dbname=database)
    cursor = connection.cursor()
    cursor.execute(TABLES)
    for lines in song_lines(Path(data, "song_data")):
        for song in read(iter([lines])):
            save_song(cursor, song)
        connection.commit()
    for path in files_of(Path(data, "log_data")):
        with open(path, "rb") as file:
            for event in read(file):
                save_event(cursor, event)
        connection.commit()
    connection.close()


if __name__ == "__main__":
    main()
