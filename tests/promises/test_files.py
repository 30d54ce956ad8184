"""P130 to P139: which files of a source are read, which are passed over, and what is no data at all.

Nothing is passed over in silence, and what is among the data by mistake is named for what it is.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import faulty_s3
import pytest
from faulty_s3 import FaultyS3
from postgres_server import Make
from warehouse import LARGE, Warehouse, event, failure, lines, plays, song, text

from dwh.sources.listing import Names, describe_passed_over, only_passed_over
from dwh.terminal.errors import ConfigError, DataError, EnvironmentFailure
from star.other_files import other_file

ENGINES = ("duckdb", "postgres", "redshift")
PLAYS = "SELECT COUNT(*) FROM songplays"


@pytest.fixture(params=ENGINES)
def everywhere(request: pytest.FixtureRequest, tmp_path: Path, make: Make) -> Warehouse:
    """An empty warehouse, once on every engine."""
    return make(tmp_path / "w", request.param)


@pytest.fixture
def s3() -> Iterator[FaultyS3]:
    """An endpoint with a song."""
    with faulty_s3.serving() as server:
        server.objects["song_data/one.json"] = lines([song()])
        yield server


@pytest.fixture
def cloud(warehouse: Warehouse, s3: FaultyS3, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """A warehouse whose sources are there."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    point(warehouse, s3)
    return warehouse


def point(warehouse: Warehouse, s3: FaultyS3, **keys: object) -> None:
    """Write dwh.cfg for sources in S3, with more keys of [S3]."""
    places = {"LOG_DATA": "s3://music/log_data", "SONG_DATA": "s3://music/song_data"}
    found = {**places, "ENDPOINT_URL": s3.endpoint, "REGION": "us-west-2", "TIMEOUT": 2, **keys}
    warehouse.configure(S3=found, AWS={"KEY": "AKIDEXAMPLE", "SECRET": "not-a-secret"})


def notes(warehouse: Warehouse, *argv: str) -> list[str]:
    """Load, and give the notes that were written."""
    said = warehouse.call("etl", *argv).err.splitlines()
    return [line.removeprefix("note: ") for line in said if line.startswith("note: ") and "secret" not in line]


def of_session(number: int, records: int = 1) -> bytes:
    """Give plays of a session of its own."""
    return lines(plays(records, sessionId=number))


# What a folder or a prefix of logs may hold, by the names that are read.
READ = {
    "a.json": of_session(1),
    "b.JSON": of_session(2),
    "c.jsonl": of_session(3),
    "d.NdJson": of_session(4),
    "e.jsonl.gz": gzip.compress(of_session(5)),
    "f.Json.GZ": gzip.compress(of_session(6)),
    "day/g.ndjson.gz": gzip.compress(of_session(7)),
    "h.json/i.JSONL": of_session(8),
    "large.ndjson": of_session(9, LARGE // 200),
    "large.JSONL.GZ": gzip.compress(of_session(10, LARGE // 200), 0),
}
EXPECTED = 8 + 2 * (LARGE // 200)
HIDDEN = (
    *("_SUCCESS", "_temporary/0/x.json", "_delta_log/0.json", "day/_spark_metadata/0.json", ".a.json.crc"),
    *(".git/x.json", "day/.part-0.json", "_a.json", "_committed_1"),
)
PASSED_OVER = ("part-00000", "day/events.log", "g.json.bz2", "x.json.bak", "notes.txt")


# ------------------------------------------------------------------------------------------------- names


def test_p130_every_usual_name_is_read(everywhere: Warehouse) -> None:
    """JSON by six endings in any case, small and large, packed or not, for both kinds."""
    for name, data in READ.items():
        everywhere.write(f"log_data/{name}", data)
    everywhere.write("song_data/S.NDJSON", [song()])
    told = everywhere.etl()
    assert (told["files"]["new"], told["files"]["passed_over"]) == (len(READ) + 1, 0)
    assert everywhere.rows("SELECT COUNT(*), COUNT(DISTINCT session_id), COUNT(song_id) FROM songplays") == [
        (EXPECTED, 10, EXPECTED)
    ]


def test_p130_every_usual_name_is_read_in_s3(cloud: Warehouse, s3: FaultyS3) -> None:
    s3.objects |= {f"log_data/{name}": data for name, data in READ.items()}
    assert cloud.etl()["files"]["new"] == len(READ) + 1
    assert cloud.value(PLAYS) == EXPECTED
    assert cloud.value("SELECT COUNT(DISTINCT session_id) FROM songplays") == 10


def test_p130_a_single_file_is_read_whatever_its_name(warehouse: Warehouse, s3: FaultyS3) -> None:
    """A file that is named itself is read: hidden, without an ending, packed or not, here and in S3."""
    warehouse.write("_logs/part-0", of_session(1))
    warehouse.write("_logs/.today.log", gzip.compress(of_session(2)))
    s3.objects |= {"logs/_part-1": of_session(3), "logs/part-2": gzip.compress(of_session(4))}
    here = " ".join(str(warehouse.root / "_logs" / name) for name in ("part-0", ".today.log"))
    point(warehouse, s3, LOG_DATA=f"{here} s3://music/logs/_part-1 s3://music/logs/part-2")
    told = warehouse.etl()
    assert (told["rows"]["songplays"], told["files"]["passed_over"]) == (4, 0)


def test_p131_hidden_names_are_neither_read_nor_counted(everywhere: Warehouse) -> None:
    """Below a source; its own path may hold such names."""
    everywhere.configure(S3={"LOG_DATA": "_raw/.logs"})
    everywhere.write("_raw/.logs/a.json", plays(2))
    for name in HIDDEN:
        everywhere.write(f"_raw/.logs/{name}", b'{"half')
    assert everywhere.etl()["files"] == {
        "new": 1,
        "changed": 0,
        "vanished": 0,
        "already_loaded": 0,
        "rejected": 0,
        "passed_over": 0,
    }
    assert everywhere.value(PLAYS) == 2


def test_p131_what_is_loaded_and_hidden_now_keeps_its_rows(warehouse: Warehouse) -> None:
    """A ledger made before such names were hidden: its file has not vanished, and is forgotten on request although it
    is still there, because no run would load it again."""
    path = warehouse.write("log_data/x/a.json", plays(2))
    warehouse.write("log_data/b.json", plays(2, sessionId=9))
    warehouse.etl()
    before = warehouse.dump()
    hidden = path.parent.with_name("_x")
    path.parent.rename(hidden)
    warehouse.rows("UPDATE loaded_files SET path = replace(path, '/x/', '/_x/')")
    told = warehouse.call("etl", "--json")
    assert (told.json["files"]["vanished"], told.json["files"]["already_loaded"], told.json["loads"]) == (0, 1, [])
    assert f"note: 1 loaded file no longer read because of the name, rows kept: {hidden}/a.json" in told.err
    assert warehouse.dump()["songplays"] == before["songplays"]
    with pytest.raises(ConfigError, match="still there"):
        warehouse.call("etl", "--forget", str(warehouse.root / "log_data/b.json"))
    assert warehouse.call("etl", "--forget", str(hidden)).code == 0
    assert warehouse.value(PLAYS) == 2
    assert notes(warehouse) == [f"{warehouse.root}/song_data holds no file to read ({Names()})"]


def test_p131_a_loaded_file_that_no_pattern_takes_any_more_keeps_its_rows(warehouse: Warehouse) -> None:
    warehouse.configure(S3={"PATTERN": "part-*"})
    warehouse.write("log_data/part-0", plays(2))
    warehouse.write("log_data/a.json", plays(2, sessionId=9))
    assert warehouse.etl()["rows"]["songplays"] == 4
    warehouse.configure()
    told = warehouse.etl()
    assert (told["files"]["vanished"], told["files"]["passed_over"], told["rows"]["songplays"]) == (0, 1, 4)


# --------------------------------------------------------------------------------------------- passed over


def test_p132_what_is_passed_over_is_counted_and_named_once(everywhere: Warehouse) -> None:
    """One note for both kinds, with an example and the setting, in every run; also in --json."""
    everywhere.write("log_data/a.json", plays(2))
    everywhere.write("song_data/s.json", [song()])
    for name in PASSED_OVER:
        everywhere.write(f"log_data/{name}", b"not JSON")
    everywhere.write("song_data/README", b"not JSON")
    for _ in range(2):
        [note] = notes(everywhere)
        assert note.startswith(f"6 files passed over, such as {everywhere.root}/log_data/day/events.log (not *.json")
        assert "[S3] PATTERN" in note
    assert everywhere.etl()["files"]["passed_over"] == 6
    assert f"passed over: {everywhere.root}/log_data/part-00000" in everywhere.call("etl", "-v").err


def test_p132_what_is_no_file_is_never_opened(warehouse: Warehouse) -> None:
    """A pipe, a socket and a link to a device are passed over under any name: a load that opened the pipe would wait
    for its writer."""
    warehouse.write("log_data/a.json", plays(2))
    folder = warehouse.root / "log_data"
    os.mkfifo(folder / "pipe.json")
    os.mkfifo(folder / "pipe")
    (folder / "null.json").symlink_to("/dev/null")
    (folder / "nothing").symlink_to("/nowhere")
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(folder)  # a path of a socket has 107 bytes at most
        try:
            listening.bind("s.json")
        finally:
            os.chdir(here)
    told = warehouse.run("etl", "--json")
    assert (told.code, told.json["files"]["new"], told.json["files"]["passed_over"]) == (0, 1, 5), told.err


def test_p132_a_link_to_a_file_that_is_gone_is_named(warehouse: Warehouse) -> None:
    """Its name is one that is read: skipping it would lose its records."""
    warehouse.write("log_data/a.json", plays(2))
    (warehouse.root / "log_data/b.json").symlink_to("/nowhere/b.json")
    error = failure(warehouse)
    assert (error.exit_code, "log_data/b.json cannot be read" in error.message) == (3, True)


ONLY = {
    "part-00000": "[S3] PATTERN = part-*",
    "stream-1-2018-11-01-08-00-00-6f": "[S3] PATTERN = stream-*",
    "2018-11-01": "[S3] PATTERN = *",
    "my part-1": "[S3] PATTERN = my?part-*",
    "a.log": "[S3] PATTERN = *.log",
    "a.log.gz": "[S3] PATTERN = *.log.gz",
    "a.json.1": "[S3] PATTERN = a.json.*",
    "a.json.bz2": "bunzip2 -c /x/a.json.bz2 > /x/a.json",
    "it's.xz": "xz -dc '/x/it'\"'\"'s.xz' > '/x/it'\"'\"'s.json'",
    "a.parquet": "[S3] LOG_DATA = a folder of JSON files",
}


@pytest.mark.parametrize("name", ONLY)
def test_p132_what_to_do_when_all_is_passed_over(name: str) -> None:
    """The pattern that takes such names, or the command that unpacks them."""
    error = only_passed_over("/x", "[S3] LOG_DATA", [f"/x/{name}"], Names())
    assert error.hint[0].startswith(ONLY[name])
    assert "PATTERN" in error.evidence[0]


def test_p132_a_source_of_which_all_is_passed_over_is_refused(everywhere: Warehouse) -> None:
    """Exit code 3, before anything is loaded; the edit that is told works."""
    everywhere.write("song_data/s.json", [song()])
    everywhere.write("log_data/part-00000", plays(2))
    error = failure(everywhere)
    assert isinstance(error, EnvironmentFailure)
    assert error.message == f"no file under {everywhere.root}/log_data is read   ([S3] LOG_DATA)"
    assert everywhere.value("SELECT COUNT(*) FROM loaded_files") == 0
    setting, _, pattern = error.hint[0].partition("     (")[0].partition(" = ")
    assert setting == "[S3] PATTERN"
    everywhere.configure(S3={"PATTERN": pattern})
    assert everywhere.etl()["rows"]["songplays"] == 2


def test_p132_a_folder_of_hidden_names_is_an_empty_one(warehouse: Warehouse) -> None:
    """A note and exit code 0: a job without output writes only _SUCCESS."""
    for folder in ("log_data", "song_data"):
        warehouse.write(f"{folder}/_SUCCESS", b"")
    assert [note.split(" holds ")[1] for note in notes(warehouse)] == [f"no file to read ({Names()})"] * 2


def test_p132_the_example_is_one_that_can_be_helped() -> None:
    """Of many files one that PATTERN can take is shown before one that it cannot, and a pipe last."""
    assert "such as /x/b.log (" in describe_passed_over(["/x/a.bz2", "/x/b.log", "/x/p.json"], Names())
    assert "1 file passed over, such as /x/p.json (neither" in describe_passed_over(["/x/p.json"], Names())


# ------------------------------------------------------------------------------------------------- PATTERN


BY_PATTERN = {
    "part-00000": of_session(1),
    "part-00001": gzip.compress(of_session(2)),
    "x/part-2.c000": of_session(3),
    "part-large": of_session(4, LARGE // 200),
    "part-packed": gzip.compress(of_session(5, LARGE // 200), 0),
    "b.json": of_session(6),
    "c.json.gz": gzip.compress(of_session(7)),
}


def test_p133_pattern_adds_names_and_the_content_says_what_is_packed(everywhere: Warehouse) -> None:
    """For both kinds, beside the usual names; hidden ones stay hidden, and case counts."""
    everywhere.configure(S3={"PATTERN": "part-* *.songs"})
    for name, data in BY_PATTERN.items():
        everywhere.write(f"log_data/{name}", data)
    everywhere.write("log_data/_part-0", b"{")
    everywhere.write("log_data/PART-0", b"{")
    everywhere.write("song_data/all.songs", gzip.compress(lines([song()])))
    told = everywhere.etl()
    assert (told["files"]["new"], told["files"]["passed_over"]) == (8, 1)
    assert everywhere.rows("SELECT COUNT(DISTINCT session_id), COUNT(*), COUNT(song_id) FROM songplays") == [
        (7, 5 + 2 * (LARGE // 200), 5 + 2 * (LARGE // 200))
    ]


def test_p133_pattern_works_in_s3(cloud: Warehouse, s3: FaultyS3) -> None:
    """Copies of such objects keep the packed and the plain apart from those whose names say it."""
    s3.objects |= {f"log_data/{name}": data for name, data in BY_PATTERN.items()}
    point(cloud, s3, PATTERN="part-*")
    assert cloud.etl()["files"]["new"] == 8
    assert cloud.value("SELECT COUNT(DISTINCT session_id) FROM songplays") == 7
    assert cloud.value(PLAYS) == 5 + 2 * (LARGE // 200)


@pytest.mark.parametrize("pattern", ["logs/part-*", "part-*, *.log", "_*", ".*"])
def test_p133_a_pattern_that_could_match_nothing_is_refused(warehouse: Warehouse, pattern: str) -> None:
    warehouse.configure(S3={"PATTERN": pattern})
    with pytest.raises(ConfigError, match="PATTERN"):
        warehouse.etl()


# ------------------------------------------------------------------------------------------------------ S3


def test_p134_a_prefix_is_listed_like_a_folder(cloud: Warehouse, s3: FaultyS3) -> None:
    """Hidden keys and folder markers are not counted, others are; and no object costs a request of its own."""
    s3.objects |= {f"log_data/{name}": b"not JSON" for name in PASSED_OVER}
    s3.objects |= {f"log_data/{name}": b"not JSON" for name in HIDDEN}
    s3.objects |= {"log_data/": b"", "log_data/2018/": b"", "log_data/2018_$folder$": b"", "log_data/a.json": b""}
    told = cloud.etl()
    assert (told["files"]["new"], told["files"]["passed_over"]) == (2, len(PASSED_OVER))
    s3.requests.clear()
    again = cloud.etl()
    assert (again["files"]["already_loaded"], again["files"]["passed_over"]) == (2, len(PASSED_OVER))
    assert len(s3.requests) == 2, "one page for each kind"


def test_p134_the_path_of_a_prefix_may_hold_hidden_names(cloud: Warehouse, s3: FaultyS3) -> None:
    s3.objects |= {"_raw/.logs/a.json": of_session(1), "_raw/.logs/_b.json": b"{"}
    point(cloud, s3, LOG_DATA="s3://music/_raw/.logs/")
    assert cloud.etl()["rows"]["songplays"] == 1


@pytest.mark.parametrize(
    "keys", [("log_data/",), ("log_data/2018/",), ("log_data/_SUCCESS",), ("log_data/x_$folder$",)]
)
def test_p134_a_prefix_without_data_is_an_empty_folder(cloud: Warehouse, s3: FaultyS3, keys: tuple[str, ...]) -> None:
    """A marker or a hidden key shows that the prefix is not misspelt: a note and 0."""
    s3.objects |= dict.fromkeys(keys, b"")
    assert notes(cloud) == [f"s3://music/log_data holds no file to read ({Names()})"]


def test_p134_a_prefix_of_which_all_is_passed_over_is_refused(cloud: Warehouse, s3: FaultyS3) -> None:
    s3.objects |= {"log_data/stream-1-2018": of_session(1), "log_data/2018/": b""}
    error = failure(cloud)
    assert (error.exit_code, error.hint[0].split("  ")[0]) == (3, "[S3] PATTERN = stream-*")
    assert "1 file passed over, such as s3://music/log_data/stream-1-2018" in error.evidence[0]


def test_p134_a_prefix_without_keys_is_refused(cloud: Warehouse, s3: FaultyS3) -> None:
    del s3.objects["song_data/one.json"]
    s3.objects["log_data/a.json"] = of_session(1)
    assert failure(cloud).exit_code == 3


# ------------------------------------------------------------------------------------------- wrong settings


@pytest.mark.parametrize(
    ("log_data", "song_data", "said"),
    [
        ("data", "data", "the same place"),
        ("data", "data/", "the same place"),
        ("data", "link", "the same place"),
        ("x data", "song_data data", "the same place"),
        ("data", "data/song_data", "[S3] SONG_DATA = .* lies inside \\[S3\\] LOG_DATA"),
        ("data/log_data", "data", "[S3] LOG_DATA = .* lies inside \\[S3\\] SONG_DATA"),
        ("s3://music", "s3://music/songs", "lies inside"),
        ("s3://music/a/", "s3://music/a", "the same place"),
    ],
)
def test_p135_one_place_for_both_kinds_is_refused_at_once(
    bare: Warehouse, log_data: str, song_data: str, said: str
) -> None:
    """Exit code 2, before any database is looked for: there is none here."""
    for kind in ("log_data", "song_data"):
        bare.write(f"data/{kind}/a.json", b"{}")
    (bare.root / "link").symlink_to(bare.root / "data")
    bare.configure(S3={"LOG_DATA": log_data, "SONG_DATA": song_data})
    with pytest.raises(ConfigError, match=said.replace("[S3]", r"\[S3\]", 1)) as raised:
        bare.etl()
    if not log_data.startswith("s3"):
        edits = [hint.partition(" = ")[2] for hint in raised.value.hint]
        assert edits and all(Path(edit).is_dir() for edit in edits)


@pytest.mark.parametrize(
    ("log_data", "song_data"), [("data", "data/_songs"), ("data/logs", "data/logs2"), ("s3://a/x", "s3://b/x")]
)
def test_p135_places_side_by_side_are_fine(bare: Warehouse, log_data: str, song_data: str) -> None:
    """So is one that is hidden from the other: what is missing then is the database."""
    bare.configure(S3={"LOG_DATA": log_data, "SONG_DATA": song_data})
    with pytest.raises(EnvironmentFailure, match="does not exist"):
        bare.etl()


@pytest.mark.parametrize("mode", ["stop", "quarantine"])
def test_p136_swapped_sources_are_named(everywhere: Warehouse, mode: str) -> None:
    """Exit code 2, also with a quarantine: all of both would be set aside, with 0. The edits that are told work."""
    everywhere.write("log_data/s.json", [song(), song("S2")])
    everywhere.write("song_data/e.json", lines(plays(30)))
    error = failure(everywhere, "--on-bad-line", mode)
    assert isinstance(error, ConfigError)
    assert error.message == "[S3] LOG_DATA and SONG_DATA are swapped: each holds the records of the other"
    assert "quarantine" not in text(error)
    assert set(map(len, (everywhere.star() | {"ledger": everywhere.rows("SELECT 1 FROM loaded_files")}).values())) == {
        0
    }
    edits = dict(hint.removeprefix("[S3] ").split(" = ") for hint in error.hint)
    everywhere.configure(S3=edits)
    assert everywhere.etl()["rows"]["songplays"] == 30


@pytest.mark.parametrize("wrong", ["log_data", "song_data"])
def test_p136_one_source_of_the_other_kind_is_named(warehouse: Warehouse, wrong: str) -> None:
    """Songs in LOG_DATA, or events in SONG_DATA, while the other source is right or was never read."""
    setting, other = ("LOG_DATA", "SONG_DATA") if wrong == "log_data" else ("SONG_DATA", "LOG_DATA")
    record: dict[str, Any] = song() if wrong == "log_data" else event()
    warehouse.write(f"{wrong}/x.json", [record])
    error = failure(warehouse)
    assert (error.exit_code, error.message.endswith(f"it looks swapped with {other}")) == (2, True)
    right: dict[str, Any] = song() if wrong == "log_data" else event()
    warehouse.write(f"{other.lower()}/x.json", [right])
    error = failure(warehouse)
    assert f"[S3] {setting} holds" in error.message
    assert error.hint == (f"[S3] {setting} = the folder of the {'events' if wrong == 'log_data' else 'songs'}",)


def test_p136_a_stray_file_of_the_other_kind_is_no_wrong_setting(everywhere: Warehouse) -> None:
    """Among good ones, or after those were loaded: the file is named, and where it belongs; a quarantine takes it."""
    everywhere.write("log_data/a.json", plays(3))
    everywhere.write("song_data/s.json", [song()])
    stray = everywhere.write("log_data/s.json", [song("S2")])
    for _ in range(2):
        error = failure(everywhere)
        assert isinstance(error, DataError)
        assert str(stray) in error.message
        assert "looks like one of the songs" in error.evidence[0]
        assert error.hint[0] == f"move {stray} to [S3] SONG_DATA, which is {everywhere.root}/song_data"
        stray.unlink()
        everywhere.etl()
        everywhere.write("log_data/s.json", [song("S2")])
    told = everywhere.etl("--on-bad-line", "quarantine")
    assert (told["rows"]["rejected_lines"], told["rows"]["songplays"]) == (1, 3)


def test_p136_swapped_prefixes_are_named(cloud: Warehouse, s3: FaultyS3) -> None:
    s3.objects |= {"log_data/s.json": lines([song()]), "song_data/one.json": of_session(1)}
    error = failure(cloud)
    assert error.exit_code == 2
    assert list(error.hint) == ["[S3] SONG_DATA = s3://music/log_data", "[S3] LOG_DATA = s3://music/song_data"]


# -------------------------------------------------------------------------------------------- other files


def kinesis(record: Mapping[str, Any]) -> dict[str, Any]:
    """Give a record as Lambda gets it from Kinesis."""
    return {"kinesis": {"data": base64.b64encode(json.dumps(record).encode()).decode()}, "eventSource": "aws:kinesis"}


TRAIL = {"eventVersion": "1.08", "eventSource": "s3.amazonaws.com", "eventName": "GetObject", "eventID": "1"}
TOOLS: dict[str, tuple[Any, str]] = {
    "jsonpaths": ({"jsonpaths": ["$['artist']", "$['ts']"]}, "is a JSONPaths file, not data"),
    "manifest": ({"entries": [{"url": "s3://b/x", "mandatory": True}]}, "is a manifest of COPY or UNLOAD, not data"),
    "cloudtrail": ({"Records": [TRAIL]}, "is a log of CloudTrail, not data"),
    "notification": ({"Records": [{"s3": {"bucket": {}}, "eventName": "x"}]}, "is a notification of S3, not data"),
}
WRAPPED: dict[str, Any] = {
    "Records": {"Records": plays(3)},
    "events": {"events": plays(3), "count": 3},
    "several": [{"events": plays(2)}, {"events": plays(1, sessionId=9)}],
    "hits": {"took": 1, "hits": {"total": 3, "hits": [{"_id": n, "_source": e} for n, e in enumerate(plays(3))]}},
    "kinesis": {"Records": [kinesis(e) for e in plays(3)]},
    "firehose": {"records": [{"recordId": "1", "data": kinesis(e)["kinesis"]["data"]} for e in plays(3)]},
    "queue": {"Records": [{"body": json.dumps({"Message": json.dumps(e)}), "messageId": "1"} for e in plays(3)]},
    "odd key": {"the data": {"x-y": plays(3)}},
    "payload": [{"schema": {}, "payload": e} for e in plays(3)],
}


@pytest.mark.parametrize("name", TOOLS)
def test_p137_a_file_of_a_tool_is_named(warehouse: Warehouse, name: str) -> None:
    """On one line, or written over many with every bracket on a line of its own. The command that is told hides it."""
    content, what = TOOLS[name]
    warehouse.write("log_data/a.json", plays(3))
    for indent in (None, 0, 2):
        path = warehouse.write("log_data/it's.json", json.dumps(content, indent=indent).encode())
        error = failure(warehouse)
        if indent == 0 and name in ("cloudtrail", "notification"):
            continue  # all that its first record says then is that it is a wrapper
        assert (error.exit_code, error.message) == (1, f"{path} {what}")
    subprocess.run(["sh", "-c", error.hint[0].partition("     (")[0]], check=True)
    assert warehouse.etl()["rows"]["songplays"] == 3


@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_p137_a_wrapper_is_named_with_the_command_that_unwraps_it(
    warehouse: Warehouse, name: str, packed: bool
) -> None:
    """The command is run as it is told, and the next load has all records."""
    content = WRAPPED[name]
    data = lines(content if isinstance(content, list) else [content])
    path = warehouse.write(f"log_data/my log.json{'.gz' if packed else ''}", gzip.compress(data) if packed else data)
    error = failure(warehouse)
    assert (error.exit_code, error.message.partition(";")[0]) == (1, f"{path} wraps its records in another object")
    assert "quarantine" not in text(error)
    if not shutil.which("jq"):
        pytest.skip("the command needs jq, which is not on this machine")
    subprocess.run(["sh", "-c", error.hint[0]], check=True)
    assert warehouse.etl()["rows"]["songplays"] == 3
    assert warehouse.value("SELECT COUNT(song_id) FROM songplays") == 0


LONG = json.dumps({"Records": plays(300)}).encode()
CUT = {
    "long": LONG,
    "a line a record": b'{"Records": [\n' + b",\n".join(lines(plays(3)).splitlines()) + b"\n]}\n",
    "pretty": json.dumps({"Records": plays(30)}, indent=2).encode(),
    "broken off": LONG[:-100],
    "empty": b'{"Records": []}',
}


@pytest.mark.parametrize("name", CUT)
def test_p137_a_wrapper_is_named_by_its_beginning(everywhere: Warehouse, name: str) -> None:
    """Of a long one 16,000 characters are kept, and one that breaks off is no JSON."""
    path = everywhere.write("log_data/a.json", CUT[name])
    error = failure(everywhere)
    assert error.message.startswith(f"{path} wraps its records")
    assert ".Records[]" in error.hint[0]


@pytest.mark.parametrize(
    "record",
    [
        event(page=None),
        {**event(ts="soon"), "tags": []},
        {"artist": "X", "song": "Y", "tags": [{"a": 1}]},
        {"a": 1},
        {},
        {"tags": ["a"]},
    ],
)
def test_p137_a_bad_record_is_taken_for_nothing_else(record: Mapping[str, Any]) -> None:
    """A record with the keys of an event is a bad event, whatever else it holds."""
    for written in (json.dumps(record), json.dumps(record)[:-3]):
        assert other_file("events", "/x/a.json", written) is None


def test_p137_objects_are_unwrapped_in_s3() -> None:
    """The command reads and writes there; it cannot be run here."""
    found = other_file("events", "s3://music/log data/a.json.gz", json.dumps({"Records": plays(1)}))
    assert found is not None
    assert found.hint == (
        "aws s3 cp 's3://music/log data/a.json.gz' - | gunzip | jq -c '.Records[]'"
        " | aws s3 cp - 's3://music/log data/a.records.jsonl'"
        " && aws s3 mv 's3://music/log data/a.json.gz' 's3://music/log data/_a.json.gz'"
    )
    hidden = other_file("events", "s3://music/p.json", '{"jsonpaths": []}')
    assert hidden is not None
    assert hidden.hint.startswith("aws s3 mv s3://music/p.json s3://music/_p.json")


def test_p138_a_whole_source_is_never_told_into_quarantine(everywhere: Warehouse) -> None:
    """Not when nearly all records of a kind are bad; it is offered for a few bad ones among many."""
    lower = [{key.lower(): value for key, value in play.items()} for play in plays(19)]
    for bad, good, told in ((19, 1, False), (19, 0, False), (1, 19, True), (10, 10, True)):
        everywhere.write("log_data/a.json", [*({**play, "ts": "soon"} for play in plays(bad)), *plays(good)])
        error = failure(everywhere)
        assert error.hint[0] == "fix line 1 and run again"
        assert ("quarantine" in text(error)) is told, (bad, good)
    everywhere.write("log_data/a.json", lower)
    assert "quarantine" not in text(failure(everywhere))
    everywhere.write("log_data/a.json.gz", b"not gzip")
    everywhere.remove("log_data/a.json")
    assert "quarantine" not in text(failure(everywhere))


# -------------------------------------------------------------------------------------------------- archive


@pytest.mark.parametrize("storage", ["GLACIER", "DEEP_ARCHIVE", "INTELLIGENT_TIERING", ""])
def test_p139_an_archived_object_is_told_as_archived(cloud: Warehouse, s3: FaultyS3, storage: str) -> None:
    """Exit code 3, asked for once, with the command that restores it."""
    s3.objects |= {"log_data/it's.json": of_session(1)}
    told = f"<StorageClass>{storage}</StorageClass>" if storage else ""

    def archived(request: faulty_s3.Request) -> bool:
        if request.key != "log_data/it's.json":
            return False
        body = f"<Error><Code>InvalidObjectState</Code><Message>The operation is not valid</Message>{told}</Error>"
        request.answer(403, body.encode(), {"Content-Type": "application/xml"})
        return True

    s3.fault = archived
    error = failure(cloud)
    assert (error.exit_code, s3.fetched().count("log_data/it's.json")) == (3, 1)
    assert "s3://music/log_data/it's.json is archived" in error.message
    assert storage in error.message
    days = "'{}'" if storage == "INTELLIGENT_TIERING" else "Days=7"
    restore = f"""aws s3api restore-object --bucket music --key 'log_data/it'"'"'s.json' --restore-request {days} """
    assert error.hint[0].startswith(restore)
    assert cloud.value("SELECT COUNT(*) FROM loaded_files") == 0
    s3.fault = lambda _request: False
    assert cloud.etl()["rows"]["songplays"] == 1
