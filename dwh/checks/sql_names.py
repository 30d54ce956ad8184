"""Names that may become SQL: those of tables and columns, written in our own code."""

from __future__ import annotations

import re

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def listed(names: tuple[str, ...], form: str = "{}", between: str = ", ") -> str:
    """Write names one after the other, each in `form`, as in `e.{} ASC NULLS LAST`.

    Raises ValueError for what is no plain lower-case name, so that no other text becomes SQL.
    """
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a name of a table or a column: {name!r}")
    return between.join(form.format(name) for name in names)
