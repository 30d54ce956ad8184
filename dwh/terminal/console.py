"""The output of every script: the result on stdout, everything else on stderr. One place turns failures into exit
codes."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from io import TextIOWrapper
from typing import IO, Any, TextIO

from dwh.terminal import signals
from dwh.terminal.commands import Call, script_of
from dwh.terminal.errors import ConfigError, DwhError, EnvironmentFailure, ExitCode, Interrupted, Stopped
from dwh.terminal.flags import warehouse_parser
from dwh.terminal.log import Log, begin_run, new_run_id
from dwh.terminal.wording import masked, printable

ERROR_LINES = 8
# New objects before Python looks for cycles, of which a script makes few: at 700 it took 10 % of an export's CPU.
MOST_NEW_OBJECTS = 1_000_000
_last_word: list[Callable[[], str]] = []
_endings: list[Callable[[int, dict[str, Any]], None]] = []
_told: dict[str, Any] = {}
_run_ids: list[str] = []
_COLOURS = {"red": "31", "yellow": "33", "green": "32"}


class Console:
    """The two streams of one run of one script."""

    def __init__(self, script: str, args: argparse.Namespace, arguments: Sequence[str] = (), run_id: str = "") -> None:
        self.script = script
        self.call = Call(script, tuple(arguments))
        self.run_id = run_id or new_run_id()
        _run_ids[:] = [self.run_id]
        self.json: bool = args.json
        self.quiet: bool = args.quiet
        self.verbosity: int = getattr(args, "verbose", 0)
        self.started = time.monotonic()
        self._plain = (
            getattr(args, "no_color", False) or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        )
        log_file: str | None = getattr(args, "log_file", None)
        self._log = Log(log_file, self.run_id) if log_file is not None else None
        self._failing = False
        if self._log:
            self._log.head(script, self.call.again())

    def title(self, subject: str) -> None:
        """Say what is about to happen, before anything that takes time."""
        self.say(f"{self.script:<15} {printable(subject)}", indent="")

    def say(self, text: str, colour: str = "", indent: str = "  ", level: str = "INFO") -> None:
        """Write one line about the run to stderr (not with -q)."""
        self._write(sys.stderr, indent + printable(text), colour, shown=not self.quiet, level=level)

    def note(self, text: str) -> None:
        """Write one line that a person should read, though nothing failed (not with -q)."""
        self.say(f"note: {text}", colour="yellow", indent="", level="WARNING")

    def detail(self, text: str) -> None:
        """Write one line to stderr with -v."""
        self._write(sys.stderr, "  " + printable(text), "", shown=self.verbosity >= 1, level="DEBUG")

    def trace(self, text: str) -> None:
        """Write lines to stderr with -vv."""
        for line in text.splitlines():
            self._write(sys.stderr, "    " + printable(line), "", shown=self.verbosity >= 2, level="DEBUG")

    def result(self, text: str, colour: str = "") -> None:
        """Write one line of the result to stdout (not with --json, which prints its object instead, nor with -q)."""
        self._write(sys.stdout, "  " + printable(text), colour, shown=not (self.json or self.quiet))

    def finish(self, payload: dict[str, Any], *, ok: bool = True) -> None:
        """Tell the object of the run, and print it with --json: `script` and `ok`, then the payload."""
        told = {"script": self.script, "ok": ok, **payload}
        _told.update(told)
        if self.json:
            import json

            print(json.dumps(told, default=str), flush=True)

    def warn(self, text: str) -> None:
        """Write a line that matters more than -q, such as one about costs, with its commands complete."""
        self._failing = True
        self._write(sys.stderr, printable(self.call.complete(text)), "", shown=True, level="WARNING")

    def traceback(self, text: str, *, shown: bool) -> None:
        """Write a traceback to the log, and to stderr when it is shown."""
        self._failing = True
        for line in masked(text).splitlines():
            self._write(sys.stderr, line, "", shown=shown, level="ERROR")

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
                hint="the same command again with --yes",
            )
        sys.stderr.write(f"{printable(question)}: ")
        sys.stderr.flush()
        if signals.read_line(sys.stdin).strip() != name:
            raise ConfigError(f"not confirmed: {printable(name)} was not typed; nothing was changed")

    def agrees(self, question: str) -> bool:
        """Ask the user a question, to which no is the answer unless `y` is typed. Without a terminal nobody is asked,
        and it is no."""
        if not (sys.stdin.isatty() and sys.stderr.isatty()) or self.json:
            return False
        sys.stderr.write(f"{printable(question)} [y/N]: ")
        sys.stderr.flush()
        return signals.read_line(sys.stdin).strip().lower() in ("y", "yes")

    @contextmanager
    def progress(self, label: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        """Show the progress of a long step; the block calls the given function with the amount done since the last.

        On a terminal: one line that is rewritten. Elsewhere: a plain line every 30 seconds, never a carriage return.
        """
        if self.quiet or self.json or total <= 0:
            yield lambda _done: None
        elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            from dwh.terminal.progress import bar

            with bar(label, total, unit, plain=self._plain) as advance:
                yield advance
        else:
            from dwh.terminal.progress import plain_lines

            yield plain_lines(self.say, label, total, unit)

    def _write(self, stream: IO[str], line: str, colour: str, *, shown: bool, level: str = "INFO") -> None:
        # an error is being reported already: it must not fail because the log cannot be written
        with suppress(OSError) if self._failing else nullcontext():
            if self._log:
                self._log.write(level, line)
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
        hints = [printable(self.call.complete(hint)) for hint in error.hint]
        lines += [f"  try: {hint}" for hint in hints]
        self._write(sys.stderr, f"error: {printable(error.message)}", "red", shown=True, level="ERROR")
        for line in lines:
            self._write(sys.stderr, line, "", shown=True, level="ERROR")
        described = {
            "kind": error.kind,
            "message": printable(error.message),
            "hint": hints,
        }
        try:
            self.finish({"error": {**described, "exit_code": int(error.exit_code)}}, ok=False)
        except OSError:
            _give_up(sys.stdout)


def end_with(word: Callable[[], str]) -> None:
    """Make `run` print this last, however the script ends, even with -q: it is about costs."""
    _last_word[:] = [word]


def at_end(act: Callable[[int, dict[str, Any]], None]) -> None:
    """Make `run` do this when the script has ended, with its exit code and its object. It changes neither."""
    _endings[:] = [act]


def run(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Run a script's `main` and give its exit code. Every failure is reported once, in one form (see ExitCode).

    This is the only place that catches an unexpected exception: a bug, shown with its traceback, exit code 70.
    """
    _begin()
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        code = main(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader (`| head`) needs no more
        _give_up(sys.stdout)
        code = ExitCode.OK
    except DwhError as error:
        console = _last_resort(arguments)
        console.fail(error)
        console.traceback(_traceback(), shown=console.verbosity >= 2)
        code = error.exit_code
    except (Interrupted, KeyboardInterrupt):
        code = _tell_stopped(arguments)
    except Exception as error:  # noqa: BLE001
        code = _tell_unexpected(error, arguments)
    finally:
        _say_last_word(arguments)
    for act in _endings:
        act(code, _told)
    try:
        sys.stderr.flush()
    except OSError:
        _give_up(sys.stderr)
    return code


def _begin() -> None:
    """Begin a run: nothing is left of an earlier one in this process, and a stream that cannot write a character, such
    as one of ASCII only, writes its escape."""
    gc.set_threshold(MOST_NEW_OBJECTS, 2, 2)
    signals.listen()
    begin_run()
    _last_word.clear()
    _endings.clear()
    _told.clear()
    _run_ids.clear()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _tell_stopped(arguments: Sequence[str]) -> ExitCode:
    stopped = "stopped before the end; committed work is kept"
    _last_resort(arguments).fail(Stopped(stopped, hint="the same command again; it continues from there"))
    return ExitCode.INTERRUPTED


def _tell_unexpected(error: Exception, arguments: Sequence[str]) -> int:
    """Report an unexpected error. An OSError (a full disk under a log file, a folder without write permission) is not
    a bug, nor is what comes of a stop; everything else is."""
    if signals.stop_requested():
        return _tell_stopped(arguments)
    if not isinstance(error, OSError):
        console = _last_resort(arguments)
        console.traceback(_traceback(), shown=True)
        console.fail(DwhError(f"unexpected {type(error).__name__}: {error}", hint="report this with the lines above"))
        return ExitCode.BUG
    try:
        sys.stdout.flush()
    except OSError:
        _give_up(sys.stdout)
    console = _last_resort(arguments)
    about = f"{error.filename}: " if error.filename else ""
    console.fail(
        EnvironmentFailure(
            f"{about}{error.strerror or error}",
            evidence="unfinished work was rolled back; committed work is kept",
            hint="the same command again; when that is fixed, -vv shows where it happened",
        )
    )
    console.traceback(_traceback(), shown=console.verbosity >= 2)
    return ExitCode.ENVIRONMENT


def _give_up(stream: TextIO) -> None:
    """Replace a stream that cannot be written: Python would report it again when it closes it, with exit code 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _say_last_word(arguments: Sequence[str]) -> None:
    for word in filter(None, (say() for say in _last_word)):
        _last_resort(arguments).warn(word)


def _last_resort(arguments: Sequence[str]) -> Console:
    """Make a console from the common arguments alone: the script's own parser may be what failed."""
    script = script_of(sys.argv[0])
    run_id = _run_ids[-1] if _run_ids else ""
    with suppress(ConfigError):
        known = [a for a in arguments if a not in ("-h", "--help", "--version")]
        return Console(script, warehouse_parser(script, None).parse_known_args(known)[0], arguments, run_id)
    return Console(script, argparse.Namespace(json="--json" in arguments, quiet=False), arguments, run_id)


def _traceback() -> str:
    import traceback

    return traceback.format_exc()
