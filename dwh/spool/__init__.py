"""The spool: it brings the bytes of a source to the engine, and counts their records.

Every record is counted before an engine sees it. A file that is not clearly one object a line is read record by record.

Other rooms use:

    care         needs_care
    digits       TEXT
    folder       open_spool, private_folder, SpoolFolder
    records      Strictness
    small_files  Changed, IncomingFile
    spool        Spool, Unreadable
    unread_keys  Sightings
"""
