"""Killed, failed or unheard at any call: the next start completes, a close removes everything, and the cost is said."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Iterator

import pytest
from warehouse import Result, Warehouse, short_commands

from cluster.cloud import NAME, Cloud
from cluster.conftest import Rig
from cluster.door import Door
from dwh.cluster.account import Account, Answer
from dwh.terminal.errors import DwhError

NOTHING: dict[str, list[str]] = {
    kind: [] for kind in ("clusters", "namespaces", "workgroups", "limits", "roles", "groups", "secrets")
}
END = "; to end it: python conn_close.py --engine redshift"
COMPUTE = "compute is billed while a statement runs (at least a minute), storage by the month until conn_close.py"
BILLED = {"provisioned": f"is up and billed by the hour{END}", "serverless": f"is up; {COMPUTE}{END}"}
MAYBE = {
    "provisioned": f"if us-west-2/sparkify-dwh is up, it is billed by the hour{END}",
    "serverless": f"if us-west-2/sparkify-dwh is there, {COMPUTE}{END}",
}
# What there is one of when everything is there.
WHOLE = {
    "provisioned": {"clusters", "roles", "groups", "secrets"},
    "serverless": {"namespaces", "workgroups", "limits", "roles", "groups", "secrets"},
}
WAYS = ("refused", "unheard", "killed")
ONLY_ADVICE = {"s3:HEAD"}  # HeadBucket: who may not know where a bucket is starts all the same


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture(params=["provisioned", "serverless"])
def rig(request: pytest.FixtureRequest, cloud: Cloud, door: Door, bare: Warehouse) -> Rig:
    """A warehouse of each kind, of which nothing is there yet."""
    rig = Rig(bare, cloud, door, request.param)
    rig.configure()
    return rig


def attempt(rig: Rig, script: str, *argv: str) -> bool:
    """Run a script and tell whether it ended well."""
    try:
        return rig.call(script, *argv).code == 0
    except (DwhError, Killed):
        return False


@pytest.fixture
def disturb(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Give what disturbs the call of a number, from now on: AWS refuses it, its answer is lost, or the process ends
    right after it."""
    original, left = Account.ask, [0]

    def ask(account: Account, action: str, **parameters: object) -> Answer:
        answer = original(account, action, **parameters)  # type: ignore[arg-type]
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return answer

    def disturb(way: str, number: int) -> None:
        left[0] = number if way == "killed" else 0
        rig.cloud.fault = None
        if way == "refused":
            rig.cloud.fail_at(number)
        elif way == "unheard":
            rig.cloud.lose_at(number)

    monkeypatch.setattr(Account, "ask", ask)
    return disturb


def is_complete(rig: Rig) -> bool:
    """Tell whether everything is there, once, and a start would change nothing."""
    there = rig.cloud.all()
    plan = rig.call("conn_start", "--dry-run", "--json").json["changes"]
    counts = {kind: len(things) for kind, things in there.items() if things}
    return counts == dict.fromkeys(WHOLE[rig.kind], 1) and {change[0] for change in plan} == {"="}


def every_call(rig: Rig, first: int = 1, step: int = 1) -> Iterator[int]:
    """Count calls, in an account that is empty each time."""
    for number in itertools.count(first, step):
        rig.cloud.empty()
        rig.door.logins.clear()
        yield number


def start_disturbed(rig: Rig, disturb: Callable[[str, int], None], way: str, first: int = 1, step: int = 1) -> int:
    """Disturb every call of a start in turn; after each, start again or close. Gives how many calls were disturbed."""
    for number in every_call(rig, first, step):
        for after in ("start", "close"):
            rig.cloud.empty()
            disturb(way, number)
            well = attempt(rig, "conn_start")
            calls = len(rig.cloud.calls)
            disturb("not at all", 0)
            if calls < number:
                return number - 1
            assert not well or way != "refused" or rig.cloud.calls[number - 1].action in ONLY_ADVICE, number
            if after == "start":
                assert attempt(rig, "conn_start"), number
                assert is_complete(rig), number
                assert len(rig.door.logins) >= 1
            assert attempt(rig, "conn_close", "--yes"), number
            assert rig.cloud.all() == NOTHING, number
    raise AssertionError


def close_disturbed(rig: Rig, disturb: Callable[[str, int], None], way: str, first: int = 1, step: int = 1) -> int:
    """Disturb every call of a close in turn; after each, close again. Gives how many calls were disturbed."""
    for number in every_call(rig, first, step):
        assert attempt(rig, "conn_start"), number
        rig.cloud.calls.clear()
        disturb(way, number)
        attempt(rig, "conn_close", "--yes")
        calls = len(rig.cloud.calls)
        disturb("not at all", 0)
        if calls < number:
            return number - 1
        assert attempt(rig, "conn_close", "--yes"), number
        assert rig.cloud.all() == NOTHING, number
    raise AssertionError


@pytest.mark.promises
@pytest.mark.parametrize("way", WAYS)
def test_p60_a_start_disturbed_at_any_call(rig: Rig, disturb: Callable[[str, int], None], way: str) -> None:
    """Running it again completes, and a close removes everything, whichever call it was."""
    assert start_disturbed(rig, disturb, way) >= 15


@pytest.mark.promises
@pytest.mark.parametrize("way", WAYS)
def test_p60_a_close_disturbed_at_any_call(rig: Rig, disturb: Callable[[str, int], None], way: str) -> None:
    """Closing again removes everything, whichever call it was."""
    assert close_disturbed(rig, disturb, way) >= 12


@pytest.mark.parametrize("way", WAYS)
def test_p60_a_start_disturbed_at_some_calls(rig: Rig, disturb: Callable[[str, int], None], way: str) -> None:
    """Some only; --promises does them all."""
    assert start_disturbed(rig, disturb, way, first=5, step=9) >= 14


@pytest.mark.parametrize("way", WAYS)
def test_p60_a_close_disturbed_at_some_calls(rig: Rig, disturb: Callable[[str, int], None], way: str) -> None:
    """Some only; --promises does them all."""
    assert close_disturbed(rig, disturb, way, first=6, step=6) >= 11


# ------------------------------------------------------------------------------------ P68: the last word is money


def last_line(done: Result) -> str:
    """Give the last line that a person sees."""
    return short_commands(done.err.strip().splitlines()[-1])


def test_p68_every_script_says_last_what_goes_on_costing(rig: Rig) -> None:
    """After success, failure and plan, with -q and --json; a cluster that does not exist is not mentioned."""
    assert last_line(rig.end("conn_start", "-q")).endswith(BILLED[rig.kind])
    assert last_line(rig.end("conn_start", "--json", "--dry-run")).endswith(BILLED[rig.kind])
    for script in ("create_tables", "etl", "sql_validate"):
        assert last_line(rig.end(script, "-q")) in (MAYBE[rig.kind], f"us-west-2/{NAME} {BILLED[rig.kind]}"), script
    rig.cloud.fault = lambda _call: "AccessDenied"
    assert last_line(rig.end("conn_close", "--yes")) == MAYBE[rig.kind]
    rig.cloud.fault = None
    assert "billed" not in last_line(rig.end("conn_close", "--yes"))


def test_p68_also_after_a_bug(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 70 is a way out like any other."""
    rig.call("conn_start")
    monkeypatch.setattr("dwh.engines.redshift.engine.connect", lambda *_args: 1 / 0)
    failed = rig.end("conn_start")
    assert (failed.code, last_line(failed)) == (70, f"us-west-2/{NAME} {BILLED[rig.kind]}")


def test_p68_nothing_is_said_of_an_engine_that_costs_nothing(rig: Rig) -> None:
    """On DuckDB the last line is the script's own."""
    assert "billed" not in rig.end("conn_start", "--engine", "duckdb").err


def test_p68_a_start_that_fails_says_whether_something_was_made(rig: Rig) -> None:
    """A cluster that is there and cannot be reached is billed; one that AWS refused is not."""
    rig.cloud.passwords.clear()
    if rig.kind == "provisioned":
        rig.cloud.fail("redshift:CreateCluster", "ClusterQuotaExceeded")
    else:
        rig.cloud.fail("redshift-serverless:CreateNamespace", "ServiceQuotaExceededException")
    refused = rig.end("conn_start")
    assert (refused.code, "billed" in last_line(refused)) == (3, False)
    rig.cloud.fault = lambda call: "AccessDenied" if call.action.startswith("secretsmanager") else None
    locked = rig.end("conn_start")
    assert (locked.code, last_line(locked)) == (3, f"us-west-2/{NAME} {BILLED[rig.kind]}")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_p69_stopping_the_wait_says_how_to_go_on_and_how_to_stop_paying(rig: Rig, stop: signal.Signals) -> None:
    """Exit code 130 at once, with both commands; the cluster stays, and the next start continues."""
    rig.cloud.creating = ("creating",) * 10**6
    rig.cloud.serverless.making = 10**6
    rig.configure(CLUSTER={"POLL_SECONDS": 0.2})
    with rig.warehouse.started("conn_start", env=rig.cloud.environment) as start:
        start.wait_for(" elapsed")
        start.signal(stop)
        done = start.ended()
    assert done.code == 130, done.err
    last = last_line(done)
    assert {"provisioned": "billed by the hour", "serverless": COMPUTE}[rig.kind] in last
    assert "python conn_close.py --engine redshift" in last
    assert "python conn_start.py --engine redshift" in last
    rig.cloud.go_on()
    assert rig.call("conn_start").code == 0
    made = rig.cloud.asked("redshift:CreateCluster") + rig.cloud.asked("redshift-serverless:CreateWorkgroup")
    assert len(made) == 1
