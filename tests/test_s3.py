"""Sources in S3, at an endpoint that fails on demand (faulty_s3.py): what is loaded is what was listed, whole."""

from __future__ import annotations

import gzip
import json
import os
import signal
import stat
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import faulty_s3
import pytest
from checker import check
from faulty_s3 import FaultyS3
from warehouse import WATCHDOG, Warehouse, event, failure, lines, plays, song, text

from dwh.terminal.errors import ConfigError, EnvironmentFailure

KEYS = {"KEY": "AKIDEXAMPLE", "SECRET": "not-a-secret"}
SONGS = "song_data/a/one.json"
MONDAY, TUESDAY = "log_data/2018/11/2018-11-01-events.json", "log_data/2018/11/2018-11-02-events.json"


@pytest.fixture
def s3() -> Iterator[FaultyS3]:
    """An endpoint with a song and two days of plays."""
    with faulty_s3.serving() as server:
        server.objects |= {
            SONGS: lines([song()]),
            MONDAY: lines(plays(3)),
            TUESDAY: lines(plays(2, sessionId=6)),
            "elsewhere/other.json": b"{}",
        }
        yield server


@pytest.fixture
def cloud(warehouse: Warehouse, s3: FaultyS3, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """A warehouse whose sources are there. Nothing of this machine's own AWS settings reaches it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(warehouse.root / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(warehouse.root / "none"))
    point(warehouse, s3)
    return warehouse


def point(warehouse: Warehouse, s3: FaultyS3, **sections: Mapping[str, object]) -> None:
    """Write dwh.cfg for sources in S3, with more keys by section."""
    places: dict[str, object] = {
        "LOG_DATA": "s3://music/log_data",
        "SONG_DATA": "s3://music/song_data/",
        "ENDPOINT_URL": s3.endpoint,
        "TIMEOUT": 60,  # no test waits for it unless a request always fails
    }
    told: dict[str, Mapping[str, object]] = {"AWS": KEYS, **sections, "S3": {**places, **sections.get("S3", {})}}
    warehouse.configure(**told)


def remember(warehouse: Warehouse, s3: FaultyS3) -> None:
    """Tell the checker what the objects hold now."""
    for key, body in s3.objects.items():
        warehouse.versions[faulty_s3.url(s3, key), faulty_s3.fingerprint(body)] = body


# ------------------------------------------------------------------------------------------------- what is loaded


def test_a_second_run_fetches_nothing_and_a_changed_object_alone_is_fetched(cloud: Warehouse, s3: FaultyS3) -> None:
    assert cloud.etl()["files"]["new"] == 3
    remember(cloud, s3)
    check(cloud)
    assert sorted(s3.fetched()) == [MONDAY, TUESDAY, SONGS]
    s3.requests.clear()
    again = cloud.etl()
    assert (again["loads"], s3.fetched()) == ([], [])
    s3.objects[TUESDAY] = lines(plays(5, sessionId=6))
    assert cloud.etl()["files"]["changed"] == 1
    assert s3.fetched() == [TUESDAY]
    remember(cloud, s3)
    check(cloud)


@pytest.mark.parametrize(
    "spelling",
    [
        "s3a://music/{}",
        "S3N://music/{}///",
        "arn:aws:s3:::music/{}/*",
        "https://music.s3.us-east-1.amazonaws.com/{}",
        "https://s3.amazonaws.com/music/{}/",
        "s3://music/{}/**/*.json",
    ],
)
def test_p140_a_prefix_is_one_source_however_it_is_spelled(cloud: Warehouse, s3: FaultyS3, spelling: str) -> None:
    """Loaded by that spelling it has the ledger of s3://; what is loaded already is not loaded, nor another source."""
    point(cloud, s3, S3={"LOG_DATA": spelling.format("log_data"), "SONG_DATA": spelling.format("song_data")})
    assert cloud.etl()["files"]["new"] == 3
    remember(cloud, s3)
    check(cloud)
    point(cloud, s3)
    found = cloud.etl()["files"]
    assert (found["new"], found["already_loaded"]) == (0, 3)
    del s3.objects[TUESDAY]
    assert cloud.call("etl", "--forget", spelling.partition("{")[0] + TUESDAY).code == 0


@pytest.mark.parametrize("key", ["LOG_DATA", "SONG_DATA", "WORK", "LAKE", "LOG_JSONPATH"])
@pytest.mark.parametrize("location", ["s3://music/log_data//2018", "s3://music:9000/x", "s3://Music_1/x"])
def test_p141_a_place_that_s3_cannot_be_asked_for_is_told(
    cloud: Warehouse, s3: FaultyS3, key: str, location: str
) -> None:
    """By the setting, before S3 is asked anything."""
    point(cloud, s3, S3={key: location})
    error = failure(cloud)
    assert (error.exit_code, f"[S3] {key} = {location} (dwh.cfg line " in error.message) == (2, True)
    assert s3.requests == []


def test_the_ledger_names_the_object_and_its_etag(cloud: Warehouse, s3: FaultyS3) -> None:
    cloud.etl()
    found = cloud.rows("SELECT path, fingerprint FROM loaded_files WHERE kind = 'songs'")
    assert found == [(f"s3://music/{SONGS}", faulty_s3.fingerprint(s3.objects[SONGS]))]


def test_several_prefixes_and_a_folder_beside_them(cloud: Warehouse, s3: FaultyS3) -> None:
    cloud.write("log_data/local.json", plays(4, sessionId=7))
    s3.objects["more logs/x.json"] = lines(plays(1, sessionId=8))
    places = f's3://music/log_data "s3://music/more logs" {cloud.root / "log_data"} s3://music/{MONDAY}'
    point(cloud, s3, S3={"LOG_DATA": places})
    assert cloud.etl()["rows"]["songplays"] == 3 + 2 + 4 + 1
    remember(cloud, s3)
    check(cloud)


def test_pages_folder_markers_empty_and_packed_objects(cloud: Warehouse, s3: FaultyS3) -> None:
    """Seven pages; what is no JSON object by its name, or hidden, is passed over."""
    s3.page = 2
    s3.objects |= {f"log_data/{n}.json": lines(plays(1, sessionId=100 + n)) for n in range(8)}
    s3.objects |= {"log_data/packed.json.gz": gzip.compress(lines(plays(2, sessionId=200)))}
    s3.objects |= {"log_data/empty.json": b"", "log_data/2018/": b"", "log_data/notes.txt": b"not JSON"}
    s3.objects |= {"log_data/.hidden.json": b"not JSON", "log_data/.git/x.json": b"not JSON"}
    s3.objects |= {"log_data2/x.json": b"not JSON"}
    told = cloud.etl()
    assert told["rows"]["songplays"] == 3 + 2 + 8 + 2
    assert told["files"]["new"] == 1 + 2 + 8 + 2
    remember(cloud, s3)
    check(cloud)
    assert cloud.etl()["loads"] == []


STRANGE = (
    *("with blank", "a+b", "a%20b", "100%", "Zoë 日本 🎵", "e\u0301", "x#y", "q?x", "[x]*", "{brace}"),
    *("back\\slash", "quote'\"", "tilde~", "&amp;", "semi;colon", "x" * 900),
)


def test_strange_keys_are_read_as_they_are(cloud: Warehouse, s3: FaultyS3) -> None:
    s3.objects |= {f"log_data/{name}.json": lines(plays(1, sessionId=n)) for n, name in enumerate(STRANGE, 1000)}
    cloud.etl()
    remember(cloud, s3)
    check(cloud)
    named = {path for (path,) in cloud.rows("SELECT path FROM loaded_files")}
    assert {f"s3://music/log_data/{name}.json" for name in STRANGE} <= named


@pytest.mark.parametrize("key", ["log_data//double.json", "log_data/./here.json", "log_data/tab\t.json"])
def test_a_key_that_cannot_be_asked_for_is_named(cloud: Warehouse, s3: FaultyS3, key: str) -> None:
    """Passing it over in silence would lose its plays."""
    s3.objects[key] = lines(plays(1))
    error = failure(cloud)
    assert isinstance(error, EnvironmentFailure)
    assert key in text(error)
    assert "rename" in text(error)


def test_a_large_object_comes_in_pieces_and_is_whole(cloud: Warehouse, s3: FaultyS3) -> None:
    """20 MB: three requests, put together in their places."""
    big = lines([event(itemInSession=n, ts=1541160000000 + n, userAgent="x" * 900) for n in range(20_000)])
    s3.objects[MONDAY] = big
    assert cloud.etl()["rows"]["songplays"] == 20_002
    assert s3.fetched().count(MONDAY) == -(-len(big) // (8 * 1024 * 1024)) == 3
    assert cloud.rows("SELECT COUNT(DISTINCT item_in_session) FROM songplays WHERE session_id = 5") == [(20_000,)]


def test_a_bad_record_in_an_object_is_named_by_its_url(cloud: Warehouse, s3: FaultyS3) -> None:
    s3.objects[TUESDAY] += b'{"page": "NextSong", "ts": \n'
    error = failure(cloud)
    assert f"s3://music/{TUESDAY} line 3" in error.message
    assert error.exit_code == 1
    told = cloud.etl("--on-bad-line", "quarantine")
    assert (told["rows"]["songplays"], told["rows"]["rejected_lines"]) == (5, 1)
    assert s3.fetched().count(MONDAY) == 2, "once in each run, however often the load starts again"


def test_a_vanished_object_is_noted_and_forgotten_on_request(cloud: Warehouse, s3: FaultyS3) -> None:
    cloud.etl()
    remember(cloud, s3)
    with pytest.raises(ConfigError, match="still there"):
        cloud.call("etl", "--forget", f"s3://music/{TUESDAY}")
    del s3.objects[TUESDAY]
    assert cloud.etl()["files"]["vanished"] == 1
    assert cloud.call("etl", "--forget", f"s3://music/{TUESDAY}").code == 0
    assert cloud.value("SELECT COUNT(*) FROM songplays") == 3
    check(cloud)


# ----------------------------------------------------------------------------------------------------- mistakes


def test_a_prefix_that_matches_nothing_says_what_lies_beside(cloud: Warehouse, s3: FaultyS3) -> None:
    point(cloud, s3, S3={"LOG_DATA": "s3://music/log_dat"})
    error = failure(cloud)
    assert error.exit_code == 3
    assert "no objects under s3://music/log_dat" in error.message
    assert "elsewhere, log_data, song_data" in text(error)
    assert "[S3] LOG_DATA = s3://music/log_data" in error.hint


def test_a_bucket_that_does_not_exist(cloud: Warehouse, s3: FaultyS3) -> None:
    point(cloud, s3, S3={"LOG_DATA": "s3://musik/log_data"})
    error = failure(cloud)
    assert (error.exit_code, error.message) == (3, "no such bucket: s3://musik   ([S3] LOG_DATA)")
    assert "NoSuchBucket" in text(error)


@pytest.mark.parametrize("location", ["s3://", "s3:///key", "gs://music/log_data", "https://music/log_data"])
def test_what_is_no_s3_prefix_is_refused(cloud: Warehouse, s3: FaultyS3, location: str) -> None:
    point(cloud, s3, S3={"LOG_DATA": location})
    error = failure(cloud)
    assert (error.exit_code, location in error.message) == (2, True)


def test_nobody_signed_in_is_told_how(cloud: Warehouse, s3: FaultyS3) -> None:
    point(cloud, s3, AWS={})
    error = failure(cloud)
    assert (error.exit_code, error.message) == (3, "no AWS credentials were found")
    point(cloud, s3, AWS={}, S3={"ANONYMOUS": "yes"})
    assert cloud.etl()["files"]["new"] == 3


def test_half_a_pair_of_keys_is_refused(cloud: Warehouse, s3: FaultyS3) -> None:
    point(cloud, s3, AWS={"KEY": "AKIDEXAMPLE"})
    assert "belong together" in failure(cloud).message


def test_a_session_token_of_the_environment_is_not_mixed_with_configured_keys(
    cloud: Warehouse, s3: FaultyS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()

    def look(request: faulty_s3.Request) -> bool:
        seen.add((request.headers.get("Authorization", "")[:46], request.headers.get("x-amz-security-token")))
        return False

    s3.fault = look
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-another-account")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "OTHER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    cloud.etl()
    assert {token for _, token in seen} == {None}
    assert all("AKIDEXAMPLE" in authorization for authorization, _ in seen)


# ------------------------------------------------------------------------------------------- faults: P50 to P55


@pytest.mark.parametrize(("status", "code"), [(500, "InternalError"), (503, "SlowDown")])
@pytest.mark.parametrize("about", ["", "events"], ids=["listing", "object"])
def test_p50_a_server_that_fails_for_a_while_is_asked_again(
    cloud: Warehouse, s3: FaultyS3, status: int, code: str, about: str
) -> None:
    s3.fault = faulty_s3.failing(2, status, code, about=about)
    assert cloud.etl()["files"]["new"] == 3
    remember(cloud, s3)
    check(cloud)


def test_p50_a_server_that_goes_on_failing_is_given_up(cloud: Warehouse, s3: FaultyS3) -> None:
    """It is asked for as long as [S3] TIMEOUT says; without that end this test would go on to the watchdog."""
    point(cloud, s3, S3={"TIMEOUT": 5})
    s3.fault = faulty_s3.failing(10**9, 503, "SlowDown", about=TUESDAY)
    error = failure(cloud)
    assert error.exit_code == 3
    assert "SlowDown" in text(error)
    assert s3.fetched().count(TUESDAY) > 1
    assert cloud.value("SELECT COUNT(*) FROM songplays") == 0


def test_p50_a_refused_connection_is_given_up_in_time(cloud: Warehouse, s3: FaultyS3) -> None:
    point(cloud, s3, S3={"ENDPOINT_URL": "http://127.0.0.1:9", "TIMEOUT": 1})
    assert failure(cloud).exit_code == 3


def test_p51_a_body_cut_short_is_asked_for_again(cloud: Warehouse, s3: FaultyS3) -> None:
    s3.fault = faulty_s3.broken_bodies(2, TUESDAY)
    assert cloud.etl()["rows"]["songplays"] == 5
    remember(cloud, s3)
    check(cloud)


@pytest.mark.parametrize("fault", [faulty_s3.broken_bodies(10**9, TUESDAY, given=0), faulty_s3.short_bodies(TUESDAY)])
def test_p51_a_body_cut_short_is_never_loaded(cloud: Warehouse, s3: FaultyS3, fault: faulty_s3.Fault) -> None:
    """Half of a log is a log: only its length tells."""
    point(cloud, s3, S3={"TIMEOUT": 1})
    s3.objects[TUESDAY] = lines(plays(2, sessionId=6))
    s3.fault = fault
    assert failure(cloud).exit_code == 3
    assert cloud.value("SELECT COUNT(*) FROM loaded_files") == 0


def test_p52_an_object_replaced_after_the_listing_is_left_for_the_next_run(cloud: Warehouse, s3: FaultyS3) -> None:
    remember(cloud, s3)
    s3.fault = faulty_s3.replacing(TUESDAY, lines(plays(9, sessionId=6)))
    told = cloud.call("etl")
    assert "1 file changed while being read, left for the next run" in told.err + told.out
    assert cloud.value("SELECT COUNT(*) FROM songplays") == 3
    check(cloud)
    assert cloud.etl()["rows"]["songplays"] == 3 + 9
    remember(cloud, s3)
    check(cloud)


def test_p52_an_object_gone_after_the_listing_is_left(cloud: Warehouse, s3: FaultyS3) -> None:
    s3.fault = faulty_s3.failing(10**9, 404, "NoSuchKey", about=TUESDAY)
    assert cloud.etl()["rows"]["songplays"] == 3


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (400, "ExpiredToken", "your AWS sign-in expired"),
        (403, "AccessDenied", f"s3:GetObject of s3://music/{TUESDAY}"),
        (403, "InvalidAccessKeyId", "AWS does not know the access key"),
    ],
)
def test_p53_a_sign_in_that_ends_keeps_committed_loads(
    cloud: Warehouse, s3: FaultyS3, status: int, code: str, said: str
) -> None:
    """It is requested once: a retry is useless. The next run continues with the rest."""
    point(cloud, s3, ETL={"MAX_LOAD_FILES": 1})
    remember(cloud, s3)
    s3.fault = faulty_s3.after(2, status, code)
    error = failure(cloud)
    assert error.exit_code == 3
    assert said in error.message
    assert code in text(error)
    assert s3.fetched() == [SONGS, MONDAY, TUESDAY]
    assert cloud.value("SELECT COUNT(*) FROM loads") == 2
    check(cloud)
    s3.fault = lambda _request: False
    s3.requests.clear()
    assert cloud.etl()["rows"]["songplays"] == 5
    assert s3.fetched() == [TUESDAY]
    check(cloud)


def test_p54_a_server_that_never_answers_is_given_up(cloud: Warehouse, s3: FaultyS3) -> None:
    """After [S3] TIMEOUT; the server itself would be silent for longer than the watchdog waits."""
    point(cloud, s3, S3={"TIMEOUT": 2})
    s3.fault = faulty_s3.silent(TUESDAY)
    assert failure(cloud).exit_code == 3


def test_ctrl_c_does_not_wait_for_a_server_that_does_not_answer(cloud: Warehouse, s3: FaultyS3) -> None:
    """Neither the server nor [S3] TIMEOUT would end it before the watchdog does."""
    point(cloud, s3, S3={"TIMEOUT": 3600})
    asked = threading.Event()

    def fault(request: faulty_s3.Request) -> bool:
        if request.key == TUESDAY:
            asked.set()
        return faulty_s3.silent(TUESDAY)(request)

    s3.fault = fault
    with cloud.started("etl") as etl:
        assert asked.wait(WATCHDOG)
        etl.signal(signal.SIGINT)
        done = etl.ended()
    assert done.code == 130, done.err
    assert "Traceback" not in done.err
    assert os.listdir(cloud.root / "tmp") == []


def test_copies_are_private_and_removed(cloud: Warehouse, s3: FaultyS3) -> None:
    modes: dict[str, set[int]] = {"files": set(), "folders": set()}

    def look(request: faulty_s3.Request) -> bool:
        for path in Path(cloud.root / "tmp").rglob("*"):
            modes["folders" if path.is_dir() else "files"].add(stat.S_IMODE(path.stat().st_mode))
        return False

    point(cloud, s3, ETL={"MAX_LOAD_FILES": 1})
    s3.fault = look
    done = cloud.run("etl")
    assert done.code == 0, done.err
    assert modes == {"files": {0o600}, "folders": {0o700}}
    assert os.listdir(cloud.root / "tmp") == []


def test_json_output_is_one_object_when_s3_fails(cloud: Warehouse, s3: FaultyS3) -> None:
    s3.fault = faulty_s3.failing(10**9, 403, "AccessDenied")
    done = cloud.run("etl", "--json")
    assert (done.code, json.loads(done.out)["ok"]) == (3, False)
    assert KEYS["SECRET"] not in done.out + done.err
