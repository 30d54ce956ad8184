"""The place of a lake: choose the class for it, and refuse the places of sources and scripts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dwh.lake.folder import Folder
from dwh.lake.place import Place
from dwh.settings.config import SCRIPTS_FOLDER
from dwh.sources.files import SCHEME, is_remote, is_under
from dwh.terminal.errors import ConfigError

if TYPE_CHECKING:
    from dwh.settings.config import Config


def refuse_sources(config: Config, command: Callable[..., str]) -> None:
    """Raise ConfigError when [S3] LAKE lies in a source, holds one, or holds the scripts.

    Otherwise a load would read the files of the lake as data, and removing the lake would remove the source or the
    scripts. `command` words the command that exports elsewhere.
    """
    lake = _unlinked(config.s3.lake)
    locations = {"[S3] LOG_DATA": config.s3.log_data, "[S3] SONG_DATA": config.s3.song_data}
    sources = {_unlinked(place): setting for setting, places in locations.items() for place in places}
    around = [source for source in sources if is_under(lake, source)]
    found = [f"it lies in a source: {sources[source]} = {source}" for source in around]
    inside = {f"{sources[source]} = {source}": source for source in sources if source not in around}
    inside["the scripts"] = _unlinked(str(SCRIPTS_FOLDER))
    found += [f"it holds {what}" for what, place in inside.items() if is_under(place, lake)]
    if not found:
        return
    outermost = min(lake, *around, key=len)
    another = f"{outermost}_lake" if "/" in outermost.removeprefix(SCHEME) else f"{SCHEME}another-bucket/lake"
    raise ConfigError(
        f"{config.s3.lake} cannot hold a lake: nothing was written there",
        evidence=found,
        hint=(f"[S3] LAKE = {another}", command("--to", another)),
    )


def _unlinked(location: str) -> str:
    """Give a location without links, and without a slash at its end."""
    if not is_remote(location):
        return os.path.realpath(location)
    from dwh.sources.buckets import split

    return str(split(location))


def open_place(config: Config, *, exports_to_s3: bool) -> Place:
    """Give the place that [S3] LAKE names. Raises ConfigError when the engine cannot write there."""
    location = config.s3.lake
    if is_remote(location):
        from dwh.lake.s3 import Prefix
        from dwh.sources.buckets import Buckets

        return Prefix(location, Buckets(config.s3, config.aws), by_engine=exports_to_s3)
    return Folder(folder_of(location, exports_to_s3=exports_to_s3))


def folder_of(location: str, *, exports_to_s3: bool) -> Path:
    """Give the folder that [S3] LAKE names, which is no S3 prefix. Raises ConfigError when it is no folder either, or
    the engine writes to S3 only."""
    if not location or "://" in location:
        raise ConfigError("[S3] LAKE names no folder and no S3 prefix", hint="[S3] LAKE = lake")
    if exports_to_s3:
        raise ConfigError(
            f"Redshift writes its lake to S3 only, and [S3] LAKE is {location}", hint="[S3] LAKE = s3://bucket/lake"
        )
    return Path(location)
