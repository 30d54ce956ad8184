"""DuckDB: the warehouse is one file, and one process at a time may open it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dwh.engines.duckdb.errors import server_error
from dwh.engines.duckdb.readers_copy import ReadersCopy
from dwh.engines.duckdb.session import DuckDbSession
from dwh.engines.removal import Place, drop_tables, plan_removal, tell_tables
from dwh.seam import Address, Change, Engine, Tell, Trace
from dwh.spool.folder import private_folder
from dwh.terminal.errors import ConfigError, EnvironmentFailure
from dwh.terminal.signals import cancelled_by
from dwh.terminal.wording import near

if TYPE_CHECKING:
    import duckdb

    from dwh.seam import Ours
    from dwh.settings.sections import DuckDb

# The format of a new file; an existing file keeps its own. Tools with DuckDB 1.4 read it, and it costs nothing: see
# decision 29.
STORAGE_VERSION = "v1.4.0"


class DuckDbEngine(Engine):
    """A database file, made by `start` and removed only by `stop(delete=...)`, when nothing else is in it."""

    name = "duckdb"
    patience = 0.0
    another = "[DUCKDB] PATH = another.duckdb"

    def __init__(self, settings: DuckDb) -> None:
        self.settings = settings
        self.path = Path(settings.path)
        self.place = near(self.path)

    @property
    def address(self) -> Address:
        """Give the file's path without links. It does not name the machine: a container has a new name each time."""
        return {"engine": self.name, "file": os.path.realpath(self.path)}

    def plan(self, action: Literal["start", "stop", "delete"], ours: Ours | None = None) -> list[Change]:
        """Say what an action would change."""
        there = self.path.exists()
        if action == "start":
            return [Change("=" if there else "+", self.place)]
        if not there:
            return [Change("=", f"{self.place} does not exist")]
        copy: list[Change] = []
        if action == "delete" and ours:
            with closing(self._open(lambda _trace: None)) as session:
                removal = plan_removal(session, ours, self._file)
            copy = self._copy_going(ours)
            if removal.others:
                return [*tell_tables(removal, self._file), *copy]
        return [Change("-" if action == "delete" else "=", f"{self.place}, {_size(self.path)}"), *copy]

    def start(self, tell: Tell) -> list[Change]:
        """Make the database file and its folder, or make sure that the file opens. A second run changes nothing."""
        made = not self.path.exists()
        if made:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise EnvironmentFailure(
                    f"the folder {self.path.parent} cannot be made", evidence=str(error), hint="[DUCKDB] PATH"
                ) from error
            tell(f"making {self.place}")
        self._open(lambda _trace: None).close()
        return [Change("+" if made else "=", self.place)]

    def stop(self, tell: Tell, *, delete: Ours | None = None) -> list[Change]:
        """Write everything into the one file, so that it can be copied. With `delete` remove the file, or only our
        tables when something else is in it."""
        if not self.path.exists():
            return [Change("=", f"{self.place} does not exist")]
        with closing(self._open(lambda _trace: None)) as session:
            removal = plan_removal(session, delete, self._file) if delete else None
            if removal and removal.others and delete:
                tell(f"dropping {len(removal.tables)} tables")
                drop_tables(session, delete, removal)
            tell("writing everything to the file")
            session.execute("CHECKPOINT")
        if removal is None or delete is None:
            return [Change("=", f"{self.place}, {_size(self.path)}")]
        copy = self._copy_going(delete)
        if copy and self.readers_copy:
            self.readers_copy.remove()
        if removal.others:
            return [*tell_tables(removal, self._file), *copy]
        size = _size(self.path)
        for path in (self.path, self.path.with_name(self.path.name + ".wal")):
            path.unlink(missing_ok=True)
        import shutil

        shutil.rmtree(_spill_folder(self.path), ignore_errors=True)
        return [Change("-", f"{self.place}, {size}"), *copy]

    def connect(self, trace: Callable[[Trace], None], *, read_only: bool = False) -> DuckDbSession:
        """Open the database file; raises EnvironmentFailure when conn_start.py has not made it. With `read_only` the
        copy for readers is opened instead, once there is one."""
        if not self.path.exists():
            raise EnvironmentFailure(f"{self.place} does not exist", hint="python conn_start.py")
        copy = self.readers_copy
        if not read_only:
            session = self._open(trace)
            session.readers_copy = copy
            return session
        path = copy.target if copy and copy.target.exists() else self.path
        return open_to_read(self.settings, path, trace, near(path))

    @property
    def readers_copy(self) -> ReadersCopy | None:
        """Give the copy for readers, when the settings name one. Raises ConfigError when they name the file itself."""
        if not self.settings.readers_copy:
            return None
        target = Path(self.settings.readers_copy)
        return ReadersCopy(
            self.path, target, lambda path: open_to_read(self.settings, path, lambda _trace: None, near(path))
        )

    def _copy_going(self, ours: Ours) -> list[Change]:
        """Name the copy for readers that goes with the warehouse; what stands there and is no copy stays."""
        copy = self.readers_copy
        return [Change("-", near(copy.target))] if copy and copy.is_there(ours) else []

    @property
    def _file(self) -> Place:
        return Place(self.place, self.another)

    def _open(self, trace: Callable[[Trace], None]) -> DuckDbSession:
        return open_file(self.settings, self.path, trace, self.place)


def open_file(settings: DuckDb, path: Path, trace: Callable[[Trace], None], place: str) -> DuckDbSession:
    """Open a database file, or make it: the warehouse, or one in a private folder. Errors call it `place`."""
    return DuckDbSession(_connect(settings, path, place, _spill_folder(path), read_only=False), trace, place)


def open_to_read(settings: DuckDb, path: Path, trace: Callable[[Trace], None], place: str) -> DuckDbSession:
    """Open a database file that is there, without a right to write it: several may at once.

    What does not fit into memory goes to a private folder, so that neither the file nor its folder changes; on a
    machine where none can be made, it has to fit.
    """
    with ExitStack() as kept:
        spill: Path | None = None
        with suppress(OSError):
            spill = kept.enter_context(private_folder())
        connection = _connect(settings, path, place, spill, read_only=True)
        return DuckDbSession(connection, trace, place, kept.pop_all().close)


def _connect(
    settings: DuckDb, path: Path, place: str, spill: Path | None, *, read_only: bool
) -> duckdb.DuckDBPyConnection:
    try:
        # an exception of a signal handler within this import ends the process with SIGABRT
        with cancelled_by(lambda: None):
            import duckdb
    except ModuleNotFoundError as error:
        raise EnvironmentFailure(
            f"the Python package {error.name} is not installed here",
            hint=(". .venv/bin/activate     (./run_all.sh makes it)", "pip install -r requirements.txt"),
        ) from error

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{settings.memory_limit}B",
        "preserve_insertion_order": False,
        # not five groups of 122,880 rows: 0.69 of the memory, 0.96 of the CPU, and a file of the same size
        "write_buffer_row_group_count": 1,
        "temp_directory": str(spill or ""),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "storage_compatibility_version": STORAGE_VERSION,
        # no Python variable replaces a missing table
        "python_enable_replacements": False,
    }
    if settings.threads:
        config["threads"] = settings.threads
    if re.search(r"[?\\]", str(path)):
        # measured: with ? it writes the write-ahead log elsewhere, with \\ the whole file
        raise ConfigError(f"DuckDB takes no path with ? or \\ in it: {path}", hint="[DUCKDB] PATH")
    try:
        return duckdb.connect(str(path), read_only=read_only, config=config)
    except duckdb.Error as error:
        raise server_error(error, place) from error


def _spill_folder(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
