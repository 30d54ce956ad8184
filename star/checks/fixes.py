"""The commands that fix what a check finds."""

LOAD = "python etl.py"
REBUILD = "python etl.py --rebuild"
RELOAD = "python create_tables.py --recreate     (then etl.py loads everything again)"
