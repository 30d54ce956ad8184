"""The S3 buckets of a run: credentials, regions, and the meaning of S3's errors.

obstore moves the bytes: 0.19 ms of client CPU an object where boto3 takes 2.6 ms (bench/objects.py); boto3 finds the
credentials, because it knows every way to sign in.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from dwh.settings.aws import aws_error, no_credentials, open_session, refusal
from dwh.sources.files import SCHEME, is_remote
from dwh.terminal.errors import ConfigError, DwhError, EnvironmentFailure

if TYPE_CHECKING:
    from boto3.session import Session
    from obstore.store import RetryConfig, S3Credential, S3Store

    from dwh.settings.sections import S3, Aws

T = TypeVar("T")
SOMEWHERE = "us-east-1"  # the region to ask when none is known: it answers for every bucket
CONNECT_SECONDS = 5
CREDENTIALS_LIVE = timedelta(minutes=5)  # then the session is asked again, which renews them when they are short-lived
SHOWN_ERROR = 300  # characters
# What obstore says of a status that says nothing else when asked again; 408 and 429 are of the other kind.
FINAL = re.compile(r"non-2xx status code: 4(?!08|29)")
SLOW_DOWN = re.compile(r"non-2xx status code: (?:503|429)")
PAUSE = 0.1  # seconds before a request that was refused is sent again; obstore waits twice as long after each refusal


class S3Path(NamedTuple):
    """A bucket, and a key or a prefix of keys."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}" if self.key else f"{SCHEME}{self.bucket}"


class NoSuchBucket(EnvironmentFailure):
    """There is no such bucket."""


class CutShort(Exception):
    """A body ended before its length."""


def split(location: str) -> S3Path:
    """Give bucket and key of s3://bucket/key, without a slash at the end of the key. Raises ConfigError."""
    bucket, _, key = location.removeprefix(SCHEME).partition("/")
    if not is_remote(location) or not bucket:
        raise ConfigError(f"{location} is neither a folder nor an S3 prefix", hint="s3://bucket/prefix")
    return S3Path(bucket, key.rstrip("/"))


class Buckets:
    """Opens a bucket on first use: one region, one set of credentials, one time limit for each."""

    def __init__(self, s3: S3, aws: Aws) -> None:
        self._s3 = s3
        self._aws = aws
        self._stores: dict[str, S3Store] = {}
        self._eager: dict[str, S3Store] = {}  # the same without retries
        self._session: Session | None = None

    def open(self, bucket: str) -> S3Store:
        """Give the obstore store of a bucket. Raises EnvironmentFailure when there are no credentials."""
        if bucket not in self._stores:
            self._open(bucket)
        return self._stores[bucket]

    def ask(self, operation: str, path: S3Path, action: Callable[[], T]) -> T:
        """Do something with a bucket.

        obstore retries refused connections, 500, 503, missing answers and broken bodies, with back-off, for [S3]
        TIMEOUT seconds. Raises FileNotFoundError and obstore's PreconditionError, AlreadyExistsError and
        InvalidPathError as they are, everything else as EnvironmentFailure in the user's words; `operation` is the name
        of the permission that the request needs, such as GetObject.
        """
        import obstore.exceptions as raised

        try:
            return action()
        except (
            raised.PreconditionError, raised.AlreadyExistsError, raised.InvalidPathError, FileNotFoundError
        ):  # fmt: skip
            raise
        except (CutShort, raised.BaseError) as error:
            raise self._failure(operation, path, error) from None

    def ask_eagerly(
        self, operation: str, path: S3Path, action: Callable[[S3Store], T], slow_down: Callable[[], None]
    ) -> T:
        """Do something with a bucket as `ask` does, but tell `slow_down` when S3 refuses it because there are too many
        requests: obstore would say nothing, and retry. The bucket is open already."""
        from obstore.exceptions import GenericError

        def eagerly() -> T:
            started = monotonic()
            try:
                return action(self._eager[path.bucket])
            except GenericError as error:
                if FINAL.search(str(error)) or monotonic() - started >= self._s3.timeout:
                    raise
                if SLOW_DOWN.search(str(error)):
                    slow_down()
                    sleep(PAUSE)
            return action(self._stores[path.bucket])

        return self.ask(operation, path, eagerly)

    def _open(self, bucket: str) -> None:
        from obstore.store import S3Store

        endpoint = self.endpoint
        limit = timedelta(seconds=self._s3.timeout)
        given: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
        if self._s3.anonymous:
            given["skip_signature"] = True
        else:
            given["credential_provider"] = self._credentials()
        given["region"] = self._region_of(bucket)
        given["client_options"] = {
            "allow_http": endpoint.startswith("http://"),
            "timeout": limit,
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        }
        patience: RetryConfig = {
            "max_retries": 1000,  # the time is the limit
            "retry_timeout": limit,
            "backoff": {
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=5),
                "base": 2,
            },
        }
        self._stores[bucket] = S3Store(bucket, retry_config=patience, **given)
        self._eager[bucket] = S3Store(bucket, retry_config={**patience, "max_retries": 0}, **given)

    @property
    def endpoint(self) -> str:
        """The endpoint to use instead of AWS; empty: AWS itself."""
        found = (os.environ.get(name, "") for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
        return self._s3.endpoint_url or next(filter(None, found), "")

    @property
    def session(self) -> Session:
        """The boto3 session."""
        if self._session is None:
            self._session = open_session(self._aws)
        return self._session

    def _credentials(self) -> Callable[[], S3Credential]:
        from botocore.exceptions import BotoCoreError

        try:
            found = self.session.get_credentials()
            if found is None:
                raise no_credentials(self._aws)
            found.get_frozen_credentials()  # renews, and so fails here and not in another thread
        except BotoCoreError as error:
            raise aws_error(error, "sign-in", self._aws) from error

        def provide() -> S3Credential:
            now = found.get_frozen_credentials()
            return {
                "access_key_id": str(now.access_key),
                "secret_access_key": str(now.secret_key),
                "token": now.token,
                "expires_at": datetime.now(UTC) + CREDENTIALS_LIVE,
            }

        return provide

    def _region_of(self, bucket: str) -> str:
        """Give the region to send requests to. An error here is ignored: the first real request reports it."""
        with suppress(NoSuchBucket):
            return self.find_region(bucket) or self.session.region_name or SOMEWHERE
        return self.session.region_name or SOMEWHERE

    def find_region(self, bucket: str) -> str:
        """Give the region of a bucket: [S3] REGION, or what S3 says, which it tells even a user who may not read the
        bucket [D s3 API_HeadBucket]; empty when it says nothing. Raises NoSuchBucket."""
        if self._s3.region:
            return self._s3.region
        from botocore import UNSIGNED
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        region = self.session.region_name or SOMEWHERE
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=CONNECT_SECONDS,
            retries={"total_max_attempts": 1},
            signature_version=UNSIGNED if self._s3.anonymous else None,
        )
        try:
            client = self.session.client("s3", region_name=region, endpoint_url=self.endpoint or None, config=config)
            answer: Any = client.head_bucket(Bucket=bucket)
        except ClientError as error:
            answer = error.response
        except (BotoCoreError, ValueError):
            return ""
        if answer.get("Error", {}).get("Code") in ("404", "NoSuchBucket"):
            raise _no_bucket(bucket, f"404 from s3:HeadBucket of {SCHEME}{bucket}")
        return str(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region", ""))

    def _failure(self, operation: str, path: S3Path, error: Exception) -> DwhError:
        """Word an error of obstore, whose text holds the S3 error code."""
        text = str(error).split("\n\nDebug source")[0]
        code = _found(r"<Code>([^<]*)</Code>", text)
        asked = f"s3:{operation} of {path}"
        if code == "NoSuchBucket":
            return _no_bucket(path.bucket, f"{code} from {asked}")
        if not code and type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError"):
            code = "AccessDenied"
        known = refusal(code, asked, self._aws, _found(r"<Message>([^<]*)</Message>", text))
        if known:
            return known
        if code == "InvalidObjectState":
            return _archived(path, asked, _found(r"<StorageClass>([^<]*)</StorageClass>", text))
        if code in ("PermanentRedirect", "AuthorizationHeaderMalformed"):
            region = _found(r"<Region>([^<]*)</Region>", text) or "the bucket's"
            return EnvironmentFailure(
                f"{SCHEME}{path.bucket} is in another region",
                evidence=f"{code} from {asked}",
                hint=f"[S3] REGION = {region}",
            )
        return EnvironmentFailure(
            f"S3 did not return {path}",
            evidence=f"{asked}: {' '.join(text.split())[:SHOWN_ERROR]}",
            hint="the same command again; it continues, and loads nothing twice",
        )


def _no_bucket(bucket: str, evidence: str) -> NoSuchBucket:
    return NoSuchBucket(
        f"no such bucket: {SCHEME}{bucket}",
        evidence=evidence,
        hint=f"aws s3 ls {SCHEME}{bucket}     (a bucket of another owner answers AccessDenied)",
    )


def _archived(path: S3Path, asked: str, storage_class: str) -> EnvironmentFailure:
    """Word the error of an object that must be restored before it can be read: a retry does not help."""
    # an object of INTELLIGENT_TIERING is restored for good, and S3 refuses a number of days
    wanted = "{}" if storage_class == "INTELLIGENT_TIERING" else "Days=7"
    kept = f" ({storage_class})" if storage_class else ""
    where = f"--bucket {path.bucket} --key {shlex.quote(path.key)} --restore-request {shlex.quote(wanted)}"
    archived = "Contents[?StorageClass=='GLACIER' || StorageClass=='DEEP_ARCHIVE'].[Key,StorageClass]"
    folder = path.key.rpartition("/")[0]
    return EnvironmentFailure(
        f"{path} is archived{kept}: S3 returns it only after a restore, which takes hours",
        evidence=f"InvalidObjectState from {asked}",
        hint=(
            f"aws s3api restore-object {where}     (then the same command again)",
            f"aws s3api list-objects-v2 --bucket {path.bucket} --prefix {shlex.quote(folder)} "
            f"--output text --query {shlex.quote(archived)}     (lists all archived objects)",
        ),
    )


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""
