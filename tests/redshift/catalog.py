"""What a database of Redshift has from the beginning, made in a database of PostgreSQL.

Columns: [D] dg/SYS_LOAD_ERROR_DETAIL.html, SYS_LOAD_HISTORY.html, SYS_LOAD_DETAIL.html; [D23]
dg/r_STL_LOAD_ERRORS.html, r_STL_LOAD_COMMITS.html, r_PG_TABLE_DEF.html, r_SVV_COLUMNS.html, r_SVV_TABLES.html; [D]
dg/r_SVV_TABLE_INFO.html, r_SVV_ROLES.html, r_STV_SLICES.html.
SVV_TABLE_INFO says nothing of empty tables, and only superusers read it.
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
CREATE VIEW pg_catalog.svv_table_info AS
SELECT CAST(current_database() AS TEXT) AS "database", CAST(n.nspname AS TEXT) AS schema, c.oid AS table_id,
    CAST(c.relname AS TEXT) AS "table", CAST('Y, AUTO(ENCODE)' AS TEXT) AS encoded,
    CAST('AUTO(ALL)' AS TEXT) AS diststyle, CAST('AUTO(SORTKEY)' AS TEXT) AS sortkey1, 0 AS max_varchar,
    CAST('' AS CHAR(32)) AS sortkey1_enc, 0 AS sortkey_num, CAST(1 AS BIGINT) AS size,
    CAST(0 AS NUMERIC(10, 4)) AS pct_used, CAST(0 AS BIGINT) AS empty, CAST(NULL AS NUMERIC(5, 2)) AS unsorted,
    CAST(LEAST(100, 100.0 * s.n_mod_since_analyze / GREATEST(s.n_live_tup, 1)) AS NUMERIC(5, 2)) AS stats_off,
    CAST(s.n_live_tup + s.n_dead_tup AS NUMERIC(38, 0)) AS tbl_rows, CAST(NULL AS NUMERIC(19, 2)) AS skew_sortkey1,
    CAST(NULL AS NUMERIC(19, 2)) AS skew_rows, CAST(s.n_live_tup AS NUMERIC(38, 0)) AS estimated_visible_rows,
    CAST(NULL AS TEXT) AS risk_event, CAST(NULL AS NUMERIC(12, 2)) AS vacuum_sort_benefit,
    CAST(NULL AS TIMESTAMP) AS create_time
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_stat_user_tables AS s ON s.relid = c.oid
WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname <> 'standin' AND s.n_live_tup + s.n_dead_tup > 0;
CREATE VIEW pg_catalog.stv_slices AS  -- of one ra3.large [G]
SELECT 0 AS node, n AS slice, n AS localslice, CAST('D' AS CHAR(1)) AS type
FROM generate_series(0, 1) AS numbers(n);
CREATE VIEW pg_catalog.svv_roles AS
SELECT CAST(oid AS INTEGER) AS role_id, CAST(rolname AS TEXT) AS role_name, CAST('' AS TEXT) AS role_owner,
    CAST(NULL AS TEXT) AS external_id
FROM pg_roles
WHERE NOT rolcanlogin;
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
    pg_catalog.pg_table_def, pg_catalog.svv_roles, pg_catalog.stv_slices TO PUBLIC;
GRANT CREATE ON SCHEMA public TO PUBLIC;  -- by default [D23] dg/r_GRANT.html
"""


def prepare(server: Server) -> None:
    """Make the template of all databases on this server, unless it is there. Collation is binary, as on Redshift.

    [D23] dg/c_collation_sequences.html
    """
    with server.connected("postgres") as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (TEMPLATE,))
        if cursor.fetchone():
            return
        # nothing here outlives the tests; Redshift's own vacuum runs when little else does, and here never
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
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
    with server.connected(name) as cursor:
        cursor.execute(f'GRANT SELECT ON pg_catalog.svv_table_info TO "{owner}"')  # who is a superuser there


def drop_database(server: Server, name: str) -> None:
    """Drop a database, and every connection to it."""
    with server.connected("postgres") as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
