"""Odd and bad records, one named file each: which are accepted and how, which are refused and with what reason.

Under `stop` a bad record rolls its load back and is named by file, line and reason. Under `quarantine` the good records
are loaded, and each bad one is kept with its line, reason and text, until its file changes.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from checker import check
from warehouse import LARGE, NOON, Warehouse, event, lines, plays, song

from dwh.terminal.errors import DataError

LOG, SONGS = "log_data/case.json", "song_data/case.json"
FIRST, LAST = event(sessionId=1), event(sessionId=2)  # the neighbours of what a case is about
GOOD = lines([FIRST, LAST])
NEIGHBOUR = "log_data/neighbour.json"  # a good file in the same load

Refused = list[tuple[int | None, str]]
# Where in a line: the column, the field by its name, or what concerns the whole line.
PLACE = re.compile(
    r"column \d+|^(the key ')?(page|ts|sessionId|itemInSession|status|userId|length|registration|song|userAgent|song_id"
    r"|year|artist_latitude|duration|title|location|artist)\b|longer than 4 MB|nested too deep"
)


@dataclass(frozen=True)
class Case:
    """A file, what is refused of it (line, words of the reason), and what is left of it without that."""

    name: str
    data: bytes
    refused: Refused = field(default_factory=list)
    good: bytes = GOOD
    path: str = LOG


def between(record: bytes | dict[str, Any]) -> bytes:
    """Put a line between two good ones: it is line 2."""
    line = record if isinstance(record, bytes) else json.dumps(record, ensure_ascii=False).encode()
    return lines([FIRST]) + line + b"\n" + lines([LAST])


def raw(name: str, value: bytes, **changes: Any) -> bytes:
    """Return an event in which a field has a value that is no JSON of ours."""
    return json.dumps(event(**{name: "@@"} | changes)).encode().replace(b'"@@"', value)


def bad(name: str, record: bytes | dict[str, Any], reason: str) -> Case:
    """Make a case of one bad record on line 2."""
    return Case(name, between(record), [(2, reason)])


def beside(name: str, rest: bytes) -> Case:
    """Make a case of a good record with something behind it on its line: the record counts, the rest is refused."""
    line = lines([event(sessionId=3)]).strip()
    return Case(name, between(line + rest), [(2, "outside of an object")], between(line))


def whole(name: str, data: bytes, reason: str, path: str = LOG) -> Case:
    """Make a case of a file of which nothing can be read."""
    return Case(name, data, [(None, reason)], b"", path)


def bad_song(name: str, record: bytes | dict[str, Any], reason: str) -> Case:
    """Make a case of one bad song on line 2."""
    line = record if isinstance(record, bytes) else json.dumps(record).encode()
    one, two = lines([song("S1")]), lines([song("S2")])
    return Case(name, one + line + b"\n" + two, [(2, reason)], one + two, SONGS)


def without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a record that lacks some fields."""
    return {name: value for name, value in record.items() if name not in names}


def many(number: int = LARGE // 200) -> list[bytes]:
    """Return the lines of a file that is large enough to be read in place by the engine."""
    found = lines(plays(number)).splitlines(keepends=True)
    assert sum(map(len, found)) > LARGE
    return found


def large(name: str, line: bytes, reason: str, at: int = 700) -> Case:
    """Make a case of a large file with one bad line in the middle."""
    good = many()
    return Case(name, b"".join([*good[: at - 1], line + b"\n", *good[at - 1 :]]), [(at, reason)], b"".join(good))


BAD_LINE = b'{"page": "NextSong", oops}'
PLAY = event(sessionId=3)

BAD = [
    # not JSON
    bad("malformed line", BAD_LINE, "column 22"),
    bad("text", b"hello", "outside of an object"),
    bad("a number as a line", b"42", "outside of an object"),
    bad("null as a line", b"null", "outside of an object"),
    bad("an empty array as a line", b"[]", "outside of an object"),
    beside("a comma after the object", b","),
    beside("words after the object", b" or so"),
    beside("a closing bracket too many", b"}"),
    bad("a closing bracket missing", lines([PLAY]).strip()[:-1], "ends inside"),
    bad("cut in a string", lines([PLAY])[:40], "ends inside"),
    bad("single quotes", str(PLAY).encode(), "column"),
    bad("a comment", lines([PLAY]).strip()[:-1] + b"/* so */}", "column"),
    bad("a raw tab in a string", raw("song", b'"Un\tdo"'), "column"),
    bad("NaN as a length", raw("length", b"NaN"), "length"),
    bad("Infinity as a length", raw("length", b"-Infinity"), "length"),
    bad("a number with a leading zero", raw("sessionId", b"007"), "column"),
    Case("truncated last line", GOOD + lines([PLAY])[:50], [(3, "ends inside")]),
    Case("truncated only line", lines([PLAY])[:50], [(1, "ends inside")], b""),
    Case(
        "pretty-printed and cut",
        GOOD + json.dumps(PLAY, indent=2).encode()[:60],
        [(3, "ends inside")],
    ),
    Case(
        "two bad lines",
        BAD_LINE + b"\n" + between(b"hello"),
        [(1, "column 22"), (3, "outside of an object")],
    ),
    # bytes
    bad("a raw NUL", raw("song", b'"Un\0do"'), "column"),
    bad("a raw NUL between objects", b"\0", "outside of an object"),
    bad("an escaped NUL", raw("song", b'"Un\\u0000do"'), "NUL"),
    bad("invalid UTF-8", raw("song", b'"Un\xffdo"'), "UTF-8"),
    bad("UTF-8 cut short", raw("song", b'"Un\xc3"'), "UTF-8"),
    bad("an overlong encoding", raw("song", b'"\xc0\xaf"'), "UTF-8"),
    bad("a lone surrogate", raw("song", b'"Un\\ud800do"'), "surrogate"),
    bad("a lone surrogate in bytes", raw("song", b'"Un\xed\xa0\x80do"'), "UTF-8"),
    whole("UTF-16", GOOD.decode().encode("utf-16"), "UTF-16"),
    # sizes
    bad("one byte too long", event(song="é" * 512 + "x"), "song is longer than 1024 bytes"),
    bad("far too long", event(userAgent="x" * 100_000), "userAgent is longer than 4096 bytes"),
    bad("a line of 5 MB", event(unknown="x" * 5_000_000), "longer than 4 MB"),
    bad("nested 5,000 deep in a field of ours", raw("song", b"[" * 5000 + b"]" * 5000), "nested too deep"),
    # fields
    bad("a key twice", lines([PLAY]).strip()[:-1] + b', "page": "Home"}', "'page'"),
    bad("page missing", without(PLAY, "page"), "page"),
    bad("page blank", event(page="  "), "page"),
    bad("page in capitals is another key", without(PLAY, "page") | {"PAGE": "NextSong"}, "page"),
    bad("an empty object", b"{}", "page"),
    bad("ts missing", without(PLAY, "ts"), "ts"),
    bad("ts null", event(ts=None), "ts"),
    bad("ts negative", event(ts=-1), "ts"),
    bad("ts in seconds", event(ts=NOON // 1000), "ts looks like seconds: milliseconds"),
    bad("ts in microseconds", event(ts=NOON * 1000), "ts looks like microseconds"),
    bad("ts of 30 digits", event(ts=int("1" * 30)), "ts is beyond 64 bits"),
    bad("ts with a fraction", event(ts=NOON + 0.5), "ts is not a whole number of milliseconds"),
    bad("ts as a word", event(ts="noon"), "ts"),
    bad("ts true", event(ts=True), "ts"),
    bad("sessionId missing on a play", without(PLAY, "sessionId"), "sessionId"),
    bad("itemInSession missing on a play", without(PLAY, "itemInSession"), "itemInSession"),
    bad("sessionId 1.5", event(sessionId=1.5), "sessionId"),
    bad("itemInSession 1.5 as text", event(itemInSession="1.5"), "itemInSession"),
    bad("sessionId of 30 digits", event(sessionId=int("1" * 30)), "sessionId is beyond 64 bits"),
    bad("sessionId true", event(sessionId=True), "sessionId"),
    bad("status as a word", event(status="ok"), "status"),
    bad("userId as a word", event(userId="Ada"), "userId"),
    bad("userId 39.5", event(userId=39.5), "userId"),
    bad("userId of 30 digits", event(userId="1" * 30), "userId is beyond 64 bits"),
    bad("an object where text is expected", event(location={"city": "Oslo"}), "location is an object, not text"),
    bad("a list where text is expected", event(artist=["Björk"]), "artist is a list, not text"),
    bad("a list where a number is expected", event(length=[1.5]), "length is a list, not a number"),
    bad("an object where a whole number is expected", event(userId={}), "userId is an object, not a whole number"),
    bad("length as a word", event(length="long"), "length"),
    bad("length true", event(length=True), "length"),
    bad("registration as a word", event(registration="today"), "registration"),
    bad_song("song_id missing", without(song(), "song_id"), "song_id"),
    bad_song("song_id blank", song(" "), "song_id"),
    bad_song("year 1999.5", song("S3", year=1999.5), "year"),
    bad_song("year true", song("S3", year=True), "year"),
    bad_song("latitude as a word", song("S3", artist_latitude="north"), "artist_latitude"),
    bad_song("duration of a thousand digits", song("S3", duration=10**1000), "duration"),
    bad_song("title too long", song("S3", title="x" * 1025), "title is longer than 1024 bytes"),
    # whole files
    whole("gzip cut", gzip.compress(lines(plays(50)))[:-20], "gzip", "log_data/case.json.gz"),
    whole("text named gz", GOOD, "gzip", "log_data/case.json.gz"),
    whole("gzip without its name", gzip.compress(GOOD), "gzip"),
    whole("one array", json.dumps([FIRST, LAST]).encode(), "array"),
    whole("one array over many lines", json.dumps([FIRST, LAST], indent=1).encode(), "array"),
    # large files
    large("large with a malformed line", BAD_LINE, "column 22"),
    large("large with a bad value", json.dumps(event(sessionId=1.5)).encode(), "sessionId"),
    large("large with an object as text", json.dumps(event(song={"a": 1})).encode(), "song is an object, not text"),
    large("large with an escaped NUL", raw("song", b'"Un\\u0000do"'), "NUL"),
    large("large with a lone surrogate", raw("song", b'"Un\\ud800do"'), "surrogate"),
    large("large with invalid UTF-8", raw("song", b'"Un\xffdo"'), "UTF-8"),
    large("large with a key twice", lines([PLAY]).strip()[:-1] + b', "page": "Home"}', "'page'"),
    large("large with a line of 5 MB", json.dumps(event(unknown="x" * 5_000_000)).encode(), "longer than 4 MB"),
    Case(
        "large with two bad objects on one line",
        b"".join([*many()[:400], b"{} {}\n", *many()[400:]]),
        [(401, "page"), (401, "page")],
        b"".join(many()),
    ),
    large("large with null as a line", b"null", "outside of an object"),
    Case("large, cut", b"".join(many())[:-30], [(len(many()), "ends inside")], b"".join(many()[:-1])),
    Case(
        "large, blank lines before the bad one",
        b"\n\n".join([*many()[:400], BAD_LINE + b"\n", *many()[400:]]),
        [(1201, "column 22")],
        b"".join(many()),
    ),
    Case(
        "large, CRLF",
        b"".join([*many()[:400], BAD_LINE + b"\n", *many()[400:]]).replace(b"\n", b"\r\n"),
        [(401, "column 22")],
        b"".join(many()),
    ),
    Case(
        "large, gzip",
        gzip.compress(b"".join([*many()[:400], BAD_LINE + b"\n", *many()[400:]])),
        [(401, "column 22")],
        b"".join(many()),
        "log_data/case.json.gz",
    ),
    whole("large array", b"[" + b",\n".join(line.strip() for line in many()) + b"]", "array"),
    whole("large gzip cut", gzip.compress(b"".join(many()), 0)[:-20], "gzip", "log_data/case.json.gz"),
]


def ok(name: str, record: bytes | dict[str, Any], path: str = LOG) -> Case:
    """Make a case of one record that is accepted, between two others."""
    data = between(record)
    return Case(name, data, [], data, path)


def file(name: str, data: bytes, path: str = LOG) -> Case:
    """Make a case of a whole file that is accepted."""
    plain = gzip.decompress(data) if path.endswith(".gz") else data
    return Case(name, data, [], plain, path)


ACCEPTED = [
    file("CRLF", GOOD.replace(b"\n", b"\r\n")),
    file("an empty file", b""),
    file("only blank lines", b"\n  \r\n\t\n"),
    file("no newline at the end", GOOD.rstrip()),
    file("blank lines", GOOD.replace(b"\n", b"\n\n \n")),
    file("blanks before the objects", b"  " + GOOD.replace(b"\n{", b"\n \t{")),
    file("blanks after the objects", GOOD.replace(b"\n", b"  \t\n")),
    file("two objects on one line", GOOD.replace(b"\n{", b" {")),
    file("two objects without a gap", GOOD.replace(b"\n{", b"{")),
    file("pretty-printed", b"\n".join(json.dumps(record, indent=3).encode() for record in (FIRST, LAST))),
    file("gzip", gzip.compress(GOOD), "log_data/case.json.gz"),
    file("gzip in two members", gzip.compress(lines([FIRST])) + gzip.compress(lines([LAST])), "log_data/case.json.gz"),
    Case("an empty file named gz", b"", [], b"", "log_data/case.json.gz"),
    file("an empty file in gzip", gzip.compress(b""), "log_data/case.json.gz"),
    ok("an unknown key", event(surprise={"a": [1, {"b": None}]}, sessionId=3)),
    ok("an unknown key of our own making", event(dwh_reason="x", dwh_file_id=99, dwh_record_number=1, sessionId=3)),
    ok("an unknown key twice", lines([PLAY]).strip()[:-1] + b', "x": 1, "x": 2}'),
    ok("brackets in a string", event(song='} {"page": "NextSong"} [', sessionId=3)),
    ok("an escaped backslash before u0000", raw("song", b'"a\\\\u0000b"', sessionId=3)),
    ok("an escaped surrogate pair", raw("song", b'"\\ud83c\\udfb5"', sessionId=3)),
    ok("an escaped key", raw("song", b'"x"', sessionId=3).replace(b'"page"', b'"\\u0070age"')),
    ok("emoji", event(song="🎵🏴\u200d☠️", sessionId=3)),
    ok("combining marks", event(song="Bjo\u0308rk", artist="Bj\u00f6rk", sessionId=3)),
    ok("right to left", event(song="\u200fأغنية\u200e", sessionId=3)),
    ok("line separators in a string", event(song="a\u2028b\u2029c\u0085d", sessionId=3)),
    ok("control characters, escaped", raw("song", b'"a\\u0001\\t\\r\\nb"', sessionId=3)),
    ok("exactly as long as the column", event(song="🎵" * 256, sessionId=3)),
    ok("a number where text is expected", event(song=27, sessionId=3)),
    ok("a number of 30 digits where text is expected", event(song=int("9" * 30), sessionId=3)),
    ok("userId as text", event(userId="39", sessionId=3)),
    ok("userId as a number", event(userId=39, sessionId=3)),
    ok("userId empty", event(userId="", sessionId=3)),
    ok("numbers as text", event(ts=str(NOON), itemInSession=" 7 ", length="11.5", sessionId=3)),
    ok("numbers empty", event(length="", status="", registration="", sessionId=3)),
    ok("a number with an exponent", event(length=1e2, registration=1.541e12, sessionId=3)),
    ok("the first millisecond that is not taken for seconds", event(ts=10**11, sessionId=3)),
    ok("the last millisecond that is not taken for microseconds", event(ts=10**14 - 1, sessionId=3)),
    ok("a visit without session", event(page="Home", sessionId=None, itemInSession="")),
    ok("an object nested 20 deep", raw("unknown", b"[" * 20 + b"]" * 20, sessionId=3)),
    ok("a line of 3 MB", event(unknown="x" * 3_000_000, sessionId=3)),
    file("large, CRLF", b"".join(many()).replace(b"\n", b"\r\n")),
    file("large, blank lines", b"\n \n".join(many())),
    file("large, as many blank lines as second objects", b"\n" + b"".join(many()).replace(b"\n{", b" {", 1)),
    file("large, gzip", gzip.compress(b"".join(many())), "log_data/case.json.gz"),
    file("large, two objects on one line", b"".join(many()).replace(b"\n{", b" {", 1)),
    file("byte order mark", b"\xef\xbb\xbf" + GOOD),
    file("large, byte order mark", b"\xef\xbb\xbf" + b"".join(many())),
    file("large, no newline at the end", b"".join(many()).rstrip()),
    file("large, a key of our own making", many()[0].replace(b"{", b'{"dwh_file_id": 99, ', 1) + b"".join(many()[1:])),
]


def names(cases: list[Case]) -> list[str]:
    """Return the names of cases, for the list of tests."""
    found = [case.name for case in cases]
    assert len(found) == len(set(found))
    return found


def words_fit(found: list[tuple[int | None, str, str]], expected: Refused) -> bool:
    """Tell whether lines are those expected, with reasons that hold the words expected."""
    return len(found) == len(expected) and all(
        line == at and words in reason for (line, reason, _), (at, words) in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("case", ACCEPTED, ids=names(ACCEPTED))
def test_accepted(warehouse: Warehouse, case: Case) -> None:
    """The star is the one of the reference, which reads the file by itself."""
    warehouse.write(case.path, case.data)
    warehouse.etl()
    check(warehouse)


@pytest.mark.parametrize("case", BAD, ids=names(BAD))
def test_stop(warehouse: Warehouse, case: Case) -> None:
    """Without a quarantine the first bad record is named by file, line and reason, and nothing is stored."""
    path = warehouse.write(case.path, case.data)
    warehouse.write(NEIGHBOUR, [event(sessionId=9)])
    with pytest.raises(DataError) as raised:
        warehouse.etl()
    [(line, words), *_] = case.refused
    assert str(path) in raised.value.message
    assert line is None or raised.value.message.endswith(f" line {line}")
    assert words in raised.value.evidence[0]
    assert set(map(len, warehouse.dump().values())) == {0}


def path_of(case: Case) -> str:
    """Give the path of a case where all are in one folder."""
    return case.path.replace("case", f"{BAD.index(case):03}")


@pytest.fixture(scope="module")
def quarantine(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Warehouse:
    """A warehouse in which all those files were loaded at once, the bad records set aside. Tests must not change it."""
    warehouse = Warehouse(tmp_path_factory.mktemp("quarantine")).create(empty_database)
    for case in BAD:
        warehouse.write(path_of(case), case.data)
    warehouse.etl("--on-bad-line", "quarantine")
    return warehouse


@pytest.mark.parametrize("case", BAD, ids=names(BAD))
def test_quarantine(quarantine: Warehouse, case: Case) -> None:
    """With a quarantine each bad record is kept with its file, line and reason, which says where in the line."""
    found = quarantine.rejected().get(path_of(case), [])
    assert words_fit(found, case.refused)
    assert all(line is None or PLACE.search(reason) for line, reason, _ in found)


def test_the_good_records_beside_the_quarantine_are_loaded(quarantine: Warehouse) -> None:
    """The star is that of the good records of all those files, and of every file as many were staged as are good."""
    check(quarantine, {path_of(case): case.good for case in BAD})


ALONE = [
    *("malformed line", "truncated last line", "an escaped NUL", "a line of 5 MB", "gzip cut"),
    *("one array", "nested 5,000 deep in a field of ours", "sessionId 1.5", "song_id missing"),
    *("large with a malformed line", "large with a bad value", "large, CRLF", "large, gzip"),
]


@pytest.mark.parametrize("case", [case for case in BAD if case.name in ALONE], ids=lambda case: case.name)
def test_quarantine_of_a_file_alone(warehouse: Warehouse, case: Case) -> None:
    """A file gives the same whether others in its load have to be read carefully or not."""
    warehouse.write(case.path, case.data)
    warehouse.write(NEIGHBOUR, [event(sessionId=9)])
    warehouse.etl("--on-bad-line", "quarantine")
    assert words_fit(warehouse.rejected()[case.path], case.refused)
    check(warehouse, {case.path: case.good})


@pytest.mark.parametrize(
    "case",
    [case for case in BAD if case.name in ("malformed line", "sessionId 1.5", "gzip cut", "song_id missing")],
    ids=lambda case: case.name,
)
def test_a_fixed_file_leaves_the_quarantine(warehouse: Warehouse, case: Case) -> None:
    """When the file changes it is tried again: once fixed, all its records are in the star and none is set aside."""
    warehouse.write(case.path, case.data)
    warehouse.etl("--on-bad-line", "quarantine")
    fixed = lines([song("S1"), song("S2")]) if case.path == SONGS else GOOD
    warehouse.write(case.path, gzip.compress(fixed) if case.path.endswith(".gz") else fixed)
    found = warehouse.etl()
    assert (found["rows"]["rejected_lines"], found["files"]["rejected"], found["files"]["changed"]) == (0, 0, 1)
    check(warehouse)


def test_an_unchanged_bad_file_is_not_read_again(warehouse: Warehouse) -> None:
    """A file with bad records that did not change is left alone by the next run, which ends well."""
    warehouse.write(LOG, between(BAD_LINE))
    warehouse.etl("--on-bad-line", "quarantine")
    before = warehouse.dump()
    assert warehouse.etl()["loads"] == []
    assert warehouse.dump() == before


def test_the_quarantine_keeps_the_line(warehouse: Warehouse) -> None:
    """The text of a bad record is kept as it stood in the file."""
    warehouse.write(LOG, between(BAD_LINE))
    warehouse.etl("--on-bad-line", "quarantine")
    assert [text for _, _, text in warehouse.rejected()[LOG]] == [BAD_LINE.decode()]


def test_a_later_run_names_the_file_that_could_not_be_read(warehouse: Warehouse) -> None:
    """A file that was rejected as a whole is shown by every later run."""
    path = warehouse.write("log_data/case.json.gz", GOOD)
    warehouse.etl("--on-bad-line", "quarantine")
    assert str(path) in warehouse.call("etl").err
    assert warehouse.etl()["files"]["rejected"] == 1


def test_a_forgotten_file_leaves_the_quarantine(warehouse: Warehouse) -> None:
    """--forget takes the bad records of a file along."""
    path = warehouse.write(LOG, between(BAD_LINE))
    warehouse.etl("--on-bad-line", "quarantine")
    warehouse.remove(LOG)
    warehouse.etl("--forget", str(path))
    assert warehouse.dump()["rejected_lines"] == []


def test_earlier_loads_stay_when_one_stops(warehouse: Warehouse) -> None:
    """A bad record costs its own load; those before it are committed."""
    warehouse.configure(ETL={"MAX_LOAD_FILES": 1})
    warehouse.write("log_data/a.json", [event()])
    warehouse.write("log_data/b.json", BAD_LINE)
    with pytest.raises(DataError):
        warehouse.etl()
    check(warehouse)
    assert warehouse.value("SELECT COUNT(*) FROM loaded_files") == 1


def test_the_version_before_stays_when_the_new_one_is_bad(warehouse: Warehouse) -> None:
    """When a changed file turns out bad, the star keeps what the file gave before."""
    warehouse.write(LOG, GOOD)
    warehouse.etl()
    before = warehouse.dump()
    warehouse.write(LOG, between(BAD_LINE))
    with pytest.raises(DataError):
        warehouse.etl()
    assert warehouse.dump() == before


LET_THROUGH = {
    "a comma before the bracket": lines([PLAY]).strip()[:-1] + b",}",
    "NaN where text is expected": raw("song", b"NaN"),
    "NaN in an unknown field": raw("unknown", b"NaN"),
    "infinity in small letters": raw("unknown", b"[-inf, 1]"),
}


@pytest.mark.parametrize("record", LET_THROUGH.values(), ids=LET_THROUGH.keys())
def test_what_duckdb_lets_through_is_judged_alike_whoever_reads_it(warehouse: Warehouse, record: bytes) -> None:
    """Whether a record is good does not depend on another one of its file, because of which it is read carefully."""
    seen = []
    for bad_end in (b"", BAD_LINE):
        warehouse.write(LOG, between(record) + bad_end)
        warehouse.etl("--on-bad-line", "quarantine")
        rejected = [line for line, *_ in warehouse.rejected().get(LOG, []) if line != 4]
        seen.append((rejected, warehouse.star()))
    assert seen[0] == seen[1]
    assert len(seen[0][1]["songplays"]) == 3


def test_the_script_ends_with_1(warehouse: Warehouse) -> None:
    """A bad record is exit code 1: file and line, the line itself, what was rolled back, and two ways on."""
    path = warehouse.write(LOG, between(BAD_LINE))
    warehouse.write(NEIGHBOUR, [event(sessionId=9)])
    done = warehouse.run("etl")
    assert (done.code, done.out) == (1, "")
    said = done.err[done.err.index("error: ") :].splitlines()
    assert said[0] == f"error: bad record in {path} line 2"
    assert said[1].startswith(f"  {BAD_LINE.decode()}")
    assert said[2] == "  nothing of this load was stored (2 files, 4 records rolled back)"
    assert [line[:8] for line in said[3:]] == ["  try: f", "  try: p"]


def test_the_script_tells_of_more_bad_records(warehouse: Warehouse) -> None:
    """The first is shown, all are counted."""
    warehouse.write(LOG, between(BAD_LINE) + BAD_LINE + b"\n")
    warehouse.write(NEIGHBOUR, BAD_LINE)
    assert "3 bad records in 2 files" in warehouse.run("etl").err


def test_the_script_ends_with_0_in_quarantine(warehouse: Warehouse) -> None:
    """Setting records aside is a success with a note."""
    warehouse.write(LOG, between(BAD_LINE))
    done = warehouse.run("etl", "--on-bad-line", "quarantine")
    assert done.code == 0
    assert "note: 1 bad record in rejected_lines" in done.err


def test_no_carriage_return_reaches_a_column(warehouse: Warehouse) -> None:
    """The ends of lines are not part of a value, on either way in."""
    for name, records in (("a", plays(3)), ("b", plays(LARGE // 200, sessionId=6))):
        warehouse.write(f"log_data/{name}.json", lines(records).replace(b"\n", b"\r\n"))
    warehouse.etl()
    assert warehouse.value("SELECT COUNT(*) FROM staging_events WHERE CAST(staging_events AS VARCHAR) LIKE '%\r%'") == 0


@pytest.mark.parametrize(
    "text", ["🎵", "Bjo\u0308rk", "\u200fأغنية", "𐍈" * 256, "\\N", "NULL", "a'b\"c\\d", "\x01\x7f"]
)
def test_text_comes_out_as_it_went_in(warehouse: Warehouse, text: str) -> None:
    """Byte for byte the same text, up to the size of its column."""
    warehouse.write(LOG, [event(song=text)])
    warehouse.etl()
    assert warehouse.rows("SELECT title FROM songplays") == [(text,)]
