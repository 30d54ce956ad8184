"""The lake: the tables of a warehouse as Parquet, in a folder or in S3.

One manifest names the files of the current export, and is replaced last: a reader who starts from it sees one whole
export.

Other rooms use:

    check     open_reader
    export    Lake
    manifest  LakeTable, Manifest
    place     Place
    places    open_place, refuse_sources
"""
