"""Make a sample of any size in the format of the real song and event files.
The same arguments give the same bytes. Artists, songs and users are invented; about 30 % of the plays match a song.

  python make_sample.py                                  71 songs and 8,000 events in ./data
  python make_sample.py --events 1000000 --days 100 big  a million events in ./big
  python make_sample.py --seed 2 other                   as large as the first, with other content

A target with song_data or log_data in it is refused. A killed run leaves only TARGET.partial-PID, never half a sample.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import accumulate, pairwise
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from dwh.terminal.commands import Call
from dwh.terminal.console import Console, run
from dwh.terminal.errors import ConfigError, EnvironmentFailure
from dwh.terminal.flags import ScriptParser
from dwh.terminal.wording import count, seconds

# fmt: off
SIZES = {"songs": (71, 0), "events": (8000, 0), "days": (30, 1), "users": (100, 1)}  # default, least
FIRST_DAY, EPOCH = date(2018, 11, 1), date(1970, 1, 1)
MATCHED_SHARE = 0.30  # of the plays name a song of the catalogue
PLAY_SHARE = 0.955  # of the pages after the first ones of a visit; 85 % of all events are plays then
LONGEST_VISIT, LONGEST_TUNE, DAY = 120, 410, 86_400  # events, seconds, seconds: a visit fits into a day
WEEKDAY_WEIGHTS = (10, 11, 13, 11, 12, 6, 4)  # Monday first
HOUR_EDGES = list(accumulate((4, 4, 3, 3, 3, 4, 4, 5, 6, 7, 7, 8, 8, 9, 11, 12, 12, 11, 10, 8, 7, 6, 5, 5)))  # UTC
WORDS = {kind: words.split() for kind, words in {
    "adjective": """Amber Brass Breezy Crooked Dusty Faded Foggy Gilded Hollow Humming Inky Jagged Lopsided Mossy Muted Nutmeg Ochre
        Patient Pewter Rusty Salted Slanted Sunken Tepid Timid Umber Vacant Waxed Wicker Woollen""",
    "noun": """Almanacs Anvils Bobbins Brambles Canteens Cisterns Dormice Ferries Gables Gantries Inkwells Jackdaws Oars Ladders
        Lampposts Mittens Nettles Pantries Parasols Quarries Rafters Sextants Spindles Tramways Viaducts""",
    "verb": "Borrowing Counting Following Forgetting Leaving Mending Naming Painting Trading Waking",
    "woman": "Ada Bruna Delphine Fatou Hana Noémie Wren Yara Zoe\u0301 Øyunn נועה 愛子",
    "man": "Abel Caspian Emil Gustav Ivo Jürgen Otis Søren Tomás Zed Łukasz ياسين",
    "surname": "Birchall Dunmore Garrow Hobday Jessop Núñez O'Dell Pemberly Rookwood Smith-Åberg Tamsin Owl🦉",
    "town": "Boise Cádiz Duluth Haifa Leeds Nagano Oulu Québec Savannah Tromsø",
}.items()}
ARTIST_FORMS = ("The {adjective} {noun}", "{adjective} {noun} of {town}", "{woman} & {man} {surname}", "{man} {surname} & the {noun}",
                "{surname} / {adjective} {noun}")
TITLE_FORMS = ("{adjective} {noun}", "{verb} {noun} (Live)", "{noun} in {town}", "{verb} the {adjective} {noun}", "{noun} for {man}, Pt. 2")
PLACES: dict[str, tuple[float, float]] = {
    "Leeds, England": (53.79648, -1.54785), "Québec, Canada": (46.81228, -71.21454), "Haifa": (32.81841, 34.9885),
    "Tromsø, Norway": (69.6489, 18.95508), "Savannah, GA": (32.08354, -81.09983), "Duluth, MN": (46.78667, -92.10049)}
BROWSERS = ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:63.0) Gecko/20100101 Firefox/63.0",
            '"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/70.0.3538.77 Safari/537.36"',
            '"Mozilla/5.0 (iPhone; CPU iPhone OS 12_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"')

# The first songs of every sample: number of the artist, artist_name, artist_location, title, duration, year.
QUIRKY_SONGS = (
    (0, "The Copper Teapots", "Leeds, England", "Ferry to Nowhere", 214.73914, 2004),
    (0, "The Copper Teapots feat. Ines Morrow", "", "Rain on the Gantry", 187.21915, 0),  # one artist, several names
    (1, "Kerosene Almanac", "", "Left/Right", 199.91465, 0),  # PRETTY_PRINTED
    (2, "Tin Parliament", 27, "Marzipan Weather", 231.33995, 1998),  # a number where text is expected
    (3, "Ada Quillfeather", "Duluth, MN", "Half a Lighthouse", 201.50812, 1998),  # one name, two durations,
    (3, "Ada Quillfeather", "Duluth, MN", "Half a Lighthouse", 243.90485, 2006),  # SHARES_A_FILE with the one above
    (4, "Nine Thimbles", "", "Wool Over Water", 176.16934, 2001),  # one name, one duration, two songs
    (5, "Nine Thimbles", "Savannah, GA", "Wool Over Water", 176.16934, 0),
    (6, "Café Lanterne Noire", "Québec, Canada", "Été sans parapluie", 222.1971, 0),
    (7, "Zoe\u0301 Ma\u0308rz", "", "De\u0301ja\u0300 perdu", 190.40608, 2012),  # combining marks:
    (7, "Zoé März", "", "Déjà perdu", 190.40608, 2012),  # looks the same, is not
    (8, "מגדלור כחול", "Haifa", "שיר לרכבת", 254.87628, 0),  # right to left
    (9, "Night Bus 🚌", "", "Last Stop 💤", 301.08689, 2017))  # surrogate pairs
PRETTY_PRINTED, SHARES_A_FILE = 2, 5  # positions in QUIRKY_SONGS

EVENT = {  # a line of a log: %s differs from event to event, null is filled in for who is logged in
    "artist": "%s", "auth": "null", "firstName": "null", "gender": "null", "itemInSession": "%s", "lastName": "null", "length": "%s",
    "level": '"%s"', "location": "null", "method": '"%s"', "page": '"%s"', "registration": "null", "sessionId": "%s", "song": "%s",
    "status": "%s", "ts": "%s", "userAgent": "null", "userId": "null"}
ANSWERS = {"NextSong": ("PUT", 200), "Error": ("GET", 404)}  # method and status; of any other page: GET, 200
ANSWERS |= dict.fromkeys(("Login", "Logout", "Save Settings", "Submit Upgrade", "Submit Downgrade"), ("PUT", 307))
OTHER_PAGES = ["Home"] * 8 + ["Logout"] * 3 + ["Settings"] * 2 + ["Help", "About", "Save Settings", "Error"]
PAGES_OF_LEVEL = {"free": [*OTHER_PAGES, "Upgrade", "Upgrade"], "paid": [*OTHER_PAGES, "Downgrade", "Downgrade"]}
LEVEL_CHANGES = {"free": ("Submit Upgrade", "paid"), "paid": ("Submit Downgrade", "free")}  # page, level after it
LEVEL_STORIES: tuple[tuple[str, tuple[float, ...]], ...] = (  # first level; when it changes, the last first
    ("free", (0.75, 0.25)), ("paid", (0.5,)), ("free", (0.4,)), *[("paid", ())] * 6, *[("free", ())] * 16)
# fmt: on
Item = TypeVar("Item")
Song = dict[str, Any]
Tune = tuple[str, str, str, int]  # a song as an event names it: artist, title, length in JSON; whole seconds
Event = tuple[int, int, int, str, str, Tune, str]  # ts, session, item: the order in a file; level, page, tune, line
SILENCE: Tune = ("null", "null", "null", 0)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    command = ScriptParser("make_sample", __doc__)
    command.usage = "%(prog)s [options] [TARGET]"
    command.what.add_argument("target", metavar="TARGET", type=Path, nargs="?", default="data", help="default: data")
    for size, (default, _) in SIZES.items():
        command.what.add_argument(f"--{size}", metavar="N", type=int, default=default, help=f"default: {default}")
    command.what.add_argument(
        "--seed", metavar="N", type=int, default=1, help="default: 1; another seed, another sample"
    )
    return command


def refuse(order: argparse.Namespace, call: Call) -> None:
    """Raise ConfigError for an impossible size, and for a target that already holds such data."""
    for size, (default, least) in SIZES.items():
        if (number := getattr(order, size)) < least:
            raise ConfigError(
                f"--{size} {number} is less than {least}", hint=f"the same command again with --{size} {default}"
            )
    for path in (order.target, order.target / "song_data", order.target / "log_data"):
        if path.exists() and (not path.is_dir() or (path != order.target and any(path.iterdir()))):
            other = order.target.parent / f"{order.target.resolve().name}-sample"
            raise ConfigError(
                f"{path} already exists, nothing was written", hint=call.instead(str(order.target), str(other))
            )


def heavy_tail(rng: Random, items: Sequence[Item]) -> Callable[[], Item]:
    """Return a function that draws one of the items, the first much more often than the last."""
    edges = list(accumulate(1 / (5 + len(items) // 100 + rank) for rank in range(len(items))))
    return lambda: items[bisect(edges, rng.random() * edges[-1], 0, len(items) - 1)]


def made_up(rng: Random, forms: Sequence[str]) -> str:
    """Return a name in one of the forms."""
    return rng.choice(forms).format_map({kind: rng.choice(words) for kind, words in WORDS.items()})


def made_up_id(start: str, middle: str, number: int) -> str:
    """Return an identifier that looks like the real ones; another one for every number below 2**28."""
    mixed = (number + 1) * 0x9E3779B1 % 2**28
    return start + "".join(chr(65 + mixed // 26**place % 26) for place in range(5)) + f"{middle}{mixed:07X}"


def catalogue(order: argparse.Namespace) -> Iterator[Song]:
    """Yield the songs, the quirky ones first. Only --songs and --seed change them."""
    rng, credited = Random(f"{order.seed} songs"), list(QUIRKY_SONGS[: order.songs])
    artists = [(made_up(rng, ARTIST_FORMS), rng.choice(["", "", *PLACES])) for _ in range(order.songs // 2 + 1)]
    while len(credited) < order.songs:
        number = rng.randrange(len(artists))
        name = artists[number][0] + (f" feat. {rng.choice(artists)[0]}" if rng.random() < 0.1 else "")
        year = rng.choice((0, 0, 0, rng.randint(1961, 2018), rng.randint(1995, 2018)))
        rest = artists[number][1], made_up(rng, TITLE_FORMS), round(rng.uniform(90, LONGEST_TUNE), 5), year
        credited.append((len(QUIRKY_SONGS) + number, name, *rest))
    for number, (artist, name, place, title, duration, year) in enumerate(credited):
        latitude, longitude = PLACES.get(str(place), (None, None))
        artist_id, song_id = made_up_id("AR", "1187", artist), made_up_id("SO", "12AB", number)
        where = {"artist_latitude": latitude, "artist_longitude": longitude, "artist_location": place}
        song = {"song_id": song_id, "title": title, "duration": duration, "year": year}
        yield {"num_songs": 1, "artist_id": artist_id, **where, "artist_name": name, **song}


def in_log(value: str | float | None) -> str:
    """Return the value in the JSON of the logs, which escape slashes."""
    return json.dumps(value).replace("/", "\\/")


def tune(artist: str | None, title: str, length: float | None) -> Tune:
    """Return a song as an event names it."""
    return in_log(artist), in_log(title), in_log(length), int(length or 0)


def tunes_elsewhere(rng: Random, songs: list[Song]) -> Iterator[Tune]:
    """Yield tunes that match no song: unknown ones, covers, other titles of known artists; one in five misspelt."""
    known = {(song["artist_name"], song["title"]) for song in songs}
    for number in range(500 + len(songs)):
        artist = rng.choice(songs)["artist_name"] if songs and number % 3 == 1 else made_up(rng, ARTIST_FORMS)
        title = rng.choice(songs)["title"] if songs and number % 3 == 2 else made_up(rng, TITLE_FORMS)
        if number % 5 == 0:  # the real logs have every accent encoded wrongly, twice
            artist = artist.encode().decode("latin-1").encode().decode("latin-1")
        title += " (Demo)" if (artist, title) in known else ""
        length = round(rng.uniform(90, LONGEST_TUNE), 5)
        yield tune(None if number == 60 else artist, title, None if number == 40 else length)


def event_line(**person: str | float) -> str:
    """Return the line of the person's events, with a %s for all that differs between them."""
    given = {key: in_log(value).replace("%", "%%") for key, value in person.items()}
    return "{" + ",".join(f'"{key}":{text}' for key, text in (EVENT | given).items()) + "}"


def members(order: argparse.Namespace) -> Iterator[tuple[str, str, list[int]]]:
    """Yield the users, the most active first: their line, their first level, the days of its changes, last first."""
    rng, last_registration = Random(f"{order.seed} users"), 1_541_030_399_796
    for rank, number in enumerate(rng.sample(range(1, order.users + 1), order.users)):
        names, gender = rng.choice(((WORDS["woman"], "F"), (WORDS["man"], "M")))
        name = {"firstName": rng.choice(names), "lastName": rng.choice(WORDS["surname"]), "gender": gender}
        place = {"location": rng.choice([*PLACES]), "userAgent": rng.choice(BROWSERS)}
        registration = float(last_registration - 1000 * rng.randrange(60 * DAY))
        line = event_line(auth="Logged In", userId=str(number), registration=registration, **name, **place)
        level, changes = LEVEL_STORIES[rank % len(LEVEL_STORIES)]
        yield line, level, [(FIRST_DAY - EPOCH).days + int(order.days * part) for part in changes]


class Service:
    """The music service: who comes and what is played. Keeps the level of every user from day to day."""

    def __init__(self, order: argparse.Namespace, songs: list[Song], advance: Callable[[int], None]) -> None:
        self.advance = advance
        self.rng = rng = Random(f"{order.seed} events")
        self.guest = event_line(auth="Logged Out", userId="")
        elsewhere, crowd = list(tunes_elsewhere(rng, songs)), list(members(order))
        known = [tune(song["artist_name"], song["title"], song["duration"]) for song in rng.sample(songs, len(songs))]
        self.known_tune, self.other_tune = heavy_tail(rng, known or elsewhere), heavy_tail(rng, elsewhere)
        self.next_member, self.sessions = heavy_tail(rng, [line for line, _, _ in crowd]), 0
        self.level = {line: level for line, level, _ in crowd}
        self.changes = {line: days for line, _, days in crowd}

    def visit(self, day: int, second: int, length: int) -> Iterator[Event]:
        """Yield the events of one visit. A change of level that is due opens it."""
        self.advance(length)
        rng, member = self.rng, self.next_member()
        level, changes = self.level[member], self.changes[member]
        self.sessions = session = self.sessions + 1
        millisecond = 796 if session % 10 else session % 1000  # nearly always .796, as in the real logs
        signing_in = [("Home", member), ("Login", self.guest), ("Home", self.guest)]
        coming = signing_in[: rng.choice((0, 0, 0, 0, 0, 1, 1, 1, 3, 3))]
        if changes and changes[-1] <= day and length > 1:
            changes.pop()
            coming = [(LEVEL_CHANGES[level][0], member)]
        for item in range(length):
            page = "NextSong" if rng.random() < PLAY_SHARE else rng.choice(PAGES_OF_LEVEL[level])
            page, line = coming.pop() if coming else (page, member)
            next_tune = self.known_tune if rng.random() < MATCHED_SHARE else self.other_tune
            played = next_tune() if page == "NextSong" else SILENCE
            yield (day * DAY + second) * 1000 + millisecond, session, item, level, page, played, line
            second += played[3] or rng.choice((0, 1, 5, 20, 60))
            if page == "Logout":
                coming = signing_in.copy()
            elif page == LEVEL_CHANGES[level][0]:
                level = self.level[member] = LEVEL_CHANGES[level][1]

    def events(self, day: int, wanted: int) -> list[Event]:
        """Return as many events of the day (counted from 1970) as wanted, in the order of time."""
        rng, visits = self.rng, []
        while wanted > 0:
            length = min(wanted, LONGEST_VISIT, int(2 / (1 - rng.random())) - 1)
            wanted -= length
            hour = bisect(HOUR_EDGES, rng.random() * HOUR_EDGES[-1])
            visits.append((min(3600 * hour + rng.randrange(3600), DAY - 1 - LONGEST_TUNE * length), length))
        return sorted(event for second, length in sorted(visits) for event in self.visit(day, second, length))


def files(order: argparse.Namespace, advance: Callable[[int], None]) -> Iterator[tuple[str, Iterable[str]]]:
    """Yield path and text of every file; the events of one day at a time are in memory."""
    songs = list(catalogue(order))
    for number in range(len(songs)):
        advance(1)
        together = songs[number : number + (2 if number + 1 == SHARES_A_FILE else 1)]
        texts = [json.dumps(song, indent=4 if number == PRETTY_PRINTED else None) for song in together]
        if number != SHARES_A_FILE:
            track = made_up_id("TRA", "128", number)
            yield f"song_data/{track[2]}/{track[3]}/{track[4]}/{track}.json", ["\n".join(texts)]
    service, days = Service(order, songs, advance), [FIRST_DAY + timedelta(number) for number in range(order.days)]
    edges = [0, *accumulate(WEEKDAY_WEIGHTS[day.weekday()] * service.rng.randint(80, 120) for day in days)]
    for day, (before, after) in zip(days, pairwise(order.events * edge // edges[-1] for edge in edges), strict=True):
        if after > before:
            yield (
                f"log_data/{day:%Y/%m/%Y-%m-%d}-events.json",
                lines(service.events((day - EPOCH).days, after - before)),
            )


def lines(events: list[Event]) -> Iterator[str]:
    """Yield the events in JSON, one a line, without a newline at the end."""
    newline = ""
    for ts, session, item, level, page, (artist, title, length, _), line in events:
        method, status = ANSWERS.get(page, ("GET", 200))
        yield newline + line % (artist, item, length, level, method, page, session, title, status, ts)
        newline = "\n"


def write(order: argparse.Namespace, folder: Path, advance: Callable[[int], None]) -> dict[str, list[int]]:
    """Write the sample into a new folder and return the sizes of the files, in song_data and in log_data."""
    sizes: dict[str, list[int]] = {"song_data": [], "log_data": []}
    for kind in sizes:
        (folder / kind).mkdir(parents=True)
    for path, pieces in files(order, advance):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with (folder / path).open("w", encoding="ascii", newline="") as file:
            file.writelines(pieces)
            sizes[path.split("/")[0]].append(file.tell())
    return sizes


def main(argv: Sequence[str] | None = None) -> int:
    """Make the sample beside the target, then move it there."""
    order = parser().parse_args(argv)
    console, target = Console("make_sample", order, argv or ()), order.target.resolve()
    unfinished = target.with_name(f"{target.name}.partial-{os.getpid()}")
    try:
        refuse(order, console.call)
        console.title(f"{order.target}: {count(order.songs, 'song')}, {count(order.events, 'event')}")
        with console.progress("making", order.songs + order.events, "records") as advance:
            songs, logs = write(order, unfinished, advance).values()
        for kind in ("song_data", "log_data") if target.exists() else (".",):
            (unfinished / kind).replace(target / kind)
    except OSError as error:
        import tempfile  # not at the top: --help does not need it

        other = Path(tempfile.gettempdir(), target.name)
        hint = console.call.instead(str(order.target), str(other))
        raise EnvironmentFailure(f"{target} cannot be written", evidence=str(error), hint=hint) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    sizes = {"songs": order.songs, "events": order.events, "files": len(songs + logs), "bytes": sum(songs + logs)}
    written = f"{count(order.songs, 'song')} in {count(len(songs), 'file')}, {count(order.events, 'event')} in {count(len(logs), 'file')}"
    console.result(f"{order.target}: {written}, {sizes['bytes'] / 1e6:.1f} MB in {seconds(console.elapsed)}")
    console.finish({**sizes, "seconds": round(console.elapsed, 3)})
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
