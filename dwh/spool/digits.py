"""The number that a text or a number of JSON means, in plain digits: 26.0, 2.6e1 and "026" are one whole number.

Engines read numbers differently: one reads a number with a point as a double, another keeps its text. All of them read
plain digits alike. The rules in sql_queries.py, not this module, judge whether a number is in range.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

# The kind of a value, as a fault names it.
TEXT, WHOLE, NUMBER = "text", "a whole number", "a number"
_FORM = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE](-|\+?)0*([0-9]+))?")
_PLAIN_FORM = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
MOST_DIGITS, MOST_FRACTION = 19, 128  # characters that the rules accept: of a whole number, of any number
BEYOND = "9" * 20  # stands for every whole number of more digits: the rules refuse them all
EXACT = 10**15  # whole numbers below are one double each, which engines print in plain digits
GREATEST = 1e100  # the largest number; its inverse is the smallest


class JsonNumber(str):
    """A number, as it is written in the file."""

    __slots__ = ()


def plain_digits(value: str, kind: str) -> str | None:
    """Give the number that a text or a number of JSON means, in plain digits. None: it has plain digits already, or is
    not a number."""
    if kind == WHOLE:
        return None if value.isascii() and value.isdigit() and len(value) <= MOST_DIGITS else _plain_whole(value)
    if len(value) <= MOST_FRACTION and _PLAIN_FORM.fullmatch(value):
        return None
    found = _FORM.fullmatch(value.strip(" "))
    number = float(found[0]) if found else math.inf
    if number and not 1 / GREATEST <= abs(number) < GREATEST:
        return None
    return format(Decimal(repr(number)), "f")


def _plain_whole(value: str) -> str | None:
    found = _FORM.fullmatch(value.strip(" "))
    if not found:
        return None
    sign, whole, fraction, minus, exponent = found.groups("")
    shift = int(exponent[:8] or 0) * (-1 if minus == "-" else 1)  # more digits of an exponent change nothing
    significant = (whole + fraction).lstrip("0")
    point = len(significant) - len(fraction) + shift  # number of digits before the point
    significant = significant.rstrip("0")
    if not significant:
        return "0"
    if len(significant) <= point:
        return sign + (significant.ljust(point, "0") if point <= MOST_DIGITS else BEYOND)
    # engines that read numbers as doubles take 1.00000000000000000001 for 1, so all engines get 1
    number = float(found[0]) if type(value) is JsonNumber else math.inf
    return str(int(number)) if abs(number) < EXACT and number.is_integer() else None
