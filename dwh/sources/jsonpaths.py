"""JSONPaths files, which tell Redshift's COPY which key goes to which column. The suite writes its own for every load,
so the file of a user only has to agree with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from dwh.sources.files import is_remote
from dwh.sources.objects import read_beginning
from dwh.terminal.errors import ConfigError

if TYPE_CHECKING:
    from dwh.sources.buckets import Buckets

# Exactly this: with another key, COPY silently maps by column name [D23 dg/copy-parameters-data-format.html].
PATHS = "jsonpaths"
EMPTY = "[S3] LOG_JSONPATH =     (empty: the suite writes its own)"


def write_paths(keys: Iterable[str]) -> bytes:
    """Give a JSONPaths file of these keys, in the order of their columns."""
    return json.dumps({PATHS: [f"$['{key}']" for key in keys]}).encode()


def check_paths(buckets: Buckets, location: str, keys: Iterable[str]) -> None:
    """Make sure that a JSONPaths file, here or in S3, names all the keys of a record; it may name more.

    Raises ConfigError when it does not, or is not a JSONPaths file: COPY with a misspelt path, or with a misspelt
    `jsonpaths`, silently loads NULLs [D23 dg/copy-parameters-data-format.html].
    """
    named = _named_keys(_read(buckets, location))
    if named is None:
        raise ConfigError(
            f"[S3] LOG_JSONPATH: {location} is not a JSONPaths file",
            evidence='it must be {"jsonpaths": ["$[\'key\']", ...]}',
            hint=EMPTY,
        )
    missing = [key for key in keys if key not in named]
    if missing:
        raise ConfigError(
            f"[S3] LOG_JSONPATH: {location} names no path for {', '.join(missing)}",
            evidence="Redshift would silently leave these columns empty; upper and lower case matter",
            hint=EMPTY,
        )


def _read(buckets: Buckets, location: str) -> bytes:
    try:
        return read_beginning(buckets, location) if is_remote(location) else Path(location).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"[S3] LOG_JSONPATH: {location} cannot be read",
            evidence=error.strerror or "there is no such object",
            hint=EMPTY,
        ) from None


def _named_keys(content: bytes) -> set[str] | None:
    """Give the keys that a JSONPaths file names; None when it is none."""
    try:
        held = json.loads(content)
    except (ValueError, RecursionError):
        return None
    paths = held.get(PATHS) if isinstance(held, dict) else None
    if not isinstance(paths, list):
        return None
    found = (_PATH.fullmatch(path) for path in paths if isinstance(path, str))
    return {match[1] or match[2] or match[3] for match in found if match}


_PATH = re.compile(r"""\$\['([^']+)'\]|\$\["([^"]+)"\]|\$\.(\w+)""")
