"""How the text of a setting is read."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dwh.settings.secrets import Secret
from dwh.terminal.errors import WrongValue

_UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}

# A parser gets the text and the folder that relative paths start from; it raises ValueError with the expected form.
Parse = Callable[[str, Path], Any]


def read_text(text: str, _folder: Path) -> str:
    """Give the text as it is."""
    return text


def read_secret(text: str, _folder: Path) -> Secret:
    """Give the text as a secret, which no output shows."""
    return Secret(text)


def read_integer(text: str, _folder: Path) -> int:
    """Read a whole number."""
    if not re.fullmatch(r"[0-9]+", text):
        raise ValueError("a whole number")
    return int(text)


def read_positive(text: str, folder: Path) -> int:
    """Read a whole number above 0."""
    if read_integer(text, folder) == 0:
        raise ValueError("a whole number above 0")
    return int(text)


def read_seconds(text: str, _folder: Path) -> float:
    """Read a number of seconds above 0."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) or not float(text):
        raise ValueError("a number of seconds above 0")
    return float(text)


def read_optional_integer(text: str, folder: Path) -> int | None:
    """Read a whole number; None for `off`."""
    return None if text.lower() in ("", "off") else read_integer(text, folder)


def read_ratio(text: str, _folder: Path) -> float:
    """Read a number from 0 to 1."""
    if not re.fullmatch(r"0(\.[0-9]+)?|1(\.0+)?", text):
        raise ValueError("a number from 0 to 1")
    return float(text)


def read_boolean(text: str, _folder: Path) -> bool:
    """Read yes or no."""
    if text.lower() not in ("yes", "no", "true", "false", "on", "off", "1", "0"):
        raise ValueError("yes or no")
    return text.lower() in ("yes", "true", "on", "1")


def read_size(text: str, _folder: Path) -> int:
    """Read a number of bytes, with or without a unit."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([a-z]*)", text.lower())
    if not match or match[2] not in _UNITS or not float(match[1]):
        raise ValueError("a size such as 500 MB or 2 GiB")
    return int(float(match[1]) * _UNITS[match[2]])


def read_patterns(text: str, _folder: Path) -> tuple[str, ...]:
    """Read shell patterns of file names, separated by blanks."""
    patterns = tuple(text.split())
    for pattern in patterns:
        if "/" in pattern or pattern.endswith(",") or pattern[0] in "._":
            raise ValueError("shell patterns of file names, separated by blanks (names with . or _ first stay hidden)")
    return patterns


def read_catalogue_name(text: str, _folder: Path) -> str:
    """Read the name of a database of AWS Glue."""
    # Glue stores names in lower case, and Athena takes no other characters
    if not re.fullmatch(r"[a-z0-9_]{0,255}", text):
        plain = re.sub(r"[^a-z0-9_]", "_", text.lower())[:255]
        raise WrongValue("a name of lower-case letters, digits and _, at most 255 of them", plain)
    return text


def read_command(text: str, folder: Path) -> tuple[str, ...]:
    """Read a command as a shell would, and run none: a program with a / in it is a path that starts at the folder."""
    try:
        words = shlex.split(text)
    except ValueError:
        raise ValueError("a command, with every quote closed") from None
    if words and ("/" in words[0] or words[0].startswith("~")):
        words[0] = os.path.join(folder, os.path.expanduser(words[0]))
    return tuple(words)


def one_of(*choices: str) -> Parse:
    """Give a parser that takes one of these words."""

    def parse(text: str, _folder: Path) -> str:
        if text.lower() not in choices:
            raise ValueError(" or ".join(filter(None, choices)))
        return text.lower()

    return parse
