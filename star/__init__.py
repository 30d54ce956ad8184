"""The star: what knows songs and plays beside the statements of sql_queries.py. Scripts use it; dwh/ does not."""
