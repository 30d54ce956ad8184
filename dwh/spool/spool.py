"""From many small files to a few large ones: brings the bytes of a source to the engine, and counts its records.

Reading 15,000 files of one record costs an engine about 3 s and through the spool 0.15 s (209 and 9 microseconds a
file, measured with DuckDB 2.0.0), so small files are copied into one spool file, each record with the id of its file
spliced in. Large files of one object a line are left where they are. Everything else is read record by record.
"""

from __future__ import annotations

import errno
import gzip
import json
import os
import shlex
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from dwh.seam import FILE_KEY, OUR_KEYS, Packer, Part
from dwh.sources.files import SourceFile, is_remote, is_unchanged, local_file, open_source
from dwh.sources.formats import GZIP_MAGIC, LOOKED_AT, find_format, find_no_gzip
from dwh.sources.listing import packed_by_name
from dwh.spool.record_reader import read_pieces, read_records
from dwh.spool.records import LONGEST_RECORD, Record, Strictness, values_of
from dwh.spool.rows import write_rows
from dwh.spool.small_files import (
    Batch,
    Changed,
    Contents,
    IncomingFile,
    cut_batches,
    is_small,
    read_batches,
    read_small,
)
from dwh.spool.splice import CHUNK, begins_plainly, count_lines, read_blocks, splice, splice_together
from dwh.spool.unread_keys import UnreadKeys
from dwh.terminal.errors import EnvironmentFailure

KEPT_TEXT = 16_000  # characters of a bad record that are kept: at most 65,535 bytes
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
GZIP_FAULTS = (gzip.BadGzipFile, EOFError, zlib.error)


class Unreadable(Exception):
    """Nothing in this file can be read; the text says why."""


class Spool:
    """The private folder of one run, and one file in it for every kind. Where `packer` takes complete files, another is
    begun after the kind's bytes in `limits`, when a file of the source ends. `number` tells spools apart."""

    def __init__(
        self,
        folder: Path,
        rules: Mapping[str, Strictness],
        *,
        in_place: bool,
        number: int = 1,
        packer: Packer | None = None,
        limits: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.folder = folder
        self.rules = rules
        self.in_place = in_place
        self._packer, self._limits = packer, limits
        self._names = (f"{number}-{of_kind}" for of_kind in count(1))
        self.faults = 0  # records with a reason why they are bad
        self.unread = UnreadKeys(rules)
        self._lines: Mapping[str, int] = {}
        self._streams = {kind: self._open(kind) for kind in rules}
        self._parts: dict[str, list[Part]] = {kind: [] for kind in rules}

    def count_large(
        self, files: Iterable[SourceFile], count_lines: Callable[[list[str], int], Mapping[str, int]]
    ) -> None:
        """Let large files that can stay where they are be counted at once, before each is added."""
        if not self.in_place:
            return
        here = (file.path for file in files if not is_small(file) and not is_remote(file.path))
        if large := [path for path in here if packed_by_name(path) is False]:
            self._lines = count_lines(large, LONGEST_RECORD)

    def add_small(self, files: Iterable[IncomingFile], tell: Callable[[int], None]) -> dict[int, int]:
        """Bring in the small files that are clearly records, many at once; `tell` gets the number of files brought in.
        Gives the number of records of each, by its id. The others are left for `add`, which says what is wrong.

        Raises EnvironmentFailure when there is no room for their records.
        """
        plain = (file for file in files if is_small(file.source) and packed_by_name(file.source.path) is False)
        added: dict[int, int] = {}
        with closing(read_batches(cut_batches(plain))) as batches:
            for batch, contents in batches:
                with named(str(self.folder)):
                    records = self._splice_batch(batch, contents)
                self._hand_on(batch[0].kind)
                added |= records
                tell(len(records))
        return added

    def add(self, file: IncomingFile, *, carefully: bool) -> int:
        """Bring one file in and give the number of records read.

        Raises Changed when it changed since it was listed, Unreadable when it is not JSON at all, EnvironmentFailure
        when this user may not read it, or when there is no room for its records.
        """
        try:
            records = self._add(file, carefully)
        except OSError as error:
            raise _refused_by_machine(error, file.source.path) from error
        self._hand_on(file.kind)
        return records

    def _add(self, file: IncomingFile, carefully: bool) -> int:
        data = read_small(file.source)
        plain = file.source
        if is_packed(plain, data):
            plain, data = self._unzip(file)
        self.unread.look(file.kind, file.file_id, plain.path if data is None else data)
        if not carefully:
            records = self._splice(file, data) if data is not None else self._add_large(file, plain.path)
            if records is not None:
                return records
        records = self._read_carefully(file, plain)
        if not is_unchanged(file.source):  # it was opened again after read_small had looked at it
            raise Changed
        return records

    def add_unreadable(self, file: IncomingFile, reason: str) -> int:
        """Add one refused record for a whole file, so that it is counted and kept like any other."""
        self._streams[file.kind].write(_provenance(file.file_id, 1, Record(0, b"", reason)) + b"}\n")
        self.faults += 1
        return 1

    def add_rows(self, name: str, keys: Iterable[str], rows: Iterable[Sequence[object]]) -> Part:
        """Write rows of our own beside the files, for the same bulk load: for each key its value, in this order."""
        path = self.folder / f"{name}.rows.json"
        with named(str(path)), open_private(path) as stream:
            write_rows(stream, list(keys), rows)
        return Part(str(path), None)

    def parts(self, kind: str) -> Sequence[Part]:
        """Give the parts that an engine has to load for a kind, once everything was added."""
        stream = self._streams[kind]
        with named(stream.name):
            stream.flush()
        return ([Part(stream.name, None)] if stream.tell() else []) + self._parts[kind]

    def close(self) -> None:
        """Close the spool files, even if their last bytes cannot be written."""
        for stream in self._streams.values():
            with suppress(OSError):
                stream.close()

    def _open(self, kind: str) -> BinaryIO:
        return open_private(self.folder / f"{kind}-{next(self._names)}.json")

    def _hand_on(self, kind: str) -> None:
        """Begin another file of a kind when this one is large enough, and have it packed: nothing is added to it."""
        stream, limit = self._streams[kind], self._limits.get(kind)
        if self._packer and limit and limit <= stream.tell():
            with named(str(self.folder)):
                stream.close()
                self._parts[kind].append(Part(stream.name, None))
                self._packer.begin(stream.name, limit)
                self._streams[kind] = self._open(kind)

    def _splice_batch(self, batch: Batch, contents: Contents) -> dict[int, int]:
        read = {file.file_id: data for file, data in zip(batch, contents, strict=True) if data is not None}
        stream = self._streams[batch[0].kind]
        if together := splice_together(read):
            stream.write(together)
            records = dict.fromkeys(read, 1)
        else:
            spliced = {file_id: splice(data, file_id) for file_id, data in read.items()}
            good = {file_id: found for file_id, found in spliced.items() if found is not None}
            stream.writelines(lines for lines, _ in good.values())
            records = {file_id: number for file_id, (_, number) in good.items()}
        self.unread.look_together(batch[0].kind, [(file_id, read[file_id]) for file_id in records])
        return records

    def _splice(self, file: IncomingFile, data: bytes) -> int | None:
        """Copy records with the file's id in each; None when the bytes are not clearly records."""
        spliced = splice(data, file.file_id)
        if spliced is None:
            return None
        self._streams[file.kind].write(spliced[0])
        return spliced[1]

    def _add_large(self, file: IncomingFile, path: str) -> int | None:
        """Leave a large file of one object a line where it is, or copy it in blocks. Gives the number of its records;
        None when an engine might read another number."""
        lines = self._lines.get(path)
        if lines is None or not begins_plainly(path):
            lines = count_lines(path) if self.in_place else None
        if lines is None:
            return self._splice_blocks(file, path)
        self._parts[file.kind].append(Part(path, file.file_id))
        return lines

    def _splice_blocks(self, file: IncomingFile, path: str) -> int | None:
        stream = self._streams[file.kind]
        start, records = stream.tell(), 0
        with Path(path).open("rb") as source:
            for block in read_blocks(source):
                found = None if block is None else self._splice(file, block)
                if found is None:
                    stream.seek(start)
                    stream.truncate()
                    return None
                records += found
        return records

    def _read_carefully(self, file: IncomingFile, plain: SourceFile) -> int:
        stream = self._streams[file.kind]
        number = 0
        with open_source(plain) as source:
            if foreign := find_format(source.read(LOOKED_AT), unpacked=plain is not file.source):
                raise Unreadable(foreign)
            source.seek(0)
            for number, record in enumerate(read_records(read_pieces(source), self.rules[file.kind]), 1):
                self.faults += record.fault is not None
                values = b"" if record.fault else values_of(record, OUR_KEYS)
                stream.write(_provenance(file.file_id, number, record) + (b"," + values if values else b"") + b"}\n")
        return number

    def _unzip(self, file: IncomingFile) -> tuple[SourceFile, bytes | None]:
        """Unpack a gzip file into the spool folder; gives the plain file, and its content when that is small."""
        path = self.folder / f"{file.file_id}.json"
        try:
            with open_source(file.source) as source:
                if no_gzip := find_no_gzip(source.read(LOOKED_AT)):
                    raise Unreadable(no_gzip)
                source.seek(0)
                with gzip.open(source) as packed, open_private(path) as unpacked:
                    shutil.copyfileobj(packed, unpacked, CHUNK)
        except GZIP_FAULTS as error:
            path.unlink()
            raise Unreadable(f"it is not whole gzip: {error}") from error
        if not is_unchanged(file.source):
            raise Changed
        plain = local_file(str(path))
        return plain, path.read_bytes() if is_small(plain) else None


@contextmanager
def named(path: str) -> Iterator[None]:
    """Turn an OSError of the block into Changed (the file is gone) or EnvironmentFailure."""
    try:
        yield
    except OSError as error:
        raise _refused_by_machine(error, path) from error


def _refused_by_machine(error: OSError, path: str) -> Changed | EnvironmentFailure:
    if isinstance(error, FileNotFoundError) and error.filename == path:
        return Changed()
    if error.errno in DISK_FULL:
        return EnvironmentFailure(
            f"the disk is full: the temporary folder {tempfile.gettempdir()} needs more room",
            evidence=(str(error.strerror), "nothing of this load was stored; earlier loads are intact"),
            hint=("free space and run this again", "TMPDIR=/bigger/disk the same command again"),
        )
    return EnvironmentFailure(
        f"{path} cannot be read", evidence=str(error.strerror or error), hint=f"ls -la {shlex.quote(path)}"
    )


def open_private(path: Path) -> BinaryIO:
    """Open a file for writing that no other user may read."""
    return open(path, "wb", buffering=CHUNK, opener=lambda name, flags: os.open(name, flags, 0o600))


def is_packed(source: SourceFile, data: bytes | None) -> bool:
    """Tell whether a file is gzip: by its name, or by its content where the name does not say."""
    named_so = packed_by_name(source.path)
    if named_so is None:
        if data is None:
            with open_source(source) as stream:
                data = stream.read(len(GZIP_MAGIC))
        return data.startswith(GZIP_MAGIC)
    return named_so


def _provenance(file_id: int, number: int, record: Record) -> bytes:
    """Give the opening of a spooled record that was read carefully: its file and line, its fault, its text."""
    told = {
        FILE_KEY: file_id,
        "dwh_record_number": number,
        "dwh_line_number": record.line or None,
        "dwh_reason": record.fault,
        "dwh_record": record.text.decode("utf-8", "backslashreplace")[:KEPT_TEXT].replace("\0", "\\x00"),
    }
    return json.dumps(told, ensure_ascii=False).encode("utf-8", "backslashreplace")[:-1]
