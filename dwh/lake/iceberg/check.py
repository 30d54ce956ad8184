"""Read a lake back as a reader of Iceberg tables would, and compare what is planned with export.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dwh.lake.iceberg.pins import version_of

if TYPE_CHECKING:
    from dwh.lake.iceberg.lake import IcebergLake


def differences(lake: IcebergLake) -> dict[str, list[str]]:
    """Give, for each table of the current export, what is wrong with it: a place that its metadata does not name, files
    that a scan of the pinned snapshot would read and export.json does not name, and the other way round, and files that
    are gone or have other bytes. What is in the files is for their reader to compare.

    Raises Busy when the metadata is gone, as another session has exported since.
    """
    return {name: _differences(lake, name) for name in lake.specs} if lake.pins else {}


def _differences(lake: IcebergLake, name: str) -> list[str]:
    assert lake.pins is not None  # noqa: S101
    said = lake.pins.tables.get(name)
    if said is None:
        return ["export.json does not name this table"]
    table = lake.table(name, version_of(said.pin.metadata))
    wrong = []
    if table.is_moved:
        wrong.append(f"its metadata names another place: {table.location}; the next export names this one")
    planned = {path: (rows, size) for path, rows, size in table.planned(said.pin.snapshot)}
    named = {file.path: (file.rows, file.bytes) for file in said.files}
    unread, unnamed = sorted(named.keys() - planned.keys()), sorted(planned.keys() - named.keys())
    wrong += [f"{path} is in export.json, and a scan does not read it" for path in unread]
    wrong += [f"{path} is read by a scan, and not in export.json" for path in unnamed]
    for path in sorted(planned.keys() & named.keys()):
        if planned[path] != named[path]:
            told = "{:,} rows in {:,} bytes".format
            wrong.append(f"{path}: the metadata says {told(*planned[path])}, export.json {told(*named[path])}")
    return wrong + [f"{file.path} {lake.damage(file)}" for file in said.files if lake.damage(file)]
