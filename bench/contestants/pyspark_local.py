"""The star by Spark on this machine, written as Parquet.

python bench/contestants/pyspark_local.py DATA OUT        makes the folders OUT/TABLE.parquet; needs Java 17
"""

from __future__ import annotations

import sys
from pathlib import Path

from files import files_of, join_files
from pyspark.sql import DataFrame, SparkSession

SONG_KEYS = (
    "artist_id STRING, artist_latitude DOUBLE, artist_longitude DOUBLE, artist_location STRING, artist_name STRING,"
    " song_id STRING, title STRING, duration DOUBLE, year BIGINT"
)
EVENT_KEYS = (
    "artist STRING, firstName STRING, gender STRING, itemInSession BIGINT, lastName STRING, length DOUBLE,"
    " level STRING, location STRING, page STRING, sessionId BIGINT, song STRING, ts BIGINT, userAgent STRING,"
    " userId STRING"
)
STAGED = {
    "staged_songs": """
SELECT
    clean(song_id) AS song_id, clean(title) AS title, clean(artist_id) AS artist_id, nullif(year, 0) AS year, duration,
    clean(artist_name) AS artist_name, clean(artist_location) AS location, artist_latitude AS latitude,
    artist_longitude AS longitude
FROM song_lines
""",
    "staged_events": """
SELECT
    clean(page) = 'NextSong' AS is_play, ts, CAST(clean(userId) AS BIGINT) AS user_id,
    coalesce(clean(userId), '') AS user_text, clean(firstName) AS first_name, clean(lastName) AS last_name,
    clean(gender) AS gender, clean(level) AS level, sessionId AS session_id, itemInSession AS item_in_session,
    clean(location) AS location, clean(userAgent) AS user_agent, clean(song) AS title, clean(artist) AS artist_name,
    length AS duration
FROM event_lines
""",
}
STAR = {
    "songs": """
SELECT song_id, title, artist_id, year, duration, artist_name
FROM staged_songs
QUALIFY row_number() OVER (
    PARTITION BY song_id
    ORDER BY year IS NULL, title NULLS LAST, artist_name NULLS LAST, artist_id NULLS LAST, year NULLS LAST,
        duration NULLS LAST
) = 1
""",
    "artists": """
SELECT artist_id, artist_name AS name, location, latitude, longitude
FROM staged_songs
WHERE artist_id IS NOT NULL
QUALIFY row_number() OVER (
    PARTITION BY artist_id
    ORDER BY location IS NULL, latitude IS NULL OR longitude IS NULL, artist_name NULLS LAST, location NULLS LAST,
        latitude NULLS LAST, longitude NULLS LAST
) = 1
""",
    "users": """
SELECT user_id, first_name, last_name, gender, level, timestamp_millis(ts) AS last_seen
FROM staged_events
WHERE user_id IS NOT NULL
QUALIFY row_number() OVER (
    PARTITION BY user_id
    ORDER BY ts DESC, level NULLS LAST, first_name NULLS LAST, last_name NULLS LAST, gender NULLS LAST
) = 1
""",
    "songplays": """
SELECT
    md5(concat_ws('|', p.session_id, p.item_in_session, p.user_text, p.ts)) AS songplay_id,
    timestamp_millis(p.ts) AS start_time, p.user_id, p.level, s.song_id, s.artist_id, p.session_id, p.location,
    p.user_agent, p.item_in_session, p.title, p.artist_name, p.duration
FROM staged_events AS p
LEFT JOIN songs AS s ON s.title = p.title AND s.artist_name = p.artist_name
WHERE p.is_play
QUALIFY row_number() OVER (
    PARTITION BY p.session_id, p.item_in_session, p.user_text, p.ts
    ORDER BY p.title NULLS LAST, p.artist_name NULLS LAST, p.duration NULLS LAST, p.level NULLS LAST,
        p.location NULLS LAST, p.user_agent NULLS LAST, abs(s.duration - p.duration) NULLS LAST, s.song_id NULLS LAST
) = 1
""",
    "time": """
SELECT
    start_time, hour(start_time) AS hour, day(start_time) AS day, weekofyear(start_time) AS week,
    month(start_time) AS month, year(start_time) AS year, dayofweek(start_time) - 1 AS weekday
FROM (SELECT DISTINCT start_time FROM songplays)
""",
}


def start_spark() -> SparkSession:
    """Start Spark on two cores, without its web page."""
    settings = {
        "spark.driver.memory": "4g",
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    }
    builder = SparkSession.builder.master("local[2]").appName("star")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def main() -> None:
    """Make the star."""
    data, out = (Path(argument) for argument in sys.argv[1:])
    spark = start_spark()
    # Spark takes 15,000 files one by one, and no file of two objects: so it is given one file of lines too
    songs = join_files(data / "song_data", out / "songs.json")
    spark.read.schema(SONG_KEYS).json(songs).createOrReplaceTempView("song_lines")
    spark.read.schema(EVENT_KEYS).json(files_of(data / "log_data")).createOrReplaceTempView("event_lines")
    spark.sql("CREATE TEMPORARY FUNCTION clean(x STRING) RETURNS STRING RETURN nullif(trim(BOTH ' ' FROM x), '')")
    for name, query in STAGED.items():
        spark.sql(query).cache().createOrReplaceTempView(name)
    for name, query in STAR.items():
        save(spark.sql(query), name, out)
        spark.read.parquet(f"{out}/{name}.parquet").createOrReplaceTempView(name)
    gateway = spark.sparkContext._gateway
    spark.stop()
    # wait for the JVM, so that its time is counted with that of this process
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()


def save(table: DataFrame, name: str, out: Path) -> None:
    """Write a table as Parquet."""
    table.write.parquet(f"{out}/{name}.parquet")


if __name__ == "__main__":
    main()
