"""The catalogue of a DuckDB file. Statements reach the schema main; tables and views share names, in any case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dwh.seam import Thing
from dwh.terminal.errors import DwhError

if TYPE_CHECKING:
    from dwh.seam import Session

COLUMNS = """
SELECT column_name, data_type
FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = 'main' AND lower(table_name) = %s AND NOT internal
ORDER BY column_index
"""
COMMENTS = """
SELECT lower(table_name), '', comment
FROM duckdb_tables()
WHERE database_name = current_database() AND schema_name = 'main' AND NOT internal
UNION ALL
SELECT lower(table_name), column_name, comment
FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = 'main' AND NOT internal AND comment IS NOT NULL
"""
# Names of other kinds than tables and views have their schema in front, so that they are not taken for tables.
CONTENTS = """
SELECT DISTINCT kind, CASE WHEN schema = 'main' AND kind IN ('table', 'view') THEN lower(name)
    WHEN kind = 'schema' THEN name ELSE schema || '.' || name END AS name
FROM (
    SELECT 'table' AS kind, schema_name AS schema, table_name AS name, database_name AS file, internal
    FROM duckdb_tables()
    UNION ALL
    SELECT 'view', schema_name, view_name, database_name, internal FROM duckdb_views()
    UNION ALL
    SELECT 'sequence', schema_name, sequence_name, database_name, false FROM duckdb_sequences()
    UNION ALL
    SELECT 'macro', schema_name, function_name, database_name, internal FROM duckdb_functions()
    UNION ALL
    SELECT 'type', schema_name, type_name, database_name, internal FROM duckdb_types()
    UNION ALL
    SELECT 'schema', schema_name, schema_name, database_name, internal OR schema_name = 'main' FROM duckdb_schemas()
) AS t
WHERE file = current_database() AND NOT internal
ORDER BY kind, name
"""
VIEWS = """
SELECT schema_name, view_name FROM duckdb_views()
WHERE database_name = current_database() AND NOT internal
ORDER BY schema_name, view_name
"""


class _PutBack(Exception):
    pass


def find_dependents(session: Session, tables: Sequence[str]) -> list[Thing]:
    """Name the views that can be read now, but not without these tables. DuckDB does not record what a view reads, so
    each is tried without them, in a transaction that is rolled back."""
    found = []
    for schema, name in session.rows(VIEWS):
        view = ".".join('"' + part.replace('"', '""') + '"' for part in (schema, name))
        if _can_be_read(session, view, without=()) and not _can_be_read(session, view, without=tables):
            found.append(Thing("view", name.lower() if schema == "main" else f"{schema}.{name}"))
    return found


def _can_be_read(session: Session, view: str, without: Sequence[str]) -> bool:
    try:
        with session.transaction():
            for table in without:
                session.execute(f"DROP TABLE {table}")
            session.rows(f"EXPLAIN SELECT * FROM {view}")  # noqa: S608
            raise _PutBack
    except _PutBack:
        return True
    except DwhError:
        return False
