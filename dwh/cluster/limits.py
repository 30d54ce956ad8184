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
# What Serverless takes: names [B redshift-serverless/2021-04-21], base sizes [D mgmt/serverless-capacity.html]. Whether
# it takes a most that is no multiple of 8 is not known [U].
_SHORTEST, _LEAST = 3, 4
_SIZES = (*range(8, 513, 8), *range(544, 1025, 32))


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


def check_rpus(settings: Cluster) -> None:
    """Raise ConfigError for a name or for sizes that Serverless does not take."""
    if len(settings.identifier) < _SHORTEST:
        raise ConfigError(
            f"[CLUSTER] IDENTIFIER = {settings.identifier} is too short for Serverless",
            evidence="a namespace and a workgroup have names of 3 to 64 characters",
            hint="[CLUSTER] IDENTIFIER = sparkify-dwh",
        )
    if not (settings.base_rpu == _LEAST or settings.base_rpu in _SIZES):
        raise ConfigError(
            f"[CLUSTER] BASE_RPU = {settings.base_rpu} is not a size of Serverless",
            evidence="4, or a multiple of 8 up to 512, or of 32 up to 1024",
            hint="[CLUSTER] BASE_RPU = 4",
        )
    if settings.max_rpu < settings.base_rpu or settings.max_rpu % 8:
        raise ConfigError(
            f"[CLUSTER] MAX_RPU = {settings.max_rpu} does not go with BASE_RPU = {settings.base_rpu}",
            evidence="a multiple of 8 that is not below BASE_RPU",
            hint=f"[CLUSTER] MAX_RPU = {max(8, settings.base_rpu)}",
        )
    if settings.max_rpu_hours == 0:
        raise ConfigError(
            "[CLUSTER] MAX_RPU_HOURS = 0 would let no query run",
            hint=("[CLUSTER] MAX_RPU_HOURS = 16", "[CLUSTER] MAX_RPU_HOURS = off     (no limit)"),
        )
