"""What Redshift takes that PostgreSQL does not, and what it means otherwise, written for PostgreSQL.

Sources are marked as in refusals.py. Not imitated, so code that leans on it is not caught: trailing blanks that do not
count in comparisons and lengths in bytes of what is cast ([D23] dg/r_Character_types.html), CONCAT of a NULL, AVG of
integers, limits of correlated subqueries, SUPER, MERGE's REMOVE DUPLICATES, what the optimizer makes of declared keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from redshift.refusals import at_top, refuse, refuse_on_serverless, setting
from redshift.sql_tokens import SYNTAX, Token, code_of, tokens_of, words
from redshift.tables import BARE_VARCHAR, LONGEST_VARCHAR, create_table, varchar
from redshift.wire import SqlError

_PASSED_ON = words(
    "APPLICATION_NAME CLIENT_ENCODING DATESTYLE EXTRA_FLOAT_DIGITS SEARCH_PATH SEED SESSION"
    " STATEMENT_TIMEOUT TIMEZONE TIME TRANSACTION"
)


def translate(sql: str, session: Mapping[str, int], *, serverless: bool = False) -> str:
    """Write a statement that Redshift takes as PostgreSQL takes it. Raises SqlError for what Redshift refuses, and with
    `serverless` for what only Serverless does.

    `session` gives the numbers that pg_last_copy_id and its like answer.
    """
    tokens = tokens_of(sql)
    refuse(tokens)
    if serverless:
        refuse_on_serverless(tokens)
    first = tokens[0].upper
    if first == "SET" and setting(tokens) not in _PASSED_ON:
        return "SET application_name TO DEFAULT"
    if first == "VACUUM":  # VACUUM [FULL | SORT ONLY | DELETE ONLY | REINDEX | RECLUSTER] t [TO n PERCENT] [D23]
        names = [t for t in tokens[1:] if t.upper not in ("FULL", "SORT", "DELETE", "ONLY", "REINDEX", "RECLUSTER")]
        return "VACUUM " + "".join(t.text for t in names[: _until(names, "TO", "BOOST")])
    if (
        first == "ANALYZE"
    ):  # ANALYZE [VERBOSE] [t [(columns)]] [PREDICATE COLUMNS | ALL COLUMNS] [D23] dg/r_ANALYZE.html
        return "ANALYZE " + " ".join(t.text for t in tokens[1 : _until(tokens, "PREDICATE", "ALL")])
    if first == "BEGIN" or (first == "START" and tokens[1].upper == "TRANSACTION"):
        return _begin(tokens)
    if first == "GRANT":  # TO ROLE r, and GRANT ROLE r [D] dg/r_GRANT.html
        return " ".join(t.text for t in tokens if t.upper != "ROLE")
    if first == "CREATE" and [t.upper for t in tokens[-2:]] == ["PASSWORD", "DISABLE"]:  # [D] dg/r_CREATE_USER.html
        return " ".join(t.text for t in tokens[: _until(tokens, "WITH", "PASSWORD")])
    text = create_table(sql, tokens) if first in ("CREATE", "ALTER") and "TABLE" in at_top(tokens[:5]) else sql
    return _rewritten(text, session)


def _begin(tokens: Sequence[Token]) -> str:
    """All isolation levels map to the database's own [D23] dg/r_BEGIN.html: SNAPSHOT [D] dg/c_serial_isolation.html."""
    found = code_of(tokens)
    if not re.fullmatch(
        r"(BEGIN( WORK| TRANSACTION)?|START TRANSACTION)"
        r"( ISOLATION LEVEL (SERIALIZABLE|READ UNCOMMITTED|READ COMMITTED|REPEATABLE READ))?"
        r"( ,)?( READ (WRITE|ONLY))?",
        found,
    ):
        raise SqlError(SYNTAX, "syntax error in BEGIN", "the stand-in's source: [D23] dg/r_BEGIN.html")
    return "BEGIN ISOLATION LEVEL REPEATABLE READ" + (" READ ONLY" if found.endswith("READ ONLY") else "")


def _until(tokens: Sequence[Token], *wanted: str) -> int:
    return next((at for at, token in enumerate(tokens) if token.upper in wanted), len(tokens))


def _rewritten(sql: str, session: Mapping[str, int]) -> str:
    """Replace what Redshift has and PostgreSQL lacks, or means otherwise, anywhere in a statement."""
    tokens = tokens_of(sql)
    ahead = [*tokens[1:], Token("", "", 0, 0)]
    parts, at = [], 0
    for here, (token, following) in enumerate(zip(tokens, ahead, strict=True)):
        called = following.text == "("
        word = token.upper
        text = None
        if word == "EXTRACT" and called and tokens[here + 3].upper == "FROM":
            # EXTRACT of a TIMESTAMP is an INTEGER [D23] dg/r_EXTRACT_function.html
            parts.append(sql[at : token.begin] + f"redshift_extract('{tokens[here + 2].text.lower()}', ")
            at = tokens[here + 3].end
        elif word in ("VARCHAR", "NVARCHAR") or (word == "VARYING" and tokens[here - 1].upper.startswith("CHAR")):
            text = varchar(tokens, here)
        elif word == "TEXT" and here and tokens[here - 1].text.upper() in ("AS", "::"):
            text = f"VARCHAR({BARE_VARCHAR})"  # TEXT is VARCHAR(256) [D23] dg/r_Character_types.html
        elif word.lower() in session and called:
            parts.append(sql[at : following.end] + str(session[word.lower()]))
            at = following.end
        elif word == "MAX" and tokens[here - 2].upper in ("VARCHAR", "NVARCHAR"):
            text = str(LONGEST_VARCHAR)  # VARCHAR(MAX) [D23] dg/r_Character_types.html
        elif word in ("NVL", "ISNULL") and called:
            text = "COALESCE"  # [D23] dg/r_NVL_function.html
        elif word == "SYSDATE":
            text = "redshift_sysdate()"  # [D23] dg/r_SYSDATE.html
        elif token.kind == "string" and here and tokens[here - 1].text in ("~", "*") and _is_pattern(tokens[:here]):
            text = _by_lines(token)
        if text is not None:
            parts.append(sql[at : token.begin] + text)
            at = token.end
    return "".join(parts) + sql[at:]


def _is_pattern(before: Sequence[Token]) -> bool:
    """Tell whether what follows is the pattern of ~ or ~*."""
    return before[-1].text == "~" or [t.text for t in before[-2:]] == ["~", "*"]


def _by_lines(pattern: Token) -> str:
    """Write the pattern of ~ so that ^ and $ match at every line, and nothing else does another thing.

    [D] dg/pattern-matching-conditions-posix.html; the engine is Boost [G soda-core#2269, ontop#738].
    """
    opening = pattern.text.index("'") + 1
    return f"{pattern.text[:opening]}(?w){pattern.text[opening:]}"
