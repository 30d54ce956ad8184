"""A provisioned Redshift cluster: requested at most once, watched until it is available, deleted only if it is ours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dwh.cluster.account import ROLE_PAUSE, ROLE_SECONDS, TAG, Account, Declined
from dwh.cluster.kind import PRIVATE, PUBLIC, SNAPSHOT_DAYS, Found, Kind, Snapshot, Stage, Surroundings
from dwh.cluster.limits import check_names, check_nodes
from dwh.cluster.price import price_line
from dwh.cluster.snapshots import Snapshots, in_words, refuse_other_source, restore_request
from dwh.cluster.watching import GOING, UP, await_available, await_gone, broken
from dwh.seam import Change, Tell
from dwh.terminal.errors import Busy, DwhError, EnvironmentFailure, NotReady

if TYPE_CHECKING:
    from dwh.settings.config import Config

# Slices of a node [D23 mgmt/working-with-clusters.html; ra3.large G]; those of the rg types are not known [U].
SLICES = {"ra3.large": 2, "ra3.xlplus": 2, "ra3.4xlarge": 4, "ra3.16xlarge": 16}
LEAST_SLICES = 2


class Provisioned(Kind):
    """The cluster. `seen` is its last known status: empty when there is no cluster, None before the first look."""

    noun = "cluster"
    serverless = False

    def __init__(self, account: Account, config: Config) -> None:
        self.account = account
        self.settings = config.cluster
        self.name = config.cluster.identifier
        self.snapshots = Snapshots(account, config)
        self.seen: str | None = None

    @property
    def slices(self) -> int:
        """Give the slices of all nodes; the least that is known for a node type that is not."""
        return SLICES.get(self.settings.node_type, LEAST_SLICES) * self.settings.num_nodes

    @property
    def is_up(self) -> bool:
        """Tell whether it was available when AWS was last asked."""
        return self.seen in UP

    def check(self) -> None:
        """Raise ConfigError for settings that AWS would refuse. Sends no request."""
        check_names(self.settings)
        check_nodes(self.settings)

    def look(self) -> Found | None:
        """Describe the cluster of our name; None when there is none. Raises EnvironmentFailure when it is not ours."""
        found = self.describe()
        return self._found(found) if found else None

    def describe(self) -> dict[str, Any] | None:
        """Give AWS's description of the cluster of our name, as `look` does."""
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

    def find(self) -> list[Found]:
        """Find the clusters with our tag, under any name."""
        answer = self.account.ask("redshift:DescribeClusters", TagKeys=[TAG], TagValues=[self.account.suite])
        # AWS matches every combination of keys and values, so the pair is checked again
        found = [cluster for cluster in answer.get("Clusters", []) if self.account.owns(cluster)]
        self.seen = str(found[0]["ClusterStatus"]) if found else ""
        return [self._found(cluster) for cluster in found]

    def choose(self, snapshot: str) -> Snapshot:
        """Find the snapshot that a new cluster is made from, as `Snapshots.choose` does."""
        return self.snapshots.choose(snapshot)

    def plan(self, found: Found | None, snapshot: Snapshot | None = None) -> Change:
        """Say what `ensure` would do with the cluster as it was described.

        Raises EnvironmentFailure when a snapshot is asked for and the cluster was not made from it.
        """
        wanted = f"{self.settings.num_nodes} x {self.settings.node_type}"
        if found is None or found.stage == "going":
            public = PUBLIC if self.settings.public else PRIVATE
            made = f"{wanted}, encrypted" if snapshot is None else in_words(snapshot)
            return Change("+", f"cluster {self.name}, {made}, {public}; billed by the hour")
        refuse_other_source(found.described, snapshot)
        nodes = f"{found.described.get('NumberOfNodes', 1)} x {found.described.get('NodeType')}"
        what = f"cluster {self.name}, {nodes}, {found.status}"
        if nodes != wanted:
            what += f"; [CLUSTER] asks for {wanted}, but this suite does not resize a cluster"
        if found.public != self.settings.public:
            return Change("~", f"{what}; from now on {'PUBLIC' if self.settings.public else PRIVATE}")
        return Change("=", f"{what}, {'PUBLIC' if self.settings.public else 'not public'}")

    def price(self, described: Mapping[str, Any] | None) -> str:
        """Say what the nodes cost until it is closed."""
        seen = described or {"NodeType": self.settings.node_type, "NumberOfNodes": self.settings.num_nodes}
        nodes = str(seen["NodeType"]), int(seen.get("NumberOfNodes", 1))
        return price_line("provisioned", *nodes, self.account.region)

    def ensure(self, found: Found | None, around: Surroundings, tell: Tell, patience: float) -> Change:
        """Make the cluster if it is missing, and wait until it is available and has its role.

        Raises Busy when `patience` seconds are over, EnvironmentFailure when it will never be available.
        """
        change = self.plan(found, around.snapshot)
        if change.mark == "+" and not self._create(around, tell):
            change = self.plan(self.look(), around.snapshot)
        cluster = await_available(self, tell, patience)
        if bool(cluster.get("PubliclyAccessible")) != self.settings.public:
            tell("making it public" if self.settings.public else "making it private")
            self.account.ask(
                "redshift:ModifyCluster", ClusterIdentifier=self.name, PubliclyAccessible=self.settings.public
            )
            cluster = await_available(self, tell, patience)
        if around.role not in [role["IamRoleArn"] for role in cluster.get("IamRoles", [])]:
            tell("giving it the role")
            self.account.ask(
                "redshift:ModifyClusterIamRoles",
                ClusterIdentifier=self.name,
                AddIamRoles=[around.role],
                DefaultIamRoleArn=around.role,
            )
        await_available(self, tell, patience, role=around.role)
        return change

    def await_gone(self, name: str, tell: Tell, patience: float) -> None:
        """Wait until there is no cluster of this name. Raises Busy when `patience` seconds are over."""
        await_gone(self, name, tell, patience)

    def delete(self, found: Found, tell: Tell, patience: float, *, snapshot: bool) -> list[Change]:
        """Delete our cluster and wait until it is gone; billing ends then.

        AWS cannot delete a cluster that is being made or changed [B InvalidClusterState]: this waits for that.
        """
        asked, going = "", found.stage == "going"
        if not going:
            asked = self._ask_to_delete(found.name, tell, patience, snapshot=snapshot)
        self.await_gone(found.name, tell, patience)
        kept = self.snapshots.taken_of(found.described, asked, tell) if asked or going else []
        return [*kept, Change("-", f"cluster {found.name}, billing has ended")]

    def last_word(self, place: str) -> str:
        """Say that the cluster is up and billed, or may be, and how to end that; empty when there is none."""
        end = "to end it: python conn_close.py --engine redshift"
        if self.seen == "":
            return ""
        if self.seen is None:
            return f"if {place} is up, it is billed by the hour; {end}"
        if self.seen in GOING:
            return f"{place} is being deleted; to make sure: python conn_close.py --engine redshift"
        if self.seen in UP:
            return f"{place} is up and billed by the hour; {end}"
        go_on = "to continue: python conn_start.py --engine redshift"
        return f"{place} ({self.seen}) is billed by the hour; {end}; {go_on}"

    def _found(self, cluster: dict[str, Any]) -> Found:
        name, status = str(cluster["ClusterIdentifier"]), str(cluster["ClusterStatus"])
        stage: Stage = "up" if status in UP else "going" if status in GOING else "other"
        endpoint = cluster.get("Endpoint", {})  # while a cluster is being made it may have none [U]
        host, port = str(endpoint.get("Address", "")), int(endpoint.get("Port", self.settings.db_port))
        secret, public = str(cluster.get("MasterPasswordSecretArn", "")), bool(cluster.get("PubliclyAccessible"))
        return Found(name, f"cluster {name}, {status}", status, stage, host, port, secret, public, cluster)

    def _create(self, around: Surroundings, tell: Tell) -> bool:
        """Request the cluster, once, and tell whether this made it. Waits while AWS does not know the role yet."""
        action, request, source = "redshift:CreateCluster", self._wanted(around), ""
        if around.snapshot:
            self.snapshots.claim(around.snapshot)
            action, request = "redshift:RestoreFromClusterSnapshot", restore_request(around.snapshot, request)
            source = f" from snapshot {around.snapshot['SnapshotIdentifier']}"
        public = PUBLIC if self.settings.public else PRIVATE
        tell(f"making cluster {self.name}{source}, {public}; billing starts now")
        for _ in self.account.looks(ROLE_SECONDS, ROLE_PAUSE):
            self.seen = "creating"  # from here on it may be billed, whatever AWS answers
            try:
                expected = ("ClusterAlreadyExists", "InvalidParameterValue")
                made = self.account.ask(action, expected=expected, once=True, **request)["Cluster"]
            except Declined as declined:
                if declined.code == "ClusterAlreadyExists":
                    self.describe()  # raises when it is not ours
                    return False
                refused = self._refused(declined)
                # AWS does not document its error code and text for a role that it does not know yet [U]
                if "role" not in declined.detail.lower():
                    raise refused from declined
                tell(f"AWS does not know the role everywhere yet; trying again ({declined})")
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
            if self.describe():
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
                status = next((c.status for c in self.find() if c.name == name), "")
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
