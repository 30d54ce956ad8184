"""Small files that are brought in together are what they are one by one, from a quick disk and from a slow one."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwh.sources.folders import list_files
from dwh.spool import small_files
from dwh.spool.digits import TEXT, WHOLE
from dwh.spool.folder import open_spool
from dwh.spool.records import Strictness
from dwh.spool.small_files import AHEAD, Batch, Changed, Contents, IncomingFile, cut_batches, read_batches
from dwh.spool.splice import splice, splice_together
from dwh.spool.spool import Unreadable

RULES = Strictness(frozenset(("page", "ts")), lenient=False, holds={"page": TEXT, "ts": WHOLE})
GOOD = b'{"page": "Home", "ts": 1}'
CONTENTS = st.sampled_from(
    [
        GOOD,
        GOOD + b"\n",
        b"\r\n " + GOOD + b"\r\n",
        GOOD + b"\n" + GOOD,
        GOOD + GOOD,
        GOOD.replace(b", ", b",\n"),
        GOOD.replace(b", ", b",\r"),
        b'{"page": "a}b"}',
        b'{"page": "{"}',
        b'{"page": "\\u0000"}',
        b'{"page": "\\u00e9"}',
        b'{"dwh_file_id": 9}',
        b'{"Page": "Home", "ts": 1}',
        b'{"dwh\\u005ffile_id": 9}',
        b'{"a": {"b": 1}}',
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16-le"),
        b"{",
        b"}",
        b"{}",
        b"",
        b" \n",
        b"[1]",
        b"}{",
        b"\x1f\x8b\x08",
    ]
)


@given(contents=st.lists(CONTENTS, max_size=6))
def test_what_one_look_at_all_tells_is_what_a_look_at_each_tells(contents: list[bytes]) -> None:
    """Files that are spliced together are those that are clearly one record each, and are spliced alike."""
    numbered = dict(enumerate(contents, 1))
    together = splice_together(numbered)
    if together is not None:
        assert [splice(data, number) for number, data in numbered.items()] == [
            (line, 1) for line in together.splitlines(keepends=True)
        ]
    elif contents:
        assert set(contents) - {GOOD, GOOD + b"\n", b"\r\n " + GOOD + b"\r\n"}


def write(folder: Path, contents: list[bytes]) -> list[IncomingFile]:
    """Write files, and give them as they come in."""
    folder.mkdir()
    for number, data in enumerate(contents):
        (folder / f"{number:04}.json").write_bytes(data)
    return [IncomingFile(n, "events", file) for n, file in enumerate(list_files(str(folder), "[S3] LOG_DATA").files, 1)]


def spooled(files: list[IncomingFile], *, together: bool) -> tuple[object, ...]:
    """Bring files in, those that can be together; gives the number of records of each, the lines of the spool, and how
    many files have a key that is not read."""
    with open_spool({"events": RULES}) as spools:
        spool = spools.start()
        records = spool.add_small(files, lambda _: None) if together else {}
        for file in files:
            if file.file_id not in records:
                try:
                    records[file.file_id] = spool.add(file, carefully=False)
                except Unreadable:  # so it is both ways
                    continue
        lines = [line for part in spool.parts("events") for line in Path(part.path).read_bytes().splitlines()]
    return records, sorted(lines), {key.key: found[0] for key, found in spool.unread.found.items()}


@given(contents=st.lists(CONTENTS, max_size=8))
def test_p242_files_brought_in_together_are_what_they_are_one_by_one(
    contents: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same records under the same ids, whatever is in the files beside them."""
    files = write(tmp_path_factory.mktemp("small") / "files", contents)
    assert spooled(files, together=True) == spooled(files, together=False)


def test_a_file_that_changed_and_one_that_is_gone_are_left_for_add(tmp_path: Path) -> None:
    """The others of their batch come in; add tells of each what is wrong."""
    files = write(tmp_path / "files", [GOOD] * 4)
    Path(files[1].source.path).write_bytes(GOOD + GOOD)
    Path(files[2].source.path).unlink()
    with open_spool({"events": RULES}) as spools:
        spool = spools.start()
        told: list[int] = []
        assert spool.add_small(files, told.append) == {1: 1, 4: 1}
        assert told == [2]
        for file in files[1:3]:
            with pytest.raises(Changed):
                spool.add(file, carefully=False)


def test_a_batch_has_one_kind_and_an_upper_limit(tmp_path: Path) -> None:
    """Of files and of bytes: what is read ahead is bounded by both."""
    files = write(tmp_path / "files", [GOOD] * 600 + [b"{%b}" % (b" " * 200_000)] * 12)
    files[480:] = [file._replace(kind="songs") for file in files[480:]]
    batches = list(cut_batches(files))
    assert [file for batch in batches for file in batch] == files
    assert [(len(batch), batch[0].kind) for batch in batches] == [
        (250, "events"),
        (230, "events"),
        (125, "songs"),
        (5, "songs"),
        (2, "songs"),
    ]


class Disk:
    """A disk that is slow or quick, as a clock tells, and what was read from it: by which thread, and how far ahead."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, slow: Iterator[bool]) -> None:
        self.slow = slow
        self.read: list[str] = []
        self.given = 0
        self.ahead = 0
        self._now = 0.0
        self._begun = False
        self._lock = threading.Lock()
        self._read_batch = small_files.read_batch
        monkeypatch.setattr(small_files, "read_batch", self.read_batch)

    def clock(self) -> float:
        """Give the time: a second later at the end of a batch where the disk is slow."""
        if self._begun and next(self.slow):
            self._now += 1.0
        self._begun = not self._begun
        return self._now

    def read_batch(self, batch: Batch) -> Contents:
        """Read a batch, and note who did."""
        contents = self._read_batch(batch)
        with self._lock:
            self.read.append(threading.current_thread().name)
            self.ahead = max(self.ahead, len(self.read) - self.given)
        return contents

    def give(self, batches: list[Batch]) -> list[tuple[Batch, Contents]]:
        """Read all batches, as the spool does."""
        got = []
        for batch, contents in read_batches(iter(batches), self.clock):
            self.given += 1
            got.append((batch, contents))
        return got


def batches_of(files: list[IncomingFile], number: int) -> list[Batch]:
    """Give so many batches of one file."""
    return [[file] for _, file in zip(range(number), cycle(files), strict=False)]


@pytest.mark.parametrize("number", [1, 2, 25, 26, 300])
def test_from_a_slow_disk_threads_read_and_all_comes_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Nothing is lost or comes twice, and what is read and not used yet is bounded."""
    batches = batches_of(write(tmp_path / "files", [b'{"ts": %d}' % n for n in range(7)]), number)
    disk = Disk(monkeypatch, slow=cycle([True]))
    assert disk.give(batches) == [(batch, [Path(batch[0].source.path).read_bytes()]) for batch in batches]
    here = threading.current_thread().name
    assert [name for name in disk.read if name == here] == [here] * {1: 1, 2: 1, 25: 1, 26: 2, 300: 5}[number]
    assert disk.ahead <= AHEAD + 1


def test_a_disk_that_is_quick_again_is_read_without_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a round of threads one batch tells; a quick disk never has a thread."""
    batches = batches_of(write(tmp_path / "files", [GOOD]), 60)
    disk = Disk(monkeypatch, slow=iter([False, True] + [False] * 60))
    disk.give(batches)
    here = threading.current_thread().name
    assert [name == here for name in disk.read].count(False) == small_files.SLOW_ROUND
    quick = Disk(monkeypatch, slow=cycle([False]))
    quick.give(batches)
    assert set(quick.read) == {here}


def test_a_load_that_ends_early_leaves_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk may be full while others are read ahead."""
    batches = batches_of(write(tmp_path / "files", [GOOD]), 60)
    disk, others = Disk(monkeypatch, slow=cycle([True])), threading.enumerate()
    reading = read_batches(iter(batches), disk.clock)
    for _ in range(5):
        next(reading)
    reading.close()
    assert set(threading.enumerate()) <= set(others)
    assert len(disk.read) < len(batches)


def test_what_may_not_be_read_is_left_for_add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the system answers."""
    files = write(tmp_path / "files", [GOOD] * 2)
    opened = os.open

    def refuse(path: str, flags: int) -> int:
        if path == files[0].source.path:
            raise PermissionError(13, "Permission denied", path)
        return opened(path, flags)

    monkeypatch.setattr("dwh.spool.small_files.os.open", refuse)
    assert small_files.read_batch(files) == [None, GOOD]
