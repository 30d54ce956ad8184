"""UNLOAD to Parquet on S3 as Redshift runs it: names, folders of partitions, manifest, what it refuses to overwrite.

Source: [D23] dg/r_UNLOAD.html; the manifest also in dg/loading-data-files-using-manifest.html. Text and JSON formats
are Redshift's, and refused as the stand-in's limit. Timestamps are what DuckDB writes: Redshift's are [U].

A query without rows writes no object at all, no manifest either, since October 2019 [G aws/aws-sdk-pandas#2052, #114,
spark-redshift-community/spark-redshift#40; #114 waits for the manifest in vain].
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from redshift.dialect import translate
from redshift.refusals import UNSUPPORTED, at_top
from redshift.s3 import failure, split_url
from redshift.sql_tokens import SYNTAX, Words, tokens_of, words
from redshift.wire import Column, SqlError

if TYPE_CHECKING:
    import duckdb

    from redshift.session import Session

SLICES = 2
NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
# PostgreSQL's numbers of types, as Parquet has them. 705 is a literal whose type nothing decides.
_TYPES = {16: "BOOLEAN", 20: "BIGINT", 21: "SMALLINT", 23: "INTEGER", 700: "REAL", 701: "DOUBLE", 1082: "DATE"}
_TYPES |= {1114: "TIMESTAMP", 1184: "TIMESTAMP", 25: "VARCHAR", 705: "VARCHAR", 1042: "VARCHAR", 1043: "VARCHAR"}
_NOT_HERE = words("CSV JSON HEADER DELIMITER FIXEDWIDTH ENCRYPTED BZIP2 GZIP ZSTD ADDQUOTES NULL ESCAPE KMS_KEY_ID")


@dataclass
class Unload:
    """An UNLOAD statement, read."""

    query: str
    target: str
    role: str = ""
    region: str = ""
    parquet: bool = False
    partitions: list[str] = field(default_factory=list)
    include: bool = False
    manifest: bool = False
    verbose: bool = False
    overwrite: bool = False
    clean: bool = False
    parallel: bool = True

    @property
    def prefix(self) -> str:
        """What all names begin with: PARTITION BY adds a slash."""
        return self.target + "/" if self.partitions and not self.target.endswith("/") else self.target


class Written(NamedTuple):
    """One file that was written."""

    url: str
    size: int
    rows: int


def read_unload(sql: str) -> Unload:
    """Read an UNLOAD statement. Raises SqlError for what Redshift does not take, or the stand-in cannot do."""
    clause = Words(tokens_of(sql)[1:])
    clause.need("(")
    query = clause.string()
    clause.need(")")
    clause.need("TO")
    unload = Unload(query, clause.string())
    split_url(unload.target)
    while clause:
        _option(unload, clause)
    if not unload.role:
        raise SqlError("XX000", "Credentials argument is not supplied: the stand-in takes IAM_ROLE")
    if not unload.parquet:
        raise SqlError(UNSUPPORTED, "the stand-in's UNLOAD writes Parquet only: Redshift would write text here")
    if unload.clean and unload.overwrite:
        raise SqlError(SYNTAX, "CLEANPATH and ALLOWOVERWRITE exclude each other")
    inner = tokens_of(query)
    if not inner or inner[0].upper not in ("SELECT", "WITH") or ";" in at_top(inner):
        raise SqlError(SYNTAX, "UNLOAD takes one SELECT")
    if "LIMIT" in at_top(inner):
        raise SqlError(UNSUPPORTED, "Limit clause is not supported in the outer SELECT of UNLOAD")
    return unload


def _option(unload: Unload, clause: Words) -> None:
    if clause.skip("IAM_ROLE"):
        unload.role = "default" if clause.skip("DEFAULT") else clause.string()
    elif clause.skip("FORMAT"):
        clause.skip("AS")
        clause.need("PARQUET")
        unload.parquet = True
    elif clause.skip("PARQUET"):
        unload.parquet = True
    elif clause.skip("PARTITION"):
        clause.need("BY")
        clause.need("(")
        unload.partitions = clause.names()
        unload.include = clause.skip("INCLUDE")
    elif clause.skip("MANIFEST"):
        unload.manifest, unload.verbose = True, clause.skip("VERBOSE")
    elif clause.skip("ALLOWOVERWRITE"):
        unload.overwrite = True
    elif clause.skip("CLEANPATH"):
        unload.clean = True
    elif clause.skip("PARALLEL"):
        unload.parallel = not clause.skip("OFF", "FALSE")
        clause.skip("ON", "TRUE")
    elif clause.skip("REGION"):
        clause.skip("AS")
        unload.region = clause.string()
    elif clause.skip("MAXFILESIZE", "ROWGROUPSIZE"):
        _size(clause)
    elif clause.peek().upper in _NOT_HERE:
        raise SqlError(UNSUPPORTED, f"{clause.peek().text} is not supported with PARQUET, or not by the stand-in")
    else:
        raise clause.error()


def _size(clause: Words) -> None:
    """Read a size; it cuts nothing here, where data is small."""
    clause.skip("AS")
    size = float(clause.next().text) * (1024 if clause.skip("GB") else 1)
    clause.skip("MB")
    if not 5 <= size <= 6.2 * 1024:
        raise SqlError("22023", "MAXFILESIZE is from 5 MB to 6.2 GB")


def run_unload(session: Session, sql: str) -> int:
    """Run UNLOAD in the session's transaction; gives the number of rows. Raises SqlError, and nothing is written then.

    Raises SqlError as well when the second of two files cannot be written: the first stays, as on Redshift [U].
    """
    unload = read_unload(sql)
    session.standin.check_role(unload.role)
    bucket, prefix = split_url(unload.prefix)
    store = session.standin.store
    store.check_region(bucket, unload.region)
    if not (unload.overwrite or unload.clean) and next(store.keys(bucket, prefix), None) is not None:
        raise failure(  # [G] text
            "Specified unload destination on S3 is not empty. Consider using a different bucket / prefix, manually"
            " removing the target files in S3, or using the ALLOWOVERWRITE option.",
            unload.target,
        )
    query = translate(unload.query, session.numbers)
    columns = session.backend.ask(f"SELECT * FROM ({query}) AS unloaded LIMIT 0").columns
    _check_columns(unload, columns)
    csv = session.backend.ask(f"COPY ({query}) TO STDOUT (FORMAT csv, FORCE_QUOTE *)").written
    with tempfile.TemporaryDirectory() as folder:
        files = list(_parquet(Path(folder), csv, columns, unload))
        if unload.clean:
            for place in {name.rpartition("/")[0] + "/" for name, *_ in files} if unload.partitions else {""}:
                for key in list(store.keys(bucket, prefix + place)):
                    store.remove(bucket, key)
        written = []
        for name, path, rows in files:
            session.check_cancelled()
            store.write(bucket, prefix + name, path.read_bytes())
            written.append(Written(f"s3://{bucket}/{prefix}{name}", path.stat().st_size, rows))
    if unload.manifest and written:
        store.write(bucket, prefix + "manifest", _manifest(written, columns, unload).encode())
    rows = sum(file.rows for file in written)
    session.numbers["pg_last_unload_id"] = session.numbers["pg_last_query_id"]
    session.numbers["pg_last_unload_count"] = rows
    return rows


def _check_columns(unload: Unload, columns: Sequence[Column]) -> None:
    names = [column.name for column in columns]
    missing = [name for name in unload.partitions if name not in names]
    if missing:
        raise SqlError("42703", f'column "{missing[0]}" of PARTITION BY is not in the query')
    if len(set(names)) < len(names):
        raise SqlError("42701", "a column is in the query twice")
    if unload.partitions and set(unload.partitions) == set(names):
        raise SqlError(UNSUPPORTED, "at least one column must not be a partition column")
    for column in columns:
        if column.type_oid not in _TYPES and column.type_oid != 1700:
            raise SqlError(UNSUPPORTED, f'the stand-in unloads no column of the type of "{column.name}"')
        if column.name in unload.partitions and column.type_oid == 701:
            raise SqlError(UNSUPPORTED, f'column "{column.name}" is DOUBLE PRECISION: not a partition key')


def _type(column: Column) -> str:
    if column.type_oid == 1700:
        size = column.modifier - 4
        return f"DECIMAL({size >> 16}, {size & 0xFFFF})" if size >= 0 else "DECIMAL(38, 0)"
    return _TYPES[column.type_oid]


def _parquet(folder: Path, csv: bytes, columns: Sequence[Column], unload: Unload) -> Iterator[tuple[str, Path, int]]:
    """Write the files of every partition and slice; gives name, file and rows of each."""
    import duckdb

    source = folder / "rows.csv"
    source.write_bytes(csv)
    with duckdb.connect() as connection:
        shape = ", ".join(f"{_quoted(column.name)} {_type(column)}" for column in columns)
        connection.execute(f"CREATE TABLE unloaded ({shape})")
        if csv:
            connection.execute(
                f"COPY unloaded FROM '{source}' (FORMAT csv, HEADER false, QUOTE '\"', ESCAPE '\"', NULLSTR '',"
                " ALLOW_QUOTED_NULLS false, AUTO_DETECT false, NEW_LINE '\\n', MAX_LINE_SIZE 16777216)"
            )
        for place, condition in _partitions(connection, unload):
            slices = SLICES if unload.parallel else 1
            for number in range(slices):
                mine = f"{condition} AND row_number % {slices} = {number}"
                rows = _count(connection, mine)
                if not rows:
                    continue
                name = place + (f"{number:04}_part_00.parquet" if unload.parallel else "000.parquet")
                path = folder / f"{len(list(folder.iterdir()))}.parquet"
                left = ["row_number", *(() if unload.include else unload.partitions)]
                without = ", ".join(map(_quoted, left))
                connection.execute(
                    f"COPY (SELECT * EXCLUDE ({without}) FROM {_NUMBERED} WHERE {mine} ORDER BY row_number)"
                    f" TO '{path}' (FORMAT parquet, COMPRESSION snappy)"
                )
                yield name, path, rows


_NUMBERED = "(SELECT *, rowid AS row_number FROM unloaded)"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _count(connection: duckdb.DuckDBPyConnection, condition: str) -> int:
    found = connection.execute(f"SELECT COUNT(*) FROM {_NUMBERED} WHERE {condition}").fetchone()
    return int(found[0]) if found else 0


def _partitions(connection: duckdb.DuckDBPyConnection, unload: Unload) -> Iterator[tuple[str, str]]:
    """Give folder and condition of every partition, `key=value/` in the order of PARTITION BY."""
    if not unload.partitions:
        yield "", "true"
        return
    keys = [f"CAST({_quoted(name)} AS VARCHAR)" for name in unload.partitions]
    for values in connection.execute(f"SELECT DISTINCT {', '.join(keys)} FROM unloaded ORDER BY ALL").fetchall():
        folders, conditions = [], []
        for name, key, value in zip(unload.partitions, keys, values, strict=True):
            folders.append(f"{name}={NULL_PARTITION if value is None else quote(value, safe=' :+-')}/")
            literal = "NULL" if value is None else "'" + value.replace("'", "''") + "'"
            conditions.append(f"{key} IS NOT DISTINCT FROM {literal}")
        yield "".join(folders), " AND ".join(conditions)


def _manifest(written: Sequence[Written], columns: Sequence[Column], unload: Unload) -> str:
    entries = [
        {"url": f.url, "meta": {"content_length": f.size} | ({"record_count": f.rows} if unload.verbose else {})}
        for f in written
    ]
    manifest: dict[str, object] = {"entries": entries}
    if unload.verbose:
        manifest["schema"] = {"elements": [{"name": c.name, "type": {"base": _type(c).lower()}} for c in columns]}
        manifest["meta"] = {
            "content_length": sum(f.size for f in written),
            "record_count": sum(f.rows for f in written),
        }
        manifest["author"] = {"name": "Amazon Redshift", "version": "1.0.0"}
    return json.dumps(manifest, indent=2)
