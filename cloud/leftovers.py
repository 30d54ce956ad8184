"""The end of every walk: all that it made is removed, and AWS itself is asked whether anything is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from cloud.walk import CLUSTER, KINDS, SERVERLESS, Differs, Walk
from dwh.cluster.account import Declined
from dwh.cluster.role import POLICY
from dwh.terminal.errors import DwhError

SERVICE = "redshift-serverless"
CLOSE_SECONDS = 1800.0
SNAPSHOT_SECONDS = 300.0


class Left(NamedTuple):
    """Something of a name of this walk: what it is, the command that removes it, and whether it may be ours."""

    what: str
    command: str
    ours: bool


def remove_all(walk: Walk, tell: Callable[[str], None]) -> list[str]:
    """Remove both warehouses, their snapshots and all files. Gives what went wrong; it goes on after each failure."""
    walk.stop()
    wrong: list[str] = []
    tell("removing both warehouses, without a snapshot")
    begun = {kind: walk.begin(kind, "conn_close", "--yes", "--no-snapshot") for kind in KINDS}
    for kind, process in begun.items():
        try:
            if walk.ended(process, CLOSE_SECONDS).code:
                tell(f"conn_close.py ({kind}) once more")
                process = walk.begin(kind, "conn_close", "--yes", "--no-snapshot")
            walk.ended(process, CLOSE_SECONDS).shows("all gone")
        except Differs as failed:
            wrong.append(f"conn_close.py ({kind}): {failed}")
    for what, remove in (("snapshots", _remove_snapshots), ("files", _remove_files)):
        try:
            tell(f"removing {what}: {remove(walk)}")
        except DwhError as error:
            wrong.append(f"{what}: {error.message}")
    return wrong


def _remove_snapshots(walk: Walk) -> int:
    taken = [(CLUSTER, "redshift:DeleteClusterSnapshot", "SnapshotIdentifier", name) for name in _of_cluster(walk)]
    taken += [(SERVERLESS, f"{SERVICE}:DeleteSnapshot", "snapshotName", name) for name in _of_namespace(walk)]
    for kind, action, key, name in taken:
        for _ in walk.accounts[kind].looks(SNAPSHOT_SECONDS):
            try:  # one that is still being written cannot be deleted [B]
                expected = ("InvalidClusterSnapshotState", "ConflictException")
                walk.ask(kind, action, expected=expected, **{key: name})
            except Declined:
                continue
            break
    return len(taken)


def _remove_files(walk: Walk) -> int:
    names = walk.objects()
    walk.remove(names)
    return len(names)


def _of_cluster(walk: Walk) -> list[str]:
    """Name the final snapshots of the cluster of this walk; one of another name is not ours."""
    found = walk.ask(CLUSTER, "redshift:DescribeClusterSnapshots", SnapshotType="manual").get("Snapshots", [])
    return _final(walk, CLUSTER, [snapshot["SnapshotIdentifier"] for snapshot in found])


def _of_namespace(walk: Walk) -> list[str]:
    found = walk.ask(SERVERLESS, f"{SERVICE}:ListSnapshots").get("snapshots", [])
    return _final(walk, SERVERLESS, [snapshot["snapshotName"] for snapshot in found])


def _final(walk: Walk, kind: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(f"{walk.accounts[kind].suite}-final-")]


# ----------------------------------------------------------------------------------------------------- what is there


def look(walk: Walk) -> Iterator[Left]:
    """Ask AWS for everything of the names of this walk, whoever made it. What cannot be seen is told as left."""
    for what, find in _LOOKS:
        try:
            yield from find(walk)
        except DwhError as error:
            yield Left(f"{what}: not seen, {error.message}", "", ours=True)


def _clusters(walk: Walk) -> Iterator[Left]:
    for found in walk.ask(CLUSTER, "redshift:DescribeClusters").get("Clusters", []):
        if (name := found["ClusterIdentifier"]) in _names(walk):
            command = f"aws redshift delete-cluster --skip-final-cluster-snapshot --cluster-identifier {name}"
            yield Left(f"cluster {name}, {found['ClusterStatus']}", command, walk.owns(CLUSTER, found.get("Tags", [])))


def _parts(walk: Walk) -> Iterator[Left]:
    for noun in ("workgroup", "namespace"):
        for found in walk.ask(SERVERLESS, f"{SERVICE}:List{noun.title()}s").get(f"{noun}s", []):
            if (name := found[f"{noun}Name"]) in _names(walk):
                arn = found[f"{noun}Arn"]
                tags = walk.ask(SERVERLESS, f"{SERVICE}:ListTagsForResource", resourceArn=arn).get("tags", [])
                command = f"aws {SERVICE} delete-{noun} --{noun}-name {name}"
                yield Left(f"{noun} {name}, {found['status']}", command, walk.owns(SERVERLESS, tags))


def _snapshots(walk: Walk) -> Iterator[Left]:
    for name in _of_cluster(walk):
        yield Left(f"snapshot {name}", f"aws redshift delete-cluster-snapshot --snapshot-identifier {name}", ours=True)
    for name in _of_namespace(walk):
        yield Left(f"snapshot {name}", f"aws {SERVICE} delete-snapshot --snapshot-name {name}", ours=True)


def _secrets(walk: Walk) -> Iterator[Left]:
    """The admin's secret is named `redshift!<name>-<user>` [G]; one that waits for its deletion is not listed [D]."""
    for name in _names(walk):
        filters = [{"Key": "name", "Values": [f"redshift!{name}"]}]
        for found in walk.ask(CLUSTER, "secretsmanager:ListSecrets", Filters=filters).get("SecretList", []):
            command = f"aws secretsmanager delete-secret --secret-id '{found['Name']}'"
            yield Left(f"secret {found['Name']}", command, ours=True)


def _groups(walk: Walk) -> Iterator[Left]:
    filters = [{"Name": "group-name", "Values": [f"dwh-{name}" for name in _names(walk)]}]
    for found in walk.ask(CLUSTER, "ec2:DescribeSecurityGroups", Filters=filters).get("SecurityGroups", []):
        number, ours = found["GroupId"], any(walk.owns(kind, found.get("Tags", [])) for kind in KINDS)
        command = f"aws ec2 delete-security-group --group-id {number}"
        yield Left(f"security group {found['GroupName']} ({number})", command, ours)


def _roles(walk: Walk) -> Iterator[Left]:
    names = [f"{name}-copy" for name in _names(walk)]
    for found in walk.ask(CLUSTER, "iam:ListRoles").get("Roles", []):
        if (name := found["RoleName"]) in names:
            rights = f"aws iam delete-role-policy --role-name {name} --policy-name {POLICY}"
            remove = f"{rights}; aws iam delete-role --role-name {name}"
            yield Left(f"role {name}", remove, "/dwh-suite/" in found["Path"])


def _files(walk: Walk) -> Iterator[Left]:
    if number := len(walk.objects()):
        yield Left(f"{number} objects below {walk.place}/", f"aws s3 rm --recursive {walk.place}/", ours=True)


def _names(walk: Walk) -> Iterable[str]:
    return [walk.accounts[kind].suite for kind in KINDS]


_LOOKS: tuple[tuple[str, Callable[[Walk], Iterator[Left]]], ...] = (
    ("clusters", _clusters),
    ("Serverless", _parts),
    ("snapshots", _snapshots),
    ("secrets", _secrets),
    ("security groups", _groups),
    ("roles", _roles),
    ("files", _files),
)
