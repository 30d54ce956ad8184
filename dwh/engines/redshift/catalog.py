"""What a cluster tells of its things and of its sessions, by views that provisioned clusters and Serverless have."""

FIRST_LOAD_ERROR = """
SELECT file_name, line_number, column_name, error_message
FROM sys_load_error_detail
WHERE session_id = pg_backend_pid()
ORDER BY query_id DESC, file_name, line_number
LIMIT 1
"""
# Things that share names with tables [D23 dg/c_schemas-and-tables], and others that keep a schema from being dropped.
CONTENTS = """
SELECT CASE WHEN c.relkind = 'r' THEN 'table' WHEN c.relkind = 'v' THEN 'view' ELSE 'relation' END,
    CAST(c.relname AS VARCHAR(128))
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind NOT IN ('i', 't')
UNION
SELECT 'function', CAST(p.proname AS VARCHAR(128)) || '()'
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = %s
ORDER BY 1, 2
"""
# Who may comment is the owner or a superuser; 1259 is pg_class [D23 dg/r_COMMENT.html].
COMMENTS = """
SELECT CAST(c.relname AS VARCHAR(128)), COALESCE(CAST(a.attname AS VARCHAR(128)), ''), d.description
FROM pg_namespace AS n
JOIN pg_class AS c ON c.relnamespace = n.oid
JOIN pg_user AS u ON u.usename = current_user
LEFT JOIN pg_description AS d ON d.objoid = c.oid AND d.classoid = 1259
LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
WHERE n.nspname = %s AND c.relkind = 'r' AND (c.relowner = u.usesysid OR u.usesuper)
"""
# Tables and views of all users in this database, except those of the engine.
ELSEWHERE = """
SELECT table_type, table_schema, table_name
FROM svv_tables
WHERE table_schema NOT IN ('information_schema', 'catalog_history') AND SUBSTRING(table_schema, 1, 3) <> 'pg_'
ORDER BY table_schema, table_name
"""
# Regular users see their own transactions only [D dg/r_SVV_TRANSACTIONS.html].
HOLDER = """
SELECT t.pid, t.txn_owner, t.txn_start
FROM pg_namespace AS n
JOIN pg_class AS c ON c.relnamespace = n.oid
JOIN svv_transactions AS t ON t.relation = c.oid
WHERE n.nspname = %s AND c.relname = %s AND t.granted
ORDER BY t.txn_start
LIMIT 1
"""
# For superusers only [D dg/SYS_CONNECTION_LOG.html]. The number of a process is used again later, so the last is meant.
HOLDER_ADDRESS = """
SELECT remote_host
FROM sys_connection_log
WHERE session_id = %s
ORDER BY record_time DESC
LIMIT 1
"""
# 0: none; for superusers [D dg/r_SVV_USER_INFO.html].
IDLE_LIMIT = "SELECT session_timeout FROM svv_user_info WHERE user_name = %s"
