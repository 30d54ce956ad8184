"""The star in plain Python: the second definition of the truth.

`build_star` reads event and song files and returns the five tables of the star as sorted lists of tuples. It shares
nothing with the suite, neither SQL nor code, so that a mistake has to be made twice to go unseen. The result depends
on the records alone: not on the order of files, and not on how often a record is repeated.

Records are assumed to be valid. What the suite refuses is not judged here: it may raise, or pass.
"""

import gzip
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

Record = dict[str, Any]
Row = tuple[Any, ...]
Star = dict[str, list[Row]]

EPOCH = datetime(1970, 1, 1)
NOT_BLANK = re.compile(r"[^ \t\r\n\ufeff]")  # a byte order mark between records is no part of any


def text(value: object) -> str | None:
    """Return the value as the star keeps text: whole numbers as their digits, no blanks at the edges, never empty."""
    return None if value is None else str(value).strip(" ") or None


def whole(value: object) -> int | None:
    """Return an integer, from a number or from its digits as text, whatever its form; blank is None."""
    digits = text(value)
    return None if digits is None else int(Decimal(digits))


def real(value: object) -> float | None:
    """Return a float; blank is None."""
    digits = text(value)
    return None if digits is None else float(digits)


def year(value: object) -> int | None:
    """Return a year; 0 stands for "not known" and is None."""
    return whole(value) or None


EVENT_FIELDS: dict[str, Callable[[object], Any]] = {
    "page": text, "ts": whole, "sessionId": whole, "itemInSession": whole,
    "userId": whole, "firstName": text, "lastName": text, "gender": text, "level": text,
    "song": text, "artist": text, "length": real, "location": text, "userAgent": text,
}  # fmt: skip

SONG_FIELDS: dict[str, Callable[[object], Any]] = {
    "song_id": text, "title": text, "artist_id": text, "year": year, "duration": real,
    "artist_name": text, "artist_location": text, "artist_latitude": real, "artist_longitude": real,
}  # fmt: skip


def build_star(event_files: Iterable[Path], song_files: Iterable[Path]) -> Star:
    """Return the star of these files: songplays, users, songs, artists and time, each sorted, None last."""
    events = [record for path in event_files for record in records(path.name, path.read_bytes())]
    songs = [record for path in song_files for record in records(path.name, path.read_bytes())]
    return star_of(events, songs)


def records(name: str, data: bytes) -> Iterator[Record]:
    """Yield the JSON objects of a file, however they are laid out; a name that ends in .gz means gzip."""
    content = (gzip.decompress(data) if name.endswith(".gz") else data).decode("utf-8")
    decoder, at = json.JSONDecoder(), 0
    while found := NOT_BLANK.search(content, at):
        record, at = decoder.raw_decode(content, found.start())
        yield record


def star_of(event_records: Iterable[Record], song_records: Iterable[Record]) -> Star:
    """Return the star of these raw records."""
    events = [cleaned(raw, EVENT_FIELDS) for raw in event_records]
    catalogue = [cleaned(raw, SONG_FIELDS) for raw in song_records]
    plays = winners((event for event in events if event["page"] == "NextSong"), songplay_id, play_rank)
    users = winners(events, lambda event: event["userId"], user_rank)
    songs = winners(catalogue, lambda song: song["song_id"], song_rank)
    artists = winners(catalogue, lambda song: song["artist_id"], artist_rank)
    return {
        "songplays": in_order(songplay_rows(plays, songs)),
        "users": in_order(user_row(event) for event in users),
        "songs": in_order(pick(s, "song_id title artist_id year duration artist_name") for s in songs),
        "artists": in_order(
            pick(s, "artist_id artist_name artist_location artist_latitude artist_longitude") for s in artists
        ),
        "time": in_order(time_row(at) for at in {start_time(play) for play in plays}),
    }


def cleaned(raw: Record, fields: Mapping[str, Callable[[object], Any]]) -> Record:
    """Return the fields of the record that the star uses, cleaned; a field that is not there is None."""
    return {name: clean(raw.get(name)) for name, clean in fields.items()}


def winners(rows: Iterable[Record], key: Callable[[Record], Any], rank: Callable[[Record], Row]) -> list[Record]:
    """Return one whole record for each key that is not None: the one that ranks first."""
    best: dict[Any, Record] = {}
    for row in rows:
        this = key(row)
        if this is not None and (this not in best or rank(row) < rank(best[this])):
            best[this] = row
    return list(best.values())


def pick(record: Record, names: str) -> Row:
    """Return the named values of a record."""
    return tuple(record[name] for name in names.split())


def none_last(values: Iterable[Any]) -> Row:
    """Return a sort key, None last. Text compares by code point, which is also the order of its UTF-8 bytes."""
    return tuple((value is None, value) for value in values)


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Return the rows sorted, None last."""
    return sorted(rows, key=none_last)


def play_rank(event: Record) -> Row:
    """Rank the events that tell of one play."""
    return none_last(pick(event, "song artist length level location userAgent"))


def user_rank(event: Record) -> Row:
    """Rank the events of one user: the latest first."""
    return -event["ts"], none_last(pick(event, "level firstName lastName gender"))


def song_rank(song: Record) -> Row:
    """Rank the records of one song: a known year first."""
    return song["year"] is None, none_last(pick(song, "title artist_name artist_id year duration"))


def artist_rank(song: Record) -> Row:
    """Rank the records of one artist: a known location first, then known coordinates, which takes both of them."""
    no_place = song["artist_location"] is None
    no_point = song["artist_latitude"] is None or song["artist_longitude"] is None
    columns = pick(song, "artist_name artist_location artist_latitude artist_longitude")
    return no_place, no_point, none_last(columns)


def songplay_id(event: Record) -> str:
    """Return the identity of a play: two events that share it are one play, told twice."""
    user = "" if event["userId"] is None else event["userId"]
    key = f"{event['sessionId']}|{event['itemInSession']}|{user}|{event['ts']}"
    return hashlib.md5(key.encode()).hexdigest()


def left_out(event_records: Iterable[Record]) -> tuple[int, int]:
    """Count the plays that get no row: the same play again, and another play under a key that is taken."""
    told: dict[str, list[Row]] = defaultdict(list)
    for event in (cleaned(raw, EVENT_FIELDS) for raw in event_records):
        if event["page"] == "NextSong":
            told[songplay_id(event)].append(pick(event, "song artist length level location userAgent"))
    again = sum(len(contents) - len(set(contents)) for contents in told.values())
    return again, sum(len(set(contents)) - 1 for contents in told.values())


def start_time(event: Record) -> datetime:
    """Return the time of the event in UTC, exact to the millisecond."""
    return EPOCH + timedelta(milliseconds=event["ts"])


def songplay_rows(plays: Iterable[Record], songs: Iterable[Record]) -> Iterator[Row]:
    """Yield one row for each play, with the ids of the song it matches, or None."""
    named: dict[Row, list[Record]] = defaultdict(list)
    for song in songs:
        if song["title"] is not None and song["artist_name"] is not None:
            named[song["title"], song["artist_name"]].append(song)
    for play in plays:
        candidates = named.get((play["song"], play["artist"]), [])
        match = min(candidates, key=lambda song: match_rank(play, song), default={"song_id": None, "artist_id": None})
        yield (
            songplay_id(play), start_time(play), play["userId"], play["level"], match["song_id"],
            match["artist_id"], *pick(play, "sessionId location userAgent itemInSession song artist length"),
        )  # fmt: skip


def match_rank(play: Record, song: Record) -> Row:
    """Rank the songs that carry the name of a play: nearest duration, an unknown distance last, lowest song_id."""
    unknown = play["length"] is None or song["duration"] is None
    distance = None if unknown else abs(play["length"] - song["duration"])
    return none_last((distance, song["song_id"]))


def user_row(event: Record) -> Row:
    """Return the row of users that an event gives."""
    return event["userId"], *pick(event, "firstName lastName gender level"), start_time(event)


def time_row(at: datetime) -> Row:
    """Return the row of time: ISO week, and weekday 0 for Sunday."""
    return at, at.hour, at.day, at.isocalendar()[1], at.month, at.year, at.isoweekday() % 7
