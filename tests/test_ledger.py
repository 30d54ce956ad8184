"""What a run has to load is told by listing and ledger, and the ledger is used as it comes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from dwh.sources.files import SourceFile, is_under
from dwh.sources.ledger import Entry, Pending, Work, find_work
from dwh.sources.listing import Listing, Names

PLACES = {"songs": ["/data/songs", "/more/songs"], "events": ["/data/log"]}
NAMES = Names()
PATHS = st.sampled_from(
    [
        f"{place}/{name}.json"
        for place in ("/data/songs", "/more/songs", "/data/log", "/old")
        for name in ("a", "b", "_c")
    ]
)
PRINTS = st.sampled_from(["1:1", "1:2"])
STATES = st.sampled_from(["loaded", "rejected"])
LISTED = st.dictionaries(PATHS, PRINTS)
LOADED = st.dictionaries(st.tuples(st.sampled_from(["songs", "events", "other"]), PATHS), st.tuples(PRINTS, STATES))


def list_as(kind: str, found: dict[str, str]) -> Listing:
    """Give the listing of the places of a kind."""
    here = {path: mark for path, mark in found.items() if any(is_under(path, place) for place in PLACES[kind])}
    taken = [SourceFile(path, 1, mark) for path, mark in sorted(here.items()) if "_c" not in path]
    return Listing(taken, [f"{kind}.txt"], NAMES)


@given(songs=LISTED, events=LISTED, loaded=LOADED)
def test_the_work_is_what_a_comparison_of_each_file_with_each_entry_gives(
    songs: dict[str, str], events: dict[str, str], loaded: dict[tuple[str, str], tuple[str, str]]
) -> None:
    """New, changed, gone, no longer read by name, of another place, and what could not be read."""
    listings = {"songs": list_as("songs", songs), "events": list_as("events", events)}
    ledger = [Entry(kind, path, mark, n, status, 1) for n, ((kind, path), (mark, status)) in enumerate(loaded.items())]
    work = find_work(listings, iter(ledger), PLACES)

    def entry_of(kind: str, file: SourceFile) -> Entry | None:
        return next((entry for entry in ledger if (entry.kind, entry.path) == (kind, file.path)), None)

    listed = [(kind, file, entry_of(kind, file)) for kind, listing in listings.items() for file in listing.files]
    same = [file for _, file, entry in listed if entry and entry.fingerprint == file.fingerprint]
    pending = [Pending(kind, file, e.file_id if e else None) for kind, file, e in listed if file not in same]
    gone = [entry for entry in ledger if entry not in [one for _, _, one in listed]]
    at_home = [e for e in gone if any(is_under(e.path, place) for place in PLACES.get(e.kind, ()))]
    hidden = [entry for entry in at_home if "_c" in entry.path]
    elsewhere = [entry for entry in gone if entry.path.startswith("/old/")]
    begun = {
        (kind, place)
        for kind, places in PLACES.items()
        for place in places
        if any(entry.kind == kind and is_under(entry.path, place) for entry in ledger)
    }
    assert work == Work(
        pending,
        sorted(entry for entry in at_home if entry not in hidden),
        len(same),
        sorted(hidden),
        2,
        elsewhere,
        sorted(entry for entry in ledger if entry.status == "rejected"),
        begun if elsewhere else frozenset(),
    )


def ledger_of(keys: int) -> Iterator[Entry]:
    """Give a ledger as an engine does, a row after the other."""
    for n in range(keys):
        yield Entry("songs", f"/data/songs/A/B/C/TR{n:016}.json", f"290:{n:019}", n, "loaded", 1)


def bytes_a_key(keys: int) -> float:
    """Give the most memory, for each key, that a comparison takes which finds nothing new."""
    files = [SourceFile(entry.path, 290, entry.fingerprint) for entry in ledger_of(keys)]
    listings = {"songs": Listing(files, [], NAMES), "events": Listing([], [], NAMES)}
    tracemalloc.start()
    try:
        work = find_work(listings, ledger_of(keys), PLACES)
        return tracemalloc.get_traced_memory()[1] / keys
    finally:
        tracemalloc.stop()
        assert (work.already_loaded, work.pending, work.vanished) == (keys, [], [])


def test_p243_a_ledger_of_many_files_is_not_kept_in_memory() -> None:
    """A key costs the same few bytes however many there are: its place in a table of those not met yet."""
    few, many = bytes_a_key(30_000), bytes_a_key(90_000)
    assert many < 120
    assert many < 1.5 * few
