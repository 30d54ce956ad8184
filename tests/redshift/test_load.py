"""What is particular to loading into Redshift: large objects that it reads by itself, and what stays in WORK."""

from __future__ import annotations

import gzip
import json
import re
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zstandard
from reference_star import star_of
from warehouse import REPO, event, lines, plays, song

import sql_queries as q
from dwh.engines.redshift.packing import PIECE, WORTH_SPREADING, Piece, cut, number_of_pieces, pack
from dwh.engines.redshift.session import RedshiftSession
from dwh.engines.redshift.work import WorkPrefix
from dwh.sources.buckets import Buckets
from dwh.terminal.errors import Busy, ConfigError, DataError, DwhError
from redshift.grammar import parse_all
from redshift.warehouse_on_redshift import REGION, WORK, Cloud, RedshiftWarehouse

LARGE = 2000  # bytes, in these tests


@pytest.fixture
def bucket(here: Cloud) -> str:
    """A source bucket of the test's own."""
    name = f"music-{uuid.uuid4().hex[:8]}"
    here.client().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    here.client().put_object(Bucket=name, Key="song_data/one.json", Body=lines([song()]))
    return name


@pytest.fixture
def warehouse(here: Cloud, bucket: str, tmp_path: Path) -> RedshiftWarehouse:
    """An empty warehouse whose sources are there; objects of 2,000 bytes are large."""
    made = RedshiftWarehouse(tmp_path / "w", cloud=here).create()
    made.configure(S3=sources(bucket), ETL={"DIRECT_COPY_BYTES": LARGE})
    return made


def sources(bucket: str) -> dict[str, str]:
    """Name the places of the files in the section [S3]."""
    return {"LOG_DATA": f"s3://{bucket}/log_data", "SONG_DATA": f"s3://{bucket}/song_data"}


def put(here: Cloud, bucket: str, name: str, body: bytes) -> None:
    """Write an object of events."""
    here.client().put_object(Bucket=bucket, Key=f"log_data/{name}", Body=body)


def copies(here: Cloud, since: int) -> list[str]:
    """Give the COPY statements of events since then, by where their records were."""
    return [sql for sql in here.standin.statements[since:] if sql.startswith("COPY incoming_events")]


def test_p140_places_are_s3_however_they_are_spelled(warehouse: RedshiftWarehouse, here: Cloud, bucket: str) -> None:
    """COPY is given s3:// for sources and WORK alike, for a large object and a small one, and again nothing is new."""
    put(here, bucket, "large.json", lines(plays(20)))
    put(here, bucket, "small.json", lines(plays(2, sessionId=9)))
    spelled = {
        "LOG_DATA": f"s3a://{bucket}/log_data/*.json",
        "SONG_DATA": f"arn:aws:s3:::{bucket}/song_data/",
        "WORK": f"https://{WORK}.s3.{REGION}.amazonaws.com/{warehouse.schema_name}/",
    }
    warehouse.configure(S3=spelled, ETL={"DIRECT_COPY_BYTES": LARGE})
    assert warehouse.etl()["files"]["new"] == 3
    warehouse.configure(S3=sources(bucket), ETL={"DIRECT_COPY_BYTES": LARGE})
    assert warehouse.etl()["files"]["already_loaded"] == 3
    assert warehouse.value("SELECT COUNT(*) FROM songplays") == 22


def test_a_large_object_is_read_by_the_warehouse_itself(
    warehouse: RedshiftWarehouse, here: Cloud, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are those of a spooled file, and it never comes to this machine; a small one beside it does."""
    large, small = plays(20), plays(2, sessionId=9)
    packed = [event(sessionId=8, itemInSession=n, userAgent=uuid.uuid4().hex) for n in range(300)]
    put(here, bucket, "large.json", lines(large))
    put(here, bucket, "packed.json.gz", gzip.compress(lines(packed), 1))
    put(here, bucket, "small.json", lines(small))
    fetched: list[str] = []
    from dwh.sources import objects

    original = objects._get

    def watch(buckets: Any, file: Any, *rest: Any) -> Any:
        fetched.append(file.path.rpartition("/")[2])
        return original(buckets, file, *rest)

    monkeypatch.setattr(objects, "_get", watch)
    since = len(here.standin.statements)
    assert warehouse.etl()["loads"][0]["records"] == 20 + 300 + 2 + 1
    assert warehouse.star() == star_of([*large, *packed, *small], [song()])
    assert sorted(fetched) == ["one.json", "small.json"]
    assert len(copies(here, since)) == 3
    assert parse_all(sql for sql in here.standin.statements[since:] if sql.startswith(("COPY", "UPDATE"))) == {}
    assert here.work() == []
    assert warehouse.rows("SELECT DISTINCT records_read = staged FROM loaded_files") == [(True,)]
    assert warehouse.call("sql_validate").code == 0


def test_p125_keys_in_another_case_are_named_in_objects(warehouse: RedshiftWarehouse, here: Cloud, bucket: str) -> None:
    """In one that the warehouse reads by itself, packed or not, and in a small one that comes to this machine."""
    lower = [{("userid" if key == "userId" else key): value for key, value in record.items()} for record in plays(20)]
    packed = [dict(record, userAgent=uuid.uuid4().hex, sessionId=6) for record in lower * 5]
    put(here, bucket, "1.json", lines(lower))
    put(here, bucket, "2.json.gz", gzip.compress(lines(packed), 1))
    put(here, bucket, "3.json", lines(lower[:1]))
    since = len(here.standin.statements)
    [found] = warehouse.etl()["unread_keys"]
    assert len(copies(here, since)) == 3
    example = f"s3://{bucket}/log_data/1.json"
    assert found | {"at_least": False} == found
    assert [found[name] for name in ("kind", "key", "spelling", "files", "example")] == [
        "events", "userid", "userId", 3, example,
    ]  # fmt: skip


def test_a_bad_record_in_a_large_object_is_found_as_anywhere_else(
    warehouse: RedshiftWarehouse, here: Cloud, bucket: str
) -> None:
    """What COPY or a rule refuses is fetched and read record by record: same line, same reason, same rows."""
    body = lines(plays(20)).splitlines(keepends=True)
    put(here, bucket, "broken.json", b"".join([*body[:4], b'{"page": "NextSong", \n', *body[4:]]))
    put(here, bucket, "ruled.json", lines([*plays(20, sessionId=6), event(ts="noon", sessionId=6, itemInSession=99)]))
    with pytest.raises(DataError) as raised:
        warehouse.etl()
    assert f"s3://{bucket}/log_data/broken.json line 5" in raised.value.message
    told = warehouse.etl("--on-bad-line", "quarantine")
    assert (told["rows"]["songplays"], told["rows"]["rejected_lines"]) == (40, 2)
    assert [(line, reason) for line, reason in warehouse.rows("SELECT line_number, reason FROM rejected_lines")] != []
    assert sorted(line for (line,) in warehouse.rows("SELECT line_number FROM rejected_lines")) == [5, 21]
    assert here.work() == []


def test_a_large_object_that_begins_otherwise_is_not_read_by_the_warehouse(
    warehouse: RedshiftWarehouse, here: Cloud, bucket: str
) -> None:
    """With a byte order mark, or in another format: no COPY sees it, and it is read, or named, as everywhere."""
    body, mark = lines(plays(20)), b"\xef\xbb\xbf"
    put(here, bucket, "mark.json", mark + body)
    put(
        here,
        bucket,
        "packed.json.gz",
        gzip.compress(mark + lines(plays(20, sessionId=6, userAgent=uuid.uuid4().hex * 99)), 0),
    )
    put(here, bucket, "text.json", body.decode().encode("utf-16"))
    since = len(here.standin.statements)
    with pytest.raises(DataError, match=r"text\.json cannot be read") as raised:
        warehouse.etl()
    assert "UTF-16" in raised.value.evidence[0]
    told = warehouse.etl("--on-bad-line", "quarantine")
    assert (told["rows"]["songplays"], told["files"]["rejected"]) == (40, 1)
    assert all(f"s3://{bucket}" not in sql for sql in copies(here, since))


def test_a_mark_between_records_of_a_large_object_is_found_by_copy(
    warehouse: RedshiftWarehouse, here: Cloud, bucket: str
) -> None:
    """What COPY refuses there is read record by record."""
    body = lines(plays(20))
    put(here, bucket, "between.json", body + b"\xef\xbb\xbf" + lines(plays(20, sessionId=6)))
    assert warehouse.etl()["rows"]["songplays"] == 40


def test_an_object_replaced_after_its_copy_is_left_for_the_next_run(
    warehouse: RedshiftWarehouse, here: Cloud, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """COPY has no If-Match: the ETag is looked at again before the commit."""
    put(here, bucket, "large.json", lines(plays(20)))
    put(here, bucket, "small.json", lines(plays(2, sessionId=9)))
    original = RedshiftSession._load_object

    def replace(session: RedshiftSession, *rest: Any) -> None:
        original(session, *rest)
        put(here, bucket, "large.json", lines(plays(30)))

    monkeypatch.setattr(RedshiftSession, "_load_object", replace)
    assert warehouse.etl()["rows"]["songplays"] == 2
    monkeypatch.setattr(RedshiftSession, "_load_object", original)
    assert warehouse.etl()["rows"]["songplays"] == 32


def test_p18_a_second_load_is_busy_and_readers_are_not(warehouse: RedshiftWarehouse, here: Cloud, bucket: str) -> None:
    """LOCK also blocks readers of the table, so the locked table is one without readers."""
    put(here, bucket, "small.json", lines(plays(2)))
    warehouse.etl()
    other = here.standin.connect()
    with closing(other), other.cursor() as cursor:
        cursor.execute(f"SET search_path TO {warehouse.schema_name}")
        cursor.execute("LOCK dwh_lock")
        assert warehouse.call("sql_validate", "--quick").code == 0
        put(here, bucket, "more.json", lines(plays(3, sessionId=6)))
        with pytest.raises(Busy, match="another session is loading"):
            warehouse.etl()
        other.rollback()
        assert warehouse.etl()["rows"]["songplays"] == 5


def test_work_is_emptied_after_a_failure_too(
    warehouse: RedshiftWarehouse, here: Cloud, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(here, bucket, "small.json", lines(plays(2)))

    def fail(_session: RedshiftSession, *_rest: Any, **_more: Any) -> None:
        raise DwhError("the fault of the test")

    monkeypatch.setattr(RedshiftSession, "_recount", fail)
    with pytest.raises(DwhError, match="fault of the test"):
        warehouse.etl()
    assert here.work() == []
    assert warehouse.rows("SELECT COUNT(*) FROM loaded_files") == [(0,)]


def test_a_misread_jsonpaths_file_is_noticed(
    warehouse: RedshiftWarehouse, here: Cloud, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another key in it COPY maps by column name, and silently loads NULLs."""
    put(here, bucket, "small.json", lines(plays(2)))
    misspell(monkeypatch, b'"jsonpaths"', b'"jsonPaths"')
    with pytest.raises(DwhError, match="did not load everything it was given"):
        warehouse.etl()


@pytest.mark.parametrize("name", ["large.JSONL", "large.NdJson.GZ", "part-00000", "part-00001.packed"])
def test_p133_redshift_reads_what_pattern_takes_by_its_content(
    warehouse: RedshiftWarehouse, here: Cloud, bucket: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """COPY is told whether an object is gzip by its name in any case, or by how it begins."""
    warehouse.configure(S3={**sources(bucket), "PATTERN": "part-*"}, ETL={"DIRECT_COPY_BYTES": LARGE})
    records = [event(sessionId=8, itemInSession=n, userAgent=uuid.uuid4().hex) for n in range(300)]
    packed = name.lower().endswith((".gz", ".packed"))
    put(here, bucket, name, gzip.compress(lines(records), 1) if packed else lines(records))
    directly: list[str] = []
    load_object = RedshiftSession._load_object

    def watch(session: RedshiftSession, table: str, keys: Any, part: Any) -> None:
        directly.append(part.path)
        load_object(session, table, keys, part)

    monkeypatch.setattr(RedshiftSession, "_load_object", watch)
    assert warehouse.etl()["rows"]["songplays"] == 300
    assert directly == [f"s3://{bucket}/log_data/{name}"]


@pytest.mark.parametrize("name", ["small.json", "large.json", "large.json.gz"])
def test_a_misspelt_path_is_noticed(
    warehouse: RedshiftWarehouse, here: Cloud, bucket: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A column that is empty while the source holds values for it is never committed, whoever read the object."""
    records = [event(sessionId=8, itemInSession=n, userAgent=uuid.uuid4().hex) for n in range(300)]
    body = lines(records[:2] if name.startswith("small") else records)
    put(here, bucket, name, gzip.compress(body, 1) if name.endswith(".gz") else body)
    misspell(monkeypatch, b"$['length']", b"$['Length']")
    with pytest.raises(DwhError, match="did not load everything it was given") as raised:
        warehouse.etl()
    assert "length: values in the source, none in the table" in str(raised.value.evidence)
    assert warehouse.rows("SELECT COUNT(*) FROM loaded_files WHERE kind = 'events'") == [(0,)]


def misspell(monkeypatch: pytest.MonkeyPatch, right: bytes, wrong: bytes) -> None:
    """Have the JSONPaths files of events written with a fault."""
    from dwh.engines.redshift import work as redshift_work
    from dwh.sources import jsonpaths

    def write(keys: Any) -> bytes:
        return jsonpaths.write_paths(keys).replace(right, wrong)

    monkeypatch.setattr(redshift_work, "write_paths", write)


NAMED = ["song", "artist", "status", *q.EVENT_KEYS]
PATHS = {"jsonpaths": [f"$['{key}']" for key in NAMED]}


@pytest.mark.parametrize("where", ["here", "s3"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PATHS, ""),
        ({"jsonpaths": [f"$.{key}" for key in NAMED]}, ""),
        ({"jsonpaths": [f'$["{key}"]' for key in NAMED]}, ""),
        ({"jsonpaths": [path.lower() for path in PATHS["jsonpaths"]]}, "names no path for .*itemInSession"),
        ({"jsonpath": PATHS["jsonpaths"]}, "not a JSONPaths file"),
        ([], "not a JSONPaths file"),
        (None, "cannot be read"),
    ],
)
def test_a_jsonpaths_file_has_to_name_the_keys_of_an_event(
    warehouse: RedshiftWarehouse, here: Cloud, bucket: str, tmp_path: Path, where: str, content: Any, message: str
) -> None:
    """The user's file is not used, but one that would lose columns is refused, since its owner expects them."""
    place = f"s3://{bucket}/paths.json" if where == "s3" else str(tmp_path / "paths.json")
    if content is not None and where == "s3":
        here.client().put_object(Bucket=bucket, Key="paths.json", Body=json.dumps(content).encode())
    elif content is not None:
        Path(place).write_text(json.dumps(content))
    put(here, bucket, "small.json", lines(plays(2)))
    warehouse.configure(S3={**sources(bucket), "LOG_JSONPATH": place})
    if not message:
        assert warehouse.etl()["rows"]["songplays"] == 2
        return
    with pytest.raises(ConfigError, match=message) as raised:
        warehouse.etl()
    assert place in raised.value.message
    assert warehouse.rows("SELECT COUNT(*) FROM loaded_files") == [(0,)]


def test_p77_the_policy_of_a_loader_is_what_a_load_asks_of_s3(
    warehouse: RedshiftWarehouse, here: Cloud, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more and no less: every (action, place) asked for, with files that we read and one that Redshift reads."""
    put(here, bucket, "large.json", lines(plays(20)))
    put(here, bucket, "small.json", lines(plays(2, sessionId=9)))
    asked: set[tuple[str, str]] = set()
    original = Buckets.ask

    def watch(buckets: Buckets, operation: str, path: Any, action: Any) -> Any:
        own, place = path.bucket == WORK, f"SOURCE-BUCKET/{path.key.split('/')[0]}"
        if own:
            place = "WORK-BUCKET/work"
            assert path.key.startswith(f"{warehouse.schema_name}/"), "what s3:prefix lets through"
        listed = "WORK-BUCKET" if own else "SOURCE-BUCKET"
        asked.add((f"s3:{operation}", listed if operation == "ListBucket" else f"{place}/*"))
        return original(buckets, operation, path, action)

    monkeypatch.setattr(Buckets, "ask", watch)
    warehouse.etl()
    granted = set()
    for statement in json.loads((REPO / "docs/policies/loader.json").read_text())["Statement"]:
        if "Lake" in statement["Sid"]:
            continue  # an export asks for those: test_sequence.py
        actions, resources = statement["Action"], statement["Resource"]
        for action in [actions] if isinstance(actions, str) else actions:
            for resource in [resources] if isinstance(resources, str) else resources:
                granted.add((action, resource.removeprefix("arn:aws:s3:::")))
    assert asked == {(action, resource) for action, resource in granted if action.startswith("s3:")}


def test_without_work_nothing_can_be_loaded(warehouse: RedshiftWarehouse, here: Cloud, bucket: str) -> None:
    put(here, bucket, "small.json", lines(plays(2)))
    warehouse.configure(S3={**sources(bucket), "WORK": ""})
    with pytest.raises(ConfigError, match="WORK is empty"):
        warehouse.etl()


def test_p239_copy_is_told_zstd_for_what_we_write_and_gzip_for_what_is_gzip(
    warehouse: RedshiftWarehouse, here: Cloud, bucket: str
) -> None:
    """One load of three COPYs: an object of WORK, and two of the source that the warehouse reads as they are."""
    packed = [event(sessionId=8, itemInSession=n, userAgent=uuid.uuid4().hex) for n in range(300)]
    put(here, bucket, "packed.json.gz", gzip.compress(lines(packed), 1))
    put(here, bucket, "plain.json", lines(plays(20)))
    put(here, bucket, "small.json", lines(plays(2, sessionId=9)))
    since = len(here.standin.statements)
    assert warehouse.etl()["rows"]["songplays"] == 322
    told = [re.findall(r"\b(?:GZIP|ZSTD)\b", sql) for sql in copies(here, since)]
    assert sorted(told) == [[], ["GZIP"], ["ZSTD"]]


@pytest.mark.parametrize("damage", ["a byte", "its end", "a line"])
def test_p239_a_damaged_object_of_work_stores_nothing(
    warehouse: RedshiftWarehouse, here: Cloud, bucket: str, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """The checksum of the frame, its end, or the number of the records tells."""
    put(here, bucket, "small.json", lines(plays(2)))
    put_piece = WorkPrefix._put

    def spoil(work: WorkPrefix, key: str, body: bytes) -> None:
        if key.endswith(".zst"):
            plain = zstandard.decompress(body)
            body = {
                "a byte": body[:-1] + bytes([body[-1] ^ 1]),
                "its end": body[:-5],
                "a line": zstandard.compress(plain[: plain.rindex(b"\n", 0, -1) + 1]),
            }[damage]
        put_piece(work, key, body)

    monkeypatch.setattr(WorkPrefix, "_put", spoil)
    with pytest.raises(DwhError):
        warehouse.etl()
    assert warehouse.rows("SELECT COUNT(*) FROM loaded_files") == [(0,)]


def test_p239_a_piece_is_a_frame_with_its_length_and_a_checksum(tmp_path: Path) -> None:
    """Of its lines and no others, in less room than gzip takes."""
    path = tmp_path / "spool.json"
    path.write_bytes(lines(plays(3000)))
    first, second = (Piece(str(path), start, end) for start, end in ((0, 300_000), (300_000, path.stat().st_size)))
    packed, records, _ = pack(first)
    told = zstandard.get_frame_parameters(packed)
    assert (told.content_size, told.has_checksum) == (300_000, True)
    assert zstandard.decompress(packed) + zstandard.decompress(pack(second).body) == path.read_bytes()
    assert records + pack(second).records == 3000
    assert len(packed) < len(gzip.compress(path.read_bytes()[:300_000], 1))


@pytest.mark.parametrize("slices", [1, 2, 4])
def test_a_spool_file_is_cut_at_lines_into_a_multiple_of_the_slices(tmp_path: Path, slices: int) -> None:
    path = tmp_path / "spool.json"
    line = b'{"a": "%s"}\n' % (b"x" * 1000)
    path.write_bytes(line * (2 * WORTH_SPREADING // len(line)))
    pieces = cut(str(path), number_of_pieces(path.stat().st_size, slices))
    assert len(pieces) == slices
    assert [piece.start for piece in pieces[1:]] == [piece.end for piece in pieces[:-1]]
    assert (pieces[0].start, pieces[-1].end) == (0, path.stat().st_size)
    assert all(piece.end % len(line) == 0 for piece in pieces)
    assert PIECE > WORTH_SPREADING
    path.write_bytes(line)
    assert len(cut(str(path), number_of_pieces(path.stat().st_size, slices))) == 1
