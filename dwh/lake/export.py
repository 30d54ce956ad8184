"""A lake: versions of some tables as Parquet, each in a folder of its own, and one manifest that names the current one.

`manifest.json` is replaced last and at once: that is the commit. A reader who takes the files from it always sees one
complete export, even while another is running. A version never changes; the last few are kept, so that a reader who
has started can finish.

An S3 prefix has no lock, so the manifest is replaced only if it is still the one that was read at the start. The
versions to remove were listed before it was read: an export that was running then can no longer commit, since the
manifest has been replaced by then.
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
    """A lake at a place, as it was when this object was made: its versions and its manifest (None: there is none)."""

    def __init__(self, place: Place, keep: int) -> None:
        self.place = place
        self._keep = keep
        # versions before manifest: see the top of this file
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
        """Name the versions to remove: those beyond the number to keep, and the remains of unfinished exports."""
        room = self._keep - 1 if after_export else self._keep
        return sorted(self._versions - set(self._earlier[: max(room, 0)]))

    @contextmanager
    def writing(self) -> Iterator[str]:
        """Give the place for the files of a new version; they are removed when the block fails."""
        try:
            with self.place.workspace(self.version) as target:
                yield target
        except BaseException:
            with suppress(DwhError, OSError):
                self.place.remove(self.version)
            raise

    def write(self, session: Session, extract: Extract, target: str, expected: int) -> LakeTable:
        """Write one table of the new version. Raises EnvironmentFailure when a file cannot be written, or when the
        number of rows is not the `expected` one."""
        written = session.export(extract, f"{target}/{extract.table}")
        files = [
            self.place.keep(self.version, file._replace(path=f"{extract.table}/{file.path}"), target)
            for file in written
        ]
        path = f"{self.version}/{extract.table}"
        rows, size = sum(file.rows for file in files), sum(file.bytes for file in files)
        if rows != expected:
            raise EnvironmentFailure(
                f"{extract.table} has {expected:,} rows, but {rows:,} were written",
                evidence="the lake was not changed",
                hint="the same command again; if it fails again, report it",
            )
        return LakeTable(path, rows, size, extract.partition_by, extract.order_by, {}, {}, files)

    def refuse_foreign(self, command: Callable[..., str]) -> None:
        """Raise ConfigError when the place holds other things and no manifest; `command` words the command that exports
        elsewhere."""
        others = self.place.others() if self.manifest is None else []
        if others:
            raise ConfigError(
                f"{self.place.location} is not a lake and holds other things: nothing was written there",
                evidence=f"for example {', '.join(sorted(others)[:SHOWN_NAMES])}",
                hint=(f"[S3] LAKE = {self.place.location}/lake", command("--to", f"{self.place.location}/lake")),
            )

    def commit(self, address: Address, origin: Mapping[str, Any], tables: Mapping[str, LakeTable]) -> Manifest:
        """Make the new version the current one. Raises Busy when another session exported since this lake was read."""
        kept = self._earlier[: self._keep - 1]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        revision = self.manifest.revision + 1 if self.manifest else 1
        made = Manifest(self.version, kept, revision, now, address["engine"], origin, tables, address)
        if not self._are_there(self.version, made.files):
            raise EnvironmentFailure(
                f"files of {self.version} disappeared before all of them were written",
                evidence=f"another session is using {self.place.location}",
                hint="the same command again",
            )
        self.place.replace(made.encode(), self._tag, self.version)
        return made

    def tidy(self, manifest: Manifest | None = None) -> list[str]:
        """Remove the expired versions, and give their names; `manifest` is the one that this run has committed.

        Without it the current manifest is committed again first, if there is something to remove.
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
