"""The engines: one folder each, behind the two protocols of dwh/seam.py, and the code that two of them share.

Only choose.py knows all of them.

Other rooms use:

    libpq         is_local, LibpqSession, server_name
    lock          Holder, take_lock, VANISHED_SECONDS
    libpq_errors  Case, MAKING, NEEDED, server_error
    one_select    BATCH, distinct_names, refuse_query
    pieces        count_days, count_rows, select_pieces
    removal       drop_tables, Place, plan_removal, plan_schema, remove_from_schema, tell_tables
"""
