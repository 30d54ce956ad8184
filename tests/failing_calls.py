"""Do something at the so-manieth of the calls by which an export changes a disk."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

CALLS = ("os.fsync", "os.replace", "os.makedirs", "pathlib.Path.mkdir", "shutil.rmtree")


@contextmanager
def at_call(number: int, act: Callable[[], None]) -> Iterator[list[int]]:
    """For the block, act before that call; gives a list with an entry for each call so far."""
    from dwh.engines.duckdb.session import DuckDbSession

    made: list[int] = []

    def wrapped(original: Callable[..., Any], when: Callable[..., bool] = lambda *_: True) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if when(*args):
                made.append(1)
                if len(made) == number:
                    act()
            return original(*args, **kwargs)

        return call

    with ExitStack() as patches:
        for name in CALLS:
            module, _, function = name.rpartition(".")
            holder: Any = Path if module == "pathlib.Path" else importlib.import_module(module)
            patches.enter_context(patch.object(holder, function, wrapped(getattr(holder, function))))
        copies = wrapped(DuckDbSession.rows, lambda _session, sql, *_: sql.startswith("COPY"))
        patches.enter_context(patch.object(DuckDbSession, "rows", copies))
        yield made
