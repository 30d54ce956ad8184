"""What Redshift knows of users and their sessions: the limit of idle sessions, who holds a lock, and from where.

[D] dg/r_ALTER_USER.html: SESSION TIMEOUT is from 60 seconds to 20 days, and only a superuser (or a user with the right
to alter users) sets it. [D] dg/r_SVV_TRANSACTIONS.html: regular users see their own transactions only.
[D] dg/SYS_CONNECTION_LOG.html, dg/r_SVV_USER_INFO.html: for superusers only. Not known, and so imitated in the way that
asks more of the suite: a limit counts for sessions that begin after it was set, inside a transaction too [U].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redshift.sql_tokens import Words, tokens_of
from redshift.wire import SqlError

if TYPE_CHECKING:
    from redshift.session import Session

SHORTEST, LONGEST = 60, 20 * 24 * 3600

OBJECTS = """
CREATE TABLE standin.session_limits (user_name TEXT, session_timeout INTEGER);
CREATE TABLE standin.connection_log (
    event CHAR(50), record_time TIMESTAMP, remote_host CHAR(45), remote_port CHAR(32), session_id INTEGER,
    database_name CHAR(50), user_name CHAR(50)
);
CREATE FUNCTION standin.is_superuser() RETURNS BOOLEAN LANGUAGE sql STABLE
    AS 'SELECT pg_has_role(current_user, ''pg_read_all_stats'', ''MEMBER'')';
CREATE VIEW pg_catalog.svv_user_info AS
SELECT u.usename AS user_name, CAST(u.usesysid AS INTEGER) AS user_id, COALESCE(l.session_timeout, 0) AS session_timeout
FROM pg_user AS u
LEFT JOIN standin.session_limits AS l ON l.user_name = u.usename
WHERE standin.is_superuser();
CREATE VIEW pg_catalog.sys_connection_log AS SELECT * FROM standin.connection_log WHERE standin.is_superuser();
CREATE VIEW pg_catalog.svv_transactions AS
SELECT a.usename AS txn_owner, a.datname AS txn_db, a.backend_xid AS xid, l.pid,
    CAST(a.xact_start AT TIME ZONE 'UTC' AS TIMESTAMP) AS txn_start, l.mode AS lock_mode,
    l.locktype AS lockable_object_type, l.relation, l.granted
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype IN ('relation', 'transactionid') AND (a.usename = current_user OR standin.is_superuser());
GRANT SELECT ON standin.session_limits, standin.connection_log TO PUBLIC;
GRANT SELECT ON pg_catalog.svv_user_info, pg_catalog.sys_connection_log, pg_catalog.svv_transactions TO PUBLIC;
"""


def limit_sessions(session: Session, sql: str) -> None:
    """Run ALTER USER name SESSION TIMEOUT n, or RESET SESSION TIMEOUT. Raises SqlError."""
    clause = Words(tokens_of(sql)[2:])
    user = clause.next().text.strip('"')
    clause.skip("WITH")
    reset = clause.skip("RESET")
    clause.need("SESSION")
    clause.need("TIMEOUT")
    seconds = 0 if reset else int(clause.next().text)
    if clause:
        raise clause.error()
    if session.user != session.standin.user:
        raise SqlError("42501", "permission denied")  # [U] text
    if not reset and not SHORTEST <= seconds <= LONGEST:
        raise SqlError("22023", f"SESSION TIMEOUT {seconds} is outside of the valid range")  # [U] code and text
    session.standin.limits[user] = seconds
    with session.standin.postgres.connected(session.database) as cursor:
        cursor.execute("DELETE FROM standin.session_limits WHERE user_name = %s", (user,))
        cursor.execute("INSERT INTO standin.session_limits VALUES (%s, %s)", (user, seconds))
