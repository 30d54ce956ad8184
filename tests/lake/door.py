"""A door between the scripts and moto's S3: it counts what changes the bucket, and can end a script, or have two wait.

A request passes as it is. S3 looks whether an object is there and puts it in one step, and moto does so in two: at the
door one request that changes something is under way at a time.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from subprocess import Popen
from typing import Any
from urllib.parse import unquote, urlsplit

CHANGING = ("PUT", "POST", "DELETE")
CLUSTER = "Credential=cluster/"  # who signs the requests of the stand-in for Redshift, which outlives a script
NOT_PASSED = {"connection", "content-length", "transfer-encoding", "keep-alive"}


class Passing(BaseHTTPRequestHandler):
    """One request on its way."""

    protocol_version = "HTTP/1.1"
    server: Door

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with suppress(ConnectionError):  # whoever asked may be gone
            if self.command in CHANGING:
                self.server.change(self, body)
            else:
                self.answer(*self.ask(body))

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    @property
    def step(self) -> str:
        """What the request does, without the bucket."""
        key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")[2]
        return f"{self.command} {key}"

    def ask(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        """Pass the request on, and give the answer with its body."""
        moto = http.client.HTTPConnection(self.server.moto)
        try:
            moto.request(self.command, self.path, body, dict(self.headers.items()))
            answer = moto.getresponse()
            return answer, answer.read()
        finally:
            moto.close()

    def answer(self, found: http.client.HTTPResponse, body: bytes) -> None:
        """Pass the answer back."""
        self.send_response(found.status)
        for name, value in found.getheaders():
            if name.lower() not in (*NOT_PASSED, "date", "server"):
                self.send_header(name, value)
        length = found.getheader("Content-Length") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


class Door(ThreadingHTTPServer):
    """`steps` are the requests so far that changed something, as "PUT key"."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.moto = urlsplit(endpoint).netloc
        self.steps: list[str] = []
        self._one_at_a_time = threading.RLock()
        self._ending: tuple[Popen[str], int, bool] | None = None
        self._meeting: tuple[str, threading.Barrier] | None = None

    @property
    def endpoint(self) -> str:
        """The URL of the door."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @contextmanager
    def ending(self, start: Callable[[], Any], number: int, *, after: bool) -> Iterator[Any]:
        """For the block, end the script that `start` starts at its so-manieth change: before it is made, or after."""
        with self._one_at_a_time:
            self.steps.clear()
            running = start()
        with running as script:
            with self._one_at_a_time:
                self._ending = (script.process, number, after)
            try:
                yield script
            finally:
                self._ending = None

    @contextmanager
    def meeting(self, text: str) -> Iterator[None]:
        """For the block, the first two changes whose step holds the text wait for one another."""
        barrier = threading.Barrier(2, lambda: setattr(self, "_meeting", None))
        self._meeting = (text, barrier)
        try:
            yield
        finally:
            self._meeting = None
            barrier.abort()

    def change(self, request: Passing, body: bytes) -> None:
        """Make a change, and answer, unless the script ends there. A cluster finishes what it has begun."""
        text, barrier = self._meeting or ("", None)
        if barrier and text in request.step:
            with suppress(threading.BrokenBarrierError):
                barrier.wait()
        with self._one_at_a_time:
            self.steps.append(request.step)
            script, number, after = self._ending or (None, 0, False)
            ends = script is not None and len(self.steps) == number
            if script and ends and not after:
                _end(script)
            lost = script is not None and script.poll() is not None and CLUSTER not in request.headers["Authorization"]
            found = None if lost else request.ask(body)
            if script and ends and after:
                _end(script)
        if found:
            request.answer(*found)

    def handle_error(self, *_args: object) -> None:
        """Say nothing of clients that went away."""


def _end(script: Popen[str]) -> None:
    script.kill()
    script.wait()


@contextmanager
def opened(endpoint: str) -> Iterator[Door]:
    """Have a door before a server for the block."""
    door = Door(endpoint)
    thread = threading.Thread(target=door.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield door
    finally:
        door.shutdown()
        door.server_close()
