"""Signing in: which password, TLS that is verified, and three different texts for three ways of not being let in."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from cluster.cloud import ENDPOINT, NAME, PASSWORD, REGION, Call
from cluster.conftest import ADDRESS, Rig
from cluster.credentials import TEMPORARY
from cluster.door import Door
from dwh.terminal.errors import ConfigError, EnvironmentFailure


@pytest.fixture
def up(rig: Rig) -> Rig:
    """A warehouse whose cluster is up; logins so far are forgotten."""
    rig.call("conn_start")
    rig.door.logins.clear()
    return rig


def refused(rig: Rig, words: str, script: str = "conn_start") -> EnvironmentFailure:
    """Start, and give the error, which must contain these words."""
    with pytest.raises(EnvironmentFailure, match=words) as error:
        rig.call(script)
    return error.value


# --------------------------------------------------------------------------------------------------------- passwords


def test_temporary_credentials_where_aws_keeps_no_secret(up: Rig) -> None:
    """Then the name that comes back is the one to sign in with, not our own."""
    del up.cloud.cluster().master_password_secret_arn
    up.call("conn_start")
    [(user, password)] = up.door.logins
    assert (user, password.startswith(TEMPORARY)) == ("IAM:awsuser", True)
    [given] = up.cloud.asked("redshift:GetClusterCredentials")
    asked = {"ClusterIdentifier": NAME, "DbUser": "awsuser", "DbName": "dwh", "AutoCreate": "false"}
    assert {key: given[key] for key in asked} == asked


def test_temporary_credentials_for_an_existing_cluster_without_a_password(up: Rig) -> None:
    """With HOST alone, the cluster's name is the first part of its endpoint."""
    up.configure(CLUSTER={"HOST": ENDPOINT, "DB_PORT": up.door.port})
    up.cloud.calls.clear()
    up.call("conn_start")
    assert [user for user, _ in up.door.logins] == ["IAM:awsuser"]
    assert up.cloud.beside_s3() == ["redshift:GetClusterCredentials"]


def test_an_existing_warehouse_under_another_name_needs_a_password(rig: Rig) -> None:
    """A custom domain does not tell what it leads to: named with the keys to set; AWS is asked nothing."""
    rig.configure(CLUSTER={"HOST": "warehouse.acme.example"})
    with pytest.raises(ConfigError, match="no password") as error:
        rig.call("conn_start")
    assert "DB_PASSWORD" in error.value.hint[0]
    assert rig.cloud.beside_s3() == []


def test_an_existing_serverless_warehouse_is_connected_to(rig: Rig, tmp_path: Path) -> None:
    """Provisioned or Serverless: with user and password there is no difference."""
    host = f"wg.123456789012.{REGION}.redshift-serverless.amazonaws.com"
    with Door({"ana": "Her-Password-1"}).open(tmp_path / "serverless", host) as door:
        keys = {"HOST": host, "DB_PORT": door.port, "DB_USER": "ana", "DB_PASSWORD": "Her-Password-1"}
        rig.configure(CLUSTER={**keys, "SSLROOTCERT": door.ca_file})
        rig.call("conn_start")
        assert door.logins == [("ana", "Her-Password-1")]
    assert rig.cloud.beside_s3() == []


@pytest.mark.parametrize("how", ["secret", "DB_PASSWORD", "temporary"])
def test_a_wrong_password_is_tried_once(up: Rig, how: str) -> None:
    """Five in a row lock a user: no second try, whatever it is that is wrong, and the hint names the key."""
    up.cloud.passwords.clear()
    if how == "DB_PASSWORD":
        up.configure(CLUSTER={"DB_PASSWORD": "Wrong-Password-1"})
    if how == "temporary":
        del up.cloud.cluster().master_password_secret_arn
        up.door.passwords = {}
    error = refused(up, "does not let .* in")
    assert len(up.door.logins) == 1
    assert "DB_PASSWORD" in error.hint[0]


def test_a_secret_that_was_rotated_meanwhile_is_fetched_once_more(up: Rig) -> None:
    """AWS changes the secret between reading it and signing in: the new one is used."""
    secret = up.cloud.client("secretsmanager").list_secrets()["SecretList"][0]["ARN"]
    fetched: list[Call] = []

    def rotate(call: Call) -> None:
        if call.action == "secretsmanager:GetSecretValue":
            fetched.append(call)
            if len(fetched) == 2:
                text = json.dumps({"username": "awsuser", "password": "Rotated-2"})
                up.cloud.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=text)

    up.cloud.fault = rotate
    up.cloud.passwords["awsuser"] = "Rotated-2"
    up.call("conn_start")
    assert up.door.logins == [("awsuser", PASSWORD), ("awsuser", "Rotated-2")]


# --------------------------------------------------------------------------------------------------------------- TLS


def test_p74_a_certificate_of_another_ca_is_refused(up: Rig) -> None:
    """Without SSLROOTCERT certifi's bundle counts, which does not know the CA of the tests: no password is sent."""
    up.configure(CLUSTER={"SSLROOTCERT": ""})
    error = refused(up, "not safe")
    assert "certificate verify failed" in error.evidence[0]
    assert up.door.logins == []


def test_p74_a_certificate_for_another_name_is_refused(up: Rig, tmp_path: Path) -> None:
    """verify-full: the right CA is not enough."""
    with Door(up.cloud.passwords).open(tmp_path / "other", "another.example") as door:
        up.cloud.endpoint = (ENDPOINT, door.port)
        up.configure(CLUSTER={"SSLROOTCERT": door.ca_file})
        error = refused(up, "not safe")
        assert "does not match host name" in error.evidence[0]
        assert door.logins == []


# --------------------------------------------------------------------------------------------- no way in: three texts


def test_a_name_that_nobody_knows(up: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS: the host is named; right after a start it is tried for a minute, because a new name takes a moment."""
    monkeypatch.setattr("dwh.engines.redshift.engine.SETTLING_SECONDS", 0.05)
    monkeypatch.setitem(up.cloud.__dict__, "endpoint", ("no-such-cluster.invalid", 5439))
    environment = {key: value for key, value in up.cloud.environment.items() if key != "PGHOSTADDR"}
    with pytest.raises(EnvironmentFailure, match=r"there is no host no-such-cluster\.invalid"):
        up.warehouse.call("conn_start", env=environment)


def test_a_port_where_nobody_listens(up: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused at once: the port is named."""
    monkeypatch.setattr("dwh.engines.redshift.engine.SETTLING_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    up.cloud.endpoint = (ENDPOINT, free)
    refused(up, f"nothing listens on port {free}")


def test_a_cluster_that_begins_to_listen_is_waited_for(up: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first answer after `available` may be a refusal: it is tried again."""
    monkeypatch.setattr("dwh.engines.redshift.engine.SETTLING_PAUSE", 0.01)
    right, wrong = up.cloud.endpoint, (ENDPOINT, 1)
    up.cloud.endpoint = wrong
    looks: list[Call] = []

    def later(call: Call) -> None:
        looks.append(call)
        if len([look for look in looks if look.action == "secretsmanager:GetSecretValue"]) == 2:
            up.cloud.endpoint = right

    up.cloud.fault = later
    assert "trying again" in up.call("conn_start").err
    assert up.door.logins == [("awsuser", PASSWORD)]


@pytest.fixture
def silent(up: Rig, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A port that takes connections and never says a word, as behind a rule that drops what it does not know."""
    monkeypatch.setattr("dwh.engines.redshift.connect.CONNECT_SECONDS", 2)  # the shortest that libpq knows
    with socket.create_server(("127.0.0.1", 0)) as listener:
        up.cloud.endpoint = (ENDPOINT, listener.getsockname()[1])
        yield listener


def serve_address(monkeypatch: pytest.MonkeyPatch, text: bytes) -> HTTPServer:
    """Have the service that says addresses say this."""

    class Says(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_args: object) -> None:
            """Log nothing."""

    server = HTTPServer(("127.0.0.1", 0), Says)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("dwh.cluster.whereabouts.ADDRESS_SERVICE", f"http://127.0.0.1:{server.server_port}")
    return server


def test_a_port_that_does_not_answer_says_both_addresses(
    up: Rig, silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UX mistake 10: the allowed addresses, one's own, and the command that updates the rule; private: its key."""
    server = serve_address(monkeypatch, b"198.51.100.23\n")
    up.cloud.cluster().publicly_accessible = True
    up.configure(CLUSTER={"PUBLIC": "yes", "SSLROOTCERT": up.door.ca_file})
    error = refused(up, "does not answer from here")
    assert error.evidence[:2] == (f"allowed: {ADDRESS}", "your address now: 198.51.100.23")
    assert error.hint[0].startswith("python conn_start.py")
    server.shutdown()
    server.server_close()


def test_a_private_cluster_that_does_not_answer_says_that_it_is_private(
    up: Rig, silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default it is not public: the error says so to a laptop. A second failure does not hide the first."""
    monkeypatch.setattr("dwh.cluster.whereabouts.ADDRESS_SERVICE", "http://127.0.0.1:1")
    error = refused(up, "does not answer from here")
    assert "could not be found" in error.evidence[1]
    assert "not public" in error.evidence[2]
    assert error.hint[0].startswith("[CLUSTER] PUBLIC = yes")


# ------------------------------------------------------------------------------------------------------ own address


def test_the_own_address_is_who_may_connect(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ALLOW_CIDR it is the address that this machine is seen under, and no other."""
    server = serve_address(monkeypatch, b"198.51.100.23\n")
    rig.configure(CLUSTER={"ALLOW_CIDR": "", "PUBLIC": "yes"})
    rig.call("conn_start")
    [group] = rig.cloud.groups()
    assert [rule["CidrIpv4"] for rule in rig.cloud.rules(group["GroupId"])] == ["198.51.100.23/32"]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("answer", [b"<html>sign in to the hotel</html>", b"", b"2001:db8::1", b"203.0.113.0/24"])
def test_an_answer_that_is_no_address_is_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    """A captive portal must not open the port: the error names the key, and nothing that costs money is made."""
    server = serve_address(monkeypatch, answer)
    rig.configure(CLUSTER={"ALLOW_CIDR": "", "PUBLIC": "yes"})
    with pytest.raises(EnvironmentFailure, match="address of this machine") as error:
        rig.call("conn_start")
    assert "ALLOW_CIDR" in error.value.hint[0]
    assert rig.cloud.groups() == []
    server.shutdown()
    server.server_close()


def test_nobody_who_says_the_address(rig: Rig) -> None:
    """As a process of its own, with a proxy where nobody listens: exit code 3, and the key."""
    rig.configure(CLUSTER={"ALLOW_CIDR": "", "PUBLIC": "yes"})
    done = rig.run("conn_start", env={"https_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.1"})
    assert done.code == 3, done.err
    assert "[CLUSTER] ALLOW_CIDR" in done.err
    assert rig.cloud.clusters() == {}
