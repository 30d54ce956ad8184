"""One AWS account in one region: one request for each action; an error names the action."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dwh.settings.aws import aws_error, open_session
from dwh.terminal.errors import ConfigError, DwhError, EnvironmentFailure, NotReady

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.exceptions import ClientError

    from dwh.settings.config import Config

TAG = "dwh-suite"
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 10, 30, 4
# AWS does not know a new role everywhere at once [D IAM: eventual consistency].
ROLE_SECONDS, ROLE_PAUSE = 60.0, 5.0

Answer = dict[str, Any]


class Declined(Exception):
    """AWS declined with an error code that the caller handles."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Account:
    """An account, a region and a tag. Sleep and clock are arguments, so that tests do not wait."""

    def __init__(
        self,
        config: Config,
        *,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.aws = config.aws
        self.suite = config.cluster.identifier
        self.pause = config.cluster.poll_seconds
        self.sleep = sleep
        self.now = now
        self._session: Session | None = None
        self._clients: dict[tuple[str, bool], Any] = {}

    @property
    def tags(self) -> list[dict[str, str]]:
        """Give the tag that marks our resources."""
        return [{"Key": TAG, "Value": self.suite}]

    @property
    def tag_filter(self) -> dict[str, Any]:
        """Give the tag in the form in which EC2 filters."""
        return {"Name": f"tag:{TAG}", "Values": [self.suite]}

    def owns(self, thing: Mapping[str, Any]) -> bool:
        """Tell whether something that AWS described carries our tag."""
        return self.tags[0] in [{"Key": tag["Key"], "Value": tag["Value"]} for tag in thing.get("Tags", ())]

    @property
    def region(self) -> str:
        """Give the region. Raises ConfigError when none is set anywhere."""
        region = self._opened().region_name
        if not region:
            raise ConfigError("no AWS region is set", hint="[AWS] REGION = us-west-2")
        return str(region)

    @property
    def partition(self) -> str:
        """Give the first part of every ARN: aws, aws-cn or aws-us-gov."""
        return str(self._opened().get_partition_for_region(self.region))

    def arn(self, service: str, resource: str) -> str:
        """Give the ARN of something in this account and region, such as `cluster:sparkify-dwh`."""
        account = self.ask("sts:GetCallerIdentity")["Account"]
        return f"arn:{self.partition}:{service}:{self.region}:{account}:{resource}"

    def who(self) -> str:
        """Give the account and the user or role of the credentials."""
        caller = self.ask("sts:GetCallerIdentity")
        return f"account {caller['Account']} as {caller['Arn'].split(':', 5)[-1]}"

    def ask(self, action: str, *, expected: Collection[str] = (), once: bool = False, **parameters: object) -> Answer:
        """Do one action, such as `redshift:DescribeClusters`; gives AWS's answer, all pages of it.

        Raises Declined for the `expected` error codes, and a DwhError for all others. With `once` the request is not
        repeated when no answer comes: AWS may have received it.
        """
        from botocore import xform_name
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        service, operation = action.split(":")
        method = xform_name(operation)
        try:
            client = self._client(service, once)
            if client.can_paginate(method):
                return dict(client.get_paginator(method).paginate(**parameters).build_full_result())
            return dict(getattr(client, method)(**parameters))
        except ClientError as error:
            code, detail = _said(error)
            if code in expected:
                raise Declined(code, detail) from error
            raise self._worded(code, detail) or aws_error(error, action, self.aws) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise aws_error(error, action, self.aws) from error

    def looks(self, patience: float, pause: float | None = None) -> Iterator[float]:
        """Pace the status checks of something slow: gives the seconds since the first one, pauses between two, and ends
        when `patience` seconds are over."""
        began = self.now()
        while True:
            yield self.now() - began
            if self.now() - began >= patience:
                return
            self.sleep(self.pause if pause is None else min(pause, self.pause))

    def _opened(self) -> Session:
        if self._session is None:
            self._session = open_session(self.aws)
        return self._session

    def _client(self, service: str, once: bool) -> Any:
        from botocore.config import Config as ClientConfig

        if (service, once) not in self._clients:
            settings = ClientConfig(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": 1 if once else ATTEMPTS},
            )
            session: Any = self._opened()  # its stubs know only services that are spelt out
            self._clients[service, once] = session.client(service, region_name=self.region, config=settings)
        return self._clients[service, once]

    def _worded(self, code: str, detail: str) -> DwhError | None:
        for codes, kind, message, hint in _CASES:
            if code in codes:
                return kind(message.format(region=self.region), evidence=f"{code}: {detail}", hint=hint)
        return None


def _said(error: ClientError) -> tuple[str, str]:
    said = error.response.get("Error", {})
    return str(said.get("Code", "")), str(said.get("Message", ""))


# Error codes of CreateCluster, CreateWorkgroup and the like [B], our class, our message, what to try.
_CASES: tuple[tuple[Collection[str], type[DwhError], str, str | Sequence[str]], ...] = (
    (
        ("ClusterQuotaExceeded", "NumberOfNodesQuotaExceeded", "NumberOfNodesPerClusterLimitExceeded"),
        EnvironmentFailure,
        "this account has reached its limit of Redshift clusters or nodes of that type in {region}",
        ("aws service-quotas list-service-quotas --service-code redshift", "[AWS] REGION = another"),
    ),
    (
        ("InsufficientClusterCapacity",),
        EnvironmentFailure,
        "AWS has no free nodes of that type in {region} now",
        ("[CLUSTER] NODE_TYPE = ra3.xlplus     (another type)", "[AWS] REGION = another"),
    ),
    (
        ("ServiceQuotaExceededException",),
        EnvironmentFailure,
        "this account has reached its limit of Redshift Serverless in {region}",
        ("aws service-quotas list-service-quotas --service-code redshift-serverless", "[AWS] REGION = another"),
    ),
    (
        ("InsufficientCapacityException",),
        EnvironmentFailure,
        "AWS has no free capacity for Redshift Serverless in {region} now",
        ("the same command again, later", "[AWS] REGION = another"),
    ),
    (
        ("ClusterSubnetGroupNotFoundFault",),
        EnvironmentFailure,
        "there is no such subnet group in {region}",
        "[CLUSTER] SUBNET_GROUP     (aws redshift describe-cluster-subnet-groups lists them)",
    ),
    (
        ("ClusterSnapshotQuotaExceeded",),
        EnvironmentFailure,
        "this account has reached its limit of snapshots in {region}; nothing was deleted",
        ("delete old snapshots", "python conn_close.py --engine redshift --no-snapshot"),
    ),
    (
        ("ClusterSnapshotNotFound", "InvalidClusterSnapshotState", "InvalidRestore", "AccessToSnapshotDenied"),
        EnvironmentFailure,
        "AWS does not restore that snapshot in {region}",
        (
            "python conn_start.py --engine redshift --from-snapshot latest",
            "aws redshift describe-cluster-snapshots --snapshot-type manual",
        ),
    ),
    (
        ("DependentServiceRequestThrottlingFault", "DependentServiceUnavailableFault"),
        NotReady,
        "a service that Redshift needs is not available in {region} at the moment",
        "the same command again, later",
    ),
)
