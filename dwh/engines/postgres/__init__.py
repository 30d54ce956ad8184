"""PostgreSQL 15 or newer: the warehouse is a schema on a server.

Other rooms use:

    engine  PostgresEngine
"""
