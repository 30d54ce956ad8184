"""Connecting to Redshift over TLS, and what a failed connection means."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dwh.cluster.account import Account
from dwh.engines.redshift.login import Login, Place, sign_in
from dwh.terminal.errors import DwhError, EnvironmentFailure

if TYPE_CHECKING:
    import psycopg2
    from psycopg2.extensions import connection as PgConnection  # noqa: N812

    from dwh.settings.sections import Cluster

CONNECT_SECONDS = 10


class Unreachable(EnvironmentFailure):
    """The name is not known yet, or nothing listens on the port: both pass soon after a start."""


class WrongPassword(EnvironmentFailure):
    """The warehouse does not know this user with this password."""


def connect(account: Account, settings: Cluster, place: Place, blocked: Callable[[], DwhError]) -> PgConnection:
    """Connect over verified TLS; `blocked` gives the error when nothing answers.

    A wrong password is never tried again: five of them lock the user [D dg/max_failed_login_attempts.html]. Only a
    secret that AWS has changed in the meantime is fetched once more.
    """
    login = sign_in(account, settings, place)
    try:
        return _open(settings, place, login, blocked)
    except WrongPassword:
        if login.way != "secret":
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
            hint=_ask_for_user(login.user) if login.way == "iam" else _WRONG,
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


def _ask_for_user(name: str) -> str:
    return f'ask the admin for this user: CREATE USER "{name}" PASSWORD DISABLE     (and its grants)'


_WRONG = "[CLUSTER] DB_USER, and DB_PASSWORD in dwh.local.cfg     (empty: AWS makes and keeps one)"
_CA = "[CLUSTER] SSLROOTCERT     (empty: certifi's, which holds Amazon's roots)"
