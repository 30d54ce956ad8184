"""What a load does with files and records that do not fit: start again another way, or say so in words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import sql_queries as q
from dwh.console import count
from dwh.digits import TEXT
from dwh.errors import Busy, DataError
from dwh.records import Strictness

OWN_KEYS = {"songs": q.SONG_KEYS, "events": q.EVENT_KEYS}
CAREFUL_KEYS = {kind: {**q.PROVENANCE_KEYS, **q.FAULT_KEYS, **own} for kind, own in OWN_KEYS.items()}
SHOWN_TEXT = 60  # characters of a bad record
SHOWN_WORDS = 300  # characters of what an engine says


def record_rules(*, lenient: bool) -> dict[str, Strictness]:
    """Say of each kind of file which records are bad before any rule of sql_queries.py has seen them."""
    return {
        kind: Strictness(frozenset(keys), lenient, {key: q.NUMBERS.get(key, TEXT) for key in OWN_KEYS[kind]})
        for kind, keys in CAREFUL_KEYS.items()
    }


class LedgerMoved(Busy):
    """Somebody else loaded since the ledger was read: what there is to do has to be found out again."""


class ReadAgain(Exception):
    """These files need reading record by record; the load starts again."""

    def __init__(self, paths: set[str]) -> None:
        super().__init__(paths)
        self.paths = paths


class LeaveOut(Exception):
    """These files changed while they were read; the load starts again without them."""

    def __init__(self, paths: set[str]) -> None:
        super().__init__(paths)
        self.paths = paths


class RollBack(Exception):
    """All that was asked of this transaction is known."""


def engine_refuses(said: Sequence[str]) -> str:
    """Give the reason why a file is refused in which we find nothing wrong, with the engine's own words."""
    words = re.sub(r"[^ -~]", "?", said[0] if said else "no reason was given")
    return f"the engine refuses a record that looks good: {words[:SHOWN_WORDS]} (report this, with the file)"


def bad_record(
    path: str, line: int | None, reason: str, text: str | None, *, bad: tuple[int, int], read: str
) -> DataError:
    """Word the error of the first bad record; `bad` counts all of them, and the files they are in."""
    quarantine = "python etl.py --on-bad-line quarantine     (sets bad records aside in rejected_lines, loads the rest)"
    others = f"; {count(bad[0], 'bad record')} in {count(bad[1], 'file')} in all" if bad[0] > 1 else ""
    stored = f"nothing of this load was stored ({read}){others}"
    if line is None:
        hint = "mend the file, or move it out of the source, and run again"
        return DataError(f"{path} cannot be read", evidence=(reason, stored), hint=(hint, quarantine))
    return DataError(
        f"bad record in {path} line {line}",
        evidence=(f"{(text or '')[:SHOWN_TEXT]}      <- {reason}", stored),
        hint=(f"mend line {line} and run again", quarantine),
    )
