"""EC2's instance metadata on 127.0.0.1, version 2 only: without a token of its own it says nothing.

[D AWSEC2/latest/UserGuide/configuring-instance-metadata-service]: a token comes by PUT, with the seconds that it is to
live; a GET without it, or with another one, is refused with 401.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "AQAEtoken=="
MAC = "0a:1b:2c:3d:4e:5f"


def machine(vpc: str, address: str) -> dict[str, str]:
    """Give what a machine with one network interface is told about itself."""
    interface = f"meta-data/network/interfaces/macs/{MAC}"
    return {"meta-data/mac": MAC, f"{interface}/vpc-id": vpc, "meta-data/local-ipv4": address}


@contextmanager
def serving(values: Mapping[str, str]) -> Iterator[str]:
    """Serve for the block; gives the endpoint."""

    class Metadata(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            seconds = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
            right = self.path == "/latest/api/token" and seconds.isdecimal() and 1 <= int(seconds) <= 21600
            self.answer(*((200, TOKEN) if right else (400, "bad request")))

        def do_GET(self) -> None:
            if self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
                self.answer(401, "unauthorized")
                return
            value = values.get(self.path.removeprefix("/latest/"))
            self.answer(*((404, "not found") if value is None else (200, value)))

        def answer(self, status: int, text: str) -> None:
            """Answer with text."""
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
