"""Write the star to a data lake, in a folder or an S3 prefix: Apache Iceberg tables, of which an export writes what has
changed since the last one. A reader who starts from export.json always sees one complete export.

  python export_lake.py                     write to [S3] LAKE, unless the lake is up to date
  python export_lake.py --to s3://acme/lake    write elsewhere
  python export_lake.py --check             read the lake back, and compare it with the star

With [LAKE] FORMAT = parquet each export is a folder of plain Parquet files, and manifest.json names the current one.
"""

from __future__ import annotations

from collections.abc import Sequence

from dwh.beforehand import refuse_glue
from dwh.script import begin
from dwh.terminal.console import run
from dwh.terminal.flags import ScriptParser, take_over_flag, wait_flag, warehouse_parser


def parser() -> ScriptParser:
    """Declare the flags of this script."""
    p = warehouse_parser("export_lake", __doc__)
    p.what.add_argument(
        "--check", action="store_true", help="write nothing: read the lake back and compare it with the star"
    )
    p.what.add_argument("--again", action="store_true", help="write all of the star even if the lake is up to date")
    p.how.add_argument("--dry-run", action="store_true", help="change nothing, show what would be written")
    take_over_flag(p)
    wait_flag(p)
    p.output.add_argument("--to", metavar="PLACE", help="a folder or s3:// prefix instead of [S3] LAKE")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Write the star to its lake, in the format that [LAKE] FORMAT names, or compare both."""
    script = begin("export_lake", parser(), argv, {"to": ("S3", "LAKE")})
    script.console.title(f"{script.config.s3.lake}, {script.engine.name}, {script.engine.place}")
    refuse_glue(script.config)
    from dwh.lake.iceberg.places import open_store
    from dwh.lake.places import open_place, refuse_sources
    from star.lake_formats import refuse_other_format

    by_engine = script.engine.name == "redshift"
    place = open_place(script.config, exports_to_s3=by_engine)
    if not script.args.check:
        refuse_sources(script.config, script.command)
    refuse_other_format(script, place)
    if script.config.lake.format == "parquet":
        from star import parquet_lake

        return parquet_lake.run(script, place)
    from star import iceberg_lake

    return iceberg_lake.run(script, open_store(script.config, exports_to_s3=by_engine))


if __name__ == "__main__":
    raise SystemExit(run(main))
