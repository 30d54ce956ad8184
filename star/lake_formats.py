"""A place holds a lake of one format: one of the other is recognised there, and left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dwh.lake.export import Lake
from dwh.lake.iceberg.pins import PINS
from dwh.lake.place import no_lake
from dwh.sources.files import is_remote
from dwh.terminal.errors import ConfigError
from star.lake_tables import SPECS

if TYPE_CHECKING:
    from dwh.lake.place import Place
    from dwh.script import Script


def refuse_other_format(script: Script, place: Place) -> None:
    """Raise ConfigError when the place holds a lake of the other format, or none and other things; nothing is changed.

    One list of the names at the top is all that is asked: the place may be anything.
    """
    names, wanted = place.others(), script.config.lake.format
    found = "parquet" if Lake(place, 1).manifest else "iceberg" if PINS in names else ""
    if found and found != wanted:
        where = place.location
        ways = [f"[S3] LAKE = {where}_{wanted}", script.command("--to", f"{where}_{wanted}")]
        if not is_remote(where):
            ways.append(f"mv {where} {where}_{found}")
        raise ConfigError(
            f"{where} holds a lake of FORMAT = {found}, and FORMAT is {wanted}: nothing was changed",
            evidence="a lake of another format needs a place of its own; remove the old one when nobody reads it",
            hint=(*ways, f"[LAKE] FORMAT = {found}     (goes on with the lake that is there)"),
        )
    strange = names - {spec.name for spec in SPECS}
    if not found and wanted == "iceberg" and strange:
        raise no_lake(place.location, strange, script.command)
