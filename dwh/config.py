"""The settings of one run: flag, then environment, then dwh.local.cfg, then dwh.cfg, then default; and where each
came from."""

from __future__ import annotations

import configparser
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dwh.errors import ConfigError
from dwh.settings import (
    ALIASES,
    S3,
    SECTIONS,
    Aws,
    Checks,
    Cluster,
    DuckDb,
    Etl,
    IamRole,
    Lake,
    Postgres,
    Report,
    Warehouse,
    declared_keys,
    is_secret,
    read_locations,
    unquoted,
)

SCRIPTS_FOLDER = Path(__file__).resolve().parent.parent
CONFIG_NAME = "dwh.cfg"
LOCAL_NAME = "dwh.local.cfg"


class Config(NamedTuple):
    """All settings. `origins` says of every (section, key) where its value came from; `notes` are worth telling the
    user."""

    warehouse: Warehouse
    s3: S3
    lake: Lake
    report: Report
    aws: Aws
    duckdb: DuckDb
    postgres: Postgres
    cluster: Cluster
    iam_role: IamRole
    etl: Etl
    checks: Checks
    path: Path
    origins: Mapping[tuple[str, str], str]
    notes: tuple[str, ...]


class _Value(NamedTuple):
    text: str
    origin: str
    folder: Path


_Values = dict[tuple[str, str], _Value]


def load_config(path: str | None, flags: Mapping[tuple[str, str], str | None], environ: Mapping[str, str]) -> Config:
    """Read the settings: flag, then environment, then dwh.local.cfg, then dwh.cfg, then default.

    Raises ConfigError for a file that is missing or cannot be read, an unknown key (with what was probably meant),
    and a value of the wrong form.
    """
    main = _find(path or environ.get("DWH_CONFIG"))
    notes: list[str] = []
    values: _Values = {k: _Value(meta.default, "default", SCRIPTS_FOLDER) for k, meta in declared_keys().items()}
    for file in (main, main.parent / LOCAL_NAME):
        if file.exists():
            found = _read_file(file)
            notes += _exposed_secrets(file, found)
            values.update(found)
    values = {k: _Value(v.text, v.origin, main.parent) if v.origin == "default" else v for k, v in values.items()}
    values.update(_from_environment(environ))
    values.update({k: _Value(text, "flag", Path.cwd()) for k, text in flags.items() if text is not None})
    return _typed(values, main, tuple(notes))


def _find(path: str | None) -> Path:
    if path is not None:
        if not os.path.isfile(path):
            raise ConfigError(f"{path} not found", hint="python etl.py --config /path/to/dwh.cfg")
        return Path(os.path.abspath(path))
    for folder in (Path.cwd(), SCRIPTS_FOLDER):
        if (folder / CONFIG_NAME).is_file():
            return folder / CONFIG_NAME
    raise ConfigError(
        f"{CONFIG_NAME} not found in {SCRIPTS_FOLDER}",
        hint=("git checkout dwh.cfg", "python etl.py --config /path/to/dwh.cfg"),
    )


def _read_file(file: Path) -> _Values:
    parser = configparser.ConfigParser(interpolation=None, default_section="(none)")
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
        parser.read_string("\n".join(lines), source=file.name)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file} cannot be read", evidence=str(error), hint="python etl.py --config /path/to/dwh.cfg"
        ) from error
    except configparser.Error as error:
        # the parser's message repeats the line it stumbled over, which may hold a secret: only the number is told, and
        # the message is not chained either, because -vv shows the chain
        number = re.search(r"line:? *([0-9]+)", str(error))
        where = f" line {number[1]}" if number else ""
        raise ConfigError(
            f"{file.name}{where}: {type(error).__name__}",
            evidence="expected: [SECTION] lines and KEY = value lines",
            hint=f"edit {file}",
        ) from None
    values: _Values = {}
    for section in parser.sections():
        for name, text in parser.items(section):
            known = _known_key(file, lines, section.upper(), name.upper())
            if known and (section.upper() != "DWH" or known not in values):
                values[known] = _Value(text, f"{file.name}{_line_of(lines, section, name)}", file.parent)
    return values


def _known_key(file: Path, lines: list[str], section: str, name: str) -> tuple[str, str] | None:
    if section == "DWH" and name in ALIASES:
        return ALIASES[name]
    if (section, name) in declared_keys():
        return section, name
    if section not in SECTIONS and section != "DWH":
        raise ConfigError(
            f"{file.name}{_line_of(lines, section)}: unknown section [{section}]",
            hint=_guess(section, list(SECTIONS)) or f"one of {', '.join(SECTIONS)}",
        )
    where = f"{file.name}{_line_of(lines, section, name)}"
    names = list(ALIASES) if section == "DWH" else [k for s, k in declared_keys() if s == section]
    raise ConfigError(
        f"{where}: unknown key {name!r} in [{section}]", hint=_guess(name, names) or f"one of {', '.join(names)}"
    )


def _guess(word: str, words: list[str]) -> str | None:
    import difflib

    return next(iter(difflib.get_close_matches(word, words, n=1)), None)


def _line_of(lines: list[str], section: str, name: str | None = None) -> str:
    """Say on which line a section begins, or a key of it stands."""
    inside = False
    for number, line in enumerate(lines, 1):
        if line.strip().startswith("["):
            inside = line.strip().upper() == f"[{section.upper()}]"
            if inside and name is None:
                return f" line {number}"
        elif inside and name is not None and re.match(rf"\s*{re.escape(name)}\s*[=:]", line, re.IGNORECASE):
            return f" line {number}"
    return ""


def _exposed_secrets(file: Path, values: _Values) -> list[str]:
    """Say of a file with a secret in it that others can read it, or that git would carry it away."""
    secrets = [
        f"[{section}] {name}" for (section, name), v in values.items() if unquoted(v.text) and is_secret(section, name)
    ]
    if not secrets:
        return []
    reasons = []
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        reasons.append(f"readable by other users of this machine (chmod 600 {file.name})")
    if _tracked(file):
        reasons.append(f"tracked by git (move it to {LOCAL_NAME})")
    return [f"{file.name} holds a secret ({', '.join(secrets)}) and is {reason}" for reason in reasons]


def _tracked(file: Path) -> bool:
    import subprocess

    try:
        listed = subprocess.run(
            ["git", "ls-files", "--error-unmatch", file.name], cwd=file.parent, capture_output=True, check=False
        )
    except OSError:
        return False
    return listed.returncode == 0


def _from_environment(environ: Mapping[str, str]) -> _Values:
    names = {f"DWH_{section}_{name}": (section, name) for section, name in declared_keys()} | {
        "DWH_ENGINE": ("WAREHOUSE", "ENGINE")
    }
    values: _Values = {}
    for variable, text in environ.items():
        if variable in names:
            values[names[variable]] = _Value(text, f"environment {variable}", Path.cwd())
        elif variable.startswith(tuple(f"DWH_{section}_" for section in SECTIONS)):
            raise ConfigError(
                f"unknown environment variable {variable}", hint=_guess(variable, list(names)) or f"unset {variable}"
            )
    return values


def _typed(values: _Values, main: Path, notes: tuple[str, ...]) -> Config:
    sections: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for (section, name), meta in declared_keys().items():
        value = values[section, name]
        try:
            text = value.text if meta.parse is read_locations else unquoted(value.text)
            sections[section][name.lower()] = meta.parse(text, value.folder)
        except ValueError as error:
            raise ConfigError(
                f"[{section}] {name} = {value.text} ({value.origin})",
                evidence=f"expected: {error}",
                hint=f"[{section}] {name} = {meta.default}",
            ) from error
    # each section is of the class that SECTIONS names for it, which a type checker cannot see
    read: dict[str, Any] = {section.lower(): cls(sections[section]) for section, cls in SECTIONS.items()}
    return Config(**read, path=main, origins={k: v.origin for k, v in values.items()}, notes=notes)
