"""The front door of a database and nothing behind it: TLS and a password, as Redshift asks for them.

Enough for everything that happens while connecting; a statement is answered as done, and nothing is. The wire is
PostgreSQL's, protocol 3.0: a request for TLS, the start-up message, a password in clear text inside TLS, then either
an error or `ready for query`.
"""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SETTINGS = {
    "server_version": "8.0.2",  # as Redshift says [G psycopg/psycopg#122]
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "integer_datetimes": "on",
}


@dataclass
class Door:
    """What listens at `port`. `logins` are the users and passwords that were tried; `answers` are the rows of the
    queries in whose text a word stands; without `admits` a connection gets no answer, as by a rule that drops it."""

    passwords: Mapping[str, str]
    ca_file: str = ""
    port: int = 0
    logins: list[tuple[str, str]] = field(default_factory=list)
    answers: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)
    admits: Callable[[], bool] = lambda: True
    dropped: list[socket.socket] = field(default_factory=list)

    @contextmanager
    def open(self, folder: Path, *names: str) -> Iterator[Door]:
        """Listen for the block, with a certificate for these names that the CA of `ca_file` has signed."""
        self.ca_file, chain = write_certificates(folder, names)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            threading.Thread(target=self._listen, args=(listener, context), daemon=True).start()
            yield self
            for connection in self.dropped:
                connection.close()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)

    def _listen(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            if not self.admits():
                self.dropped.append(plain)  # open, and never answered
                continue
            with suppress(OSError, ConnectionError, struct.error):
                self._welcome(plain, context)
            plain.close()

    def _welcome(self, plain: socket.socket, context: ssl.SSLContext) -> None:
        _receive(plain, 8)  # SSLRequest
        plain.sendall(b"S")
        with context.wrap_socket(plain, server_side=True) as safe:
            (length,) = struct.unpack("!i", _receive(safe, 4))
            words = _receive(safe, length - 4)[4:].split(b"\0")
            user = words[words.index(b"user") + 1].decode()
            safe.sendall(b"R" + struct.pack("!ii", 8, 3))
            _kind, length = struct.unpack("!ci", _receive(safe, 5))
            password = _receive(safe, length - 4).rstrip(b"\0").decode()
            self.logins.append((user, password))
            if self.passwords.get(user) != password:
                fields = [b"SFATAL", b"C28P01", f'Mpassword authentication failed for user "{user}"'.encode()]
                text = b"".join(part + b"\0" for part in fields) + b"\0"
                safe.sendall(b"E" + struct.pack("!i", len(text) + 4) + text)
                return
            safe.sendall(b"R" + struct.pack("!ii", 8, 0))
            for name, value in SETTINGS.items():
                text = name.encode() + b"\0" + value.encode() + b"\0"
                safe.sendall(b"S" + struct.pack("!i", len(text) + 4) + text)
            while True:
                safe.sendall(b"Z" + struct.pack("!i", 5) + b"I")
                kind, length = struct.unpack("!ci", _receive(safe, 5))
                if kind == b"X":
                    return
                asked = _receive(safe, length - 4).decode()
                rows = next((rows for word, rows in self.answers.items() if word in asked), [])
                safe.sendall(b"".join(_as_rows(rows)) + b"C" + struct.pack("!i", 11) + b"CREATE\0")


def _as_rows(rows: list[tuple[str, ...]]) -> Iterator[bytes]:
    """Give rows of text as messages: how they are made up, then each."""
    for number, row in enumerate(rows):
        if number == 0:
            columns = b"".join(b"c\0" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0) for _ in row)
            yield b"T" + struct.pack("!ih", 6 + len(columns), len(row)) + columns
        values = b"".join(struct.pack("!i", len(value.encode())) + value.encode() for value in row)
        yield b"D" + struct.pack("!ih", 6 + len(values), len(row)) + values


def write_certificates(folder: Path, names: tuple[str, ...]) -> tuple[str, str]:
    """Write a CA, and a key with a certificate for these names that it signed; gives both files."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a CA of the tests")])
    ca = _certificate(ca_name, ca_key.public_key(), ca_name, ca_key, x509.BasicConstraints(ca=True, path_length=0))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    own = _certificate(subject, key.public_key(), ca_name, ca_key, alternatives)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + own.public_bytes(serialization.Encoding.PEM))
    return str(folder / "ca.pem"), str(folder / "server.pem")


def _certificate(
    subject: x509.Name, key: Any, issuer: x509.Name, signer: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType
) -> x509.Certificate:
    today = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        .sign(signer, hashes.SHA256())
    )


def _receive(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = connection.recv(length - len(data))
        if not piece:
            raise ConnectionError
        data += piece
    return data
