"""The commit of one table: files come and go, an export gets its tag, what has expired goes.

A commit creates `v<N+1>.metadata.json`, which must not be there yet, over the `v<N>` that was read. Then the hint is
moved on, and never back. Metadata that has expired is deleted, so a session that was asleep for several exports may
find its number free again: it learns from the hint, which is past that number by then, that it is too late.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from dwh.lake.iceberg.datafile import describe_moved, describe_new
from dwh.lake.iceberg.schema import NAME_MAPPING, evolve, new_schema, partitioning
from dwh.lake.iceberg.spec import NewFile
from dwh.lake.iceberg.table import EXPORT, TAG, IcebergTable, Pin

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import Table, Transaction
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableRequirement, TableUpdate
    from pyiceberg.table.update.snapshot import _OverwriteFiles

    from dwh.lake.iceberg.store import Store

HINT = "version-hint.text"
REVISION = "lake.revision"  # a property of the table: the number of the last commit of the lake that changed it


class Change(NamedTuple):
    """What a commit does to a table. `new` files come and `gone` paths go; `said` is what the snapshot says of itself;
    `number` is the export (None: there is none, only what has expired goes); `kept` are the exports whose tags stay,
    `revision` is the number of this commit of the lake, `by_name` tells that files have no field ids."""

    new: Sequence[NewFile]
    gone: Collection[str]
    said: Mapping[str, str]
    number: int | None
    kept: Collection[int]
    revision: int
    by_name: bool = False


def commit_table(table: IcebergTable, change: Change) -> Pin:
    """Make the next version of a table's metadata, and name the snapshot that is the current one then.

    Raises Busy when another session has made it first: the table is that one's then.
    """
    opened = table.open(_base(table), cast("Catalog", _Committing(table)))
    transaction = opened.transaction()
    _stage(transaction, table, change)
    transaction.commit_transaction()
    table.advance(opened.metadata)
    _move_hint(table)
    return table.pin()


def _base(table: IcebergTable) -> TableMetadata:
    """Give the metadata that the next builds on."""
    from pyiceberg.table.metadata import new_table_metadata
    from pyiceberg.table.sorting import UNSORTED_SORT_ORDER

    if table.metadata is not None:
        return table.metadata.model_copy(update={"location": table.folder}) if table.is_moved else table.metadata
    schema = new_schema(table.spec)
    properties = {"format-version": "2", "write.metadata.compression-codec": "none"}
    return new_table_metadata(schema, partitioning(table.spec, schema), UNSORTED_SORT_ORDER, table.folder, properties)


def _stage(transaction: Transaction, table: IcebergTable, change: Change) -> None:
    """Stage everything that a commit changes."""
    from pyiceberg.table.update.snapshot import ManageSnapshots

    has_new_columns = evolve(transaction, table.spec)
    properties = {REVISION: str(change.revision)}
    if change.by_name and NAME_MAPPING not in transaction.table_metadata.properties:
        properties[NAME_MAPPING] = transaction.table_metadata.schema().name_mapping.model_dump_json()
    transaction.set_properties(properties)
    if change.number is not None:
        current = table.snapshot.snapshot_id if table.snapshot else None
        if change.new or change.gone or has_new_columns or table.is_moved or table.export is None or current is None:
            current = _swap_files(transaction, table, change)
        ManageSnapshots(transaction).create_tag(current, f"export-{change.number}").commit()
    _expire(transaction, {*change.kept, change.number})


def _swap_files(transaction: Transaction, table: IcebergTable, change: Change) -> int:
    """Stage a snapshot, and give its id. In a lake that was moved it names every file at its new place."""
    from pyiceberg.expressions import AlwaysTrue

    said = {EXPORT: str(change.number), **change.said}
    with _start_swap(transaction, cast("FileIO", table.io), said) as swap:
        swap.delete_by_predicate(AlwaysTrue())  # look into every manifest: only the files named below go
        for file in table.data_files:
            path = table.io.path_of(file.file_path)
            if path in change.gone or table.is_moved:
                swap.delete_data_file(file)
            if table.is_moved and path not in change.gone:
                swap.append_data_file(describe_moved(file, f"{table.store.location}/{path}"))
        for new in change.new:
            swap.append_data_file(describe_new(new, table.folder, transaction.table_metadata, table.spec))
    return swap.snapshot_id


def _start_swap(transaction: Transaction, io: FileIO, said: dict[str, str]) -> _OverwriteFiles:
    """Begin a snapshot that swaps files. pyiceberg 0.12.0 would carry on manifests of which every file is gone, one
    more with each export; they are left out as its append does."""
    from pyiceberg.table.snapshots import Operation
    from pyiceberg.table.update.snapshot import _OverwriteFiles

    class Swap(_OverwriteFiles):
        def _process_manifests(self, manifests: list[ManifestFile]) -> list[ManifestFile]:
            own = self.snapshot_id
            return [m for m in manifests if m.has_added_files() or m.has_existing_files() or m.added_snapshot_id == own]

    first = transaction.table_metadata.current_snapshot() is None
    operation = Operation.APPEND if first else Operation.OVERWRITE
    return Swap(operation=operation, transaction=transaction, io=io, snapshot_properties=said)


def _expire(transaction: Transaction, kept: Collection[int | None]) -> None:
    """Take away the tags of other exports, and then every snapshot that no tag and no branch names."""
    from pyiceberg.table.update.snapshot import ExpireSnapshots, ManageSnapshots

    tags = [name for name in transaction.table_metadata.refs if TAG.fullmatch(name)]
    going = [name for name in tags if int(name.removeprefix("export-")) not in kept]
    if going:
        manage = ManageSnapshots(transaction)
        for name in going:
            manage.remove_tag(name)
        manage.commit()
    metadata = transaction.table_metadata
    named = {ref.snapshot_id for ref in metadata.refs.values()}
    expired = [snapshot.snapshot_id for snapshot in metadata.snapshots if snapshot.snapshot_id not in named]
    if expired:
        ExpireSnapshots(transaction).by_ids(expired).commit()


def _move_hint(table: IcebergTable) -> None:
    """Move the hint on to this version. Raises Busy when it is past it: see the top of this file."""
    path = f"{table.spec.name}/metadata/{HINT}"
    while True:
        found, tag = _read_hint(table.store, path)
        if found > table.version:
            raise table.too_late()
        if found == table.version or table.store.replace(path, str(table.version).encode(), tag):
            return


def _read_hint(store: Store, path: str) -> tuple[int, str]:
    try:
        data, tag = store.read(path)
    except FileNotFoundError:
        return 0, ""
    text = data.decode(errors="replace").strip()
    return int(text) if text.isdecimal() else 0, tag


class _Committing:
    """What pyiceberg asks of a catalog, for one table."""

    def __init__(self, table: IcebergTable) -> None:
        self._table = table

    def commit_table(
        self, table: Table, requirements: Sequence[TableRequirement], updates: tuple[TableUpdate, ...]
    ) -> Any:
        """Apply the changes, and create the next version, after all that it names. Raises Busy."""
        from pyiceberg.table import CommitTableResponse
        from pyiceberg.table.update import update_table_metadata

        for requirement in requirements:
            requirement.validate(table.metadata)
        ours = self._table
        before = table.metadata_location if ours.version else None
        made = update_table_metadata(table.metadata, updates, metadata_location=before)
        ours.io.flush()
        if not ours.store.create(ours.metadata_path(ours.version + 1), made.model_dump_json().encode()):
            raise ours.too_late()
        location = ours.metadata_location(ours.version + 1)
        return CommitTableResponse.model_validate({"metadata": made, "metadata-location": location})

    def _delete_old_metadata(self, *_: object) -> None:
        """Old metadata goes when no kept export needs it, and not before."""
