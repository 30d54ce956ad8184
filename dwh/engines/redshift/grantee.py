"""Who is given a right: a role of the database, or a user such as that of an AWS identity."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dwh.seam import Row
from dwh.terminal.errors import ConfigError

IDENTITIES = ("IAM:", "IAMR:")  # how the users of AWS identities begin


def name_grantee(run: Callable[[str, Sequence[object]], tuple[int, list[Row]]], role: str) -> str:
    """Say how GRANT names a role or a user [D dg/r_GRANT.html]; `{}` stands for its quoted name.

    Raises ConfigError when there is neither [D dg/r_SVV_ROLES.html].
    """
    if run("SELECT 1 FROM svv_roles WHERE role_name = %s", (role,))[1]:
        return "ROLE {}"
    if run("SELECT 1 FROM pg_user WHERE usename = %s", (role,))[1]:
        return "{}"
    made = f'CREATE USER "{role}" PASSWORD DISABLE' if role.startswith(IDENTITIES) else f"CREATE ROLE {role}"
    raise ConfigError(f"there is no role and no user {role}", hint=f"ask the admin of the warehouse for it: {made}")
