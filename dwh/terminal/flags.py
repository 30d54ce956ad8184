"""The flags that scripts share, and the form of every --help."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from typing import NoReturn

from dwh import __version__
from dwh.terminal.commands import as_called, program_of
from dwh.terminal.errors import MEANINGS, ConfigError

EXIT_CODES = "exit codes: " + ", ".join(f"{int(code)} {meaning.short}" for code, meaning in MEANINGS.items())


class ScriptParser(argparse.ArgumentParser):
    """An argument parser: its help is the script's docstring, and it reports wrong flags in the suite's own form."""

    def __init__(self, script: str, doc: str | None) -> None:
        super().__init__(
            prog=program_of(script),
            usage="%(prog)s [options]",
            description=as_called((doc or "").strip()),
            epilog=EXIT_CODES,
            formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=27, width=110),
            allow_abbrev=False,
            add_help=False,
        )
        self._script = script
        self._given: list[str] = []
        self.what = self.add_argument_group("what")
        self.how = self.add_argument_group("how")
        self.output = self.add_argument_group("output")
        self.output.add_argument("-h", "--help", action="help", help="show this and exit")
        self.output.add_argument("--version", action="version", version=f"sparkify-warehouse {__version__}")
        self.output.add_argument("-q", "--quiet", action="store_true", help="errors only")
        self.output.add_argument("--json", action="store_true", help="one JSON object on stdout, also on failure")

    def parse_known_args(  # type: ignore[override] # of the three forms only this one is used
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse as argparse does, and remember what was given."""
        self._given = list(args or ())
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Raise a ConfigError instead of printing usage and leaving; a flag with a typo gets the right command."""
        _, unknown, words = message.partition("unrecognized arguments: ")
        right = self._without_typos() if unknown and words.startswith("-") else None
        hint = shlex.join(["python", f"{self._script}.py", *(right or ["--help"])])
        raise ConfigError(f"{self.prog}: {message}", hint=hint)

    def _without_typos(self) -> list[str] | None:
        """Give what was given with the flags that were meant; None when one is like no flag."""
        import difflib

        right = []
        for word in self._given:
            flag, equals, value = word.partition("=")
            if not word.startswith("--") or flag in self._option_string_actions:
                right.append(word)
                continue
            meant = difflib.get_close_matches(flag, list(self._option_string_actions), n=1)
            if not meant:
                return None
            right.append(meant[0] + equals + value)
        return right if right != self._given else None


def warehouse_parser(script: str, doc: str | None) -> ScriptParser:
    """Make the parser of a script that works on the warehouse, with the flags that all of them share."""
    parser = ScriptParser(script, doc)
    parser.how.add_argument("--config", metavar="FILE", help="default: dwh.cfg here, else the one beside the scripts")
    parser.how.add_argument("--engine", metavar="NAME", help="duckdb (default), postgres or redshift")
    parser.output.add_argument(
        "-v", "--verbose", action="count", default=0, help="each statement; -vv: its SQL, and tracebacks"
    )
    parser.output.add_argument("--no-color", action="store_true", help="no colours (also: NO_COLOR=1)")
    parser.output.add_argument(
        "--log-file",
        metavar="FILE",
        help="write everything that -vv shows to this file as well, each line with its time",
    )
    parser.output.add_argument(
        "--metrics", metavar="FILE", help="write what status.json knows to this file, for Prometheus"
    )
    return parser


def confirmation_flag(parser: ScriptParser) -> None:
    """Add `--yes`, for the scripts that ask before they delete something."""
    parser.how.add_argument("--yes", action="store_true", help="do not ask")


def wait_flag(parser: ScriptParser) -> None:
    """Add `--wait`, for the scripts that another program may be in the way of."""
    parser.how.add_argument(
        "--wait", metavar="TIME", type=duration, default=0.0, help="how long to wait for another program, such as 5m"
    )


def take_over_flag(parser: ScriptParser) -> None:
    """Add `--take-over`, for the scripts that replace what they wrote before."""
    parser.how.add_argument(
        "--take-over", action="store_true", help="replace it even if a warehouse at another place wrote it"
    )


def duration(text: str) -> float:
    """Read a duration such as `90`, `90s`, `5m` or `1h`, in seconds. Raises argparse.ArgumentTypeError for anything
    else."""
    number, unit = (text[:-1], text[-1]) if text.endswith(("s", "m", "h")) else (text, "s")
    if not number.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration (90s, 5m, 1h)")
    return float(number) * {"s": 1, "m": 60, "h": 3600}[unit]
