"""The sources: the files in folders and in S3, which of them are new, and how to fetch them.

Path and fingerprint identify a file. A list of files is complete, or an error is raised.

Other rooms use:

    arrivals   Arrivals
    buckets    Buckets, S3Path, split
    files      fingerprint, is_remote, is_unchanged, is_under, local_file, open_source, SCHEME, SMALL_FILE, SourceFile
    flights    in_threads
    formats    conversion, find_format, find_no_gzip, GZIP_MAGIC, LOOKED_AT
    jsonpaths  write_paths
    ledger     cut_loads, Entry, find_work, is_large, is_unread, Pending, refuse_other_sources, Work
    listing    describe_passed_over, ENDINGS, Listing, only_passed_over, packed_by_name, refuse_shared_places,
               SETTINGS
    objects    read_opening
    places     Sources
"""
