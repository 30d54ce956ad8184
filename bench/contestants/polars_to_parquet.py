"""The star by Polars, lazy, written as Parquet.

python bench/contestants/polars_to_parquet.py DATA OUT        makes OUT/TABLE.parquet
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import polars as pl
from files import files_of, join_files

TEXT, INT, FLOAT = pl.String, pl.Int64, pl.Float64
SONG_KEYS = {
    "artist_id": TEXT,
    "artist_latitude": FLOAT,
    "artist_longitude": FLOAT,
    "artist_location": TEXT,
    "artist_name": TEXT,
    "song_id": TEXT,
    "title": TEXT,
    "duration": FLOAT,
    "year": INT,
}
EVENT_KEYS = {
    "artist": TEXT,
    "firstName": TEXT,
    "gender": TEXT,
    "itemInSession": INT,
    "lastName": TEXT,
    "length": FLOAT,
    "level": TEXT,
    "location": TEXT,
    "page": TEXT,
    "sessionId": INT,
    "song": TEXT,
    "ts": INT,
    "userAgent": TEXT,
    "userId": TEXT,
}
PLAY = ["session_id", "item_in_session", "user_text", "ts"]
PLAY_ORDER = ["title", "artist_name", "duration", "level", "location", "user_agent"]


def clean(name: str) -> pl.Expr:
    """Give a text without blanks around it; null when nothing is left."""
    text = pl.col(name).str.strip_chars(" ")
    return pl.when(text != "").then(text)


def best(frame: pl.LazyFrame, key: list[str], order: list[str | pl.Expr]) -> pl.LazyFrame:
    """Give the first row of each key, nulls last."""
    return frame.sort(order, nulls_last=True).unique(subset=key, keep="first", maintain_order=True)


def md5(texts: pl.Series) -> pl.Series:
    """Give the MD5 of each text: Polars itself has none."""
    return pl.Series([hashlib.md5(text.encode()).hexdigest() for text in texts.to_list()], dtype=pl.String)


def make_dimensions(staged: pl.LazyFrame, events: pl.LazyFrame) -> dict[str, pl.LazyFrame]:
    """Choose the songs, artists and users."""
    songs = best(
        staged, ["song_id"], [pl.col("year").is_null(), "title", "artist_name", "artist_id", "year", "duration"]
    )
    nowhere = pl.col("latitude").is_null() | pl.col("longitude").is_null()
    artists = staged.filter(pl.col("artist_id").is_not_null()).rename({"artist_name": "name"})
    users = events.filter(pl.col("user_id").is_not_null()).with_columns(age=-pl.col("ts"))
    return {
        "songs": songs.select("song_id", "title", "artist_id", "year", "duration", "artist_name"),
        "artists": best(
            artists,
            ["artist_id"],
            [pl.col("location").is_null(), nowhere, "name", "location", "latitude", "longitude"],
        ).select("artist_id", "name", "location", "latitude", "longitude"),
        "users": best(users, ["user_id"], ["age", "level", "first_name", "last_name", "gender"]).select(
            "user_id", "first_name", "last_name", "gender", "level", pl.from_epoch("ts", "ms").alias("last_seen")
        ),
    }


def make_songplays(events: pl.LazyFrame, songs: pl.LazyFrame) -> pl.DataFrame:
    """Choose the plays, and the song of each."""
    plays = best(events.filter(pl.col("is_play")), PLAY, [*PLAY_ORDER])
    known = songs.select("title", "artist_name", "song_id", "artist_id", song_duration="duration")
    matched = plays.join(known, on=["title", "artist_name"], how="left").with_columns(
        distance=(pl.col("song_duration") - pl.col("duration")).abs()
    )
    identity = pl.concat_str([pl.col(name).cast(pl.String) for name in PLAY], separator="|")
    return (
        best(matched, PLAY, ["distance", "song_id"])
        .select(
            identity.alias("songplay_id"),
            pl.from_epoch("ts", "ms").alias("start_time"),
            *("user_id", "level", "song_id", "artist_id", "session_id", "location", "user_agent"),
            *("item_in_session", "title", "artist_name", "duration"),
        )
        .collect()
        .with_columns(pl.col("songplay_id").map_batches(md5, return_dtype=pl.String))
    )


def main() -> None:
    """Make the star."""
    data, out = (Path(argument) for argument in sys.argv[1:])
    staged = pl.scan_ndjson(join_files(data / "song_data", out / "songs.json"), schema=SONG_KEYS).select(
        *(clean(name) for name in ("song_id", "title", "artist_id", "artist_name")),
        pl.when(pl.col("year") != 0).then("year"),
        "duration",
        location=clean("artist_location"),
        latitude="artist_latitude",
        longitude="artist_longitude",
    )
    events = pl.scan_ndjson(files_of(data / "log_data"), schema=EVENT_KEYS).select(
        "ts",
        is_play=clean("page") == "NextSong",
        user_id=clean("userId").cast(INT),
        user_text=clean("userId").fill_null(""),
        first_name=clean("firstName"),
        last_name=clean("lastName"),
        gender=clean("gender"),
        level=clean("level"),
        session_id="sessionId",
        item_in_session="itemInSession",
        location=clean("location"),
        user_agent=clean("userAgent"),
        title=clean("song"),
        artist_name=clean("artist"),
        duration="length",
    )
    # read once, not once for every table
    staged, events = staged.collect().lazy(), events.collect().lazy()
    star = {name: frame.collect() for name, frame in make_dimensions(staged, events).items()}
    star["songplays"] = make_songplays(events, star["songs"].lazy())
    at = pl.col("start_time").dt
    star["time"] = (
        star["songplays"]
        .select(pl.col("start_time").unique())
        .with_columns(
            hour=at.hour(),
            day=at.day(),
            week=at.week(),
            month=at.month(),
            year=at.year(),
            weekday=at.weekday() % 7,
        )
    )
    for name, frame in star.items():
        frame.write_parquet(out / f"{name}.parquet")


if __name__ == "__main__":
    main()
