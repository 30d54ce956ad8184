"""SQL in tokens, as Redshift reads it: enough to see what a statement is and to rewrite it, not a parser."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from redshift.wire import SqlError

SYNTAX = "42601"
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
    return [token for token in found if token.kind != "space"]


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

    def names(self) -> list[str]:
        """Take names up to the closing bracket. Raises SqlError when they are not names and commas."""
        found: list[str] = []
        while not found or self.skip(","):
            if self.peek().kind not in ("word", "quoted"):
                raise self.error()
            found.append(self.next().text.strip('"').lower())
        self.need(")")
        return found

    def error(self) -> SqlError:
        """Give the error that stops at the next token."""
        return SqlError(SYNTAX, f'syntax error at or near "{self.peek().text}"')
