"""Run a script that is killed when COPY is about to read events: a kill leaves no time to tidy up.

python killed.py script.py ARGUMENTS...
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dwh.engines.redshift.session import RedshiftSession
from dwh.terminal import console


def main() -> int:
    """Put the kill in place, and run the script as Python would."""
    sys.argv = sys.argv[1:]
    copy = RedshiftSession._copy

    def killed(session: RedshiftSession, table: str, *rest: Any) -> None:
        if table == "incoming_events":
            os.kill(os.getpid(), signal.SIGKILL)
        copy(session, table, *rest)

    setattr(RedshiftSession, "_copy", killed)  # noqa: B010
    return console.run(importlib.import_module(Path(sys.argv[0]).stem).main)


if __name__ == "__main__":
    raise SystemExit(main())
