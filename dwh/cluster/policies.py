"""The rights of the role that COPY and UNLOAD use: read the sources, read and write our own prefixes, nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dwh.settings.sections import S3

Policy = dict[str, Any]
VERSION = "2012-10-17"


def trust_policy() -> Policy:
    """Let only Redshift take the role. COPY on Serverless needs the second name [G]."""
    services = ["redshift.amazonaws.com", "redshift-serverless.amazonaws.com"]
    statement = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
    return {"Version": VERSION, "Statement": [statement]}


def copy_policy(s3: S3, partition: str = "aws") -> Policy | None:
    """Give the rights for exactly the places of [S3]; None when none of them is in S3.

    A place that does not end in / is a prefix of names, as it is for COPY: s3://b/log_data covers log_data2 too.
    Buckets encrypted with your own key (SSE-KMS) also need kms:Decrypt and kms:GenerateDataKey: not given here.
    """
    arn = f"arn:{partition}:s3:::"
    sources = _in_s3([*s3.song_data, *s3.log_data])
    own = _in_s3([s3.work, s3.lake])
    patterns = [(bucket, f"{key}*") for bucket, key in (*sources, *own)]
    if not patterns:
        return None
    statements: list[Policy] = []
    for number, bucket in enumerate(sorted({bucket for bucket, _ in patterns}), 1):
        prefixes = sorted({key for b, key in patterns if b == bucket})
        statements += [
            {
                "Sid": f"List{number}",
                "Effect": "Allow",
                "Action": "s3:ListBucket",
                "Resource": f"{arn}{bucket}",
                # legal on ListBucket only, hence a statement of its own
                "Condition": {"StringLike": {"s3:prefix": prefixes}},
            },
            {
                "Sid": f"Region{number}",
                "Effect": "Allow",
                "Action": "s3:GetBucketLocation",
                "Resource": f"{arn}{bucket}",
            },
        ]
    statements.append(_objects("Read", "s3:GetObject", (f"{arn}{b}/{k}" for b, k in patterns)))
    if own:
        statements.append(_objects("Write", "s3:PutObject", (f"{arn}{b}/{k}*" for b, k in own)))
    return {"Version": VERSION, "Statement": statements}


def _objects(sid: str, action: str, resources: Iterable[str]) -> Policy:
    return {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": sorted(set(resources))}


def _in_s3(places: Iterable[str]) -> list[tuple[str, str]]:
    """Split s3://bucket/key; in the key, the pattern and variable characters of a policy are escaped."""
    found = [place.removeprefix("s3://").partition("/") for place in places if place.startswith("s3://")]
    return sorted({(bucket, re.sub(r"[*?$]", r"${\g<0>}", key)) for bucket, _, key in found})
