"""Measure how a run with nothing new grows with the files of the source: the listing of a bucket, and the ledger.

  .venv/bin/python bench/keys.py                      10,000, 100,000 and a million objects, on each engine
  .venv/bin/python bench/keys.py --keys 10000,100000  fewer
  .venv/bin/python bench/keys.py --save docs/explanation/measured/keys.json
                                                      keep the JSON object, for docs/write_figures.py

Each is one `etl.py` that lists a bucket of small objects, from a server on this machine, and finds all of them in the
ledger, which the bench writes; medians of the rounds. CPU is that of `etl.py`. Redshift is the tests' stand-in, a
PostgreSQL behind a program in Python that passes rows on: its seconds say nothing, what `etl.py` takes does. An object
more costs the difference between one number of objects and the next. Goal: at most 1.5 times as much at the last step
as at the first, in memory and in CPU.
"""

from __future__ import annotations

import argparse
import csv
import io
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from redshift.warehouse_on_redshift import ROLE, WORK, Cloud, cloud  # noqa: E402

from bench.noise import Noise, in_words  # noqa: E402
from bench.postgres import DATABASE, one_server  # noqa: E402
from bench.processes import Taken, clean_environment  # noqa: E402
from bench.saved import add_save_flag, begin, save  # noqa: E402
from bench.start import run_script  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postgres_server import Server

ENGINES = ("duckdb", "postgres", "redshift")
OURS = "ours"  # the schema
FLAT = 1.5
KEYS = "10000,100000,1000000"
PLACE = "s3://music/song_data"
COLUMNS = "file_id, kind, path, fingerprint, records_read, staged, rejected, status, load_id, loaded_at"


@contextmanager
def bucket(objects: int) -> Iterator[str]:
    """Serve so many small objects for the block; gives the endpoint."""
    command = [sys.executable, str(ROOT / "bench" / "objects.py"), "--serve", str(objects), "--latency", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as server:
        assert server.stdin and server.stdout
        yield server.stdout.readline().strip()
        server.communicate()


def ledger(endpoint: str) -> io.StringIO:
    """Write the ledger of all objects, as CSV."""
    from dwh.settings.sections import S3, Aws
    from dwh.sources.places import Sources

    s3 = S3({"endpoint_url": endpoint, "region": "us-east-1", "anonymous": True, "timeout": 60})
    rows = io.StringIO()
    writer = csv.writer(rows)
    for number, file in enumerate(Sources(s3, Aws({})).list_locations([PLACE], "[S3] SONG_DATA").files, 1):
        writer.writerow((number, "songs", file.path, file.fingerprint, 1, 1, 0, "loaded", 1, "2018-12-01 03:00:00"))
    rows.seek(0)
    return rows


class Place(NamedTuple):
    """Where the warehouse of an engine is: the settings that say so, of every script and of etl.py alone, and the
    server and its database (none on DuckDB)."""

    settings: Mapping[str, str]
    of_etl: Mapping[str, str]
    server: Server | None = None
    database: str = ""


def places(engine: str, endpoint: str, server: Server, redshift: Cloud, folder: Path) -> Place:
    """Say where the warehouse of an engine is. Redshift takes the bucket's server for S3 itself."""
    if engine == "duckdb":
        settings = {"DWH_DUCKDB_PATH": str(folder / "w.duckdb")}
        return Place(settings | {"DWH_S3_ENDPOINT_URL": endpoint, "DWH_S3_ANONYMOUS": "true"}, {})
    if engine == "postgres":
        login = {"HOST": server.host, "PORT": server.port, "DB_USER": server.user, "DB_NAME": DATABASE, "SCHEMA": OURS}
        settings = {f"DWH_POSTGRES_{key}": str(value) for key, value in login.items()}
        settings |= {"DWH_S3_ENDPOINT_URL": endpoint, "DWH_S3_ANONYMOUS": "true"}
        return Place(settings, {}, server, DATABASE)
    standin = redshift.standin
    login = {"HOST": standin.host, "DB_PORT": standin.port, "DB_USER": standin.user, "DB_PASSWORD": standin.password,
             "DB_NAME": standin.database, "SCHEMA": OURS, "SSLROOTCERT": standin.ca_file}  # fmt: skip
    settings = {f"DWH_CLUSTER_{key}": str(value) for key, value in login.items()}
    settings |= {"DWH_IAM_ROLE_ARN": ROLE, "DWH_S3_WORK": f"s3://{WORK}/w", "DWH_S3_LAKE": f"s3://{WORK}/lake"}
    of_etl = {"AWS_ENDPOINT_URL_S3": endpoint}
    return Place({**settings, **redshift.environment}, of_etl, standin.postgres, standin.database)


def measure(place: Place, env: Mapping[str, str], rows: io.StringIO, folder: Path) -> Taken:
    """Make a warehouse with this ledger, and run etl.py, which finds nothing new."""
    log = folder / "log"
    for script in ("conn_start", "create_tables"):
        run_script(script, env, log)
    if place.server:
        with place.server.connected(place.database) as cursor:
            cursor.copy_expert(f"COPY {OURS}.loaded_files ({COLUMNS}) FROM STDIN (FORMAT csv)", rows)
    else:
        (folder / "ledger.csv").write_text(rows.getvalue())
        with duckdb.connect(place.settings["DWH_DUCKDB_PATH"]) as connection:
            connection.execute(
                f"COPY loaded_files ({COLUMNS}) FROM '{folder / 'ledger.csv'}' (FORMAT csv, HEADER false)"
            )
    taken = run_script("etl", {**env, **place.of_etl}, log)
    if place.server:
        with place.server.connected(place.database) as cursor:
            cursor.execute(f"DROP SCHEMA {OURS} CASCADE")
    else:
        Path(place.settings["DWH_DUCKDB_PATH"]).unlink()
    return taken


def measure_all(numbers: Sequence[int], rounds: int) -> Iterator[dict[str, Any]]:
    """Measure every engine with every number of objects; gives the medians."""
    with one_server(None) as server, cloud(server) as redshift:
        for number in numbers:
            with bucket(number) as endpoint, tempfile.TemporaryDirectory(prefix="bench-keys-") as scratch:
                text = ledger(endpoint).getvalue()
                for engine in ENGINES:
                    folder = Path(scratch) / engine
                    (folder / "log_data").mkdir(parents=True)
                    place = places(engine, endpoint, server, redshift, folder)
                    env = clean_environment(
                        DWH_ENGINE=engine,
                        DWH_S3_REGION="us-east-1",
                        DWH_S3_SONG_DATA=PLACE,
                        DWH_S3_LOG_DATA=str(folder / "log_data"),
                        **place.settings,
                    )
                    runs = [measure(place, env, io.StringIO(text), folder) for _ in range(rounds)]
                    middle = (statistics.median(values) for values in zip(*runs, strict=True))
                    yield {"engine": engine, "keys": number, **dict(zip(Taken._fields, middle, strict=True))}


def growth(points: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give what an object more costs between one number of objects and the next: bytes, and microseconds of CPU."""
    found = []
    for engine in ENGINES:
        for fewer, more in pairwise(point for point in points if point["engine"] == engine):
            keys = more["keys"] - fewer["keys"]
            found.append(
                {
                    "engine": engine,
                    "up_to": more["keys"],
                    "bytes": round((more["memory"] - fewer["memory"]) / keys),
                    "cpu_us": round((more["cpu"] - fewer["cpu"]) / keys * 1e6, 2),
                }
            )
    return found


def main() -> int:
    """Measure, print, and say whether it is flat."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", default=KEYS, help="numbers of objects, with commas between them")
    parser.add_argument("--rounds", type=int, default=1)
    add_save_flag(parser)
    args = parser.parse_args()
    found, noise, points = begin(), Noise(), []
    noise.read()
    for point in measure_all(sorted(map(int, args.keys.split(","))), args.rounds):
        points.append(point)
        told = f"{point['wall']:7.2f} s  {point['cpu']:7.2f} s CPU  {point['memory'] / 1e6:6,.0f} MB"
        print(f"{point['engine']:8} {point['keys']:>9,} objects  {told}", flush=True)
        noise.read()
    costs = growth(points)
    measured = {"rounds": args.rounds, "points": points, "an_object": costs, "noise": noise.summary()}
    save(found | measured, args.save)
    flat = True
    for cost in costs:
        print(f"{cost['engine']:8} up to {cost['up_to']:>9,}: {cost['bytes']} bytes and {cost['cpu_us']} us an object")
    for engine in ENGINES:
        own = [cost for cost in costs if cost["engine"] == engine]
        grows = (own[-1][name] > FLAT * max(own[0][name], 0) for name in ("bytes", "cpu_us") if len(own) > 1)
        flat = flat and not any(grows)
    print(in_words(noise.summary()))
    return int(not flat)


if __name__ == "__main__":
    raise SystemExit(main())
