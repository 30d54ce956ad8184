"""One table of the lake, as one version of its metadata says it is."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from dwh.lake.iceberg.fileio import TableIO
from dwh.lake.iceberg.schema import field_ids
from dwh.lake.iceberg.spec import LakeFile, TableSpec
from dwh.terminal.errors import Busy, ConfigError, DwhError, EnvironmentFailure

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.snapshots import Snapshot

    from dwh.lake.iceberg.store import Store

METADATA = re.compile(r"v(\d+)\.metadata\.json")
TAG = re.compile(r"export-(\d+)")
EXPORT, ORIGIN, TOTALS, DIGESTS = "export", "origin", "totals", "sha256"  # what we write into a snapshot's summary


class Pin(NamedTuple):
    """One snapshot of a table: its id, the metadata that names it, and every other file that it needs, below the
    lake."""

    snapshot: int
    metadata: str
    files: Sequence[str]


class IcebergTable:
    """A table as it is in its metadata of version `version` (0: there is none yet).

    `is_overtaken` tells whether another session has exported since the lake was looked at: then Busy is raised when a
    file is gone, and EnvironmentFailure when not, here and by whatever reads on."""

    def __init__(self, store: Store, spec: TableSpec, version: int, is_overtaken: Callable[[], bool]) -> None:
        self.spec = spec
        self.version = version
        self.store = store
        self._is_overtaken = is_overtaken
        self.metadata = self._read_metadata() if version else None
        # the place has one spelling in all metadata, whatever link a session came by
        here = f"{store.location}/{spec.name}"
        self.folder = here if self.metadata is None or self.is_moved else self.metadata.location.rstrip("/")
        roots = [self.folder, here, *([self.metadata.location] if self.metadata else [])]
        self.io = TableIO(store, spec.name, roots, self.gone)
        self._data_files: list[DataFile] | None = None  # read when they are asked for

    @property
    def is_moved(self) -> bool:
        """Tell whether the metadata names another place than the one where it lies."""
        if self.metadata is None:
            return False
        lake, _, name = self.metadata.location.rstrip("/").rpartition("/")
        return name != self.spec.name or not self.store.is_here(lake.removeprefix("file://"))

    @property
    def location(self) -> str:
        """The place that the metadata names."""
        return self.metadata.location if self.metadata else self.folder

    @property
    def snapshot(self) -> Snapshot | None:
        """The current snapshot."""
        return self.metadata.current_snapshot() if self.metadata else None

    @property
    def export(self) -> int | None:
        """The number of the export that wrote the current files; None: no export of this suite has."""
        found = self._said(EXPORT)
        return int(found) if found.isdecimal() else None

    @property
    def origin(self) -> dict[str, str]:
        """What the current files were written from."""
        return dict(json.loads(self._said(ORIGIN) or "{}"))

    @property
    def totals(self) -> dict[str, int]:
        """The totals of the current files."""
        return dict(json.loads(self._said(TOTALS) or "{}"))

    @property
    def digests(self) -> dict[str, str]:
        """Digests of files that export.json may not name yet."""
        return dict(json.loads(self._said(DIGESTS) or "{}"))

    @property
    def files(self) -> list[LakeFile]:
        """The current files, sorted by path."""
        known = self.digests
        paths = {self.io.path_of(file.file_path): file for file in self.data_files}
        return [
            LakeFile(path, file.record_count, file.file_size_in_bytes, known.get(path))
            for path, file in sorted(paths.items())
        ]

    @property
    def numbers(self) -> list[int]:
        """The numbers of all exports that left a snapshot or a tag."""
        if self.metadata is None:
            return []
        tags = [int(found[1]) for name in self.metadata.refs if (found := TAG.fullmatch(name))]
        snapshots = [snapshot.summary for snapshot in self.metadata.snapshots]
        named = [summary.additional_properties.get(EXPORT, "") for summary in snapshots if summary]
        return [*tags, *(int(number) for number in named if number.isdecimal())]

    @property
    def field_ids(self) -> dict[str, int]:
        """The number of each column, as files have to have it that are written now."""
        if self.metadata is None:
            return field_ids(self.spec, None)
        return field_ids(self.spec, self.metadata.schema(), self.metadata.last_column_id)

    @property
    def has_other_types(self) -> bool:
        """Tell whether a column has got another type, so that every file has to be written again."""
        if self.metadata is None:
            return False
        before = {field.name: field.field_id for field in self.metadata.schema().fields}
        return any(before.get(name, number) != number for name, number in self.field_ids.items())

    def pin(self) -> Pin:
        """Name the current snapshot and all that it needs."""
        assert self.snapshot is not None  # noqa: S101  # every commit of an export leaves one
        manifests = self.snapshot.manifests(cast("FileIO", self.io))
        needed = [self.snapshot.manifest_list, *(manifest.manifest_path for manifest in manifests)]
        paths = [*map(self.io.path_of, needed), *(file.path for file in self.files)]
        return Pin(self.snapshot.snapshot_id, self.metadata_path(self.version), sorted(paths))

    def advance(self, metadata: TableMetadata) -> None:
        """Go on to the next version, which was just made."""
        self.metadata, self.version = metadata, self.version + 1
        self._data_files = None

    def open(self, metadata: TableMetadata, catalog: Catalog | None) -> Table:
        """Give the table as pyiceberg knows tables; a commit of it goes to the catalog."""
        from pyiceberg.catalog.noop import NoopCatalog
        from pyiceberg.table import Table

        location = self.metadata_location(self.version)
        named = ("lake", self.spec.name)
        return Table(named, metadata, location, cast("FileIO", self.io), catalog or NoopCatalog("lake"))

    def planned(self, snapshot: int) -> list[tuple[str, int, int]]:
        """Give path, rows and bytes of each file that a scan of a snapshot reads. Raises EnvironmentFailure when a
        manifest is gone."""
        assert self.metadata is not None  # noqa: S101  # a pin names metadata
        files = [task.file for task in self.open(self.metadata, None).scan(snapshot_id=snapshot).plan_files()]
        return [(self.io.path_of(file.file_path), file.record_count, file.file_size_in_bytes) for file in files]

    def too_late(self) -> Busy:
        """Word the error of a session that finds that another has gone on."""
        return Busy(f"another session has just exported to {self.store.location}", hint="the same command again")

    def gone(self, path: str) -> DwhError:
        """Word the error for a file that the metadata names and that is not there."""
        if self._is_overtaken():
            return self.too_late()
        return EnvironmentFailure(
            f"{self.store.location}/{path} is gone, and the table {self.spec.name} needs it",
            evidence="no export has removed it",
            hint=f"the same command again with --to {shlex.quote(self.store.location + '_2')}",
        )

    def _read_metadata(self) -> TableMetadata:
        from pyiceberg.exceptions import ValidationError
        from pyiceberg.table.metadata import TableMetadataUtil

        path = self.metadata_path(self.version)
        try:
            return TableMetadataUtil.parse_raw(self.store.read(path)[0].decode())
        except FileNotFoundError:
            raise self.gone(path) from None
        except (ValueError, ValidationError) as error:
            raise ConfigError(
                f"{self.store.location}/{path} is no Iceberg metadata; nothing there was changed",
                evidence=str(error).split("\n", 1)[0],
                hint=f"the same command again with --to {shlex.quote(self.store.location + '_2')}",
            ) from None

    @property
    def data_files(self) -> list[DataFile]:
        """The current files, as manifests describe them."""
        if self._data_files is None:
            io = cast("FileIO", self.io)
            manifests = self.snapshot.manifests(io) if self.snapshot else []
            entries = (manifest.fetch_manifest_entry(io) for manifest in manifests)
            self._data_files = [entry.data_file for found in entries for entry in found]
        return self._data_files

    def _said(self, name: str) -> str:
        summary = self.snapshot.summary if self.snapshot else None
        return str(summary.additional_properties.get(name, "")) if summary else ""

    def metadata_path(self, version: int) -> str:
        """Name the metadata of a version, below the lake."""
        return f"{self.spec.name}/metadata/v{version}.metadata.json"

    def metadata_location(self, version: int) -> str:
        """Name the metadata of a version as metadata itself does."""
        return f"{self.folder.removesuffix(self.spec.name)}{self.metadata_path(version)}"
