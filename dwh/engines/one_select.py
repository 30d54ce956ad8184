"""What the engines share about a SELECT that a person wrote: how it is refused, and how its columns are called.

DuckDB parses with its own parser. For PostgreSQL and Redshift sqlglot does: it knows the grammar of both. What it lets
through meets a transaction that is read only.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from dwh.terminal.errors import ConfigError

BATCH = 1000  # rows fetched at a time
# Functions that do something, or look at the server's files, although they stand in a SELECT.
_REACHING_OUT = re.compile(
    r"(pg_(read|ls|stat_file|terminate|cancel|reload|rotate|logical|replication|create|drop|switch|promote|notify|backup"
    r"|wal_replay|import|advisory|try_advisory|export)|lo_|dblink|set_config|database_to_xml|query_to_xml|setval|nextval)",
    re.IGNORECASE,
)


def refuse_query(message: str, *evidence: str) -> ConfigError:
    """Give the error for a query that is not run."""
    return ConfigError(message, evidence=evidence, hint="python ask.py --list     (questions that can be asked)")


def distinct_names(names: Sequence[str]) -> list[str]:
    """Number the names that stand more than once: `plays`, `plays_2`."""
    found: list[str] = []
    for name in names:
        number, own = 1, name
        while own in found:
            number += 1
            own = f"{name}_{number}"
        found.append(own)
    return found


def require_one_select(sql: str, dialect: str) -> None:
    """Raise ConfigError for anything but one SELECT that changes nothing, as sqlglot reads the dialect."""
    import sqlglot
    from sqlglot import exp

    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # what it does not know is refused below
    try:
        statements = [statement for statement in sqlglot.parse(sql, dialect=dialect) if statement is not None]
    except sqlglot.errors.SqlglotError as error:
        raise refuse_query("this is no SQL that can be checked", *str(error).splitlines()[:2]) from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query | exp.Values):
        kinds = ", ".join(statement.key.upper() for statement in statements)
        raise refuse_query("a question is one SELECT", f"found: {kinds}" if kinds else "there is no statement")
    for node in statements[0].walk():
        if isinstance(node, exp.DML | exp.DDL | exp.Command | exp.Into | exp.Lock | exp.Drop | exp.Alter):
            if isinstance(node, exp.Query):
                continue
            raise refuse_query(
                "a question changes nothing: INSERT, UPDATE, DELETE, INTO and locks are refused", "nothing was changed"
            )
        if isinstance(node, exp.Anonymous) and _REACHING_OUT.match(node.name):
            raise refuse_query(f"a question reads the tables of the warehouse; {node.name}() does something else")
