"""The checks: what a check is, how one is declared, and how checks are run and shown.

A check is declared by its table, its columns and what must hold (declare, conditions), or brings SQL of its own.

Other rooms use:

    check         Check, Finding, Reason, Result, Run
    conditions    Condition, between, not_blank, not_equal, not_negative, not_null, one_of
    declarations  SameRows, Total, rows_in, sum_of
    declare       equal, every_row, in_range, references, unique, with_defaults
    run           choose, only_reading, run_checks
    show          conclude, list_checks, show, write_junit
"""
