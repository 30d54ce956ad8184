"""What each table and each column holds, for all who read it elsewhere than in sql_queries.py.

The comments in the database, docs/reference/star.md and the tooltips of the report come from here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import sql_queries as q

TABLE = ""  # in place of a column: the table itself
NOT_NULL = " NOT NULL"


def describe_columns() -> dict[str, dict[str, str]]:
    """Give the description of every column of every table: {table: {column: description}}."""
    return {table: {name: words for name, (_, words, _) in columns.items()} for table, columns in q.COLUMNS.items()}


def describe_all() -> dict[str, dict[str, str]]:
    """Give the descriptions of every table and its columns; that of the table itself stands first, under TABLE."""
    return {table: {TABLE: q.ABOUT[table], **columns} for table, columns in describe_columns().items()}


def tooltip(table: str, column: str = TABLE) -> str:
    """Give the description of a column, or of a table; empty when there is no such thing."""
    return describe_all().get(table, {}).get(column, "")


def describe_star() -> Iterator[str]:
    """Write the data dictionary as lines of Markdown: the tables of the star, then those beside it."""
    yield from ("## The star", "")
    yield from ("The examples follow one play of the sample through all tables. All times are in UTC.", "")
    for table in ("songplays", *(table for table in q.STAR if table != "songplays")):
        yield from _describe_table(table, q.COLUMNS[table])
    yield from ("## Beside the star", "")
    for table in (*q.STAGING, *q.LEDGER):
        yield from _describe_table(table, q.COLUMNS[table])


def _describe_table(table: str, columns: Mapping[str, tuple[str, str, str]]) -> Iterator[str]:
    yield from (f"### {table}", "", q.ABOUT[table], "")
    yield from ("| column | type | may be NULL | description | example |", "|---|---|---|---|---|")
    for name, (kind, words, example) in columns.items():
        null = "no" if kind.endswith(NOT_NULL) else "yes"
        cells = (f"`{name}`", kind.removesuffix(NOT_NULL), null, words, f"`{example}`")
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""
