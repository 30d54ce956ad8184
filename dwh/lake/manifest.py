"""The manifest of a lake: the files of the current version of each table."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dwh.ownership.marks import read_address
from dwh.seam import Address
from dwh.terminal.errors import ConfigError

MANIFEST = "manifest.json"
FORMAT = "dwh-lake/1"
VERSION = re.compile(r"v-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")


class LakeFile(NamedTuple):
    """One file: its path below the lake, its rows and bytes, and its digest (None: the engine wrote it to S3)."""

    path: str
    rows: int
    bytes: int
    sha256: str | None


class LakeTable(NamedTuple):
    """One table of a version; `path` is the folder of all its files, `totals` are sums of its columns."""

    path: str
    rows: int
    bytes: int
    partition_by: Sequence[str]
    sorted_by: Sequence[str]
    columns: Mapping[str, str]
    totals: Mapping[str, int]
    files: Sequence[LakeFile]


class Manifest(NamedTuple):
    """The content of manifest.json. `origin` identifies the state of the tables, `revision` counts the commits,
    `warehouse` is the address of the warehouse that wrote it (None: version 0.1 wrote it)."""

    current: str
    kept: Sequence[str]
    revision: int
    exported_at: str
    engine: str
    origin: Mapping[str, Any]
    tables: Mapping[str, LakeTable]
    warehouse: Address | None = None

    def encode(self) -> bytes:
        """Give the file."""
        tables = {
            name: {**table._asdict(), "files": [file._asdict() for file in table.files]}
            for name, table in self.tables.items()
        }
        content = {"format": FORMAT, **self._asdict(), "tables": tables}
        return (json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n").encode()

    @property
    def files(self) -> list[LakeFile]:
        """Every file of the current version."""
        return [file for table in self.tables.values() for file in table.files]


def read_manifest(data: bytes, location: str) -> Manifest:
    """Read manifest.json. Raises ConfigError when this suite did not write it; the file is not changed."""
    try:
        content = json.loads(data)
        if content.pop("format") != FORMAT:
            raise ValueError
        tables = {
            name: LakeTable(**{**table, "files": [LakeFile(**file) for file in table["files"]]})
            for name, table in content.pop("tables").items()
        }
        manifest = Manifest(tables=tables, **content)
        if manifest.warehouse is not None:
            read_address(manifest.warehouse)
        return manifest
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            f"manifest.json in {location} was not written by this suite; nothing was changed",
            hint=f"the same command again with --to {shlex.quote(location + '_2')}",
        ) from None
