"""What a value of a record may look like, and what it is stored as: one table, loaded at once, alike on every engine.

Each case is a file of one event in which one value is written as the table says. They are loaded three times: as they
are, spread over two lines, so that every one is read record by record, and the good ones by themselves, which is the
way that judges records while it stages them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from postgres_server import Make
from warehouse import NOON, Warehouse, event

import sql_queries as q
from dwh.spool.digits import NUMBER, plain_digits
from dwh.terminal.errors import DataError

MOST, LEAST = 2**63 - 1, -(2**63)
SECONDS = "ts looks like seconds: milliseconds since 1970 are expected"
MICROSECONDS = "ts looks like microseconds: milliseconds since 1970 are expected"
NANOSECONDS = "ts looks like nanoseconds: milliseconds since 1970 are expected"
NO_MILLISECONDS = "ts is not a whole number of milliseconds"
COLUMNS = {
    "userId": "user_id",
    "sessionId": "session_id",
    "itemInSession": "item_in_session",
    "userAgent": "user_agent",
}

# How a whole number may be written, and what it is; none of the second list is one.
FORMS = {
    "26": 26, '"26"': 26, "26.0": 26, '"26.0"': 26, "26.00": 26, '"26.00"': 26, '"0026"': 26, '" 26 "': 26,
    '" 26.0"': 26,
    "2.6e1": 26, '"2.6e1"': 26, "2.6E+1": 26, '"260e-1"': 26, "26.00000000000000000000001": 26, '"026.0"': 26,
    "9007199254740993.0": 9007199254740993, '"1234567890123456789.0"': 1234567890123456789,
    "1234567890123456789": 1234567890123456789, '"1234567890123456789"': 1234567890123456789,
    str(MOST): MOST, f'"{MOST}"': MOST, f"{MOST}.0": MOST, "9.223372036854775807e18": MOST, f'"{"0" * 30}8"': 8,
    "-0": 0, '"-0"': 0, "-0.0": 0, "0e999999999999": 0, "1e-400": 0, f'"{" " * 60}8{" " * 40}"': 8,
}  # fmt: skip
NO_FORMS = (
    "1.5", '"1.5"', "true", "false", '"true"', '"abc"', '"1 2"', '"--1"', '"1-"', '"-"', '".5"', '"5."', '"."', '"+5"',
    '"1e"', '"e5"', '"0x10"', '"1_000"', '"Infinity"', '"NaN"', '"８"', '"٨"', '"8\\n"', '"\\n8"', '"8\\nabc"',
    '"abc\\n8"', '"8\\r"', '"\\t8"', '"8\\u00a0"', '"8|"', '"8.0.0"', '"8.0 .0"', '"26.0000000000000000001"', "1e-1",
    '"1e-400"', '"8\\u2028"', '"' + "8" + " " * 100 + 'x"', '"8,0"', '"1\'"', '"{}"', '"[1]"',
)  # fmt: skip
BEYOND = (
    str(MOST + 1),
    f'"{MOST + 1}"',
    "1e19",
    "1e999999999999",
    '"1' + "0" * 40 + '"',
    '"' + "9" * 63 + '"',
    f"{MOST + 1}.0",
)
NEGATIVE = {"-7": -7, '"-7"': -7, "-7.0": -7, '"-07"': -7, str(LEAST): LEAST, f'"{LEAST}.0"': LEAST, "-1e1": -10}
NUMBERS = {
    "1.5": 1.5, '"1.5"': 1.5, '" 1.5 "': 1.5, "-1.5": -1.5, '"-1.50"': -1.5, "1e2": 100.0, '"1E+2"': 100.0,
    "1.25e-7": 1.25e-7, '"001.5"': 1.5, "-0.0": 0.0, "1e-400": 0.0, "0.1000000000000000055511151231257827": 0.1,
    '"0.1' + "0" * 60 + '1"': 0.1, "1e99": 1e99, "9" * 40: 1e40, '""': None, '"  "': None, "null": None,
}  # fmt: skip
NO_NUMBERS = (
    "true", '"abc"', '"1 2"', '".5"', '"5."', '"."', '"-"', '"--1"', '"-.5"', '"1.2.3"', '"1..2"', '"+5"', '"1e"',
    '"NaN"',
    '"Infinity"', '"1.5\\n"', '"1.5\\nabc"', '"\\n1.5"', '"１.5"', '"0x10"', '"1_0.5"', "1e999", '"1e400"', "1e-200",
    "1" + "0" * 999,
)  # fmt: skip
TEXTS = {
    '"[Untitled]"': "[Untitled]", '"{Intro}"': "{Intro}", '"[]"': "[]", '"{}"': "{}", '"{\\"a\\": 1}"': '{"a": 1}',
    '"["': "[",
    '" [x]"': " [x]", '"{a\\\\b\\r\\n\\t\\u0001🎵"': "{a\\b\r\n\t\x01🎵", "true": "true", "false": "false", "27": "27",
    "null": None,
    '"null"': "null", '"[\\u00e9]"': "[é]", '"|x"': "|x", '"\\\\[x"': "\\[x",
}  # fmt: skip
TIMES: dict[str, int | str] = {
    str(NOON): NOON, f'"{NOON}"': NOON, f"{NOON}.0": NOON, '"1.54116e12"': NOON, "1.54116E12": NOON,
    '" 1541160000000"': NOON,
    "100000000000": 10**11, "99999999999999": 10**14 - 1, '"0001541160000000"': NOON,
    "0": SECONDS, "-0": SECONDS, "8": SECONDS, "1541160000": SECONDS, "1541160000.0": SECONDS,
    '"1541160000.796"': SECONDS,
    "99999999999": SECONDS, "1.5": SECONDS, "100000000000000": MICROSECONDS, "1541160000000000": MICROSECONDS,
    "1.54116e15": MICROSECONDS, "253402300799999": MICROSECONDS, "99999999999999999": MICROSECONDS,
    "100000000000000000": NANOSECONDS, "1541160000000000000": NANOSECONDS, str(MOST): NANOSECONDS,
    str(MOST + 1): "ts is beyond 64 bits: milliseconds since 1970 are expected", "-1": "ts is before 1970",
    "-1.5": "ts is before 1970", '"-1541160000000"': "ts is before 1970", "1541160000000.5": NO_MILLISECONDS,
    '"1541160000000\\nabc"': NO_MILLISECONDS, '"2018-11-02"': NO_MILLISECONDS, "true": NO_MILLISECONDS,
    '"noon"': NO_MILLISECONDS, '""': "ts is missing", '"  "': "ts is missing", "null": "ts is missing",
    "{}": "ts is an object, not a whole number", "[1]": "ts is a list, not a whole number",
}  # fmt: skip

Case = tuple[str, str, object]  # key, how its value is written, what is staged or why it is refused


def table() -> list[Case]:
    """Give all cases."""
    cases: list[Case] = []
    for key in ("userId", "sessionId", "itemInSession", "status"):
        cases += [(key, written, number) for written, number in FORMS.items()]
        cases += [(key, written, f"{key} is not a whole number") for written in NO_FORMS]
        cases += [(key, written, f"{key} is beyond 64 bits") for written in BEYOND]
        refused = "userId is negative" if key == "userId" else None
        cases += [(key, written, refused or number) for written, number in NEGATIVE.items()]
        cases += [
            (key, "{}", f"{key} is an object, not a whole number"),
            (key, "[8]", f"{key} is a list, not a whole number"),
        ]
        missing = {"sessionId": "sessionId is missing on a play", "itemInSession": "itemInSession is missing on a play"}
        cases += [(key, written, missing.get(key)) for written in ('""', '"   "', "null")]
    for key in ("length", "registration"):
        cases += [(key, written, number) for written, number in NUMBERS.items()]
        cases += [(key, written, f"{key} is not a number") for written in NO_NUMBERS]
        cases += [
            (key, '{"s": 1.5}', f"{key} is an object, not a number"),
            (key, "[]", f"{key} is a list, not a number"),
        ]
    for key in ("song", "artist", "location", "userAgent"):
        cases += [(key, written, text) for written, text in TEXTS.items()]
    for key in (
        "song",
        "artist",
        "location",
        "userAgent",
        "auth",
        "firstName",
        "lastName",
        "gender",
        "level",
        "method",
    ):
        cases += [(key, '{"a": [1, 2.50]}', f"{key} is an object, not text"), (key, "[]", f"{key} is a list, not text")]
    cases += [("page", '{"a": 1}', "page is an object, not text"), ("page", '"NextSong\\n"', "NextSong\n")]
    return cases + [("ts", written, outcome) for written, outcome in TIMES.items()]


CASES = table()


def text_of(key: str, written: str) -> str:
    """Write the event of a case."""
    return json.dumps(event(**{key: "@@"}), ensure_ascii=False).replace('"@@"', written)


def name_of(number: int) -> str:
    """Name the file of a case."""
    return f"log_data/{number:04}.json"


def outcomes(warehouse: Warehouse) -> dict[int, object]:
    """Give for each case the value that is staged, or the reason why it is refused."""
    found: dict[int, object] = {}
    for path, reason in warehouse.rows(
        "SELECT f.path, r.reason FROM rejected_lines AS r JOIN loaded_files AS f ON f.file_id = r.file_id"
    ):
        found[int(Path(path).stem)] = reason
    for key in {key for key, *_ in CASES}:
        column = COLUMNS.get(key, {"firstName": "first_name", "lastName": "last_name"}.get(key, key))
        for path, value in warehouse.rows(
            f"SELECT f.path, s.{column} FROM staging_events AS s JOIN loaded_files AS f ON f.file_id = s.file_id"
        ):
            number = int(Path(path).stem)
            if CASES[number][0] == key:
                found[number] = value
    return found


def is_refusal(outcome: object) -> bool:
    """Tell the words of a refusal from a text that is staged."""
    return isinstance(outcome, str) and (" is " in outcome or " looks like " in outcome)


def as_number(number: int, outcome: object) -> object:
    """Give a staged user's id as the number it stands for; blank is nothing."""
    if CASES[number][0] == "userId" and isinstance(outcome, str) and not is_refusal(outcome):
        return int(outcome) if outcome.strip(" ") else None
    return outcome


WAYS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "record by record": lambda text: text.replace("{", "{\n", 1),
    "only good ones": lambda text: text,
}


@pytest.mark.parametrize("engine", ["duckdb", "postgres", "redshift"])
@pytest.mark.parametrize("way", WAYS)
def test_p105_every_value_is_staged_or_refused_as_the_table_says(
    make: Make, tmp_path: Path, engine: str, way: str
) -> None:
    """On every engine, whoever reads the file: the same value, or the same words."""
    chosen = [n for n, (_, _, outcome) in enumerate(CASES) if way != "only good ones" or not is_refusal(outcome)]
    warehouse = make(tmp_path / "w", engine)
    for n in chosen:
        warehouse.write(name_of(n), WAYS[way](text_of(*CASES[n][:2])).encode() + b"\n")
    warehouse.etl(*(("--on-bad-line", "quarantine") if way != "only good ones" else ()))
    found = {n: as_number(n, outcome) for n, outcome in outcomes(warehouse).items()}
    told = {CASES[n]: found.get(n, "not staged") for n in chosen}
    assert {case: outcome for case, outcome in told.items() if outcome != case[2]} == {}
    assert len(told) > (250 if way == "only good ones" else 500)
    assert warehouse.rows("SELECT COUNT(*) FROM users WHERE user_id IS NULL") == [(0,)]


def key_of(user: str) -> str:
    """Compute the songplay_id of the play below by another hand."""
    return hashlib.md5(f"5|0|{user}|{NOON}".encode()).hexdigest()


@pytest.mark.parametrize("engine", ["duckdb", "postgres", "redshift"])
def test_p106_a_play_is_known_by_the_number_of_its_listener(make: Make, tmp_path: Path, engine: str) -> None:
    """However it is written, in whichever file and load: one listener, one play, and the id it always had."""
    warehouse = make(tmp_path / "w", engine)
    for n, user in enumerate(('"8"', "8", '"008"', '" 8 "', '"8.0"', "8.0", "0.8e1", '"' + "0" * 25 + '8"')):
        warehouse.write(f"log_data/{n}.json", text_of("userId", user).encode())
        if n in (1, 4):
            warehouse.etl()
    warehouse.write("log_data/nobody.json", text_of("userId", '"  "').encode())
    for n, user in enumerate(('"0"', '"-0"', "-0", '"-00"', "-0.0", "0.0")):
        warehouse.write(f"log_data/zero{n}.json", text_of("userId", user).encode())
    warehouse.etl()
    assert sorted(warehouse.rows("SELECT songplay_id, user_id FROM songplays"), key=str) == sorted(
        [(key_of("8"), 8), (key_of("0"), 0), (key_of(""), None)], key=str
    )
    assert sorted(warehouse.rows("SELECT user_id FROM users")) == [(0,), (8,)]
    assert warehouse.call("sql_validate", "-q").code == 0
    assert warehouse.call("report", "-q").code == 0


@pytest.mark.parametrize("engine", ["duckdb", "postgres", "redshift"])
def test_p107_an_older_warehouse_gets_the_same_plays_by_itself(make: Make, tmp_path: Path, engine: str) -> None:
    """Staging as 0.1 filled it holds other forms of a user; its statements were others: the next run rebuilds."""
    warehouse = make(tmp_path / "w", engine)
    for n in range(3):
        warehouse.write(f"log_data/{n}.json", text_of("userId", '"8"').encode())
    warehouse.etl()
    for n, user in enumerate(("008", " 8 ", "8")):
        warehouse.rows(
            f"UPDATE staging_events SET user_id = '{user}' WHERE file_id IN"
            f" (SELECT file_id FROM loaded_files WHERE path = '{warehouse.root / f'log_data/{n}.json'}')"
        )
    warehouse.rows("UPDATE loads SET statements_sha256 = 'of 0.1'")
    warehouse.rows("UPDATE songplays SET songplay_id = 'of 0.1'")
    warehouse.etl()
    assert warehouse.rows("SELECT songplay_id, user_id FROM songplays") == [(key_of("8"), 8)]
    assert warehouse.call("sql_validate", "-q").code == 0


def test_a_number_becomes_digits_without_an_exponent() -> None:
    """And is the same double."""
    for value in ("1e2", "1.25e-7", "-1E99", "1e-99", "12345678901234567890e3", "0e5"):
        found = plain_digits(value, NUMBER)
        assert found is not None and "e" not in found.lower() and float(found) == float(value)
    assert [plain_digits(value, NUMBER) for value in ("1e100", "1e-101", "1e999", "x", "", ".5", "5.")] == [None] * 7


LIMITS = {
    "song": ("song", 1024), "artist": ("artist", 1024), "location": ("location", 1024), "userAgent": ("user_agent",
    4096),
    "auth": ("auth", 64), "level": ("level", 64), "gender": ("gender", 16), "method": ("method", 16),
    "firstName": ("first_name", 256), "lastName": ("last_name", 256), "page": ("page", 64), "userId": ("user_id", 64),
}  # fmt: skip


@pytest.mark.parametrize("engine", ["duckdb", "postgres", "redshift"])
def test_p108_a_value_is_refused_by_its_bytes_however_long(make: Make, tmp_path: Path, engine: str) -> None:
    """At the limit it is whole, a byte beyond it is refused: also where COPY cuts it, in the middle of a character."""
    warehouse = make(tmp_path / "w", engine)
    wanted: dict[str, object] = {}
    for key, (_, limit) in LIMITS.items():
        for sign in ("x", "é", "🎵", " ") if key != "userId" else (" ",):
            size = len(sign.encode())
            if key != "page" or sign != " ":
                wanted[f"{key}-{ord(sign)}-0"] = sign * (limit // size)
            for beyond in (1, 2, 3, 4, 5, 1000):
                if (limit + beyond) % size == 0 and (key, sign) != ("page", " "):
                    wanted[f"{key}-{ord(sign)}-{beyond}"] = f"{key} is longer than {limit} bytes"
    for name in wanted:
        key, code, more = name.split("-")
        number = (LIMITS[key][1] + int(more)) // len(chr(int(code)).encode())
        warehouse.write(f"log_data/{name}.json", [event(**{key: chr(int(code)) * number})])
    warehouse.etl("--on-bad-line", "quarantine")
    found: dict[str, object] = {
        Path(path).stem: reason
        for path, reason in warehouse.rows(
            "SELECT f.path, r.reason FROM rejected_lines AS r JOIN loaded_files AS f ON f.file_id = r.file_id"
        )
    }
    for path, *values in warehouse.rows(
        f"SELECT f.path, {', '.join(column for column, _ in LIMITS.values())}"
        " FROM staging_events AS s JOIN loaded_files AS f ON f.file_id = s.file_id"
    ):
        found[Path(path).stem] = values[list(LIMITS).index(Path(path).stem.split("-")[0])]
    assert found == wanted


def test_p108_what_redshift_keeps_in_memory_is_as_narrow_as_the_rules_allow() -> None:
    """Four bytes more than a value may have, so that one that COPY cuts is seen to be too long, and nothing beside."""
    for table, kept in (("incoming_events", "staging_events"), ("incoming_songs", "staging_songs")):
        [made] = [statement for statement in q.CREATE_INCOMING if table in statement]
        widths = dict(re.findall(r"(\w+) VARCHAR\((\d+)\)", made))
        limits = dict(re.findall(r"(\w+) VARCHAR\((\d+)\)", q.STAGING[kept]))
        assert {column: int(widths[column]) for column in limits} == {c: int(n) + 4 for c, n in limits.items()}
        assert max(int(width) for column, width in widths.items() if column not in limits) <= 132
    assert "ALTER" not in "".join(q.CREATE_INCOMING)


@pytest.mark.parametrize("engine", ["duckdb", "postgres", "redshift"])
@pytest.mark.parametrize("value", ["abc", "99999999999999999999"])
def test_p109_a_value_that_an_engine_refuses_is_a_refused_record(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, value: str
) -> None:
    """A cast that fails is no bug that ends every load with 70: the file is named, or set aside."""
    warehouse = make(tmp_path / "w", engine)
    warehouse.write("log_data/good.json", [event()])
    warehouse.write("log_data/bad.json", [event(level=value)])
    unsafe = "CAST(CASE WHEN level = 'free' THEN '1' ELSE level END AS BIGINT)"
    for name in ("STAGE_EVENTS", "STAGE_GOOD_EVENTS"):
        changed = getattr(q, name).replace("status_value, ts_value", f"{unsafe}, ts_value")
        assert changed != getattr(q, name)
        monkeypatch.setattr(q, name, changed)
    monkeypatch.setattr(q, "STAGE_RECORDS", (q.STAGE_SONGS, q.STAGE_EVENTS))
    for name in ("STAGE_GOOD_RECORDS", "STAGE_GOOD_QUICKLY"):
        monkeypatch.setattr(q, name, {"songs": q.STAGE_GOOD_SONGS, "events": q.STAGE_GOOD_EVENTS})
    with pytest.raises(DataError):
        warehouse.etl()
    assert warehouse.rows("SELECT COUNT(*) FROM loaded_files") == [(0,)]
