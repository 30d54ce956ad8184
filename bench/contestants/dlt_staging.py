"""Staging by dlt into DuckDB, and no star: the SQL that its users write next is not included.

python bench/contestants/dlt_staging.py DATA OUT        makes events and songs in the schema staging of
                                                        OUT/dlt.duckdb
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
from files import files_of, song_lines

PAGE = 10_000  # records given to dlt at once


def pages(lines: Iterator[bytes]) -> Iterator[list[dict[str, Any]]]:
    """Give records in lists of many."""
    page = []
    for line in lines:
        page.append(json.loads(line))
        if len(page) == PAGE:
            yield page
            page = []
    yield page


def event_lines(folder: Path) -> Iterator[bytes]:
    """Give the lines of every log file."""
    for path in files_of(folder):
        with open(path, "rb") as file:
            yield from file


def main() -> None:
    """Stage everything."""
    data, out = (Path(argument) for argument in sys.argv[1:])
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(out / "pipelines"),
        destination=dlt.destinations.duckdb(str(out / "dlt.duckdb")),
        dataset_name="staging",
    )
    songs = (line for lines in song_lines(data / "song_data") for line in lines.splitlines())
    pipeline.run(
        [
            dlt.resource(pages(songs), name="songs"),
            dlt.resource(pages(event_lines(data / "log_data")), name="events"),
        ]
    )


if __name__ == "__main__":
    main()
