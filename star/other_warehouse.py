"""Another warehouse, on any engine, as the source of this one: a star is made of ledger and staging, and nothing else.

Rows go through the spool a batch at a time, by the bulk load of every engine. So memory holds one batch, and no source
is read. The other warehouse is read in one transaction, and this one filled in one, which also builds the star.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import sql_queries as q
from dwh.checks.run import only_reading
from dwh.ownership.tables import columns_of
from dwh.settings.config import load_config
from dwh.terminal.errors import ConfigError, DataError, EnvironmentFailure
from dwh.terminal.wording import count
from star.lake import select_columns
from star.loads import STAR_SHA256, find_last
from star.owner import require_ours

if TYPE_CHECKING:
    from dwh.script import Script
    from dwh.seam import Columns, Row, Session
    from dwh.spool.folder import SpoolFolder
    from dwh.terminal.console import Console

# Not touched_days: the star is rebuilt, and a rebuild removes them. Not the mark of the warehouse: each has its own.
TAKEN = {table: columns_of(q.TABLES[table]) for table in ("loads", "loaded_files", "rejected_lines", *q.STAGING)}
STAR = {table: columns_of(q.TABLES[table]) for table in q.STAR}
BATCH = 100_000  # rows
# The copy for readers may be older than the warehouse itself: it is not renewed by a run that is killed.
NO_COPY = {"DWH_DUCKDB_READERS_COPY": ""}
_WIDTHS = {"BIGINT": "VARCHAR(64)", "DOUBLE PRECISION": "VARCHAR(128)", "TIMESTAMP": "VARCHAR(64)"}

# Values land as text, as those of a source do: the engines differ in what else they take a number or a time for.
_CREATE = Template("CREATE TEMP TABLE taken_$table ($columns)")
_INSERT = Template("INSERT INTO $table ($names) SELECT $values FROM taken_$table")
_DROP = Template("DROP TABLE taken_$table")
_CAST = Template("CAST($column AS $type)")


class Tally:
    """The rows of a table, in any order: their number, and the sum of their hashes. Two tables with equal tallies have
    the same rows, each as often, but for a chance of 1 in 2**64. Python's hash is keyed anew in each process, and takes
    a fifteenth of the time of a digest of the row's text."""

    def __init__(self) -> None:
        self.rows = self._sum = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and (self.rows, self._sum) == (other.rows, other._sum)

    __hash__ = None  # type: ignore[assignment]  # it changes with every row

    def of(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Give the rows as they come, and count them."""
        for row in rows:
            self.rows += 1
            self._sum += hash(row)
            yield row


def tally(session: Session, table: str, columns: Columns) -> Tally:
    """Count the rows of a table."""
    found = Tally()
    for _ in found.of(session.stream(select_columns(table, columns))):
        pass
    return found


class OtherWarehouse:
    """The warehouse to take from, as it is in one transaction. `contents` says what it holds, `proof` what was found
    equal once `prove` has ended, `etl` is the command that loads it."""

    def __init__(self, session: Session, console: Console, place: str, etl: str) -> None:
        self.place = place
        self._session = session
        self._console = console
        self._rebuild = f"{etl} --rebuild"
        self._rows: Mapping[str, int] = dict(session.rows(q.COUNT_ALL_ROWS))
        self._read: dict[str, Tally] = {}
        last = find_last(session)
        if last is None:
            raise ConfigError(f"{place} holds no load: there is nothing to take", hint=etl)
        self._same_star = last[1] == STAR_SHA256
        records = sum(self._rows[table] for table in q.STAGING)
        self.contents = f"{count(self._rows['loaded_files'], 'file')}, {count(records, 'record')}"
        self.proof = "row by row the same" if self._same_star else "row by row the same but for the star"

    def fill(self, session: Session, spools: SpoolFolder) -> None:
        """Fill ledger and staging, which are empty, inside the current transaction of `session`."""
        number = sum(self._rows[table] for table in TAKEN)
        with self._console.progress("taking", number, "rows") as advance:
            for table, columns in TAKEN.items():
                read = self._read[table] = Tally()
                rows = read.of(self._session.stream(select_columns(table, columns)))
                for first in rows:
                    before = read.rows - 1
                    _load(session, spools, table, columns, chain((first,), islice(rows, BATCH - 1)))
                    advance(read.rows - before)

    def prove(self, session: Session) -> None:
        """Read every row of both again, and compare them, inside the current transaction of `session`.

        Raises EnvironmentFailure when a row did not arrive as it was, and DataError when the star that was built is not
        that of the other warehouse, although the same statements made both.
        """
        stars = STAR if self._same_star else {}
        number = sum(self._rows[table] for table in (*TAKEN, *stars))
        with self._console.progress("comparing", number, "rows") as advance:
            for table, columns in TAKEN.items():
                if tally(session, table, columns) != self._read[table]:
                    raise EnvironmentFailure(
                        f"{table} did not arrive as it is in {self.place}",
                        evidence="nothing was stored",
                        hint="the same command again; if it fails again, report it",
                    )
                advance(self._rows[table])
            for table, columns in stars.items():
                if tally(session, table, columns) != tally(self._session, table, columns):
                    raise DataError(
                        f"{table} in {self.place} is not what its staging gives",
                        evidence="nothing was stored",
                        hint=self._rebuild,
                    )
                advance(self._rows[table])


@contextmanager
def open_other(script: Script) -> Iterator[OtherWarehouse]:
    """Open the warehouse of the file that --from-warehouse names, to read one state of it during the block.

    Flags and variables of the environment are about this warehouse, so that file and the dwh.local.cfg beside it say
    everything. Raises ConfigError when that is this warehouse, or one without a load; EnvironmentFailure when it cannot
    be read, or is of another version; Busy while another session holds it.
    """
    from dwh.engines.choose import open_engine

    config = load_config(script.args.from_warehouse, {}, NO_COPY)
    for note in config.notes:
        script.console.note(note)
    engine = open_engine(config)
    place = f"{engine.name}, {engine.place}"
    if engine.address == script.engine.address:
        raise ConfigError(
            f"{config.path} names this warehouse itself: {place}",
            evidence="a dwh.local.cfg beside it counts too",
            hint=f"edit {config.path}     (or --engine, --config: this warehouse)",
        )
    flags = f"--config {shlex.quote(str(config.path))} --engine {engine.name}"
    other = script._replace(config=config, engine=engine)
    with ExitStack() as open_now:
        try:
            session = open_now.enter_context(other.connected(script.args.wait, read_only=True))
            require_ours(session, engine)
        except EnvironmentFailure as error:
            raise _elsewhere(error, config.path, flags) from error
        open_now.enter_context(only_reading(session))
        yield OtherWarehouse(session, script.console, place, " ".join(("python etl.py", flags)))


def _elsewhere(error: EnvironmentFailure, config: Path, flags: str) -> EnvironmentFailure:
    """Give the error with hints that are about the other warehouse. It is never made, as conn_start.py would."""
    hints = [hint for hint in error.hint if not hint.startswith("python conn_start.py")]
    named = [hint.replace(".py", f".py {flags}", 1) for hint in hints]
    edit = f"edit {config}     (it names the warehouse to take from)"
    return EnvironmentFailure(error.message, evidence=error.evidence, hint=named or edit)


def refuse_filled(script: Script, session: Session) -> None:
    """Raise ConfigError when this warehouse has a row already: what is taken is not mixed with anything."""
    rows: dict[str, int] = dict(session.rows(q.COUNT_ALL_ROWS))
    filled = [table for table, number in rows.items() if number and table != "dwh_warehouse"]
    if filled:
        raise ConfigError(
            f"{script.engine.place} is not empty: another warehouse is taken into an empty one only",
            evidence=", ".join(f"{table} {rows[table]:,}" for table in filled),
            hint=(
                f"{script.engine.another}     (a separate warehouse)",
                "python create_tables.py --recreate     (start again, empty)",
            ),
        )


def _load(session: Session, spools: SpoolFolder, table: str, columns: Columns, rows: Iterable[Row]) -> None:
    """Load rows by way of a temporary table of texts, which is made for each batch: an engine may leave rows in it."""
    types = {name: kind.removesuffix(" NOT NULL") for name, kind in columns.items()}
    widths = ", ".join(f"{name} {_WIDTHS.get(kind, kind)}" for name, kind in types.items())
    values = [
        name if kind.startswith("VARCHAR") else _CAST.substitute(column=name, type=kind) for name, kind in types.items()
    ]
    insert = _INSERT.substitute(table=table, names=", ".join(types), values=", ".join(values))
    times = [number for number, kind in enumerate(types.values()) if kind == "TIMESTAMP"]
    part = spools.start().add_rows(table, types, (_record(row, times) for row in rows))
    session.execute(_CREATE.substitute(table=table, columns=widths))
    session.load_through(insert, f"taken_{table}", {name: name for name in types}, [part])
    session.execute(_DROP.substitute(table=table))


def _record(row: Row, times: Sequence[int]) -> list[object]:
    record = list(row)
    for number in times:
        record[number] = str(record[number])
    return record
