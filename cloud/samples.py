"""The few records that a walk loads: what engines are known to read in different ways is among them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

Record = Mapping[str, object]

_UNDO = {"page": "NextSong", "song": "Undo", "artist": "Björk", "length": 11.5, "userAgent": "X11", "location": "Oslo"}
_ADA = {"userId": "8", "firstName": "Ada", "lastName": "Lee", "gender": "F", "level": "free", "sessionId": 5}
# ISO week 53; a title with a blank behind it, which counts in no comparison of Redshift [D23 dg/r_Character_types]
_IN_WEEK_53 = {"ts": 1609632000000, "itemInSession": 1, "song": "Undo ", "level": "paid"}


def _lines(*records: Record) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def _song(song_id: str, title: str) -> Record:
    place = {"artist_location": "Reykjavík", "artist_latitude": 64.1, "artist_longitude": -21.9}
    named = {"song_id": song_id, "title": title, "artist_id": "A1", "artist_name": "Björk"}
    return {"num_songs": 1, "year": 2001, "duration": 11.0, **named, **place}


# The sources, by their names below the place of a walk. All of it is loaded: 2 songs, 3 events, 2 of them plays.
SOURCES: Mapping[str, bytes] = {
    "song_data/songs.json": _lines(_song("S1", "Undo"), _song("S2", 'Jóga \\ "live"')),
    "log_data/first.json": _lines(
        {**_ADA, **_UNDO, "ts": 1541160000000, "itemInSession": 0},
        {**_ADA, **_UNDO, **_IN_WEEK_53},
        {**_ADA, "page": "Home", "ts": 1541160001500, "itemInSession": 2},
    ),
}
PLAYS = 2
# One more play, of another day; it comes later.
ANOTHER_DAY = ("log_data/second.json", _lines({**_ADA, **_UNDO, "ts": 1541246400001, "itemInSession": 3}))
CUT_SHORT = ("log_data/cut.json", b'{"page": "NextSong", "ts": 15411600')
# Numbers and a truth value where a table has text; Redshift alone can tell what becomes of them.
ODD_TEXTS: Sequence[str] = ("27", "1e2", "1.50", "98765432109876543210987654321", "true")
AS_TEXT = ("odd.json", "".join(f'{{"given": "{odd}", "came": {odd}}}\n' for odd in ODD_TEXTS).encode())
