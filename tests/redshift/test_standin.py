"""The stand-in is no more lenient than Redshift: who gets in, what SQL is refused, what means something else."""

from __future__ import annotations

import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import certifi
import psycopg2
import pytest
from postgres_server import Server
from psycopg2 import errors
from test_sql_text import named_statements
from warehouse import WATCHDOG

import sql_queries as q
from redshift import wire
from redshift.conftest import Sql, run
from redshift.grammar import parse_all
from redshift.refusals import RULES
from redshift.sql_tokens import code_of, tokens_of
from redshift.standin import SERVERLESS_HOST, RedshiftStandIn
from star import load_queries, owner

# ------------------------------------------------------------------------------------------------------ the suite's SQL


def test_it_takes_every_statement_of_the_suite(connection: Any) -> None:
    """What the suite says to its engines, Redshift takes: every statement, in an order in which its tables exist."""
    for statement in (*q.TABLES.values(), *q.CREATE_INCOMING):
        run(connection, statement)
    moment = datetime(2018, 11, 1)
    values: dict[str, tuple[object, ...]] = {
        load_queries.INSERT_LOAD: (1, "run", "load", moment, 1.0, 1, 1, "sha"),
        load_queries.RECORD_FILES: (1, moment),
        owner.INSERT_WAREHOUSE: (1, "me", moment),
    }
    # what the report shows of several statements stands by itself elsewhere
    given = list(dict.fromkeys(text for _, text in named_statements() if ";" not in text))
    last = [text for text in given if text.startswith("DROP ")]
    made = {*q.TABLES.values(), *q.CREATE_INCOMING, *last}
    ran = 0
    # what makes a table comes before all that reads it, whichever module holds it
    for statement in sorted(given, key=lambda text: not text.lstrip().startswith(("CREATE", "ALTER"))):
        if statement not in made:
            if statement.lstrip().startswith("CREATE TEMP TABLE"):
                run(connection, f"DROP TABLE IF EXISTS {statement.split()[3]}")
            usual = ("2018-11-01" if "CAST(%s AS DATE)" in statement else "1",) * statement.count("%s")
            run(connection, statement.replace("CHOICE", "TRUE"), *values.get(statement, usual))
            ran += 1
    for statement in last:
        run(connection, statement)
    assert ran > 100


# ----------------------------------------------------------------------------------------------------------- letting in


def test_it_looks_like_redshift(connection: Any) -> None:
    """Version 8.0.2, encoding UNICODE, and none of the parameters that came later."""
    assert connection.server_version == 80002
    assert connection.encoding == "UNICODE"
    assert connection.get_parameter_status("standard_conforming_strings") is None
    assert connection.info.ssl_in_use


def test_it_refuses_a_connection_without_tls(shared_standin: RedshiftStandIn) -> None:
    """A cluster's default is require_ssl."""
    with pytest.raises(psycopg2.OperationalError, match="SSL off"):
        shared_standin.connect(sslmode="disable")


def test_its_certificate_is_checked(shared_standin: RedshiftStandIn) -> None:
    """A host of another name, or another authority, is not this cluster."""
    with pytest.raises(psycopg2.OperationalError, match="does not match host name"):
        shared_standin.connect(host="other.abc123xyz.us-west-2.redshift.amazonaws.com")
    with pytest.raises(psycopg2.OperationalError, match="certificate verify failed"):
        shared_standin.connect(sslrootcert=certifi.where())


def test_a_wrong_password_is_refused_and_five_lock_a_user(standin: RedshiftStandIn) -> None:
    """The administrator is never locked; another user is, and then the right password does not help."""
    for _ in range(6):
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            standin.connect(password="wrong")
    assert standin.failed_logins == {"awsuser": 6}
    standin.connect().close()
    standin.add_user("analyst", "right")
    for _ in range(5):
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            standin.connect(user="analyst", password="wrong")
    with pytest.raises(psycopg2.OperationalError, match="locked"):
        standin.connect(user="analyst", password="right")


def test_who_owns_no_table_may_not_comment_on_it(standin: RedshiftStandIn) -> None:
    """The owner may, or a superuser [D23 dg/r_COMMENT.html]."""
    standin.add_user("analyst", "right")
    owner, analyst = standin.connect(), standin.connect(user="analyst", password="right")
    run(owner, "CREATE TABLE t (a BIGINT)")
    run(owner, "COMMENT ON COLUMN t.a IS 'a number'")
    run(owner, "COMMIT")
    for statement in ("COMMENT ON COLUMN t.a IS 'another'", "COMMENT ON TABLE t IS NULL"):
        with pytest.raises(errors.InsufficientPrivilege):
            run(analyst, statement)
        analyst.rollback()
    owner.close()
    analyst.close()


def test_a_login_between_wrong_passwords_starts_the_count_again(standin: RedshiftStandIn) -> None:
    """Only five in a row lock a user."""
    standin.add_user("analyst", "right")
    for password in ("wrong", "wrong", "wrong", "wrong", "right", "wrong", "wrong"):
        try:
            standin.connect(user="analyst", password=password).close()
        except psycopg2.OperationalError:
            assert password == "wrong"
    standin.connect(user="analyst", password="right").close()


def test_a_database_that_is_not_there(shared_standin: RedshiftStandIn) -> None:
    """It says so, as PostgreSQL does."""
    with pytest.raises(psycopg2.OperationalError, match='database "nope" does not exist'):
        shared_standin.connect(dbname="nope")


def test_a_process_of_its_own_reaches_it_by_the_cluster_s_name(standin: RedshiftStandIn) -> None:
    """A script needs PGHOSTADDR besides what it would be told of a real cluster."""
    script = (
        "import psycopg2, sys\n"
        "c = psycopg2.connect(host=sys.argv[1], port=sys.argv[2], dbname='dwh', user='awsuser', password=sys.argv[3],"
        " sslmode='verify-full', sslrootcert=sys.argv[4])\n"
        "c.cursor().execute('CREATE TABLE made_there (a BIGINT)'); c.commit()"
    )
    arguments = [standin.host, str(standin.port), standin.password, str(standin.ca_file)]
    subprocess.run([sys.executable, "-c", script, *arguments], env=os.environ | standin.environment, check=True)
    connection = standin.connect()
    assert run(connection, "SELECT COUNT(*) FROM made_there") == [(0,)]
    connection.close()
    assert standin.statements[:3] == ["BEGIN", "CREATE TABLE made_there (a BIGINT)", "COMMIT"]


def test_the_extended_protocol_is_refused(shared_standin: RedshiftStandIn) -> None:
    """Redshift speaks it, the stand-in does not, and says so instead of waiting; simple queries go on."""
    with socket.create_connection(("127.0.0.1", shared_standin.port)) as plain:
        plain.sendall(struct.pack("!ii", 8, wire.SSL_REQUEST))
        assert plain.recv(1) == b"S"
        context = ssl.create_default_context(cafile=shared_standin.ca_file)
        with context.wrap_socket(plain, server_hostname=shared_standin.host) as encrypted:
            channel = wire.Channel(encrypted)
            pairs = b"user\0awsuser\0database\0shared\0\0"
            encrypted.sendall(struct.pack("!ii", len(pairs) + 8, wire.PROTOCOL_3) + pairs)
            salt = channel.receive()[1][4:]
            channel.send((b"p", wire.md5_password("awsuser", shared_standin.password, salt) + b"\0"))
            answers = []
            for messages in ([(b"P", b"\0SELECT 1\0\0\0"), (b"S", b"")], [(b"Q", b"SELECT 1\0")]):
                while channel.receive()[0] != b"Z":
                    pass
                channel.send(*messages)
                answers.append(channel.receive())
            channel.close()
    assert wire.SqlError.read(answers[0][1]).code == "0A000"
    assert answers[1][0] == b"T"


# ------------------------------------------------------------------------------------------------------------ refusals

REFUSED = """
INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING
INSERT INTO t (a) VALUES (1) RETURNING a
DELETE FROM t RETURNING a
SELECT COUNT(*) FILTER (WHERE a > 1) FROM t
SELECT DISTINCT ON (a) a FROM t
SELECT x.a FROM t, LATERAL (SELECT a FROM t) AS x
SELECT a FROM t WHERE a IS DISTINCT FROM b
SELECT a FROM t WHERE a IS NOT DISTINCT FROM b
SELECT v.a FROM (VALUES (1), (2)) AS v (a)
WITH v AS (VALUES (1)) SELECT 1
SELECT a FROM t FOR UPDATE
SAVEPOINT s
ROLLBACK TO SAVEPOINT s
RELEASE SAVEPOINT s
CREATE TABLE n (a SERIAL)
CREATE TABLE n (a BIGSERIAL)
CREATE TABLE n (a JSON)
CREATE TABLE n (a JSONB)
CREATE TABLE n (a UUID)
CREATE TABLE n (a BYTEA)
CREATE TABLE n (a TEXT[])
CREATE TABLE n (a SUPER)
SELECT CAST(b AS JSON) FROM t
SELECT b::jsonb FROM t
SELECT CAST(a AS UUID) FROM t
SELECT ARRAY[1, 2]
SELECT b ->> 'x' FROM t
SELECT json_to_record(b) FROM t
SELECT to_json(b) FROM t
SELECT STRING_AGG(b, ',') FROM t
SELECT ARRAY_AGG(a) FROM t
SELECT UNNEST(b) FROM t
SELECT g FROM GENERATE_SERIES(1, 3) AS g
SELECT GENERATE_SERIES(1, a) FROM t
SELECT NOW(), a FROM t
SELECT a FROM t WHERE b < CURRENT_TIMESTAMP
SELECT PG_SLEEP(1)
SELECT CLOCK_TIMESTAMP()
SELECT GEN_RANDOM_UUID()
SELECT FORMAT('%s', b) FROM t
SELECT REGEXP_MATCHES(b, 'x') FROM t
SELECT pg_try_advisory_lock(1)
SELECT pg_advisory_xact_lock(1)
SELECT CONCAT('a', 'b', 'c')
SELECT SUBSTRING(CAST(b AS VARCHAR(32)), 2) FROM t
SELECT SUBSTR(b, a) FROM t
SELECT some_function(a) FROM t
CREATE INDEX i ON t (a)
CREATE UNIQUE INDEX i ON t (a)
CREATE SEQUENCE s
CREATE TYPE e AS ENUM ('x')
CREATE EXTENSION hstore
CREATE UNLOGGED TABLE n (a BIGINT)
CREATE GLOBAL TEMP TABLE n (a BIGINT)
CREATE TEMP TABLE n (a BIGINT) ON COMMIT DROP
CREATE TABLE n (a BIGINT) PARTITION BY RANGE (a)
CREATE TABLE n (a BIGINT) INHERITS (t)
CREATE TABLE n (a BIGINT, CHECK (a > 0))
CREATE TABLE n (LIKE t INCLUDING ALL)
CREATE TABLE n (a BIGINT) WITH (fillfactor = 50)
CREATE TABLE n (a VARCHAR(65536))
CREATE TABLE n (a VARCHAR(10) COLLATE "C" GENERATED ALWAYS AS ('x') STORED)
CREATE TABLE n (tag BIGINT)
CREATE TABLE n (timestamp TIMESTAMP)
SELECT CAST(b AS VARCHAR(70000)) FROM t
ALTER TABLE t ADD COLUMN IF NOT EXISTS c BIGINT
ALTER TABLE t ADD COLUMN c BIGINT, ADD COLUMN d BIGINT
ALTER TABLE t ADD COLUMN c BIGINT NOT NULL
TRUNCATE TABLE t, u
TRUNCATE TABLE t CASCADE
LOCK TABLE t IN EXCLUSIVE MODE
LOCK TABLE t NOWAIT
LOCK TABLE t IN ACCESS EXCLUSIVE MODE NOWAIT
COMMENT ON SCHEMA public IS 'a'
COMMENT ON INDEX i IS 'a'
MERGE INTO t USING (SELECT 1 AS a) AS s ON t.a = s.a WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1)
MERGE INTO t USING t AS s ON t.a = s.a WHEN MATCHED AND s.a > 1 THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1)
MERGE INTO t USING t AS s ON t.a = s.a WHEN MATCHED THEN DELETE
WITH x AS (SELECT 1 AS a) INSERT INTO t (a) SELECT a FROM x
DO $$ BEGIN END $$
LISTEN x
DISCARD ALL
REINDEX TABLE t
SET lock_timeout = 1000
SET LOCAL lock_timeout = 1000
SET idle_in_transaction_session_timeout = 1000
SET standard_conforming_strings = on
SHOW server_version_num
BEGIN ISOLATION LEVEL REPEATABLE READ, DEFERRABLE
BEGIN ISOLATION LEVEL SNAPSHOT
COPY t FROM STDIN
COPY t TO STDOUT
""".strip().splitlines()


@pytest.mark.parametrize("statement", REFUSED)
def test_it_refuses_what_redshift_refuses(sql: Sql, statement: str) -> None:
    """Each is PostgreSQL's or nearly, none is Redshift's: SQLSTATE of class 42 or 0A, and not for a name that is
    missing."""
    sql("CREATE TABLE t (a BIGINT, b VARCHAR(20))")
    with pytest.raises(psycopg2.Error) as caught:
        sql(statement)
    code = caught.value.pgcode
    assert code in ("42601", "0A000", "42883", "42704", "22023"), caught.value


def test_each_rule_has_an_example() -> None:
    """No rule is there that is never seen to refuse."""
    codes = [code_of(tokens_of(statement)) for statement in REFUSED]
    assert [rule.pattern for rule in RULES if not any(re.search(rule.pattern, code) for code in codes)] == []


TAKEN = """
SELECT 'ON CONFLICT; RETURNING', "a", b AS json FROM t -- SAVEPOINT
SELECT ROW_NUMBER() OVER (PARTITION BY a ORDER BY b ASC NULLS LAST) FROM t
INSERT INTO t WITH x (a) AS (SELECT 1), y (c) AS (SELECT 2) SELECT a, CAST(c AS VARCHAR(5)) FROM x CROSS JOIN y
CREATE TABLE n (a INT IDENTITY(1, 1), b BIGINT DISTKEY SORTKEY, PRIMARY KEY (a)) DISTSTYLE KEY
CREATE TABLE n (a VARCHAR(MAX) ENCODE lzo, b DECIMAL(10, 2) DEFAULT 0.5 NOT NULL) DISTSTYLE ALL SORTKEY AUTO
CREATE TABLE n (a BIGINT REFERENCES t (a), b CHARACTER VARYING(10) UNIQUE, c TIMESTAMP WITHOUT TIME ZONE)
CREATE TEMP TABLE n DISTKEY (a) COMPOUND SORTKEY (a, b) AS SELECT a, b FROM t
CREATE TEMP TABLE n (LIKE t)
CREATE TABLE IF NOT EXISTS t (a BIGINT)
ALTER TABLE t ADD COLUMN c VARCHAR(10)
ALTER TABLE t ADD COLUMN c BIGINT DEFAULT 5 NOT NULL
ALTER TABLE t ADD PRIMARY KEY (a)
ALTER TABLE t RENAME COLUMN b TO c
SELECT EXTRACT(DOY FROM DATE_TRUNC('week', TIMESTAMP '2018-11-01 10:00:00') + INTERVAL '3 day')
SELECT NVL(b, 'x'), LEN(b), GETDATE() FROM t
SELECT SUBSTRING(b FROM 2), SUBSTRING(b FROM 2 FOR 3), SUBSTRING(b, 2, CAST(a AS INTEGER)) FROM t
SELECT SYSDATE, PG_BACKEND_PID(), CURRENT_SCHEMA(), VERSION()
SELECT NOW()
SELECT COUNT(*) FROM svv_tables
SELECT "column", type FROM pg_table_def WHERE tablename = 't'
SELECT query, TRIM(err_reason) FROM stl_load_errors ORDER BY starttime DESC LIMIT 1
SELECT COUNT(*) FROM information_schema.columns WHERE table_name = 't'
SET statement_timeout TO 60000
SET LOCAL statement_timeout TO 60000
SET query_group TO 'etl'
SET timezone TO 'UTC'
SET enable_result_cache_for_session TO off
BEGIN READ WRITE
ANALYZE t PREDICATE COLUMNS
VACUUM FULL t TO 100 PERCENT
COMMENT ON TABLE t IS 'it''s a table'
COMMENT ON COLUMN t.a IS NULL
SELECT d.description FROM pg_description AS d JOIN pg_class AS c ON c.oid = d.objoid WHERE c.relname = 't'
MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = u.b WHEN NOT MATCHED THEN INSERT (a) VALUES (u.a)
SELECT 1; SELECT 2
""".strip().splitlines()


@pytest.mark.parametrize("statement", TAKEN)
def test_it_takes_what_redshift_takes(sql: Sql, statement: str) -> None:
    """Redshift's attributes, functions, settings and system tables; words of the rules in strings and comments."""
    sql("CREATE TABLE t (a BIGINT, b VARCHAR(20))")
    sql("CREATE TABLE u (a BIGINT, b VARCHAR(20))")
    sql(statement)


def test_a_refusal_ends_the_transaction(sql: Sql) -> None:
    """As any error does: nothing but ROLLBACK is taken then."""
    sql("CREATE TABLE t (a BIGINT)")
    sql("BEGIN")
    sql("INSERT INTO t (a) VALUES (1)")
    with pytest.raises(errors.FeatureNotSupported):
        sql("SAVEPOINT s")
    for statement in ("SELECT 1", "SAVEPOINT s", "TRUNCATE t"):
        with pytest.raises(errors.InFailedSqlTransaction):
            sql(statement)
    sql("COMMIT")
    assert sql("SELECT COUNT(*) FROM t") == [(0,)]


def test_what_runs_here_must_be_alone_in_its_query(sql: Sql) -> None:
    """COPY, UNLOAD and TRUNCATE are not run out of several statements: the stand-in says so instead of guessing."""
    sql("CREATE TABLE t (a BIGINT)")
    with pytest.raises(errors.FeatureNotSupported, match="statement of its own"):
        sql("INSERT INTO t (a) VALUES (1); TRUNCATE t")


def test_a_statement_may_not_be_longer_than_16_mb(sql: Sql) -> None:
    """The limit is Redshift's."""
    with pytest.raises(errors.ProgramLimitExceeded, match="too large"):
        sql("SELECT '" + "x" * 2**24 + "'")


def test_sqlfluff_says_what_is_not_redshift_s() -> None:
    """`parse_all` gives what does not parse, and nothing else."""
    good, bad = "SELECT a FROM t", "INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING"
    assert list(parse_all([good, bad, good])) == [bad]


# -------------------------------------------------------------------------------------------- what means something else


def test_keys_are_declared_and_not_enforced(sql: Sql) -> None:
    """Duplicates get in; NOT NULL holds, of a primary key too."""
    sql("CREATE TABLE t (a BIGINT PRIMARY KEY, b BIGINT UNIQUE, c BIGINT NOT NULL, FOREIGN KEY (b) REFERENCES t (a))")
    sql("INSERT INTO t (a, b, c) VALUES (1, 7, 1)")
    sql("INSERT INTO t (a, b, c) VALUES (1, 7, 1)")
    for columns in ("b, c", "a, b"):
        with pytest.raises(errors.NotNullViolation):
            sql(f"INSERT INTO t ({columns}) VALUES (1, 1)")


@pytest.mark.parametrize(("kind", "bytes_"), [("VARCHAR(5)", 5), ("TEXT", 256), ("VARCHAR", 256), ("CHAR", 1)])
def test_lengths_are_bytes(sql: Sql, kind: str, bytes_: int) -> None:
    """TEXT and VARCHAR are VARCHAR(256), CHAR is CHAR(1); what does not fit in bytes is refused, in an UPDATE too."""
    sql(f"CREATE TABLE t (a {kind})")
    sql("INSERT INTO t (a) VALUES (%s)", "x" * bytes_)
    for statement in ("INSERT INTO t (a) VALUES (%s)", "UPDATE t SET a = %s"):
        with pytest.raises(errors.StringDataRightTruncation, match=rf"too long for type character.*\({bytes_}\)"):
            sql(statement, "x" * (bytes_ - 1) + "é")
    assert sql("SELECT CAST('abcdef' AS VARCHAR(3))") == [("abc",)]


def test_an_added_column_has_its_length_in_bytes(sql: Sql) -> None:
    """As a column of CREATE TABLE has."""
    sql("CREATE TABLE t (a BIGINT)")
    sql("ALTER TABLE t ADD COLUMN b VARCHAR(2)")
    with pytest.raises(errors.StringDataRightTruncation):
        sql("INSERT INTO t (b) VALUES ('éx')")


def test_a_backslash_in_a_string_is_an_escape(sql: Sql) -> None:
    """There is no standard_conforming_strings; a parameter arrives as it was given all the same."""
    assert sql(r"SELECT 'a\\b', 'it\'s'") == [(r"a\b", "it's")]
    assert sql("SELECT %s", "a\\b'c") == [("a\\b'c",)]


def test_a_pattern_matches_line_by_line(sql: Sql) -> None:
    """^ and $ of ~ stand at the ends of every line; a dot and a bracket take a newline as any other character."""
    sql("CREATE TABLE t (b VARCHAR(20))")
    sql("INSERT INTO t VALUES ('8'), ('8\\nabc'), ('abc\\n8'), ('a')")
    assert sql("SELECT COUNT(*) FROM t WHERE b ~ '^[0-9]+$'") == [(3,)]
    assert sql("SELECT COUNT(*) FROM t WHERE NOT b ~ '^[0-9]+$'") == [(1,)]
    assert sql("SELECT COUNT(*) FROM t WHERE b ~* '^ABC$'") == [(2,)]
    assert sql("SELECT COUNT(*) FROM t WHERE b ~ '8.a' OR b ~ 'c[^0-9]8'") == [(2,)]
    assert sql("SELECT COUNT(*) FROM t WHERE b ~ '[^0-9]'") == [(3,)]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT CAST(b AS BIGINT) FROM t WHERE a = 1",
        "INSERT INTO u (a) SELECT CAST(TRIM(BOTH ' ' FROM b) AS BIGINT) FROM t WHERE NOT b ~ '[^0-9]'",
        "CREATE TEMP TABLE v AS SELECT a FROM t WHERE a = 1 AND CAST(b AS BIGINT) > 0",
        "SELECT x.a FROM (SELECT CASE WHEN a = 1 THEN CAST(b AS BIGINT) END AS a FROM t) AS x",
        "DELETE FROM u WHERE a IN (SELECT CAST(b AS BIGINT) FROM t WHERE a = 1)",
        "SELECT CAST(b AS DOUBLE PRECISION) FROM t JOIN u ON u.a = t.a WHERE t.a = 1 UNION ALL SELECT 1.0",
    ],
)
def test_a_cast_comes_before_every_condition(sql: Sql, statement: str) -> None:
    """Whatever a WHERE or a CASE would keep from it: a cast that one row fails ends the statement."""
    sql("CREATE TABLE t (a BIGINT, b VARCHAR(20))")
    sql("CREATE TABLE u (a BIGINT)")
    sql("INSERT INTO t VALUES (1, '8'), (2, 'x')")
    sql("INSERT INTO u VALUES (1), (2)")
    with pytest.raises(psycopg2.Error, match=r"Invalid digit, Value 'x', Pos 0, Type: (Long|Double)") as caught:
        sql(statement)
    assert caught.value.pgcode == "XX000"
    sql("BEGIN")
    safe = "CAST(CASE WHEN NOT b ~ '[^0-9]' THEN b END AS BIGINT)"
    assert sql(f"SELECT SUM({safe}) FROM t WHERE a > 0 AND EXISTS (SELECT 1 FROM u WHERE u.a = {safe} - 7)") == [(8,)]
    sql("INSERT INTO t VALUES (3, '99999999999999999999')")
    with pytest.raises(psycopg2.Error, match="Overflow"):
        sql("SELECT a FROM t WHERE CAST(CASE WHEN a > 2 THEN b END AS BIGINT) > 1")
    sql("ROLLBACK")


def test_extract_of_a_timestamp_is_an_integer(sql: Sql) -> None:
    """Seconds lose their fraction, milliseconds are those of the second."""
    moment = "TIMESTAMP '2018-11-01 10:20:43.101'"
    assert sql(f"SELECT EXTRACT(SECOND FROM {moment}), EXTRACT(MILLISECOND FROM {moment})") == [(43, 101)]
    assert sql(f"SELECT EXTRACT(EPOCH FROM {moment}), EXTRACT(DOW FROM {moment})") == [(1541067643, 4)]


def test_truncate_commits(sql: Sql) -> None:
    """What came before it in the transaction cannot be rolled back, nor what comes after."""
    sql("CREATE TABLE t (a BIGINT)")
    sql("BEGIN")
    sql("INSERT INTO t (a) VALUES (1)")
    sql("TRUNCATE t")
    sql("INSERT INTO t (a) VALUES (2)")
    sql("ROLLBACK")
    assert sql("SELECT a FROM t") == [(2,)]


def test_vacuum_is_refused_in_a_transaction(sql: Sql) -> None:
    """It runs by itself only."""
    sql("CREATE TABLE t (a BIGINT)")
    sql("BEGIN")
    with pytest.raises(errors.ActiveSqlTransaction):
        sql("VACUUM t")


# ------------------------------------------------------------------------------------------------------ several at once


def waits(action: Callable[[], object], then: Callable[[], object]) -> None:
    """Assert that an action waits until another is done, and ends then."""
    thread = threading.Thread(target=action)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    then()
    thread.join(10)
    assert not thread.is_alive()


def test_a_lock_makes_others_wait_readers_too(open_session: Callable[[], Any]) -> None:
    """LOCK is ACCESS EXCLUSIVE, and ends with the transaction; who waited sees what was committed meanwhile."""
    first, second = open_session(), open_session()
    run(first, "CREATE TABLE t (a BIGINT)")
    run(first, "BEGIN")
    run(first, "LOCK t")
    run(first, "INSERT INTO t (a) VALUES (1)")
    run(second, "BEGIN")
    waits(lambda: run(second, "LOCK TABLE t"), lambda: run(first, "COMMIT"))
    assert run(second, "SELECT COUNT(*) FROM t") == [(1,)]
    waits(lambda: run(first, "SELECT COUNT(*) FROM t"), lambda: run(second, "COMMIT"))


@pytest.mark.parametrize("level", ["", " ISOLATION LEVEL READ COMMITTED", " ISOLATION LEVEL SERIALIZABLE"])
def test_a_transaction_sees_one_snapshot_whatever_it_asks_for(open_session: Callable[[], Any], level: str) -> None:
    """The database decides on the isolation, which is SNAPSHOT; two who write the same row cannot both win."""
    first, second = open_session(), open_session()
    run(first, "CREATE TABLE t (a BIGINT)")
    run(first, "INSERT INTO t (a) VALUES (1)")
    run(first, "BEGIN" + level)
    assert run(first, "SELECT a FROM t") == [(1,)]
    run(second, "UPDATE t SET a = 2")
    assert run(first, "SELECT a FROM t") == [(1,)]
    with pytest.raises(errors.InternalError_, match="1023"):
        run(first, "UPDATE t SET a = 3")


def test_statement_timeout_cancels(open_session: Callable[[], Any]) -> None:
    """Who waits for a lock longer than it allows is cancelled: 57014."""
    first, second = open_session(), open_session()
    run(first, "CREATE TABLE t (a BIGINT)")
    run(first, "BEGIN")
    run(first, "LOCK t")
    run(second, "SET statement_timeout TO 100")
    with pytest.raises(errors.QueryCanceled, match="cancelled on user's request"):
        run(second, "SELECT a FROM t")


def test_a_cancel_request_reaches_the_statement(standin: RedshiftStandIn) -> None:
    """What psycopg2's `cancel` sends ends what waits, and the connection goes on.

    In a process of its own: `cancel` keeps Python's lock while it waits for the server, which is this process.
    """
    first = standin.connect()
    run(first, "CREATE TABLE t (a BIGINT)")
    first.commit()
    run(first, "LOCK t")
    script = (
        "import psycopg2, sys, threading\n"
        "c = psycopg2.connect(host=sys.argv[1], port=sys.argv[2], dbname='dwh', user='awsuser', password=sys.argv[3])\n"
        "def cancel():\n"
        "    while waits:\n"
        "        c.cancel()\n"
        "        threading.Event().wait(0.1)\n"
        "waits = [True]\n"
        "cancelling = threading.Thread(target=cancel)\n"
        "cancelling.start()\n"
        "try:\n"
        "    c.cursor().execute('SELECT a FROM t')\n"
        "except psycopg2.errors.QueryCanceled as error:\n"
        "    print(error.pgcode)\n"
        "waits.clear()\n"
        "cancelling.join()\n"
        "c.rollback()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, standin.host, str(standin.port), standin.password],
        env=os.environ | standin.environment,
        capture_output=True,
        text=True,
        timeout=WATCHDOG,
        check=True,
    )
    first.close()
    assert done.stdout == "57014\n"


def test_a_client_that_goes_away_leaves_nothing(open_session: Callable[[], Any]) -> None:
    """Its transaction is rolled back, and its locks are free."""
    first, second = open_session(), open_session()
    run(first, "CREATE TABLE t (a BIGINT)")
    run(first, "BEGIN")
    run(first, "LOCK t")
    run(first, "INSERT INTO t (a) VALUES (1)")
    first.close()
    assert run(second, "SELECT COUNT(*) FROM t") == [(0,)]


@pytest.mark.parametrize("view", ["stv_slices", "stl_load_errors", "svl_query_summary", "svcs_query_summary"])
def test_serverless_has_no_views_of_a_provisioned_cluster(postgres_server: Server, s3_endpoint: str, view: str) -> None:
    """SYS and SVV views are on both kinds."""
    with RedshiftStandIn(postgres_server, s3_endpoint, host=SERVERLESS_HOST) as standin:
        connection = standin.connect()
        connection.autocommit = True
        assert run(connection, "SELECT COUNT(*) FROM sys_load_error_detail") == [(0,)]
        assert run(connection, "SELECT COUNT(*) FROM svv_tables WHERE table_name = 'none'") == [(0,)]
        with pytest.raises(errors.InsufficientPrivilege, match=view):
            run(connection, f"SELECT COUNT(*) FROM {view}")
        connection.close()
