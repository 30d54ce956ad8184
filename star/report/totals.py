"""The four numbers at the top of the page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from dwh.terminal.wording import count
from star.report.query import Query

if TYPE_CHECKING:
    from dwh.checks.check import Reason

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

    def tiles(self, reasons: Sequence[Reason]) -> list[tuple[str, str, str]]:
        """The four numbers: each with its name, and what it is made of. `reasons` say why plays match no song, the
        commonest first."""
        each = f"{self.plays_with_user / self.listeners:,.1f} plays each" if self.listeners else "nobody yet"
        why = "; ".join(f"{reason.reason} {reason.found:,}" for reason in reasons[:3])
        matched = f"{count(self.matched, 'play')}." + (f" Why not: {why}." if why else "")
        return [
            (f"{self.plays:,}", "plays", f"{self.plays_with_user:,} with a user"),
            (self._share(self.matched), "matched to the catalogue", matched),
            (f"{self.listeners:,}", "listeners", each),
            (self._share(self.free), "free", f"{self.free:,} plays on the free level"),
        ]

    def _share(self, part: int) -> str:
        """Give a part of all plays in per cent; what rounding would make nothing, or all, is told to be neither."""
        if not self.plays:
            return "–"
        share = f"{part / self.plays:.1%}"
        return {"0.0%": "<0.1%" if part else share, "100.0%": share if part == self.plays else ">99.9%"}.get(
            share, share
        )
