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

schema_version  BIGINT NOT NULL       Version of the tables. A later one than is known is refused. e.g. 2
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
    "touched_days": """
The days, in UTC, whose plays a load changed: those on which they started before it, and those after it. A load that
changed no play has one row. A rebuild, which changes all days, removes the rows of the loads before it and has none.

load_id  BIGINT NOT NULL  Load that changed them, found in loads. e.g. 1
day      DATE             Day on which a changed play starts or started. NULL when the load changed no play.
                          e.g. 2018-11-03
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

SCHEMA_VERSION = 2  # the number in dwh_warehouse: one more for whoever changes staging or the ledger
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
# record_number, line_number, reason and record are those of files read record by record (dwh/spool/records.py).


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
    """Tell that a text begins as an object or a list does: only dwh/spool/records.py knows whether it is one, and
    numbers the records of a file it has read."""
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

# The rules of a record: the first that is broken is its reason, NULL that of a good one; for every engine. Milliseconds
# since 1970 have 12 to 14 digits from March 1973 to the year 5138; other units have fewer or more.
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
    """Insert the values of the records. A user stays text, and 26.0 is written as 26, -0 as 0: none is negative."""
    values = {name: f"{name}_value" if key in NUMBERS else name for name, (key, _) in columns.items()}
    if "user_id" in values:
        values["user_id"] = """CASE
        WHEN user_id >= '-' AND user_id < '.' THEN '0'
        WHEN POSITION('.' IN user_id) > 0 THEN REPLACE(user_id, '.0', '')
        ELSE user_id
    END"""
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


def _stage_quickly(statement: str) -> str:
    """Say the same for an engine with TRY_CAST: a whole number that comes back as it went in needs no pattern."""
    for name in (*_EVENT_NUMBERS, *_SONG_NUMBERS):
        portable, tried = f"CAST({_whole(name)} AS BIGINT) AS", f"TRY_CAST({name} AS BIGINT)"
        quick = f"CASE WHEN CAST({tried} AS VARCHAR) = {name} THEN {tried} ELSE {portable[:-3]} END AS"
        statement = statement.replace(portable, quick)
    return statement


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

# From whole days and whole milliseconds: exact on all three engines. Dividing or EXTRACT(EPOCH) drops some on one.
MOMENT = """TIMESTAMP '1970-01-01 00:00:00' + CAST(FLOOR(ts / 86400000.0) AS INTEGER) * INTERVAL '1 day'
    + CAST(MOD(ts, 86400000) AS INTEGER) * INTERVAL '0.001 second'"""

# The record with the latest ts wins; only records that share it are ranked.
CHOOSE_USERS = """
SELECT
    user_id, first_name, last_name, gender, level,
    MOMENT AS last_seen
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
""".replace("USER_NUMBER", user_number("user_id")).replace("MOMENT", MOMENT)

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
IS_RIVAL = """
EXISTS (
    SELECT 1 FROM rival_plays AS r WHERE r.session_id = e.session_id AND r.item_in_session = e.item_in_session
)
"""
_RIVAL_PLAYS = _PLAYS.replace("CHOICE", IS_RIVAL)
_SINGLE_PLAYS = "UNION ALL".join(
    _PLAYS.replace("CHOICE", f"NOT {IS_RIVAL} AND {touched}") for touched in (_OF_TOUCHED_FILES, _OF_OTHER_FILES)
)

# A play matches a song when title and artist name are equal; of several the nearest duration, then the lowest song_id.
# One order decides both which of several records is the play and, behind all of its columns, which song it matches.
# Nearly every play has one record and at most one song to match: only the others are ranked, which halves the work.
CHOOSE_SONGPLAYS = (
    """
SELECT
    songplay_id,
    MOMENT AS start_time,
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
""".replace("SINGLE_PLAYS", _SINGLE_PLAYS)
    .replace("RIVAL_PLAYS", _RIVAL_PLAYS)
    .replace("MOMENT", MOMENT)
)

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
STAGE_GOOD_QUICKLY = {kind: _stage_quickly(statement) for kind, statement in STAGE_GOOD_RECORDS.items()}
# Which of them only songs need, and which only events, stands in star/loads.py.
TOUCH_KEYS = (TOUCH_SONGS, TOUCH_ARTISTS, TOUCH_USERS, TOUCH_PLAYS, TOUCH_NAMES_BEFORE)
REBUILD_TOUCHED = (
    *(DELETE_TOUCHED_SONGS, INSERT_SONGS),
    *(DELETE_TOUCHED_ARTISTS, INSERT_ARTISTS),
    *(DELETE_TOUCHED_USERS, INSERT_USERS),
    *(TOUCH_NAMES_AFTER, TOUCH_PLAYS_BY_NAME),
    *(TOUCH_TIMES_BEFORE, DELETE_TOUCHED_PLAYS),
    *(FIND_RIVAL_PLAYS, INSERT_SONGPLAYS),
    *(DELETE_TOUCHED_TIMES, FIND_PRESENT_TIMES, DELETE_PRESENT_TIMES, INSERT_TIME),
)

# The same for an empty star, into which all of staging comes: nothing leaves it, so no touched key is looked up, and no
# record of another file.
_OF_TOUCHED = (
    ("WHERE TRIM(BOTH ' ' FROM song_id) IN (SELECT song_id FROM touched_songs)", ""),
    ("IN (SELECT artist_id FROM touched_artists)", "<> ''"),
    ("WHERE e.user_id IN (SELECT user_id FROM touched_users)", ""),
    ("WHERE c.user_id IN (SELECT user_id FROM touched_users)", ""),
    (f" UNION ALL {_PLAYED.replace('TOUCHED', _OF_OTHER_FILES)}", ""),
    (f"UNION ALL{_PLAYS.replace('CHOICE', f'NOT {IS_RIVAL} AND {_OF_OTHER_FILES}')}", ""),
    (f" AND {_OF_TOUCHED_FILES}", ""),
)


def _of_all(statement: str) -> str:
    """Give a statement that takes all of staging, not what belongs to touched keys."""
    for of_touched, of_all in _OF_TOUCHED:
        statement = statement.replace(of_touched, of_all)
    return statement


FIND_NO_TIMES = "CREATE TEMP TABLE touched_times (start_time TIMESTAMP)"
FIND_ALL_TIMES = "CREATE TEMP TABLE present_times AS SELECT DISTINCT start_time FROM songplays"
FIND_ALL_RIVALS = _of_all(FIND_RIVAL_PLAYS)
BUILD_ALL = (
    *map(_of_all, (INSERT_SONGS, INSERT_ARTISTS, INSERT_USERS)),
    *(FIND_ALL_RIVALS, _of_all(INSERT_SONGPLAYS)),
    *(FIND_NO_TIMES, FIND_ALL_TIMES, INSERT_TIME),
)
# The rows of the whole star, to compare with those that are there.
CHOOSE_ALL = {
    "users": _of_all(CHOOSE_USERS),
    "songs": _of_all(CHOOSE_SONGS),
    "artists": _of_all(CHOOSE_ARTISTS),
    "time": CHOOSE_TIME,
    "songplays": _of_all(CHOOSE_SONGPLAYS),
}
DROP_TEMPORARY = tuple(
    f"DROP TABLE IF EXISTS {table}"
    for table in (
        *("incoming_files", "incoming_songs", "incoming_events", "refused_songs", "refused_events", "going_files"),
        *("touched_files", "touched_songs", "touched_artists", "touched_users", "touched_plays", "touched_names"),
        *("touched_times", "rival_plays", "present_times"),
    )
)

# What decides the content of the star: etl.py rebuilds it when one of these differs from what the last load ran. What
# builds all of an empty star is made from them.
STAR_STATEMENTS = (*STAR.values(), *TOUCH_KEYS, *REBUILD_TOUCHED)

# Which files are loaded, as etl.py and sql_validate.py compare it with the sources.
SELECT_LEDGER = "SELECT kind, path, fingerprint, file_id, status, records_read FROM loaded_files"


def _count_rows(*tables: str) -> str:
    return "UNION ALL".join(f"\nSELECT '{table}', COUNT(*) FROM {table}\n" for table in tables)


# What etl.py tells at its end; and of every table.
COUNT_ROWS = _count_rows(*STAGING, "rejected_lines", "songplays", "users", "songs", "artists", "time")
COUNT_ALL_ROWS = _count_rows(*TABLES)
