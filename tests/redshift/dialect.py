"""What Redshift refuses of PostgreSQL's SQL, what it takes that PostgreSQL does not, and what it means otherwise.

Every rule names its source: [D] and [D23] are pages of https://docs.aws.amazon.com/redshift/latest/ (dg/: developer
guide), read in 2025-26 or as published in 2023; [G] was seen in public reports of real clusters; [U] is not verified.

Not imitated, so code that leans on it is not caught here: trailing blanks that do not count in comparisons ([D23]
dg/r_Character_types.html), CONCAT of a NULL, AVG of integers, limits of correlated subqueries, SUPER, Python UDFs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from redshift.wire import SqlError

# Strings know backslashes: server 8.0.2 has no standard_conforming_strings [G sqlalchemy#9494].
_TOKEN = re.compile(
    r"(?P<space>\s+|--[^\n]*|/\*.*?\*/)"
    r"|(?P<string>[eE]?'(?:[^'\\]|\\.|'')*')"
    r'|(?P<quoted>"(?:[^"]|"")*")'
    r"|(?P<dollar>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)"
    r"|(?P<word>[A-Za-z_\x80-\U0010ffff][\w$]*)"
    r"|(?P<number>\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)"
    r"|(?P<sign>->>|->|\#>>|\#>|@>|<@|::|\|\||<=|>=|<>|!=|.)",
    re.DOTALL,
)
LONGEST_STATEMENT = 16 * 1024 * 1024
LONGEST_VARCHAR, LONGEST_CHAR, BARE_VARCHAR = 65535, 4096, 256


def words(text: str) -> frozenset[str]:
    """Give the words of a text."""
    return frozenset(text.split())


class Token(NamedTuple):
    """A word, sign, number or string of SQL, and where it begins and ends in the text."""

    kind: str
    text: str
    begin: int
    end: int

    @property
    def upper(self) -> str:
        """The text as keywords are compared; empty for a string or a quoted name."""
        return "" if self.kind in ("string", "quoted", "dollar") else self.text.upper()

    @property
    def value(self) -> str:
        """What a string says."""
        body = self.text[self.text.index("'") + 1 : -1].replace("''", "'")
        known = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
        return re.sub(r"\\(.)", lambda found: known.get(found[1], found[1]), body, flags=re.DOTALL)


def tokens_of(sql: str) -> list[Token]:
    """Cut SQL into tokens, without spaces and comments."""
    found = (Token(m.lastgroup or "", m[0], m.start(), m.end()) for m in _TOKEN.finditer(sql))
    return [Token("dollar" if t.kind == "tag" else t.kind, *t[1:]) for t in found if t.kind != "space"]


def statements_of(sql: str) -> Iterator[str]:
    """Cut a query string into its statements."""
    begin = 0
    for token in tokens_of(sql):
        if token.text == ";":
            if tokens_of(sql[begin : token.begin]):
                yield sql[begin : token.begin]
            begin = token.end
    if tokens_of(sql[begin:]):
        yield sql[begin:]


def code_of(tokens: Sequence[Token]) -> str:
    """Write tokens as the patterns below want them: upper case, one space apart, strings and quoted names emptied."""
    return " ".join(t.upper or ("''" if t.kind != "quoted" else '""') for t in tokens)


class Rule(NamedTuple):
    """A pattern that no statement may have, and how Redshift answers."""

    pattern: str
    code: str
    message: str
    source: str


SYNTAX, UNSUPPORTED, UNDEFINED_FUNCTION = "42601", "0A000", "42883"
_FUNCTIONS = "dg/c_unsupported-postgresql-functions.html"
_FEATURES = "dg/c_unsupported-postgresql-features.html"
_TYPES = "dg/c_unsupported-postgresql-datatypes.html"
_DDL = r"^CREATE (?:(?! AS ).)*\bTABLE\b(?:(?! AS ).)*"
# The texts of the answers are ours unless [G] is said; the SQLSTATEs of a missing grammar and of a missing function are
# PostgreSQL's.
RULES = (
    Rule(r"\bON CONFLICT\b", SYNTAX, 'syntax error at or near "ON"', "[D23] dg/r_INSERT_30.html has none"),
    Rule(r"\bRETURNING\b", SYNTAX, 'syntax error at or near "RETURNING"', "[D23] dg/r_INSERT_30.html has none"),
    Rule(r"\bFILTER \( WHERE\b", SYNTAX, 'syntax error at or near "("', "[D23] dg/c_Aggregate_Functions.html has none"),
    Rule(r"\bDISTINCT ON \(", UNSUPPORTED, "SELECT DISTINCT ON is not supported", "[D23] dg/r_SELECT_list.html"),
    Rule(r"\bLATERAL\b", SYNTAX, 'syntax error at or near "LATERAL"', "[D23] dg/r_FROM_clause30.html has none"),
    Rule(r"\bIS (NOT )?DISTINCT FROM\b", SYNTAX, 'syntax error at or near "DISTINCT"', f"[D] {_FEATURES}"),
    Rule(r"\b(FROM|JOIN|AS|,) \( VALUES\b", SYNTAX, 'syntax error at or near "VALUES"', f"[D] {_FEATURES}"),
    Rule(r"\bFOR (UPDATE|SHARE)\b", UNSUPPORTED, "SELECT FOR UPDATE/SHARE is not supported", f"[G]; {_FEATURES}"),
    Rule(r"^(SAVEPOINT|RELEASE)\b|^ROLLBACK .*\bTO\b", UNSUPPORTED, "SAVEPOINT is not supported", f"[D] {_FEATURES}"),
    Rule(r"\b(SMALL|BIG)?SERIAL\b", UNSUPPORTED, "SERIAL is not supported: use IDENTITY", f"[D] {_TYPES}"),
    Rule(r"\bJSONB?\b", "42704", 'type "json" does not exist', f"[D] {_TYPES}"),
    Rule(
        r"(\bAS|::) (UUID|BYTEA|XML|MONEY|INET|CIDR|TSVECTOR|REGCLASS|\w+ \[ \])", UNSUPPORTED, "no such type", _TYPES
    ),
    Rule(r"\bARRAY \[|\[ \]", SYNTAX, 'syntax error at or near "["', f"[D] {_TYPES}"),
    Rule(r"->>?|#>>?|@>|<@", UNDEFINED_FUNCTION, "operator does not exist", f"[D] {_TYPES}"),
    Rule(
        r"\b(STRING_AGG|ARRAY_AGG|UNNEST|REGEXP_MATCHES|REGEXP_SPLIT_TO_\w+|FORMAT|ENCODE|PG_SLEEP|CLOCK_TIMESTAMP"
        r"|STATEMENT_TIMESTAMP|TRANSACTION_TIMESTAMP|GEN_RANDOM_UUID|MAKE_(DATE|TIME|TIMESTAMP|INTERVAL)"
        r"|JSONB_\w+|JSON_(TO_RECORD|TO_RECORDSET|EACH|EACH_TEXT|AGG|BUILD_\w+|OBJECT\w*|TYPEOF|ARRAY_ELEMENTS\w*)"
        r"|ROW_TO_JSON|TO_JSONB?|ARRAY_TO_JSON|PG_(TRY_)?ADVISORY_\w+|SETVAL|NEXTVAL|CURRVAL) \(",
        UNDEFINED_FUNCTION,
        "function does not exist",
        f"[D] {_FUNCTIONS}",
    ),
    # answered by the leader node alone, not where a table is read [D23] dg/c_SQL_functions_leader_node_only.html; [G]
    Rule(
        r"\b((NOW|AGE|GENERATE_SERIES|CURRENT_TIME|CURRENT_TIMESTAMP|LOCALTIME|LOCALTIMESTAMP) \(|CURRENT_TIMESTAMP\b"
        r"|CURRENT_TIME\b|LOCALTIMESTAMP\b).*\bFROM \w|\bFROM \w.*\b((NOW|AGE|GENERATE_SERIES) \(|CURRENT_TIMESTAMP\b)"
        r"|\bFROM GENERATE_SERIES \(",
        UNSUPPORTED,
        "Specified types or functions (one per INFO message) not supported on Redshift tables.",
        "[D23] dg/c_SQL_functions_leader_node_only.html",
    ),
    Rule(
        r"^CREATE (OR REPLACE )?(UNIQUE )?(CONCURRENTLY )?(INDEX|SEQUENCE|TRIGGER|RULE|TABLESPACE|DOMAIN|TYPE|EXTENSION"
        r"|AGGREGATE|CAST|COLLATION|OPERATOR|PUBLICATION|SUBSCRIPTION|SERVER|STATISTICS|UNLOGGED|GLOBAL|ROLLUP)\b",
        UNSUPPORTED,
        "SQL command not supported on Redshift tables.",
        f"[D] {_FEATURES}; [G] text",
    ),
    Rule(
        r"^(DO|LISTEN|NOTIFY|UNLISTEN|DISCARD|REINDEX|CLUSTER|CHECKPOINT|LOAD|SECURITY|REASSIGN|REFRESH TABLE)\b",
        SYNTAX,
        "syntax error",
        f"[D] {_FEATURES}",
    ),
    Rule(_DDL + r"\b(INHERITS|PARTITION OF|PARTITION BY|ON COMMIT)\b", SYNTAX, "syntax error", _FEATURES),
    Rule(_DDL + r"\bCHECK \(", UNSUPPORTED, "CHECK constraints are not supported", f"[D] {_FEATURES}"),
    Rule(_DDL + r"\b(IN|EX)CLUDING (?!DEFAULTS)", SYNTAX, "syntax error", "[D23] dg/r_CREATE_TABLE_NEW.html"),
    Rule(
        r"^ALTER TABLE .* IF (NOT )?EXISTS\b", SYNTAX, 'syntax error at or near "EXISTS"', "[D23] dg/r_ALTER_TABLE.html"
    ),
    Rule(r"^ALTER TABLE .*, (ADD|DROP|ALTER)\b", SYNTAX, 'syntax error at or near ","', "[D23] dg/r_ALTER_TABLE.html"),
    Rule(
        r"^ALTER TABLE \S+( \. \S+)? ADD (?!.*\bDEFAULT\b).*\bNOT NULL\b",
        UNSUPPORTED,
        "ALTER TABLE ADD COLUMN defined as NOT NULL must have a non-null default expression",
        "[D23] dg/r_ALTER_TABLE.html; [G] text",
    ),
    Rule(r"^TRUNCATE .*(,|\b(CASCADE|RESTRICT|IDENTITY)\b)", SYNTAX, "syntax error", "[D23] dg/r_TRUNCATE.html"),
    Rule(r"^LOCK .*\b(IN|NOWAIT|ONLY)\b", SYNTAX, "syntax error", "[D23] dg/r_LOCK.html: LOCK [ TABLE ] name [, ...]"),
    Rule(r"^MERGE .*\bUSING \(", SYNTAX, 'syntax error at or near "("', "[D23] dg/r_MERGE.html"),
    Rule(r"^MERGE .*\b(MATCHED AND|DO NOTHING)\b", SYNTAX, "syntax error", "[D] dg/r_MERGE.html"),
    Rule(
        r"^MERGE (?!.*\bWHEN MATCHED\b.*\bNOT MATCHED\b)", SYNTAX, "syntax error", "[D] dg/r_MERGE.html: both branches"
    ),
    Rule(r"\bCONCAT \( [^()]*,[^()]*,", UNDEFINED_FUNCTION, "function concat does not exist", "[D23] dg/r_CONCAT.html"),
)
# What SET knows, among what Redshift documents [D23] dg/cm_chap_ConfigurationRef.html, r_SEARCH_PATH.html. SET LOCAL is
# in its grammar [D23] dg/r_SET.html; lock_timeout and its like came after PostgreSQL 8.0.
SETTINGS = words(
    "ANALYZE_THRESHOLD_PERCENT APPLICATION_NAME CLIENT_ENCODING DATESTYLE DEFAULT_GEOMETRY_ENCODING"
    " DESCRIBE_FIELD_NAME_IN_UPPERCASE ENABLE_CASE_SENSITIVE_IDENTIFIER ENABLE_RESULT_CACHE_FOR_SESSION"
    " ERROR_ON_NONDETERMINISTIC_UPDATE EXTRA_FLOAT_DIGITS QUERY_GROUP SEARCH_PATH SEED SESSION STATEMENT_TIMEOUT"
    " TIMEZONE TIME TRANSACTION WLM_QUERY_SLOT_COUNT"
)
_PASSED_ON = words(
    "APPLICATION_NAME CLIENT_ENCODING DATESTYLE EXTRA_FLOAT_DIGITS SEARCH_PATH SEED SESSION"
    " STATEMENT_TIMEOUT TIMEZONE TIME TRANSACTION"
)


def refuse(tokens: Sequence[Token]) -> None:
    """Raise SqlError when Redshift would refuse these tokens of one statement."""
    code = code_of(tokens)
    for rule in RULES:
        if re.search(rule.pattern, code):
            raise SqlError(rule.code, rule.message, f"the stand-in's source: {rule.source}")
    if tokens[0].upper == "WITH" and "INSERT" in _at_top(tokens):
        # WITH goes inside: INSERT INTO t WITH x AS (...) SELECT [D23] dg/r_INSERT_30.html
        raise SqlError(SYNTAX, 'syntax error at or near "INSERT"', "the stand-in's source: [D23] dg/r_INSERT_30.html")
    if tokens[0].upper in ("SET", "RESET", "SHOW") and _setting(tokens) not in SETTINGS | {"ALL"}:
        raise SqlError("42704", f'unrecognized configuration parameter "{_setting(tokens).lower()}"')


def _at_top(tokens: Sequence[Token]) -> Iterator[str]:
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0:
            yield token.upper


def _setting(tokens: Sequence[Token]) -> str:
    named = [t.text.upper() for t in tokens[1:3] if t.kind in ("word", "quoted")]
    if len(named) > 1 and named[0] in ("SESSION", "LOCAL") and named[1] not in ("TO", "CHARACTERISTICS"):
        return named[1]
    return named[0] if named else ""


def translate(sql: str, session: dict[str, int]) -> str:
    """Write a statement that Redshift takes as PostgreSQL takes it. Raises SqlError for what Redshift refuses.

    `session` gives the numbers that pg_last_copy_id and its like answer.
    """
    tokens = tokens_of(sql)
    refuse(tokens)
    first = tokens[0].upper
    if first == "SET" and _setting(tokens) not in _PASSED_ON:
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
    from redshift.tables import create_table

    text = create_table(sql, tokens) if first in ("CREATE", "ALTER") and "TABLE" in _at_top(tokens[:5]) else sql
    return _rewritten(text, session)


def _begin(tokens: Sequence[Token]) -> str:
    """All isolation levels map to the database's own [D23] dg/r_BEGIN.html: SNAPSHOT [D] dg/c_serial_isolation.html."""
    found = code_of(tokens)
    if not re.fullmatch(
        r"(BEGIN( WORK| TRANSACTION)?|START TRANSACTION)"
        r"( ISOLATION LEVEL (SERIALIZABLE|READ UNCOMMITTED|READ COMMITTED|REPEATABLE READ|SNAPSHOT))?"
        r"( ,)?( READ (WRITE|ONLY))?",
        found,
    ):
        raise SqlError(SYNTAX, "syntax error in BEGIN", "the stand-in's source: [D23] dg/r_BEGIN.html")
    return "BEGIN ISOLATION LEVEL REPEATABLE READ" + (" READ ONLY" if found.endswith("READ ONLY") else "")


def _until(tokens: Sequence[Token], *wanted: str) -> int:
    return next((at for at, token in enumerate(tokens) if token.upper in wanted), len(tokens))


def _rewritten(sql: str, session: dict[str, int]) -> str:
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
        if text is not None:
            parts.append(sql[at : token.begin] + text)
            at = token.end
    return "".join(parts) + sql[at:]


def varchar(tokens: Sequence[Token], here: int) -> str:
    """Give a VARCHAR with the length that Redshift gives it; `here` is its last word. Lengths are bytes, at most 65535.

    [D23] dg/r_Character_types.html
    """
    written = tokens[here].text
    if here + 2 >= len(tokens) or tokens[here + 1].text != "(":
        return f"{written}({BARE_VARCHAR})"
    length = tokens[here + 2]
    if length.kind == "number" and not 1 <= int(length.text) <= LONGEST_VARCHAR:
        raise SqlError("22023", f"Invalid length {length.text} for type character varying: 1 to {LONGEST_VARCHAR}")
    return written


class Words:
    """The tokens of a statement, taken one after another."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = list(tokens)

    def __bool__(self) -> bool:
        return bool(self._tokens)

    def next(self) -> Token:
        """Take the next token."""
        if not self._tokens:
            raise SqlError(SYNTAX, "syntax error at end of input")
        return self._tokens.pop(0)

    def skip(self, *wanted: str) -> bool:
        """Take the next token if it is one of these words."""
        there = bool(self._tokens) and (self._tokens[0].upper in wanted or self._tokens[0].text in wanted)
        if there:
            self._tokens.pop(0)
        return there

    def peek(self) -> Token:
        """Look at the next token."""
        return self._tokens[0] if self._tokens else Token("", "", 0, 0)

    def need(self, *wanted: str) -> None:
        """Take one of these words. Raises SqlError when it is not the next."""
        if not self.skip(*wanted):
            raise self.error()

    def string(self) -> str:
        """Take a string. Raises SqlError when the next token is none."""
        if self.peek().kind != "string":
            raise self.error()
        return self.next().value

    def number(self) -> str:
        """Take a whole number. Raises SqlError when the next token is none."""
        if not self.peek().text.isdigit():
            raise self.error()
        return self.next().text

    def error(self) -> SqlError:
        """Give the error that stops at the next token."""
        return SqlError(SYNTAX, f'syntax error at or near "{self.peek().text}"')
