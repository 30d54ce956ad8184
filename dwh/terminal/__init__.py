"""The terminal: what scripts say and are told, how they stop, and which exit code they end with.

Nothing here knows a setting or a warehouse. A value that was masked is shown as *** on every way out.

Other rooms use:

    console  Console, end_with, run
    errors   Busy, ConfigError, DataError, DwhError, EnvironmentFailure, NotReady, RecordsRefused, WrongValue
    flags    confirmation_flag, duration, ScriptParser, take_over_flag, wait_flag, warehouse_parser
    signals  cancelled_by
    wording  count, mask, near, printable, seconds
"""
