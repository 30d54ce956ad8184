"""Amazon S3 as moto plays it, in a process of its own, over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from warehouse import WATCHDOG

SERVER = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(*server.get_host_and_port(), flush=True)
sys.stdin.read()
"""
REGION = "us-west-2"


@contextmanager
def serving() -> Iterator[str]:
    """Serve for the block; gives the endpoint."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as server:
        assert server.stdin and server.stdout
        try:
            host, port = server.stdout.readline().split()
            yield f"http://{host}:{port}"
        finally:
            server.stdin.close()
            server.wait(timeout=WATCHDOG)


def client(endpoint: str) -> Any:
    """Give a boto3 client of the tests' own."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="tests",
        aws_secret_access_key="tests",
    )


def fill(endpoint: str, bucket: str, folder: Path) -> int:
    """Make a bucket in us-west-2 and copy all files below a folder into it; gives their number."""
    s3 = client(endpoint)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    files = [path for path in sorted(folder.rglob("*.json")) if path.is_file()]
    for path in files:
        s3.put_object(Bucket=bucket, Key=os.fspath(path.relative_to(folder)), Body=path.read_bytes())
    return len(files)
