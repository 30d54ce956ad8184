"""Reads Dockerfile and .dockerignore, for machines without Docker: its instructions, and the files of its context."""

from __future__ import annotations

import re
import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from warehouse import REPO

MOUNT = re.compile(r"--mount=\S+\s+")


class Instruction(NamedTuple):
    """One instruction: `FROM`, and `python:3.14 AS base`."""

    name: str
    rest: str


def instructions() -> list[Instruction]:
    """Give the instructions in order, each as one line, without comments."""
    text = re.sub(r"^#.*\n", "", (REPO / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    whole = re.sub(r"\\\n\s*", "", text)
    return [Instruction(*line.split(" ", 1)) for line in whole.splitlines() if line]


def pip_commands() -> list[str]:
    """Give the commands that run pip, as a shell gets them."""
    ran = [MOUNT.sub("", instruction.rest) for instruction in instructions() if instruction.name == "RUN"]
    return [command for command in ran if command.startswith("pip ")]


def is_sent(path: str) -> bool:
    """Tell whether a file of the repository is in the context: the last line of .dockerignore that fits decides.

    A line without a slash fits a name at top level and all below it; `**/` stands for any folders (docs.docker.com,
    Build context).
    """
    sent = True
    for line in (REPO / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!")
        if not line or line.startswith("#"):
            continue
        parts = path.split("/")
        names = parts if pattern.startswith("**/") else parts[:1]
        if any(fnmatch(name, pattern.removeprefix("**/")) for name in names):
            sent = line.startswith("!")
    return sent


def copy_context(target: Path) -> None:
    """Copy what Docker would send to a build."""
    for top in REPO.iterdir():
        if top.name == ".git" or not is_sent(top.name):
            continue
        for file in sorted(top.rglob("*")) if top.is_dir() else [top]:
            name = file.relative_to(REPO).as_posix()
            if file.is_file() and is_sent(name):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target / name)
