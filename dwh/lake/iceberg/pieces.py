"""Which files of a table an export writes, and which go: by the data, never by the clock.

The newest month of the star has one file a day, each older month has one file. So an export of one more day writes
that day, and a late row has its month written again. The layout after any number of exports is that of a full one.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import NamedTuple

from dwh.lake.iceberg.spec import WHOLE, LakeFile

MONTH = len("2018-11")


class Pieces(NamedTuple):
    """What is to be done with a table: the pieces to write, sorted, of which those without rows get no file; and the
    current files that go, whether or not a new one takes their place."""

    write: Sequence[str]
    gone: Sequence[LakeFile]

    def __bool__(self) -> bool:
        return bool(self.write or self.gone)


def plan_whole(files: Sequence[LakeFile], *, changed: bool) -> Pieces:
    """Plan a table that is not cut by time: when one of its rows changed, it is written again."""
    return Pieces([WHOLE], files) if changed or WHOLE not in {file.piece for file in files} else Pieces([], [])


def plan_months(
    files: Sequence[LakeFile], touched: Collection[date], newest: date | None, *, everything: bool = False
) -> Pieces:
    """Plan a table that is cut by time.

    `files` are its current files; `touched` are the days whose rows may differ from those in the files, and with
    `everything` all days that have rows; `newest` is the newest day that the star has (None: no row at all).
    """
    if newest is None:
        return Pieces([], files)
    month = newest.isoformat()[:MONTH]
    wanted = _pieces(touched, month)
    if not everything:
        wanted |= _laid_out_otherwise(files, month)
    gone = [file for file in files if everything or file.piece[:MONTH] > month or _is_replaced(file.piece, wanted)]
    return Pieces(sorted(wanted), gone)


def days_of_month(month: str) -> list[date]:
    """Give all days of '2018-11'."""
    year, number = int(month[:4]), int(month[5:])
    return [date(year, number, day) for day in range(1, monthrange(year, number)[1] + 1)]


def day_of_piece(piece: str) -> date:
    """Give a day that touches a piece: the day itself, or the first of the month."""
    return date.fromisoformat(piece if len(piece) > MONTH else f"{piece}-01")


def _pieces(days: Iterable[date], newest: str) -> set[str]:
    """The pieces that hold these days; what lies after the newest month has no rows."""
    names = {day.isoformat() for day in days}
    return {name if name[:MONTH] == newest else name[:MONTH] for name in names if name[:MONTH] <= newest}


def _laid_out_otherwise(files: Sequence[LakeFile], newest: str) -> set[str]:
    """The pieces that take the place of files of another layout: the month that was the newest has become an older one,
    or an older one has become the newest, since what came after it was taken away."""
    wanted: set[str] = set()
    for piece in {file.piece for file in files}:
        if piece == newest:
            wanted |= {day.isoformat() for day in days_of_month(newest)}
        elif len(piece) > MONTH and piece[:MONTH] < newest:
            wanted.add(piece[:MONTH])
    return wanted


def _is_replaced(piece: str, wanted: set[str]) -> bool:
    """Tell whether a piece is written again: itself, its month, or one of its days."""
    return piece in wanted or piece[:MONTH] in wanted or any(other.startswith(f"{piece}-") for other in wanted)
