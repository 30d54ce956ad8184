"""Two exports, one that tidies up, and a reader: every order of their steps, with a crash at each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

import pytest

from dwh.lake.iceberg.commit import HINT
from dwh.lake.iceberg.lake import IcebergLake
from dwh.lake.iceberg.pins import PINS, Pins, read_pins, version_of
from dwh.lake.iceberg.store import Store
from dwh.lake.iceberg.table import IcebergTable
from dwh.terminal.errors import DataError
from lake.memory_store import MemoryStore
from lake.small_star import SPECS, export, wrong_files
from lake.walking import Session, Walk, deterministic

Stored = Mapping[str, bytes]
NEXT_VERSION = 6  # of the star, that the run after a crash exports
CHANGING = (PINS, HINT)


def lake_of(versions: int, keep: int) -> dict[str, bytes]:
    store = MemoryStore()
    for version in range(1, versions + 1):
        export(store, version, keep)
    return store.contents


def tidy(store: Store, keep: int) -> None:
    IcebergLake(store, SPECS, keep).tidy()


def read(store: Store) -> None:
    """Read all tables as one export left them, and say which export had a file that was gone."""
    pins = read_pins(store.read(PINS)[0], store.location)
    found = {}
    for file in pins.files:
        try:
            found[file.path] = store.read(file.path)[0]
        except FileNotFoundError:
            raise DataError(str(pins.export)) from None
    assert wrong_files(pins, found) == []


@cache
def pins_in(data: bytes) -> Pins:
    return read_pins(data, "s3://lake")


@cache
def files_of_table(name: str, version: int, metadata: frozenset[tuple[str, bytes]]) -> frozenset[str]:
    """All that a reader of one version of a table reads."""
    spec = next(spec for spec in SPECS if spec.name == name)
    return frozenset(IcebergTable(MemoryStore(dict(metadata)), spec, version, lambda: False).pin().files)


def look_at(stored: Stored) -> None:
    """What has to hold whenever a session may have crashed."""
    if PINS in stored:
        pins = pins_in(stored[PINS])
        assert wrong_files(pins, stored) == []
        for _, pin in pins.all_pins:
            assert {pin.metadata, *pin.files} <= stored.keys(), "a file of a kept export is gone"
    for spec in SPECS:
        metadata = frozenset(item for item in stored.items() if item[0].startswith(f"{spec.name}/metadata/"))
        versions = {version_of(path) for path, _ in metadata} - {0}
        hint = stored.get(f"{spec.name}/metadata/{HINT}")
        shown = {max(versions), int(hint)} if versions and hint else versions and {max(versions)}
        for version in shown:
            assert files_of_table(spec.name, version, metadata) <= stored.keys(), "a table cannot be read"


def look_at_step(before: Stored, after: Stored) -> None:
    """What has to hold of every step."""
    for path in before.keys() & after.keys():
        assert before[path] == after[path] or path.rpartition("/")[2] in CHANGING, f"{path} was written twice"
    if PINS in before and before[PINS] != after[PINS]:
        old, new = pins_in(before[PINS]), pins_in(after[PINS])
        assert new.revision > old.revision
        same = [table.pin for table in new.tables.values()] == [table.pin for table in old.tables.values()]
        assert new.export > old.export or (new.export == old.export and same)
    for spec in SPECS:
        hint = f"{spec.name}/metadata/{HINT}"
        assert int(before.get(hint, b"0")) <= int(after.get(hint, b"0")), "the hint went back"


def look_at_next_run(stored: Stored) -> None:
    """The run after a crash completes, and nothing is left over."""
    store = MemoryStore(dict(stored))
    earlier = pins_in(stored[PINS]).export if PINS in stored else 0
    used = {number for table in IcebergLake(store, SPECS, 1).tables.values() for number in table.numbers}
    made = export(store, NEXT_VERSION, keep=1)
    assert made and made.export > max([earlier, *used])
    assert wrong_files(made, store.contents) == []
    needed = {PINS, *(f"{spec.name}/metadata/{HINT}" for spec in SPECS)}
    for _, pin in made.all_pins:
        needed |= {pin.metadata, *pin.files}
    assert store.contents.keys() == needed
    look_at(store.contents)
    assert IcebergLake(store, SPECS, 1).is_settled()


def walk(sessions: Sequence[Session], stored: Stored, *, every: int = 1) -> tuple[Walk, int, int, set[tuple[str, ...]]]:
    """Walk all states; `every` so-manieth content of the store is looked at by a run after a crash. Gives the walk, how
    many states and contents there were, and in which ways the sessions ended."""
    states, seen, steps, ends = 0, set[int](), set[tuple[int, int]](), set[tuple[str, ...]]()
    walked = Walk(sessions, stored)
    for before, after, is_new in walked.states():
        states += is_new
        number = walked.number(after)
        if number not in seen:
            seen.add(number)
            look_at(walked.stored(after))
            if number % every == 0:
                look_at_next_run(walked.stored(after))
        if before is not None and (step := (walked.number(before), number)) not in steps:
            steps.add(step)
            look_at_step(walked.stored(before), walked.stored(after))
        if is_new:
            ends |= look_at_ends(walked, after)
    walked.close()
    return walked, states, len(seen), ends


def look_at_ends(walked: Walk, state: int) -> set[tuple[str, ...]]:
    """A reader misses a file only of an export that is not kept any more."""
    ended = walked.ends(state)
    for end in ended:
        if end and end.kind == "DataError":
            pins = pins_in(walked.stored(state)[PINS])
            assert int(end.said) not in {pins.export, *(kept.export for kept in pins.kept)}
        assert not end or end.kind in ("", "Busy", "DataError"), end
    return {tuple(end.kind for end in ended if end)} if all(ended) else set()


def check(
    sessions: Sequence[Session], stored: Stored, figure: Callable[[str], None], name: str, every: int
) -> set[tuple[str, ...]]:
    """Walk all states, and give the ways in which the sessions ended."""
    with deterministic():
        _, states, contents, ends = walk(sessions, stored, every=every)
    figure(f"{name}: {states:,} states, {contents:,} contents of the store, ends {sorted(ends)}")
    assert any(end.count("") == len(sessions) for end in ends), "one after the other they all come to a good end"
    assert len(ends) > 1, "the sessions have come into each other's way"
    return ends


@pytest.mark.parametrize("keep", [1, 2])
def test_two_exports_at_once_leave_a_whole_lake_wherever_they_crash(keep: int, figure: Callable[[str], None]) -> None:
    """A second export that begins at any step of the first, and a crash of either or both at any step."""
    sessions: list[Session] = [partial(export, version=3, keep=keep), partial(export, version=4, keep=keep)]
    ends = check(sessions, lake_of(2, keep), figure, f"two exports, KEEP = {keep}", every=20)
    assert all("" in end for end in ends), "one of them always comes to a good end"


@pytest.mark.promises
def test_an_export_that_is_asleep_while_another_session_exports_twice(figure: Callable[[str], None]) -> None:
    """The number of its first commit is free again then, since that metadata has expired."""

    def twice(store: Store) -> None:
        for version in (4, 5):
            export(store, version, keep=1)

    sessions: list[Session] = [partial(export, version=3, keep=1), twice]
    ends = check(sessions, lake_of(2, 1), figure, "an export and a session that exports twice, KEEP = 1", every=20)
    assert ("Busy", "") in ends


def test_the_first_two_exports_at_once(figure: Callable[[str], None]) -> None:
    """There is no lake yet: both create everything."""
    sessions: list[Session] = [partial(export, version=3, keep=2), partial(export, version=4, keep=2)]
    check(sessions, {}, figure, "two first exports", every=20)


def test_an_export_beside_one_that_only_tidies_up(figure: Callable[[str], None]) -> None:
    """What is deleted is never needed by an export that is under way and can still commit."""
    sessions: list[Session] = [partial(export, version=4, keep=2), partial(tidy, keep=1)]
    check(sessions, lake_of(3, 3), figure, "an export and one that tidies up", every=10)


def test_a_reader_beside_an_export_and_one_that_tidies_up(figure: Callable[[str], None]) -> None:
    """A reader that begins at any step sees one export, whole, as long as that is kept."""
    sessions: list[Session] = [partial(export, version=4, keep=2), partial(tidy, keep=2), read]
    check(sessions, lake_of(3, 3), figure, "a reader, an export and one that tidies up", every=40)


@pytest.mark.promises
@pytest.mark.parametrize("keep", [1, 2])
def test_a_reader_beside_two_exports(keep: int, figure: Callable[[str], None]) -> None:
    sessions: list[Session] = [partial(export, version=3, keep=keep), partial(export, version=4, keep=keep), read]
    check(sessions, lake_of(2, keep), figure, f"a reader and two exports, KEEP = {keep}", every=1)


@pytest.mark.promises
def test_two_exports_and_one_that_tidies_up(figure: Callable[[str], None]) -> None:
    """The whole product of three. A reader beside them would see one of these contents of the store, and in each of
    them every kept export is whole: so a fourth session that only reads is covered without being walked."""
    sessions: list[Session] = [
        partial(export, version=4, keep=2),
        partial(export, version=5, keep=2),
        partial(tidy, keep=1),
    ]
    check(sessions, lake_of(3, 3), figure, "two exports and one that tidies up", every=10)
