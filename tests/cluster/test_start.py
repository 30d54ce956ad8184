"""conn_start.py on Redshift: what is missing is made, in order, once; what cannot work is refused before it costs."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from warehouse import short_commands

from cluster.cloud import ACCOUNT, ENDPOINT, NAME, PASSWORD, REGION, Call
from cluster.conftest import ADDRESS, Rig, foreign_things
from dwh.cluster.account import Account
from dwh.cluster.watching import _BROKEN
from dwh.engines.redshift.engine import RedshiftEngine
from dwh.settings.config import load_config
from dwh.terminal.errors import Busy, ConfigError, EnvironmentFailure

IN_ORDER = [
    "iam:CreateRole",
    "iam:PutRolePolicy",
    "ec2:CreateSecurityGroup",
    "ec2:AuthorizeSecurityGroupIngress",
    "redshift:CreateCluster",
]
OWN_ROLE = f"arn:aws:iam::{ACCOUNT}:role/dwh-suite/{REGION}/{NAME}-copy"


def asked_for(rig: Rig) -> dict[str, str]:
    """Give the arguments of the one CreateCluster."""
    [given] = rig.cloud.asked("redshift:CreateCluster")
    return dict(given)


def engine_with_clock(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> RedshiftEngine:
    """Give an engine whose clock goes on by what is slept."""
    for name, value in rig.cloud.environment.items():
        monkeypatch.setenv(name, value)
    config, clock = load_config(str(rig.warehouse.config), {}, {}), [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += max(seconds, 1.0)

    return RedshiftEngine(config, Account(config, sleep=sleep, now=lambda: clock[0]))


# --------------------------------------------------------------------------------------------------------- what is made


def test_a_start_makes_what_is_missing_in_order(rig: Rig) -> None:
    """Role, rule, cluster; then it waits, reports the status, signs in over TLS, and says that it is billed."""
    done = rig.run("conn_start")
    assert done.code == 0, done.err
    assert rig.cloud.changes() == IN_ORDER
    assert [line.split()[:2] for line in done.out.splitlines() if line.startswith("  +")] == [
        ["+", "role"],
        ["+", "port"],
        ["+", "cluster"],
    ]
    assert re.search(r"creating, \d+m \d\ds elapsed", done.err)
    assert rig.door.logins == [("awsuser", PASSWORD)]
    assert short_commands(done.err.splitlines()[-1]).endswith("to end it: python conn_close.py --engine redshift")


def test_p61_a_second_start_changes_nothing(rig: Rig) -> None:
    """The second run asks for no change, and its plan is empty."""
    rig.call("conn_start")
    rig.cloud.calls.clear()
    again, plan = rig.call("conn_start", "--json").json, rig.call("conn_start", "--dry-run", "--json").json
    assert rig.cloud.changes() == []
    assert (again["created"], plan["would_create"]) == (False, False)
    assert {change[0] for change in again["changes"] + plan["changes"]} == {"="}


def test_p94_a_dry_run_changes_nothing(rig: Rig) -> None:
    """--dry-run shows what would be made and what it would cost, and asks for no change."""
    plan = rig.call("conn_start", "--dry-run", "--json").json
    assert rig.cloud.changes() == []
    assert (plan["created"], plan["would_create"]) == (False, True)
    assert [change[:6] for change in plan["changes"]] == ["= acco", "+ role", "+ port", "+ clus", "= pric"]
    assert "billed by the hour" in plan["changes"][-2]


@pytest.mark.parametrize("missing", ["rights", "role", "rule"])
def test_only_what_is_missing_is_made(rig: Rig, missing: str) -> None:
    """Role and rule are made again after a user removed them; the cluster stays and counts as not created."""
    rig.call("conn_start")
    if missing in ("rights", "role"):
        rig.cloud.client("iam").delete_role_policy(RoleName=f"{NAME}-copy", PolicyName="copy-and-unload")
    if missing == "role":
        rig.cloud.client("iam").delete_role(RoleName=f"{NAME}-copy")
    if missing == "rule":
        [group] = rig.cloud.groups()
        ids = [rule["SecurityGroupRuleId"] for rule in rig.cloud.rules(group["GroupId"])]
        rig.cloud.client("ec2").revoke_security_group_ingress(GroupId=group["GroupId"], SecurityGroupRuleIds=ids)
    rig.cloud.calls.clear()
    plan, again = (rig.call("conn_start", "--json", *flags).json for flags in (("--dry-run",), ()))
    made = {"rights": IN_ORDER[1:2], "role": IN_ORDER[:2], "rule": IN_ORDER[3:4]}
    assert rig.cloud.changes() == made[missing]
    assert (plan["would_create"], again["created"]) == (False, False)


def test_p76_encrypted_not_public_one_day_of_snapshots(rig: Rig) -> None:
    """The arguments that keep the data safe, and the tag on everything."""
    rig.call("conn_start")
    given = asked_for(rig)
    kept = {"Encrypted": "true", "PubliclyAccessible": "false", "AutomatedSnapshotRetentionPeriod": "1"}
    kept |= {"ClusterType": "single-node", "NodeType": "ra3.large", "Port": "5439", "DefaultIamRoleArn": OWN_ROLE}
    assert {key: given[key] for key in kept} == kept
    assert "NumberOfNodes" not in given
    [group] = rig.cloud.groups()
    role_tags = rig.cloud.client("iam").list_role_tags(RoleName=f"{NAME}-copy")["Tags"]
    [rule] = rig.cloud.rules(group["GroupId"])
    tag = [{"Key": "dwh-suite", "Value": NAME}]
    assert [rig.cloud.cluster().tags, group["Tags"], role_tags, rule["Tags"]] == [tag] * 4


def test_p72_aws_keeps_the_password(rig: Rig) -> None:
    """Without DB_PASSWORD no password of ours is sent: AWS makes one, and the suite signs in with it."""
    rig.call("conn_start")
    given = asked_for(rig)
    assert given["ManageMasterPassword"] == "true"
    assert "MasterUserPassword" not in given


def test_p72_a_password_of_ours_is_used_when_it_is_set(rig: Rig) -> None:
    """DB_PASSWORD is the admin's password then, and no secret is made."""
    rig.configure(CLUSTER={"DB_PASSWORD": "Own-Password-1", "DB_USER": "boss"})
    rig.call("conn_start")
    given = asked_for(rig)
    assert (given["MasterUserPassword"], "ManageMasterPassword" in given) == ("Own-Password-1", False)
    assert rig.cloud.asked("secretsmanager:GetSecretValue") == []
    assert rig.door.logins == [("boss", "Own-Password-1")]


def test_several_nodes_and_another_port(rig: Rig) -> None:
    """NUM_NODES above one makes a multi-node cluster; the rule follows the port."""
    rig.configure(CLUSTER={"NUM_NODES": 3, "NODE_TYPE": "ra3.4xlarge", "DB_PORT": 8192})
    rig.call("conn_start")
    given = asked_for(rig)
    assert (given["ClusterType"], given["NumberOfNodes"], given["Port"]) == ("multi-node", "3", "8192")
    [group] = rig.cloud.groups()
    assert [(rule["FromPort"], rule["ToPort"]) for rule in rig.cloud.rules(group["GroupId"])] == [(8192, 8192)]


def test_a_size_that_differs_from_the_settings_is_said(rig: Rig) -> None:
    """A cluster is not resized, and the output says so."""
    rig.call("conn_start")
    assert "resized" not in rig.call("conn_start").out
    rig.configure(CLUSTER={"NUM_NODES": 2})
    rig.cloud.calls.clear()
    assert "[CLUSTER] asks for 2 x ra3.large, but this suite does not resize a cluster" in rig.call("conn_start").out
    assert rig.cloud.changes() == []


def test_p75_public_is_said_out_loud(rig: Rig) -> None:
    """PUBLIC = yes is in the plan, in the progress and in the arguments."""
    rig.configure(CLUSTER={"PUBLIC": "yes"})
    assert "PUBLIC" in rig.call("conn_start", "--dry-run").out
    assert "PUBLIC: it gets an address on the internet" in rig.call("conn_start").err
    assert asked_for(rig)["PubliclyAccessible"] == "true"


@pytest.mark.parametrize(("before", "after"), [("no", "yes"), ("yes", "no")])
def test_public_can_be_changed_later(rig: Rig, before: str, after: str) -> None:
    """A cluster that cannot be reached need not be made again."""
    rig.configure(CLUSTER={"PUBLIC": before})
    rig.call("conn_start")
    rig.cloud.calls.clear()
    rig.configure(CLUSTER={"PUBLIC": after})
    changed = rig.call("conn_start", "--json").json
    assert rig.cloud.changes() == ["redshift:ModifyCluster"]
    assert (rig.cloud.cluster().publicly_accessible, changed["created"]) == (after == "yes", False)
    assert changed["changes"][-1].startswith("~ cluster")


def test_a_role_of_yours_is_used_and_left_alone(rig: Rig) -> None:
    """With [IAM_ROLE] ARN no role is made; a cluster that is there gets it."""
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    arn = rig.cloud.client("iam").create_role(RoleName="yours", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    rig.configure(IAM_ROLE={"ARN": arn})
    rig.call("conn_start")
    assert (rig.cloud.roles(), rig.cloud.cluster().iam_roles_arn) == (["yours"], [arn])
    rig.call("conn_close", "--yes")
    assert rig.cloud.roles() == ["yours"]


def test_a_cluster_gets_the_role_that_is_named_later(rig: Rig) -> None:
    """Another role than the one it was made with is added, and waited for until it is in use."""
    rig.call("conn_start")
    rig.configure(IAM_ROLE={"NAME": "reader"})
    rig.cloud.applying = 3
    rig.call("conn_start")
    assert [arn.split("/")[-1] for arn in rig.cloud.cluster().iam_roles_arn] == [f"{NAME}-copy", "reader"]
    assert rig.cloud.cluster().applying == 0
    rig.call("conn_close", "--yes")
    assert rig.cloud.roles() == []


def test_the_role_is_in_use_before_the_start_ends(rig: Rig) -> None:
    """Available is not enough: a COPY before the role is in-sync would fail."""
    rig.cloud.applying = 5
    done = rig.call("conn_start")
    assert "its role is not in use yet" in done.err
    assert rig.cloud.cluster().iam_roles == [{"ApplyStatus": "in-sync", "IamRoleArn": OWN_ROLE}]


def test_p149_a_cluster_of_capital_letters_is_found_again(rig: Rig) -> None:
    """`dwhCluster` of an older project: AWS keeps it in lower case, and so do its tag and all that is made for it."""
    rig.warehouse.config.write_text(
        rig.warehouse.config.read_text() + f"[DWH]\nDWH_CLUSTER_IDENTIFIER = {NAME.title()}\n"
    )
    assert NAME.title() != NAME
    assert rig.call("conn_start", "--json").json["created"] is True
    assert rig.cloud.cluster().cluster_identifier == NAME
    assert rig.call("conn_start", "--json").json["created"] is False
    assert rig.call("conn_close", "--yes", "--no-snapshot").code == 0
    assert not any(rig.cloud.all().values())


# ------------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"NODE_TYPE": "dc2.large"}, "dc2.large"),
        ({"NODE_TYPE": "ds2.xlarge"}, "ds2.xlarge"),
        ({"NODE_TYPE": "ra3.4xlarge"}, "two nodes"),
        ({"DB_PORT": "5400"}, "5400"),
        ({"DB_NAME": "Sparkify"}, "DB_NAME = sparkify"),
        ({"DB_USER": "dwhUser"}, "DB_USER = dwhuser"),
        ({"IDENTIFIER": "a--b"}, "a--b"),
        ({"IDENTIFIER": "a" * 64}, "aaa"),
        ({"DB_PASSWORD": "short1A"}, "DB_PASSWORD"),
        ({"DB_PASSWORD": "No/Slashes/1"}, "DB_PASSWORD"),
        ({"DB_PASSWORD": "nocapitals1"}, "DB_PASSWORD"),
        ({"ALLOW_CIDR": "0.0.0.0/0"}, "0.0.0.0/0"),
        ({"ALLOW_CIDR": "::/0"}, "::/0"),
    ],
)
@pytest.mark.parametrize("flags", [(), ("--dry-run",)])
def test_what_aws_would_refuse_is_refused_before_any_call(
    rig: Rig, keys: dict[str, str], named: str, flags: tuple[str, ...]
) -> None:
    """The error names the setting and the right form; no request has been sent to AWS."""
    rig.configure(CLUSTER=keys)
    with pytest.raises(ConfigError) as refused:
        rig.call("conn_start", *flags)
    assert named in "\n".join((refused.value.message, *refused.value.hint))
    assert refused.value.hint
    assert rig.cloud.calls == []


def test_a_role_that_is_no_arn_is_refused_before_any_call(rig: Rig) -> None:
    """[IAM_ROLE] ARN is looked at before anything costs."""
    rig.configure(IAM_ROLE={"ARN": "myRedshiftRole"})
    with pytest.raises(ConfigError, match="myRedshiftRole"):
        rig.call("conn_start")
    assert rig.cloud.calls == []


def test_p66_a_cluster_of_that_name_that_is_not_ours(rig: Rig) -> None:
    """Nothing is made or changed, and the error names the ways out."""
    rig.cloud.client("redshift").create_cluster(
        ClusterIdentifier=NAME,
        NodeType="ra3.large",
        ClusterType="single-node",
        MasterUsername="boss",
        ManageMasterPassword=True,
        Encrypted=True,
    )
    before = rig.cloud.all()
    for script, argv in (("conn_start", ()), ("conn_start", ("--dry-run",))):
        with pytest.raises(EnvironmentFailure, match="not ours"):
            rig.call(script, *argv)
    rig.call("conn_close", "--yes")
    assert (rig.cloud.changes(), rig.cloud.all()) == ([], before)


@pytest.mark.parametrize("what", ["role", "group"])
def test_a_role_or_group_of_that_name_that_is_not_ours(rig: Rig, what: str) -> None:
    """It is neither used nor changed: the start ends before there is a cluster."""
    if what == "role":
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        rig.cloud.client("iam").create_role(RoleName=f"{NAME}-copy", AssumeRolePolicyDocument=trust)
    else:
        rig.cloud.client("ec2").create_security_group(GroupName=f"dwh-{NAME}", Description="not ours")
    before = rig.cloud.all()
    with pytest.raises(EnvironmentFailure, match="not ours"):
        rig.call("conn_start")
    assert rig.cloud.clusters() == {}
    rig.call("conn_close", "--yes")
    assert rig.cloud.all() == before


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ClusterQuotaExceeded", "reached its limit of Redshift clusters"),
        ("NumberOfNodesQuotaExceeded", "reached its limit of Redshift clusters"),
        ("InsufficientClusterCapacity", "no free nodes of that type"),
        ("UnauthorizedOperation", "does not let you do this"),
        ("InvalidParameterValue", "refused to make cluster"),
    ],
)
def test_p66_quota_and_capacity_are_worded(rig: Rig, code: str, words: str) -> None:
    """Exit code 3, the code as evidence, what to do; nothing is billed then, and that is not claimed either."""
    rig.cloud.fail("redshift:CreateCluster", code)
    with pytest.raises(EnvironmentFailure, match=words) as refused:
        rig.call("conn_start")
    assert code in " ".join(refused.value.evidence)
    assert refused.value.hint
    assert rig.cloud.clusters() == {}


def test_p66_a_subnet_group_that_is_missing(rig: Rig) -> None:
    """Named, with the key; nothing but the role has been made by then."""
    rig.configure(CLUSTER={"SUBNET_GROUP": "no-such-group"})
    with pytest.raises(EnvironmentFailure, match="subnet group") as refused:
        rig.call("conn_start")
    assert "SUBNET_GROUP" in refused.value.hint[0]
    assert rig.cloud.clusters() == {}


def test_a_subnet_group_decides_the_vpc(rig: Rig) -> None:
    """Cluster and security group go where the subnet group is."""
    ec2 = rig.cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24")["Subnet"]["SubnetId"]
    rig.cloud.client("redshift").create_cluster_subnet_group(
        ClusterSubnetGroupName="ours", Description="d", SubnetIds=[subnet]
    )
    rig.configure(CLUSTER={"SUBNET_GROUP": "ours"})
    rig.call("conn_start")
    assert asked_for(rig)["ClusterSubnetGroupName"] == "ours"
    assert {group["VpcId"] for group in rig.cloud.groups() if group["GroupName"] == f"dwh-{NAME}"} == {vpc}


def test_p66_a_role_that_is_not_known_yet_is_waited_for(rig: Rig) -> None:
    """IAM needs a moment: the cluster is asked for again until the role is known."""
    rig.cloud.unknown_role = 3
    done = rig.call("conn_start")
    assert "AWS does not know the role everywhere yet; trying again (InvalidParameterValue: " in done.err
    assert len(rig.cloud.asked("redshift:CreateCluster")) == 4


def test_p66_a_role_that_stays_unknown_is_an_error_after_a_minute(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for ever: 60 seconds, then it is said."""
    rig.cloud.unknown_role = 10**6
    with pytest.raises(EnvironmentFailure, match="role"):
        engine_with_clock(rig, monkeypatch).start(lambda _text: None)
    assert rig.cloud.clusters() == {}
    assert 10 < len(rig.cloud.asked("redshift:CreateCluster")) < 70


# ---------------------------------------------------------------------------------------------------------- waiting


def test_p66_one_that_is_still_being_deleted(rig: Rig) -> None:
    """Without waiting it is Busy, exit code 4; with waiting it is made anew when the old one is gone."""
    rig.call("conn_start")
    rig.cloud.deleting = ("deleting",) * 4
    rig.cloud.remove()
    with pytest.raises(Busy, match="still being deleted"):
        rig.call("conn_start", "--no-wait")
    again = rig.call("conn_start", "--json").json
    assert (again["created"], list(rig.cloud.clusters())) == (True, [NAME])


@pytest.mark.parametrize("flags", [("--no-wait",), ("--timeout", "1s")])
def test_not_waiting_is_busy_and_goes_on_later(rig: Rig, flags: tuple[str, ...]) -> None:
    """Exit code 4 until it is available; the cluster was asked for once."""
    rig.cloud.creating = ("creating",) * 100
    rig.configure(CLUSTER={"POLL_SECONDS": 0.3})
    with pytest.raises(Busy, match="not available yet: creating"):
        rig.call("conn_start", *flags)
    rig.cloud.cluster().coming.clear()
    rig.call("conn_start")
    assert len(rig.cloud.asked("redshift:CreateCluster")) == 1


def test_every_look_is_a_line(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status and time passed, every POLL_SECONDS: here ten looks, 15 seconds apart."""
    rig.configure(CLUSTER={"POLL_SECONDS": 15})
    rig.cloud.creating = ("creating",) * 10
    told: list[str] = []
    engine_with_clock(rig, monkeypatch).start(told.append)
    assert [line for line in told if line.startswith("creating")][::5] == [
        "creating, 0m 00s elapsed",
        "creating, 1m 15s elapsed",
    ]
    assert "available after 2m 30s" in told


def test_thirty_minutes_are_enough(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that stays `creating` is given up after the 30 minutes that are the default."""
    rig.configure(CLUSTER={"POLL_SECONDS": 15})
    rig.cloud.creating = ("creating",) * 1000
    with pytest.raises(Busy, match="not available yet"):
        engine_with_clock(rig, monkeypatch).start(lambda _text: None)
    assert 118 < len(rig.cloud.asked("redshift:DescribeClusters")) < 125


@pytest.mark.parametrize("status", sorted(set(_BROKEN) - {"deleting", "final-snapshot"}))
def test_p62_a_status_that_waiting_does_not_change_is_told_at_once(rig: Rig, status: str) -> None:
    """boto's waiter would wait 30 minutes. The error says what to do, and closing works from there."""
    rig.cloud.creating = ("creating", status)
    with pytest.raises(EnvironmentFailure, match=status) as failed:
        rig.call("conn_start")
    assert failed.value.hint
    assert failed.value.evidence
    assert rig.call("conn_close", "--yes", "--no-snapshot").code == 0
    assert not any(rig.cloud.all().values())


def test_another_user_deletes_it_meanwhile(rig: Rig) -> None:
    """A cluster that disappears during the wait is an error; it is not made again automatically."""
    rig.cloud.creating = ("creating", "deleting")
    with pytest.raises(EnvironmentFailure, match="deleting"):
        rig.call("conn_start")


# ---------------------------------------------------------------------------------------------------------- adopting


def test_p67_a_lost_answer_is_not_asked_again(rig: Rig) -> None:
    """The cluster was made and the answer lost: it is found, waited for, and counts as made by this run."""
    rig.cloud.fault = lambda call: "(done, and the answer lost)" if call.action == "redshift:CreateCluster" else None
    done = rig.call("conn_start", "--json").json
    assert (done["created"], len(rig.cloud.asked("redshift:CreateCluster"))) == (True, 1)


def test_p67_an_answer_that_stays_lost_is_an_error_and_still_no_second_question(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS gave no answer and shows no cluster for a minute: the error says so, and that one may appear later."""
    rig.cloud.fault = lambda call: "ServiceUnavailable" if call.action == "redshift:CreateCluster" else None
    engine = engine_with_clock(rig, monkeypatch)
    with pytest.raises(EnvironmentFailure, match="did not answer"):
        engine.start(lambda _text: None)
    assert len(rig.cloud.asked("redshift:CreateCluster")) == 1
    assert engine.last_word().startswith(f"if us-west-2/{NAME} is up, it is billed")


def test_p67_one_that_was_made_in_the_same_moment_is_adopted(rig: Rig) -> None:
    """ClusterAlreadyExists with our tag, because a colleague was faster: theirs is used, and is not this run's."""
    rig.call("conn_start")
    theirs: Any = rig.cloud.cluster()
    looks = iter([True])  # the first look does not show it

    def fault(call: Call) -> str | None:
        first = call.action == "redshift:DescribeClusters" and next(looks, False)
        return "ClusterNotFound" if first else None

    rig.cloud.fault = fault
    again = rig.call("conn_start", "--json").json
    assert (again["created"], rig.cloud.cluster() is theirs) == (False, True)


def test_what_is_not_ours_is_left_alone(rig: Rig) -> None:
    """P63: things without our tag are the same after a whole life of our cluster."""
    before = foreign_things(rig.cloud)
    rig.call("conn_start")
    rig.call("conn_close", "--yes")
    assert rig.cloud.all() == before


# ---------------------------------------------------------------------------------------------------------- existing


def test_an_existing_warehouse_is_connected_to_and_nothing_else(rig: Rig) -> None:
    """With HOST, user and password AWS is asked for nothing but S3: no start, no plan and no close makes or deletes."""
    rig.cloud.passwords["ana"] = "Her-Password-1"
    host = {"HOST": ENDPOINT, "DB_PORT": rig.door.port, "DB_USER": "ana", "DB_PASSWORD": "Her-Password-1"}
    rig.configure(CLUSTER=host)
    started = rig.call("conn_start", "--json").json
    closed = rig.call("conn_close", "--yes", "--json").json
    rig.call("conn_start", "--dry-run")
    assert not started["created"]
    assert {call.action for call in rig.cloud.calls} == {"s3:HEAD", "s3:GET"}
    assert [change[0] for change in started["changes"] + closed["changes"]] == ["=", "="]
    assert rig.door.logins == [("ana", "Her-Password-1")]


def test_a_rule_for_an_old_address_is_replaced(rig: Rig) -> None:
    """P75: after a change of address there is one rule again; one that a user added by hand stays."""
    rig.call("conn_start")
    [group] = rig.cloud.groups()
    by_hand = {"IpProtocol": "tcp", "FromPort": 5439, "ToPort": 5439, "IpRanges": [{"CidrIp": "198.51.100.1/32"}]}
    rig.cloud.client("ec2").authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[by_hand])
    rig.configure(CLUSTER={"ALLOW_CIDR": "192.0.2.0/24"})
    assert "~ port 5439 from 192.0.2.0/24 only" in rig.call("conn_start").out
    left = sorted(rule["CidrIpv4"] for rule in rig.cloud.rules(group["GroupId"]))
    assert (ADDRESS in left, left) == (False, ["192.0.2.0/24", "198.51.100.1/32"])
