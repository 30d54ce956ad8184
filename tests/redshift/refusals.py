"""What Redshift refuses of PostgreSQL's SQL. Each rule names its source.

[D] and [D23] are pages of https://docs.aws.amazon.com/redshift/latest/ (dg/: developer guide), read in 2025-26 or as
published in 2023; [G] was seen in public reports of real clusters; [U] is not verified. The texts of the answers are
ours unless [G] is said; the SQLSTATEs of a missing grammar, function and type are PostgreSQL's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from redshift.sql_tokens import SYNTAX, Token, code_of, words
from redshift.wire import SqlError

UNSUPPORTED, UNDEFINED_FUNCTION, UNDEFINED_OBJECT = "0A000", "42883", "42704"
_FEATURES = "[D] dg/c_unsupported-postgresql-features.html"
_TYPES = "[D] dg/c_unsupported-postgresql-datatypes.html"
_LEADER = "[D23] dg/c_SQL_functions_leader_node_only.html"
_TABLES = "[D23] dg/r_CREATE_TABLE_NEW.html"
_ALTER = "[D23] dg/r_ALTER_TABLE.html"
_DDL = r"^CREATE (?:(?! AS ).)*\bTABLE\b(?:(?! AS ).)*"


class Rule(NamedTuple):
    """A pattern that no statement may have, how Redshift answers, and an example."""

    pattern: str
    code: str
    message: str
    source: str


def _no(word: str, pattern: str, source: str) -> Rule:
    """Give the rule of a word that the grammar has not."""
    return Rule(pattern, SYNTAX, f'syntax error at or near "{word}"', source)


# Matched against code_of(): upper case, one space between all tokens, strings emptied.
RULES = (
    _no("ON", r"\bON CONFLICT\b", "[D23] dg/r_INSERT_30.html has none"),
    _no("RETURNING", r"\bRETURNING\b", "[D23] dg/r_INSERT_30.html, r_DELETE.html, r_UPDATE.html have none"),
    _no("(", r"\bFILTER \( WHERE\b", "[D23] dg/c_Aggregate_Functions.html has none"),
    Rule(r"\bDISTINCT ON \(", UNSUPPORTED, "SELECT DISTINCT ON is not supported", "[D23] dg/r_SELECT_list.html"),
    _no("LATERAL", r"\bLATERAL\b", "[D23] dg/r_FROM_clause30.html has none"),
    _no("DISTINCT", r"\bIS (NOT )?DISTINCT FROM\b", _FEATURES),
    _no("VALUES", r"\b(FROM|JOIN|AS) \( VALUES\b", _FEATURES),
    Rule(r"\bFOR (UPDATE|SHARE)\b", UNSUPPORTED, "SELECT FOR UPDATE/SHARE is not supported", f"[G]; {_FEATURES}"),
    Rule(
        r"^(SAVEPOINT|RELEASE)\b|^ROLLBACK .*\bTO\b",
        UNSUPPORTED,
        "SQL command not supported on Redshift tables.",
        _FEATURES,
    ),
    Rule(r"\b(SMALL|BIG)?SERIAL[248]?\b", UNSUPPORTED, "SERIAL is not supported", _TYPES),
    _no("[", r"\bARRAY \[|\[ \]", _TYPES),
    Rule(r"->>?|#>>?|@>|<@", UNDEFINED_FUNCTION, "operator does not exist", _TYPES),
    # answered by the leader node alone, an error where a table is read
    Rule(
        r"(\b(NOW|AGE|GENERATE_SERIES) \(|\b(CURRENT_TIMESTAMP|CURRENT_TIME|LOCALTIMESTAMP|LOCALTIME)\b).*\bFROM \w"
        r"|\bFROM \w.*(\b(NOW|AGE|GENERATE_SERIES) \(|\b(CURRENT_TIMESTAMP|CURRENT_TIME)\b)|\bFROM GENERATE_SERIES \(",
        UNSUPPORTED,
        "Specified types or functions (one per INFO message) not supported on Redshift tables.",
        f"{_LEADER}; [G] text",
    ),
    Rule(
        r"^CREATE (OR REPLACE )?(UNIQUE )?(INDEX|SEQUENCE|TRIGGER|RULE|TABLESPACE|DOMAIN|TYPE|EXTENSION|AGGREGATE|CAST"
        r"|COLLATION|OPERATOR|PUBLICATION|SUBSCRIPTION|SERVER|STATISTICS|UNLOGGED|GLOBAL)\b",
        UNSUPPORTED,
        "SQL command not supported on Redshift tables.",
        f"{_FEATURES}; [G] text",
    ),
    _no("...", r"^(DO|LISTEN|NOTIFY|UNLISTEN|DISCARD|REINDEX|CLUSTER|CHECKPOINT|LOAD|REASSIGN)\b", _FEATURES),
    _no("...", _DDL + r"\b(INHERITS|PARTITION OF|PARTITION BY|ON COMMIT)\b", _FEATURES),
    Rule(_DDL + r"\bCHECK \(", UNSUPPORTED, "CHECK constraints are not supported", _FEATURES),
    _no("INCLUDING", _DDL + r"\b(IN|EX)CLUDING (?!DEFAULTS)", _TABLES),
    _no("EXISTS", r"^ALTER TABLE .* IF (NOT )?EXISTS\b", _ALTER),
    _no(",", r"^ALTER TABLE .*, (ADD|DROP|ALTER)\b", f"{_ALTER}: one column at a time"),
    Rule(
        r"^ALTER TABLE \S+( \. \S+)? ADD (?!.*\bDEFAULT\b).*\bNOT NULL\b",
        UNSUPPORTED,
        "ALTER TABLE ADD COLUMN defined as NOT NULL must have a non-null default expression",
        f"{_ALTER}; [G] text",
    ),
    _no("...", r"^TRUNCATE .*(,|\b(CASCADE|RESTRICT|IDENTITY|ONLY)\b)", "[D23] dg/r_TRUNCATE.html"),
    _no("IN", r"^LOCK .*\b(IN|NOWAIT|ONLY)\b", "[D23] dg/r_LOCK.html: LOCK [ TABLE ] name [, ...]"),
    _no("...", r"^COMMENT ON (?!(TABLE|COLUMN|CONSTRAINT|DATABASE|VIEW)\b)", "[D23] dg/r_COMMENT.html"),
    _no("(", r"^MERGE .*\bUSING \(", "[D23] dg/r_MERGE.html: the source is a table"),
    _no("AND", r"^MERGE .*\b(MATCHED AND|DO NOTHING)\b", "[D] dg/r_MERGE.html"),
    _no("MERGE", r"^MERGE (?!.*\bWHEN MATCHED\b.*\bNOT MATCHED\b)", "[D] dg/r_MERGE.html: both branches"),
    Rule(
        r"\bCONCAT \( [^()]*,[^()]*,",
        UNDEFINED_FUNCTION,
        "function concat does not exist",
        "[D23] dg/r_CONCAT.html: two arguments",
    ),
)

# Functions that Redshift documents [D23] dg/c_SQL_functions.html; every other is refused, PostgreSQL's own included
# ([D] dg/c_unsupported-postgresql-functions.html). Some of these are not in PostgreSQL: then that refuses them.
FUNCTIONS = words(
    "ANY_VALUE AVG BIT_AND BIT_OR BOOL_AND BOOL_OR COUNT LISTAGG MAX MEDIAN MIN PERCENTILE_CONT STDDEV STDDEV_POP"
    " STDDEV_SAMP SUM VAR_POP VAR_SAMP VARIANCE CUME_DIST DENSE_RANK FIRST_VALUE LAG LAST_VALUE LEAD NTH_VALUE NTILE"
    " PERCENT_RANK PERCENTILE_DISC RANK RATIO_TO_REPORT ROW_NUMBER COALESCE DECODE GREATEST ISNULL LEAST NULLIF NVL"
    " NVL2 ASCII BTRIM CHARACTER_LENGTH CHARINDEX CHAR_LENGTH CHR CONCAT CRC32 INITCAP LEFT LEN LENGTH LOWER LPAD LTRIM"
    " MD5 OCTET_LENGTH POSITION QUOTE_IDENT QUOTE_LITERAL REGEXP_COUNT REGEXP_INSTR REGEXP_REPLACE REGEXP_SUBSTR REPEAT"
    " REPLACE REPLICATE REVERSE RIGHT RPAD RTRIM SHA SHA1 SHA2 SPLIT_PART STRPOS STRTOL SUBSTR SUBSTRING TEXTLEN"
    " TRANSLATE TRIM UPPER ABS ACOS ASIN ATAN ATAN2 CBRT CEIL CEILING COS COT DEGREES EXP FLOOR LN LOG MOD PI POW POWER"
    " RADIANS RANDOM ROUND SIGN SIN SQRT TAN TRUNC ADD_MONTHS CONVERT_TIMEZONE DATEADD DATEDIFF DATE_CMP DATE_PART"
    " DATE_TRUNC EXTRACT GETDATE LAST_DAY MONTHS_BETWEEN NEXT_DAY TIMEOFDAY TO_CHAR TO_DATE TO_NUMBER TO_TIMESTAMP CAST"
    " CONVERT CURRENT_DATABASE CURRENT_SCHEMA CURRENT_SCHEMAS CURRENT_SETTING HAS_SCHEMA_PRIVILEGE HAS_TABLE_PRIVILEGE"
    " HAS_DATABASE_PRIVILEGE PG_BACKEND_PID PG_CANCEL_BACKEND PG_TERMINATE_BACKEND PG_LAST_COPY_COUNT PG_LAST_COPY_ID"
    " PG_LAST_QUERY_ID PG_LAST_UNLOAD_COUNT PG_LAST_UNLOAD_ID SET_CONFIG SLICE_NUM VERSION JSON_EXTRACT_PATH_TEXT"
    " JSON_ARRAY_LENGTH JSON_EXTRACT_ARRAY_ELEMENT_TEXT IS_VALID_JSON IS_VALID_JSON_ARRAY JSON_PARSE JSON_SERIALIZE"
    " NOW AGE GENERATE_SERIES"  # the leader node's: see the rule above
)
# Words that may stand before a bracket and call nothing.
_NO_CALLS = words(
    "ALL AND ANY AS BETWEEN BY CASE DISTINCT ELSE EXCEPT EXISTS FROM HAVING IN INTERSECT INTO IS JOIN LIKE MINUS NOT ON"
    " OR OVER SELECT SET SOME THEN UNION USING VALUES WHEN WHERE KEY UNIQUE GROUP DISTKEY SORTKEY IDENTITY LIMIT OFFSET"
    " WITH ROLLUP CUBE SETS INSERT ILIKE INTERVAL EXPLAIN"
)
TYPES = words(
    "SMALLINT INT2 INTEGER INT INT4 BIGINT INT8 DECIMAL NUMERIC REAL FLOAT4 DOUBLE FLOAT8 FLOAT BOOLEAN BOOL CHAR"
    " CHARACTER NCHAR BPCHAR VARCHAR NVARCHAR TEXT DATE TIME TIMETZ TIMESTAMP TIMESTAMPTZ INTERVAL"
)
# Redshift's own, which PostgreSQL has not.
TYPES_BEYOND = words("SUPER VARBYTE VARBINARY GEOMETRY GEOGRAPHY HLLSKETCH")
# What SET knows [D23] dg/cm_chap_ConfigurationRef.html. SET LOCAL is in its grammar [D23] dg/r_SET.html; lock_timeout
# and its like came after PostgreSQL 8.0.
SETTINGS = words(
    "ANALYZE_THRESHOLD_PERCENT APPLICATION_NAME CLIENT_ENCODING DATESTYLE DEFAULT_GEOMETRY_ENCODING"
    " DESCRIBE_FIELD_NAME_IN_UPPERCASE ENABLE_CASE_SENSITIVE_IDENTIFIER ENABLE_RESULT_CACHE_FOR_SESSION"
    " ERROR_ON_NONDETERMINISTIC_UPDATE EXTRA_FLOAT_DIGITS QUERY_GROUP SEARCH_PATH SEED SESSION STATEMENT_TIMEOUT"
    " TIMEZONE TIME TRANSACTION WLM_QUERY_SLOT_COUNT"
)


def refuse(tokens: Sequence[Token]) -> None:
    """Raise SqlError when Redshift would refuse these tokens of one statement."""
    code = code_of(tokens)
    for rule in RULES:
        if re.search(rule.pattern, code):
            raise _error(rule.code, rule.message, rule.source)
    if tokens[0].upper == "WITH" and "INSERT" in at_top(tokens):
        # WITH goes inside: INSERT INTO t WITH x AS (...) SELECT
        raise _error(SYNTAX, 'syntax error at or near "INSERT"', "[D23] dg/r_INSERT_30.html")
    if tokens[0].upper in ("SET", "RESET", "SHOW") and setting(tokens) not in SETTINGS | {"ALL"}:
        raise SqlError(UNDEFINED_OBJECT, f'unrecognized configuration parameter "{setting(tokens).lower()}"')
    _refuse_functions(tokens)
    _refuse_substring(tokens)
    _refuse_types(tokens)


def refuse_on_serverless(tokens: Sequence[Token]) -> None:
    """Raise SqlError for a system table or view that only a provisioned cluster has [D] dg/c_intro_system_views.html:
    STL, STV, SVCS and SVL. SYS and SVV views are on both. The code is [G]: even the administrator may not read them."""
    for token in tokens:
        if re.match(r"(STL|STV|SVCS|SVL)_", token.upper):
            raise _error("42501", f"permission denied for relation {token.text.lower()}", "[D] dg/c_intro_system_views")


def _refuse_substring(tokens: Sequence[Token]) -> None:
    """SUBSTRING(x FROM n) and SUBSTRING(x, n, m) are documented for text; with two arguments only for bytes."""
    for at, (token, following) in enumerate(pairwise(tokens)):
        if token.upper in ("SUBSTRING", "SUBSTR") and following.text == "(":
            depth, commas, named = 0, 0, False
            for inner in tokens[at + 1 :]:
                depth += {"(": 1, ")": -1}.get(inner.text, 0)
                commas += depth == 1 and inner.text == ","
                named |= depth == 1 and inner.upper == "FROM"
                if depth == 0:
                    break
            if commas == 1 and not named:
                raise _error(
                    UNDEFINED_FUNCTION,
                    f"function {token.text.lower()}(character varying, integer) does not exist",
                    "[D] dg/r_SUBSTRING.html",
                )


def _error(code: str, message: str, source: str) -> SqlError:
    return SqlError(code, message, f"the stand-in's source: {source}")


def _refuse_functions(tokens: Sequence[Token]) -> None:
    defines = tokens[0].upper in ("CREATE", "ALTER") and not any(t.upper == "AS" for t in tokens)
    if defines or tokens[0].upper in ("GRANT", "REVOKE", "ANALYZE", "VACUUM", "CALL"):
        return
    for at, (token, following) in enumerate(pairwise(tokens)):
        if following.text != "(" or token.kind != "word" or token.upper in FUNCTIONS | _NO_CALLS | TYPES:
            continue
        before = tokens[at - 1] if at else None
        # a table with its columns, a common table expression with its columns, or VARCHAR as CHARACTER VARYING (n)
        if before and before.upper in (
            "INTO",
            "WITH",
            "RECURSIVE",
            "TABLE",
            "CHARACTER",
            "AS",
            "EXISTS",
            "WITHIN",
            ".",
        ):
            continue
        if (
            before
            and before.text == ","
            and "AS" in (t.upper for t in tokens[at + 1 : at + 40])
            and _is_cte(tokens, at)
        ):
            continue
        raise _error(
            UNDEFINED_FUNCTION,
            f"function {token.text.lower()} does not exist",
            "[D] dg/c_unsupported-postgresql-functions.html, [D23] dg/c_SQL_functions.html",
        )


def _is_cte(tokens: Sequence[Token], at: int) -> bool:
    """Tell whether a word and its bracket are a common table expression's name and columns: AS ( follows."""
    depth = 0
    for here in range(at + 1, len(tokens) - 2):
        depth += {"(": 1, ")": -1}.get(tokens[here].text, 0)
        if depth == 0:
            return tokens[here + 1].upper == "AS" and tokens[here + 2].text == "("
    return False


def _refuse_types(tokens: Sequence[Token]) -> None:
    """Look at the types that values are cast to."""
    casts: list[int] = []  # how deep the brackets of each CAST are
    depth = 0
    for at, token in enumerate(tokens):
        if token.text == "(":
            depth += 1
            if at and tokens[at - 1].upper == "CAST":
                casts.append(depth)
        elif token.text == ")":
            if casts and casts[-1] == depth:
                casts.pop()
            depth -= 1
        elif token.text == "::" or (token.upper == "AS" and casts and casts[-1] == depth):
            check_type(tokens[at + 1])


def check_type(token: Token) -> None:
    """Raise SqlError unless Redshift has this type, and PostgreSQL too."""
    if token.upper in TYPES_BEYOND:
        raise SqlError(UNSUPPORTED, f"the stand-in has no type {token.text}: Redshift does")
    if token.upper not in TYPES:
        raise _error(UNDEFINED_OBJECT, f'type "{token.text.lower()}" does not exist', _TYPES)


def at_top(tokens: Sequence[Token]) -> Iterator[str]:
    """Give the words that stand in no bracket."""
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0:
            yield token.upper


def setting(tokens: Sequence[Token]) -> str:
    """Name the parameter that SET, RESET or SHOW is about."""
    named = [t.text.upper() for t in tokens[1:3] if t.kind in ("word", "quoted")]
    if len(named) > 1 and named[0] in ("SESSION", "LOCAL") and named[1] not in ("TO", "CHARACTERISTICS"):
        return named[1]
    return named[0] if named else ""
