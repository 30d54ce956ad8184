"""An export that is killed at any step: the lake can be read, the next run completes, and nothing is left over."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from dwh.lake.iceberg.check import differences
from dwh.lake.iceberg.folder import FolderStore
from dwh.lake.iceberg.lake import IcebergLake
from dwh.lake.iceberg.pins import PINS, read_pins
from dwh.lake.iceberg.store import Store
from dwh.terminal.errors import EnvironmentFailure
from lake.memory_store import MemoryStore
from lake.small_star import SPECS, export, wrong_files
from lake.test_model import look_at, look_at_next_run

STEPS = ("sizes", "read", "write", "create", "replace", "delete")
CALLS = ("os.fsync", "os.link", "os.replace", "os.unlink", "os.mkdir", "os.open")


class Killed(BaseException):
    """No `except` of the code under test catches it."""


def killing(store: Any, at: int, *, after: bool) -> tuple[Store, list[str]]:
    """Give a store that dies before or after so many steps, and the steps that it has seen."""
    seen: list[str] = []

    class Dying(type(store)):  # type: ignore[misc]
        def __getattribute__(self, name: str) -> Any:
            found = super().__getattribute__(name)
            return step(name, found) if name in STEPS else found

    def step(name: str, found: Callable[..., Any]) -> Callable[..., Any]:
        def taken(*args: Any) -> Any:
            seen.append(name)
            if len(seen) > at or (len(seen) == at and not after):
                raise Killed
            answer = found(*args)
            if len(seen) == at:
                raise Killed
            return answer

        return taken

    store.__class__ = Dying
    return store, seen


def steps_of_an_export(stored: dict[str, bytes]) -> int:
    store, seen = killing(MemoryStore(dict(stored)), 10**6, after=False)
    export(store, 4, keep=1)
    return len(seen)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("versions", [0, 3])
def test_an_export_that_is_killed_at_any_step(versions: int, after: bool) -> None:
    ready = MemoryStore()
    for version in range(1, versions + 1):
        export(ready, version, keep=2)
    steps = steps_of_an_export(ready.contents)
    for at in range(1, steps + 1):
        contents = dict(ready.contents)
        store, _ = killing(MemoryStore(contents), at, after=after)
        with pytest.raises(Killed):
            export(store, 4, keep=1)
        left = object.__getattribute__(store, "contents")
        look_at(left)
        look_at_next_run(left)
    assert steps > 15


def test_two_kills_one_after_the_other() -> None:
    """What the first left is taken on by the second, and what both left by the third: also the digests of files that
    export.json never named. Each touches another day, so that the files of the first stay."""
    ready = MemoryStore()
    export(ready, 1, keep=2)
    steps = steps_of_an_export(ready.contents)
    for first in range(8, steps, 3):
        store, _ = killing(MemoryStore(dict(ready.contents)), first, after=True)
        with pytest.raises(Killed):
            export(store, 3, keep=2)
        left = object.__getattribute__(store, "contents")
        for second in range(8, steps, 3):
            store, _ = killing(MemoryStore(dict(left)), second, after=True)
            with suppress(Killed):  # it may have fewer steps
                export(store, 5, keep=2)
            again = object.__getattribute__(store, "contents")
            look_at(again)
            look_at_next_run(again)


def test_a_hint_that_lags_is_moved_on_by_the_next_run() -> None:
    store = MemoryStore()
    export(store, 1)
    export(store, 2)
    hint = "things/metadata/version-hint.text"
    newest = store.contents[hint]
    store.contents[hint] = b"1"
    export(store, 3)
    assert int(store.contents[hint]) == int(newest) + 1
    del store.contents[hint]
    export(store, 4)
    assert int(store.contents[hint]) == int(newest) + 2


def test_a_second_run_of_the_same_star_writes_nothing_and_reads_two_things() -> None:
    ready = MemoryStore()
    export(ready, 3)
    before = dict(ready.contents)
    store, seen = killing(ready, 10**6, after=False)
    assert export(store, 3) is None
    assert seen == ["read", "sizes", "delete"]
    assert object.__getattribute__(store, "contents") == before


def test_what_a_kill_left_goes_even_if_the_star_is_the_same() -> None:
    store = MemoryStore()
    export(store, 3)
    store.write("events/data/2018-11-02-rdead.parquet", b"left")
    store.write("things/metadata/dead-m0.avro", b"left")
    store.write("things/metadata/.v9.metadata.json.dead.partial", b"left")
    store.write("notes/mine.txt", b"not ours")
    store.write("things/data/.DS_Store", b"not ours")
    before = read_pins(store.contents[PINS], store.location)
    assert export(store, 3) is None
    assert {path for path in store.contents if "dead" in path} == set()
    assert {"notes/mine.txt", "things/data/.DS_Store"} <= store.contents.keys()
    after = read_pins(store.contents[PINS], store.location)
    assert (after.export, after.revision) == (before.export, before.revision + 1)
    look_at(store.contents)
    assert IcebergLake(store, SPECS, 2).is_settled()
    assert IcebergLake(store, SPECS, 2).expired() == []


@contextmanager
def dying_at_call(at: int) -> Iterator[list[str]]:
    """For the block, nothing reaches the disk any more from so many calls on."""
    seen: list[str] = []

    def wrapped(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            seen.append(name)
            if len(seen) >= at:
                raise Killed
            return original(*args, **kwargs)

        return call

    with ExitStack() as patches:
        for name in CALLS:
            function = name.partition(".")[2]
            patches.enter_context(patch.object(os, function, wrapped(name, getattr(os, function))))
        yield seen


def contents_of(folder: Path) -> dict[str, bytes]:
    return {os.path.relpath(path, folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_of_an_export_that_is_killed_at_any_call(tmp_path: Path) -> None:
    """Each call by which the folder is changed; what a `finally` would still do is not done either."""
    at, killed = 1, True
    while killed:
        folder = tmp_path / str(at)
        for version in (1, 2):
            export(FolderStore(folder), version, keep=1)
        with dying_at_call(at) as seen:
            try:
                export(FolderStore(folder), 3, keep=1)
                killed = False
            except Killed:
                killed = True
        pins = read_pins((folder / PINS).read_bytes(), str(folder))
        assert wrong_files(pins, contents_of(folder)) == []
        made = export(FolderStore(folder), 4, keep=1)
        assert made and made.export > pins.export
        assert wrong_files(made, contents_of(folder)) == []
        lake = IcebergLake(FolderStore(folder), SPECS, 1)
        assert lake.is_settled() and lake.expired() == []
        assert not [path for path in contents_of(folder) if path.endswith(".partial")]
        at += 4
    assert len(seen) > 40


def test_the_first_export_after_a_move_that_is_killed_at_any_step(tmp_path: Path) -> None:
    """Some tables name the new place then, and some the old one."""
    export(FolderStore(tmp_path / "old"), 2)
    export(FolderStore(tmp_path / "old"), 3)
    made = None
    for at in range(1, 100):
        folder = tmp_path / str(at)
        shutil.copytree(tmp_path / "old", folder)
        try:
            made = export(killing(FolderStore(folder), at, after=True)[0], 3)
        except Killed:
            pins = read_pins((folder / PINS).read_bytes(), str(folder))
            assert wrong_files(pins, contents_of(folder)) == []
            export(FolderStore(folder), 3)
        lake = IcebergLake(FolderStore(folder), SPECS, 2)
        assert lake.is_settled() and not lake.is_moved and lake.expired() == []
        assert differences(lake) == {"things": [], "events": []}
        assert lake.pins and wrong_files(lake.pins, contents_of(folder)) == []
        if made:
            break
    assert made and at > 15


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    export(FolderStore(tmp_path), 1)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with patch.object(os, "fsync", full), pytest.raises(EnvironmentFailure, match="the disk is full"):
        export(FolderStore(tmp_path), 2)
    assert export(FolderStore(tmp_path), 2)
