"""How texts, numbers, durations and paths are written for people, and what is never shown."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_known: set[str] = set()
SHORTEST_MASKED = 4


def mask(value: str) -> None:
    """Show *** instead of a value from now on. Shorter values than four characters are left: they are in every text."""
    if len(value) >= SHORTEST_MASKED:
        _known.add(value)


def masked(text: str) -> str:
    """Give the text with every known secret replaced by ***: the second safeguard, for texts that drivers wrote."""
    for value in _known:
        if value in text:
            text = text.replace(value, "***")
    return text


def printable(text: object) -> str:
    """Give a text that is safe on a terminal: control and escape characters that came with data are spelt out."""
    line = masked(str(text))
    return (
        line
        if line.isprintable()
        else "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in line)
    )


def count(number: int, thing: str) -> str:
    """Write a number and its noun: `1 file`, `8,056 files`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def seconds(duration: float) -> str:
    """Write a duration for people: `0.3s`, `12.4s`, `5m 48s`."""
    return f"{duration:.1f}s" if duration < 60 else f"{int(duration // 60)}m {int(duration % 60):02d}s"


def megabytes(size: int) -> str:
    """Write a number of bytes for people: `85.3 kB`, `1,204.7 MB`."""
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size / 1e3:,.1f} kB"


def near(path: Path) -> str:
    """Give a path as a person would: relative when it lies below this folder."""
    with suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
