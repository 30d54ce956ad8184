"""The addresses under which a cluster sees this machine: the public one, and the private one when both share a VPC."""

from __future__ import annotations

import ipaddress
import os
import urllib.request
from typing import TYPE_CHECKING, NamedTuple

from dwh.terminal.errors import EnvironmentFailure

if TYPE_CHECKING:
    from dwh.settings.sections import Aws

# Answers with the caller's address, as one line of text.
ADDRESS_SERVICE = "https://checkip.amazonaws.com"
ADDRESS_SECONDS = 5
# What EC2 tells each of its machines about itself; no other machine has this address
# [D AWSEC2/latest/UserGuide/instancedata-data-categories].
METADATA = "http://169.254.169.254"
METADATA_OF_IPV6 = "http://[fd00:ec2::254]"
TOKEN_SECONDS = 60


class Seat(NamedTuple):
    """Where this machine is in EC2: the VPC of its first network interface, and its private address there."""

    vpc: str
    address: str


def own_address() -> str:
    """Ask for the public address of this machine. Raises EnvironmentFailure when the service does not answer."""
    import ssl

    import certifi

    safe = ssl.create_default_context(cafile=certifi.where())
    try:
        with urllib.request.urlopen(ADDRESS_SERVICE, timeout=ADDRESS_SECONDS, context=safe) as answer:
            return str(ipaddress.IPv4Address(answer.read(100).decode("ascii", "replace").strip()))
    except (OSError, ValueError) as error:
        raise EnvironmentFailure(
            f"the address of this machine could not be found: {ADDRESS_SERVICE} did not give it",
            evidence=str(error),
            hint="[CLUSTER] ALLOW_CIDR = 203.0.113.7/32     (the address that may connect)",
        ) from error


def own_seat(aws: Aws) -> Seat | None:
    """Ask EC2's instance metadata (IMDSv2) where this machine is; None when it does not answer, or is switched off.

    The address of the service, and how long it may take, are botocore's own settings. Addresses are not compared with
    those of the VPC: a network at home or of Docker often has the range of the default VPC, 172.31.0.0/16.
    """
    from botocore.session import Session

    if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return None
    settings = Session(profile=aws.profile or None)
    at = settings.get_config_variable("ec2_metadata_service_endpoint")
    if not at:
        of_ipv6 = settings.get_config_variable("ec2_metadata_service_endpoint_mode") == "ipv6"
        at = METADATA_OF_IPV6 if of_ipv6 else METADATA
    ask = _Metadata(at.rstrip("/"), float(settings.get_config_variable("metadata_service_timeout")))
    try:
        ask.sign_in()
        mac = ask("meta-data/mac")
        vpc = ask(f"meta-data/network/interfaces/macs/{mac}/vpc-id")
        return Seat(vpc, str(ipaddress.IPv4Address(ask("meta-data/local-ipv4"))))
    except (OSError, ValueError):  # not a machine of EC2, or one of another kind that answers there
        return None


class _Metadata:
    """The instance metadata of this machine. It is asked directly: a proxy would answer for itself."""

    def __init__(self, at: str, seconds: float) -> None:
        self._at = at
        self._seconds = seconds
        self._token = ""
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def sign_in(self) -> None:
        """Get the token without which IMDSv2 says nothing."""
        self._token = self._ask("api/token", "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)})

    def __call__(self, path: str) -> str:
        """Give one value. Raises OSError, and ValueError for an answer that is none."""
        return self._ask(path, "GET", {"X-aws-ec2-metadata-token": self._token})

    def _ask(self, path: str, method: str, headers: dict[str, str]) -> str:
        request = urllib.request.Request(f"{self._at}/latest/{path}", method=method, headers=headers)  # noqa: S310 (botocore's setting)
        with self._open(request, timeout=self._seconds) as answer:
            text = str(answer.read(1000).decode("ascii")).strip()
        if not text or any(character.isspace() for character in text):
            raise ValueError(f"{path} is not one word")
        return text
