"""The things in a schema, by PostgreSQL's catalogue, which also shows those that this user may not read."""

# The things that stop DROP SCHEMA without CASCADE, and indexes, which share the names of tables. An extension stands
# for its members. Names of other kinds than tables have their schema in front.
CONTENTS = """
SELECT i.type, COALESCE(c.relname, t.typname, i.identity)
FROM pg_namespace AS n
JOIN pg_depend AS d ON d.refclassid = CAST('pg_namespace' AS REGCLASS) AND d.refobjid = n.oid AND d.deptype = 'n'
CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) AS i
LEFT JOIN pg_class AS c ON c.oid = d.objid AND d.classid = CAST('pg_class' AS REGCLASS)
LEFT JOIN pg_type AS t ON t.oid = d.objid AND d.classid = CAST('pg_type' AS REGCLASS)
LEFT JOIN pg_depend AS e ON e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e'
WHERE n.nspname = %s AND (e.objid IS NULL OR c.oid IS NOT NULL)
UNION
SELECT 'index', c.relname
FROM pg_namespace AS n
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relkind IN ('i', 'I')
WHERE n.nspname = %s
ORDER BY 1, 2
"""
COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_namespace AS n
JOIN pg_class AS c ON c.relnamespace = n.oid
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = %s AND c.relname = %s
ORDER BY a.attnum
"""
# 1259 is pg_class. Members of the role that owns a table own it too.
COMMENTS = """
SELECT c.relname, COALESCE(a.attname, ''), d.description
FROM pg_namespace AS n
JOIN pg_class AS c ON c.relnamespace = n.oid
LEFT JOIN pg_description AS d ON d.objoid = c.oid AND d.classoid = 1259
LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
WHERE n.nspname = %s AND c.relkind = 'r' AND pg_has_role(c.relowner, 'USAGE')
"""
# Who holds the lock of loads on a table; readers hold another one. Address and time of a session are shown to its own
# user and to pg_monitor only. A client without an address is on the machine of the server.
HOLDER = """
SELECT a.pid, COALESCE(a.usename, a.backend_type), a.xact_start AT TIME ZONE 'UTC',
    CASE WHEN a.client_addr IS NOT NULL THEN host(a.client_addr) WHEN a.xact_start IS NULL THEN '' ELSE 'its server' END
FROM pg_namespace AS n
JOIN pg_class AS c ON c.relnamespace = n.oid
JOIN pg_database AS d ON d.datname = current_database()
JOIN pg_locks AS l ON l.relation = c.oid AND l.database = d.oid AND l.granted AND l.mode <> 'AccessShareLock'
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE n.nspname = %s AND c.relname = %s
ORDER BY a.xact_start
LIMIT 1
"""
