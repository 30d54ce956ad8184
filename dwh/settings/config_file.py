"""Reading one dwh.cfg: its keys with their lines, and the refusal of lines that are probably mistakes."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dwh.settings.locations import unquoted
from dwh.settings.older_projects import ALIASES, ELSEWHERE
from dwh.settings.secrets import without_credentials
from dwh.settings.sections import SECTIONS, declared_keys, is_secret, is_several
from dwh.terminal.errors import ConfigError

Key = tuple[str, str]
SHOWN_UNKNOWN = 4
# Quotes around a whole word: the text in them is part of the value.
_QUOTED = re.compile(r"(?<!\S)([\"'])(?:(?!\1).)*\1(?!\S)", re.DOTALL)
_COMMENT = re.compile(r"(?:^|\s+)([#;])")


class Given(NamedTuple):
    """The text of a setting, its source, and the folder that relative paths in it start from."""

    text: str
    origin: str
    folder: Path


def read_file(file: Path) -> dict[Key, Given]:
    """Read the keys of a file.

    Raises ConfigError with the line for a file of another form or encoding, for all unknown keys (with the likely
    ones), and for a comment after a value.
    """
    lines = _read_lines(file)
    parser = _parse(file, lines)
    today: dict[Key, Given] = {}
    older: dict[Key, Given] = {}
    unknown = []
    for section in parser.sections():
        if section.upper() not in (*SECTIONS, "DWH"):
            unknown.append(
                (f"line {_line_of(lines, section)}: unknown section [{section.upper()}]", section.upper(), "")
            )
            continue
        for name, text in parser.items(section):
            number = _line_of(lines, section, name)
            try:
                key = known_key(section.upper(), name.upper())
            except KeyError:
                said = f"line {number}: unknown key {name.upper()!r} in [{section.upper()}]"
                unknown.append((said, section.upper(), name.upper()))
                continue
            if key:
                given = Given(text, f"{file.name} line {number}", file.parent)
                _refuse_more_than_a_value(file, given, (section.upper(), name.upper()), key)
                (older if section.upper() == "DWH" else today)[key] = given
    if unknown:
        raise _unknown(file, unknown)
    return prefer(today, older)


def prefer(today: Mapping[Key, Given], older: Mapping[Key, Given]) -> dict[Key, Given]:
    """Join today's keys and those of older projects: today's key wins, unless it is empty."""
    filled = {key: given for key, given in older.items() if unquoted(given.text)}
    return {**older, **{key: given for key, given in today.items() if unquoted(given.text) or key not in filled}}


def known_key(section: str, name: str) -> Key | None:
    """Give today's name of a key; None for one that is no longer needed. Raises KeyError for an unknown one."""
    if section == "DWH":
        return ALIASES[name]
    if (section, name) not in declared_keys():
        raise KeyError(name)
    return section, name


def guess(word: str, words: Sequence[str]) -> str | None:
    """Give the most similar word."""
    import difflib

    return next(iter(difflib.get_close_matches(word, words, n=1)), None)


def _read_lines(file: Path) -> list[str]:
    utf8 = f"edit {file}: save it as UTF-8"
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read", evidence=str(error), hint=f"ls -la {shlex.quote(str(file))}"
        ) from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or content[:2].count(0) == 1:
        raise ConfigError(f"{file.name} is UTF-16; only UTF-8 is read", hint=utf8)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # not chained: the error holds the whole file, secrets included
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{file.name} line {line} is not UTF-8",
            evidence=f"byte {content[error.start]:#04x}: some Windows editors save cp1252 (ANSI)",
            hint=utf8,
        ) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ConfigError(f"{file.name} line {line} holds a NUL character", hint=f"edit {file}")
    return re.split("\r\n|\r|\n", text)


def _parse(file: Path, lines: Sequence[str]) -> configparser.ConfigParser:
    """Parse the lines. The parser's own messages repeat a line, which may hold a secret: so they are not shown, and not
    chained either, because -vv shows the chain."""
    parser = configparser.ConfigParser(interpolation=None, default_section="(none)")
    try:
        parser.read_string("\n".join(lines), source=file.name)
    except (configparser.DuplicateOptionError, configparser.DuplicateSectionError) as error:
        raise _twice(file, error.lineno, error.section, getattr(error, "option", "")) from None
    except configparser.Error as error:
        number = re.search(r"line:? *([0-9]+)", str(error))
        where = f" line {number[1]}" if number else ""
        raise ConfigError(
            f"{file.name}{where}: {type(error).__name__}",
            evidence="expected: [SECTION] lines and KEY = value lines",
            hint=f"edit {file}",
        ) from None
    seen: set[str] = set()
    for section in parser.sections():
        if section.upper() in seen:
            raise _twice(file, _lines_of_section(lines, section)[-1], section, "")
        seen.add(section.upper())
    return parser


def _twice(file: Path, line: int | None, section: str, name: str) -> ConfigError:
    # only one of our names is repeated: other text may be a secret
    known = [name.upper()] if any(name.upper() == declared for _, declared in declared_keys()) else []
    known += [name.upper()] if name.upper() in ALIASES else []
    what = f"{known[0] if known else 'a key'} in [{section.upper()}]" if name else f"section [{section.upper()}]"
    return ConfigError(
        f"{file.name} line {line}: {what} appears twice",
        evidence="it is not clear which value counts",
        hint=f"edit {file}: remove one of them",
    )


def _refuse_more_than_a_value(file: Path, given: Given, written: Key, key: Key) -> None:
    """Refuse a comment after a value, and the following lines when they would become part of it."""
    section, name = written
    first, *below = [line.strip() for line in given.text.split("\n")]
    names = {known for _, known in declared_keys()} | set(ALIASES)
    swallowed = any((found := re.match(r"(\w+)\s*[=:]", line)) and found[1].upper() in names for line in below)
    if swallowed or (below and first and not is_several(*key)):
        raise ConfigError(
            f"{given.origin}: the value of [{section}] {name} continues on the next line, which begins with a blank",
            hint=f"edit {file}: remove the blank at the beginning of that line",
        )
    if is_secret(*key):
        return
    bare = _QUOTED.sub(lambda quoted: "_" * len(quoted[0]), given.text)
    comment = _COMMENT.search(bare)
    if not comment:
        return
    value, whole = given.text[: comment.start()], given.text
    hints = [f"edit {file}: put the comment on its own line, or the whole value in quotes"]
    # the address of a web hook in a command is a secret
    if without_credentials(whole) == whole and "\n" not in whole and key[0] != "NOTIFY":
        hints = [f"[{key[0]}] {key[1]} = {value}     (put the comment on its own line)"]
        quote = "'" if '"' in whole else '"'
        if value and quote not in whole:
            hints.append(f"[{key[0]}] {key[1]} = {quote}{whole}{quote}     (if it is part of the value)")
    raise ConfigError(
        f"{given.origin}: a comment after the value of [{section}] {name}",
        evidence=f"{comment[1]} starts a comment only at the start of a line; here it would be part of the value",
        hint=hints,
    )


def _unknown(file: Path, unknown: Sequence[tuple[str, str, str]]) -> ConfigError:
    """Word the error of all unknown names of a file, so that one edit can fix them all."""
    first, *others = [(said, _meant(section, name)) for said, section, name in unknown]
    evidence = [f"{said}; try {meant[0]}" for said, meant in others[:SHOWN_UNKNOWN]]
    if len(others) > SHOWN_UNKNOWN:
        evidence.append(f"and {len(others) - SHOWN_UNKNOWN} more")
    return ConfigError(f"{file.name} {first[0]}", evidence=evidence, hint=first[1])


def _meant(section: str, name: str) -> tuple[str, ...]:
    """Give the likely right name of a section, or of a key in one."""
    if not name:
        return (ELSEWHERE.get(section) or guess(section, list(SECTIONS)) or f"one of {', '.join(SECTIONS)}",)
    names = list(ALIASES) if section == "DWH" else [k for s, k in declared_keys() if s == section]
    close = guess(name, names)
    if moved := ELSEWHERE.get(name) or _alias(name):
        return (moved,)
    if close:
        return (close,)
    others = [f"[{s}] {k}" for s, k in declared_keys() if k == name]
    return tuple(others) or (f"one of {', '.join(names)}",)


def _alias(name: str) -> str:
    target = ALIASES.get(name)
    return f"[{target[0]}] {target[1]}" if target else ""


def _line_of(lines: Sequence[str], section: str, name: str | None = None) -> int:
    """Give the line of a section, or of a key in it; 0 when it is not found."""
    inside = False
    for number, line in enumerate(lines, 1):
        if line.strip().startswith("["):
            inside = line.strip().upper().startswith(f"[{section.upper()}]")
            if inside and name is None:
                return number
        elif inside and name is not None and re.match(rf"\s*{re.escape(name)}\s*[=:]", line, re.IGNORECASE):
            return number
    return 0


def _lines_of_section(lines: Sequence[str], section: str) -> list[int]:
    return [n for n, line in enumerate(lines, 1) if line.strip().upper().startswith(f"[{section.upper()}]")]
