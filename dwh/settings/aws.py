"""Signing in to AWS, and the meaning of its errors. Nothing here knows a bucket or a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dwh.terminal.errors import ConfigError, DwhError, EnvironmentFailure, NotReady

if TYPE_CHECKING:
    from boto3.session import Session

    from dwh.settings.sections import Aws

EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
UNKNOWN_KEY = {
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
    "AuthFailure",
}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AllAccessDisabled"}
CLOCK = {"RequestTimeTooSkewed", "RequestInTheFuture"}
TRANSIENT = {
    "InternalError",
    "InternalFailure",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
}


def open_session(aws: Aws) -> Session:
    """Give a session with the keys of [AWS], or else with those of the standard chain: environment, profile, SSO,
    instance role.

    Sends no request yet. Raises ConfigError for one key without the other, and for a profile that does not exist.
    """
    import boto3
    from botocore.exceptions import ProfileNotFound

    key, secret = aws.key.reveal(), aws.secret.reveal()
    if bool(key) != bool(secret):
        raise ConfigError(
            "[AWS] KEY and SECRET belong together; one of them is empty",
            hint="fill both in dwh.local.cfg, or empty both to use the standard AWS credential chain",
        )
    try:
        return boto3.Session(
            aws_access_key_id=key or None,
            aws_secret_access_key=secret or None,
            region_name=aws.region or None,
            profile_name=aws.profile or None,
        )
    except ProfileNotFound as error:
        raise ConfigError(
            f"the AWS profile {aws.profile or 'of AWS_PROFILE'} does not exist", hint="aws configure list-profiles"
        ) from error


def refusal(code: str, operation: str, aws: Aws, detail: str = "") -> DwhError | None:
    """Word the error of an AWS error code about sign-in or permissions; None for any other code.

    `operation` is the request, such as s3:GetObject of s3://bucket/key; `detail` is evidence beside the code.
    """
    profile = f" (profile {aws.profile})" if aws.profile else ""
    option = f" --profile {aws.profile}" if aws.profile else ""
    evidence = f"{code} from {operation}" + (f": {detail}" if detail else "")
    if code in EXPIRED:
        return EnvironmentFailure(
            f"your AWS sign-in expired{profile}",
            evidence=evidence,
            hint=f"aws sso login{option}     (or fresh keys), then run the same command again; it continues",
        )
    if code in UNKNOWN_KEY:
        return EnvironmentFailure(
            f"AWS does not know the access key, or the secret does not match it{profile}",
            evidence=evidence,
            hint=f"aws sts get-caller-identity{option}     (shows who you are, if the keys are right)",
        )
    if code in DENIED:
        return EnvironmentFailure(
            f"AWS does not let you do this{profile}: {operation}",
            evidence=evidence,
            hint=(
                f"aws sts get-caller-identity{option}     (shows who you are)",
                "ask for that one permission",
            ),
        )
    if code in CLOCK:
        return EnvironmentFailure("the clock of this machine is wrong", evidence=evidence, hint="timedatectl")
    return None


def aws_error(error: Exception, operation: str, aws: Aws) -> DwhError:
    """Word an error of boto3: a refusal by its code, NotReady for what may work in a moment, else EnvironmentFailure.

    `error` is a ClientError, another BotoCoreError, or a ResponseParserError; `operation` is the request.
    """
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError

    if isinstance(error, boto.ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        detail = str(error.response.get("Error", {}).get("Message", ""))
        known = refusal(code, operation, aws, detail)
        if known:
            return known
        failed = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) >= 500
        kind = NotReady if code in TRANSIENT or failed else EnvironmentFailure
        return kind(f"AWS refused {operation}", evidence=f"{code}: {detail}", hint="the same command again, later")
    if isinstance(error, boto.NoRegionError):
        return ConfigError("no AWS region is set", hint="[AWS] REGION = us-west-2")
    if isinstance(error, ResponseParserError):
        # a proxy, or a service that fails, sends a page of HTML [G boto/botocore#2463]; its text shows the page
        evidence = "the answer is no answer of AWS: a page of a proxy, perhaps"
        return NotReady(f"AWS does not answer: {operation}", evidence=evidence, hint="the same command again, later")
    if isinstance(error, (boto.HTTPClientError, boto.ConnectionError)):
        return NotReady(f"AWS does not answer: {operation}", evidence=str(error), hint="the same command again, later")
    return _signin_error(error, aws) or EnvironmentFailure(
        f"AWS refused {operation}", evidence=str(error), hint="the same command again, later"
    )


def no_credentials(aws: Aws) -> EnvironmentFailure:
    """Word the error that there are no credentials."""
    option = f" --profile {aws.profile}" if aws.profile else ""
    return EnvironmentFailure(
        "no AWS credentials were found",
        evidence="neither in [AWS] KEY and SECRET, nor in the environment, a profile, SSO or an instance role",
        hint=(f"aws configure{option}     or: aws sso login{option}", "[S3] ANONYMOUS = yes     (a public bucket)"),
    )


def _signin_error(error: Exception, aws: Aws) -> EnvironmentFailure | None:
    from botocore import exceptions as boto

    if isinstance(error, (boto.NoCredentialsError, boto.PartialCredentialsError)):
        return no_credentials(aws)
    if isinstance(error, (boto.SSOError, boto.TokenRetrievalError)):
        option = f" --profile {aws.profile}" if aws.profile else ""
        return EnvironmentFailure("your AWS sign-in expired", evidence=str(error), hint=f"aws sso login{option}")
    return None
