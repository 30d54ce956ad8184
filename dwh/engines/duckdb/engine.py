"""DuckDB: the warehouse is one file, and one process at a time may open it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dwh.engines.duckdb.errors import server_error
from dwh.engines.duckdb.session import DuckDbSession
from dwh.engines.removal import Place, drop_tables, plan_removal, tell_tables
from dwh.seam import Address, Change, Engine, Tell, Trace
from dwh.terminal.errors import ConfigError, EnvironmentFailure
from dwh.terminal.wording import near

if TYPE_CHECKING:
    from dwh.seam import Ours
    from dwh.settings.sections import DuckDb


class DuckDbEngine(Engine):
    """A database file, made by `start` and removed only by `stop(delete=...)`, when nothing else is in it."""

    name = "duckdb"
    patience = 1800.0
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
        if action == "delete" and ours:
            with closing(self._open(lambda _trace: None)) as session:
                removal = plan_removal(session, ours, self._file)
            if removal.others:
                return tell_tables(removal, self._file)
        return [Change("-" if action == "delete" else "=", f"{self.place}, {_size(self.path)}")]

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
        if removal is None:
            return [Change("=", f"{self.place}, {_size(self.path)}")]
        if removal.others:
            return tell_tables(removal, self._file)
        size = _size(self.path)
        for path in (self.path, self.path.with_name(self.path.name + ".wal")):
            path.unlink(missing_ok=True)
        import shutil

        shutil.rmtree(_spill_folder(self.path), ignore_errors=True)
        return [Change("-", f"{self.place}, {size}")]

    def connect(self, trace: Callable[[Trace], None]) -> DuckDbSession:
        """Open the database file; raises EnvironmentFailure when conn_start.py has not made it."""
        if not self.path.exists():
            raise EnvironmentFailure(f"{self.place} does not exist", hint="python conn_start.py")
        return self._open(trace)

    @property
    def _file(self) -> Place:
        return Place(self.place, self.another)

    def _open(self, trace: Callable[[Trace], None]) -> DuckDbSession:
        return open_file(self.settings, self.path, trace, self.place)


def open_file(settings: DuckDb, path: Path, trace: Callable[[Trace], None], place: str) -> DuckDbSession:
    """Open a database file, or make it: the warehouse, or one in a private folder. Errors call it `place`."""
    try:
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
        "temp_directory": str(_spill_folder(path)),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        # no Python variable replaces a missing table
        "python_enable_replacements": False,
    }
    if settings.threads:
        config["threads"] = settings.threads
    if re.search(r"[?\\]", str(path)):
        # measured: with ? it writes the write-ahead log elsewhere, with \\ the whole file
        raise ConfigError(f"DuckDB takes no path with ? or \\ in it: {path}", hint="[DUCKDB] PATH")
    try:
        return DuckDbSession(duckdb.connect(str(path), config=config), trace, place)
    except duckdb.Error as error:
        raise server_error(error, place) from error


def _spill_folder(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
