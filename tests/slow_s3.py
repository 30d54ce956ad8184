"""An S3 endpoint in memory that takes its time, as a real one does: each request waits before it is answered.

faulty_s3.py has a thread for each connection. This one has none, so that hundreds of requests wait at once, and the
client is what bench/objects.py measures: 0.1 ms of CPU a request. It knows what reading needs:
ListObjectsV2 in pages, with a delimiter, and GET with If-Match.
"""

from __future__ import annotations

import asyncio
import bisect
import sys
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

from faulty_s3 import etag, listed

PAGE = 1000  # keys
TAIL = 100  # one request of so many is slow
SLOW = 10  # and takes so many times as long: 1 s where others take 100 ms


class SlowS3:
    """One bucket, sorted by key, and the seconds that a request takes."""

    def __init__(self, objects: dict[str, bytes], latency: float) -> None:
        self.keys = sorted(objects)
        self.objects = {key.encode(): (body, etag(body).encode()) for key, body in objects.items()}
        self.latency = latency
        self.asked = self.under_way = self.most = 0

    def wait(self) -> float:
        """Give the seconds that this request waits."""
        self.asked += 1
        return self.latency * (SLOW if self.asked % TAIL == 0 else 1)

    def answer(self, request: bytes) -> bytes:
        """Give the whole answer to a request, whose headers are all there."""
        line, _, headers = request.partition(b"\r\n")
        _, target, _ = line.split(b" ")
        key = target.partition(b"/")[2].partition(b"/")[2]
        found = self.objects.get(key)
        if found is None:
            return _answer(b"200 OK", self.page(target.decode()).encode(), b"") if b"?" in target else _NOT_FOUND
        body, tag = found
        if b"if-match: " in headers and tag not in headers:
            return _answer(b"412 Precondition Failed", b"<Error><Code>PreconditionFailed</Code></Error>", b"")
        return _answer(b"200 OK", body, b"ETag: " + tag + b"\r\n")

    def page(self, target: str) -> str:
        """Write a page of a listing."""
        query = {name: value[0] for name, value in parse_qs(urlsplit(target).query).items()}
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        at = bisect.bisect_left(self.keys, max(prefix, query.get("continuation-token", "")))
        contents: list[str] = []
        folders: list[str] = []
        while at < len(self.keys) and len(contents) + len(folders) < PAGE and self.keys[at].startswith(prefix):
            key = self.keys[at]
            folder, more, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            if more:
                folders.append(f"<CommonPrefixes><Prefix>{escape(prefix + folder)}/</Prefix></CommonPrefixes>")
                at = bisect.bisect_left(self.keys, f"{prefix}{folder}0", at)  # 0 is the character after /
                continue
            body, tag = self.objects[key.encode()]
            contents.append(listed(key, tag.decode(), len(body)))
            at += 1
        more_keys = at < len(self.keys) and self.keys[at].startswith(prefix)
        token = f"<NextContinuationToken>{escape(self.keys[at])}</NextContinuationToken>" if more_keys else ""
        return (
            f"<ListBucketResult><Name>music</Name><Prefix>{escape(prefix)}</Prefix><MaxKeys>{PAGE}</MaxKeys>"
            f"<IsTruncated>{str(more_keys).lower()}</IsTruncated>{token}{''.join(contents)}{''.join(folders)}"
            "</ListBucketResult>"
        )


class Connection(asyncio.Protocol):
    """One connection, on which requests come one after the other."""

    def __init__(self, server: SlowS3) -> None:
        self._server = server
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer a request once it is whole and has waited."""
        self._buffer += data
        if not self._buffer.endswith(b"\r\n\r\n"):
            return
        request, self._buffer = self._buffer, b""
        server = self._server
        server.under_way += 1
        server.most = max(server.most, server.under_way)
        asyncio.get_running_loop().call_later(server.wait(), self._answer, request)

    def _answer(self, request: bytes) -> None:
        self._server.under_way -= 1
        self._transport.write(self._server.answer(request))


def _answer(status: bytes, body: bytes, headers: bytes) -> bytes:
    return (b"HTTP/1.1 %b\r\nLast-Modified: Sun, 01 Nov 2026 00:00:00 GMT\r\n%bContent-Length: %d\r\n\r\n%b") % (
        status,
        headers,
        len(body),
        body,
    )


_NOT_FOUND = _answer(b"404 Not Found", b"<Error><Code>NoSuchKey</Code></Error>", b"")


async def serve(objects: dict[str, bytes], latency: float) -> None:
    """Serve until standard input ends: the endpoint is printed first, the most requests at once last."""
    loop = asyncio.get_running_loop()
    slow = SlowS3(objects, latency)
    server = await loop.create_server(lambda: Connection(slow), "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()
    print(slow.most, flush=True)
