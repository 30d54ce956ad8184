"""conn_start.py --from-snapshot: the cluster of a final snapshot comes back, once, and nothing of others."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from warehouse import Result

from cluster.cloud import NAME, PASSWORD, Call, snapshots_of
from cluster.conftest import Rig
from cluster.test_faults import NOTHING
from dwh.terminal.errors import Busy, ConfigError, EnvironmentFailure

TAG = {"Key": "dwh-suite", "Value": NAME}


def closed(rig: Rig) -> str:
    """Close the warehouse; gives the name of its final snapshot."""
    rig.call("conn_close", "--yes")
    snapshot = max(rig.cloud.snapshots(), key=lambda s: str(s["SnapshotCreateTime"]))
    return str(snapshot["SnapshotIdentifier"])


@pytest.fixture
def kept(rig: Rig) -> str:
    """The name of the final snapshot of a warehouse that is gone; what was asked for it is forgotten."""
    rig.call("conn_start")
    name = closed(rig)
    rig.cloud.calls.clear()
    rig.door.logins.clear()
    return name


def restore(rig: Rig, name: str = "latest", *flags: str) -> Result:
    """Restore as a person does."""
    return rig.call("conn_start", "--from-snapshot", name, *flags)


def tags_of(thing: Any) -> list[dict[str, str]]:
    """Give the tags of moto's cluster or snapshot."""
    return sorted((dict(tag) for tag in thing.tags), key=lambda tag: tag["Key"])


def test_p196_a_restore_makes_the_cluster_of_the_snapshot(rig: Rig, kept: str) -> None:
    """The role, the group and one RestoreFromClusterSnapshot with our security group, role and privacy; AWS makes a new
    admin password, because the secret of the old one went with its cluster."""
    done = restore(rig)
    assert rig.cloud.changes() == [
        "iam:CreateRole",
        "iam:PutRolePolicy",
        "ec2:CreateSecurityGroup",
        "ec2:AuthorizeSecurityGroupIngress",
        "redshift:RestoreFromClusterSnapshot",
    ]
    [given] = rig.cloud.asked("redshift:RestoreFromClusterSnapshot")
    [group] = rig.cloud.groups()
    wanted = {"SnapshotIdentifier": kept, "SnapshotClusterIdentifier": NAME, "ManageMasterPassword": "true"}
    wanted |= {"PubliclyAccessible": "false", "Port": "5439", "AutomatedSnapshotRetentionPeriod": "1"}
    assert {key: given[key] for key in wanted} == wanted
    assert group["GroupId"] in given.values()
    assert f"{NAME}-copy" in given["DefaultIamRoleArn"]
    assert f"+ cluster {NAME}, 1 x ra3.large from snapshot {kept}" in done.out
    assert rig.door.logins[0] == ("awsuser", PASSWORD)
    assert "totals: not compared, it has no tables of this suite" in done.out


def test_p196_a_dry_run_tells_the_snapshot_and_makes_nothing(rig: Rig, kept: str) -> None:
    """Its name, its nodes and its time; nothing is asked for that changes something."""
    plan = restore(rig, kept, "--dry-run", "--json").json
    assert rig.cloud.changes() == []
    assert (plan["would_create"], plan["created"]) == (True, False)
    assert f"from snapshot {kept} of 20" in plan["changes"][-2]


def test_p196_latest_is_the_newest_final_snapshot_of_ours(rig: Rig, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not an older one, not one of another warehouse, not one that was taken by hand for another purpose."""
    rig.call("conn_start")
    rig.cloud.client("redshift").create_cluster_snapshot(
        SnapshotIdentifier="before-the-party", ClusterIdentifier=NAME, Tags=[TAG]
    )
    later("before-the-party", kept)
    newest = f"{NAME}-final-20991231-235959"
    monkeypatch.setattr("dwh.cluster.provisioned.datetime", Stamped)
    rig.call("conn_close", "--yes")
    others = f"{NAME}-final-20991231-235958"
    later(newest, kept)
    take_as_another(rig, others)
    assert f"from snapshot {newest} of" in restore(rig, "latest", "--dry-run").out


class Stamped:
    """A clock of another year."""

    @staticmethod
    def now(_zone: object) -> Any:
        """Give the last second of 2099."""
        return dt.datetime(2099, 12, 31, 23, 59, 59, tzinfo=dt.UTC)


def later(name: str, than: str) -> None:
    """Have a snapshot taken a day after another one."""
    known = snapshots_of()
    known[name].create_time = known[than].create_time + dt.timedelta(days=1)


def take_as_another(rig: Rig, name: str) -> None:
    """Put the snapshot of another warehouse into the account, the newest of all."""
    redshift: Any = rig.cloud.client("redshift")
    redshift.create_cluster(
        ClusterIdentifier="another-dwh",
        NodeType="ra3.large",
        ClusterType="single-node",
        MasterUsername="boss",
        ManageMasterPassword=True,
        Encrypted=True,
    )
    others = [{"Key": "dwh-suite", "Value": "another-dwh"}]
    redshift.create_cluster_snapshot(SnapshotIdentifier=name, ClusterIdentifier="another-dwh", Tags=others)
    later(name, name)


@pytest.mark.parametrize("tags", [[{"Key": "dwh-suite", "Value": "another-dwh"}], []], ids=["another's", "untagged"])
def test_p197_a_snapshot_of_others_is_refused(rig: Rig, kept: str, tags: list[dict[str, str]]) -> None:
    """Of another warehouse, or of nobody we know: exit code 3, whose it is, what to do, and nothing was made."""
    take_as_another(rig, "theirs")
    snapshots_of()["theirs"].tags = tags
    for flags in ((), ("--dry-run",)):
        with pytest.raises(EnvironmentFailure, match="of another warehouse" if tags else "not ours") as refused:
            restore(rig, "theirs", *flags)
        hint = "[CLUSTER] IDENTIFIER = another-dwh" if tags else "aws redshift create-tags"
        assert refused.value.hint[0].startswith(hint)
    assert rig.cloud.changes() == []


def test_p197_a_snapshot_that_is_not_there_is_refused(rig: Rig, kept: str) -> None:
    """The error lists those that are there."""
    with pytest.raises(EnvironmentFailure, match="there is no snapshot yesterday in us-west-2") as refused:
        restore(rig, "yesterday")
    assert kept in refused.value.evidence[0]
    assert rig.cloud.changes() == []


def test_p197_latest_without_any_is_refused(rig: Rig) -> None:
    """Nothing was ever closed: there is nothing to restore, and the error says how to begin empty."""
    with pytest.raises(EnvironmentFailure, match="no final snapshot of this warehouse") as refused:
        restore(rig)
    assert refused.value.hint[-1].startswith("python conn_start.py --engine redshift")
    assert rig.cloud.changes() == []


@pytest.mark.parametrize(
    ("status", "kind"), [("final snapshot", Busy), ("creating", Busy), ("failed", EnvironmentFailure)]
)
def test_p197_a_snapshot_that_is_not_complete_is_refused(
    rig: Rig, kept: str, status: str, kind: type[Exception]
) -> None:
    """While it is written the start may wait for it; one that failed cannot be restored. No older one is taken."""
    snapshots_of()[kept].status = status
    with pytest.raises(kind, match="still being written" if kind is Busy else "it is failed"):
        restore(rig, kept, "--no-wait")
    if kind is Busy:
        with pytest.raises(Busy):
            restore(rig, "latest", "--no-wait")
    assert rig.cloud.changes() == []


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"DB_NAME": "music"}, "[CLUSTER] DB_NAME = dwh"),
        ({"DB_USER": "boss"}, "[CLUSTER] DB_USER = awsuser"),
        ({"DB_PASSWORD": "Own-Password-1"}, "[CLUSTER] DB_PASSWORD ="),
    ],
)
def test_p197_settings_that_a_restored_cluster_cannot_have_are_refused(
    rig: Rig, kept: str, keys: dict[str, str], named: str
) -> None:
    """Database, admin user and password are those of the snapshot: exit code 2 and the edit, with nothing made."""
    rig.configure(CLUSTER=keys)
    with pytest.raises(ConfigError) as refused:
        restore(rig)
    assert refused.value.hint[0].startswith(named)
    assert rig.cloud.changes() == []


def test_p197_a_cluster_that_is_there_is_not_replaced(rig: Rig, kept: str) -> None:
    """One that began empty is refused with the command that closes it; one that came from this snapshot is complete."""
    rig.call("conn_start")
    rig.cloud.calls.clear()
    with pytest.raises(EnvironmentFailure, match="is there already") as refused:
        restore(rig)
    assert "conn_close.py" in refused.value.hint[1]
    assert rig.cloud.changes() == []


def test_p196_a_restore_is_gone_on_with(rig: Rig, kept: str) -> None:
    """Stopped while the cluster is made, the same command waits for it and asks for no second one."""
    rig.cloud.creating = ("creating",) * 100
    with pytest.raises(Busy):
        restore(rig, kept, "--no-wait")
    rig.cloud.cluster().coming.clear()
    again = restore(rig, kept, "--json").json
    assert (again["created"], len(rig.cloud.asked("redshift:RestoreFromClusterSnapshot"))) == (False, 1)
    assert rig.call("conn_start").code == 0
    assert rig.call("conn_close", "--yes", "--no-snapshot").code == 0
    assert rig.cloud.all() == NOTHING


def test_p196_the_cluster_of_before_is_waited_for(rig: Rig) -> None:
    """While it is still deleted, its final snapshot is the latest: it is waited for, and no older one is taken."""
    rig.call("conn_start")
    older = closed(rig)
    rig.call("conn_start")
    rig.cloud.deleting = ("final-snapshot", "final-snapshot", "deleting")
    name = f"{NAME}-final-20991231-235959"
    rig.cloud.client("redshift").delete_cluster(ClusterIdentifier=NAME, FinalClusterSnapshotIdentifier=name)
    later(name, older)
    done = restore(rig)
    assert f"from snapshot {name} of" in done.out


@pytest.mark.parametrize("keeps", [True, False], ids=["tags are kept", "tags are not kept"])
def test_p196_what_is_restored_is_ours_whatever_aws_does_with_tags(rig: Rig, kept: str, keeps: bool) -> None:
    """Snapshot and cluster carry our tag and the name of the snapshot, so the cluster is found and can be closed."""
    wanted = [{"Key": "dwh-snapshot", "Value": kept}, TAG]
    assert tags_of(snapshots_of()[kept]) == wanted
    snapshots_of()[kept].tags = []  # a close that was killed before it was tagged
    rig.cloud.keeps_tags = keeps
    restore(rig)
    assert tags_of(rig.cloud.cluster()) == wanted
    assert rig.call("conn_close", "--yes").code == 0
    assert rig.cloud.all() == NOTHING


def test_p196_a_lost_answer_to_a_restore_is_not_asked_again(rig: Rig, kept: str) -> None:
    """The cluster is found, waited for, and counts as made by this run."""
    action = "redshift:RestoreFromClusterSnapshot"
    rig.cloud.fault = lambda call: "(done, and the answer lost)" if call.action == action else None
    assert (restore(rig, kept, "--json").json["created"], len(rig.cloud.asked(action))) == (True, 1)


def test_p197_what_aws_refuses_of_a_restore_is_worded(rig: Rig, kept: str) -> None:
    """A snapshot that another user deletes in that moment: exit code 3, its code as evidence, and nothing is billed."""

    def fault(call: Call) -> str | None:
        return "ClusterSnapshotNotFound" if call.action == "redshift:RestoreFromClusterSnapshot" else None

    rig.cloud.fault = fault
    done = rig.end("conn_start", "--from-snapshot", kept)
    assert (done.code, "AWS does not restore that snapshot" in done.err) == (3, True)
    assert "billed" not in done.err.strip().splitlines()[-1]


def test_p197_other_engines_have_no_snapshots(rig: Rig) -> None:
    """The flag is refused with exit code 2, and nothing is made."""
    with pytest.raises(ConfigError, match="no snapshots on duckdb"):
        rig.call("conn_start", "--engine", "duckdb", "--from-snapshot", "latest")
    assert not rig.warehouse.database.exists()


def test_p197_a_warehouse_that_is_there_already_is_not_restored_into(rig: Rig) -> None:
    """With [CLUSTER] HOST nothing is made: the flag is refused, and AWS is asked nothing."""
    rig.configure(CLUSTER={"HOST": "there.example.com", "DB_USER": "ana", "DB_PASSWORD": "Her-Password-1"})
    for flags in ((), ("--dry-run",)):
        with pytest.raises(ConfigError, match="HOST"):
            restore(rig, "latest", *flags)
    assert rig.cloud.beside_s3() == []
