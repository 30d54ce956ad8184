"""What came back from a question, written for people and for programs: a table, CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

from dwh.seam import Answer, Row
from dwh.spool.folder import private_folder
from dwh.terminal.errors import ConfigError
from dwh.terminal.wording import printable

if TYPE_CHECKING:
    from dwh.settings.sections import DuckDb

PARQUET = b"PAR1"  # how such a file begins


class Cut:
    """The rows of an answer up to a limit (0: all); `more` tells, once they are read, whether there were others."""

    def __init__(self, rows: Iterator[Row], limit: int) -> None:
        self._rows, self._limit = rows, limit
        self.more = False
        self.read = 0

    def __iter__(self) -> Iterator[Row]:
        for row in islice(self._rows, self._limit or None):
            self.read += 1
            yield row
        self.more = bool(self._limit) and next(self._rows, None) is not None


def as_text(value: object) -> str:
    """Write a value for a person: nothing for NULL, times as ISO writes them with a blank."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return json.dumps(value, default=as_json, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def as_json(value: object) -> Any:
    """Give what JSON has for a value: numbers stay numbers, times become text, what is not a number is null."""
    if isinstance(value, float | Decimal) and not math.isfinite(value):
        return None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    if isinstance(value, dict):
        return {str(key): as_json(each) for key, each in value.items()}
    return value if value is None or isinstance(value, bool | int | float | str) else as_text(value)


def write_table(answer: Answer, rows: Cut, stream: TextIO) -> None:
    """Write a table: on a terminal fitted to its width, elsewhere as wide as it is. Control characters are spelt
    out."""
    from rich.box import ASCII, SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    taken = list(rows)
    shown = [[printable(as_text(value)) for value in row] for row in taken]
    plain = (stream.encoding or "utf-8").lower().replace("-", "") not in ("utf8", "utf16")
    table = Table(box=ASCII if plain else SIMPLE_HEAD, show_edge=plain, pad_edge=False)
    cut: Literal["crop", "ellipsis"] = "crop" if plain else "ellipsis"
    numeric = [any(isinstance(row[n], int | float | Decimal) for row in taken) for n in range(len(answer.columns))]
    for name, numbers in zip(answer.columns, numeric, strict=True):
        heading = Text(printable(name), no_wrap=True, overflow=cut)
        # what may not wrap is made narrower last: half a number is a wrong one
        table.add_column(heading, justify="right" if numbers else "left", no_wrap=numbers)
    for texts in shown:
        table.add_row(*(Text(text, no_wrap=True, overflow=cut) for text in texts))
    drawn = StringIO()
    measured = Console(width=10**6, color_system=None).measure(table).maximum
    width = min(measured, shutil.get_terminal_size().columns) if stream.isatty() else measured
    if width < measured and _least_width(numeric, shown) > width:
        _write_records(answer, shown, stream)
        return
    Console(file=drawn, width=width, color_system=None, legacy_windows=False).print(table)
    stream.writelines(f"{line.rstrip()}\n" for line in drawn.getvalue().splitlines())
    stream.flush()


def _least_width(numeric: Sequence[bool], shown: Sequence[Sequence[str]]) -> int:
    """Give the width below which a number of the table would be cut: texts can be cut, numbers must not."""
    widths = [
        max((len(texts[place]) for texts in shown), default=1) if numbers else 1
        for place, numbers in enumerate(numeric)
    ]
    return sum(widths) + 2 * len(widths)


def _write_records(answer: Answer, shown: Sequence[Sequence[str]], stream: TextIO) -> None:
    """Write each row as lines of a name and a value, for a terminal on which the table does not fit."""
    width = max(len(printable(name)) for name in answer.columns)
    for texts in shown:
        stream.writelines(
            f"{printable(name):<{width}}  {text}\n" for name, text in zip(answer.columns, texts, strict=True)
        )
        stream.write("\n")
    stream.flush()


def write_csv(answer: Answer, rows: Cut, stream: TextIO) -> None:
    """Write CSV with a heading, lines ended by \\n; nothing stands for NULL. On a terminal control characters are
    spelt out."""
    show = printable if stream.isatty() else str
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([show(name) for name in answer.columns])
    writer.writerows([show(as_text(value)) for value in row] for row in rows)
    stream.flush()


def to_objects(answer: Answer, rows: Cut) -> list[dict[str, Any]]:
    """Give each row as an object whose keys are the columns."""
    return [{name: as_json(value) for name, value in zip(answer.columns, row, strict=True)} for row in rows]


def write_parquet(answer: Answer, rows: Cut, target: Path, settings: DuckDb) -> None:
    """Write a Parquet file, and put it in its place when it is whole. Raises ConfigError when it cannot be written,
    or when something else than Parquet is there."""
    from dwh.engines.duckdb.engine import open_file
    from dwh.engines.duckdb.parquet import write_rows

    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        _refuse_other_file(target)
        with private_folder() as folder:
            lines = folder / "rows.json"
            with lines.open("w", encoding="utf-8") as file:
                file.writelines(_as_line(row) for row in rows)
            session = open_file(settings, folder / "rows.duckdb", lambda _trace: None, str(folder))
            try:
                write_rows(session, answer.columns, str(lines), str(unfinished))
            finally:
                session.close()
        os.replace(unfinished, target)
    except OSError as error:
        raise ConfigError(
            f"{target} cannot be written",
            evidence=str(error),
            hint="the same command again with --parquet answer.parquet",
        ) from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def _refuse_other_file(target: Path) -> None:
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent}")
    with suppress(FileNotFoundError), target.open("rb") as file:
        if file.read(len(PARQUET)) not in (b"", PARQUET):
            raise ConfigError(
                f"{target} is not a Parquet file, and was not changed",
                hint="the same command again with --parquet answer.parquet",
            )


def _as_line(row: Sequence[object]) -> str:
    """Write a row as a line of JSON: what JSON has no number for keeps its digits as text."""
    values = {f"c{number}": value if _is_json(value) else as_text(value) for number, value in enumerate(row)}
    return json.dumps(values) + "\n"


def _is_json(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)
