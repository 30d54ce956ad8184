"""The two parts of a Serverless warehouse, each by its name and tag: a namespace (data, users), a workgroup (compute).

botocore has no waiters for them [B]: what is slow is watched here.
"""

from __future__ import annotations

from typing import Any, Literal

from dwh.cluster.account import ROLE_SECONDS, TAG, Account, Answer, Declined
from dwh.cluster.watching import CLOSE, passed
from dwh.seam import Tell
from dwh.terminal.errors import Busy, EnvironmentFailure

SERVICE = "redshift-serverless"
# ConflictException says both `exists already` and `busy` [B].
GONE, CONFLICT, INVALID = "ResourceNotFoundException", "ConflictException", "ValidationException"
# CREATING, of a workgroup only, and MODIFYING end by themselves [B NamespaceStatus, WorkgroupStatus].
UP, GOING = "AVAILABLE", "DELETING"


class Part:
    """The namespaces or the workgroups of an account. `own` and `ours` describe each as AWS does, with its `tags`."""

    def __init__(self, account: Account, noun: Literal["namespace", "workgroup"]) -> None:
        self.account = account
        self.noun = noun

    def ask(self, verb: str, name: str, *, expected: tuple[str, ...] = (), **parameters: object) -> Answer:
        """Do one action with the one of this name, as `Account.ask` does."""
        given: dict[str, Any] = {f"{self.noun}Name": name, **parameters}
        return self.account.ask(f"{SERVICE}:{verb}{self.noun.title()}", expected=expected, **given)

    def named(self, name: str) -> Answer | None:
        """Describe the one of this name, whoever it belongs to, without its tags; None when there is none."""
        try:
            return dict(self.ask("Get", name, expected=(GONE,))[self.noun])
        except Declined:
            return None

    def own(self, name: str) -> Answer | None:
        """Describe ours of this name; None when there is none. Raises EnvironmentFailure when it is not ours."""
        named = self.named(name)
        found = self._tagged(named) if named else None
        if found is None or self._is_ours(found):
            return found
        arn = found[f"{self.noun}Arn"]
        raise EnvironmentFailure(
            f"a {self.noun} named {name} exists and is not ours (no tag {TAG}={self.account.suite})",
            evidence=f"made {found.get('creationDate', 'by another user')}; it was not changed",
            hint=(
                "[CLUSTER] IDENTIFIER = another",
                "[CLUSTER] HOST     (to use it as it is)",
                f"aws {SERVICE} tag-resource --resource-arn {arn} --tags key={TAG},value={self.account.suite}"
                "     (to make it ours)",
            ),
        )

    def every(self) -> list[Answer]:
        """Describe all of them, without their tags."""
        found = self.account.ask(f"{SERVICE}:List{self.noun.title()}s").get(f"{self.noun}s", [])
        return [dict(thing) for thing in found]

    def ours(self) -> list[Answer]:
        """Describe those with our tag, under any name. AWS cannot list them by tag [B]: each is asked for its tags."""
        return [thing for thing in map(self._tagged, self.every()) if thing and self._is_ours(thing)]

    def settle(self, name: str, tell: Tell, patience: float) -> Answer:
        """Wait until the one of this name is available; gives its description.

        Raises EnvironmentFailure when it is going or gone, Busy when `patience` seconds are over.
        """
        status, waited = "", False
        for elapsed in self.account.looks(patience):
            found = self.named(name)
            if found and found["status"] == UP:
                if waited:
                    tell(f"{self.noun} available after {passed(elapsed)}")
                return found
            if (found and found["status"] == GOING) or (found is None and elapsed >= min(patience, ROLE_SECONDS)):
                text = f"{self.noun} {name} is {'being deleted' if found else 'gone'}"
                raise EnvironmentFailure(text, hint="python conn_start.py --engine redshift     (makes a new one)")
            status = str(found["status"]) if found else "not visible yet"  # just requested
            tell(f"{self.noun} {status}, {passed(elapsed)} elapsed")
            waited = True
        raise Busy(
            f"{self.noun} {name} is not available yet: {status}",
            evidence="AWS continues to work on it",
            hint=("python conn_start.py --engine redshift     (waits for it)", CLOSE),
        )

    def delete(self, name: str, tell: Tell, patience: float, **choice: object) -> None:
        """Delete the one of this name as soon as AWS lets it go, and wait until it is gone.

        Raises EnvironmentFailure when what is not ours uses it, Busy when `patience` seconds are over.
        """
        for _ in self.account.looks(patience):
            try:
                self.ask("Delete", name, expected=(GONE, CONFLICT), **choice)
            except Declined as declined:
                found = self.named(name)
                if found and found["status"] != GOING:
                    # an operation that still runs, made or changed a moment ago, ends by itself [G]
                    self._refuse_users(name, declined)
                    tell(f"{self.noun} {found['status']}: cannot be deleted yet")
                    continue
            self.await_gone(name, tell, patience)
            return
        raise Busy(f"{self.noun} {name} cannot be deleted yet", hint="python conn_close.py --engine redshift")

    def await_gone(self, name: str, tell: Tell, patience: float) -> None:
        """Wait until there is none of this name. Raises Busy when `patience` seconds are over."""
        status = GOING
        for elapsed in self.account.looks(patience):
            found = self.named(name)
            if found is None:
                return
            status = str(found["status"])
            tell(f"{self.noun} {status}, {passed(elapsed)} elapsed")
        raise Busy(
            f"{self.noun} {name} is still being deleted: {status}",
            hint="the same command again     (waits until it is gone)",
        )

    def _refuse_users(self, name: str, declined: Declined) -> None:
        if self.noun != "namespace":
            return
        users = [w["workgroupName"] for w in Part(self.account, "workgroup").every() if w.get("namespaceName") == name]
        if users:
            raise EnvironmentFailure(
                f"namespace {name} cannot be deleted: workgroup {', '.join(users)}, which is not ours, uses it",
                evidence=str(declined),
                hint=f"aws {SERVICE} delete-workgroup --workgroup-name {users[0]}     (then close again)",
            ) from declined

    def _is_ours(self, thing: Answer) -> bool:
        return self.account.owns({"Tags": [{"Key": tag["key"], "Value": tag["value"]} for tag in thing["tags"]]})

    def _tagged(self, thing: dict[str, Any]) -> Answer | None:
        try:
            answer = self.account.ask(
                f"{SERVICE}:ListTagsForResource", expected=(GONE,), resourceArn=thing[f"{self.noun}Arn"]
            )
        except Declined:  # it went in this moment
            return None
        return {**thing, "tags": answer.get("tags", [])}
