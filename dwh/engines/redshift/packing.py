"""The lines of the spool as zstd frames for COPY: cut into pieces, and packed while the spool is still written.

COPY does not split a JSON file, and a file costs it more than a record: so the suite writes a few objects of 8 to
64 MB, a multiple of the slices [D23 dg/c_best-practices-use-multiple-files.html]. Where slices are not known, as on
Serverless, the objects are smaller, so that there are enough of them for whatever computes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

PIECE = 128 * 1024 * 1024  # bytes of JSON: 11 to 20 MB as zstd, measured on the sample
SMALL_PIECE = 32 * 1024 * 1024  # bytes of JSON: 3 to 5 MB as zstd; at least 1 MB each is advised [D23, the same page]
WORTH_SPREADING = 8 * 1024 * 1024  # bytes of JSON; below this one slice is as fast as all
GROWS = 1.1  # times the bytes of a source that its lines have in the spool: each gets the id of its file
WAITING = 16  # pieces that are packed before the load asks, at most; in_threads sends so many at once
CHUNK = 1024 * 1024  # bytes
LEVEL = 1  # of zstd: twice the speed of gzip's lowest level, for fewer bytes (bench/compaction.py)
LOOKED_AT = 100  # records at the beginning of a piece whose keys are noted


class Piece(NamedTuple):
    """A part of a spool file, of whole lines: its first byte, and the one after its last."""

    path: str
    start: int
    end: int


class Packed(NamedTuple):
    """A piece as one zstd frame, the number of its lines, and the keys that have a value in its first records."""

    body: bytes
    records: int
    filled: frozenset[str]


class ZstdPacker:
    """Packs the pieces of a load: of a large one, file after file, while the next is written. What is packed early
    waits in memory, at most 16 pieces. `slices` are those of the warehouse."""

    def __init__(self, slices: int | None) -> None:
        self._slices = slices
        self._threads: ThreadPoolExecutor | None = None
        self._begun: dict[str, list[Future[Packed]]] = {}

    def cut(self, size: int) -> int:
        """Give the bytes of a spool file that is packed early: those of a piece. 0 where all is one piece."""
        number = number_of_pieces(size, self._slices)
        return int(size / number * GROWS) if number > 1 else 0

    def begin(self, path: str, size: int) -> None:
        """Begin to pack a spool file of a piece, or of several where a file of the source has as much; not when enough
        waits for the load already."""
        from concurrent.futures import ThreadPoolExecutor

        number = max(1, round(Path(path).stat().st_size / size))
        if number + sum(map(len, self._begun.values())) <= WAITING:
            self._threads = self._threads or ThreadPoolExecutor(os.cpu_count())
            self._begun[path] = [self._threads.submit(pack, piece) for piece in cut(path, number)]

    def pieces_of(self, paths: Sequence[str]) -> list[Callable[[], Packed]]:
        """Give what packs each piece of these files, or waits for it where that has begun. Where much is still to be
        cut, the number of all becomes a multiple of the slices."""
        sizes = {path: Path(path).stat().st_size for path in paths}
        packs: list[Callable[[], Packed]] = [one.result for path in paths for one in self._begun.get(path, ())]
        rest = {path: size for path, size in sizes.items() if not self._begun.pop(path, None) and size}
        all_bytes, left = sum(sizes.values()), sum(rest.values())
        number = round(number_of_pieces(all_bytes, self._slices) * left / all_bytes) if left else 0
        if self._slices and left > WORTH_SPREADING:
            number += -(number + len(packs)) % self._slices
        for path, size in rest.items():
            share = max(1, round(number * size / left))
            packs += [partial(pack, piece) for piece in cut(path, share)]
            number, left = number - share, left - size
        return packs

    def forget(self) -> None:
        """Give up what was begun and not taken: its load has ended."""
        if self._threads:
            self._threads.shutdown(wait=False, cancel_futures=True)
        self._threads = None
        self._begun.clear()


def number_of_pieces(size: int, slices: int | None) -> int:
    """Give the number of pieces for so many bytes: one for few, else a multiple of the slices; by size alone
    where those are not known."""
    number = -(-size // (PIECE if slices else SMALL_PIECE))
    return -(-number // slices) * slices if slices and size > WORTH_SPREADING else number


def cut(path: str, number: int) -> list[Piece]:
    """Cut a file into so many pieces of whole lines, of nearly equal size; fewer where its lines are too few."""
    size = Path(path).stat().st_size
    ends = []
    with Path(path).open("rb") as lines:
        for end in range(1, number):
            lines.seek(end * size // number)
            lines.readline()
            ends.append(lines.tell())
    borders = sorted({0, *ends, size})
    return [Piece(path, start, end) for start, end in pairwise(borders)]


def pack(piece: Piece) -> Packed:
    """Pack a piece. The frame says its length and has a checksum, which zstd leaves out unless asked: whoever unpacks
    it notices damage, as with gzip."""
    import zstandard

    packer = zstandard.ZstdCompressor(LEVEL, write_checksum=True).compressobj(size=piece.end - piece.start)
    packed, records = [], 0
    with Path(piece.path).open("rb") as stream:
        stream.seek(piece.start)
        filled = filled_keys(stream)
        stream.seek(piece.start)
        rest = piece.end - piece.start
        while rest and (chunk := stream.read(min(CHUNK, rest))):
            rest -= len(chunk)
            records += chunk.count(b"\n")
            packed.append(packer.compress(chunk))
    return Packed(b"".join((*packed, packer.flush())), records, filled)


def filled_keys(lines: Iterable[bytes]) -> frozenset[str]:
    """Give the keys that have a value in one of the first records; a line that is not a record is skipped."""
    found: set[str] = set()
    for line in islice(lines, LOOKED_AT):
        with suppress(ValueError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict):
                found |= {key for key, value in record.items() if isinstance(value, (str, int, float))}
    return frozenset(found)
