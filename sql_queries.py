"""Every table and every statement of the suite: one text for DuckDB, PostgreSQL and Amazon Redshift.

This is the file a data person edits. When a statement of the star changes, the next etl.py notices and rebuilds the
star from staging.
A new column of a star table is added by create_tables.py; a new column of staging needs create_tables.py --recreate.

Rules of the portable text: explicit VARCHAR lengths (bytes on Redshift), ROW_NUMBER in a derived table instead of
DISTINCT ON,
delete and insert instead of upsert, NULLS LAST written out, TRIM(BOTH ' ' FROM x), no division of integers, no
TRUNCATE (it commits on Redshift),
no clock (times are bound from Python), values by parameter (%s), and neither a percent sign nor a question mark
anywhere else. No ^ and no $ in a pattern of ~ (they match at every line on Redshift), and no cast that needs a
condition beside it (it may run first): what is cast is text that is NULL unless it can be.
"""

# --------------------------------------------------------------------------------------------------------------- tables
# One column a line: create_tables.py reads names and types from here to find out which columns are new.

# One row per play. The columns after user_agent keep what the event said, so a play the catalogue does not know can
# still be named.
CREATE_SONGPLAYS = """
CREATE TABLE IF NOT EXISTS songplays (
    songplay_id VARCHAR(32) NOT NULL,
    start_time TIMESTAMP NOT NULL,
    user_id BIGINT,
    level VARCHAR(64),
    song_id VARCHAR(64),
    artist_id VARCHAR(64),
    session_id BIGINT NOT NULL,
    location VARCHAR(1024),
    user_agent VARCHAR(4096),
    item_in_session BIGINT NOT NULL,
    title VARCHAR(1024),
    artist_name VARCHAR(1024),
    duration DOUBLE PRECISION
)
"""

# One row per user: the whole row of the latest event.
CREATE_USERS = """
CREATE TABLE IF NOT EXISTS users (
    user_id BIGINT NOT NULL,
    first_name VARCHAR(256),
    last_name VARCHAR(256),
    gender VARCHAR(16),
    level VARCHAR(64),
    last_seen TIMESTAMP NOT NULL
)
"""

# One row per song; artist_name is the artist as credited on this song, and plays are matched by it.
CREATE_SONGS = """
CREATE TABLE IF NOT EXISTS songs (
    song_id VARCHAR(64) NOT NULL,
    title VARCHAR(1024),
    artist_id VARCHAR(64),
    year BIGINT,
    duration DOUBLE PRECISION,
    artist_name VARCHAR(1024)
)
"""

CREATE_ARTISTS = """
CREATE TABLE IF NOT EXISTS artists (
    artist_id VARCHAR(64) NOT NULL,
    name VARCHAR(1024),
    location VARCHAR(1024),
    latitude DOUBLE PRECISION,
    longitude DOUBLE PRECISION
)
"""

# The start times of songplays, exactly; UTC, ISO week, weekday 0 = Sunday.
CREATE_TIME = """
CREATE TABLE IF NOT EXISTS time (
    start_time TIMESTAMP NOT NULL,
    hour INTEGER NOT NULL,
    day INTEGER NOT NULL,
    week INTEGER NOT NULL,
    month INTEGER NOT NULL,
    year INTEGER NOT NULL,
    weekday INTEGER NOT NULL
)
"""

# Every event as it came, with the file that brought it. ts is in milliseconds since 1970, UTC.
CREATE_STAGING_EVENTS = """
CREATE TABLE IF NOT EXISTS staging_events (
    file_id BIGINT NOT NULL,
    artist VARCHAR(1024),
    auth VARCHAR(64),
    first_name VARCHAR(256),
    gender VARCHAR(16),
    item_in_session BIGINT,
    last_name VARCHAR(256),
    length DOUBLE PRECISION,
    level VARCHAR(64),
    location VARCHAR(1024),
    method VARCHAR(16),
    page VARCHAR(64) NOT NULL,
    registration DOUBLE PRECISION,
    session_id BIGINT,
    song VARCHAR(1024),
    status BIGINT,
    ts BIGINT NOT NULL,
    user_agent VARCHAR(4096),
    user_id VARCHAR(64)
)
"""

# Every song record as it came, with the file that brought it.
CREATE_STAGING_SONGS = """
CREATE TABLE IF NOT EXISTS staging_songs (
    file_id BIGINT NOT NULL,
    num_songs BIGINT,
    artist_id VARCHAR(64),
    artist_latitude DOUBLE PRECISION,
    artist_longitude DOUBLE PRECISION,
    artist_location VARCHAR(1024),
    artist_name VARCHAR(1024),
    song_id VARCHAR(64) NOT NULL,
    title VARCHAR(1024),
    duration DOUBLE PRECISION,
    year BIGINT
)
"""

# The ledger: a file is in it if and only if its rows are in staging. status: loaded, or rejected (could not be read
# at all).
CREATE_LOADED_FILES = """
CREATE TABLE IF NOT EXISTS loaded_files (
    file_id BIGINT NOT NULL,
    kind VARCHAR(16) NOT NULL,
    path VARCHAR(4096) NOT NULL,
    fingerprint VARCHAR(256) NOT NULL,
    records_read BIGINT NOT NULL,
    staged BIGINT NOT NULL,
    rejected BIGINT NOT NULL,
    status VARCHAR(16) NOT NULL,
    load_id BIGINT NOT NULL,
    loaded_at TIMESTAMP NOT NULL
)
"""

# One row per committed load; action: load, rebuild or forget.
CREATE_LOADS = """
CREATE TABLE IF NOT EXISTS loads (
    load_id BIGINT NOT NULL,
    run_id VARCHAR(64) NOT NULL,
    action VARCHAR(16) NOT NULL,
    loaded_at TIMESTAMP NOT NULL,
    seconds DOUBLE PRECISION NOT NULL,
    files BIGINT NOT NULL,
    records BIGINT NOT NULL,
    statements_sha256 VARCHAR(64) NOT NULL
)
"""

# Records that were set aside (ON_BAD_LINE = quarantine). line_number is NULL when the whole file could not be read.
CREATE_REJECTED_LINES = """
CREATE TABLE IF NOT EXISTS rejected_lines (
    file_id BIGINT NOT NULL,
    line_number BIGINT,
    reason VARCHAR(1024) NOT NULL,
    line VARCHAR(65535)
)
"""

# What marks a warehouse as ours: one row, written when create_tables.py makes the tables. Only where it stands are
# tables made, filled and dropped. No IF NOT EXISTS: of two create_tables.py at once the second ends here, and is busy.
SCHEMA_VERSION = 1
CREATE_DWH_WAREHOUSE = """
CREATE TABLE dwh_warehouse (
    schema_version BIGINT NOT NULL,
    made_by VARCHAR(64) NOT NULL,
    made_at TIMESTAMP NOT NULL
)
"""
INSERT_WAREHOUSE = "INSERT INTO dwh_warehouse (schema_version, made_by, made_at) VALUES (%s, %s, %s)"

# Led by the number of rows. It names every column, so that a table of that name which is not ours is an error.
SELECT_WAREHOUSE = """
SELECT COUNT(*), MAX(schema_version), MAX(made_by), MAX(made_at)
FROM dwh_warehouse
"""

# Version 0.1 made no dwh_warehouse: a warehouse of its is known by these two tables, with these columns and no others.
# They stay as they are here when the tables of today change.
TABLES_OF_0_1 = {
    "loaded_files": {
        "file_id": "BIGINT",
        "kind": "VARCHAR(16)",
        "path": "VARCHAR(4096)",
        "fingerprint": "VARCHAR(256)",
        "records_read": "BIGINT",
        "staged": "BIGINT",
        "rejected": "BIGINT",
        "status": "VARCHAR(16)",
        "load_id": "BIGINT",
        "loaded_at": "TIMESTAMP",
    },
    "loads": {
        "load_id": "BIGINT",
        "run_id": "VARCHAR(64)",
        "action": "VARCHAR(16)",
        "loaded_at": "TIMESTAMP",
        "seconds": "DOUBLE PRECISION",
        "files": "BIGINT",
        "records": "BIGINT",
        "statements_sha256": "VARCHAR(64)",
    },
}

LEDGER = {
    "dwh_warehouse": CREATE_DWH_WAREHOUSE,
    "loads": CREATE_LOADS,
    "loaded_files": CREATE_LOADED_FILES,
    "rejected_lines": CREATE_REJECTED_LINES,
}
STAGING = {"staging_events": CREATE_STAGING_EVENTS, "staging_songs": CREATE_STAGING_SONGS}
STAR = {
    "users": CREATE_USERS,
    "songs": CREATE_SONGS,
    "artists": CREATE_ARTISTS,
    "time": CREATE_TIME,
    "songplays": CREATE_SONGPLAYS,
}
TABLES = {**LEDGER, **STAGING, **STAR}

DROP_TABLES = (
    "DROP TABLE IF EXISTS songplays",
    "DROP TABLE IF EXISTS time",
    "DROP TABLE IF EXISTS artists",
    "DROP TABLE IF EXISTS songs",
    "DROP TABLE IF EXISTS users",
    "DROP TABLE IF EXISTS staging_songs",
    "DROP TABLE IF EXISTS staging_events",
    "DROP TABLE IF EXISTS rejected_lines",
    "DROP TABLE IF EXISTS loaded_files",
    "DROP TABLE IF EXISTS loads",
    "DROP TABLE IF EXISTS dwh_warehouse",
)

# ------------------------------------------------------------------------------------------------------------- incoming
# A load first lands in temporary tables, or passes as if through them, every value as text, so that types are judged by
# the rules below and alike on every engine.
# record_number, and in the careful way line_number, reason and record, are filled for files that were read record by
# record (see dwh/spool/records.py).

# JSON key -> column, in the order of the columns.
PROVENANCE_KEYS = {"dwh_file_id": "file_id", "dwh_record_number": "record_number"}
FAULT_KEYS = {
    "dwh_line_number": "line_number",
    "dwh_reason": "reason",
    "dwh_record": "record",
}
EVENT_KEYS = {
    "artist": "artist",
    "auth": "auth",
    "firstName": "first_name",
    "gender": "gender",
    "itemInSession": "item_in_session",
    "lastName": "last_name",
    "length": "length",
    "level": "level",
    "location": "location",
    "method": "method",
    "page": "page",
    "registration": "registration",
    "sessionId": "session_id",
    "song": "song",
    "status": "status",
    "ts": "ts",
    "userAgent": "user_agent",
    "userId": "user_id",
}
SONG_KEYS = {
    "num_songs": "num_songs",
    "artist_id": "artist_id",
    "artist_latitude": "artist_latitude",
    "artist_longitude": "artist_longitude",
    "artist_location": "artist_location",
    "artist_name": "artist_name",
    "song_id": "song_id",
    "title": "title",
    "duration": "duration",
    "year": "year",
}
FILE_KEYS = {
    "file_id": "file_id",
    "kind": "kind",
    "path": "path",
    "fingerprint": "fingerprint",
    "records_read": "records_read",
    "status": "status",
}

# What each column holds: text (the default), a whole number or a number. dwh/spool/records.py refuses objects by
# this, and writes other forms of a number as plain digits.
_A_WHOLE, _A_NUMBER = "a whole number", "a number"
NUMBERS = {
    "itemInSession": _A_WHOLE,
    "length": _A_NUMBER,
    "registration": _A_NUMBER,
    "sessionId": _A_WHOLE,
    "status": _A_WHOLE,
    "ts": _A_WHOLE,
    "userId": _A_WHOLE,
    "num_songs": _A_WHOLE,
    "artist_latitude": _A_NUMBER,
    "artist_longitude": _A_NUMBER,
    "duration": _A_NUMBER,
    "year": _A_WHOLE,
}

# Memory goes by these widths on Redshift: four bytes, one character, more than a value may have. COPY cuts a longer one
# there, and what is left of it is still too long for the rules below.
CREATE_INCOMING_EVENTS = """
CREATE TEMP TABLE incoming_events (
    file_id BIGINT,
    record_number BIGINT,
    artist VARCHAR(1028),
    auth VARCHAR(68),
    first_name VARCHAR(260),
    gender VARCHAR(20),
    item_in_session VARCHAR(68),
    last_name VARCHAR(260),
    length VARCHAR(132),
    level VARCHAR(68),
    location VARCHAR(1028),
    method VARCHAR(20),
    page VARCHAR(68),
    registration VARCHAR(132),
    session_id VARCHAR(68),
    song VARCHAR(1028),
    status VARCHAR(68),
    ts VARCHAR(68),
    user_agent VARCHAR(4100),
    user_id VARCHAR(68)
)
"""

CREATE_INCOMING_SONGS = """
CREATE TEMP TABLE incoming_songs (
    file_id BIGINT,
    record_number BIGINT,
    num_songs VARCHAR(68),
    artist_id VARCHAR(68),
    artist_latitude VARCHAR(132),
    artist_longitude VARCHAR(132),
    artist_location VARCHAR(1028),
    artist_name VARCHAR(1028),
    song_id VARCHAR(68),
    title VARCHAR(1028),
    duration VARCHAR(132),
    year VARCHAR(68)
)
"""

# What only the careful way needs: where a record stands, what is wrong with it, and its text.
WIDEN_INCOMING = (
    "ALTER TABLE incoming_songs ADD COLUMN line_number BIGINT",
    "ALTER TABLE incoming_songs ADD COLUMN reason VARCHAR(1024)",
    "ALTER TABLE incoming_songs ADD COLUMN record VARCHAR(65535)",
    "ALTER TABLE incoming_events ADD COLUMN line_number BIGINT",
    "ALTER TABLE incoming_events ADD COLUMN reason VARCHAR(1024)",
    "ALTER TABLE incoming_events ADD COLUMN record VARCHAR(65535)",
)

CREATE_INCOMING_FILES = """
CREATE TEMP TABLE incoming_files (
    file_id BIGINT,
    kind VARCHAR(16),
    path VARCHAR(4096),
    fingerprint VARCHAR(256),
    records_read BIGINT,
    status VARCHAR(16)
)
"""

# The forms of a number, in text. What stands here is refused alike by three readers of patterns: one looks for a match
# anywhere, one for a match of the whole text, and one takes every line for a text. So a pattern finds what does not
# belong, from the first character to the last.
_FOREIGN = "[0-9]*[^0-9]([0-9]|[^0-9])*"  # another character than a digit
# In a text with a point behind it: another character than digit or point, a point at the end, a second point.
_MISPLACED = "([0-9]|[^0-9])*([^0-9.]|[.][.]|[.][0-9]+[.][0-9]+[.])([0-9]|[^0-9])*"
_MOST, _LEAST = "9223372036854775807", "9223372036854775808"  # of signed 64 bits; the least without its sign


def _missing(column: str) -> str:
    """Tell that a value is NULL or blank, in a condition. Nearly none begins with a character up to the blank."""
    return f"({column} IS NULL OR ({column} < '!' AND TRIM(BOTH ' ' FROM {column}) = ''))"


def _digits(text: str, most: str = _MOST) -> str:
    """Tell that a text is a whole number without a sign that fits 64 bits, in a condition."""
    return f"""(OCTET_LENGTH({text}) BETWEEN 1 AND 19
        AND NOT {text} ~ '{_FOREIGN}'
        AND (OCTET_LENGTH({text}) < 19 OR {text} <= '{most}'))"""


def _whole(column: str) -> str:
    """Give a value as text that is a whole number of 64 bits in plain digits, else NULL.

    26.0 is 26 as far as a double keeps every digit. All other forms are written so by dwh/spool/records.py.
    """
    return f"""CASE
    WHEN OCTET_LENGTH({column}) BETWEEN 1 AND 18 AND NOT {column} ~ '{_FOREIGN}' THEN {column}
    WHEN {_digits(column)} THEN {column}
    WHEN OCTET_LENGTH({column}) BETWEEN 3 AND 17
        AND POSITION('.0' IN {column}) = OCTET_LENGTH({column}) - 1
        AND {_digits(f"REPLACE({column}, '.0', '')")}
        THEN REPLACE({column}, '.0', '')
    WHEN {column} >= '-' AND {column} < '.' AND {_digits(f"SUBSTRING({column} FROM 2)", _LEAST)} THEN {column}
END"""


def _number(column: str) -> str:
    """Give a value as text that is a number without an exponent, else NULL."""
    return f"""CASE
    WHEN OCTET_LENGTH({column}) BETWEEN 1 AND 128 AND {column} >= '0' AND NOT ({column} || '.') ~ '{_MISPLACED}'
        THEN {column}
    WHEN OCTET_LENGTH({column}) BETWEEN 2 AND 128 AND {column} >= '-' AND {column} < '.'
        AND SUBSTRING({column} FROM 2) >= '0' AND NOT (SUBSTRING({column} FROM 2) || '.') ~ '{_MISPLACED}'
        THEN {column}
END"""


def _refuse_whole(column: str, key: str) -> str:
    """Give the branch of the rules that refuses what is no whole number of 64 bits."""
    return f"""
    WHEN {column}_value IS NULL AND NOT {_missing(column)}
        THEN CASE
            WHEN OCTET_LENGTH({column}) BETWEEN 19 AND 64
                AND NOT CASE WHEN {column} < '.' THEN SUBSTRING({column} FROM 2) ELSE {column} END ~ '{_FOREIGN}'
                THEN '{key} is beyond 64 bits'
            ELSE '{key} is not a whole number'
        END"""


def _refuse_number(column: str, key: str) -> str:
    """Give the branch of the rules that refuses what is no number."""
    return f"""
    WHEN {column}_value IS NULL AND NOT {_missing(column)} THEN '{key} is not a number'"""


def _may_be_json(*columns: str) -> str:
    """Tell that a text begins as an object or a list does: only dwh/spool/records.py knows whether it is one.

    A file it has read has numbered records.
    """
    begins = " OR ".join(f"({column} >= '[' AND {column} < '|' AND ASCII({column}) IN (91, 123))" for column in columns)
    return f"record_number IS NULL AND ({begins})"


# The rules of a record: the first that is broken is its reason, NULL is the reason of a good one. They stand here once,
# for every engine. Milliseconds since 1970 have 12 to 14 digits from March 1973 to the year 5138: the same times
# have fewer as seconds, and more as microseconds and nanoseconds.
_NO_MILLISECONDS = f"""
        CASE
            WHEN {_missing("ts")} THEN 'ts is missing'
            WHEN ts >= '-' AND ts < '.' AND {_number("ts")} IS NOT NULL THEN 'ts is before 1970'
            WHEN ts_value >= 100000000000000000
                THEN 'ts looks like nanoseconds: milliseconds since 1970 are expected'
            WHEN ts_value >= 100000000000000
                THEN 'ts looks like microseconds: milliseconds since 1970 are expected'
            WHEN CAST({_number("ts")} AS DOUBLE PRECISION) < 100000000000
                THEN 'ts looks like seconds: milliseconds since 1970 are expected'
            WHEN OCTET_LENGTH(ts) BETWEEN 19 AND 64 AND NOT ts ~ '{_FOREIGN}'
                THEN 'ts is beyond 64 bits: milliseconds since 1970 are expected'
            ELSE 'ts is not a whole number of milliseconds'
        END
"""
_EVENT_FAULT = f"""
CASE
    WHEN {_missing("page")} THEN 'page is missing'
    WHEN ts_value IS NULL OR ts_value NOT BETWEEN 100000000000 AND 99999999999999 THEN {_NO_MILLISECONDS}
    {_refuse_whole("user_id", "userId")}
    WHEN user_id_value < 0 THEN 'userId is negative'
    {_refuse_whole("session_id", "sessionId")}
    {_refuse_whole("item_in_session", "itemInSession")}
    {_refuse_whole("status", "status")}
    {_refuse_number("length", "length")}
    {_refuse_number("registration", "registration")}
    WHEN session_id_value IS NULL AND TRIM(BOTH ' ' FROM page) = 'NextSong' THEN 'sessionId is missing on a play'
    WHEN item_in_session_value IS NULL AND TRIM(BOTH ' ' FROM page) = 'NextSong'
        THEN 'itemInSession is missing on a play'
    WHEN OCTET_LENGTH(artist) > 1024 THEN 'artist is longer than 1024 bytes'
    WHEN OCTET_LENGTH(auth) > 64 THEN 'auth is longer than 64 bytes'
    WHEN OCTET_LENGTH(first_name) > 256 THEN 'firstName is longer than 256 bytes'
    WHEN OCTET_LENGTH(gender) > 16 THEN 'gender is longer than 16 bytes'
    WHEN OCTET_LENGTH(last_name) > 256 THEN 'lastName is longer than 256 bytes'
    WHEN OCTET_LENGTH(level) > 64 THEN 'level is longer than 64 bytes'
    WHEN OCTET_LENGTH(location) > 1024 THEN 'location is longer than 1024 bytes'
    WHEN OCTET_LENGTH(method) > 16 THEN 'method is longer than 16 bytes'
    WHEN OCTET_LENGTH(page) > 64 THEN 'page is longer than 64 bytes'
    WHEN OCTET_LENGTH(song) > 1024 THEN 'song is longer than 1024 bytes'
    WHEN OCTET_LENGTH(user_agent) > 4096 THEN 'userAgent is longer than 4096 bytes'
    WHEN user_id_value IS NULL AND OCTET_LENGTH(user_id) > 64 THEN 'userId is longer than 64 bytes'
    WHEN {
    _may_be_json(
        "artist",
        "auth",
        "first_name",
        "gender",
        "last_name",
        "level",
        "location",
        "method",
        "page",
        "song",
        "user_agent",
    )
} THEN 'it has to be read record by record'
END
"""

_FAULTS = "line_number, reason, record,"  # columns of the careful way
# The records with each number twice: as text, and as the value it is (NULL: it is blank, or refused).
_EVENT_VALUES = f"""CAST({_whole("ts")} AS BIGINT) AS ts_value,
        CAST({_whole("user_id")} AS BIGINT) AS user_id_value,
        CAST({_whole("session_id")} AS BIGINT) AS session_id_value,
        CAST({_whole("item_in_session")} AS BIGINT) AS item_in_session_value,
        CAST({_whole("status")} AS BIGINT) AS status_value,
        CAST({_number("length")} AS DOUBLE PRECISION) AS length_value,
        CAST({_number("registration")} AS DOUBLE PRECISION) AS registration_value"""
_EVENTS_WITH_VALUES = """
    SELECT
        file_id, record_number, FAULTS artist, auth, first_name, gender, last_name, level, location, method, page, song,
        user_agent, ts, user_id, session_id, item_in_session, status, length, registration,
        VALUES
    FROM incoming_events
""".replace("VALUES", _EVENT_VALUES)

REFUSE_EVENTS = """
CREATE TEMP TABLE refused_events AS
SELECT file_id, record_number, line_number, reason, record
FROM (
    SELECT
        file_id,
        record_number,
        line_number,
        record,
        CASE WHEN reason IS NOT NULL THEN reason ELSE FAULT END AS reason
    FROM (RECORDS) AS r
) AS judged
WHERE reason IS NOT NULL
""".replace("FAULT", _EVENT_FAULT).replace("RECORDS", _EVENTS_WITH_VALUES.replace("FAULTS", _FAULTS))

_SONG_FAULT = f"""
CASE
    WHEN {_missing("song_id")} THEN 'song_id is missing'
    {_refuse_whole("num_songs", "num_songs")}
    {_refuse_whole("year", "year")}
    {_refuse_number("duration", "duration")}
    {_refuse_number("artist_latitude", "artist_latitude")}
    {_refuse_number("artist_longitude", "artist_longitude")}
    WHEN OCTET_LENGTH(artist_id) > 64 THEN 'artist_id is longer than 64 bytes'
    WHEN OCTET_LENGTH(artist_location) > 1024 THEN 'artist_location is longer than 1024 bytes'
    WHEN OCTET_LENGTH(artist_name) > 1024 THEN 'artist_name is longer than 1024 bytes'
    WHEN OCTET_LENGTH(song_id) > 64 THEN 'song_id is longer than 64 bytes'
    WHEN OCTET_LENGTH(title) > 1024 THEN 'title is longer than 1024 bytes'
    WHEN {_may_be_json("artist_id", "artist_location", "artist_name", "song_id", "title")}
        THEN 'it has to be read record by record'
END
"""

_SONG_VALUES = f"""CAST({_whole("num_songs")} AS BIGINT) AS num_songs_value,
        CAST({_whole("year")} AS BIGINT) AS year_value,
        CAST({_number("duration")} AS DOUBLE PRECISION) AS duration_value,
        CAST({_number("artist_latitude")} AS DOUBLE PRECISION) AS artist_latitude_value,
        CAST({_number("artist_longitude")} AS DOUBLE PRECISION) AS artist_longitude_value"""
_SONGS_WITH_VALUES = """
    SELECT
        file_id, record_number, FAULTS artist_id, artist_location, artist_name, song_id, title,
        num_songs, year, duration, artist_latitude, artist_longitude,
        VALUES
    FROM incoming_songs
""".replace("VALUES", _SONG_VALUES)

REFUSE_SONGS = """
CREATE TEMP TABLE refused_songs AS
SELECT file_id, record_number, line_number, reason, record
FROM (
    SELECT
        file_id,
        record_number,
        line_number,
        record,
        CASE WHEN reason IS NOT NULL THEN reason ELSE FAULT END AS reason
    FROM (RECORDS) AS r
) AS judged
WHERE reason IS NOT NULL
""".replace("FAULT", _SONG_FAULT).replace("RECORDS", _SONGS_WITH_VALUES.replace("FAULTS", _FAULTS))

# The first refused record of each kind, songs before events.
SELECT_FIRST_REFUSED = """
SELECT kind, path, line_number, reason, record
FROM (
    SELECT
        f.kind,
        f.path,
        r.line_number,
        r.reason,
        r.record,
        ROW_NUMBER() OVER (
            PARTITION BY f.kind
            ORDER BY f.path ASC, r.record_number ASC NULLS LAST
        ) AS choice
    FROM (
        SELECT file_id, record_number, line_number, reason, record FROM refused_songs
        UNION ALL
        SELECT file_id, record_number, line_number, reason, record FROM refused_events
    ) AS r
    JOIN incoming_files AS f ON f.file_id = r.file_id
) AS ranked
WHERE choice = 1
ORDER BY kind DESC NULLS LAST
"""

# Of each kind of this load: files, records, and how many of both are refused.
COUNT_REFUSED = """
SELECT
    f.kind,
    COUNT(*),
    CAST(SUM(f.records_read) AS BIGINT),
    COUNT(r.refused),
    CAST(COALESCE(SUM(r.refused), 0) AS BIGINT)
FROM incoming_files AS f
LEFT JOIN (
    SELECT file_id, COUNT(*) AS refused
    FROM (
        SELECT file_id FROM refused_songs
        UNION ALL
        SELECT file_id FROM refused_events
    ) AS u
    GROUP BY file_id
) AS r ON r.file_id = f.file_id
GROUP BY f.kind
"""

SELECT_LOADED_KINDS = "SELECT DISTINCT kind FROM loaded_files WHERE staged > 0"

# A refused record without a number: its file has to be read again, record by record, to say which one it is.
SELECT_FILES_TO_READ_AGAIN = """
SELECT DISTINCT file_id
FROM (
    SELECT file_id FROM refused_songs WHERE record_number IS NULL
    UNION ALL
    SELECT file_id FROM refused_events WHERE record_number IS NULL
) AS r
"""

# Files of which the engine loaded another number of records than were counted on the way in.
SELECT_MISCOUNTED_FILES = """
SELECT f.file_id, f.path, f.records_read, COALESCE(i.loaded, 0)
FROM incoming_files AS f
LEFT JOIN (
    SELECT file_id, COUNT(*) AS loaded FROM incoming_events GROUP BY file_id
    UNION ALL
    SELECT file_id, COUNT(*) AS loaded FROM incoming_songs GROUP BY file_id
) AS i ON i.file_id = f.file_id
WHERE f.records_read <> COALESCE(i.loaded, 0)
ORDER BY f.path ASC
"""

# The records of one file that no spool has counted, because the engine reads it by itself.
COUNT_INCOMING = {
    "songs": "SELECT COUNT(*) FROM incoming_songs WHERE file_id = %s",
    "events": "SELECT COUNT(*) FROM incoming_events WHERE file_id = %s",
}

QUARANTINE_RECORDS = (
    """
INSERT INTO rejected_lines (file_id, line_number, reason, line)
SELECT file_id, line_number, reason, record FROM refused_songs
""",
    """
INSERT INTO rejected_lines (file_id, line_number, reason, line)
SELECT file_id, line_number, reason, record FROM refused_events
""",
    """
DELETE FROM incoming_songs
WHERE EXISTS (
    SELECT 1
    FROM refused_songs AS r WHERE r.file_id = incoming_songs.file_id AND r.record_number = incoming_songs.record_number
)
""",
    """
DELETE FROM incoming_events
WHERE EXISTS (
    SELECT 1
    FROM refused_events AS r
    WHERE r.file_id = incoming_events.file_id AND r.record_number = incoming_events.record_number
)
""",
)

# -------------------------------------------------------------------------------------------------------------- staging

_STAGED = """
    SELECT file_id, COUNT(*) AS staged
    FROM staging_events
    WHERE file_id IN (SELECT file_id FROM incoming_files)
    GROUP BY file_id
    UNION ALL
    SELECT file_id, COUNT(*) AS staged
    FROM staging_songs
    WHERE file_id IN (SELECT file_id FROM incoming_files)
    GROUP BY file_id
"""

STAGE_EVENTS = """
INSERT INTO staging_events (
    file_id, artist, auth, first_name, gender, item_in_session, last_name, length, level, location,
    method, page, registration, session_id, song, status, ts, user_agent, user_id
)
SELECT
    file_id, artist, auth, first_name, gender, item_in_session_value, last_name, length_value, level, location,
    method, page, registration_value, session_id_value, song, status_value, ts_value, user_agent,
    CASE WHEN POSITION('.' IN user_id) > 0 THEN REPLACE(user_id, '.0', '') ELSE user_id END
FROM (RECORDS) AS r
""".replace("RECORDS", _EVENTS_WITH_VALUES.replace("FAULTS", ""))

STAGE_SONGS = """
INSERT INTO staging_songs (
    file_id, num_songs, artist_id, artist_latitude, artist_longitude, artist_location,
    artist_name, song_id, title, duration, year
)
SELECT
    file_id, num_songs_value, artist_id, artist_latitude_value, artist_longitude_value, artist_location,
    artist_name, song_id, title, duration_value, year_value
FROM (RECORDS) AS r
""".replace("RECORDS", _SONGS_WITH_VALUES.replace("FAULTS", ""))

# The same without looking at a bad record: enough when it turns out that there is none.
STAGE_GOOD_SONGS = STAGE_SONGS + f"WHERE ({_SONG_FAULT}) IS NULL"
STAGE_GOOD_EVENTS = STAGE_EVENTS + f"WHERE ({_EVENT_FAULT}) IS NULL"

# Files of which not every record that was read is staged.
SELECT_UNSTAGED_FILES = """
SELECT f.path
FROM incoming_files AS f
LEFT JOIN (STAGED) AS s ON s.file_id = f.file_id
WHERE f.records_read <> COALESCE(s.staged, 0)
""".replace("STAGED", _STAGED)

# The files whose rows leave: changed ones make room for their new version, forgotten ones for nothing.
CREATE_GOING_FILES = "CREATE TEMP TABLE going_files (file_id BIGINT)"

TOUCH_FILES = """
CREATE TEMP TABLE touched_files AS
SELECT file_id FROM incoming_files
UNION
SELECT file_id FROM going_files
"""

TOUCH_ALL_FILES = """
CREATE TEMP TABLE touched_files AS
SELECT file_id FROM loaded_files
"""

REMOVE_GOING_ROWS = (
    "DELETE FROM staging_songs WHERE file_id IN (SELECT file_id FROM going_files)",
    "DELETE FROM staging_events WHERE file_id IN (SELECT file_id FROM going_files)",
    "DELETE FROM rejected_lines WHERE file_id IN (SELECT file_id FROM going_files)",
    "DELETE FROM loaded_files WHERE file_id IN (SELECT file_id FROM going_files)",
)

# --------------------------------------------------------------------------------------------------------- touched keys
# The keys of the rows that come and of the rows that go. Staging holds both when these run.

TOUCH_SONGS = """
CREATE TEMP TABLE touched_songs AS
SELECT DISTINCT TRIM(BOTH ' ' FROM song_id) AS song_id
FROM staging_songs
WHERE file_id IN (SELECT file_id FROM touched_files)
"""

TOUCH_ARTISTS = """
CREATE TEMP TABLE touched_artists AS
SELECT DISTINCT TRIM(BOTH ' ' FROM artist_id) AS artist_id
FROM staging_songs
WHERE file_id IN (SELECT file_id FROM touched_files)
AND TRIM(BOTH ' ' FROM artist_id) <> ''
"""


def user_number(column: str) -> str:
    """Give the number of a user from staging, where it is text as it came, with zeros or blanks around it.

    Digits are judged by what is left when they are taken off: two thirds of the CPU of a pattern, of a short text.
    """
    trimmed = f"TRIM(BOTH ' ' FROM {column})"
    return f"""CAST(
        CASE
            WHEN OCTET_LENGTH({column}) BETWEEN 1 AND 18 AND OCTET_LENGTH(LTRIM({column}, '0123456789')) = 0
                THEN {column}
            WHEN {_digits(trimmed)} THEN {trimmed}
        END AS BIGINT
    )"""


TOUCH_USERS = """
CREATE TEMP TABLE touched_users AS
SELECT DISTINCT USER_NUMBER AS user_id
FROM (
    SELECT DISTINCT user_id
    FROM staging_events
    WHERE file_id IN (SELECT file_id FROM touched_files)
) AS written
WHERE TRIM(BOTH ' ' FROM user_id) <> ''
""".replace("USER_NUMBER", user_number("user_id"))

# A play is touched through its session and its place in it: of all that makes its songplay_id these two are enough to
# find every rival, and comparing them costs a tenth of an MD5 of every event.
TOUCH_PLAYS = """
CREATE TEMP TABLE touched_plays AS
SELECT DISTINCT session_id, item_in_session
FROM staging_events
WHERE file_id IN (SELECT file_id FROM touched_files)
AND TRIM(BOTH ' ' FROM page) = 'NextSong'
"""

# A song touches the plays that name it: as it stood in the star before the load ...
TOUCH_NAMES_BEFORE = """
CREATE TEMP TABLE touched_names AS
SELECT DISTINCT title, artist_name
FROM songs
WHERE song_id IN (SELECT song_id FROM touched_songs)
AND title IS NOT NULL
AND artist_name IS NOT NULL
"""

# ... and as it stands after: a new variant can change which one wins.
TOUCH_NAMES_AFTER = """
INSERT INTO touched_names (title, artist_name)
SELECT title, artist_name
FROM songs
WHERE song_id IN (SELECT song_id FROM touched_songs)
AND title IS NOT NULL
AND artist_name IS NOT NULL
"""

TOUCH_PLAYS_BY_NAME = """
INSERT INTO touched_plays (session_id, item_in_session)
SELECT p.session_id, p.item_in_session
FROM songplays AS p
WHERE EXISTS (SELECT 1 FROM touched_names AS n WHERE n.title = p.title AND n.artist_name = p.artist_name)
"""

# The records of touched plays: all of touched files, and those of other files that belong to a touched play. In this
# order, because a first load and a rebuild find all of them by the first condition, without comparing any key.
_OF_TOUCHED_FILES = "e.file_id IN (SELECT file_id FROM touched_files)"
_OF_OTHER_FILES = """
e.file_id NOT IN (SELECT file_id FROM touched_files)
AND EXISTS (
    SELECT 1 FROM touched_plays AS t WHERE t.session_id = e.session_id AND t.item_in_session = e.item_in_session
)
"""

# The touched plays that have a choice: they came in several records, or bear the names of several songs.
_PLAYED = """
    SELECT e.session_id, e.item_in_session, e.song, e.artist
    FROM staging_events AS e
    WHERE TRIM(BOTH ' ' FROM e.page) = 'NextSong' AND TOUCHED
"""
FIND_RIVAL_PLAYS = """
CREATE TEMP TABLE rival_plays AS
SELECT p.session_id, p.item_in_session, COUNT(*) AS records
FROM (OF_TOUCHED_FILES UNION ALL OF_OTHER_FILES) AS p
LEFT JOIN (
    SELECT title, artist_name
    FROM songs
    WHERE title IS NOT NULL AND artist_name IS NOT NULL
    GROUP BY title, artist_name
    HAVING COUNT(*) > 1
) AS n ON n.title = TRIM(BOTH ' ' FROM p.song) AND n.artist_name = TRIM(BOTH ' ' FROM p.artist)
GROUP BY p.session_id, p.item_in_session
HAVING COUNT(*) > 1 OR COUNT(n.title) > 0
""".replace("OF_TOUCHED_FILES", _PLAYED.replace("TOUCHED", _OF_TOUCHED_FILES)).replace(
    "OF_OTHER_FILES", _PLAYED.replace("TOUCHED", _OF_OTHER_FILES)
)

# The start times that plays may leave, before they do ...
TOUCH_TIMES_BEFORE = """
CREATE TEMP TABLE touched_times AS
SELECT DISTINCT start_time
FROM songplays
WHERE EXISTS (
    SELECT 1
    FROM touched_plays AS t
    WHERE t.session_id = songplays.session_id AND t.item_in_session = songplays.item_in_session
)
"""

# ... and those that the touched plays have after, or that other plays have at a time that touched ones left.
FIND_PRESENT_TIMES = """
CREATE TEMP TABLE present_times AS
SELECT start_time
FROM songplays
WHERE EXISTS (
    SELECT 1
    FROM touched_plays AS t
    WHERE t.session_id = songplays.session_id AND t.item_in_session = songplays.item_in_session
)
UNION
SELECT start_time FROM songplays WHERE start_time IN (SELECT start_time FROM touched_times)
"""

# ----------------------------------------------------------------------------------------------- choosing the star rows
# Which of several records wins is decided by content, whole record, with all output columns in the order so that no
# tie is left.
# etl.py inserts what these choose for the touched keys; sql_validate.py chooses for all keys and compares.

CHOOSE_SONGS = """
SELECT song_id, title, artist_id, year, duration, artist_name
FROM (
    SELECT
        c.song_id, c.title, c.artist_id, c.year, c.duration, c.artist_name,
        ROW_NUMBER() OVER (
            PARTITION BY c.song_id
            ORDER BY
                CASE WHEN c.year IS NULL THEN 1 ELSE 0 END ASC, c.title ASC NULLS LAST, c.artist_name ASC NULLS LAST,
                c.artist_id ASC NULLS LAST, c.year ASC NULLS LAST, c.duration ASC NULLS LAST
        ) AS choice
    FROM (
        SELECT
            TRIM(BOTH ' ' FROM song_id) AS song_id,
            NULLIF(TRIM(BOTH ' ' FROM title), '') AS title,
            NULLIF(TRIM(BOTH ' ' FROM artist_id), '') AS artist_id,
            NULLIF(year, 0) AS year,
            duration,
            NULLIF(TRIM(BOTH ' ' FROM artist_name), '') AS artist_name
        FROM staging_songs
        WHERE TRIM(BOTH ' ' FROM song_id) IN (SELECT song_id FROM touched_songs)
    ) AS c
) AS ranked
WHERE choice = 1
"""

CHOOSE_ARTISTS = """
SELECT artist_id, name, location, latitude, longitude
FROM (
    SELECT
        c.artist_id, c.name, c.location, c.latitude, c.longitude,
        ROW_NUMBER() OVER (
            PARTITION BY c.artist_id
            ORDER BY
                CASE WHEN c.location IS NULL THEN 1 ELSE 0 END ASC,
                CASE WHEN c.latitude IS NULL OR c.longitude IS NULL THEN 1 ELSE 0 END ASC,
                c.name ASC NULLS LAST, c.location ASC NULLS LAST, c.latitude ASC NULLS LAST, c.longitude ASC NULLS LAST
        ) AS choice
    FROM (
        SELECT
            TRIM(BOTH ' ' FROM artist_id) AS artist_id,
            NULLIF(TRIM(BOTH ' ' FROM artist_name), '') AS name,
            NULLIF(TRIM(BOTH ' ' FROM artist_location), '') AS location,
            artist_latitude AS latitude,
            artist_longitude AS longitude
        FROM staging_songs
        WHERE TRIM(BOTH ' ' FROM artist_id) IN (SELECT artist_id FROM touched_artists)
    ) AS c
) AS ranked
WHERE choice = 1
"""

# The record with the latest ts wins; only records that share it are ranked.
# start_time from whole days and whole milliseconds: exact on all three engines, where dividing or EXTRACT(EPOCH)
# drops milliseconds on one.
CHOOSE_USERS = """
SELECT
    user_id, first_name, last_name, gender, level,
    TIMESTAMP '1970-01-01 00:00:00' + CAST(FLOOR(ts / 86400000.0) AS INTEGER) * INTERVAL '1 day'
    + CAST(MOD(ts, 86400000) AS INTEGER) * INTERVAL '0.001 second' AS last_seen
FROM (
    SELECT
        c.user_id, c.first_name, c.last_name, c.gender, c.level, c.ts,
        ROW_NUMBER() OVER (
            PARTITION BY c.user_id
            ORDER BY
                c.level ASC NULLS LAST, c.first_name ASC NULLS LAST, c.last_name ASC NULLS LAST,
                c.gender ASC NULLS LAST
        ) AS choice
    FROM (
        SELECT
            USER_NUMBER AS user_id,
            NULLIF(TRIM(BOTH ' ' FROM first_name), '') AS first_name,
            NULLIF(TRIM(BOTH ' ' FROM last_name), '') AS last_name,
            NULLIF(TRIM(BOTH ' ' FROM gender), '') AS gender,
            NULLIF(TRIM(BOTH ' ' FROM level), '') AS level,
            ts
        FROM staging_events
        WHERE TRIM(BOTH ' ' FROM user_id) <> ''
    ) AS c
    JOIN (
        SELECT e.user_id, MAX(e.ts) AS ts
        FROM (
            SELECT USER_NUMBER AS user_id, ts
            FROM staging_events
            WHERE TRIM(BOTH ' ' FROM user_id) <> ''
        ) AS e
        WHERE e.user_id IN (SELECT user_id FROM touched_users)
        GROUP BY e.user_id
    ) AS latest ON latest.user_id = c.user_id AND latest.ts = c.ts
    WHERE c.user_id IN (SELECT user_id FROM touched_users)
) AS ranked
WHERE choice = 1
""".replace("USER_NUMBER", user_number("user_id"))

# The identity of a play: two events that share it are one play, told twice, or two plays under one key.
SONGPLAY_ID = """
    MD5(
        CAST(e.session_id AS VARCHAR(20)) || '|' || CAST(e.item_in_session AS VARCHAR(20)) || '|'
        || COALESCE(CAST(USER_NUMBER AS VARCHAR(20)), '') || '|' || CAST(e.ts AS VARCHAR(20))
    )
""".replace("USER_NUMBER", user_number("e.user_id"))

# A touched play, cleaned, and its id. The filter stands here and not around it, or every play would be cleaned first.
_PLAYS = """
SELECT
    SONGPLAY_ID AS songplay_id,
    e.ts,
    USER_NUMBER AS user_id,
    NULLIF(TRIM(BOTH ' ' FROM e.level), '') AS level,
    e.session_id,
    NULLIF(TRIM(BOTH ' ' FROM e.location), '') AS location,
    NULLIF(TRIM(BOTH ' ' FROM e.user_agent), '') AS user_agent,
    e.item_in_session,
    NULLIF(TRIM(BOTH ' ' FROM e.song), '') AS title,
    NULLIF(TRIM(BOTH ' ' FROM e.artist), '') AS artist_name,
    e.length AS duration
FROM staging_events AS e
WHERE TRIM(BOTH ' ' FROM e.page) = 'NextSong' AND CHOICE
""".replace("SONGPLAY_ID", SONGPLAY_ID.strip()).replace("USER_NUMBER", user_number("e.user_id"))
_RIVAL = """
EXISTS (
    SELECT 1 FROM rival_plays AS r WHERE r.session_id = e.session_id AND r.item_in_session = e.item_in_session
)
"""
_RIVAL_PLAYS = _PLAYS.replace("CHOICE", _RIVAL)
_SINGLE_PLAYS = "UNION ALL".join(
    _PLAYS.replace("CHOICE", f"NOT {_RIVAL} AND {touched}") for touched in (_OF_TOUCHED_FILES, _OF_OTHER_FILES)
)

# A play matches a song when title and artist name are equal; of several the nearest duration, then the lowest song_id.
# One order decides both which of several records is the play and, behind all of its columns, which song it matches.
# Nearly every play has one record and at most one song to match: only the others are ranked, which halves the work.
CHOOSE_SONGPLAYS = """
SELECT
    songplay_id,
    TIMESTAMP '1970-01-01 00:00:00' + CAST(FLOOR(ts / 86400000.0) AS INTEGER) * INTERVAL '1 day'
    + CAST(MOD(ts, 86400000) AS INTEGER) * INTERVAL '0.001 second' AS start_time,
    user_id, level, song_id, artist_id, session_id, location, user_agent,
    item_in_session, title, artist_name, duration
FROM (
    SELECT
        c.songplay_id, c.ts, c.user_id, c.level, s.song_id, s.artist_id, c.session_id, c.location, c.user_agent,
        c.item_in_session, c.title, c.artist_name, c.duration, 1 AS choice
    FROM (SINGLE_PLAYS) AS c
    LEFT JOIN songs AS s ON s.title = c.title AND s.artist_name = c.artist_name
    UNION ALL
    SELECT
        c.songplay_id, c.ts, c.user_id, c.level, s.song_id, s.artist_id, c.session_id, c.location, c.user_agent,
        c.item_in_session, c.title, c.artist_name, c.duration,
        ROW_NUMBER() OVER (
            PARTITION BY c.songplay_id
            ORDER BY
                c.title ASC NULLS LAST, c.artist_name ASC NULLS LAST, c.duration ASC NULLS LAST,
                c.level ASC NULLS LAST, c.location ASC NULLS LAST, c.user_agent ASC NULLS LAST,
                ABS(s.duration - c.duration) ASC NULLS LAST, s.song_id ASC NULLS LAST
        ) AS choice
    FROM (RIVAL_PLAYS) AS c
    LEFT JOIN songs AS s ON s.title = c.title AND s.artist_name = c.artist_name
) AS ranked
WHERE choice = 1
""".replace("SINGLE_PLAYS", _SINGLE_PLAYS).replace("RIVAL_PLAYS", _RIVAL_PLAYS)

# Of several records under one key only one is the play. One that says the same is the same play again; one that says
# something else is another play, which the key cannot tell apart (itemInSession always 0, say).
TOLD_PLAYS = """
SELECT
    SONGPLAY_ID AS songplay_id,
    e.file_id,
    e.session_id,
    e.item_in_session,
    NULLIF(TRIM(BOTH ' ' FROM e.song), '') AS title,
    NULLIF(TRIM(BOTH ' ' FROM e.artist), '') AS artist_name,
    e.length AS duration,
    NULLIF(TRIM(BOTH ' ' FROM e.level), '') AS level,
    NULLIF(TRIM(BOTH ' ' FROM e.location), '') AS location,
    NULLIF(TRIM(BOTH ' ' FROM e.user_agent), '') AS user_agent
FROM staging_events AS e
WHERE TRIM(BOTH ' ' FROM e.page) = 'NextSong' AND CHOICE
""".replace("SONGPLAY_ID", SONGPLAY_ID.strip())

# Records of touched plays that are no row of songplays. Nearly always there is none, and nothing more to ask.
COUNT_LEFT_OUT = """
SELECT r.records - p.plays
FROM (SELECT CAST(COALESCE(SUM(records), 0) AS BIGINT) AS records FROM rival_plays WHERE records > 1) AS r
CROSS JOIN (
    SELECT COUNT(*) AS plays
    FROM songplays AS e
    WHERE EXISTS (
        SELECT 1
        FROM rival_plays AS r
        WHERE r.session_id = e.session_id AND r.item_in_session = e.item_in_session AND r.records > 1
    )
) AS p
"""

# The other plays under a key that is taken which the touched files brought; those that were known without them do not
# count, so that the numbers of several loads can be added up.
COUNT_OTHER_PLAYS = """
SELECT CAST(COALESCE(SUM(plays - 1 - CASE WHEN known > 1 THEN known - 1 ELSE 0 END), 0) AS BIGINT)
FROM (
    SELECT songplay_id, COUNT(*) AS plays, SUM(known) AS known
    FROM (
        SELECT r.songplay_id, MAX(CASE WHEN t.file_id IS NULL THEN 1 ELSE 0 END) AS known
        FROM (TOLD_PLAYS) AS r
        LEFT JOIN touched_files AS t ON t.file_id = r.file_id
        GROUP BY r.songplay_id, r.title, r.artist_name, r.duration, r.level, r.location, r.user_agent
    ) AS c
    GROUP BY songplay_id
) AS p
""".replace("TOLD_PLAYS", TOLD_PLAYS.replace("CHOICE", _RIVAL))

# The ISO week is computed: what EXTRACT(WEEK) means on Redshift depends on its patch level. The formula equals it
# elsewhere for 18,262 days.
CHOOSE_TIME = """
SELECT
    start_time,
    CAST(EXTRACT(HOUR FROM start_time) AS INTEGER) AS hour,
    CAST(EXTRACT(DAY FROM start_time) AS INTEGER) AS day,
    CAST(FLOOR((EXTRACT(DOY FROM DATE_TRUNC('week', start_time) + INTERVAL '3 day') + 6) / 7.0) AS INTEGER) AS week,
    CAST(EXTRACT(MONTH FROM start_time) AS INTEGER) AS month,
    CAST(EXTRACT(YEAR FROM start_time) AS INTEGER) AS year,
    CAST(EXTRACT(DOW FROM start_time) AS INTEGER) AS weekday
FROM present_times
"""

INSERT_SONGS = "INSERT INTO songs (song_id, title, artist_id, year, duration, artist_name)" + CHOOSE_SONGS
INSERT_ARTISTS = "INSERT INTO artists (artist_id, name, location, latitude, longitude)" + CHOOSE_ARTISTS
INSERT_USERS = "INSERT INTO users (user_id, first_name, last_name, gender, level, last_seen)" + CHOOSE_USERS
INSERT_TIME = "INSERT INTO time (start_time, hour, day, week, month, year, weekday)" + CHOOSE_TIME
INSERT_SONGPLAYS = (
    "INSERT INTO songplays (songplay_id, start_time, user_id, level, song_id, artist_id, session_id, location,"
    " user_agent, item_in_session, title, artist_name, duration)" + CHOOSE_SONGPLAYS
)

DELETE_TOUCHED_SONGS = "DELETE FROM songs WHERE song_id IN (SELECT song_id FROM touched_songs)"
DELETE_TOUCHED_ARTISTS = "DELETE FROM artists WHERE artist_id IN (SELECT artist_id FROM touched_artists)"
DELETE_TOUCHED_USERS = "DELETE FROM users WHERE user_id IN (SELECT user_id FROM touched_users)"
DELETE_TOUCHED_PLAYS = """
DELETE FROM songplays
WHERE EXISTS (
    SELECT 1
    FROM touched_plays AS t
    WHERE t.session_id = songplays.session_id AND t.item_in_session = songplays.item_in_session
)
"""
DELETE_TOUCHED_TIMES = "DELETE FROM time WHERE start_time IN (SELECT start_time FROM touched_times)"
DELETE_PRESENT_TIMES = "DELETE FROM time WHERE start_time IN (SELECT start_time FROM present_times)"

EMPTY_STAR = (
    "DELETE FROM songplays",
    "DELETE FROM time",
    "DELETE FROM artists",
    "DELETE FROM songs",
    "DELETE FROM users",
)

# --------------------------------------------------------------------------------------------------- the load, in order

CREATE_INCOMING = (CREATE_INCOMING_FILES, CREATE_INCOMING_SONGS, CREATE_INCOMING_EVENTS, CREATE_GOING_FILES)
REFUSE_RECORDS = (REFUSE_SONGS, REFUSE_EVENTS)
STAGE_RECORDS = (STAGE_SONGS, STAGE_EVENTS)
STAGE_GOOD_RECORDS = {"songs": STAGE_GOOD_SONGS, "events": STAGE_GOOD_EVENTS}
TOUCH_KEYS = (TOUCH_SONGS, TOUCH_ARTISTS, TOUCH_USERS, TOUCH_PLAYS, TOUCH_NAMES_BEFORE)
REBUILD_TOUCHED = (
    DELETE_TOUCHED_SONGS,
    INSERT_SONGS,
    DELETE_TOUCHED_ARTISTS,
    INSERT_ARTISTS,
    DELETE_TOUCHED_USERS,
    INSERT_USERS,
    TOUCH_NAMES_AFTER,
    TOUCH_PLAYS_BY_NAME,
    TOUCH_TIMES_BEFORE,
    DELETE_TOUCHED_PLAYS,
    FIND_RIVAL_PLAYS,
    INSERT_SONGPLAYS,
    DELETE_TOUCHED_TIMES,
    FIND_PRESENT_TIMES,
    DELETE_PRESENT_TIMES,
    INSERT_TIME,
)
DROP_TEMPORARY = (
    "DROP TABLE IF EXISTS incoming_files",
    "DROP TABLE IF EXISTS incoming_songs",
    "DROP TABLE IF EXISTS incoming_events",
    "DROP TABLE IF EXISTS refused_songs",
    "DROP TABLE IF EXISTS refused_events",
    "DROP TABLE IF EXISTS going_files",
    "DROP TABLE IF EXISTS touched_files",
    "DROP TABLE IF EXISTS touched_songs",
    "DROP TABLE IF EXISTS touched_artists",
    "DROP TABLE IF EXISTS touched_users",
    "DROP TABLE IF EXISTS touched_plays",
    "DROP TABLE IF EXISTS touched_names",
    "DROP TABLE IF EXISTS touched_times",
    "DROP TABLE IF EXISTS rival_plays",
    "DROP TABLE IF EXISTS present_times",
)

# What decides the content of the star: etl.py rebuilds it when one of these differs from what the last load ran.
STAR_STATEMENTS = (*STAR.values(), *TOUCH_KEYS, *REBUILD_TOUCHED)

# ----------------------------------------------------------------------------------------------------------- the ledger

SELECT_LEDGER = "SELECT kind, path, fingerprint, file_id, status, records_read FROM loaded_files"

SELECT_LAST_LOAD = """
SELECT load_id, statements_sha256
FROM loads
ORDER BY load_id DESC
LIMIT 1
"""

# A star table that was made again is empty: no statements made this star, so the next etl.py rebuilds it.
MARK_STAR_INCOMPLETE = "UPDATE loads SET statements_sha256 = 'a star table is new'"

SELECT_NEXT_FILE_ID = "SELECT COALESCE(MAX(file_id), 0) + 1 FROM loaded_files"

INSERT_LOAD = """
INSERT INTO loads (load_id, run_id, action, loaded_at, seconds, files, records, statements_sha256)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""

RECORD_FILES = """
INSERT INTO loaded_files (file_id, kind, path, fingerprint, records_read, staged, rejected, status, load_id, loaded_at)
SELECT
    f.file_id, f.kind, f.path, f.fingerprint, f.records_read, COALESCE(s.staged, 0), COALESCE(r.rejected, 0), f.status,
    CAST(%s AS BIGINT), CAST(%s AS TIMESTAMP)
FROM incoming_files AS f
LEFT JOIN (STAGED) AS s ON s.file_id = f.file_id
LEFT JOIN (
    SELECT file_id, COUNT(*) AS rejected
    FROM rejected_lines
    WHERE file_id IN (SELECT file_id FROM incoming_files)
    GROUP BY file_id
) AS r ON r.file_id = f.file_id
""".replace("STAGED", _STAGED)

COUNT_ROWS = """
SELECT 'staging_events', COUNT(*) FROM staging_events
UNION ALL
SELECT 'staging_songs', COUNT(*) FROM staging_songs
UNION ALL
SELECT 'rejected_lines', COUNT(*) FROM rejected_lines
UNION ALL
SELECT 'songplays', COUNT(*) FROM songplays
UNION ALL
SELECT 'users', COUNT(*) FROM users
UNION ALL
SELECT 'songs', COUNT(*) FROM songs
UNION ALL
SELECT 'artists', COUNT(*) FROM artists
UNION ALL
SELECT 'time', COUNT(*) FROM time
"""

COUNT_ALL_ROWS = (
    COUNT_ROWS
    + """UNION ALL
SELECT 'loads', COUNT(*) FROM loads
UNION ALL
SELECT 'loaded_files', COUNT(*) FROM loaded_files
UNION ALL
SELECT 'dwh_warehouse', COUNT(*) FROM dwh_warehouse
"""
)
