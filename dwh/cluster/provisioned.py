"""A provisioned Redshift cluster: requested at most once, watched until it is available, deleted only if it is ours."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from dwh.cluster.account import ROLE_PAUSE, ROLE_SECONDS, TAG, Account, Declined
from dwh.cluster.snapshots import SNAPSHOT_DAYS, Snapshot, Snapshots, in_words, refuse_other_source, restore_request
from dwh.cluster.watching import GOING, UP, await_available, await_gone, broken
from dwh.seam import Change, Tell
from dwh.terminal.errors import Busy, ConfigError, DwhError, EnvironmentFailure, NotReady

if TYPE_CHECKING:
    from dwh.settings.config import Config
    from dwh.settings.sections import Cluster

# What CreateCluster takes [B redshift/2012-12-01].
_NAME = re.compile(r"(?!.*--)[a-z][a-z0-9-]{0,61}[a-z0-9]|[a-z]")
_PASSWORD = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[!-~]{8,64}")
_PORTS = (*range(5431, 5456), *range(8191, 8216))
_GONE_TYPES = ("dc1.", "dc2.", "ds1.", "ds2.")
_FROM_TWO_NODES = ("ra3.4xlarge", "ra3.16xlarge")  # [D23 mgmt/working-with-clusters.html]


class Surroundings(NamedTuple):
    """The resources beside a cluster: the ARN of its role, the id of its security group, the snapshot it is made
    from."""

    role: str
    group: str
    snapshot: Snapshot | None = None


def check_settings(settings: Cluster) -> None:
    """Raise ConfigError for settings that AWS would refuse, before any request."""
    if not _NAME.fullmatch(settings.identifier):
        raise ConfigError(
            f"[CLUSTER] IDENTIFIER = {settings.identifier} cannot be the name of a cluster",
            evidence="1 to 63 of a-z, 0-9 and -; a letter first, no - at the end, no two in a row",
            hint="[CLUSTER] IDENTIFIER = sparkify-dwh",
        )
    for key, name in (("DB_NAME", settings.db_name), ("DB_USER", settings.db_user)):
        if name != name.lower():
            raise ConfigError(
                f"[CLUSTER] {key} = {name} has capital letters, which Redshift does not take",
                hint=f"[CLUSTER] {key} = {name.lower()}",
            )
    if settings.node_type.startswith(_GONE_TYPES):
        raise ConfigError(
            f"[CLUSTER] NODE_TYPE = {settings.node_type}: AWS no longer makes clusters of that type",
            evidence="DC2 answers `Invalid node type` since June 2025; DS2 and DC1 were gone before it",
            hint="[CLUSTER] NODE_TYPE = ra3.large",
        )
    if settings.node_type in _FROM_TWO_NODES and settings.num_nodes < 2:
        raise ConfigError(
            f"[CLUSTER] NODE_TYPE = {settings.node_type} needs at least two nodes",
            hint=("[CLUSTER] NUM_NODES = 2", "[CLUSTER] NODE_TYPE = ra3.large"),
        )
    if settings.db_port not in _PORTS:
        raise ConfigError(
            f"[CLUSTER] DB_PORT = {settings.db_port}: a cluster listens on 5431 to 5455 or 8191 to 8215",
            hint="[CLUSTER] DB_PORT = 5439",
        )
    password = settings.db_password.reveal()
    if password and (not _PASSWORD.fullmatch(password) or set(password) & set("'\"\\/@")):
        raise ConfigError(
            "[CLUSTER] DB_PASSWORD is not a password that Redshift accepts",
            evidence="8 to 64 printable characters, a-z, A-Z and 0-9 among them, none of ' \" \\ / @ and blank",
            hint="[CLUSTER] DB_PASSWORD =     (empty: AWS makes one and keeps it)",
        )


class Provisioned:
    """The cluster. `seen` is its last known status: empty when there is no cluster, None before the first look."""

    def __init__(self, account: Account, config: Config) -> None:
        self.account = account
        self.settings = config.cluster
        self.name = config.cluster.identifier
        self.snapshots = Snapshots(account, config)
        self.seen: str | None = None

    def look(self) -> dict[str, Any] | None:
        """Describe the cluster of our name; None when there is none. Raises EnvironmentFailure when it is not ours."""
        try:
            action = "redshift:DescribeClusters"
            found = self.account.ask(action, expected=("ClusterNotFound",), ClusterIdentifier=self.name)["Clusters"]
        except Declined:
            found = []
        self.seen = str(found[0]["ClusterStatus"]) if found and self.account.owns(found[0]) else ""
        if found and not self.account.owns(found[0]):
            tag = f"--tags Key={TAG},Value={self.name}"
            raise EnvironmentFailure(
                f"a cluster named {self.name} exists and is not ours (no tag {TAG}={self.name})",
                evidence=f"made {found[0].get('ClusterCreateTime', 'by another user')}; it was not changed",
                hint=(
                    "[CLUSTER] IDENTIFIER = another",
                    "[CLUSTER] HOST, DB_USER and DB_PASSWORD     (to use it as it is)",
                    f"aws redshift create-tags --resource-name ITS-ARN {tag}     (to make it ours)",
                ),
            )
        return dict(found[0]) if found else None

    def find(self) -> list[dict[str, Any]]:
        """Find the clusters with our tag, under any name."""
        answer = self.account.ask("redshift:DescribeClusters", TagKeys=[TAG], TagValues=[self.account.suite])
        # AWS matches every combination of keys and values, so the pair is checked again
        found = [cluster for cluster in answer.get("Clusters", []) if self.account.owns(cluster)]
        self.seen = str(found[0]["ClusterStatus"]) if found else ""
        return found

    def plan(self, cluster: dict[str, Any] | None, snapshot: Snapshot | None = None) -> Change:
        """Say what `ensure` would do with the cluster as it was described.

        Raises EnvironmentFailure when a snapshot is asked for and the cluster was not made from it.
        """
        wanted = f"{self.settings.num_nodes} x {self.settings.node_type}"
        if cluster is None or cluster["ClusterStatus"] in GOING:
            public = _PUBLIC if self.settings.public else _PRIVATE
            made = f"{wanted}, encrypted" if snapshot is None else in_words(snapshot)
            return Change("+", f"cluster {self.name}, {made}, {public}; billed by the hour")
        refuse_other_source(cluster, snapshot)
        nodes = f"{cluster.get('NumberOfNodes', 1)} x {cluster.get('NodeType')}"
        what = f"cluster {self.name}, {nodes}, {cluster['ClusterStatus']}"
        if nodes != wanted:
            what += f"; [CLUSTER] asks for {wanted}, but this suite does not resize a cluster"
        if bool(cluster.get("PubliclyAccessible")) != self.settings.public:
            return Change("~", f"{what}; from now on {'PUBLIC' if self.settings.public else _PRIVATE}")
        return Change("=", f"{what}, {'PUBLIC' if self.settings.public else 'not public'}")

    def ensure(self, cluster: dict[str, Any] | None, around: Surroundings, tell: Tell, patience: float) -> Change:
        """Make the cluster if it is missing, and wait until it is available and has its role.

        Raises Busy when `patience` seconds are over, EnvironmentFailure when it will never be available.
        """
        change = self.plan(cluster, around.snapshot)
        if change.mark == "+" and not self._create(around, tell):
            change = self.plan(self.look(), around.snapshot)
        found = await_available(self, tell, patience)
        if bool(found.get("PubliclyAccessible")) != self.settings.public:
            tell("making it public" if self.settings.public else "making it private")
            self.account.ask(
                "redshift:ModifyCluster", ClusterIdentifier=self.name, PubliclyAccessible=self.settings.public
            )
            found = await_available(self, tell, patience)
        if around.role not in [role["IamRoleArn"] for role in found.get("IamRoles", [])]:
            tell("giving it the role")
            self.account.ask(
                "redshift:ModifyClusterIamRoles",
                ClusterIdentifier=self.name,
                AddIamRoles=[around.role],
                DefaultIamRoleArn=around.role,
            )
        await_available(self, tell, patience, role=around.role)
        return change

    def delete(self, cluster: dict[str, Any], tell: Tell, patience: float, *, snapshot: bool) -> list[Change]:
        """Delete our cluster and wait until it is gone; billing ends then.

        AWS cannot delete a cluster that is being made or changed [B InvalidClusterState]: this waits for that.
        """
        name, asked = cluster["ClusterIdentifier"], ""
        going = cluster["ClusterStatus"] in GOING
        if not going:
            asked = self._ask_to_delete(name, tell, patience, snapshot=snapshot)
        await_gone(self, name, tell, patience)
        kept = self.snapshots.taken_of(cluster, asked, tell) if asked or going else []
        return [*kept, Change("-", f"cluster {name}, billing has ended")]

    def _create(self, around: Surroundings, tell: Tell) -> bool:
        """Request the cluster, once, and tell whether this made it. Waits while AWS does not know the role yet."""
        action, request, source = "redshift:CreateCluster", self._wanted(around), ""
        if around.snapshot:
            self.snapshots.claim(around.snapshot)
            action, request = "redshift:RestoreFromClusterSnapshot", restore_request(around.snapshot, request)
            source = f" from snapshot {around.snapshot['SnapshotIdentifier']}"
        public = _PUBLIC if self.settings.public else _PRIVATE
        tell(f"making cluster {self.name}{source}, {public}; billing starts now")
        for _ in self.account.looks(ROLE_SECONDS, ROLE_PAUSE):
            self.seen = "creating"  # from here on it may be billed, whatever AWS answers
            try:
                expected = ("ClusterAlreadyExists", "InvalidParameterValue")
                made = self.account.ask(action, expected=expected, once=True, **request)["Cluster"]
            except Declined as declined:
                if declined.code == "ClusterAlreadyExists":
                    self.look()  # raises when it is not ours
                    return False
                refused = self._refused(declined)
                # AWS does not document its error code and text for a role that it does not know yet [U]
                if "role" not in declined.detail.lower():
                    raise refused from declined
                tell("AWS does not know the role everywhere yet; trying again")
                continue
            except NotReady:
                return self._was_heard(tell)
            except DwhError:
                self.seen = ""
                raise
            self._tag(made, around.snapshot)
            return True
        raise refused

    def _tag(self, made: dict[str, Any], snapshot: Snapshot | None) -> None:
        """Tag a cluster that AWS has restored without the tags of its snapshot, against its documentation."""
        if snapshot and not self.account.owns(made):
            arn = self.account.arn("redshift", f"cluster:{self.name}")
            self.account.ask("redshift:CreateTags", ResourceName=arn, Tags=self.snapshots.tags(snapshot))

    def _was_heard(self, tell: Tell) -> bool:
        """Find out whether AWS received a request whose answer was lost: it is never sent twice."""
        tell("AWS's answer was lost; checking whether the cluster is being made")
        for _ in self.account.looks(ROLE_SECONDS, ROLE_PAUSE):
            if self.look():
                return True
        self.seen = None
        raise EnvironmentFailure(
            f"AWS did not answer the request for {self.name}, and there is no such cluster",
            hint="python conn_start.py --engine redshift     (finds it if it appears later)",
        )

    def _refused(self, declined: Declined) -> EnvironmentFailure:
        self.seen = ""
        if "role" in declined.detail.lower():
            return EnvironmentFailure(
                "AWS does not let the cluster have its role",
                evidence=str(declined),
                hint=("the same command again, in a minute", "[IAM_ROLE] ARN     (if it is set)"),
            )
        return EnvironmentFailure(
            f"AWS refused to make cluster {self.name}", evidence=str(declined), hint="[CLUSTER] in dwh.cfg"
        )

    def _wanted(self, around: Surroundings) -> dict[str, Any]:
        settings = self.settings
        nodes = {"ClusterType": "multi-node", "NumberOfNodes": settings.num_nodes}
        password = {"MasterUserPassword": settings.db_password.reveal()}
        return {
            "ClusterIdentifier": self.name,
            "NodeType": settings.node_type,
            **(nodes if settings.num_nodes > 1 else {"ClusterType": "single-node"}),
            "DBName": settings.db_name,
            "MasterUsername": settings.db_user,
            **(password if settings.db_password else {"ManageMasterPassword": True}),
            "Port": settings.db_port,
            "Encrypted": True,
            "PubliclyAccessible": settings.public,
            "AutomatedSnapshotRetentionPeriod": 1,
            "VpcSecurityGroupIds": [around.group],
            "IamRoles": [around.role],
            "DefaultIamRoleArn": around.role,
            **({"ClusterSubnetGroupName": settings.subnet_group} if settings.subnet_group else {}),
            "Tags": self.account.tags,
        }

    def _ask_to_delete(self, name: str, tell: Tell, patience: float, *, snapshot: bool) -> str:
        kept = f"{name}-final-{datetime.now(UTC):%Y%m%d-%H%M%S}" if snapshot else ""
        # without a number of days AWS keeps and bills a final snapshot forever [B]
        choice: dict[str, Any] = {"FinalClusterSnapshotIdentifier": kept}
        choice |= {"FinalClusterSnapshotRetentionPeriod": SNAPSHOT_DAYS}
        choice = {"SkipFinalClusterSnapshot": not snapshot, **(choice if snapshot else {})}
        tell(f"deleting cluster {name}" + (f", and asking for a final snapshot, {kept}" if kept else ""))
        for _ in self.account.looks(patience):
            try:
                expected = ("ClusterNotFound", "InvalidClusterState")
                self.account.ask("redshift:DeleteCluster", expected=expected, ClusterIdentifier=name, **choice)
            except Declined as declined:
                status = next((c["ClusterStatus"] for c in self.find() if c["ClusterIdentifier"] == name), "")
                if status and status not in GOING:
                    if status not in UP and (why := broken(status)):
                        raise EnvironmentFailure(
                            f"cluster {name} is {status}, and AWS does not delete it with a snapshot",
                            evidence=(why, str(declined)),
                            hint="python conn_close.py --engine redshift --no-snapshot",
                        ) from declined
                    tell(f"{status}: cannot be deleted yet")
                    continue
            return kept
        raise Busy(f"cluster {name} cannot be deleted yet", hint="python conn_close.py --engine redshift")


_PUBLIC = "PUBLIC: it gets an address on the internet"
_PRIVATE = "not public: only machines inside its VPC can reach it"
