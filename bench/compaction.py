"""The cost on this machine, before COPY, of each MB that goes to Redshift: the file's id into each record, then zstd.

  .venv/bin/python bench/compaction.py --data big       of a folder with log_data and song_data; no network
  .venv/bin/python bench/compaction.py --data big --rounds 5    the best of five

Prints MB of JSON a CPU second for the spool (dwh/spool/spool.py) of log files and of song files, for packing
(dwh/engines/redshift/packing.py) and for both together, and what share of the bytes is left. `clock_mb_a_s` is by the
clock, with what is complete packed on other cores while the next is spooled, as a load does it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from dwh.engines.redshift.packing import ZstdPacker, cut, number_of_pieces, pack  # noqa: E402
from dwh.sources.files import SourceFile  # noqa: E402
from dwh.sources.flights import in_threads  # noqa: E402
from dwh.sources.folders import list_files  # noqa: E402
from dwh.spool.folder import open_spool  # noqa: E402
from dwh.spool.small_files import IncomingFile  # noqa: E402
from star.refusals import record_rules  # noqa: E402

SLICES = 4


def spool_files(kind: str, files: Sequence[SourceFile], packer: ZstdPacker | None) -> Iterator[list[str]]:
    """Spool files, and give the paths of the spool while they are there."""
    incoming = [IncomingFile(number, kind, file) for number, file in enumerate(files)]
    with open_spool(record_rules(lenient=False), in_place=False, packer=packer) as spools:
        spool = spools.start((kind, file) for file in files)
        small = spool.add_small(incoming, lambda _: None)
        for file in incoming:
            if file.file_id not in small:
                spool.add(file, carefully=False)
        yield [part.path for part in spool.parts(kind)]


def measure(kind: str, folder: Path) -> Mapping[str, float]:
    """Spool and pack the files of a folder: first one after the other, then both at once."""
    files = list_files(str(folder), "--data").files
    started = time.process_time()
    for (path,) in spool_files(kind, files, None):
        spooled = time.process_time() - started
        size = Path(path).stat().st_size
        pieces = cut(path, number_of_pieces(size, SLICES))
        packed = sum(len(one.body) for one in in_threads(pack, pieces)) / 1e6
        taken = time.process_time() - started
    packer, began = ZstdPacker(SLICES), time.monotonic()
    for paths in spool_files(kind, files, packer):
        bodies = [one.body for one in in_threads(lambda ready: ready(), packer.pieces_of(paths))]
        clock = time.monotonic() - began
    packer.forget()
    read = sum(file.size for file in files) / 1e6
    return {
        "files": len(files),
        "mb": read,
        "spool_mb_a_s": read / spooled,
        "spool_us_a_file": spooled / len(files) * 1e6,
        "pack_mb_a_s": size / 1e6 / (taken - spooled),
        "both_mb_a_s": read / taken,
        "clock_mb_a_s": read / clock,
        "packed_share": packed / read,
        "objects": len(bodies),
    }


def main() -> int:
    """Measure both kinds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    found = {
        kind: max((measure(kind, given.data / folder) for _ in range(given.rounds)), key=lambda one: one["both_mb_a_s"])
        for kind, folder in (("events", "log_data"), ("songs", "song_data"))
    }
    for kind, one in found.items():
        print(kind, "  ".join(f"{key} {value:.3g}" for key, value in one.items()), file=sys.stderr)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
