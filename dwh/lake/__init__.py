"""The lake: the tables of a warehouse as Parquet, in a folder or in S3.

One manifest names the files of the current export, and is replaced last: a reader who takes the files from it always
sees one complete export.

Other rooms use:

    bounds    Bounds, days_of, find_bounds
    check     open_reader
    export    Lake
    manifest  LakeFile, LakeTable, MANIFEST, Manifest, read_manifest, VERSION
    objects   Objects
    place     locked, no_lake, Place, sha256, worded
    places    folder_of, open_place, refuse_sources
"""
