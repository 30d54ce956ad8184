"""Records are counted twice: as lines, by a reader that knows no JSON, and as what is staged. The two must agree."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from checker import check
from hypothesis import given, settings
from hypothesis import strategies as st
from warehouse import Warehouse, plays

from dwh.engines.duckdb.records import count_lines
from dwh.engines.duckdb.session import DuckDbSession

LONGEST = 200  # bytes
PIECES = ['{"a": 1}', '{"a": "\\u0000"}', '{"a": "\\\\u0000"}', '{"a": "ü\\""}', "\t", ",", "'", '"', "#", "\x01", "é"]


def counted(path: Path) -> Mapping[str, int]:
    """Let DuckDB count the lines of a file."""
    with closing(DuckDbSession(duckdb.connect(), lambda _trace: None, "memory")) as session:
        return session.count_lines([str(path)], LONGEST)


@settings(max_examples=60)
@given(st.lists(st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join), min_size=1), st.booleans())
def test_p234_lines_are_counted_as_they_are(lines: list[str], ended: bool) -> None:
    """Whatever a line holds, DuckDB counts it as one, or leaves the file to Python."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "[a]*.json"
        path.write_text("\n".join(['{"a": 1}', *lines]) + "\n" * ended, encoding="utf-8")
        assert counted(path).get(str(path), len(lines) + 1) == len(lines) + 1


@pytest.mark.parametrize(
    "data",
    [b'{"a": "\\u0000"}\n', b'{"a": "\xff"}\n', b'{"a": "%b"}\n' % (b"x" * LONGEST * 10)],
    ids=["NUL", "UTF-8", "long"],
)
def test_p234_what_is_no_plain_line_is_left_to_python(tmp_path: Path, data: bytes) -> None:
    """A NUL, bytes that are no text, a line that is too long: no number is given."""
    (tmp_path / "a.json").write_bytes(b'{"a": 1}\n' + data)
    assert counted(tmp_path / "a.json") == {}


@pytest.fixture
def large(warehouse: Warehouse) -> Warehouse:
    """A warehouse with a log file that stays where it is."""
    warehouse.write("log_data/a.json", plays(300, unknown="x" * 2000))
    return warehouse


def test_p234_a_large_file_is_counted_by_duckdb(large: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python reads its beginning and no more."""
    monkeypatch.setattr("dwh.spool.spool.count_lines", lambda path: pytest.fail(f"{path} is counted again"))
    large.etl()
    check(large)


@pytest.mark.parametrize("more", [-1, 1])
def test_p234_a_wrong_count_of_lines_is_seen(large: Warehouse, monkeypatch: pytest.MonkeyPatch, more: int) -> None:
    """The records staged are not the lines counted: the file is read record by record, and nothing is lost."""
    right, seen = count_lines, list[str]()

    def wrong(cursor: duckdb.DuckDBPyConnection, paths: Sequence[str], longest: int) -> dict[str, int]:
        seen.extend(paths)
        return {path: lines + more for path, lines in right(cursor, paths, longest).items()}

    monkeypatch.setattr("dwh.engines.duckdb.session.count_lines", wrong)
    large.etl()
    check(large)
    assert len(seen) == 1
    assert large.value("SELECT records_read FROM loaded_files") == 300
    assert large.value("SELECT COUNT(*) FROM loads") == 1


def test_p234_a_record_that_the_json_reader_loses_is_seen(large: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines are counted by other code than reads the records: what that loses in the quick way is read again."""
    right = DuckDbSession.load_through

    def lossy(self: DuckDbSession, insert: str, *rest: object) -> None:
        right(self, insert + " AND item_in_session <> '7'", *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(DuckDbSession, "load_through", lossy)
    large.etl()
    check(large)
