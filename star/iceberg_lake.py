"""A lake of Iceberg tables ([LAKE] FORMAT = iceberg): an export writes what changed in the star since the last one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from dwh.checks.run import only_reading
from dwh.lake.iceberg.lake import IcebergLake
from dwh.lake.place import no_lake
from dwh.ownership.marks import Mark
from dwh.script import refuse_others
from dwh.terminal.errors import DwhError, EnvironmentFailure
from dwh.terminal.wording import count, megabytes, seconds
from star.lake import add_up_digests
from star.lake_check import differing, tell_check
from star.lake_tables import EVERYTHING, EXTRACTS, SPECS, describe_origin, find_changes, plan_table
from star.loads import has_run
from star.tables import refuse_missing_tables

if TYPE_CHECKING:
    from dwh.lake.iceberg.glue import Glue
    from dwh.lake.iceberg.lake import Contents
    from dwh.lake.iceberg.pieces import Pieces
    from dwh.lake.iceberg.pins import Pins
    from dwh.lake.iceberg.store import Store
    from dwh.script import Script
    from dwh.seam import Session


def run(script: Script, store: Store) -> int:
    """Do what export_lake.py is told to do: read in one transaction what changed in the star, write it, and commit
    table by table, export.json last."""
    if script.args.check:
        return check(script, look_at(script, store))
    if script.args.dry_run:
        return preview(script, look_at(script, store))
    with store.held():
        return export(script, look_at(script, store))


def look_at(script: Script, store: Store) -> IcebergLake:
    """Look at the lake as it is now; what is exported is read after that, so it is not older than the lake."""
    return IcebergLake(store, SPECS, script.config.lake.keep, by_name=script.engine.name == "redshift")


def export(script: Script, lake: IcebergLake) -> int:
    """Write what changed in the star since the last export, unless the lake holds this star."""
    contents: dict[str, Contents] = {}
    glue = glue_of(script)
    with script.connected(script.args.wait, read_only=True) as session, only_reading(session):
        refuse_foreign(script, session, lake)
        if glue:
            glue.refuse_foreign(lake)
        refuse_missing_tables(script, session)
        origin = describe_origin(session, script.engine.address)
        if not is_current(script, lake, origin):
            from dwh.lake.iceberg.writing import write_table

            with lake.writing():
                for table, pieces in plan(script, session, lake, origin).items():
                    again = script.args.again
                    contents[table] = write_table(lake, session, EXTRACTS[table], pieces, again=again)
                    tell_table(script, lake, table, contents[table])
    if contents:
        lake.commit(contents, origin, script.engine.address)
    # the files of a pointer stay until it has moved, and tidying may write new metadata
    moved = glue.register(lake) if glue else []
    removed = tidy(script, lake)
    moved += glue.register(lake) if glue else []
    for pointer in moved:
        script.console.result(f"glue: {pointer.table} is at v{pointer.after} now")
    tell_end(script, lake, contents, removed)
    return 0


def glue_of(script: Script) -> Glue | None:
    """Give the Glue catalogue in which this lake is registered; None: in none, or --to names another lake than that.

    Raises ConfigError when the lake is not in S3."""
    if not script.config.lake.glue_database or script.args.to:
        return None
    from dwh.lake.iceberg.glue import open_glue

    return open_glue(script.config)


def refuse_foreign(script: Script, session: Session, lake: IcebergLake) -> None:
    """Raise an error when the place holds anything but a lake of this warehouse; nothing is changed."""
    where = lake.store.location
    if lake.pins is None and (others := lake.others()):
        raise no_lake(where, others, script.command)
    if lake.pins:
        mark = Mark(lake.pins.warehouse, lake.pins.origin.get("run_id", ""))
        refuse_others(script, f"the lake in {where}", mark, partial(has_run, session), f"{where}_2")


def is_current(script: Script, lake: IcebergLake, origin: Mapping[str, str]) -> bool:
    """Tell whether the lake holds this star: the same load of the same warehouse, and the last export is complete."""
    return not script.args.again and lake.pins is not None and lake.pins.origin == origin and lake.is_settled()


def plan(script: Script, session: Session, lake: IcebergLake, origin: Mapping[str, str]) -> dict[str, Pieces]:
    """Plan for each table which pieces are written: those that changed since its current files were made."""
    pieces = {}
    for table in EXTRACTS:
        changes = EVERYTHING if script.args.again else find_changes(session, lake.origin(table), origin)
        pieces[table] = plan_table(lake, session, table, changes)
    return pieces


def preview(script: Script, lake: IcebergLake) -> int:
    """Show what an export would do."""
    with script.connected(script.args.wait, read_only=True) as session, only_reading(session):
        refuse_foreign(script, session, lake)
        refuse_missing_tables(script, session)
        origin = describe_origin(session, script.engine.address)
        current = is_current(script, lake, origin)
        pieces = {} if current else plan(script, session, lake, origin)
    changed = {table: plan for table, plan in pieces.items() if plan}
    for table, found in changed.items():
        script.console.result(f"+ {table:<10} {', '.join(found.write) or 'all rows'}")
    gone = [file for found in pieces.values() for file in found.gone]
    size = sum(file.bytes for file in gone)
    if gone:
        script.console.result(f"- {count(len(gone), 'file')} that they replace, {megabytes(size)}")
    going = lake.expired() if current else []
    for path in going:
        script.console.result(f"- {path}")
    if current:
        script.console.result(f"= {lake.store.location} is up to date")
    script.console.result("nothing was changed")
    script.console.finish(
        {
            "engine": script.engine.name,
            "lake": lake.store.location,
            "would_write": not current,
            "would_remove": going,
            "pieces": {table: list(found.write) for table, found in changed.items()},
            "bytes_replaced": size,
        }
    )
    return 0


def tidy(script: Script, lake: IcebergLake) -> list[str]:
    """Remove what has expired; an export is complete even if that fails."""
    try:
        return lake.tidy()
    except DwhError as error:
        script.console.note(f"older exports were not removed: {error.message}")
        return []


def tell_table(script: Script, lake: IcebergLake, name: str, contents: Contents) -> None:
    """Report what the lake holds of one table, and what of it is new."""
    staying = [file for file in lake.files(name) if file not in contents.gone]
    sizes = [(file.rows, file.bytes) for file in staying] + [(file.rows, file.bytes) for file in contents.new]
    rows, size = sum(rows for rows, _ in sizes), sum(size for _, size in sizes)
    written = f"{megabytes(sum(file.bytes for file in contents.new))} written" if contents.new else ""
    line = f"{name:<10} {rows:>12,} rows  {count(len(sizes), 'file'):>9}  {megabytes(size):>10}  {written:>18}"
    script.console.result(line.rstrip())


def tell_end(script: Script, lake: IcebergLake, contents: Mapping[str, Contents], removed: Sequence[str]) -> None:
    """Report the export that is current."""
    console, pins = script.console, lake.pins
    if pins is None:  # cannot be: without one the star is always written
        return
    if removed:
        console.result(f"- {count(len(removed), 'file')} of older exports")
    where, written = f"{lake.store.location}: export {pins.export}", bool(contents)
    new = sum(file.bytes for found in contents.values() for file in found.new)
    if written:
        console.result(f"{where}, {megabytes(new)} written, in {seconds(console.elapsed)}")
    else:
        console.result(f"nothing new: {where} is up to date, in {seconds(console.elapsed)}")
    tell = {"engine": script.engine.name, "lake": lake.store.location, "export": pins.export, "written": written}
    size = sum(file.bytes for file in pins.files)
    console.finish(
        {
            **tell,
            "removed": removed,
            "tables": tables_of(pins),
            "bytes": size,
            "bytes_written": new,
            "seconds": round(console.elapsed, 3),
        }
    )


def tables_of(pins: Pins) -> dict[str, dict[str, int]]:
    """Give rows, bytes and number of files of each table."""
    return {
        name: {"rows": table.rows, "bytes": table.bytes, "files": len(table.files)}
        for name, table in pins.tables.items()
    }


def check(script: Script, lake: IcebergLake) -> int:
    """Read the files that Iceberg's plan names, each whole, and compare their totals with those of the star.

    Raises DataError naming the tables that differ.
    """
    where = lake.store.location
    if lake.pins is None:
        raise EnvironmentFailure(f"there is no lake in {where}", hint="python export_lake.py")
    with script.connected(script.args.wait, read_only=True) as session, only_reading(session):
        refuse_missing_tables(script, session)
        origin = describe_origin(session, script.engine.address)
        totals = {table: add_up_digests(session, table) for table in EXTRACTS}
    wrong = compare(script, lake, lake.pins, totals)
    stale = lake.pins.origin != origin
    return tell_check(script, where, totals, wrong, again=not (stale or lake.is_moved), stale=stale)


def compare(
    script: Script, lake: IcebergLake, pins: Pins, totals: Mapping[str, Mapping[str, int]]
) -> dict[str, list[str]]:
    """Say of each table what is wrong with its files, or with the totals of their rows."""
    from dwh.lake.check import open_reader
    from dwh.lake.iceberg.check import copies, differences

    wrong = differences(lake)
    with open_reader(partial(copies, lake.store), script.config.duckdb, lake.store.location) as reader:
        for table, expected in totals.items():
            if table in pins.tables and not wrong[table]:
                found, damaged = reader.read(table, pins.tables[table].files, partial(add_up_digests, table=table))
                wrong[table] = damaged or differing(expected, found)
    return wrong
