"""Which addresses may connect: our own security group, with one rule for one address."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from dwh.cluster.account import Account, Declined
from dwh.seam import Change, Tell
from dwh.terminal.errors import Busy, ConfigError, EnvironmentFailure

if TYPE_CHECKING:
    from dwh.settings.config import Config

# Answers with the caller's address, as one line of text.
ADDRESS_SERVICE = "https://checkip.amazonaws.com"
ADDRESS_SECONDS = 5
WIDEST = 24
# EC2 does not know a new group everywhere at once [D ec2 apireference query-api-troubleshooting: eventual consistency].
UNKNOWN_GROUP = "InvalidGroup.NotFound"
GROUP_SECONDS, GROUP_PAUSE = 60.0, 2.0
# A group stays in use until the network interfaces of a deleted cluster are gone.
RELEASE_SECONDS = 600.0


def own_address() -> str:
    """Ask for the public address of this machine. Raises EnvironmentFailure when the service does not answer."""
    import ssl
    import urllib.request

    import certifi

    safe = ssl.create_default_context(cafile=certifi.where())
    try:
        with urllib.request.urlopen(ADDRESS_SERVICE, timeout=ADDRESS_SECONDS, context=safe) as answer:
            return str(ipaddress.IPv4Address(answer.read(100).decode("ascii", "replace").strip()))
    except (OSError, ValueError) as error:
        raise EnvironmentFailure(
            f"the address of this machine could not be found: {ADDRESS_SERVICE} did not give it",
            evidence=str(error),
            hint="[CLUSTER] ALLOW_CIDR = 203.0.113.7/32     (the address that may connect)",
        ) from error


def checked_cidr(text: str) -> str:
    """Read the addresses that may connect. Raises ConfigError for more than 256, and for anything but IPv4."""
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise _bad_cidr(text, str(error)) from error
    if network.version != 4:
        raise _bad_cidr(text, "the cluster has IPv4 addresses only")
    if network.prefixlen < WIDEST:
        raise _bad_cidr(text, f"that is {network.num_addresses:,} addresses; at most a /{WIDEST} may connect")
    return str(network)


class Network:
    """The security group, and its rule."""

    def __init__(self, account: Account, config: Config) -> None:
        self.account = account
        self.settings = config.cluster
        self.name = f"dwh-{config.cluster.identifier}"
        self._cidr = ""

    def check(self) -> None:
        """Raise ConfigError when [CLUSTER] ALLOW_CIDR allows too many addresses."""
        if self.settings.allow_cidr:
            self._cidr = checked_cidr(self.settings.allow_cidr)

    @property
    def cidr(self) -> str:
        """Give the addresses that may connect: [CLUSTER] ALLOW_CIDR, else the address of this machine."""
        self._cidr = self._cidr or checked_cidr(self.settings.allow_cidr or own_address())
        return self._cidr

    def find(self) -> list[dict[str, Any]]:
        """Find the groups with our tag, in every VPC."""
        answer = self.account.ask("ec2:DescribeSecurityGroups", Filters=[self.account.tag_filter])
        return [group for group in answer.get("SecurityGroups", []) if self.account.owns(group)]

    def allowed(self) -> list[str]:
        """List the addresses that may connect now."""
        return sorted(rule["CidrIpv4"] for group in self.find() for rule in self._rules(group) if rule.get("CidrIpv4"))

    def plan(self) -> Change:
        """Say what `ensure` would do."""
        return self._compared(self._here(self._vpc()))[0]

    def ensure(self, tell: Tell) -> tuple[Change, str]:
        """Make the group and its one rule, and remove our rules for other addresses. Gives the group's id too.

        Rules that another user added to the group are not changed.
        """
        vpc = self._vpc()
        group = self._here(vpc)
        change, wanted, old = self._compared(group)
        if group is None:
            group = self._create(vpc, tell)
        if not wanted:
            tell(f"allowing {self.cidr}")
            self._authorize(group)
        if old:
            ids = [rule["SecurityGroupRuleId"] for rule in old]
            self.account.ask("ec2:RevokeSecurityGroupIngress", GroupId=group["GroupId"], SecurityGroupRuleIds=ids)
        return change, str(group["GroupId"])

    def remove(self, group: dict[str, Any], tell: Tell) -> Change:
        """Remove one of our groups as soon as nothing uses it. Raises Busy when that takes too long."""
        what = f"security group {group.get('GroupName', '')} ({group['GroupId']})"
        told = False
        for _ in self.account.looks(RELEASE_SECONDS):
            try:
                expected = ("DependencyViolation", "InvalidGroup.NotFound", "InvalidGroup.InUse")
                self.account.ask("ec2:DeleteSecurityGroup", expected=expected, GroupId=group["GroupId"])
            except Declined as declined:
                if declined.code != "InvalidGroup.NotFound":
                    if not told:
                        tell(f"waiting until nothing uses {what}")
                    told = True
                    continue
            return Change("-", what, beside=True)
        raise Busy(
            f"{what} is still in use by something else",
            evidence=f"a network interface holds it: aws ec2 describe-network-interfaces --filters "
            f"Name=group-id,Values={group['GroupId']}",
            hint="python conn_close.py --engine redshift     (once that is gone)",
        )

    def _vpc(self) -> str:
        if self.settings.subnet_group:
            answer = self.account.ask(
                "redshift:DescribeClusterSubnetGroups", ClusterSubnetGroupName=self.settings.subnet_group
            )
            return str(answer["ClusterSubnetGroups"][0]["VpcId"])
        filters = [{"Name": "is-default", "Values": ["true"]}]
        vpcs = self.account.ask("ec2:DescribeVpcs", Filters=filters).get("Vpcs", [])
        if not vpcs:
            raise EnvironmentFailure(
                f"there is no default VPC in {self.account.region}, so the cluster needs a subnet group",
                hint="[CLUSTER] SUBNET_GROUP     (aws redshift describe-cluster-subnet-groups lists them)",
            )
        return str(vpcs[0]["VpcId"])

    def _here(self, vpc: str) -> dict[str, Any] | None:
        return next((group for group in self.find() if group.get("VpcId") == vpc), None)

    def _create(self, vpc: str, tell: Tell) -> dict[str, Any]:
        tell(f"making security group {self.name}")
        try:
            return self.account.ask(
                "ec2:CreateSecurityGroup",
                expected=("InvalidGroup.Duplicate",),
                GroupName=self.name,
                Description="One address may reach the Redshift cluster of the Sparkify warehouse suite",
                VpcId=vpc,
                TagSpecifications=[{"ResourceType": "security-group", "Tags": self.account.tags}],
            )
        except Declined as declined:
            group = self._here(vpc)  # the answer to an earlier request may have been lost
            if group is None:
                raise EnvironmentFailure(
                    f"a security group named {self.name} exists in {vpc} and is not ours (no tag dwh-suite)",
                    evidence=f"{declined}; it was not changed",
                    hint="[CLUSTER] IDENTIFIER = another",
                ) from declined
            return group

    def _rules(self, group: dict[str, Any]) -> list[dict[str, Any]]:
        filters = [{"Name": "group-id", "Values": [group["GroupId"]]}]
        listed = self.account.ask("ec2:DescribeSecurityGroupRules", Filters=filters).get("SecurityGroupRules", [])
        return [rule for rule in listed if not rule.get("IsEgress")]

    def _compared(self, group: dict[str, Any] | None) -> tuple[Change, list[dict[str, Any]], list[dict[str, Any]]]:
        """Give the change to make, the rules that are right, and our rules that are wrong."""
        port = self.settings.db_port
        what = f"port {port} from {self.cidr} only"
        if group is None:
            return Change("+", what, beside=True), [], []
        should_be = {"CidrIpv4": self.cidr, "FromPort": port, "ToPort": port, "IpProtocol": "tcp"}
        rules = self._rules(group)
        wanted = [rule for rule in rules if {key: rule.get(key) for key in should_be} == should_be]
        old = [rule for rule in rules if rule not in wanted and self.account.owns(rule)]
        return Change("=" if wanted and not old else "~", what, beside=True), wanted, old

    def _authorize(self, group: dict[str, Any]) -> None:
        port = self.settings.db_port
        ranges = [{"CidrIp": self.cidr, "Description": "conn_start.py"}]
        for _ in self.account.looks(GROUP_SECONDS, GROUP_PAUSE):
            try:
                self.account.ask(
                    "ec2:AuthorizeSecurityGroupIngress",
                    expected=("InvalidPermission.Duplicate", UNKNOWN_GROUP),
                    GroupId=group["GroupId"],
                    IpPermissions=[{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": ranges}],
                    TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": self.account.tags}],
                )
            except Declined as declined:
                # the rule exists when the answer to an earlier request was lost
                if declined.code == UNKNOWN_GROUP:
                    unknown = declined
                    continue
            return
        raise EnvironmentFailure(
            f"AWS does not know security group {self.name}, which it has just made",
            evidence=str(unknown),
            hint="the same command again, in a minute",
        )


def _bad_cidr(text: str, why: str) -> ConfigError:
    return ConfigError(
        f"[CLUSTER] ALLOW_CIDR = {text} is refused", evidence=why, hint="[CLUSTER] ALLOW_CIDR = 203.0.113.7/32"
    )
