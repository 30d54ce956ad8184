"""Files that others read at any time: replaced at once, and readable for all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_at_once(target: Path, text: str) -> None:
    """Replace a file by one that is whole. Raises OSError; the old file stays then, and nothing beside it."""
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, target)
    finally:
        with suppress(OSError):
            unfinished.unlink()
