"""Why plays match no song: compares the names of plays without a song with the catalogue.

Engines differ in comparing case beyond ASCII, Unicode forms and text that is encoded twice, so Python does it here.
MOST_NAMES limits the memory: the catalogue is read in pages, and only the names that a play needs are kept.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from dwh.checks.check import Reason

if TYPE_CHECKING:
    from dwh.seam import Session

MOST_NAMES = 100_000  # pairs of title and artist
PAGE = 50_000  # songs
ENCODINGS = 3  # how many times too often a text may have been encoded
# The characters of Windows-1252 for the bytes 0x80 to 0x9f, where Latin-1 has control characters.
_WINDOWS = {ord(bytes((byte,)).decode("cp1252", "ignore") or "\0"): byte for byte in range(128, 160)}
_WINDOWS.pop(0)

# The names of the plays that found no song, each with its plays, led by the number of all such plays.
UNMATCHED_NAMES = """
SELECT CAST(SUM(COUNT(*)) OVER () AS BIGINT), title, artist_name, COUNT(*)
FROM songplays
WHERE song_id IS NULL
GROUP BY title, artist_name
ORDER BY COUNT(*) DESC NULLS LAST, title ASC NULLS LAST, artist_name ASC NULLS LAST
LIMIT %s
"""

# The catalogue, page by page.
CATALOGUE_PAGE = """
SELECT song_id, title, artist_name
FROM songs
WHERE song_id > %s
ORDER BY song_id ASC NULLS LAST
LIMIT %s
"""

Name = tuple[str, str]  # title, artist
ALIKE: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("Unicode form", lambda text: unicodedata.normalize("NFKC", text)),
    ("blanks", lambda text: " ".join(text.split())),
    ("case", str.casefold),
)


class Catalogue(NamedTuple):
    """The names of the plays that the songs have, by their folded forms."""

    titles: set[str]
    artists: set[str]
    names: dict[Name, Name]
    encoded_twice: dict[Name, Name]


def explain_unmatched(session: Session) -> list[Reason]:
    """Count the plays without a song by reason, with one example each, most plays first.

    Only the MOST_NAMES names with the most plays are looked at; the other plays are counted under a separate reason.
    """
    rows = session.rows(UNMATCHED_NAMES, (MOST_NAMES,))
    named = [(title, artist, plays) for _, title, artist, plays in rows if title is not None and artist is not None]
    catalogue = _find(session, [(title, artist) for title, artist, _ in named])
    plays_of: dict[str, int] = {}
    examples: dict[str, dict[str, Any]] = {}
    for _, title, artist, plays in rows:
        reason, like = _judge(title, artist, catalogue)
        plays_of[reason] = plays_of.get(reason, 0) + plays
        if reason not in examples:
            examples[reason] = {"title": title, "artist_name": artist, **like}
    left = (rows[0][0] if rows else 0) - sum(plays_of.values())
    if left:
        plays_of[f"not looked at: only the {MOST_NAMES:,} names with the most plays are"] = left
    ordered = sorted(plays_of.items(), key=lambda item: (-item[1], item[0]))
    return [Reason(reason, plays, examples.get(reason, {})) for reason, plays in ordered]


def fold(text: str) -> str:
    """Give a text without differences of case, blanks and Unicode form."""
    if text.isascii():
        return " ".join(text.lower().split())
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())


def decode_again(text: str) -> str:
    """Decode a text that was read as Latin-1 or Windows-1252 instead of UTF-8 and encoded again, once or several
    times."""
    for _ in range(ENCODINGS):
        if text.isascii():
            break
        try:
            text = text.translate(_WINDOWS).encode("latin-1").decode("utf-8")
        except UnicodeError:
            break
    return text


def _find(session: Session, asked: Iterable[Name]) -> Catalogue:
    """Read the songs once, and note which names, titles and artists of the plays they have."""
    names = {(fold(title), fold(artist)) for title, artist in asked}
    titles, artists = {title for title, _ in names}, {artist for _, artist in names}
    found = Catalogue(set(), set(), {}, {})
    for title, artist in _read_catalogue(session):
        key = fold(title), fold(artist)
        if key[0] in titles:
            found.titles.add(key[0])
        if key[1] in artists:
            found.artists.add(key[1])
        if key in names:
            found.names.setdefault(key, (title, artist))
        if not (title.isascii() and artist.isascii()):
            decoded = fold(decode_again(title)), fold(decode_again(artist))
            if decoded != key and decoded in names:
                found.encoded_twice.setdefault(decoded, (title, artist))
    return found


def _read_catalogue(session: Session) -> Iterator[Name]:
    last = ""
    while songs := session.rows(CATALOGUE_PAGE, (last, PAGE)):
        yield from ((title, artist) for _, title, artist in songs if title is not None and artist is not None)
        last = songs[-1][0]
        if len(songs) < PAGE:
            break


def _judge(title: str | None, artist: str | None, catalogue: Catalogue) -> tuple[str, dict[str, Any]]:
    """Give the first reason that applies, and the catalogue's spelling if there is one."""
    if title is None or artist is None:
        return "the event names no title or no artist", {}
    key = fold(title), fold(artist)
    if key in catalogue.names:
        return _compare((title, artist), catalogue.names[key])
    decoded = decode_again(title), decode_again(artist)
    if decoded != (title, artist):
        return "text is encoded twice", {"title_decoded": decoded[0], "artist_name_decoded": decoded[1]}
    if key in catalogue.encoded_twice:
        return "text is encoded twice in songs", _spelt(catalogue.encoded_twice[key])
    known = key[0] in catalogue.titles, key[1] in catalogue.artists
    return {
        (True, True): "title and artist are known, but not together",
        (True, False): "no such artist",
        (False, True): "no such title",
        (False, False): "no such title and no such artist",
    }[known], {}


def _compare(name: Name, song: Name) -> tuple[str, dict[str, Any]]:
    """Give the smallest set of differences that explains two spellings of one name."""
    if name == song:
        return "title and artist are in songs (try: python etl.py --rebuild)", {}
    for number in range(1, len(ALIKE) + 1):
        for ways in combinations(ALIKE, number):
            if all(_in_ways(ours, ways) == _in_ways(theirs, ways) for ours, theirs in zip(name, song, strict=True)):
                form = {"form": f"{_form(name)}, in songs {_form(song)}"} if ALIKE[0] in ways else {}
                return "differs by " + " and ".join(what for what, _ in ways), {**_spelt(song), **form}
    return "differs by " + " and ".join(what for what, _ in ALIKE), _spelt(song)


def _in_ways(text: str, ways: Iterable[tuple[str, Callable[[str], str]]]) -> str:
    for _, change in ways:
        text = change(text)
    return text


def _spelt(song: Name) -> dict[str, Any]:
    return {"title_in_songs": song[0], "artist_name_in_songs": song[1]}


def _form(name: Name) -> str:
    text = " ".join(name)
    return next((form for form in ("NFC", "NFD") if unicodedata.is_normalized(form, text)), "mixed")
