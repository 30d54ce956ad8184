"""The IAM role with which the warehouse reads the sources and writes the lake."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from dwh.cluster.account import Account, Declined
from dwh.cluster.policies import copy_policy, trust_policy
from dwh.seam import Change, Tell
from dwh.terminal.errors import ConfigError, EnvironmentFailure

if TYPE_CHECKING:
    from dwh.settings.config import Config

POLICY = "copy-and-unload"
LONGEST_NAME = 64  # [B iam/2010-05-08]
GONE = ("NoSuchEntity",)


class Role:
    """The role: [IAM_ROLE] ARN, which is never changed, or our own role below its own path.

    IAM cannot list roles by tag, but by path: so our roles are found again even if [IAM_ROLE] NAME has changed. The
    path holds the region, because all regions share IAM, and the tag is the same in each.
    """

    def __init__(self, account: Account, config: Config) -> None:
        self.account = account
        self.s3 = config.s3
        self.given = config.iam_role.arn
        ending = "-copy"
        self.name = config.iam_role.name or config.cluster.identifier[: LONGEST_NAME - len(ending)] + ending

    def check(self) -> None:
        """Raise ConfigError for a text that is not the ARN of a role."""
        if self.given and not re.fullmatch(r"arn:aws[\w-]*:iam::\d{12}:role/\S+", self.given):
            raise ConfigError(
                f"[IAM_ROLE] ARN = {self.given} is not the ARN of a role",
                hint="[IAM_ROLE] ARN = arn:aws:iam::123456789012:role/name     (or empty: one is made)",
            )

    @property
    def path(self) -> str:
        """Give the path of our roles in this region."""
        return f"/dwh-suite/{self.account.region}/"

    def find(self) -> list[dict[str, Any]]:
        """Find the roles with our tag, without the one that [IAM_ROLE] ARN names."""
        listed = self.account.ask("iam:ListRoles", PathPrefix=self.path).get("Roles", [])
        return [role for role in listed if role["Arn"] != self.given and self._is_ours(role["RoleName"])]

    def plan(self) -> Change:
        """Say what `ensure` would do. Raises EnvironmentFailure for a role of our name that is not ours."""
        ours = [] if self.given else self.find()
        if self.taken(ours):
            raise self._not_ours("it was not changed")
        return self._compared(self._named(ours))

    def taken(self, ours: list[dict[str, Any]]) -> bool:
        """Tell whether a role of our name is there that is not among `ours`: below another path, or without our tag.

        All roles are listed: a policy that names only ours does not let one ask for another by its name.
        """
        if self.given or self._named(ours):
            return False
        return any(role["RoleName"] == self.name for role in self.account.ask("iam:ListRoles").get("Roles", []))

    def ensure(self, tell: Tell) -> tuple[Change, str]:
        """Make the role, or update its rights to the places of [S3]; gives its ARN too.

        Raises EnvironmentFailure when a role that is not ours has that name.
        """
        if self.given:
            return self.plan(), self.given
        role = self._named(self.find())
        change = self._compared(role)
        if role is None:
            tell(f"making role {self.name}")
            role = self._create()
        if change.mark != "=":
            wanted = copy_policy(self.s3, self.account.partition)
            if wanted:
                document = json.dumps(wanted)
                self.account.ask("iam:PutRolePolicy", RoleName=self.name, PolicyName=POLICY, PolicyDocument=document)
            elif self._policy() is not None:
                self.account.ask("iam:DeleteRolePolicy", RoleName=self.name, PolicyName=POLICY)
        return change, str(role["Arn"])

    def remove(self, role: dict[str, Any], tell: Tell) -> Change:
        """Remove one of our roles, its rights first [B: else DeleteConflict].

        A role with policies that another user attached is kept: the listing at the end names it.
        """
        name = role["RoleName"]
        tell(f"removing role {name}")
        of_policy: dict[str, Any] = {"PolicyName": POLICY}
        for action, more in (("iam:DeleteRolePolicy", of_policy), ("iam:DeleteRole", {})):
            try:
                self.account.ask(action, expected=(*GONE, "DeleteConflict"), RoleName=name, **more)
            except Declined as declined:
                if declined.code == "DeleteConflict":
                    return Change("=", f"role {name} has policies that conn_start.py did not give it", beside=True)
        return Change("-", f"role {name}", beside=True)

    def _named(self, ours: list[dict[str, Any]]) -> dict[str, Any] | None:
        return next((role for role in ours if role["RoleName"] == self.name), None)

    def _compared(self, role: dict[str, Any] | None) -> Change:
        if self.given:
            return Change("=", f"role {self.given}, given by [IAM_ROLE] ARN", beside=True)
        what = f"role {self.name}, {self._rights()}"
        if role is None:
            return Change("+", what, beside=True)
        same = self._policy() == copy_policy(self.s3, self.account.partition)
        return Change("=" if same else "~", what, beside=True)

    def _create(self) -> dict[str, Any]:
        try:
            made = self.account.ask(
                "iam:CreateRole",
                expected=("EntityAlreadyExists",),
                Path=self.path,
                RoleName=self.name,
                AssumeRolePolicyDocument=json.dumps(trust_policy()),
                Description="Lets Redshift read the sources and write the lake of the Sparkify warehouse suite",
                Tags=self.account.tags,
            )
            return dict(made["Role"])
        except Declined as declined:
            # the answer to an earlier request may have been lost: then the role is ours
            role = self._named(self.find())
            if role is None:
                raise self._not_ours(f"{declined}; it was not changed") from declined
            return role

    def _not_ours(self, evidence: str) -> EnvironmentFailure:
        return EnvironmentFailure(
            f"a role named {self.name} exists and is not ours (no tag, or made for another region)",
            evidence=evidence,
            hint=("[IAM_ROLE] NAME = another", "[IAM_ROLE] ARN = its ARN     (to use it as it is)"),
        )

    def _is_ours(self, name: str) -> bool:
        try:
            return self.account.owns(self.account.ask("iam:ListRoleTags", expected=GONE, RoleName=name))
        except Declined:
            return False

    def _policy(self) -> dict[str, Any] | None:
        try:
            found = self.account.ask("iam:GetRolePolicy", expected=GONE, RoleName=self.name, PolicyName=POLICY)
        except Declined:
            return None
        return dict(found["PolicyDocument"])

    def _rights(self) -> str:
        reads = [place for place in (*self.s3.song_data, *self.s3.log_data) if place.startswith("s3://")]
        writes = [place for place in (self.s3.work, self.s3.lake) if place.startswith("s3://")]
        rights = [f"reads {', '.join(sorted(set(reads)))}"] * bool(reads)
        rights += [f"reads and writes {', '.join(sorted(set(writes)))}"] * bool(writes)
        return "; ".join(rights) or "without rights: no place of [S3] is in S3"
