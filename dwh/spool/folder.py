"""The private folder of a run. No other user can read it, and the next run removes what a killed run left."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dwh.seam import Packer
from dwh.sources.files import SourceFile
from dwh.sources.listing import packed_by_name
from dwh.spool.records import Strictness
from dwh.spool.spool import Spool, open_private

FOLDER_PREFIX = "dwh-spool-"
UNPACKED = 8  # times the bytes of a gzip file that its JSON has, or more


class SpoolFolder:
    """The private folder of one run: `start` begins an empty spool in it, one at a time."""

    def __init__(
        self, path: Path, rules: Mapping[str, Strictness], *, in_place: bool, packer: Packer | None = None
    ) -> None:
        self.path = path
        self._started = 0
        self._packer = packer
        self._fetched = 0
        self._rules = rules
        self._in_place = in_place
        self._spool: Spool | None = None

    def start(self, files: Iterable[tuple[str, SourceFile]] = ()) -> Spool:
        """Remove what the last spool held, and begin an empty one. `files` are what comes, each with its kind: where
        the engine packs, it packs the spool files of a large load one after the other, while the next is written."""
        self.close()
        for old in self.path.glob("*.json"):
            old.unlink()
        self._started += 1
        limits: dict[str, int] = {}
        if self._packer:
            sizes = Counter[str]()
            for kind, file in files:
                sizes[kind] += file.size * (UNPACKED if packed_by_name(file.path) else 1)
            limits = {kind: self._packer.cut(size) for kind, size in sizes.items()}
        self._spool = Spool(
            self.path, self._rules, in_place=self._in_place, number=self._started, packer=self._packer, limits=limits
        )
        return self._spool

    def fetched(self, *, more: bool) -> Path:
        """Give a folder for copies of remote files; it does not exist yet. The earlier ones are removed, unless these
        are `more` copies beside them."""
        for number in range(0 if more else self._fetched):
            shutil.rmtree(self.path / f"fetched-{number}", ignore_errors=True)
        self._fetched = self._fetched + 1 if more else 1
        return self.path / f"fetched-{self._fetched - 1}"

    def close(self) -> None:
        """Close the files of the last spool."""
        if self._spool:
            self._spool.close()


@contextmanager
def open_spool(
    rules: Mapping[str, Strictness], *, in_place: bool = True, packer: Packer | None = None
) -> Iterator[SpoolFolder]:
    """Make the private folder of a run's spool. `in_place`: the engine reads large files where they are; otherwise
    they are copied into the spool too. `packer` is what the engine packs complete files with."""
    with private_folder() as folder:
        spools = SpoolFolder(folder, rules, in_place=in_place, packer=packer)
        try:
            yield spools
        finally:
            spools.close()


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a temporary folder (0700) for the block; it is removed at its end.

    Folders that killed runs left behind are removed first: those whose lock no process holds.
    """
    for leftover in Path(tempfile.gettempdir()).glob(FOLDER_PREFIX + "*"):
        _remove_if_abandoned(leftover)
    unlocked = Path(tempfile.mkdtemp(prefix="dwh-"))
    folder = unlocked.with_name(unlocked.name.replace("dwh-", FOLDER_PREFIX))
    try:
        with open_private(unlocked / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # it gets its name only now: other runs remove a folder of that name without a lock
            unlocked.rename(folder)
            yield folder
    finally:
        for path in (folder, unlocked):
            shutil.rmtree(path, ignore_errors=True)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        if folder.stat().st_uid != os.getuid():
            return
        with (folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        pass  # its run was killed while it removed the folder, and the lock went first
    except OSError:
        return
    shutil.rmtree(folder, ignore_errors=True)
