"""Keys that only case keeps from being read: what the patterns recognise is what a parser finds."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwh.spool.records import Strictness
from dwh.spool.unread_keys import LOOKED_AT, THOROUGH, UnreadKeys

READ = ("dwh_file_id", "userId", "page", "ts")
RULES = {"events": Strictness(frozenset(READ), lenient=False, holds={})}
NAMES = st.sampled_from(["userId", "userid", "USERID", "page", "PAGE", "ts", "Ts", "x", 'a"b', "é", "dwh_File_Id"])
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, 1, -1.5, True, "", "userId", '"userid": 1', "a\\", 'a"', "}", ", ", "é\n", [1, "a"], {"userid": 1}, []]
)
RECORDS = st.dictionaries(NAMES, VALUES)
LAYOUTS = st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}])


def parsed(records: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Find the keys by parsing whole records."""
    right = {name.lower(): name for name in READ[1:]}
    return {
        (key, right[key.lower()])
        for record in records[:LOOKED_AT]
        for key in record
        if key.lower() in right and key not in READ and right[key.lower()] not in record
    }


@given(files=st.lists(st.tuples(st.lists(RECORDS, max_size=8), LAYOUTS), max_size=40), often=st.integers(1, 4))
def test_patterns_find_what_a_parser_finds(files: list[tuple[list[dict[str, Any]], Any]], often: int) -> None:
    """In any order of keys, whatever the values, for files of one layout after another, and again."""
    unread = UnreadKeys(RULES)
    expected: Counter[tuple[str, str]] = Counter()
    for number, (records, layout) in enumerate(files * often):
        unread.look("events", number, "\n".join(json.dumps(record, **layout) for record in records).encode())
        expected.update(parsed(records))
    assert {(key.key, key.spelling): files for key, (files, *_) in unread.found.items()} == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"  ",
        b"null",
        b"true",
        b"[1]",
        b"[null]",
        b'"x"',
        b"[]",
        b"{",
        b'{"userid": ',
        b"\xff{\xfe}",
        b'{"userid": 1',
        b"\0" * 9,
    ],
)
def test_what_is_no_record_is_passed_over(data: bytes, tmp_path: Path) -> None:
    """Other code reports what it is."""
    (tmp_path / "a.json").write_bytes(data)
    unread = UnreadKeys(RULES)
    unread.look("events", 1, data)
    unread.look("events", 1, str(tmp_path / "a.json"))
    assert unread.found == {}


def test_the_beginning_of_a_large_file_is_enough(tmp_path: Path) -> None:
    """A file is looked into at its beginning; a value that reaches beyond what is read ends the look."""
    (tmp_path / "a.json").write_bytes(b'{"userid": 1}\n' + b'{"page": "' + b"x" * 100_000 + b'"}\n{"TS": 1}\n')
    unread = UnreadKeys(RULES)
    unread.look("events", 3, str(tmp_path / "a.json"))
    assert [(key.key, seen) for key, seen in unread.found.items()] == [("userid", (1, 3, False))]


def test_of_many_files_the_first_with_such_a_key_has_all_others_looked_at() -> None:
    """Beyond the first files one key is asked for in each, in turn: what is in all of them is found within a round."""
    good, bad = b'{"userId": 1, "page": "Home", "ts": 1}\n', b'{"userid": 1, "page": "Home", "ts": 1}\n'
    unread = UnreadKeys(RULES)
    for number in range(5 * THOROUGH):
        unread.look("events", number, good if number < 2 * THOROUGH else bad)
    [(files, example, at_least)] = unread.found.values()
    assert at_least
    assert 2 * THOROUGH <= example <= 2 * THOROUGH + len(READ)
    assert files == 5 * THOROUGH - example


def test_of_many_files_read_together_the_first_batch_with_such_a_key_tells() -> None:
    """The same number of files is searched for each key, and those behind the first find are looked at."""
    good, bad = b'{"userId": 1, "page": "Home", "ts": 1}\n', b'{"userid": 1, "page": "Home", "ts": 1}\n'
    unread = UnreadKeys(RULES)
    for begin in range(0, 5 * THOROUGH, 250):
        files = range(begin, begin + 250)
        unread.look_together("events", [(n, good if n < 2 * THOROUGH else bad) for n in files])
    [(files_found, example, at_least)] = unread.found.values()
    assert at_least
    assert 2 * THOROUGH <= example <= 2 * THOROUGH + len(READ)
    assert 5 * THOROUGH - example - 250 < files_found <= 5 * THOROUGH - example


@given(files=st.lists(st.lists(RECORDS, max_size=3), max_size=40), others=st.integers(0, 3))
def test_files_read_together_have_the_keys_that_a_parser_finds(files: list[list[dict[str, Any]]], others: int) -> None:
    """While each file is looked at, whatever is read beside it."""
    unread = UnreadKeys(RULES)
    contents = ["\n".join(json.dumps(record) for record in records).encode() for records in files]
    for n in range(others + 1):
        unread.look_together("events", list(enumerate(contents))[n :: others + 1])
    expected = Counter(key for records in files for key in parsed(records))
    assert {(key.key, key.spelling): found for key, (found, *_) in unread.found.items()} == expected


def test_the_first_file_is_the_example_whichever_is_read_first() -> None:
    """Small files are read before large ones."""
    unread = UnreadKeys(RULES)
    for file_id in (5, 2, 9):
        unread.look("events", file_id, b'{"userid": 1}')
    assert list(unread.found.values()) == [(3, 2, False)]


@pytest.mark.parametrize(("in_batch", "records", "share"), [(2, 20, 1.0), (250, 20, 0.3), (250, 1, 0.3)])
def test_no_key_is_missed_in_small_batches_or_behind_good_records(in_batch: int, records: int, share: float) -> None:
    """Few large files come together, and a file of many records has the key of others many times."""
    keys = ("userId", "page", "ts")
    good = b"".join(b'{"userId": 1, "page": "Home", "ts": 1}\n' for _ in range(records))
    missed = []
    for key in keys:
        bad = good.replace(key.encode(), key.upper().encode())
        unread = UnreadKeys(RULES)
        for begin in range(0, 4 * THOROUGH, in_batch):
            late = [n for n in range(begin, begin + in_batch) if n >= 2 * THOROUGH]
            chosen = set(late[: round(share * len(late))])
            unread.look_together("events", [(n, bad if n in chosen else good) for n in range(begin, begin + in_batch)])
        missed += [key] if not unread.found else []
    assert missed == []
