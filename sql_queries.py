"""The tables, the rules of a record, and the choice of the star's rows: one text for all three engines.

This is the file a data person edits. When a statement of the star changes, the next etl.py notices and rebuilds the
star from staging. What is asked besides stands beside what asks it, in star/.
A new column of a star table is added by create_tables.py; a new column of staging needs create_tables.py --recreate.

Rules of the portable text: explicit VARCHAR lengths (bytes on Redshift), ROW_NUMBER in a derived table instead of
DISTINCT ON, delete and insert instead of upsert, NULLS LAST written out, TRIM(BOTH ' ' FROM x), no division of
integers, no TRUNCATE (it commits on Redshift), no clock (times are bound from Python), values by parameter (%s), and
neither a percent sign nor a question mark anywhere else. No ^ and no $ in a pattern of ~ (they match at every line on
Redshift), and no cast that needs a condition beside it (it may run first): what is cast is text that is NULL unless
it can be.
"""

# --------------------------------------------------------------------------------------------------------------- tables
# What a table holds, an empty line, then a column a line: its name, its type, what it holds, and `e.g.` an example. Two
# blanks or more stand between them. A line that begins with a blank belongs to the column above it.
# The CREATE statements, the comments in the database, docs/reference/star.md and the tooltips of the report are made
# from these texts. The examples follow one play of the sample through all tables.

STAR_COLUMNS = {
    "users": """
One row per user, with the values of the latest event of that user.

user_id     BIGINT NOT NULL     Number of the user. e.g. 36
first_name  VARCHAR(256)        First name. NULL when the event gave none. e.g. Ada
last_name   VARCHAR(256)        Last name. NULL when the event gave none. e.g. Rookwood
gender      VARCHAR(16)         Gender as the app sent it, F or M. NULL when the event gave none. e.g. F
level       VARCHAR(64)         Subscription at the latest event, free or paid. NULL when the event gave none. e.g. free
last_seen   TIMESTAMP NOT NULL  Time of the latest event, in UTC. e.g. 2018-11-30 14:40:57.796
""",
    "songs": """
One row per song of the catalogue.

song_id      VARCHAR(64) NOT NULL  Id of the song in the catalogue. e.g. SOPHPYB12ABE3779B1
title        VARCHAR(1024)         Title, by which a play finds its song. NULL when not known. e.g. Ferry to Nowhere
artist_id    VARCHAR(64)           Id of the artist, found in artists. NULL when not known. e.g. ARPHPYB1187E3779B1
year         BIGINT                Year of release. NULL when not known, which the files write as 0. e.g. 2004
duration     DOUBLE PRECISION      Length in seconds. NULL when not known. e.g. 214.73914
artist_name  VARCHAR(1024)         Artist as credited on this song, which may differ from the name in artists. A play
                                   finds its song by it. NULL when not known. e.g. The Copper Teapots
""",
    "artists": """
One row per artist of the catalogue.

artist_id  VARCHAR(64) NOT NULL  Id of the artist in the catalogue. e.g. ARPHPYB1187E3779B1
name       VARCHAR(1024)         Name. NULL when not known. e.g. The Copper Teapots
location   VARCHAR(1024)         Where the artist comes from, in words. NULL when not known. e.g. Leeds, England
latitude   DOUBLE PRECISION      Latitude in degrees, north is positive. NULL when not known. e.g. 53.79648
longitude  DOUBLE PRECISION      Longitude in degrees, east is positive. NULL when not known. e.g. -1.54785
""",
    "time": """
One row per moment at which a play started, cut into parts to group by. All parts are in UTC.

start_time  TIMESTAMP NOT NULL  Start of a play, in UTC, to the millisecond. e.g. 2018-11-03 18:22:53.796
hour        INTEGER NOT NULL    Hour of the day, 0 to 23. e.g. 18
day         INTEGER NOT NULL    Day of the month, 1 to 31. e.g. 3
week        INTEGER NOT NULL    ISO week, 1 to 53. It begins on Monday. e.g. 44
month       INTEGER NOT NULL    Month, 1 to 12. e.g. 11
year        INTEGER NOT NULL    Calendar year, which is not always the year of the ISO week. e.g. 2018
weekday     INTEGER NOT NULL    Day of the week. 0 is Sunday, 6 is Saturday. e.g. 6
""",
    "songplays": """
One row per play, which is an event of the page NextSong. A play is kept when the catalogue does not know its song.

songplay_id      VARCHAR(32) NOT NULL  Id of the play, the MD5 of session, place in the session, user and time. It is
                                       the same on every engine and after every load.
                                       e.g. f159e66d9cbba021862410b1fc9cc42a
start_time       TIMESTAMP NOT NULL    Start of the play, in UTC, to the millisecond. e.g. 2018-11-03 18:22:53.796
user_id          BIGINT                Number of the user, found in users. NULL when the event named no user. e.g. 36
level            VARCHAR(64)           Subscription at the time of the play, free or paid. NULL when the event gave
                                       none. e.g. free
song_id          VARCHAR(64)           Id of the song, found in songs. NULL when the catalogue does not know the song.
                                       e.g. SOPHPYB12ABE3779B1
artist_id        VARCHAR(64)           Id of the artist of that song, found in artists. NULL when the catalogue does not
                                       know the song, or no artist for it. e.g. ARPHPYB1187E3779B1
session_id       BIGINT NOT NULL       Number of the session in which it was played. e.g. 75
location         VARCHAR(1024)         Where the user was, in words. NULL when the event gave none. e.g. Savannah, GA
user_agent       VARCHAR(4096)         Program that played it, as it names itself. NULL when the event gave none.
                                       e.g. Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:63.0) Gecko/20100101
                                       Firefox/63.0
item_in_session  BIGINT NOT NULL       Number of the event in its session. e.g. 1
title            VARCHAR(1024)         Title as the event gave it, also of a song that the catalogue does not know. NULL
                                       when the event gave none. e.g. Ferry to Nowhere
artist_name      VARCHAR(1024)         Artist as the event gave it, also of a song that the catalogue does not know.
                                       NULL when the event gave none. e.g. The Copper Teapots
duration         DOUBLE PRECISION      Length in seconds, as the event gave it. NULL when it gave none. e.g. 214.73914
""",
}

# A column is filled from the JSON key of its name, or from the key that stands behind `=`. The load fills file_id.
STAGING_COLUMNS = {
    "staging_events": """
Every event as it came, with the file that brought it. A value that the record did not have is NULL.

file_id                          BIGINT NOT NULL       File that brought the event, found in loaded_files. e.g. 73
artist                           VARCHAR(1024)         Artist of the song, on a play. e.g. The Copper Teapots
auth                             VARCHAR(64)           Whether the user was logged in. e.g. Logged In
first_name = firstName           VARCHAR(256)          First name of the user. e.g. Ada
gender                           VARCHAR(16)           Gender of the user, F or M. e.g. F
item_in_session = itemInSession  BIGINT                Number of the event in its session. e.g. 1
last_name = lastName             VARCHAR(256)          Last name of the user. e.g. Rookwood
length                           DOUBLE PRECISION      Length of the song in seconds, on a play. e.g. 214.73914
level                            VARCHAR(64)           Subscription at the time of the event, free or paid. e.g. free
location                         VARCHAR(1024)         Where the user was, in words. e.g. Savannah, GA
method                           VARCHAR(16)           HTTP method of the request. e.g. PUT
page                             VARCHAR(64) NOT NULL  Page of the app. NextSong is a play. e.g. NextSong
registration                     DOUBLE PRECISION      Sign-up in milliseconds since 1970, UTC. e.g. 1539656859796
session_id = sessionId           BIGINT                Number of the session. e.g. 75
song                             VARCHAR(1024)         Title of the song, on a play. e.g. Ferry to Nowhere
status                           BIGINT                HTTP status of the answer. e.g. 200
ts                               BIGINT NOT NULL       Time in milliseconds since 1970, UTC. e.g. 1541269373796
user_agent = userAgent           VARCHAR(4096)         Program that sent the request, as it names itself.
                                                       e.g. Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:63.0)
                                                       Gecko/20100101 Firefox/63.0
user_id = userId                 VARCHAR(64)           Number of the user, as text. Blank when logged out. e.g. 36
""",
    "staging_songs": """
Every song record as it came, with the file that brought it. A value that the record did not have is NULL.

file_id           BIGINT NOT NULL       File that brought the record, found in loaded_files. e.g. 42
num_songs         BIGINT                Number of songs in the record. It is not used. e.g. 1
artist_id         VARCHAR(64)           Id of the artist. e.g. ARPHPYB1187E3779B1
artist_latitude   DOUBLE PRECISION      Latitude of the artist in degrees. e.g. 53.79648
artist_longitude  DOUBLE PRECISION      Longitude of the artist in degrees. e.g. -1.54785
artist_location   VARCHAR(1024)         Where the artist comes from, in words. e.g. Leeds, England
artist_name       VARCHAR(1024)         Artist as credited on this song. e.g. The Copper Teapots
song_id           VARCHAR(64) NOT NULL  Id of the song. e.g. SOPHPYB12ABE3779B1
title             VARCHAR(1024)         Title. e.g. Ferry to Nowhere
duration          DOUBLE PRECISION      Length in seconds. e.g. 214.73914
year              BIGINT                Year of release. 0 when it is not known. e.g. 2004
""",
}

LEDGER_COLUMNS = {
    "dwh_warehouse": """
The mark of a warehouse of this suite, one row. Only where it stands are tables made, filled and dropped.

schema_version  BIGINT NOT NULL       Version of the tables. A later one than is known is refused. e.g. 1
made_by         VARCHAR(64) NOT NULL  Version of the suite that made the tables. e.g. sparkify-warehouse 0.1.0
made_at         TIMESTAMP NOT NULL    When the tables were made, in UTC. e.g. 2018-12-01 03:00:00.125
""",
    "loads": """
One row per load that was committed. The rows of a load are all stored, or none.

load_id            BIGINT NOT NULL            Number of the load, from 1 on. e.g. 1
run_id             VARCHAR(64) NOT NULL       Run of etl.py, named by its start in UTC. e.g. 20181201-030000
action             VARCHAR(16) NOT NULL       What it did: load, rebuild or forget. e.g. load
loaded_at          TIMESTAMP NOT NULL         When it was stored, in UTC. e.g. 2018-12-01 03:00:01.25
seconds            DOUBLE PRECISION NOT NULL  How long it took, in seconds. e.g. 0.436
files              BIGINT NOT NULL            Files that it read, or forgot. e.g. 100
records            BIGINT NOT NULL            Records that it read. e.g. 8071
statements_sha256  VARCHAR(64) NOT NULL       SHA-256 of the statements that made the star. When they change, the next
                                              etl.py rebuilds the star.
                                              e.g. 4d2cbdf77d73ed0a7860faf407e142edfd9f97adf3047c0bc2b99537fc59cf0e
""",
    "loaded_files": """
The ledger, one row per file. A file is in it if and only if its records are in staging or in rejected_lines.

file_id       BIGINT NOT NULL         Number of this version of the file. e.g. 73
kind          VARCHAR(16) NOT NULL    What the file holds: songs or events. e.g. events
path          VARCHAR(4096) NOT NULL  Absolute path, or address in S3.
                                      e.g. /srv/sparkify/data/log_data/2018/11/2018-11-03-events.json
fingerprint   VARCHAR(256) NOT NULL   Size and time of change, in S3 size and ETag. When it differs, the file is loaded
                                      again. e.g. 80309:1541289600000000000
records_read  BIGINT NOT NULL         Records in the file. It is the sum of staged and rejected. e.g. 179
staged        BIGINT NOT NULL         Records that are in staging. e.g. 179
rejected      BIGINT NOT NULL         Records that are in rejected_lines. e.g. 0
status        VARCHAR(16) NOT NULL    State: loaded, or rejected when the file could not be read. e.g. loaded
load_id       BIGINT NOT NULL         Load that brought it, found in loads. e.g. 1
loaded_at     TIMESTAMP NOT NULL      When that load was stored, in UTC. e.g. 2018-12-01 03:00:01.25
""",
    "rejected_lines": """
Records that were set aside because a rule refused them, when ON_BAD_LINE is quarantine.

file_id      BIGINT NOT NULL         File that brought the record, found in loaded_files. e.g. 73
line_number  BIGINT                  Line of the file on which the record begins, from 1 on. NULL when the file could
                                     not be read at all. e.g. 17
reason       VARCHAR(1024) NOT NULL  Rule that the record breaks. e.g. ts is missing
line         VARCHAR(65535)          The record as it came, cut when it is long. NULL when the file could not be read at
                                     all. e.g. {"page": "Home", "userId": "36"}
""",
}


def _about(text: str) -> str:
    """Give what a table holds: what stands before its columns."""
    return " ".join(text.partition("\n\n")[0].split())


def _columns(text: str) -> list[tuple[str, ...]]:
    """Give the columns of a table: name and key, type, description, example."""
    rows: list[tuple[str, ...]] = []
    for line in text.partition("\n\n")[2].replace("\n ", "  ").splitlines():
        name, kind, *words = (part.strip() for part in line.split("  ") if part.strip())
        description, _, example = " ".join(words).partition(" e.g. ")
        rows.append((name, kind, description, example))
    return rows


def _create(name: str, columns: dict[str, str], opening: str = "CREATE TABLE IF NOT EXISTS") -> str:
    """Give the statement that creates a table of these columns and types, one of them a line."""
    lines = ",\n".join(f"    {column} {kind}" for column, kind in columns.items())
    return f"\n{opening} {name} (\n{lines}\n)\n"


_TEXTS = {**LEDGER_COLUMNS, **STAGING_COLUMNS, **STAR_COLUMNS}
ABOUT = {table: _about(text) for table, text in _TEXTS.items()}
# Table -> column -> type, description, example.
COLUMNS = {
    table: {name.split(" = ")[0]: (kind, words, example) for name, kind, words, example in _columns(text)}
    for table, text in _TEXTS.items()
}
_TYPES = {table: {name: column[0] for name, column in columns.items()} for table, columns in COLUMNS.items()}

SCHEMA_VERSION = 1  # the number in dwh_warehouse: one more for whoever changes staging or the ledger
LEDGER = {table: _create(table, _TYPES[table]) for table in LEDGER_COLUMNS}
# Without IF NOT EXISTS: of two create_tables.py at once the second ends here, and is busy.
LEDGER["dwh_warehouse"] = _create("dwh_warehouse", _TYPES["dwh_warehouse"], "CREATE TABLE")
STAGING = {table: _create(table, _TYPES[table]) for table in STAGING_COLUMNS}
STAR = {table: _create(table, _TYPES[table]) for table in STAR_COLUMNS}
TABLES = {**LEDGER, **STAGING, **STAR}
DROP_TABLES = tuple(f"DROP TABLE IF EXISTS {table}" for table in reversed(TABLES))

# ------------------------------------------------------------------------------------------------------------- incoming
# A load first lands in temporary tables, or passes as if through them, every value as text, so that types are judged by
# the rules below and alike on every engine.
# record_number, and in the careful way line_number, reason and record, are filled for files that were read record by
# record (see dwh/spool/records.py).


def _staged(table: str) -> dict[str, tuple[str, str]]:
    """Give the columns of staging that come from a record: column -> JSON key, type."""
    found = {}
    for name, kind, *_ in _columns(_TEXTS[table]):
        column, _, key = name.partition(" = ")
        found[column] = (key or column, kind.removesuffix(" NOT NULL"))
    del found["file_id"]
    return found


_EVENTS, _SONGS = _staged("staging_events"), _staged("staging_songs")

# JSON key -> column, in the order of the columns.
PROVENANCE_KEYS = {"dwh_file_id": "file_id", "dwh_record_number": "record_number"}
FAULT_KEYS = {"dwh_line_number": "line_number", "dwh_reason": "reason", "dwh_record": "record"}
EVENT_KEYS = {key: column for column, (key, _) in _EVENTS.items()}
SONG_KEYS = {key: column for column, (key, _) in _SONGS.items()}
FILE_KEYS = {name: name for name in ("file_id", "kind", "path", "fingerprint", "records_read", "status")}

# What each key holds: text (the default), a whole number or a number. dwh/spool/records.py refuses objects by this, and
# writes other forms of a number as plain digits. A user is a whole number too, which staging keeps as it came.
_A_WHOLE, _A_NUMBER = "a whole number", "a number"
_HOLDS = {"BIGINT": _A_WHOLE, "DOUBLE PRECISION": _A_NUMBER}
NUMBERS = {key: _HOLDS[kind] for key, kind in (*_EVENTS.values(), *_SONGS.values()) if kind in _HOLDS}
NUMBERS["userId"] = _A_WHOLE


def _longest(kind: str) -> int:
    """Give how many bytes a value of this type may have as text."""
    return {"BIGINT": 64, "DOUBLE PRECISION": 128}.get(kind) or int(kind.removeprefix("VARCHAR(").removesuffix(")"))


def _create_incoming(table: str, columns: dict[str, tuple[str, str]]) -> str:
    """Give the statement that creates the table which records land in.

    Memory goes by these widths on Redshift: four bytes, one character, more than a value may have. COPY cuts a longer
    one there, and what is left of it is still too long for the rules below.
    """
    texts = {column: f"VARCHAR({_longest(kind) + 4})" for column, (_, kind) in columns.items()}
    return _create(table, {"file_id": "BIGINT", "record_number": "BIGINT", **texts}, "CREATE TEMP TABLE")


CREATE_INCOMING_EVENTS = _create_incoming("incoming_events", _EVENTS)
CREATE_INCOMING_SONGS = _create_incoming("incoming_songs", _SONGS)

# What only the careful way needs: where a record stands, what is wrong with it, and its text.
WIDEN_INCOMING = tuple(
    f"ALTER TABLE {table} ADD COLUMN {column}"
    for table in ("incoming_songs", "incoming_events")
    for column in ("line_number BIGINT", "reason VARCHAR(1024)", "record VARCHAR(65535)")
)

CREATE_INCOMING_FILES = _create(
    "incoming_files",
    {name: _TYPES["loaded_files"][name].removesuffix(" NOT NULL") for name in FILE_KEYS},
    "CREATE TEMP TABLE",
)

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


def _refuse(column: str, key: str) -> str:
    """Give the rule that refuses what is no number of the kind that the key holds, a whole one of 64 bits or any."""
    if NUMBERS[key] == _A_NUMBER:
        return f"""
    WHEN {column}_value IS NULL AND NOT {_missing(column)} THEN '{key} is not a number'"""
    return f"""
    WHEN {column}_value IS NULL AND NOT {_missing(column)}
        THEN CASE
            WHEN OCTET_LENGTH({column}) BETWEEN 19 AND 64
                AND NOT CASE WHEN {column} < '.' THEN SUBSTRING({column} FROM 2) ELSE {column} END ~ '{_FOREIGN}'
                THEN '{key} is beyond 64 bits'
            ELSE '{key} is not a whole number'
        END"""


def _refuse_each(columns: dict[str, tuple[str, str]], names: list[str]) -> str:
    """Give the rules that refuse what is no number, of these columns."""
    return "\n    ".join(_refuse(name, columns[name][0]) for name in names)


def _too_long(columns: dict[str, tuple[str, str]], names: list[str]) -> str:
    """Give the rules that refuse a text of more bytes than its column has, of these columns."""
    return "\n    ".join(
        f"WHEN OCTET_LENGTH({name}) > {limit} THEN '{key} is longer than {limit} bytes'"
        for name, key, limit in ((name, columns[name][0], _longest(columns[name][1])) for name in names)
    )


def _may_be_json(columns: list[str]) -> str:
    """Tell that a text begins as an object or a list does: only dwh/spool/records.py knows whether it is one.

    A file it has read has numbered records.
    """
    begins = " OR ".join(f"({column} >= '[' AND {column} < '|' AND ASCII({column}) IN (91, 123))" for column in columns)
    return f"record_number IS NULL AND ({begins})"


def _in_lines(names: list[str]) -> str:
    """Write names with commas between them, in lines that can be read."""
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > 105:
            lines.append("")
        lines[-1] += f"{name}, "
    return "\n        ".join(line.strip() for line in lines).removesuffix(",")


def _numbers(columns: dict[str, tuple[str, str]], *first: str) -> list[str]:
    """Name the columns that hold numbers, in the order in which their rules come: these first."""
    return [*first, *(name for name, (key, _) in columns.items() if key in NUMBERS and name not in first)]


def _with_values(table: str, columns: dict[str, tuple[str, str]], numbers: list[str]) -> str:
    """Select the records with each number twice: as text, and as the value it is (NULL: it is blank, or refused)."""
    texts = [name for name in columns if name not in numbers]
    values = ",\n        ".join(
        f"CAST({_whole(name)} AS BIGINT) AS {name}_value"
        if NUMBERS[columns[name][0]] == _A_WHOLE
        else f"CAST({_number(name)} AS DOUBLE PRECISION) AS {name}_value"
        for name in numbers
    )
    named = _in_lines(["file_id", "record_number", "FAULTS", *texts, *numbers]).replace("FAULTS,", "FAULTS")
    return f"""
    SELECT
        {named},
        {values}
    FROM {table}
"""


_EVENT_NUMBERS = _numbers(_EVENTS, "ts", "user_id", "session_id", "item_in_session", "status")
_EVENT_TEXTS = [name for name in _EVENTS if name not in _EVENT_NUMBERS]
_SONG_NUMBERS = _numbers(_SONGS, "num_songs", "year", "duration")
_SONG_TEXTS = [name for name in _SONGS if name not in _SONG_NUMBERS]
_EVENTS_WITH_VALUES = _with_values("incoming_events", _EVENTS, _EVENT_NUMBERS)
_SONGS_WITH_VALUES = _with_values("incoming_songs", _SONGS, _SONG_NUMBERS)

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
    {_refuse("user_id", "userId")}
    WHEN user_id_value < 0 THEN 'userId is negative'
    {_refuse_each(_EVENTS, [name for name in _EVENT_NUMBERS if name not in ("ts", "user_id")])}
    WHEN session_id_value IS NULL AND TRIM(BOTH ' ' FROM page) = 'NextSong' THEN 'sessionId is missing on a play'
    WHEN item_in_session_value IS NULL AND TRIM(BOTH ' ' FROM page) = 'NextSong'
        THEN 'itemInSession is missing on a play'
    {_too_long(_EVENTS, _EVENT_TEXTS)}
    WHEN user_id_value IS NULL AND OCTET_LENGTH(user_id) > 64 THEN 'userId is longer than 64 bytes'
    WHEN {_may_be_json(_EVENT_TEXTS)} THEN 'it has to be read record by record'
END
"""

_SONG_FAULT = f"""
CASE
    WHEN {_missing("song_id")} THEN 'song_id is missing'
    {_refuse_each(_SONGS, _SONG_NUMBERS)}
    {_too_long(_SONGS, _SONG_TEXTS)}
    WHEN {_may_be_json(_SONG_TEXTS)}
        THEN 'it has to be read record by record'
END
"""

_FAULTS = "line_number, reason, record,"  # columns of the careful way
_REFUSE = """
CREATE TEMP TABLE REFUSED AS
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
"""
REFUSE_EVENTS = (
    _REFUSE.replace("REFUSED", "refused_events")
    .replace("FAULT", _EVENT_FAULT)
    .replace("RECORDS", _EVENTS_WITH_VALUES.replace("FAULTS", _FAULTS))
)
REFUSE_SONGS = (
    _REFUSE.replace("REFUSED", "refused_songs")
    .replace("FAULT", _SONG_FAULT)
    .replace("RECORDS", _SONGS_WITH_VALUES.replace("FAULTS", _FAULTS))
)

_SET_ASIDE = """
INSERT INTO rejected_lines (file_id, line_number, reason, line)
SELECT file_id, line_number, reason, record FROM REFUSED
"""
_LEAVE_OUT = """
DELETE FROM INCOMING
WHERE EXISTS (
    SELECT 1
    FROM REFUSED AS r WHERE r.file_id = INCOMING.file_id AND r.record_number = INCOMING.record_number
)
"""
QUARANTINE_RECORDS = tuple(
    statement.replace("REFUSED", f"refused_{kind}").replace("INCOMING", f"incoming_{kind}")
    for statement in (_SET_ASIDE, _LEAVE_OUT)
    for kind in ("songs", "events")
)

# -------------------------------------------------------------------------------------------------------------- staging


def _stage(table: str, columns: dict[str, tuple[str, str]], records: str) -> str:
    """Insert the values of the records. A user stays text, and 26.0 is written as 26."""
    values = {name: f"{name}_value" if key in NUMBERS else name for name, (key, _) in columns.items()}
    if "user_id" in values:
        values["user_id"] = "CASE WHEN POSITION('.' IN user_id) > 0 THEN REPLACE(user_id, '.0', '') ELSE user_id END"
    return f"""
INSERT INTO {table} (
    {_in_lines(["file_id", *columns])}
)
SELECT
    {_in_lines(["file_id", *values.values()])}
FROM ({records.replace("FAULTS", "")}) AS r
"""


STAGE_EVENTS = _stage("staging_events", _EVENTS, _EVENTS_WITH_VALUES)
STAGE_SONGS = _stage("staging_songs", _SONGS, _SONGS_WITH_VALUES)

# The same without looking at a bad record: enough when it turns out that there is none.
STAGE_GOOD_SONGS = STAGE_SONGS + f"WHERE ({_SONG_FAULT}) IS NULL"
STAGE_GOOD_EVENTS = STAGE_EVENTS + f"WHERE ({_EVENT_FAULT}) IS NULL"

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


def _user_number(column: str) -> str:
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
""".replace("USER_NUMBER", _user_number("user_id"))

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
""".replace("USER_NUMBER", _user_number("user_id"))

# The identity of a play: two events that share it are one play, told twice, or two plays under one key.
_SONGPLAY_ID = """
    MD5(
        CAST(e.session_id AS VARCHAR(20)) || '|' || CAST(e.item_in_session AS VARCHAR(20)) || '|'
        || COALESCE(CAST(USER_NUMBER AS VARCHAR(20)), '') || '|' || CAST(e.ts AS VARCHAR(20))
    )
""".replace("USER_NUMBER", _user_number("e.user_id"))

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
""".replace("SONGPLAY_ID", _SONGPLAY_ID.strip()).replace("USER_NUMBER", _user_number("e.user_id"))
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
_TOLD_PLAYS = """
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
""".replace("SONGPLAY_ID", _SONGPLAY_ID.strip())

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
""".replace("TOLD_PLAYS", _TOLD_PLAYS.replace("CHOICE", _RIVAL))

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


def _insert(table: str, chosen: str) -> str:
    """Insert the rows that a query chooses, which names the columns of the table in their order."""
    return f"INSERT INTO {table} ({', '.join(_TYPES[table])}){chosen}"


INSERT_SONGS = _insert("songs", CHOOSE_SONGS)
INSERT_ARTISTS = _insert("artists", CHOOSE_ARTISTS)
INSERT_USERS = _insert("users", CHOOSE_USERS)
INSERT_TIME = _insert("time", CHOOSE_TIME)
INSERT_SONGPLAYS = _insert("songplays", CHOOSE_SONGPLAYS)

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

EMPTY_STAR = tuple(f"DELETE FROM {table}" for table in reversed(STAR))

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
DROP_TEMPORARY = tuple(
    f"DROP TABLE IF EXISTS {table}"
    for table in (
        *("incoming_files", "incoming_songs", "incoming_events", "refused_songs", "refused_events", "going_files"),
        *("touched_files", "touched_songs", "touched_artists", "touched_users", "touched_plays", "touched_names"),
        *("touched_times", "rival_plays", "present_times"),
    )
)

# What decides the content of the star: etl.py rebuilds it when one of these differs from what the last load ran.
STAR_STATEMENTS = (*STAR.values(), *TOUCH_KEYS, *REBUILD_TOUCHED)

# Which files are loaded, as etl.py and sql_validate.py compare it with the sources.
SELECT_LEDGER = "SELECT kind, path, fingerprint, file_id, status, records_read FROM loaded_files"

# What etl.py tells at its end.
COUNT_ROWS = "\nUNION ALL".join(
    f"\nSELECT '{table}', COUNT(*) FROM {table}"
    for table in (*STAGING, "rejected_lines", "songplays", "users", "songs", "artists", "time")
)
COUNT_ROWS += "\n"

# ----------------------------------------------------------------------------------------------------------- the checks
# sql_validate.py names them and runs them. A CHECK_ gives the rows that break a promise, at most three, each led by the
# number of all of them; no row is as it should be. A BALANCE_ gives one row of two numbers, expected and found.

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

_STAGED_AGAIN = """
EXISTS (
    SELECT 1
    FROM staged_plays AS s
    WHERE s.session_id = e.session_id AND s.item_in_session = e.item_in_session AND s.times > 1
)
"""

# What some checks need before they run: every play of staging by its id, and how often it came; what those said that
# came more than once; ...
COUNT_STAGED_PLAYS = (
    """
CREATE TEMP TABLE staged_plays AS
SELECT songplay_id, MIN(session_id) AS session_id, MIN(item_in_session) AS item_in_session, COUNT(*) AS times
FROM (
    SELECT SONGPLAY_ID AS songplay_id, e.session_id, e.item_in_session
    FROM staging_events AS e
    WHERE TRIM(BOTH ' ' FROM e.page) = 'NextSong'
) AS p
GROUP BY songplay_id
""".replace("SONGPLAY_ID", _SONGPLAY_ID.strip()),
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
    WHERE songplay_id IN (SELECT songplay_id FROM staged_plays WHERE times > 1)
) AS d
""".replace("TOLD_PLAYS", _TOLD_PLAYS.replace("CHOICE", _STAGED_AGAIN)),
)

# ... how many records of each file fill each column, where blank text fills none and the columns of a song are those of
# plays; ...
COUNT_FILLED = (
    """
CREATE TEMP TABLE filled_events AS
SELECT
    file_id,
    COUNT(*) AS records,
    COUNT(CASE WHEN TRIM(BOTH ' ' FROM page) = 'NextSong' THEN 1 END) AS plays,
    COUNT(CASE WHEN TRIM(BOTH ' ' FROM page) = 'NextSong' THEN NULLIF(TRIM(BOTH ' ' FROM artist), '') END) AS artist,
    COUNT(CASE WHEN TRIM(BOTH ' ' FROM page) = 'NextSong' THEN NULLIF(TRIM(BOTH ' ' FROM song), '') END) AS song,
    COUNT(CASE WHEN TRIM(BOTH ' ' FROM page) = 'NextSong' THEN length END) AS length,
    COUNT(NULLIF(TRIM(BOTH ' ' FROM auth), '')) AS auth,
    COUNT(NULLIF(TRIM(BOTH ' ' FROM first_name), '')) AS first_name,
    COUNT(NULLIF(TRIM(BOTH ' ' FROM gender), '')) AS gender,
    COUNT(NULLIF(TRIM(BOTH ' ' FROM last_name), '')) AS last_name,
    COUNT(NULLIF(TRIM(BOTH ' ' FROM level), '')) AS level,
    COUNT(NULLIF(TRIM(BOTH ' ' FROM location), '')) AS location,
    COUNT(NULLIF(TRIM(BOTH ' ' FROM method), '')) AS method,
    COUNT(registration) AS registration,
    COUNT(session_id) AS session_id,
    COUNT(status) AS status,
    COUNT(NULLIF(TRIM(BOTH ' ' FROM user_agent), '')) AS user_agent,
    COUNT(NULLIF(TRIM(BOTH ' ' FROM user_id), '')) AS user_id
FROM staging_events
GROUP BY file_id
""",
    """
CREATE TEMP TABLE filled_songs AS
SELECT
    file_id,
    COUNT(*) AS records,
    COUNT(num_songs) AS num_songs,
    COUNT(NULLIF(TRIM(BOTH ' ' FROM artist_id), '')) AS artist_id,
    COUNT(artist_latitude) AS artist_latitude,
    COUNT(artist_longitude) AS artist_longitude,
    COUNT(NULLIF(TRIM(BOTH ' ' FROM artist_location), '')) AS artist_location,
    COUNT(NULLIF(TRIM(BOTH ' ' FROM artist_name), '')) AS artist_name,
    COUNT(NULLIF(TRIM(BOTH ' ' FROM title), '')) AS title,
    COUNT(duration) AS duration,
    COUNT(year) AS year
FROM staging_songs
GROUP BY file_id
""",
)

# ... and the star, chosen once more for all keys, beside the one that is there.
CHOOSE_STAR_AGAIN = (
    TOUCH_ALL_FILES,
    *TOUCH_KEYS,
    FIND_RIVAL_PLAYS,
    "CREATE TEMP TABLE present_times AS SELECT DISTINCT start_time FROM songplays",
    "CREATE TEMP TABLE chosen_users AS" + CHOOSE_USERS,
    "CREATE TEMP TABLE chosen_songs AS" + CHOOSE_SONGS,
    "CREATE TEMP TABLE chosen_artists AS" + CHOOSE_ARTISTS,
    "CREATE TEMP TABLE chosen_time AS" + CHOOSE_TIME,
    "CREATE TEMP TABLE chosen_songplays AS" + CHOOSE_SONGPLAYS,
)

# -- source, ledger, staging

CHECK_WAREHOUSE = """
SELECT number_of_rows, number_of_rows, newest
FROM (SELECT COUNT(*) AS number_of_rows, MAX(schema_version) AS newest FROM dwh_warehouse) AS w
WHERE number_of_rows <> 1 OR newest < 1 OR newest > CAST(%s AS BIGINT)
"""

CHECK_READ = """
SELECT COUNT(*) OVER (), path, records_read, staged, rejected
FROM loaded_files
WHERE records_read <> staged + rejected
ORDER BY path ASC NULLS LAST
LIMIT 3
"""

BALANCE_READ = """
SELECT CAST(COALESCE(SUM(records_read), 0) AS BIGINT), CAST(COALESCE(SUM(staged + rejected), 0) AS BIGINT)
FROM loaded_files
"""

CHECK_STAGED = """
SELECT COUNT(*) OVER (), f.path, f.staged, COALESCE(s.staged, 0)
FROM loaded_files AS f
LEFT JOIN (
    SELECT 'songs' AS kind, file_id, COUNT(*) AS staged FROM staging_songs GROUP BY file_id
    UNION ALL
    SELECT 'events' AS kind, file_id, COUNT(*) AS staged FROM staging_events GROUP BY file_id
) AS s ON s.file_id = f.file_id AND s.kind = f.kind
WHERE f.staged <> COALESCE(s.staged, 0)
ORDER BY f.path ASC NULLS LAST
LIMIT 3
"""

BALANCE_STAGED = """
SELECT f.staged, s.staged + e.staged
FROM (SELECT CAST(COALESCE(SUM(staged), 0) AS BIGINT) AS staged FROM loaded_files) AS f
CROSS JOIN (SELECT COUNT(*) AS staged FROM staging_songs) AS s
CROSS JOIN (SELECT COUNT(*) AS staged FROM staging_events) AS e
"""

CHECK_REJECTED = """
SELECT COUNT(*) OVER (), f.path, f.rejected, COALESCE(r.rejected, 0)
FROM loaded_files AS f
LEFT JOIN (SELECT file_id, COUNT(*) AS rejected FROM rejected_lines GROUP BY file_id) AS r ON r.file_id = f.file_id
WHERE f.rejected <> COALESCE(r.rejected, 0)
ORDER BY f.path ASC NULLS LAST
LIMIT 3
"""

BALANCE_REJECTED = """
SELECT f.rejected, r.rejected
FROM (SELECT CAST(COALESCE(SUM(rejected), 0) AS BIGINT) AS rejected FROM loaded_files) AS f
CROSS JOIN (SELECT COUNT(*) AS rejected FROM rejected_lines) AS r
"""

CHECK_LOADED_FILES_ID = """
SELECT COUNT(*) OVER (), file_id, COUNT(*)
FROM loaded_files
GROUP BY file_id
HAVING COUNT(*) > 1
ORDER BY file_id ASC NULLS LAST
LIMIT 3
"""

CHECK_LOADED_FILES_PATH = """
SELECT COUNT(*) OVER (), kind, path, COUNT(*)
FROM loaded_files
GROUP BY kind, path
HAVING COUNT(*) > 1
ORDER BY kind ASC NULLS LAST, path ASC NULLS LAST
LIMIT 3
"""

CHECK_LOADED_FILES_VALUES = """
SELECT COUNT(*) OVER (), path, kind, status, records_read, staged, rejected
FROM loaded_files
WHERE file_id IS NULL OR path IS NULL OR fingerprint IS NULL OR loaded_at IS NULL
OR COALESCE(kind, '') NOT IN ('songs', 'events')
OR COALESCE(status, '') NOT IN ('loaded', 'rejected')
OR COALESCE(records_read, -1) < 0 OR COALESCE(staged, -1) < 0 OR COALESCE(rejected, -1) < 0
ORDER BY path ASC NULLS LAST
LIMIT 3
"""

CHECK_LOADED_FILES_LOAD = """
SELECT COUNT(*) OVER (), f.path, f.load_id
FROM loaded_files AS f
LEFT JOIN loads AS l ON l.load_id = f.load_id
WHERE l.load_id IS NULL
ORDER BY f.path ASC NULLS LAST
LIMIT 3
"""

CHECK_LOADS_KEY = """
SELECT COUNT(*) OVER (), load_id, COUNT(*)
FROM loads
GROUP BY load_id
HAVING COUNT(*) > 1
ORDER BY load_id ASC NULLS LAST
LIMIT 3
"""

CHECK_LOADS_VALUES = """
SELECT COUNT(*) OVER (), load_id, run_id, action, files, records
FROM loads
WHERE load_id IS NULL OR run_id IS NULL OR loaded_at IS NULL OR statements_sha256 IS NULL
OR COALESCE(action, '') NOT IN ('load', 'rebuild', 'forget')
OR COALESCE(files, -1) < 0 OR COALESCE(records, -1) < 0
ORDER BY load_id ASC NULLS LAST
LIMIT 3
"""

CHECK_STAGING_EVENTS_FILE = """
SELECT COUNT(*) OVER (), r.file_id, r.session_id, r.item_in_session, r.ts
FROM staging_events AS r
LEFT JOIN loaded_files AS f ON f.file_id = r.file_id
WHERE f.file_id IS NULL
ORDER BY r.file_id ASC NULLS LAST, r.ts ASC NULLS LAST
LIMIT 3
"""

CHECK_STAGING_EVENTS_VALUES = """
SELECT COUNT(*) OVER (), file_id, page, ts, user_id, session_id, item_in_session
FROM staging_events
WHERE page IS NULL OR TRIM(BOTH ' ' FROM page) = ''
OR ts IS NULL OR ts < 100000000000 OR ts > 99999999999999
OR (TRIM(BOTH ' ' FROM user_id) <> '' AND USER_NUMBER IS NULL)
OR (TRIM(BOTH ' ' FROM page) = 'NextSong' AND (session_id IS NULL OR item_in_session IS NULL))
ORDER BY file_id ASC NULLS LAST, ts ASC NULLS LAST
LIMIT 3
""".replace("USER_NUMBER", _user_number("user_id"))

CHECK_STAGING_SONGS_FILE = """
SELECT COUNT(*) OVER (), r.file_id, r.song_id, r.title
FROM staging_songs AS r
LEFT JOIN loaded_files AS f ON f.file_id = r.file_id
WHERE f.file_id IS NULL
ORDER BY r.file_id ASC NULLS LAST, r.song_id ASC NULLS LAST
LIMIT 3
"""

CHECK_STAGING_SONGS_VALUES = """
SELECT COUNT(*) OVER (), file_id, song_id, title
FROM staging_songs
WHERE song_id IS NULL OR TRIM(BOTH ' ' FROM song_id) = ''
ORDER BY file_id ASC NULLS LAST, title ASC NULLS LAST
LIMIT 3
"""

CHECK_REJECTED_LINES_FILE = """
SELECT COUNT(*) OVER (), r.file_id, r.line_number, r.reason
FROM rejected_lines AS r
LEFT JOIN loaded_files AS f ON f.file_id = r.file_id
WHERE f.file_id IS NULL
ORDER BY r.file_id ASC NULLS LAST, r.line_number ASC NULLS LAST
LIMIT 3
"""

# -- songplays

CHECK_PLAYS = """
SELECT
    COUNT(*) OVER (),
    CASE
        WHEN p.songplay_id IS NULL THEN 'missing from songplays'
        WHEN s.songplay_id IS NULL THEN 'not in staging'
        ELSE 'more than one row'
    END,
    COALESCE(s.songplay_id, p.songplay_id)
FROM staged_plays AS s
FULL JOIN (
    SELECT songplay_id, COUNT(*) AS times FROM songplays GROUP BY songplay_id
) AS p ON p.songplay_id = s.songplay_id
WHERE p.songplay_id IS NULL OR s.songplay_id IS NULL OR p.times > 1
ORDER BY COALESCE(s.songplay_id, p.songplay_id) ASC NULLS LAST
LIMIT 3
"""

BALANCE_PLAYS = """
SELECT e.plays, f.plays
FROM (SELECT COUNT(*) AS plays FROM staged_plays) AS e
CROSS JOIN (SELECT COUNT(*) AS plays FROM songplays) AS f
"""

# What is left out between staged plays and songplays has one of two names, the same play again and another play under
# the same key: this is the first.
BALANCE_SAME_PLAY_AGAIN = """
SELECT e.plays - e.keys - o.plays, e.plays - f.plays - o.plays
FROM (
    SELECT CAST(COALESCE(SUM(times), 0) AS BIGINT) AS plays, COUNT(*) AS keys
    FROM staged_plays
) AS e
CROSS JOIN (SELECT COUNT(*) AS plays FROM repeated_plays WHERE choice > 1) AS o
CROSS JOIN (SELECT COUNT(*) AS plays FROM songplays) AS f
"""

# ... and this is the second: what comes first by the order of CHOOSE_SONGPLAYS is the play, the rest is left out.
CHECK_OTHER_PLAYS = """
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

# Whole 1/100,000 s: sums of doubles depend on their order. Beyond 10^9 s it is no duration, and might not fit.
BALANCE_DURATIONS = """
SELECT e.duration, f.duration
FROM (
    SELECT
        CAST(COALESCE(SUM(
            CASE WHEN ABS(duration) <= 1000000000 THEN CAST(ROUND(duration * 100000) AS BIGINT) END
        ), 0) AS BIGINT) AS duration
    FROM chosen_songplays
) AS e
CROSS JOIN (
    SELECT
        CAST(COALESCE(SUM(
            CASE WHEN ABS(duration) <= 1000000000 THEN CAST(ROUND(duration * 100000) AS BIGINT) END
        ), 0) AS BIGINT) AS duration
    FROM songplays
) AS f
"""

CHECK_SONGPLAYS_KEY = """
SELECT COUNT(*) OVER (), songplay_id, COUNT(*)
FROM songplays
GROUP BY songplay_id
HAVING COUNT(*) > 1
ORDER BY songplay_id ASC NULLS LAST
LIMIT 3
"""

CHECK_SONGPLAYS_VALUES = """
SELECT COUNT(*) OVER (), songplay_id, start_time, session_id, item_in_session
FROM songplays
WHERE songplay_id IS NULL OR OCTET_LENGTH(songplay_id) <> 32 OR songplay_id ~ '[0-9a-f]*[^0-9a-f]([0-9]|[^0-9])*'
OR start_time IS NULL OR session_id IS NULL OR item_in_session IS NULL
ORDER BY songplay_id ASC NULLS LAST
LIMIT 3
"""

CHECK_SONGPLAYS_USER = """
SELECT COUNT(*) OVER (), p.songplay_id, p.user_id
FROM songplays AS p
LEFT JOIN users AS u ON u.user_id = p.user_id
WHERE p.user_id IS NOT NULL AND u.user_id IS NULL
ORDER BY p.songplay_id ASC NULLS LAST
LIMIT 3
"""

CHECK_SONGPLAYS_SONG = """
SELECT COUNT(*) OVER (), p.songplay_id, p.song_id
FROM songplays AS p
LEFT JOIN songs AS s ON s.song_id = p.song_id
WHERE p.song_id IS NOT NULL AND s.song_id IS NULL
ORDER BY p.songplay_id ASC NULLS LAST
LIMIT 3
"""

CHECK_SONGPLAYS_ARTIST = """
SELECT COUNT(*) OVER (), p.songplay_id, p.artist_id
FROM songplays AS p
LEFT JOIN artists AS a ON a.artist_id = p.artist_id
WHERE p.artist_id IS NOT NULL AND a.artist_id IS NULL
ORDER BY p.songplay_id ASC NULLS LAST
LIMIT 3
"""

# -- users, songs, artists, time

CHECK_USERS_KEY = """
SELECT COUNT(*) OVER (), user_id, COUNT(*)
FROM users
GROUP BY user_id
HAVING COUNT(*) > 1
ORDER BY user_id ASC NULLS LAST
LIMIT 3
"""

CHECK_USERS_VALUES = """
SELECT COUNT(*) OVER (), user_id, first_name, last_name, last_seen
FROM users
WHERE user_id IS NULL OR last_seen IS NULL
ORDER BY user_id ASC NULLS LAST
LIMIT 3
"""

CHECK_SONGS_KEY = """
SELECT COUNT(*) OVER (), song_id, COUNT(*)
FROM songs
GROUP BY song_id
HAVING COUNT(*) > 1
ORDER BY song_id ASC NULLS LAST
LIMIT 3
"""

CHECK_SONGS_VALUES = """
SELECT COUNT(*) OVER (), song_id, title, year
FROM songs
WHERE song_id IS NULL OR TRIM(BOTH ' ' FROM song_id) = '' OR year = 0
ORDER BY song_id ASC NULLS LAST
LIMIT 3
"""

CHECK_SONGS_ARTIST = """
SELECT COUNT(*) OVER (), s.song_id, s.artist_id
FROM songs AS s
LEFT JOIN artists AS a ON a.artist_id = s.artist_id
WHERE s.artist_id IS NOT NULL AND a.artist_id IS NULL
ORDER BY s.song_id ASC NULLS LAST
LIMIT 3
"""

CHECK_ARTISTS_KEY = """
SELECT COUNT(*) OVER (), artist_id, COUNT(*)
FROM artists
GROUP BY artist_id
HAVING COUNT(*) > 1
ORDER BY artist_id ASC NULLS LAST
LIMIT 3
"""

CHECK_ARTISTS_VALUES = """
SELECT COUNT(*) OVER (), artist_id, name
FROM artists
WHERE artist_id IS NULL OR TRIM(BOTH ' ' FROM artist_id) = ''
ORDER BY name ASC NULLS LAST
LIMIT 3
"""

CHECK_TIME_KEY = """
SELECT COUNT(*) OVER (), start_time, COUNT(*)
FROM time
GROUP BY start_time
HAVING COUNT(*) > 1
ORDER BY start_time ASC NULLS LAST
LIMIT 3
"""

CHECK_TIME_VALUES = """
SELECT COUNT(*) OVER (), start_time, hour, day, week, month, year, weekday
FROM time
WHERE start_time IS NULL OR year IS NULL
OR COALESCE(hour, -1) NOT BETWEEN 0 AND 23
OR COALESCE(day, -1) NOT BETWEEN 1 AND 31
OR COALESCE(week, -1) NOT BETWEEN 1 AND 53
OR COALESCE(month, -1) NOT BETWEEN 1 AND 12
OR COALESCE(weekday, -1) NOT BETWEEN 0 AND 6
ORDER BY start_time ASC NULLS LAST
LIMIT 3
"""

CHECK_TIMES = """
SELECT
    COUNT(*) OVER (),
    CASE WHEN t.start_time IS NULL THEN 'missing from time' ELSE 'no play starts then' END,
    COALESCE(p.start_time, t.start_time)
FROM (SELECT DISTINCT start_time FROM songplays) AS p
FULL JOIN time AS t ON t.start_time = p.start_time
WHERE p.start_time IS NULL OR t.start_time IS NULL
ORDER BY COALESCE(p.start_time, t.start_time) ASC NULLS LAST
LIMIT 3
"""

BALANCE_TIMES = """
SELECT e.times, f.times
FROM (SELECT COUNT(DISTINCT start_time) AS times FROM songplays) AS e
CROSS JOIN (SELECT COUNT(*) AS times FROM time) AS f
"""

# -- the star is what staging gives
# A row counts +1 where it was chosen again and -1 where it stands in the star: one that was dropped, changed or doubled
# does not come to 0.

CHECK_STAR_SONGPLAYS = """
SELECT
    COUNT(*) OVER (), CASE WHEN SUM(side) > 0 THEN 'missing from the star' ELSE 'not from staging' END,
    songplay_id, start_time, user_id, level, song_id, artist_id, session_id, location, user_agent,
    item_in_session, title, artist_name, duration
FROM (
    SELECT
        1 AS side, songplay_id, start_time, user_id, level, song_id, artist_id, session_id, location, user_agent,
        item_in_session, title, artist_name, duration
    FROM chosen_songplays
    UNION ALL
    SELECT
        -1 AS side, songplay_id, start_time, user_id, level, song_id, artist_id, session_id, location, user_agent,
        item_in_session, title, artist_name, duration
    FROM songplays
) AS b
GROUP BY
    songplay_id, start_time, user_id, level, song_id, artist_id, session_id, location, user_agent,
    item_in_session, title, artist_name, duration
HAVING SUM(side) <> 0
ORDER BY songplay_id ASC NULLS LAST, SUM(side) DESC NULLS LAST
LIMIT 3
"""

CHECK_STAR_USERS = """
SELECT
    COUNT(*) OVER (), CASE WHEN SUM(side) > 0 THEN 'missing from the star' ELSE 'not from staging' END,
    user_id, first_name, last_name, gender, level, last_seen
FROM (
    SELECT 1 AS side, user_id, first_name, last_name, gender, level, last_seen FROM chosen_users
    UNION ALL
    SELECT -1 AS side, user_id, first_name, last_name, gender, level, last_seen FROM users
) AS b
GROUP BY user_id, first_name, last_name, gender, level, last_seen
HAVING SUM(side) <> 0
ORDER BY user_id ASC NULLS LAST, SUM(side) DESC NULLS LAST
LIMIT 3
"""

CHECK_STAR_SONGS = """
SELECT
    COUNT(*) OVER (), CASE WHEN SUM(side) > 0 THEN 'missing from the star' ELSE 'not from staging' END,
    song_id, title, artist_id, year, duration, artist_name
FROM (
    SELECT 1 AS side, song_id, title, artist_id, year, duration, artist_name FROM chosen_songs
    UNION ALL
    SELECT -1 AS side, song_id, title, artist_id, year, duration, artist_name FROM songs
) AS b
GROUP BY song_id, title, artist_id, year, duration, artist_name
HAVING SUM(side) <> 0
ORDER BY song_id ASC NULLS LAST, SUM(side) DESC NULLS LAST
LIMIT 3
"""

CHECK_STAR_ARTISTS = """
SELECT
    COUNT(*) OVER (), CASE WHEN SUM(side) > 0 THEN 'missing from the star' ELSE 'not from staging' END,
    artist_id, name, location, latitude, longitude
FROM (
    SELECT 1 AS side, artist_id, name, location, latitude, longitude FROM chosen_artists
    UNION ALL
    SELECT -1 AS side, artist_id, name, location, latitude, longitude FROM artists
) AS b
GROUP BY artist_id, name, location, latitude, longitude
HAVING SUM(side) <> 0
ORDER BY artist_id ASC NULLS LAST, SUM(side) DESC NULLS LAST
LIMIT 3
"""

CHECK_STAR_TIME = """
SELECT
    COUNT(*) OVER (), CASE WHEN SUM(side) > 0 THEN 'missing from the star' ELSE 'not from staging' END,
    start_time, hour, day, week, month, year, weekday
FROM (
    SELECT 1 AS side, start_time, hour, day, week, month, year, weekday FROM chosen_time
    UNION ALL
    SELECT -1 AS side, start_time, hour, day, week, month, year, weekday FROM time
) AS b
GROUP BY start_time, hour, day, week, month, year, weekday
HAVING SUM(side) <> 0
ORDER BY start_time ASC NULLS LAST, SUM(side) DESC NULLS LAST
LIMIT 3
"""

CHECK_STAR = {
    "songplays": CHECK_STAR_SONGPLAYS,
    "users": CHECK_STAR_USERS,
    "songs": CHECK_STAR_SONGS,
    "artists": CHECK_STAR_ARTISTS,
    "time": CHECK_STAR_TIME,
}

# -- what a person should look at, though nothing is broken

CHECK_REJECTED_RECORDS = """
SELECT COUNT(*) OVER (), f.path, r.line_number, r.reason
FROM rejected_lines AS r
LEFT JOIN loaded_files AS f ON f.file_id = r.file_id
ORDER BY f.path ASC NULLS LAST, r.line_number ASC NULLS LAST, r.reason ASC NULLS LAST
LIMIT 3
"""

CHECK_EMPTY_TABLES = """
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
_EMPTY_COLUMN = """
    SELECT f.file_id, 'KEY' AS name, f.ROWS AS records
    FROM FILLED AS f
    CROSS JOIN (SELECT SUM(ROWS) AS records, SUM(COLUMN) AS filled FROM FILLED) AS a
    WHERE f.COLUMN = 0 AND f.records >= 100 AND f.ROWS > 0
    AND a.filled * 2 > a.records - f.ROWS
"""


def _empty_columns(table: str, keys: dict[str, str], rows: str) -> list[str]:
    named = _EMPTY_COLUMN.replace("FILLED", table).replace("ROWS", rows)
    return [named.replace("KEY", key).replace("COLUMN", column) for key, column in keys.items()]


_OF_PLAYS = ("artist", "song", "length")
_NEVER_EMPTY = ("page", "ts", "item_in_session", "song_id")  # where they are needed; nobody else has to have them
CHECK_EMPTY_COLUMNS = """
SELECT COUNT(*) OVER (), l.path, c.name, c.records
FROM (EMPTY_COLUMNS) AS c
LEFT JOIN loaded_files AS l ON l.file_id = c.file_id
ORDER BY l.path ASC NULLS LAST, c.name ASC NULLS LAST
LIMIT 3
""".replace(
    "EMPTY_COLUMNS",
    "    UNION ALL".join(
        (
            *_empty_columns("filled_events", {k: c for k, c in EVENT_KEYS.items() if c in _OF_PLAYS}, "plays"),
            *_empty_columns(
                "filled_events",
                {k: c for k, c in EVENT_KEYS.items() if c not in (*_OF_PLAYS, *_NEVER_EMPTY)},
                "records",
            ),
            *_empty_columns("filled_songs", {k: c for k, c in SONG_KEYS.items() if c not in _NEVER_EMPTY}, "records"),
        )
    ),
)

CHECK_FILES_WITHOUT_PLAYS = """
SELECT COUNT(*) OVER (), l.path, f.records
FROM filled_events AS f
LEFT JOIN loaded_files AS l ON l.file_id = f.file_id
WHERE f.records >= 100 AND f.plays = 0
ORDER BY l.path ASC NULLS LAST
LIMIT 3
"""

# Pages that would be plays but for upper and lower case, blanks and what is neither letter nor digit.
CHECK_PAGES = """
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

CHECK_PLAYS_WITHOUT_USER = """
SELECT COUNT(*) OVER (), songplay_id, session_id, start_time
FROM songplays
WHERE user_id IS NULL
ORDER BY start_time ASC NULLS LAST, songplay_id ASC NULLS LAST
LIMIT 3
"""

CHECK_LEVELS = """
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
CHECK_SONGPLAYS_ENCODING = """
SELECT CAST(SUM(COUNT(*)) OVER () AS BIGINT), title, artist_name, COUNT(*)
FROM songplays
WHERE ASCII(SUBSTRING(title, NULLIF(POSITION('Ã' IN title), 0) + 1, 1)) BETWEEN 128 AND 191
OR ASCII(SUBSTRING(title, NULLIF(POSITION('Â' IN title), 0) + 1, 1)) BETWEEN 128 AND 191
OR ASCII(SUBSTRING(artist_name, NULLIF(POSITION('Ã' IN artist_name), 0) + 1, 1)) BETWEEN 128 AND 191
OR ASCII(SUBSTRING(artist_name, NULLIF(POSITION('Â' IN artist_name), 0) + 1, 1)) BETWEEN 128 AND 191
GROUP BY title, artist_name
ORDER BY COUNT(*) DESC NULLS LAST, title ASC NULLS LAST, artist_name ASC NULLS LAST
LIMIT 3
"""

CHECK_SONGS_ENCODING = """
SELECT COUNT(*) OVER (), song_id, title, artist_name
FROM songs
WHERE ASCII(SUBSTRING(title, NULLIF(POSITION('Ã' IN title), 0) + 1, 1)) BETWEEN 128 AND 191
OR ASCII(SUBSTRING(title, NULLIF(POSITION('Â' IN title), 0) + 1, 1)) BETWEEN 128 AND 191
OR ASCII(SUBSTRING(artist_name, NULLIF(POSITION('Ã' IN artist_name), 0) + 1, 1)) BETWEEN 128 AND 191
OR ASCII(SUBSTRING(artist_name, NULLIF(POSITION('Â' IN artist_name), 0) + 1, 1)) BETWEEN 128 AND 191
ORDER BY song_id ASC NULLS LAST
LIMIT 3
"""

CHECK_MATCHES = """
SELECT COUNT(*) OVER (), plays, matched
FROM (SELECT COUNT(*) AS plays, COUNT(song_id) AS matched FROM songplays) AS p
WHERE matched < plays * CAST(%s AS DOUBLE PRECISION)
"""

BALANCE_MATCHES = "SELECT COUNT(*), COUNT(song_id) FROM songplays"

# The names of the plays that found no song, each with its plays, led by the number of all such plays; and the
# catalogue, page by page. star/matches.py holds one against the other.
UNMATCHED_NAMES = """
SELECT CAST(SUM(COUNT(*)) OVER () AS BIGINT), title, artist_name, COUNT(*)
FROM songplays
WHERE song_id IS NULL
GROUP BY title, artist_name
ORDER BY COUNT(*) DESC NULLS LAST, title ASC NULLS LAST, artist_name ASC NULLS LAST
LIMIT %s
"""

CATALOGUE_PAGE = """
SELECT song_id, title, artist_name
FROM songs
WHERE song_id > %s
ORDER BY song_id ASC NULLS LAST
LIMIT %s
"""

CHECK_DAYS = """
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

BALANCE_DAYS = """
SELECT COALESCE(MAX(day) - MIN(day) + 1, 0), COUNT(*)
FROM (SELECT DISTINCT CAST(start_time AS DATE) AS day FROM songplays) AS d
"""

# Led by the number of days that the last play is too old.
CHECK_AGE = """
SELECT oldest - last_day, last_day
FROM (SELECT CAST(MAX(start_time) AS DATE) AS last_day, CAST(%s AS DATE) AS oldest FROM songplays) AS p
WHERE last_day < oldest
"""

# ----------------------------------------------------------------------------------------------------------- the report
# report.py asks these, in one transaction, and shows the text of each beside its numbers. Every one is an aggregate:
# what comes back does not grow with the number of plays. No listener's name or id is among what they give.

REPORT_TOTALS = """
SELECT
    COUNT(*) AS plays,
    COUNT(user_id) AS plays_with_user,
    COUNT(DISTINCT user_id) AS listeners,
    CAST(COALESCE(SUM(CASE WHEN level = 'free' THEN 1 ELSE 0 END), 0) AS BIGINT) AS free,
    COUNT(song_id) AS matched,
    MIN(start_time) AS first_play,
    MAX(start_time) AS last_play
FROM songplays
"""

REPORT_DAYS = """
SELECT
    CAST(start_time AS DATE) AS day,
    CAST(SUM(CASE WHEN level = 'paid' THEN 1 ELSE 0 END) AS BIGINT) AS paid,
    CAST(SUM(CASE WHEN level = 'free' THEN 1 ELSE 0 END) AS BIGINT) AS free,
    COUNT(*) AS plays
FROM songplays
GROUP BY CAST(start_time AS DATE)
ORDER BY day ASC NULLS LAST
"""

# By the table time, so that hour and weekday are those an analyst would join.
REPORT_HOURS = """
SELECT t.weekday, t.hour, COUNT(*) AS plays
FROM songplays AS p
JOIN time AS t ON t.start_time = p.start_time
GROUP BY t.weekday, t.hour
ORDER BY t.weekday ASC NULLS LAST, t.hour ASC NULLS LAST
"""

# As the events name them, whether the catalogue knows them or not.
REPORT_SONGS = """
SELECT title, artist_name, COUNT(*) AS plays, COUNT(song_id) AS matched
FROM songplays
WHERE title IS NOT NULL
GROUP BY title, artist_name
ORDER BY plays DESC NULLS LAST, title ASC NULLS LAST, artist_name ASC NULLS LAST
LIMIT 10
"""

REPORT_ARTISTS = """
SELECT artist_name, COUNT(*) AS plays, COUNT(DISTINCT title) AS songs
FROM songplays
WHERE artist_name IS NOT NULL
GROUP BY artist_name
ORDER BY plays DESC NULLS LAST, artist_name ASC NULLS LAST
LIMIT 10
"""

# A location is a metropolitan area, `New York-Newark-Jersey City, NY-NJ-PA`: the state of its first city counts.
REPORT_STATES = """
SELECT state, COUNT(*) AS plays
FROM (
    SELECT CASE WHEN OCTET_LENGTH(state) = 2 AND NOT state ~ '[A-Z]*[^A-Z]([0-9]|[^0-9])*' THEN state END AS state
    FROM (SELECT SPLIT_PART(SPLIT_PART(location, ', ', 2), '-', 1) AS state FROM songplays) AS l
) AS s
GROUP BY state
ORDER BY plays DESC NULLS LAST, state ASC NULLS LAST
"""

# A change is seen at the first play with another level than the play before.
REPORT_CHANGES = """
SELECT
    week,
    CAST(SUM(CASE WHEN level = 'paid' THEN 1 ELSE 0 END) AS BIGINT) AS to_paid,
    CAST(SUM(CASE WHEN level = 'free' THEN 1 ELSE 0 END) AS BIGINT) AS to_free
FROM (
    SELECT
        level,
        LAG(level) OVER (
            PARTITION BY user_id
            ORDER BY start_time ASC NULLS LAST, item_in_session ASC NULLS LAST, songplay_id ASC NULLS LAST
        ) AS level_before,
        CAST(DATE_TRUNC('week', start_time) AS DATE) AS week
    FROM songplays
    WHERE user_id IS NOT NULL AND level IN ('free', 'paid')
) AS l
WHERE level <> level_before
GROUP BY week
ORDER BY week ASC NULLS LAST
"""

# Of the listeners whose first play was in one week, how many played again so many weeks later; the last twelve weeks.
REPORT_RETENTION = """
WITH active AS (
    SELECT DISTINCT user_id, CAST(DATE_TRUNC('week', start_time) AS DATE) AS week
    FROM songplays
    WHERE user_id IS NOT NULL
),

joined AS (
    SELECT user_id, MIN(week) AS week FROM active GROUP BY user_id
)

SELECT j.week AS first_week, CAST(FLOOR((a.week - j.week) / 7.0) AS INTEGER) AS weeks_later, COUNT(*) AS listeners
FROM joined AS j
JOIN active AS a ON a.user_id = j.user_id
CROSS JOIN (SELECT MAX(week) AS week FROM active) AS l
WHERE l.week - j.week < 84
GROUP BY j.week, CAST(FLOOR((a.week - j.week) / 7.0) AS INTEGER)
ORDER BY first_week ASC NULLS LAST, weeks_later ASC NULLS LAST
"""

REPORT_FILES = """
SELECT
    kind,
    COUNT(*) AS files,
    CAST(SUM(CASE WHEN status = 'rejected' THEN 1 ELSE 0 END) AS BIGINT) AS files_rejected,
    CAST(SUM(records_read) AS BIGINT) AS records_read,
    CAST(SUM(rejected) AS BIGINT) AS records_rejected
FROM loaded_files
GROUP BY kind
ORDER BY kind ASC NULLS LAST
"""

# Each difference between what was read and what is in the star, by its name. COUNT_STAGED_PLAYS makes staged_plays
# and repeated_plays.
REPORT_DIFFERENCES = """
SELECT 'song again' AS difference, COUNT(*) - COUNT(DISTINCT TRIM(BOTH ' ' FROM song_id)) AS records
FROM staging_songs
UNION ALL
SELECT 'no artist', COUNT(*) - COUNT(NULLIF(TRIM(BOTH ' ' FROM artist_id), '')) FROM staging_songs
UNION ALL
SELECT
    'artist again',
    COUNT(NULLIF(TRIM(BOTH ' ' FROM artist_id), '')) - COUNT(DISTINCT NULLIF(TRIM(BOTH ' ' FROM artist_id), ''))
FROM staging_songs
UNION ALL
SELECT 'no user', COUNT(*) - COUNT(NULLIF(TRIM(BOTH ' ' FROM user_id), '')) FROM staging_events
UNION ALL
SELECT
    'user again',
    COUNT(NULLIF(TRIM(BOTH ' ' FROM user_id), '')) - COUNT(DISTINCT USER_NUMBER)
FROM staging_events
UNION ALL
SELECT 'play again', s.again - o.plays
FROM (SELECT CAST(COALESCE(SUM(times - 1), 0) AS BIGINT) AS again FROM staged_plays) AS s
CROSS JOIN (SELECT COUNT(*) AS plays FROM repeated_plays WHERE choice > 1) AS o
UNION ALL
SELECT 'other play', COUNT(*) FROM repeated_plays WHERE choice > 1
UNION ALL
SELECT 'time again', COUNT(*) - COUNT(DISTINCT start_time) FROM songplays
""".replace("USER_NUMBER", _user_number("user_id"))

# Events that are no play, by page; led by the number of all of them.
REPORT_PAGES = """
SELECT CAST(SUM(COUNT(*)) OVER () AS BIGINT) AS no_plays, TRIM(BOTH ' ' FROM page) AS page, COUNT(*) AS events
FROM staging_events
WHERE TRIM(BOTH ' ' FROM page) <> 'NextSong'
GROUP BY TRIM(BOTH ' ' FROM page)
ORDER BY events DESC NULLS LAST, page ASC NULLS LAST
LIMIT 12
"""

REPORT_LAST_LOAD = """
SELECT load_id, run_id, loaded_at, statements_sha256
FROM loads
ORDER BY load_id DESC
LIMIT 1
"""

# Whether a run loaded into this warehouse: by this a lake or a report that names no warehouse is known.
FIND_RUN = "SELECT load_id FROM loads WHERE run_id = %s"

REPORT_ENGINE = "SELECT VERSION()"

REPORT = {
    "Totals": REPORT_TOTALS,
    "Plays by day": REPORT_DAYS,
    "Hour and weekday": REPORT_HOURS,
    "Top songs": REPORT_SONGS,
    "Top artists": REPORT_ARTISTS,
    "Plays by state": REPORT_STATES,
    "Level changes": REPORT_CHANGES,
    "Weekly retention": REPORT_RETENTION,
    "Files and records": REPORT_FILES,
    "Named differences": REPORT_DIFFERENCES,
    "Events that are no play": REPORT_PAGES,
    "Rows of every table": COUNT_ALL_ROWS,
    "The last load": REPORT_LAST_LOAD,
}

# ------------------------------------------------------------------------------------------------------------- the lake
# export_lake.py writes these as Parquet: one folder a table, songplays one for each month as well. Columns that name
# folders are not in the files.

LAKE_SONGPLAYS = """
SELECT
    songplay_id, start_time, user_id, level, song_id, artist_id, session_id, location, user_agent, item_in_session,
    title, artist_name, duration,
    CAST(EXTRACT(YEAR FROM start_time) AS INTEGER) AS year,
    LPAD(CAST(CAST(EXTRACT(MONTH FROM start_time) AS INTEGER) AS VARCHAR(2)), 2, '0') AS month
FROM songplays
"""
LAKE_USERS = "SELECT user_id, first_name, last_name, gender, level, last_seen FROM users"
LAKE_SONGS = "SELECT song_id, title, artist_id, year, duration, artist_name FROM songs"
LAKE_ARTISTS = "SELECT artist_id, name, location, latitude, longitude FROM artists"
LAKE_TIME = "SELECT start_time, hour, day, week, month, year, weekday FROM time"

# Table -> its rows, the columns that name its folders, the columns its files are sorted by.
LAKE = {
    "users": (LAKE_USERS, (), ("user_id",)),
    "songs": (LAKE_SONGS, (), ("song_id",)),
    "artists": (LAKE_ARTISTS, (), ("artist_id",)),
    "time": (LAKE_TIME, (), ("start_time",)),
    "songplays": (LAKE_SONGPLAYS, ("year", "month"), ("start_time", "songplay_id")),
}

# The same statement is asked of the star and of the lake; every total is a whole number that can be added up over
# files. Milliseconds are counted from midnight: an export that drops them, or shifts the hours, is found.
LAKE_TOTALS_USERS = """
SELECT
    COUNT(*) AS number_of_rows,
    SUM(user_id) AS user_id,
    SUM(OCTET_LENGTH(first_name)) AS first_name,
    SUM(OCTET_LENGTH(last_name)) AS last_name,
    SUM(OCTET_LENGTH(gender)) AS gender,
    SUM(OCTET_LENGTH(level)) AS level,
    SUM(CAST(last_seen AS DATE) - DATE '1970-01-01') AS days,
    SUM(
        CAST(EXTRACT(HOUR FROM last_seen) AS BIGINT) * 3600000 + CAST(EXTRACT(MINUTE FROM last_seen) AS BIGINT) * 60000
        + CAST(CAST(SUBSTRING(CAST(last_seen AS VARCHAR(32)) FROM 18) AS DECIMAL(9, 6)) * 1000 AS BIGINT)
    ) AS milliseconds
FROM users
"""
LAKE_TOTALS_SONGS = """
SELECT
    COUNT(*) AS number_of_rows,
    SUM(OCTET_LENGTH(song_id)) AS song_id,
    SUM(OCTET_LENGTH(title)) AS title,
    SUM(OCTET_LENGTH(artist_id)) AS artist_id,
    SUM(year) AS year,
    COUNT(duration) AS durations,
    SUM(CAST(ROUND(duration * 100000) AS BIGINT)) AS duration,
    SUM(OCTET_LENGTH(artist_name)) AS artist_name
FROM songs
"""
LAKE_TOTALS_ARTISTS = """
SELECT
    COUNT(*) AS number_of_rows,
    SUM(OCTET_LENGTH(artist_id)) AS artist_id,
    SUM(OCTET_LENGTH(name)) AS name,
    SUM(OCTET_LENGTH(location)) AS location,
    COUNT(latitude) AS latitudes,
    SUM(CAST(ROUND(latitude * 100000) AS BIGINT)) AS latitude,
    COUNT(longitude) AS longitudes,
    SUM(CAST(ROUND(longitude * 100000) AS BIGINT)) AS longitude
FROM artists
"""
LAKE_TOTALS_TIME = """
SELECT
    COUNT(*) AS number_of_rows,
    SUM(CAST(start_time AS DATE) - DATE '1970-01-01') AS days,
    SUM(
        CAST(EXTRACT(HOUR FROM start_time) AS BIGINT) * 3600000
        + CAST(EXTRACT(MINUTE FROM start_time) AS BIGINT) * 60000
        + CAST(CAST(SUBSTRING(CAST(start_time AS VARCHAR(32)) FROM 18) AS DECIMAL(9, 6)) * 1000 AS BIGINT)
    ) AS milliseconds,
    SUM(hour) AS hour,
    SUM(day) AS day,
    SUM(week) AS week,
    SUM(month) AS month,
    SUM(year) AS year,
    SUM(weekday) AS weekday
FROM time
"""
LAKE_TOTALS_SONGPLAYS = """
SELECT
    COUNT(*) AS number_of_rows,
    SUM(OCTET_LENGTH(songplay_id)) AS songplay_id,
    SUM(CAST(start_time AS DATE) - DATE '1970-01-01') AS days,
    SUM(
        CAST(EXTRACT(HOUR FROM start_time) AS BIGINT) * 3600000
        + CAST(EXTRACT(MINUTE FROM start_time) AS BIGINT) * 60000
        + CAST(CAST(SUBSTRING(CAST(start_time AS VARCHAR(32)) FROM 18) AS DECIMAL(9, 6)) * 1000 AS BIGINT)
    ) AS milliseconds,
    COUNT(user_id) AS users,
    SUM(user_id) AS user_id,
    SUM(OCTET_LENGTH(level)) AS level,
    SUM(OCTET_LENGTH(song_id)) AS song_id,
    SUM(OCTET_LENGTH(artist_id)) AS artist_id,
    SUM(session_id) AS session_id,
    SUM(OCTET_LENGTH(location)) AS location,
    SUM(OCTET_LENGTH(user_agent)) AS user_agent,
    SUM(item_in_session) AS item_in_session,
    SUM(OCTET_LENGTH(title)) AS title,
    SUM(OCTET_LENGTH(artist_name)) AS artist_name,
    COUNT(duration) AS durations,
    SUM(CAST(ROUND(duration * 100000) AS BIGINT)) AS duration
FROM songplays
"""
LAKE_TOTALS = {
    "users": LAKE_TOTALS_USERS,
    "songs": LAKE_TOTALS_SONGS,
    "artists": LAKE_TOTALS_ARTISTS,
    "time": LAKE_TOTALS_TIME,
    "songplays": LAKE_TOTALS_SONGPLAYS,
}
