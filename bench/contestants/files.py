"""How every contestant finds its files, and gets the tiny song files, a few of them odd, into one of plain lines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path


def files_of(folder: Path) -> list[str]:
    """List the files below a folder."""
    return [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]


def song_lines(folder: Path) -> Iterator[bytes]:
    """Read every file below a folder; gives its content with every object on a line of its own."""
    for path in files_of(folder):
        with open(path, "rb", buffering=0) as file:
            yield one_object_a_line(file.read())


def join_files(folder: Path, target: Path) -> str:
    """Copy many small files into one; gives its path."""
    with target.open("wb", buffering=1024 * 1024) as file:
        file.writelines(song_lines(folder))
    return str(target)


def one_object_a_line(data: bytes) -> bytes:
    """Give the content of a file with every object on a line of its own."""
    data = data.strip()
    if data.count(b"\n{") == data.count(b"\n") and (data.count(b"\n") or data.count(b"}") == 1):
        return data + b"\n"
    text, objects = data.decode(), []
    while text:
        found, end = json.JSONDecoder().raw_decode(text)
        objects.append(json.dumps(found))
        text = text[end:].lstrip()
    return ("\n".join(objects) + "\n").encode()
