"""The places of data. Every spelling of a place becomes one absolute path or s3://bucket/key, so that a source has one
name in the ledger. An unclear spelling is refused, and the error shows the right one (decision 23).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from dwh.terminal.errors import WrongValue

# What * and ? in a place mean: everything below it (where that is clear); a mistake; or themselves.
Wildcards = Literal["widen", "refuse", "literal"]

S3_SCHEME = re.compile(r"s3[an]?://", re.IGNORECASE)
PLACE = "a folder, or s3://bucket/prefix"
BUCKET = "a bucket: at most 63 of a-z, 0-9, - and ., a letter or digit first and last"
ACCESS_POINT = "a bucket; for an access point, its alias: s3://NAME-s3alias/prefix"
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?")
_ARN = re.compile(r"arn:aws[\w-]*:s3:::(.+)", re.IGNORECASE | re.DOTALL)
# <bucket>.s3.<region>, s3.<region>/<bucket>, and their older forms [D s3 userguide VirtualHosting].
_S3_HOST = re.compile(
    r"(?:(?P<bucket>.+)\.)?s3(?:-accelerate|-fips|-website)?(?:[.-](?:dualstack\.)?[a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?"
)
_CONSOLE_HOST = re.compile(r"(?:.+\.)?console\.(?:aws\.amazon|amazonaws-us-gov)\.com|(?:.+\.)?console\.amazonaws\.cn")
# The end of a pattern that means all files below: /*, /**, /*/*/*.json, and so on.
_ALL_BELOW = re.compile(r"(?:\*\*?/)*(?:\*\*?|\*+\.(?:json|jsonl|ndjson)(?:\.gz|\*)?)/*", re.IGNORECASE)


def unquoted(text: str) -> str:
    """Give a value without the quotes around it, as older files write them."""
    text = text.strip()
    whole = len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"" and text.count(text[0]) == 2
    return text[1:-1] if whole else text


def read_locations(text: str, folder: Path) -> tuple[str, ...]:
    """Give one location, or several separated by blanks. One with blanks in it must exist, or be quoted.

    Raises WrongValue with the right spelling, also when there is none at all.
    """
    whole = unquoted(text)
    if whole and not S3_SCHEME.match(whole) and os.path.exists(_local(whole, folder)):
        return (_local(whole, folder),)
    words = _words(text)
    if not words:
        raise WrongValue(f"{PLACE}; in double quotes when it has blanks or quotes in it")
    if any(word.endswith(",") and not os.path.exists(_local(word, folder)) for word in words):
        raise WrongValue("several locations are separated by blanks", re.sub(r",(?=\s|$)", "", text))
    places = []
    for word in words:
        try:
            places.append(_read(word, folder, "widen"))
        except WrongValue as error:
            alone = len(words) == 1 or word not in text
            right = (meant if alone else text.replace(word, meant) for meant in error.instead)
            raise WrongValue(str(error), *right) from None
    return tuple(places)


def read_place(text: str, folder: Path) -> str:
    """Give one folder, file or s3:// URL; empty stays empty. Raises WrongValue with the right spelling."""
    return _read(text, folder, "refuse") if text else ""


def read_prefix(text: str, folder: Path) -> str:
    """Give an s3:// prefix; empty stays empty. Raises WrongValue for a folder too."""
    place = read_place(text, folder)
    if place and not S3_SCHEME.match(place):
        raise WrongValue("an s3:// prefix", "s3://bucket/work")
    return place


def read_path(text: str, folder: Path) -> str:
    """Give a path of this machine; empty stays empty. Raises WrongValue for a URL."""
    if not text:
        return ""
    path = _from_file_url(text) or text
    if "://" in path:
        raise WrongValue("a path on this machine")
    if not os.path.exists(_local(path, folder)):
        _refuse_foreign_path(path)
    return _local(path, folder)


def read_database(text: str, folder: Path) -> str:
    """Give the path of a database file. Raises WrongValue for a database in memory or in MotherDuck."""
    if text.lower().startswith((":memory:", "md:", "motherduck:")):
        raise WrongValue("a file that the next script can open; a database in memory is lost when this script ends")
    return read_path(text, folder)


def ledger_path(text: str, folder: Path) -> str:
    """Give a file or folder as the ledger spells it, whether or not it still exists. Raises WrongValue."""
    return _read(text, folder, "literal")


def covers_more(text: str, places: tuple[str, ...]) -> bool:
    """Tell whether a pattern in a text was read as everything below the resulting places."""
    return "*" in text and not any("*" in place for place in places)


def _words(text: str) -> list[str]:
    """Split at blanks, outside of quotes. A backslash escapes a blank or a quote, and is itself elsewhere."""
    import shlex

    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    lexer.escape = "\\" if re.search(r"\\[\s'\"]", text) else ""
    try:
        return [word for word in lexer if word]
    except ValueError:
        raise WrongValue("a closing quote; put double quotes around a path with a quote in it") from None


def _read(text: str, folder: Path, wildcards: Wildcards) -> str:
    url = _s3_url(text)
    if url is not None:
        return _in_s3(url, wildcards)
    text = _from_file_url(text) or text
    if os.path.exists(_local(text, folder)):
        return _local(text, folder)
    _refuse_misspelled(text)
    if wildcards != "literal":
        _refuse_foreign_path(text)
        if "\\" in text and os.path.exists(_local(text.replace("\\", "/"), folder)):
            raise WrongValue("a path with / between its names", text.replace("\\", "/"))
        # a folder that is made here may have any name, but a name of nothing but * is a mistake
        if set("*?") & set(text) and (wildcards == "widen" or _ALL_BELOW.fullmatch(text.rpartition("/")[2])):
            text = _all_below(text, wildcards)
    return _local(text, folder)


def _local(text: str, folder: Path) -> str:
    # abspath keeps two leading slashes, which mean one on every system that this runs on
    return re.sub(r"^//+", "/", os.path.abspath(folder / os.path.expanduser(text)))


def _s3_url(text: str) -> str | None:
    """Give bucket/key of a text that names a place in S3 in one of the usual ways; None for any other text."""
    if scheme := S3_SCHEME.match(text):
        return text[scheme.end() :]
    if text.lower().startswith("arn:"):
        found = _ARN.fullmatch(text)
        if not found:
            raise WrongValue(ACCESS_POINT if "accesspoint" in text else PLACE, "s3://bucket/prefix")
        return found[1]
    return _from_web_url(text) if re.match("https?://", text, re.IGNORECASE) else None


def _in_s3(url: str, wildcards: Wildcards) -> str:
    """Give s3://bucket/key of bucket/key; several slashes at its end become one."""
    bucket, _, key = url.partition("/")
    if "@" in bucket or ("@" in url and ":" in bucket):
        raise WrongValue("a bucket without access keys; they belong in [AWS] KEY and SECRET", "s3://bucket/prefix")
    if re.search(r",s3[an]?:", url, re.IGNORECASE):
        raise WrongValue("several locations are separated by blanks", f"s3://{url.replace(',', ' ')}")
    if not bucket:
        raise WrongValue("a bucket after the two slashes", f"s3://{key.strip('/') or 'bucket/prefix'}")
    if ":" in bucket:
        right = f"s3://{bucket.partition(':')[0]}/{key}".rstrip("/")
        raise WrongValue("a bucket; server and port of another S3 belong in [S3] ENDPOINT_URL", right)
    if not _BUCKET.fullmatch(bucket):
        lower = bucket.lower()
        right = lower if bucket != lower and _BUCKET.fullmatch(lower) else "bucket"
        raise WrongValue(BUCKET, f"s3://{right}/{key}".rstrip("/"))
    if wildcards != "literal" and set("*?") & set(key):
        key = _all_below(key, wildcards, f"s3://{bucket}/")
    parts = key.rstrip("/").split("/") if key.rstrip("/") else []
    if {"", ".", ".."} & set(parts):
        resolved = "/".join(part for part in parts if part not in ("", "."))
        right = os.path.normpath(f"/{resolved}")[1:]
        raise WrongValue("no empty part, no . and no .. between the slashes", f"s3://{bucket}/{right}")
    end = "/" if parts and key.endswith("/") else ""
    return "/".join((f"s3://{bucket}", *parts)) + end


def _all_below(path: str, wildcards: Wildcards, before: str = "") -> str:
    """Give the part before a pattern that means all files below it. Raises WrongValue for every other pattern."""
    found = re.search(r"[^/]*[*?]", path)
    start = found.start() if found else len(path)
    head = path[:start].rstrip("/")
    plain = _ALL_BELOW.fullmatch(path[start:]) is not None
    if wildcards == "widen" and plain and (head or before):
        return f"{head}/"
    raise WrongValue(
        "no * and no ?: all JSON files below a folder or prefix are read" if wildcards == "widen" else "no * and no ?",
        before + head if before or head else "/path/to/folder",
    )


def _from_web_url(text: str) -> str:
    from urllib.parse import parse_qs, unquote, urlsplit

    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").lower()
    except ValueError:
        raise _other_scheme(text) from None
    path = parts.path.lstrip("/")
    if _CONSOLE_HOST.fullmatch(host):
        page = re.fullmatch(r"s3/(?:buckets|object)/([^/]+)(?:/(.*))?", path, re.DOTALL)
        prefix = parse_qs(parts.query).get("prefix", [""])[0] or unquote(page[2] or "") if page else "prefix"
        place = f"s3://{page[1] if page else 'bucket'}/{prefix}"
        raise WrongValue(f"{PLACE}, not the address of a page of the console", place.rstrip("/"))
    found = _S3_HOST.fullmatch(host)
    if not found:
        raise WrongValue(ACCESS_POINT, "s3://bucket/prefix") if ".s3-accesspoint." in host else _other_scheme(text)
    url = "/".join(filter(None, (found["bucket"], path)))
    if "+" in path:  # S3 reads it as a blank, most other programs as +
        blank = f'"s3://{unquote(url.replace("+", " "))}"'
        raise WrongValue("s3://, where + means + and not a blank", f"s3://{unquote(url)}", blank)
    if parts.query or parts.fragment or parts.username:
        signed = (
            "a presigned URL is for one object and one hour" if "signature=" in parts.query.lower() else "no ?, # or @"
        )
        raise WrongValue(f"{PLACE}: {signed}; credentials are set in [AWS]", f"s3://{unquote(url)}")
    if parts.scheme == "http":
        raise WrongValue(f"{PLACE}; http:// is not supported", f"s3://{unquote(url)}")
    return unquote(url)


def _from_file_url(text: str) -> str | None:
    """Give the path of file:///path or file:/path; None for any other text."""
    from urllib.parse import unquote

    if not re.match("file:", text, re.IGNORECASE):
        return None
    found = re.fullmatch(r"file:(?://(?:localhost)?(?=/)|(?!//))(/.*)", text, re.IGNORECASE | re.DOTALL)
    if not found:
        raise WrongValue("file:// and an absolute path", f"file:///{text[5:].lstrip('/')}")
    return found[1] if os.path.exists(found[1]) else unquote(found[1])


def _other_scheme(text: str) -> WrongValue:
    scheme = re.split("(?<=:)(?!/)|(?<=:/)(?!/)|(?<=://)", text, maxsplit=1)[0].lower()
    endpoint = "; set [S3] ENDPOINT_URL for another S3" if scheme in ("http://", "https://") else ""
    return WrongValue(f"{PLACE}; {scheme} is not supported{endpoint}", "s3://bucket/prefix")


def _refuse_misspelled(text: str) -> None:
    if found := re.match(r"s3[an]?(?::|//)[:/\\]*", text, re.IGNORECASE):
        rest = text[found.end() :].replace("\\", "/")
        raise WrongValue("s3:// and a bucket", f"s3://{rest or 'bucket/prefix'}")
    if "://" in text or re.match(r"[a-z][a-z0-9+.-]+:/", text, re.IGNORECASE):
        raise _other_scheme(text)


def _refuse_foreign_path(text: str) -> None:
    """Refuse a text that is a path only for another system or a shell."""
    if re.match(r"/?[A-Za-z]:[\\/]|\\\\\w", text):
        raise WrongValue("a path of this machine; under WSL the disk C: is /mnt/c", _in_wsl(text))
    if found := re.match(r"\$(?:(\w+)|\{(\w+)\})/", text):
        known = os.environ.get(found[1] or found[2], "")
        rest = text[found.end() :]
        right = f"{known.rstrip('/')}/{rest}" if known.startswith("/") else f"/path/to/{rest}"
        raise WrongValue("a path; $ is not expanded in settings (~/ is your home)", right)
    if text.startswith("~") and "/" in text and os.path.expanduser(text) == text:
        raise WrongValue(
            f"a path; this machine has no user {text[1:].partition('/')[0]}", "~/" + text.partition("/")[2]
        )


def _in_wsl(text: str) -> str:
    disk = re.match(r"/?([A-Za-z]):[\\/]*", text)
    path = text[disk.end() :] if disk else text.lstrip("\\")
    return f"/mnt/{disk[1].lower() if disk else 'share'}/{path}".replace("\\", "/")
