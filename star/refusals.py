"""How a load handles files and records that it cannot load: it starts again another way, or raises a clear error."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import sql_queries as q
from dwh.sources.files import SourceFile
from dwh.sources.formats import conversion
from dwh.sources.ledger import Pending
from dwh.sources.listing import SETTINGS
from dwh.spool.care import needs_care
from dwh.spool.digits import TEXT
from dwh.spool.records import Strictness
from dwh.spool.small_files import Changed
from dwh.terminal.errors import Busy, ConfigError, DataError
from dwh.terminal.wording import count
from star import load_queries as queries
from star.other_files import OTHER, other_file, other_kind

if TYPE_CHECKING:
    from dwh.seam import Session

NEARLY_ALL = 0.9  # of the records of a kind
ASIDE = "     (sets bad records aside in rejected_lines, loads the rest)"
QUARANTINE = f"the same command again with --on-bad-line quarantine{ASIDE}"
OWN_KEYS = {"songs": q.SONG_KEYS, "events": q.EVENT_KEYS}
CAREFUL_KEYS = {kind: {**q.PROVENANCE_KEYS, **q.FAULT_KEYS, **own} for kind, own in OWN_KEYS.items()}
SHOWN_TEXT = 60  # characters of a bad record
SHOWN_WORDS = 300  # characters of what an engine says


def record_rules(*, lenient: bool) -> dict[str, Strictness]:
    """Give for each kind of file the JSON rules of a record, which come before the rules of sql_queries.py."""
    return {
        kind: Strictness(frozenset(keys), lenient, {key: q.NUMBERS.get(key, TEXT) for key in OWN_KEYS[kind]})
        for kind, keys in CAREFUL_KEYS.items()
    }


class LedgerMoved(Busy):
    """Another session has loaded since the ledger was read: find the new files again."""


class ReadAgain(Exception):
    """These files must be read record by record; the load starts again."""

    def __init__(self, paths: set[str]) -> None:
        super().__init__(paths)
        self.paths = paths


class LeaveOut(Exception):
    """These files changed while they were read; the load starts again without them."""

    def __init__(self, paths: set[str]) -> None:
        super().__init__(paths)
        self.paths = paths


class RollBack(Exception):
    """The transaction has given its answer and can be rolled back."""


def find_careless(files: Sequence[Pending], place: Callable[[SourceFile], SourceFile], *, lenient: bool) -> set[str]:
    """Find the files that hold something else than one good object a line; `place` gives the copy to read.

    Raises LeaveOut for a file that changed since it was listed.
    """
    rules = record_rules(lenient=lenient)
    found = set()
    for kind, source, _ in files:
        try:
            if needs_care(place(source), rules[kind]):
                found.add(source.path)
        except Changed:
            raise LeaveOut({source.path}) from None
    return found


def engine_refuses(said: Sequence[str]) -> str:
    """Give the reason for refusing a file that looks good to us, with the engine's own words."""
    words = re.sub(r"[^ -~]", "?", said[0] if said else "no reason was given")
    return f"the engine refuses a record that looks good: {words[:SHOWN_WORDS]} (report this, with the file)"


class Refused(NamedTuple):
    """The first refused record of a kind; without line and text when the file cannot be read."""

    kind: str
    path: str
    line: int | None
    reason: str
    text: str | None


class Share(NamedTuple):
    """How many files and records of one kind a load read, and how many of them it refused."""

    kind: str
    files: int
    records: int
    refused_files: int
    refused: int

    @property
    def is_nearly_all(self) -> bool:
        """Tell whether nearly all records of the kind were refused."""
        return self.refused >= NEARLY_ALL * self.records


def find_refused(session: Session, locations: Mapping[str, Sequence[str]], *, quarantine: bool) -> bool:
    """Tell whether this load has refused records to set aside.

    Raises DataError for the first of them when there is no quarantine. Raises ConfigError, with or without one, when a
    source holds only records of the other kind: then a setting is wrong, not the data.
    """
    first = [Refused(*row) for row in session.rows(queries.SELECT_FIRST_REFUSED)]
    if first:
        shares = [Share(*row) for row in session.rows(queries.COUNT_REFUSED)]
        loaded = {kind for (kind,) in session.rows(queries.SELECT_LOADED_KINDS)}
        _refuse_other_sources(first, shares, loaded, locations)
        if not quarantine:
            raise _bad_record(first[0], shares, locations)
    return bool(first)


def _refuse_other_sources(
    first: Sequence[Refused], shares: Sequence[Share], loaded: Collection[str], locations: Mapping[str, Sequence[str]]
) -> None:
    """`loaded` are the kinds that have loaded records already: their source was right."""
    nearly_all = {share.kind for share in shares if share.is_nearly_all}
    wrong = [
        refused
        for refused in first
        if refused.kind in nearly_all and refused.kind not in loaded and other_kind(refused.kind, refused.text or "")
    ]
    if not wrong:
        return
    kind, other = wrong[0].kind, OTHER[wrong[0].kind]
    right = other in loaded or any(share.kind == other and not share.is_nearly_all for share in shares)
    failed = f"{SETTINGS[kind]} holds {other}, not {kind}"
    if len(wrong) > 1:
        failed = f"{SETTINGS['events']} and SONG_DATA are swapped: each holds the records of the other"
    elif not right:
        failed += f": it looks swapped with {SETTINGS[other].partition(' ')[2]}"
    hint = [f"{SETTINGS[k]} = {' '.join(map(shlex.quote, locations[OTHER[k]]))}" for k in (kind, other)]
    raise ConfigError(
        failed,
        evidence=(f"{wrong[0].path} line {wrong[0].line}: {(wrong[0].text or '')[:SHOWN_TEXT]}", _rolled_back(shares)),
        hint=[f"{SETTINGS[kind]} = the folder of the {kind}"] if right else hint,
    )


def _bad_record(refused: Refused, shares: Sequence[Share], locations: Mapping[str, Sequence[str]]) -> DataError:
    """Word the error of the first bad record, or of its file when that does not hold records of its kind.

    It does not offer the quarantine when nearly all records of the kind are bad.
    """
    path, line, text = refused.path, refused.line, refused.text or ""
    whole = any(share.kind == refused.kind and share.is_nearly_all for share in shares)
    quarantine = () if whole else (QUARANTINE,)
    stored = _rolled_back(shares)
    if line is None:
        hint = conversion(path, refused.reason) or "fix the file, or move it out of the source, and run again"
        return DataError(f"{path} cannot be read", evidence=(refused.reason, stored), hint=(hint, *quarantine))
    told = f"{text[:SHOWN_TEXT]}      <- {refused.reason}"
    file = other_file(refused.kind, path, text) if line == 1 else None
    if file:
        return DataError(f"{path} {file.what}", evidence=(told, stored), hint=(file.hint, *quarantine))
    hint = f"fix line {line} and run again"
    other = other_kind(refused.kind, text)
    if other:
        told += f" (it looks like one of the {other})"
        hint = f"move {path} to {SETTINGS[other]}, which is {locations[other][0]}"
    return DataError(f"bad record in {path} line {line}", evidence=(told, stored), hint=(hint, *quarantine))


def _rolled_back(shares: Sequence[Share]) -> str:
    files, records = sum(share.files for share in shares), sum(share.records for share in shares)
    refused, refused_files = sum(share.refused for share in shares), sum(share.refused_files for share in shares)
    others = f"; {count(refused, 'bad record')} in {count(refused_files, 'file')} in all" if refused > 1 else ""
    return f"nothing of this load was stored ({count(files, 'file')}, {count(records, 'record')} rolled back){others}"


def narrow_down(files: Sequence[Pending], refuses: Callable[[Sequence[Pending]], bool]) -> Pending:
    """Find one file that the engine refuses, by halving the list; at least one of them must be such a file."""
    while len(files) > 1:
        half = files[: len(files) // 2]
        files = half if refuses(half) else files[len(half) :]
    return files[0]
