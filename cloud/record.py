"""What a walk saw: a table for people, and one JSON object without a secret, an account or an address in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any, Literal, NamedTuple

from cloud.steps import STEPS, Step
from cloud.walk import CLUSTER, SERVERLESS, Walk
from dwh import __version__
from dwh.terminal.wording import masked

Status = Literal["as expected", "differs", "recorded", "not walked"]
MARKS: dict[str, str] = {"as expected": "=", "differs": "~", "recorded": "?", "not walked": "-"}
STAND_IN, AWS = "a stand-in", "AWS"
LONGEST_SEEN = 600
_ACCOUNT, _ADDRESS = re.compile(r"\b\d{12}\b"), re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?:/\d+)?\b")


class Seen(NamedTuple):
    """How one step went; `text` is what was seen, or why it was not walked."""

    status: Status
    text: str
    seconds: float


def printed(text: str) -> str:
    """Give what was seen as it may be published."""
    return _ADDRESS.sub("ADDRESS", _ACCOUNT.sub("ACCOUNT", masked(" ".join(text.split()))))[:LONGEST_SEEN]


class Record:
    """The record of one walk. `answered_by` says whether AWS or a stand-in answered."""

    def __init__(self, walk: Walk, answered_by: str) -> None:
        self.seen: dict[str, Seen] = {}
        self.left: list[str] = []
        self.answered_by = answered_by
        self._walk, self._began = walk, datetime.now(UTC)

    @property
    def differing(self) -> list[str]:
        """Name the steps that differ."""
        return [name for name, seen in self.seen.items() if seen.status == "differs"]

    def payload(self) -> dict[str, Any]:
        """Give the object."""
        cluster = self._walk.settings[CLUSTER].cluster
        packages = ("boto3", "duckdb", "psycopg2-binary")
        return {
            "name": self._walk.name,
            "began": f"{self._began:%Y-%m-%dT%H:%M:%SZ}",
            "seconds": round((datetime.now(UTC) - self._began).total_seconds(), 1),
            "answered_by": self.answered_by,
            "region": self._walk.accounts[CLUSTER].region,
            "node_type": cluster.node_type,
            "base_rpu": self._walk.settings[SERVERLESS].cluster.base_rpu,
            "versions": {
                "suite": __version__,
                "python": python_version(),
                **{name: version(name) for name in packages},
            },
            "steps": [self._row(number, step) for number, step in enumerate(STEPS, 1)],
            "left": self.left,
        }

    def write(self, path: Path) -> None:
        """Write the object to a file, which is never half written."""
        new = path.with_name(f"{path.name}.new")
        new.write_text(json.dumps(self.payload(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        new.replace(path)

    def lines(self, step: Step, number: int) -> Iterator[str]:
        """Tell one step: its mark, its name, and what was seen."""
        seen = self.seen[step.name]
        by = f" (by {self.answered_by})" if step.asks and seen.status == "recorded" else ""
        yield f"{MARKS[seen.status]} {number:>2} {step.name:<24} {seen.seconds:>6.1f} s  {seen.text}{by}"
        if seen.status == "differs":
            yield f"     expected: {step.expect}; look at {step.differs}"

    def _row(self, number: int, step: Step) -> dict[str, Any]:
        seen = self.seen.get(step.name, Seen("not walked", "the walk ended before it", 0.0))
        shown = {"number": number, "name": step.name, "on": step.kind, "run": step.run, "expect": step.expect}
        asked = {"answered_by": self.answered_by} if step.asks else {}
        return {**shown, "status": seen.status, "seen": seen.text, "seconds": round(seen.seconds, 1), **asked}


def summary(seen: Sequence[Seen]) -> str:
    """Count the steps by how they went."""
    counted = {status: sum(one.status == status for one in seen) for status in MARKS}
    return ", ".join(f"{number} {status}" for status, number in counted.items() if number)
