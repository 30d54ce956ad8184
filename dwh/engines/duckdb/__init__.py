"""DuckDB: the warehouse is one file. DuckDB also reads and writes the Parquet of the lake, for PostgreSQL too.

Other rooms use:

    engine   DuckDbEngine, open_file
    parquet  cannot_write, name_files, write_parquet, write_rows
    session  DuckDbSession
"""
