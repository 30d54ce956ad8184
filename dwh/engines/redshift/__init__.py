"""Amazon Redshift: the warehouse is a schema of a cluster that is made and removed here, or of one that is there.

Other rooms use:

    engine  RedshiftEngine
"""
