"""A lake: versions of some tables as Parquet, each in a folder of its own, and one manifest that names the current one.

`manifest.json` is replaced last and at once, and that is the commit: who reads it, and then the files that it names,
never sees half an export. A version is never changed; the last few stay, so that a reader who has begun can end.

Nobody is locked out of an S3 prefix, so the manifest is replaced only if it is still the one that was read at the
start. What is removed after that was listed before it was read: an export under way at that time cannot commit any
more, since the manifest is another one by then.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dwh.lake.manifest import LakeFile, LakeTable, Manifest, read_manifest
from dwh.seam import Address, Extract, Session
from dwh.terminal.errors import ConfigError, DwhError, EnvironmentFailure

if TYPE_CHECKING:
    from dwh.lake.place import Place

SHOWN_NAMES = 3


class Lake:
    """A lake at a place, as it was when it was looked at: the manifest (None: there is none yet), and what is there
    that it does not name."""

    def __init__(self, place: Place, keep: int) -> None:
        self.place = place
        self._keep = keep
        # in this order: see the top of this file
        versions = place.versions()
        found = place.read()
        self._tag = found[1] if found else ""
        self.manifest = read_manifest(found[0], place.location) if found else None
        self.version = f"v-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
        earlier = [self.manifest.current, *self.manifest.kept] if self.manifest else []
        self._earlier = [version for version in earlier if version in versions]
        self._versions = versions

    def is_whole(self) -> bool:
        """Tell whether every file of the current version is there, in its size."""
        return self.manifest is not None and self._are_there(self.manifest.current, self.manifest.files)

    def expired(self, *, after_export: bool) -> list[str]:
        """Name what may go: versions beyond those that are kept, and what exports left that did not come to an end."""
        room = self._keep - 1 if after_export else self._keep
        return sorted(self._versions - set(self._earlier[: max(room, 0)]))

    @contextmanager
    def writing(self) -> Iterator[str]:
        """Give the place for the files of a new version; what is there is removed when the block fails."""
        try:
            with self.place.workspace(self.version) as target:
                yield target
        except BaseException:
            with suppress(DwhError, OSError):
                self.place.remove(self.version)
            raise

    def write(self, session: Session, extract: Extract, target: str, expected: int) -> LakeTable:
        """Write one table of the new version. Raises EnvironmentFailure when a file cannot be written, or when others
        than the `expected` rows were."""
        written = session.export(extract, f"{target}/{extract.table}")
        files = [
            self.place.keep(self.version, file._replace(path=f"{extract.table}/{file.path}"), target)
            for file in written
        ]
        path = f"{self.version}/{extract.table}"
        rows, size = sum(file.rows for file in files), sum(file.bytes for file in files)
        if rows != expected:
            raise EnvironmentFailure(
                f"{extract.table} has {expected:,} rows, and {rows:,} were written",
                evidence="the lake is as it was before",
                hint="the same command again; when it stays, report it",
            )
        return LakeTable(path, rows, size, extract.partition_by, extract.order_by, {}, {}, files)

    def refuse_foreign(self, command: Callable[..., str]) -> None:
        """Raise ConfigError when there is no manifest, and something else is there; `command` words the command that
        exports elsewhere."""
        others = self.place.others() if self.manifest is None else []
        if others:
            raise ConfigError(
                f"{self.place.location} is no lake, and holds other things: nothing was written there",
                evidence=f"for example {', '.join(sorted(others)[:SHOWN_NAMES])}",
                hint=(f"[S3] LAKE = {self.place.location}/lake", command("--to", f"{self.place.location}/lake")),
            )

    def commit(self, address: Address, origin: Mapping[str, Any], tables: Mapping[str, LakeTable]) -> Manifest:
        """Make the new version the current one. Raises Busy when somebody else did so since this lake was looked at."""
        kept = self._earlier[: self._keep - 1]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        revision = self.manifest.revision + 1 if self.manifest else 1
        made = Manifest(self.version, kept, revision, now, address["engine"], origin, tables, address)
        if not self._are_there(self.version, made.files):
            raise EnvironmentFailure(
                f"files of {self.version} are gone before they were all written",
                evidence=f"somebody else is at work in {self.place.location}",
                hint="the same command again",
            )
        self.place.replace(made.encode(), self._tag, self.version)
        return made

    def tidy(self, manifest: Manifest | None = None) -> list[str]:
        """Remove what has expired, and give its names; `manifest` is what this run has committed.

        Without one the current manifest is committed again, if there is something to remove.
        """
        going = self.expired(after_export=manifest is not None)
        if going and manifest is None and self.manifest:
            kept = self._earlier[1 : self._keep]
            again = self.manifest._replace(kept=kept, revision=self.manifest.revision + 1)
            self.place.replace(again.encode(), self._tag, self.manifest.current)
        for version in going:
            self.place.remove(version)
        return going

    def _are_there(self, version: str, files: Sequence[LakeFile]) -> bool:
        there = self.place.sizes(version)
        return all(there.get(file.path) == file.bytes for file in files)
