"""The queries with which DuckDB reads the records of files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from dwh.seam import FILE_KEY, OUR_KEYS, Part
from dwh.terminal.signals import cancelled_by

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# No line of the spool is longer than 4 MB plus the kept text of a bad record; DuckDB's buffers grow with this value.
LONGEST_LINE = 8 * 1024 * 1024
# DuckDB must not guess anything, from a path or from content: `level=paid/` in the path of a file, or of the temporary
# folder, would fill the column of that name instead of the record's value.
READ_JSON = (
    "read_json(%s, columns = %s, format = 'newline_delimited', records = true, filename = true, "
    f"maximum_object_size = {LONGEST_LINE}, auto_detect = false, compression = 'none', ignore_errors = false, "
    "hive_partitioning = false, hive_types_autocast = false, union_by_name = false, allow_empty = false, "
    "convert_strings_to_integers = false)"
)
# Every line is one text: no character quotes, escapes or comments, and JSON allows no such delimiter in a line. Lines
# end with \n alone: with CRLF DuckDB would refuse the file, and if it were less strict, count it wrong.
_COUNT_LINES = """
SELECT filename, COUNT(*), BOOL_OR(contains(line, '\\u0000'))
FROM read_csv(
    ?, columns = {line: 'VARCHAR'}, delim = '\x01', quote = '', escape = '', comment = '', header = false,
    auto_detect = false, filename = true, compression = 'none', max_line_size = ?, new_line = '\\n',
    nullstr = '', allow_quoted_nulls = false, encoding = 'utf-8', skip = 0, null_padding = false, strict_mode = true,
    ignore_errors = false, decimal_separator = '.', hive_partitioning = false, hive_types_autocast = false,
    union_by_name = false
)
GROUP BY filename
"""


def count_lines(cursor: DuckDBPyConnection, paths: Sequence[str], longest: int) -> dict[str, int]:
    """Count lines by a reader that knows no JSON. A file is left out where one may hold a NUL character, and all when
    one of them holds something else than lines of text."""
    from duckdb import Error

    try:
        with cancelled_by(cursor.interrupt):
            rows = cursor.execute(_COUNT_LINES, ([literally(path) for path in paths], longest)).fetchall()
    except Error:
        return {}
    return {path: lines for path, lines, has_nul in rows if not has_nul}


def select_records(keys: Mapping[str, str], parts: Sequence[Part]) -> Iterator[tuple[str, Sequence[object]]]:
    """Give queries, and their parameters, for the records of files: every key as text, in a column of its own."""
    spooled = [literally(part.path) for part in parts if part.file_id is None]
    if spooled:
        values = ", ".join(f'"{key}" AS "{column}"' for key, column in keys.items())
        yield f"SELECT {values} FROM {READ_JSON}", (spooled, dict.fromkeys(keys, "VARCHAR"))  # noqa: S608
    in_place = {part.path: part.file_id for part in parts if part.file_id is not None}
    if in_place:
        own = {key: "VARCHAR" for key in keys if not key.startswith(OUR_KEYS)}
        known = {FILE_KEY: "f.file_id", **{key: f'r."{key}"' for key in own}}
        values = ", ".join(f'{known.get(key, "CAST(NULL AS VARCHAR)")} AS "{column}"' for key, column in keys.items())
        yield (
            f"SELECT {values} FROM {READ_JSON} AS r "  # noqa: S608
            "JOIN (SELECT UNNEST(%s) AS path, UNNEST(%s) AS file_id) AS f ON f.path = r.filename",
            ([literally(path) for path in in_place], own, list(in_place), list(in_place.values())),
        )


def literally(path: str) -> str:
    """Escape a path, so that DuckDB does not read it as a pattern."""
    return re.sub(r"([*?\[])", r"[\1]", path)
