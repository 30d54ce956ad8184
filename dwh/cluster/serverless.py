"""A Serverless warehouse: a namespace holds its data, a workgroup computes while a statement runs, a daily limit bounds
what that costs. All three are made, changed and deleted by the name [CLUSTER] IDENTIFIER."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dwh.cluster.account import ROLE_PAUSE, ROLE_SECONDS, Account, Answer, Declined
from dwh.cluster.kind import PRIVATE, PUBLIC, SNAPSHOT_DAYS, SOURCE_TAG, Found, Kind, Snapshot, Stage, Surroundings
from dwh.cluster.limits import check_names, check_rpus
from dwh.cluster.namespace_snapshots import NamespaceSnapshots
from dwh.cluster.part import CONFLICT, GOING, INVALID, UP, Part
from dwh.cluster.price import price_line
from dwh.cluster.workgroup import Workgroups
from dwh.seam import Change, Tell
from dwh.terminal.errors import Busy, DwhError, EnvironmentFailure, NotReady

if TYPE_CHECKING:
    from dwh.settings.config import Config

RESTORING = "dwh-restoring"  # the tag of a namespace that is made for a snapshot, until the snapshot is in it
COSTS = "compute is billed while a statement runs (at least a minute), storage by the month until conn_close.py"


class Serverless(Kind):
    """The warehouse. `seen` is what AWS last told of it; None when there is none, or (not `asked`) before any look."""

    noun = "Serverless warehouse"
    serverless = True
    slices = None  # AWS does not tell them

    def __init__(self, account: Account, config: Config) -> None:
        self.account = account
        self.settings = config.cluster
        self.name = config.cluster.identifier
        self.namespaces = Part(account, "namespace")
        self.workgroups = Workgroups(account, config.cluster)
        self.snapshots = NamespaceSnapshots(account, self.name)
        self.seen: Found | None = None
        self.asked = False

    @property
    def is_up(self) -> bool:
        """Tell whether both parts were available when AWS was last asked."""
        return self.seen is not None and self.seen.stage == "up"

    def check(self) -> None:
        """Raise ConfigError for settings that AWS would refuse. Sends no request."""
        check_names(self.settings)
        check_rpus(self.settings)

    def look(self) -> Found | None:
        """Describe both parts of our name; None without either. Raises EnvironmentFailure when one is not ours."""
        self.seen = self._joined(self.name, self.namespaces.own(self.name), self.workgroups.own(self.name))
        self.asked = True
        return self.seen

    def find(self) -> list[Found]:
        """Find the namespaces and workgroups with our tag, under any name; those of one name are one warehouse."""
        spaces = {str(space["namespaceName"]): space for space in self.namespaces.ours()}
        groups = {str(group["workgroupName"]): group for group in self.workgroups.ours()}
        joined = [self._joined(name, spaces.get(name), groups.get(name)) for name in sorted({*spaces, *groups})]
        found = [one for one in joined if one]
        self.seen, self.asked = found[0] if found else None, True
        return found

    def choose(self, snapshot: str) -> Snapshot:
        """Find a snapshot of the namespace of our name, as `NamespaceSnapshots.choose` does."""
        return self.snapshots.choose(snapshot)

    def plan(self, found: Found | None, snapshot: Snapshot | None = None) -> Change:
        """Say what `ensure` would do with the two parts as they were described.

        Raises EnvironmentFailure when a snapshot is asked for and the namespace was not made for it, or it waits for
        one and none is asked for: a restore replaces all that is in a namespace.
        """
        wanted = self.workgroups.wanted()
        if found and found.stage != "going":
            self._refuse_other_source(found, snapshot)
        if found is None or found.stage == "going" or _tag(found, RESTORING):
            public = PUBLIC if self.settings.public else PRIVATE
            source = f" from snapshot {snapshot['snapshotName']}" if snapshot else ""
            return Change("+", f"Serverless warehouse {self.name}{source}, {wanted}, encrypted, {public}; {COSTS}")
        group = found.described["workgroup"]
        if group is None or group["status"] == GOING:
            return Change("~", f"namespace {self.name} stays; a workgroup is made for it: {wanted}")
        changed = self.workgroups.differences(group)
        what = f"Serverless warehouse {self.name}, {self.workgroups.words(group)}, {found.status}"
        return Change("~", f"{what}; from now on {', '.join(changed)}") if changed else Change("=", what)

    def price(self, described: Mapping[str, Any] | None) -> str:  # noqa: ARG002
        """Say what the capacity of the settings costs while a statement runs: a start gives it that capacity."""
        return price_line("serverless", "", self.settings.base_rpu, self.account.region)

    def ensure(self, found: Found | None, around: Surroundings, tell: Tell, patience: float) -> Change:
        """Make what is missing of the two parts and the limit, change what differs, and wait until all is available
        and the role is in use. A snapshot is put into a namespace that was made for it; stopped at any moment, the same
        call continues.

        Raises Busy when `patience` seconds are over, EnvironmentFailure when AWS refuses, and for a namespace that
        waits for its snapshot.
        """
        change, snapshot = self.plan(found, around.snapshot), around.snapshot
        self._ensure_both(found, around, tell, patience)
        if snapshot and change.mark == "+":
            tell(f"restoring snapshot {snapshot['snapshotName']}")
            self.snapshots.restore(snapshot, managed=not self.settings.db_password)
            space = self.namespaces.settle(self.name, tell, patience)
            self._give_role(space, around.role, tell, patience)
            arn = space["namespaceArn"]
            self.account.ask("redshift-serverless:UntagResource", resourceArn=arn, tagKeys=[RESTORING])
            self.look()
        return change

    def await_gone(self, name: str, tell: Tell, patience: float) -> None:
        """Wait until neither part of this name is left. Raises Busy when `patience` seconds are over."""
        self.workgroups.await_gone(name, tell, patience)
        self.namespaces.await_gone(name, tell, patience)
        self.seen = None

    def delete(self, found: Found, tell: Tell, patience: float, *, snapshot: bool) -> list[Change]:
        """Delete the workgroup, then its namespace [B: else ConflictException], and wait until both are gone.

        Its data stays in the namespace until AWS has taken the snapshot. Raises Busy while a part cannot be deleted,
        EnvironmentFailure when AWS shows no snapshot though one was asked for.
        """
        space, group = found.described["namespace"], found.described["workgroup"]
        if group:
            tell(f"deleting workgroup {found.name}")
            self.workgroups.delete(found.name, tell, patience)
        changes = [Change("-", f"Serverless warehouse {found.name}, billing has ended")]
        if space:
            kept = ""
            if snapshot and space["status"] != GOING:
                kept = f"{found.name}-final-{datetime.now(UTC):%Y%m%d-%H%M%S}"
            # without a number of days it is kept for ever, and billed [U]
            last = {"finalSnapshotName": kept, "finalSnapshotRetentionPeriod": SNAPSHOT_DAYS} if kept else {}
            tell(f"deleting namespace {found.name}" + (f", its data is kept in snapshot {kept}" if kept else ""))
            self.namespaces.delete(found.name, tell, patience, **last)
            if kept:
                self.snapshots.prove(kept, tell, patience)
                changes = [Change("+", f"snapshot {kept}, kept for {SNAPSHOT_DAYS} days"), *changes]
        self.seen = None
        return changes

    def last_word(self, place: str) -> str:
        """Say what goes on costing, as far as AWS has told, and how to end it; empty when nothing does."""
        end = "to end it: python conn_close.py --engine redshift"
        if not self.asked:
            return f"if {place} is there, {COSTS}; {end}"
        if self.seen is None:
            return ""
        if self.seen.stage == "going":
            return f"{place} is being deleted; to make sure: python conn_close.py --engine redshift"
        if self.seen.stage == "up":
            return f"{place} is up; {COSTS}; {end}"
        return f"{place} ({self.seen.status}): {COSTS}; {end}; to continue: python conn_start.py --engine redshift"

    # ----------------------------------------------------------------------------------------------------- the steps

    def _ensure_both(self, found: Found | None, around: Surroundings, tell: Tell, patience: float) -> None:
        parts = found.described if found and found.stage != "going" else {}
        if not parts.get("namespace"):
            self._create_namespace(around, tell)
        space = self.namespaces.settle(self.name, tell, patience)
        self._note(space, parts.get("workgroup"))
        group = self.workgroups.ensure(self.name, parts.get("workgroup"), around.group, tell, patience)
        self._give_role(space, around.role, tell, patience)
        self._note(self.namespaces.settle(self.name, tell, patience), group)

    def _create_namespace(self, around: Surroundings, tell: Tell) -> None:
        """Request the namespace. Waits while AWS does not know the role yet, as for a cluster."""
        tell(f"making namespace {self.name}; storage is billed from now on")
        password = {"adminUserPassword": self.settings.db_password.reveal()}
        source = str(around.snapshot["snapshotName"]) if around.snapshot else ""
        marks = [{"key": key, "value": source} for key in (SOURCE_TAG, RESTORING)] if source else []
        wanted: dict[str, Any] = {
            "adminUsername": self.settings.db_user,
            **(password if self.settings.db_password else {"manageAdminPassword": True}),
            "dbName": self.settings.db_name,
            "iamRoles": [around.role],
            "defaultIamRoleArn": around.role,
            "tags": [{"key": tag["Key"], "value": tag["Value"]} for tag in self.account.tags] + marks,
        }
        self.asked = False  # from here on it may be there, whatever AWS answers
        for _ in self.account.looks(ROLE_SECONDS, ROLE_PAUSE):
            try:
                self.namespaces.ask("Create", self.name, expected=(CONFLICT, INVALID), **wanted)
            except Declined as declined:
                if declined.code == CONFLICT:  # the answer to an earlier request may have been lost
                    self.namespaces.own(self.name)  # raises when it is not ours
                    return
                refused = EnvironmentFailure(
                    f"AWS refused to make namespace {self.name}", evidence=str(declined), hint="[CLUSTER] in dwh.cfg"
                )
                # AWS does not document its text for a role that it does not know yet [U]
                if "role" in declined.detail.lower():
                    tell(f"AWS does not know the role everywhere yet; trying again ({declined})")
                    continue
                self.asked = True
                raise refused from declined
            except NotReady:  # whether AWS heard it is not known: the next start finds it by its name
                raise
            except DwhError:
                self.asked = True
                raise
            return
        self.asked = True
        raise refused

    def _give_role(self, space: Answer, role: str, tell: Tell, patience: float) -> None:
        """Add the role to the namespace, unless it has it, and wait until it is in use."""
        given = _roles(space)
        if role not in given or space.get("defaultIamRoleArn") != role:
            tell("giving it the role")
            # both are updated together, and the list replaces the one before [B UpdateNamespace]
            self.namespaces.ask("Update", self.name, iamRoles=sorted({*given, role}), defaultIamRoleArn=role)
        for _ in self.account.looks(patience):
            if _roles(self.namespaces.settle(self.name, tell, patience)).get(role) == "in-sync":
                return
            tell("its role is not in use yet")
        raise Busy(
            f"namespace {self.name} does not use its role yet",
            evidence=role,
            hint="python conn_start.py --engine redshift     (waits for it)",
        )

    def _refuse_other_source(self, found: Found, snapshot: Snapshot | None) -> None:
        """Raise EnvironmentFailure when what is there was not made from this snapshot, or waits for another one."""
        asked, source, waits = (
            str((snapshot or {}).get("snapshotName", "")),
            _tag(found, SOURCE_TAG),
            _tag(found, RESTORING),
        )
        if asked and asked != source:
            raise EnvironmentFailure(
                f"there is a Serverless warehouse {self.name} already; a restore would replace all data in it",
                evidence=f"it was made from snapshot {source}" if source else "it was not made from a snapshot",
                hint=(
                    "python conn_start.py --engine redshift     (to use it as it is)",
                    "python conn_close.py --engine redshift     (then the same command again)",
                ),
            )
        if waits and not asked:
            raise EnvironmentFailure(
                f"Serverless warehouse {self.name} was made for snapshot {waits}, which is not in it yet",
                hint=(
                    f"python conn_start.py --engine redshift --from-snapshot {waits}     (continues)",
                    "python conn_close.py --engine redshift --no-snapshot     (gives it up; the snapshot stays)",
                ),
            )

    def _note(self, space: Answer | None, group: Answer | None) -> None:
        self.seen, self.asked = self._joined(self.name, space, group), True

    def _joined(self, name: str, space: Answer | None, group: Answer | None) -> Found | None:
        """Describe the two parts of a name as one warehouse."""
        if space is None and group is None:
            return None
        told = [
            f"namespace {name}, {space['status']}" if space else "",
            f"workgroup {name}, {group['status']}" if group else "",
        ]
        statuses = [part["status"] if part else "missing" for part in (space, group)]
        endpoint = (group or {}).get("endpoint", {})  # while a workgroup is being made it may have none [U]
        host = str(endpoint.get("address", ""))
        going = GOING in (statuses[:1] if space else statuses)
        stage: Stage = "up" if statuses == [UP, UP] and host else "going" if going else "other"
        return Found(
            name,
            "; ".join(text for text in told if text),
            UP if stage == "up" else f"namespace {statuses[0]}, workgroup {statuses[1]}",
            stage,
            host,
            int(endpoint.get("port", self.settings.db_port)),
            str((space or {}).get("adminPasswordSecretArn", "")),
            bool((group or {}).get("publiclyAccessible")),
            {"namespace": space, "workgroup": group},
        )


def _roles(space: Answer) -> dict[str, str]:
    """Give the roles of a namespace and how far AWS is with each. AWS gives each as one text,
    `IamRole(applyStatus=in-sync, iamRoleArn=arn:...)` [G]; one that is a bare ARN [B] counts as in use."""
    found = {}
    for text in space.get("iamRoles", []):
        inner = text.removeprefix("IamRole(").removesuffix(")")
        pairs = dict(pair.strip().split("=", 1) for pair in inner.split(",") if "=" in pair)
        found[pairs.get("iamRoleArn", text)] = pairs.get("applyStatus", "in-sync")
    return found


def _tag(found: Found, key: str) -> str:
    """Give the value of a tag of a namespace; empty without it."""
    tags = (found.described["namespace"] or {}).get("tags", [])
    return next((str(tag["value"]) for tag in tags if tag["key"] == key), "")
