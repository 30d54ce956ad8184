"""Units of time: days, weeks, months, years, as pictures count in them and name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, timedelta

from star.report.charts import PART

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MOST_BARS = 92  # a quarter of a year in days; from there on weeks, months, years


def is_in_part(start: date, start_of: Callable[[date], date], first: date, last: date) -> bool:
    """Tell whether data from a first day to a last one hold a part only of the unit that begins at `start`: they begin
    after it did, or end before it does."""
    ends_later = last < date.max and start_of(last + timedelta(days=1)) == start_of(last)
    return start < first or (start == start_of(last) and ends_later)


def note_parts(marks: Sequence[bool], unit: str) -> str:
    """Say what the mark means, where there is one."""
    return f" {PART} The data hold a part only of this {unit}." if any(marks) else ""


def monday(day: date) -> date:
    """Give the Monday of its week."""
    return day - timedelta(days=day.weekday())


def choose_unit(first: date, last: date) -> tuple[str, Callable[[date], date]]:
    """Choose the shortest unit of which there are not too many, and how to find the start of one."""
    starts: Mapping[str, Callable[[date], date]] = {
        "day": lambda day: day,
        "week": monday,
        "month": lambda day: day.replace(day=1),
        "year": lambda day: day.replace(month=1, day=1),
    }
    days = (last - first).days + 1
    unit = next(
        (name for name, length in (("day", 1), ("week", 7), ("month", 30)) if days <= MOST_BARS * length), "year"
    )
    return unit, starts[unit]


def every(unit: str, start_of: Callable[[date], date], first: date, last: date) -> Sequence[date]:
    """Give the start of every unit, also of those without plays; of years only those with plays, as dates go far."""
    if unit == "year":
        return []
    found, day = [], start_of(first)
    with suppress(OverflowError):  # a play on the last day of the year 9999
        while day <= last:
            found.append(day)
            day = start_of(day + timedelta(days={"day": 1, "week": 7, "month": 31}[unit]))
    return found


def label_some(starts: Sequence[date], unit: str, room: int) -> list[str]:
    """Label as many units as there is room for: days by their Mondays."""
    if unit == "day" and len(starts) > room:
        step = 7 * -(-len(starts) // (7 * room))
        offset = next(number for number, day in enumerate(starts) if day.weekday() == 0)
    else:
        step, offset = -(-len(starts) // room), 0
    return [_axis_label(day, unit) if n >= offset and (n - offset) % step == 0 else "" for n, day in enumerate(starts)]


def _axis_label(day: date, unit: str) -> str:
    return {"month": f"{day:%b} {day.year}", "year": str(day.year)}.get(unit) or day_and_month(day)


def day_and_month(day: date) -> str:
    """Write `5 Nov`."""
    return f"{day.day} {day:%b}"


def named(day: date, unit: str) -> str:
    """Name a unit of time in a sentence and in a table."""
    if unit == "day":
        return f"{day.isoformat()} {WEEKDAYS[day.weekday()][:3]}"
    return {"week": f"week of {day.isoformat()}", "month": f"{day:%Y-%m}", "year": str(day.year)}[unit]
