"""Signing in to Redshift and connecting over TLS: which password to use, and what a failed connection means."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from dwh.cluster.account import Account
from dwh.settings.secrets import Secret
from dwh.terminal.errors import ConfigError, DwhError, EnvironmentFailure

if TYPE_CHECKING:
    import psycopg2
    from psycopg2.extensions import connection as PgConnection  # noqa: N812

    from dwh.settings.sections import Cluster

CONNECT_SECONDS = 10
LOGIN_SECONDS = 900  # the shortest that get_cluster_credentials allows; only signing in needs it
CLUSTERS = ".redshift.amazonaws.com"  # <cluster>.<letters>.<region>.redshift.amazonaws.com[.cn]
WORKGROUPS = ".redshift-serverless.amazonaws.com"  # <workgroup>.<account>.<region>.redshift-serverless.amazonaws.com


class Unreachable(EnvironmentFailure):
    """The name is not known yet, or nothing listens on the port: both pass soon after a start."""


class WrongPassword(EnvironmentFailure):
    """The warehouse does not know this user with this password."""


class Place(NamedTuple):
    """The host and port of a warehouse. `cluster` is its name in AWS, with `serverless` that of a workgroup;
    `secret_arn` is the secret that AWS keeps for it."""

    host: str
    port: int
    cluster: str = ""
    secret_arn: str = ""
    serverless: bool = False


class Login(NamedTuple):
    """A user and its password; `how` names their source."""

    user: str
    password: Secret
    how: str


def given_place(settings: Cluster) -> Place:
    """Give the warehouse that [CLUSTER] HOST names."""
    serverless = WORKGROUPS in settings.host
    name = settings.host.split(".")[0] if serverless or CLUSTERS in settings.host else ""
    return Place(settings.host, settings.db_port, name, serverless=serverless)


def sign_in(account: Account, settings: Cluster, place: Place) -> Login:
    """Find user and password: [CLUSTER] DB_PASSWORD, else the admin secret that AWS keeps, else temporary ones.

    The session is that of [CLUSTER] DB_USER, so that all tables have one owner; only the temporary credentials of
    Serverless are those of the IAM identity, who reads and loads by grants.
    """
    if settings.db_password:
        return Login(settings.db_user, settings.db_password, "[CLUSTER] DB_PASSWORD")
    if place.secret_arn:
        # host and database in it are not reliable [G]
        answer = account.ask("secretsmanager:GetSecretValue", SecretId=place.secret_arn)
        value = json.loads(answer["SecretString"])
        return Login(value["username"], Secret(value["password"]), "the secret that AWS keeps")
    if not place.cluster:
        raise ConfigError(
            f"no password for {place.host}", hint="[CLUSTER] DB_USER, and DB_PASSWORD in dwh.local.cfg (chmod 600)"
        )
    if place.serverless:
        return _sign_in_by_identity(account, settings, place)
    answer = account.ask(
        "redshift:GetClusterCredentials",
        ClusterIdentifier=place.cluster,
        DbUser=settings.db_user,
        DbName=settings.db_name,
        DurationSeconds=LOGIN_SECONDS,
        AutoCreate=False,
    )
    # the password belongs to the returned name: IAM:user [B]
    return Login(answer["DbUser"], Secret(answer["DbPassword"]), "temporary IAM credentials")


def _sign_in_by_identity(account: Account, settings: Cluster, place: Place) -> Login:
    """Get temporary credentials of Serverless. AWS gives them to the IAM identity that asks, who becomes a user of the
    database [B GetCredentials]: no other user can be named."""
    answer = account.ask(
        "redshift-serverless:GetCredentials",
        workgroupName=place.cluster,
        dbName=settings.db_name,
        durationSeconds=LOGIN_SECONDS,
    )
    return Login(answer["dbUser"], Secret(answer["dbPassword"]), "temporary IAM credentials")


def connect(account: Account, settings: Cluster, place: Place, blocked: Callable[[], DwhError]) -> PgConnection:
    """Connect over verified TLS; `blocked` gives the error when nothing answers.

    A wrong password is never tried again: five of them lock the user [D dg/max_failed_login_attempts.html]. Only a
    secret that AWS has changed in the meantime is fetched once more.
    """
    login = sign_in(account, settings, place)
    try:
        return _open(settings, place, login, blocked)
    except WrongPassword:
        if settings.db_password or not place.secret_arn:
            raise
        fresh = sign_in(account, settings, place)
        if fresh == login:
            raise
        return _open(settings, place, fresh, blocked)


def _open(settings: Cluster, place: Place, login: Login, blocked: Callable[[], DwhError]) -> PgConnection:
    import certifi
    import psycopg2

    try:
        return psycopg2.connect(
            host=place.host,
            port=place.port,
            dbname=settings.db_name,
            user=login.user,
            password=login.password.reveal(),
            sslmode="verify-full",
            # certifi holds the Amazon roots [R]
            sslrootcert=settings.sslrootcert or certifi.where(),
            connect_timeout=CONNECT_SECONDS,
            keepalives=1,
            keepalives_idle=60,  # a long COPY leaves the connection idle
            application_name="sparkify-warehouse",
        )
    except psycopg2.OperationalError as error:
        raise _worded(error, place, login, blocked) from error


def _worded(error: psycopg2.OperationalError, place: Place, login: Login, blocked: Callable[[], DwhError]) -> DwhError:
    """Word an error of libpq while connecting, by its text: libpq gives nothing else."""
    text = " ".join(str(error).split())
    if "could not translate host name" in text:
        hint = ("[CLUSTER] HOST     (if it is set)", "python conn_start.py --engine redshift")
        return Unreachable(f"there is no host {place.host}", evidence=text, hint=hint)
    if "password authentication failed" in text or "no password supplied" in text:
        return WrongPassword(
            f"{place.host} does not let {login.user} in with {login.how}",
            evidence=(text, "five wrong passwords in a row lock a user, so this was not tried again"),
            hint="[CLUSTER] DB_USER, and DB_PASSWORD in dwh.local.cfg     (empty: AWS makes and keeps one)",
        )
    if "certificate" in text or "SSL" in text:
        return EnvironmentFailure(f"{place.host}: the connection is not safe", evidence=text, hint=_CA)
    if "refused" in text:
        return Unreachable(
            f"{place.host} is there, but nothing listens on port {place.port}",
            evidence=text,
            hint=("[CLUSTER] DB_PORT", "the same command again, in a minute"),
        )
    if "timeout" in text or "timed out" in text:
        return blocked()
    return EnvironmentFailure(
        f"{place.host} refuses the connection", evidence=text, hint="[CLUSTER] DB_NAME and DB_USER"
    )


_CA = "[CLUSTER] SSLROOTCERT     (empty: certifi's, which holds Amazon's roots)"
