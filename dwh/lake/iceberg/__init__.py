"""The lake as Apache Iceberg tables, at a fixed place, written only where something changed.

Each table has the folders `data` and `metadata`. A commit creates the next `v<N>.metadata.json` of a table, which must
not be there yet. `export.json` is replaced last: it pins one snapshot of each table, and names the current files.

Other rooms use:

    check    copies, differences
    glue     Glue, open_glue
    lake     Contents, IcebergLake
    pieces   Pieces, plan_months, plan_whole
    pins     made_by_exports, Pins, PINS, read_pins
    places   open_store
    spec     Column, TableSpec
    store    Store
    writing  write_table
"""
