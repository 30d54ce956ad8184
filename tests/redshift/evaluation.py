"""Casts as Redshift may evaluate them: for every row that a statement reads, before any condition has been asked.

The order of the conditions of a WHERE, of the branches of a CASE and of casts beside them is not documented ([D23]
dg/r_WHERE_clause.html and dg/r_CASE_function.html promise none), and what reads as a filter may run after the cast. So
each cast is tried by itself on all rows of its FROM: what cannot be cast there has to be NULL before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from redshift.sql_tokens import Token, tokens_of, words

_CAST_TO = words("SMALLINT INTEGER INT BIGINT REAL FLOAT DOUBLE DECIMAL NUMERIC DATE TIMESTAMP")
_AFTER_FROM = words("WHERE GROUP HAVING ORDER LIMIT UNION EXCEPT INTERSECT MINUS WINDOW")
_AFTER_SELECT = words("UNION EXCEPT INTERSECT MINUS")
_READING = words("SELECT INSERT CREATE DELETE UPDATE WITH")


def casts_alone(sql: str) -> Iterator[str]:
    """Give a query for each cast of a statement to a number or a time, over all rows that its SELECT reads."""
    tokens = tokens_of(sql)
    if not tokens or tokens[0].upper not in _READING:
        return
    for at, token in enumerate(tokens):
        if token.upper == "SELECT":
            yield from _casts_of(sql, tokens, at)


def _casts_of(sql: str, tokens: Sequence[Token], select: int) -> Iterator[str]:
    end = _level_end(tokens, select + 1, _AFTER_SELECT)
    from_ = next((at for at in _level(tokens, select + 1, end) if tokens[at].upper == "FROM"), None)
    if from_ is None:
        return
    source = sql[tokens[from_].begin : tokens[_level_end(tokens, from_ + 1, _AFTER_FROM) - 1].end]
    for at in _level(tokens, select + 1, end, bracketed=True):
        if tokens[at].upper == "CAST":
            closing = _level_end(tokens, at + 2)
            types = [tokens[n + 1].upper for n in _level(tokens, at + 2, closing) if tokens[n].upper == "AS"]
            if _CAST_TO & set(types):
                yield f"SELECT COUNT({sql[tokens[at].begin : tokens[closing].end]}) {source}"


def _level(tokens: Sequence[Token], begin: int, end: int, *, bracketed: bool = False) -> Iterator[int]:
    """Give the places of the tokens that stand in no bracket; `bracketed`: in none that begins with SELECT."""
    at = begin
    while at < end:
        yield at
        skipped = tokens[at].text == "(" and (not bracketed or tokens[at + 1].upper == "SELECT")
        at = _level_end(tokens, at + 1) if skipped else at + 1


def _level_end(tokens: Sequence[Token], begin: int, stops: frozenset[str] = frozenset()) -> int:
    """Give the place of the bracket that closes this level, or of the first of some words on it, or the end."""
    depth = 0
    for at in range(begin, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[at].text, 0)
        if depth < 0 or (depth == 0 and tokens[at].upper in stops):
            return at
    return len(tokens)
