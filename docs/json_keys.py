"""The keys of the objects that scripts print with --json: where each stands, its type, and its meaning.

`a.b` is key b of the object a, `a[]` each item of a list, `a.*` the value of each key of an object whose keys are
names, such as tables. A `row` is an object whose keys are columns.
"""

from __future__ import annotations

from typing import NamedTuple


class JsonKey(NamedTuple):
    """A key: its path in the object, the type of its value, and what it means."""

    path: str
    type: str
    meaning: str


EVERY_SCRIPT = (
    JsonKey("script", "text", "the script that printed the object"),
    JsonKey("ok", "boolean", "false when the exit code is not 0"),
)
ENGINE = JsonKey("engine", "text", "duckdb, postgres or redshift")
PLACE = JsonKey("place", "text", "the warehouse: its file, or database, schema and server")
CHANGES = JsonKey("changes[]", "text", "what was changed: `+` made, `~` changed, `-` removed, `=` left as it is")
SECONDS = JsonKey("seconds", "number", "how long the script took")

FAILURE = (
    JsonKey("error.kind", "text", "data, usage, environment, busy, bug or interrupted"),
    JsonKey("error.message", "text", "what failed"),
    JsonKey("error.hint[]", "text", "a command or an edit that helps"),
    JsonKey("error.exit_code", "integer", "the exit code"),
)
SCRIPTS = {
    "conn_start": (
        ENGINE,
        PLACE,
        JsonKey("created", "boolean", "a warehouse was made by this run"),
        JsonKey("would_create", "boolean", "with --dry-run: a warehouse would be made"),
        CHANGES,
    ),
    "create_tables": (ENGINE, CHANGES),
    "etl": (
        ENGINE,
        JsonKey("run_id", "text", "the run, as in the tables loads and loaded_files: its start in UTC"),
        SECONDS,
        JsonKey("files.new", "integer", "files that were not loaded before"),
        JsonKey("files.changed", "integer", "files that changed since they were loaded"),
        JsonKey("files.vanished", "integer", "loaded files that are gone from the source; their rows stay"),
        JsonKey("files.already_loaded", "integer", "files that are loaded and have not changed"),
        JsonKey("files.rejected", "integer", "files that could not be read at all"),
        JsonKey("files.passed_over", "integer", "files of the source whose names are not read"),
        JsonKey("rows.*", "integer", "rows of each table after the run"),
        JsonKey("newest", "text", "the time of the newest play, in UTC"),
        JsonKey("loads[].load_id", "integer", "a committed load, as in the table loads"),
        JsonKey("loads[].files", "integer", "files that it read"),
        JsonKey("loads[].records", "integer", "records that it read"),
        JsonKey("loads[].seconds", "number", "how long it took"),
        JsonKey("other_plays", "integer", "plays of this run that another play under the same key replaced"),
        JsonKey("unread_keys[].kind", "text", "songs or events"),
        JsonKey("unread_keys[].key", "text", "a key that is not read because of its upper and lower case"),
        JsonKey("unread_keys[].spelling", "text", "the spelling that is read"),
        JsonKey("unread_keys[].files", "integer", "files in which it was found"),
        JsonKey("unread_keys[].example", "text", "one of them"),
        JsonKey("unread_keys[].at_least", "boolean", "true when not all files were looked at"),
    ),
    "sql_validate": (
        ENGINE,
        JsonKey("tables.*", "integer", "rows of each table"),
        JsonKey("checks[].name", "text", "the check"),
        JsonKey("checks[].status", "text", "ok, warn or fail"),
        JsonKey("checks[].expected", "integer", "the number that was expected"),
        JsonKey("checks[].found", "integer", "the number that was found"),
        JsonKey("checks[].sample[]", "row", "a row that breaks the promise, three at most"),
        JsonKey("checks[].reasons[].reason", "text", "with -v: one reason for what was found"),
        JsonKey("checks[].reasons[].found", "integer", "with -v: how often it applies"),
        JsonKey("checks[].reasons[].example", "row", "with -v: an example"),
        JsonKey("checks[].what", "text", "with --list: what the check promises"),
        JsonKey("checks[].severity", "text", "with --list: warn or fail"),
    ),
    "export_lake": (
        ENGINE,
        JsonKey("lake", "text", "the folder or s3:// prefix of the lake"),
        JsonKey("export", "integer", "the number of the export that is current now"),
        JsonKey("version", "text", "FORMAT = parquet: the export that is current now"),
        JsonKey("written", "boolean", "false when the lake held this star already"),
        JsonKey("removed[]", "text", "a file that no kept export needs; FORMAT = parquet: an older export"),
        JsonKey("tables.*.rows", "integer", "rows of each table"),
        JsonKey("tables.*.bytes", "integer", "bytes of its files"),
        JsonKey("tables.*.files", "integer", "number of its files"),
        JsonKey("bytes", "integer", "bytes of all files"),
        JsonKey("bytes_written", "integer", "bytes of the data files that this export wrote"),
        SECONDS,
        JsonKey("would_write", "boolean", "with --dry-run: an export would be written"),
        JsonKey("would_remove[]", "text", "with --dry-run: what would be removed, as in removed"),
        JsonKey("pieces.*[]", "text", "with --dry-run: months and days of a table to write; empty: all of it"),
        JsonKey("bytes_replaced", "integer", "with --dry-run: bytes of the files whose place that takes"),
        JsonKey("rows.*", "integer", "with --check, and (FORMAT = parquet) --dry-run: rows of each table of the star"),
    ),
    "report": (
        ENGINE,
        JsonKey("report", "text", "the file that was written"),
        JsonKey("bytes", "integer", "its size"),
        JsonKey("checks.ok", "integer", "checks that found nothing"),
        JsonKey("checks.warn", "integer", "checks that warn"),
        JsonKey("checks.fail", "integer", "checks that failed"),
        SECONDS,
    ),
    "ask": (
        ENGINE,
        JsonKey("columns[].name", "text", "a column of the answer"),
        JsonKey("columns[].type", "text", "its type as DuckDB names it; VARCHAR for what has none of those"),
        JsonKey("rows[]", "row", "a row of the answer; the keys are the columns"),
        JsonKey("cut", "boolean", "there are more rows than --limit let through"),
        SECONDS,
        JsonKey("questions[].name", "text", "with --list: the name of a question"),
        JsonKey("questions[].question", "text", "with --list: the question in words"),
        JsonKey("questions[].parameters[].name", "text", "with --list: what can be given to it, as a flag"),
        JsonKey("questions[].parameters[].type", "text", "with --list: integer, date or text"),
        JsonKey("questions[].parameters[].default", "text", "with --list: what holds when it is not given"),
        JsonKey("questions[].parameters[].meaning", "text", "with --list: what it means"),
    ),
    "conn_close": (ENGINE, PLACE, CHANGES),
    "make_sample": (
        JsonKey("songs", "integer", "songs that were written"),
        JsonKey("events", "integer", "events that were written"),
        JsonKey("files", "integer", "files that were written"),
        JsonKey("bytes", "integer", "their size"),
        SECONDS,
    ),
}
