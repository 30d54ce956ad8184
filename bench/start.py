"""Start a contestant: its folder, its command, its environment, its server."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from bench.contest import OURS, YARDSTICK, Contestant
from bench.processes import Taken, clean_environment, measure
from bench.samples import ROOT, Records, Sample, count_records

if TYPE_CHECKING:
    from postgres_server import Server


class Starter:
    """Runs contestants on one sample; keeps the yardstick's result, to compare the others with it."""

    def __init__(self, python: Path, data: Sample, part: Sample, scratch: Path, closing: ExitStack) -> None:
        self.python = python
        self.data = data
        self.part = part
        self.scratch = scratch
        self._closing = closing
        self._server: Server | None = None

    @cached_property
    def records(self) -> Records:
        """How many events and songs there are."""
        return count_records(self.data)

    def run(self, contestant: Contestant) -> Taken:
        """Run a contestant once, in an empty folder. Raises Failed, or ImportError when there is no server for it."""
        out = self._empty_folder(contestant)
        log = self.scratch / f"{contestant.name}.log"
        data = self._data_of(contestant)
        if contestant.name == OURS:
            return load_anew(warehouse_environment(data, out / "star.duckdb"), log)
        env = clean_environment(TMPDIR=str(self.scratch))
        if not contestant.server:
            return measure([self._python_of(contestant), str(contestant.path), str(data.folder), str(out)], env, log)
        return self._run_on_server(contestant, data, out, log)

    def _python_of(self, contestant: Contestant) -> str:
        return str(self.python) if contestant.packages else sys.executable

    def compare(self, contestant: Contestant, first_difference: Callable[[Path, Path], str | None]) -> str:
        """Compare a contestant's result with the yardstick's on the same data; empty when they are equal."""
        if contestant.name == YARDSTICK:
            return ""
        made = self.scratch / f"out-{contestant.name}"
        if contestant.makes == "staging":
            found = self._count_staged(contestant, made)
            return "" if found == self.records else f"staged: {found}, expected {self.records}"
        expected = self.scratch / f"out-{YARDSTICK}"
        if contestant.part < 1:
            expected = self.scratch / "out-part"
            shutil.rmtree(expected, ignore_errors=True)
            expected.mkdir()
            script = str(ROOT / "bench" / "contestants" / f"{YARDSTICK}.py")
            measure(
                [sys.executable, script, str(self.part.folder), str(expected)],
                clean_environment(),
                self.scratch / "part.log",
            )
        if not (expected / "star.duckdb").exists():
            return "nothing to compare with: the yardstick failed"
        return first_difference(expected, made) or ""

    def _data_of(self, contestant: Contestant) -> Sample:
        return self.part if contestant.part < 1 else self.data

    def _empty_folder(self, contestant: Contestant) -> Path:
        out = self.scratch / f"out-{contestant.name}"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        return out

    def _run_on_server(self, contestant: Contestant, data: Sample, out: Path, log: Path) -> Taken:
        from bench.postgres import DATABASE, ask, ended_children_cpu, one_server

        if self._server is None:
            self._server = self._closing.enter_context(one_server(None))
        server, schema = self._server, contestant.server
        env = clean_environment(TMPDIR=str(self.scratch))
        ask(server, f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        place = [server.host, str(server.port), server.user, DATABASE, str(data.folder)]
        before = ended_children_cpu(server)
        taken = measure([self._python_of(contestant), str(contestant.path), *place], env, log)
        taken = taken._replace(cpu=taken.cpu + ended_children_cpu(server) - before)
        if contestant.makes == "star":
            write_csv(server, schema, out)
        return taken

    def _count_staged(self, contestant: Contestant, made: Path) -> Records:
        tables = [f"{contestant.server or 'staging'}.{table}" for table in Records._fields]
        queries = [f"SELECT COUNT(*) FROM {table}" for table in tables]
        if self._server and contestant.server:
            from bench.postgres import ask

            return Records(*(ask(self._server, query)[0][0] for query in queries))
        with duckdb.connect(str(made / "dlt.duckdb"), read_only=True) as connection:
            return Records(*(connection.execute(query).fetchall()[0][0] for query in queries))


def warehouse_environment(data: Sample, database: Path, **changes: str) -> dict[str, str]:
    """Give the environment of a script of the suite, on a warehouse of the bench."""
    return clean_environment(
        DWH_S3_LOG_DATA=str(data.folder / "log_data"),
        DWH_S3_SONG_DATA=str(data.folder / "song_data"),
        DWH_DUCKDB_PATH=str(database),
        **changes,
    )


def run_script(name: str, env: Mapping[str, str], log: Path) -> Taken:
    """Run a script of the suite."""
    return measure([sys.executable, str(ROOT / f"{name}.py"), "-q"], env, log)


def load_anew(env: Mapping[str, str], log: Path) -> Taken:
    """Make the warehouse and its tables, then load; gives what the load took."""
    for name in ("conn_start", "create_tables"):
        run_script(name, env, log)
    return run_script("etl", env, log)


def write_csv(server: Server, schema: str, out: Path) -> None:
    """Write the star that stands in a schema of the server as files, to be compared; this is not measured."""
    from warehouse import STAR_QUERIES

    from bench.postgres import DATABASE

    with server.connected(DATABASE) as cursor:
        for table, query in STAR_QUERIES.items():
            rows = query.replace(f"FROM {table}", f"FROM {schema}.{table}")
            with (out / f"{table}.csv").open("wb") as file:
                cursor.copy_expert(f"COPY ({rows}) TO STDOUT (FORMAT csv)", file)
