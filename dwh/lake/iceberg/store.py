"""What a place can do that holds a lake, in small steps, each of which happens whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol


class Adopted(NamedTuple):
    """A data file in its place: its bytes, and its digest (None: the engine wrote it to S3)."""

    bytes: int
    sha256: str | None


class Store(Protocol):
    """A folder or an S3 prefix. Paths are below it, with / between their parts.

    Every method raises EnvironmentFailure when the place cannot be read or written."""

    location: str

    def is_here(self, location: str) -> bool:
        """Tell whether a location, as metadata names it, is this place."""

    def held(self) -> AbstractContextManager[None]:
        """Keep other exports out for the block, where that can be done. Raises Busy."""

    def sizes(self) -> dict[str, int]:
        """List every file of the place: path and bytes."""

    def read(self, path: str) -> tuple[bytes, str]:
        """Give a file, and a tag that changes with its content. Raises FileNotFoundError."""

    def write(self, path: str, data: bytes) -> None:
        """Write a file whose name no other session uses. It is there for good before the next `create` or `replace`."""

    def create(self, path: str, data: bytes) -> bool:
        """Write a file that must not be there yet; False: it is, with other content. Of two who create it one wins."""

    def replace(self, path: str, data: bytes, tag: str) -> bool:
        """Put a file in the place of the one that was read with this tag ('': there was none), at once; False: it is
        another one by now."""

    def workspace(self, table: str) -> AbstractContextManager[str]:
        """Give the folder or prefix to which an engine writes data files of a table."""

    def adopt(self, path: str, workspace: str) -> Adopted:
        """Bring the data file <table>/data/<name>, which was written to the workspace, to its place for good."""

    def fetch(self, path: str, folder: Path) -> Path:
        """Give a file on this machine: where it is, or a copy in `folder`. Raises FileNotFoundError."""

    def delete(self, paths: Sequence[str]) -> None:
        """Delete files, in this order; those that are gone already are passed over."""
