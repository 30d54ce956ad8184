"""Read many tiny files in one of several ways; bench/run.py runs this as a separate process.

python bench/song_files.py WAY FOLDER        prints seconds, CPU seconds and records as one JSON object

  bare               list, open, read, write: every file into one
  spool              dwh/sources and dwh/spool: fingerprints, what is no plain object a line, the file's id
  spool_and_read     the same, then DuckDB reads the spool file
  read_json          DuckDB reads the list of files, columns declared

What is imported beforehand is not counted.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

import duckdb  # noqa: E402

import sql_queries as q  # noqa: E402
from dwh.sources.folders import list_files  # noqa: E402
from dwh.spool.folder import open_spool  # noqa: E402
from dwh.spool.small_files import IncomingFile  # noqa: E402
from star.ingestion import KEYS  # noqa: E402
from star.refusals import record_rules  # noqa: E402

WAYS = ("bare", "spool", "spool_and_read", "read_json")
READ = "SELECT COUNT(*), MAX(title), MAX(artist_name) FROM read_json(?, format = ?, columns = ?)"


def bare(folder: Path, spool: Path) -> int:
    """Copy every file into one."""
    folders, files = [str(folder)], 0
    with spool.open("wb", buffering=1024 * 1024) as target:
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir():
                        folders.append(entry.path)
                        continue
                    with open(entry.path, "rb", buffering=0) as source:
                        target.write(source.read() + b"\n")
                    files += 1
    return files


def ours(folder: Path, *, read: bool) -> int:
    """Bring every file into a spool, as a load does; `read` it by DuckDB too."""
    with open_spool(record_rules(lenient=True)) as spools:
        spool = spools.start()
        files = enumerate(list_files(str(folder), "[S3] SONG_DATA").files)
        records = sum(spool.add_small((IncomingFile(n, "songs", file) for n, file in files), lambda _: None).values())
        (part,) = spool.parts("songs")
        if read:
            records = read_files([part.path], "newline_delimited", dict.fromkeys(KEYS["songs"], "VARCHAR"))
        return records


def read_files(paths: list[str], form: str, columns: dict[str, str]) -> int:
    """Read files by DuckDB; gives the number of records."""
    with duckdb.connect(config={"preserve_insertion_order": False}) as connection:
        return int(connection.execute(READ, [paths, form, columns]).fetchall()[0][0])


def main() -> None:
    """Go one way, and print what it took."""
    way, folder = sys.argv[1], Path(sys.argv[2])
    started, cpu = time.perf_counter(), time.process_time()
    if way == "bare":
        with tempfile.TemporaryDirectory() as scratch:
            records = bare(folder, Path(scratch) / "spool.json")
    elif way == "read_json":
        paths = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]
        records = read_files(paths, "unstructured", dict.fromkeys(q.SONG_KEYS, "VARCHAR"))
    else:
        records = ours(folder, read=way == "spool_and_read")
    taken = {"wall": time.perf_counter() - started, "cpu": time.process_time() - cpu, "records": records}
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
