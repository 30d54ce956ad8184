"""One SELECT that a person wrote, on a DuckDB file that was opened to read.

DuckDB's parser says how many statements there are and of which kind. A DELETE in a WITH clause is a SELECT to it: that
the file is open to read only is what refuses it, before it begins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dwh.engines.one_select import BATCH, distinct_names, refuse_query
from dwh.seam import Answer, Row
from dwh.terminal.errors import DwhError
from dwh.terminal.signals import cancelled_by

if TYPE_CHECKING:
    import duckdb

# No file is opened, no extension loaded and no other database attached, and no statement can take that back.
_LOCK = ("SET enable_external_access = false", "SET lock_configuration = true")
_PLAIN_TYPES = re.compile(
    r"BOOLEAN|U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|VARCHAR|DATE|TIME|TIMESTAMP"
)
# What a query was refused for by its own text, not by the state of the machine: DuckDB's classes of errors.
_OWN_FAULT = (
    "Binder|Catalog|Conversion|Invalid Input|Invalid Type|Not implemented|Out of Range|Parser|Permission|Syntax"
)


Sort = Callable[["duckdb.Error"], DwhError]


def ask(connection: duckdb.DuckDBPyConnection, sql: str, params: Sequence[object] | None, sort_error: Sort) -> Answer:
    """Run one SELECT. Raises ConfigError for anything else, and what `sort_error` makes of other errors."""

    def sort(error: duckdb.Error) -> DwhError:
        own_fault = params is None and re.match(rf"({_OWN_FAULT}) Error: ", str(error))
        return _refused(str(error)) if own_fault else sort_error(error)

    _refuse_other_statements(sql)
    for statement in _LOCK:
        connection.execute(statement)
    with _sorted(sort), cancelled_by(connection.interrupt):
        if params is None:
            connection.execute(sql)
        else:
            connection.execute(sql.replace("%s", "?"), list(params))
    names = distinct_names([column[0] for column in connection.description or ()])
    types = [str(column[1]) for column in connection.description or ()]
    if any("WITH TIME ZONE" in kind for kind in types):  # the driver needs a package more for those
        raise refuse_query("times with a zone cannot be shown: CAST(... AS TIMESTAMP)")
    plain = [kind if _PLAIN_TYPES.fullmatch(kind) else "VARCHAR" for kind in types]
    return Answer(dict(zip(names, plain, strict=True)), _fetch(connection, sort))


def stream(connection: duckdb.DuckDBPyConnection, sql: str, sort_error: Sort) -> Iterator[Row]:
    """Run one query of ours, and give its rows as they come."""
    with _sorted(sort_error), cancelled_by(connection.interrupt):
        connection.execute(sql)
    yield from _fetch(connection, sort_error)


def _fetch(connection: duckdb.DuckDBPyConnection, sort: Sort) -> Iterator[Row]:
    while True:
        with _sorted(sort), cancelled_by(connection.interrupt):
            rows = connection.fetchmany(BATCH)
        yield from rows
        if len(rows) < BATCH:
            return


@contextmanager
def _sorted(sort: Sort) -> Iterator[None]:
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise sort(error) from error


def _refuse_other_statements(sql: str) -> None:
    import duckdb

    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise _refused(str(error)) from error
    kinds = [statement.type.name for statement in statements]
    if kinds != ["SELECT"]:
        found = f"found: {', '.join(kind.replace('_', ' ') for kind in kinds)}" if kinds else "there is no statement"
        raise refuse_query("a question is one SELECT", found)


def _refused(text: str) -> DwhError:
    """Word an error of DuckDB: its first line without the class, the rest shows the place."""
    first, *rest = text.splitlines()
    message = first.partition(" Error: ")[2] or first
    if "attached in read-only mode" in first:
        return refuse_query("a question changes nothing: INSERT, UPDATE and DELETE are refused", "nothing was changed")
    if "disabled by configuration" in first or "has been locked" in first:
        return refuse_query("a question reads the tables of the warehouse, and no file", message)
    return refuse_query(message, *(line for line in rest if line.strip()))
