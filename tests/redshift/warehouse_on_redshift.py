"""The same warehouse in a schema of its own on the stand-in, whose WORK prefix is in moto's S3."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import boto3
from moto.server import ThreadedMotoServer
from postgres_server import Server
from reference_star import in_order
from warehouse import Result, Warehouse

from redshift.standin import HOST, RedshiftStandIn

ROLE = "arn:aws:iam::123456789012:role/copy"
WORK = "stand-in-work"
REGION = "us-west-2"


@dataclass(frozen=True)
class Cloud:
    """A stand-in for a cluster that is there already, and the S3 beside it."""

    standin: RedshiftStandIn
    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """Give what a process needs to reach both."""
        keys = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_DEFAULT_REGION": REGION}
        return {**self.standin.environment, **keys, "AWS_ENDPOINT_URL": self.endpoint}

    def work(self) -> list[str]:
        """Name the objects that are in WORK now."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=WORK)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def empty_work(self) -> None:
        """Remove what is in WORK, which every server of this process shows: moto keeps one account for them all."""
        for key in self.work():
            self.client().delete_object(Bucket=WORK, Key=key)

    def client(self) -> Any:
        """Give a client of the tests' own."""
        session = boto3.Session("tests", "tests", region_name=REGION)
        return session.client("s3", endpoint_url=self.endpoint)


@contextmanager
def cloud(postgres: Server, host: str = HOST) -> Iterator[Cloud]:
    """Have both for the block: a cluster, or Serverless under the name of a workgroup."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    try:
        own = f"dwh_{uuid.uuid4().hex[:8]}"
        with RedshiftStandIn(postgres, endpoint, host=host, database=own, knows_role=ROLE.__eq__) as standin:
            made = Cloud(standin, endpoint)
            s3 = made.client()
            if WORK not in [
                bucket["Name"] for bucket in s3.list_buckets()["Buckets"]
            ]:  # of another one in this process
                s3.create_bucket(Bucket=WORK, CreateBucketConfiguration={"LocationConstraint": REGION})
            yield made
    finally:
        server.stop()


@dataclass
class RedshiftWarehouse(Warehouse):
    """The same warehouse, loaded by COPY."""

    cloud: Cloud | None = None
    work: str = ""  # WORK, if it is not the warehouse's own
    schema_name: str = field(default_factory=lambda: f"w{uuid.uuid4().hex[:12]}")

    @property
    def place(self) -> Cloud:
        """The cloud, which every such warehouse has."""
        assert self.cloud
        return self.cloud

    def configure(self, **sections: Mapping[str, object]) -> None:
        """Write dwh.cfg anew for this engine."""
        standin = self.place.standin
        cluster: dict[str, object] = {
            "HOST": standin.host,
            "DB_PORT": standin.port,
            "DB_NAME": standin.database,
            "DB_USER": standin.user,
            "DB_PASSWORD": standin.password,
            "SSLROOTCERT": standin.ca_file,
            "SCHEMA": self.schema_name,
        }
        s3 = {
            "LOG_DATA": "log_data",
            "SONG_DATA": "song_data",
            "WORK": self.work or f"s3://{WORK}/{self.schema_name}",
            "LAKE": f"s3://{WORK}/lake-of-{self.schema_name}",
        }
        super().configure(
            WAREHOUSE={"ENGINE": "redshift"},
            CLUSTER={**cluster, **sections.pop("CLUSTER", {})},
            IAM_ROLE={"ARN": ROLE},
            S3={**s3, **sections.pop("S3", {})},
            **sections,
        )

    def create(self, template: object = None) -> RedshiftWarehouse:
        """Make schema and tables."""
        self.call("conn_start")
        self.call("create_tables")
        return self

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give the environment of a script."""
        return super().environment({**self.place.environment, **(env or {})})

    def call(self, script: str, *argv: str, env: Mapping[str, str] | None = None) -> Result:
        """Run a script's `main` in this process."""
        with patch.dict(os.environ, self.place.environment):
            return super().call(script, *argv, env=env)

    def answers(self, queries: Mapping[str, str]) -> dict[str, list[tuple[Any, ...]]]:
        """Run several queries by one connection, and give the rows of each, sorted, None last."""
        return {name: in_order(self.rows(sql)) for name, sql in queries.items()}

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement by a connection of the test's own, past the stand-in, and give its rows."""
        standin = self.place.standin
        with standin.postgres.connected(standin.database) as cursor:
            cursor.execute(f"SET search_path TO {self.schema_name}")
            cursor.execute(sql, tuple(parameters) or None)
            return list(cursor.fetchall()) if cursor.description else []
