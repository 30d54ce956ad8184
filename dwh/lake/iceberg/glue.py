"""The tables of a lake in the AWS Glue catalogue, where Athena, Redshift, Snowflake and Spark find them by name.

For each table Glue keeps a pointer: the metadata file that is the current one. It is moved forward to the version that
export.json names, and never back. Glue refuses a change of a table that another session has changed since it was read
(`VersionId`), so of two sessions one moves a pointer, and the other sees that.

A pointer that is not ours stays as it is: to another place, to metadata that another program wrote into this lake, or
to a version that this lake does not have. So nothing that others wrote is lost, and the export ends with an error.

A session that is killed between export.json and the last pointer leaves pointers behind. The next one moves them, also
when there is nothing new to export. For that the files of the old pointer have to be there: `register` comes before
`IcebergLake.tidy`.

Marks such as [B] name the source of a fact about AWS: docs/cloud-check.md explains them.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from dwh.cluster.account import Account, Declined
from dwh.lake.iceberg.pins import PINS, Pins, read_pins, version_of
from dwh.sources.files import is_remote
from dwh.terminal.errors import Busy, ConfigError, DwhError, EnvironmentFailure

if TYPE_CHECKING:
    from dwh.lake.iceberg.lake import IcebergLake
    from dwh.lake.iceberg.table import IcebergTable
    from dwh.settings.config import Config

Entry = dict[str, Any]  # a table, as GetTable gives it and as CreateTable takes it
NOT_FOUND = "EntityNotFoundException"
MADE_MEANWHILE = "AlreadyExistsException"
CHANGED_MEANWHILE = "ConcurrentModificationException"
LONGEST_COMMENT = 255  # [B CommentString], on one line; longer ones fail the whole request [G apache/iceberg#16746]
KEPT = ("Description", "Owner")  # what another user may have filled in, besides parameters


class Moved(NamedTuple):
    """A pointer that was moved: the versions before and after it. `before` is None for a table that is new in Glue."""

    table: str
    before: int | None
    after: int


class Glue:
    """A database of the Glue catalogue of an account, in the region of the account."""

    def __init__(self, database: str, account: Account) -> None:
        self.database = database
        self._account = account
        self._registered: dict[str, int] = {}

    def refuse_foreign(self, lake: IcebergLake) -> None:
        """Raise EnvironmentFailure when the database or one of its tables is not one that `register` would change.
        Nothing is changed. Call it before an export writes anything."""
        self._look(lake)

    def register(self, lake: IcebergLake) -> list[Moved]:
        """Make each table's pointer name the version of export.json, and give the pointers that were moved, in the
        order of the tables; none: Glue was up to date. A database or a table that is missing is made.

        Call it with a lake after its `commit`, or when its last export is settled and there is nothing new; in both
        cases before `tidy`, and again after it. It sends no request for versions that it has registered before.

        Raises EnvironmentFailure when a pointer is not ours: then nothing in Glue was changed; or when AWS refuses a
        request. Raises Busy when another session changed a table at the same moment. In all cases the export stays, and
        the next run moves what is left.
        """
        wanted = {name: table.version for name, table in lake.pins.tables.items()} if lake.pins else {}
        if wanted == self._registered:
            return []
        try:
            moved = self._register(lake, wanted)
        except DwhError as error:
            error.evidence = (*error.evidence, "the lake is complete; tables in Glue may still show the export before")
            raise
        self._registered = wanted
        return moved

    def _register(self, lake: IcebergLake, wanted: Mapping[str, int]) -> list[Moved]:
        found = self._look(lake)
        before = {name: version_of(entry["Parameters"]["metadata_location"]) for name, entry in (found or {}).items()}
        behind = [name for name in lake.specs if before.get(name, 0) < wanted[name]]
        entries = {name: _entry(lake.table(name, wanted[name]), (found or {}).get(name)) for name in behind}
        if found is None:
            self._make_database(lake)
        for name, entry in entries.items():
            self._write(lake, name, entry, found[name].get("VersionId") if found and name in found else None)
        return [Moved(name, before.get(name), wanted[name]) for name in behind]

    def _look(self, lake: IcebergLake) -> dict[str, Entry] | None:
        """Give the tables that Glue has; None: there is no such database. Raises EnvironmentFailure for what is not
        ours."""
        try:
            database = self._account.ask("glue:GetDatabase", expected=[NOT_FOUND], Name=self.database)["Database"]
        except Declined:
            return None
        if database.get("TargetDatabase") or database.get("FederatedDatabase"):  # [B Database]
            raise EnvironmentFailure(
                f"the Glue database {self.database} stands for one elsewhere; nothing in Glue was changed",
                evidence=f"{database.get('TargetDatabase') or database.get('FederatedDatabase')}",
                hint="[LAKE] GLUE_DATABASE = another",
            )
        found = {name: entry for name in lake.specs if (entry := self._find(name)) is not None}
        for name, entry in found.items():
            self._version(lake, name, entry)
        return found

    def _find(self, name: str) -> Entry | None:
        try:
            answer = self._account.ask("glue:GetTable", expected=[NOT_FOUND], DatabaseName=self.database, Name=name)
        except Declined:
            return None
        return cast("Entry", answer["Table"])

    def _version(self, lake: IcebergLake, name: str, entry: Entry) -> int:
        """Give the version of this lake's metadata that an entry points to. Raises EnvironmentFailure when it points
        to something else."""
        given = entry.get("Parameters") or {}
        pointer = str(given.get("metadata_location", ""))
        version = version_of(pointer)
        if str(given.get("table_type", "")).upper() != "ICEBERG":
            raise self._not_ours(name, "it is no Iceberg table")
        if pointer != _location(lake, name, version):
            raise self._not_ours(name, f"it points to {pointer or 'nothing'}, and not to metadata of this lake")
        if version > _said(lake.pins, name) and version > _newest(lake, name):
            raise self._not_ours(name, f"it points to {pointer}, which is newer than the lake")
        return version

    def _write(self, lake: IcebergLake, name: str, entry: Entry, version_id: str | None) -> None:
        """Create or update one table. Raises Busy when it is not as it was read, unless it is as it has to be: another
        session did the same, or the answer to our own first request was lost and AWS received it twice."""
        change: dict[str, Any] = {"DatabaseName": self.database, "TableInput": entry}
        try:
            if version_id is None:
                self._account.ask("glue:CreateTable", expected=[MADE_MEANWHILE], **change)
            else:
                change |= {"VersionId": version_id, "SkipArchive": True}
                self._account.ask("glue:UpdateTable", expected=[CHANGED_MEANWHILE], **change)
        except Declined:
            now = self._find(name)
            if now is None or self._version(lake, name, now) < version_of(entry["Parameters"]["metadata_location"]):
                raise Busy(
                    f"another session has just changed the table {self.database}.{name} in Glue",
                    hint="the same command again",
                ) from None

    def _make_database(self, lake: IcebergLake) -> None:
        """Make the database. It gets no location, so that nothing is written beside the lake by mistake."""
        about = {"Name": self.database, "Description": f"tables of the lake at {lake.store.location}"}
        try:
            self._account.ask("glue:CreateDatabase", expected=[MADE_MEANWHILE], DatabaseInput=about)
        except Declined:
            return  # another session made it: each of its tables is created only if it is not there

    def _not_ours(self, name: str, why: str) -> EnvironmentFailure:
        return EnvironmentFailure(
            f"the table {self.database}.{name} in Glue is not one of this lake; nothing in Glue was changed",
            evidence=why,
            hint=(
                "[LAKE] GLUE_DATABASE = another",
                f"aws glue delete-table --database-name {self.database} --name {name}     (deletes no file)",
            ),
        )


def open_glue(config: Config) -> Glue | None:
    """Give the database that [LAKE] GLUE_DATABASE names; None: it names none. Sends no request. Raises ConfigError when
    the lake is a folder, which nobody who asks Glue could read."""
    database = config.lake.glue_database
    if not database:
        return None
    if not is_remote(config.s3.lake):
        raise ConfigError(
            f"only a lake in S3 can be registered in Glue, and [S3] LAKE is {config.s3.lake}",
            evidence=f"[LAKE] GLUE_DATABASE = {database}",
            hint=("[S3] LAKE = s3://bucket/lake", "[LAKE] GLUE_DATABASE =     (no database)"),
        )
    return Glue(database, Account(config))


def _location(lake: IcebergLake, name: str, version: int) -> str:
    return f"{lake.store.location}/{name}/metadata/v{version}.metadata.json"


def _newest(lake: IcebergLake, name: str) -> int:
    """Give the version of a table that export.json names now: another session may have exported since."""
    try:
        pins = read_pins(lake.store.read(PINS)[0], lake.store.location)
    except FileNotFoundError:
        return 0
    return _said(pins, name)


def _said(pins: Pins | None, name: str) -> int:
    return pins.tables[name].version if pins and name in pins.tables else 0


def _entry(table: IcebergTable, present: Entry | None) -> Entry:
    """Give a table as Glue takes it. What others have added to the present entry is kept."""
    from pyiceberg.catalog.glue import _construct_table_input

    assert table.metadata is not None  # noqa: S101  # export.json names no version 0
    before = present["Parameters"]["metadata_location"] if present else None
    location = table.metadata_location(table.version)
    old = cast("Any", deepcopy(present))  # it is changed by the library
    made = dict(_construct_table_input(table.spec.name, location, {}, table.metadata, old, before))
    for column in made["StorageDescriptor"]["Columns"]:
        if comment := " ".join(column.get("Comment", "").split()):
            column["Comment"] = comment if len(comment) <= LONGEST_COMMENT else f"{comment[: LONGEST_COMMENT - 3]}..."
    kept = {key: present[key] for key in KEPT if present and present.get(key)}
    return {**made, **kept, "PartitionKeys": []}  # Athena needs the key to be there [B TableInput]
