"""cloud/cloud_check.py on the stand-ins, as it is run on AWS: a process of its own, with both kinds of warehouse.

The account is moto's (tests/cluster/cloud.py); behind each endpoint is a stand-in of its own.
"""

from __future__ import annotations

import json
import signal
import ssl
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import moto_s3
import pytest
from cluster.cloud import ACCOUNT, PASSWORD, REGION, Call, Cloud
from cluster.door import write_certificates
from postgres_server import Server
from warehouse import REPO, WATCHDOG, Result, Warehouse, running

from cloud.steps import STEPS
from redshift.standin import RedshiftStandIn

NAME, BUCKET = "sparkify-check-test", "acme-work"
CLUSTER, WORKGROUP = f"{NAME}-p", f"{NAME}-s"
STRANGER = "of-others/theirs.txt"


class Place(NamedTuple):
    """An account with nothing of a walk in it, and settings for one."""

    account: Cloud
    cluster: RedshiftStandIn
    serverless: RedshiftStandIn
    warehouse: Warehouse

    def command(self, *flags: str) -> list[str]:
        """Give the command line of a walk."""
        script = str(REPO / "cloud" / "cloud_check.py")
        named = ["--config", str(self.warehouse.config), "--name", NAME, "--record", str(self.record_file)]
        return [sys.executable, script, *named, *flags]

    def walk(self, *flags: str) -> Result:
        """Walk to the end."""
        return self.warehouse.run("", env=self.account.environment, command=self.command(*flags))

    @property
    def record_file(self) -> Path:
        """Where the record goes."""
        return self.warehouse.root / "record.json"

    @property
    def record(self) -> dict[str, Any]:
        """The record of the last walk."""
        found = json.loads(self.record_file.read_text("utf-8"))
        assert isinstance(found, dict)
        return found

    def objects(self) -> list[str]:
        """Name all objects of the bucket."""
        found = moto_s3.client(self.account.url).list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [str(item["Key"]) for item in found]

    def left(self) -> dict[str, Sequence[str]]:
        """Name everything that a walk can have left; what another user put there stays."""
        taken = [snapshot["SnapshotIdentifier"] for snapshot in self.account.snapshots()]
        others = {"snapshots": [*taken, *self.account.serverless.snapshots], "objects": self.objects()}
        return {**{kind: names for kind, names in self.account.all().items() if names}, **others}


REFUSED = {
    "redshift:CreateCluster": "InsufficientClusterCapacity",
    "redshift-serverless:CreateWorkgroup": "AccessDenied",
}
NOTHING = {"snapshots": [], "objects": [STRANGER]}


@pytest.fixture
def place(bare: Warehouse, postgres_server: Server) -> Iterator[Place]:
    """Both kinds of warehouse can be made, and nothing is there but an object of another user."""
    with ExitStack() as closing:
        account = closing.enter_context(Cloud().up())

        def known(arn: str) -> bool:
            return arn == "default" or arn.rpartition("/")[2] in account.roles()

        def stand_in(host: str, database: str) -> RedshiftStandIn:
            opened = RedshiftStandIn(postgres_server, account.url, host=host, database=database, knows_role=known)
            opened.password, opened._tls = PASSWORD, tls
            return closing.enter_context(opened)

        hosts = (
            f"{CLUSTER}.abc123xyz.{REGION}.redshift.amazonaws.com",
            f"{WORKGROUP}.{ACCOUNT}.{REGION}.redshift-serverless.amazonaws.com",
        )
        ca_file, chain = write_certificates(bare.root / "tls", hosts)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(chain)
        cluster, serverless = stand_in(hosts[0], "check_provisioned"), stand_in(hosts[1], "check_serverless")
        account.endpoint, account.serverless.endpoint = (hosts[0], cluster.port), (hosts[1], serverless.port)
        s3 = moto_s3.client(account.url)
        if BUCKET not in [found["Name"] for found in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
            s3.delete_object(Bucket=BUCKET, Key=item["Key"])
        s3.put_object(Bucket=BUCKET, Key=STRANGER, Body=b"theirs")
        bare.configure(
            AWS={"REGION": REGION},
            S3={"WORK": f"s3://{BUCKET}/work"},
            CLUSTER={"ALLOW_CIDR": "203.0.113.7/32", "POLL_SECONDS": 0.05, "SSLROOTCERT": ca_file},
        )
        yield Place(account, cluster, serverless, bare)


def statuses(record: dict[str, Any]) -> dict[str, str]:
    """Give the status of each step by its name."""
    return {step["name"]: step["status"] for step in record["steps"]}


def test_p230_a_whole_walk_is_as_expected_and_leaves_nothing(place: Place) -> None:
    """Each step is walked; what only AWS can tell is marked as the stand-in's answer; no secret is in the record."""
    place.account.unknown_role, place.account.serverless.unknown_role = 2, 1
    done = place.walk()
    record = place.record
    assert (done.code, done.out.count("\n= "), place.left()) == (0, 0, NOTHING), done.out + done.err
    expected = {step.name: "recorded" if step.asks else "as expected" for step in STEPS}
    assert statuses(record) == expected
    assert (record["answered_by"], record["left"], record["region"]) == ("a stand-in", [], REGION)
    assert {step["answered_by"] for step in record["steps"] if step["status"] == "recorded"} == {"a stand-in"}
    seen = {step["name"]: step["seen"] for step in record["steps"]}
    assert "InvalidParameterValue" in seen["cluster: young role"]
    assert "ValidationException" in seen["Serverless: young role"]
    assert seen["slices"] == "2 slices in one ra3.large"
    assert "57014" in seen["LOCK and a time-out"]
    assert "1e2 comes as " in seen["numbers as text"]
    assert "nothing is left that costs" in done.out
    told = done.out + done.err + place.record_file.read_text("utf-8")
    assert [word for word in (PASSWORD, "CANARY-7f3", ACCOUNT, "203.0.113.7") if word in told] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_p231_a_walk_that_is_stopped_leaves_nothing(place: Place, number: int) -> None:
    """While both warehouses are being made."""
    place.account.creating = ("creating",) * 1000
    begun = threading.Event()

    def watch(call: Call) -> None:
        if call.action == "redshift-serverless:CreateWorkgroup":
            begun.set()
        elif call.action == "redshift:DeleteCluster":  # refused as long as it is being made
            place.account.go_on()

    place.account.fault = watch
    with running(place.command(), env=place.warehouse.environment(place.account.environment)) as walk:
        assert begun.wait(WATCHDOG)
        assert CLUSTER in place.account.clusters()
        walk.signal(number)
        done = walk.ended()
    assert (done.code, place.left()) == (130, NOTHING), done.out + done.err
    assert "nothing is left that costs" in done.out


def test_p231_a_stand_in_that_is_broken_stops_no_other_step_and_no_removal(place: Place) -> None:
    """A workgroup and a cluster are refused: what needs them is not walked. A namespace that cannot be removed is named
    with its command, exit code 1; a walk does not begin before `--close` has removed it."""
    refused = {**REFUSED, "redshift-serverless:DeleteNamespace": "AccessDenied"}
    place.account.fault = lambda call: refused.get(call.action)
    done = place.walk()
    assert done.code == 1, done.out + done.err
    assert {name: status for name, status in statuses(place.record).items() if status != "not walked"} == {
        "cluster planned": "as expected",
        "Serverless planned": "as expected",
        "cluster begun": "differs",
        "Serverless begun": "as expected",
        "Serverless up": "differs",
    }
    assert "AccessDenied" in next(step["seen"] for step in place.record["steps"] if step["name"] == "Serverless up")
    assert f"aws redshift-serverless delete-namespace --namespace-name {WORKGROUP}" in done.err
    assert f"python cloud/cloud_check.py --close --name {NAME}" in done.err
    assert f"namespace {WORKGROUP}, AVAILABLE" in place.record["left"]
    place.account.fault = None
    again = place.walk()
    assert (again.code, "nothing was made" in again.err, "--close" in again.err) == (3, True, True), again.err
    closed = place.walk("--close")
    assert (closed.code, place.left()) == (0, NOTHING), closed.err


def test_p231_what_a_walk_did_not_make_is_never_touched(place: Place) -> None:
    """A cluster of the walk's name without its tag: the walk does not begin, and removes nothing."""
    nodes: dict[str, Any] = {"NodeType": "ra3.large", "ClusterType": "single-node", "MasterUsername": "boss"}
    place.account.client("redshift").create_cluster(ClusterIdentifier=CLUSTER, ManageMasterPassword=True, **nodes)
    others = place.account.client("redshift")
    others.create_cluster_snapshot(SnapshotIdentifier="theirs", ClusterIdentifier=CLUSTER)
    place.account.calls.clear()
    done = place.walk()
    assert (done.code, "not ours" in done.err) == (3, True), done.err
    assert place.account.changes() == []
    closed = place.walk("--close")
    assert (closed.code, list(place.account.clusters())) == (1, [CLUSTER])
    assert [snapshot["SnapshotIdentifier"] for snapshot in place.account.snapshots()] == ["theirs"]


def test_p232_a_dry_run_shows_steps_and_price_and_asks_nothing(bare: Warehouse) -> None:
    """Without an account and without a network."""
    bare.configure(AWS={"REGION": REGION}, S3={"WORK": f"s3://{BUCKET}/work"})
    script = str(REPO / "cloud" / "cloud_check.py")
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_EC2_METADATA_DISABLED": "true"}
    done = bare.run("", env=nowhere, command=[sys.executable, script, "--config", str(bare.config), "--dry-run"])
    assert done.code == 0, done.err
    assert [word for word in (step.name for step in STEPS) if word not in done.out] == []
    assert "price: 1 x ra3.large at USD 0.543" in done.out
    assert "price: 4 RPU at USD 0.36" in done.out
    assert "AWS was asked nothing" in done.out
