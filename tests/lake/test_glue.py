"""The tables of a lake in the Glue catalogue: pointers go forward, foreign ones stay, and every call may fail."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from cluster.cloud import ACCOUNT, REGION, TESTS_KEY, Call, Cloud
from cluster.glue_rules import strict_glue
from warehouse import REPO, WATCHDOG, Warehouse, plays, song

from dwh.cluster.account import Account
from dwh.lake.iceberg.fileio import TableIO
from dwh.lake.iceberg.glue import Glue, Moved, open_glue
from dwh.lake.iceberg.lake import IcebergLake
from dwh.lake.iceberg.s3 import S3Store
from dwh.lake.iceberg.spec import Column, TableSpec
from dwh.lake.iceberg.store import Store
from dwh.settings.config import load_config
from dwh.settings.secrets import Secret
from dwh.settings.sections import S3, Aws
from dwh.sources.buckets import Buckets
from dwh.terminal.errors import Busy, ConfigError, DwhError, EnvironmentFailure
from lake.memory_store import MemoryStore
from lake.small_star import ADDRESS, EVENTS, SPECS, export, write

DATABASE, PLACE = "sparkify", "s3://acme-glue/star"
LOOKS = ["glue:GetDatabase", "glue:GetTable", "glue:GetTable"]
# what is asked for by the first export, and by one that moves pointers
FIRST = ["glue:GetDatabase", "glue:CreateDatabase", "glue:CreateTable", "glue:CreateTable"]
NEXT = [*LOOKS, "glue:UpdateTable", "glue:UpdateTable"]


@pytest.fixture(scope="module")
def account() -> Iterator[tuple[Cloud, Account]]:
    """An AWS account that is up for all tests of this file, and one client for it: to make one takes long."""
    with Cloud().up() as cloud, patch.dict(os.environ, cloud.environment):
        yield cloud, Account(load_config(str(REPO / "dwh.cfg"), {}, {}))


@pytest.fixture
def cloud(account: tuple[Cloud, Account], monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The account with an empty catalogue. What fails is retried at once."""
    cloud, _ = account
    cloud.fault = None
    cloud.calls.clear()
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))
    with strict_glue():
        yield cloud


@pytest.fixture
def glue(cloud: Cloud, account: tuple[Cloud, Account]) -> Glue:
    """The database of this suite, which is not made yet."""
    return Glue(DATABASE, account[1])


def exported(store: Store, version: int) -> IcebergLake:
    """Export a version of the star, and open the lake as the next session does."""
    export(store, version)
    return IcebergLake(store, SPECS, 2)


def pointers(cloud: Cloud) -> dict[str, str]:
    """Each table's pointer, as Glue has it, below the place of the lake."""
    try:
        tables = cloud.client("glue").get_tables(DatabaseName=DATABASE)["TableList"]
    except cloud.client("glue").exceptions.EntityNotFoundException:
        return {}
    return {table["Name"]: table["Parameters"]["metadata_location"].removeprefix(f"{PLACE}/") for table in tables}


def at(version: int) -> dict[str, str]:
    return {name: f"{name}/metadata/v{version}.metadata.json" for name in ("things", "events")}


def entry(cloud: Cloud, name: str) -> dict[str, Any]:
    return dict(cloud.client("glue").get_table(DatabaseName=DATABASE, Name=name)["Table"])


def put(cloud: Cloud, name: str, **about: Any) -> None:
    """Put a table into the catalogue, or change it, as another user would."""
    client = cloud.client("glue")
    if DATABASE not in [database["Name"] for database in client.get_databases()["DatabaseList"]]:
        client.create_database(DatabaseInput={"Name": DATABASE})
    there = name in [table["Name"] for table in client.get_tables(DatabaseName=DATABASE)["TableList"]]
    write_table = client.update_table if there else client.create_table
    write_table(DatabaseName=DATABASE, TableInput={"Name": name, **about})


def pointing(to: str) -> dict[str, str]:
    return {"table_type": "ICEBERG", "metadata_location": to}


# ------------------------------------------------------------------------------------------------------- pointers


def test_pointers_follow_the_exports(cloud: Cloud, glue: Glue) -> None:
    store = MemoryStore(location=PLACE)
    assert glue.register(exported(store, 1)) == [Moved("things", None, 1), Moved("events", None, 1)]
    assert [call.action for call in cloud.calls] == FIRST
    assert pointers(cloud) == at(1)
    assert glue.register(exported(store, 2)) == [Moved("things", 1, 2), Moved("events", 1, 2)]
    assert pointers(cloud) == at(2)
    changes = cloud.asked("glue:UpdateTable")
    assert [(change["VersionId"], change["SkipArchive"]) for change in changes] == [("1", "True")] * 2
    assert entry(cloud, "events")["Parameters"] == {
        "table_type": "ICEBERG",
        "metadata_location": f"{PLACE}/events/metadata/v2.metadata.json",
        "previous_metadata_location": f"{PLACE}/events/metadata/v1.metadata.json",
    }


def test_nothing_new_asks_and_changes_nothing(cloud: Cloud, account: tuple[Cloud, Account]) -> None:
    store = MemoryStore(location=PLACE)
    Glue(DATABASE, account[1]).register(exported(store, 1))
    cloud.calls.clear()
    lake, glue = exported(store, 1), Glue(DATABASE, account[1])
    with patch.object(IcebergLake, "table", side_effect=AssertionError("metadata was read")):
        assert glue.register(lake) == []
        assert [call.action for call in cloud.calls] == LOOKS
        assert glue.register(lake) == []
    assert [call.action for call in cloud.calls] == LOOKS, "what it has registered it does not ask for again"


def test_an_empty_place_has_nothing_to_register(cloud: Cloud, glue: Glue) -> None:
    lake = IcebergLake(MemoryStore(location=PLACE), SPECS, 2)
    glue.refuse_foreign(lake)
    assert glue.register(lake) == []
    assert [call.action for call in cloud.calls] == ["glue:GetDatabase"]


def test_after_a_commit_and_after_tidying(cloud: Cloud, glue: Glue) -> None:
    """A lake whose KEEP got smaller is tidied without an export, which makes new versions too."""
    store = MemoryStore(location=PLACE)
    for version in (1, 2):
        export(store, version, keep=2)
    lake = IcebergLake(store, SPECS, 1)
    glue.register(lake)
    assert pointers(cloud) == at(2)
    assert lake.tidy()
    assert glue.register(lake) == [Moved("things", 2, 3), Moved("events", 2, 3)]
    lake = IcebergLake(store, SPECS, 1)
    contents = {spec.name: write(lake, store, spec.name, 4) for spec in SPECS}
    lake.commit(contents, {"version": "4"}, ADDRESS)
    assert glue.register(lake) == [Moved("things", 3, 4), Moved("events", 3, 4)]
    lake.tidy()
    assert glue.register(lake) == []
    assert all(store.contents[path] for path in pointers(cloud).values())


def test_what_others_have_added_to_a_table_is_kept(cloud: Cloud, glue: Glue) -> None:
    store = MemoryStore(location=PLACE)
    glue.register(exported(store, 1))
    before = entry(cloud, "things")
    about = {key: before[key] for key in ("TableType", "StorageDescriptor")}
    parameters = {**before["Parameters"], "classification": "confidential"}
    put(cloud, "things", Description="what there is", Owner="ann", Parameters=parameters, **about)
    glue.register(exported(store, 2))
    after = entry(cloud, "things")
    assert (after["Description"], after["Owner"]) == ("what there is", "ann")
    assert after["Parameters"]["classification"] == "confidential"
    assert pointers(cloud) == at(2)


def test_columns_are_described_as_far_as_glue_takes_it(cloud: Cloud, glue: Glue) -> None:
    long = TableSpec("things", [Column("thing", "BIGINT", True, "which\none " + "x" * 300)], None, ())
    store = MemoryStore(location=PLACE)
    lake = IcebergLake(store, [long, EVENTS], 2)
    contents = {spec.name: write(lake, store, spec.name, 1) for spec in SPECS}
    lake.commit(contents, {"version": "1"}, ADDRESS)
    glue.register(lake)
    assert entry(cloud, "things")["PartitionKeys"] == [], "Athena needs the key"
    [thing] = entry(cloud, "things")["StorageDescriptor"]["Columns"]
    event, happened_at = entry(cloud, "events")["StorageDescriptor"]["Columns"]
    assert (thing["Type"], len(thing["Comment"])) == ("bigint", 255)
    assert thing["Comment"].startswith("which one xxx") and thing["Comment"].endswith("...")
    assert (event["Type"], "Comment" in event) == ("string", False)
    assert (happened_at["Type"], happened_at["Comment"]) == ("timestamp", "when, in UTC")


def test_a_lake_in_s3_is_read_through_glue_by_pyiceberg(
    cloud: Cloud, glue: Glue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pyiceberg.catalog.glue import GlueCatalog

    bucket = "acme-glue"
    cloud.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    about = {"endpoint_url": cloud.url, "region": REGION, "anonymous": False, "timeout": WATCHDOG}
    who = {"key": Secret(TESTS_KEY), "secret": Secret("x"), "region": REGION, "profile": ""}
    store = S3Store(PLACE, Buckets(S3(about), Aws(who)), by_engine=False)
    catalog = GlueCatalog("lake", client=cloud.client("glue"))
    for version in (1, 3):
        lake = exported(store, version)
        glue.register(lake)
        for spec in SPECS:
            files = TableIO(store, spec.name, [f"{PLACE}/{spec.name}"], lambda path: EnvironmentFailure(path))
            monkeypatch.setattr(catalog, "_load_file_io", lambda *_args, files=files, **_how: files)
            table = catalog.load_table((DATABASE, spec.name))
            planned = {task.file.file_path for task in table.scan().plan_files()}
            assert lake.pins and planned == {f"{PLACE}/{file.path}" for file in lake.pins.tables[spec.name].files}
    assert [call.action for call in cloud.calls].count("glue:UpdateTable") == 2


# --------------------------------------------------------------------------------------------- killed and failing


def before_version(version: int, account: Account) -> MemoryStore:
    """A lake, and Glue as it is before a version is registered: empty, or at version 1."""
    store = MemoryStore(location=PLACE)
    if version == 2:
        Glue(DATABASE, account).register(exported(store, 1))
    return store


each_call = pytest.mark.parametrize(
    ("version", "number"),
    [(1, number) for number in range(1, len(FIRST) + 1)] + [(2, number) for number in range(1, len(NEXT) + 1)],
)


@each_call
def test_a_call_that_is_refused_is_named_and_the_next_run_goes_on(
    cloud: Cloud, account: tuple[Cloud, Account], version: int, number: int
) -> None:
    """The action is told, and the next run moves what is left, though it has nothing new to export."""
    store = before_version(version, account[1])
    lake = exported(store, version)
    cloud.calls.clear()
    cloud.fail_at(number, "AccessDeniedException")
    glue = Glue(DATABASE, account[1])
    with pytest.raises(EnvironmentFailure, match="AWS does not let you do this: glue:") as caught:
        glue.register(lake)
    assert [call.action for call in cloud.calls] == [FIRST, NEXT][version - 1][:number]
    assert caught.value.message.endswith(cloud.calls[-1].action)
    assert caught.value.evidence[-1].startswith("the lake is complete")
    assert pointers(cloud).items() <= {*at(1).items(), *at(2).items()}
    glue.register(IcebergLake(store, SPECS, 2))
    assert pointers(cloud) == at(version)


@each_call
def test_an_answer_that_is_lost_makes_no_difference(
    cloud: Cloud, account: tuple[Cloud, Account], version: int, number: int
) -> None:
    """The request is sent again. AWS refuses it because of the first, and that is seen."""
    lake = exported(before_version(version, account[1]), version)
    cloud.calls.clear()
    cloud.lose_at(number)
    moved = Glue(DATABASE, account[1]).register(lake)
    assert [move.table for move in moved] == ["things", "events"]
    assert pointers(cloud) == at(version)
    assert len(cloud.calls) > len([FIRST, NEXT][version - 1])


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalFailure"])
@pytest.mark.parametrize("version", [1, 2])
def test_what_may_work_in_a_moment_is_tried_again(
    cloud: Cloud, account: tuple[Cloud, Account], version: int, code: str
) -> None:
    """Every action is refused twice."""
    lake = exported(before_version(version, account[1]), version)
    left = [action for action in {*FIRST, *NEXT} for _ in range(2)]

    def refuse(call: Call) -> str | None:
        if call.action not in left:
            return None
        left.remove(call.action)
        return code

    cloud.fault = refuse
    assert len(Glue(DATABASE, account[1]).register(lake)) == 2
    assert pointers(cloud) == at(version)
    assert not set(left) & {*[FIRST, NEXT][version - 1]}


def test_what_goes_on_failing_is_told(cloud: Cloud, glue: Glue) -> None:
    cloud.fail("glue:GetTable", *["ThrottlingException"] * 4)
    cloud.client("glue").create_database(DatabaseInput={"Name": DATABASE})
    with pytest.raises(EnvironmentFailure, match="AWS refused glue:GetTable"):
        glue.register(exported(MemoryStore(location=PLACE), 1))


# --------------------------------------------------------------------------------------------------------- others


FOREIGN: dict[str, tuple[dict[str, Any], str]] = {
    "another place": ({"Parameters": pointing("s3://acme-glue/other/TABLE/metadata/v1.metadata.json")}, "points to"),
    "another bucket": ({"Parameters": pointing("s3://acme/star/TABLE/metadata/v1.metadata.json")}, "points to"),
    "another table": ({"Parameters": pointing(f"{PLACE}/others/metadata/v1.metadata.json")}, "points to"),
    "another program": ({"Parameters": pointing(f"{PLACE}/TABLE/metadata/00002-5f3a.metadata.json")}, "points to"),
    "another spelling": ({"Parameters": pointing(f"{PLACE}/TABLE/metadata/v01.metadata.json")}, "points to"),
    "a lake that was deleted": ({"Parameters": pointing(f"{PLACE}/TABLE/metadata/v9.metadata.json")}, "newer than"),
    "no pointer": ({"Parameters": {"table_type": "ICEBERG"}}, "points to nothing"),
    "a Hive table": ({"Parameters": {"classification": "parquet"}}, "no Iceberg table"),
    "a Delta table": ({"Parameters": {"table_type": "DELTA"}}, "no Iceberg table"),
    "a view": ({"TableType": "VIRTUAL_VIEW"}, "no Iceberg table"),
}


@pytest.mark.parametrize("case", FOREIGN)
@pytest.mark.parametrize("table", ["things", "events"])
def test_a_table_that_is_not_ours_is_refused_and_nothing_changed(
    cloud: Cloud, glue: Glue, case: str, table: str
) -> None:
    """Whether it is the first table or the last."""
    about, why = FOREIGN[case]
    put(cloud, table, **json.loads(json.dumps(about).replace("TABLE/", f"{table}/")))
    before = entry(cloud, table)
    lake = exported(MemoryStore(location=PLACE), 1)
    for act in (glue.refuse_foreign, glue.register):
        with pytest.raises(EnvironmentFailure, match="is not one of this lake; nothing in Glue was changed") as caught:
            act(lake)
        assert f"{DATABASE}.{table}" in caught.value.message
        assert why in caught.value.evidence[0]
    assert cloud.changes() == []
    assert entry(cloud, table) == before


def test_a_database_that_stands_for_another_is_refused(cloud: Cloud, glue: Glue) -> None:
    target = {"CatalogId": "210987654321", "DatabaseName": "theirs"}
    cloud.client("glue").create_database(DatabaseInput={"Name": DATABASE, "TargetDatabase": target})
    with pytest.raises(EnvironmentFailure, match="stands for one elsewhere"):
        glue.register(exported(MemoryStore(location=PLACE), 1))
    assert cloud.changes() == []


def test_of_two_exports_the_later_stays_whoever_comes_last(cloud: Cloud, account: tuple[Cloud, Account]) -> None:
    """A session that was asleep between its export and Glue moves no pointer back."""
    store = MemoryStore(location=PLACE)
    asleep = exported(store, 1)
    Glue(DATABASE, account[1]).register(exported(store, 2))
    cloud.calls.clear()
    assert Glue(DATABASE, account[1]).register(asleep) == []
    assert cloud.changes() == []
    assert pointers(cloud) == at(2)


MEANWHILE: dict[str, tuple[dict[str, str], type[DwhError] | None]] = {
    "the same": (pointing(f"{PLACE}/events/metadata/v2.metadata.json"), None),
    "an older export": ({**pointing(f"{PLACE}/events/metadata/v1.metadata.json"), "by": "them"}, Busy),
    "another place": (pointing("s3://acme/events/metadata/v2.metadata.json"), EnvironmentFailure),
}


@pytest.mark.parametrize("case", MEANWHILE)
@pytest.mark.parametrize("there", [False, True], ids=["create", "update"])
def test_a_table_that_changes_after_it_was_read(cloud: Cloud, glue: Glue, case: str, there: bool) -> None:
    """Another session changes it between our look and our request: its change stays."""
    parameters, error = MEANWHILE[case]
    store = MemoryStore(location=PLACE)
    lake = exported(store, 1)
    if there:
        glue.register(lake)
    lake = exported(store, 2)

    def change(call: Call) -> None:
        if call.action in ("glue:CreateTable", "glue:UpdateTable") and "'events'" in call.given["TableInput"]:
            cloud.fault = None
            put(cloud, "events", Parameters=parameters)

    cloud.fault = change
    if error:
        with pytest.raises(error):
            glue.register(lake)
    else:
        glue.register(lake)
    assert entry(cloud, "events")["Parameters"] == parameters
    assert pointers(cloud)["things"] == at(2)["things"]


def test_a_database_that_another_session_makes_at_the_same_moment(cloud: Cloud, glue: Glue) -> None:
    def make(call: Call) -> None:
        if call.action == "glue:CreateDatabase":
            cloud.client("glue").create_database(DatabaseInput={"Name": DATABASE, "Description": "theirs"})

    cloud.fault = make
    glue.register(exported(MemoryStore(location=PLACE), 1))
    assert pointers(cloud) == at(1)
    assert cloud.client("glue").get_database(Name=DATABASE)["Database"]["Description"] == "theirs"


def test_aws_as_it_is_played_here_refuses_what_aws_refuses(cloud: Cloud) -> None:
    client = cloud.client("glue")
    put(cloud, "things", Parameters={"a": "1"})
    put(cloud, "things", Parameters={"a": "2"})
    table = {"Name": "things", "Parameters": {"a": "3"}}
    with pytest.raises(client.exceptions.ConcurrentModificationException):
        client.update_table(DatabaseName=DATABASE, TableInput=table, VersionId="1")
    client.update_table(DatabaseName=DATABASE, TableInput=table, VersionId="2")
    assert entry(cloud, "things")["Parameters"] == {"a": "3"}
    for comment in ("x" * 256, "two\nlines"):
        columns = {"Columns": [{"Name": "a", "Type": "int", "Comment": comment}]}
        with pytest.raises(client.exceptions.ClientError, match="ValidationException"):
            client.create_table(DatabaseName=DATABASE, TableInput={"Name": "t", "StorageDescriptor": columns})
    client.create_table(DatabaseName=DATABASE, TableInput={"Name": "Upper"})
    assert entry(cloud, "upper")["Name"] == "upper"


# ------------------------------------------------------------------------------------------------ by export_lake.py


def named_by_glue(cloud: Cloud) -> dict[str, str]:
    """The metadata file that Glue names for each table of the database."""
    tables = cloud.client("glue").get_tables(DatabaseName=DATABASE)["TableList"]
    return {table["Name"]: table["Parameters"]["metadata_location"].rpartition("/")[2] for table in tables}


def test_the_script_moves_the_pointers(cloud: Cloud, warehouse: Warehouse) -> None:
    """An export registers all tables, the next one moves them, one with nothing new only what is behind."""
    bucket = "acme-script"
    cloud.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    warehouse.configure(
        S3={"LOG_DATA": "log_data", "SONG_DATA": "song_data", "LAKE": f"s3://{bucket}/lake", "ENDPOINT_URL": cloud.url},
        LAKE={"GLUE_DATABASE": DATABASE, "FORMAT": "iceberg"},
        AWS={"REGION": REGION},
    )
    warehouse.write("song_data/a.json", [song()])
    warehouse.write("log_data/a.json", plays(3))
    warehouse.etl()
    assert "glue: songplays is at v1 now" in warehouse.call("export_lake").out
    assert named_by_glue(cloud) == dict.fromkeys(("users", "songs", "artists", "time", "songplays"), "v1.metadata.json")
    cloud.client("glue").delete_table(DatabaseName=DATABASE, Name="time")  # as if a killed run had not come to it
    said = warehouse.call("export_lake").out
    assert "nothing new" in said
    assert [line for line in said.splitlines() if "glue:" in line] == ["  glue: time is at v1 now"]
    warehouse.write("log_data/b.json", plays(2, sessionId=9))
    warehouse.etl()
    warehouse.call("export_lake", "--to", f"s3://{bucket}/another")
    assert set(named_by_glue(cloud).values()) == {"v1.metadata.json"}
    warehouse.call("export_lake")
    assert set(named_by_glue(cloud).values()) == {"v2.metadata.json"}


def test_plain_files_are_not_registered(warehouse: Warehouse) -> None:
    warehouse.configure(LAKE={"GLUE_DATABASE": DATABASE, "FORMAT": "parquet"}, S3={"LAKE": PLACE})
    with pytest.raises(ConfigError, match="FORMAT is parquet"):
        warehouse.call("export_lake")


# ------------------------------------------------------------------------------------------- settings and rights


def settings(tmp_path: Path, lake: str, database: str) -> Any:
    config = tmp_path / "dwh.cfg"
    config.write_text(f"[S3]\nLAKE = {lake}\n[LAKE]\nGLUE_DATABASE = {database}\n")
    return load_config(str(config), {}, {})


def test_only_a_lake_in_s3_is_registered(tmp_path: Path) -> None:
    assert open_glue(settings(tmp_path, PLACE, "")) is None
    opened = open_glue(settings(tmp_path, PLACE, DATABASE))
    assert opened and opened.database == DATABASE
    assert open_glue(settings(tmp_path, "lake", "")) is None
    with pytest.raises(ConfigError, match="only a lake in S3 can be registered in Glue"):
        open_glue(settings(tmp_path, "lake", DATABASE))


@pytest.mark.parametrize(
    ("name", "instead"), [("Sparkify", "sparkify"), ("my-lake", "my_lake"), ("a b", "a_b"), ("x" * 256, "x" * 255)]
)
def test_a_name_that_athena_does_not_take_is_refused(tmp_path: Path, name: str, instead: str) -> None:
    with pytest.raises(ConfigError, match="GLUE_DATABASE") as caught:
        settings(tmp_path, PLACE, name)
    assert any(hint.endswith(f"= {instead}") for hint in caught.value.hint)


def needed(call: Call) -> set[tuple[str, str]]:
    """Give the (action, resource) pairs that a call needs [D glue/latest/dg/glue-specifying-resource-arns.html]."""
    beginning = f"arn:aws:glue:{REGION}:{ACCOUNT}"
    places = [f"{beginning}:catalog", f"{beginning}:database/{DATABASE}"]
    if call.action.endswith("Table"):
        places.append(f"{beginning}:table/{DATABASE}/*")
    return {(call.action, place) for place in places}


def test_the_policy_for_glue_is_what_the_suite_asks_for(cloud: Cloud, glue: Glue) -> None:
    store = MemoryStore(location=PLACE)
    for version in (1, 2):
        glue.register(exported(store, version))
    granted = set()
    for statement in json.loads((REPO / "docs/policies/glue.json").read_text())["Statement"]:
        granted |= {(action, place) for action in statement["Action"] for place in statement["Resource"]}
    assert granted == {pair for call in cloud.calls for pair in needed(call)}
