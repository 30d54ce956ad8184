"""Small files are read in batches: each file is checked as it is read, its content together with that of the others.

From a slow disk several batches are read at once. A file whose blocks the system has to fetch took 99 microseconds
alone and 31 with eight threads, one that the system has in memory 9 alone and 13 with them: so threads read only while
a batch that is read without them is slow.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from dwh.sources.files import SMALL_FILE, SourceFile, fingerprint

if TYPE_CHECKING:
    from concurrent.futures import Future

BATCH_FILES, BATCH_BYTES = 250, 1024 * 1024
SLOW = 40e-6  # seconds a file, on the way from a disk and not from memory
READERS = 8  # threads
AHEAD = 24  # batches that are read and not yet used, at most: 25 MB
SLOW_ROUND, LONGEST_ROUND = 24, 96  # batches that threads read before one is read without them again


class IncomingFile(NamedTuple):
    """A file on its way in: the id it will have, its kind, and where it is read (where it was listed, or its copy)."""

    file_id: int
    kind: str
    source: SourceFile


class Changed(Exception):
    """The file is no longer what was listed."""


Batch = Sequence[IncomingFile]
Contents = Sequence[bytes | None]  # of each file of a batch, in order; None: it cannot be read, or has changed


def is_small(source: SourceFile) -> bool:
    """Tell whether a file is read whole."""
    return source.size <= SMALL_FILE


def cut_batches(files: Iterable[IncomingFile]) -> Iterator[Batch]:
    """Cut small files into batches of one kind, in order, of at most 250 files and 1 MiB."""
    batch: list[IncomingFile] = []
    size = 0
    for file in files:
        size += file.source.size
        if batch and (len(batch) == BATCH_FILES or size > BATCH_BYTES or file.kind != batch[0].kind):
            yield batch
            batch, size = [], file.source.size
        batch.append(file)
    if batch:
        yield batch


def read_batches(
    batches: Iterator[Batch], clock: Callable[[], float] = time.perf_counter
) -> Generator[tuple[Batch, Contents], None, None]:
    """Read batches, and give them in order. Close the iterator to end the threads, if it is not used to its end."""
    in_round = SLOW_ROUND
    for batch in batches:
        begun = clock()
        contents = read_batch(batch)
        slow = clock() - begun > SLOW * len(batch)
        yield batch, contents
        if slow:
            yield from _read_ahead(islice(batches, in_round))
        in_round = min(2 * in_round, LONGEST_ROUND) if slow else SLOW_ROUND


def read_batch(batch: Batch) -> Contents:
    """Read the files of a batch."""
    contents: list[bytes | None] = []
    for file in batch:
        try:
            contents.append(read_small(file.source))
        except (OSError, Changed):
            contents.append(None)
    return contents


def read_small(source: SourceFile) -> bytes | None:
    """Read a small file whole (None: it is large), and make sure that it is unchanged since it was listed.

    Raises Changed when it is not, OSError when it cannot be read."""
    data = None
    descriptor = os.open(source.path, os.O_RDONLY)
    try:
        if is_small(source):
            data = os.pread(descriptor, source.size, source.offset or 0)
        unchanged = fingerprint(os.fstat(descriptor)) == source.fingerprint
    finally:
        os.close(descriptor)
    if not unchanged or (data is not None and len(data) != source.size):
        raise Changed
    return data


def _read_ahead(batches: Iterator[Batch]) -> Iterator[tuple[Batch, Contents]]:
    """Read batches in threads, and give them in order."""
    from concurrent.futures import ThreadPoolExecutor

    waiting: deque[tuple[Batch, Future[Contents]]] = deque()
    readers = ThreadPoolExecutor(READERS)
    try:
        for batch in batches:
            waiting.append((batch, readers.submit(read_batch, batch)))
            if len(waiting) == AHEAD:
                first, contents = waiting.popleft()
                yield first, contents.result()
        while waiting:
            first, contents = waiting.popleft()
            yield first, contents.result()
    finally:
        readers.shutdown(cancel_futures=True)
