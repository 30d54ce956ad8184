"""The texts that people read have no riddles: words that leave open who or what is meant, or that nobody uses."""

from __future__ import annotations

import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Each pattern, and what to write instead.
RIDDLES = {
    r"mend(s|ed|ing)?": "fix",
    r"(some|any)(body|one)( else)?": "say who: another session, another user, another program",
    r"(who|what)ever (asks|reads|runs) it": "say who: a reader, a user",
    r"^who asks|\. who asks": "a reader who ...",
    r"whence|whereof|thereof|hereby|those of others": "from where, of it",
    r"without a word": "silently",
    r"(are|is|be) lost\. type": "This deletes ...",
    r"at work in": "is using",
    r"what has no name": "anything unexplained",
    r"figures that": "measured figures",
    r"belongs? into": "belong in",
    r"is left as it is": "was not changed",
}
FOUND = re.compile("|".join(rf"(?:{p})" if p.startswith("^") else rf"\b(?:{p})\b" for p in RIDDLES), re.IGNORECASE)
# Licences and the notes of a release are quoted or history; the words that a sample is made of are data.
PASSED_OVER = {"LICENSE", "make_sample.py", "tests/test_plain_english.py"}
READ = (".py", ".md", ".sh", ".cfg", ".j2", ".html", ".yml", ".toml")


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Give the lines of a file that are text for people: all of them, or in Python those of strings and comments."""
    content = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        # an expression of a template is code
        yield from enumerate(re.sub(r"\{[{%].*?[%}]\}", "", content).splitlines(), 1)
        return
    strings = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(content).readline):
        if token.type in strings:
            yield from enumerate(token.string.splitlines(), token.start[0])


def riddles_of(path: Path) -> list[str]:
    """Give each line of a file with a riddle in it, and the riddle."""
    return [f"{path.name}:{line}: {found[0]}" for line, text in texts_of(path) for found in FOUND.finditer(text)]


def test_no_text_has_a_riddle() -> None:
    """Messages, help, docstrings, comments and pages say who and what."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in listed.split("\0") if name.endswith(READ) and name not in PASSED_OVER]
    assert len(paths) > 100
    assert [riddle for path in paths if path.exists() for riddle in riddles_of(path)] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", 'hint = "mend the file"'),
        ("a.py", '"""Somebody else is at work."""'),
        ("a.py", "x = 1  # whence it came"),
        ("a.py", 'said = f"{place} is left as it is"'),
        ("a.md", "Passwords belong into dwh.local.cfg."),
        ("a.html.j2", "<p>All rows are lost. Type the name</p>"),
    ],
)
def test_a_riddle_is_seen(tmp_path: Path, name: str, text: str) -> None:
    """In strings, comments and docstrings, in pages and templates, in any case."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert riddles_of(tmp_path / name) != []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "mend = 1"),
        ("a.py", '"""Recommended amendments."""'),
        ("a.html.j2", "<p>{{ check.mend }}</p>"),
    ],
)
def test_a_plain_text_is_not(tmp_path: Path, name: str, text: str) -> None:
    """Names of the code, and words that only hold such a word."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert riddles_of(tmp_path / name) == []
