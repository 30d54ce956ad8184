"""Bringing the warehouse up and taking it down: role, security group, warehouse, in the order that works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dwh.cluster.account import TAG, Account
from dwh.cluster.kind import SNAPSHOT_DAYS, Found, Kind, Snapshot, Surroundings
from dwh.cluster.network import Network
from dwh.cluster.provisioned import Provisioned
from dwh.cluster.role import Role
from dwh.cluster.serverless import Serverless
from dwh.seam import Change, Tell
from dwh.terminal.errors import DwhError, EnvironmentFailure

if TYPE_CHECKING:
    from dwh.settings.config import Config


class Lifecycle:
    """A warehouse of the kind that the settings ask for, its role and its security group. What carries our tag is
    closed whatever its kind."""

    def __init__(self, account: Account, config: Config) -> None:
        self.account = account
        kinds: dict[str, Kind] = {
            "provisioned": Provisioned(account, config),
            "serverless": Serverless(account, config),
        }
        self.warehouse = kinds.pop(config.cluster.kind)
        self._others = tuple(kinds.values())
        self._met: list[Kind] = []  # of the other kinds, those of which there is one
        self.role = Role(account, config)
        self.network = Network(account, config)

    def check(self) -> None:
        """Raise ConfigError for settings that AWS or this suite refuse. Sends no request."""
        self.warehouse.check()
        self.role.check()
        self.network.check()

    def plan_start(self, snapshot: str = "") -> list[Change]:
        """Say what `start` would do, and what it costs. Raises its errors, also for a role of our name, not ours."""
        self.check()
        found, source = self.warehouse.look(), self._source(snapshot)
        price = Change("=", self.warehouse.price(found.described if found else source), beside=True)
        return [self._account(), self.role.plan(), self.network.plan(), self.warehouse.plan(found, source), price]

    def start(self, tell: Tell, patience: float, snapshot: str = "") -> list[Change]:
        """Make what is missing and wait until the warehouse is up. Running it again changes nothing.

        `snapshot` is the name of the snapshot that a new warehouse is made from, or `latest`; empty: it begins empty.
        Raises the errors of choosing it before anything is made, and EnvironmentFailure when the warehouse is there and
        was not made from it.
        Raises Busy when `patience` seconds are over, EnvironmentFailure for a warehouse that is not ours or has failed.
        """
        self.check()
        found = self.warehouse.look()
        account = self._account()
        self.network.cidrs()  # who may connect is settled before anything is made
        tell(account.what)
        if found and found.stage == "going":
            tell(f"the previous {self.warehouse.noun} is still being deleted")
            self.warehouse.await_gone(found.name, tell, patience)
            found = None
        source = self._source(snapshot)  # only now: the previous one's final snapshot may be the latest
        self.warehouse.plan(found, source)
        role, arn = self.role.ensure(tell)
        rule, group = self.network.ensure(tell)
        made = self.warehouse.ensure(found, Surroundings(arn, group, source), tell, patience)
        return [account, role, rule, made]

    def plan_stop(self, *, snapshot: bool) -> list[Change]:
        """Say what `stop` would do: it removes only resources with our tag."""
        (ours, unseen), roles = self._find(), self.role.find()
        changes = [Change("-", found.what) for _, found in ours]
        changes += [Change("-", f"security group {g['GroupName']}", beside=True) for g in self.network.find()]
        changes += [Change("-", f"role {r['RoleName']}", beside=True) for r in roles]
        if snapshot and any(found.stage != "going" for _, found in ours):
            changes.append(Change("+", f"a final snapshot with all data, kept for {SNAPSHOT_DAYS} days", beside=True))
        if self.role.taken(roles):
            changes.append(Change("=", f"role {self.role.name} is not ours (no tag {TAG}): it stays", beside=True))
        gone = [] if any(change.mark != "=" for change in changes) else [self._nothing_left()]
        return [*([] if gone else [self._account()]), *changes, *unseen, *gone]

    def stop(self, tell: Tell, patience: float, *, snapshot: bool) -> list[Change]:
        """Delete all resources with our tag, the warehouse first, and make sure by listing them again.

        Raises EnvironmentFailure that names what is left, Busy while something cannot be deleted yet.
        """
        changes = []
        for kind, found in self._find()[0]:
            changes += kind.delete(found, tell, patience, snapshot=snapshot)
        changes += [self.network.remove(group, tell) for group in self.network.find()]
        changes += [self.role.remove(role, tell) for role in self.role.find()]
        return [*changes, *self._refuse_leftovers(changes), self._nothing_left()]

    def last_word(self, place: str) -> str:
        """Say what goes on costing, as far as AWS has told, and how to end it; empty when nothing does."""
        return next((word for kind in (self.warehouse, *self._met) if (word := kind.last_word(place))), "")

    def look(self) -> Found | None:
        """Describe the warehouse; None when there is none."""
        return self.warehouse.look()

    def _source(self, snapshot: str) -> Snapshot | None:
        return self.warehouse.choose(snapshot) if snapshot else None

    def _account(self) -> Change:
        return Change("=", f"{self.account.who()}, {self.account.region}", beside=True)

    def _nothing_left(self) -> Change:
        return Change("=", f"all gone: nothing tagged {TAG}={self.account.suite} is left in {self.account.region}")

    def _find(self) -> tuple[list[tuple[Kind, Found]], list[Change]]:
        """Find all warehouses of ours. One of another kind may not be visible to this user, or not exist in this
        region: that is told, and stops nobody from closing the kind that is used."""
        found, unseen = [(self.warehouse, one) for one in self.warehouse.find()], []
        for kind in self._others:
            try:
                of_kind = [(kind, one) for one in kind.find()]
            except DwhError as error:
                unseen.append(
                    Change("=", f"whether there is a {kind.noun} could not be seen: {error.message}", beside=True)
                )
                continue
            self._met += [kind] * (bool(of_kind) and kind not in self._met)
            found += of_kind
        return found, unseen

    def _refuse_leftovers(self, changes: list[Change]) -> list[Change]:
        """Raise EnvironmentFailure with what is left; give what could not be seen."""
        ours, unseen = self._find()
        left = [found.what for _, found in ours]
        left += [f"security group {g['GroupName']} ({g['GroupId']})" for g in self.network.find()]
        left += [f"role {r['RoleName']}" for r in self.role.find()]
        if left:
            why = [change.what for change in changes if change.mark == "="]
            raise EnvironmentFailure(
                f"not everything was removed: {'; '.join(left)}",
                evidence=[f"tagged {TAG}={self.account.suite}, in {self.account.region}", *why],
                hint="python conn_close.py --engine redshift     (tries again)",
            )
        return unseen
