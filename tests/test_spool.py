"""A file that changes while it is read is left for the next run, however it is read."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from dwh.records import Strictness
from dwh.sources import list_files
from dwh.spool import Changed, IncomingFile
from dwh.spool_folder import open_spool

LINE = b'{"page": "Home", "ts": 1}\n'
PRETTY = b'{\n "page": "Home",\n "ts": 1\n}\n'


class GrowsWhileRead(dict[str, Strictness]):
    """The rules of a spool; asking for them, as the careful reader does, lets a file grow."""

    def __init__(self, path: Path) -> None:
        super().__init__(events=Strictness(frozenset(), lenient=False))
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
    [source] = list_files(str(tmp_path), "[S3] LOG_DATA")
    with open_spool(GrowsWhileRead(path)) as spools, pytest.raises(Changed):
        spools.start().add(IncomingFile(1, "events", source), carefully=False)
