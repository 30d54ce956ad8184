"""What the tests of Redshift share: an AWS account, the door of a database, and a warehouse that is set up for both."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from warehouse import Result, Warehouse

from cluster.cloud import ENDPOINT, OUR_KEY, REGION, SERVERLESS_ENDPOINT, Cloud
from cluster.door import Door
from dwh.cluster.account import Account
from dwh.terminal.console import run

SESSION = boto3.Session(aws_access_key_id=OUR_KEY, aws_secret_access_key="CANARY-7f3-key", region_name=REGION)
CLIENTS: dict[tuple[str, str, bool], Any] = {}
ADDRESS = "203.0.113.7/32"
BUCKETS = ("udacity-dend", "acme-dwh-work", "acme-lake", "other")


class OnceMade:
    """A boto3 session whose clients of S3 are made once a server: each costs more than all requests of a test."""

    region_name = REGION
    get_credentials = staticmethod(SESSION.get_credentials)

    def client(self, service: str, *, endpoint_url: str, **given: Any) -> Any:
        """Give the client."""
        key = (endpoint_url, service, False)
        CLIENTS[key] = CLIENTS.get(key) or SESSION.client("s3", endpoint_url=endpoint_url, **given)
        return CLIENTS[key]


@dataclass
class Rig:
    """A warehouse on Redshift, and what it is made of."""

    warehouse: Warehouse
    cloud: Cloud
    door: Door
    kind: str = "provisioned"

    def configure(self, **sections: Mapping[str, object]) -> None:
        """Write dwh.cfg anew, with these keys on top."""
        s3 = {f"{kind}_DATA": f"s3://udacity-dend/{kind.lower()}_data" for kind in ("LOG", "SONG")}
        self.warehouse.configure(
            WAREHOUSE={"ENGINE": "redshift"},
            AWS={"REGION": REGION},
            S3={**s3, "WORK": "s3://acme-dwh-work/work", "LAKE": "s3://acme-dwh-work/lake", **sections.pop("S3", {})},
            CLUSTER={
                "KIND": self.kind,
                "ALLOW_CIDR": ADDRESS,
                "POLL_SECONDS": 0.01,
                "SSLROOTCERT": self.door.ca_file,
                **sections.pop("CLUSTER", {}),
            },
            **sections,
        )

    def run(self, script: str, *argv: str, env: Mapping[str, str] | None = None) -> Result:
        """Run a script as a process of its own."""
        return self.warehouse.run(script, *argv, env={**self.cloud.environment, **(env or {})})

    def end(self, script: str, *argv: str) -> Result:
        """Run a script in this process as `python script.py` does: whatever happens is worded, and ends in a code."""
        out, err = io.StringIO(), io.StringIO()
        main = importlib.import_module(script).main
        with (
            patch.dict(os.environ, self.cloud.environment),
            patch("dwh.terminal.signals.listen"),
            patch("sys.argv", [f"{script}.py"]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = run(main, ["--config", str(self.warehouse.config), *argv])
        return Result(int(code), out.getvalue(), err.getvalue())

    def call(self, script: str, *argv: str) -> Result:
        """Run a script's `main` in this process; what it raises is raised here."""
        return self.warehouse.call(script, *argv, env=self.cloud.environment)


def foreign_things(cloud: Cloud) -> dict[str, list[str]]:
    """Put things of the same names into the account that are not ours: without a tag, or with that of another suite."""
    others = [{"Key": "dwh-suite", "Value": "another-dwh"}]
    nodes: dict[str, Any] = {"NodeType": "ra3.large", "ClusterType": "single-node", "MasterUsername": "boss"}
    cloud.client("redshift").create_cluster(
        ClusterIdentifier="another-dwh", ManageMasterPassword=True, Encrypted=True, Tags=others, **nodes
    )
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    for name, path in (("stranger", "/"), ("another-dwh-copy", f"/dwh-suite/{REGION}/")):
        cloud.client("iam").create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=trust, Tags=others)
    cloud.client("ec2").create_security_group(GroupName="dwh-another-dwh", Description="not ours")
    return cloud.all()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process: read AWS's models once for all tests, make each client once a server, and retry at once."""
    original = Account._client

    def shared(account: Account, service: str, once: bool) -> Any:
        key = (os.environ["AWS_ENDPOINT_URL"], service, once)
        CLIENTS[key] = CLIENTS.get(key) or original(account, service, once)
        return CLIENTS[key]

    monkeypatch.setattr("dwh.cluster.account.open_session", lambda _aws: SESSION)
    monkeypatch.setattr("dwh.sources.buckets.open_session", lambda _aws: OnceMade())
    monkeypatch.setattr(Account, "_client", shared)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))


@pytest.fixture(scope="session")
def account() -> Iterator[Cloud]:
    """An AWS account that is up for all tests of this process."""
    with Cloud().up() as opened:
        for bucket in BUCKETS:
            opened.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield opened


@pytest.fixture
def cloud(account: Cloud) -> Cloud:
    """An AWS account with nothing in it but what every account has."""
    account.reset()
    return account


@pytest.fixture
def door(cloud: Cloud, tmp_path: Path) -> Iterator[Door]:
    """What answers at the endpoint of the cluster, and of the workgroup."""
    with Door(cloud.passwords).open(tmp_path / "tls", ENDPOINT, SERVERLESS_ENDPOINT) as opened:
        cloud.endpoint = (ENDPOINT, opened.port)
        cloud.serverless.endpoint = (SERVERLESS_ENDPOINT, opened.port)
        yield opened


@pytest.fixture
def rig(cloud: Cloud, door: Door, bare: Warehouse) -> Rig:
    """A warehouse on Redshift, of which nothing is there yet."""
    rig = Rig(bare, cloud, door)
    rig.configure()
    return rig


@pytest.fixture
def up(rig: Rig) -> Rig:
    """A warehouse that is up; logins and calls so far are forgotten."""
    rig.call("conn_start")
    rig.door.logins.clear()
    rig.cloud.calls.clear()
    return rig
