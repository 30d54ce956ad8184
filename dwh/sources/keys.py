"""The keys of a bucket below a prefix, all of them: by folders, many at once, where there are more than one page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from dwh.sources.buckets import Buckets, S3Path
from dwh.sources.files import SourceFile
from dwh.sources.flights import in_threads

if TYPE_CHECKING:
    from obstore import ObjectMeta

PAGE = 1000  # keys of one answer; S3 gives no more
ENOUGH = 16  # folders; they are listed at once, and more bring nothing
WORTH_ONE = 100  # keys of a folder, on average: where there are fewer, a request for each takes longer than the pages
CROWDED = 1000  # folders below one; they are not listed one by one


class _Opened(NamedTuple):
    """What lies in a folder: the folders and the objects."""

    folders: Sequence[S3Path]
    objects: Sequence[SourceFile]


def found_under(buckets: Buckets, place: S3Path) -> list[SourceFile]:
    """Give all objects below a prefix, or the one object whose key it is. Nobody waits for a server but the caller.

    What fits into one page takes one request. Raises as Buckets.ask() does: a partial list is never given.
    """
    [found] = in_threads(lambda place: _list(buckets, place, PAGE), [place])
    if len(found) >= PAGE:
        found = list(_list_by_folders(buckets, place, _depth(found, place)))
    if not found and place.key:
        [found] = in_threads(lambda place: _look(buckets, place), [place])
    return found


def _list_by_folders(buckets: Buckets, place: S3Path, depth: int) -> Iterator[SourceFile]:
    """Open so many levels of folders (0: none), or fewer once there are enough, and list each of these whole."""
    places, whole = [place], list[S3Path]()
    for _ in range(depth):
        if len(places) + len(whole) >= ENOUGH:
            break
        below: list[S3Path] = []
        for opened, (folders, objects) in in_threads(lambda place: (place, _open(buckets, place)), places):
            if len(folders) > CROWDED:
                whole.append(opened)
                continue
            below += folders
            yield from objects
        places = below
    for files in in_threads(lambda place: _list(buckets, place), [*places, *whole]):
        yield from files


def _depth(files: Sequence[SourceFile], place: S3Path) -> int:
    """Tell how many levels of folders are worth a request for each folder, by the first page of a prefix."""
    parts = [file.path[len(str(place)) + 1 :].split("/")[:-1] for file in files]
    depth = 0
    while len({tuple(path[: depth + 1]) for path in parts if len(path) > depth}) in range(1, len(files) // WORTH_ONE):
        depth += 1
    return depth


def _list(buckets: Buckets, place: S3Path, most: int | None = None) -> list[SourceFile]:
    """List what lies below a prefix, all of it, or the first so many."""
    import obstore

    store = buckets.open(place.bucket)

    def pages() -> list[SourceFile]:
        found: list[SourceFile] = []
        for page in obstore.list(store, place.key or None, chunk_size=PAGE):
            found += [_source_file(place.bucket, meta) for meta in page]
            if most and len(found) >= most:
                break
        return found

    return buckets.ask("ListBucket", place, pages)


def _open(buckets: Buckets, place: S3Path) -> _Opened:
    import obstore

    store = buckets.open(place.bucket)
    found = buckets.ask("ListBucket", place, lambda: obstore.list_with_delimiter(store, place.key or None))
    folders = [S3Path(place.bucket, prefix.rstrip("/")) for prefix in found["common_prefixes"]]
    return _Opened(folders, [_source_file(place.bucket, meta) for meta in found["objects"]])


def _look(buckets: Buckets, place: S3Path) -> list[SourceFile]:
    """Look at one object; nothing when it is not there."""
    import obstore

    store = buckets.open(place.bucket)
    with suppress(FileNotFoundError):
        return [_source_file(place.bucket, buckets.ask("GetObject", place, lambda: obstore.head(store, place.key)))]
    return []


def _source_file(bucket: str, meta: ObjectMeta) -> SourceFile:
    etag = meta["e_tag"] or ""
    if etag.startswith('"'):
        etag = etag.strip('"')
    return SourceFile(str(S3Path(bucket, meta["path"])), meta["size"], f"{etag}:{meta['size']}")
