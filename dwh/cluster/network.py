"""Which addresses may connect: our own security group, with a rule for each of them."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from dwh.cluster.account import Account, Declined
from dwh.cluster.whereabouts import own_address, own_seat
from dwh.seam import Change, Tell
from dwh.terminal.errors import Busy, ConfigError, EnvironmentFailure

if TYPE_CHECKING:
    from dwh.settings.config import Config

WIDEST = 24
# EC2 does not know a new group everywhere at once [D ec2 apireference query-api-troubleshooting: eventual consistency].
UNKNOWN_GROUP = "InvalidGroup.NotFound"
GROUP_SECONDS, GROUP_PAUSE = 60.0, 2.0
# A group stays in use until the network interfaces of a deleted cluster are gone.
RELEASE_SECONDS = 600.0


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
    """The security group, and its rules."""

    def __init__(self, account: Account, config: Config) -> None:
        self.account = account
        self.settings = config.cluster
        self.name = f"dwh-{config.cluster.identifier}"
        self._cidrs: tuple[str, ...] = ()
        self._vpc_id = ""

    def check(self) -> None:
        """Raise ConfigError when [CLUSTER] ALLOW_CIDR allows too many addresses."""
        if self.settings.allow_cidr:
            self._cidrs = (checked_cidr(self.settings.allow_cidr),)

    def cidrs(self) -> tuple[str, ...]:
        """Give the addresses that may connect: [CLUSTER] ALLOW_CIDR, else those under which the cluster sees this
        machine. Ask for them before anything is made.

        Inside a VPC that is the private address, and a public cluster has an address inside too [D
        mgmt/managing-clusters-vpc]. Raises ConfigError when a cluster that is not public could not be reached from
        here, and EnvironmentFailure when the public address cannot be found.
        """
        if not self._cidrs:
            seat = own_seat(self.account.aws)
            inside = seat is not None and seat.vpc == self._vpc()
            private = [checked_cidr(seat.address)] if seat and inside else []
            if not private and not self.settings.public:
                raise self._not_inside(seat.vpc if seat else "")
            self._cidrs = (*private, *([checked_cidr(own_address())] if self.settings.public else []))
        return self._cidrs

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
        """Make the group and its rules, and remove our rules for other addresses. Gives the group's id too.

        Rules that another user added to the group are not changed.
        """
        vpc = self._vpc()
        group = self._here(vpc)
        change, missing, old = self._compared(group)
        if group is None:
            group = self._create(vpc, tell)
        if missing:
            tell(f"allowing {' and '.join(missing)}")
            self._authorize(group, missing)
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
        self._vpc_id = self._vpc_id or self._find_vpc()
        return self._vpc_id

    def _find_vpc(self) -> str:
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

    def _compared(self, group: dict[str, Any] | None) -> tuple[Change, list[str], list[dict[str, Any]]]:
        """Give the change to make, the addresses without a rule, and our rules that are wrong."""
        port, cidrs = self.settings.db_port, self.cidrs()
        what = f"port {port} from {' and '.join(cidrs)} only"
        if group is None:
            return Change("+", what, beside=True), list(cidrs), []
        rules = self._rules(group)
        should_be = {"FromPort": port, "ToPort": port, "IpProtocol": "tcp"}
        right = [rule for rule in rules if {key: rule.get(key) for key in should_be} == should_be]
        right = [rule for rule in right if rule.get("CidrIpv4") in cidrs]
        missing = [cidr for cidr in cidrs if cidr not in [rule["CidrIpv4"] for rule in right]]
        old = [rule for rule in rules if rule not in right and self.account.owns(rule)]
        return Change("~" if missing or old else "=", what, beside=True), missing, old

    def _authorize(self, group: dict[str, Any], cidrs: list[str]) -> None:
        """Make one rule for each address, with one request."""
        port = self.settings.db_port
        ranges = [{"CidrIp": cidr, "Description": "conn_start.py"} for cidr in cidrs]
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

    def _not_inside(self, elsewhere: str) -> ConfigError:
        where = f"it is in {elsewhere}" if elsewhere else "EC2's instance metadata does not answer here"
        return ConfigError(
            "who may connect? The cluster will not be public, and this machine is not inside its VPC",
            evidence=(f"the cluster's VPC is {self._vpc()}; {where}", "nothing was made"),
            hint=(
                "[CLUSTER] ALLOW_CIDR = 172.31.5.7/32     (the private address of the machine that loads)",
                "[CLUSTER] PUBLIC = yes     (then this machine's public address may connect)",
            ),
        )


def _bad_cidr(text: str, why: str) -> ConfigError:
    return ConfigError(
        f"[CLUSTER] ALLOW_CIDR = {text} is refused", evidence=why, hint="[CLUSTER] ALLOW_CIDR = 203.0.113.7/32"
    )
