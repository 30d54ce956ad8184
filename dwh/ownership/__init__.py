"""Whose things are: the tables in a warehouse, and a lake or a report.

What is not ours is never altered, filled or removed.

Other rooms use:

    marks   in_words, Mark, read_address
    tables  columns_of, find_owner, name_some, refuse_strangers, Standing
"""
