"""What AWS takes of [CLUSTER]: refused here before the first request, with the right form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dwh.terminal.errors import ConfigError

if TYPE_CHECKING:
    from dwh.settings.sections import Cluster

# What CreateCluster takes [B redshift/2012-12-01].
_NAME = re.compile(r"(?!.*--)[a-z][a-z0-9-]{0,61}[a-z0-9]|[a-z]")
_PASSWORD = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[!-~]{8,64}")
_PORTS = (*range(5431, 5456), *range(8191, 8216))  # CreateWorkgroup takes the same [B redshift-serverless/2021-04-21]
_GONE_TYPES = ("dc1.", "dc2.", "ds1.", "ds2.")
_FROM_TWO_NODES = ("ra3.4xlarge", "ra3.16xlarge")  # [D23 mgmt/working-with-clusters.html]


def check_names(settings: Cluster) -> None:
    """Raise ConfigError for what no kind of warehouse takes: its name, database, user, port and password."""
    if not _NAME.fullmatch(settings.identifier):
        raise ConfigError(
            f"[CLUSTER] IDENTIFIER = {settings.identifier} cannot be the name of a cluster",
            evidence="1 to 63 of a-z, 0-9 and -; a letter first, no - at the end, no two in a row",
            hint="[CLUSTER] IDENTIFIER = sparkify-dwh",
        )
    for key, name in (("DB_NAME", settings.db_name), ("DB_USER", settings.db_user)):
        if name != name.lower():
            raise ConfigError(
                f"[CLUSTER] {key} = {name} has capital letters, which Redshift does not take",
                hint=f"[CLUSTER] {key} = {name.lower()}",
            )
    if settings.db_port not in _PORTS:
        raise ConfigError(
            f"[CLUSTER] DB_PORT = {settings.db_port}: a cluster listens on 5431 to 5455 or 8191 to 8215",
            hint="[CLUSTER] DB_PORT = 5439",
        )
    password = settings.db_password.reveal()
    if password and (not _PASSWORD.fullmatch(password) or set(password) & set("'\"\\/@")):
        raise ConfigError(
            "[CLUSTER] DB_PASSWORD is not a password that Redshift accepts",
            evidence="8 to 64 printable characters, a-z, A-Z and 0-9 among them, none of ' \" \\ / @ and blank",
            hint="[CLUSTER] DB_PASSWORD =     (empty: AWS makes one and keeps it)",
        )


def check_nodes(settings: Cluster) -> None:
    """Raise ConfigError for nodes that AWS does not make, or not in this number."""
    if settings.node_type.startswith(_GONE_TYPES):
        raise ConfigError(
            f"[CLUSTER] NODE_TYPE = {settings.node_type}: AWS no longer makes clusters of that type",
            evidence="DC2 answers `Invalid node type` since June 2025; DS2 and DC1 were gone before it",
            hint="[CLUSTER] NODE_TYPE = ra3.large",
        )
    if settings.node_type in _FROM_TWO_NODES and settings.num_nodes < 2:
        raise ConfigError(
            f"[CLUSTER] NODE_TYPE = {settings.node_type} needs at least two nodes",
            hint=("[CLUSTER] NUM_NODES = 2", "[CLUSTER] NODE_TYPE = ra3.large"),
        )
