"""PostgreSQL's wire protocol, version 3, as much as a stand-in needs: messages, errors, and a connection to a server.

Source: https://www.postgresql.org/docs/current/protocol.html; Redshift speaks the same protocol.
"""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

PROTOCOL_3, SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 196608, 80877103, 80877104, 80877102
IDLE, IN_TRANSACTION, FAILED = b"I", b"T", b"E"
COPY_PIECE = 65536


class Gone(Exception):
    """The other side closed the connection."""


class SqlError(Exception):
    """An error as the protocol has it: SQLSTATE, message, and perhaps detail and hint."""

    def __init__(self, code: str, message: str, detail: str = "", severity: str = "ERROR") -> None:
        super().__init__(message)
        self.code, self.message, self.detail, self.severity = code, message, detail, severity
        self.constraint = ""

    @classmethod
    def read(cls, body: bytes) -> SqlError:
        """Read the body of an ErrorResponse."""
        fields = {part[:1]: part[1:].decode() for part in body.split(b"\0") if part}
        error = cls(fields[b"C"], fields[b"M"], fields.get(b"D", ""), fields[b"S"])
        error.constraint = fields.get(b"n", "")
        return error

    def body(self) -> bytes:
        """Write the body of an ErrorResponse or NoticeResponse, with the fields that PostgreSQL 8.0 knew."""
        fields = {"S": self.severity, "C": self.code, "M": self.message, "D": self.detail}
        return b"".join(f"{name}{text}\0".encode() for name, text in fields.items() if text) + b"\0"


class Channel:
    """One side of a connection, in whole messages."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._reader = sock.makefile("rb")

    def exactly(self, size: int) -> bytes:
        """Read so many bytes. Raises Gone when the other side closed before."""
        try:
            found = self._reader.read(size)
        except (OSError, ValueError) as error:
            raise Gone from error
        if len(found) < size:
            raise Gone
        return found

    def receive(self) -> tuple[bytes, bytes]:
        """Read one message: its kind and its body."""
        kind = self.exactly(1)
        return kind, self.exactly(struct.unpack("!i", self.exactly(4))[0] - 4)

    def send(self, *messages: tuple[bytes, bytes]) -> None:
        """Write messages, each a kind and a body."""
        try:
            self.socket.sendall(b"".join(kind + struct.pack("!i", len(body) + 4) + body for kind, body in messages))
        except (OSError, ValueError) as error:
            raise Gone from error

    def close(self) -> None:
        """Close the connection; a thread that waits on it wakes up."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        with suppress(OSError, ValueError):
            self._reader.close()
        with suppress(OSError):
            self.socket.close()


class Column(NamedTuple):
    """A column of an answer: name, and type as the server numbers it."""

    name: str
    type_oid: int
    modifier: int


class Answer(NamedTuple):
    """What a statement gave: rows as text, or what COPY TO STDOUT wrote."""

    columns: list[Column]
    rows: list[tuple[str | None, ...]]
    written: bytes


class Backend:
    """A connection to the real PostgreSQL server. Raises SqlError when it does not let us in."""

    def __init__(self, address: str, startup: Mapping[str, str]) -> None:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(address)
        self.address = address
        self.channel = Channel(sock)
        self.status = IDLE
        pairs = b"".join(f"{name}\0{value}\0".encode() for name, value in startup.items()) + b"\0"
        sock.sendall(struct.pack("!ii", len(pairs) + 8, PROTOCOL_3) + pairs)
        try:
            for kind, body in self._until_ready():
                if kind == b"E":
                    raise SqlError.read(body)
                if kind == b"K":
                    self.key = body
        except BaseException:
            self.channel.close()
            raise
        self.pid = int(struct.unpack("!i", self.key[:4])[0])

    def _until_ready(self) -> Iterator[tuple[bytes, bytes]]:
        while True:
            kind, body = self.channel.receive()
            if kind == b"Z":
                self.status = body
                return
            yield kind, body
            if kind == b"E" and body.startswith(b"SFATAL"):
                return

    def relay(self, sql: str, client: Channel, edit: Callable[[bytes, bytes], tuple[bytes, bytes] | None]) -> None:
        """Run a statement and pass on what comes back, as `edit` leaves it (None: not at all), up to ReadyForQuery."""
        self.channel.send((b"Q", sql.encode() + b"\0"))
        waiting: list[tuple[bytes, bytes]] = []
        size = 0
        for kind, body in self._until_ready():
            kept = edit(kind, body)
            if kept:
                waiting.append(kept)
                size += len(kept[1])
            if size > COPY_PIECE:
                client.send(*waiting)
                waiting, size = [], 0
        client.send(*waiting, (b"Z", self.status))

    def ask(self, sql: str) -> Answer:
        """Run a statement of the stand-in's own. Raises SqlError."""
        self.channel.send((b"Q", sql.encode() + b"\0"))
        return self._answer()

    def copy_in(self, sql: str, lines: Iterable[bytes]) -> None:
        """Run COPY ... FROM STDIN. Raises SqlError."""
        self.channel.send((b"Q", sql.encode() + b"\0"))
        kind, body = self.channel.receive()
        if kind != b"G":
            error = SqlError.read(body)
            list(self._until_ready())
            raise error
        piece = bytearray()
        for line in lines:
            piece += line
            if len(piece) > COPY_PIECE:
                self.channel.send((b"d", bytes(piece)))
                piece.clear()
        self.channel.send((b"d", bytes(piece)), (b"c", b""))
        self._answer()

    def _answer(self) -> Answer:
        columns: list[Column] = []
        rows: list[tuple[str | None, ...]] = []
        error, written = None, bytearray()
        for kind, body in self._until_ready():
            if kind == b"T":
                columns = list(_columns(body))
            elif kind == b"D":
                rows.append(tuple(_fields(body)))
            elif kind == b"d":
                written += body
            elif kind == b"E":
                error = SqlError.read(body)
        if error:
            raise error
        return Answer(columns, rows, bytes(written))

    def cancel(self) -> None:
        """Ask the server to cancel what this connection runs."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(self.address)
            sock.sendall(struct.pack("!ii", 8 + len(self.key), CANCEL_REQUEST) + self.key)
            sock.recv(1)

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""
        with suppress(Gone):
            self.channel.send((b"X", b""))
        self.channel.close()


def _fields(body: bytes) -> Iterator[str | None]:
    (number,) = struct.unpack("!h", body[:2])
    at = 2
    for _ in range(number):
        (size,) = struct.unpack("!i", body[at : at + 4])
        at += 4
        yield None if size < 0 else body[at : at + size].decode()
        at += max(size, 0)


def _columns(body: bytes) -> Iterator[Column]:
    (number,) = struct.unpack("!h", body[:2])
    at = 2
    for _ in range(number):
        end = body.index(b"\0", at)
        _table, _attribute, type_oid, _size, modifier, _format = struct.unpack("!ihihih", body[end + 1 : end + 19])
        yield Column(body[at:end].decode(), type_oid, modifier)
        at = end + 19


def read_startup(body: bytes) -> dict[str, str]:
    """Read the names and values of a StartupMessage, after its version."""
    words = body.decode().split("\0")[:-2]
    return dict(zip(words[::2], words[1::2], strict=True))


def parameter(name: str, value: str) -> tuple[bytes, bytes]:
    """Write a ParameterStatus."""
    return b"S", f"{name}\0{value}\0".encode()


def md5_password(user: str, password: str, salt: bytes) -> bytes:
    """Give what a client answers to AuthenticationMD5Password."""
    inner = hashlib.md5((password + user).encode()).hexdigest()
    return b"md5" + hashlib.md5(inner.encode() + salt).hexdigest().encode()


def literal(text: str | None) -> str:
    """Write a text as a literal for the server of the stand-in, whose strings know backslashes."""
    return "NULL" if text is None else "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
