"""The terminal: messages, flags, how scripts stop, and their exit codes.

Nothing here knows a setting or a warehouse. Every output shows a masked value as ***.

Other rooms use:

    commands Call
    console  at_end, Console, end_with, run
    errors   Busy, ConfigError, DataError, DwhError, EnvironmentFailure, Interrupted, NotReady, RecordsRefused,
             WrongValue
    flags    confirmation_flag, duration, ScriptParser, take_over_flag, wait_flag, warehouse_parser
    log      rotate
    objects  kept_objects
    signals  cancelled_by
    wording  count, mask, megabytes, near, printable, seconds
"""
