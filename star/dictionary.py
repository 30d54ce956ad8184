"""What each table and each column holds, for all who read it elsewhere than in sql_queries.py.

The comments in the database and the tooltips of the report come from here; docs/reference/star.md has examples besides.
"""

from __future__ import annotations

import sql_queries as q

TABLE = ""  # in place of a column: the table itself


def describe_columns() -> dict[str, dict[str, str]]:
    """Give the description of every column of every table: {table: {column: description}}."""
    return {table: {name: words for name, (_, words, _) in columns.items()} for table, columns in q.COLUMNS.items()}


def describe_all() -> dict[str, dict[str, str]]:
    """Give the descriptions of every table and its columns; that of the table itself stands first, under TABLE."""
    return {table: {TABLE: q.ABOUT[table], **columns} for table, columns in describe_columns().items()}


def tooltip(table: str, column: str = TABLE) -> str:
    """Give the description of a column, or of a table; empty when there is no such thing."""
    return describe_all().get(table, {}).get(column, "")
