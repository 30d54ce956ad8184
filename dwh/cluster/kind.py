"""The seam between the two kinds of warehouse in AWS, on one screen: a cluster, or Serverless.

To add a kind: write this class, and add a line to `Lifecycle` in `lifecycle.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol

from dwh.cluster.account import Account
from dwh.seam import Change, Tell

Snapshot = Mapping[str, Any]  # as AWS describes it, for its kind only

SNAPSHOT_DAYS = 7
LATEST = "latest"
# The tag that names a snapshot on itself and on what is made from it. AWS keeps tags when it restores a cluster in the
# same region [D23 mgmt/amazon-redshift-tagging].
SOURCE_TAG = "dwh-snapshot"
# `up` can be connected to, `going` is being deleted, `other` is made, changed or broken.
Stage = Literal["up", "going", "other"]

PUBLIC = "PUBLIC: it gets an address on the internet"
PRIVATE = "not public: only machines inside its VPC can reach it"


class Surroundings(NamedTuple):
    """The resources beside a warehouse: the ARN of its role, the id of its security group, the snapshot it is made
    from."""

    role: str
    group: str
    snapshot: Snapshot | None = None


class Found(NamedTuple):
    """A warehouse as AWS describes it now. `what` names it in a plan, `status` is AWS's word for `stage`. `host` is
    empty while it is made. `secret` is the ARN of the admin password that AWS keeps; empty when it keeps none.
    `described` is AWS's own answer, for its kind only."""

    name: str
    what: str
    status: str
    stage: Stage
    host: str
    port: int
    secret: str
    public: bool
    described: dict[str, Any]


class Kind(Protocol):
    """One kind of warehouse, of the name [CLUSTER] IDENTIFIER. `noun` is what a person calls it, `slices` how many
    files of a COPY it reads at once (None: not known). `serverless`: its name in AWS is that of a workgroup."""

    account: Account
    name: str
    noun: str
    serverless: bool

    @property
    def slices(self) -> int | None:
        """Give the number of files of a COPY that are read at once, as the settings have it; None: not known."""

    @property
    def is_up(self) -> bool:
        """Tell whether it could be connected to when AWS was last asked. Sends no request."""

    def check(self) -> None:
        """Raise ConfigError for settings that AWS would refuse. Sends no request."""

    def look(self) -> Found | None:
        """Describe the one of our name; None when there is none. Raises EnvironmentFailure when it is not ours."""

    def find(self) -> list[Found]:
        """Find those with our tag, under any name."""

    def choose(self, snapshot: str) -> Snapshot:
        """Find a snapshot of ours by its name, or the newest final one: `latest`.

        Raises EnvironmentFailure when there is none, or it is not ours.
        """

    def plan(self, found: Found | None, snapshot: Snapshot | None = None) -> Change:
        """Say what `ensure` would do with what was found.

        Raises EnvironmentFailure when a snapshot is asked for and what was found was not made from it.
        """

    def price(self, described: Mapping[str, Any] | None) -> str:
        """Say in one line what it costs, as AWS describes it, or a snapshot of it; None: as the settings have it."""

    def ensure(self, found: Found | None, around: Surroundings, tell: Tell, patience: float) -> Change:
        """Make it if it is missing, change what differs from the settings, and wait until it can be connected to.

        Raises Busy when `patience` seconds are over, EnvironmentFailure when it will never be up.
        """

    def await_gone(self, name: str, tell: Tell, patience: float) -> None:
        """Wait until nothing of this name is left. Raises Busy when `patience` seconds are over."""

    def delete(self, found: Found, tell: Tell, patience: float, *, snapshot: bool) -> list[Change]:
        """Delete ours, with a final snapshot if one is wanted, and wait until it is gone; billing ends then.

        Raises Busy when `patience` seconds are over, EnvironmentFailure when AWS refuses it for good.
        """

    def last_word(self, place: str) -> str:
        """Say what goes on costing, as far as AWS has told, and how to end it; empty when nothing does."""
