"""A Parquet file as Iceberg describes it: where it lies, its partition, its counts and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from dwh.lake.iceberg.pieces import day_of_piece

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table.metadata import TableMetadata

    from dwh.lake.iceberg.spec import Bound, NewFile, TableSpec

FILE_PATH = 1  # its place among the fields of a data file


def describe_new(file: NewFile, folder: str, metadata: TableMetadata, spec: TableSpec) -> DataFile:
    """Describe a file that was just written below `folder`/data, with the bounds of the columns that the spec names."""
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.transforms import MonthTransform
    from pyiceberg.typedef import Record
    from pyiceberg.types import DateType

    schema = metadata.schema()
    ids = {field.name: field.field_id for field in schema.fields}
    month = MonthTransform[date]().transform(DateType())
    kept = {name: bounds for name, bounds in file.bounds.items() if name in spec.bounds}
    made = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=f"{folder}/data/{file.path}",
        file_format=FileFormat.PARQUET,
        partition=Record(month(day_of_piece(file.piece))) if spec.month_of else Record(),
        record_count=file.rows,
        file_size_in_bytes=file.bytes,
        column_sizes={},
        value_counts={ids[name]: file.rows for name in file.nulls},
        null_value_counts={ids[name]: count for name, count in file.nulls.items()},
        nan_value_counts={},
        lower_bounds=_bounds({name: least for name, (least, _) in kept.items()}, metadata),
        upper_bounds=_bounds({name: greatest for name, (_, greatest) in kept.items()}, metadata),
        key_metadata=None,
        split_offsets=None,
        equality_ids=None,
        sort_order_id=None,
    )
    made.spec_id = metadata.default_spec_id
    return made


def describe_moved(file: DataFile, location: str) -> DataFile:
    """Describe a file that lies elsewhere now, in the same bytes."""
    from pyiceberg.manifest import DataFile

    made = DataFile(*(file[place] for place in range(len(file))))
    made[FILE_PATH] = location
    made.spec_id = file.spec_id
    return made


def _bounds(values: Mapping[str, Bound], metadata: TableMetadata) -> dict[int, bytes]:
    from pyiceberg.conversions import to_bytes
    from pyiceberg.types import PrimitiveType

    fields = {field.name: field for field in metadata.schema().fields}
    kinds = {name: field.field_type for name, field in fields.items() if isinstance(field.field_type, PrimitiveType)}
    # a NaN is no bound
    return {fields[name].field_id: to_bytes(kinds[name], value) for name, value in values.items() if value == value}
