"""The final snapshots of a namespace: chosen, restored, and believed in only when AWS shows them."""

from __future__ import annotations

from dwh.cluster.account import Account, Answer, Declined
from dwh.cluster.kind import LATEST, Snapshot
from dwh.cluster.part import GONE, SERVICE
from dwh.cluster.watching import passed
from dwh.seam import Tell
from dwh.terminal.errors import Busy, EnvironmentFailure

# The others end by themselves, or are AVAILABLE [B SnapshotStatus].
_LOST = ("DELETED", "CANCELLED", "FAILED")


class NamespaceSnapshots:
    """The snapshots of the namespace of our name, whether or not the namespace is there."""

    def __init__(self, account: Account, name: str) -> None:
        self.account = account
        self.name = name

    def choose(self, wanted: str) -> Snapshot:
        """Find a snapshot that can be restored by its name; for `latest`, the newest.

        Raises EnvironmentFailure, with those that there are, when there is no such one.
        """
        # by name alone: a namespace that is gone cannot be asked for its own
        listed = self.account.ask(f"{SERVICE}:ListSnapshots").get("snapshots", [])
        ours = [one for one in listed if one.get("namespaceName") == self.name and one.get("status") == "AVAILABLE"]
        ours.sort(key=lambda one: str(one.get("snapshotCreateTime", "")))
        names = [str(one["snapshotName"]) for one in ours]
        if names and wanted in (LATEST, *names):
            return dict(ours[-1] if wanted == LATEST else ours[names.index(wanted)])
        raise EnvironmentFailure(
            f"there is no snapshot {'' if wanted == LATEST else wanted + ' '}of namespace {self.name}",
            evidence=f"there are: {', '.join(names) or 'none'}",
            hint="python conn_start.py --engine redshift     (makes an empty warehouse)",
        )

    def restore(self, snapshot: Snapshot, *, managed: bool) -> None:
        """Have AWS replace all that is in the namespace. With `managed` AWS makes and keeps a new admin password."""
        self.account.ask(
            f"{SERVICE}:RestoreFromSnapshot",
            namespaceName=self.name,
            workgroupName=self.name,
            snapshotName=snapshot["snapshotName"],
            manageAdminPassword=managed,
        )

    def prove(self, snapshot: str, tell: Tell, patience: float) -> None:
        """Wait until AWS shows that the snapshot can be restored.

        Raises EnvironmentFailure when there is none, Busy when `patience` seconds are over.
        """
        status = ""
        for elapsed in self.account.looks(patience):
            found = self._named(snapshot)
            status = str(found.get("status", "")) if found else "missing"
            if status == "AVAILABLE":
                return
            if found is None or status in _LOST:
                raise EnvironmentFailure(
                    f"the namespace is gone, and its final snapshot {snapshot} is {status}",
                    hint=f"aws {SERVICE} list-snapshots, and list-recovery-points",
                )
            tell(f"snapshot {status}, {passed(elapsed)} elapsed")
        raise Busy(
            f"snapshot {snapshot} is not complete yet: {status}",
            hint=f"aws {SERVICE} get-snapshot --snapshot-name {snapshot}",
        )

    def _named(self, snapshot: str) -> Answer | None:
        try:
            found = self.account.ask(f"{SERVICE}:GetSnapshot", expected=(GONE,), snapshotName=snapshot)
        except Declined:
            return None
        return dict(found["snapshot"])
