"""Runs the commands of a page in a copy of the suite, and compares what they print with what the page shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from doc_pages import ROOT, Command, needs
from moto_s3 import fill, serving
from postgres_server import Server
from warehouse import WATCHDOG

HOME = "/home/ann"  # what the pages call the folder that holds the suite, sparkify-warehouse
ANYTHING = "..."  # a line of a page that stands for any lines
MARK = "@@ end of command, exit code"
AFTER_EACH = f"\nended=$?; printf '\\n{MARK} %s\\n' $ended; (exit $ended)\n"  # for the next command $? is as it was
DATABASE_SERVER, BUCKET = "db.example.com", "acme-music"  # and a server and a bucket with the sample
LEFT_OUT = {"tests", "bench", "cloud", "docs", "data", "lake", "report.html", "dwh.local.cfg"}
# What differs from run to run, in this order; all else has to be as the page shows it.
DIFFERS = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)?"), "TIME"),
    (re.compile(r"\bv-\d{8}T\d{6}Z-[0-9a-f]{8}\b"), "EXPORT"),
    (re.compile(r"\b\d{8}-\d{6}\b"), "RUN"),
    (re.compile(r"\b\d+m \d\ds\b|\b\d+(?:\.\d+)?s\b"), "SECONDS"),
    (re.compile(r"(\"seconds\": |\"time\": )[\d.]+"), r"\1SECONDS"),
    (re.compile(r"(\"bytes\": )\d+"), r"\1SIZE"),
    (re.compile(r"\b\d[\d,]*(?:\.\d+)? (?:kB|MB|GB|bytes)(?!\w)"), "SIZE"),
    (re.compile(r"\b(sparkify-warehouse|DuckDB|PostgreSQL|Python) v?\d+(?:\.\d+)+"), r"\1 VERSION"),
    (re.compile(r"\bpython[\d.]* \(process \d+\)"), "python (process)"),
    (re.compile(r"[ \t]+"), " "),  # columns move with the width of a number
    (re.compile(r"^ | $"), ""),
)
ONCE = "setting up .venv (once) ..."  # the copy has its environment


class Ran(NamedTuple):
    """A command of a page, what it printed on both streams, and its exit code."""

    command: Command
    printed: tuple[str, ...]
    code: int


class Copy(NamedTuple):
    """A copy of the suite in a folder of its own, the environment of its commands, and what the pages call things."""

    folder: Path
    environ: dict[str, str]
    names: dict[str, str]

    def run(self, commands: Sequence[Command]) -> list[Ran]:
        """Run commands in order, in one shell that stands in the folder, without a terminal."""
        script = self.folder.parent / "commands.sh"
        script.write_text("".join(each.command + AFTER_EACH for each in commands), "utf-8")
        done = subprocess.run(
            ["sh", script],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=WATCHDOG,
            check=False,
        )
        pieces = re.split(rf"\n{MARK} (\d+)\n", done.stdout)
        ended = list(zip(pieces[::2], pieces[1::2], strict=False))
        assert len(ended) == len(commands), f"the shell ended early: {pieces[-1]}"
        return [
            Ran(command, tuple(self._as_named(printed).splitlines()), int(code))
            for command, (printed, code) in zip(commands, ended, strict=True)
        ]

    def _as_named(self, printed: str) -> str:
        for ours, theirs in self.names.items():
            printed = printed.replace(ours, theirs)
        return printed


@contextmanager
def copy_for(page: str, server: Callable[[], Server]) -> Iterator[Copy]:
    """Make a fresh copy of the suite for a page, and what it needs: a PostgreSQL server, a bucket with the sample.

    The path of the copy is short: scripts cut long lines, and would cut elsewhere than the page.
    """
    with tempfile.TemporaryDirectory() as made, ExitStack() as closing:
        home = Path(made).resolve()
        copy = _copy_suite(home)
        if "postgresql" in needs(page):
            closing.enter_context(_database(copy, server()))
        if "s3" in needs(page):
            endpoint = closing.enter_context(serving())
            subprocess.run(["python", "make_sample.py", "-q", str(home)], cwd=copy.folder, env=copy.environ, check=True)
            fill(endpoint, BUCKET, home)
            keys = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests"}
            copy.environ.update({"AWS_ENDPOINT_URL": endpoint, **keys})
        yield copy


@contextmanager
def _database(copy: Copy, server: Server) -> Iterator[None]:
    copy.names[server.host] = DATABASE_SERVER
    where = {"HOST": server.host, "PORT": str(server.port), "DB_USER": server.user}
    copy.environ.update({f"DWH_POSTGRES_{key}": value for key, value in where.items()})
    try:
        yield
    finally:
        with server.connected("postgres") as cursor:
            cursor.execute("DROP DATABASE IF EXISTS sparkify WITH (FORCE)")


def _copy_suite(home: Path) -> Copy:
    """Copy the suite below a folder, with a virtual environment that borrows the packages of this one."""
    folder = home / "sparkify-warehouse"
    folder.mkdir()
    for path in ROOT.iterdir():
        if path.is_dir() and path.name[0] != "." and path.name not in LEFT_OUT:
            shutil.copytree(path, folder / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.is_file() and path.name not in LEFT_OUT and ".duckdb" not in path.name:
            shutil.copy(path, folder)
    venv = folder / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    next(venv.glob("lib/python3*/site-packages")).joinpath("borrowed.pth").write_text(sysconfig.get_path("purelib"))
    steering = ("DWH_", "SPARKIFY_", "AWS_", "PG", "LC_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    programs = f"{venv / 'bin'}{os.pathsep}{kept['PATH']}"
    environ = kept | {"PATH": programs, "HOME": str(home), "TERM": "dumb", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    stamp = ["sh", "-c", f"here=. venv='{venv}' && . ./setup_venv.sh && venv_stamp requirements.txt"]
    made = subprocess.run(stamp, cwd=folder, env=environ, check=True, capture_output=True, text=True)
    (venv / "requirements.txt.stamp").write_text(made.stdout)
    return Copy(folder, environ, {str(home): HOME})


def alike(lines: Iterable[str]) -> list[str]:
    """Replace what differs from run to run, and leave out empty lines at both ends."""
    kept = []
    for line in lines:
        for pattern, instead in DIFFERS:
            line = pattern.sub(instead, line)
        if line != ONCE:
            kept.append(line)
    return "\n".join(kept).strip("\n").splitlines()


def shows(shown: Iterable[str], printed: Iterable[str]) -> bool:
    """Tell whether printed lines are what a page shows; its line `...` stands for any lines, or none."""
    pattern = "".join(r"(?:.*\n)*?" if line == ANYTHING else re.escape(line) + r"\n" for line in alike(shown))
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in alike(printed))) is not None


def fault_of(ran: Ran) -> str | None:
    """Say what is wrong with a page about a command that ran; None when it printed what the page shows.

    A command may fail only where the page shows its error.
    """
    shown, where = ran.command.shown, f"line {ran.command.line}: $ {ran.command.command}"
    told = any(line.startswith("error:") for line in shown or ())
    if (ran.code != 0) != told:
        expected = "an error is shown" if told else "no error is shown"
        return "\n".join((f"{where}\n{expected}, and it ended with {ran.code}:", *ran.printed))
    if shown is None or shows(shown, ran.printed):
        return None
    return "\n".join((where, _first_difference(shown, ran.printed), "it prints:", *alike(ran.printed)))


def _first_difference(shown: Sequence[str], printed: Sequence[str]) -> str:
    for number in range(1, len(shown) + 1):
        if not shows((*shown[:number], ANYTHING), printed):
            return f"the first line that it does not print there: {shown[number - 1]}"
    return "it prints more than the page shows"


def with_output(page: str, every: Iterable[Ran]) -> str:
    """Give the text of a page with what its commands print now, where it shows something else.

    A command whose output the page shortens by `...` is not changed, and is named on stderr.
    """
    written = page.split("\n")
    for ran in sorted(every, key=lambda ran: -ran.command.line):
        first, shown = ran.command.line + ran.command.command.count("\n"), ran.command.shown
        if shown is None or shows(shown, ran.printed):
            continue
        if ANYTHING in (line.strip() for line in shown):
            sys.stderr.write(f"{fault_of(ran)}\n\n")
        else:
            written[first : first + len(shown)] = "\n".join(ran.printed).rstrip().splitlines()
    return "\n".join(written)
