"""A lake of plain Parquet files ([LAKE] FORMAT = parquet): each export writes the whole star into a new folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import sql_queries as q
from dwh.checks.run import only_reading
from dwh.lake.export import Lake
from dwh.lake.manifest import LakeTable, Manifest
from dwh.ownership.marks import Mark
from dwh.ownership.tables import columns_of
from dwh.script import refuse_others
from dwh.terminal.errors import DwhError, EnvironmentFailure
from dwh.terminal.wording import count, megabytes, seconds
from star.lake import EXTRACTS, QUERIES_SHA256, ROWS, add_up
from star.lake_check import Totals, differing, tell_check
from star.loads import SELECT_LATEST, has_run
from star.tables import refuse_missing_tables

if TYPE_CHECKING:
    from dwh.lake.place import Place
    from dwh.script import Script
    from dwh.seam import Address, Session


def run(script: Script, place: Place) -> int:
    """Do what export_lake.py is told to do: read the star in one transaction, write it, and commit by replacing the
    manifest."""
    if script.args.check:
        return check(script, place)
    if script.args.dry_run:
        return preview(script, Lake(place, script.config.lake.keep))
    with place.held():
        return export(script, Lake(place, script.config.lake.keep))


def export(script: Script, lake: Lake) -> int:
    """Write the star as a new version of the lake, unless the current version holds the same star."""
    tables: dict[str, LakeTable] = {}
    with script.connected(script.args.wait, read_only=True) as session, only_reading(session):
        refuse_foreign(script, session, lake)
        origin, totals = describe_star(script, session)
        if script.args.again or not holds(lake, script.engine.address, origin, totals):
            with lake.writing() as target:
                for table, extract in EXTRACTS.items():
                    written = lake.write(session, extract, target, totals[table][ROWS])
                    tables[table] = written._replace(columns=columns_of(q.STAR[table]), totals=totals[table])
                    tell_table(script, table, tables[table])
    made = lake.commit(script.engine.address, origin, tables) if tables else None
    tell_end(script, lake, made, tidy(script, lake, made))
    return 0


def refuse_foreign(script: Script, session: Session, lake: Lake) -> None:
    """Raise an error when the place holds anything but a lake of this warehouse; nothing is changed."""
    lake.refuse_foreign(script.command)
    if lake.manifest:
        mark = Mark(lake.manifest.warehouse, str(lake.manifest.origin.get("run_id", "")))
        refuse_others(
            script, f"the lake in {lake.place.location}", mark, partial(has_run, session), f"{lake.place.location}_2"
        )


def describe_star(script: Script, session: Session) -> tuple[dict[str, Any], Totals]:
    """Give what identifies this star (its last load and the statements that made it), and the totals of its tables."""
    refuse_missing_tables(script, session)
    last: Sequence[Any] = next(iter(session.rows(SELECT_LATEST)), (None,) * 4)
    names = ("load_id", "run_id", "loaded_at", "statements_sha256")
    origin = {name: value if isinstance(value, int) else str(value) for name, value in zip(names, last, strict=True)}
    return {**origin, "queries_sha256": QUERIES_SHA256}, {table: add_up(session, table) for table in EXTRACTS}


def holds(lake: Lake, address: Address, origin: Mapping[str, Any], totals: Totals) -> bool:
    """Tell whether the current version holds this star: the same warehouse, load and totals, and no file is missing."""
    manifest = lake.manifest
    if manifest is None or (manifest.warehouse, manifest.origin) != (address, origin):
        return False
    if manifest.tables.keys() != totals.keys():
        return False
    return all(manifest.tables[table].totals == totals[table] for table in totals) and lake.is_whole()


def preview(script: Script, lake: Lake) -> int:
    """Show what an export would do."""
    with script.connected(script.args.wait, read_only=True) as session, only_reading(session):
        refuse_foreign(script, session, lake)
        origin, totals = describe_star(script, session)
    unchanged = not script.args.again and holds(lake, script.engine.address, origin, totals)
    going = lake.expired(after_export=not unchanged)
    rows = {table: found[ROWS] for table, found in totals.items()}
    if unchanged:
        script.console.result(f"= {lake.place.location} is up to date")
    else:
        script.console.result("+ " + "  ".join(f"{table} {number:,}" for table, number in rows.items()))
    for version in going:
        script.console.result(f"- {version}")
    script.console.result("nothing was changed")
    script.console.finish(
        {
            "engine": script.engine.name,
            "lake": lake.place.location,
            "would_write": not unchanged,
            "would_remove": going,
            "rows": rows,
        }
    )
    return 0


def tidy(script: Script, lake: Lake, made: Manifest | None) -> list[str]:
    """Remove expired versions; the export is complete even if that fails."""
    try:
        return lake.tidy(made)
    except DwhError as error:
        script.console.note(f"older exports were not removed: {error.message}")
        return []


def tell_table(script: Script, name: str, table: LakeTable) -> None:
    """Report what was written of one table."""
    files = count(len(table.files), "file")
    script.console.result(f"{name:<10} {table.rows:>12,} rows  {files:>9}  {megabytes(table.bytes):>10}")


def tell_end(script: Script, lake: Lake, made: Manifest | None, removed: Sequence[str]) -> None:
    """Report where the current version is."""
    console, manifest = script.console, made or lake.manifest
    if manifest is None:  # cannot be: without a manifest the star is always written
        return
    where = f"{lake.place.location}/{manifest.current}"
    if removed:
        console.result(f"- {', '.join(removed)}")
    size = sum(file.bytes for file in manifest.files)
    if made:
        files = count(len(manifest.files), "file")
        console.result(f"{where}: {files}, {megabytes(size)} in {seconds(console.elapsed)}")
    else:
        console.result(f"nothing new: {where} is up to date, in {seconds(console.elapsed)}")
    tables = {
        name: {"rows": table.rows, "bytes": table.bytes, "files": len(table.files)}
        for name, table in manifest.tables.items()
    }
    about = {"lake": lake.place.location, "version": manifest.current, "written": made is not None, "removed": removed}
    took = round(console.elapsed, 3)
    console.finish({"engine": script.engine.name, **about, "tables": tables, "bytes": size, "seconds": took})


def check(script: Script, place: Place) -> int:
    """Read every file of the current version, and compare its totals with those of the star.

    Raises DataError naming the tables that differ.
    """
    lake = Lake(place, script.config.lake.keep)
    if lake.manifest is None:
        raise EnvironmentFailure(f"there is no lake in {place.location}", hint="python export_lake.py")
    with script.connected(script.args.wait, read_only=True) as session, only_reading(session):
        origin, totals = describe_star(script, session)
    from dwh.lake.check import open_reader

    differences: dict[str, list[str]] = {}
    with open_reader(place.copies, script.config.duckdb, place.location) as reader:
        for table, expected in totals.items():
            found, damaged = reader.read(table, lake.manifest.tables[table].files, partial(add_up, table=table))
            differences[table] = damaged or differing(expected, found)
    stale = lake.manifest.origin != origin
    return tell_check(script, place.location, totals, differences, again=not stale, stale=stale)
