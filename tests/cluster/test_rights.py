"""The policies of docs/policies: the account refuses whatever they do not give, by the service's own rules.

The account of these tests asks for each request what IAM would ask (`cluster.authorization`), of the tags, paths and
names that are there at that moment. A policy that gives too little makes a script fail; what no request needs is found
too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cluster.authorization import RULES as AUTHORIZED
from cluster.authorization import Need, allows, giving, listed, needs
from cluster.cloud import NAME, REGION
from cluster.conftest import Rig
from dwh.engines.redshift.work import name_warehouse
from dwh.terminal.errors import EnvironmentFailure

POLICIES = Path(__file__).resolve().parents[2] / "docs" / "policies"
RULES = json.loads(Path(__file__).with_name("service_authorization.json").read_text())["actions"]


def shipped(name: str, **instead: str) -> dict[str, Any]:
    """Read a policy of the repository, with names of this test in place of those that are to be replaced."""
    text = (POLICIES / f"{name}.json").read_text()
    for word, other in instead.items():
        text = text.replace(word, other)
    return dict(json.loads(text))


def pairs(policy: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Give every (action, resource) of a policy."""
    statements = [(listed(s["Action"]), listed(s["Resource"])) for s in policy["Statement"]]
    return {(action, resource) for actions, resources in statements for action in actions for resource in resources}


def a_whole_life(rig: Rig) -> None:
    """Go all ways through start, change and close."""
    rig.call("conn_start", "--dry-run")
    rig.call("conn_start")
    rig.configure(CLUSTER={"PUBLIC": "yes", "ALLOW_CIDR": "192.0.2.1/32"}, S3={"LAKE": "s3://other/lake"})
    rig.call("conn_start")
    rig.cloud.cluster().iam_roles_arn = []
    del rig.cloud.cluster().master_password_secret_arn
    rig.configure(S3={"LAKE": "s3://acme-lake"})
    rig.call("conn_start")
    place = {"region": REGION, "cluster": NAME, "database": "dwh", "schema": "public"}
    left = f"work/{name_warehouse({'engine': 'redshift', **place})}/killed/00000.json.gz"
    rig.cloud.client("s3").put_object(Bucket="acme-dwh-work", Key=left, Body=b"")
    assert "without 1 object of loads that were killed" in rig.call("conn_close", "--yes").out
    rig.call("conn_start", "--from-snapshot", "latest")
    subnet = rig.cloud.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    rig.cloud.client("redshift").create_cluster_subnet_group(
        ClusterSubnetGroupName="g", Description="d", SubnetIds=[subnet]
    )
    rig.configure(CLUSTER={"SUBNET_GROUP": "g"})
    rig.call("conn_start", "--dry-run")


def test_p77_the_policy_of_the_operator_is_enough_and_no_more(rig: Rig) -> None:
    """With docs/policies/operator.json alone a first cluster is made, changed and removed; nothing in it is
    unneeded."""
    rig.cloud.policy = policy = shipped("operator", **{"WORK-BUCKET": "acme-dwh-work"})
    a_whole_life(rig)
    used = {pair for need in rig.cloud.needed for pair in giving(policy, need)}
    unused = {pair for pair in pairs(policy) - used if not pair[0].startswith("redshift-serverless:")}
    assert unused == set()  # those of Serverless are in test_serverless.py


@pytest.mark.parametrize(
    ("lacking", "fails"),
    [
        ("MakeRule", "ec2:AuthorizeSecurityGroupIngress"),
        ("MakeGroup", "ec2:CreateSecurityGroup"),
        ("FirstCluster", "redshift:CreateCluster"),
        ("AdminPassword", "redshift:CreateCluster"),
        ("PassRole", "redshift:CreateCluster"),
    ],
)
def test_p77_without_one_statement_of_it_a_start_fails(rig: Rig, lacking: str, fails: str) -> None:
    """The account refuses what the service refuses: so the test above can fail. The error names the action."""
    policy = shipped("operator")
    policy["Statement"] = [statement for statement in policy["Statement"] if statement["Sid"] != lacking]
    rig.cloud.policy = policy
    with pytest.raises(EnvironmentFailure, match=f"does not let you do this: {fails}"):
        rig.call("conn_start")
    assert rig.cloud.clusters() == {}


def test_p77_groups_and_snapshots_of_others_stay_out_of_reach() -> None:
    """A group or rule without our tag, a role for another service, and a snapshot of another cluster are not given."""
    policy = shipped("operator")
    beginning = "arn:aws:ec2:us-west-2:123456789012"
    theirs = {"aws:ResourceTag/dwh-suite": "another-dwh"}
    ours = {"aws:ResourceTag/dwh-suite": NAME}
    rule, snapshot = f"{beginning}:security-group-rule/*", "arn:aws:redshift:us-west-2:123456789012:snapshot"
    role = "arn:aws:iam::123456789012:role/aws-service-role/redshift.amazonaws.com/AWSServiceRoleForRedshift"
    for need, given in (
        (Need("ec2:DeleteSecurityGroup", f"{beginning}:security-group/sg-1", ours), True),
        (Need("ec2:DeleteSecurityGroup", f"{beginning}:security-group/sg-1", theirs), False),
        (Need("ec2:DeleteSecurityGroup", f"{beginning}:security-group/sg-1"), False),
        (Need("ec2:AuthorizeSecurityGroupIngress", rule, {"aws:RequestTag/dwh-suite": NAME}), True),
        (Need("ec2:AuthorizeSecurityGroupIngress", rule), False),
        (Need("ec2:CreateTags", rule, {"aws:RequestTag/dwh-suite": NAME}), False),
        (Need("iam:CreateServiceLinkedRole", role, {"iam:AWSServiceName": "spot.amazonaws.com"}), False),
        (Need("redshift:RestoreFromClusterSnapshot", f"{snapshot}:{NAME}/x"), True),
        (Need("redshift:RestoreFromClusterSnapshot", f"{snapshot}:another-dwh/x"), False),
    ):
        assert allows(policy, need) is given, need


def test_p77_the_policy_of_the_operator_has_no_wide_grants() -> None:
    """No `*` action; `*` as a resource only for looking, and for what has no resource; a role goes to Redshift only."""
    policy = shipped("operator")
    for action, resource in pairs(policy):
        assert "*" not in action
        # an action on a usage limit knows no kind of resource [D list_redshift-serverless]
        looks = r"[\w-]+:(Describe|List|\w+UsageLimit$)|secretsmanager:GetRandomPassword$"
        assert resource != "*" or re.match(looks, action), action
    [passing] = [s for s in policy["Statement"] if "iam:PassRole" in s["Action"]]
    assert passing["Action"] == "iam:PassRole"
    assert passing["Condition"] == {
        "StringEquals": {"iam:PassedToService": ["redshift.amazonaws.com", "redshift-serverless.amazonaws.com"]}
    }


# ------------------------------------------------------------------------------------------------- the rules themselves

REQUESTS = {
    "ClusterIdentifier": NAME,
    "MasterUsername": "awsuser",
    "ManageMasterPassword": "true",
    "SnapshotIdentifier": "s",
    "SnapshotClusterIdentifier": NAME,
    "IamRoles.IamRoleArn.1": "arn:aws:iam::123456789012:role/r",
    "Tags.Tag.1.Key": "dwh-suite",
    "Tags.Tag.1.Value": NAME,
    "TagSpecification.1.Tag.1.Key": "dwh-suite",
    "TagSpecification.1.Tag.1.Value": NAME,
    "ResourceName": f"arn:aws:redshift:us-west-2:123456789012:cluster:{NAME}",
    "DbUser": "u",
    "DbName": "d",
    "RoleName": "r",
    "VpcId": "vpc-1",
    "GroupId": "sg-1",
    "SecretId": "arn:aws:secretsmanager:us-west-2:123456789012:secret:x",
    "path": "/bucket/key",
}


def kind_of(resource: str) -> str:
    """Give the type of a resource as the reference names it."""
    last = resource.split(":", 5)[-1]
    kind = {"secret": "Secret"}.get(re.split("[:/]", last)[0], re.split("[:/]", last)[0])
    return ("object" if "/" in last else "bucket") if resource.startswith("arn:aws:s3") else kind


@pytest.mark.parametrize("action", sorted(set(AUTHORIZED) - {"sts:GetCallerIdentity"}))
def test_the_account_asks_for_what_the_service_authorization_reference_names(action: str) -> None:
    """For each action every required type of resource and no type that it does not have; every dependent action, but
    those for a key or a certificate of your own."""
    tagged = "aws:RequestTag/${TagKey}" in RULES.get(action, {}).get("keys", ())
    given = {key: value for key, value in REQUESTS.items() if tagged or not key.startswith("Tag")}
    asked = needs(action, given, first_cluster=True)
    for name in {need.action for need in asked}:
        rule = RULES[name]
        kinds = {kind_of(need.resource) for need in asked if need.action == name} - {"*"}
        assert set(rule["required"]) <= kinds <= {*rule["required"], *rule["optional"]}, name
        known = {key.split("/")[0] for key in rule.get("keys", ())}
        context = {key.split("/")[0] for need in asked if need.action == name for key in need.context}
        assert context <= known, name
    if not action.startswith("s3:") and action != "redshift:ModifyCluster":  # which gives no new password here
        dependent = {name for name in RULES[action].get("dependent", ()) if not name.startswith(("kms:", "acm:"))}
        assert dependent <= {need.action for need in asked}


def test_every_statement_has_its_reason_and_its_source() -> None:
    """docs/policies/README.md names each statement of each policy, and where its rule comes from."""
    told = (POLICIES / "README.md").read_text()
    for policy in ("operator", "loader"):
        section = told.partition(f"## {policy}.json")[2].partition("\n## ")[0]
        rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (.+) \|$", section, re.MULTILINE))
        sids = [statement["Sid"] for statement in shipped(policy)["Statement"]]
        assert list(rows) == sids
        assert all(re.search(r"\[(A|B|D|D23|G|M|R|U)\b", source) for source in rows.values())
