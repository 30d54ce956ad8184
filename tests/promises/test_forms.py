"""P115 to P123: what a file is called, how long its lines are and what stands between its records makes no difference;
what is no JSON in UTF-8 is named, with a command that makes it so."""

from __future__ import annotations

import ast
import bz2
import gzip
import io
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import duckdb
import pytest
from checker import check
from postgres_server import Make, PostgresWarehouse
from reference_star import star_of
from warehouse import LARGE, REPO, Warehouse, event, lines, plays, song

from dwh.sources.formats import conversion
from dwh.terminal.errors import DataError

ENGINES = ("duckdb", "postgres", "redshift")
MARK = b"\xef\xbb\xbf"
MANY = LARGE // 150  # plays of a file that an engine reads in place


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Every engine."""
    return str(request.param)


# ------------------------------------------------ P115, P116: guessed by DuckDB

FOLDERS: tuple[str, ...] = (
    "level=paid",
    "page=Home",
    "userId=77",
    "year=1999",
    "artist_id=AX/title=Other",
    "filename=x.json",
    "file_id=7",
)
FOLDERS += (
    "dwh_file_id=3/dwh_reason=bad",
    "ts=1/sessionId=9",
    "song_id=S9/year=month=7",
    "level=a.parquet",
    "length=.gz",
)


def test_p115_what_a_folder_is_called_says_nothing_of_the_records_in_it(
    make: Make, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the source, above it, and on the way to the temporary folder; small, large and gzip; the lake too."""
    root = tmp_path / "level=paid/year=1999/userId=77"
    scratch = root / "tmp/page=Home/level=paid/start_time=2001-01-01"
    scratch.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    warehouse = make(root, engine)
    session = 0
    for folder in FOLDERS:
        for name, number in (("small", 2), ("large", 90)):
            session += 1
            told = plays(number, sessionId=session, userAgent="x" * 3000)
            songs = [
                song(f"S{session}-{n}", title=f"T{session}-{n}", year=2001, unknown="x" * 3000) for n in range(number)
            ]
            for place, records in (("log_data", told), ("song_data", songs)):
                packed = session % 4 > 1  # the small ones of one folder, and the large ones of the next
                data = gzip.compress(lines(records), 1) if packed else lines(records)
                warehouse.write(f"{place}/{folder}/{name}.json{'.gz' if packed else ''}", data)
    warehouse.etl()
    check(warehouse)
    assert warehouse.rows("SELECT DISTINCT level FROM songplays") == [("free",)]
    assert warehouse.rows("SELECT DISTINCT year FROM songs") == [(2001,)]
    if engine != "redshift":  # its own UNLOAD writes the lake
        lake = root / "lake/year=2018/month=7/level=paid"
        warehouse.call("export_lake", "--to", str(lake))
        assert warehouse.call("export_lake", "--to", str(lake), "--check").code == 0


def test_p115_the_same_in_s3(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is fetched, and what Redshift reads by itself, is no other."""
    warehouse = make(tmp_path / "w", "redshift")
    place = warehouse.place  # type: ignore[attr-defined]
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    s3, bucket = place.client(), f"folders-{os.getpid()}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    seen = []
    for session, folder in enumerate(FOLDERS):
        records = plays(90, sessionId=session, userAgent="x" * 3000)
        seen += records
        packed = session % 2
        body = gzip.compress(lines(records), 1) if packed else lines(records)
        s3.put_object(Bucket=bucket, Key=f"log_data/{folder}/a.json{'.gz' if packed else ''}", Body=body)
    s3.put_object(Bucket=bucket, Key="song_data/year=1999/a.json", Body=lines([song()]))
    sources = {"LOG_DATA": f"s3://{bucket}/log_data", "SONG_DATA": f"s3://{bucket}/song_data"}
    warehouse.configure(S3=sources, ETL={"DIRECT_COPY_BYTES": 2000})
    warehouse.etl()
    assert warehouse.star() == star_of(seen, [song()])
    local = Warehouse(tmp_path / "d").create()
    local.configure(S3=sources)
    local.etl()
    assert local.star() == star_of(seen, [song()])


# Parameters that need no value of ours, and why.
NOT_GIVEN = {
    "read_json": {
        **dict.fromkeys(("hive_types", "schema", "column_statistics", "file_row_number"), "off unless it is given"),
        **dict.fromkeys(
            (
                "sample_size",
                "maximum_sample_files",
                "maximum_depth",
                "field_appearance_threshold",
                "map_inference_threshold",
            ),
            "only with auto_detect",
        ),
        **dict.fromkeys(("dateformat", "date_format", "timestampformat", "timestamp_format"), "every value is text"),
        **dict.fromkeys(("array", "geojson"), "format and records say so"),
    },
    "read_csv": {
        **dict.fromkeys(
            ("hive_types", "schema", "column_statistics", "file_row_number", "filename"), "off unless given"
        ),
        **dict.fromkeys(
            ("sep", "separator", "delimiter", "null", "maximum_line_size"), "another name of one that is given"
        ),
        **dict.fromkeys(("column_types", "dtypes", "types", "names", "column_names"), "columns says all"),
        **dict.fromkeys(
            ("auto_type_candidates", "sample_size", "files_to_sniff", "all_varchar"), "only with auto_detect"
        ),
        **dict.fromkeys(("dateformat", "date_format", "timestampformat", "timestamp_format"), "ISO, as COPY writes it"),
        **dict.fromkeys(
            ("store_rejects", "rejects_table", "rejects_scan", "rejects_limit", "rejects_line_size_limit"),
            "no errors go by",
        ),
        **dict.fromkeys(("force_not_null", "normalize_names", "thousands", "allow_empty"), "off unless it is given"),
        **dict.fromkeys(("buffer_size", "parallel"), "how fast, not what"),
    },
    "read_parquet": {
        **dict.fromkeys(
            ("hive_types", "schema", "column_statistics", "file_row_number", "bound_schema"), "off unless given"
        ),
        **dict.fromkeys(("explicit_cardinality", "prefetch_strategy", "debug_use_openssl"), "how fast, not what"),
        **dict.fromkeys(("compression", "encryption_config", "parquet_version"), "the file says it, and we wrote it"),
        **dict.fromkeys(("can_have_nan", "utf8_validation", "int96_as", "allow_empty"), "not in what DuckDB wrote"),
    },
}


def strings_of(path: Path) -> list[str]:
    """Give the texts in a file of Python, each whole where it is put together of several."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    return [
        ast.unparse(node) for node in nodes if isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in parts
    ]


@pytest.mark.parametrize("function", NOT_GIVEN)
def test_p116_no_parameter_is_left_to_be_guessed(function: str) -> None:
    """Each parameter of DuckDB is set wherever a file is read, or listed above, so that a new one is noticed."""
    rows = duckdb.execute("SELECT UNNEST(parameters) FROM duckdb_functions() WHERE function_name = ?", [function])
    known = {name for (name,) in rows.fetchall()} - {"path", "paths"}
    texts = [text for path in sorted((REPO / "dwh/engines").rglob("*.py")) for text in strings_of(path)]
    calls = [text for text in texts if f"{function}(" in text]
    assert calls
    for call in calls:
        given = set(re.findall(r"(\w+) = ", call))
        assert known - given - set(NOT_GIVEN[function]) == set(), call


def test_p116_text_and_numbers_do_not_depend_on_the_surroundings_of_the_client(
    postgres: PostgresWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL takes the encoding and the digits of numbers from the environment, the role or the database."""
    postgres.write("log_data/a.json", [event(song="Été 🎵", length=246.30812345678912)])
    postgres.write("song_data/a.json", [song(title="Été 🎵", artist_latitude=64.12345678901234)])
    postgres.write("log_data/b.json", plays(MANY, sessionId=9, song="Été"))
    lake = postgres.root / "lake"
    with monkeypatch.context() as surroundings:
        surroundings.setenv("PGCLIENTENCODING", "LATIN1")
        surroundings.setenv("PGOPTIONS", "-c extra_float_digits=-5 -c datestyle=SQL,DMY")
        postgres.etl()
        postgres.call("export_lake", "--to", str(lake))
        assert postgres.call("export_lake", "--to", str(lake), "--check").code == 0
    check(postgres)
    found = duckdb.execute("SELECT latitude FROM read_parquet(?)", [str(next(lake.rglob("artists/data/*.parquet")))])
    assert found.fetchall() == [(64.12345678901234,)]


# ------------------------------------------------ P117 to P119: lines, and what is between

GAPS = {
    "nothing": b"",
    "a blank": b" ",
    "CR": b"\r",
    "CR and blanks": b" \r\t",
    "a mark": MARK,
    "a break and a mark": b"\n" + MARK,
}


def test_p117_the_limit_is_one_of_a_record_not_of_a_line(make: Make, engine: str, tmp_path: Path) -> None:
    """Megabytes of records on one line, with or without blanks between them; small, large and gzip."""
    warehouse = make(tmp_path / "w", engine)
    for session, gap in enumerate(GAPS.values(), 1):
        for n, number in enumerate((2, 120)):
            records = plays(number, sessionId=session + 100 * n, userAgent="x" * 3000, song='a}{"b" \ufeff{')
            data = gap.join(json.dumps(record, ensure_ascii=False).encode() for record in records)
            warehouse.write(f"log_data/{session}-{number}.json", data)
    huge = [event(itemInSession=n, sessionId=1000, userAgent="y" * 3900) for n in range(1300)]
    body = b"".join(json.dumps(record).encode() for record in huge)
    assert len(body) > 5_000_000
    warehouse.write("log_data/huge.json", body)
    warehouse.write(
        "song_data/packed.json.gz",
        gzip.compress(b"".join(lines([song(f"S{n}", title=f"T{n}")]).strip() for n in range(2000))),
    )
    warehouse.etl()
    check(warehouse)
    assert warehouse.value("SELECT COUNT(*) FROM songplays WHERE title = 'a}{\"b\" \ufeff{'") == len(GAPS) * 122


LONG = json.dumps(event(sessionId=77, unknown="z" * 4_200_000)).encode()


def test_p118_a_record_above_4_mb_is_named_with_its_line_and_costs_itself(
    make: Make, engine: str, tmp_path: Path
) -> None:
    """Alone on its line, among others on one line, and spread over many lines."""
    warehouse = make(tmp_path / "w", engine)
    around = [lines([event(sessionId=n)]).strip() for n in range(4)]
    spread = LONG.replace(b'"unknown"', b'\n\n"unknown"')
    cases = {
        "own": (b"\n".join([around[0], LONG, around[1]]), b"\n".join(around[:2]), 2),
        "shared": (b"".join([around[0], around[1], LONG, around[2], b"\n", around[3]]), b"\n".join(around), 1),
        "spread": (b"\n".join([around[0], around[1], spread, around[2]]), b"\n".join(around[:3]), 3),
    }
    for name, (data, _, _) in cases.items():
        warehouse.write(f"log_data/{name}.json", data)
    with pytest.raises(DataError, match=r"own\.json line 2") as raised:
        warehouse.etl()
    assert "longer than 4 MB" in raised.value.evidence[0]
    warehouse.etl("--on-bad-line", "quarantine")
    check(warehouse, {f"log_data/{name}.json": good for name, (_, good, _) in cases.items()})
    found = {path: [(line, reason) for line, reason, _ in rows] for path, rows in warehouse.rejected().items()}
    assert found == {f"log_data/{name}.json": [(line, "longer than 4 MB")] for name, (_, _, line) in cases.items()}


def test_p119_a_byte_order_mark_before_a_record_is_no_part_of_it(make: Make, engine: str, tmp_path: Path) -> None:
    """At the beginning of a file or anywhere between records, small, large and gzip; one inside a text stays."""
    warehouse = make(tmp_path / "w", engine)
    session = 0
    for number in (3, MANY):
        one = lines(plays(number, song="\ufeffMark\ufeff"))
        first, _, rest = one.partition(b"\n")
        for data in (
            MARK + one,
            first + b"\n" + MARK + rest,
            MARK * 3 + b"\n" + one + MARK,
            MARK + first + MARK + rest + b"\n" + MARK,
        ):
            session += 1
            data = data.replace(b'"sessionId": 5', b'"sessionId": %d' % session)
            warehouse.write(f"log_data/{session}.json", data)
            warehouse.write(
                f"log_data/{session}.jsonl.gz", gzip.compress(data.replace(b'"userId": "8"', b'"userId": "9"'), 1)
            )
    warehouse.write("song_data/only.json", MARK)
    warehouse.write("song_data/a.json", MARK + lines([song(title="\ufeffMark\ufeff")]))
    warehouse.etl()
    check(warehouse)
    counted = "SELECT COUNT(*), COUNT(song_id) FROM songplays WHERE title = '\ufeffMark\ufeff'"
    assert warehouse.rows(counted) == [(8 * (3 + MANY),) * 2]


# ------------------------------------------------ P120, P121: other formats

GOOD = lines(plays(3))


def zipped(data: bytes) -> bytes:
    """Put it into a zip archive."""
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", data)
    return into.getvalue()


def tarred(data: bytes) -> bytes:
    """Put it into a tar archive."""
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w") as archive:
        member = tarfile.TarInfo("a.json")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return into.getvalue()


def in_parquet(data: bytes) -> bytes:
    """Write the records as Parquet."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "a.json"), Path(folder, "a.parquet")
        source.write_bytes(data)
        duckdb.execute("COPY (FROM read_json(?)) TO (?) (FORMAT parquet)", [str(source), str(target)])
        return target.read_bytes()


def in_array(data: bytes) -> bytes:
    """Make one array of the records."""
    return b" \n[" + b",\n".join(data.splitlines()) + b"]\n"


def by_tool(*command: str) -> Callable[[bytes], bytes]:
    """Have a program of this machine make it."""
    return lambda data: subprocess.run(command, input=data, capture_output=True, check=True).stdout


FORMATS: Mapping[str, tuple[str, Callable[[bytes], bytes]]] = {
    **{
        f"{code}{' with a mark' if mark else ''}": (
            f"{code[:6]}{'' if mark else code[-2:]} text",
            lambda data, code=code, mark=mark: (mark + data.decode()).encode(code),  # type: ignore[misc]
        )
        for code in ("UTF-16-LE", "UTF-16-BE", "UTF-32-LE", "UTF-32-BE")
        for mark in ("", "\ufeff")
    },
    "zip": ("a zip archive", zipped),
    "bzip2": ("bzip2", bz2.compress),
    "xz": ("xz", lzma.compress),
    "zstd": ("zstd", by_tool("zstd", "-c")),
    "tar": ("a tar archive", tarred),
    "Parquet": ("Parquet", in_parquet),
    "an array": ("one JSON array", in_array),
    "an array behind a mark": ("one JSON array", lambda data: MARK + in_array(data)),
    "gzip": ("gzip", gzip.compress),
}
TOOLS = {"zip": "unzip", "bzip2": "bunzip2", "xz": "xz", "zstd": "zstd", "tar": "tar"}


def test_p120_each_other_format_is_named_and_the_command_converts_it(warehouse: Warehouse) -> None:
    """In a file whose name we take, also in gzip, small and large: the command makes a file that loads."""
    expected = {}
    for number, (name, (told, make_it)) in enumerate(FORMATS.items(), 1):
        if shutil.which(TOOLS.get(name, "sh")) is None:
            continue
        plain = GOOD.replace(b'"sessionId": 5', b'"sessionId": %d' % number)
        other = make_it(plain)
        expected[f"log_data/it's {number}.json"] = told
        warehouse.write(f"log_data/it's {number}.json", other)
        expected[f"log_data/in {number}.jsonl.gz"] = f"{told} in gzip"
        warehouse.write(f"log_data/in {number}.jsonl.gz", gzip.compress(other.replace(b"Ada", b"Ida")))
        if name in ("UTF-16-LE with a mark", "zip", "zstd"):
            expected[f"log_data/as {number}.json.gz"] = told
            warehouse.write(f"log_data/as {number}.json.gz", other)
    large = lines(plays(MANY, sessionId=99)).decode().encode("utf-16")
    warehouse.write("log_data/large.json", large)
    with pytest.raises(DataError) as raised:
        warehouse.etl()
    assert "<" in raised.value.hint[0]
    warehouse.etl("--on-bad-line", "quarantine")
    found = {path: reason for path, [(_, reason, _)] in warehouse.rejected().items()}
    assert found.pop("log_data/large.json").startswith("it is UTF-16 text: ")
    assert {path: reason.partition(":")[0] for path, reason in found.items()} == {
        path: f"it is {told}" for path, told in expected.items()
    }
    for path, reason in [*found.items(), ("log_data/large.json", "it is UTF-16 text: so")]:
        command = conversion(str(warehouse.root / path), reason)
        assert command
        convert(command)
    after = warehouse.etl()
    assert after["rows"]["rejected_lines"] - after["files"]["vanished"] == 0
    loaded = warehouse.rows("SELECT DISTINCT staged FROM loaded_files WHERE status = 'loaded' ORDER BY staged")
    assert loaded == [(3,), (MANY,)]
    assert after["rows"]["songplays"] == 3 * len({re.findall(r"\d+", path)[0] for path in expected}) + MANY
    assert not list((warehouse.root / "log_data").glob("*.[12]"))


def convert(command: str) -> None:
    """Run a command of a message in a shell, with the Python of the suite."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(["sh", "-c", command], env={**os.environ, "PATH": path}, capture_output=True, check=False)
    assert done.returncode == 0, (command, done.stderr)


def test_p120_in_s3_the_object_is_replaced() -> None:
    """The command fetches it, and puts it back only when each step succeeded."""
    told = conversion("s3://bucket/a b.json.gz", "it is zstd in gzip: so")
    assert told == (
        """f=$(mktemp) && aws s3 cp 's3://bucket/a b.json.gz' "$f" && gunzip < "$f" > "$f.1" """
        """&& zstd -dc "$f.1" > "$f.2" && gzip < "$f.2" > "$f" """
        """&& rm "$f.2" && rm "$f.1" && aws s3 cp "$f" 's3://bucket/a b.json.gz'"""
    )
    assert conversion("s3://b/a.json", "it is gzip: so") == "aws s3 mv s3://b/a.json s3://b/a.json.gz"
    assert conversion("a.json", "the key 'page' appears twice") is None


def test_p121_gzip_is_read_to_its_end_or_refused(warehouse: Warehouse) -> None:
    """Nothing, several members and zeros behind the last are taken; what is cut or followed by something is not."""
    whole = gzip.compress(GOOD)
    taken = {
        "empty": b"",
        "nothing in it": gzip.compress(b""),
        "members": whole + gzip.compress(GOOD.replace(b'"sessionId": 5', b'"sessionId": 6')),
        "zeros": gzip.compress(GOOD.replace(b'"sessionId": 5', b'"sessionId": 7')) + b"\0" * 700,
    }
    refused = {
        "cut": whole[:-9],
        "followed": whole + b"garbage",
        "only a beginning": whole[:2],
        "damaged": whole[:30] + b"\0" * 9,
    }
    for name, data in {**taken, **refused}.items():
        warehouse.write(f"log_data/{name}.json.gz", data)
    warehouse.write("log_data/no gzip.JSON.GZ", GOOD)
    found = warehouse.etl("--on-bad-line", "quarantine")
    assert (found["files"]["rejected"], found["rows"]["songplays"]) == (5, 9)
    told = {path.split("/")[1]: reason for path, [(_, reason, _)] in warehouse.rejected().items()}
    assert set(told) == {f"{name}.json.gz" for name in refused} | {"no gzip.JSON.GZ"}
    assert all("gzip" in reason for reason in told.values())
    convert(str(conversion(str(warehouse.root / "log_data/no gzip.JSON.GZ"), told["no gzip.JSON.GZ"])))
    assert (warehouse.root / "log_data/no gzip.JSON").read_bytes() == GOOD
