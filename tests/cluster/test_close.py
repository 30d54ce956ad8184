"""conn_close.py on Redshift: everything of ours goes, nothing else does, and `all gone` is looked up, not assumed."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from unittest.mock import patch

import pytest
from warehouse import Result, short_commands

from cluster.cloud import NAME, REGION, Call, snapshots_of
from cluster.conftest import Rig, foreign_things
from cluster.test_faults import NOTHING
from dwh.cluster.account import Account
from dwh.engines.redshift.engine import RedshiftEngine
from dwh.settings.config import load_config
from dwh.terminal.errors import Busy, ConfigError, EnvironmentFailure

ALL_GONE = f"= all gone: nothing tagged dwh-suite={NAME} is left in us-west-2"


@pytest.fixture
def up(rig: Rig) -> Rig:
    """A warehouse whose cluster is up; what was asked for it is forgotten."""
    rig.call("conn_start")
    rig.cloud.calls.clear()
    return rig


def close(rig: Rig, *argv: str) -> Result:
    """Close without a question."""
    return rig.call("conn_close", "--yes", *argv)


# ------------------------------------------------------------------------------------------------------------- going


def test_everything_goes_in_the_order_that_works(up: Rig) -> None:
    """Cluster, then the group as soon as nothing uses it, then the role, its rights first; then a fresh listing."""
    up.cloud.lingering = 3
    done = up.run("conn_close", "--yes")
    assert done.code == 0, done.err
    assert up.cloud.changes() == [
        "redshift:DeleteCluster",
        "redshift:CreateTags",  # of the final snapshot
        *["ec2:DeleteSecurityGroup"] * 4,
        "iam:DeleteRolePolicy",
        "iam:DeleteRole",
    ]
    assert up.cloud.all() == NOTHING
    assert f"  {ALL_GONE}\n" in done.out
    assert "billed" not in done.err.splitlines()[-1]


def test_p64_all_gone_is_the_answer_of_a_listing(up: Rig) -> None:
    """The last questions of a close list both kinds of warehouse, groups and roles by tag."""
    close(up)
    asked = [call for call in up.cloud.calls if not call.action.startswith("s3:")][-5:]
    listings = ["DescribeClusters", "ListNamespaces", "ListWorkgroups", "DescribeSecurityGroups", "ListRoles"]
    assert [call.action.split(":")[1] for call in asked] == listings
    assert asked[0].given["TagValues.TagValue.1"] == NAME


@pytest.mark.parametrize("orphan", ["role", "group"])
def test_p64_what_is_left_is_named(up: Rig, orphan: str) -> None:
    """Something of ours that cannot go: exit code 3, its name, and never `all gone`. Again works when it can."""
    if orphan == "role":
        statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::theirs/*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        up.cloud.client("iam").put_role_policy(RoleName=f"{NAME}-copy", PolicyName="theirs", PolicyDocument=document)
        with pytest.raises(EnvironmentFailure, match=f"role {NAME}-copy") as left:
            close(up)
        assert "did not give it" in " ".join(left.value.evidence)
        up.cloud.client("iam").delete_role_policy(RoleName=f"{NAME}-copy", PolicyName="theirs")
    else:
        tags = [{"ResourceType": "security-group", "Tags": [{"Key": "dwh-suite", "Value": NAME}]}]

        def late(call: Call) -> None:  # turns up after the groups were deleted
            if call.action == "iam:DeleteRole":
                up.cloud.client("ec2").create_security_group(
                    GroupName="late", Description="late", TagSpecifications=tags
                )

        up.cloud.fault = late
        with pytest.raises(EnvironmentFailure, match="security group late"):
            close(up)
        up.cloud.fault = None
    assert close(up).code == 0
    assert up.cloud.all() == NOTHING


def test_p63_what_lacks_our_tag_stays(rig: Rig) -> None:
    """Clusters, roles and groups of others, below the same path and with the same tag key, are the same afterwards."""
    before = foreign_things(rig.cloud)
    rig.call("conn_start")
    close(rig)
    close(rig)
    assert rig.cloud.all() == before


def test_a_close_without_anything_to_close_says_so(rig: Rig) -> None:
    """Nothing was ever made: success, and no question."""
    done = rig.end("conn_close")
    assert (done.code, rig.cloud.changes()) == (0, [])
    assert ALL_GONE in done.out


def test_p62_closing_twice(up: Rig) -> None:
    """The second close finds nothing and is a success."""
    close(up)
    up.cloud.calls.clear()
    assert ALL_GONE in close(up).out
    assert up.cloud.changes() == []


@pytest.mark.parametrize("status", ["creating", "modifying", "paused", "deleting", "final-snapshot"])
def test_p62_closing_works_from_every_state(up: Rig, status: str) -> None:
    """One that is being made or changed cannot be deleted yet: that is waited for; one that goes is watched."""
    up.cloud.cluster().status = status
    up.cloud.cluster().coming = [status] * 4
    done = close(up)
    assert ALL_GONE in done.out
    assert up.cloud.all() == NOTHING
    assert len(up.cloud.asked("redshift:DeleteCluster")) == {"creating": 4, "modifying": 4, "paused": 1}.get(status, 0)


@pytest.mark.parametrize("half", ["role", "group", "cluster"])
def test_p65_closing_works_after_a_start_that_failed(rig: Rig, half: str) -> None:
    """Whatever was made by then goes, without a connection to any database."""
    last = {"role": "ec2:CreateSecurityGroup", "group": "redshift:CreateCluster", "cluster": "never"}[half]
    rig.cloud.fail(last, "AccessDenied")
    rig.cloud.endpoint = ("nowhere.invalid", 1)
    rig.cloud.creating = ("hardware-failure",)
    with pytest.raises(EnvironmentFailure):
        rig.call("conn_start")
    rig.cloud.fault = None
    done = close(rig, "--no-snapshot")
    assert ALL_GONE in done.out
    assert rig.cloud.all() == NOTHING
    assert rig.door.logins == []


@pytest.mark.parametrize(
    "changed",
    [
        {"IAM_ROLE": {"NAME": "another"}},
        {"IAM_ROLE": {"ARN": "arn:aws:iam::123456789012:role/another"}},
        {"CLUSTER": {"NODE_TYPE": "dc2.large", "DB_PORT": "1"}},
        {"CLUSTER": {"ALLOW_CIDR": "0.0.0.0/0", "SUBNET_GROUP": "gone"}},
        {"S3": {"LOG_DATA": "elsewhere", "WORK": ""}},
    ],
    ids=str,
)
def test_p65_closing_works_though_dwh_cfg_has_changed(up: Rig, changed: dict[str, dict[str, str]]) -> None:
    """What is ours is found by its tag, not by what dwh.cfg says by now."""
    up.configure(**changed)
    assert ALL_GONE in close(up).out
    assert up.cloud.all() == NOTHING


def test_our_own_role_that_dwh_cfg_names_by_its_arn_stays(up: Rig) -> None:
    """A role that [IAM_ROLE] ARN names is never deleted, whoever made it."""
    arn = up.cloud.client("iam").get_role(RoleName=f"{NAME}-copy")["Role"]["Arn"]
    up.configure(IAM_ROLE={"ARN": arn})
    assert ALL_GONE in close(up).out
    assert up.cloud.roles() == [f"{NAME}-copy"]


# --------------------------------------------------------------------------------------------------------- the data


def test_the_data_is_kept_for_seven_days(up: Rig) -> None:
    """A final snapshot with an end, so that it is not billed for ever; its name and its end are told."""
    done = close(up)
    [given] = up.cloud.asked("redshift:DeleteCluster")
    name = given["FinalClusterSnapshotIdentifier"]
    assert (given["SkipFinalClusterSnapshot"], given["FinalClusterSnapshotRetentionPeriod"]) == ("false", "7")
    assert name in [snapshot["SnapshotIdentifier"] for snapshot in up.cloud.snapshots()]
    assert f"+ snapshot {name}, kept for 7 days" in done.out


def engine_closes(rig: Rig) -> list[str]:
    """Close by the engine, whose pauses take no time; gives the lines."""
    with patch.dict(os.environ, rig.cloud.environment):
        config = load_config(str(rig.warehouse.config), {}, {})
        clock = itertools.count(0.0, 10.0)
        account = Account(config, sleep=lambda _seconds: None, now=lambda: next(clock))
        return [str(change) for change in RedshiftEngine(config, account).stop(lambda _text: None)]


def test_p199_a_snapshot_that_aws_does_not_show_is_not_spoken_of(up: Rig) -> None:
    """The request was taken, and nothing came of it that AWS shows: neither kept nor days are claimed."""
    up.cloud.fault = lambda call: (
        up.cloud.unseen.update(s["SnapshotIdentifier"] for s in up.cloud.snapshots())
        if call.action == "redshift:DescribeClusterSnapshots"
        else None
    )
    done = engine_closes(up)
    assert [line for line in done if "snapshot" in line] == [line for line in done if line.startswith("= no final")]
    assert len([line for line in done if line.startswith("= no final")]) == 1


def test_p199_a_snapshot_that_failed_is_told(up: Rig) -> None:
    """AWS shows it as failed: that is what is said."""

    def fault(call: Call) -> None:
        if call.action == "redshift:DescribeClusterSnapshots":
            for snapshot in snapshots_of().values():
                snapshot.status = "failed"

    up.cloud.fault = fault
    out = close(up).out
    assert "FAILED: the data is lost" in out
    assert "kept for" not in out


def test_p199_a_close_that_only_watches_names_the_snapshot_of_the_one_before(up: Rig) -> None:
    """An earlier run asked for it, under a name that this one does not know; it tells that one and no older."""
    close(up)
    [older] = up.cloud.snapshots()
    up.call("conn_start")
    up.cloud.deleting = ("final-snapshot", *["deleting"] * 6)
    name = f"{NAME}-final-20991231-235959"
    up.cloud.client("redshift").delete_cluster(ClusterIdentifier=NAME, FinalClusterSnapshotIdentifier=name)
    out = close(up).out
    assert f"+ snapshot {name}, kept, and billed, until it is deleted" in out
    assert older["SnapshotIdentifier"] not in out


@pytest.mark.parametrize("how", ["--no-snapshot", "--delete-data", "FINAL_SNAPSHOT = no"])
def test_no_snapshot_when_none_is_wanted(up: Rig, how: str) -> None:
    """By flag or by setting; the plan then shows no snapshot."""
    flags = [how] if how.startswith("--") else []
    if not flags:
        up.configure(CLUSTER={"FINAL_SNAPSHOT": "no"})
    assert "snapshot" not in up.call("conn_close", "--dry-run", *flags).out
    assert "snapshot" not in close(up, *flags).out
    [given] = up.cloud.asked("redshift:DeleteCluster")
    assert (given["SkipFinalClusterSnapshot"], "FinalClusterSnapshotIdentifier" in given) == ("true", False)


def test_a_broken_cluster_is_not_deleted_without_the_snapshot_that_was_wanted(rig: Rig) -> None:
    """AWS takes no snapshot of it: the error shows the command without one, and nothing is deleted unasked."""
    rig.cloud.creating = ("incompatible-network",)
    with pytest.raises(EnvironmentFailure):
        rig.call("conn_start")
    with pytest.raises(EnvironmentFailure, match="does not delete it with a snapshot") as refused:
        close(rig)
    assert "--no-snapshot" in refused.value.hint[0]
    assert list(rig.cloud.clusters()) == [NAME]


# ---------------------------------------------------------------------------------------------------------- asking


def test_the_name_is_asked_for(up: Rig) -> None:
    """The plan is shown, and the name must be typed; with a snapshot the question does not warn of deleted data."""
    done = up.warehouse.run_on_terminal(
        "conn_close", typed=f"{NAME}\n", wait_for="Type the name to continue", env=up.cloud.environment
    )
    assert done.code == 0, done.out
    assert done.out.index(f"- cluster {NAME}, available") < done.out.index("Type the name")
    assert "deletes all data in it" not in done.out
    assert up.cloud.all() == NOTHING


def test_another_answer_deletes_nothing(up: Rig) -> None:
    """`yes` is not the name; the last line says what is still billed."""
    done = up.warehouse.run_on_terminal(
        "conn_close", typed="yes\n", wait_for="Type the name to continue", env=up.cloud.environment
    )
    assert done.code == 2
    assert up.cloud.changes() == []
    assert short_commands(done.out.strip().splitlines()[-1]).endswith(
        "to end it: python conn_close.py --engine redshift"
    )


def test_nobody_to_ask_deletes_nothing(up: Rig) -> None:
    """Without a terminal and without --yes it refuses."""
    with pytest.raises(ConfigError, match="no terminal"):
        up.call("conn_close")
    assert up.cloud.changes() == []


def test_a_dry_run_deletes_nothing(up: Rig) -> None:
    """--dry-run names what would go."""
    shown = up.call("conn_close", "--dry-run").out
    assert up.cloud.changes() == []
    marks = [line.split()[:2] for line in shown.splitlines()]
    assert marks[1:5] == [["-", "cluster"], ["-", "security"], ["-", "role"], ["+", "a"]]


@pytest.mark.parametrize("script", ["conn_start", "conn_close"])
@pytest.mark.parametrize("path", ["/", f"/dwh-suite/{REGION}/"])
def test_p199_a_dry_run_tells_of_a_role_of_our_name_that_is_not_ours(rig: Rig, script: str, path: str) -> None:
    """Untagged, below any path: the start would fail at it, and so does its plan; the close says that it stays."""
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    rig.cloud.client("iam").create_role(RoleName=f"{NAME}-copy", Path=path, AssumeRolePolicyDocument=trust)
    if script == "conn_start":
        with pytest.raises(EnvironmentFailure, match=f"a role named {NAME}-copy exists and is not ours"):
            rig.call(script, "--dry-run")
    else:
        out = rig.call(script, "--dry-run").out
        assert f"= role {NAME}-copy is not ours (no tag dwh-suite): it stays" in out
        assert ALL_GONE in out
    rig.configure(IAM_ROLE={"NAME": "another"})
    assert "not ours" not in rig.call(script, "--dry-run").out
    assert (rig.cloud.changes(), rig.cloud.roles()) == ([], [f"{NAME}-copy"])


# --------------------------------------------------------------------------------------------------------- waiting


def test_a_group_that_stays_in_use_is_given_up_after_a_while(up: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes of DependencyViolation, then Busy, exit code 4, naming it; the cluster is gone by then."""
    monkeypatch.setattr("dwh.cluster.network.RELEASE_SECONDS", 0.1)
    up.cloud.lingering = 10**4
    with pytest.raises(Busy, match="still in use"):
        close(up)
    assert up.cloud.clusters() == {}
    up.cloud.lingerers.clear()
    assert ALL_GONE in close(up).out


@pytest.mark.parametrize("lost", ["redshift:DeleteCluster", "ec2:DeleteSecurityGroup", "iam:DeleteRole"])
def test_a_lost_answer_to_a_deletion(up: Rig, lost: str) -> None:
    """It is asked again, and that it is gone already is no error."""
    pending = [lost]

    def fault(call: Call) -> str | None:
        return "(done, and the answer lost)" if call.action == lost and pending and pending.pop() else None

    up.cloud.lingering = 0
    up.cloud.fault = fault
    assert ALL_GONE in close(up).out
    assert len(up.cloud.asked(lost)) == 2


def test_p199_a_cluster_that_another_user_removed_meanwhile(up: Rig) -> None:
    """Between looking and deleting it went, without a snapshot: no error, and none is claimed."""
    gone: Callable[[Call], None] = lambda call: (  # noqa: E731
        up.cloud.remove() if call.action == "redshift:DeleteCluster" and len(up.cloud.asked(call.action)) == 1 else None
    )
    up.cloud.fault = gone
    done = engine_closes(up)
    assert any(line.startswith("= no final snapshot of cluster sparkify-dwh: AWS does not show") for line in done)
    assert not any(line.startswith("+") for line in done)
    assert up.cloud.all() == NOTHING


# --------------------------------------------------------------------------------------------------------- of others


def test_tables_of_others_in_the_cluster_are_named(up: Rig) -> None:
    """They go with the cluster, as the tables of this suite do: so they are named before the question."""
    views, tables = [("VIEW", "hr", "staff")], [("BASE TABLE", "public", "payroll"), ("BASE TABLE", "public", "users")]
    up.door.answers["svv_tables"] = [*views, *tables]
    for flags in ((), ("--delete-data",)):
        shown = up.call("conn_close", "--dry-run", *flags).out
        assert "  - in it, not made by this suite: view hr.staff, table payroll\n" in shown
    up.door.answers.clear()
    assert "not of this suite" not in up.call("conn_close", "--dry-run").out


def test_a_cluster_that_does_not_let_us_in_is_closed_all_the_same(up: Rig) -> None:
    """When the other tables cannot be listed, a line says so, and the close continues."""
    up.cloud.endpoint = ("nowhere.invalid", 1)
    assert "other tables in it could not be listed" in up.call("conn_close", "--dry-run").out
    assert ALL_GONE in close(up).out
