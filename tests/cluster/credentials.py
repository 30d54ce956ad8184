"""The three calls that give temporary credentials of a database, with the rules of the service.

[B] is botocore 1.44.5's model of GetClusterCredentials, GetClusterCredentialsWithIAM and GetCredentials (Serverless);
[D] redshift/latest/mgmt/generating-user-credentials.html and redshift-iam-access-control-identity-based.html; [G] seen
in public projects; [U] not checked here.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.redshift.exceptions import ClusterNotFoundError, RedshiftClientError
from moto.sts.models import sts_backends

if TYPE_CHECKING:
    from cluster.cloud import Cloud

ACCOUNT = "123456789012"
TEMPORARY = "temporary-password"
LEAST, MOST, USUAL = 900, 3600, 900  # seconds [B]
# 1 to 64 of these, a letter first; no colon and no slash, so none of the prefixes IAM: and IAMR: either [B]
USER = re.compile(r"[A-Za-z][A-Za-z0-9_+.@-]{0,63}")
GROUP = re.compile(r"[a-z][a-z0-9_+.@-]{0,63}")
RESERVED = {
    "user",
    "public",
    "admin",
    "all",
    "group",
    "role",
    "table",
    "select",
    "system",
}  # some of [D23 r_pg_keywords]


def handlers(cloud: Cloud) -> dict[str, Callable[[Any], ActionResult]]:
    """Give what answers each of the two calls of a cluster."""

    def get_cluster_credentials(response: Any) -> ActionResult:
        name, create = _parameter(response, "DbUser"), bool(response._get_bool_param("AutoCreate"))
        check_seconds(response._get_int_param("DurationSeconds"))
        if not USER.fullmatch(name or "") or str(name).lower() in RESERVED:
            _refuse(f"DbUser {name}")
        for group in response._get_param("DbGroups", []):
            if not GROUP.fullmatch(group) or group in RESERVED:
                _refuse(f"DbGroups {group}")
        check_database(_parameter(response, "DbName"))
        cluster = _cluster(cloud, response)
        if create:
            cloud.users.add(str(name))
        given = f"{'IAMA' if create else 'IAM'}:{name}"  # [B]
        # of a user who is not there and is not to be made it succeeds, and the connection fails [B]
        there = name in cloud.users or name == cluster.master_username
        return ActionResult(issue(cloud, given, str(name) if there else None))

    def get_cluster_credentials_with_iam(response: Any) -> ActionResult:
        check_seconds(response._get_int_param("DurationSeconds"))
        check_database(_parameter(response, "DbName"))
        _cluster(cloud, response)
        name = identity(cloud, response.get_access_key())
        return ActionResult({**issue(cloud, name, name), "NextRefreshTime": _in(LEAST)})

    return {
        "get_cluster_credentials": get_cluster_credentials,
        "get_cluster_credentials_with_iam": get_cluster_credentials_with_iam,
    }


def get_credentials(cloud: Cloud, given: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Answer GetCredentials of Serverless: the user is the caller's identity there too [G arrowjet: IAMR:admin]."""
    check_seconds(given.get("durationSeconds"))
    check_database(given.get("dbName"))
    name = identity(cloud, key)
    answer = issue(cloud, name, name)
    return {
        "dbUser": answer["DbUser"],
        "dbPassword": answer["DbPassword"],
        "expiration": answer["Expiration"].timestamp(),
    }


def identity(cloud: Cloud, key: str) -> str:
    """Name the database user of an identity: IAM: and the user's name, IAMR: and that of the role, whatever its session
    is called [G: GRANT ... TO "IAMR:role" in public projects]."""
    assumed = sts_backends[ACCOUNT]["aws"].get_assumed_role_from_access_key(key)
    return f"IAMR:{assumed.role_arn.rpartition('/')[2]}" if assumed else f"IAM:{cloud.caller}"


def issue(cloud: Cloud, name: str, user: str | None) -> dict[str, Any]:
    """Give a new password [B], with which `name` signs in as `user` of the database; with None it does not."""
    password = f"{TEMPORARY}-{len(cloud.calls)}"
    if user is not None:
        cloud.passwords[name] = password
        cloud.signs_in_as[name] = user
    return {"DbUser": name, "DbPassword": password, "Expiration": _in(USUAL)}


def check_seconds(seconds: int | None) -> None:
    """Refuse a time that the service does not give [B]."""
    if seconds is not None and not LEAST <= seconds <= MOST:
        _refuse(f"DurationSeconds {seconds}: {LEAST} to {MOST}")


def check_database(name: str | None) -> None:
    """Refuse a name that no database can have [B]."""
    if name is not None and (not USER.fullmatch(name) or name.lower() in RESERVED):
        _refuse(f"DbName {name}")


def _cluster(cloud: Cloud, response: Any) -> Any:
    name = _parameter(response, "ClusterIdentifier")
    if name not in cloud.clusters():  # case counts [B]
        raise ClusterNotFoundError(str(name))
    return cloud.clusters()[str(name)]


def _parameter(response: Any, name: str) -> str | None:
    found = response._get_param(name)
    return None if found is None else str(found)


def _in(seconds: int) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)


def _refuse(message: str) -> None:
    raise RedshiftClientError("InvalidParameterValue", message)  # the code [U]: the model names none
