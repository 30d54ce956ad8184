"""Run the commands that pages show, and write what they print now below each, where the page shows something else.

  python docs/write_output.py docs/how-to/care.md    write this page again

A command whose output the page shortens by `...` is not changed, and is named. Read what changed before you commit it.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from doc_console import copy_for, with_output  # noqa: E402
from doc_pages import commands  # noqa: E402
from postgres_server import start_server  # noqa: E402


def main(names: list[str]) -> None:
    """Write these pages again."""
    for name in names:
        path = Path(name)
        page = path.read_text(encoding="utf-8")
        with copy_for(page, start_server) as copy:
            path.write_text(with_output(page, copy.run(commands(page))), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
