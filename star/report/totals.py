"""The four numbers at the top of the page."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from star.report.query import Query

TOTALS = Query(
    "Totals",
    "All plays, those with a user and those that match a song, the listeners, and the first and last play.",
    """
SELECT
    COUNT(*) AS plays,
    COUNT(user_id) AS plays_with_user,
    COUNT(DISTINCT user_id) AS listeners,
    CAST(COALESCE(SUM(CASE WHEN level = 'free' THEN 1 ELSE 0 END), 0) AS BIGINT) AS free,
    COUNT(song_id) AS matched,
    MIN(start_time) AS first_play,
    MAX(start_time) AS last_play
FROM songplays
""",
)


class Totals(NamedTuple):
    """The one row of the query."""

    plays: int
    plays_with_user: int
    listeners: int
    free: int
    matched: int
    first_play: datetime | None
    last_play: datetime | None

    @property
    def tiles(self) -> list[tuple[str, str, str]]:
        """The four numbers: each with its name, and what it is made of."""
        free = f"{self.free / self.plays:.1%}" if self.plays else "–"
        each = f"{self.plays_with_user / self.listeners:,.1f}" if self.listeners else "–"
        return [
            (f"{self.plays:,}", "plays", f"{self.matched:,} matched to the catalogue"),
            (f"{self.listeners:,}", "listeners", "with at least one play"),
            (free, "free", f"{self.free:,} plays on the free level"),
            (each, "plays a listener", f"{self.plays_with_user:,} plays with a user"),
        ]
