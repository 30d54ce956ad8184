"""The compute of a Serverless warehouse: its workgroup, and the daily limit of what that may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dwh.cluster.account import Account, Answer, Declined
from dwh.cluster.kind import PRIVATE
from dwh.cluster.part import CONFLICT, GOING, INVALID, SERVICE, Part
from dwh.seam import Tell
from dwh.terminal.errors import Busy, EnvironmentFailure

if TYPE_CHECKING:
    from dwh.settings.sections import Cluster

COMPUTE = "serverless-compute"


class Workgroups(Part):
    """The workgroups of an account; ours is made and changed as the settings have it."""

    def __init__(self, account: Account, settings: Cluster) -> None:
        super().__init__(account, "workgroup")
        self.settings = settings

    def wanted(self) -> str:
        """Say what the settings ask for."""
        hours = self.settings.max_rpu_hours
        limit = "no daily limit" if hours is None else f"at most {hours} RPU-hours a day"
        return f"{self.settings.base_rpu} to {self.settings.max_rpu} RPU, {limit}"

    def words(self, group: Answer) -> str:
        """Say what a workgroup has."""
        limit = self._limit(group)
        bound = f"at most {limit['amount']} RPU-hours a day" if limit else "no daily limit"
        public = "PUBLIC" if group.get("publiclyAccessible") else "not public"
        return f"{group.get('baseCapacity')} to {group.get('maxCapacity')} RPU, {bound}, {public}"

    def differences(self, group: Answer) -> list[str]:
        """Say what differs between a workgroup and the settings, as it will be."""
        settings, limit = self.settings, self._limit(group)
        changed = [f"{key}={value}" for key, value in self._changes(group).items() if key != "publiclyAccessible"]
        if bool(group.get("publiclyAccessible")) != settings.public:
            changed.append("PUBLIC" if settings.public else PRIVATE)
        if (limit["amount"] if limit else None) != settings.max_rpu_hours:
            changed.append(
                "no daily limit" if settings.max_rpu_hours is None else f"{settings.max_rpu_hours} RPU-hours a day"
            )
        return changed

    def ensure(self, name: str, group: Answer | None, security_group: str, tell: Tell, patience: float) -> Answer:
        """Make the workgroup over the namespace of the same name if it is missing, and change what differs; gives its
        description once it is available. The limit is set before anything can connect.

        Raises Busy when `patience` seconds are over, EnvironmentFailure when AWS refuses.
        """
        if group and group["status"] == GOING:
            self.await_gone(name, tell, patience)
            group = None
        if group is None:
            self._create(name, security_group, tell, patience)
        group = self.settle(name, tell, patience)
        for key, value in self._changes(group, security_group).items():
            tell(f"changing {key} to {value}")
            # AWS takes one change a request [B UpdateWorkgroup]
            self.ask("Update", name, **{key: value})
            group = self.settle(name, tell, patience)
        self._ensure_limit(group, tell)
        return group

    def _create(self, name: str, security_group: str, tell: Tell, patience: float) -> None:
        tell(f"making workgroup {name}, {self.wanted()}")
        wanted: dict[str, Any] = {
            "namespaceName": name,
            "baseCapacity": self.settings.base_rpu,
            "maxCapacity": self.settings.max_rpu,
            "port": self.settings.db_port,
            "publiclyAccessible": self.settings.public,
            "securityGroupIds": [security_group],
            "configParameters": [{"parameterKey": "require_ssl", "parameterValue": "true"}],
            "tags": [{"key": tag["Key"], "value": tag["Value"]} for tag in self.account.tags],
            **({"subnetIds": self._subnets()} if self.settings.subnet_group else {}),
        }
        for _ in self.account.looks(patience):
            try:
                self.ask("Create", name, expected=(CONFLICT, INVALID), **wanted)
            except Declined as declined:
                if declined.code == INVALID:
                    raise EnvironmentFailure(
                        f"AWS refused to make workgroup {name}",
                        evidence=str(declined),
                        hint="[CLUSTER] in dwh.cfg",
                    ) from declined
                if self.own(name) is None:  # raises when it is not ours
                    tell("the namespace is busy; trying again")
                    continue
            return
        raise Busy(f"workgroup {name} cannot be made yet", hint="python conn_start.py --engine redshift")

    def _subnets(self) -> list[str]:
        """Give the subnets of the cluster subnet group that [CLUSTER] SUBNET_GROUP names; at least two, in two zones
        [D mgmt/serverless-usage-considerations.html]."""
        answer = self.account.ask(
            "redshift:DescribeClusterSubnetGroups", ClusterSubnetGroupName=self.settings.subnet_group
        )
        return [str(subnet["SubnetIdentifier"]) for subnet in answer["ClusterSubnetGroups"][0]["Subnets"]]

    def _changes(self, group: Answer, security_group: str = "") -> dict[str, Any]:
        """Give what to change, in an order that AWS takes: the base is never above the most, whatever grows."""
        settings = self.settings
        sizes = {"maxCapacity": settings.max_rpu, "baseCapacity": settings.base_rpu}
        if settings.max_rpu < int(group.get("baseCapacity") or 0):
            sizes = dict(reversed(sizes.items()))
        wanted = {**sizes, "publiclyAccessible": settings.public, "port": settings.db_port}
        changes: dict[str, Any] = {key: value for key, value in wanted.items() if group.get(key) != value}
        if security_group and security_group not in group.get("securityGroupIds", []):
            changes["securityGroupIds"] = [*group.get("securityGroupIds", []), security_group]
        return changes

    def _limit(self, group: Answer) -> Answer | None:
        """Give the daily limit of what a workgroup computes."""
        arn = group["workgroupArn"]
        found = self.account.ask(f"{SERVICE}:ListUsageLimits", resourceArn=arn, usageType=COMPUTE)
        return next((dict(limit) for limit in found.get("usageLimits", []) if limit.get("period") == "daily"), None)

    def _ensure_limit(self, group: Answer, tell: Tell) -> None:
        """Set the daily limit, change it, or remove it. Beyond it AWS takes no query until the day is over [D]."""
        hours, limit = self.settings.max_rpu_hours, self._limit(group)
        same: dict[str, Any] = {"amount": hours, "breachAction": "deactivate"}
        if (limit is None and hours is None) or (limit and {key: limit.get(key) for key in same} == same):
            return
        tell("removing the daily limit" if hours is None else f"limiting it to {hours} RPU-hours a day")
        if limit and hours is None:
            self.account.ask(f"{SERVICE}:DeleteUsageLimit", usageLimitId=limit["usageLimitId"])
        elif limit:
            self.account.ask(f"{SERVICE}:UpdateUsageLimit", usageLimitId=limit["usageLimitId"], **same)
        else:
            new: dict[str, Any] = {"resourceArn": group["workgroupArn"], "usageType": COMPUTE, "period": "daily"}
            try:
                self.account.ask(f"{SERVICE}:CreateUsageLimit", expected=(CONFLICT,), **new, **same)
            except Declined:
                return  # it exists: the answer to an earlier request was lost
