"""Recognise a refused record of another kind: a record of the other kind, a wrapper around records, or a file of a
tool.
Only the text of the record is looked at, which may be cut off.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import sql_queries as q
from dwh.sources.files import is_remote
from dwh.sources.listing import ENDINGS

# Keys that every record of a kind has, and no record of the other kind.
OWN_KEYS = {"events": frozenset(("page", "ts")), "songs": frozenset(("song_id",))}
OTHER = {"events": "songs", "songs": "events"}
ALL_KEYS = {*q.EVENT_KEYS, *q.SONG_KEYS}
WRAPPER = "wraps its records in another object; each must be an object of its own"
DEEPEST = 8  # levels of a wrapper that are searched
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]')
_LIST_OF_OBJECTS = re.compile(r":\s*\[\s*(?:[{\]]|$)")  # or an empty list, or one that is cut off at its start
_PLAIN_KEY = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}")


class OtherFile(NamedTuple):
    """What a file is (the rest of a sentence that begins with its path), and one command that helps."""

    what: str
    hint: str


def other_kind(kind: str, text: str) -> str | None:
    """Name the other kind when a record is clearly one of that kind."""
    keys = _content(text).keys()
    other = OTHER[kind]
    return other if OWN_KEYS[other] <= keys and not OWN_KEYS[kind] & keys else None


def other_file(kind: str, path: str, text: str) -> OtherFile | None:
    """Recognise a file by its first record; None when that may be a record of this kind."""
    content = _content(text)
    keys = content.keys()
    if OWN_KEYS[kind] <= keys:
        return None
    lists = {key: value for key, value in content.items() if isinstance(value, list)}
    inner = next((set(value[0]) for value in lists.values() if value and isinstance(value[0], dict)), set())
    tool = {
        "a JSONPaths file": "jsonpaths" in keys,
        "a manifest of COPY or UNLOAD": "entries" in lists and ("url" in inner or not inner),
        "a notification of S3": "Records" in lists and "s3" in inner,
        "a log of CloudTrail": "Records" in lists and {"eventSource", "eventName", "eventID"} <= inner,
    }
    for name, fits in tool.items():
        if fits:
            return OtherFile(f"is {name}, not data", _hide(path))
    way = next(_find_records(content, ""), None)
    if way:
        return OtherFile(WRAPPER, _unwrap(path, way))
    if len(lists) == 1 and len(keys & ALL_KEYS) < 2 and _LIST_OF_OBJECTS.search(text):
        return OtherFile(WRAPPER, _hide(path) if inner else _unwrap(path, _step("", next(iter(lists))) + "[]"))
    return None


def _content(text: str) -> dict[str, Any]:
    """Parse an object, or its beginning up to the last bracket; {} for anything else."""
    for candidate in (text, _closed(text)):
        with suppress(ValueError, RecursionError):
            found = json.loads(candidate)
            return found if isinstance(found, dict) else {}
    return {}


def _closed(text: str) -> str:
    """Cut a truncated text after its last bracket, and close the open ones."""
    still_open, end = [], 0
    for token in _TOKEN.finditer(text):
        if token[0] in "{[":
            still_open.append("}" if token[0] == "{" else "]")
        elif token[0] in "}]" and still_open:
            still_open.pop()
        else:
            continue
        end = token.end()
    return text[:end] + "".join(reversed(still_open))


def _find_records(value: Any, way: str, depth: int = 0) -> Iterator[str]:
    """Give the jq path to each text inside a wrapper that looks like a record of either kind."""
    if isinstance(value, dict):
        if way and any(own <= value.keys() for own in OWN_KEYS.values()):
            yield way
        elif depth < DEEPEST:
            for key, inner in value.items():
                yield from _find_records(inner, _step(way, key), depth + 1)
    elif isinstance(value, list) and value and depth < DEEPEST:
        yield from _find_records(value[0], f"{way}[]", depth + 1)
    elif isinstance(value, str) and depth < DEEPEST:
        for decoding, decoded in _decoded(value):
            yield from _find_records(decoded, f"{way} | {decoding}", depth + 1)


def _decoded(text: str) -> Iterator[tuple[str, Any]]:
    """Decode a text that is JSON, or Base64 of JSON as Kinesis and Firehose write it."""
    with suppress(ValueError, RecursionError):
        if text[:1] == "{":
            yield "fromjson", json.loads(text)
        elif _BASE64.fullmatch(text):
            yield "@base64d | fromjson", json.loads(base64.b64decode(text, validate=True))


def _step(way: str, key: str) -> str:
    if way.endswith("fromjson"):
        way += " | "
    bare = not way or way.endswith(" ")
    return way + (f".{key}" if _PLAIN_KEY.fullmatch(key) else f"{'.' if bare else ''}[{json.dumps(key)}]")


def _hide(path: str) -> str:
    """Give the command that hides a file from the load."""
    move = "aws s3 mv" if is_remote(path) else "mv"
    return f"{move} {shlex.quote(path)} {shlex.quote(_hidden(path))}     (names that begin with _ are not read)"


def _unwrap(path: str, way: str) -> str:
    """Give the command that writes the records of a wrapper to a file beside it, one a line, and hides the wrapper."""
    name = path.rpartition("/")[2]
    ending = next((e for e in sorted(ENDINGS, key=len, reverse=True) if name.lower().endswith(e)), "")
    target = shlex.quote(f"{path[: len(path) - len(ending)]}.records.jsonl")
    unpack = "gunzip | " if ending.endswith(".gz") else ""
    jq, old, hidden = f"jq -c {shlex.quote(way)}", shlex.quote(path), shlex.quote(_hidden(path))
    if is_remote(path):
        return f"aws s3 cp {old} - | {unpack}{jq} | aws s3 cp - {target} && aws s3 mv {old} {hidden}"
    return f"cat {old} | {unpack}{jq} > {target} && mv {old} {hidden}"


def _hidden(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}_{name}"
