"""Named questions: files of SQL that each begin with the question in words, and say what can be given to them.

    -- Which songs were played most?
    -- :days integer = 30   the last so many days, counted from the newest play
    SELECT ... WHERE start_time > ... :days ...

A value is bound where its name stands. It never becomes SQL text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from dwh.terminal.errors import ConfigError

_DECLARED = re.compile(r"-- :(?P<name>[a-z_]+) (?P<type>[a-z]+) = (?P<default>\S+) +(?P<meaning>.+)")
_USED = re.compile(r":([a-z_]+)")


def _integer(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ValueError("a whole number")
    return int(text)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("a day such as 2018-11-30") from None


TYPES: Mapping[str, Callable[[str], object]] = {"integer": _integer, "date": _date, "text": str}


class Parameter(NamedTuple):
    """What can be given to a question; `type` is a key of TYPES, `default` the text that stands for it otherwise."""

    name: str
    type: str
    default: str
    meaning: str


class Question(NamedTuple):
    """A question: its name, its words, its parameters, and its SELECT, where `:name` stands for a parameter."""

    name: str
    words: str
    parameters: Sequence[Parameter]
    sql: str

    def bind(self, given: Mapping[str, str]) -> tuple[str, list[object]]:
        """Give the SELECT with %s for each value, and the values in their order. Raises ConfigError for a parameter
        that the question has not, and for a value of another type."""
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given.keys() - known.keys():
            takes = ", ".join(f"--{each}" for each in known) or "nothing"
            raise ConfigError(f"{self.name} has no --{name}: it takes {takes}", hint="python ask.py --list")
        values = {name: _read(parameter, given.get(name)) for name, parameter in known.items()}
        return _USED.sub("%s", self.sql), [values[name] for name in _USED.findall(self.sql)]


def _read(parameter: Parameter, given: str | None) -> object:
    try:
        return TYPES[parameter.type](parameter.default if given is None else given)
    except ValueError as error:
        raise ConfigError(
            f"--{parameter.name} {given}: {error} is expected",
            hint=f"the same command again with --{parameter.name} {parameter.default}",
        ) from None


def read_question(path: Path) -> Question:
    """Read a file of one question."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head = [line for line in lines if line.startswith("--")]
    declared = [match for line in head if (match := _DECLARED.fullmatch(line))]
    words = " ".join(line.removeprefix("-- ") for line in head if not _DECLARED.fullmatch(line))
    sql = "\n".join(lines[len(head) :]).strip()
    return Question(path.stem, words, [Parameter(**match.groupdict()) for match in declared], sql)


def read_questions(folder: Path) -> dict[str, Question]:
    """Read all questions of a folder, by name."""
    return {path.stem: read_question(path) for path in sorted(folder.glob("*.sql"))}


def find_question(questions: Mapping[str, Question], name: str) -> Question:
    """Give the question of a name. Raises ConfigError, with the nearest name, when there is none."""
    if name in questions:
        return questions[name]
    import difflib

    close = difflib.get_close_matches(name, questions, n=1)
    hints = [f"python ask.py {close[0]}"] if close else []
    raise ConfigError(f"there is no question {name}", hint=[*hints, "python ask.py --list"])
