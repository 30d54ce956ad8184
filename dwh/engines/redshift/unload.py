"""UNLOAD: Redshift itself writes Parquet to S3, each slice its own files.

[D23] dg/r_UNLOAD.html. The prefix is always new, so nothing is overwritten and the role needs no right to delete.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from dwh.seam import Extract, Written
from dwh.sources.buckets import Buckets, S3Path, split
from dwh.terminal.errors import EnvironmentFailure

if TYPE_CHECKING:
    from dwh.seam import Row

LARGEST_FILE = "256 MB"
Run = Callable[[str, Sequence[object]], tuple[int, list["Row"]]]


def unload(run: Run, buckets: Buckets, role: str, extract: Extract, target: str) -> Iterator[Written]:
    """Write the rows of a query below an S3 prefix, and give the files that UNLOAD's manifest lists.

    That manifest is then removed: Athena and Spark would read it as one of the files.
    """
    place = split(target)
    prefix = f"{target}/"
    region = str(buckets.open(place.bucket).config["region"])
    named = role != "default"
    folders = f"PARTITION BY ({', '.join(extract.partition_by)}) " if extract.partition_by else ""
    order = ", ".join(f"{column} NULLS LAST" for column in extract.order_by)
    run(
        f"UNLOAD (%s) TO %s IAM_ROLE {'%s' if named else 'default'} FORMAT AS PARQUET {folders}"
        f"MANIFEST VERBOSE MAXFILESIZE {LARGEST_FILE} REGION %s",
        (f"{extract.query.strip()}\nORDER BY {order}", prefix, *((role,) if named else ()), region),
    )
    manifest = S3Path(place.bucket, f"{place.key}/manifest")
    entries = json.loads(_take(buckets, manifest)).get("entries", [])
    (unloaded,) = run("SELECT pg_last_unload_count()", ())[1][0]
    written = [Written(entry["url"].removeprefix(prefix), entry["meta"]["record_count"]) for entry in entries]
    if unloaded != sum(file.rows for file in written):
        raise EnvironmentFailure(
            f"UNLOAD of {extract.table} wrote {unloaded:,} rows, its manifest lists "
            f"{sum(file.rows for file in written):,}",
            evidence="the lake was not changed",
            hint="the same command again; if it fails again, report it",
        )
    yield from written


def _take(buckets: Buckets, path: S3Path) -> bytes:
    """Get an object, and delete it. Raises EnvironmentFailure when it is not there."""
    import obstore

    store = buckets.open(path.bucket)
    try:
        body = buckets.ask("GetObject", path, lambda: bytes(obstore.get(store, path.key).bytes()))
    except FileNotFoundError:
        raise EnvironmentFailure(f"UNLOAD wrote no manifest to {path}", hint="report this") from None
    buckets.ask("DeleteObject", path, lambda: obstore.delete(store, path.key))
    return body
