"""What the lake holds of the star: the rows of each table, and the totals by which a lake is compared with a star.

Both are made from the columns of the tables and their types, so a new column is exported and compared too.
"""

from __future__ import annotations

import hashlib
import textwrap
from string import Template
from typing import TYPE_CHECKING, Any, NamedTuple

import sql_queries as q
from dwh.ownership.tables import columns_of
from dwh.seam import Columns, Extract

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dwh.seam import Session

# Columns that name the folders of a table, and are not in its files.
FOLDERS = {
    "songplays": {
        "year": "CAST(EXTRACT(YEAR FROM start_time) AS INTEGER)",
        "month": "LPAD(CAST(CAST(EXTRACT(MONTH FROM start_time) AS INTEGER) AS VARCHAR(2)), 2, '0')",
    },
}
SORTED_BY = {
    "users": ("user_id",),
    "songs": ("song_id",),
    "artists": ("artist_id",),
    "time": ("start_time",),
    "songplays": ("start_time", "songplay_id"),
}

_ROWS = Template("SELECT $columns FROM $table")
_ROWS_IN_FOLDERS = Template("""
SELECT
    $columns,
    $folders
FROM $table
""")


def select_columns(table: str, columns: Columns) -> str:
    """Make the query of all rows of a table."""
    return _ROWS.substitute(columns=", ".join(columns), table=table)


def select_rows(table: str, columns: Columns) -> str:
    """Make the query of all rows of a table, with the columns that name its folders."""
    names, folders = ", ".join(columns), FOLDERS.get(table)
    if not folders:
        return select_columns(table, columns)
    return _ROWS_IN_FOLDERS.substitute(
        table=table,
        columns="\n    ".join(textwrap.wrap(names, 116)),
        folders=",\n    ".join(f"{expression} AS {name}" for name, expression in folders.items()),
    )


# Table -> its rows, the columns that name its folders, the columns its files are sorted by.
LAKE = {
    table: (select_rows(table, columns_of(statement)), tuple(FOLDERS.get(table, ())), SORTED_BY[table])
    for table, statement in q.STAR.items()
}
EXTRACTS = {table: Extract(table, *how) for table, how in LAKE.items()}
# Other queries make another export, even of the same star.
QUERIES_SHA256 = hashlib.sha256(repr(LAKE).encode()).hexdigest()

ROWS = "number_of_rows"  # the total that every table has


class Total(NamedTuple):
    """A whole number that can be added up over the files of a table, and its name in the manifest."""

    name: str
    expression: str


# Of a column whose NULL adds nothing, as 0 does. The name is that of lakes that are there.
_COUNTED = {("songplays", "user_id"): "users"}
# Days, and milliseconds from midnight: an export that drops milliseconds, or shifts the hours, is found.
_MILLISECONDS = """(
        CAST(EXTRACT(HOUR FROM COLUMN) AS BIGINT) * 3600000 + CAST(EXTRACT(MINUTE FROM COLUMN) AS BIGINT) * 60000
        + CAST(CAST(SUBSTRING(CAST(COLUMN AS VARCHAR(32)) FROM 18) AS DECIMAL(9, 6)) * 1000 AS BIGINT)
    )"""
# no ROUND: of an exact half DuckDB and PostgreSQL make different whole numbers
_WHOLE = "CAST(FLOOR(COLUMN * 100000 + 0.5) AS BIGINT)"
_DAYS = "(CAST(COLUMN AS DATE) - DATE '1970-01-01')"


def _of(column: str, expression: str) -> str:
    return expression.replace("COLUMN", column)


def _totals_of(table: str, column: str, kind: str) -> list[Total]:
    # text: its bytes; doubles: whole 1/100,000, as a sum of doubles depends on their order
    if kind.startswith("VARCHAR"):
        return [Total(column, f"SUM(OCTET_LENGTH({column}))")]
    if kind == "DOUBLE PRECISION":
        return [
            Total(f"{column}s", f"COUNT({column})"),
            Total(column, f"SUM({_of(column, _WHOLE)})"),
        ]
    if kind == "TIMESTAMP":
        return [
            Total("days", f"SUM{_of(column, _DAYS)}"),
            Total("milliseconds", f"SUM{_of(column, _MILLISECONDS)}"),
        ]
    counted = _COUNTED.get((table, column))
    return [*([Total(counted, f"COUNT({column})")] if counted else []), Total(column, f"SUM({column})")]


def choose_totals(table: str, columns: Columns) -> list[Total]:
    """Choose the totals of a table: its number of rows, and what tells two versions of each column apart."""
    totals = [Total(ROWS, "COUNT(*)")]
    for column, kind in columns.items():
        for total in _totals_of(table, column, kind.removesuffix(" NOT NULL")):
            taken = total.name in (known.name for known in totals)  # by another column: of two times, say
            totals.append(total._replace(name=f"{column}_{total.name}") if taken else total)
    return totals


TOTALS = {table: choose_totals(table, columns_of(statement)) for table, statement in q.STAR.items()}

_ADD_UP = Template("""
SELECT
    $totals
FROM $table
""")
ADD_UP = {
    table: _ADD_UP.substitute(
        table=table, totals=",\n    ".join(f"{total.expression} AS {total.name}" for total in totals)
    )
    for table, totals in TOTALS.items()
}


# Sums and lengths miss `paid` in the place of `free`, and two values that have changed places: the MD5 of a whole row
# does not. Its first seven digits are added up, as a number, which each engine makes of them by the same words.
_ADD_UP_DIGESTS = Template("""
SELECT
    $totals,
    SUM($number) AS row_digests
FROM (SELECT $columns, MD5($row) AS row_md5 FROM $table) AS r
""")
_DIGIT = "POSITION(SUBSTRING(row_md5 FROM {place} FOR 1) IN '123456789abcdef')"
_NUMBER = " + ".join(f"{_DIGIT.format(place=place)} * {16 ** (7 - place)}" for place in range(1, 8))


def _text_of(column: str, kind: str) -> str:
    if kind.startswith("VARCHAR"):
        return column
    texts = {"DOUBLE PRECISION": [_WHOLE], "TIMESTAMP": [_DAYS, _MILLISECONDS]}.get(kind, ["COLUMN"])
    return " || '.' || ".join(f"CAST({_of(column, text)} AS VARCHAR(32))" for text in texts)


def _row_of(columns: Columns) -> str:
    """Give the text of a row, the same on every engine, in which NULL is not the empty text."""
    texts = (_text_of(column, kind.removesuffix(" NOT NULL")) for column, kind in columns.items())
    return " || ".join(f"COALESCE({text} || ',', '-')" for text in texts)


ADD_UP_DIGESTS = {
    table: _ADD_UP_DIGESTS.substitute(
        table=table,
        totals=",\n    ".join(f"{total.expression} AS {total.name}" for total in TOTALS[table]),
        number=_NUMBER,
        columns=", ".join(columns_of(statement)),
        row=_row_of(columns_of(statement)),
    )
    for table, statement in q.STAR.items()
}


def add_up(session: Session, table: str) -> dict[str, int]:
    """Give the totals of a table, wherever the session finds it: the same statement is asked of the star and of the
    lake."""
    return _named(table, session.rows(ADD_UP[table])[0])


def add_up_digests(session: Session, table: str) -> dict[str, int]:
    """Give the totals of a table, and the sum of the digests of its rows, which shows another value in any row: of
    268 million changes that no total shows it misses one."""
    *values, digests = session.rows(ADD_UP_DIGESTS[table])[0]
    return _named(table, values) | {"row_digests": int(digests or 0)}


def _named(table: str, values: Iterable[Any]) -> dict[str, int]:
    return {total.name: int(value or 0) for total, value in zip(TOTALS[table], values, strict=True)}
