"""Bringing the warehouse up and taking it down: role, security group, cluster, in the order that works.

Another kind of warehouse (Serverless, say) needs a class with the same few methods: check, plan, start, stop, look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dwh.cluster.account import TAG, Account
from dwh.cluster.network import Network
from dwh.cluster.provisioned import Provisioned, Surroundings, check_settings
from dwh.cluster.role import Role
from dwh.cluster.snapshots import SNAPSHOT_DAYS
from dwh.cluster.watching import GOING, await_gone
from dwh.seam import Change, Tell
from dwh.terminal.errors import EnvironmentFailure

if TYPE_CHECKING:
    from dwh.settings.config import Config


class Lifecycle:
    """A provisioned cluster, its role and its security group."""

    def __init__(self, account: Account, config: Config) -> None:
        self.account = account
        self.settings = config.cluster
        self.cluster = Provisioned(account, config)
        self.role = Role(account, config)
        self.network = Network(account, config)

    def check(self) -> None:
        """Raise ConfigError for settings that AWS or this suite refuse. Sends no request."""
        check_settings(self.settings)
        self.role.check()
        self.network.check()

    def plan_start(self, snapshot: str = "") -> list[Change]:
        """Say what `start` would do. Raises its errors, also for a role of our name that is not ours."""
        self.check()
        cluster, source = self.cluster.look(), self._source(snapshot)
        return [self._account(), self.role.plan(), self.network.plan(), self.cluster.plan(cluster, source)]

    def start(self, tell: Tell, patience: float, snapshot: str = "") -> list[Change]:
        """Make what is missing and wait until the cluster is available. Running it again changes nothing.

        `snapshot` is the name of the snapshot that a new cluster is made from, or `latest`; empty: it begins empty.
        Raises the errors of choosing it before anything is made, and EnvironmentFailure when the cluster is there and
        was not made from it.
        Raises Busy when `patience` seconds are over, EnvironmentFailure for a cluster that is not ours or has failed.
        """
        self.check()
        cluster = self.cluster.look()
        account = self._account()
        self.network.cidrs()  # who may connect is settled before anything is made
        tell(account.what)
        if cluster and cluster["ClusterStatus"] in GOING:
            tell("the previous cluster is still being deleted")
            await_gone(self.cluster, self.cluster.name, tell, patience)
        source = self._source(snapshot)  # only now: the previous cluster's final snapshot may be the latest
        self.cluster.plan(cluster, source)
        role, arn = self.role.ensure(tell)
        rule, group = self.network.ensure(tell)
        made = self.cluster.ensure(cluster, Surroundings(arn, group, source), tell, patience)
        return [account, role, rule, made]

    def plan_stop(self, *, snapshot: bool) -> list[Change]:
        """Say what `stop` would do: it removes only resources with our tag."""
        clusters, roles = self.cluster.find(), self.role.find()
        changes = [Change("-", f"cluster {c['ClusterIdentifier']}, {c['ClusterStatus']}") for c in clusters]
        changes += [Change("-", f"security group {g['GroupName']}", beside=True) for g in self.network.find()]
        changes += [Change("-", f"role {r['RoleName']}", beside=True) for r in roles]
        if snapshot and any(c["ClusterStatus"] not in GOING for c in clusters):
            changes.append(Change("+", f"a final snapshot with all data, kept for {SNAPSHOT_DAYS} days", beside=True))
        if self.role.taken(roles):
            changes.append(Change("=", f"role {self.role.name} is not ours (no tag {TAG}): it stays", beside=True))
        gone = [] if any(change.mark != "=" for change in changes) else [self._nothing_left()]
        return [*([] if gone else [self._account()]), *changes, *gone]

    def stop(self, tell: Tell, patience: float, *, snapshot: bool) -> list[Change]:
        """Delete all resources with our tag, the cluster first, and make sure by listing them again.

        Raises EnvironmentFailure that names what is left, Busy while something cannot be deleted yet.
        """
        changes = []
        for cluster in self.cluster.find():
            changes += self.cluster.delete(cluster, tell, patience, snapshot=snapshot)
        changes += [self.network.remove(group, tell) for group in self.network.find()]
        changes += [self.role.remove(role, tell) for role in self.role.find()]
        self._refuse_leftovers(changes)
        return [*changes, self._nothing_left()]

    def look(self) -> dict[str, Any] | None:
        """Describe the cluster; None when there is none."""
        return self.cluster.look()

    def _source(self, snapshot: str) -> dict[str, Any] | None:
        return self.cluster.snapshots.choose(snapshot) if snapshot else None

    def _account(self) -> Change:
        return Change("=", f"{self.account.who()}, {self.account.region}", beside=True)

    def _nothing_left(self) -> Change:
        return Change("=", f"all gone: nothing tagged {TAG}={self.account.suite} is left in {self.account.region}")

    def _refuse_leftovers(self, changes: list[Change]) -> None:
        left = [f"cluster {c['ClusterIdentifier']}, {c['ClusterStatus']}" for c in self.cluster.find()]
        left += [f"security group {g['GroupName']} ({g['GroupId']})" for g in self.network.find()]
        left += [f"role {r['RoleName']}" for r in self.role.find()]
        if left:
            why = [change.what for change in changes if change.mark == "="]
            raise EnvironmentFailure(
                f"not everything was removed: {'; '.join(left)}",
                evidence=[f"tagged {TAG}={self.account.suite}, in {self.account.region}", *why],
                hint="python conn_close.py --engine redshift     (tries again)",
            )
