"""The COPY statement of Redshift, read: its options, and what it does not take.

Sources: [D23] dg/r_COPY.html, copy-parameters-data-format.html, copy-parameters-data-conversion.html,
copy-parameters-data-load.html; [D] copy-parameters-file-compression.html. Of the formats only JSON is taken; the
others are Redshift's, and refused as the stand-in's limit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from redshift.json_records import Conversion
from redshift.refusals import UNSUPPORTED
from redshift.s3 import split_url
from redshift.sql_tokens import SYNTAX, Words, tokens_of, words
from redshift.wire import SqlError

FLAGS = words(
    "GZIP ZSTD MANIFEST ACCEPTANYDATE BLANKSASNULL EMPTYASNULL EXPLICIT_IDS ROUNDEC TRIMBLANKS TRUNCATECOLUMNS NOLOAD"
    " IGNOREALLERRORS"
)
PACKINGS = words("GZIP ZSTD")  # [D] dg/copy-parameters-file-compression.html
SWITCHES = {"COMPUPDATE": ("ON", "OFF", "TRUE", "FALSE", "PRESET"), "STATUPDATE": ("ON", "OFF", "TRUE", "FALSE")}
TEXTS = words("REGION TIMEFORMAT DATEFORMAT ENCODING")
NUMBERS = words("MAXERROR COMPROWS IGNOREHEADER")
# Not with JSON [D23] dg/copy-parameters-data-format.html.
NOT_WITH_JSON = words("CSV DELIMITER ESCAPE FILLRECORD FIXEDWIDTH IGNOREBLANKLINES NULL READRATIO REMOVEQUOTES QUOTE")
KEYS = words("CREDENTIALS ACCESS_KEY_ID SECRET_ACCESS_KEY SESSION_TOKEN WITH")
BEYOND = words("BZIP2 LZOP ENCRYPTED MASTER_SYMMETRIC_KEY AVRO PARQUET ORC SHAPEFILE SSH JOB")
MOST_ERRORS = 100_000


@dataclass
class Copy:
    """A COPY statement, read."""

    table: str
    columns: list[str]
    source: str
    role: str = ""
    json: str = ""
    flags: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)

    @property
    def conversion(self) -> Conversion:
        """What decides how a value is read."""
        return Conversion(
            blanks_as_null="BLANKSASNULL" in self.flags,
            empty_as_null="EMPTYASNULL" in self.flags,
            truncate="TRUNCATECOLUMNS" in self.flags,
            replacement=self.values.get("ACCEPTINVCHARS", ""),
            round_numbers="ROUNDEC" in self.flags,
            any_date="ACCEPTANYDATE" in self.flags,
            timeformat=self.values.get("TIMEFORMAT", ""),
        )

    @property
    def allowed(self) -> int:
        """With how many errors the load fails: 0 and 1 mean with the first [D23] dg/copy-parameters-data-load.html."""
        return MOST_ERRORS + 1 if "IGNOREALLERRORS" in self.flags else max(1, int(self.values.get("MAXERROR", "0")))


def read_copy(sql: str) -> Copy:
    """Read a COPY statement. Raises SqlError for what Redshift does not take, and for what the stand-in cannot do."""
    clause = Words(tokens_of(sql)[1:])
    table = clause.next().text
    while clause.skip("."):
        table += "." + clause.next().text
    columns = clause.names() if clause.skip("(") else []
    clause.need("FROM")
    copy = Copy(table, columns, clause.string())
    split_url(copy.source)
    while clause:
        _option(copy, clause)
    if not copy.role:
        raise SqlError("XX000", "Credentials argument is not supplied: the stand-in takes IAM_ROLE")
    if not copy.json:
        raise SqlError(UNSUPPORTED, "the stand-in's COPY reads JSON only: Redshift would read delimited text here")
    if "IGNOREALLERRORS" in copy.flags and "MAXERROR" in copy.values:
        raise SqlError(SYNTAX, "IGNOREALLERRORS and MAXERROR exclude each other")
    if copy.flags >= PACKINGS:
        raise SqlError(SYNTAX, "GZIP and ZSTD exclude each other")  # [U] what Redshift says to both
    if int(copy.values.get("MAXERROR", "0")) > MOST_ERRORS:
        raise SqlError("22023", f"MAXERROR must be between 0 and {MOST_ERRORS}")
    return copy


def _option(copy: Copy, clause: Words) -> None:
    word = clause.peek().upper
    if word == "IAM_ROLE":
        clause.next()
        copy.role = "default" if clause.skip("DEFAULT") else clause.string()
    elif word in ("FORMAT", "JSON"):
        clause.next()
        clause.skip("AS")
        if word == "FORMAT":
            clause.need("JSON")
        clause.skip("AS")
        copy.json = clause.string() if clause.peek().kind == "string" else "auto"
    elif word in KEYS:
        raise SqlError(UNSUPPORTED, "the stand-in takes no keys in SQL text: give IAM_ROLE")
    elif word in NOT_WITH_JSON:
        raise SqlError(UNSUPPORTED, f"{word} is not supported with JSON")
    elif word in BEYOND:
        raise SqlError(UNSUPPORTED, f"the stand-in's COPY has no {word}: Redshift does")
    elif word in FLAGS:
        copy.flags.add(clause.next().upper)
    elif word in SWITCHES:
        clause.next()
        clause.skip(*SWITCHES[word])
    elif word in TEXTS:
        clause.next()
        clause.skip("AS")
        copy.values[word] = clause.string() if clause.peek().kind == "string" else clause.next().text
    elif word in NUMBERS:
        clause.next()
        clause.skip("AS")
        copy.values[word] = clause.number()
    elif word == "ACCEPTINVCHARS":
        clause.next()
        clause.skip("AS")
        copy.values[word] = clause.string() if clause.peek().kind == "string" else "?"
    else:
        raise clause.error()
