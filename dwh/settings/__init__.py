"""The settings from dwh.cfg, the environment and flags: read once, checked, and put into one form.

The error for a wrong one names its line and the edit that fixes it. A secret prints as ***.

Other rooms use:

    aws        aws_error, no_credentials, open_session, refusal
    config     Config, load_config, SCRIPTS_FOLDER
    locations  ledger_path
    secrets    Secret, without_credentials
    sections   Aws, Checks, Cluster, DuckDb, Etl, Postgres, S3
"""
