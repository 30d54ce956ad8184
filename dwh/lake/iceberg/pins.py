"""export.json: which snapshot of each table belongs to an export, and the files that are the current rows.

A reader that starts from it sees all tables as one export left them. It is the only file that says so: a table whose
last commit came from an export that was killed is ahead of it until the next export ends.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from dwh.lake.iceberg.commit import HINT
from dwh.lake.iceberg.spec import LakeFile, is_data_file
from dwh.lake.iceberg.table import METADATA, Pin
from dwh.ownership.marks import read_address
from dwh.seam import Address
from dwh.terminal.errors import ConfigError

PINS = "export.json"
FORMAT = "dwh-lake/2"
UNFINISHED = ".partial"


class TableExport(NamedTuple):
    """One table of the current export: its pin, the version of its newest metadata, and its rows as files."""

    pin: Pin
    version: int
    rows: int
    bytes: int
    columns: Mapping[str, str]
    totals: Mapping[str, int]
    files: Sequence[LakeFile]


class Kept(NamedTuple):
    """An older export that stays: its number, and its pins."""

    export: int
    tables: Mapping[str, Pin]


class Pins(NamedTuple):
    """What export.json says. `export` is the number of the current export, `revision` counts the commits of the lake,
    `location` is the place that the metadata names, `origin` tells one state of the star from another, `warehouse` is
    the address of the one that wrote it, `kept` are the older exports that stay, newest first."""

    export: int
    revision: int
    exported_at: str
    location: str
    warehouse: Address
    origin: Mapping[str, str]
    tables: Mapping[str, TableExport]
    kept: Sequence[Kept]

    @property
    def files(self) -> list[LakeFile]:
        """Every data file of the current export."""
        return [file for table in self.tables.values() for file in table.files]

    @property
    def all_pins(self) -> list[tuple[str, Pin]]:
        """Every pin of every export, with its table."""
        current = [(name, table.pin) for name, table in self.tables.items()]
        return current + [(name, pin) for kept in self.kept for name, pin in kept.tables.items()]

    def encode(self) -> bytes:
        """Give the file."""
        tables = {
            name: {**table._asdict(), "pin": table.pin._asdict(), "files": [file._asdict() for file in table.files]}
            for name, table in self.tables.items()
        }
        kept = [
            {"export": kept.export, "tables": {name: pin._asdict() for name, pin in kept.tables.items()}}
            for kept in self.kept
        ]
        content = {"format": FORMAT, **self._asdict(), "tables": tables, "kept": kept}
        return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def read_pins(data: bytes, location: str) -> Pins:
    """Read export.json. Raises ConfigError when it is not that of a lake of this suite; it is not changed."""
    try:
        content = json.loads(data)
        if content.pop("format") != FORMAT:
            raise ValueError
        tables = {name: _read_table(table) for name, table in content.pop("tables").items()}
        kept = [
            Kept(older["export"], {name: Pin(**pin) for name, pin in older["tables"].items()})
            for older in content.pop("kept")
        ]
        pins = Pins(tables=tables, kept=kept, **content)
        read_address(pins.warehouse)
        return pins
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            f"{PINS} in {location} is not one of a lake of this suite; nothing there was changed",
            hint=f"the same command again with --to {shlex.quote(location + '_2')}",
        ) from None


def left_over(there: Iterable[str], pins: Pins, tables: Iterable[str]) -> list[str]:
    """Name what lies in the folders of the tables, was made by exports, and is needed by no export that stays."""
    needed = {PINS}
    oldest: dict[str, int] = {}
    for name, pin in pins.all_pins:
        needed.update((pin.metadata, *pin.files))
        version = version_of(pin.metadata)
        oldest[name] = min(version, oldest.get(name, version))
    return [path for path in sorted(there) if path not in needed and _may_go(path, oldest, tables)]


def is_of_exports(path: str, tables: Iterable[str]) -> bool:
    """Tell whether a path is one at which exports put files."""
    table, _, rest = path.partition("/")
    folder, _, name = rest.partition("/")
    if table not in tables or folder not in ("data", "metadata"):
        return path == PINS
    return is_data_file(name) if folder == "data" else bool(version_of(name)) or name == HINT or name.endswith(".avro")


def made_by_exports(there: Iterable[str], tables: Iterable[str]) -> list[str]:
    """Name all that exports put at a place, also those that were killed; export.json, which says whose it is, last."""
    tables = list(tables)
    found = [path for path in there if is_of_exports(path, tables) or _is_unfinished(path, tables)]
    return sorted(found, key=lambda path: (path == PINS, path))


def version_of(path: str) -> int:
    """Read the version from the path of a metadata file; 0: it is none."""
    found = METADATA.fullmatch(path.rpartition("/")[2])
    return int(found[1]) if found else 0


def _may_go(path: str, oldest: Mapping[str, int], tables: Iterable[str]) -> bool:
    table, _, rest = path.partition("/")
    folder, _, name = rest.partition("/")
    if path.endswith(UNFINISHED):
        return _is_unfinished(path, tables)
    if table not in tables or name.startswith("."):
        return False
    if version := version_of(path) if folder == "metadata" else 0:
        return version < oldest.get(table, 0)
    return is_of_exports(path, tables) and name != HINT


def _is_unfinished(path: str, tables: Iterable[str]) -> bool:
    return path.endswith(UNFINISHED) and (path.partition("/")[0] in tables or path.startswith(f".{PINS}."))


def _read_table(table: dict[str, Any]) -> TableExport:
    files = [LakeFile(**file) for file in table["files"]]
    return TableExport(**{**table, "pin": Pin(**table["pin"]), "files": files})
