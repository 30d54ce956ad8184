"""The pictures of report.py, drawn by matplotlib as SVG that takes its colours and its type from the page around it.

Every function gives one `<svg>` element, in pixels of its own width, with a title for those who cannot see it. Colours
are names that the style sheet of the page fills in, so one picture serves on light, on dark and on paper.
"""

from __future__ import annotations

import io
import logging
import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN = 360  # pixels: the width of a picture that fits a phone, and a third of a page
PAGE = 1160  # pixels: the width of a picture across the whole page
SMALL, NORMAL = 10.5, 12.5  # pixels of type
FAINTEST = 0.07  # opacity of the lightest cell that is not empty
MOST_NUMBERS = 20  # beside columns; of more only the highest
STRONG = 0.77  # opacity above which a cell is written on with on-paid, up to which with on-faint: each at least 4.5:1
SCALE_STEPS = 5
PART = "*"  # marks a unit of time of which the data hold a part only
INK, MUTED, LINE, SHADE, PAID, FREE, ON_PAID, ON_FAINT = (f"#00000{number}" for number in range(1, 9))
PAINT = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    SHADE: "shade",
    PAID: "paid",
    FREE: "free",
    ON_PAID: "on-paid",
    ON_FAINT: "on-faint",
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, and the reader's own type
    "text.parse_math": False,  # a title with two dollar signs is no formula
    "font.family": ["DejaVu Sans"],
    "font.size": SMALL,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.axisbelow": True,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "grid.color": LINE,
    "grid.linewidth": 1,
}


class Bar(NamedTuple):
    """The plays of one day, or of a longer unit of time."""

    label: str  # below the bar; blank where there is no room for one
    paid: int
    other: int  # free, and the few without a level
    shaded: bool = False
    in_part: bool = False


class Change(NamedTuple):
    """What goes up and what goes down in one unit of time."""

    label: str
    up: int
    down: int
    in_part: bool = False


class Ranked(NamedTuple):
    """A line of a ranking, and a mark that follows its label. What stands for several things has no place in it, and
    gets no bar."""

    label: str
    number: int
    mark: str = ""
    has_bar: bool = True


class Cell(NamedTuple):
    """One square of a grid: how strong it is, from 0 to 1, and what is written on it."""

    strength: float
    text: str = ""


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the block: by matplotlib's own defaults and ours, whatever the machine's settings are, silently.

    A home that cannot be written to, or a character that its type does not have, is a warning of matplotlib's that
    says nothing to who reads the report.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib as mpl

    with warnings.catch_warnings(), mpl.rc_context():
        warnings.filterwarnings("ignore", message=r"(?s).*Glyph .* missing")
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def draw_bars(name: str, title: str, bars: Sequence[Bar], width: int) -> str:
    """Draw stacked columns, one for each unit of time: paid below, free on top."""
    figure, axes = _axes(width, 240, left=38, bottom=24, top=16)
    most = max(bar.paid + bar.other for bar in bars)
    axes.set_xlim(-0.5, len(bars) - 0.5)
    axes.set_ylim(0, most)
    _scale(axes)
    for place, bar in enumerate(bars):
        if bar.shaded:
            _box(axes, (place - 0.505, 0, 1.01, most), SHADE)  # two in a row touch
        _box(axes, (place - 0.36, 0, 0.72, bar.paid), PAID)
        _box(axes, (place - 0.36, bar.paid, 0.72, bar.other), FREE)
        above = (f"{most:,}" if bar.paid + bar.other == most else "") + (PART if bar.in_part else "")
        if above:
            axes.annotate(above, (place, bar.paid + bar.other), (0, 4), textcoords="offset points", ha="center")
    _label(axes, [bar.label for bar in bars])
    return _svg(figure, name, title)


def draw_changes(name: str, title: str, weeks: Sequence[Change]) -> str:
    """Draw columns up and down from one line."""
    figure, axes = _axes(COLUMN, 300, left=8, bottom=44, top=16)
    axes.set_xlim(-0.5, len(weeks) - 0.5)
    axes.set_ylim(-max(week.down for week in weeks), max(1, *(week.up for week in weeks)))
    axes.set_yticks([])
    axes.axhline(0, color=MUTED, linewidth=1, clip_on=False)
    told = [number for week in weeks for number in (week.up, week.down) if number]
    least = max(told) if len(told) > MOST_NUMBERS else min(told)
    for place, (_, up, down, _) in enumerate(weeks):
        for number, end, colour, offset in ((up, up, PAID, (0, 4)), (down, -down, FREE, (0, -13))):
            _box(axes, (place - 0.3, 0, 0.6, end), colour)
            if number >= least:
                axes.annotate(f"{number:,}", (place, end), offset, textcoords="offset points", ha="center")
    axes.tick_params(axis="x", pad=25)
    _label(axes, [week.label + (PART if week.label and week.in_part else "") for week in weeks])
    return _svg(figure, name, title)


def draw_ranking(name: str, title: str, items: Sequence[Ranked]) -> str:
    """Draw a list with a bar below each line, as long as its number is high."""
    height = 36 * len(items)
    figure, axes = _axes(COLUMN, height, left=0, bottom=0, top=0)
    axes.set_xlim(0, COLUMN)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    most = max((item.number for item in items if item.has_bar), default=0)
    for place, (label, number, mark, has_bar) in enumerate(items):
        written, top = f"{number:,}", 36 * place
        shown = shorten(label, 46 - len(written) - len(mark)) + mark
        axes.text(0, top + 15, shown, size=NORMAL, color=INK if has_bar else MUTED)
        axes.text(COLUMN, top + 15, written, size=NORMAL, ha="right", color=MUTED)
        if not has_bar:
            continue
        _box(axes, (0, top + 22, COLUMN, 5), SHADE)
        _box(axes, (0, top + 22, COLUMN * number / most, 5), PAID)
    return _svg(figure, name, title)


def draw_grid(
    name: str,
    title: str,
    rows: Sequence[tuple[str, Sequence[Cell]]],
    columns: Sequence[str],
    size: tuple[int, int],
    scale: Sequence[str] = (),
) -> str:
    """Draw a grid of cells, each as strong as its number; `size` is how wide the labels and how high the rows are,
    `scale` says what no strength and full strength stand for, and of what."""
    left, tall = size
    below = 46 if scale else 0
    figure, axes = _axes(COLUMN, 22 + tall * len(rows) + below, left=left, bottom=below, top=22)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    for down, (_, cells) in enumerate(rows):
        for across, cell in enumerate(cells):
            opacity = _opacity(cell.strength)
            if opacity:
                _box(axes, (across - 0.47, down - 0.45, 0.94, 0.9), PAID, opacity)
            if cell.text:
                colour = ON_PAID if opacity > STRONG else ON_FAINT
                axes.text(across, down, cell.text, ha="center", va="center_baseline", color=colour)
    axes.xaxis.tick_top()
    _label(axes, columns)
    axes.set_yticks(*_without_blanks([label for label, _ in rows]))
    axes.tick_params(top=False, left=False)
    if scale:
        _draw_scale(figure, left, *scale)
    return _svg(figure, name, title)


def shorten(text: str, cells: int) -> str:
    """Cut a text to so many columns of type; a Chinese or Japanese character takes two."""
    taken = 0
    for number, character in enumerate(text):
        taken += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if taken > cells:
            return text[: number - 1].rstrip() + "…"
    return text


def compact(number: float, _position: int = 0) -> str:
    """Write a number of an axis in few characters: `800`, `12k`, `1.5M`."""
    for least, thousands, unit in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if number >= least:
            return f"{number / thousands:.3g}{unit}"
    return f"{number:,.0f}"


def _axes(width: int, height: int, *, left: int, bottom: int, top: int) -> tuple[Figure, Axes]:
    """Make a figure of one pair of axes without frame and tick marks; a point of it is a pixel of the page."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), frameon=False)
    box = (left / width, bottom / height, 1 - left / width, 1 - (bottom + top) / height)
    axes = figure.add_axes(box, frameon=False)
    axes.tick_params(bottom=False, left=False, pad=5)
    return figure, axes


def _box(axes: Axes, box: tuple[float, float, float, float], colour: str, opacity: float = 1) -> None:
    """Draw a rectangle: left, bottom, width, height. Bars of matplotlib's take longer, as they find limits anew."""
    from matplotlib.patches import Rectangle

    left, bottom, width, height = box
    if width and height:
        axes.add_artist(
            Rectangle((left, bottom), width, height, facecolor=colour, linewidth=0, alpha=opacity, clip_on=False)
        )


def _opacity(strength: float) -> float:
    return round(FAINTEST + (1 - FAINTEST) * strength, 3) if strength else 0


def _draw_scale(figure: Figure, left: int, least: str, most: str, unit: str) -> None:
    """Draw below a grid what the strength of a cell says."""
    width, height = (72 * inches for inches in figure.get_size_inches())
    axes = figure.add_axes((left / width, 4 / height, 1 - left / width, 24 / height), frameon=False)
    axes.set_xlim(0, width - left)
    axes.set_ylim(24, 0)
    axes.set_axis_off()
    box = 22
    start = 6 + 7 * len(least)
    axes.text(0, 13, least, color=MUTED, va="center_baseline")
    for step in range(SCALE_STEPS):
        _box(axes, (start + box * step, 6, box, 10), PAID, _opacity((step + 1) / SCALE_STEPS))
    axes.text(start + box * SCALE_STEPS + 6, 13, f"{most} {unit}", color=MUTED, va="center_baseline")


def _scale(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(compact))
    axes.grid(axis="y", clip_on=False)


def _label(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_xticks(*_without_blanks(labels))


def _without_blanks(labels: Sequence[str]) -> tuple[list[int], list[str]]:
    """Give the places that have a label, and the labels: every tick takes two milliseconds."""
    places = [place for place, label in enumerate(labels) if label]
    return places, [labels[place] for place in places]


def _svg(figure: Figure, name: str, title: str) -> str:
    """Give a figure as an element that can stand in a page: no id but its own, its colours those of the style sheet."""
    import matplotlib as mpl

    mpl.rcParams["svg.hashsalt"] = name  # what ids are made from: two runs give the same ones, two pictures others
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    drawn = written.getvalue()
    body = drawn[drawn.index(">", drawn.index("<svg")) + 1 :]
    for pattern, instead in _TIDY:
        body = pattern.sub(instead, body)
    body = re.sub("#00000[1-8]", lambda found: f"var(--{PAINT[found[0]]})", body)
    width, height = (round(72 * inches) for inches in figure.get_size_inches())
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
        f' aria-labelledby="{name}-title"><title id="{name}-title">{escape(title)}</title>{body}'
    )


_TIDY = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"<defs>\s*<style[^>]*>[^<]*</style>\s*</defs>", ""),  # in a page it would style every element of it
        (r'</?g(?: id="[^"]*")?/?>', ""),
        (r"font-family: [^;\"]*;? ?", ""),
        (r' transform="rotate\(-?0 [^"]*"', ""),
        (r"\s*\n\s*", " "),
    )
)
