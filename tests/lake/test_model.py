"""Two exports, one that tidies up, and a reader: every order of their steps, with a crash at each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, cast

import pytest

from dwh.lake.iceberg.commit import HINT
from dwh.lake.iceberg.lake import IcebergLake
from dwh.lake.iceberg.pins import PINS, Pins, left_over, read_pins, version_of
from dwh.lake.iceberg.store import Store
from dwh.lake.iceberg.table import IcebergTable
from dwh.terminal.errors import DataError, DwhError
from lake.memory_store import MemoryStore
from lake.reducing import ReducedWalk
from lake.small_star import SPECS, export, wrong_files
from lake.walking import Session, Step, Walk, deterministic

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
        assert wrong_files(pins, stored) == [], "the current export is not whole"
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
        assert before[path] == after[path] or path.rpartition("/")[2] in CHANGING, "a file was written twice"
    if PINS in before and before[PINS] != after[PINS]:
        old, new = pins_in(before[PINS]), pins_in(after[PINS])
        assert new.revision > old.revision, "export.json went back"
        same = [table.pin for table in new.tables.values()] == [table.pin for table in old.tables.values()]
        assert new.export > old.export or (new.export == old.export and same), "an export has changed"
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


def walk(walked: Walk, every: int) -> tuple[int, int, set[tuple[str, ...]]]:
    """Walk all states. A run after a crash begins with every so-manieth content of the store.

    Gives how many states and contents there were, and in which ways the sessions ended."""
    states, seen, steps, ends = 0, set[int](), set[tuple[int, int]](), set[tuple[str, ...]]()
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
    return states, len(seen), ends


def wrong_in(walked: Walk) -> set[str]:
    """Walk all states, and name everything that is wrong in any of them."""
    wrong, seen, steps = set(), set[int](), set[tuple[int, int]]()
    for before, after, is_new in walked.states():
        looks: list[Callable[[], object]] = [partial(look_at_ends, walked, after)] if is_new else []
        number = walked.number(after)
        if number not in seen:
            seen.add(number)
            looks.append(partial(look_at, walked.stored(after)))
        if before is not None and (step := (walked.number(before), number)) not in steps:
            steps.add(step)
            looks.append(partial(look_at_step, walked.stored(before), walked.stored(after)))
        for look in looks:
            try:
                look()
            except AssertionError as error:
                wrong.add(str(error).partition("\n")[0])
            except DwhError:
                wrong.add("a table cannot be read")
    walked.close()
    return wrong


def look_at_ends(walked: Walk, state: int) -> set[tuple[str, ...]]:
    """A reader misses a file only of an export that is not kept any more."""
    ended = walked.ends(state)
    for end in ended:
        if end and end.kind == "DataError":
            pins = pins_in(walked.stored(state)[PINS])
            assert int(end.said) not in {pins.export, *(kept.export for kept in pins.kept)}
        assert not end or end.kind in ("", "Busy", "DataError"), "a session came to a bad end"
    return {tuple(end.kind for end in ended if end)} if all(ended) else set()


def check(
    sessions: Sequence[Session], stored: Stored, figure: Callable[[str], None], name: str, every: int
) -> set[tuple[str, ...]]:
    """Walk all states, and give the ways in which the sessions ended."""
    with deterministic():
        states, contents, ends = walk(Walk(sessions, stored), every)
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


class Named:
    """Which files export.json, and the metadata of tables, name."""

    def tells(self, path: str) -> bool:
        """Whether others look at this path to find out what the lake is."""
        return path.rpartition("/")[2] in CHANGING or bool(version_of(path))

    def by_step(self, step: Step, known: Stored) -> frozenset[str] | None:
        """What a session names by writing such a file; None: manifests that it does not know."""
        if step.path == PINS:
            return files_of_exports(step.data)
        if not version_of(step.path):
            return frozenset()  # a hint names what the metadata of its version does, which is asked for in `in_store`
        try:
            return self._files(step.path, {**known, step.path: step.data})
        except DwhError:
            return None

    def in_store(self, stored: Stored) -> frozenset[str]:
        """What export.json names, and each metadata from the hint on: the hint may come to show that, and goes never
        back. Everything, when a manifest is gone."""
        found = files_of_exports(stored[PINS]) if PINS in stored else frozenset()
        for path in stored:
            version = version_of(path)
            if version and version >= int(stored.get(f"{path.partition('/')[0]}/metadata/{HINT}", b"0")):
                try:
                    found |= self._files(path, stored)
                except DwhError:
                    return frozenset(stored)
        return found

    def _files(self, path: str, stored: Stored) -> frozenset[str]:
        name = path.partition("/")[0]
        metadata = frozenset(item for item in stored.items() if item[0].startswith(f"{name}/metadata/"))
        return files_of_table(name, version_of(path), metadata) | {path}


@cache
def files_of_exports(data: bytes) -> frozenset[str]:
    """All that the kept exports need."""
    pins = pins_in(data)
    pinned = (path for _, pin in pins.all_pins for path in (pin.metadata, *pin.files))
    return frozenset({*pinned, *(file.path for file in pins.files)})


@pytest.mark.promises
def test_two_exports_one_that_tidies_up_and_a_reader(figure: Callable[[str], None]) -> None:
    """All orders of their steps, without those that nobody can tell apart: see reducing.py.

    The reader changes nothing, so it takes no steps here. What it is promised holds in every state: all files of every
    export that export.json keeps are there, and no file is written twice: the names of data files are of one session
    alone. So whoever read export.json, at any moment before, finds the files of that one export until it is not kept
    any more, when [LAKE] KEEP newer ones are there."""
    sessions: list[Session] = [
        partial(export, version=3, keep=2),
        partial(export, version=4, keep=2),
        partial(tidy, keep=1),
    ]
    with deterministic():
        states, contents, ends = walk(ReducedWalk(sessions, lake_of(2, 2), Named()), every=100)
    figure(f"two exports, one that tidies up, a reader: {states:,} states, {contents:,} contents, ends {sorted(ends)}")
    assert ("", "", "") in ends
    assert all("" in end for end in ends), "one of them always comes to a good end"


class Broken:
    """A store that does something else than it should."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Overwriting(Broken):
    """Metadata that is there already is overwritten."""

    def create(self, path: str, data: bytes) -> bool:
        self._store.write(path, data)
        return True


class Forgetful(Broken):
    """export.json is replaced, whichever is there."""

    def replace(self, path: str, data: bytes, tag: str) -> bool:
        if path != PINS:
            return self._store.replace(path, data, tag)
        self._store.write(path, data)
        return True


class Early(Broken):
    """export.json is replaced before the commit of the last table."""

    late: tuple[str, bytes] | None = None

    def create(self, path: str, data: bytes) -> bool:
        if not path.startswith(SPECS[-1].name):
            return self._store.create(path, data)
        self.late = path, data
        return True

    def replace(self, path: str, data: bytes, tag: str) -> bool:
        done = self._store.replace(path, data, tag)
        if path == PINS and self.late:
            self._store.create(*self.late)
        return done


class Hasty(Broken):
    """Files that a new export.json does not need are deleted before it is there."""

    def replace(self, path: str, data: bytes, tag: str) -> bool:
        if path == PINS:
            self._store.delete(left_over(self._store.sizes(), pins_in(data), [spec.name for spec in SPECS]))
        return self._store.replace(path, data, tag)


@pytest.mark.promises
@pytest.mark.parametrize("broken", [Overwriting, Forgetful, Early, Hasty, None])
def test_the_reduced_walk_finds_what_the_whole_walk_finds(
    broken: type[Broken] | None, figure: Callable[[str], None]
) -> None:
    """Two sessions, one of which always exports: with commits that are broken the same is found, and it is found."""

    def work(store: Store, version: int) -> None:
        export(cast("Store", broken(store)) if broken else store, version, keep=1)

    sessions: list[Session] = [partial(work, version=3), partial(work, version=3)]
    found = []
    for walked in (partial(Walk), partial(ReducedWalk, naming=Named())):
        with deterministic():
            found.append(wrong_in(walked(sessions, lake_of(2, 1))))
    figure(f"{broken.__name__ if broken else 'as it is'}: {sorted(found[1])}")
    assert found[0] == found[1]
    assert bool(found[1]) == bool(broken)
