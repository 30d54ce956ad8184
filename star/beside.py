"""What a warehouse wrote beside itself: its lake and its report. They are known by the warehouse that they name.

Only files that exports write are removed, and of a report the file itself. What names the warehouse goes last: a run
that is killed before leaves a lake that the next one still knows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dwh.lake.iceberg.pins import PINS, made_by_exports, read_pins
from dwh.lake.iceberg.places import open_store
from dwh.lake.manifest import MANIFEST, VERSION, read_manifest
from dwh.sources.files import is_remote
from dwh.terminal.wording import count, near
from star.lake_tables import SPECS
from star.report.page import read_mark

if TYPE_CHECKING:
    from dwh.lake.iceberg.store import Store
    from dwh.script import Script


class Beside(NamedTuple):
    """A lake or a report of this warehouse: where it is, and `what` it is in words, with its size."""

    kind: str
    place: str
    what: str


def find_beside(script: Script) -> list[Beside]:
    """Find the lake and the report that the settings name, where this warehouse wrote them; nothing is changed.

    Raises EnvironmentFailure when one of them cannot be read.
    """
    return [found for found in (_find_lake(script), _find_report(script)) if found]


def remove(script: Script, found: Beside) -> None:
    """Remove a lake or a report, if it still is this warehouse's. Raises Busy while an export runs, and
    EnvironmentFailure when it cannot be removed: what is left is found again by the next run."""
    if found.kind == "report":
        if _find_report(script):
            Path(found.place).unlink(missing_ok=True)
        return
    store = open_store(script.config, exports_to_s3=False)
    with store.held():
        *files, mark = _files_of_lake(script, store) or [""]
        if mark:
            store.delete(files)
            store.delete([mark])
    if not is_remote(found.place):
        _remove_empty(Path(found.place), files)


def _find_lake(script: Script) -> Beside | None:
    if not script.config.s3.lake:
        return None
    store = open_store(script.config, exports_to_s3=False)
    files = _files_of_lake(script, store)
    if not files:
        return None
    return Beside("lake", store.location, f"the lake in {_near(store.location)}, {count(len(files), 'file')}")


def _files_of_lake(script: Script, store: Store) -> list[str]:
    """Name the files of the lake of this warehouse, the one that names it last; none when there is no such lake.

    The place may be anything, so that all its files are listed only when it is a lake of this warehouse.
    """
    own = script.engine.address
    for mark, read in ((PINS, read_pins), (MANIFEST, read_manifest)):
        try:
            data, _ = store.read(mark)
        except FileNotFoundError:
            continue
        if read(data, store.location).warehouse != own:
            return []
        there = store.sizes()
        if mark == PINS:
            return made_by_exports(there, [spec.name for spec in SPECS])
        return [*(path for path in sorted(there) if _is_of_version(path)), MANIFEST]
    return []


def _is_of_version(path: str) -> bool:
    """Tell whether a path of a lake of plain Parquet files is one at which exports put files."""
    version, _, rest = path.partition("/")
    return bool(VERSION.fullmatch(version)) and rest.endswith((".parquet", f"{MANIFEST}.partial"))


def _remove_empty(lake: Path, files: Iterable[str]) -> None:
    """Remove the folders of the tables and of the files, and the lake's own, unless something else is in them."""
    empty = {lake / spec.name / folder for spec in SPECS for folder in ("data", "metadata")}  # of a table without rows
    made = empty | {(lake / file).parent for file in files}
    folders = {part for folder in made for part in (folder, *folder.parents) if part.is_relative_to(lake)}
    for folder in sorted(folders, key=lambda folder: -len(folder.parts)):
        with suppress(OSError):
            folder.rmdir()


def _find_report(script: Script) -> Beside | None:
    path = Path(script.config.report.path)
    try:
        with path.open("rb") as page:
            mark, size = read_mark(page), page.seek(0, os.SEEK_END)
    except OSError:
        return None
    if mark is None or mark.address != script.engine.address:
        return None
    return Beside("report", str(path), f"the report {near(path)}, {size / 1e6:.1f} MB")


def _near(place: str) -> str:
    return place if is_remote(place) else near(Path(place))
