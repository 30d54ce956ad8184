"""The stand-in is no more lenient than Redshift: each refusal is seen refusing, each rule of COPY and UNLOAD holds."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import certifi
import psycopg2
import pytest
from psycopg2 import errors
from test_sql_text import named_statements

import sql_queries as q
from redshift.standin import RedshiftStandIn

REGION, BUCKET, ROLE = "us-west-2", "sparkify-work", "arn:aws:iam::123456789012:role/sparkify-dwh"
NO_SUCH_THING = (errors.SyntaxError, errors.FeatureNotSupported, errors.UndefinedFunction, errors.UndefinedObject)


@pytest.fixture(scope="module")
def s3(s3_endpoint: str) -> Any:
    """A bucket in the cluster's region, and one elsewhere."""
    import boto3

    session = boto3.Session("tests", "tests")
    for name, region in (("sparkify-far", "eu-west-1"), (BUCKET, REGION)):
        client: Any = session.client("s3", endpoint_url=s3_endpoint, region_name=region)
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
    return client


@pytest.fixture
def put(s3: Any, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Write an object under a prefix of this test's own, and give its address."""
    prefix = f"{request.node.name}/".replace("[", "_").replace("]", "")

    def write(name: str, content: bytes | str | Mapping[str, Any], bucket: str = BUCKET) -> str:
        text = json.dumps(content) if isinstance(content, Mapping) else content
        s3.put_object(Bucket=bucket, Key=prefix + name, Body=text if isinstance(text, bytes) else text.encode())
        return f"s3://{bucket}/{prefix}{name}"

    return write


@pytest.fixture
def connection(standin: RedshiftStandIn) -> Iterator[Any]:
    """One connection, each statement by itself."""
    connection = standin.connect()
    connection.autocommit = True
    yield connection
    connection.close()


@pytest.fixture
def sql(connection: Any) -> Callable[..., list[tuple[Any, ...]]]:
    """Run a statement, and give its rows."""
    return lambda statement, *params: run(connection, statement, *params)


def run(connection: Any, statement: str, *params: object) -> list[tuple[Any, ...]]:
    """Run one statement on a connection."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params or None)
        return list(cursor.fetchall()) if cursor.description else []


def copy(source: str, what: str = "t", options: str = "JSON 'auto'") -> str:
    """Write a COPY statement."""
    return f"COPY {what} FROM '{source}' IAM_ROLE '{ROLE}' REGION '{REGION}' {options}"


# ------------------------------------------------------------------------------------------------------ the suite's SQL


def test_it_takes_every_statement_of_the_suite(connection: Any) -> None:
    """What the suite says to its engines, Redshift takes: every statement, in an order in which its tables exist."""
    for statement in (*q.TABLES.values(), *q.CREATE_INCOMING):
        run(connection, statement)
    values = {"INSERT_LOAD": (1, "run", "load", datetime(2018, 11, 1), 1.0, 1, 1, "sha"), "CHECK_AGE": ("2018-11-01",)}
    values |= {"RECORD_FILES": (1, "2018-11-01"), "CHECK_MATCHES": (0.5,)}
    last = {text: name for name, text in named_statements() if name.startswith("DROP_")}
    given = {text: name for name, text in named_statements()}
    made = {*q.TABLES.values(), *q.CREATE_INCOMING, *last}
    ran = 0
    for statement, name in given.items():
        if statement not in made:
            if statement.lstrip().startswith("CREATE TEMP TABLE"):
                run(connection, f"DROP TABLE IF EXISTS {statement.split()[3]}")
            run(connection, statement, *values.get(name, ()))
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


def test_it_refuses_a_connection_without_tls(standin: RedshiftStandIn) -> None:
    """A cluster's default is require_ssl."""
    with pytest.raises(psycopg2.OperationalError, match="SSL off"):
        standin.connect(sslmode="disable")


def test_its_certificate_is_checked(standin: RedshiftStandIn) -> None:
    """A host of another name, or another authority, is not this cluster."""
    with pytest.raises(psycopg2.OperationalError, match="does not match host name"):
        standin.connect(host="other.abc123xyz.us-west-2.redshift.amazonaws.com")
    with pytest.raises(psycopg2.OperationalError, match="certificate verify failed"):
        standin.connect(sslrootcert=certifi.where())


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


def test_a_database_that_is_not_there(standin: RedshiftStandIn) -> None:
    """It says so, as PostgreSQL does."""
    with pytest.raises(psycopg2.OperationalError, match='database "nope" does not exist'):
        standin.connect(dbname="nope")


# ----------------------------------------------------------------------------------------------------------------- COPY


def test_copy_by_manifest_gzip_and_jsonpaths(
    connection: Any, sql: Callable[..., Any], put: Callable[..., str], standin: RedshiftStandIn
) -> None:
    """The form the suite uses: paths by position, missing keys NULL, numbers in text keep their digits."""
    sql("CREATE TABLE t (file_id BIGINT, page VARCHAR(64), ts VARCHAR(65535), tags VARCHAR(100))")
    line = {"page": "Home", "ts": 1541105830796, "tags": {"id": 1, "of": ["a", None]}, "more": 1}
    part = put("part.gz", gzip.compress((json.dumps(line) + '\n{"page":"About","ts":1.50}\n').encode()))
    manifest = put("manifest", {"entries": [{"url": part, "mandatory": True}]})
    paths = put("paths", {"jsonpaths": ["$['page']", "$['ts']", "$['tags']"]})
    sql(copy(manifest, "t (page, ts, tags)", f"MANIFEST GZIP FORMAT AS JSON '{paths}' COMPUPDATE OFF STATUPDATE OFF"))
    assert sql("SELECT file_id, page, ts, tags FROM t ORDER BY page DESC") == [
        (None, "Home", "1541105830796", '{"id": 1,"of": ["a",null]}'),
        (None, "About", "1.50", None),
    ]
    assert sql("SELECT pg_last_copy_count()") == [(2,)]
    assert connection.notices[-1] == "INFO:  Load into table 't' completed, 2 record(s) loaded successfully.\n"
    assert standin.statements[-1] == "SELECT pg_last_copy_count()"


def test_a_load_error_fails_the_copy_and_is_on_record(sql: Callable[..., Any], put: Callable[..., str]) -> None:
    """Nothing is loaded; file, line, column and reason survive the rollback."""
    sql("CREATE TABLE t (a BIGINT, b VARCHAR(3))")
    source = put("lines", '{"a": 1}\n{"a": "x1"}\n')
    with pytest.raises(errors.InternalError_, match="Check 'sys_load_error_detail' system table"):
        sql(copy(source))
    assert sql("SELECT COUNT(*) FROM t") == [(0,)]
    found = sql(
        "SELECT TRIM(file_name), line_number, TRIM(column_name), TRIM(column_type), position, error_code,"
        " TRIM(error_message) FROM sys_load_error_detail WHERE query_id = pg_last_copy_id()"
    )
    assert found == [(source, 2, "a", "int8", 0, 1207, "Invalid digit, Value 'x', Pos 0, Type: Long")]
