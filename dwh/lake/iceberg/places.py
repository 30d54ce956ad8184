"""Where a lake of Iceberg tables lies: a folder, or a prefix in S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dwh.lake.iceberg.folder import FolderStore
from dwh.lake.places import folder_of
from dwh.sources.files import is_remote

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
    return FolderStore(folder_of(location, exports_to_s3=exports_to_s3))
