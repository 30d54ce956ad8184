"""CREATE TABLE and ALTER TABLE as Redshift means them, written for PostgreSQL.

Sources: [D23] dg/r_CREATE_TABLE_NEW.html, dg/r_CREATE_TABLE_AS.html, dg/t_Defining_constraints.html (PRIMARY KEY,
UNIQUE and FOREIGN KEY are not enforced, NOT NULL is), dg/r_Character_types.html (lengths are bytes).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from redshift.refusals import check_type
from redshift.sql_tokens import SYNTAX, Token, words
from redshift.wire import SqlError

# Name of the constraint that checks the bytes of a column: length, then column.
BYTES = "redshift_bytes_"
LONGEST_VARCHAR, LONGEST_CHAR, BARE_VARCHAR = 65535, 4096, 256
_TEXTS = {"VARCHAR", "NVARCHAR", "TEXT"}
_CHARS = {"CHAR", "CHARACTER", "NCHAR", "BPCHAR"}


def create_table(sql: str, tokens: Sequence[Token]) -> str:
    """Write CREATE TABLE or ALTER TABLE for PostgreSQL: no keys, no attributes, lengths checked in bytes."""
    if tokens[0].upper == "ALTER":
        return _alter_table(sql, tokens)
    body = next((at for at, t in enumerate(tokens) if t.text == "(" or t.upper == "AS"), len(tokens))
    made_as = next((at for at, t in enumerate(tokens) if t.upper == "AS" and _depth(tokens, at) == 0), None)
    if made_as is not None:
        kept = list(_without_attributes(tokens[:made_as]))
        return " ".join(t.text for t in kept) + " " + sql[tokens[made_as].begin :]
    if body == len(tokens):
        return sql
    end = _closing(tokens, body)
    items = list(_items(tokens[body + 1 : end]))
    keys = {column for item in items for column in _key_columns(item)}
    columns = [_column(item, keys) for item in items if not _is_constraint(item)]
    left = list(_without_attributes(tokens[end + 1 :]))
    if left:
        raise SqlError(SYNTAX, f'syntax error at or near "{left[0].text}"')
    return sql[: tokens[body].end] + ", ".join(columns) + ")"


def _alter_table(sql: str, tokens: Sequence[Token]) -> str:
    added = next((at for at, t in enumerate(tokens) if t.upper == "ADD"), None)
    if added is None or tokens[added + 1].upper in ("CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN"):
        # a key that is not enforced
        return sql if added is None else f"SELECT 1 FROM {tokens[2].text} LIMIT 0"
    begin = added + (2 if tokens[added + 1].upper == "COLUMN" else 1)
    return sql[: tokens[begin].begin] + _column(tokens[begin:], set())


def _depth(tokens: Sequence[Token], at: int) -> int:
    return sum((t.text == "(") - (t.text == ")") for t in tokens[:at])


def _closing(tokens: Sequence[Token], opening: int) -> int:
    depth = 0
    for at in range(opening, len(tokens)):
        depth += (tokens[at].text == "(") - (tokens[at].text == ")")
        if depth == 0:
            return at
    raise SqlError(SYNTAX, "syntax error at end of input")


def _items(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    item: list[Token] = []
    depth = 0
    for token in tokens:
        depth += (token.text == "(") - (token.text == ")")
        if token.text == "," and depth == 0:
            yield item
            item = []
        else:
            item.append(token)
    yield item


def _is_constraint(item: Sequence[Token]) -> bool:
    return item[0].upper in ("PRIMARY", "UNIQUE", "FOREIGN", "CONSTRAINT")


def _key_columns(item: Sequence[Token]) -> Iterator[str]:
    """The columns of a primary key are NOT NULL, which is enforced."""
    words = [t.upper for t in item]
    if "PRIMARY" in words:
        if _is_constraint(item):
            yield from (t.text.lower() for t in item[words.index("PRIMARY") + 2 :] if t.kind in ("word", "quoted"))
        else:
            yield item[0].text.lower()


def _column(item: Sequence[Token], keys: set[str]) -> str:
    """Write one column: name, type, what of its attributes PostgreSQL has, and the check of its bytes."""
    if len(item) < 2 or item[0].upper == "LIKE":
        return " ".join(t.text for t in item)
    name = item[0]
    if name.upper in _RESERVED:
        raise SqlError(SYNTAX, f'syntax error at or near "{name.text}"', "[D23] dg/r_pg_keywords.html")
    kind, length, rest = _type(item)
    written = [name.text, kind, *_attributes(item[rest:])]
    if name.text.lower() in keys and "NOT" not in [t.upper for t in item]:
        written.append("NOT NULL")
    if length:
        plain = "".join(c if c.isalnum() else "_" for c in name.text)
        written.append(
            f'CONSTRAINT "{BYTES}{length}_{plain}"'[:62] + f'" CHECK (octet_length({name.text}) <= {length})'
        )
    return " ".join(written).replace('""', '"')


def _type(item: Sequence[Token]) -> tuple[str, int, int]:
    """Give a column's type as PostgreSQL has it, its length in bytes (0: none), and where its attributes begin."""
    word = item[1].upper
    at = 1
    if word in _CHARS and len(item) > 2 and item[2].upper == "VARYING":
        word, at = "VARCHAR", 2
    check_type(item[1])
    rest = at + 1
    if rest < len(item) and item[rest].text == "(":
        rest = _closing(item, rest) + 1
    length = item[at + 2].text if rest > at + 1 else ""
    if word in _TEXTS:
        varchar(item, at)
        bytes_ = int(length) if length.isdigit() else {"MAX": 65535}.get(length.upper(), BARE_VARCHAR)
        return f"VARCHAR({bytes_})", bytes_, rest
    if word in _CHARS:
        bytes_ = int(length or 1)
        if not 1 <= bytes_ <= LONGEST_CHAR:
            raise SqlError("22023", f"Invalid length {bytes_} for type character: 1 to {LONGEST_CHAR}")
        return f"CHAR({bytes_})", bytes_, rest
    while rest < len(item) and item[rest].upper in ("PRECISION", "WITH", "WITHOUT", "TIME", "ZONE"):
        rest += 1
    return " ".join(t.text for t in item[1:rest]), 0, rest


def _attributes(tokens: Sequence[Token]) -> Iterator[str]:
    """Keep NULL, NOT NULL and DEFAULT, translate IDENTITY, and drop what PostgreSQL lacks or would enforce."""
    at = 0
    while at < len(tokens):
        word = tokens[at].upper
        end = at + 1
        if word in ("ENCODE", "COLLATE", "PRIMARY", "CONSTRAINT"):
            end = at + 2
        elif word == "REFERENCES":
            end = at + 2
            if end < len(tokens) and tokens[end].text == "(":
                end = _closing(tokens, end) + 1
        elif word == "IDENTITY":
            end = _closing(tokens, at + 1) + 1
            seed, step = (t.text for t in tokens[at + 2 : end - 1] if t.kind == "number")
            yield f"GENERATED ALWAYS AS IDENTITY (START WITH {seed} INCREMENT BY {step})"
        elif word == "NOT":
            end = at + 2
            yield "NOT NULL"
        elif word == "NULL":
            yield "NULL"
        elif word == "DEFAULT":
            while end < len(tokens) and tokens[end].upper not in _ATTRIBUTES:
                end = _closing(tokens, end) + 1 if tokens[end].text == "(" else end + 1
            yield " ".join(t.text for t in tokens[at:end])
        elif word not in ("DISTKEY", "SORTKEY", "UNIQUE"):
            raise SqlError(SYNTAX, f'syntax error at or near "{tokens[at].text}"')
        at = end


_ATTRIBUTES = {"ENCODE", "COLLATE", "PRIMARY", "REFERENCES", "NOT", "NULL", "DISTKEY", "SORTKEY", "UNIQUE", "IDENTITY"}
# Reserved on Redshift and not on PostgreSQL, as column names [D23] dg/r_pg_keywords.html.
_RESERVED = words(
    "AES128 AES256 ALLOWOVERWRITE BACKUP BLANKSASNULL BYTEDICT CREDENTIALS DEFLATE DEFRAG DELTA DELTA32K DISABLE"
    " EMPTYASNULL ENABLE ENCODE ENCRYPT ENCRYPTION EXPLICIT GLOBALDICT256 GLOBALDICT64K GZIP IGNORE LUN LUNS LZO LZOP"
    " MINUS MOSTLY16 MOSTLY32 MOSTLY8 OFFLINE OFFSET OID OLD OPEN PARALLEL PARTITION PERCENT PERMISSIONS RAW READRATIO"
    " RECOVER REJECTLOG RESORT RESPECT RESTORE SNAPSHOT SYSDATE SYSTEM TAG TDES TEXT255 TEXT32K TIMESTAMP TOP"
    " TRUNCATECOLUMNS USER WALLET WITHOUT LANGUAGE START CONNECT DEFAULT"
)


def _without_attributes(tokens: Sequence[Token]) -> Iterator[Token]:
    """Drop DISTSTYLE, DISTKEY, SORTKEY, ENCODE AUTO and BACKUP [D23] dg/r_CREATE_TABLE_NEW.html."""
    at = 0
    while at < len(tokens):
        word = tokens[at].upper
        if word in ("DISTSTYLE", "ENCODE", "BACKUP"):
            at += 2
        elif word in ("COMPOUND", "INTERLEAVED"):
            at += 1
        elif word in ("DISTKEY", "SORTKEY"):
            at = _closing(tokens, at + 1) + 1 if tokens[at + 1].text == "(" else at + 2
        else:
            yield tokens[at]
            at += 1


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
