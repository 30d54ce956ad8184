"""What is refused before anything is made: settings with which a later script would end, buckets that do not fit."""

from __future__ import annotations

import boto3
import pytest

from cluster.cloud import HTML, NAME, REGION, TESTS_KEY
from cluster.conftest import Rig
from dwh.terminal.errors import ConfigError, EnvironmentFailure, NotReady

LAKE, WORK, LOGS = "s3://acme-dwh-work/lake", "s3://acme-dwh-work/work", "s3://udacity-dend/log_data"


@pytest.mark.parametrize(
    ("sections", "words", "hint"),
    [
        ({"S3": {"LAKE": "lake"}}, "writes its lake to S3 only", "[S3] LAKE = s3://bucket/lake"),
        ({"S3": {"WORK": ""}}, "WORK is empty", "[S3] WORK = s3://bucket/work"),
        ({"S3": {"WORK": f"{LOGS}/work"}}, "each other's way", "[S3] WORK = s3://udacity-dend/another"),
        ({"S3": {"WORK": f"{LAKE}/work"}}, "each other's way", "[S3] WORK = s3://acme-dwh-work/another"),
        ({"S3": {"LAKE": "s3://udacity-dend"}}, "each other's way", "[S3] LAKE = s3://udacity-dend/another"),
        ({"S3": {"LAKE": f"{WORK}/"}}, "each other's way", "[S3] WORK = s3://acme-dwh-work/another"),
        ({"S3": {"SONG_DATA": LOGS}}, "are the same place", "[S3]"),
        ({"S3": {"ENDPOINT_URL": "http://minio:9000"}}, "S3 of AWS only", "[S3] ENDPOINT_URL ="),
        ({"S3": {"ANONYMOUS": "yes"}}, "nobody may write", "[S3] ANONYMOUS = no"),
        ({"IAM_ROLE": {"ARN": "myRedshiftRole"}}, "not the ARN of a role", "[IAM_ROLE] ARN ="),
        ({"IAM_ROLE": {"NAME": "my role"}}, "cannot be the name of a role", "[IAM_ROLE] NAME ="),
        ({"LAKE": {"GLUE_DATABASE": "x", "FORMAT": "parquet"}}, "registers Iceberg tables", "[LAKE] FORMAT"),
    ],
    ids=str,
)
@pytest.mark.parametrize("host", [False, True], ids=["a cluster of ours", "HOST"])
@pytest.mark.parametrize("flags", [(), ("--dry-run",)], ids=["start", "dry run"])
def test_p193_what_settings_alone_can_tell_is_refused_first(
    rig: Rig, sections: dict[str, dict[str, str]], words: str, hint: str, host: bool, flags: tuple[str, ...]
) -> None:
    """The edit is named, exit code 2; AWS has been asked nothing, and nothing costs."""
    given = {"HOST": "a.example.com", "DB_USER": "ana", "DB_PASSWORD": "Her-Password-1"} if host else {}
    rig.configure(CLUSTER=given, **sections)
    with pytest.raises(ConfigError, match=words) as refused:
        rig.call("conn_start", *flags)
    assert refused.value.hint[0].startswith(hint)
    assert rig.cloud.calls == []


@pytest.mark.parametrize("key", ["WORK", "LAKE", "LOG_DATA"])
def test_p193_a_bucket_that_is_not_there_is_named_first(rig: Rig, key: str) -> None:
    """Before there is a cluster: S3 tells everybody whether a bucket exists, and where."""
    rig.configure(S3={key: "s3://nobody-has-this/place"})
    with pytest.raises(EnvironmentFailure, match="no such bucket: s3://nobody-has-this"):
        rig.call("conn_start")
    assert rig.cloud.changes() == []


def test_p193_work_has_to_be_where_the_sources_are(rig: Rig) -> None:
    """COPY of an object of the source reads the manifest in WORK in the same region; the lake may be anywhere."""
    session = boto3.Session(TESTS_KEY, "x", region_name="eu-west-1")
    s3 = session.client("s3", endpoint_url=rig.cloud.url)
    if "far-away" not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    rig.configure(S3={"WORK": "s3://far-away/work"})
    with pytest.raises(ConfigError, match=r"WORK is in eu-west-1, and \[S3\] \w+ is in us-west-2") as refused:
        rig.call("conn_start")
    assert "a bucket in us-west-2" in refused.value.hint[0]
    assert rig.cloud.changes() == []
    rig.configure(S3={"LAKE": "s3://far-away/lake"})
    said = rig.end("conn_start")
    assert said.code == 0
    assert "[S3] LAKE is in eu-west-1, and the warehouse in us-west-2" in said.err


def test_a_bucket_of_which_s3_says_nothing_is_not_judged(rig: Rig) -> None:
    """S3 that fails is no reason to make nothing: the first load reports it."""
    rig.cloud.fail("s3:HEAD", *["InternalError"] * 20)
    assert rig.call("conn_start").code == 0


# ------------------------------------------------------------------------------------- what passes while it is made


def test_p195_a_group_that_ec2_does_not_know_yet_is_tried_again(rig: Rig) -> None:
    """Right after CreateSecurityGroup; one that stays unknown is an error with a way on, and no traceback."""
    rig.cloud.unknown_group = 3
    assert rig.call("conn_start").code == 0
    [group] = rig.cloud.groups()
    assert len(rig.cloud.rules(group["GroupId"])) == 1


def test_a_group_that_stays_unknown(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends, and says so; nothing is billed."""
    monkeypatch.setattr("dwh.cluster.network.GROUP_SECONDS", 0.0)
    rig.cloud.unknown_group = 10**6
    with pytest.raises(EnvironmentFailure, match="which it has just made"):
        rig.call("conn_start")
    assert rig.cloud.clusters() == {}


@pytest.mark.parametrize(
    "action", ["redshift:DescribeClusters", "iam:CreateRole", "ec2:DescribeVpcs", "sts:GetCallerIdentity"]
)
def test_p195_a_page_instead_of_an_answer_is_waited_out(rig: Rig, action: str) -> None:
    """HTML with status 500, as a proxy sends it: conn_start.py tries again; without patience it ends with 3."""
    rig.cloud.fail(action, HTML)
    with pytest.raises(NotReady, match=f"AWS does not answer: {action}") as refused:
        rig.call("conn_start", "--no-wait")
    assert "html" not in str(refused.value.evidence).lower()
    rig.cloud.fail(action, HTML)
    assert rig.call("conn_start").code == 0


def test_p195_a_page_instead_of_the_answer_about_the_cluster(rig: Rig) -> None:
    """CreateCluster is never sent twice: it is looked for, and then said what may be billed."""
    rig.cloud.fail("redshift:CreateCluster", HTML)
    said = rig.end("conn_start", "--no-wait")
    assert said.code in (3, 4)
    assert "Traceback" not in said.err
    assert len(rig.cloud.asked("redshift:CreateCluster")) == 1
    assert f"{REGION}/{NAME}" in said.err
