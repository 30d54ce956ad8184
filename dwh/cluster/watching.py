"""Watching a cluster come and go.

boto's own waiters are silent, and wait 30 minutes for a cluster that has failed [B waiters-2.json].
"""

from __future__ import annotations

from typing import Any, Protocol

from dwh.cluster.account import ROLE_SECONDS, Account, Declined
from dwh.seam import Tell
from dwh.terminal.errors import Busy, EnvironmentFailure

UP = ("available", "available, prep-for-resize", "available, resize-cleanup")
GOING = ("deleting", "final-snapshot")
CLOSE = "python conn_close.py --engine redshift     (removes it, billing ends)"
# The statuses that waiting does not change [B shape Cluster]; the suite waits for every other one.
_BROKEN = {
    "hardware-failure": ("a node has failed", CLOSE),
    "incompatible-hsm": ("its hardware security module cannot be reached", CLOSE),
    "incompatible-network": ("its VPC or subnet group does not fit, or has no free address", CLOSE),
    "incompatible-parameters": ("its parameter group holds a value that it cannot take", CLOSE),
    "incompatible-restore": ("its snapshot cannot be restored like this", CLOSE),
    "paused": (
        "it was paused; a paused cluster costs only storage",
        "aws redshift resume-cluster --cluster-identifier {name}",
    ),
    "storage-full": ("its disks are full", "[CLUSTER] NUM_NODES, or delete data: the AWS console resizes"),
    "deleting": ("it is being deleted", "python conn_start.py --engine redshift     (waits, then makes a new one)"),
    "final-snapshot": ("it is being deleted", "python conn_start.py --engine redshift     (waits)"),
}


class Watched(Protocol):
    """A cluster that is being watched: its account, its name, and its last known status."""

    account: Account
    name: str
    seen: str | None

    def describe(self) -> dict[str, Any] | None:
        """Give AWS's description of it; None when there is no cluster of that name."""


def broken(status: str) -> str:
    """Say why a cluster in this status will never be available; empty when waiting may help."""
    return _BROKEN.get(status, ("", ""))[0]


def await_available(cluster: Watched, tell: Tell, patience: float, role: str = "") -> dict[str, Any]:
    """Wait until the cluster is available, and until it uses the role if one is named; gives its description.

    Raises EnvironmentFailure for a status that waiting does not change, Busy when `patience` seconds are over.
    """
    status, waited = "", False
    for elapsed in cluster.account.looks(patience):
        found = cluster.describe()
        if found is None and elapsed < min(patience, ROLE_SECONDS):
            status = "not visible yet"  # a cluster that was just requested
        elif found is None:
            raise EnvironmentFailure(f"cluster {cluster.name} is gone", hint="python conn_start.py --engine redshift")
        else:
            status = _status_of(found, role)
            if not status:
                if waited:
                    tell(f"available after {passed(elapsed)}")
                return found
            _refuse_broken(cluster.name, found)
        tell(f"{status}, {passed(elapsed)} elapsed")
        waited = True
    raise Busy(
        f"cluster {cluster.name} is not available yet: {status}",
        evidence="it is billed, and AWS continues to work on it",
        hint=("python conn_start.py --engine redshift     (waits for it)", CLOSE),
    )


def await_gone(cluster: Watched, name: str, tell: Tell, patience: float) -> None:
    """Wait until there is no cluster of this name. Raises Busy when `patience` seconds are over."""
    status = "deleting"
    for elapsed in cluster.account.looks(patience):
        try:
            action = "redshift:DescribeClusters"
            found = cluster.account.ask(action, expected=("ClusterNotFound",), ClusterIdentifier=name)["Clusters"]
        except Declined:
            found = []
        status = cluster.seen = str(found[0]["ClusterStatus"]) if found else ""
        if not found:
            return
        tell(f"{status}, {passed(elapsed)} elapsed")
    raise Busy(
        f"cluster {name} is still being deleted: {status}",
        hint="the same command again     (waits until it is gone)",
    )


def _status_of(found: dict[str, Any], role: str) -> str:
    """Name what is still missing; empty when nothing is."""
    if found["ClusterStatus"] not in UP:
        return str(found["ClusterStatus"])
    roles = {given["IamRoleArn"]: given.get("ApplyStatus") for given in found.get("IamRoles", [])}
    # before the role is in-sync, COPY fails because it may not use it [G]
    return "" if not role or roles.get(role) == "in-sync" else "its role is not in use yet"


def _refuse_broken(name: str, found: dict[str, Any]) -> None:
    status = str(found["ClusterStatus"])
    failed = found.get("ClusterAvailabilityStatus") == "Failed"
    if status in _BROKEN or failed:
        why, hint = _BROKEN.get(status, ("AWS reports that it has failed", CLOSE))
        raise EnvironmentFailure(f"cluster {name} is {status}", evidence=why, hint=hint.format(name=name))


def passed(elapsed: float) -> str:
    """Write the time that has passed: `2m 05s`."""
    return f"{int(elapsed // 60)}m {int(elapsed % 60):02d}s"
