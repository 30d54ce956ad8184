"""Redshift Serverless as its API is documented: a state machine of namespaces, workgroups, limits and snapshots.

moto 5.2.5 does not know the service. Every request is held against botocore's model [B]: see `model.py`; every answer
too, so that this cannot say what AWS could not. The other rules name their source, as in `cloud.py`. Time passes by one
look at a thing: Get, of a namespace, a workgroup or a snapshot.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore import xform_name
from moto.iam.models import iam_backends
from moto.secretsmanager.models import secretsmanager_backends

from cluster import model

SERVICE = "redshift-serverless"
SIZES = (4, *range(8, 513, 8), *range(544, 1025, 32))  # [D mgmt/serverless-capacity.html]
PORTS = (*range(5431, 5456), *range(8191, 8216))  # [B CreateWorkgroup]
FOR_ONE_REQUEST = ("workgroupName",)
MADE = "2026-11-01T00:00:00Z"
Thing = dict[str, Any]


class Refused(Exception):
    """The service declines."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class ServerlessAccount:
    """The service in one account and region. How slow it is is counted in looks: `making` a workgroup, `changing` or
    restoring, `leaving` of either, `snapping` a snapshot, `applying` a role; `running` is how many DeleteNamespace are
    refused after its workgroup has gone, `unknown_role` how many CreateNamespace until IAM knows a role everywhere."""

    account: str
    region: str
    passwords: dict[str, str]
    groups: Callable[[], Iterable[str]]  # the ids of the security groups that there are
    release: Callable[[list[str]], None]  # called with the security groups of a workgroup that is gone
    endpoint: tuple[str, int] = ("", 5439)
    making: int = 2
    changing: int = 1
    leaving: int = 2
    snapping: int = 1
    applying: int = 1
    running: int = 1
    unknown_role: int = 0
    namespaces: dict[str, Thing] = field(default_factory=dict)
    workgroups: dict[str, Thing] = field(default_factory=dict)
    limits: dict[str, Thing] = field(default_factory=dict)
    snapshots: dict[str, Thing] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    restored: list[tuple[str, str]] = field(default_factory=list)  # snapshot, namespace
    _left: dict[str, int] = field(default_factory=dict)  # looks until the status of an ARN changes
    _applying: dict[str, int] = field(default_factory=dict)
    _busy: dict[str, int] = field(default_factory=dict)  # DeleteNamespace to refuse, by name
    _numbers: Any = field(default_factory=itertools.count)

    def all(self) -> dict[str, list[str]]:
        """Name everything that there is and that costs or stays, but snapshots."""
        limits = [str(limit["amount"]) for limit in self.limits.values()]
        return {"namespaces": sorted(self.namespaces), "workgroups": sorted(self.workgroups), "limits": sorted(limits)}

    def empty(self) -> None:
        """Empty the service."""
        for things in (self.namespaces, self.workgroups, self.limits, self.snapshots, self.tags):
            things.clear()
        for rest in (self.restored, self._left, self._applying, self._busy):
            rest.clear()

    def hurry(self) -> None:
        """Let everything that is under way be done at the next look."""
        self._left.clear()

    # ------------------------------------------------------------------------------------------------------ the wire

    def serve(self, environ: Mapping[str, Any], start_response: Any) -> list[bytes]:
        """Answer one request, in JSON 1.1 as the model says."""
        name = environ["HTTP_X_AMZ_TARGET"].removeprefix("RedshiftServerless.")
        body, status = environ["wsgi.input"].read(), "200 OK"
        try:
            answer = self.answer(name, json.loads(body or b"{}"))
        except Refused as refused:
            answer, status = {"__type": refused.code, "message": str(refused)}, "400 Error"
        text = json.dumps(answer).encode()
        start_response(status, [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(text)))])
        return [text]

    def answer(self, name: str, given: Thing) -> Thing:
        """Do one action. Raises Refused as the service does."""
        operation = model.service(SERVICE).operation_model(name)
        wrong = list(model.faults(operation.input_shape, given, name))
        if wrong:
            raise Refused("ValidationException", "; ".join(wrong))
        answer: Thing = getattr(self, xform_name(name))(given)
        impossible = list(model.faults(operation.output_shape, answer, name, empty=True))
        assert not impossible, impossible
        return answer

    # ---------------------------------------------------------------------------------------------------- namespaces

    def create_namespace(self, given: Thing) -> Thing:
        """Make a namespace: AVAILABLE at once, since its statuses have no CREATING [B NamespaceStatus]."""
        name, user = given["namespaceName"], given.get("adminUsername", "admin")
        if name in self.namespaces:
            raise Refused("ConflictException", f"Namespace {name} already exists.")
        if given.get("manageAdminPassword") and "adminUserPassword" in given:  # [B]
            raise Refused("ValidationException", "adminUserPassword cannot be used with manageAdminPassword")
        self._check_roles(given, creates=True)
        space = self.namespaces[name] = {
            "namespaceName": name,
            "namespaceArn": self._new_arn("namespace"),
            "adminUsername": user,
            "dbName": given.get("dbName", "dev"),
            "status": "AVAILABLE",
            "creationDate": MADE,
            "defaultIamRoleArn": given.get("defaultIamRoleArn", ""),
            "roles": given.get("iamRoles", []),
        }
        self._applying[name] = self.applying
        self._set_password(space, given)
        self._tag(space["namespaceArn"], given)
        return {"namespace": self._shown(space)}

    def get_namespace(self, given: Thing) -> Thing:
        """Look at a namespace."""
        space = self._found(self.namespaces, given["namespaceName"], "Namespace")
        if self._look(space, "namespaceArn"):
            self._forget_namespace(space)
            raise Refused("ResourceNotFoundException", f"Namespace {space['namespaceName']} not found.")
        return {"namespace": self._shown(space)}

    def list_namespaces(self, _given: Thing) -> Thing:
        """List all, of everybody."""
        return {"namespaces": [self._shown(space) for space in self.namespaces.values()]}

    def update_namespace(self, given: Thing) -> Thing:
        """Change the roles: both keys together, and the new list replaces the old one [B]."""
        space = self._available(self.namespaces, given["namespaceName"], "namespace")
        if ("iamRoles" in given) != ("defaultIamRoleArn" in given):
            raise Refused("ValidationException", "iamRoles and defaultIamRoleArn are updated together")
        self._check_roles(given)
        space.update(roles=given["iamRoles"], defaultIamRoleArn=given["defaultIamRoleArn"], status="MODIFYING")
        self._left[space["namespaceArn"]] = self.changing
        self._applying[space["namespaceName"]] = self.applying
        return {"namespace": self._shown(space)}

    def delete_namespace(self, given: Thing) -> Thing:
        """Begin to delete a namespace that no workgroup uses, after its last snapshot if one is named."""
        name = given["namespaceName"]
        space = self._found(self.namespaces, name, "Namespace")
        if any(group["namespaceName"] == name for group in self.workgroups.values()):  # [B ConflictException]; text [U]
            raise Refused("ConflictException", f"Namespace {name} has a workgroup.")
        if space["status"] != "AVAILABLE" or self._busy.get(name, 0) > 0:  # [G] hashicorp/terraform-provider-aws
            self._busy[name] = self._busy.get(name, 0) - 1
            text = "There is an operation running on the namespace. Try deleting the namespace again later."
            raise Refused("ConflictException", text)
        if snapshot := given.get("finalSnapshotName"):
            if snapshot in self.snapshots:
                raise Refused("ConflictException", f"Snapshot {snapshot} already exists.")
            self.add_snapshot(snapshot, space, given.get("finalSnapshotRetentionPeriod", -1))
        space["status"] = "DELETING"
        self._left[space["namespaceArn"]] = self.leaving
        return {"namespace": self._shown(space)}

    # ---------------------------------------------------------------------------------------------------- workgroups

    def create_workgroup(self, given: Thing) -> Thing:
        """Make a workgroup over a namespace that has none: one each [D mgmt/serverless-workgroup-namespace.html]."""
        name, over = given["workgroupName"], given["namespaceName"]
        if name in self.workgroups:
            raise Refused("ConflictException", f"Workgroup {name} already exists.")
        self._available(self.namespaces, over, "namespace")
        if any(group["namespaceName"] == over for group in self.workgroups.values()):
            raise Refused("ConflictException", f"Namespace {over} has a workgroup already.")
        self._check_sizes(given)
        if unknown := set(given.get("securityGroupIds", ())) - set(self.groups()):  # code [U]
            raise Refused("ValidationException", f"unknown security groups: {unknown}")
        group = self.workgroups[name] = {
            "workgroupName": name,
            "namespaceName": over,
            "workgroupArn": self._new_arn("workgroup"),
            "status": "CREATING",
            "creationDate": MADE,
            "baseCapacity": given.get("baseCapacity", 128),  # [D mgmt/serverless-capacity.html]
            "port": given.get("port", 5439),
            "publiclyAccessible": given.get("publiclyAccessible", False),
            "securityGroupIds": given.get("securityGroupIds", []),
            "subnetIds": given.get("subnetIds", []),
            "configParameters": given.get("configParameters", []),
            **({"maxCapacity": given["maxCapacity"]} if "maxCapacity" in given else {}),
        }
        self._left[group["workgroupArn"]] = self.making
        self._tag(group["workgroupArn"], given)
        return {"workgroup": self._shown(group)}

    def get_workgroup(self, given: Thing) -> Thing:
        """Look at a workgroup."""
        group = self._found(self.workgroups, given["workgroupName"], "Workgroup")
        if self._look(group, "workgroupArn"):
            self._forget_workgroup(group)
            raise Refused("ResourceNotFoundException", f"Workgroup {group['workgroupName']} not found.")
        return {"workgroup": self._shown(group)}

    def list_workgroups(self, _given: Thing) -> Thing:
        """List all, of everybody."""
        return {"workgroups": [self._shown(group) for group in self.workgroups.values()]}

    def update_workgroup(self, given: Thing) -> Thing:
        """Change one thing [B UpdateWorkgroup: not several in one request]."""
        group = self._available(self.workgroups, given["workgroupName"], "workgroup")
        changed = {key: value for key, value in given.items() if key not in FOR_ONE_REQUEST}
        if len(changed) != 1:
            raise Refused("ValidationException", f"one change a request, not {sorted(changed)}")
        self._check_sizes({**group, **changed})
        group.update(changed, status="MODIFYING")
        self._left[group["workgroupArn"]] = self.changing
        return {"workgroup": self._shown(group)}

    def delete_workgroup(self, given: Thing) -> Thing:
        """Begin to delete a workgroup that is not being made or changed [B ConflictException]."""
        group = self._available(self.workgroups, given["workgroupName"], "workgroup")
        group["status"] = "DELETING"
        self._left[group["workgroupArn"]] = self.leaving
        return {"workgroup": self._shown(group)}

    # -------------------------------------------------------------------------------------------------- limits, tags

    def create_usage_limit(self, given: Thing) -> Thing:
        """Set a limit: one for each type and period [B ConflictException]; what it is for must exist."""
        if given["resourceArn"] not in self.tags:
            raise Refused("ResourceNotFoundException", given["resourceArn"])
        self._check_amount(given)
        limit = {"breachAction": "log", "period": "monthly", **given}  # [B] the defaults
        same = ("resourceArn", "usageType", "period")
        if any(all(known[key] == limit[key] for key in same) for known in self.limits.values()):
            raise Refused("ConflictException", "there is such a limit")
        limit["usageLimitId"] = str(uuid.uuid4())
        self.limits[limit["usageLimitId"]] = limit
        return {"usageLimit": limit}

    def list_usage_limits(self, given: Thing) -> Thing:
        """List those of a resource and type."""
        wanted = {key: given[key] for key in ("resourceArn", "usageType") if key in given}
        return {"usageLimits": [one for one in self.limits.values() if wanted.items() <= one.items()]}

    def update_usage_limit(self, given: Thing) -> Thing:
        """Change amount and action."""
        limit = self._found(self.limits, given["usageLimitId"], "Usage limit")
        self._check_amount(given)
        limit.update(given)
        return {"usageLimit": limit}

    def delete_usage_limit(self, given: Thing) -> Thing:
        """Remove a limit."""
        return {"usageLimit": self.limits.pop(self._found(self.limits, given["usageLimitId"], "")["usageLimitId"])}

    def list_tags_for_resource(self, given: Thing) -> Thing:
        """Give the tags of an ARN."""
        tags = self._found(self.tags, given["resourceArn"], "Resource")
        return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}

    def tag_resource(self, given: Thing) -> Thing:
        """Add tags to an ARN."""
        self._found(self.tags, given["resourceArn"], "Resource")
        self._tag(given["resourceArn"], given)
        return {}

    def untag_resource(self, given: Thing) -> Thing:
        """Remove tags of an ARN, whether or not it has them."""
        tags = self._found(self.tags, given["resourceArn"], "Resource")
        for key in given["tagKeys"]:
            tags.pop(key, None)
        return {}

    # ---------------------------------------------------------------------------------------- snapshots, credentials

    def add_snapshot(self, name: str, space: Thing, days: int) -> Thing:
        """Take a snapshot of a namespace, and give it."""
        arn = self._new_arn("snapshot")
        self.snapshots[name] = {
            "snapshotName": name,
            "snapshotArn": arn,
            "namespaceName": space["namespaceName"],
            "adminUsername": space["adminUsername"],
            "status": "CREATING",
            "snapshotRetentionPeriod": days,
            "snapshotCreateTime": f"2026-11-01T00:{next(self._numbers) % 60:02}:00Z",
        }
        self._left[arn] = self.snapping
        return self.snapshots[name]

    def get_snapshot(self, given: Thing) -> Thing:
        """Look at a snapshot."""
        snapshot = self._found(self.snapshots, given["snapshotName"], "Snapshot")
        self._look(snapshot, "snapshotArn")
        return {"snapshot": snapshot}

    def delete_snapshot(self, given: Thing) -> Thing:
        """Remove a snapshot that is not being written [B ConflictException]."""
        name = given["snapshotName"]
        self._available(self.snapshots, name, "snapshot")
        return {"snapshot": self.snapshots.pop(name)}

    def list_snapshots(self, given: Thing) -> Thing:
        """List all, or those of a namespace that is there."""
        if name := given.get("namespaceName"):
            self._found(self.namespaces, name, "Namespace")  # [B ResourceNotFoundException]
        found = [one for one in self.snapshots.values() if name in (None, one["namespaceName"])]
        for snapshot in found:
            self._look(snapshot, "snapshotArn")
        return {"snapshots": found}

    def restore_from_snapshot(self, given: Thing) -> Thing:
        """Replace what is in a namespace [D mgmt/serverless-snapshots-recovery-points.html]; needs a workgroup [B]."""
        space = self._available(self.namespaces, given["namespaceName"], "namespace")
        group = self._available(self.workgroups, given["workgroupName"], "workgroup")
        snapshot = self._found(self.snapshots, given["snapshotName"], "Snapshot")
        if group["namespaceName"] != space["namespaceName"] or snapshot["status"] != "AVAILABLE":
            raise Refused("ValidationException", "the workgroup, or the status of the snapshot")
        space["status"], space["adminUsername"] = "MODIFYING", snapshot["adminUsername"]
        self._left[space["namespaceArn"]] = self.changing
        self._set_password(space, given)
        self.restored.append((snapshot["snapshotName"], space["namespaceName"]))
        return {"namespace": self._shown(space), "snapshotName": snapshot["snapshotName"]}

    def get_credentials(self, given: Thing) -> Thing:
        """Give a password for a while to the IAM identity that asks; no other user can be named [B]."""
        self._found(self.workgroups, given["workgroupName"], "Workgroup")
        if not 900 <= given.get("durationSeconds", 900) <= 3600:
            raise Refused("ValidationException", "durationSeconds")
        self.passwords["IAM:ours"] = f"temporary-password-{next(self._numbers)}"
        return {"dbUser": "IAM:ours", "dbPassword": self.passwords["IAM:ours"], "expiration": MADE}

    # --------------------------------------------------------------------------------------------------------- parts

    def _check_roles(self, given: Thing, *, creates: bool = False) -> None:
        roles, default = given.get("iamRoles", []), given.get("defaultIamRoleArn")
        if default and default not in roles:  # [G] hashicorp/terraform-provider-aws
            raise Refused("ValidationException", "the default IAM role must be one of the IAM roles")
        known = {role.arn for role in iam_backends[self.account]["aws"].roles.values()}
        self.unknown_role -= creates
        if set(roles) - known or (creates and self.unknown_role >= 0):  # the code and the words are not known [U]
            raise Refused("ValidationException", f"The IAM role {roles} is not valid")

    def _check_sizes(self, given: Thing) -> None:
        base, most = given.get("baseCapacity", 128), given.get("maxCapacity")
        if base not in SIZES:
            raise Refused("ValidationException", f"base capacity {base}")
        if most is not None and most < base:  # [D mgmt/serverless-billing-on-demand.html]
            raise Refused("ValidationException", f"max capacity {most} is less than base capacity {base}")
        if given.get("port", 5439) not in PORTS:
            raise Refused("ValidationException", f"port {given['port']}")

    def _check_amount(self, given: Thing) -> None:
        if given.get("amount", 1) <= 0:  # [B UsageLimit: a positive number]
            raise Refused("ValidationException", "amount")

    def _set_password(self, space: Thing, given: Thing) -> None:
        user = space["adminUsername"]
        if given.get("manageAdminPassword"):  # makes a real secret, named like this [G]
            name, text = f"redshift!{space['namespaceName']}-{user}", {"username": user, "password": "Managed-1-by-aws"}
            secrets = secretsmanager_backends[self.account][self.region]
            secrets.secrets.pop(name)
            kept = secrets.create_managed_secret("redshift", name, json.dumps(text))
            space.update(adminPasswordSecretArn=kept.arn, secret=name)
            self.passwords[user] = text["password"]
        elif "adminUserPassword" in given:
            self.passwords[user] = given["adminUserPassword"]

    def _look(self, thing: Thing, key: str) -> bool:
        """Let time pass by one look at a thing; tell whether it is gone now."""
        arn = thing[key]
        if self._left.get(arn, 0) > 0:
            self._left[arn] -= 1
        elif thing["status"] == "DELETING":
            return True
        else:
            if key == "namespaceArn" and thing["status"] == "AVAILABLE":
                self._applying[thing["namespaceName"]] -= 1
            thing["status"] = "AVAILABLE"
        return False

    def _shown(self, thing: Thing) -> Thing:
        """Describe a thing as the service does."""
        shown = {key: value for key, value in thing.items() if key not in ("roles", "secret")}
        if "roles" in thing:  # each role as one text [G] hashicorp/terraform-provider-aws
            status = "in-sync" if self._applying[thing["namespaceName"]] <= 0 else "adding"
            shown["iamRoles"] = [f"IamRole(applyStatus={status}, iamRoleArn={arn})" for arn in thing["roles"]]
        elif thing["status"] != "CREATING":  # none while it is being made [U]
            shown["endpoint"] = dict(zip(("address", "port"), self.endpoint, strict=True))
        return shown

    def _found(self, things: dict[str, Any], name: str, noun: str) -> Any:
        if name not in things:
            raise Refused("ResourceNotFoundException", f"{noun} {name} not found.")
        return things[name]

    def _available(self, things: dict[str, Thing], name: str, noun: str) -> Thing:
        thing: Thing = self._found(things, name, noun.title())
        if thing["status"] != "AVAILABLE":
            raise Refused("ConflictException", f"There is an operation running on the {noun}.")  # [G] as above
        return thing

    def _forget_namespace(self, space: Thing) -> None:
        del self.namespaces[space["namespaceName"]], self.tags[space["namespaceArn"]]
        # the managed secret goes with its namespace [U], as with a cluster [D]
        if "secret" in space:
            secretsmanager_backends[self.account][self.region].secrets.pop(space["secret"])

    def _forget_workgroup(self, group: Thing) -> None:
        """Its limits go with it [U]."""
        del self.workgroups[group["workgroupName"]], self.tags[group["workgroupArn"]]
        self._busy[group["namespaceName"]] = self.running
        self.release(group["securityGroupIds"])
        of_it = [number for number, limit in self.limits.items() if limit["resourceArn"] == group["workgroupArn"]]
        for number in of_it:
            del self.limits[number]

    def _new_arn(self, noun: str) -> str:
        return f"arn:aws:{SERVICE}:{self.region}:{self.account}:{noun}/{uuid.uuid4()}"

    def _tag(self, arn: str, given: Thing) -> None:
        known = self.tags.setdefault(arn, {})
        known.update({tag["key"]: tag["value"] for tag in given.get("tags", [])})
