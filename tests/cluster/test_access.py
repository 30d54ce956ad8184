"""Who may do what: no secret is shown, no address range is wide, and the role of COPY may do no more than it needs."""

from __future__ import annotations

import ast
import ipaddress
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.cloud import NAME, PASSWORD
from cluster.conftest import Rig
from cluster.test_faults import NOTHING
from dwh.cluster.network import checked_cidr
from dwh.cluster.policies import copy_policy, trust_policy
from dwh.settings.config import load_config
from dwh.settings.sections import S3
from dwh.terminal.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
POLICIES = ROOT / "docs" / "policies"


def places(**changes: object) -> S3:
    """Give the section [S3] of the policies in the repository, with changes."""
    sources = {"log_data": ("s3://SOURCE-BUCKET/log_data/",), "song_data": ("s3://SOURCE-BUCKET/song_data/",)}
    own = {"work": "s3://WORK-BUCKET/work/", "lake": "s3://WORK-BUCKET/lake/"}
    return S3({**sources, **own, **changes})


def granted(policy: Mapping[str, Any] | None) -> set[tuple[str, str]]:
    """Give every (action, resource) of a policy."""
    found = set()
    for statement in (policy or {"Statement": []})["Statement"]:
        actions, resources = statement["Action"], statement["Resource"]
        for action in [actions] if isinstance(actions, str) else actions:
            found |= {(action, r) for r in ([resources] if isinstance(resources, str) else resources)}
    return found


# ---------------------------------------------------------------------------------------------- who may connect


@given(st.integers(0, 2**32 - 1), st.integers(0, 23))
def test_p75_nothing_wider_than_a_24_is_accepted(address: int, length: int) -> None:
    """Whatever the address: more than 256 of them are refused, with the key."""
    with pytest.raises(ConfigError, match="ALLOW_CIDR"):
        checked_cidr(f"{ipaddress.IPv4Address(address)}/{length}")


@given(st.integers(0, 2**32 - 1), st.integers(24, 32))
def test_p75_a_24_or_less_is_accepted(address: int, length: int) -> None:
    """And holds the address that was written, though it may not be the first of its network."""
    network = ipaddress.IPv4Network(checked_cidr(f"{ipaddress.IPv4Address(address)}/{length}"))
    assert network.prefixlen == length
    assert ipaddress.IPv4Address(address) in network


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "::1/128", "everybody", "10.0.0.0/33", "1.2.3.4/24 5.6.7.8/24"])
def test_p75_what_is_no_ipv4_network_is_refused(text: str) -> None:
    """Unknown is refused."""
    with pytest.raises(ConfigError, match="ALLOW_CIDR"):
        checked_cidr(text)


def test_p74_nobody_turns_verification_off() -> None:
    """No `verify=False`, no weaker sslmode, anywhere in the Redshift code."""
    files = [*(ROOT / "dwh" / "cluster").glob("*.py"), *(ROOT / "dwh" / "engines" / "redshift").glob("*.py")]
    assert len(files) >= 8
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.keyword):
                assert node.arg not in ("verify", "use_ssl")
                assert node.arg != "sslmode" or ast.unparse(node.value) == "'verify-full'"


# ---------------------------------------------------------------------------------------------- secrets


@pytest.mark.parametrize("fails", ["nothing", "the password", "AWS", "a bug"])
def test_p70_no_secret_is_shown(rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fails: str) -> None:
    """Not in any output, at -vv, with tracebacks, in JSON, in the log file, after any failure."""
    log, own = tmp_path / "log", "Canary-7f3-own"
    shown = ""
    for password in ("", own):
        rig.cloud.reset()
        rig.cloud.endpoint, rig.door.passwords = (rig.cloud.endpoint[0], rig.door.port), rig.cloud.passwords
        rig.configure(CLUSTER={"DB_PASSWORD": password})
        if fails == "the password":
            rig.door.passwords = {}
        elif fails == "AWS":
            rig.cloud.fail("redshift:CreateCluster", "InvalidParameterCombination")
        elif fails == "a bug":
            monkeypatch.setattr("dwh.engines.redshift.connect._worded", lambda *_args: 1 / 0)
            rig.door.passwords = {}
        for argv in (("conn_start", "-vv", "--json"), ("conn_close", "-vv", "--yes")):
            done = rig.end(*argv)
            shown += done.out + done.err
    if fails == "the password":
        shown += rig.run("conn_start", "-vv", "--log-file", str(log)).err + log.read_text()
    assert len(shown) > 500
    assert [secret for secret in (own, PASSWORD, "CANARY-7f3", "temporary-password") if secret in shown] == []


def test_p71_a_password_that_others_can_read_is_warned_about(rig: Rig) -> None:
    """In a file that is 644 it is; in dwh.local.cfg at 600 it is not."""
    rig.configure(CLUSTER={"DB_PASSWORD": "Own-Password-1"})
    rig.warehouse.config.chmod(0o644)
    assert "[CLUSTER] DB_PASSWORD" in rig.end("conn_start", "--dry-run").err
    rig.configure()
    local = rig.warehouse.config.with_name("dwh.local.cfg")
    local.write_text("[CLUSTER]\nDB_PASSWORD = Own-Password-1\n")
    local.chmod(0o600)
    assert "DB_PASSWORD" not in rig.end("conn_start", "--dry-run").err


# ---------------------------------------------------------------------------------------------- the role of COPY


def test_p77_the_policy_of_the_role_in_the_repository_is_the_one_that_is_made() -> None:
    """docs/policies/copy_role.json is written by the function that makes the role."""
    shipped = json.loads((POLICIES / "copy_role.json").read_text())
    assert shipped == {"trust": trust_policy(), "rights": copy_policy(places())}


def test_p77_the_role_reads_the_sources_and_writes_our_own_prefixes() -> None:
    """Nothing else: every object action names a prefix, every listing has a condition."""
    policy = copy_policy(places())
    assert policy
    objects = {(action, r.split(":::")[1]) for action, r in granted(policy) if "/" in r}
    sources = {"SOURCE-BUCKET/log_data/*", "SOURCE-BUCKET/song_data/*"}
    own = {"WORK-BUCKET/work/*", "WORK-BUCKET/lake/*"}
    assert objects == {
        *(("s3:GetObject", place) for place in sources | own),
        *(("s3:PutObject", place) for place in own),
    }
    for statement in policy["Statement"]:
        assert "Condition" in statement or statement["Action"] != "s3:ListBucket"
        assert not any("*" in action for action, _ in granted({"Statement": [statement]}))
    services = trust_policy()["Statement"][0]["Principal"]["Service"]
    assert services == ["redshift.amazonaws.com", "redshift-serverless.amazonaws.com"]


def test_p77_the_role_that_is_made_has_exactly_this(rig: Rig) -> None:
    """Trust and rights, as IAM has them after a start."""
    rig.call("conn_start")
    iam = rig.cloud.client("iam")
    role = iam.get_role(RoleName=f"{NAME}-copy")["Role"]
    rights = iam.get_role_policy(RoleName=f"{NAME}-copy", PolicyName="copy-and-unload")["PolicyDocument"]
    s3 = load_config(str(rig.warehouse.config), {}, {}).s3
    assert (role["AssumeRolePolicyDocument"], rights) == (trust_policy(), copy_policy(s3))


def test_p77_the_rights_follow_the_places(rig: Rig) -> None:
    """Another LAKE: the next start changes the rights, and nothing else."""
    rig.call("conn_start")
    for lake in ("acme-lake", "other"):
        rig.cloud.calls.clear()
        rig.configure(S3={"LAKE": f"s3://{lake}"})
        assert "~ role" in rig.call("conn_start").out
        assert rig.cloud.changes() == ["iam:PutRolePolicy"]
        assert ("s3:PutObject", f"arn:aws:s3:::{lake}/*") in granted(rights_of(rig))
    rig.call("conn_close", "--yes")
    assert rig.cloud.all() == NOTHING


def rights_of(rig: Rig) -> dict[str, Any]:
    """Give the rights of the role as IAM has them."""
    answer = rig.cloud.client("iam").get_role_policy(RoleName=f"{NAME}-copy", PolicyName="copy-and-unload")
    return dict(answer["PolicyDocument"])


def test_local_folders_need_no_rights() -> None:
    """A role with nothing to read in S3 has no policy."""
    assert copy_policy(places(log_data=("/a",), song_data=("/b",), work="", lake="/c")) is None


@pytest.mark.parametrize("key", ["a*b", "what?", "${aws:username}"])
def test_a_key_is_never_a_pattern(key: str) -> None:
    """What IAM would take for a pattern or a variable is written as itself, so it opens nothing beside it."""
    policy = copy_policy(places(log_data=(f"s3://SOURCE-BUCKET/{key}",), song_data=(), work="", lake=""))
    [(_, resource)] = [pair for pair in granted(policy) if pair[0] == "s3:GetObject"]
    plain = re.sub(r"\$\{([*?$])\}", r"\1", resource.removesuffix("*"))
    assert plain == f"arn:aws:s3:::SOURCE-BUCKET/{key}"
    assert not re.search(r"[*?]|\$\{(?![*?$]\})", re.sub(r"\$\{[*?$]\}", "", resource.removesuffix("*")))
