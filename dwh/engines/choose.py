"""The choice of the engine by the settings: the only module that knows all engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dwh.seam import Engine
    from dwh.settings.config import Config


def open_engine(config: Config) -> Engine:
    """Give the engine that the settings name; its driver is imported when it connects."""
    if config.warehouse.engine == "duckdb":
        from dwh.engines.duckdb.engine import DuckDbEngine

        return DuckDbEngine(config.duckdb)
    if config.warehouse.engine == "postgres":
        from dwh.engines.postgres.engine import PostgresEngine

        return PostgresEngine(config.postgres, config.duckdb)
    from dwh.engines.redshift.engine import RedshiftEngine

    return RedshiftEngine(config)
