"""A file that changes while it is read is left for the next run; a large file is copied as a small one is."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from dwh.sources.folders import list_files
from dwh.spool.digits import TEXT, WHOLE
from dwh.spool.folder import open_spool
from dwh.spool.records import Strictness
from dwh.spool.small_files import Changed, IncomingFile

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
