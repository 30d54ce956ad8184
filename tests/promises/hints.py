"""Each `try:` line is a real command or a real edit: the rules for both, and a recorder of all errors in tests.

A command of ours is parsed by the script's own parser, a setting has to exist; everything else has to begin like one
of the commands and edits named here, so that a new kind of hint is looked at by a person once.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import pytest
from warehouse import REPO

from dwh.settings.sections import SECTIONS, declared_keys
from dwh.terminal.errors import ConfigError, DwhError

COMMENT = re.compile(r"\s{3,}\(.*\)$|\s{3,}or: .*$|, then .*$")
PLACEHOLDER = re.compile(r"\.\.\.|(?<![\w/])(?:PATH|FILE|FOLDER|ANOTHER_FOLDER|ELSEWHERE|NAME|TIME)(?![\w=])|/path/to")
COMMANDS = ("ls -la ", "git -C ", "sudo chown ",
            "pip install -r ", ". .venv/bin/activate", "./run_all.sh", "unset ", "aws ",
            "timedatectl", "chmod ", "sed ", "docker ", "df ", "mv ", "cat ", "bunzip2 ", "xz ", "zstd ",
            "f=", "python -c ", "SELECT pg_terminate_backend(")  # fmt: skip
EDITS = ("fix ", "free ", "move ", "rename ", "report this", "the same command again", "ask ", "one of ", "fill both",
         "edit ", "close it", "on a company network: ", "s3://", "type ", "wait ", "choose ")  # fmt: skip
NAMES = {name for _, name in declared_keys()} | set(SECTIONS) | {"DWH_PORT"}


def fault_of(hint: str) -> str | None:
    """Say what is wrong with a `try:` line; None when it is a real command or edit."""
    told = COMMENT.sub("", hint).strip()
    if again := re.match(r"(?:TMPDIR=\S+ )?the same command again(?: with (--[a-z-]+))?", told):
        return None if again[1] is None or again[1] in flags_of_all() else f"no script has {again[1]}"
    told = re.sub(r"^TMPDIR=\S+ ", "", told)
    if told.startswith("python ") and not told.startswith("python -c "):
        if placeholder := PLACEHOLDER.search(told):
            return f"{placeholder[0]} has to be filled in by hand"
        return _fault_of_command(told)
    if setting := re.match(r"\[(\w+)\](?: ([A-Z_]+)\b)?", told):
        section, name = setting[1], setting[2]
        known = section in SECTIONS if name is None else (section, name) in declared_keys()
        return None if known else f"there is no setting [{section}] {name}"
    if told.startswith((*COMMANDS, *EDITS, "DWH_")) or told in NAMES:
        return None
    return "neither a command nor an edit that is known"


@cache
def flags_of_all() -> set[str]:
    """Give the flags of all scripts."""
    scripts = [path.stem for path in REPO.glob("*.py") if path.stem != "sql_queries"]
    parsers = [importlib.import_module(script).parser() for script in scripts]
    return {flag for parser in parsers for flag in parser._option_string_actions}


@cache
def _fault_of_command(command: str) -> str | None:
    try:
        _, script, *arguments = shlex.split(command)
    except ValueError as error:
        return f"no shell reads it: {error}"
    if not re.fullmatch(r"\w+\.py", script) or not (REPO / script).is_file():
        return f"there is no {script}"
    parser = importlib.import_module(script.removesuffix(".py")).parser()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            parser.parse_args(arguments)
    except ConfigError as error:
        return error.message
    except SystemExit:
        return None  # --help, --version
    return None


def raised_in_product() -> bool:
    """Tell whether the error that is being made is one of the product, and not one of a test."""
    frame = sys._getframe(2)
    while frame and frame.f_code.co_name == "__init__" and frame.f_back:
        frame = frame.f_back
    path = frame.f_code.co_filename
    return path.startswith(str(REPO)) and not path.startswith(str(REPO / "tests"))


@pytest.fixture(autouse=True)
def every_hint_is_real(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """P93, for every error that a test provokes in this process: it has a hint, and each hint is real."""
    made: list[tuple[str, tuple[str, ...]]] = []
    real = DwhError.__init__

    def record(self: DwhError, message: str, **about: Any) -> None:
        real(self, message, **about)
        if raised_in_product():
            made.append((message, self.hint))

    monkeypatch.setattr(DwhError, "__init__", record)
    yield
    assert_real(made)


def assert_real(made: Sequence[tuple[str, tuple[str, ...]]]) -> None:
    """Fail for errors without a hint, and for hints that are neither."""
    for message, hints in made:
        assert hints, f"no hint: {message}"
        for hint in hints:
            fault = fault_of(hint)
            assert fault is None, f"{message}\n  try: {hint}\n  {fault}"
