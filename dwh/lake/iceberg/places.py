"""Where a lake of Iceberg tables lies: a folder, or a prefix in S3."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dwh.lake.iceberg.folder import FolderStore
from dwh.sources.files import is_remote
from dwh.terminal.errors import ConfigError

if TYPE_CHECKING:
    from dwh.lake.iceberg.store import Store
    from dwh.settings.config import Config


def open_store(config: Config, *, exports_to_s3: bool) -> Store:
    """Give the place that [S3] LAKE names. `exports_to_s3`: the engine writes data files itself, and to S3 only. Raises
    ConfigError when it cannot write there."""
    location = config.s3.lake
    if is_remote(location):
        from dwh.lake.iceberg.s3 import S3Store
        from dwh.sources.buckets import Buckets

        return S3Store(location, Buckets(config.s3, config.aws), by_engine=exports_to_s3)
    if not location or "://" in location:
        raise ConfigError("[S3] LAKE names no folder and no S3 prefix", hint="[S3] LAKE = lake")
    if exports_to_s3:
        raise ConfigError(
            f"Redshift writes its lake to S3 only, and [S3] LAKE is {location}", hint="[S3] LAKE = s3://bucket/lake"
        )
    return FolderStore(Path(location))
