"""Values that must never be shown: they print as *** everywhere."""

from __future__ import annotations

import re

from dwh.terminal.wording import mask


class Secret:
    """A password or key. `reveal()` gives it to a driver; every other conversion to text gives `***`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        mask(value)

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


# user:password@ in a URL or alone; the parameters of a URL after ? or ;; name=value of libpq and ODBC. Each masks too
# much rather than too little: the end of a password with @, / or a blank in it is not known.
_LOGIN = re.compile(r"((?:[\w+.-]+:)+//[^\s/:@]*|^[^\s/:@]*):(?!//)(.*)@", re.DOTALL)
_ASKED = re.compile(r"([?;&])[^\s=?;&]+=.*", re.DOTALL)
_PAIR = re.compile(r"\b(pass\w*|pwd|secret\w*|\w*token|\w*key\w*)\s*=\s*(.*)", re.DOTALL | re.IGNORECASE)


def without_credentials(text: str) -> str:
    """Give the value of a setting, such as a URL, without any secrets in it; they are masked from now
    on."""
    for pattern in (_LOGIN, _PAIR):
        for found in pattern.finditer(text):
            Secret(found[2])
    return _PAIR.sub(r"\1=***", _ASKED.sub(r"\1***", _LOGIN.sub(r"\1:***@", text)))
