"""An S3 endpoint in memory that fails on demand, and remembers what it was asked.

It knows what reading needs: ListObjectsV2 in pages, HEAD, GET with Range and If-Match. A fault is a function that is
given each request before it is answered, and may answer in its place.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

MODIFIED = "2026-11-01T00:00:00.000Z"
NEVER = 24 * 3600  # seconds: the watchdog of a test comes first


class Request(BaseHTTPRequestHandler):
    """One request: `key` is empty for a listing."""

    protocol_version = "HTTP/1.1"
    server: FaultyS3
    given: int | None = None

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        self.key, self.query = key, {name: value[0] for name, value in parse_qs(url.query).items()}
        self.server.requests.append((self.command, key))
        if self.server.fault(self):
            return
        if bucket != self.server.bucket:
            self.refuse(404, "NoSuchBucket")
        elif key:
            self.give_object()
        elif self.command == "HEAD":
            self.answer(200, b"", {"x-amz-bucket-region": "us-west-2"})
        else:
            self.answer(200, self.list_page().encode())

    do_HEAD = do_GET

    def give_object(self) -> None:
        """Answer with an object, or a range of it."""
        body = self.server.objects.get(self.key)
        wanted = self.headers.get("If-Match")
        if body is None:
            self.refuse(404, "NoSuchKey")
        elif wanted and wanted != etag(body):
            self.refuse(412, "PreconditionFailed")
        elif self.headers.get("Range"):
            first, last = self.headers["Range"].removeprefix("bytes=").split("-")
            piece = body[int(first) : int(last) + 1 if last else None]
            told = f"bytes {first}-{int(first) + len(piece) - 1}/{len(body)}"
            self.answer(206, piece, {"ETag": etag(body), "Content-Range": told})
        else:
            self.answer(200, body, {"ETag": etag(body)})

    def list_page(self) -> str:
        """Write one page of a listing; a page of nothing stands before the last one, as S3 may send."""
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter")
        start = int(self.query.get("continuation-token", 0))
        found = sorted(key for key in self.server.objects if key.startswith(prefix))
        folders: set[str] = set()
        if delimiter:
            folders = {prefix + key[len(prefix) :].split("/")[0] + "/" for key in found if "/" in key[len(prefix) :]}
            found = [key for key in found if "/" not in key[len(prefix) :]]
        page = found[start : start + self.server.page]
        more = start + len(page) < len(found)
        bodies = ((key, self.server.objects[key]) for key in page)
        contents = "".join(listed(key, etag(body), len(body)) for key, body in bodies)
        beside = "".join(
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders)
        )
        token = f"<NextContinuationToken>{start + len(page)}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><Name>{self.server.bucket}</Name><Prefix>{escape(prefix)}</Prefix>"
            f"<KeyCount>{len(page)}</KeyCount><MaxKeys>{self.server.page}</MaxKeys>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{contents}{beside}</ListBucketResult>"
        )

    def refuse(self, status: int, code: str) -> None:
        """Answer with an S3 error."""
        self.answer(status, f"<Error><Code>{code}</Code><Message>{code} it is</Message></Error>".encode())

    def answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        """Answer; with `length` more bytes are announced than come."""
        self.send_response(status)
        for name, value in {"Last-Modified": "Sun, 01 Nov 2026 00:00:00 GMT", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: self.given])
        self.close_connection = self.close_connection or self.given is not None

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


Fault = Callable[[Request], bool]


class FaultyS3(ThreadingHTTPServer):
    """One bucket: its objects by key, the fault of the moment, and the requests so far as (method, key)."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.bucket = "music"
        self.objects: dict[str, bytes] = {}
        self.page = 1000
        self.fault: Fault = lambda _request: False
        self.requests: list[tuple[str, str]] = []
        self.closing = threading.Event()

    @property
    def endpoint(self) -> str:
        """The URL of this endpoint."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fetched(self) -> list[str]:
        """Give the keys whose objects were asked for."""
        return [key for method, key in self.requests if key and method == "GET"]

    def handle_error(self, *_args: object) -> None:
        """Say nothing of clients that went away."""


@contextmanager
def serving() -> Iterator[FaultyS3]:
    """Serve for the block."""
    server = FaultyS3()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()


def listed(key: str, tag: str, size: int) -> str:
    """Give an object as it stands in a listing."""
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>{MODIFIED}</LastModified>"
        f"<ETag>{escape(tag)}</ETag><Size>{size}</Size></Contents>"
    )


def etag(body: bytes) -> str:
    """Give the ETag of an object."""
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def fingerprint(body: bytes) -> str:
    """Give what the ledger keeps of an object."""
    return f"{etag(body).strip(chr(34))}:{len(body)}"


def url(server: FaultyS3, key: str) -> str:
    """Give the path of an object as the suite writes it."""
    return f"s3://{server.bucket}/{key}"


def quoted(key: str) -> str:
    """Give a key as it stands in a request."""
    return quote(key)


# ------------------------------------------------------------------------------------------------------------- faults


def failing(times: int, status: int, code: str, *, about: str = "") -> Fault:
    """Refuse the first requests for keys that hold `about` (listings, when it is empty and so are they)."""
    numbers = count()

    def fault(request: Request) -> bool:
        if about not in request.key or request.command == "HEAD" or next(numbers) >= times:
            return False
        request.refuse(status, code)
        return True

    return fault


def after(calls: int, status: int, code: str) -> Fault:
    """Refuse every object after so many."""
    numbers = count()

    def fault(request: Request) -> bool:
        if not request.key or next(numbers) < calls:
            return False
        request.refuse(status, code)
        return True

    return fault


def broken_bodies(times: int, about: str, given: int = 50) -> Fault:
    """Break off the first bodies of keys that hold `about`, after so many bytes."""
    numbers = count()

    def fault(request: Request) -> bool:
        if not request.key or about not in request.key or next(numbers) >= times:
            return False
        request.given = given
        return False

    return fault


def short_bodies(about: str) -> Fault:
    """Give less than was listed, and say that it is all."""

    def fault(request: Request) -> bool:
        if not request.key or about not in request.key:
            return False
        body = request.server.objects[request.key]
        request.answer(200, body[: len(body) // 2], {"ETag": etag(body)})
        return True

    return fault


def silent(about: str) -> Fault:
    """Never answer requests for keys that hold `about`."""

    def fault(request: Request) -> bool:
        if not request.key or about not in request.key:
            return False
        request.server.closing.wait(NEVER)
        request.close_connection = True
        return True

    return fault


def replacing(key: str, body: bytes) -> Fault:
    """Replace an object after it was listed, before it is read."""

    def fault(request: Request) -> bool:
        if request.key == key and request.command == "GET":
            request.server.objects[key] = body
        return False

    return fault
