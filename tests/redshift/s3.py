"""S3 as COPY and UNLOAD meet it: objects by their addresses, regions, and the texts of S3's refusals.

Texts: [D23] dg/s3serviceexception-error.html; [G] databricks/spark-redshift#136, aws-lambda-redshift-loader#73.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from redshift.wire import SqlError

_FAULTS = {
    "NoSuchKey": "The specified key does not exist.,Status 404,Error NoSuchKey",
    "NoSuchBucket": "The specified bucket does not exist,Status 404,Error NoSuchBucket",
    "AccessDenied": "Access Denied,Status 403,Error AccessDenied",
}
WRONG_REGION = (
    "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future"
    " requests to this endpoint.,Status 301,Error PermanentRedirect"
)


def failure(text: str, context: str = "") -> SqlError:
    """Give an error of the compute nodes, with the block of details that they add [G aws-lambda-redshift-loader#73]."""
    rule = "-----------------------------------------------"
    lines = (rule, f"error:  {text}", "code:      8001", f"context:   {context}", "process:   stand-in", rule)
    return SqlError("XX000", text, "\n  " + "\n  ".join(lines) + "\n")


@cache
def client(endpoint: str, region: str) -> Any:
    """Give a client of S3 in a region; making one costs more than a hundred requests."""
    import boto3
    from botocore.config import Config

    config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})
    return boto3.Session("cluster", "cluster").client("s3", endpoint_url=endpoint, region_name=region, config=config)


class Store:
    """S3 in one region, as a cluster reads and writes it."""

    def __init__(self, endpoint: str, region: str) -> None:
        self.region = region
        self._client = client(endpoint, region)
        self.denied: tuple[str, ...] = ()  # places where the role has no rights, such as s3://bucket/prefix

    def check_region(self, bucket: str, named: str) -> None:
        """Raise SqlError unless the bucket is in the region that REGION names, or else in the cluster's."""
        from botocore.exceptions import ClientError

        try:
            place = self._client.get_bucket_location(Bucket=bucket).get("LocationConstraint") or "us-east-1"
        except ClientError as error:
            raise self._failure(error, bucket, "") from error
        if place != (named or self.region):
            raise failure(f"S3ServiceException:{WRONG_REGION}", bucket)

    def read(self, bucket: str, key: str) -> bytes:
        """Give an object's bytes. Raises SqlError; its `code` attribute of S3 is in the text."""
        from botocore.exceptions import ClientError

        self._refuse(bucket, key, f"S3 key being read : s3://{bucket}/{key}")
        try:
            return bytes(self._client.get_object(Bucket=bucket, Key=key)["Body"].read())
        except ClientError as error:
            raise self._failure(error, bucket, key) from error

    def exists(self, bucket: str, key: str) -> bool:
        """Tell whether there is such an object."""
        return any(found == key for found in self.keys(bucket, key))

    def keys(self, bucket: str, prefix: str) -> Iterator[str]:
        """Give the keys that begin with a prefix, in order."""
        from botocore.exceptions import ClientError

        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for found in page.get("Contents", ()):
                    yield found["Key"]
        except ClientError as error:
            raise self._failure(error, bucket, prefix) from error

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object. Raises SqlError."""
        self._refuse(bucket, key, "")  # what else an UNLOAD says of the place is not known [U]
        self._client.put_object(Bucket=bucket, Key=key, Body=content)

    def remove(self, bucket: str, key: str) -> None:
        """Remove an object."""
        self._client.delete_object(Bucket=bucket, Key=key)

    def _refuse(self, bucket: str, key: str, context: str) -> None:
        # [G embulk/embulk-output-jdbc#85, aws-samples/aws-redshift-spectrum-poc#3]
        if f"s3://{bucket}/{key}".startswith(self.denied):
            text = "S3ServiceException:Access Denied,Status 403,Error AccessDenied,Rid D14F,ExtRid AXDz=,CanRetry 1"
            raise failure(text, context)

    @staticmethod
    def _failure(error: Exception, bucket: str, key: str) -> SqlError:
        code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
        text = _FAULTS.get(code, f"{error},Error {code}")
        return failure(f"S3ServiceException:{text}", f"S3 key being read : s3://{bucket}/{key}")


def split_url(url: str) -> tuple[str, str]:
    """Cut s3://bucket/key into bucket and key. Raises SqlError."""
    found = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.*)", url, re.DOTALL)
    if not found:
        raise SqlError("XX000", f"The S3 address '{url}' is not s3://bucket/key")
    return found[1], found[2]
