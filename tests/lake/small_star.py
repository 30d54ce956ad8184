"""A star small enough to be walked through: each version of it touches one day, and one table that has no days.

What a file must hold follows from the version alone, so that a mix of two versions is seen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta

from dwh.lake.iceberg.lake import Contents, IcebergLake
from dwh.lake.iceberg.pieces import Pieces, plan_months, plan_whole
from dwh.lake.iceberg.pins import Pins
from dwh.lake.iceberg.spec import Column, LakeFile, NewFile, TableSpec
from dwh.lake.iceberg.store import Store

THINGS = TableSpec("things", [Column("thing", "BIGINT", True, "which")], None, ())
EVENTS = TableSpec(
    "events",
    [Column("event", "VARCHAR(32)", True, ""), Column("happened_at", "TIMESTAMP", True, "when, in UTC")],
    "happened_at",
    ("happened_at",),
)
SPECS = [THINGS, EVENTS]
ADDRESS = {"engine": "duckdb", "file": "star.duckdb"}
ROWS = 3


def touched_day(version: int) -> date:
    """The day that a version of the star brought or changed: each second one changes the day before."""
    return date(2018, 11, 1) + timedelta(days=version // 2)


def days_of(version: int) -> dict[date, int]:
    """The days of a star, and the version that touched each last."""
    return {touched_day(number): number for number in range(1, version + 1)}


def content(table: str, piece: str, version: int) -> bytes:
    """What the file of a piece holds."""
    last = days_of(version)
    if table == "things":
        return f"things of {version // 2}".encode()
    wanted = {day.isoformat(): number for day, number in last.items() if day.isoformat().startswith(piece)}
    return json.dumps(wanted).encode()


def expected(table: str, version: int) -> dict[str, bytes]:
    """What a table of a star consists of: its pieces, and what they hold."""
    if table == "things":
        return {"": content(table, "", version)}
    newest = max(days_of(version)).isoformat()[:7]
    pieces = {d.isoformat() if d.isoformat()[:7] == newest else d.isoformat()[:7] for d in days_of(version)}
    return {piece: content(table, piece, version) for piece in pieces}


def plan(lake: IcebergLake, table: str, version: int) -> Pieces:
    """Plan one table, judged by the export that its snapshot names."""
    state = lake.tables[table]
    base = int(state.origin["version"]) if state.export is not None else None
    files = lake.files(table)
    known = base is not None and base <= version and not any(map(lake.damage, files))
    if table == "things":
        return plan_whole(files, changed=not known or content(table, "", base or 0) != content(table, "", version))
    days = {touched_day(v) for v in range((base or 0) + 1, version + 1)} if known else set(days_of(version))
    return plan_months(files, days, max(days_of(version)), everything=not known)


def write(lake: IcebergLake, store: Store, table: str, version: int) -> Contents:
    """Write the data files of one table."""
    pieces = plan(lake, table, version)
    new = []
    for piece in pieces.write:
        data = content(table, piece, version)
        name = lake.new_name(piece)
        store.write(f"{table}/data/{name}", data)
        bounds = {"happened_at": (datetime(2018, 11, 1), datetime(2018, 11, 30))}
        digest = hashlib.sha256(data).hexdigest()
        new.append(NewFile(piece, name, ROWS, len(data), digest, bounds if table == "events" else {}))
    return Contents(new, pieces.gone, {"version": version})


def export(store: Store, version: int, keep: int = 2) -> Pins | None:
    """Export a version of the star, as the script does; None: the lake holds it."""
    lake = IcebergLake(store, SPECS, keep)
    origin = {"version": str(version)}
    if lake.pins and lake.is_settled() and lake.pins.origin == origin:
        lake.tidy()
        return None
    contents = {spec.name: write(lake, store, spec.name, version) for spec in SPECS}
    made = lake.commit(contents, origin, ADDRESS)
    lake.tidy()
    return made


def wrong_files(pins: Pins, stored: Mapping[str, bytes]) -> list[str]:
    """Compare the current export with the star that it says it is; empty: it is that one, whole."""
    version = int(pins.origin["version"])
    wrong = []
    for table, said in pins.tables.items():
        found = {file.piece: file for file in said.files}
        wanted = expected(table, version)
        if found.keys() != wanted.keys() or len(found) != len(said.files):
            wrong.append(f"{table} has {sorted(found)}, and should have {sorted(wanted)}")
        for piece, data in wanted.items():
            if piece in found:
                wrong += _wrong(found[piece], stored, data)
    return wrong


def _wrong(file: LakeFile, stored: Mapping[str, bytes], data: bytes) -> list[str]:
    if file.path not in stored:
        return [f"{file.path} is missing"]
    if stored[file.path] != data or file.sha256 != hashlib.sha256(data).hexdigest() or file.bytes != len(data):
        return [f"{file.path} is not of this star"]
    return []
