"""UNLOAD: Redshift itself writes Parquet to S3, each slice its own files.

[D23] dg/r_UNLOAD.html. The prefix is always new, so nothing is overwritten and the role needs no right to delete.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dwh.seam import Extract, Piece, Written
from dwh.sources.buckets import Buckets, S3Path
from dwh.sources.files import SCHEME
from dwh.terminal.errors import EnvironmentFailure

if TYPE_CHECKING:
    from dwh.seam import Row

LARGEST_FILE = "256 MB"
Run = Callable[[str, Sequence[object]], tuple[int, list["Row"]]]


class Unload(NamedTuple):
    """What every UNLOAD needs: `run` runs a statement, `buckets` read the manifest, `role` is the ARN of the role that
    writes, or `default`."""

    run: Run
    buckets: Buckets
    role: str

    def whole(self, extract: Extract, target: str) -> list[Written]:
        """Write the rows of a query below an S3 prefix."""
        folders = f"PARTITION BY ({', '.join(extract.partition_by)}) " if extract.partition_by else ""
        return self._write(extract, extract.query, folders, f"{target}/")

    def piece(self, extract: Extract, query: str, piece: Piece, target: str) -> list[Written]:
        """Write the rows of a piece, which `query` selects, directly below an S3 prefix.

        PARALLEL OFF: only then are the rows sorted across files, and a small piece is one file. UNLOAD refuses a prefix
        that has objects; with the dot after the name, files of the piece 2018-11-30 do not block the piece 2018-11.
        """
        written = self._write(extract, query, "PARALLEL OFF ", f"{target}/{piece.name}.")
        return [file._replace(path=f"{piece.name}.{file.path}") for file in written]

    def _write(self, extract: Extract, query: str, options: str, prefix: str) -> list[Written]:
        """Run UNLOAD and give the files that its manifest lists, by their names after the prefix; none for no rows.

        That manifest is then removed: Athena and Spark would read it as one of the files.
        """
        place = S3Path(*prefix.removeprefix(SCHEME).split("/", 1))
        region = str(self.buckets.open(place.bucket).config["region"])
        named = self.role != "default"
        order = ", ".join(f"{column} NULLS LAST" for column in extract.order_by)
        self.run(
            f"UNLOAD (%s) TO %s IAM_ROLE {'%s' if named else 'default'} FORMAT AS PARQUET {options}"
            f"MANIFEST VERBOSE MAXFILESIZE {LARGEST_FILE} REGION %s",
            (f"{query.strip()}\nORDER BY {order}", prefix, *((self.role,) if named else ()), region),
        )
        (unloaded,) = self.run("SELECT pg_last_unload_count()", ())[1][0]
        if not unloaded:
            # then there is no manifest [G aws/aws-sdk-pandas#2052, spark-redshift-community/spark-redshift#40]
            return []
        manifest = json.loads(_take(self.buckets, S3Path(place.bucket, f"{place.key}manifest")))
        entries = manifest.get("entries") or []
        written = [Written(entry["url"].removeprefix(prefix), entry["meta"]["record_count"]) for entry in entries]
        if unloaded != sum(file.rows for file in written):
            raise EnvironmentFailure(
                f"UNLOAD of {extract.table} wrote {unloaded:,} rows, its manifest lists "
                f"{sum(file.rows for file in written):,}",
                evidence="the lake was not changed",
                hint="the same command again; if it fails again, report it",
            )
        return written


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
