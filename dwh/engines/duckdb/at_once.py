"""Queries that run at the same time: DuckDB gives a small one one thread, and the other cores would wait."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING

from dwh.terminal.signals import cancelled_by

if TYPE_CHECKING:
    import duckdb

    from dwh.seam import Row

Statement = tuple[str, Sequence[object]]


def run_at_once(
    connection: duckdb.DuckDBPyConnection, statements: Sequence[Statement], number: int
) -> Generator[tuple[list[Row], float], None, None]:
    """Run statements, `number` of them at once, and give the rows and the seconds of each, in their order. None runs
    any more when this iterator is closed or raises.

    Each sees what is committed when it begins, not what a transaction of `connection` sees: the file is open to read
    only, or nobody else writes to it. Raises the error of the first that fails.
    """
    cursors = [connection.cursor() for _ in range(number)]
    free: SimpleQueue[duckdb.DuckDBPyConnection] = SimpleQueue()
    for cursor in cursors:
        free.put(cursor)
    pool = ThreadPoolExecutor(number)

    def run(sql: str, params: Sequence[object]) -> tuple[list[Row], float]:
        cursor, started = free.get(), monotonic()
        try:
            rows: list[Row] = cursor.execute(sql, list(params)).fetchall()
        finally:
            free.put(cursor)
        return rows, monotonic() - started

    def stop() -> None:
        pool.shutdown(wait=False, cancel_futures=True)
        for cursor in cursors:
            cursor.interrupt()

    try:
        for future in [pool.submit(run, sql, params) for sql, params in statements]:
            with cancelled_by(stop):
                answer = future.result()
            yield answer
    finally:
        stop()
        pool.shutdown()
        for cursor in cursors:
            with suppress(Exception):
                cursor.close()
