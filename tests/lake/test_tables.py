"""Tables as readers of Iceberg find them: numbers of columns, bounds, tags, new columns, and a lake that was moved."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from dwh.lake.iceberg.check import differences
from dwh.lake.iceberg.folder import FolderStore
from dwh.lake.iceberg.lake import Contents, IcebergLake
from dwh.lake.iceberg.pins import PINS, read_pins
from dwh.lake.iceberg.spec import Column, NewFile, TableSpec
from dwh.lake.iceberg.store import Store
from dwh.lake.iceberg.table import IcebergTable
from dwh.terminal.errors import Busy, ConfigError, EnvironmentFailure
from lake.memory_store import MemoryStore
from lake.small_star import ADDRESS, EVENTS, SPECS, THINGS, export, write, wrong_files

MEASURED = TableSpec(
    "measured",
    [
        Column("name", "VARCHAR(32)", True, "what was measured"),
        Column("measured_at", "TIMESTAMP", True, "when, in UTC"),
        Column("length", "DOUBLE PRECISION", False, ""),
        Column("place", "BIGINT", False, "a number"),
        Column("floor", "INTEGER", False, ""),
    ],
    "measured_at",
    ("measured_at", "length"),
)


def newest(store: Store, spec: TableSpec) -> IcebergTable:
    return IcebergLake(store, [spec], 2).tables[spec.name]


def fields(table: IcebergTable) -> dict[str, tuple[int, str, str]]:
    assert table.metadata
    return {f.name: (f.field_id, str(f.field_type), f.doc or "") for f in table.metadata.schema().fields}


def add_file(store: Store, spec: TableSpec, piece: str, *, by_name: bool = False, **about: Any) -> IcebergLake:
    lake = IcebergLake(store, [spec], 2, by_name=by_name)
    name = lake.new_name(piece)
    store.write(f"{spec.name}/data/{name}", b"rows")
    new = NewFile(piece, name, 3, 4, None, about.pop("bounds", {}), **about)
    lake.commit({spec.name: Contents([new], [], {})}, {"load_id": "1"}, ADDRESS)
    return lake


def test_columns_are_numbered_in_their_order_and_described() -> None:
    store = MemoryStore()
    add_file(store, MEASURED, "2018-11-30")
    table = newest(store, MEASURED)
    assert fields(table) == {
        "name": (1, "string", "what was measured"),
        "measured_at": (2, "timestamp", "when, in UTC"),
        "length": (3, "double", ""),
        "place": (4, "long", "a number"),
        "floor": (5, "int", ""),
    }
    assert table.metadata and table.metadata.format_version == 2
    assert table.field_ids == {column.name: number for number, column in enumerate(MEASURED.columns, 1)}
    assert [(f.source_id, str(f.transform), f.name) for f in table.metadata.spec().fields] == [
        (2, "month", "measured_at_month")
    ]
    assert store.contents["measured/metadata/v1.metadata.json"].startswith(b"{")
    assert store.contents["measured/metadata/version-hint.text"] == b"1"


def test_bounds_are_kept_of_the_named_columns_alone() -> None:
    from pyiceberg.conversions import from_bytes
    from pyiceberg.types import DoubleType, TimestampType

    store = MemoryStore()
    least, greatest = datetime(2018, 11, 30, 1, 2, 3, 4000), datetime(2018, 11, 30, 23)
    bounds = {"measured_at": (least, greatest), "length": (0.5, float("nan")), "place": (1, 2)}
    add_file(store, MEASURED, "2018-11-30", bounds=bounds, days=(date(2018, 11, 30),) * 2, nulls={"length": 1})
    [file] = newest(store, MEASURED).data_files
    lower, upper = file.lower_bounds, file.upper_bounds
    micros: list[Any] = [from_bytes(TimestampType(), found[2]) for found in (lower, upper)]
    shortest: Any = from_bytes(DoubleType(), lower[3])
    assert micros == [(moment - datetime(1970, 1, 1)).total_seconds() * 1_000_000 for moment in (least, greatest)]
    assert shortest == 0.5
    assert (set(lower), set(upper)) == ({2, 3}, {2})
    assert (file.partition[0], file.record_count) == ((2018 - 1970) * 12 + 10, 3)
    assert (dict(file.null_value_counts), dict(file.value_counts)) == ({3: 1}, {3: 3})


def test_a_new_column_gets_a_number_that_none_has_had() -> None:
    store = MemoryStore()
    columns = list(MEASURED.columns)
    add_file(store, MEASURED, "2018-11-28")
    without_floor = MEASURED._replace(
        columns=[c._replace(doc="new words") if c.name == "name" else c for c in columns[:4]]
    )
    add_file(store, without_floor, "2018-11-29")
    assert fields(newest(store, without_floor)).keys() == {"name", "measured_at", "length", "place"}
    assert fields(newest(store, without_floor))["name"][2] == "new words"
    again = without_floor._replace(columns=[*without_floor.columns, Column("floor", "INTEGER", True, "")])
    assert newest(store, again).field_ids["floor"] == 6
    add_file(store, again, "2018-11-30")
    table = newest(store, again)
    assert fields(table)["floor"] == (6, "int", "")
    assert table.metadata and not table.metadata.schema().find_field("floor").required, "older files do not have it"
    assert not table.has_other_types
    wider = again._replace(columns=[c._replace(type="BIGINT") if c.name == "floor" else c for c in again.columns])
    assert newest(store, wider).has_other_types
    assert newest(store, wider).field_ids["floor"] == 7


def test_files_without_numbers_are_read_by_the_names_of_their_columns() -> None:
    store = MemoryStore()
    add_file(store, MEASURED, "2018-11-29")
    table = newest(store, MEASURED)
    assert table.metadata and "schema.name-mapping.default" not in table.metadata.properties
    add_file(store, MEASURED, "2018-11-30", by_name=True)
    more = MEASURED._replace(columns=[*MEASURED.columns, Column("colour", "VARCHAR(8)", False, "")])
    add_file(store, more, "2018-11-28", by_name=True)
    table = newest(store, more)
    assert table.metadata
    mapping = json.loads(table.metadata.properties["schema.name-mapping.default"])
    assert {name: each["field-id"] for each in mapping for name in each["names"]} == table.field_ids


def test_an_unknown_type_is_refused() -> None:
    odd = MEASURED._replace(columns=[Column("name", "SUPER", False, ""), *MEASURED.columns[1:]])
    with pytest.raises(ValueError, match="no Iceberg type for SUPER"):
        add_file(MemoryStore(), odd, "2018-11-30")


def test_every_export_has_a_tag_in_every_table_and_an_unchanged_table_no_more() -> None:
    store = MemoryStore()
    pins = [export(store, version, keep=3) for version in (1, 2, 3)]
    shown = [newest(store, spec) for spec in SPECS]
    for table in shown:
        assert table.metadata
        tags = {name: ref.snapshot_id for name, ref in table.metadata.refs.items() if name != "main"}
        pinned = {f"export-{each.export}": each.tables[table.spec.name].pin.snapshot for each in pins if each}
        assert tags == pinned
    things = shown[0]
    assert things.metadata and len(things.metadata.snapshots) == 2, "version 3 of the star has the things of version 2"
    assert (things.export, things.origin) == (2, {"version": "2"})
    assert (shown[1].export, shown[1].origin, shown[1].totals) == (3, {"version": "3"}, {"version": 3})


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_so_many_exports_stay(keep: int) -> None:
    store = MemoryStore()
    made = [export(store, version, keep) for version in range(1, 7)]
    last = made[-1]
    assert last and [last.export, *(kept.export for kept in last.kept)] == list(range(6, 6 - keep, -1))
    table = newest(store, EVENTS)
    assert table.metadata
    assert table.metadata.refs.keys() == {"main", *(f"export-{number}" for number in range(6, 6 - keep, -1))}
    named = {version for version in range(1, 7) if f"events/metadata/v{version}.metadata.json" in store.contents}
    assert named == set(range(7 - keep, 7))


def test_manifests_do_not_pile_up() -> None:
    """A table that is written whole each time has one manifest with rows, and one that says what has gone."""
    store = MemoryStore()
    for version in range(2, 30, 2):
        export(store, version, keep=1)
    assert len([path for path in store.contents if path.startswith("things/metadata/") and "-m" in path]) <= 2


def test_a_table_that_another_tool_has_written_is_written_whole() -> None:
    store = MemoryStore()
    export(store, 3)
    table = newest(store, EVENTS)
    path, added = table.metadata_path(table.version), table.metadata_path(table.version + 1)
    content = json.loads(store.contents[path])
    for snapshot in content["snapshots"]:
        del snapshot["summary"]["export"]
    store.contents[added] = json.dumps(content).encode()
    assert newest(store, EVENTS).export is None
    made = export(store, 3)
    assert made and wrong_files(made, store.contents) == []
    assert {f.path for f in made.tables["events"].files}.isdisjoint(f.path for f in table.files)


def test_the_slower_of_two_finds_it_at_the_first_table() -> None:
    store = MemoryStore()
    export(store, 1)
    slow = IcebergLake(store, SPECS, 2)
    contents = {spec.name: write(slow, store, spec.name, 3) for spec in SPECS}
    export(store, 2)
    with pytest.raises(Busy, match="another session has just exported to s3://lake"):
        slow.commit(contents, {"version": "3"}, ADDRESS)
    pins = read_pins(store.contents[PINS], store.location)
    assert pins.export == 2
    assert wrong_files(pins, store.contents) == []


def test_an_export_that_is_given_up_takes_its_files_along() -> None:
    store = MemoryStore()
    export(store, 1)
    before = dict(store.contents)
    lake = IcebergLake(store, SPECS, 2)
    contents = {spec.name: write(lake, store, spec.name, 3) for spec in SPECS}
    assert store.contents != before
    lake.discard()
    assert store.contents == before
    lake = IcebergLake(store, SPECS, 2)
    contents = {spec.name: write(lake, store, spec.name, 3) for spec in SPECS}
    made = lake.commit(contents, {"version": "3"}, ADDRESS)
    lake.discard()
    assert wrong_files(made, store.contents) == []


# ---------------------------------------------------------------------------------------------------------- read back


def test_a_lake_is_as_export_json_says() -> None:
    store = MemoryStore()
    export(store, 3)
    assert differences(IcebergLake(store, SPECS, 2)) == {"things": [], "events": []}
    assert differences(IcebergLake(MemoryStore(), SPECS, 2)) == {}


def test_damage_is_told_of_the_table_that_it_is_in() -> None:
    store = MemoryStore()
    pins = export(store, 3)
    assert pins
    [thing], events = pins.tables["things"].files, pins.tables["events"].files
    del store.contents[thing.path]
    store.contents[events[0].path] = b"x"
    found = differences(IcebergLake(store, SPECS, 2))
    assert found["things"] == [f"{thing.path} is missing"]
    assert found["events"] == [f"{events[0].path} has 1 bytes, not {events[0].bytes}"]


def test_files_that_only_one_side_names_are_told() -> None:
    store = MemoryStore()
    pins = export(store, 3)
    assert pins
    events = pins.tables["events"]
    first, second = events.files
    other = first._replace(path="events/data/2018-11-09-rother.parquet")
    files = [other, second._replace(rows=9)]
    edited = pins._replace(tables={**pins.tables, "events": events._replace(files=files)})
    store.contents[PINS] = edited.encode()
    store.contents[other.path] = b"x" * other.bytes
    found = differences(IcebergLake(store, SPECS, 2))["events"]
    assert found[:2] == [
        f"{other.path} is in export.json, and a scan does not read it",
        f"{first.path} is read by a scan, and not in export.json",
    ]
    assert "3 rows" in found[2] and "9 rows" in found[2]


def test_metadata_that_is_gone_is_told() -> None:
    store = MemoryStore()
    pins = export(store, 3)
    assert pins
    avro = next(path for path in pins.tables["events"].pin.files if path.endswith(".avro"))
    del store.contents[avro]
    with pytest.raises(EnvironmentFailure, match="is gone, and the table events needs it"):
        differences(IcebergLake(store, SPECS, 2))


@pytest.mark.parametrize("keep", [1, 2])
def test_a_lake_that_was_moved_is_told_and_the_next_export_names_the_new_place(tmp_path: Path, keep: int) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for version in (1, 2, 3):
        export(FolderStore(old), version, keep)
    shutil.move(old, new)
    lake = IcebergLake(FolderStore(new), SPECS, keep)
    assert lake.is_moved and not lake.is_settled()
    assert all("names another place" in wrong[0] and len(wrong) == 1 for wrong in differences(lake).values())
    files = {path.name for path in new.rglob("*.parquet")}
    made = export(FolderStore(new), 3, keep)
    assert made and made.kept == []
    assert {path.name for path in new.rglob("*.parquet")} <= files, "no data file is written again"
    stored = {str(path.relative_to(new)): path.read_bytes() for path in new.rglob("*") if path.is_file()}
    assert wrong_files(made, stored) == []
    lake = IcebergLake(FolderStore(new), SPECS, keep)
    assert not lake.is_moved and lake.is_settled() and lake.expired() == []
    assert differences(lake) == {"things": [], "events": []}
    assert all(file.file_path.startswith(f"{new}/") for file in lake.tables["events"].data_files)


def test_a_link_to_a_lake_is_no_other_place(tmp_path: Path) -> None:
    export(FolderStore(tmp_path / "lake"), 1)
    (tmp_path / "link").symlink_to(tmp_path / "lake")
    assert not IcebergLake(FolderStore(tmp_path / "link"), SPECS, 2).is_moved
    assert export(FolderStore(tmp_path / "link"), 1) is None
    made = export(FolderStore(tmp_path / "link"), 2)
    assert made and len(made.kept) == 1
    assert differences(IcebergLake(FolderStore(tmp_path / "lake"), SPECS, 2)) == {"things": [], "events": []}


# ------------------------------------------------------------------------------------------------------ what is others'


@pytest.mark.parametrize("text", [b"{}", b"[]", b"no JSON", b'{"format": "dwh-lake/1", "current": "v-1"}'])
def test_an_export_json_of_others_is_left_alone(text: bytes) -> None:
    store = MemoryStore({PINS: text})
    with pytest.raises(ConfigError, match="is not one of a lake of this suite"):
        IcebergLake(store, SPECS, 2)
    assert store.contents == {PINS: text}


def test_metadata_of_others_is_left_alone() -> None:
    store = MemoryStore({"things/metadata/v7.metadata.json": b'{"format-version": 9}'})
    with pytest.raises(ConfigError, match="is no Iceberg metadata"):
        export(store, 1)


def test_what_is_no_part_of_a_lake_is_named() -> None:
    there = ["things/data/x.parquet", "manifest.json", "v-2018/x", ".DS_Store", "lost+found/x", PINS.upper()]
    found = IcebergLake(MemoryStore(dict.fromkeys(there, b"")), [THINGS], 2).others()
    assert found == {"manifest.json", "v-2018", PINS.upper()}


def test_looking_at_a_lake_needs_no_library() -> None:
    code = (
        "import sys; sys.path[:0] = ['tests', '.']\n"
        "from lake.memory_store import MemoryStore\n"
        "from lake.small_star import SPECS\n"
        "from dwh.lake.iceberg.lake import IcebergLake\n"
        "lake = IcebergLake(MemoryStore(), SPECS, 2)\n"
        "print(lake.is_settled(), lake.expired(), [name for name in sys.modules if name.startswith('pyiceberg')])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert run.stdout == "False [] []\n"


# ------------------------------------------------------------------------------------------------------- real Parquet


def rows_read(lake: IcebergLake, name: str) -> Sequence[tuple[object, ...]]:
    import duckdb

    assert lake.pins
    paths = [f"{lake.store.location}/{file.path}" for file in lake.pins.tables[name].files]
    found: list[tuple[object, ...]] = duckdb.read_parquet(paths, union_by_name=True).order("1").fetchall()
    return found


def test_files_of_duckdb_have_the_numbers_of_the_table(tmp_path: Path) -> None:
    """What an engine does: the workspace, the numbers of the columns, the digest."""
    import duckdb

    spec = THINGS._replace(columns=[*THINGS.columns, Column("label", "VARCHAR(9)", False, "")])
    lake = IcebergLake(FolderStore(tmp_path), [spec], 2)
    with lake.store.held(), lake.store.workspace("things") as workspace:
        name = lake.new_name("")
        numbers = ", ".join(f'"{column}": {number}' for column, number in lake.tables["things"].field_ids.items())
        copy = "COPY (SELECT 7::BIGINT AS thing, 'a' AS label) TO '{}' (FORMAT parquet, FIELD_IDS {{{}}})"
        duckdb.execute(copy.format(f"{workspace}/{name}", numbers))
        there = lake.adopt("things", name, workspace)
        new = NewFile("", name, 1, there.bytes, there.sha256, {})
        lake.commit({"things": Contents([new], [], {})}, {}, ADDRESS)
    numbered = duckdb.execute(f"SELECT name, field_id FROM parquet_schema('{tmp_path}/things/data/{name}')").fetchall()
    assert dict(numbered)["thing"] == 1 and dict(numbered)["label"] == 2
    assert rows_read(IcebergLake(lake.store, [spec], 2), "things") == [(7, "a")]
    assert differences(IcebergLake(lake.store, [spec], 2)) == {"things": []}
