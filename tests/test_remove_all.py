"""conn_close.py --remove-all, and what --delete-data says of lake and report: only what is ours goes, file by file."""

from __future__ import annotations

from pathlib import Path

import pytest
from redshift.warehouse_on_redshift import WORK, Cloud
from warehouse import Warehouse, plays

from dwh.terminal.errors import ConfigError


@pytest.fixture
def written(warehouse: Warehouse) -> Warehouse:
    """A warehouse that wrote a lake and a report."""
    warehouse.configure(S3={"LAKE": "lake"}, REPORT={"PATH": "report.html"})
    warehouse.write("log_data/a.json", plays(3))
    for script in ("etl", "export_lake", "report"):
        assert warehouse.call(script, "-q").code == 0
    return warehouse


def left(warehouse: Warehouse) -> set[str]:
    """Name what is there beside sources and settings."""
    known = {"log_data", "song_data", "elsewhere", "tmp", "dwh.cfg"}
    return {path.name for path in warehouse.root.iterdir() if path.name not in known}


@pytest.mark.parametrize("form", ["iceberg", "parquet"])
def test_p223_all_of_it_goes(form: str, warehouse: Warehouse) -> None:
    """P223: database, lake and report are gone; sources and settings stay, and a second time there is nothing."""
    warehouse.configure(S3={"LAKE": "lake"}, LAKE={"FORMAT": form}, REPORT={"PATH": "report.html"})
    source = warehouse.write("log_data/a.json", plays(3))
    for script in ("etl", "export_lake", "report"):
        assert warehouse.call(script, "-q").code == 0
    assert left(warehouse) == {"warehouse.duckdb", "lake", "report.html"}
    done = warehouse.call("conn_close", "--remove-all", "--yes")
    assert (done.code, left(warehouse), source.exists()) == (0, set(), True)
    assert "- the lake in" in done.out
    assert "- the report" in done.out
    again = warehouse.call("conn_close", "--remove-all", "--yes")
    assert (again.code, "does not exist" in again.out) == (0, True)


@pytest.mark.parametrize("form", ["iceberg", "parquet"])
def test_p223_a_lake_in_s3_goes_and_what_others_put_there_stays(
    form: str, warehouse: Warehouse, some_cloud: Cloud
) -> None:
    """P223: the objects that exports wrote are gone, and every other of the bucket is as it was."""
    client, prefix = some_cloud.client(), f"of-{warehouse.root.parent.name}"
    theirs = [f"{prefix}/lake/notes.txt", f"{prefix}/lake-2/users/data/a.parquet", f"{prefix}/lake/users/b.txt"]
    warehouse.configure(S3={"LAKE": f"s3://{WORK}/{prefix}/lake"}, LAKE={"FORMAT": form})
    warehouse.write("log_data/a.json", plays(3))
    keys = {name: value for name, value in some_cloud.environment.items() if name.startswith("AWS_")}

    def there() -> list[str]:
        return [item["Key"] for item in client.list_objects_v2(Bucket=WORK, Prefix=prefix).get("Contents", ())]

    for script in ("etl", "export_lake"):
        assert warehouse.call(script, "-q", env=keys).code == 0
    assert len(there()) > len(theirs)
    for key in theirs:
        client.put_object(Bucket=WORK, Key=key, Body=b"theirs")
    assert warehouse.call("conn_close", "--remove-all", "--yes", env=keys).code == 0
    assert there() == sorted(theirs)


@pytest.mark.parametrize("form", ["iceberg", "parquet"])
def test_p223_what_others_put_there_stays(form: str, warehouse: Warehouse) -> None:
    """P223: a file that no export wrote stays in the folder of the lake, with the folders above it."""
    warehouse.configure(S3={"LAKE": "lake"}, LAKE={"FORMAT": form}, REPORT={"PATH": "report.html"})
    warehouse.write("log_data/a.json", plays(3))
    for script in ("etl", "export_lake"):
        assert warehouse.call(script, "-q").code == 0
    lake = warehouse.root / "lake"
    [inside] = [path for path in lake.iterdir() if path.is_dir() and path.name[:2] in ("v-", "us")]
    theirs = {lake / "notes.txt", inside / "notes.txt", lake / "mine/a.parquet", warehouse.root / "report.html"}
    for path in theirs:
        path.parent.mkdir(exist_ok=True)
        path.write_text("theirs", "utf-8")
    assert warehouse.call("conn_close", "--remove-all", "--yes").code == 0
    assert {path for path in lake.rglob("*") if path.is_file()} | {warehouse.root / "report.html"} == theirs
    assert all(path.read_text("utf-8") == "theirs" for path in theirs)


def test_p223_what_another_warehouse_wrote_stays(written: Warehouse, tmp_path: Path, empty_database: Path) -> None:
    """P223: lake and report of another warehouse are not named and not touched."""
    other = Warehouse(tmp_path / "other").create(empty_database)
    other.configure(S3={"LAKE": written.root / "lake"}, REPORT={"PATH": written.root / "report.html"})
    before = sorted(path for path in written.root.rglob("*"))
    done = other.call("conn_close", "--remove-all", "--yes")
    assert (done.code, "lake" in done.out) == (0, False)
    assert sorted(path for path in written.root.rglob("*")) == before
    assert written.call("export_lake", "--check").code == 0


def test_a_dry_run_names_what_would_go(written: Warehouse) -> None:
    """It changes nothing."""
    done = written.call("conn_close", "--remove-all", "--dry-run")
    assert [line.split()[0] for line in done.out.splitlines()[:3]] == ["-", "-", "-"]
    assert left(written) == {"warehouse.duckdb", "lake", "report.html"}


def test_delete_data_says_what_stays(written: Warehouse) -> None:
    """With --yes alone nobody is asked about lake and report: they stay, and what removes them is said."""
    done = written.call("conn_close", "--delete-data", "--yes")
    assert (done.code, left(written)) == (0, {"lake", "report.html"})
    assert done.out.count("stays     (--remove-all removes it)") == 2
    assert written.call("conn_close", "--remove-all", "--yes").code == 0
    assert left(written) == set()


@pytest.mark.parametrize(
    ("answers", "stay"), [("y\ny\n", set()), ("n\ny\n", {"lake"}), ("\n\n", {"lake", "report.html"})]
)
def test_on_a_terminal_each_is_offered(answers: str, stay: set[str], written: Warehouse) -> None:
    """--delete-data asks for the name, then about the lake, then about the report; Return means no."""
    done = written.run_on_terminal(
        "conn_close", "--delete-data", typed=f"warehouse.duckdb\n{answers}", wait_for="to continue"
    )
    assert (done.code, left(written)) == (0, stay), done.out
    assert "Remove the lake in" in done.out


def test_another_name_removes_nothing(written: Warehouse) -> None:
    """Nor does a run without a terminal and without --yes."""
    done = written.run_on_terminal("conn_close", "--remove-all", typed="wharehouse\n", wait_for="to continue")
    assert done.code == 2
    with pytest.raises(ConfigError):
        written.call("conn_close", "--remove-all")
    assert left(written) == {"warehouse.duckdb", "lake", "report.html"}


def test_a_killed_removal_is_gone_on_with(written: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """What says whose the lake is goes last: the next run knows the rest."""
    from dwh.lake.iceberg.folder import FolderStore

    class Killed(BaseException):
        pass

    delete = FolderStore.delete

    def half(self: FolderStore, paths: list[str]) -> None:
        delete(self, paths[: (len(paths) + 1) // 2])
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(FolderStore, "delete", half)
        written.call("conn_close", "--remove-all", "--yes")
    assert "lake" in left(written)
    assert written.call("conn_close", "--remove-all", "--yes").code == 0
    assert left(written) == set()
