"""The core invariant, verified from outside.

The star equals the star of one clean run over the contents that the ledger says are loaded, and the ledger says that
a file is loaded if and only if its rows are in staging. The star is recomputed by the reference, which shares nothing
with the suite, from the contents whose fingerprints are in the ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from reference_star import Record, Star, records, star_of
from warehouse import STAR_QUERIES, Warehouse, fingerprint

SHOWN_ROWS = 3  # of those that differ


class Wrong(AssertionError):
    """The warehouse is not what its ledger says."""


class Entry(NamedTuple):
    """One row of the ledger."""

    file_id: int
    kind: str
    path: str
    fingerprint: str
    records_read: int
    staged: int
    rejected: int
    status: str


COUNTED = ("staging_events", "staging_songs", "rejected_lines")
LOADS_QUERY = (
    "SELECT l.load_id, l.action, COUNT(t.load_id), COUNT(t.day) FROM loads AS l"
    " FULL JOIN touched_days AS t ON t.load_id = l.load_id GROUP BY l.load_id, l.action"
)
LEDGER_QUERY = f"SELECT {', '.join(Entry._fields)} FROM loaded_files"


def check(warehouse: Warehouse, good: Mapping[str, bytes] | None = None) -> None:
    """Raise Wrong unless the invariant holds.

    `good` gives of files with bad records, by path below the root, what is left without them.
    """
    queries = {table: f"SELECT file_id, COUNT(*) FROM {table} GROUP BY file_id" for table in COUNTED}
    answers = warehouse.answers({"ledger": LEDGER_QUERY, "loads": LOADS_QUERY, **queries, **STAR_QUERIES})
    ledger = [Entry(*row) for row in answers["ledger"]]
    told: dict[str, list[Record]] = {"events": [], "songs": []}
    found = {entry.file_id: _records(warehouse, entry, good or {}) for entry in ledger}
    for entry in ledger:
        told[entry.kind] += found[entry.file_id]
    _check_ledger(ledger)
    _check_loads(answers["loads"])
    counts = {table: {row[0]: row[1] for row in answers[table]} for table in COUNTED}
    _check_staging(counts, ledger, {file_id: len(rows) for file_id, rows in found.items()})
    compare(star_of(told["events"], told["songs"]), answers)


def compare(expected: Star, star: Star) -> None:
    """Raise Wrong unless two stars are equal, row by row."""
    for table, rows in expected.items():
        missing, added = Counter(rows) - Counter(star[table]), Counter(star[table]) - Counter(rows)
        if missing or added:
            raise Wrong(
                f"{table}: {missing.total()} rows missing, such as {list(missing)[:SHOWN_ROWS]},"
                f" and {added.total()} too many, such as {list(added)[:SHOWN_ROWS]}"
            )


def _records(warehouse: Warehouse, entry: Entry, good: Mapping[str, bytes]) -> list[Record]:
    """Read the records of the version of a file that the ledger names."""
    path = Path(entry.path)
    name = str(path.relative_to(warehouse.root)) if path.is_relative_to(warehouse.root) else entry.path
    if name in good:
        return list(records("plain", good[name]))
    data = warehouse.versions.get((entry.path, entry.fingerprint))
    if data is None and path.exists() and fingerprint(path) == entry.fingerprint:
        data = path.read_bytes()
    if data is None:
        raise Wrong(f"{entry.path} never had the fingerprint {entry.fingerprint}")
    return list(records(path.name, data))


def _check_ledger(ledger: list[Entry]) -> None:
    """Raise Wrong unless every file stands once in the ledger, and its numbers add up."""
    for name, keys in (("file", [(e.kind, e.path) for e in ledger]), ("id", [e.file_id for e in ledger])):
        twice = [key for key, number in Counter[Any](keys).items() if number > 1]
        if twice:
            raise Wrong(f"the ledger has the {name} {twice[0]} more than once")
    for entry in ledger:
        if entry.records_read != entry.staged + entry.rejected:
            raise Wrong(f"{entry.path}: {entry.records_read} read, {entry.staged} staged, {entry.rejected} rejected")


def _check_loads(loads: list[tuple[Any, ...]]) -> None:
    """Raise Wrong unless each load since the last rebuild has the days that it touched, or one row without a day, and
    no other load has any."""
    rebuilt = max((load_id for load_id, action, *_ in loads if action == "rebuild"), default=0)
    for load_id, _, rows, days in loads:
        if load_id is None or (load_id <= rebuilt and rows):
            raise Wrong(f"touched_days has {rows} rows of load {load_id}")
        if load_id > rebuilt and rows != max(days, 1):
            raise Wrong(f"load {load_id} has {rows} rows in touched_days, {days} with a day")


def _check_staging(count: Mapping[str, Mapping[int, int]], ledger: list[Entry], good: Mapping[int, int]) -> None:
    """Raise Wrong unless each file has the rows in staging that its ledger row and its content say, and no others."""
    for table, numbers in count.items():
        strangers = set(numbers) - {entry.file_id for entry in ledger}
        if strangers:
            raise Wrong(f"{table} has rows of files that the ledger does not know: {sorted(strangers)}")
    for entry in ledger:
        staging, other = COUNTED[:2] if entry.kind == "events" else COUNTED[1::-1]
        staged, rejected = count[staging].get(entry.file_id, 0), count["rejected_lines"].get(entry.file_id, 0)
        if (staged, rejected) != (entry.staged, entry.rejected) or entry.file_id in count[other]:
            raise Wrong(f"{entry.path}: {staged} staged, {rejected} rejected; the ledger says otherwise: {entry}")
        if staged != good[entry.file_id]:
            raise Wrong(f"{entry.path}: {staged} staged, {good[entry.file_id]} good records in it")
