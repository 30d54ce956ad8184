"""Measure the client's cost of an object: the suite's listing and fetching, and boto3's with as many threads.
Whole processes in turn, from the same local server, into files; both have to bring the same bytes.

  .venv/bin/python bench/objects.py                   15,000 objects, three rounds
  .venv/bin/python bench/objects.py --objects 2000    fewer
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

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
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


def measure(contestant: str, endpoint: str) -> tuple[float, float, str]:
    """Run one contestant as a process; gives its CPU seconds, its wall-clock seconds, and a digest of what it
    fetched."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "fetched"
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, __file__, "--fetch", contestant, endpoint, str(folder)], check=True)
        took, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        songs = sorted(song for path in folder.iterdir() for song in path.read_bytes().split(b"}") if song)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, took, f"{len(songs)} {hashlib.sha256(b''.join(songs)).hexdigest()}"


def main() -> int:
    """Measure, print, and say whether the goal is reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=15_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.001, help="seconds that each request waits (0.001)")
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
    command = [sys.executable, __file__, "--serve", str(args.objects), "--latency", str(args.latency)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
    assert server.stdin and server.stdout
    endpoint = server.stdout.readline().strip()
    contestants = ["suite"] if args.latency > NEAR else list(CONTESTANTS)
    runs: dict[str, list[tuple[float, float, str]]] = {name: [] for name in contestants}
    for _ in range(args.rounds):
        for name, results in runs.items():
            results.append(measure(name, endpoint))
    server.stdin.close()
    at_once = server.stdout.read().strip()
    server.wait(timeout=20)
    digests = {digest for results in runs.values() for _, _, digest in results}
    if len(digests) != 1:
        raise SystemExit(f"the contestants fetched different bytes: {digests}")
    cpu = {name: statistics.median(run[0] for run in results) for name, results in runs.items()}
    wall = {name: statistics.median(run[1] for run in results) for name, results in runs.items()}
    for name in contestants:
        each = cpu[name] / args.objects * 1e6
        print(f"{name:6}  {cpu[name]:7.2f} s CPU  {each:7.0f} us an object  {wall[name]:7.2f} s")
    print(f"at once {at_once} requests at most")
    if "boto3" not in cpu:
        return 0
    ratio = cpu["suite"] / cpu["boto3"]
    print(f"G6      {ratio:.3f}x, limit {LIMIT}x, on {os.cpu_count()} cores")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
