"""The input of COPY: our records as zstd objects under [S3] WORK, the manifest that names them, and the JSONPaths file.

They lie under WORK/<warehouse>/<run>/. A run that was killed leaves them there: the next load of the same warehouse,
and conn_close.py, remove what is not their own. Other warehouses may have the same WORK.

packing.py says how many objects there are.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from dwh.engines.redshift.packing import Packed, ZstdPacker, filled_keys
from dwh.seam import Address
from dwh.sources.buckets import Buckets, S3Path, split
from dwh.sources.flights import in_threads
from dwh.sources.jsonpaths import write_paths
from dwh.sources.objects import read_opening
from dwh.terminal.errors import ConfigError, RecordsRefused

LONGEST_NAME = 80  # characters of a warehouse in a key, before its digest


class Upload(NamedTuple):
    """The input of one COPY: two URLs, the number of records in the objects of the manifest, and the keys that have a
    value in some records, so their columns must not be empty. `packing` is the word by which COPY is told how the
    objects are packed [D dg/copy-parameters-file-compression.html]."""

    manifest: str
    jsonpaths: str
    records: int
    filled: frozenset[str]
    packing: Literal["", "GZIP", "ZSTD"]


def name_warehouse(address: Address) -> str:
    """Name a warehouse in a key: readable, and different for each address."""
    digest = hashlib.sha256(json.dumps(address, sort_keys=True).encode()).hexdigest()[:12]
    readable = re.sub(r"[^a-z0-9]+", "-", "-".join(address.values()).lower())
    return f"{readable[:LONGEST_NAME].strip('-')}-{digest}"


def name_run() -> str:
    """Name this run in a key; no other run has the same name."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:8]}"


class WorkPrefix:
    """The prefix that the warehouse reads from and we write to. `warehouse` and `run` are their names in a key.

    Raises ConfigError when there is none."""

    def __init__(self, buckets: Buckets, location: str, warehouse: str, run: str) -> None:
        if not location:
            raise ConfigError("[S3] WORK is empty; COPY reads what we write there", hint="[S3] WORK = s3://bucket/work")
        self._buckets = buckets
        self._place = split(location)
        self._of_warehouse = f"{self._place.key}/{warehouse}/".lstrip("/")
        self._of_run = f"{self._of_warehouse}{run}/"

    def __str__(self) -> str:
        return self._url(self._of_warehouse)

    @property
    def region(self) -> str:
        """Give the region of its bucket."""
        return self.region_of(str(self._place))

    def region_of(self, path: str) -> str:
        """Give the region of a bucket."""
        return str(self._buckets.open(split(path).bucket).config["region"])

    def find_leftovers(self) -> list[str]:
        """List the keys of objects that other runs of this warehouse have left here. They are in use while a load is
        running: only who holds the lock of loads, or knows that there is no warehouse any more, may remove them."""
        import obstore

        store, place = self._buckets.open(self._place.bucket), S3Path(self._place.bucket, self._of_warehouse)

        def list_all() -> list[str]:
            pages = obstore.list(store, self._of_warehouse)
            return [meta["path"] for page in pages for meta in page]

        return [key for key in self._buckets.ask("ListBucket", place, list_all) if not key.startswith(self._of_run)]

    def remove(self, keys: Sequence[str]) -> None:
        """Delete objects; one that is gone already is no error."""
        if keys:
            self._remove(keys)

    @contextmanager
    def name(self, path: str, keys: Sequence[str]) -> Iterator[Upload]:
        """Name an object that is in S3 already, for the block. WORK has to be in the region of the object
        [D23 dg/copy-parameters-data-source-s3.html].

        Raises RecordsRefused when it does not begin with a JSON object: it is not documented how COPY reads a byte
        order mark before JSON, and its error for a zip archive does not help."""
        opening = read_opening(self._buckets, path)
        if not opening.plain.lstrip(b" \t\r\n").startswith(b"{"):
            raise RecordsRefused(f"{path} does not begin with a JSON object", hint="fix it, or move it elsewhere")
        folder = self._new_folder()
        manifest, jsonpaths = f"{folder}/manifest.json", f"{folder}/jsonpaths.json"
        try:
            self._put_names(manifest, [path], jsonpaths, keys)
            packing: Literal["", "GZIP"] = "GZIP" if opening.packed else ""
            yield Upload(self._url(manifest), self._url(jsonpaths), -1, filled_keys(opening.lines), packing)
        finally:
            self._remove([manifest, jsonpaths])

    @contextmanager
    def upload(self, packer: ZstdPacker, paths: Sequence[str], keys: Sequence[str]) -> Iterator[Upload]:
        """Write the lines of the files, one record each, for the block; all of it is removed at its end.

        `keys` are the JSON keys of a record, in the order of the columns that COPY is to fill.
        """
        folder = self._new_folder()
        packs = {f"{folder}/{number:05}.json.zst": pack for number, pack in enumerate(packer.pieces_of(paths))}
        objects = list(packs)
        manifest, jsonpaths = f"{folder}/manifest.json", f"{folder}/jsonpaths.json"
        try:
            told = list(in_threads(lambda key: self._put_packed(key, packs.pop(key)), objects))
            self._put_names(manifest, [self._url(key) for key in objects], jsonpaths, keys)
            filled = frozenset[str]().union(*(keys_of_piece for _, keys_of_piece in told))
            records = sum(records for records, _ in told)
            yield Upload(self._url(manifest), self._url(jsonpaths), records, filled, "ZSTD")
        finally:
            self._remove([*objects, manifest, jsonpaths])

    def _new_folder(self) -> str:
        return f"{self._of_run}{uuid.uuid4().hex}"

    def _put_names(self, manifest: str, urls: Sequence[str], jsonpaths: str, keys: Sequence[str]) -> None:
        self._put(jsonpaths, write_paths(keys))
        # without "mandatory" COPY silently skips a missing object [D23]
        entries = [{"url": url, "mandatory": True} for url in urls]
        self._put(manifest, json.dumps({"entries": entries}).encode())

    def _url(self, key: str) -> str:
        return str(S3Path(self._place.bucket, key))

    def _put_packed(self, key: str, pack: Callable[[], Packed]) -> tuple[int, frozenset[str]]:
        packed = pack()
        self._put(key, packed.body)
        return packed.records, packed.filled

    def _put(self, key: str, body: bytes) -> None:
        import obstore

        store = self._buckets.open(self._place.bucket)
        self._buckets.ask("PutObject", S3Path(self._place.bucket, key), lambda: obstore.put(store, key, body))

    def _remove(self, keys: Sequence[str]) -> None:
        import obstore

        if keys:
            store, first = self._buckets.open(self._place.bucket), S3Path(self._place.bucket, keys[0])
            self._buckets.ask("DeleteObject", first, lambda: obstore.delete(store, list(keys)))
