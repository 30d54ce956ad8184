"""The commands that are shown to users: with the settings of the run that shows them, so that they work as printed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from typing import NamedTuple

SETTINGS = ("--config", "--engine")
WITHOUT_SETTINGS = ("make_sample",)
INSTALLED = "sparkify-"  # how the commands of an installed suite begin (pyproject.toml names them)
_SCRIPT = re.compile(r"\bpython (\w+)\.py\b(.*?)(?=, then |; |     |$)")
_QUOTED = r"'[^']*'|\"[^\"]*\""
_FLAG = rf"--[a-z-]+(?: (?:{_QUOTED}|[^\s'\"-])(?:{_QUOTED}|[^\s'\";])*)?"
_AGAIN = re.compile(rf"^((?:\w+=\S+ )*)the same command again(?: with ({_FLAG}))?(?:[,;] (.+))?")


class Call(NamedTuple):
    """How a script was called: its name and its arguments."""

    script: str
    arguments: tuple[str, ...]

    def again(self, *flags: str) -> str:
        """Give this command again, and with these flags; one that was given already is given anew."""
        values = dict(_pairs(flags))
        kept = [word for flag, given in _pairs(self.arguments) if flag not in values for word in (flag, *given)]
        return self._command(self.script, [word for word in (*kept, *flags) if word])

    def instead(self, word: str, right: str) -> str:
        """Give this command again, with the right word in place of one that was given, or added when it was not."""
        words = [right if given == word else given for given in self.arguments]
        return self._command(self.script, words if word in self.arguments else [*words, right])

    def other(self, script: str, *flags: str) -> str:
        """Give the command of a script with these flags, and with the settings of this run."""
        return self._command(script, [*self._settings(), *flags])

    def complete(self, hint: str) -> str:
        """Give a hint as it can be run: `the same command again` and `a script of ours` become whole commands."""
        if again := _AGAIN.match(hint):
            assigned, flag, told = again.groups()
            command = self.again(*shlex.split(flag or ""))
            hint = assigned + command + (f"     ({told})" if told else "") + hint[again.end() :]
        return _SCRIPT.sub(self._with_settings, hint)

    def _with_settings(self, found: re.Match[str]) -> str:
        script, rest = found[1], found[2]
        missing = [
            word for flag, given in _pairs(self._settings()) if f" {flag}" not in rest for word in (flag, *given)
        ]
        return self._command(script, [] if script in WITHOUT_SETTINGS else missing) + rest

    def _settings(self) -> list[str]:
        """Give --config and --engine as they were given."""
        return [word for flag, given in _pairs(self.arguments) if flag in SETTINGS for word in (flag, *given)]

    def _command(self, script: str, words: Sequence[str]) -> str:
        """Give a command that finds the script from the folder in which this one was started."""
        folder, started = os.path.split(sys.argv[0])
        if started.startswith(INSTALLED):
            on_path = os.path.realpath(shutil.which(started) or "") == os.path.realpath(sys.argv[0])
            return shlex.join([os.path.join("" if on_path else folder, program_of(script)), *words])
        here = started != f"{self.script}.py" or os.path.realpath(folder or ".") == os.path.realpath(".")
        return shlex.join(["python", f"{script}.py" if here else os.path.join(folder, f"{script}.py"), *words])


def script_of(program: str) -> str:
    """Give the script that a program is, by its path: `etl` of here/etl.py, and of bin/sparkify-etl."""
    name = os.path.basename(program)
    if name.startswith(INSTALLED):
        return name.removeprefix(INSTALLED).replace("-", "_")
    return name.removesuffix(".py")


def program_of(script: str) -> str:
    """Give the name of the program that runs a script: etl.py, or sparkify-etl when the suite is installed."""
    if os.path.basename(sys.argv[0]).startswith(INSTALLED):
        return INSTALLED + script.replace("_", "-")
    return f"{script}.py"


def as_called(text: str) -> str:
    """Give a text with each `python etl.py` as it is called here."""
    if not os.path.basename(sys.argv[0]).startswith(INSTALLED):
        return text
    return re.sub(r"\bpython (\w+)\.py\b", lambda found: program_of(found[1]), text)


def _pairs(arguments: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Cut arguments into flags, each with the words up to the next one; `--flag=value` becomes two words.

    Words before the first flag stand under an empty one.
    """
    cut: list[tuple[str, tuple[str, ...]]] = []
    for word in arguments:
        flag, equals, value = word.partition("=") if word.startswith("--") else ("", "", "")
        if flag:
            cut.append((flag, (value,) if equals else ()))
        elif re.match(r"-[^\d]", word):
            cut.append((word, ()))
        elif cut and cut[-1][0] and not cut[-1][1]:
            cut[-1] = cut[-1][0], (word,)
        else:
            cut.append(("", (word,)))
    return cut
