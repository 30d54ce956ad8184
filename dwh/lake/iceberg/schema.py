"""Columns of the star as columns of an Iceberg table, each with a number that it keeps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table import Transaction
    from pyiceberg.types import PrimitiveType

    from dwh.lake.iceberg.spec import Column, TableSpec

NAME_MAPPING = "schema.name-mapping.default"
FIRST_PARTITION_FIELD = 1000


def iceberg_type(sql: str) -> PrimitiveType:
    """Give the type of a column of a CREATE statement. Raises ValueError for one that the star does not use."""
    from pyiceberg.types import DoubleType, IntegerType, LongType, StringType, TimestampType

    known: dict[str, PrimitiveType] = {
        "BIGINT": LongType(),
        "INTEGER": IntegerType(),
        "DOUBLE PRECISION": DoubleType(),
        "VARCHAR": StringType(),
        "TIMESTAMP": TimestampType(),
    }
    plain = re.sub(r"\(\d+\)$", "", sql.strip().upper())
    if plain not in known:
        raise ValueError(f"no Iceberg type for {sql}")
    return known[plain]


def new_schema(spec: TableSpec) -> Schema:
    """Give the schema of a table that is not there yet: its columns are numbered in their order, from 1."""
    from pyiceberg.schema import Schema
    from pyiceberg.types import NestedField

    numbered = enumerate(spec.columns, 1)
    return Schema(
        *(NestedField(n, c.name, iceberg_type(c.type), required=c.required, doc=c.doc or None) for n, c in numbered)
    )


def partitioning(spec: TableSpec, schema: Schema) -> PartitionSpec:
    """Give the partition spec: by the month of one column, or none."""
    from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionField, PartitionSpec
    from pyiceberg.transforms import MonthTransform

    if spec.month_of is None:
        return UNPARTITIONED_PARTITION_SPEC
    source = schema.find_field(spec.month_of).field_id
    return PartitionSpec(PartitionField(source, FIRST_PARTITION_FIELD, MonthTransform(), f"{spec.month_of}_month"))


def evolve(transaction: Transaction, spec: TableSpec) -> bool:
    """Make the columns of a table those of the spec, and tell whether they were others.

    A new column gets a number that none has had; it may be NULL, because older files do not have it. A column whose
    type changed is a new one. Descriptions are taken over.
    """
    before = transaction.table_metadata.schema()
    update = transaction.update_schema(allow_incompatible_changes=True)
    wanted = {column.name: column for column in spec.columns}
    gone = {field.name for field in before.fields if not _is(wanted.get(field.name), field.field_type)}
    changed = bool(gone)
    for name in sorted(gone):
        update.delete_column(name)
    known = {field.name: field for field in before.fields if field.name not in gone}
    for column in spec.columns:
        if column.name not in known:
            update.add_column(column.name, iceberg_type(column.type), doc=column.doc or None)
            changed = True
        elif (known[column.name].doc or "") != column.doc:
            update.update_column(column.name, doc=column.doc)
            changed = True
    if changed:
        update.commit()
    return changed


def field_ids(spec: TableSpec, schema: Schema | None, last: int = 0) -> dict[str, int]:
    """Give the number of each column that a file has that is written now, as `evolve` will number them: `schema` is
    the table's present one (None: there is no table yet), `last` the greatest number that it has given."""
    known = {field.name: field for field in schema.fields} if schema else {}
    numbers = {}
    for column in spec.columns:
        field = known.get(column.name)
        if field is not None and _is(column, field.field_type):
            numbers[column.name] = field.field_id
        else:
            last += 1
            numbers[column.name] = last
    return numbers


def _is(column: Column | None, present: object) -> bool:
    return column is not None and iceberg_type(column.type) == present
