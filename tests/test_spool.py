"""A file that changes while it is read is left for the next run; a large file is copied as a small one is."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwh.engines.duckdb.session import DuckDbSession
from dwh.seam import Trace
from dwh.sources.folders import list_files
from dwh.spool.digits import TEXT, WHOLE
from dwh.spool.folder import open_spool
from dwh.spool.records import Strictness
from dwh.spool.rows import write_rows
from dwh.spool.small_files import Changed, IncomingFile
from dwh.terminal.errors import EnvironmentFailure

RULES = Strictness(frozenset(), lenient=False, holds={"page": TEXT, "ts": WHOLE})
LINE = b'{"page": "Home", "ts": 1}\n'
PRETTY = b'{\n "page": "Home",\n "ts": 1\n}\n'


class GrowsWhileRead(dict[str, Strictness]):
    """The rules of a spool; asking for them, as the careful reader does, lets a file grow."""

    def __init__(self, path: Path) -> None:
        super().__init__(events=RULES)
        self.path = path

    def __getitem__(self, kind: str) -> Strictness:
        with self.path.open("ab") as stream:
            stream.write(LINE)
        return super().__getitem__(kind)


@pytest.mark.parametrize(
    ("name", "data"), [("a.json", PRETTY), ("a.json.gz", gzip.compress(PRETTY))], ids=["plain", "gzip"]
)
def test_a_file_that_grows_while_it_is_read_carefully_is_changed(tmp_path: Path, name: str, data: bytes) -> None:
    """What was read is not what was listed: its fingerprint would stand for content that was never seen."""
    path = tmp_path / name
    path.write_bytes(data)
    [source] = list_files(str(tmp_path), "[S3] LOG_DATA").files
    with open_spool(GrowsWhileRead(path)) as spools, pytest.raises(Changed):
        spools.start().add(IncomingFile(1, "events", source), carefully=False)


def play(number: int) -> bytes:
    """Return one line of 100 bytes and more."""
    return b'{"page": "NextSong", "ts": %d, "song": "%s"}' % (number, b"x" * 100)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_large_file_is_copied_whole_where_the_engine_cannot_read_our_disk(tmp_path: Path, end: bytes) -> None:
    """In blocks, each line with the id of its file: nothing is lost where one block ends."""
    (tmp_path / "a.json").write_bytes(end.join(play(n) for n in range(40_000)))
    [source] = list_files(str(tmp_path), "[S3] LOG_DATA").files
    assert source.size > 4 * 1024 * 1024
    with open_spool({"events": RULES}, in_place=False) as spools:
        spool = spools.start()
        assert spool.add(IncomingFile(7, "events", source), carefully=False) == 40_000
        [part] = spool.parts("events")
        rows = [json.loads(line) for line in Path(part.path).read_bytes().splitlines()]
    assert part.file_id is None
    assert [(row["dwh_file_id"], row["ts"]) for row in rows] == [(7, n) for n in range(40_000)]


def test_a_large_file_that_turns_odd_is_read_carefully_from_its_beginning(tmp_path: Path) -> None:
    """Nothing of what was copied before the odd place stays: every record comes once."""
    lines = [play(n) for n in range(40_000)]
    lines[30_000] = lines[30_000].replace(b", ", b",\n", 1)
    (tmp_path / "a.json").write_bytes(b"\n".join(lines))
    [source] = list_files(str(tmp_path), "[S3] LOG_DATA").files
    with open_spool({"events": RULES}, in_place=False) as spools:
        spool = spools.start()
        spool.add(IncomingFile(6, "events", source), carefully=False)
        [part] = spool.parts("events")
        rows = [json.loads(line) for line in Path(part.path).read_bytes().splitlines()]
    assert [(row["dwh_file_id"], row["ts"], row["dwh_record_number"]) for row in rows] == [
        (6, n, n + 1) for n in range(40_000)
    ]


@given(rows=st.lists(st.tuples(*[st.one_of(st.none(), st.text(), st.integers(), st.booleans(), st.floats(-9, 9))] * 2)))
def test_our_rows_are_json_whatever_is_in_a_column(rows: list[tuple[object, ...]]) -> None:
    """Texts, numbers and none of them, in one column or in several."""
    stream = io.BytesIO()
    write_rows(stream, ["a", 'b"'], iter(rows * 30))  # more than are written at once
    assert [tuple(json.loads(line).values()) for line in stream.getvalue().splitlines()] == rows * 30
    assert all(list(json.loads(line)) == ["a", 'b"'] for line in stream.getvalue().splitlines())


class PackerWithoutItsFile:
    """A packer that does not find the spool file: something has tidied up the temporary folder."""

    def cut(self, size: int) -> int:
        """Take every file."""
        return size

    def begin(self, path: str, _size: int) -> None:
        """Find nothing."""
        Path(path).unlink()
        Path(path).stat()


@pytest.mark.parametrize("together", [False, True])
def test_a_spool_file_that_is_gone_is_no_changed_source(tmp_path: Path, together: bool) -> None:
    """The error names the folder of the spool, not a file of the source."""
    (tmp_path / "a.json").write_bytes(LINE)
    [source] = list_files(str(tmp_path), "[S3] LOG_DATA").files
    file = IncomingFile(1, "events", source)
    with open_spool({"events": RULES}, packer=PackerWithoutItsFile()) as spools:
        spool = spools.start([("events", source)])
        with pytest.raises(EnvironmentFailure, match=r"dwh-spool-.* cannot be read"):
            spool.add_small([file], lambda _: None) if together else spool.add(file, carefully=False)


def test_a_query_that_streams_is_traced_once() -> None:
    """-v and --log-file show each statement, whether its rows come at once or not."""
    traces: list[Trace] = []
    with duckdb.connect() as connection:
        session = DuckDbSession(connection, traces.append, "memory")
        assert list(session.stream("SELECT unnest([1, 2]) AS one")) == [(1,), (2,)]
        assert list(session.stream("SELECT 1 AS none WHERE false")) == []
    assert [trace.sql for trace in traces] == ["SELECT unnest([1, 2]) AS one", "SELECT 1 AS none WHERE false"]
