"""COPY from S3 as Redshift runs it: manifest and prefix, load errors, history.

Sources: [D23] copy-parameters-data-source-s3.html, loading-data-files-using-manifest.html, PG_LAST_COPY_ID.html; [D]
dg/SYS_LOAD_ERROR_DETAIL.html.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redshift import json_records as js
from redshift.copy_statement import PACKINGS, Copy, read_copy
from redshift.s3 import failure, split_url
from redshift.unpacking import unpack
from redshift.wire import IDLE, SqlError, literal

if TYPE_CHECKING:
    from redshift.session import Session


@dataclass
class Report:
    """What a load did: rows, errors, and what it read of each file."""

    query_id: int
    rows: int = 0
    errors: list[Mapping[str, Any]] = field(default_factory=list)
    files: list[tuple[str, int, int]] = field(default_factory=list)


class TooManyErrors(Exception):
    """As many errors as MAXERROR allows."""


def run_copy(session: Session, sql: str) -> list[str]:
    """Run COPY in the session's transaction, or in one of its own; gives the texts of the notices.

    Raises SqlError, and the table is as before. Load errors are on record then all the same.
    """
    copy = read_copy(sql)
    standin = session.standin
    targets = _targets(session, copy)
    standin.check_role(copy.role)
    paths = _paths(session, copy, [target.name for target in targets])
    files = list(_files(session, copy))
    report = Report(session.begin_copy())
    alone = session.backend.status == IDLE
    started = time.time()
    try:
        if alone:
            session.backend.ask("BEGIN")
        lines = _lines(session, copy, targets, paths, files, report)
        rows = list(lines)
        if "NOLOAD" not in copy.flags:
            columns = ", ".join(f'"{target.name}"' for target in targets)
            session.backend.copy_in(f"COPY {copy.table} ({columns}) FROM STDIN", rows)
        if alone:
            session.backend.ask("COMMIT")
    except TooManyErrors:
        if alone:
            session.backend.ask("ROLLBACK")
        _record(session, copy, report, started, "aborted")
        raise SqlError("XX000", f"Load into table '{_bare(copy.table)}' failed.  {_CHECK}") from None  # [G]
    except SqlError:
        if alone:
            session.backend.ask("ROLLBACK")
        _record(session, copy, report, started, "aborted")
        raise
    session.copied(0 if "NOLOAD" in copy.flags else report.rows)
    _record(session, copy, report, started, "completed")
    return list(_notices(copy, report))


def _notices(copy: Copy, report: Report) -> Iterator[str]:
    start = f"Load into table '{_bare(copy.table)}' completed, "
    if "NOLOAD" in copy.flags:
        yield f"{start}{report.rows} record(s) could be loaded."  # [U] text
    else:
        yield f"{start}{report.rows} record(s) loaded successfully."  # [D23] dg/PG_LAST_COPY_COUNT.html, [G]
    if report.errors:
        yield f"{start}{len(report.errors)} record(s) could not be loaded.  {_CHECK}"


_CHECK = "Check 'sys_load_error_detail' system table for details."


def _bare(table: str) -> str:
    return table.rsplit(".", 1)[-1].strip('"').lower()


def _targets(session: Session, copy: Copy) -> list[js.Target]:
    """Find the columns to fill, with their types. A column left out gets its default."""
    found = session.backend.ask(
        "SELECT attname, format_type(atttypid, NULL), atttypmod, attnotnull, attidentity <> '' FROM pg_attribute"
        f" WHERE attrelid = to_regclass({literal(copy.table)}) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    ).rows
    if not found:
        # [G] estuary/connectors#918
        raise SqlError("XX000", f"Cannot COPY into nonexistent table {_bare(copy.table)}")
    known: dict[str, js.Target] = {}
    for name, kind, modifier, required, identity in found:
        assert name is not None and kind is not None
        if identity == "t" and not copy.columns and "EXPLICIT_IDS" not in copy.flags:
            continue
        size = int(modifier or -1) - 4
        length, scale = (size >> 16, size & 0xFFFF) if kind == "numeric" and size >= 0 else (size, 0)
        known[name] = js.Target(name, kind, length, scale, required == "t")
    missing = [name for name in copy.columns if name not in known]
    if missing:
        raise SqlError("42703", f'column "{missing[0]}" of relation "{_bare(copy.table)}" does not exist')
    return [known[name] for name in copy.columns] if copy.columns else list(known.values())


def _paths(session: Session, copy: Copy, names: Sequence[str]) -> list[js.Path] | None:
    if copy.json in ("auto", "auto ignorecase"):
        return None
    if not copy.json.startswith("s3://"):
        raise SqlError("XX000", f"Invalid JSON option '{copy.json}'")
    bucket, key = split_url(copy.json)
    session.standin.store.check_region(bucket, copy.values.get("REGION", ""))
    paths = js.read_jsonpaths(session.standin.store.read(bucket, key))
    if paths is not None and len(paths) != len(names):
        raise failure(  # [G] snowplow-rdb-loader#92
            "Number of jsonpaths and the number of columns should match. "
            f"JSONPath size: {len(paths)}, Number of columns in table or column list: {len(names)}"
        )
    return paths


def _files(session: Session, copy: Copy) -> Iterator[tuple[str, str]]:
    """Give bucket and key of every file to load. Raises SqlError when there is none."""
    store, region = session.standin.store, copy.values.get("REGION", "")
    bucket, key = split_url(copy.source)
    store.check_region(bucket, region)
    if "MANIFEST" not in copy.flags:
        keys = list(store.keys(bucket, key))
        if not keys:
            raise failure(f"The specified S3 prefix '{key}' does not exist", copy.source)  # [G] REDSHIFT.md section 6
        yield from ((bucket, found) for found in keys)
        return
    any_there, known = False, {bucket}
    for url, mandatory in _manifest(session, bucket, key):
        of, name = split_url(url)
        if of not in known:
            store.check_region(of, region)
            known.add(of)
        if store.exists(of, name):
            any_there = True
            yield of, name
        elif mandatory:
            raise failure("Mandatory url is not present in manifest file.", url)  # [G] uswitch/blueshift#3
    if not any_there:
        raise failure("No files of the manifest were found", copy.source)  # [D23], [U] text


def _manifest(session: Session, bucket: str, key: str) -> Iterator[tuple[str, bool]]:
    """Read a manifest: one object with the key "entries", of objects with url and perhaps mandatory and meta."""
    try:
        content = session.standin.store.read(bucket, key)
    except SqlError as error:
        # [G] databricks/spark-redshift#136
        raise failure(f"Problem reading manifest file - {error.message}", f"s3://{bucket}/{key}") from error
    try:
        found = json.loads(content)
        entries = found["entries"]
        assert set(found) == {"entries"} and isinstance(entries, list)
        for entry in entries:
            assert set(entry) <= {"url", "mandatory", "meta"} and isinstance(entry["url"], str)
            assert isinstance(entry.get("mandatory", False), bool)
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise failure("Invalid manifest file: not properly formed", f"s3://{bucket}/{key}") from error
    yield from ((entry["url"], entry.get("mandatory", False)) for entry in entries)


def _content(session: Session, copy: Copy, bucket: str, key: str) -> tuple[str, int]:
    content = session.standin.store.read(bucket, key)
    size = len(content)
    for packing in copy.flags & PACKINGS:
        content = unpack(packing, content, f"s3://{bucket}/{key}")
    for _ in range(int(copy.values.get("IGNOREHEADER", "0"))):
        content = content.partition(b"\n")[2]
    return content.decode("utf-8", "surrogateescape"), size


def _lines(
    session: Session,
    copy: Copy,
    targets: Sequence[js.Target],
    paths: Sequence[js.Path] | None,
    files: Sequence[tuple[str, str]],
    report: Report,
) -> Iterator[bytes]:
    """Give every good row in COPY's text format. Raises TooManyErrors."""
    take = js.reader(paths, [t.name for t in targets], fold=copy.json == "auto ignorecase")
    for bucket, key in files:
        session.check_cancelled()
        text, size = _content(session, copy, bucket, key)
        scanned = 0
        for record in js.records_of(text):
            scanned += 1
            target: js.Target | None = None
            try:
                if record.error:
                    raise record.error
                if len(record.raw) * 4 > js.LARGEST_RECORD < len(record.raw.encode("utf-8", "surrogateescape")):
                    raise js.FieldError(1224, f"JSON object is larger than {js.LARGEST_RECORD} bytes")  # [U] text
                row = []
                for value, target in zip(take(record.value), targets, strict=True):
                    row.append(js.convert(value, target, copy.conversion))
            except js.FieldError as error:
                report.errors.append(_detail(f"s3://{bucket}/{key}", record, target, error))
                if len(report.errors) >= copy.allowed or "larger than" in error.reason:
                    raise TooManyErrors from None
                continue
            report.rows += 1
            yield b"\t".join(b"\\N" if text is None else _escaped(text) for text in row) + b"\n"
        report.files.append((f"s3://{bucket}/{key}", size, scanned))


def _escaped(text: str) -> bytes:
    for plain, escaped in (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        text = text.replace(plain, escaped)
    return text.encode()


def _detail(url: str, record: js.Record, target: js.Target | None, error: js.FieldError) -> Mapping[str, Any]:
    return {
        "file_name": url[:256],
        "line_number": record.line,
        "column_name": target.name if target else "",
        "column_type": {"character varying": "varchar", "character": "char", "bigint": "int8"}.get(
            target.kind, target.kind
        )[:10]
        if target
        else "",
        "column_length": str(target.length) if target and target.length > 0 else "0",
        "position": error.position,
        "error_code": error.code,
        "error_message": error.reason[:512],
        "raw_line": _printable(record.raw),
        "raw_field_value": "",
    }


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "")[:1024]


def _record(session: Session, copy: Copy, report: Report, started: float, status: str) -> None:
    """Write errors and history by a connection of their own, so that they survive a rollback."""
    common = {
        "user_id": 100,
        "query_id": report.query_id,
        "transaction_id": report.query_id,
        "session_id": session.backend.pid,
        "database_name": session.database,
        "start_time": started,
    }
    size = sum(bytes_ for _file, bytes_, _lines in report.files)
    history = {
        **common,
        "status": status,
        "table_name": _bare(copy.table),
        "end_time": time.time(),
        "data_source": copy.source,
        "file_format": "JSON",
        "loaded_rows": report.rows if status == "completed" else 0,
        "loaded_bytes": size,
        "source_file_count": len(report.files),
        "source_file_bytes": size,
        "file_count_scanned": len(report.files),
        "file_bytes_scanned": size,
        "error_count": len(report.errors),
        "copy_job_id": 0,
    }
    details = [
        {"user_id": 100, "query_id": report.query_id, "file_name": name[:256], "bytes_scanned": bytes_}
        | {"lines_scanned": lines, "splits_scanned": 0, "start_time": started, "end_time": time.time()}
        for name, bytes_, lines in report.files
    ]
    errors = [{**common, **error} for error in report.errors]
    session.standin.record(
        session.database,
        load_errors=errors,
        load_history=[history],
        load_detail=details if status == "completed" else [],
    )
