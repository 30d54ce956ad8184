"""The rule of a whole number stands twice: portable, and quick where the engine has TRY_CAST. Both judge alike. So does
the number of a user, which staging keeps as text."""

from __future__ import annotations

import re
from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import sql_queries as q
from dwh.engines.duckdb.session import DuckDbSession
from star.loads import read_users_quickly

LARGEST, LEAST = 2**63 - 1, -(2**63)
WHOLE = st.one_of(st.integers(), st.sampled_from([LARGEST, LARGEST + 1, LEAST, LEAST - 1, 0, -1, 10**18, 10**19]))
WRITTEN = st.tuples(
    st.sampled_from(["", " ", "-", "+", "00", "-0", "\t"]),
    WHOLE,
    st.sampled_from(["", " ", ".0", ".00", ".5", "e3", "_1", "\n"]),
)
TEXTS = st.one_of(
    WRITTEN.map(lambda parts: f"{parts[0]}{parts[1]}{parts[2]}"),
    st.text("0123456789-+. e_xX", max_size=24),
    st.text(max_size=8).filter(lambda text: "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)),
    st.none(),
)
VALUE = re.compile(r"CASE WHEN CAST\(TRY_CAST\((\w+) AS BIGINT\) AS VARCHAR\) = \1 THEN .*?(?= AS \1_value)", re.DOTALL)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the functions of a session of ours."""
    with duckdb.connect() as made:
        DuckDbSession(made, lambda _trace: None, "memory")
        yield made


def values(statement: str) -> dict[str, str]:
    """Give how a statement gets the value of each whole number."""
    return {found[1]: found[0] for found in VALUE.finditer(statement)}


@given(text=TEXTS)
@example(text=str(LEAST))
@example(text="-0")
@example(text="007")
@example(text="1e3")
@example(text="true")
@example(text="0x1F")
@example(text="1_000")
@example(text="")
def test_p244_the_quick_rule_gives_what_the_portable_one_gives(
    connection: duckdb.DuckDBPyConnection, text: str | None
) -> None:
    """For every text: the same value, or none."""
    quick = values(q.STAGE_GOOD_QUICKLY["events"])["ts"]
    portable = quick[quick.index("ELSE ") + len("ELSE ") : quick.rindex(" END")]
    assert f"{portable} AS ts_value" in q.STAGE_GOOD_RECORDS["events"]
    assert_alike(connection, "ts", text, quick, portable)


def assert_alike(connection: duckdb.DuckDBPyConnection, column: str, text: str | None, *rules: str) -> None:
    """Both rules give the same value of a column that holds this text."""
    [(one, other)] = connection.execute(
        f"SELECT {', '.join(rules)} FROM (SELECT CAST(? AS VARCHAR) AS {column}) AS r", [text]
    ).fetchall()
    assert one == other


def test_p244_the_statements_differ_in_that_rule_alone() -> None:
    """Every whole number has both, and no other word is another."""
    for kind, columns in (("events", "ts user_id session_id item_in_session status"), ("songs", "num_songs year")):
        quick, portable = q.STAGE_GOOD_QUICKLY[kind], q.STAGE_GOOD_RECORDS[kind]
        found = values(quick)
        assert list(found) == columns.split()
        for text in found.values():
            quick = quick.replace(text, text[text.index("ELSE ") + len("ELSE ") : text.rindex(" END")])
        assert quick == portable
        assert "TRY_CAST" not in portable


@given(text=TEXTS)
@example(text=str(LARGEST))
@example(text=f" 00{10**16} ")
@example(text="0" * 19)
@example(text="-0")
@example(text="-8")
@example(text="8.6")
@example(text="1e3")
@example(text="")
@example(text="   ")
def test_p245_a_user_read_quickly_is_the_number_of_the_portable_rule(
    connection: duckdb.DuckDBPyConnection, text: str | None
) -> None:
    """For every text that could be in staging, also by the hand of a person or of an earlier version."""
    portable = q.user_number("user_id")
    assert_alike(connection, "user_id", text, read_users_quickly(portable), portable)


def test_p245_the_star_is_chosen_the_same_but_for_that_rule() -> None:
    """No other word of a statement is another one; a rule is in all that have a user, and a cast in none but these."""
    changed = [text for text in (*q.STAR_STATEMENTS, *q.BUILD_ALL) if read_users_quickly(text) != text]
    assert {text for text in changed if text in q.STAR_STATEMENTS} == {
        q.TOUCH_USERS,
        q.INSERT_USERS,
        q.INSERT_SONGPLAYS,
    }
    for text in changed:
        quick = read_users_quickly(text)
        for column in ("user_id", "e.user_id"):
            portable = q.user_number(column)
            quick = quick.replace(read_users_quickly(portable), portable)
        assert quick == text
