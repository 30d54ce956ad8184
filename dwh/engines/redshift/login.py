"""Who signs in to Redshift: [CLUSTER] LOGIN, and where the user and the password of each way come from."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from dwh.cluster.account import Account, Declined
from dwh.settings.secrets import Secret
from dwh.terminal.errors import ConfigError, EnvironmentFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from dwh.settings.sections import Cluster

LOGIN_SECONDS = 900  # the shortest that AWS gives [B]; only signing in needs it
CLUSTERS = ".redshift.amazonaws.com"  # <cluster>.<letters>.<region>.redshift.amazonaws.com[.cn]
WORKGROUPS = ".redshift-serverless.amazonaws.com"  # <workgroup>.<account>.<region>.redshift-serverless.amazonaws.com
# DbUser of GetClusterCredentials: no colon, so none of the names that the ways by IAM give [B].
_USER = re.compile(r"(?!public$)[A-Za-z][A-Za-z0-9_+.@-]{0,63}")
ADMIN = "[CLUSTER] LOGIN = secret     (the admin's password, which AWS keeps)"
GUEST = "[CLUSTER] LOGIN = iam     (your AWS identity)"


class Place(NamedTuple):
    """The host and port of a warehouse. `cluster` is its name in AWS, with `serverless` that of a workgroup;
    `secret_arn` is the secret that AWS keeps for it."""

    host: str
    port: int
    cluster: str = ""
    secret_arn: str = ""
    serverless: bool = False


class Login(NamedTuple):
    """A user and its password; `way` is the value of LOGIN, `how` says where they come from."""

    user: str
    password: Secret
    way: str
    how: str


def given_place(settings: Cluster) -> Place:
    """Give the warehouse that [CLUSTER] HOST names."""
    serverless = WORKGROUPS in settings.host
    name = settings.host.split(".")[0] if serverless or CLUSTERS in settings.host else ""
    return Place(settings.host, settings.db_port, name, serverless=serverless)


def check_login(settings: Cluster) -> None:
    """Raise ConfigError for a LOGIN that cannot work with the other settings. Sends no request."""
    if settings.login == "password" and not settings.db_password:
        raise ConfigError(
            "[CLUSTER] LOGIN = password, and there is no password",
            hint=("[CLUSTER] DB_PASSWORD in dwh.local.cfg     (chmod 600)", ADMIN),
        )
    if settings.login == "secret" and settings.db_password and not settings.host:
        raise ConfigError(
            "[CLUSTER] LOGIN = secret, and DB_PASSWORD is set: AWS keeps no secret for a cluster made with a password",
            hint=("[CLUSTER] DB_PASSWORD =     (empty: AWS makes one and keeps it)", "[CLUSTER] LOGIN = password"),
        )
    if settings.login == "db_user" and not _USER.fullmatch(settings.db_user):
        raise ConfigError(
            f"[CLUSTER] DB_USER = {settings.db_user} cannot sign in by LOGIN = db_user",
            evidence="1 to 64 letters, digits and _ + . @ -, a letter first",
            hint=("[CLUSTER] DB_USER = awsuser", GUEST),
        )
    ours_is_serverless = not settings.host and settings.kind == "serverless"
    if settings.login == "db_user" and (ours_is_serverless or WORKGROUPS in settings.host):
        raise ConfigError("[CLUSTER] LOGIN = db_user: Serverless has no such way", hint=(GUEST, ADMIN))


def sign_in(account: Account, settings: Cluster, place: Place) -> Login:
    """Find user and password as [CLUSTER] LOGIN says. Without it: DB_PASSWORD, else the admin secret that AWS keeps,
    else temporary ones of DB_USER, so that all tables have one owner; those of Serverless are of the IAM identity.

    Raises ConfigError for a way that this warehouse does not have, EnvironmentFailure when AWS refuses it.
    """
    check_login(settings)
    return _WAYS[settings.login or _first_there(settings, place)](account, settings, place)


def _first_there(settings: Cluster, place: Place) -> str:
    if settings.db_password:
        return "password"
    if place.secret_arn:
        return "secret"
    if place.cluster:
        return "iam" if place.serverless else "db_user"  # Serverless gives credentials of no other user [B]
    raise ConfigError(
        f"no password for {place.host}", hint="[CLUSTER] DB_USER, and DB_PASSWORD in dwh.local.cfg (chmod 600)"
    )


def _by_password(_account: Account, settings: Cluster, _place: Place) -> Login:
    return Login(settings.db_user, settings.db_password, "password", "[CLUSTER] DB_PASSWORD")


def _by_secret(account: Account, _settings: Cluster, place: Place) -> Login:
    arn = place.secret_arn or _find_secret(account, place)
    if not arn:
        raise EnvironmentFailure(
            f"AWS keeps no password for the admin of {place.host}", hint=("[CLUSTER] LOGIN = password", GUEST)
        )
    # host and database in it are not reliable [G]
    value = json.loads(account.ask("secretsmanager:GetSecretValue", SecretId=arn)["SecretString"])
    return Login(value["username"], Secret(value["password"]), "secret", "the secret that AWS keeps")


def _find_secret(account: Account, place: Place) -> str:
    """Find the secret of the warehouse of [CLUSTER] HOST; empty when there is none."""
    _require_name(place, "secret")
    try:
        if place.serverless:
            gone = ("ResourceNotFoundException",)
            group = _ask_serverless(account, "GetWorkgroup", gone, workgroupName=place.cluster)["workgroup"]
            space = _ask_serverless(account, "GetNamespace", gone, namespaceName=group["namespaceName"])["namespace"]
            return str(space.get("adminPasswordSecretArn", ""))
        asked: dict[str, Any] = {"ClusterIdentifier": place.cluster}
        [found] = account.ask("redshift:DescribeClusters", expected=("ClusterNotFound",), **asked)["Clusters"]
        return str(found.get("MasterPasswordSecretArn", ""))
    except Declined:
        return ""


def _by_db_user(account: Account, settings: Cluster, place: Place) -> Login:
    _require_name(place, "db_user")
    answer = account.ask(
        "redshift:GetClusterCredentials",
        ClusterIdentifier=place.cluster,
        DbUser=settings.db_user,
        DbName=settings.db_name,
        DurationSeconds=LOGIN_SECONDS,
        AutoCreate=False,  # a mistyped user is not made
    )
    # the password belongs to the returned name: IAM:user [B]
    return Login(answer["DbUser"], Secret(answer["DbPassword"]), "db_user", "temporary IAM credentials")


def _by_iam(account: Account, settings: Cluster, place: Place) -> Login:
    _require_name(place, "iam")
    if place.serverless:
        asked: dict[str, Any] = {"workgroupName": place.cluster, "dbName": settings.db_name}
        answer = _ask_serverless(account, "GetCredentials", (), **asked, durationSeconds=LOGIN_SECONDS)
        user, password = answer["dbUser"], answer["dbPassword"]
    else:
        asked = {"ClusterIdentifier": place.cluster, "DbName": settings.db_name}
        answer = account.ask("redshift:GetClusterCredentialsWithIAM", **asked, DurationSeconds=LOGIN_SECONDS)
        user, password = answer["DbUser"], answer["DbPassword"]
    return Login(user, Secret(password), "iam", "the credentials of your AWS identity")


def _require_name(place: Place, way: str) -> None:
    if not place.cluster:
        raise ConfigError(
            f"[CLUSTER] LOGIN = {way}: AWS is asked by the name of the warehouse, which {place.host} does not say",
            hint=("[CLUSTER] HOST     (the endpoint that AWS gave it)", "[CLUSTER] LOGIN = password"),
        )


def _ask_serverless(account: Account, operation: str, expected: tuple[str, ...], **parameters: Any) -> Any:
    return account.ask(f"redshift-serverless:{operation}", expected=expected, **parameters)


_WAYS: dict[str, Callable[[Account, Cluster, Place], Login]] = {
    "password": _by_password,
    "secret": _by_secret,
    "db_user": _by_db_user,
    "iam": _by_iam,
}
