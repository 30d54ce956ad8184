"""JSON lines on their way into PostgreSQL: COPY reads every line as one text, SQL extracts the keys from it."""

from __future__ import annotations

import io
from collections.abc import Mapping

from dwh.seam import FILE_KEY, OUR_KEYS

CREATE_LINES = "CREATE TEMP TABLE json_lines (line TEXT)"
# A byte that no JSON line can hold, so that COPY takes every line as one value.
COPY_LINES = (
    "COPY json_lines (line) FROM STDIN WITH (FORMAT text, DELIMITER E'\\x01', NULL '', HEADER false, ENCODING 'UTF8')"
)
EMPTY_LINES = "TRUNCATE json_lines"
DROP_LINES = "DROP TABLE json_lines"


def select_records(keys: Mapping[str, str], types: Mapping[str, str], *, named: bool) -> str:
    """Give the query for the records in json_lines: one column of the given type for each key. Records that are not
    `named` have none of our keys, and the id of their file is the query's only parameter."""
    own = [key for key in keys if named or not key.startswith(OUR_KEYS)]
    known = {FILE_KEY: "%s", **{key: f'r."{key}" COLLATE "C"' for key in own}}
    values = ", ".join(f"CAST({known.get(key, 'NULL')} AS {types[column]}) AS {column}" for key, column in keys.items())
    shape = ", ".join(f'"{key}" TEXT' for key in own)
    return f"SELECT {values} FROM json_lines AS l, json_to_record(CAST(l.line AS JSON)) AS r({shape})"  # noqa: S608


class Escaped(io.RawIOBase):
    """A file in COPY's text format: every backslash is doubled. (Its csv format does not need that, but is slower.)"""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        """Give the next piece; each backslash in it makes it one byte longer than `size`."""
        return self._file.read(size).replace(b"\\", b"\\\\")
