"""The lake of a warehouse as tests see it, whatever the place: all its bytes, and the rows that a reader finds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import moto_s3
from reference_star import Star, in_order
from warehouse import STAR_QUERIES

from dwh.lake.iceberg.commit import HINT
from dwh.lake.iceberg.lake import IcebergLake
from dwh.lake.iceberg.pins import PINS, Pins, read_pins, version_of
from lake.memory_store import MemoryStore
from star.lake_tables import SPECS

Row = tuple[Any, ...]


@dataclass
class LakePlace:
    """A folder, or with `endpoint` a prefix of a bucket. Data files never change: they are copied once to `copies`, for
    DuckDB to read."""

    location: str
    copies: Path
    endpoint: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def stored(self) -> dict[str, bytes]:
        """Give every file, by its path below the lake."""
        if not self.endpoint:
            root = Path(self.location)
            files = [path for path in root.rglob("*") if path.is_file()]
            return {os.path.relpath(path, root): path.read_bytes() for path in files}
        bucket, _, key = self.location.removeprefix("s3://").partition("/")
        client, found = moto_s3.client(self.endpoint), {}
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{key}/"):
            for item in page.get("Contents", ()):
                data = client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                found[item["Key"].removeprefix(f"{key}/")] = data
        return found

    def pins(self, stored: Mapping[str, bytes]) -> Pins:
        """Read export.json."""
        return read_pins(stored[PINS], self.location)

    def pinned(self, stored: Mapping[str, bytes]) -> Star:
        """Give the rows that export.json names, all of whose files, also those of older exports, are there as written.
        What a cluster wrote has no digest."""
        pins = self.pins(stored)
        for _, pin in pins.all_pins:
            assert {pin.metadata, *pin.files} <= stored.keys()
        for file in pins.files:
            assert len(stored[file.path]) == file.bytes
            assert file.sha256 in (None, hashlib.sha256(stored[file.path]).hexdigest())
        return {name: self._read(name, stored, [f.path for f in pins.tables[name].files]) for name in STAR_QUERIES}

    def planned(self, stored: Mapping[str, bytes]) -> dict[str, list[list[Row]]]:
        """Give the rows of each table by the plan of its newest metadata, and of that which the hint names."""
        lake = IcebergLake(MemoryStore(dict(stored), self.location), SPECS, 1)
        found: dict[str, list[list[Row]]] = {}
        for name in STAR_QUERIES:
            start = f"{name}/metadata/"
            versions = {version_of(path) for path in stored if path.startswith(start)} - {0}
            hint = stored.get(f"{start}{HINT}", b"")
            found[name] = []
            for version in {max(versions), int(hint)} if versions and hint else versions and {max(versions)}:
                table = lake.table(name, version)
                assert table.snapshot
                planned = table.planned(table.snapshot.snapshot_id)
                assert [len(stored[path]) for path, _, _ in planned] == [size for _, _, size in planned]
                found[name].append(self._read(name, stored, [path for path, _, _ in planned]))
        return found

    def left_over(self, stored: Mapping[str, bytes]) -> set[str]:
        """Name what no export that stays needs; the hints are everybody's."""
        needed = {PINS, *(f"{name}/metadata/{HINT}" for name in STAR_QUERIES)}
        pins = self.pins(stored)
        for name, pin in pins.all_pins:
            newest = pins.tables[name].version
            oldest = min(version_of(other.metadata) for table, other in pins.all_pins if table == name)
            between = {f"{name}/metadata/v{version}.metadata.json" for version in range(oldest, newest + 1)}
            needed |= {*between, *pin.files}
        return set(stored) - needed

    def _read(self, table: str, stored: Mapping[str, bytes], paths: Iterable[str]) -> list[Row]:
        files = []
        for path in paths:
            copy = self.copies / path.replace("/", " ")
            if not copy.exists():
                copy.write_bytes(stored[path])
            assert copy.stat().st_size == len(stored[path])
            files.append(str(copy))
        sql = STAR_QUERIES[table].replace(f"FROM {table}", "FROM read_parquet($files)")
        return in_order(duckdb.execute(sql, {"files": files}).fetchall()) if files else []
