"""The spool: the way of a source's bytes to the engine, and the count of their records.

Every record is counted before an engine sees it. What is not plainly one object a line is read record by record.

Other rooms use:

    digits       TEXT
    folder       open_spool, private_folder, SpoolFolder
    records      Strictness
    spool        Changed, IncomingFile, needs_care, Spool, Unreadable
    unread_keys  Sightings
"""
