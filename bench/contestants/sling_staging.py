"""Staging by Sling into PostgreSQL, and no star: the SQL that its users write next is not included.

python bench/contestants/sling_staging.py HOST PORT USER DATABASE DATA        fills the schema sling

A folder a run, flattened, as its documentation shows for files of JSON lines; it finds the types itself. PostgreSQL and
not DuckDB, as it would fetch DuckDB's own program from GitHub when it first runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlencode

from sling_linux_amd64 import SLING_BIN

OPTIONS = {"format": "jsonlines", "flatten": True}


def main() -> None:
    """Stage everything."""
    host, port, user, database, data = sys.argv[1:]
    target = f"postgresql://{user}@/{database}?{urlencode({'host': host, 'port': port, 'sslmode': 'disable'})}"
    with tempfile.TemporaryDirectory() as home:
        env = os.environ | {"SLING_DISABLE_TELEMETRY": "true", "SLING_HOME_DIR": home}
        for folder, table in (("song_data", "songs"), ("log_data", "events")):
            source = ["--src-stream", f"file://{Path(data, folder)}/", "--src-options", json.dumps(OPTIONS)]
            goal = ["--tgt-conn", target, "--tgt-object", f"sling.{table}", "--mode", "full-refresh"]
            subprocess.run([SLING_BIN, "run", *source, *goal], env=env, check=True)


if __name__ == "__main__":
    main()
