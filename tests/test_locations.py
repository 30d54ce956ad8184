"""Where data lies: every usual spelling of a place is that place, and what is not plain is told how it is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from warehouse import Warehouse, event, plays, song

from dwh.settings.config import Config, load_config
from dwh.terminal.errors import ConfigError

CANARY = "CANARY-7f3-do-not-show"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a test writes its dwh.cfg, beside a folder log_data and three with strange names."""
    for name in ("log_data/2018", "my logs", "st*r", "why?", "C:\\logs", "$HOME", "comma,", "~x"):
        (tmp_path / "project" / name).mkdir(parents=True)
    return tmp_path / "project" / "dwh.cfg"


def read(file: Path, key: str, value: str, section: str = "S3") -> Config:
    """Read settings in which one key has a value."""
    file.write_text(f"[{section}]\n{key} = {value}\n", encoding="utf-8")
    return load_config(str(file), {}, {})


def told(file: Path, key: str, value: str, section: str = "S3") -> ConfigError:
    """Give the error that a value is refused with: it names the line, and each hint is a setting that is taken."""
    with pytest.raises(ConfigError) as raised:
        read(file, key, value, section)
    error = raised.value
    assert "(dwh.cfg line 2)" in error.message
    assert error.evidence[0].startswith("expected: ")
    for hint in error.hint:
        read(file, key, hint.partition(" = ")[2], section)
    return error


# ------------------------------------------------------------------------------------------------------------------- S3

SPELLINGS = [
    "s3://bucket/a/b",
    "s3a://bucket/a/b",
    "S3N://bucket/a/b",
    "arn:aws:s3:::bucket/a/b",
    "arn:aws-cn:s3:::bucket/a/b",
    "arn:aws-us-gov:s3:::bucket/a/b",
    "https://bucket.s3.us-west-2.amazonaws.com/a/b",
    "https://bucket.s3.amazonaws.com/a/b",
    "https://bucket.s3-us-west-2.amazonaws.com/a/b",
    "https://bucket.s3.dualstack.us-west-2.amazonaws.com/a/b",
    "https://bucket.s3.cn-north-1.amazonaws.com.cn/a/b",
    "https://s3.us-west-2.amazonaws.com/bucket/a/b",
    "https://s3.amazonaws.com/bucket/a/b",
    "HTTPS://S3-us-west-2.amazonaws.com/bucket/a/b",
    "https://bucket.s3.amazonaws.com/%61/b",
]


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_p140_every_usual_spelling_of_a_prefix_is_one_place(file: Path, end: str) -> None:
    """For all five settings that name a place; of slashes at the end one stays."""
    place = "s3://bucket/a/b" + ("/" if end else "")
    for spelling in SPELLINGS:
        s3 = read(file, "LOG_DATA", f"{spelling}{end} '{spelling}{end}'").s3
        assert s3.log_data == (place, place)
        for key in ("WORK", "LAKE", "LOG_JSONPATH"):
            assert getattr(read(file, key, spelling + end).s3, key.lower()) == place, spelling


@pytest.mark.parametrize("text", ["s3a://bucket", "s3://bucket/", "s3://bucket//", "arn:aws:s3:::bucket"])
def test_p140_a_whole_bucket_is_a_place(file: Path, text: str) -> None:
    """With or without a slash behind it."""
    assert read(file, "SONG_DATA", text).s3.song_data == ("s3://bucket",)


def test_p140_a_key_is_itself_in_an_s3_url_and_decoded_in_a_web_address(file: Path) -> None:
    """A % or a blank in s3:// is a % or a blank; a web address has them in code."""
    assert read(file, "LOG_DATA", "'s3a://b/100%20 a+b'").s3.log_data == ("s3://b/100%20 a+b",)
    assert read(file, "LOG_DATA", "https://b.s3.amazonaws.com/100%25%20a%2Bb").s3.log_data == ("s3://b/100% a+b",)
    assert read(file, "LOG_DATA", "https://my.dotted.bucket.s3.amazonaws.com/x").s3.log_data == (
        "s3://my.dotted.bucket/x",
    )


TOLD = [
    ("s3://", "[S3] LOG_DATA = s3://bucket/prefix"),
    ("s3:///x", "[S3] LOG_DATA = s3://x"),
    ("s3:/bucket/x", "[S3] LOG_DATA = s3://bucket/x"),
    ("s3:bucket/x", "[S3] LOG_DATA = s3://bucket/x"),
    ("s3//bucket/x", "[S3] LOG_DATA = s3://bucket/x"),
    ("s3://bucket/x//y", "[S3] LOG_DATA = s3://bucket/x/y"),
    ("s3://bucket//x", "[S3] LOG_DATA = s3://bucket/x"),
    ("s3://bucket/./x", "[S3] LOG_DATA = s3://bucket/x"),
    ("s3://bucket/y/../x", "[S3] LOG_DATA = s3://bucket/x"),
    ("s3://Bucket/x", "[S3] LOG_DATA = s3://bucket/x"),
    ("s3://Bucket_Name/x", "[S3] LOG_DATA = s3://bucket/x"),
    (f"s3://{'b' * 64}/x", "[S3] LOG_DATA = s3://bucket/x"),
    ("s3://$BUCKET/x", "[S3] LOG_DATA = s3://bucket/x"),
    ("s3://bucket:9000/x", "[S3] LOG_DATA = s3://bucket/x"),
    ("s3://a/x, s3://b/y", "[S3] LOG_DATA = s3://a/x s3://b/y"),
    ("s3://a/x,s3://b/y", "[S3] LOG_DATA = s3://a/x s3://b/y"),
    ("log_data s3:/b/y", "[S3] LOG_DATA = log_data s3://b/y"),
    ("http://bucket.s3.amazonaws.com/x", "[S3] LOG_DATA = s3://bucket/x"),
    ("https://bucket.s3.amazonaws.com/x?versionId=1", "[S3] LOG_DATA = s3://bucket/x"),
    ("https://bucket.s3.amazonaws.com/a+b", "[S3] LOG_DATA = s3://bucket/a+b"),
    ("https://s3.console.aws.amazon.com/s3/buckets/acme?region=x&prefix=a/b/", "[S3] LOG_DATA = s3://acme/a/b"),
    ("https://us-west-2.console.aws.amazon.com/s3/buckets/acme/a/b/", "[S3] LOG_DATA = s3://acme/a/b"),
    ("https://us-west-2.console.aws.amazon.com/s3/home", "[S3] LOG_DATA = s3://bucket/prefix"),
    ("arn:aws:s3:us-west-2:123456789012:accesspoint/name/object/x", "[S3] LOG_DATA = s3://bucket/prefix"),
    ("https://n-123456789012.s3-accesspoint.us-west-2.amazonaws.com/x", "[S3] LOG_DATA = s3://bucket/prefix"),
    ("arn:aws:iam::123456789012:role/x", "[S3] LOG_DATA = s3://bucket/prefix"),
]


@pytest.mark.parametrize(("text", "hint"), TOLD, ids=[text[:50] for text, _ in TOLD])
def test_p141_what_is_no_place_in_s3_is_told_how_it_is_written(file: Path, text: str, hint: str) -> None:
    """With the line, and the right spelling where it can be known."""
    assert told(file, "LOG_DATA", text).hint[0] == hint


OTHER_STORES = (
    *("gs://b/x", "abfss://c@a.dfs.core.windows.net/x", "wasbs://c@a/x", "hdfs://n:9000/x", "ftp://h/x", "dbfs:/mnt/x"),
    *("http://h/x", "https://minio:9000/b/x", "https://storage.googleapis.com/b/x", "https://[bad/x"),
)


@pytest.mark.parametrize("text", OTHER_STORES)
def test_p141_another_store_is_told_as_not_supported(file: Path, text: str) -> None:
    """For every setting that names a place."""
    for key in ("LOG_DATA", "SONG_DATA", "WORK", "LAKE", "LOG_JSONPATH"):
        assert "is not supported" in told(file, key, text).evidence[0]


@pytest.mark.parametrize(
    "text",
    [
        f"https://bucket.s3.amazonaws.com/x?X-Amz-Credential=AKID&X-Amz-Signature={CANARY}",
        f"https://bucket.s3.amazonaws.com/x?AWSAccessKeyId=AKID&Signature={CANARY}&Expires=1",
        f"log_data https://bucket.s3.amazonaws.com/x?X-Amz-Signature={CANARY}",
        f"https://AKID:{CANARY}@bucket.s3.amazonaws.com/x",
        f"s3n://AKID:{CANARY}@bucket/x",
        f"s3n://AKID:ab/{CANARY}@bucket/x",
    ],
)
def test_p142_a_key_or_signature_in_an_address_is_not_shown(file: Path, text: str) -> None:
    """Neither in the message nor in what to write instead."""
    error = told(file, "LOG_DATA", text)
    assert CANARY not in f"{error.message} {error.evidence} {error.hint} {error.__cause__}"


def test_p141_only_s3_is_a_place_to_work_in(file: Path) -> None:
    """[S3] WORK is read by Redshift: a folder is refused at once, not when there is something to load."""
    assert told(file, "WORK", "work").hint == ("[S3] WORK = s3://bucket/work",)


# --------------------------------------------------------------------------------------------------------- wildcards

WIDE = ["*", "**", "*.json", "*.JSON", "*.json.gz", "*.json*", "**/*.json", "*/*/*.json", "**/*", "*/"]


@pytest.mark.parametrize("pattern", WIDE)
def test_p143_a_pattern_for_everything_below_is_that_place(file: Path, pattern: str) -> None:
    """As Spark and Hive write it; a note says what it is taken for, because it may be more than the pattern says."""
    config = read(file, "LOG_DATA", f"log_data/{pattern} s3a://b/x/{pattern} arn:aws:s3:::b/{pattern}")
    assert config.s3.log_data == (str(file.parent / "log_data"), "s3://b/x/", "s3://b")
    assert [note for note in config.notes if "[S3] LOG_DATA" in note and "s3://b/x/" in note]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("log_data/*/*-events.json", "log_data"),
        ("log_data/2018-11-*", "log_data"),
        ("log_data/201?/x", "log_data"),
        ("*.json", "/path/to/folder"),
        ("/*", "/path/to/folder"),
        ("s3://b/log*", "s3://b/"),
        ("s3://b/x/part-*", "s3://b/x"),
        ("s3://b/x?", "s3://b/"),
    ],
)
def test_p143_another_pattern_is_told(file: Path, text: str, right: str) -> None:
    """What would be all files of its folder is no guess of ours."""
    assert told(file, "LOG_DATA", text).hint == (f"[S3] LOG_DATA = {right}",)


@pytest.mark.parametrize("text", ["lake/*", "lake/**", "s3://b/lake/*", "s3://b/la?e"])
def test_p143_a_lake_has_no_pattern(file: Path, text: str) -> None:
    """What is written to is one place; a folder that will be made may have a * in its name."""
    told(file, "LAKE", text)
    assert read(file, "LAKE", "my *?lake").s3.lake == str(file.parent / "my *?lake")


# ----------------------------------------------------------------------------------------------------------- folders


@pytest.mark.parametrize("name", ["my logs", "st*r", "why?", "C:\\logs", "$HOME", "comma,"])
def test_p144_a_folder_that_is_there_may_be_called_anything(file: Path, name: str) -> None:
    """As it is written, in quotes, or as one of several."""
    place = str(file.parent / name)
    for key in ("LOG_DATA", "SONG_DATA"):
        for text in (name, f'"{name}"', f"'{name}'"):
            assert getattr(read(file, key, text).s3, key.lower()) == (place,)
    assert read(file, "LOG_DATA", f"log_data '{name}' ").s3.log_data == (str(file.parent / "log_data"), place)
    assert read(file, "LAKE", name).s3.lake == place


def test_p144_a_folder_has_one_name(file: Path) -> None:
    """Whatever leads to it: slashes, . and .., file: URLs, an absolute path."""
    logs = file.parent / "log_data"
    for text in ("log_data/", "./log_data", "log_data/2018/..", "log_data//", f"/{logs}", f"file://{logs}"):
        assert read(file, "LOG_DATA", text).s3.log_data == (str(logs),), text
    for text in (f"file:{logs}/", f"FILE://localhost{logs}", f"file://{file.parent}/log%5Fdata"):
        assert read(file, "LOG_DATA", text).s3.log_data == (str(logs),), text


def test_p144_a_home_is_known_and_a_dollar_is_a_dollar(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """~ leads home, as in a shell; $HOME does not, and is told what it would be."""
    (file.parent / "$HOME").rmdir()
    monkeypatch.setenv("HOME", "/home/ana")
    assert read(file, "LOG_DATA", "~/data").s3.log_data == ("/home/ana/data",)
    assert read(file, "LOG_DATA", "~x").s3.log_data == (str(file.parent / "~x"),)
    assert told(file, "LOG_DATA", "$HOME/data").hint == ("[S3] LOG_DATA = /home/ana/data",)
    assert told(file, "LAKE", "${NOWHERE}/data").hint == ("[S3] LAKE = /path/to/data",)
    assert told(file, "PATH", "$HOME/w.duckdb", "DUCKDB").hint == ("[DUCKDB] PATH = /home/ana/w.duckdb",)
    assert told(file, "LOG_DATA", "~nobody-here/data").hint == ("[S3] LOG_DATA = ~/data",)
    assert read(file, "PATH", "100%$x.duckdb", "DUCKDB").duckdb.path == str(file.parent / "100%$x.duckdb")


@pytest.mark.parametrize("text", ["D:\\data\\logs", "D:/data/logs", "file:///D:/data/logs"])
def test_p144_a_path_of_windows_is_told(file: Path, text: str) -> None:
    """A file of that name would be made here instead."""
    for section, key in (("S3", "LOG_DATA"), ("S3", "LAKE"), ("DUCKDB", "PATH"), ("CLUSTER", "SSLROOTCERT")):
        assert told(file, key, text, section).hint == (f"[{section}] {key} = /mnt/d/data/logs",)


def test_p144_other_paths_that_are_none_here(file: Path) -> None:
    """A share of Windows, its slashes, and a file URL with a server."""
    told(file, "LOG_DATA", "\\\\server\\logs")
    assert told(file, "LOG_DATA", "log_data\\2018").hint == ("[S3] LOG_DATA = log_data/2018",)
    assert told(file, "LOG_DATA", "file://data/logs").hint == ("[S3] LOG_DATA = file:///data/logs",)


@pytest.mark.parametrize("text", [":memory:", "':memory:'", ":memory:mine", "md:mine", "s3://b/w.duckdb"])
def test_p145_a_warehouse_is_a_file(file: Path, text: str) -> None:
    """What is in memory is gone before the next script."""
    assert told(file, "PATH", text, "DUCKDB").hint == ("[DUCKDB] PATH = sparkify.duckdb",)


# ----------------------------------------------------------------------------------------------------------- scripts


def test_p140_a_source_is_the_same_however_it_is_spelled(warehouse: Warehouse) -> None:
    """Nothing is loaded twice, nothing is another source, and --forget finds what is gone."""
    warehouse.write("log_data/a.json", plays(3))
    warehouse.write("log_data/b.json", [event(sessionId=9)])
    warehouse.write("song_data/a.json", [song()])
    warehouse.etl()
    logs = warehouse.root / "log_data"
    for place in (f"file://{logs}", f"{logs}/*.json", "./log_data/../log_data/", f"/{logs}"):
        warehouse.configure(S3={"LOG_DATA": place, "SONG_DATA": "song_data"})
        assert warehouse.etl()["files"]["already_loaded"] == 3, place
    (logs / "b.json").unlink()
    assert warehouse.call("etl", "--forget", f"file://{logs}/b.json").code == 0
    assert warehouse.value("SELECT COUNT(*) FROM songplays") == 3


@pytest.mark.parametrize("path", ["", "gs://b/x", "s3:/b/x", "s3://b/x//y", f"s3://A:{CANARY}@b/x", "file://x"])
def test_p141_a_path_to_forget_that_is_none_is_told(warehouse: Warehouse, path: str) -> None:
    """Nothing is forgotten, and nothing is loaded in its place."""
    warehouse.write("log_data/a.json", plays(3))
    with pytest.raises(ConfigError, match="--forget") as raised:
        warehouse.call("etl", "--forget", path)
    assert CANARY not in f"{raised.value.message} {raised.value.hint}"
    assert warehouse.value("SELECT COUNT(*) FROM loaded_files") == 0


def test_p144_what_is_gone_is_forgotten_by_any_name(warehouse: Warehouse) -> None:
    """A * or $ in the name of a file that was loaded is that character."""
    names = ["st*r.json", "$HOME.json", "why?.json", "a,.json", "C:\\x.json"]
    for number, name in enumerate(names):
        warehouse.write(f"log_data/{name}", plays(1, sessionId=number))
    warehouse.etl()
    for name in names:
        path = warehouse.root / "log_data" / name
        os.unlink(path)
        assert warehouse.call("etl", "--forget", str(path)).code == 0
    assert warehouse.value("SELECT COUNT(*) FROM songplays") == 0


@pytest.mark.parametrize("place", ["gs://b/x", "s3:/b/x", "lake/*", ""])
def test_p141_a_lake_in_a_flag_is_told(warehouse: Warehouse, place: str) -> None:
    """--to takes what [S3] LAKE takes, and nothing at all is not the default: a variable was empty."""
    with pytest.raises(ConfigError, match=r"\(flag\)"):
        warehouse.call("export_lake", "--to", place)
    assert not (warehouse.root / "lake").exists()
