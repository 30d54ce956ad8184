"""The reconciliation: every record that was read is in the star, or is left out for a reason that has a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sql_queries as q
from dwh.terminal.wording import count
from star.report.query import Query

FILES = Query(
    "Files and records",
    "How many files and records of each kind were read, and how many were rejected.",
    """
SELECT
    kind,
    COUNT(*) AS files,
    CAST(SUM(CASE WHEN status = 'rejected' THEN 1 ELSE 0 END) AS BIGINT) AS files_rejected,
    CAST(SUM(records_read) AS BIGINT) AS records_read,
    CAST(SUM(rejected) AS BIGINT) AS records_rejected
FROM loaded_files
GROUP BY kind
ORDER BY kind ASC NULLS LAST
""",
)

# Each difference by its name. COUNT_STAGED_PLAYS makes staged_plays and repeated_plays.
DIFFERENCES = Query(
    "Named differences",
    "How many records are left out of the star, by reason.",
    """
SELECT 'song again' AS difference, COUNT(*) - COUNT(DISTINCT TRIM(BOTH ' ' FROM song_id)) AS records
FROM staging_songs
UNION ALL
SELECT 'no artist', COUNT(*) - COUNT(NULLIF(TRIM(BOTH ' ' FROM artist_id), '')) FROM staging_songs
UNION ALL
SELECT
    'artist again',
    COUNT(NULLIF(TRIM(BOTH ' ' FROM artist_id), '')) - COUNT(DISTINCT NULLIF(TRIM(BOTH ' ' FROM artist_id), ''))
FROM staging_songs
UNION ALL
SELECT 'no user', COUNT(*) - COUNT(NULLIF(TRIM(BOTH ' ' FROM user_id), '')) FROM staging_events
UNION ALL
SELECT
    'user again',
    COUNT(NULLIF(TRIM(BOTH ' ' FROM user_id), '')) - COUNT(DISTINCT USER_NUMBER)
FROM staging_events
UNION ALL
SELECT 'play again', s.again - o.plays
FROM (SELECT CAST(COALESCE(SUM(times - 1), 0) AS BIGINT) AS again FROM staged_plays) AS s
CROSS JOIN (SELECT COUNT(*) AS plays FROM repeated_plays WHERE choice > 1) AS o
UNION ALL
SELECT 'other play', COUNT(*) FROM repeated_plays WHERE choice > 1
UNION ALL
SELECT 'time again', COUNT(*) - COUNT(DISTINCT start_time) FROM songplays
""".replace("USER_NUMBER", q.user_number("user_id")),
)

# Led by the number of all such events.
PAGES = Query(
    "Events that are no play",
    "Events whose page is not NextSong, by page; the twelve most frequent pages.",
    """
SELECT CAST(SUM(COUNT(*)) OVER () AS BIGINT) AS no_plays, TRIM(BOTH ' ' FROM page) AS page, COUNT(*) AS events
FROM staging_events
WHERE TRIM(BOTH ' ' FROM page) <> 'NextSong'
GROUP BY TRIM(BOTH ' ' FROM page)
ORDER BY events DESC NULLS LAST, page ASC NULLS LAST
LIMIT 12
""",
)


class Flow(NamedTuple):
    """How one table of the star comes from what was read: every difference by its name."""

    table: str
    source: str
    read: int
    differences: Sequence[tuple[str, int]]
    found: int

    @property
    def expected(self) -> int:
        """What is left of the records after all named differences."""
        return self.read - sum(number for _, number in self.differences)

    @property
    def unexplained(self) -> int:
        """What no name accounts for: anything but 0 is a failure."""
        return self.found - self.expected


def reconcile(
    files: Iterable[Sequence[Any]], differences: Mapping[str, int], no_plays: int, rows: Mapping[str, int]
) -> list[Flow]:
    """Account for every record of the source: for each table of the star what was read, left out and why, and found."""
    ledger = {kind: numbers for kind, *numbers in files}
    named: dict[str, tuple[str, int, int]] = {}
    for kind in ("songs", "events"):
        number, unreadable, read, rejected = ledger.get(kind, (0, 0, 0, 0))
        lost = f", {unreadable:,} of them unreadable" if unreadable else ""
        named[kind] = (f"{kind[:-1]} records in {count(number, 'file')}{lost}", read, rejected)
    songs, song_records, bad_songs = named["songs"]
    events, event_records, bad_events = named["events"]
    left_out: dict[str, tuple[str, int, list[tuple[str, int]]]] = {
        "songplays": (events, event_records, [
            ("rejected", bad_events), ("no play: page is not NextSong", no_plays),
            ("the same play again", differences["play again"]),
            ("other play under the same key", differences["other play"]),
        ]),
        "users": (events, event_records, [
            ("rejected", bad_events), ("without a user", differences["no user"]),
            ("further events of a user", differences["user again"]),
        ]),
        "songs": (songs, song_records, [("rejected", bad_songs), ("the same song again", differences["song again"])]),
        "artists": (songs, song_records, [
            ("rejected", bad_songs), ("without an artist", differences["no artist"]),
            ("further songs of an artist", differences["artist again"]),
        ]),
        "time": ("plays", rows["songplays"], [("at the same moment as another", differences["time again"])]),
    }  # fmt: skip
    return [Flow(table, *parts, rows[table]) for table, parts in left_out.items()]
