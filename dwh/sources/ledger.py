"""The work of a run: the listed files that the ledger does not have, cut into loads of bounded size."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from dwh.sources.files import SourceFile, is_under
from dwh.sources.listing import Listing, Names
from dwh.terminal.errors import ConfigError

LARGE_FILES, LARGE_BYTES = 2_000, 64 * 1024 * 1024  # from here on a load takes seconds, and shows how far it is


class Entry(NamedTuple):
    """One row of the ledger."""

    kind: str
    path: str
    fingerprint: str
    file_id: int
    status: str
    records_read: int


class Pending(NamedTuple):
    """One file to load, and the id of its earlier version, whose rows it replaces (None: it is new)."""

    kind: str
    source: SourceFile
    replaces: int | None


class Work(NamedTuple):
    """The files that a run loads, and those that it leaves alone. `unread` are loaded files whose names are no longer
    read; `passed_over` counts the files of the source that are not read at all."""

    pending: Sequence[Pending]
    vanished: Sequence[Entry]
    already_loaded: int
    unread: Sequence[Entry] = ()
    passed_over: int = 0

    @property
    def new(self) -> int:
        """Number of files the ledger does not know."""
        return sum(file.replaces is None for file in self.pending)

    @property
    def changed(self) -> int:
        """Number of files the ledger knows with another fingerprint."""
        return len(self.pending) - self.new


def find_work(listings: Mapping[str, Listing], ledger: Iterable[Entry], locations: Mapping[str, Sequence[str]]) -> Work:
    """Compare the listing of every kind with the ledger, by path and fingerprint, kinds in the order given.

    A file of the ledger that lies under a configured location and is not listed has vanished, or its name is no longer
    read. It keeps its rows in both cases.
    """
    known = {(entry.kind, entry.path): entry for entry in ledger}
    pending = []
    listed = 0
    for kind, listing in listings.items():
        listed += len(listing.files)
        for file in listing.files:
            entry = known.pop((kind, file.path), None)
            if entry is None or entry.fingerprint != file.fingerprint:
                pending.append(Pending(kind, file, entry.file_id if entry else None))
    gone = [e for e in known.values() if any(is_under(e.path, place) for place in locations.get(e.kind, ()))]
    unread = {e for e in gone if e.kind in listings and is_unread(e, locations, listings[e.kind].names)}
    passed_over = sum(len(listing.passed_over) for listing in listings.values())
    return Work(pending, sorted(set(gone) - unread), listed - len(pending), sorted(unread), passed_over)


def is_unread(entry: Entry, locations: Mapping[str, Sequence[str]], names: Names) -> bool:
    """Tell whether a loaded file lies at a location of its kind, under a name that is not read there: hidden, or
    passed over."""
    around = [place for place in locations[entry.kind] if is_under(entry.path, place)]
    return bool(around) and not any(names.take_below(entry.path, place) for place in around)


def refuse_other_sources(
    work: Work, ledger: Sequence[Entry], locations: Mapping[str, Sequence[str]], another: str
) -> None:
    """Raise ConfigError when the ledger holds files of other locations, and a location that is new to it has new files.

    Loading them would mix two data sets in one warehouse, such as the sample and the user's own. `another` is the edit
    that names a separate warehouse.
    """
    if not work.pending:
        return
    configured = [place for places in locations.values() for place in places]
    foreign = [entry.path for entry in ledger if not any(is_under(entry.path, place) for place in configured)]
    for kind, places in locations.items() if foreign else ():
        for place in places:
            fresh = any(file.kind == kind and is_under(file.source.path, place) for file in work.pending)
            if fresh and not any(entry.kind == kind and is_under(entry.path, place) for entry in ledger):
                old = _folder_of(foreign)
                moved = old and not any(is_under(place, old) for place in configured)
                forget = f"python etl.py --forget {shlex.quote(old)}     (if the source moved: the old place is gone)"
                raise ConfigError(
                    f"this warehouse holds files of another source; those of {place} would be mixed with them",
                    evidence=f"for example {min(foreign)}",
                    hint=(
                        f"{another}     (a separate warehouse)",
                        "python create_tables.py --recreate     (start again, empty)",
                        "the same command again with --add-source     (mix them on purpose)",
                        *((forget,) if moved else ()),
                    ),
                )


def _folder_of(paths: Sequence[str]) -> str:
    """Give the innermost folder that all paths are in; empty when that is everything, or different buckets."""
    shared: list[str] = []
    for parts in zip(*(path.split("/")[:-1] for path in paths), strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    folder = "/".join(shared)
    return "" if folder.rstrip("/") in ("", "s3:") else folder


def is_large(files: Sequence[Pending]) -> bool:
    """Tell whether loading these files takes long enough to show how far it is."""
    return len(files) >= LARGE_FILES or sum(file.source.size for file in files) >= LARGE_BYTES


def cut_loads(pending: Sequence[Pending], most_files: int, most_bytes: int) -> Iterator[list[Pending]]:
    """Cut the work into loads, in order; a file larger than `most_bytes` is a load of its own."""
    load: list[Pending] = []
    size = 0
    for file in pending:
        if load and (len(load) >= most_files or size + file.source.size > most_bytes):
            yield load
            load, size = [], 0
        load.append(file)
        size += file.source.size
    if load:
        yield load
