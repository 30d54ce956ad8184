"""The names that other projects of this family have for our settings."""

from __future__ import annotations

# In [DWH], and in the environment. None: accepted, but no longer needed.
ALIASES: dict[str, tuple[str, str] | None] = {
    "DWH_CLUSTER_TYPE": None,
    "DWH_NUM_NODES": ("CLUSTER", "NUM_NODES"),
    "DWH_NODE_TYPE": ("CLUSTER", "NODE_TYPE"),
    "DWH_CLUSTER_IDENTIFIER": ("CLUSTER", "IDENTIFIER"),
    "DWH_DB": ("CLUSTER", "DB_NAME"),
    "DWH_DB_USER": ("CLUSTER", "DB_USER"),
    "DWH_DB_PASSWORD": ("CLUSTER", "DB_PASSWORD"),
    "DWH_PORT": ("CLUSTER", "DB_PORT"),
    "DWH_IAM_ROLE_NAME": ("IAM_ROLE", "NAME"),
    "DWH_ROLE_ARN": ("IAM_ROLE", "ARN"),
    "DWH_ENDPOINT": ("CLUSTER", "HOST"),
    "DWH_REGION": ("AWS", "REGION"),
}

# Names that they use in other places, and today's place: shown in the error, not accepted.
ELSEWHERE = {
    **dict.fromkeys(("DB", "REDSHIFT", "DATABASE", "DWH_CLUSTER"), "CLUSTER"),
    **dict.fromkeys(("IAM", "ROLE"), "IAM_ROLE"),
    **dict.fromkeys(("KEYS", "CREDENTIALS", "AWS_CREDENTIALS"), "AWS"),
    **dict.fromkeys(("REGION", "AWS_REGION", "REGION_NAME"), "[AWS] REGION"),
    **dict.fromkeys(("ACCESS_KEY", "ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID", "AWS_KEY", "KEY_ID"), "[AWS] KEY"),
    **dict.fromkeys(("SECRET_KEY", "SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET"), "[AWS] SECRET"),
    **dict.fromkeys(("CLUSTER_IDENTIFIER", "DB_CLUSTER_IDENTIFIER", "CLUSTER_ID"), "[CLUSTER] IDENTIFIER"),
    **dict.fromkeys(("CLUSTER_NODE_TYPE", "DB_NODE_TYPE"), "[CLUSTER] NODE_TYPE"),
    **dict.fromkeys(("CLUSTER_NUM_NODES", "DB_NUM_NODES", "NODE_COUNT"), "[CLUSTER] NUM_NODES"),
    **dict.fromkeys(("DWH_DB_NAME", "DWH_DATABASE", "DBNAME"), "[CLUSTER] DB_NAME"),
    **dict.fromkeys(("DWH_USER", "DWH_USERNAME"), "[CLUSTER] DB_USER"),
    **dict.fromkeys(("DWH_PASSWORD",), "[CLUSTER] DB_PASSWORD"),
    **dict.fromkeys(("DWH_DB_PORT",), "[CLUSTER] DB_PORT"),
    **dict.fromkeys(("ENDPOINT", "DWH_HOST", "DWH_HOSTNAME", "DB_HOST"), "[CLUSTER] HOST"),
    **dict.fromkeys(("IAM_ROLE_NAME", "ROLE_NAME", "DWH_IAM_ROLENAME", "DWH_ROLE_NAME"), "[IAM_ROLE] NAME"),
    **dict.fromkeys(("IAM_ROLE_ARN", "ROLE_ARN", "DWH_IAM_ROLE_ARN"), "[IAM_ROLE] ARN"),
    **dict.fromkeys(("BUCKET_REGION", "S3_REGION"), "[S3] REGION"),
    **dict.fromkeys(("LOG_JSON_PATH", "LOG_JSONPATHS", "JSONPATH"), "[S3] LOG_JSONPATH"),
}
