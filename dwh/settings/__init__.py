"""The settings: what dwh.cfg, the environment and flags say, read once, checked, and put into one form.

A wrong one is told with its line, and an edit that puts it right. A secret prints as ***.

Other rooms use:

    aws        aws_error, no_credentials, open_session, refusal
    config     Config, load_config, SCRIPTS_FOLDER
    locations  ledger_path
    secrets    Secret, without_credentials
    sections   Aws, Checks, Cluster, DuckDb, Etl, Postgres, S3
"""
