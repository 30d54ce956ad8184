"""The pages of the documentation as the tests read them: their blocks, headings and links."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
USER_PAGES = ("README.md", "docs/tutorial/*.md", "docs/how-to/*.md", "docs/reference/*.md", "docs/explanation/*.md")

_BLOCK = re.compile(r"^```([\w-]*)[^\n]*\n(.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
_SETUP = re.compile(r"<!-- setup: (.*?) -->", re.DOTALL)
_FILE = re.compile(r"<!-- file: (\S+) -->\n+```[^\n]*\n(.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
_NEEDS = re.compile(r"<!-- needs: (\w+) -->")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(\s*(?:<([^<>]+)>|([^()\s<>]+))[^()]*\)|\b(?:src|href)=\"([^\"]+)\"")
_HEADING = re.compile(r"^#{1,6} +(.+?)(?: +#+)?$", re.MULTILINE)
_ANCHOR = re.compile(r"<a +(?:id|name)=\"([^\"]+)\"")


class Block(NamedTuple):
    """A fenced block: its language (the first word behind the fence), its text, and its first line in the page."""

    language: str
    text: str
    line: int


class Command(NamedTuple):
    """A command of a page and the lines that the page shows below it. `shown` is None for one that only sets up."""

    command: str
    shown: tuple[str, ...] | None
    line: int


def user_pages() -> list[Path]:
    """Give the pages that a user reads, README first."""
    return [path for pattern in USER_PAGES for path in sorted(ROOT.glob(pattern))]


def tracked_pages() -> list[Path]:
    """Give every Markdown file of the repository, those that are not committed yet too."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, encoding="utf-8").stdout.splitlines()
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def named(path: Path) -> str:
    """Give the path of a page from the top of the repository."""
    return str(path.relative_to(ROOT))


def blocks(text: str, *languages: str) -> Iterator[Block]:
    """Give the blocks of a page in these languages, in order; of all languages when none is named."""
    for found in _BLOCK.finditer(text):
        if not languages or found[1] in languages:
            yield Block(found[1], found[2], text.count("\n", 0, found.start(2)) + 1)


def commands(text: str) -> list[Command]:
    """Give the commands of a page in order: those of its `console` blocks, and what comments add.

    `$ ` begins a command and `> ` goes on with it. All other lines are its output. `<!-- setup: COMMAND -->` runs a
    command that the page does not show. `<!-- file: NAME -->` before a block writes that block to a file.
    Raises ValueError for a console block that does not begin with a command.
    """
    found = [Command(setup[1], None, text.count("\n", 0, setup.start()) + 1) for setup in _SETUP.finditer(text)]
    for file in _FILE.finditer(text):
        name, content = file.groups()
        write = f"mkdir -p \"$(dirname {name})\" && cat >{name} <<'END OF FILE'\n{content}END OF FILE"
        found.append(Command(write, None, text.count("\n", 0, file.start()) + 1))
    for block in blocks(text, "console"):
        found += _commands_of(block)
    return sorted(found, key=lambda command: command.line)


def _commands_of(block: Block) -> Iterator[Command]:
    typed: list[str] = []
    shown: list[str] = []
    began = block.line
    for number, line in enumerate([*block.text.splitlines(), "$ "], block.line):
        if line.startswith("$ "):
            if typed:
                yield Command("\n".join(typed), tuple(shown), began)
            typed, shown, began = [line[2:]], [], number
        elif not typed:
            raise ValueError(f"line {number}: a console block begins with a command: `$ ...`")
        elif line.startswith("> ") and not shown:
            typed.append(line[2:])
        else:
            shown.append(line)


def needs(text: str) -> set[str]:
    """Give what the commands of a page need beside the suite: `<!-- needs: postgresql -->`, `<!-- needs: s3 -->`."""
    return set(_NEEDS.findall(text))


def links(text: str) -> list[str]:
    """Give the targets of all links and pictures of a page, those in code left out."""
    prose = _CODE.sub("", _COMMENT.sub("", _BLOCK.sub("", text)))
    return [target for found in _LINK.findall(prose) for target in found if target]


def anchors(text: str) -> set[str]:
    """Give the anchors of a page: of each heading the one that GitHub makes of it, and those that are written."""
    found: set[str] = set(_ANCHOR.findall(text))
    times: dict[str, int] = {}
    for heading in _HEADING.findall(_BLOCK.sub("", text)):
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        again = times.get(slug, 0)
        times[slug] = again + 1
        found.add(f"{slug}-{again}" if again else slug)
    return found
