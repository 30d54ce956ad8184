"""What a database of Redshift has from the beginning, made in a database of PostgreSQL.

Columns: [D] dg/SYS_LOAD_ERROR_DETAIL.html, SYS_LOAD_HISTORY.html, SYS_LOAD_DETAIL.html; [D23]
dg/r_STL_LOAD_ERRORS.html, r_STL_LOAD_COMMITS.html, r_PG_TABLE_DEF.html, r_SVV_COLUMNS.html, r_SVV_TABLES.html.
"""

from __future__ import annotations

from postgres_server import Server

from redshift import users

TEMPLATE = "redshift_standin_template"

_OBJECTS = """
SET allow_system_table_mods = on;
CREATE SCHEMA standin;
CREATE TABLE standin.load_errors (
    user_id INTEGER, query_id BIGINT, transaction_id BIGINT, session_id INTEGER, database_name CHAR(64),
    table_id INTEGER, start_time TIMESTAMP, file_name CHAR(256), line_number BIGINT, column_name CHAR(127),
    column_type CHAR(10), column_length CHAR(10), position INTEGER, error_code INTEGER, error_message CHAR(512),
    raw_line CHAR(1024), raw_field_value CHAR(1024)
);
CREATE TABLE standin.load_history (
    user_id INTEGER, query_id BIGINT, transaction_id BIGINT, session_id INTEGER, database_name TEXT, status TEXT,
    table_name TEXT, start_time TIMESTAMP, end_time TIMESTAMP, duration BIGINT, data_source TEXT, file_format TEXT,
    loaded_rows BIGINT, loaded_bytes BIGINT, source_file_count INTEGER, source_file_bytes BIGINT,
    file_count_scanned INTEGER, file_bytes_scanned BIGINT, error_count BIGINT, copy_job_id BIGINT
);
CREATE TABLE standin.load_detail (
    user_id INTEGER, query_id BIGINT, file_name CHAR(256), bytes_scanned BIGINT, lines_scanned BIGINT,
    record_time TIMESTAMP, splits_scanned INTEGER, start_time TIMESTAMP, end_time TIMESTAMP
);
CREATE VIEW pg_catalog.sys_load_error_detail AS
SELECT user_id, query_id, transaction_id, session_id, database_name, table_id, start_time, file_name, line_number,
    column_name, column_type, column_length, position, error_code, error_message
FROM standin.load_errors;
CREATE VIEW pg_catalog.stl_load_errors AS
SELECT user_id AS userid, 0 AS slice, table_id AS tbl, start_time AS starttime, session_id AS session,
    query_id AS query, file_name AS filename, line_number, column_name AS colname, column_type AS type,
    column_length AS col_length,
    position, raw_line, raw_field_value, error_code AS err_code, CAST(error_message AS CHAR(100)) AS err_reason
FROM standin.load_errors;
CREATE VIEW pg_catalog.sys_load_history AS SELECT * FROM standin.load_history;
CREATE VIEW pg_catalog.sys_load_detail AS SELECT * FROM standin.load_detail;
CREATE VIEW pg_catalog.stl_load_commits AS
SELECT user_id AS userid, query_id AS query, 0 AS slice, CAST(file_name AS CHAR(256)) AS filename,
    bytes_scanned, lines_scanned, record_time AS curtime, 1 AS status
FROM standin.load_detail;
CREATE VIEW pg_catalog.svv_tables AS
SELECT table_catalog, table_schema, table_name, table_type, CAST('' AS VARCHAR(128)) AS remarks
FROM information_schema.tables;
CREATE VIEW pg_catalog.svv_columns AS
SELECT table_catalog, table_schema, table_name, column_name, ordinal_position, column_default, is_nullable, data_type,
    character_maximum_length, numeric_precision, numeric_precision_radix, numeric_scale, datetime_precision
FROM information_schema.columns;
CREATE VIEW pg_catalog.pg_table_def AS
SELECT n.nspname AS schemaname, c.relname AS tablename, a.attname AS "column",
    format_type(a.atttypid, a.atttypmod) AS type, CAST('none' AS CHAR(32)) AS encoding, false AS distkey, 0 AS sortkey,
    a.attnotnull AS "notnull"
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind = 'r'
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND n.nspname = ANY (current_schemas(true));
CREATE FUNCTION pg_catalog.pg_last_copy_id(BIGINT) RETURNS INTEGER LANGUAGE sql IMMUTABLE
    AS 'SELECT CAST($1 AS INTEGER)';
CREATE FUNCTION pg_catalog.pg_last_query_id(BIGINT) RETURNS INTEGER LANGUAGE sql IMMUTABLE
    AS 'SELECT CAST($1 AS INTEGER)';
CREATE FUNCTION pg_catalog.pg_last_copy_count(BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE
    AS 'SELECT $1';
CREATE FUNCTION pg_catalog.pg_last_unload_count(BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE
    AS 'SELECT $1';
CREATE FUNCTION pg_catalog.pg_last_unload_id(BIGINT) RETURNS INTEGER LANGUAGE sql IMMUTABLE
    AS 'SELECT CAST($1 AS INTEGER)';
CREATE FUNCTION pg_catalog.version(BIGINT) RETURNS TEXT LANGUAGE sql IMMUTABLE
    AS 'SELECT ''PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2, Redshift 1.0''';
CREATE FUNCTION pg_catalog.len(TEXT) RETURNS INTEGER LANGUAGE sql IMMUTABLE AS 'SELECT char_length($1)';
CREATE FUNCTION pg_catalog.getdate() RETURNS TIMESTAMP LANGUAGE sql STABLE
    AS 'SELECT CAST(date_trunc(''second'', clock_timestamp()) AS TIMESTAMP)';
CREATE FUNCTION pg_catalog.redshift_sysdate() RETURNS TIMESTAMP LANGUAGE sql STABLE
    AS 'SELECT CAST(transaction_timestamp() AS TIMESTAMP)';
CREATE FUNCTION pg_catalog.redshift_extract(part TEXT, moment TIMESTAMP) RETURNS INTEGER LANGUAGE sql IMMUTABLE AS
    'SELECT CAST(trunc(CASE WHEN part LIKE ''milli%'' OR part LIKE ''ms%'' THEN date_part(''milliseconds'', moment)
        - 1000 * trunc(date_part(''second'', moment)) ELSE date_part(part, moment) END) AS INTEGER)';
GRANT USAGE ON SCHEMA standin TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA standin TO PUBLIC;
GRANT SELECT ON pg_catalog.sys_load_error_detail, pg_catalog.stl_load_errors, pg_catalog.sys_load_history,
    pg_catalog.sys_load_detail, pg_catalog.stl_load_commits, pg_catalog.svv_tables, pg_catalog.svv_columns,
    pg_catalog.pg_table_def TO PUBLIC;
"""


def prepare(server: Server) -> None:
    """Make the template of all databases on this server, unless it is there. Collation is binary, as on Redshift.

    [D23] dg/c_collation_sequences.html
    """
    with server.connected("postgres") as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (TEMPLATE,))
        if cursor.fetchone():
            return
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):  # nothing here outlives the tests
            cursor.execute(f"ALTER SYSTEM SET {setting} = off")
        cursor.execute("SELECT pg_reload_conf()")
        cursor.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
    with server.connected(TEMPLATE) as cursor:
        cursor.execute(_OBJECTS + users.OBJECTS)


def make_database(server: Server, name: str, owner: str) -> None:
    """Make a database anew, and the user who owns it; names are the tests' own."""
    with server.connected("postgres") as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (owner,))
        if not cursor.fetchone():
            cursor.execute(f'CREATE ROLE "{owner}" LOGIN CREATEDB CREATEROLE')
        cursor.execute(f'GRANT pg_read_all_stats TO "{owner}"')  # what a superuser sees of other sessions
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE} OWNER "{owner}"')


def drop_database(server: Server, name: str) -> None:
    """Drop a database, and every connection to it."""
    with server.connected("postgres") as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
