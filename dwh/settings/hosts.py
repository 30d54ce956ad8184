"""The name of a server, and the other forms that people write: with a port, as a URL, as the console shows it."""

from __future__ import annotations

import re
from pathlib import Path

from dwh.terminal.errors import WrongValue

ALONE = "only the name of the server: port, database, user and password have their own keys"
_NAME = re.compile(r"\w(?:[\w.-]*\w)?\.?")
_SCHEME = re.compile(r"(?:[\w+.-]+:)+//")
_REST = re.compile(r"(?P<host>\[[^\]]*\]|[^:/?;]*)(?::(?P<port>\d*))?(?:/(?P<database>[^?;/]*))?(?P<more>[/?;].*)?")


def read_server(text: str, _folder: Path) -> str:
    """Give a PostgreSQL server, several separated by commas, or the folder of its socket. Raises WrongValue."""
    if text.startswith(("/", "@")) or all(_is_name(name) for name in text.split(",")):
        return text
    raise WrongValue(ALONE, _taken_apart(text, "PORT") or "db.example.com")


def read_endpoint(text: str, _folder: Path) -> str:
    """Give the endpoint of a Redshift warehouse; empty stays empty. Raises WrongValue with what it splits into."""
    if not text or _is_name(text):
        return text
    example = "name.abc123xyz789.us-west-2.redshift.amazonaws.com"
    raise WrongValue(ALONE, _taken_apart(text, "DB_PORT") or example)


def read_service_url(text: str, _folder: Path) -> str:
    """Give the URL of a service, without keys in it; empty stays empty. Raises WrongValue."""
    if not text or re.fullmatch(r"https?://[^\s/@?#]+(?:/[^\s@?#]*)?", text, re.IGNORECASE):
        return text
    plain = re.fullmatch(r"[\w.-]+(?::\d+)?", text)
    raise WrongValue("http:// or https://, and a server", f"https://{text}" if plain else "https://s3.example.com:9000")


def read_identifier(text: str, _folder: Path) -> str:
    """Give the name of a cluster in lower case, as AWS stores it: otherwise it would not be found again."""
    return text.lower()


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None or _is_ipv6(text)


def _is_ipv6(text: str) -> bool:
    from ipaddress import IPv6Address

    try:
        return bool(IPv6Address(text))
    except ValueError:
        return False


def _taken_apart(text: str, port_key: str) -> str:
    """Give the settings that a URL or host:port/database stands for; empty when its parts are not clear.

    A password is never among them: when it is unclear which @ ends the login, nothing is shown.
    """
    rest = text[found.end() :] if (found := _SCHEME.match(text)) else text
    authority = re.split("[/?;]", rest, maxsplit=1)[0]
    login, at, _ = authority.rpartition("@")
    rest = rest[len(login) + len(at) :]
    parts = _REST.fullmatch(rest)
    if not parts or "@" in rest or re.search(r"\s", text) or not _is_name(parts["host"].strip("[]")):
        return ""
    if re.search(r"(^|\.)console\.(aws|amazonaws)\b", parts["host"]):
        return ""
    user, colon, _ = login.partition(":")
    asked = dict(re.findall(r"[?;&](\w+)=([^?;&]*)", parts["more"] or ""))
    asked = {name.lower(): value for name, value in asked.items()}
    user = user or asked.get("user") or asked.get("uid") or ""
    keys = {port_key: parts["port"], "DB_NAME": parts["database"], "DB_USER": user}
    told = [parts["host"].strip("[]"), *(f"{key} = {value}" for key, value in keys.items() if value)]
    if colon or {"password", "pwd"} & set(asked):
        told.append("DB_PASSWORD = ... in dwh.local.cfg")
    return ", ".join(told)
