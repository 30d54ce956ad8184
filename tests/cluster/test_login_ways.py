"""[CLUSTER] LOGIN: who signs in by each way, what AWS is asked for it, and what is refused before anything is made."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from warehouse import REPO

from cluster.cloud import ENDPOINT, NAME, OUR_KEY, PASSWORD, REGION
from cluster.conftest import Rig
from cluster.credentials import TEMPORARY
from cluster.door import Door
from dwh.terminal.errors import ConfigError, EnvironmentFailure

WORKGROUP = f"music.123456789012.{REGION}.redshift-serverless.amazonaws.com"


def signed_in(rig: Rig, **cluster: object) -> list[str]:
    """Start with these settings, and name the users who signed in."""
    rig.door.logins.clear()
    rig.configure(CLUSTER=cluster)
    rig.call("conn_start")
    return [user for user, _ in rig.door.logins]


# ------------------------------------------------------------------------------------------------- the service's rules


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"DbUser": "IAM:ana"}, "DbUser"),
        ({"DbUser": "1st"}, "DbUser"),
        ({"DbUser": "public"}, "DbUser"),
        ({"DbUser": "a" * 65}, "DbUser"),
        ({"DurationSeconds": 899}, "DurationSeconds"),
        ({"DurationSeconds": 3601}, "DurationSeconds"),
        ({"DbGroups": ["Readers"]}, "DbGroups"),
        ({"DbName": "d/w"}, "DbName"),
        ({"ClusterIdentifier": NAME.upper()}, "not found"),
    ],
)
def test_the_stand_in_refuses_what_the_service_refuses(up: Rig, changes: dict[str, Any], words: str) -> None:
    """Names, groups and times as botocore's model has them; the name of a cluster counts with its case."""
    right = {"DbUser": "awsuser", "ClusterIdentifier": NAME, "DbName": "dwh", "DurationSeconds": 900, "DbGroups": ["r"]}
    client = up.cloud.client("redshift")
    assert client.get_cluster_credentials(**right)["DbUser"] == "IAM:awsuser"
    with pytest.raises(ClientError, match=words):
        client.get_cluster_credentials(**(right | changes))


def test_the_stand_in_knows_users_that_are_made_and_users_that_are_not_there(up: Rig) -> None:
    """The call succeeds for both; without AutoCreate nobody gets in with a user who is not there."""
    client = up.cloud.client("redshift")
    refused = client.get_cluster_credentials(DbUser="bob", ClusterIdentifier=NAME)
    assert refused["DbUser"] not in up.cloud.passwords
    made = client.get_cluster_credentials(DbUser="bob", ClusterIdentifier=NAME, AutoCreate=True)
    assert (made["DbUser"], up.cloud.signs_in_as["IAMA:bob"]) == ("IAMA:bob", "bob")
    assert client.get_cluster_credentials(DbUser="bob", ClusterIdentifier=NAME)["DbUser"] in up.cloud.passwords


# -------------------------------------------------------------------------------------------------------- the four ways


def test_p207_each_way_signs_in_as_the_user_that_it_names(up: Rig) -> None:
    """Whatever else is there: the way that LOGIN names is taken, and no other is tried."""
    assert signed_in(up, LOGIN="secret") == ["awsuser"]
    assert signed_in(up, LOGIN="db_user") == ["IAM:awsuser"]
    assert signed_in(up, LOGIN="iam") == ["IAM:ana"]
    up.cloud.passwords["awsuser"] = "Own-Password-1"
    assert signed_in(up, LOGIN="password", DB_PASSWORD="Own-Password-1") == ["awsuser"]
    asked = [call.action for call in up.cloud.calls if "Credentials" in call.action or "Secret" in call.action]
    assert asked == [
        "secretsmanager:GetSecretValue",
        "redshift:GetClusterCredentials",
        "redshift:GetClusterCredentialsWithIAM",
    ]
    assert up.cloud.changes() == []


def test_p207_without_login_it_is_as_it_was(up: Rig) -> None:
    """A password that is set, else the secret, else temporary credentials of DB_USER: older settings mean the same."""
    assert signed_in(up) == ["awsuser"]
    assert [password for _, password in up.door.logins] == [PASSWORD]
    up.cloud.passwords["awsuser"] = "Own-Password-1"
    assert signed_in(up, DB_PASSWORD="Own-Password-1") == ["awsuser"]
    del up.cloud.cluster().master_password_secret_arn
    assert signed_in(up) == ["IAM:awsuser"]


def test_p207_temporary_credentials_are_asked_for_as_the_model_says(up: Rig) -> None:
    """The shortest time, one database, no user made, no group joined."""
    signed_in(up, LOGIN="db_user")
    signed_in(up, LOGIN="iam")
    [by_user] = up.cloud.asked("redshift:GetClusterCredentials")
    [by_iam] = up.cloud.asked("redshift:GetClusterCredentialsWithIAM")
    asked = {"ClusterIdentifier": NAME, "DbName": "dwh", "DurationSeconds": "900", "Version": "2012-12-01"}
    assert by_user == {**asked, "DbUser": "awsuser", "AutoCreate": "false"}
    assert by_iam == asked


def test_a_user_that_is_not_there_is_told_and_not_made(up: Rig) -> None:
    """GetClusterCredentials succeeds for it, and the connection fails: the key is named."""
    up.configure(CLUSTER={"LOGIN": "db_user", "DB_USER": "lodaer"})
    with pytest.raises(EnvironmentFailure, match="does not let IAM:lodaer in") as error:
        up.call("conn_start")
    assert "DB_USER" in error.value.hint[0]
    assert len(up.door.logins) == 1


def test_an_identity_that_the_database_does_not_know_is_told_what_to_ask_for(up: Rig) -> None:
    """As the statement that its admin runs."""
    up.door.passwords = {}
    up.configure(CLUSTER={"LOGIN": "iam"})
    with pytest.raises(EnvironmentFailure, match="does not let IAM:ana in") as error:
        up.call("etl")
    assert 'CREATE USER "IAM:ana" PASSWORD DISABLE' in error.value.hint[0]


def test_a_warehouse_that_is_there_is_signed_in_to_by_each_way(up: Rig) -> None:
    """With HOST the name in AWS is the first part of the endpoint; its secret is looked up."""
    there = {"HOST": ENDPOINT, "DB_PORT": up.door.port}
    assert signed_in(up, LOGIN="secret", **there) == ["awsuser"]
    assert signed_in(up, LOGIN="db_user", **there) == ["IAM:awsuser"]
    assert signed_in(up, LOGIN="iam", **there) == ["IAM:ana"]
    del up.cloud.cluster().master_password_secret_arn
    with pytest.raises(EnvironmentFailure, match="AWS keeps no password for the admin"):
        signed_in(up, LOGIN="secret", **there)


def test_p207_an_identity_signs_in_to_serverless(rig: Rig, tmp_path: Path) -> None:
    """GetCredentials of the workgroup gives the same kind of user; AWS is asked nothing else."""
    with Door(rig.cloud.passwords).open(tmp_path / "serverless", WORKGROUP) as door:
        keys = {"HOST": WORKGROUP, "DB_PORT": door.port, "SSLROOTCERT": door.ca_file}
        rig.configure(CLUSTER={**keys, "LOGIN": "iam"})
        rig.call("conn_start")
        assert [user for user, _ in door.logins] == ["IAM:ana"]
    [given] = rig.cloud.asked("redshift-serverless:GetCredentials")
    assert given == {"workgroupName": "music", "dbName": "dwh", "durationSeconds": "900"}
    assert rig.cloud.beside_s3() == ["redshift-serverless:GetCredentials"]


# ------------------------------------------------------------------------------------------- refused, before all calls


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        ({"LOGIN": "password"}, "there is no password"),
        ({"LOGIN": "secret", "DB_PASSWORD": "Own-Password-1"}, "AWS keeps no secret"),
        ({"LOGIN": "db_user", "DB_USER": "iam:ana"}, "cannot sign in"),
        ({"LOGIN": "db_user", "DB_USER": "public"}, "cannot sign in"),
        ({"LOGIN": "db_user", "HOST": WORKGROUP}, "Serverless has no such way"),
        ({"LOGIN": "db_user", "KIND": "serverless"}, "Serverless has no such way"),
        ({"LOGIN": "iam", "HOST": "dwh.example.com"}, "does not say"),
    ],
)
@pytest.mark.parametrize("flags", [(), ("--dry-run",)])
def test_p207_a_login_that_cannot_work_is_refused_before_anything_is_made(
    rig: Rig, cluster: dict[str, str], words: str, flags: tuple[str, ...]
) -> None:
    """AWS is asked nothing, and the error names the keys. A plan for HOST connects to nothing, so it says nothing."""
    rig.configure(CLUSTER=cluster)
    if flags and "does not say" in words:
        rig.call("conn_start", *flags)
        return
    with pytest.raises(ConfigError, match=words) as error:
        rig.call("conn_start", *flags)
    assert "[CLUSTER]" in error.value.hint[0]
    assert rig.cloud.beside_s3() == []


@pytest.mark.parametrize("flags", [(), ("--dry-run",)])
def test_p207_a_guest_makes_no_cluster(rig: Rig, flags: tuple[str, ...]) -> None:
    """The user of LOGIN = iam owns nothing: a cluster that is billed would have no tables, so none is made."""
    rig.configure(CLUSTER={"LOGIN": "iam"})
    with pytest.raises(ConfigError, match="owns nothing") as error:
        rig.call("conn_start", *flags)
    assert "LOGIN = secret" in error.value.hint[0]
    assert rig.cloud.changes() == []


def test_an_unknown_way_is_refused_with_those_that_there_are(rig: Rig) -> None:
    """No blank choice is offered."""
    rig.configure(CLUSTER={"LOGIN": "sso"})
    with pytest.raises(ConfigError) as error:
        rig.call("conn_start")
    assert "secret or password or db_user or iam" in "".join((error.value.message, *error.value.evidence))


# ------------------------------------------------------------------------------------------------------------- secrets


@pytest.mark.parametrize("login", ["secret", "password", "db_user", "iam"])
@pytest.mark.parametrize("fails", [False, True])
def test_p70_no_way_shows_its_secret(up: Rig, login: str, fails: bool) -> None:
    """Neither password nor token, at -vv, in JSON, with an error."""
    own = "Canary-7f3-own" if login == "password" else ""
    up.cloud.passwords["awsuser"] = own or PASSWORD
    up.configure(CLUSTER={"LOGIN": login, "DB_PASSWORD": own})
    if fails:
        up.door.passwords = {}
    done = up.end("conn_start", "-vv", "--json")
    assert done.code == (3 if fails else 0), done.err
    secrets = [PASSWORD, TEMPORARY, "CANARY-7f3", *filter(None, [own])]
    assert [secret for secret in secrets if secret in done.out + done.err] == []


# -------------------------------------------------------------------------------------------- profiles of ~/.aws/config

TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


@pytest.fixture
def by_profile(up: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Start with a profile as ~/.aws/config has it, in a process of its own; names the users who signed in."""

    def start(profile: str) -> list[str]:
        config = tmp_path / "aws-config"
        config.write_text(f"[profile company]\nregion = {REGION}\n{profile}\n")
        up.configure(CLUSTER={"LOGIN": "iam"})
        keys = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "DWH_AWS_PROFILE": "company"}
        done = up.run("conn_start", "-vv", env={**keys, "AWS_CONFIG_FILE": str(config)})
        assert done.code == 0, done.err
        assert "CANARY" not in done.out + done.err
        return [user for user, _ in up.door.logins]

    return start


def test_a_profile_with_a_credential_process_signs_in(
    up: Rig, tmp_path: Path, by_profile: Callable[[str], list[str]]
) -> None:
    """As the tools of a SAML provider make one: its key is what AWS gets."""
    answer = {"Version": 1, "AccessKeyId": OUR_KEY, "SecretAccessKey": "CANARY-7f3-process"}
    script = tmp_path / "sign_in.py"
    script.write_text(f"print({json.dumps(json.dumps(answer))})\n")
    assert by_profile(f"credential_process = {sys.executable} {script}") == ["IAM:ana"]


def test_a_profile_with_a_web_identity_signs_in_as_its_role(
    up: Rig, tmp_path: Path, by_profile: Callable[[str], list[str]]
) -> None:
    """The database user is that of the role, whatever the session is called."""
    up.cloud.client("iam").create_role(RoleName="loaders", AssumeRolePolicyDocument=TRUST)
    token = tmp_path / "token"
    token.write_text("CANARY-7f3-token")
    role = "arn:aws:iam::123456789012:role/loaders"
    named = f"role_arn = {role}\nweb_identity_token_file = {token}\nrole_session_name = ana"
    assert by_profile(named) == ["IAMR:loaders"]


def test_the_policy_of_a_guest_has_the_calls_by_which_a_guest_signs_in() -> None:
    """docs/policies/iam_login.json: these two, and no resource wider than one database and one workgroup."""
    shipped = json.loads((REPO / "docs" / "policies" / "iam_login.json").read_text())
    actions = [statement["Action"] for statement in shipped["Statement"]]
    assert actions == ["redshift:GetClusterCredentialsWithIAM", "redshift-serverless:GetCredentials"]
    assert "*" not in json.dumps(shipped)
