"""What lies in [S3] WORK: each run's objects under its warehouse, removed by whoever may, and by nobody else."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from warehouse import REPO, event, plays

from dwh.engines.redshift.session import RedshiftSession
from dwh.engines.redshift.work import WorkPrefix, name_warehouse
from redshift.warehouse_on_redshift import WORK, Cloud, RedshiftWarehouse


@pytest.fixture
def two(here: Cloud, tmp_path: Path) -> Iterator[tuple[RedshiftWarehouse, RedshiftWarehouse]]:
    """Two warehouses with one WORK, which is empty."""
    here.empty_work()
    place = f"s3://{WORK}/{uuid.uuid4().hex[:8]}"
    made = []
    for name in ("first", "second"):
        warehouse = RedshiftWarehouse(tmp_path / name, cloud=here, work=place).create()
        warehouse.write("log_data/a.json", plays(3))
        made.append(warehouse)
    yield made[0], made[1]
    here.empty_work()


def kill_while_loading(warehouse: RedshiftWarehouse) -> set[str]:
    """Kill a load when COPY is about to read its objects; gives their keys."""
    before = set(warehouse.place.work())
    held = REPO / "tests" / "redshift" / "killed.py"
    done = warehouse.run("etl", command=[*warehouse.command("etl")[:1], str(held), *warehouse.command("etl")[1:]])
    assert done.code == -9, done.err
    left = set(warehouse.place.work()) - before
    assert len(left) == 3, "one piece, its manifest, its JSONPaths file"
    return left


def test_p190_what_a_killed_load_left_goes_with_the_next_load(
    here: Cloud, two: tuple[RedshiftWarehouse, RedshiftWarehouse]
) -> None:
    """The load of another warehouse leaves it; the next one of its own removes it, and stores every play."""
    first, second = two
    left = kill_while_loading(first)
    assert second.etl()["rows"]["songplays"] == 3
    assert set(here.work()) == left
    assert first.etl()["rows"]["songplays"] == 3
    assert here.work() == []


def test_p190_two_that_load_at_once_leave_each_other_alone(
    here: Cloud, two: tuple[RedshiftWarehouse, RedshiftWarehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first is about to COPY, the second loads, with what a killed load of its own left; then the first goes
    on."""
    first, second = two
    left = kill_while_loading(second)
    during: list[set[str]] = []
    copy = RedshiftSession._copy

    def load_the_other(session: RedshiftSession, *rest: Any) -> None:
        if session._schema == first.schema_name and not during:
            during.append(set(here.work()))
            assert second.etl()["rows"]["songplays"] == 3
            during.append(set(here.work()))
        copy(session, *rest)

    monkeypatch.setattr(RedshiftSession, "_copy", load_the_other)
    assert first.etl()["rows"]["songplays"] == 3
    before, after = during
    assert left < before
    assert after == before - left
    assert here.work() == []


@pytest.mark.parametrize("delete", [True, False], ids=["with its data", "kept"])
def test_p190_conn_close_removes_what_killed_loads_left(
    here: Cloud, two: tuple[RedshiftWarehouse, RedshiftWarehouse], delete: bool
) -> None:
    """And tells it before, with --dry-run; of the other warehouse it removes nothing."""
    first, second = two
    flags = ("--delete-data", "--yes") if delete else ()
    left, others = kill_while_loading(first), kill_while_loading(second)
    assert "without 3 objects of loads that were killed" in first.call("conn_close", "--dry-run", *flags).out
    assert set(here.work()) == left | others
    assert "without 3 objects of loads that were killed" in first.call("conn_close", *flags).out
    assert set(here.work()) == others
    assert "objects" not in first.call("conn_close").out


def test_p190_conn_close_leaves_what_a_running_load_needs(
    here: Cloud, two: tuple[RedshiftWarehouse, RedshiftWarehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only who has the lock of loads may know that nobody uses the objects."""
    first, _ = two
    told: list[str] = []
    copy = RedshiftSession._copy

    def close(session: RedshiftSession, *rest: Any) -> None:
        if not told:
            told.append(first.call("conn_close").out)
        copy(session, *rest)

    monkeypatch.setattr(RedshiftSession, "_copy", close)
    assert first.etl()["rows"]["songplays"] == 3
    assert "stay: another session is loading" in told[0]


def test_a_load_that_may_not_list_work_says_which_right_is_missing(
    here: Cloud, two: tuple[RedshiftWarehouse, RedshiftWarehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/policies/loader.json has it since this version. conn_close.py only notes it."""
    from dwh.terminal.errors import EnvironmentFailure

    def refuse(_work: WorkPrefix) -> list[str]:
        raise EnvironmentFailure("AWS does not let you do this: s3:ListBucket", hint="ask for that one permission")

    monkeypatch.setattr(WorkPrefix, "find_leftovers", refuse)
    with pytest.raises(EnvironmentFailure, match="s3:ListBucket"):
        two[0].etl()
    closed = two[0].call("conn_close")
    assert closed.code == 0
    assert "[S3] WORK was not looked at: AWS does not let you do this" in closed.out


def test_each_warehouse_has_a_folder_of_its_own() -> None:
    """Whatever its address is made of, and however alike two are; a key is plain text."""
    one = {"engine": "redshift", "region": "us-west-2", "cluster": "a-b", "database": "c", "schema": "d"}
    names = {name_warehouse(one | {"cluster": "a", "database": "b-c"}), name_warehouse(one)}
    names |= {name_warehouse(one | {"schema": text}) for text in ("D", "Ü/../*", "d" * 300)}
    assert len(names) == 5
    assert all(name.isascii() and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in names)
    assert max(map(len, names)) < 100


def test_an_object_of_the_source_is_named_below_the_warehouse_too(
    here: Cloud, two: tuple[RedshiftWarehouse, RedshiftWarehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest of an object that Redshift itself reads lies beside the other objects of the run."""
    first, _ = two
    bucket = f"music-{uuid.uuid4().hex[:8]}"
    here.client().create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    body = "".join(f"{line}\n" for line in [str(event()).replace("'", '"')])
    here.client().put_object(Bucket=bucket, Key="log_data/a.json", Body=body.encode())
    first.configure(S3={"LOG_DATA": f"s3://{bucket}/log_data"}, ETL={"DIRECT_COPY_BYTES": 10})
    seen: list[str] = []
    copy = RedshiftSession._copy

    def look(session: RedshiftSession, *rest: Any) -> None:
        seen.extend(here.work())
        copy(session, *rest)

    monkeypatch.setattr(RedshiftSession, "_copy", look)
    assert first.etl()["rows"]["songplays"] == 1
    assert {key.split("/")[1] for key in seen} == {key.split("/")[1] for key in seen[:1]}
    assert {len(key.split("/")) for key in seen} == {5}
