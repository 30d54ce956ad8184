"""Amazon Redshift: the warehouse is a schema in a cluster that the suite makes and removes, or in an existing one.

Other rooms use:

    engine  RedshiftEngine
"""
