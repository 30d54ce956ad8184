"""The settings of one run: flag, then environment, then dwh.local.cfg, then dwh.cfg, then default; and where each
came from."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dwh.settings.config_file import Given, Key, guess, prefer, read_file
from dwh.settings.locations import covers_more, unquoted
from dwh.settings.older_projects import ALIASES
from dwh.settings.secrets import without_credentials
from dwh.settings.sections import (
    S3,
    SECTIONS,
    Aws,
    Checks,
    Cluster,
    DuckDb,
    Etl,
    IamRole,
    Lake,
    Log,
    Notify,
    Postgres,
    Report,
    Warehouse,
    declared_keys,
    is_secret,
    is_several,
)
from dwh.terminal.errors import ConfigError, WrongValue

SCRIPTS_FOLDER = Path(__file__).resolve().parents[2]
INSTALLED = (SCRIPTS_FOLDER / "__init__.py").is_file()  # in the wheel this folder is a package, elsewhere it is none
CONFIG_NAME = "dwh.cfg"
LOCAL_NAME = "dwh.local.cfg"


class Config(NamedTuple):
    """All settings. `origins` names the source of each (section, key); `notes` are for the user."""

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
    log: Log
    notify: Notify
    path: Path
    origins: Mapping[tuple[str, str], str]
    notes: tuple[str, ...]


_Values = dict[Key, Given]


def load_config(path: str | None, flags: Mapping[tuple[str, str], str | None], environ: Mapping[str, str]) -> Config:
    """Read the settings: flag, then environment, then dwh.local.cfg, then dwh.cfg, then default.

    Raises ConfigError for a file that is missing or unreadable, an unknown key (with the likely one), and a value of
    the wrong form.
    """
    main = _find(path or environ.get("DWH_CONFIG"))
    notes: list[str] = []
    values: _Values = {k: Given(meta.default, "default", SCRIPTS_FOLDER) for k, meta in declared_keys().items()}
    for file in (main, main.parent / LOCAL_NAME):
        if file.exists():
            found = read_file(file)
            notes += _exposed_secrets(file, found)
            _refuse_commands_of_others(file, found)
            values.update(found)
    values = {k: Given(v.text, v.origin, main.parent) if v.origin == "default" else v for k, v in values.items()}
    values.update(_from_environment(environ))
    values.update({k: Given(text, "flag", Path.cwd()) for k, text in flags.items() if text is not None})
    return _typed(values, main, tuple(notes))


def _find(path: str | None) -> Path:
    if path is not None:
        if not os.path.isfile(path):
            raise _gone(Path(os.path.abspath(path)))
        return Path(os.path.abspath(path))
    if INSTALLED:  # nobody edits a file there, and no data belong there: without a file here, the defaults are for here
        return Path.cwd() / CONFIG_NAME
    for folder in (Path.cwd(), SCRIPTS_FOLDER):
        if (folder / CONFIG_NAME).is_file():
            return folder / CONFIG_NAME
    checkout = f"git -C {shlex.quote(str(SCRIPTS_FOLDER))} checkout {CONFIG_NAME}"
    raise ConfigError(f"{SCRIPTS_FOLDER / CONFIG_NAME} not found", hint=checkout)


def _gone(path: Path) -> ConfigError:
    """Word the error of a file of settings that is not there: with the nearest name that is, or with what is there."""
    folder = next(parent for parent in path.parents if parent.is_dir())
    there = [entry.name for entry in os.scandir(folder) if entry.is_file() and entry.name.endswith(".cfg")]
    near = guess(path.name, there) if folder == path.parent else None
    if near:
        hint = f"the same command again with --config {shlex.quote(str(folder / near))}"
    else:
        hint = f"ls -la {shlex.quote(str(folder))}"
    return ConfigError(f"{path} not found", hint=hint)


def _refuse_commands_of_others(file: Path, values: _Values) -> None:
    """Raise ConfigError for a command of [NOTIFY] in a file that another user could have written."""
    if not any(section == "NOTIFY" and unquoted(given.text) for (section, _), given in values.items()):
        return
    status = file.stat()
    if status.st_uid not in (0, os.geteuid()):
        why, hint = f"user {status.st_uid} owns it", f"sudo chown {os.geteuid()} {shlex.quote(str(file))}"
    elif stat.S_IMODE(status.st_mode) & 0o022:
        why, hint = "others can write it", f"chmod go-w {shlex.quote(str(file))}"
    else:
        return
    raise ConfigError(
        f"{file} holds a command in [NOTIFY], and {why}",
        evidence="whoever writes that file would run commands as you",
        hint=hint,
    )


def _exposed_secrets(file: Path, values: _Values) -> list[str]:
    """Give a note for each way in which a file with a secret is exposed: readable by others, or tracked by git."""
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
    today: _Values = {}
    older: _Values = {}
    for variable, text in environ.items():
        given = Given(text, f"environment {variable}", Path.cwd())
        if names.get(variable, ("", ""))[0] == "NOTIFY" and unquoted(text):
            raise ConfigError(
                f"{variable} is set: a command is taken from a file only",
                hint=(f"unset {variable}", "[NOTIFY] in dwh.cfg"),
            )
        if variable in names:
            today[names[variable]] = given
        elif variable in ALIASES:
            older |= {target: given for target in (ALIASES[variable],) if target}
        elif variable.startswith(tuple(f"DWH_{section}_" for section in SECTIONS)):
            raise ConfigError(
                f"unknown environment variable {variable}", hint=guess(variable, list(names)) or f"unset {variable}"
            )
    return prefer(today, older)


def _typed(values: _Values, main: Path, notes: tuple[str, ...]) -> Config:
    sections: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for (section, name), meta in declared_keys().items():
        given = values[section, name]
        text = given.text if is_several(section, name) else unquoted(given.text)
        try:
            if not unquoted(text) and (given.origin == "flag" or is_several(section, name)):
                raise WrongValue("a value; this one is empty")
            empty = not text and given.origin != "default"
            value = meta.parse(*(meta.default, main.parent) if empty else (text, given.folder))
        except ValueError as error:
            raise _wrong(section, name, given, error) from error
        if is_several(section, name) and covers_more(text, value):
            said = f"[{section}] {name} = {without_credentials(text)} ({given.origin})"
            notes += (f"{said} means all JSON files below {', '.join(value)}",)
        sections[section][name.lower()] = value
    # each section has the class that SECTIONS names, which a type checker cannot see
    read: dict[str, Any] = {section.lower(): cls(sections[section]) for section, cls in SECTIONS.items()}
    return Config(**read, path=main, origins={k: v.origin for k, v in values.items()}, notes=notes)


def _wrong(section: str, name: str, given: Given, error: ValueError) -> ConfigError:
    instead = error.instead if isinstance(error, WrongValue) else ()
    # the address of a web hook in a command is a secret
    shown = "***" if section == "NOTIFY" else without_credentials(unquoted(given.text))
    return ConfigError(
        f"[{section}] {name} = {shown} ({given.origin})",
        evidence=f"expected: {error}",
        hint=[_edit(section, name, given, right) for right in instead or (declared_keys()[section, name].default,)],
    )


def _edit(section: str, name: str, given: Given, right: str) -> str:
    """Give the edit that sets the right value where the wrong one was set."""
    if given.origin == "flag":
        return f"type {shlex.quote(right)} instead"
    kind, _, variable = given.origin.partition(" ")
    if kind != "environment":
        return f"[{section}] {name} = {right}"
    value, _, more = right.partition(", ") if name == "HOST" else (right, "", "")
    return f"{variable}={shlex.quote(value)}" + (f"     (and in [{section}]: {more})" if more else "")
