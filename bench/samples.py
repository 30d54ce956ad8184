"""The data of the bench: samples of six sizes in the real format, made once and used again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench" / "contestants")]

from files import files_of, song_lines  # noqa: E402

# songs, events, days (one log file a day), users
SIZES = {
    "S": (71, 8_000, 30, 100),
    "M": (15_000, 1_000_000, 100, 10_000),
    "L": (100_000, 20_000_000, 200, 100_000),
    "60k": (60_000, 8_000, 30, 100),
    "200k": (200_000, 8_000, 30, 100),
    "X": (1_000_000, 8_000, 30, 100),
}


class Sample(NamedTuple):
    """A folder with log_data and song_data: how many files and bytes there are."""

    folder: Path
    log_files: int
    log_bytes: int
    song_files: int
    song_bytes: int

    @property
    def size(self) -> int:
        """All of its bytes."""
        return self.log_bytes + self.song_bytes


class Records(NamedTuple):
    """How many records the files of a sample hold."""

    events: int
    songs: int


def make_sample(size: str, folder: Path) -> Sample:
    """Make the data of a size, unless the folder has some."""
    return look_at(folder) if (folder / "log_data").is_dir() else make_data(folder, *SIZES[size])


def make_data(folder: Path, songs: int, events: int, days: int, users: int) -> Sample:
    """Make so many songs and events by make_sample.py."""
    numbers = {"--songs": songs, "--events": events, "--days": days, "--users": users}
    flags = [text for flag, number in numbers.items() for text in (flag, str(number))]
    subprocess.run([sys.executable, str(ROOT / "make_sample.py"), "-q", *flags, str(folder)], check=True)
    return look_at(folder)


def look_at(folder: Path) -> Sample:
    """Count the files and bytes of existing data."""
    found = [[path.stat().st_size for path in (folder / kind).rglob("*.json")] for kind in ("log_data", "song_data")]
    logs, songs = found
    return Sample(folder, len(logs), sum(logs), len(songs), sum(songs))


def count_records(sample: Sample) -> Records:
    """Count the records of existing data, by reading all of it."""
    events = 0
    for path in files_of(sample.folder / "log_data"):
        with open(path, "rb") as file:
            events += sum(1 for line in file if line.strip())
    songs = sum(len(lines.splitlines()) for lines in song_lines(sample.folder / "song_data"))
    return Records(events, songs)


def make_part(sample: Sample, share: float, folder: Path) -> Sample:
    """Make a smaller one of the first files of a sample, at least one of each kind: by hard links where the file system
    can, which cost as much to list and read as the files themselves, else by symbolic ones."""
    for kind in ("log_data", "song_data"):
        paths = sorted((sample.folder / kind).rglob("*.json"))
        for path in paths[: max(1, round(len(paths) * share))]:
            copy = folder / path.relative_to(sample.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                copy.hardlink_to(path)
            except OSError:  # another file system
                copy.symlink_to(path)
    return look_at(folder)
