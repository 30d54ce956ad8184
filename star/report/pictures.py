"""What the pictures of report.py show: a sentence, one or two drawings, and a table of the numbers that were drawn.

Each query stands above the function that draws its rows; the function gives None where there is nothing to draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from dwh.terminal.wording import count, printable
from star.matches import decode_again
from star.report.charts import (
    COLUMN,
    PAGE,
    PART,
    Bar,
    Cell,
    Change,
    Ranked,
    compact,
    draw_bars,
    draw_changes,
    draw_grid,
    draw_ranking,
)
from star.report.query import Query
from star.report.spans import (
    WEEKDAYS,
    choose_unit,
    day_and_month,
    every,
    is_in_part,
    label_some,
    monday,
    named,
    note_parts,
)

if TYPE_CHECKING:
    from dwh.seam import Row

MOST_STATES, MOST_WEEKS = 11, 26
UNKNOWN = "elsewhere or unknown"
REPAIRED = " †"  # marks a name that the data hold encoded twice, and that the page shows as it was meant


class Picture(NamedTuple):
    """One picture of the page: its drawings (for a phone and for a wide page, where they differ) and their numbers."""

    name: str  # of its query
    sentence: str
    drawings: Sequence[str]
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    key: Sequence[str] = ()  # what dark and light mean
    heading: str = ""  # instead of the name


DAYS = Query(
    "Plays by day",
    "Each play counts on the day it started, in UTC.",
    """
SELECT
    CAST(start_time AS DATE) AS day,
    CAST(SUM(CASE WHEN level = 'paid' THEN 1 ELSE 0 END) AS BIGINT) AS paid,
    CAST(SUM(CASE WHEN level = 'free' THEN 1 ELSE 0 END) AS BIGINT) AS free,
    COUNT(*) AS plays
FROM songplays
GROUP BY CAST(start_time AS DATE)
ORDER BY day ASC NULLS LAST
""",
)


def picture_days(rows: Sequence[Row]) -> Picture | None:
    """Show plays by day; by week, month or year where the days are too many to be told apart."""
    if not rows:
        return None
    unit, start_of = choose_unit(rows[0][0], rows[-1][0])
    totals: dict[date, list[int]] = {day: [0, 0, 0] for day in every(unit, start_of, rows[0][0], rows[-1][0])}
    for day, *numbers in rows:
        kept = totals.setdefault(start_of(day), [0, 0, 0])
        totals[start_of(day)] = [a + b for a, b in zip(kept, numbers, strict=True)]
    ordered = sorted(totals.items())
    parts = [is_in_part(start, start_of, rows[0][0], rows[-1][0]) for start, _ in ordered]
    busiest, most = max(ordered, key=lambda item: item[1][2])
    name = f"on {WEEKDAYS[busiest.weekday()]} {busiest}" if unit == "day" else named(busiest, unit)
    sentence = f"Most in one {unit}: {most[2]:,} plays, {name}.{note_parts(parts, unit)}"
    drawings = []
    for width in (COLUMN, PAGE):
        bars = [
            Bar(label, paid, plays - paid, unit == "day" and start.weekday() >= 5, part)
            for (start, (paid, _, plays)), part, label in zip(
                ordered, parts, label_some([day for day, _ in ordered], unit, width // 64), strict=True
            )
        ]
        title = f"Plays by {unit}, paid and free. {sentence}"
        drawings.append(draw_bars(f"days-{width}", title, bars, width))
    table = [
        (named(start, unit) + PART * part, paid, free, plays - paid - free, plays)
        for (start, (paid, free, plays)), part in zip(ordered, parts, strict=True)
    ]
    columns = (unit, "paid", "free", "no level", "plays")
    return Picture(DAYS.name, sentence, drawings, columns, table, ("paid", "free"), f"Plays by {unit}")


# By the table time, so that hour and weekday are those an analyst would join.
HOURS = Query(
    "Hour and weekday",
    "Each play counts in the hour and on the weekday it started, in UTC.",
    """
SELECT t.weekday, t.hour, COUNT(*) AS plays
FROM songplays AS p
JOIN time AS t ON t.start_time = p.start_time
GROUP BY t.weekday, t.hour
ORDER BY t.weekday ASC NULLS LAST, t.hour ASC NULLS LAST
""",
)


def picture_hours(rows: Sequence[Row]) -> Picture | None:
    """Show when people listen: hours down, weekdays across, Monday first (0 is Sunday in the table time)."""
    if not rows:
        return None
    plays = {((weekday + 6) % 7, hour): number for weekday, hour, number in rows}
    by_hour = [sum(plays.get((day, hour), 0) for day in range(7)) for hour in range(24)]
    by_day = [sum(plays.get((day, hour), 0) for hour in range(24)) for day in range(7)]
    hour, day = by_hour.index(max(by_hour)), by_day.index(max(by_day))
    sentence = (
        f"Busiest hour: {hour:02}:00 UTC, {by_hour[hour]:,} plays. Busiest weekday: {WEEKDAYS[day]}, {by_day[day]:,}."
    )
    most = max(plays.values())
    peak = min(place for place, number in plays.items() if number == most)
    grid = [
        (
            f"{hour:02}:00" if hour % 3 == 0 else "",
            [
                Cell(plays.get((day, hour), 0) / most, compact(most) if (day, hour) == peak else "")
                for day in range(7)
            ],
        )
        for hour in range(24)
    ]  # fmt: skip
    short = [weekday[:3] for weekday in WEEKDAYS]
    scale = ("0", compact(most), "plays in an hour of a weekday")
    drawing = draw_grid("hours", f"Plays by hour and weekday. {sentence}", grid, short, (40, 14), scale)
    table: list[list[object]] = [
        [f"{hour:02}:00", *(plays.get((day, hour), 0) for day in range(7)), by_hour[hour]] for hour in range(24)
    ]
    table.append(["all hours", *by_day, sum(by_day)])
    return Picture(HOURS.name, sentence, [drawing], ("UTC", *short, "all days"), table)


SONGS = Query(
    "Top songs",
    "The ten songs with the most plays, named as the events name them, in the catalogue or not.",
    """
SELECT title, artist_name, COUNT(*) AS plays, COUNT(song_id) AS matched
FROM songplays
WHERE title IS NOT NULL
GROUP BY title, artist_name
ORDER BY plays DESC NULLS LAST, title ASC NULLS LAST, artist_name ASC NULLS LAST
LIMIT 10
""",
)


def picture_songs(rows: Sequence[Row]) -> Picture | None:
    """Show the songs that were played most, as the events name them."""
    if not rows:
        return None
    items = [
        Ranked(f"{_meant(title)} · {_meant(artist or 'unknown')}", plays, _mark(title, artist))
        for title, artist, plays, _ in rows
    ]
    known = sum(1 for row in rows if row[3])
    sentence = f"As the events name them; the catalogue knows {known:,} of these {len(rows)}.{_note_repairs(items)}"
    drawing = draw_ranking(
        "songs", f"Top {len(rows)} songs. First: {items[0].label}, {items[0].number:,} plays.", items
    )
    table = [
        (_told(title), _told(artist or "unknown"), plays, "yes" if matched == plays else "in part" if matched else "no")
        for title, artist, plays, matched in rows
    ]
    return Picture(SONGS.name, sentence, [drawing], ("song", "artist", "plays", "in the catalogue"), table)


ARTISTS = Query(
    "Top artists",
    "The ten artists with the most plays, named as the events name them.",
    """
SELECT artist_name, COUNT(*) AS plays, COUNT(DISTINCT title) AS songs
FROM songplays
WHERE artist_name IS NOT NULL
GROUP BY artist_name
ORDER BY plays DESC NULLS LAST, artist_name ASC NULLS LAST
LIMIT 10
""",
)


def picture_artists(rows: Sequence[Row], all_plays: int) -> Picture | None:
    """Show the artists that were played most, as the events name them."""
    if not rows:
        return None
    items = [Ranked(_meant(artist), plays, _mark(artist)) for artist, plays, _ in rows]
    sentence = f"Together {sum(item.number for item in items) / all_plays:.1%} of all plays.{_note_repairs(items)}"
    title = f"Top {len(rows)} artists. First: {items[0].label}, {items[0].number:,} plays."
    drawing = draw_ranking("artists", title, items)
    table = [(_told(artist), plays, songs) for artist, plays, songs in rows]
    return Picture(ARTISTS.name, sentence, [drawing], ("artist", "plays", "different songs"), table)


# A location is a metropolitan area, `New York-Newark-Jersey City, NY-NJ-PA`: the state of its first city counts.
STATES = Query(
    "Plays by state",
    "Each play counts for the state of the first city in its location.",
    """
SELECT state, COUNT(*) AS plays
FROM (
    SELECT CASE WHEN OCTET_LENGTH(state) = 2 AND NOT state ~ '[A-Z]*[^A-Z]([0-9]|[^0-9])*' THEN state END AS state
    FROM (SELECT SPLIT_PART(SPLIT_PART(location, ', ', 2), '-', 1) AS state FROM songplays) AS l
) AS s
GROUP BY state
ORDER BY plays DESC NULLS LAST, state ASC NULLS LAST
""",
)


def picture_states(rows: Sequence[Row]) -> Picture | None:
    """Show plays by state of the United States; the rest last."""
    if not rows:
        return None
    known = [(state, plays) for state, plays in rows if state]
    rest = [(UNKNOWN, plays) for state, plays in rows if not state]
    more = known[MOST_STATES:]
    items = [Ranked(state, plays) for state, plays in known[:MOST_STATES]]
    if more:
        items.append(Ranked(f"{count(len(more), 'more state')}", sum(plays for _, plays in more), has_bar=False))
    items += [Ranked(name, plays, has_bar=False) for name, plays in rest]
    sentence = f"{count(len(known), 'state')} of the United States. A metropolitan area counts for its first city."
    drawing = draw_ranking("states", f"Plays by state. First: {items[0].label}, {items[0].number:,} plays.", items)
    return Picture(STATES.name, sentence, [drawing], ("state", "plays"), [*known, *rest])


CHANGES = Query(
    "Level changes",
    "A listener changes level in the week of the first play whose level differs from the play before.",
    """
SELECT
    week,
    CAST(SUM(CASE WHEN level = 'paid' THEN 1 ELSE 0 END) AS BIGINT) AS to_paid,
    CAST(SUM(CASE WHEN level = 'free' THEN 1 ELSE 0 END) AS BIGINT) AS to_free
FROM (
    SELECT
        level,
        LAG(level) OVER (
            PARTITION BY user_id
            ORDER BY start_time ASC NULLS LAST, item_in_session ASC NULLS LAST, songplay_id ASC NULLS LAST
        ) AS level_before,
        CAST(DATE_TRUNC('week', start_time) AS DATE) AS week
    FROM songplays
    WHERE user_id IS NOT NULL AND level IN ('free', 'paid')
) AS l
WHERE level <> level_before
GROUP BY week
ORDER BY week ASC NULLS LAST
""",
)


def picture_changes(rows: Sequence[Row], first_play: date, last_play: date) -> Picture | None:
    """Show by week how many changes of level there were; only the latest half year is drawn."""
    if not rows:
        return None
    up, down = sum(row[1] for row in rows), sum(row[2] for row in rows)
    sentence = f"{up:,} from free to paid, {down:,} from paid to free; seen at the first play after it."
    changed = {week: (to_paid, to_free) for week, to_paid, to_free in rows}
    last = monday(last_play)
    first = max(rows[0][0], last - timedelta(weeks=MOST_WEEKS - 1))
    weeks = list(every("week", monday, first, last))
    if len(weeks) < (last - rows[0][0]).days // 7 + 1:
        sentence += f" Drawn: the latest {len(weeks)} weeks."
    parts = [is_in_part(week, monday, first_play, last_play) for week in weeks]
    sentence += note_parts(parts, "week")
    shown = [
        Change(label, *changed.get(week, (0, 0)), part)
        for week, label, part in zip(weeks, label_some(weeks, "week", 6), parts, strict=True)
    ]
    drawing = draw_changes("changes", f"Changes of level by week. {sentence}", shown)
    table = [
        (named(week, "week") + PART * each.in_part, each.up, each.down) for week, each in zip(weeks, shown, strict=True)
    ]
    return Picture(CHANGES.name, sentence, [drawing], ("week", "to paid", "to free"), table, ("to paid", "to free"))


RETENTION = Query(
    "Weekly retention",
    "Listeners by the week of their first play, for the latest twelve weeks; and how many of them played again in each "
    "week since.",
    """
WITH active AS (
    SELECT DISTINCT user_id, CAST(DATE_TRUNC('week', start_time) AS DATE) AS week
    FROM songplays
    WHERE user_id IS NOT NULL
),

joined AS (
    SELECT user_id, MIN(week) AS week FROM active GROUP BY user_id
)

SELECT j.week AS first_week, CAST(FLOOR((a.week - j.week) / 7.0) AS INTEGER) AS weeks_later, COUNT(*) AS listeners
FROM joined AS j
JOIN active AS a ON a.user_id = j.user_id
CROSS JOIN (SELECT MAX(week) AS week FROM active) AS l
WHERE l.week - j.week < 84
GROUP BY j.week, CAST(FLOOR((a.week - j.week) / 7.0) AS INTEGER)
ORDER BY first_week ASC NULLS LAST, weeks_later ASC NULLS LAST
""",
)


def picture_retention(rows: Sequence[Row], first_play: date, last_play: date) -> Picture | None:
    """Show of the listeners who came in one week how many came back: weeks down, weeks later across, per cent."""
    if not rows:
        return None
    active: dict[date, dict[int, int]] = {}
    for week, later, listeners in rows:
        active.setdefault(week, {})[later] = listeners
    last = max(week + timedelta(weeks=max(weeks)) for week, weeks in active.items())
    widest = max((last - week).days // 7 for week in active) + 1
    came = sum(weeks[0] for week, weeks in active.items() if week < last)
    back = sum(weeks.get(1, 0) for weeks in active.values())
    sentence = (
        f"Per cent who played again, by weeks after their first: {back:,} of {came:,} ({back / came:.0%}) in the next."
        if came
        else "There is one week only: nobody could come back yet."
    )
    in_part = {week: is_in_part(week, monday, first_play, last_play) for week in {*active, last}}
    sentence += note_parts([*in_part.values()], "week")
    grid, table = [], []
    for week, weeks in sorted(active.items()):
        lived = range((last - week).days // 7 + 1)
        marks = [PART * in_part[last] if later == lived[-1] else "" for later in lived]
        shares = [weeks.get(later, 0) / weeks[0] for later in lived]
        label = f"{day_and_month(week)}{PART * in_part[week]} · {compact(weeks[0])}"
        cells = [Cell(share, f"{100 * share:.0f}{mark}") for share, mark in zip(shares, marks, strict=True)]
        grid.append((label, cells))
        numbers = [weeks.get(later, 0) for later in lived]
        table.append([week.isoformat() + PART * in_part[week], *numbers, *[""] * (widest - len(lived))])
    columns = [str(later) for later in range(widest)]
    drawing = draw_grid("retention", f"Weekly retention in per cent. {sentence}", grid, columns, (78, 26))
    return Picture(RETENTION.name, sentence, [drawing], ("first week", *(f"+{c}" for c in columns)), table)


def _meant(name: str) -> str:
    """Give a name that was encoded twice as it was meant, and any other as it is."""
    return printable(decode_again(name))


def _mark(*names: str | None) -> str:
    return REPAIRED if any(name and decode_again(name) != name for name in names) else ""


def _told(name: str) -> str:
    """Give a name for a table: as it was meant, and as the data have it."""
    return f"{_meant(name)}{REPAIRED} ({name})" if _mark(name) else name


def _note_repairs(items: Sequence[Ranked]) -> str:
    return f"{REPAIRED} This name is encoded twice in the events." if any(item.mark for item in items) else ""
