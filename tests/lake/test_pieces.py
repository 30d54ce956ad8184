"""Which files an export writes, and which go: the layout after any loads is that of a full export."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwh.lake.iceberg.pieces import MONTH, Pieces, day_of_piece, days_of_month, plan_months, plan_whole
from dwh.lake.iceberg.spec import LakeFile, file_name, piece_of

DAYS = st.integers(0, 100).map(lambda number: date(2018, 9, 25) + timedelta(days=number))
LOADS = st.lists(st.tuples(st.frozensets(DAYS, max_size=6), st.frozensets(DAYS, max_size=3)), min_size=1, max_size=6)


def layout(days: Collection[date]) -> set[str]:
    """The pieces of a star with rows on these days."""
    newest = max(days).isoformat()[:MONTH] if days else ""
    return {day.isoformat() if day.isoformat().startswith(newest) else day.isoformat()[:MONTH] for day in days}


def apply(files: list[LakeFile], plan: Pieces, days: Collection[date], run: str) -> list[LakeFile]:
    """The files after a plan; a piece without rows gets none."""
    with_rows = [piece for piece in plan.write if any(day.isoformat().startswith(piece) for day in days)]
    new = [LakeFile(f"events/data/{file_name(piece, run)}", 1, 1, None) for piece in with_rows]
    return [file for file in files if file not in plan.gone] + new


@given(LOADS)
def test_the_layout_after_any_loads_is_that_of_a_full_export(
    loads: list[tuple[frozenset[date], frozenset[date]]],
) -> None:
    """Days that come, days that go, days that come late; and what is not touched stays in the file that it is in."""
    days: set[date] = set()
    files: list[LakeFile] = []
    for number, (come, go) in enumerate(loads):
        before, months = {file.piece: file for file in files}, layout(days)
        days = (days | come) - go
        touched = come | go
        plan = plan_months(files, touched, max(days, default=None))
        files = apply(files, plan, days, f"r{number}")
        assert {file.piece for file in files} == layout(days)
        assert len({file.piece for file in files}) == len(files)
        written = {file.piece for file in files if file not in before.values()}
        same_place = {
            piece for piece in layout(days) & months if not any(d.isoformat().startswith(piece) for d in touched)
        }
        assert not written & same_place, "what was not touched was written again"


@given(st.frozensets(DAYS, max_size=10), st.frozensets(DAYS, max_size=10))
def test_everything_is_everything(before: frozenset[date], after: frozenset[date]) -> None:
    files = apply([], plan_months([], before, max(before, default=None), everything=True), before, "r1")
    plan = plan_months(files, after, max(after, default=None), everything=True)
    assert list(plan.gone) == files
    assert {file.piece for file in apply(files, plan, after, "r2")} == layout(after)


def test_one_more_day_writes_that_day() -> None:
    days = [date(2018, 10, 31), date(2018, 11, 1), date(2018, 11, 2)]
    files = apply([], plan_months([], days, days[-1]), days, "r1")
    assert plan_months(files, [date(2018, 11, 3)], date(2018, 11, 3)) == (["2018-11-03"], [])
    assert plan_months(files, [], days[-1]) == ([], [])
    assert not plan_months(files, [], days[-1])


def test_a_new_month_makes_one_file_of_the_one_before() -> None:
    days = [date(2018, 11, 1), date(2018, 11, 2)]
    files = apply([], plan_months([], days, days[-1]), days, "r1")
    assert plan_months(files, [date(2018, 12, 1)], date(2018, 12, 1)) == (["2018-11", "2018-12-01"], files)


def test_a_late_row_has_its_month_written_again() -> None:
    days = [date(2018, 10, 5), date(2018, 10, 6), date(2018, 11, 1)]
    files = apply([], plan_months([], days, days[-1]), days, "r1")
    october = [file for file in files if file.piece == "2018-10"]
    assert plan_months(files, [date(2018, 10, 6)], days[-1]) == (["2018-10"], october)


def test_a_star_without_rows_has_no_files() -> None:
    files = [LakeFile("events/data/2018-11-01-r1.parquet", 1, 1, None)]
    assert plan_months(files, [date(2018, 11, 1)], None) == ([], files)


def test_a_whole_table_is_written_when_it_changed_or_is_not_there() -> None:
    files = [LakeFile("things/data/all-r1.parquet", 1, 1, None)]
    assert plan_whole([], changed=False) == ([""], [])
    assert plan_whole(files, changed=False) == ([], [])
    assert plan_whole(files, changed=True) == ([""], files)


@pytest.mark.parametrize("piece", ["", "2018-11", "2018-11-30"])
def test_a_file_is_named_by_its_piece(piece: str) -> None:
    assert piece_of(f"events/data/{file_name(piece, 'r0123')}") == piece
    assert piece_of(f"events/data/{file_name(piece, 'r0123', '2')}") == piece
    assert piece_of(f"events/data/{file_name(piece, 'r0123')[:-8]}0000_part_00.parquet") == piece


@pytest.mark.parametrize("name", ["0000_part_00.parquet", "2018-parquet", "2018-11-30.parquet", "201811-r1.parquet"])
def test_a_file_of_another_name_is_of_no_piece(name: str) -> None:
    with pytest.raises(ValueError, match="names no month"):
        piece_of(f"events/data/{name}")


def test_days_of_pieces() -> None:
    assert days_of_month("2020-02")[-1] == date(2020, 2, 29)
    assert day_of_piece("2018-11") == date(2018, 11, 1)
    assert day_of_piece("2018-11-30") == date(2018, 11, 30)
