"""Bringing the warehouse up and taking it down: role, security group, warehouse, in the order that works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dwh.cluster.account import TAG, Account
from dwh.cluster.kind import SNAPSHOT_DAYS, Found, Kind, Surroundings
from dwh.cluster.network import Network
from dwh.cluster.provisioned import Provisioned
from dwh.cluster.role import Role
from dwh.seam import Change, Tell
from dwh.terminal.errors import EnvironmentFailure

if TYPE_CHECKING:
    from dwh.settings.config import Config


def choose_kind(account: Account, config: Config) -> Kind:
    """Give the kind of warehouse that the settings ask for."""
    return Provisioned(account, config)


class Lifecycle:
    """A warehouse of either kind, its role and its security group."""

    def __init__(self, account: Account, config: Config) -> None:
        self.account = account
        self.warehouse = choose_kind(account, config)
        self.role = Role(account, config)
        self.network = Network(account, config)

    def check(self) -> None:
        """Raise ConfigError for settings that AWS or this suite refuse. Sends no request."""
        self.warehouse.check()
        self.role.check()
        self.network.check()

    def plan_start(self) -> list[Change]:
        """Say what `start` would do. Raises EnvironmentFailure for a warehouse of our name that is not ours."""
        self.check()
        found = self.warehouse.look()
        return [self._account(), self.role.plan(), self.network.plan(), self.warehouse.plan(found)]

    def start(self, tell: Tell, patience: float) -> list[Change]:
        """Make what is missing and wait until the warehouse is up. Running it again changes nothing.

        Raises Busy when `patience` seconds are over, EnvironmentFailure for a warehouse that is not ours or has failed.
        """
        self.check()
        found = self.warehouse.look()
        account = self._account()
        tell(account.what)
        if found and found.stage == "going":
            tell(f"the previous {self.warehouse.noun} is still being deleted")
            self.warehouse.await_gone(found.name, tell, patience)
            found = None
        role, arn = self.role.ensure(tell)
        rule, group = self.network.ensure(tell)
        made = self.warehouse.ensure(found, Surroundings(arn, group), tell, patience)
        return [account, role, rule, made]

    def plan_stop(self, *, snapshot: bool) -> list[Change]:
        """Say what `stop` would do: it removes only resources with our tag."""
        ours = self.warehouse.find()
        changes = [Change("-", found.what) for found in ours]
        changes += [Change("-", f"security group {g['GroupName']}", beside=True) for g in self.network.find()]
        changes += [Change("-", f"role {r['RoleName']}", beside=True) for r in self.role.find()]
        if snapshot and any(found.stage != "going" for found in ours):
            changes.append(Change("+", f"a final snapshot with all data, kept for {SNAPSHOT_DAYS} days", beside=True))
        return [self._account(), *changes] if changes else [self._nothing_left()]

    def stop(self, tell: Tell, patience: float, *, snapshot: bool) -> list[Change]:
        """Delete all resources with our tag, the warehouse first, and make sure by listing them again.

        Raises EnvironmentFailure that names what is left, Busy while something cannot be deleted yet.
        """
        changes = []
        for found in self.warehouse.find():
            changes += self.warehouse.delete(found, tell, patience, snapshot=snapshot)
        changes += [self.network.remove(group, tell) for group in self.network.find()]
        changes += [self.role.remove(role, tell) for role in self.role.find()]
        self._refuse_leftovers(changes)
        return [*changes, self._nothing_left()]

    def look(self) -> Found | None:
        """Describe the warehouse; None when there is none."""
        return self.warehouse.look()

    def _account(self) -> Change:
        return Change("=", f"{self.account.who()}, {self.account.region}", beside=True)

    def _nothing_left(self) -> Change:
        return Change("=", f"all gone: nothing tagged {TAG}={self.account.suite} is left in {self.account.region}")

    def _refuse_leftovers(self, changes: list[Change]) -> None:
        left = [found.what for found in self.warehouse.find()]
        left += [f"security group {g['GroupName']} ({g['GroupId']})" for g in self.network.find()]
        left += [f"role {r['RoleName']}" for r in self.role.find()]
        if left:
            why = [change.what for change in changes if change.mark == "="]
            raise EnvironmentFailure(
                f"not everything was removed: {'; '.join(left)}",
                evidence=[f"tagged {TAG}={self.account.suite}, in {self.account.region}", *why],
                hint="python conn_close.py --engine redshift     (tries again)",
            )
