"""Ownership: which tables, lakes and reports belong to a warehouse of this suite.

Nothing else is ever altered, filled or removed.

Other rooms use:

    marks   in_words, Mark, read_address
    tables  columns_of, find_owner, name_some, refuse_strangers, Standing
"""
