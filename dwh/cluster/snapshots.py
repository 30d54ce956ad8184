"""Final snapshots: which of them are ours, whether AWS has taken one, and how a cluster is made from one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dwh.cluster.account import ROLE_PAUSE, ROLE_SECONDS, TAG, Account
from dwh.cluster.kind import LATEST, SOURCE_TAG, Snapshot
from dwh.seam import Change, Tell
from dwh.terminal.errors import Busy, ConfigError, EnvironmentFailure

if TYPE_CHECKING:
    from dwh.settings.config import Config

SHOWN = 3
_FINAL = re.compile(r".*-final-\d{8}-\d{6}")
# What RestoreFromClusterSnapshot takes of the arguments of CreateCluster [B redshift/2012-12-01]. Nodes, database,
# admin user and encryption are those of the snapshot.
_KEPT = (
    "ClusterIdentifier",
    "Port",
    "PubliclyAccessible",
    "AutomatedSnapshotRetentionPeriod",
    "VpcSecurityGroupIds",
    "IamRoles",
    "DefaultIamRoleArn",
    "ClusterSubnetGroupName",
    # without it the admin would have the password of a secret that went with its cluster
    "ManageMasterPassword",
)


def restore_request(snapshot: Snapshot, wanted: dict[str, Any]) -> dict[str, Any]:
    """Turn the arguments of CreateCluster into those of RestoreFromClusterSnapshot."""
    return {
        **{key: value for key, value in wanted.items() if key in _KEPT},
        "SnapshotIdentifier": snapshot["SnapshotIdentifier"],
        # needed when a policy names the snapshots of one cluster only [B]
        "SnapshotClusterIdentifier": snapshot["ClusterIdentifier"],
    }


def in_words(snapshot: Snapshot) -> str:
    """Say what a cluster will be that is made from a snapshot: nodes, name and time."""
    nodes = f"{snapshot.get('NumberOfNodes', 1)} x {snapshot.get('NodeType')}"
    return (
        f"{nodes} from snapshot {snapshot['SnapshotIdentifier']} of {snapshot['SnapshotCreateTime']:%Y-%m-%d %H:%M} UTC"
    )


def refuse_other_source(cluster: dict[str, Any], snapshot: Snapshot | None) -> None:
    """Raise EnvironmentFailure when a cluster that is there was not made from the snapshot that is asked for."""
    source = next((tag["Value"] for tag in cluster.get("Tags", ()) if tag["Key"] == SOURCE_TAG), "")
    if snapshot and snapshot["SnapshotIdentifier"] != source:
        raise EnvironmentFailure(
            f"cluster {cluster['ClusterIdentifier']} is there already; a snapshot is restored into a new cluster only",
            evidence=f"it was made from snapshot {source}" if source else "it was not made from a snapshot",
            hint=(
                "python conn_start.py --engine redshift     (to use it as it is)",
                "python conn_close.py --engine redshift     (then the same command again)",
            ),
        )


class Snapshots:
    """The snapshots of one warehouse: those with its tag, and those of its cluster that have the name of a final one.
    AWS does not say whether a final snapshot gets the tags of its cluster [U], so we tag it."""

    def __init__(self, account: Account, config: Config) -> None:
        self.account = account
        self.settings = config.cluster

    def ours(self) -> list[Snapshot]:
        """List our snapshots, the newest first."""
        return sorted(filter(self._is_ours, self._listed()), key=lambda snapshot: _taken(snapshot), reverse=True)

    def choose(self, name: str) -> Snapshot:
        """Find a snapshot of ours by its name, or the newest final one: `latest`.

        Raises EnvironmentFailure when there is none, or it is not ours; Busy while it is being written; ConfigError
        when [CLUSTER] speaks of another database, user or password than the snapshot.
        """
        if name == LATEST:
            final = [s for s in self.ours() if _FINAL.fullmatch(s["SnapshotIdentifier"]) and _status(s) != "failed"]
            if not final:
                raise self._missing("no final snapshot of this warehouse")
            found = final[0]
        else:
            found = self._named(name)
        if _status(found) in ("creating", "final snapshot"):
            raise Busy(
                f"snapshot {found['SnapshotIdentifier']} is still being written",
                hint="the same command again, in a minute",
            )
        if _status(found) != "available":
            raise EnvironmentFailure(
                f"snapshot {found['SnapshotIdentifier']} cannot be restored: it is {_status(found)}",
                hint=f"python conn_start.py --engine redshift --from-snapshot {LATEST}",
            )
        self._refuse_other_settings(found)
        return found

    def claim(self, snapshot: Snapshot) -> None:
        """Give a snapshot of ours its tags, if it does not have them."""
        wanted = self.tags(snapshot)
        if not all(tag in _tags(snapshot) for tag in wanted):
            arn = f"snapshot:{snapshot['ClusterIdentifier']}/{snapshot['SnapshotIdentifier']}"
            self.account.ask("redshift:CreateTags", ResourceName=self.account.arn("redshift", arn), Tags=wanted)

    def tags(self, snapshot: Snapshot) -> list[dict[str, str]]:
        """Give the tags of a snapshot, which the cluster that is made from it has too."""
        return [*self.account.tags, {"Key": SOURCE_TAG, "Value": snapshot["SnapshotIdentifier"]}]

    def taken_of(self, cluster: dict[str, Any], asked: str, tell: Tell) -> list[Change]:
        """Tell what AWS has kept of a cluster that is gone: nothing is said of a snapshot that AWS does not show.

        `asked` is the name that this run asked for; empty when none was, or when an earlier run did.
        """
        name = cluster["ClusterIdentifier"]
        for _ in self.account.looks(ROLE_SECONDS if asked else 0.0, ROLE_PAUSE):
            found = next((s for s in self._listed() if _is_final_of(s, cluster, asked)), None)
            if found is not None:
                self.claim(found)
                return [self._kept(found)]
            if asked:
                tell(f"AWS does not show snapshot {asked} yet")
        if not asked:
            return []
        why = f"no final snapshot of cluster {name}: AWS does not show {asked}"
        return [Change("=", f"{why}; did another user delete the cluster?", beside=True)]

    def _listed(self) -> list[Snapshot]:
        """List all snapshots that were taken by hand; final ones are among them."""
        return list(self.account.ask("redshift:DescribeClusterSnapshots", SnapshotType="manual").get("Snapshots", []))

    def _is_ours(self, snapshot: Snapshot) -> bool:
        if self.account.owns(snapshot):
            return True
        of_this = snapshot["ClusterIdentifier"] == self.settings.identifier
        untagged = all(tag["Key"] != TAG for tag in _tags(snapshot))
        return of_this and untagged and bool(_FINAL.fullmatch(snapshot["SnapshotIdentifier"]))

    def _named(self, name: str) -> Snapshot:
        found = next((s for s in self._listed() if s["SnapshotIdentifier"].lower() == name.lower()), None)
        if found is None:
            raise self._missing(f"no snapshot {name}")
        if not self._is_ours(found):
            other = next((tag["Value"] for tag in _tags(found) if tag["Key"] == TAG), "")
            arn = f"aws redshift create-tags --resource-name ITS-ARN --tags Key={TAG},Value={self.account.suite}"
            whose = (
                f"of another warehouse ({TAG}={other})" if other else f"not ours (no tag {TAG}={self.account.suite})"
            )
            raise EnvironmentFailure(
                f"snapshot {name} is {whose}",
                evidence=f"it was taken of cluster {found['ClusterIdentifier']}; nothing was made",
                hint=f"[CLUSTER] IDENTIFIER = {other}" if other else f"{arn}     (to make it ours)",
            )
        return found

    def _missing(self, what: str) -> EnvironmentFailure:
        there = [f"{s['SnapshotIdentifier']}, {_status(s)}" for s in self.ours()[:SHOWN]]
        return EnvironmentFailure(
            f"there is {what} in {self.account.region}",
            evidence=[f"there: {line}" for line in there] or f"none is tagged {TAG}={self.account.suite}",
            hint=(
                *([f"python conn_start.py --engine redshift --from-snapshot {LATEST}"] if there else []),
                "python conn_start.py --engine redshift     (an empty warehouse; etl.py loads the sources again)",
            ),
        )

    def _refuse_other_settings(self, snapshot: Snapshot) -> None:
        """Raise ConfigError for settings that a restored cluster cannot have."""
        for key, wanted, name in (
            ("DB_NAME", self.settings.db_name, snapshot.get("DBName")),
            ("DB_USER", self.settings.db_user, snapshot.get("MasterUsername")),
        ):
            if name and name != wanted:
                raise ConfigError(
                    f"[CLUSTER] {key} = {wanted}, but snapshot {snapshot['SnapshotIdentifier']} has {name}",
                    hint=f"[CLUSTER] {key} = {name}",
                )
        if self.settings.db_password and snapshot.get("MasterPasswordSecretArn"):
            raise ConfigError(
                f"[CLUSTER] DB_PASSWORD is set, but AWS kept the password of snapshot {snapshot['SnapshotIdentifier']}",
                evidence="a restore takes no password: it is the one of then, or AWS makes a new one",
                hint="[CLUSTER] DB_PASSWORD =     (empty: AWS makes one and keeps it)",
            )

    def _kept(self, snapshot: Snapshot) -> Change:
        days = int(snapshot.get("ManualSnapshotRetentionPeriod", -1))
        until = f"kept for {days} days" if days > 0 else "kept, and billed, until it is deleted"
        if _status(snapshot) == "failed":
            return Change("=", f"snapshot {snapshot['SnapshotIdentifier']} FAILED: the data is lost", beside=True)
        return Change("+", f"snapshot {snapshot['SnapshotIdentifier']}, {until}")


def _is_final_of(snapshot: Snapshot, cluster: dict[str, Any], asked: str) -> bool:
    """Tell whether this is the snapshot that was asked for, or the final one of just this cluster and no earlier one of
    its name."""
    name = snapshot["SnapshotIdentifier"]
    if asked:
        return bool(name == asked)
    same = all(snapshot.get(key) == cluster.get(key) for key in ("ClusterIdentifier", "ClusterCreateTime"))
    return same and name.startswith(f"{cluster['ClusterIdentifier']}-final-")


def _tags(snapshot: Snapshot) -> list[dict[str, str]]:
    return [{"Key": tag["Key"], "Value": tag["Value"]} for tag in snapshot.get("Tags", ())]


def _status(snapshot: Snapshot) -> str:
    return str(snapshot.get("Status", ""))


def _taken(snapshot: Snapshot) -> str:
    return str(snapshot.get("SnapshotCreateTime", ""))
