"""The sources: which files there are, in folders and in S3, which of them are new, and how they are brought here.

A file is known by its path and its fingerprint. A list is whole, or an error is raised.

Other rooms use:

    arrivals   Arrivals
    buckets    Buckets, S3Path, split
    files      fingerprint, is_remote, is_unchanged, is_under, local_file, open_source, SCHEME, SMALL_FILE, SourceFile
    formats    conversion, find_format, find_no_gzip, GZIP_MAGIC, LOOKED_AT
    jsonpaths  write_paths
    ledger     cut_loads, Entry, find_work, is_large, is_unread, Pending, refuse_other_sources, Work
    listing    describe_passed_over, ENDINGS, Listing, only_passed_over, packed_by_name, refuse_shared_places,
               SETTINGS
    objects    in_threads, read_opening
    places     Sources
"""
