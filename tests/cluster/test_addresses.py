"""Who may connect: the address under which the cluster sees this machine, and no other.

The door answers only an address that a rule of the cluster's security group lets in, as the service does. From inside
the VPC that is the private one [D mgmt/managing-clusters-vpc].
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer

import pytest

from cluster import metadata
from cluster.cloud import NAME, PASSWORD
from cluster.conftest import Rig
from cluster.test_login import serve_address
from dwh.terminal.errors import ConfigError, EnvironmentFailure

PUBLIC, PRIVATE = "198.51.100.23", "172.31.5.7"


@pytest.fixture
def seen(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    """Nobody is named in ALLOW_CIDR; the internet sees this machine as PUBLIC."""
    monkeypatch.setattr("dwh.engines.redshift.connect.CONNECT_SECONDS", 2)  # the shortest that libpq knows
    rig.configure(CLUSTER={"ALLOW_CIDR": ""})
    server = serve_address(monkeypatch, PUBLIC.encode())
    yield server
    server.shutdown()
    server.server_close()


def default_vpc(rig: Rig) -> str:
    """Name the VPC of clusters without a subnet group."""
    found = rig.cloud.client("ec2").describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])
    return str(found["Vpcs"][0]["VpcId"])


@contextmanager
def machine(rig: Rig, vpc: str, source: str) -> Iterator[None]:
    """For the block, be a machine of EC2 in this VPC, whom the cluster sees under `source`."""
    with metadata.serving(metadata.machine(vpc, PRIVATE)) as endpoint:
        rig.cloud.metadata = endpoint
        rig.door.admits = lambda: admitted(rig, source)
        yield
    rig.cloud.metadata = ""


def admitted(rig: Rig, source: str) -> bool:
    """Tell whether the cluster's security group lets this address in."""
    groups = rig.cloud.cluster().vpc_security_group_ids
    rules = [rule["CidrIpv4"] for group in groups for rule in rig.cloud.rules(group)]
    return any(ipaddress.ip_address(source) in ipaddress.ip_network(rule) for rule in rules)


def allowed(rig: Rig) -> list[str]:
    """Give who may come in by our group."""
    [group] = rig.cloud.groups()
    return sorted(rule["CidrIpv4"] for rule in rig.cloud.rules(group["GroupId"]))


def test_p198_inside_the_vpc_the_private_address_is_let_in(rig: Rig, seen: HTTPServer) -> None:
    """PUBLIC = no, which is the default: the rule holds the private address alone, and the cluster answers."""
    with machine(rig, default_vpc(rig), PRIVATE):
        assert f"port 5439 from {PRIVATE}/32 only" in rig.call("conn_start", "--dry-run").out
        rig.call("conn_start")
    assert (allowed(rig), rig.door.logins) == ([f"{PRIVATE}/32"], [("awsuser", PASSWORD)])


@pytest.mark.parametrize("source", [PUBLIC, PRIVATE], ids=["by the internet", "inside"])
def test_p198_inside_the_vpc_a_public_cluster_lets_both_in(rig: Rig, seen: HTTPServer, source: str) -> None:
    """Its name leads to the address inside or to the one outside, as the VPC says: both ways work, and again nothing
    changes."""
    rig.configure(CLUSTER={"ALLOW_CIDR": "", "PUBLIC": "yes"})
    with machine(rig, default_vpc(rig), source):
        assert f"+ port 5439 from {PRIVATE}/32 and {PUBLIC}/32 only" in rig.call("conn_start").out
        rig.cloud.calls.clear()
        rig.call("conn_start")
    assert (allowed(rig), rig.cloud.changes()) == ([f"{PRIVATE}/32", f"{PUBLIC}/32"], [])


def test_p198_outside_a_public_cluster_lets_the_public_address_in(rig: Rig, seen: HTTPServer) -> None:
    """A laptop, or a machine of another VPC: its private address says nothing to the cluster."""
    rig.configure(CLUSTER={"ALLOW_CIDR": "", "PUBLIC": "yes"})
    with machine(rig, "vpc-of-others", PUBLIC):
        rig.call("conn_start")
    assert allowed(rig) == [f"{PUBLIC}/32"]


@pytest.mark.parametrize("flags", [(), ("--dry-run",)])
@pytest.mark.parametrize("where", ["a laptop", "another VPC"])
def test_p198_outside_who_may_connect_is_asked_for_before_anything_is_made(
    rig: Rig, seen: HTTPServer, flags: tuple[str, ...], where: str
) -> None:
    """PUBLIC = no from outside: exit code 2, both settings that help, and nothing made: no address would work."""
    with pytest.raises(ConfigError, match="who may connect") as refused:
        if where == "a laptop":
            rig.call("conn_start", *flags)
        else:
            with machine(rig, "vpc-of-others", PUBLIC):
                rig.call("conn_start", *flags)
    assert ("it is in vpc-of-others" in refused.value.evidence[0]) is (where == "another VPC")
    assert [hint.split("  ")[0] for hint in refused.value.hint] == [
        "[CLUSTER] ALLOW_CIDR = 172.31.5.7/32",
        "[CLUSTER] PUBLIC = yes",
    ]
    assert rig.cloud.changes() == []


def test_p198_a_rule_for_the_public_address_is_replaced(rig: Rig, seen: HTTPServer) -> None:
    """What an earlier version made for the wrong address goes with the next start."""
    with machine(rig, default_vpc(rig), PRIVATE):
        rig.configure(CLUSTER={"ALLOW_CIDR": f"{PUBLIC}/32"})
        with pytest.raises(EnvironmentFailure, match="does not answer from here") as lost:
            rig.call("conn_start")
        assert f"your private address now: {PRIVATE}, in {default_vpc(rig)}" in lost.value.evidence
        rig.configure(CLUSTER={"ALLOW_CIDR": ""})
        rig.cloud.calls.clear()
        assert "~ port 5439" in rig.call("conn_start").out
    assert rig.cloud.changes() == ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
    assert allowed(rig) == [f"{PRIVATE}/32"]


def test_a_subnet_group_names_the_vpc_that_counts(rig: Rig, seen: HTTPServer) -> None:
    """In the default VPC while the cluster goes into another one: that is outside."""
    ec2 = rig.cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.8.1.0/24")["Subnet"]["SubnetId"]
    rig.cloud.client("redshift").create_cluster_subnet_group(
        ClusterSubnetGroupName="ours", Description="d", SubnetIds=[subnet]
    )
    rig.configure(CLUSTER={"ALLOW_CIDR": "", "SUBNET_GROUP": "ours"})
    with machine(rig, default_vpc(rig), PRIVATE), pytest.raises(ConfigError, match="who may connect") as refused:
        rig.call("conn_start")
    assert f"the cluster's VPC is {vpc}" in refused.value.evidence[0]
    with machine(rig, vpc, PRIVATE):
        rig.call("conn_start")
    assert allowed(rig) == [f"{PRIVATE}/32"]


@pytest.mark.parametrize(
    "values",
    [{}, {"meta-data/mac": metadata.MAC}, metadata.machine("<html>sign in", PRIVATE), metadata.machine("vpc", "::1")],
    ids=["nothing", "no VPC", "a page", "no IPv4"],
)
def test_what_is_no_machine_of_ec2_is_outside(rig: Rig, seen: HTTPServer, values: dict[str, str]) -> None:
    """Whatever else answers at that address is not believed."""
    with metadata.serving(values) as endpoint:
        rig.cloud.metadata = endpoint
        with pytest.raises(ConfigError, match="who may connect"):
            rig.call("conn_start")
    rig.cloud.metadata = ""
    assert rig.cloud.changes() == []


def test_with_allow_cidr_nobody_is_asked(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting decides: neither the metadata nor the service that says addresses is asked."""
    monkeypatch.setattr("dwh.cluster.network.own_seat", lambda _aws: 1 / 0)
    monkeypatch.setattr("dwh.cluster.network.own_address", lambda: 1 / 0)
    rig.call("conn_start")
    assert rig.cloud.cluster().cluster_identifier == NAME
