"""What a walk asks the warehouse itself, in SQL that the suite leans on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cloud.samples import ANOTHER_DAY, AS_TEXT, ODD_TEXTS
from cloud.walk import CLUSTER, SERVERLESS, Differs, Walk
from dwh.cluster.provisioned import SLICES
from dwh.sources.buckets import Buckets

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812

IDLE_LIMIT = "SELECT session_timeout FROM svv_user_info WHERE user_name = current_user"
COUNT_SLICES = "SELECT COUNT(*) FROM stv_slices"
MAKE_TEXTS = "CREATE TEMP TABLE check_texts (given VARCHAR(100), came VARCHAR(100))"
COPY_TEXTS = "COPY check_texts FROM %s IAM_ROLE default FORMAT JSON AS 'auto' REGION %s"
READ_TEXTS = "SELECT given, came FROM check_texts"
UNLOAD = "UNLOAD (%s) TO %s IAM_ROLE default FORMAT AS PARQUET REGION %s"
ONE_ROW, NO_ROW = "SELECT 1 AS one", "SELECT 1 AS one WHERE 1 = 0"
TIMES = "SELECT type, converted_type, logical_type FROM parquet_schema(?) WHERE name = 'start_time'"
LOCK_SECONDS = 1


def rows(connection: PgConnection, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """Run one statement, and give its rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql, tuple(params) or None)
        return list(cursor.fetchall()) if cursor.description else []


def region_of_work(walk: Walk) -> str:
    """Give the region of the bucket of WORK, which COPY and UNLOAD are told."""
    config = walk.settings[CLUSTER]
    return Buckets(config.s3, config.aws).find_region(walk.where("").bucket)


def idle_limit(walk: Walk) -> str:
    """Sessions of the admin end when they say nothing for an hour."""
    with walk.connected(CLUSTER) as connection:
        found = rows(connection, IDLE_LIMIT)
    if found != [(3600,)]:
        raise Differs(f"session_timeout {found}")
    return "session_timeout 3600"


def slices(walk: Walk) -> str:
    """How many slices one node of this type has."""
    node = walk.settings[CLUSTER].cluster.node_type
    with walk.connected(CLUSTER) as connection:
        [(found,)] = rows(connection, COUNT_SLICES)
    if found != SLICES.get(node, found):
        raise Differs(f"{found} slices in one {node}, {SLICES[node]} in the table")
    return f"{found} slices in one {node}" + ("" if node in SLICES else ", which is not in the table")


def no_slices(walk: Walk) -> str:
    """Serverless refuses the views of a provisioned cluster."""
    import psycopg2

    with walk.connected(SERVERLESS) as connection:
        try:
            found = rows(connection, COUNT_SLICES)
        except psycopg2.Error as error:
            return _words(error)
    raise Differs(f"it answers: {found[0][0]} slices")


def odd_texts(walk: Walk) -> str:
    """What COPY makes of numbers where a table has text; and that it counts its records."""
    place = walk.put(f"{CLUSTER}/work/{AS_TEXT[0]}", AS_TEXT[1])
    try:
        with walk.connected(CLUSTER) as connection:
            rows(connection, MAKE_TEXTS)
            rows(connection, COPY_TEXTS, (place, region_of_work(walk)))
            [(counted,)] = rows(connection, "SELECT pg_last_copy_count()")
            came = dict(rows(connection, READ_TEXTS))
    finally:
        walk.remove([f"{CLUSTER}/work/{AS_TEXT[0]}"])
    if counted != len(ODD_TEXTS):
        raise Differs(f"pg_last_copy_count() is {counted} after {len(ODD_TEXTS)} records")
    return f"{counted} records; " + ", ".join(f"{given} comes as {came.get(given)!r}" for given in ODD_TEXTS)


@contextmanager
def lock_held(walk: Walk) -> Iterator[None]:
    """Hold the lock of loads in another session, for the block."""
    with walk.connected(CLUSTER) as holder:
        rows(holder, "BEGIN")
        rows(holder, "LOCK dwh_lock")
        yield
        rows(holder, "ROLLBACK")


def lock_times_out(walk: Walk) -> str:
    """A LOCK that waits longer than statement_timeout ends with the code that the suite takes for busy."""
    import psycopg2

    with lock_held(walk), walk.connected(CLUSTER) as waiting:
        rows(waiting, "SET statement_timeout TO %s", (LOCK_SECONDS * 1000,))
        rows(waiting, "BEGIN")
        began = time.monotonic()
        try:
            rows(waiting, "LOCK dwh_lock")
        except psycopg2.Error as error:
            took = time.monotonic() - began
            if error.pgcode != "57014":
                raise Differs(_words(error)) from error
            return f"after {took:.1f} s {_words(error)}"
    raise Differs("LOCK was granted to two sessions")


def load_waits(walk: Walk) -> str:
    """etl.py says who holds the lock, and gives up."""
    walk.put(*ANOTHER_DAY)
    with lock_held(walk):
        return walk.run(CLUSTER, "etl", "--wait", f"{2 * LOCK_SECONDS}s").shows("awsuser", code=4)


def lake(walk: Walk) -> str:
    """The lake is written by UNLOAD; how it writes a time."""
    import duckdb

    walk.run(CLUSTER, "export_lake").shows()
    names = [name for name in walk.objects(f"{CLUSTER}/lake/songplays/") if name.endswith(".parquet")]
    if not names:
        raise Differs("no Parquet file of songplays is in the lake")
    (walk.folder / "times.parquet").write_bytes(walk.get(names[0]))
    with duckdb.connect() as connection:
        found = connection.execute(TIMES, [str(walk.folder / "times.parquet")]).fetchall()
    told = " ".join(str(part) for part in found[0] if part) if found else "no start_time"
    if not told.startswith("INT64"):
        raise Differs(told)
    return told


def unload_of_nothing(walk: Walk) -> str:
    """UNLOAD of no row writes no object, and counts 0 and not the rows of the one before."""
    region, place = region_of_work(walk), f"{CLUSTER}/lake-check"
    with walk.connected(CLUSTER) as connection:
        counts = []
        for number, query in enumerate((ONE_ROW, NO_ROW)):
            rows(connection, UNLOAD, (query, f"{walk.place}/{place}/{number}/", region))
            counts += rows(connection, "SELECT pg_last_unload_count()")
    written = [len(walk.objects(f"{place}/{number}/")) for number in range(len(counts))]
    if counts != [(1,), (0,)] or written[1]:
        raise Differs(f"counts {[count for (count,) in counts]}, objects {written}")
    return f"counts 1 and 0, objects {written[0]} and {written[1]}"


def _words(error: Exception) -> str:
    """Give code and first line of an error of the database."""
    return f"{getattr(error, 'pgcode', '')}: {str(error).strip().splitlines()[0]}"
