"""Values that must never be shown: they print as *** wherever they turn up."""

from __future__ import annotations

_known: set[str] = set()
SHORTEST_MASKED = 4


class Secret:
    """A password or key. `reveal()` gives it to a driver; every other way of turning it into text gives `***`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        if len(value) >= SHORTEST_MASKED:
            _known.add(value)

    def reveal(self) -> str:
        """Give the value itself, for the one call that needs it."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "***" if self._value else "(empty)"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)


def masked(text: str) -> str:
    """Give the text with every known secret replaced by ***: the second net, for texts that drivers wrote."""
    for value in _known:
        if value in text:
            text = text.replace(value, "***")
    return text
