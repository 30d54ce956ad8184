"""Measure the client's cost of an object: the suite's listing and fetching, and boto3's with as many threads.
Whole processes in turn, from the same local server, into files; both have to bring the same bytes.

  .venv/bin/python bench/objects.py                   15,000 objects, three rounds
  .venv/bin/python bench/objects.py --objects 2000    fewer
  .venv/bin/python bench/objects.py --save docs/explanation/measured/objects-1ms.json
                                                      keep the JSON object, for docs/write_figures.py
  .venv/bin/python bench/objects.py --latency 0.1     each request waits 100 ms, and 1 s one time in a hundred: the
                                                      suite alone, as boto3's 16 threads would take two minutes

G6: client CPU an object <= 0.2x boto3.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from string import ascii_uppercase
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bench.noise import Noise, in_words  # noqa: E402
from bench.saved import add_save_flag, begin, save  # noqa: E402

LIMIT = 0.2
NEAR = 0.01  # seconds; boto3 is measured up to here
THREADS = 16
SONG = {"song_id": "SOMZWCG12A8C13C480", "title": "I Didn't Mean To", "artist_name": "Casual", "duration": 218.93179}


def fetch_by_suite(endpoint: str, folder: Path) -> None:
    """List and fetch as etl.py does."""
    from dwh.settings.sections import S3, Aws
    from dwh.sources.places import Sources

    s3 = S3({"endpoint_url": endpoint, "region": "us-east-1", "anonymous": True, "timeout": 60})
    sources = Sources(s3, Aws({}))
    files = sources.list_locations(["s3://music/song_data"], "[S3] SONG_DATA").files
    sources.fetch(files, folder, lambda _bytes: None)


def fetch_by_boto3(endpoint: str, folder: Path) -> None:
    """List and fetch by boto3 with threads."""
    from concurrent.futures import ThreadPoolExecutor

    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    config = Config(signature_version=UNSIGNED, max_pool_connections=THREADS)
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=config)
    folder.mkdir(mode=0o700)

    def fetch(numbered: tuple[int, str]) -> None:
        number, key = numbered
        (folder / str(number)).write_bytes(client.get_object(Bucket="music", Key=key)["Body"].read())

    pages = client.get_paginator("list_objects_v2").paginate(Bucket="music", Prefix="song_data/")
    keys = [found["Key"] for page in pages for found in page["Contents"]]
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(fetch, enumerate(keys)))


CONTESTANTS = {"suite": fetch_by_suite, "boto3": fetch_by_boto3}


def serve(objects: int, latency: float) -> None:
    """Serve so many small objects, in folders like those of the songs, until this process is told to stop."""
    import slow_s3

    def folder(n: int) -> str:
        return "/".join(ascii_uppercase[n // 26**level % 26] for level in range(3))

    bodies = {
        f"song_data/{folder(n)}/{n:07}.json": json.dumps({**SONG, "song_id": f"SO{n:016}"}).encode()
        for n in range(objects)
    }
    asyncio.run(slow_s3.serve(bodies, latency))


class Taken(NamedTuple):
    """CPU seconds and wall-clock seconds of one run, and a digest of what it fetched."""

    cpu: float
    wall: float
    digest: str


def measure(contestant: str, endpoint: str) -> Taken:
    """Run one contestant as a process."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "fetched"
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, __file__, "--fetch", contestant, endpoint, str(folder)], check=True)
        took, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        songs = sorted(song for path in folder.iterdir() for song in path.read_bytes().split(b"}") if song)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(cpu, took, f"{len(songs)} {hashlib.sha256(b''.join(songs)).hexdigest()}")


def compare(objects: int, rounds: int, latency: float) -> dict[str, Any]:
    """Measure the contestants in turn; gives the medians. Ends the process when they fetched different bytes."""
    found, noise = begin(), Noise()
    command = [sys.executable, __file__, "--serve", str(objects), "--latency", str(latency)]
    runs: dict[str, list[Taken]] = {name: [] for name in CONTESTANTS if name == "suite" or latency <= NEAR}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as server:
        assert server.stdin and server.stdout
        endpoint = server.stdout.readline().strip()
        noise.read()
        for _ in range(rounds):
            for name, results in runs.items():
                results.append(measure(name, endpoint))
            noise.read()
        server.stdin.close()
        at_once = int(server.stdout.read())
    digests = {one.digest for results in runs.values() for one in results}
    if len(digests) != 1:
        raise SystemExit(f"the contestants fetched different bytes: {digests}")
    cpu = {name: statistics.median(one.cpu for one in results) for name, results in runs.items()}
    named = {
        name: {
            "wall_s": round(statistics.median(one.wall for one in results), 2),
            "cpu_s": round(cpu[name], 2),
            "cpu_us_each": round(cpu[name] / objects * 1e6),
        }
        for name, results in runs.items()
    }
    ratio = {"cpu_ratio": round(cpu["suite"] / cpu["boto3"], 3)} if "boto3" in cpu else {}
    measured = {"objects": objects, "latency_s": latency, "rounds": rounds, "at_once": at_once, "contestants": named}
    return found | measured | ratio | {"noise": noise.summary()}


def main() -> int:
    """Measure, print, and say whether the goal is reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=15_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.001, help="seconds that each request waits (0.001)")
    add_save_flag(parser)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--fetch", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve, args.latency)
        return 0
    if args.fetch:
        contestant, endpoint, folder = args.fetch
        CONTESTANTS[contestant](endpoint, Path(folder))
        return 0
    found = compare(args.objects, args.rounds, args.latency)
    save(found, args.save)
    for name, one in found["contestants"].items():
        print(f"{name:6}  {one['cpu_s']:7.2f} s CPU  {one['cpu_us_each']:7} us an object  {one['wall_s']:7.2f} s")
    print(f"at once {found['at_once']} requests at most\n{in_words(found['noise'])}")
    if "cpu_ratio" not in found:
        return 0
    print(f"G6      {found['cpu_ratio']:.3f}x, limit {LIMIT}x, on {os.cpu_count()} cores")
    return int(found["cpu_ratio"] > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
