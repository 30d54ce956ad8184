"""The number that a text or a number of JSON means, in plain digits: 26.0, 2.6e1 and "026" are one whole number.

Engines read numbers differently: one makes a double of each with a point, another keeps its text. In plain digits all
of them read the same. Whether a number is in range is not judged here but by the rules in sql_queries.py.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

# What a value is, in the words of a fault.
TEXT, WHOLE, NUMBER = "text", "a whole number", "a number"
_FORM = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE](-|\+?)0*([0-9]+))?")
_PLAIN_FORM = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
MOST_DIGITS, MOST_FRACTION = 19, 128  # of what the rules take as it is: a whole number, any number
BEYOND = "9" * 20  # stands for every whole number of more digits: it is refused all the same
EXACT = 10**15  # whole numbers below are one double each, which engines print in plain digits
GREATEST = 1e100  # of a number, and its inverse the least


class JsonNumber(str):
    """A number, as the file has it."""

    __slots__ = ()


def plain_digits(value: str, kind: str) -> str | None:
    """Give the number that a text or a number of JSON means, in plain digits; None: it is as it should be, or none."""
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
    shift = int(exponent[:8] or 0) * (-1 if minus == "-" else 1)  # of more digits the first ones tell enough
    significant = (whole + fraction).lstrip("0")
    point = len(significant) - len(fraction) + shift  # behind so many of its digits
    significant = significant.rstrip("0")
    if not significant:
        return "0"
    if len(significant) <= point:
        return sign + (significant.ljust(point, "0") if point <= MOST_DIGITS else BEYOND)
    # 1.00000000000000000001 is 1 to every engine that reads numbers as doubles, and then to all of them
    number = float(found[0]) if type(value) is JsonNumber else math.inf
    return str(int(number)) if abs(number) < EXACT and number.is_integer() else None
