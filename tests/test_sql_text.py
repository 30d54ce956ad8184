"""The SQL text itself: valid on Redshift, portable, and free of values."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping

import pytest
from sqlfluff.core import FluffConfig, Linter

import sql_queries
import star
from star import load_queries, owner, tables
from star.checks import CHECKS
from star.lake import ADD_UP, LAKE
from star.report.queries import ENGINE, QUERIES

_ARGUMENT = r"(?:[^(),]|\((?:[^()]|\([^()]*\))*\))*"  # of a function, with brackets in brackets
# What sqlfluff's Redshift grammar lets through although Redshift (or PostgreSQL, or DuckDB) refuses it, or means
# something else by it.
DENIED = {
    r"\bFILTER\s*\(": "SUM(CASE ...) instead",
    r"\bDISTINCT\s+ON\b": "ROW_NUMBER() in a derived table instead",
    r"\bON\s+CONFLICT\b": "delete and insert instead",
    r"\bMERGE\b": "delete and insert instead",
    r"\bQUALIFY\b": "ROW_NUMBER() in a derived table instead",
    r"\bLATERAL\b": "a join instead",
    r"\bRETURNING\b": "a query instead",
    r"\bTRUNCATE\b": "DELETE instead: TRUNCATE commits on Redshift",
    r"\bGENERATE_SERIES\b|\bSTRING_AGG\b|\bARRAY_AGG\b": "not on Redshift",
    r"\bIS\s+(NOT\s+)?DISTINCT\s+FROM\b": "not on Redshift",
    r"\bNOW\s*\(|\bCURRENT_(TIMESTAMP|TIME|DATE)\b|\bGETDATE\b|\bSYSDATE\b": "bind the time from Python",
    r"\bEXTRACT\s*\(\s*(EPOCH|WEEK|SECOND|MILLISECONDS?)\b": "means something else on another engine",
    r"\bSERIAL\b|\bIDENTITY\b|\bJSONB?\b|\bTEXT\b": "not a portable type",
    r"\bPRIMARY\s+KEY\b|\bUNIQUE\b|\bREFERENCES\b|\bDISTKEY\b|\bSORTKEY\b": "not declared, see docs/decisions",
    r"\bVARCHAR\b(?!\s*\()": "VARCHAR needs a length: without one it is 256 bytes on Redshift",
    r"(?<!')\bTRIM\s*\((?!BOTH ' ' FROM)": "bare TRIM strips other characters on other engines",
    r"\bSAVEPOINT\b": "not on Redshift",
    rf"\bSUBSTRING\s*\({_ARGUMENT},{_ARGUMENT}\)": "SUBSTRING(x FROM n) instead",
    r"\bLIKE\b": "a percent sign is a parameter's mark for the driver",
    r"\bCONCAT\s*\(": "|| instead: CONCAT skips NULL on some engines",
    r"(?<![/*])/(?![/*])(?!\s*\d+\.\d)": "division of integers differs: divide by a decimal literal",
    r"::": "CAST instead",
    r'"': "identifiers are plain lower case",
    r"\bINSERT\s+INTO\s+\w+\s+(SELECT|VALUES)\b": "name the columns",
    r"\bSELECT\s+\*": "name the columns",
}


# Beginnings of statements. TOLD_PLAYS is a query with a condition left open, to be put into others: it parses too.
BEGINS = re.compile(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER)\s")
NO_STATEMENTS = {"SONGPLAY_ID", "IS_RIVAL", "MOMENT"}  # expressions, to be put into statements


def statements_in(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Every statement in a value: a text, or one in a tuple, a list or a table; a check or a query of the report gives
    its own name, and a declaration what is asked first where an engine has no digest of a row."""
    name = str(getattr(value, "name", name))
    if isinstance(value, tuple) and callable(glance := getattr(value, "glance", None)):
        yield from statements_in(f"{name}_glance", glance(""))
    if isinstance(value, str) and BEGINS.match(value):
        yield name, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from statements_in(f"{name}_{key}", part)
    elif isinstance(value, tuple | list):
        for number, part in enumerate(value):
            yield from statements_in(f"{name}_{number}", part)


FOR_DUCKDB = "STAGE_GOOD_QUICKLY"  # tests/test_quick_rules.py shows that the rest of it is portable


def named_statements() -> Iterator[tuple[str, str]]:
    """Every statement of sql_queries.py and of the modules of star/, those that templates make too, with a name."""
    names = [module.name for module in pkgutil.walk_packages(star.__path__, "star.")]
    for module in (sql_queries, *map(importlib.import_module, names)):
        for name, value in vars(module).items():
            if not name.startswith("_") and name != FOR_DUCKDB:
                yield from statements_in(f"{module.__name__}.{name}", value)


STATEMENTS = {text: name for name, text in reversed(list(named_statements()))}
by_name = pytest.mark.parametrize("statement", list(STATEMENTS), ids=list(STATEMENTS.values()))


@pytest.fixture(scope="module")
def redshift() -> Linter:
    """sqlfluff's parser of Redshift's dialect."""
    return Linter(config=FluffConfig(overrides={"dialect": "redshift"}))


def test_there_are_statements_to_look_at() -> None:
    """The guards below see the statements: every table, every step of the load, every check, the report and the lake
    are among them."""
    assert set(sql_queries.TABLES.values()) <= set(STATEMENTS)
    assert set(sql_queries.STAR_STATEMENTS) <= set(STATEMENTS)
    assert {sql for check in CHECKS for sql in (*check.needs, check.offending, check.balance) if sql} <= set(STATEMENTS)
    assert {check.glance.glance("") for check in CHECKS if check.glance} - {""} <= set(STATEMENTS)
    assert {query.sql for query in (ENGINE, *QUERIES)} <= set(STATEMENTS)
    assert {rows for rows, *_ in LAKE.values()} | set(ADD_UP.values()) <= set(STATEMENTS)
    assert {load_queries.RECORD_FILES, *load_queries.COUNT_INCOMING.values()} <= set(STATEMENTS)
    assert {owner.SELECT_WAREHOUSE, tables.MARK_STAR_INCOMPLETE} <= set(STATEMENTS)


def test_no_text_of_sql_queries_is_overlooked() -> None:
    """Every public text there is a statement, or is known to be none."""
    texts = {name for name, value in vars(sql_queries).items() if isinstance(value, str) and not name.startswith("_")}
    assert {name for name in texts if not BEGINS.match(getattr(sql_queries, name))} == NO_STATEMENTS


@by_name
def test_redshift_can_parse_it(redshift: Linter, statement: str) -> None:
    """Every statement parses as Redshift SQL."""
    parsed = redshift.parse_string(statement.replace("%s", "1") + ";\n")
    assert not parsed.violations, [f"{v.line_no}:{v.line_pos} {v.desc()}" for v in parsed.violations]


@by_name
def test_it_uses_nothing_that_differs_between_engines(statement: str) -> None:
    """No statement uses a construct of the deny-list."""
    text = re.sub(r"'[^']*'", lambda quoted: "' '" if quoted[0] == "' '" else "''", statement)
    text = re.sub(r"--.*", "", text)
    assert {found: why for found, why in DENIED.items() if re.search(found, text, re.IGNORECASE)} == {}


@by_name
def test_its_only_percent_signs_are_parameters(statement: str) -> None:
    """Both parameter styles are safe: no other percent sign, no question mark."""
    assert "%" not in statement.replace("%s", "")
    assert "?" not in statement


@by_name
def test_every_order_says_where_nulls_go(statement: str) -> None:
    """NULLs come first on one engine and last on another, unless it is written: each sorted column says so, or cannot
    be NULL."""
    never_null = r"CASE WHEN .*? END|choice|load_id|f\.path|f\.kind"
    for order in re.findall(r"ORDER BY\s+(.*?)(?:\n\s*\)|\nLIMIT|\Z)", statement, re.DOTALL):
        for column in re.split(r",\s+(?![^(]*\))", order.strip()):
            assert re.search(r"NULLS (FIRST|LAST)$", column) or re.match(never_null, column), column


@by_name
def test_no_pattern_has_an_anchor(statement: str) -> None:
    """^ and $ of ~ match at every line on Redshift, and DuckDB's ~ is a match of the whole text: so a pattern says what
    may stand before and after what it looks for."""
    for pattern in re.findall(r"~\s+'([^']*)'", statement):
        assert not re.search(r"\$|(?<!\[)\^", pattern), pattern
        assert pattern.endswith("([0-9]|[^0-9])*"), pattern


def test_the_deny_list_finds_what_it_is_for() -> None:
    """Each pattern of the deny-list is able to fire."""
    offending = """
        SELECT * FROM t; COUNT(x) FILTER (WHERE y); DISTINCT ON (a); ON CONFLICT DO NOTHING; MERGE INTO; QUALIFY x;
        LATERAL; RETURNING id; TRUNCATE t; GENERATE_SERIES(1, 2); a IS DISTINCT FROM b; NOW(); EXTRACT(EPOCH FROM t);
        id SERIAL; PRIMARY KEY; CAST(x AS VARCHAR); TRIM(x); SAVEPOINT a; a LIKE b; CONCAT(a, b); a / b; a::int; "a";
        INSERT INTO t SELECT 1; SUBSTRING(CAST(a AS VARCHAR(9)), 18)
    """
    assert [pattern for pattern in DENIED if not re.search(pattern, offending, re.IGNORECASE)] == []
