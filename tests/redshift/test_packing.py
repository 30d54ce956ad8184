"""Packing for COPY while the spool is written: the same rows as packing afterwards, whatever happens in between."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
import zstandard
from reference_star import star_of
from warehouse import event, lines, plays, song

from dwh.engines.redshift import packing
from dwh.engines.redshift.packing import Piece, ZstdPacker
from dwh.sources.files import SourceFile
from dwh.sources.folders import list_files
from dwh.spool.folder import open_spool
from dwh.spool.small_files import IncomingFile
from dwh.spool.spool import Spool
from dwh.terminal.errors import DataError
from redshift.warehouse_on_redshift import Cloud, RedshiftWarehouse
from star.refusals import record_rules

SMALL = 4_000  # bytes of a piece, in these tests
LINE = b'{"a": "%s"}\n' % (b"x" * 90)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make pieces small, and give the paths whose packing begins before the load."""
    monkeypatch.setattr(packing, "SMALL_PIECE", SMALL)
    found: list[str] = []
    begin = ZstdPacker.begin

    def note(packer: ZstdPacker, path: str, size: int) -> None:
        found.append(path)
        begin(packer, path, size)

    monkeypatch.setattr(ZstdPacker, "begin", note)
    return found


@pytest.fixture
def warehouse(here: Cloud, tmp_path: Path) -> RedshiftWarehouse:
    """An empty warehouse, and twelve log files of about 1,500 bytes."""
    made = RedshiftWarehouse(tmp_path / "w", cloud=here).create()
    made.write("song_data/one.json", [song()])
    for number in range(12):
        made.write(f"log_data/{number:02}.json", plays(5, sessionId=number))
    return made


def test_p241_what_is_packed_while_the_spool_is_written_is_the_same(
    warehouse: RedshiftWarehouse, here: Cloud, begun: list[str]
) -> None:
    """Every record comes once, the star is that of the reference, and WORK is empty afterwards."""
    assert warehouse.etl()["rows"]["songplays"] == 60
    assert begun
    every_play = [play for number in range(12) for play in plays(5, sessionId=number)]
    assert warehouse.star() == star_of(every_play, [song()])
    assert here.work() == []


@pytest.mark.parametrize("flags", [(), ("--on-bad-line", "quarantine")], ids=["refused", "quarantined"])
def test_p241_a_load_that_begins_again_packs_again(
    warehouse: RedshiftWarehouse, here: Cloud, begun: list[str], flags: tuple[str, ...]
) -> None:
    """The record that a rule refuses comes last, when most is packed: what was packed before is not loaded."""
    warehouse.write("log_data/99.json", [event(sessionId=99), event(ts="noon", sessionId=99, itemInSession=1)])
    if flags:
        told = warehouse.etl(*flags)
        assert (told["rows"]["songplays"], told["rows"]["rejected_lines"]) == (61, 1)
    else:
        with pytest.raises(DataError):
            warehouse.etl()
        assert warehouse.rows("SELECT COUNT(*) FROM loaded_files") == [(0,)]
    assert len(begun) == len(set(begun)) >= 2, "the spools of both tries, no file of one named as one of the other"
    assert here.work() == []


def spooled(folder: Path, packer: ZstdPacker | None) -> Iterator[tuple[Spool, list[str]]]:
    """Spool the events of a folder as a load does; gives the paths of the spool while they are there."""
    files = list_files(str(folder), "[S3] LOG_DATA").files
    with open_spool(record_rules(lenient=False), in_place=False, packer=packer) as spools:
        spool = spools.start(("events", file) for file in files)
        for number, file in enumerate(files, 1):
            spool.add(IncomingFile(number, "events", file), carefully=False)
        yield spool, [part.path for part in spool.parts("events")]


@pytest.mark.parametrize("slices", [None, 2, 3])
@pytest.mark.parametrize("sizes", [[5] * 40, [200, 1, 1], [1, 1, 300], [90, 90, 90]], ids=str)
def test_the_pieces_are_the_lines_of_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: list[str], slices: int | None, sizes: list[int]
) -> None:
    """Nothing is lost or comes twice, of small files and of one that is several pieces; and they are about equal."""
    monkeypatch.setattr(packing, "PIECE", SMALL)
    monkeypatch.setattr(packing, "WORTH_SPREADING", 0)
    for number, size in enumerate(sizes):
        (tmp_path / f"{number:02}.json").write_bytes(lines(plays(size, sessionId=number)))
    [expected] = [Path(path).read_bytes() for _, (path,) in spooled(tmp_path, None)]
    packer = ZstdPacker(slices)
    for _, paths in spooled(tmp_path, packer):
        assert begun
        assert set(begun) <= set(paths)
        packed = [ready() for ready in packer.pieces_of(paths)]
    bodies = [zstandard.decompress(one.body) for one in packed]
    assert sorted(b"".join(bodies).splitlines()) == sorted(expected.splitlines())
    assert [one.records for one in packed] == [body.count(b"\n") for body in bodies]
    assert all("sessionId" in one.filled for one in packed)
    assert max(map(len, bodies)) < 2 * SMALL
    assert len(bodies) % (slices or 1) == 0
    assert packer.pieces_of([]) == []


def test_a_small_load_is_one_piece_that_is_packed_at_its_end(tmp_path: Path, begun: list[str]) -> None:
    """There is nothing to pack meanwhile."""
    (tmp_path / "a.json").write_bytes(lines(plays(5)))
    for _, (path,) in spooled(tmp_path, packer := ZstdPacker(None)):
        assert len(packer.pieces_of([path])) == 1
    assert begun == []


def test_what_was_begun_and_not_taken_is_given_up(
    tmp_path: Path, begun: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that has ended leaves no thread and no bytes."""
    free = threading.Event()
    packed: list[Piece] = []

    def wait(piece: Piece) -> packing.Packed:
        free.wait()
        packed.append(piece)
        return packing.Packed(b"", 0, frozenset())

    monkeypatch.setattr(packing, "pack", wait)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    for number in range(40):
        (tmp_path / f"{number:02}.json").write_bytes(lines(plays(5, sessionId=number)))
    packer, before = ZstdPacker(None), threading.enumerate()
    for _ in spooled(tmp_path, packer):
        assert len(begun) > 3
    threads = [thread for thread in threading.enumerate() if thread not in before]
    packer.forget()
    free.set()
    for thread in threads:
        thread.join()
    assert len(packed) <= 1, "the one that was under way"
    assert packer.pieces_of([]) == []


@pytest.mark.parametrize("slices", [4, 8])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_each_kind_has_a_multiple_of_the_slices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: list[str], packed: bool, slices: int
) -> None:
    """COPY fills one table, and each slice takes part in it. What is in packed sources is not known before: they give
    no more pieces than plain ones would."""
    monkeypatch.setattr(packing, "PIECE", 5 * SMALL)
    monkeypatch.setattr(packing, "WORTH_SPREADING", 100)
    found: dict[str, Sequence[SourceFile]] = {}
    expected: dict[str, int] = {}
    for kind, number in (("songs", 400), ("events", 200)):
        (tmp_path / kind).mkdir()
        for name in range(number):
            title = Random(name).randbytes(100).hex()
            records = plays(5, sessionId=name) if kind == "events" else [song(song_id=f"S{name}", title=title)]
            body = lines(records)
            expected[kind] = expected.get(kind, 0) + len(body)
            path = tmp_path / kind / f"{name:03}.json{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(body) if packed else body)
        found[kind] = list_files(str(tmp_path / kind), "[S3] LOG_DATA").files
    packer = ZstdPacker(slices)
    with open_spool(record_rules(lenient=False), in_place=False, packer=packer) as spools:
        spool = spools.start((kind, file) for kind, files in found.items() for file in files)
        for kind, files in found.items():
            for file_id, file in enumerate(files):
                spool.add(IncomingFile(file_id, kind, file), carefully=False)
        pieces = {kind: len(packer.pieces_of([part.path for part in spool.parts(kind)])) for kind in found}
    assert begun
    if packed:
        assert all(number <= packing.number_of_pieces(expected[kind], slices) + 1 for kind, number in pieces.items())
    else:
        assert pieces == {kind: packing.number_of_pieces(size, slices) for kind, size in expected.items()}


def test_what_waits_in_memory_is_bounded(tmp_path: Path, begun: list[str]) -> None:
    """The pieces beyond are packed when the load asks for them, and none is lost."""
    for number in range(80):
        (tmp_path / f"{number:02}.json").write_bytes(lines(plays(10, sessionId=number)))
    packer = ZstdPacker(None)
    for _, paths in spooled(tmp_path, packer):
        assert len(begun) > packing.WAITING
        assert sum(map(len, packer._begun.values())) == packing.WAITING
        packed = [ready() for ready in packer.pieces_of(paths)]
    assert sum(one.records for one in packed) == 800
