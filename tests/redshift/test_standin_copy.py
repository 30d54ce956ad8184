"""COPY of the stand-in loads what Redshift loads, and fails where it fails."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Mapping
from typing import Any

import psycopg2
import pytest
import zstandard
from psycopg2 import errors

from redshift.conftest import Bucket, Sql
from redshift.grammar import parse_all
from redshift.standin import RedshiftStandIn

REGION, ROLE = "us-west-2", "arn:aws:iam::123456789012:role/sparkify-dwh"
ERRORS = "SELECT line_number, TRIM(column_name), error_code, TRIM(error_message) FROM sys_load_error_detail"
LAST_ERRORS = f"{ERRORS} WHERE query_id = pg_last_copy_id() ORDER BY line_number"
FAILED = pytest.raises(errors.InternalError_, match=r"failed\.  Check 'sys_load_error_detail' system table for details")


def copy(source: str, what: str = "t", options: str = "JSON 'auto'") -> str:
    """Write a COPY statement."""
    return f"COPY {what} FROM '{source}' IAM_ROLE '{ROLE}' REGION '{REGION}' {options}"


def lines(*records: Mapping[str, Any]) -> str:
    """Write one object a line."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


# ------------------------------------------------------------------------------------------------- the form we use


def test_copy_by_manifest_gzip_and_jsonpaths(
    connection: Any, sql: Sql, bucket: Bucket, shared_standin: RedshiftStandIn
) -> None:
    """Paths by position, missing keys NULL, unknown keys ignored, numbers in text keep their digits."""
    sql("CREATE TABLE t (file_id BIGINT, page VARCHAR(64), ts VARCHAR(65535), tags VARCHAR(100))")
    first = {"page": "Home", "ts": 1541105830796, "tags": {"id": 1, "of": ["a", None, 1.50]}, "more": 1}
    part = bucket.put("part.gz", gzip.compress((lines(first) + '{"page":"Ábout","ts":1.50}\n').encode()))
    manifest = bucket.put("manifest", {"entries": [{"url": part, "mandatory": True}]})
    paths = bucket.put("paths", {"jsonpaths": ["$['page']", "$['ts']", "$['tags']"]})
    statement = copy(
        manifest, "t (page, ts, tags)", f"MANIFEST GZIP FORMAT AS JSON '{paths}' COMPUPDATE OFF STATUPDATE OFF"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        assert (cursor.statusmessage, cursor.rowcount) == ("COPY", -1)
    assert sql("SELECT file_id, page, ts, tags FROM t ORDER BY ts DESC") == [
        (None, "Home", "1541105830796", '{"id": 1,"of": ["a",null,1.5]}'),
        (None, "Ábout", "1.50", None),
    ]
    assert sql("SELECT pg_last_copy_count()") == [(2,)]
    assert connection.notices[-1] == "INFO:  Load into table 't' completed, 2 record(s) loaded successfully.\n"
    assert statement in shared_standin.statements
    assert parse_all([statement]) == {}


def test_a_load_error_fails_the_copy_and_is_on_record(sql: Sql, bucket: Bucket) -> None:
    """Nothing is loaded; file, line, column and reason survive the rollback, in the old view as well."""
    sql("CREATE TABLE t (a BIGINT, b VARCHAR(3))")
    source = bucket.put("lines", '{"a": 1}\n{"a": "x1"}\n')
    with FAILED:
        sql(copy(source))
    assert sql("SELECT COUNT(*) FROM t") == [(0,)]
    found = sql(
        "SELECT TRIM(file_name), line_number, TRIM(column_name), TRIM(column_type), position, error_code,"
        " TRIM(error_message) FROM sys_load_error_detail WHERE query_id = pg_last_copy_id()"
    )
    assert found == [(source, 2, "a", "int8", 0, 1207, "Invalid digit, Value 'x', Pos 0, Type: Long")]
    assert sql("SELECT TRIM(raw_line), err_code FROM stl_load_errors WHERE query = pg_last_copy_id()") == [
        ('{"a": "x1"}', 1207)
    ]
    history = "SELECT status, table_name, loaded_rows, error_count FROM sys_load_history WHERE query_id = "
    assert sql(f"{history}pg_last_copy_id()") == [("aborted", "t", 0, 1)]
    assert sql("SELECT pg_last_copy_count()") == [(0,)]


def test_a_load_error_ends_the_transaction_and_its_number_with_it(sql: Sql, bucket: Bucket) -> None:
    """pg_last_copy_id is not updated by a COPY that is rolled back; the session's number finds the errors."""
    sql("CREATE TABLE t (a BIGINT)")
    sql("BEGIN")
    sql("INSERT INTO t (a) VALUES (1)")
    with FAILED:
        sql(copy(bucket.put("lines", '{"a": "x"}')))
    with pytest.raises(errors.InFailedSqlTransaction):
        sql("SELECT 1")
    sql("ROLLBACK")
    assert sql("SELECT COUNT(*) FROM t") == [(0,)]
    assert sql("SELECT pg_last_copy_id()") == [(-1,)]
    assert sql(f"{ERRORS} WHERE session_id = PG_BACKEND_PID()") == [
        (1, "a", 1207, "Invalid digit, Value 'x', Pos 0, Type: Long")
    ]


def test_a_copy_is_part_of_its_transaction(sql: Sql, bucket: Bucket) -> None:
    """ROLLBACK takes the rows away, COMMIT keeps them; the history of files is there."""
    sql("CREATE TABLE t (a BIGINT)")
    source = bucket.put("lines", '{"a": 1}{"a": 2}')
    for end, rows in (("ROLLBACK", 0), ("COMMIT", 2)):
        sql("BEGIN")
        sql(copy(source))
        assert sql("SELECT COUNT(*) FROM t") == [(2,)]
        sql(end)
        assert sql("SELECT COUNT(*) FROM t") == [(rows,)]
    assert sql(
        "SELECT TRIM(file_name), lines_scanned, bytes_scanned FROM sys_load_detail WHERE query_id = pg_last_copy_id()"
    ) == [(source, 2, 16)]


def test_a_copy_into_a_temporary_table(sql: Sql, bucket: Bucket) -> None:
    """As the suite's incoming tables are."""
    sql("CREATE TEMP TABLE incoming (a VARCHAR(10))")
    sql(copy(bucket.put("lines", '{"a": 1}'), "incoming"))
    assert sql("SELECT a FROM incoming") == [("1",)]


# -------------------------------------------------------------------------------------------------------- the statement

WRONG = """
COPY t FROM '{url}' JSON 'auto'
COPY t FROM '{url}' IAM_ROLE '{role}'
COPY t FROM '{url}' IAM_ROLE '{role}' JSON 'auto' NOSUCHOPTION
COPY t FROM '{url}' IAM_ROLE '{role}' JSON 'auto' MAXERROR -1
COPY t FROM '{url}' IAM_ROLE '{role}' JSON 'auto' MAXERROR 100001
COPY t FROM '{url}' IAM_ROLE '{role}' JSON 'auto' MAXERROR 5 IGNOREALLERRORS
COPY t FROM '{url}' IAM_ROLE '{role}' JSON 'auto' NULL AS 'x'
COPY t FROM '{url}' IAM_ROLE '{role}' JSON 'auto' DELIMITER ','
COPY t FROM '{url}' IAM_ROLE '{role}' CSV
COPY t FROM '{url}' IAM_ROLE '{role}' JSON 'automatic'
COPY t FROM '{url}' CREDENTIALS 'aws_access_key_id=AKIA;aws_secret_access_key=x' JSON 'auto'
COPY t FROM '{url}' ACCESS_KEY_ID 'AKIA' SECRET_ACCESS_KEY 'x' JSON 'auto'
COPY t (a, nope) FROM '{url}' IAM_ROLE '{role}' JSON 'auto'
COPY nope FROM '{url}' IAM_ROLE '{role}' JSON 'auto'
COPY t FROM 'https://example.com/x' IAM_ROLE '{role}' JSON 'auto'
COPY t FROM '{url}' IAM_ROLE '{role}' REGION 'eu-west-1' JSON 'auto'
""".strip().splitlines()


@pytest.mark.parametrize("statement", WRONG)
def test_a_wrong_copy_is_refused_before_it_loads(sql: Sql, bucket: Bucket, statement: str) -> None:
    """It has no number then, and pg_last_copy_count is that of the COPY before."""
    sql("CREATE TABLE t (a BIGINT)")
    url = bucket.put("lines", '{"a": 1}')
    sql(copy(url))
    before = sql("SELECT pg_last_copy_id(), pg_last_copy_count()")
    with pytest.raises(psycopg2.Error):
        sql(statement.format(url=url, role=ROLE))
    assert sql("SELECT pg_last_copy_id(), pg_last_copy_count()") == before
    assert sql("SELECT COUNT(*) FROM t") == [(1,)]


def test_a_bucket_elsewhere_needs_its_region(sql: Sql, far_bucket: Bucket) -> None:
    """Without REGION it is looked for where the cluster is."""
    sql("CREATE TABLE t (a BIGINT)")
    url = far_bucket.put("lines", '{"a": 1}')
    with pytest.raises(errors.InternalError_, match="must be addressed using the specified endpoint"):
        sql(f"COPY t FROM '{url}' IAM_ROLE '{ROLE}' JSON 'auto'")
    sql(f"COPY t FROM '{url}' IAM_ROLE '{ROLE}' JSON 'auto' REGION AS 'eu-west-1'")
    assert sql("SELECT COUNT(*) FROM t") == [(1,)]


def test_a_role_that_the_cluster_may_not_assume(standin: RedshiftStandIn, bucket: Bucket) -> None:
    """It is asked for each COPY."""
    standin.knows_role = lambda arn: arn == ROLE
    connection = standin.connect()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (a BIGINT)")
        cursor.execute(copy(bucket.put("lines", '{"a": 1}')))
        with pytest.raises(errors.InternalError_, match="not authorized to assume IAM Role"):
            cursor.execute(copy(bucket.url("lines")).replace(ROLE, ROLE + "-other"))
    connection.close()


def test_noload_only_looks(sql: Sql, bucket: Bucket) -> None:
    """Nothing is loaded; what is wrong fails all the same."""
    sql("CREATE TABLE t (a BIGINT)")
    sql(copy(bucket.put("good", '{"a": 1}'), options="JSON 'auto' NOLOAD"))
    assert sql("SELECT COUNT(*) FROM t") == [(0,)]
    with FAILED:
        sql(copy(bucket.put("bad", '{"a": "x"}'), options="JSON 'auto' NOLOAD"))


def test_statement_timeout_ends_a_copy(
    sql: Sql, bucket: Bucket, shared_standin: RedshiftStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole of it counts, S3 included: here it is S3 alone that takes longer."""
    sql("CREATE TABLE t (a BIGINT)")
    read = shared_standin.store.read

    def read_late(place: str, key: str) -> bytes:
        time.sleep(0.2)
        return read(place, key)

    monkeypatch.setattr(shared_standin.store, "read", read_late)
    for number in range(2):
        bucket.put(f"{number}", '{"a": 1}')
    sql("SET statement_timeout TO 100")
    with pytest.raises(errors.QueryCanceled):
        sql(copy(bucket.url()))
    sql("SET statement_timeout TO 0")
    assert sql("SELECT COUNT(*) FROM t") == [(0,)]


# ------------------------------------------------------------------------------------------------- files and manifests


def test_a_prefix_names_all_that_begins_with_it(sql: Sql, bucket: Bucket) -> None:
    """log also means log2/ and log_paths; nothing at all is an error."""
    sql("CREATE TABLE t (a BIGINT)")
    for name in ("log/1", "log2/1", "log_x"):
        bucket.put(name, '{"a": 1}')
    sql(copy(bucket.url("log/")))
    assert sql("SELECT pg_last_copy_count()") == [(1,)]
    sql(copy(bucket.url("log")))
    assert sql("SELECT pg_last_copy_count()") == [(3,)]
    with pytest.raises(errors.InternalError_, match=r"The specified S3 prefix '.*nothing/' does not exist"):
        sql(copy(bucket.url("nothing/")))


def test_a_manifest_s_mandatory_file_must_be_there(sql: Sql, bucket: Bucket) -> None:
    """A file that is not mandatory may be missing, but not all; one listed twice is loaded twice."""
    sql("CREATE TABLE t (a BIGINT)")
    good = bucket.put("good", '{"a": 1}')
    missing = bucket.url("missing")
    lists: dict[str, list[dict[str, object]]] = {
        "twice": [{"url": good}, {"url": missing}, {"url": good, "mandatory": True, "meta": {"content_length": 8}}],
        "mandatory": [{"url": good}, {"url": missing, "mandatory": True}],
        "nothing": [{"url": missing}],
    }
    sql(copy(bucket.put("twice", {"entries": lists["twice"]}), options="MANIFEST JSON 'auto'"))
    assert sql("SELECT COUNT(*) FROM t") == [(2,)]
    with pytest.raises(errors.InternalError_, match="Mandatory url is not present in manifest file"):
        sql(copy(bucket.put("mandatory", {"entries": lists["mandatory"]}), options="MANIFEST JSON 'auto'"))
    with pytest.raises(errors.InternalError_, match="No files"):
        sql(copy(bucket.put("nothing", {"entries": lists["nothing"]}), options="MANIFEST JSON 'auto'"))
    assert sql("SELECT COUNT(*) FROM t") == [(2,)]


MANIFESTS = [
    "[]",
    "{}",
    "{",
    '{"entries": [{"uri": "s3://b/k"}]}',
    '{"entries": ["s3://stand-in/k"]}',
    '{"Entries": []}',
]


@pytest.mark.parametrize("text", [*MANIFESTS, '{"entries": [{"url": "s3://stand-in/k", "mandatory": "true"}]}'])
def test_a_manifest_must_be_well_formed(sql: Sql, bucket: Bucket, text: str) -> None:
    """One object, "entries", objects with "url"."""
    sql("CREATE TABLE t (a BIGINT)")
    with pytest.raises(errors.InternalError_, match="Invalid manifest"):
        sql(copy(bucket.put("manifest", text), options="MANIFEST JSON 'auto'"))


def test_a_manifest_that_is_not_there(sql: Sql, bucket: Bucket) -> None:
    """It is one object, not a prefix; without MANIFEST it would be data."""
    sql("CREATE TABLE t (a BIGINT)")
    with pytest.raises(errors.InternalError_, match=r"Problem reading manifest file.*NoSuchKey"):
        sql(copy(bucket.url("manifest"), options="MANIFEST JSON 'auto'"))
    with pytest.raises(errors.InternalError_):
        sql(copy(bucket.put("manifest", '{"entries": ["x"]} x'), options="JSON 'auto'"))


GZIP = gzip.compress(b'{"a": 1}', mtime=0)
ZSTD = zstandard.ZstdCompressor(write_checksum=True).compress(b'{"a": 1}')


@pytest.mark.parametrize(
    ("word", "packed", "other"), [("GZIP", GZIP, ZSTD), ("ZSTD", ZSTD, GZIP)], ids=["GZIP", "ZSTD"]
)
def test_packing_is_said_not_seen(sql: Sql, bucket: Bucket, word: str, packed: bytes, other: bytes) -> None:
    """What is packed needs its word, what is not, or otherwise, must not have it; a part of a file, or a damaged one,
    is none."""
    sql("CREATE TABLE t (a BIGINT)")
    with FAILED:
        sql(copy(bucket.put("packed", packed)))
    damaged = packed[:-1] + bytes([packed[-1] ^ 1])
    for content in (b'{"a": 1}', other, packed[:-6], damaged, packed + b"x", b""):
        with pytest.raises(errors.InternalError_, match=word.lower()):
            sql(copy(bucket.put("other", content), options=f"{word} JSON 'auto'"))
    sql(copy(bucket.put("twice", packed * 2), options=f"{word} JSON 'auto'"))
    assert sql("SELECT a FROM t") == [(1,), (1,)]
    with pytest.raises(errors.SyntaxError, match="exclude each other"):
        sql(copy(bucket.url("twice"), options="GZIP ZSTD JSON 'auto'"))


# ---------------------------------------------------------------------------------------------------------------- JSON


def test_auto_matches_names_exactly_and_loads_null_otherwise(sql: Sql, bucket: Bucket) -> None:
    """userId fits no column; ignorecase finds userid, and never user_id. Columns left out get their default."""
    sql("CREATE TABLE t (userid BIGINT, user_id BIGINT, n BIGINT DEFAULT 7)")
    url = bucket.put("lines", '{"userId": 1}')
    sql(copy(url, "t (userid, user_id)"))
    sql(copy(url, "t (userid, user_id)", "JSON 'auto ignorecase'"))
    sql(copy(url))
    assert sorted(sql("SELECT userid, user_id, n FROM t"), key=repr) == [
        (1, None, 7),
        (None, None, 7),
        (None, None, None),
    ]


def test_a_misspelt_key_of_a_jsonpaths_file_means_auto(sql: Sql, bucket: Bucket) -> None:
    """No error: the table is full of NULLs."""
    sql("CREATE TABLE t (a BIGINT, b BIGINT)")
    paths = bucket.put("paths", {"jsonPaths": ["$['A']", "$['B']"]})
    sql(copy(bucket.put("lines", '{"A": 1, "B": 2}'), options=f"JSON '{paths}'"))
    assert sql("SELECT a, b FROM t") == [(None, None)]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ('{"jsonpaths": ["$.a"]}', "JSONPath size: 1, Number of columns in table or column list: 2"),
        ('{"jsonpaths": ["$.a", "$.b", "$.c"]}', "JSONPath size: 3"),
        ('["$.a", "$.b"]', "Member is not an object"),
        ('{"jsonpaths": ["$.a", ""]}', "Invalid JSONPath"),
        ('{"jsonpaths": ["$.a", 1]}', "Invalid JSONPath"),
        ('{"jsonpaths": ["$.a", "$[\'b\']"]}', "mixed"),
        ('{"jsonpaths": ["$.a", "$.*"]}', "Invalid JSONPath"),
        ('{"jsonpaths": ["$.a", "b"]}', "Invalid JSONPath"),
        ('{"jsonpaths": ["$.a", "$.b"]} x', "Invalid JSONPath"),
    ],
)
def test_a_jsonpaths_file_must_be_right(sql: Sql, bucket: Bucket, paths: str, message: str) -> None:
    """As many paths as columns, one notation, no wildcards; MAXERROR does not help."""
    sql("CREATE TABLE t (a BIGINT, b BIGINT)")
    url = bucket.put("paths", paths)
    with pytest.raises(errors.InternalError_, match=message):
        sql(copy(bucket.put("lines", '{"a": 1, "b": 2}'), options=f"JSON '{url}' MAXERROR 10"))


def test_a_path_into_an_array_must_find_its_element(sql: Sql, bucket: Bucket) -> None:
    """A missing name is NULL, at any depth; a missing element an error."""
    sql("CREATE TABLE t (a BIGINT, b BIGINT)")
    paths = bucket.put("paths", {"jsonpaths": ["$.of[1]", "$.deep.b"]})
    good, bad = '{"of": [1, 2], "deep": {"b": 3}}\n{"of": [1, 4]}', '{"of": [1]}'
    sql(copy(bucket.put("good", good), options=f"JSON '{paths}'"))
    assert sql("SELECT a, b FROM t ORDER BY a") == [(2, 3), (4, None)]
    with FAILED:
        sql(copy(bucket.put("bad", bad), options=f"JSON '{paths}'"))
    assert sql(LAST_ERRORS)[0][3] == "Invalid JSONPath format: Not an array or index out of range."


def test_objects_may_span_lines_and_share_them(sql: Sql, bucket: Bucket) -> None:
    """White space separates; the number of a line is that of an object's last."""
    sql("CREATE TABLE t (a BIGINT)")
    text = '\r\n{"a":\n 1}{"a": 2} {"a"\n:\n"x"}\n{"a": 3}'
    sql(copy(bucket.put("lines", text), options="JSON 'auto' MAXERROR 2"))
    assert sql("SELECT a FROM t ORDER BY a") == [(1,), (2,), (3,)]
    assert [found[0] for found in sql(LAST_ERRORS)] == [5]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{"a": 1},\n{"a": 2}', 1),
        ('{"a": 1,}\n{"a": 2}', 1),
        ('{"a": 1\n{"a": 2}', 1),
        ('{"a": NaN}\n{"a": 2}', 1),
        ('\ufeff{"a": 1}\n{"a": 2}', 1),
        ('{"a": "\x00"}\n{"a": 2}', 1),
        ('[{"a": 1}, {"a": 2}]', 1),
        ("hello\nworld", 2),
    ],
)
def test_what_is_no_object_is_an_error(sql: Sql, bucket: Bucket, text: str, wrong: int) -> None:
    """Commas between, a byte order mark, an array of records, text: each counts as one, and reading goes on."""
    sql("CREATE TABLE t (a VARCHAR(10))")
    with FAILED:
        sql(copy(bucket.put("lines", text)))
    sql(copy(bucket.url("lines"), options="JSON 'auto' MAXERROR 9"))
    assert len(sql(LAST_ERRORS)) == wrong


def test_maxerror_counts(connection: Any, sql: Sql, bucket: Bucket) -> None:
    """As many errors as it says fail the load: 3 takes 2. 0 and 1 take none."""
    sql("CREATE TABLE t (a BIGINT)")
    url = bucket.put("lines", '{"a": "x"}\n{"a": 1}\n{"a": "y"}\n{"a": 2}\n')
    for most in (0, 1, 2):
        with FAILED:
            sql(copy(url, options=f"JSON 'auto' MAXERROR {most}"))
    assert len(sql(LAST_ERRORS)) == 2
    sql(copy(url, options="JSON 'auto' MAXERROR AS 3"))
    assert sql("SELECT a FROM t ORDER BY a") == [(1,), (2,)]
    assert "2 record(s) could not be loaded" in connection.notices[-1]
    sql(copy(url, options="JSON 'auto' IGNOREALLERRORS"))
    assert sql("SELECT pg_last_copy_count()") == [(2,)]


def test_an_object_may_have_4_mb(sql: Sql, bucket: Bucket) -> None:
    """More fails the load, whatever MAXERROR is."""
    sql("CREATE TABLE t (a BIGINT)")
    sql(copy(bucket.put("good", '{"a": 1, "b": "' + "x" * 4_194_287 + '"}')))
    with FAILED:
        sql(copy(bucket.put("bad", '{"a": 1, "b": "' + "é" * 2_097_144 + '"}'), options="JSON 'auto' MAXERROR 9"))
    assert "larger than" in sql(LAST_ERRORS)[0][3]


# -------------------------------------------------------------------------------------------------------------- values

VALUES: list[tuple[str, str, Any]] = [
    ("VARCHAR(10)", '"x"', "x"),
    ("VARCHAR(10)", "1.50", "1.50"),
    ("VARCHAR(20)", "1e2", "1e2"),
    ("VARCHAR(10)", "true", "true"),
    ("VARCHAR(10)", "null", None),
    ("VARCHAR(10)", '""', ""),
    ("VARCHAR(10)", '"  "', "  "),
    ("VARCHAR(10)", r'"a\tb\n\\\""', 'a\tb\n\\"'),
    ("VARCHAR(10)", r'"\N"', ValueError),
    ("VARCHAR(10)", r'"\\N"', "\\N"),
    ("VARCHAR(10)", r'"\u00e9\ud83d\ude00"', "é😀"),
    ("VARCHAR(10)", r'"\ud83d"', 1220),
    ("VARCHAR(10)", r'"a\u0000b"', 1212),
    ("VARCHAR(3)", '"é2"', "é2"),
    ("VARCHAR(3)", '"éé"', 1204),
    ("CHAR(3)", '"é"', 1220),
    ("BIGINT", "12", 12),
    ("BIGINT", '"12"', 12),
    ("BIGINT", '"-12"', -12),
    ("BIGINT", '""', None),
    ("BIGINT", '"  "', None),
    ("BIGINT", "1.0", 1207),
    ("BIGINT", "1e2", 1207),
    ("BIGINT", "true", 1207),
    ("BIGINT", "[1]", 1207),
    ("BIGINT", "9223372036854775807", 9223372036854775807),
    ("BIGINT", "9223372036854775808", 1207),
    ("SMALLINT", "40000", 1207),
    ("DOUBLE PRECISION", "1540919166796.0", 1540919166796.0),
    ("DOUBLE PRECISION", '"2.5"', 2.5),
    ("DOUBLE PRECISION", '"NaN"', 1207),
    ("BOOLEAN", "true", True),
    ("BOOLEAN", '"no"', False),
    ("BOOLEAN", '"maybe"', 1210),
    ("DATE", '"2018-11-01"', "2018-11-01"),
    ("DATE", '"11/01/2018"', 1205),
    ("TIMESTAMP", '"2018-11-01 10:00:00"', "2018-11-01 10:00:00"),
    ("TIMESTAMP", "1541105830796", 1206),
    ("BIGINT NOT NULL", "null", 1213),
    ("BIGINT NOT NULL", '""', 1213),
]


@pytest.mark.parametrize(("kind", "value", "expected"), VALUES)
def test_a_value_becomes_its_column_s(sql: Sql, bucket: Bucket, kind: str, value: str, expected: Any) -> None:
    """By type: what it becomes, or the number of the load error."""
    sql(f"CREATE TABLE t (a {kind})")
    url = bucket.put("lines", f'{{"a": {value}}}')
    if (isinstance(expected, int) and 1200 <= expected < 1300) or expected is ValueError:
        with FAILED:
            sql(copy(url))
        assert sql(LAST_ERRORS)[0][2] == (1216 if expected is ValueError else expected)
    else:
        sql(copy(url))
        [(found,)] = sql("SELECT a FROM t")
        assert (str(found) if kind in ("DATE", "TIMESTAMP") else found) == expected


@pytest.mark.parametrize(
    ("kind", "value", "options", "expected"),
    [
        ("VARCHAR(3)", '"éé"', "TRUNCATECOLUMNS", "é"),
        ("VARCHAR(3)", '""', "EMPTYASNULL", None),
        ("VARCHAR(3)", '"  "', "EMPTYASNULL", "  "),
        ("VARCHAR(3)", '"  "', "BLANKSASNULL", None),
        ("TIMESTAMP", "1541105830796", "TIMEFORMAT 'epochmillisecs'", "2018-11-01 20:57:10.796000"),
        ("TIMESTAMP", "1541105830", "TIMEFORMAT AS 'epochsecs'", "2018-11-01 20:57:10"),
        ("TIMESTAMP", '"2018-11-01T10:00:00"', "TIMEFORMAT 'auto'", "2018-11-01 10:00:00"),
        ("TIMESTAMP", '"yesterday"', "ACCEPTANYDATE", None),
        ("DECIMAL(5, 2)", "20.259", "COMPUPDATE OFF", "20.25"),
        ("DECIMAL(5, 2)", "20.259", "ROUNDEC", "20.26"),
    ],
)
def test_an_option_changes_a_value(
    sql: Sql, bucket: Bucket, kind: str, value: str, options: str, expected: Any
) -> None:
    """The options of conversion, one by one."""
    sql(f"CREATE TABLE t (a {kind})")
    sql(copy(bucket.put("lines", f'{{"a": {value}}}'), options=f"JSON 'auto' {options}"))
    [(found,)] = sql("SELECT a FROM t")
    assert (found if found is None or isinstance(found, str) else str(found)) == expected


def test_bytes_that_are_not_utf_8(sql: Sql, bucket: Bucket) -> None:
    """An error, unless ACCEPTINVCHARS replaces each byte; in a key that is not loaded they are nobody's."""
    sql("CREATE TABLE t (a VARCHAR(10))")
    url = bucket.put("lines", b'{"a": "x\xe9\xa4y", "b": "\xff"}')
    with FAILED:
        sql(copy(url))
    assert sql(LAST_ERRORS)[0][2:] == (
        1220,
        "String contains invalid or unsupported UTF-8 codepoints. Bad UTF-8 hex sequence: e9 (error 3)",
    )
    sql(copy(url, options="JSON 'auto' ACCEPTINVCHARS"))
    sql(copy(url, options="JSON 'auto' ACCEPTINVCHARS AS '^'"))
    assert sorted(sql("SELECT a FROM t")) == [("x??y",), ("x^^y",)]
