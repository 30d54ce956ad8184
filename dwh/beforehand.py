"""What can be seen before a billed warehouse is made, and so `conn_start.py` looks at it first: settings with which a
later script would end, and buckets that are missing or in the wrong region.

Other rooms use nothing of it; `conn_start.py` and `export_lake.py` do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dwh.sources.files import is_remote, is_under
from dwh.sources.listing import SETTINGS, refuse_shared_places
from dwh.terminal.errors import ConfigError

if TYPE_CHECKING:
    from dwh.settings.config import Config

ROLE_ARN = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/\S+")
ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}")  # [B iam/2010-05-08 roleNameType]
AWS_HOST = re.compile(r"(?:.+\.)?amazonaws\.com(?:\.cn)?")


def refuse_settings(config: Config) -> None:
    """Raise ConfigError for settings with which a script on Redshift would end, now or later. Sends no request."""
    _refuse_places(config)
    _refuse_access(config)
    _refuse_role(config)
    refuse_glue(config)


def refuse_glue(config: Config) -> None:
    """Raise ConfigError when plain Parquet files were to be registered: Glue gets Iceberg tables."""
    if config.lake.glue_database and config.lake.format == "parquet":
        raise ConfigError(
            "[LAKE] GLUE_DATABASE registers Iceberg tables, and FORMAT is parquet",
            hint=("[LAKE] FORMAT = iceberg", "[LAKE] GLUE_DATABASE =     (empty: registered nowhere)"),
        )


def look_at_buckets(config: Config) -> list[str]:
    """Look where the buckets are; gives notes on what will work, but costs more than it has to.

    Raises EnvironmentFailure when there is no such bucket, ConfigError when Redshift could not read from WORK and the
    sources in one COPY. A bucket whose region S3 does not tell to this user is not judged.
    """
    from dwh.sources.buckets import Buckets, split

    buckets = Buckets(config.s3, config.aws)
    places = dict(_places(config))
    regions = {place: buckets.find_region(split(place).bucket) for place in places.values()}
    work = regions[config.s3.work]
    for setting, place in places.items():
        if place not in (config.s3.work, config.s3.lake) and work and regions[place] not in (work, ""):
            # a manifest and all that it names have to be in the region of COPY [D23 copy-parameters-data-source-s3]
            raise ConfigError(
                f"[S3] WORK is in {work}, and {setting} is in {regions[place]}",
                evidence="Redshift reads large objects of the source itself, and then both have to be in one region",
                hint=f"[S3] WORK = s3://BUCKET/work     (a bucket in {regions[place]})",
            )
    own = buckets.session.region_name
    return [
        f"[S3] {name} is in {regions[place]}, and the warehouse in {own}: AWS bills what goes from one to the other"
        for name, place in (("WORK", config.s3.work), ("LAKE", config.s3.lake))
        if own and not config.cluster.host and regions[place] not in (own, "")
    ]


def _places(config: Config) -> Iterator[tuple[str, str]]:
    """Give the places in S3, each with the setting that names it."""
    yield "[S3] WORK", config.s3.work
    yield "[S3] LAKE", config.s3.lake
    for kind, places in _sources(config).items():
        for number, place in enumerate(places):
            if is_remote(place):
                yield f"{SETTINGS[kind]} ({place})" if number else SETTINGS[kind], place


def _sources(config: Config) -> Mapping[str, tuple[str, ...]]:
    return {"songs": config.s3.song_data, "events": config.s3.log_data}


def _refuse_places(config: Config) -> None:
    """Refuse places that are not in S3, or in each other's way."""
    if not is_remote(config.s3.lake):
        raise ConfigError(
            f"Redshift writes its lake to S3 only, and [S3] LAKE is {config.s3.lake}",
            evidence="nothing was made",
            hint="[S3] LAKE = s3://bucket/lake",
        )
    if not config.s3.work:
        raise ConfigError(
            "[S3] WORK is empty; COPY reads what we write there",
            evidence="nothing was made",
            hint="[S3] WORK = s3://bucket/work",
        )
    refuse_shared_places(_sources(config))
    places = [(setting, place.rstrip("/")) for setting, place in _places(config)]
    for own, mine in places[:2]:
        for other, theirs in places:
            if own != other and (is_under(mine, theirs) or is_under(theirs, mine)):
                raise ConfigError(
                    f"{own} = {mine} and {other} = {theirs} are in each other's way",
                    evidence="what is written to the one would be read, or removed, as part of the other",
                    hint=f"{own} = {theirs.rpartition('/')[0] if theirs.count('/') > 2 else 's3://bucket'}/another",
                )


def _refuse_access(config: Config) -> None:
    """Refuse an S3 that the warehouse does not know, and sources that only strangers may read."""
    host = urlsplit(config.s3.endpoint_url).hostname or ""
    if host and not AWS_HOST.fullmatch(host):
        raise ConfigError(
            f"[S3] ENDPOINT_URL = {config.s3.endpoint_url}: Redshift reads from S3 of AWS only",
            hint="[S3] ENDPOINT_URL =     (empty: AWS itself)",
        )
    if config.s3.anonymous:
        raise ConfigError(
            "[S3] ANONYMOUS = yes: without credentials nobody may write to [S3] WORK", hint="[S3] ANONYMOUS = no"
        )


def _refuse_role(config: Config) -> None:
    """Refuse what can be no role."""
    given, name = config.iam_role.arn, config.iam_role.name
    if given and not ROLE_ARN.fullmatch(given):
        raise ConfigError(
            f"[IAM_ROLE] ARN = {given} is not the ARN of a role",
            hint="[IAM_ROLE] ARN = arn:aws:iam::123456789012:role/name     (or empty: one is made)",
        )
    if name and not ROLE_NAME.fullmatch(name):
        raise ConfigError(
            f"[IAM_ROLE] NAME = {name} cannot be the name of a role",
            evidence="1 to 64 letters, digits and + = , . @ _ -",
            hint="[IAM_ROLE] NAME =     (empty: IDENTIFIER-copy)",
        )
