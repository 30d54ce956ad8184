"""The output of every script: the result on stdout, everything else on stderr. One place turns failures into exit
codes."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import IO, Any

from dwh.terminal import signals
from dwh.terminal.errors import ConfigError, DwhError, EnvironmentFailure, ExitCode, Interrupted
from dwh.terminal.flags import warehouse_parser
from dwh.terminal.wording import masked, printable, seconds

PLAIN_PROGRESS_SECONDS = 30.0
ERROR_LINES = 8
_last_word: list[Callable[[], str]] = []
_COLOURS = {"red": "31", "yellow": "33", "green": "32"}


class Console:
    """The two streams of one run of one script."""

    def __init__(self, script: str, args: argparse.Namespace) -> None:
        self.script = script
        self.json: bool = args.json
        self.quiet: bool = args.quiet
        self.verbosity: int = getattr(args, "verbose", 0)
        self.started = time.monotonic()
        self._plain = (
            getattr(args, "no_color", False) or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        )
        self._log: IO[str] | None = _open_log(getattr(args, "log_file", None))
        self._failing = False

    def title(self, subject: str) -> None:
        """Say what is about to happen, before anything that takes time."""
        self.say(f"{self.script:<15} {printable(subject)}", indent="")

    def say(self, text: str, colour: str = "", indent: str = "  ") -> None:
        """Write one line about the run to stderr (not with -q)."""
        self._write(sys.stderr, indent + printable(text), colour, shown=not self.quiet)

    def note(self, text: str) -> None:
        """Write one line that a person should read, though nothing failed (not with -q)."""
        self.say(f"note: {text}", colour="yellow", indent="")

    def detail(self, text: str) -> None:
        """Write one line to stderr with -v."""
        self._write(sys.stderr, "  " + printable(text), "", shown=self.verbosity >= 1)

    def trace(self, text: str) -> None:
        """Write lines to stderr with -vv."""
        for line in text.splitlines():
            self._write(sys.stderr, "    " + printable(line), "", shown=self.verbosity >= 2)

    def result(self, text: str, colour: str = "") -> None:
        """Write one line of the result to stdout (not with --json, which prints its object instead, nor with -q)."""
        self._write(sys.stdout, "  " + printable(text), colour, shown=not (self.json or self.quiet))

    def finish(self, payload: dict[str, Any], *, ok: bool = True) -> None:
        """Print the object of --json: `script` and `ok`, then the payload."""
        if self.json:
            import json

            print(json.dumps({"script": self.script, "ok": ok, **payload}, default=str), flush=True)

    @property
    def elapsed(self) -> float:
        """Seconds since this run started."""
        return time.monotonic() - self.started

    def confirm(self, name: str, question: str, *, yes: bool) -> None:
        """Ask the user to type the name of what will be deleted.

        Returns when the name was typed, or with --yes. Raises ConfigError for another answer, and when there is no
        terminal.
        """
        if yes:
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()) or self.json:
            raise ConfigError(
                f"{self.script} needs a confirmation, and there is no terminal to ask on",
                hint=f"python {self.script}.py ... --yes",
            )
        sys.stderr.write(f"{printable(question)}: ")
        sys.stderr.flush()
        if signals.read_line(sys.stdin).strip() != name:
            raise ConfigError(f"not confirmed: {printable(name)} was not typed; nothing was changed")

    @contextmanager
    def progress(self, label: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        """Show the progress of a long step; the block calls the given function with the amount done since the last.

        On a terminal: one line that is rewritten. Elsewhere: a plain line every 30 seconds, never a carriage return.
        """
        if self.quiet or self.json or total <= 0:
            yield lambda _done: None
        elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            with self._bar(label, total, unit) as advance:
                yield advance
        else:
            yield _PlainProgress(self, label, total, unit).advance

    @contextmanager
    def _bar(self, label: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("  {task.description}"),
            BarColumn(24),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=RichConsole(stderr=True, no_color=self._plain), transient=True) as bar:
            task = bar.add_task(label, total=total)
            yield lambda done: bar.advance(task, done)

    def _write(self, stream: IO[str], line: str, colour: str, *, shown: bool) -> None:
        # an error is being reported already: it must not fail because the log cannot be written
        with suppress(OSError) if self._failing else nullcontext():
            if self._log:
                self._log.write(line + "\n")
                self._log.flush()
        if not shown:
            return
        # the reader of stderr may close it (`2>&1 | head`): that must not stop a load; `run` handles a broken stdout
        with suppress(BrokenPipeError) if stream is sys.stderr else nullcontext():
            stream.write(
                f"\x1b[{_COLOURS[colour]}m{line}\x1b[0m\n" if colour and self._coloured(stream) else line + "\n"
            )
            stream.flush()

    def _coloured(self, stream: IO[str]) -> bool:
        return not self._plain and stream.isatty()

    def fail(self, error: DwhError) -> None:
        """Write an error in the form of the suite: what failed, the evidence, `try:` lines; at most eight lines."""
        self._failing = True
        lines = [*(f"  {printable(line)}" for line in error.evidence)][: ERROR_LINES - 1 - len(error.hint)]
        lines += [f"  try: {printable(hint)}" for hint in error.hint]
        self._write(sys.stderr, f"error: {printable(error.message)}", "red", shown=True)
        for line in lines:
            self._write(sys.stderr, line, "", shown=True)
        described = {
            "kind": error.kind,
            "message": printable(error.message),
            "hint": [printable(h) for h in error.hint],
        }
        try:
            self.finish({"error": {**described, "exit_code": int(error.exit_code)}}, ok=False)
        except OSError:
            _give_up_stdout()


class _PlainProgress:
    def __init__(self, console: Console, label: str, total: int, unit: str) -> None:
        self.console, self.label, self.total, self.unit = console, label, total, unit
        self.done = 0
        self.next_line = time.monotonic() + PLAIN_PROGRESS_SECONDS

    def advance(self, done: int) -> None:
        self.done += done
        if time.monotonic() >= self.next_line:
            self.console.say(
                f"{self.label}: {self.done:,} of {self.total:,} {self.unit}, {seconds(self.console.elapsed)} elapsed"
            )
            self.next_line += PLAIN_PROGRESS_SECONDS


def end_with(word: Callable[[], str]) -> None:
    """Make `run` print this last, however the script ends, even with -q: it is about costs."""
    _last_word[:] = [word]


def run(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Run a script's `main` and give its exit code. Every failure is reported once, in one form (see ExitCode).

    This is the only place that catches an unexpected exception: a bug, shown with its traceback, exit code 70.
    """
    signals.listen()
    _last_word.clear()
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        code = main(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # the reader (`| head`) needs no more
        _give_up_stdout()
        return ExitCode.OK
    except DwhError as error:
        console = _last_resort(arguments)
        console.fail(error)
        if console.verbosity >= 2:
            _print_traceback()
        return error.exit_code
    except (Interrupted, KeyboardInterrupt):
        _last_resort(arguments).fail(
            _Stopped(
                "stopped before the end; committed work is kept", hint="the same command again; it continues from there"
            )
        )
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001
        return _tell_unexpected(error, arguments)
    finally:
        _say_last_word()


def _tell_unexpected(error: Exception, arguments: Sequence[str]) -> int:
    """Report an unexpected error. An OSError (a full disk under a log file, a folder without write permission) is not
    a bug; everything else is."""
    if signals.stop_requested():
        return ExitCode.INTERRUPTED
    if not isinstance(error, OSError):
        _print_traceback()
        _last_resort(arguments).fail(
            DwhError(f"unexpected {type(error).__name__}: {error}", hint="report this with the lines above")
        )
        return ExitCode.BUG
    try:
        sys.stdout.flush()
    except OSError:
        _give_up_stdout()
    console = _last_resort(arguments)
    about = f"{error.filename}: " if error.filename else ""
    console.fail(
        EnvironmentFailure(
            f"{about}{error.strerror or error}",
            evidence="unfinished work was rolled back; committed work is kept",
            hint="the same command again, when that is fixed (-vv shows where it happened)",
        )
    )
    if console.verbosity >= 2:
        _print_traceback()
    return ExitCode.ENVIRONMENT


def _give_up_stdout() -> None:
    """Replace a stdout that cannot be written: Python would report it again when it closes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say_last_word() -> None:
    for word in filter(None, (say() for say in _last_word)):
        with suppress(BrokenPipeError):
            sys.stderr.write(f"{printable(word)}\n")
            sys.stderr.flush()


class _Stopped(DwhError):
    kind = "interrupted"
    exit_code = ExitCode.INTERRUPTED


def _last_resort(arguments: Sequence[str]) -> Console:
    """Make a console from the common arguments alone: the script's own parser may be what failed."""
    script = os.path.basename(sys.argv[0]).removesuffix(".py")
    known = warehouse_parser(script, None)
    with suppress(ConfigError):
        return Console(
            script, known.parse_known_args([a for a in arguments if a not in ("-h", "--help", "--version")])[0]
        )
    return Console(script, argparse.Namespace(json="--json" in arguments, quiet=False))


def _print_traceback() -> None:
    import traceback

    sys.stderr.write(masked(traceback.format_exc()))


def _open_log(path: str | None) -> IO[str] | None:
    if path is None:
        return None
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"the log file cannot be written: {path}", evidence=str(error), hint="another --log-file"
        ) from error
