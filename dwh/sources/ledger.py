"""The work of a run: the listed files that the ledger does not have, cut into loads of bounded size."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
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
    read, `elsewhere` those of other locations, `rejected` those that could not be read; `passed_over` counts the files
    of the source that are not read at all. `begun` are the kinds and locations from which a file is loaded already,
    while some are elsewhere."""

    pending: Sequence[Pending]
    vanished: Sequence[Entry]
    already_loaded: int
    unread: Sequence[Entry] = ()
    passed_over: int = 0
    elsewhere: Sequence[Entry] = ()
    rejected: Sequence[Entry] = ()
    begun: Set[tuple[str, str]] = frozenset()

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
    read. It keeps its rows in both cases. The ledger is used as it comes, and only what is told of is kept of it: of a
    million files that are all loaded, nothing.
    """
    new = {kind: {file.path: file for file in listing.files} for kind, listing in listings.items()}
    changed: dict[tuple[str, str], int] = {}
    gone, rejected = [], []
    for entry in ledger:
        file = new[entry.kind].pop(entry.path, None) if entry.kind in new else None
        if file is None:
            gone.append(entry)
        elif file.fingerprint != entry.fingerprint:
            changed[entry.kind, entry.path] = entry.file_id
        if entry.status == "rejected":
            rejected.append(entry)
    pending = [
        Pending(kind, file, changed.get((kind, file.path)))
        for kind, listing in listings.items()
        for file in (listing.files if new[kind] or changed else ())
        if file.path in new[kind] or (kind, file.path) in changed
    ]
    here = {entry for entry in gone if any(is_under(entry.path, place) for place in locations.get(entry.kind, ()))}
    unread = {e for e in here if e.kind in listings and is_unread(e, locations, listings[e.kind].names)}
    around = [place for places in locations.values() for place in places]
    elsewhere = [entry for entry in gone if not any(is_under(entry.path, place) for place in around)]
    return Work(
        pending,
        sorted(here - unread),
        sum(len(listing.files) for listing in listings.values()) - len(pending),
        sorted(unread),
        sum(len(listing.passed_over) for listing in listings.values()),
        elsewhere,
        sorted(rejected),
        _find_begun(listings, new, gone, locations) if elsewhere else frozenset(),
    )


def _find_begun(
    listings: Mapping[str, Listing],
    new: Mapping[str, Mapping[str, SourceFile]],
    gone: Sequence[Entry],
    locations: Mapping[str, Sequence[str]],
) -> set[tuple[str, str]]:
    """Give the kinds and locations from which a file is in the ledger: one that is listed and not new, or is gone."""
    return {
        (kind, place)
        for kind, places in locations.items()
        for place in places
        if any(file.path not in new[kind] and is_under(file.path, place) for file in listings[kind].files)
        or any(entry.kind == kind and is_under(entry.path, place) for entry in gone)
    }


def is_unread(entry: Entry, locations: Mapping[str, Sequence[str]], names: Names) -> bool:
    """Tell whether a loaded file lies at a location of its kind, under a name that is not read there: hidden, or
    passed over."""
    around = [place for place in locations[entry.kind] if is_under(entry.path, place)]
    return bool(around) and not any(names.take_below(entry.path, place) for place in around)


def refuse_other_sources(work: Work, locations: Mapping[str, Sequence[str]], another: str) -> None:
    """Raise ConfigError when the ledger holds files of other locations, and a location that is new to it has new files.

    Loading them would mix two data sets in one warehouse, such as the sample and the user's own. `another` is the edit
    that names a separate warehouse.
    """
    foreign = [entry.path for entry in work.elsewhere]
    configured = [place for places in locations.values() for place in places]
    for kind, places in locations.items() if foreign else ():
        for place in places:
            fresh = any(file.kind == kind and is_under(file.source.path, place) for file in work.pending)
            if fresh and (kind, place) not in work.begun:
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
