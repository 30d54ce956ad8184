"""Every key of dwh.cfg: its section, its default, its meaning, and how its text is read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from dwh.settings.hosts import read_endpoint, read_identifier, read_server, read_service_url
from dwh.settings.locations import read_database, read_locations, read_path, read_place, read_prefix
from dwh.settings.secrets import Secret
from dwh.settings.values import (
    Parse,
    one_of,
    read_boolean,
    read_catalogue_name,
    read_command,
    read_integer,
    read_optional_integer,
    read_patterns,
    read_positive,
    read_ratio,
    read_seconds,
    read_secret,
    read_size,
    read_text,
)


class Setting(NamedTuple):
    """A key: its default as in dwh.cfg, its meaning, and the parser of its text."""

    default: str
    meaning: str
    parse: Parse


def setting(default: str, meaning: str, parse: Parse = read_text) -> Any:
    """Declare a key of a section."""
    return Setting(default, meaning, parse)


class Section:
    """One section of dwh.cfg: one read-only attribute for each key.

    Not a dataclass: importing those takes as long as everything else that --help needs.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)

    def __setattr__(self, name: str, _value: object) -> None:
        raise AttributeError(f"{name} is a setting and stays as it was read")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


class Warehouse(Section):
    """Which engine."""

    engine: str = setting("duckdb", "duckdb, postgres or redshift", one_of("duckdb", "postgres", "redshift"))


class S3(Section):
    """Where the data is."""

    log_data: tuple[str, ...] = setting(
        "data/log_data", "event logs: a folder or s3:// prefix (several: separated by blanks)", read_locations
    )
    song_data: tuple[str, ...] = setting("data/song_data", "song files: in the same form", read_locations)
    log_jsonpath: str = setting("", "not needed; if set, on Redshift, it must name all keys of an event", read_place)
    pattern: tuple[str, ...] = setting(
        "", "more file names to read besides *.json and the like: shell patterns such as part-*", read_patterns
    )
    work: str = setting("", "s3:// prefix the suite may write to", read_prefix)
    lake: str = setting("lake", "where the lake goes: a folder or s3:// prefix", read_place)
    endpoint_url: str = setting(
        "", "another S3 endpoint (MinIO, R2); empty: AWS_ENDPOINT_URL, or AWS itself", read_service_url
    )
    region: str = setting("", "region of the buckets; empty: found by asking S3")
    anonymous: bool = setting("no", "read public buckets without credentials", read_boolean)
    timeout: int = setting(
        "60", "seconds that a request may take; one that fails is retried for as long", read_positive
    )


class Lake(Section):
    """The exports in [S3] LAKE."""

    format: str = setting(
        "iceberg",
        "iceberg: tables of Apache Iceberg, of which an export writes what has changed; parquet: plain files, all anew",
        one_of("iceberg", "parquet"),
    )
    keep: int = setting(
        "2", "number of exports to keep, the current one included; older ones are removed", read_positive
    )
    glue_database: str = setting(
        "", "database of the AWS Glue catalogue that names the tables of a lake in S3; empty: none", read_catalogue_name
    )


class Report(Section):
    """The page of report.py."""

    path: str = setting("report.html", "the page that report.py writes", read_path)


class Aws(Section):
    """The AWS account and its credentials."""

    key: Secret = setting("", "access key id; empty: the standard AWS credential chain", read_secret)
    secret: Secret = setting("", "secret access key", read_secret)
    region: str = setting("", "region of the cluster, and of the Glue catalogue")
    profile: str = setting("", "profile of ~/.aws/config")


class DuckDb(Section):
    """The embedded engine."""

    path: str = setting("sparkify.duckdb", "the database file", read_database)
    readers_copy: str = setting(
        "",
        "a copy of the file for readers, renewed after each load; empty: no copy, and no reader beside a load",
        read_database,
    )
    memory_limit: int = setting("2 GB", "most memory that DuckDB may use; beyond that it spills to disk", read_size)
    threads: int = setting("0", "0: one for each core", read_integer)


class Postgres(Section):
    """A PostgreSQL server."""

    host: str = setting("localhost", "server, or the folder of its socket", read_server)
    port: int = setting("5432", "port", read_positive)
    db_name: str = setting("sparkify", "database")
    db_user: str = setting("", "user; empty: libpq's default (PGUSER, or your login name)")
    db_password: Secret = setting("", "password; empty: PGPASSWORD or ~/.pgpass", read_secret)
    schema: str = setting("sparkify", "schema of the tables")
    sslmode: str = setting("", "TLS mode of libpq; empty: prefer on this machine, verify-full elsewhere")
    sslrootcert: str = setting("", "CA bundle; empty: certifi's", read_path)


class Cluster(Section):
    """An Amazon Redshift cluster, or a Serverless warehouse."""

    kind: str = setting(
        "provisioned",
        "provisioned: a cluster, billed by the hour; serverless: billed while a statement runs",
        one_of("provisioned", "serverless"),
    )
    identifier: str = setting(
        "sparkify-dwh",
        "name of the cluster, or of namespace and workgroup, in lower case; also the tag dwh-suite on everything made",
        read_identifier,
    )
    node_type: str = setting("ra3.large", "node type: ra3.large, rg.large and larger")
    num_nodes: int = setting("1", "number of nodes; ra3.4xlarge and larger need 2", read_positive)
    base_rpu: int = setting("4", "Serverless: RPU that a statement begins with: 4, or a multiple of 8", read_positive)
    max_rpu: int = setting("8", "Serverless: most RPU at once, a multiple of 8", read_positive)
    max_rpu_hours: int | None = setting(
        "16",
        "Serverless: RPU-hours a day, beyond which AWS takes no query until the next day; off: no limit",
        read_optional_integer,
    )
    db_name: str = setting("dwh", "database")
    db_user: str = setting("awsuser", "admin user, who owns all tables")
    db_password: Secret = setting("", "admin password; empty: AWS makes, keeps and rotates one", read_secret)
    login: str = setting(
        "",
        "who signs in: secret, password, db_user or iam (a guest); empty: the first of password, secret and db_user",
        one_of("", "secret", "password", "db_user", "iam"),
    )
    db_port: int = setting("5439", "port: 5431 to 5455 or 8191 to 8215", read_positive)
    schema: str = setting("public", "schema of the tables")
    host: str = setting(
        "", "endpoint of an existing warehouse, provisioned or Serverless: no cluster is made or deleted", read_endpoint
    )
    sslrootcert: str = setting("", "CA bundle; empty: certifi's", read_path)
    public: bool = setting(
        "no", "yes: reachable from the internet, but only by ALLOW_CIDR; no: only from inside its VPC", read_boolean
    )
    allow_cidr: str = setting(
        "",
        "addresses that may connect, at most a /24; empty: this machine's, where the cluster can be reached from here",
    )
    subnet_group: str = setting("", "cluster subnet group; empty: the default VPC")
    final_snapshot: bool = setting("yes", "conn_close.py keeps the data in a snapshot for 7 days", read_boolean)
    poll_seconds: float = setting("15", "seconds between two status checks", read_seconds)


class IamRole(Section):
    """The role that COPY uses."""

    name: str = setting("", "name of the role made for COPY and UNLOAD; empty: IDENTIFIER-copy")
    arn: str = setting("", "an existing role to use: none is made or deleted")


class Etl(Section):
    """How files are loaded."""

    on_bad_line: str = setting(
        "stop",
        "stop: a bad record rolls its load back; quarantine: it goes to rejected_lines",
        one_of("stop", "quarantine"),
    )
    max_load_files: int = setting("250000", "most files in one load (= one transaction)", read_positive)
    max_load_bytes: int = setting("1 GiB", "most bytes in one load; a larger file is a load of its own", read_size)
    direct_copy_bytes: int = setting(
        "256 MiB", "Redshift itself reads S3 objects of at least this size; this machine reads smaller ones", read_size
    )


class Checks(Section):
    """What sql_validate.py accepts."""

    max_rejected: int = setting(
        "0", "sql_validate warns up to this number of rejected records, and fails above it", read_integer
    )
    min_match_ratio: float = setting(
        "0.01", "warn when a smaller share of the plays matches a song (0 to 1)", read_ratio
    )
    max_age_days: int | None = setting(
        "off", "warn when the newest play is older than this (days)", read_optional_integer
    )


class Log(Section):
    """The file of --log-file."""

    keep_days: int | None = setting(
        "off",
        "a new log file each day (UTC), and this many days of old ones are kept; off: one file",
        read_optional_integer,
    )


class Notify(Section):
    """Commands that learn how a run ended: they get its JSON object on stdin."""

    on_failure: tuple[str, ...] = setting("", "command to run when a run has failed; no shell reads it", read_command)
    on_success: tuple[str, ...] = setting("", "command to run when a run has succeeded", read_command)


SECTIONS: dict[str, type[Section]] = {
    "WAREHOUSE": Warehouse,
    "S3": S3,
    "LAKE": Lake,
    "REPORT": Report,
    "AWS": Aws,
    "DUCKDB": DuckDb,
    "POSTGRES": Postgres,
    "CLUSTER": Cluster,
    "IAM_ROLE": IamRole,
    "ETL": Etl,
    "CHECKS": Checks,
    "LOG": Log,
    "NOTIFY": Notify,
}


@cache
def declared_keys() -> Mapping[tuple[str, str], Setting]:
    """Give every (section, key) with its default, its meaning and its parser, in the order of the reference."""
    return {
        (section, name.upper()): declared
        for section, cls in SECTIONS.items()
        for name, declared in vars(cls).items()
        if isinstance(declared, Setting)
    }


def is_secret(section: str, name: str) -> bool:
    """Tell whether a key holds a secret."""
    return declared_keys()[section, name].parse is read_secret


def is_several(section: str, name: str) -> bool:
    """Tell whether a key holds several values, separated by blanks."""
    return declared_keys()[section, name].parse is read_locations
