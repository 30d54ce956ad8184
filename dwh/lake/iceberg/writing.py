"""The data files of an export: write the pieces of a table that the plan names, and drop those that did not change."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from dwh.lake.bounds import Bounds, find_bounds
from dwh.lake.iceberg.lake import Contents
from dwh.lake.iceberg.pieces import MONTH, day_of_piece, days_of_month
from dwh.lake.iceberg.spec import WHOLE, NewFile
from dwh.lake.place import sha256, worded
from dwh.seam import Piece
from dwh.terminal.errors import EnvironmentFailure

if TYPE_CHECKING:
    from dwh.lake.iceberg.lake import IcebergLake
    from dwh.lake.iceberg.pieces import Pieces
    from dwh.lake.iceberg.spec import LakeFile
    from dwh.seam import Extract, Session, Written


def write_table(lake: IcebergLake, session: Session, extract: Extract, pieces: Pieces, *, again: bool) -> Contents:
    """Write the pieces of a table to its place, and tell what the export does to the table.

    A file whose bytes are those of the current file of its piece is dropped again, and the current one stays, unless
    `again` is set. Files that the engine wrote to S3 have no digest and are never dropped.

    Raises EnvironmentFailure when a file cannot be written, or when a piece has another number of rows than it should.
    """
    extract = extract._replace(field_ids=lake.tables[extract.table].field_ids)
    names = {Path(lake.new_name(piece)).stem: piece for piece in pieces.write}
    cuts = [Piece(name, _days(piece)) for name, piece in names.items()]
    bounds = find_bounds(session, extract, cuts, lake.specs[extract.table].bounds)
    with_rows = {cut.name: (cut, found) for cut, found in zip(cuts, bounds, strict=True) if found.rows}
    new: list[NewFile] = []
    staying: list[LakeFile] = []
    written_cuts = [cut for cut, _ in with_rows.values()]
    with (
        lake.store.workspace(extract.table) as target,
        # nothing is written any more once this block has ended, however it ends
        closing(session.write_pieces(extract, written_cuts, target)) as files_of_cuts,
    ):
        for cut, written in files_of_cuts:
            piece, expected = names[cut.name], with_rows[cut.name][1]
            _refuse_other_number(extract.table, expected.rows, sum(file.rows for file in written))
            before = [] if again else [file for file in pieces.gone if file.piece == piece]
            if _are_same(lake, target, written, before):
                _drop(target, written)
                staying += before
            else:
                new += [_adopt(lake, extract.table, target, file, piece, expected) for file in written]
    return Contents(new, [file for file in pieces.gone if file not in staying], {})


def _days(piece: str) -> tuple[date, date] | None:
    if piece == WHOLE:
        return None
    days = days_of_month(piece) if len(piece) == MONTH else [day_of_piece(piece)]
    return days[0], days[-1]


def _adopt(lake: IcebergLake, table: str, target: str, file: Written, piece: str, expected: Bounds) -> NewFile:
    size, digest = lake.adopt(table, file.path, target)
    return NewFile(piece, file.path, file.rows, size, digest, expected.columns, _days(piece))


def _are_same(lake: IcebergLake, target: str, written: Sequence[Written], before: Sequence[LakeFile]) -> bool:
    """Tell whether files are those that were there before, byte for byte, in their order."""
    if len(written) != len(before) or any(file.sha256 is None or lake.damage(file) for file in before):
        return False
    with worded(Path(target)):
        paths = [Path(target, file.path) for file in written]
        same_size = [path.stat().st_size for path in paths] == [file.bytes for file in before]
        return same_size and [sha256(str(path)) for path in paths] == [file.sha256 for file in before]


def _drop(target: str, written: Sequence[Written]) -> None:
    with worded(Path(target)):
        for file in written:
            Path(target, file.path).unlink()


def _refuse_other_number(table: str, expected: int, written: int) -> None:
    if written != expected:
        raise EnvironmentFailure(
            f"{table} has {expected:,} rows, but {written:,} were written",
            evidence="the lake was not changed",
            hint="the same command again; if it fails again, report it",
        )
