"""[CLUSTER] KIND = serverless: namespace, workgroup and daily limit are made, changed, restored and deleted.

What is the same for both kinds stands in test_faults.py, which runs on both. The service is `serverless_rules.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from warehouse import Result, Warehouse

from cluster import model
from cluster.cloud import ACCOUNT, NAME, PASSWORD, REGION, SERVERLESS_ENDPOINT, Call, Cloud
from cluster.conftest import Rig, foreign_things
from cluster.door import Door
from cluster.serverless_rules import SERVICE, Refused
from cluster.test_faults import NOTHING
from dwh.cluster.serverless import RESTORING
from dwh.engines.redshift.packing import SMALL_PIECE, cut, number_of_pieces
from dwh.terminal.errors import Busy, ConfigError, DwhError, EnvironmentFailure

IN_ORDER = [
    "iam:CreateRole",
    "iam:PutRolePolicy",
    "ec2:CreateSecurityGroup",
    "ec2:AuthorizeSecurityGroupIngress",
    "redshift-serverless:CreateNamespace",
    "redshift-serverless:CreateWorkgroup",
    "redshift-serverless:CreateUsageLimit",
]
OWN_ROLE = f"arn:aws:iam::{ACCOUNT}:role/dwh-suite/{REGION}/{NAME}-copy"
OURS = {"dwh-suite": NAME}
ALL_GONE = f"= all gone: nothing tagged dwh-suite={NAME} is left in us-west-2"


@pytest.fixture
def rig(cloud: Cloud, door: Door, bare: Warehouse) -> Rig:
    """A Serverless warehouse of which nothing is there yet."""
    rig = Rig(bare, cloud, door, "serverless")
    rig.configure()
    return rig


def close(rig: Rig, *argv: str) -> Result:
    """Close without a question."""
    return rig.call("conn_close", "--yes", *argv)


def others(rig: Rig, **workgroup: Any) -> None:
    """Put a namespace and a workgroup of the same service into the account that are not ours."""
    client = rig.cloud.client(SERVICE)
    tags = [{"key": "dwh-suite", "value": "another-dwh"}]
    client.create_namespace(namespaceName="another-dwh", tags=tags)
    client.create_workgroup(workgroupName="another-dwh", namespaceName="another-dwh", tags=tags, **workgroup)


# --------------------------------------------------------------------------------------------------------- what is made


def test_a_start_makes_what_is_missing_in_order(rig: Rig) -> None:
    """Role, rule, namespace, workgroup, limit; then it signs in over TLS and says what goes on costing."""
    done = rig.run("conn_start")
    assert done.code == 0, done.err
    assert rig.cloud.changes() == IN_ORDER
    assert rig.door.logins == [("awsuser", PASSWORD)]
    assert "while a statement runs (at least a minute)" in done.err.splitlines()[-1]


def test_p200_data_is_kept_safe_and_cost_is_bounded(rig: Rig) -> None:
    """Managed password, the role as default, TLS only, not public, our group, four RPU, a daily limit that ends
    queries, and the tag on both parts."""
    rig.call("conn_start")
    service, [group] = rig.cloud.serverless, rig.cloud.groups()
    space, workgroup, [limit] = service.namespaces[NAME], service.workgroups[NAME], service.limits.values()
    assert [service.tags[arn] for arn in (space["namespaceArn"], workgroup["workgroupArn"])] == [OURS, OURS]
    assert (space["adminUsername"], space["dbName"], space["roles"]) == ("awsuser", "dwh", [OWN_ROLE])
    assert (space["defaultIamRoleArn"], "adminPasswordSecretArn" in space) == (OWN_ROLE, True)
    kept: dict[str, object] = {"baseCapacity": 4, "maxCapacity": 8, "port": 5439, "publiclyAccessible": False}
    kept |= {"securityGroupIds": [group["GroupId"]]}
    assert {key: workgroup[key] for key in kept} == kept
    assert workgroup["configParameters"] == [{"parameterKey": "require_ssl", "parameterValue": "true"}]
    wanted = {"period": "daily", "amount": 16, "breachAction": "deactivate", "usageType": "serverless-compute"}
    assert {key: limit[key] for key in wanted} == wanted


def test_p61_a_second_start_changes_nothing(up: Rig) -> None:
    """The second run asks for no change, and its plan is empty."""
    again, plan = up.call("conn_start", "--json").json, up.call("conn_start", "--dry-run", "--json").json
    assert up.cloud.changes() == []
    assert (again["created"], plan["would_create"]) == (False, False)
    assert {change[0] for change in again["changes"] + plan["changes"]} == {"="}


def test_p94_a_dry_run_changes_nothing(rig: Rig) -> None:
    """--dry-run shows what would be made and how it costs, and asks for no change."""
    plan = rig.call("conn_start", "--dry-run", "--json").json
    assert (rig.cloud.changes(), plan["would_create"]) == ([], True)
    [made] = [change for change in plan["changes"] if change.startswith("+ Serverless")]
    assert "at most 16 RPU-hours a day" in made
    assert "storage by the month" in made


def test_a_password_of_ours_is_used_when_it_is_set(rig: Rig) -> None:
    """DB_PASSWORD is the admin's password then, and AWS keeps no secret."""
    rig.configure(CLUSTER={"DB_PASSWORD": "Own-Password-1", "DB_USER": "boss"})
    rig.call("conn_start")
    assert rig.door.logins == [("boss", "Own-Password-1")]
    assert rig.cloud.all()["secrets"] == []


def test_a_subnet_group_decides_the_subnets(rig: Rig) -> None:
    """The workgroup and its security group go where the cluster subnet group is."""
    ec2 = rig.cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.8.{n}.0/24")["Subnet"]["SubnetId"] for n in (1, 2)]
    rig.cloud.client("redshift").create_cluster_subnet_group(
        ClusterSubnetGroupName="ours", Description="d", SubnetIds=subnets
    )
    rig.configure(CLUSTER={"SUBNET_GROUP": "ours"})
    rig.call("conn_start")
    assert sorted(rig.cloud.serverless.workgroups[NAME]["subnetIds"]) == sorted(subnets)
    assert {group["VpcId"] for group in rig.cloud.groups() if group["GroupName"] == f"dwh-{NAME}"} == {vpc}


# ------------------------------------------------------------------------------------------------------ what is changed


@pytest.mark.parametrize(
    ("before", "after", "asked"),
    [
        ((4, 8), (16, 32), [("maxCapacity", "32"), ("baseCapacity", "16")]),
        ((16, 32), (4, 8), [("baseCapacity", "4"), ("maxCapacity", "8")]),
        ((8, 8), (8, 16), [("maxCapacity", "16")]),
    ],
)
def test_sizes_follow_the_settings_one_change_a_request(
    rig: Rig, before: tuple[int, int], after: tuple[int, int], asked: list[tuple[str, str]]
) -> None:
    """Growing and shrinking: in an order in which the base is never above the most."""
    rig.configure(CLUSTER=dict(zip(("BASE_RPU", "MAX_RPU"), before, strict=True)))
    rig.call("conn_start")
    rig.configure(CLUSTER=dict(zip(("BASE_RPU", "MAX_RPU"), after, strict=True)))
    assert "from now on" in rig.call("conn_start", "--dry-run").out
    rig.call("conn_start")
    given = rig.cloud.asked("redshift-serverless:UpdateWorkgroup")
    assert [(key, value) for call in given for key, value in call.items() if key != "workgroupName"] == asked


def test_public_follows_the_settings(up: Rig) -> None:
    """And is said before and when it is done."""
    up.configure(CLUSTER={"PUBLIC": "yes"})
    assert "from now on PUBLIC" in up.call("conn_start", "--dry-run").out
    up.call("conn_start")
    assert up.cloud.serverless.workgroups[NAME]["publiclyAccessible"] is True


def test_p201_the_daily_limit_follows_the_settings(up: Rig) -> None:
    """Another number changes it, off removes it, and a number makes it again; a weekly one of yours stays."""
    arn = up.cloud.serverless.workgroups[NAME]["workgroupArn"]
    weekly = {"usageType": "serverless-compute", "period": "weekly", "amount": 100}
    up.cloud.client(SERVICE).create_usage_limit(resourceArn=arn, **weekly)
    for hours, asked in (("2", "Update"), ("off", "Delete"), ("3", "Create")):
        up.cloud.calls.clear()
        up.configure(CLUSTER={"MAX_RPU_HOURS": hours})
        assert "\n  ~ Serverless warehouse" in up.call("conn_start", "--dry-run").out
        up.call("conn_start")
        assert up.cloud.changes() == [f"redshift-serverless:{asked}UsageLimit"]
        left = {limit["period"]: limit["amount"] for limit in up.cloud.serverless.limits.values()}
        assert left == {"weekly": 100} | ({} if hours == "off" else {"daily": int(hours)})


def test_a_workgroup_that_was_deleted_is_made_again(up: Rig) -> None:
    """The namespace, and so the data, stays; nothing counts as created."""
    up.cloud.client(SERVICE).delete_workgroup(workgroupName=NAME)
    again = up.call("conn_start", "--json").json
    assert up.cloud.changes() == ["redshift-serverless:CreateWorkgroup", "redshift-serverless:CreateUsageLimit"]
    assert (again["created"], again["changes"][-1][:2]) == (False, "~ ")


def test_a_role_that_is_named_later_is_added(up: Rig) -> None:
    """The list of roles replaces the one before, so the first stays in it; and the start waits until it is in use."""
    up.configure(IAM_ROLE={"NAME": "reader"})
    up.cloud.serverless.applying = 3
    done = up.call("conn_start")
    roles = up.cloud.serverless.namespaces[NAME]["roles"]
    assert {arn.split("/")[-1] for arn in roles} == {f"{NAME}-copy", "reader"}
    assert "its role is not in use yet" in done.err


def test_p66_a_role_that_is_not_known_yet_is_waited_for(rig: Rig) -> None:
    """IAM needs a moment: the namespace is asked for again until the role is known."""
    rig.cloud.serverless.unknown_role = 3
    done = rig.call("conn_start")
    assert "AWS does not know the role everywhere yet; trying again (ValidationException: " in done.err
    assert len(rig.cloud.asked("redshift-serverless:CreateNamespace")) == 4


# ------------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"BASE_RPU": 5}, "BASE_RPU = 4"),
        ({"BASE_RPU": 520, "MAX_RPU": 520}, "BASE_RPU"),
        ({"BASE_RPU": 16}, "MAX_RPU = 16"),
        ({"MAX_RPU": 12}, "MAX_RPU = 8"),
        ({"MAX_RPU_HOURS": 0}, "MAX_RPU_HOURS = off"),
        ({"IDENTIFIER": "ab"}, "too short"),
        ({"DB_PORT": 5400}, "5400"),
        ({"DB_NAME": "Sparkify"}, "DB_NAME = sparkify"),
        ({"ALLOW_CIDR": "0.0.0.0/0"}, "0.0.0.0/0"),
        ({"KIND": "cluster"}, "provisioned or serverless"),
    ],
)
def test_what_aws_would_refuse_is_refused_before_any_call(rig: Rig, keys: Mapping[str, object], named: str) -> None:
    """The error names the setting and the right form; no request has been sent to AWS."""
    rig.configure(CLUSTER=keys)
    with pytest.raises(ConfigError) as refused:
        rig.call("conn_start")
    assert named in "\n".join((refused.value.message, *refused.value.evidence, *refused.value.hint))
    assert rig.cloud.calls == []


def test_nodes_are_no_matter_of_serverless(rig: Rig) -> None:
    """NODE_TYPE of an older file is not looked at."""
    rig.configure(CLUSTER={"NODE_TYPE": "dc2.large"})
    assert rig.call("conn_start", "--dry-run").code == 0


@pytest.mark.parametrize("part", ["namespace", "workgroup"])
def test_p66_a_part_of_that_name_that_is_not_ours(rig: Rig, part: str) -> None:
    """Nothing is made or changed, and the error names the ways out."""
    client = rig.cloud.client(SERVICE)
    client.create_namespace(namespaceName=NAME, tags=[{"key": "dwh-suite", "value": NAME}] * (part == "workgroup"))
    if part == "workgroup":
        client.create_workgroup(workgroupName=NAME, namespaceName=NAME)
    before = rig.cloud.all()
    for argv in ((), ("--dry-run",)):
        with pytest.raises(EnvironmentFailure, match=f"{part} named {NAME} exists and is not ours") as refused:
            rig.call("conn_start", *argv)
    assert "tag-resource" in refused.value.hint[-1]
    assert (rig.cloud.changes(), rig.cloud.all()) == ([], before)


@pytest.mark.parametrize(
    ("action", "code", "words"),
    [
        ("CreateNamespace", "ServiceQuotaExceededException", "limit of Redshift Serverless"),
        ("CreateNamespace", "ValidationException", "refused to make namespace"),
        ("CreateWorkgroup", "ValidationException", "refused to make workgroup"),
        ("CreateWorkgroup", "AccessDeniedException", "does not let you do this"),
    ],
)
def test_p66_what_aws_refuses_is_worded(rig: Rig, action: str, code: str, words: str) -> None:
    """Exit code 3, the code as evidence, what to do."""
    rig.cloud.fail(f"redshift-serverless:{action}", code)
    with pytest.raises(EnvironmentFailure, match=words) as refused:
        rig.call("conn_start")
    assert code in " ".join(refused.value.evidence)
    assert refused.value.hint


def test_not_waiting_is_busy_and_goes_on_later(rig: Rig) -> None:
    """Exit code 4 until it is available; the workgroup was asked for once."""
    rig.cloud.serverless.making = 100
    with pytest.raises(Busy, match="not available yet: CREATING"):
        rig.call("conn_start", "--no-wait")
    with pytest.raises(Busy, match="namespace AVAILABLE, workgroup CREATING"):
        rig.call("create_tables")
    rig.cloud.go_on()
    rig.call("conn_start")
    assert len(rig.cloud.asked("redshift-serverless:CreateWorkgroup")) == 1


# --------------------------------------------------------------------------------------------------------------- login


def test_temporary_credentials_where_aws_keeps_no_secret(up: Rig) -> None:
    """They are those of the IAM identity that asks, for the workgroup and database."""
    del up.cloud.serverless.namespaces[NAME]["adminPasswordSecretArn"]
    up.call("conn_start")
    [(user, password)] = up.door.logins
    assert (user[:4], password.startswith("temporary-password")) == ("IAM:", True)
    [given] = up.cloud.asked("redshift-serverless:GetCredentials")
    assert (given["workgroupName"], given["dbName"]) == (NAME, "dwh")


def test_temporary_credentials_for_an_existing_workgroup_without_a_password(up: Rig) -> None:
    """With HOST alone, the workgroup's name is the first part of its endpoint."""
    up.configure(CLUSTER={"HOST": SERVERLESS_ENDPOINT, "DB_PORT": up.door.port})
    up.call("conn_start")
    assert [user[:4] for user, _ in up.door.logins] == ["IAM:"]
    asked = [call.action for call in up.cloud.calls if not call.action.startswith("s3:")]
    assert asked == ["redshift-serverless:GetCredentials"]


# -------------------------------------------------------------------------------------------------------------- closing


def test_everything_goes_in_the_order_that_works(up: Rig) -> None:
    """Workgroup, then namespace as soon as nothing runs on it, then the group, then the role; then a fresh listing."""
    up.cloud.serverless.running = 3
    done = up.run("conn_close", "--yes")
    assert done.code == 0, done.err
    assert up.cloud.changes() == [
        "redshift-serverless:DeleteWorkgroup",
        *["redshift-serverless:DeleteNamespace"] * 4,
        *["ec2:DeleteSecurityGroup"] * 2,
        "iam:DeleteRolePolicy",
        "iam:DeleteRole",
    ]
    assert (up.cloud.all(), ALL_GONE in done.out) == (NOTHING, True)
    assert "billed" not in done.err.splitlines()[-1]


def test_p202_the_data_is_kept_for_seven_days_and_the_snapshot_is_looked_up(up: Rig) -> None:
    """It is spoken of only when AWS shows it, with an end, so that it is not billed for ever."""
    up.cloud.serverless.snapping = 3
    done = close(up)
    [name] = up.cloud.serverless.snapshots
    snapshot = up.cloud.serverless.snapshots[name]
    assert (snapshot["status"], snapshot["snapshotRetentionPeriod"]) == ("AVAILABLE", 7)
    assert f"+ snapshot {name}, kept for 7 days" in done.out
    assert "snapshot CREATING" in done.err


def test_p202_a_snapshot_that_fails_is_not_claimed(up: Rig) -> None:
    """The namespace is gone by then: the error says where else the data may be."""

    def fails(call: Call) -> None:
        if call.action == "redshift-serverless:GetSnapshot":
            for snapshot in up.cloud.serverless.snapshots.values():
                snapshot["status"] = "FAILED"
            up.cloud.serverless.snapping = 9

    up.cloud.serverless.snapping = 9
    up.cloud.fault = fails
    with pytest.raises(EnvironmentFailure, match=r"final snapshot .* is FAILED") as failed:
        close(up)
    assert "list-recovery-points" in failed.value.hint[0]


@pytest.mark.parametrize("how", ["--no-snapshot", "--delete-data", "FINAL_SNAPSHOT = no"])
def test_no_snapshot_when_none_is_wanted(up: Rig, how: str) -> None:
    """By flag or by setting; the plan then shows no snapshot."""
    flags = [how] if how.startswith("--") else []
    if not flags:
        up.configure(CLUSTER={"FINAL_SNAPSHOT": "no"})
    assert "snapshot" not in up.call("conn_close", "--dry-run", *flags).out
    close(up, *flags)
    assert up.cloud.serverless.snapshots == {}


@pytest.mark.parametrize("status", ["CREATING", "MODIFYING", "DELETING"])
@pytest.mark.parametrize("part", ["namespace", "workgroup"])
def test_p62_closing_works_from_every_state(up: Rig, part: str, status: str) -> None:
    """What is being made or changed cannot be deleted yet: that is waited for; what goes is watched."""
    service = up.cloud.serverless
    thing = service.workgroups[NAME] if part == "workgroup" else service.namespaces[NAME]
    if (part, status) == ("namespace", "CREATING"):
        pytest.skip("no such status")
    if (part, status) == ("namespace", "DELETING"):
        up.cloud.client(SERVICE).delete_workgroup(workgroupName=NAME)
        service._forget_workgroup(service.workgroups[NAME])
    thing["status"] = status
    service._left[thing[f"{part}Arn"]] = 3
    assert ALL_GONE in close(up).out
    assert up.cloud.all() == NOTHING


def test_a_workgroup_of_another_over_our_namespace_stops_the_close(up: Rig) -> None:
    """It is named, and the namespace with its data stays; no waiting for what does not end by itself."""
    client = up.cloud.client(SERVICE)
    client.delete_workgroup(workgroupName=NAME)
    up.cloud.serverless._forget_workgroup(up.cloud.serverless.workgroups[NAME])
    client.create_workgroup(workgroupName="theirs", namespaceName=NAME)
    with pytest.raises(EnvironmentFailure, match="workgroup theirs, which is not ours"):
        close(up)
    assert list(up.cloud.serverless.namespaces) == [NAME]


def test_p63_what_lacks_our_tag_stays(rig: Rig) -> None:
    """Clusters, namespaces, workgroups, roles and groups of others are the same after a whole life of ours."""
    foreign_things(rig.cloud)
    others(rig)
    before = rig.cloud.all()
    rig.call("conn_start")
    close(rig)
    close(rig)
    assert rig.cloud.all() == before


def test_p64_all_gone_is_the_answer_of_a_listing(up: Rig) -> None:
    """The last questions of a close list both kinds, groups and roles by tag."""
    close(up)
    listing = ["ListNamespaces", "ListWorkgroups", "DescribeClusters", "DescribeSecurityGroups", "ListRoles"]
    asked = [call.action.split(":")[1] for call in up.cloud.calls if not call.action.startswith("s3:")]
    assert asked[-5:] == listing


@pytest.mark.parametrize("first", ["serverless", "provisioned"])
def test_p203_closing_works_though_the_kind_has_changed(rig: Rig, first: str) -> None:
    """What carries our tag is closed, whatever KIND says by now; `all gone` is never said of the one kind alone."""
    rig.configure(CLUSTER={"KIND": first})
    rig.call("conn_start")
    rig.configure(CLUSTER={"KIND": "provisioned" if first == "serverless" else "serverless"})
    assert NAME in rig.call("conn_close", "--dry-run").out
    assert ALL_GONE in close(rig).out
    assert rig.cloud.all() == NOTHING


def test_p203_a_close_that_fails_says_what_the_other_kind_costs(up: Rig) -> None:
    """The last line is about the kind that there is."""
    up.configure(CLUSTER={"KIND": "provisioned"})
    up.cloud.fault = lambda call: "AccessDenied" if call.action == "redshift-serverless:DeleteWorkgroup" else None
    done = up.end("conn_close", "--yes")
    assert done.code == 3
    assert "while a statement runs" in done.err.strip().splitlines()[-1]


@pytest.mark.parametrize("kind", ["serverless", "provisioned"])
def test_p203_a_kind_that_may_not_be_looked_for_is_told(rig: Rig, kind: str) -> None:
    """A user without the right to list the other kind can close; a line says what was not looked for."""
    rig.configure(CLUSTER={"KIND": kind})
    rig.call("conn_start")
    hidden = "redshift-serverless" if kind == "provisioned" else "redshift"
    rig.cloud.fault = lambda call: "AccessDeniedException" if call.action.startswith(f"{hidden}:") else None
    assert "could not be seen" in rig.call("conn_close", "--dry-run").out
    done = close(rig)
    assert ("could not be seen" in done.out, rig.cloud.all()) == (True, NOTHING)


# ----------------------------------------------------------------------------------------------------------- restoring


def restore(rig: Rig, snapshot: str) -> str:
    """Restore as a person does; gives what is said of it. The door answers no query: test_sequence.py proves totals."""
    with patch("conn_start.prove_totals", lambda _script: []):
        return str(rig.call("conn_start", "--from-snapshot", snapshot, "--json").json["changes"][-1])


@pytest.fixture
def closed(up: Rig) -> Rig:
    """A warehouse of which two snapshots are left, and the role and group of a start that was refused."""
    up.cloud.serverless.add_snapshot("earlier", up.cloud.serverless.namespaces[NAME], 7)["status"] = "AVAILABLE"
    close(up)
    up.cloud.fail("redshift-serverless:CreateNamespace", "AccessDenied")
    with pytest.raises(EnvironmentFailure):
        up.call("conn_start")
    up.cloud.fault = None
    up.cloud.calls.clear()
    return up


@pytest.mark.parametrize("wanted", ["latest", "earlier"])
def test_p204_a_snapshot_is_restored_into_a_warehouse_made_for_it(closed: Rig, wanted: str) -> None:
    """Namespace and workgroup are made, the snapshot put in, and the mark of the restore removed; a start changes
    nothing then."""
    [final] = [name for name in closed.cloud.serverless.snapshots if name != "earlier"]
    chosen = final if wanted == "latest" else wanted
    assert restore(closed, wanted).startswith(f"+ Serverless warehouse {NAME} from snapshot {chosen}")
    assert closed.cloud.serverless.restored == [(chosen, NAME)]
    marks = {**OURS, "dwh-snapshot": chosen}
    assert closed.cloud.serverless.tags[closed.cloud.serverless.namespaces[NAME]["namespaceArn"]] == marks
    assert restore(closed, chosen)[0] == "="
    assert closed.cloud.serverless.restored == [(chosen, NAME)]
    assert closed.call("conn_start", "--json").json["changes"][-1][0] == "="
    assert closed.door.logins[-1] == ("awsuser", PASSWORD)


def test_p204_a_restore_never_replaces_data(up: Rig) -> None:
    """A warehouse that is there is left alone: AWS would replace all that is in it."""
    up.cloud.serverless.add_snapshot("earlier", up.cloud.serverless.namespaces[NAME], 7)["status"] = "AVAILABLE"
    with pytest.raises(EnvironmentFailure, match="would replace all data"):
        restore(up, "latest")
    assert up.cloud.changes() == []


def test_p204_a_snapshot_that_is_not_there_is_said(closed: Rig) -> None:
    """With those that there are; nothing is made."""
    with pytest.raises(EnvironmentFailure, match="there is no snapshot another of namespace") as refused:
        restore(closed, "another")
    assert "earlier" in refused.value.evidence[0]
    assert closed.cloud.changes() == []


@pytest.mark.parametrize("number", range(1, 30, 3))
def test_p204_a_restore_that_is_stopped_at_any_call_is_continued(closed: Rig, number: int) -> None:
    """No start makes an empty warehouse of it in between; the same restore completes."""
    closed.cloud.fail_at(number)
    try:
        restore(closed, "earlier")
    except DwhError:
        closed.cloud.fault = None
        marked = [tags for tags in closed.cloud.serverless.tags.values() if RESTORING in tags]
        if marked:
            with pytest.raises(EnvironmentFailure, match="made for snapshot earlier"):
                closed.call("conn_start")
        if closed.cloud.serverless.namespaces and not marked:
            return  # the mark was removed: it was complete
        restore(closed, "earlier")
    closed.cloud.fault = None
    assert ("earlier", NAME) in closed.cloud.serverless.restored
    assert closed.call("conn_start", "--json").json["changes"][-1][0] == "="


# ----------------------------------------------------------------------------------------------------------- the rights


def needed(call: Call) -> Iterator[tuple[str, str]]:
    """Give the (action, resource) pairs that a call to Serverless needs.

    [D] service-authorization/latest/reference/list_redshift-serverless.html. An action on usage limits knows no kind of
    resource there, so only `*` allows it.
    """
    if not call.action.startswith(SERVICE):
        return
    name = call.action.split(":")[1]
    prefix = f"arn:aws:{SERVICE}:{REGION}:{ACCOUNT}:"
    if "UsageLimit" in name or name in ("ListNamespaces", "ListWorkgroups"):
        yield call.action, "*"
    elif name in ("ListTagsForResource", "UntagResource"):
        yield call.action, prefix + call.given["resourceArn"].split(":")[5].split("/")[0] + "/*"
    else:
        noun = "snapshot" if "Snapshot" in name else "namespace" if "Namespace" in name else "workgroup"
        yield call.action, f"{prefix}{noun}/*"
    if name in ("CreateNamespace", "CreateWorkgroup"):
        yield f"{SERVICE}:TagResource", f"{prefix}{name.removeprefix('Create').lower()}/*"
    if name in ("CreateNamespace", "UpdateNamespace"):
        yield "iam:PassRole", OWN_ROLE


def test_p77_the_policy_of_the_operator_is_what_serverless_needs(closed: Rig) -> None:
    """docs/policies/operator.json has exactly its actions of all paths through start, restore and close, and those that
    change something only for what carries our tag."""
    calls = closed.cloud.calls
    restore(closed, "latest")
    closed.configure(IAM_ROLE={"NAME": "reader"}, CLUSTER={"PUBLIC": "yes", "MAX_RPU_HOURS": 9})
    del closed.cloud.serverless.namespaces[NAME]["adminPasswordSecretArn"]
    closed.call("conn_start")
    closed.configure(IAM_ROLE={"NAME": "reader"}, CLUSTER={"PUBLIC": "yes", "MAX_RPU_HOURS": "off"})
    closed.call("conn_start")
    close(closed)
    asked = {pair for call in calls for pair in needed(call)}
    shipped = json.loads((Path(__file__).resolve().parents[2] / "docs/policies/operator.json").read_text())
    granted = {
        (action, resource): statement.get("Condition", {})
        for statement in shipped["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        for resource in ([statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"])
        if action.startswith(SERVICE) or action == "iam:PassRole"
    }
    assert set(granted) == asked
    own = {"StringEquals": {"aws:ResourceTag/dwh-suite": NAME}}
    new = {"StringEquals": {"aws:RequestTag/dwh-suite": NAME}}
    for (action, resource), condition in granted.items():
        verb = action.split(":")[1]
        if verb.startswith(("Update", "Delete", "Untag", "GetCredentials")) and resource != "*":
            assert condition == own, action
        if verb.startswith(("Create", "TagResource")) and resource != "*":
            assert condition == new, action
    assert (
        "redshift-serverless.amazonaws.com" in granted["iam:PassRole", OWN_ROLE]["StringEquals"]["iam:PassedToService"]
    )


def test_p77_the_policy_of_the_loader_is_what_serverless_needs(up: Rig) -> None:
    """A script that only connects finds both parts and whose they are, and asks for no more."""
    up.end("create_tables")
    asked = {pair for call in up.cloud.calls for pair in needed(call)}
    shipped = json.loads((Path(__file__).resolve().parents[2] / "docs/policies/loader.json").read_text())
    granted = {(action, s["Resource"]) for s in shipped["Statement"] for action in s["Action"] if "erverless" in action}
    assert granted == asked


# -------------------------------------------------------------------------------------------- what the stand-in refuses


@pytest.mark.parametrize(
    ("action", "given", "words"),
    [
        ("CreateNamespace", {"namespaceName": "Capitals"}, "does not match"),
        ("CreateNamespace", {}, "namespaceName is missing"),
        ("CreateNamespace", {"namespaceName": "abc", "size": 1}, "size is not known"),
        (
            "CreateNamespace",
            {"namespaceName": "abc", "manageAdminPassword": True, "adminUserPassword": "x"},
            "cannot be used with",
        ),
        ("CreateNamespace", {"namespaceName": "abc", "defaultIamRoleArn": "arn"}, "must be one of"),
        ("CreateWorkgroup", {"workgroupName": "abc", "namespaceName": "none"}, "not found"),
        ("CreateUsageLimit", {"resourceArn": "a", "usageType": "compute", "amount": 1}, "is none of"),
        ("CreateUsageLimit", {"resourceArn": "a", "usageType": "serverless-compute", "amount": "1"}, "is no long"),
        ("ListSnapshots", {"namespaceName": "gone"}, "not found"),
        ("ListNamespaces", {"maxResults": 101}, "is not from 1 to 100"),
    ],
)
def test_the_stand_in_holds_requests_against_the_model(cloud: Cloud, action: str, given: Any, words: str) -> None:
    """What botocore's model and the documentation rule out is refused, though botocore itself would send it."""
    with pytest.raises(Refused, match=words):
        cloud.serverless.answer(action, given)


def test_the_stand_in_refuses_what_the_service_refuses_in_order(rig: Rig) -> None:
    """Sizes, two changes at once, a second workgroup, and a namespace that still has one."""
    answer = rig.cloud.serverless.answer
    answer("CreateNamespace", {"namespaceName": "abc"})
    for base in (3, 5, 12, 520):
        with pytest.raises(Refused, match="base capacity"):
            answer("CreateWorkgroup", {"workgroupName": "abc", "namespaceName": "abc", "baseCapacity": base})
    answer("CreateWorkgroup", {"workgroupName": "abc", "namespaceName": "abc", "baseCapacity": 4})
    with pytest.raises(Refused, match="operation running"):
        answer("DeleteWorkgroup", {"workgroupName": "abc"})
    with pytest.raises(Refused, match="has a workgroup already"):
        answer("CreateWorkgroup", {"workgroupName": "abd", "namespaceName": "abc"})
    with pytest.raises(Refused, match="has a workgroup"):
        answer("DeleteNamespace", {"namespaceName": "abc"})
    rig.cloud.serverless.workgroups["abc"]["status"] = "AVAILABLE"
    with pytest.raises(Refused, match="one change a request"):
        answer("UpdateWorkgroup", {"workgroupName": "abc", "baseCapacity": 8, "port": 5440})
    assert model.service(SERVICE).operation_names


# ------------------------------------------------------------------------------------------------------------- the load


@pytest.mark.parametrize(("size", "pieces"), [(100, 1), (SMALL_PIECE, 1), (SMALL_PIECE + 100, 2)])
def test_where_slices_are_not_known_pieces_go_by_size(tmp_path: Path, size: int, pieces: int) -> None:
    """Nothing about nodes is asked: the number of pieces comes from the bytes alone."""
    path = tmp_path / "records"
    path.write_bytes(b"".join(b"{}".ljust(99) + b"\n" for _ in range(size // 100)) + b"\n")
    assert len(cut(str(path), number_of_pieces(size, None))) == pieces
