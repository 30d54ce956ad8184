"""An AWS account of the tests' own: moto's HTTP server, made as strict and as slow as AWS where moto is too kind.

Every rule that moto lacks names its source: [B] botocore 1.44.5's model, [D] AWS documentation, [D23] AWS documentation
of April 2023, [G] seen in public code or logs, [U] nobody here has checked it. On top of that any call can fail, or be
done without its answer ever arriving. What is asked with the key of `Cloud.client` is neither counted nor disturbed.
"""

from __future__ import annotations

import io
import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from unittest.mock import patch
from urllib.parse import parse_qs

os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # seconds, for images that nobody here starts

import boto3
from moto.core.responses import ActionResult
from moto.ec2.exceptions import DependencyViolationError
from moto.ec2.models import ec2_backends
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.redshift.exceptions import ClusterNotFoundError, ClusterSnapshotNotFoundError, RedshiftClientError
from moto.redshift.models import Cluster, redshift_backends
from moto.redshift.responses import RedshiftResponse
from moto.secretsmanager.models import secretsmanager_backends
from werkzeug.serving import make_server

from cluster import credentials
from cluster.authorization import Need, allows, needs
from cluster.serverless_rules import ServerlessAccount

ACCOUNT, REGION, NAME = "123456789012", "us-west-2", "sparkify-dwh"
ENDPOINT = f"{NAME}.abc123xyz.{REGION}.redshift.amazonaws.com"
SERVERLESS_ENDPOINT = f"{NAME}.{ACCOUNT}.{REGION}.redshift-serverless.amazonaws.com"
CREATING, DELETING = ("creating", "creating"), ("final-snapshot", "deleting")
# Asked directly: moto's own way of finding out whom a question is for lists 200 folders each time.
SERVICES: tuple[Any, ...] = ("ec2", "glue", "iam", "redshift", "redshift-serverless", "secretsmanager", "sts")
OUR_KEY, TESTS_KEY = "AKIAOURSUITE", "AKIATESTSOWN"
PASSWORD = "Managed-1-by-aws"


@dataclass(frozen=True)
class Call:
    """One question to AWS: `iam:CreateRole` and its parameters as they were sent."""

    action: str
    given: Mapping[str, str]


Fault = Callable[[Call], "str | None"]  # an error code, LOST, or None for no fault
LOST = "(done, and the answer lost)"
HTML = "(not done, and answered with a page)"  # by a proxy, or a service that fails [G boto/botocore#2463]


@dataclass
class Cloud:
    """The account. `creating`, `deleting`, `applying` and `lingering` say how slow it is, in looks at the status."""

    endpoint: tuple[str, int] = (ENDPOINT, 5439)
    creating: tuple[str, ...] = CREATING
    deleting: tuple[str, ...] = DELETING
    applying: int = 1  # looks until the role of an available cluster is in-sync
    unknown_role: int = 0  # CreateCluster calls until IAM knows a new role everywhere
    unknown_group: int = 0  # AuthorizeSecurityGroupIngress calls until EC2 knows a new group everywhere
    lingering: int = 1  # DeleteSecurityGroup calls until a deleted cluster's network interfaces are gone
    passwords: dict[str, str] = field(default_factory=dict)  # what the database behind the endpoint takes
    caller: str = "ana"  # the IAM user whose keys the suite has
    users: set[str] = field(default_factory=set)  # of the database, beside the admin and those that AWS makes
    signs_in_as: dict[str, str] = field(default_factory=dict)  # names with a temporary password, and their users
    calls: list[Call] = field(default_factory=list)
    fault: Fault | None = None
    keeps_tags: bool = True  # a restored cluster has the tags of its snapshot
    unseen: set[str] = field(default_factory=set)  # snapshots that DescribeClusterSnapshots does not show
    policy: Mapping[str, Any] | None = None  # all that the suite may do; None: everything
    service_role: bool = False  # made with the first cluster of an account
    needed: list[Need] = field(default_factory=list)  # rights that requests needed while there was a policy
    url: str = ""
    metadata: str = ""  # the instance metadata of the machine that the scripts run on; empty: it is none of EC2
    _apps: dict[str, Any] = field(default_factory=dict)
    _clients: dict[str, Any] = field(default_factory=dict)
    serverless: ServerlessAccount = field(init=False)
    lingerers: list[str] = field(default_factory=list)  # groups that a deleted cluster's network interfaces still hold

    def __post_init__(self) -> None:
        def groups() -> list[str]:
            return [group for known in ec2_backends[ACCOUNT][REGION].groups.values() for group in known]

        def release(groups: list[str]) -> None:
            self.lingerers += groups * self.lingering

        self.serverless = ServerlessAccount(ACCOUNT, REGION, self.passwords, groups, release)
        self._apps["redshift-serverless"] = self.serverless.serve

    def client(self, service: str) -> Any:
        """Give a client of the tests' own, to look at the account and to put things into it."""
        if service not in self._clients:
            keys = {"aws_access_key_id": TESTS_KEY, "aws_secret_access_key": "x"}
            make: Any = boto3.client
            self._clients[service] = make(service, region_name=REGION, endpoint_url=self.url, **keys)
        return self._clients[service]

    def remove(self, name: str = NAME) -> None:
        """Begin to delete a cluster, as another user would."""
        self.client("redshift").delete_cluster(ClusterIdentifier=name, SkipFinalClusterSnapshot=True)

    @property
    def environment(self) -> dict[str, str]:
        """Give the environment that leads a script here, and nowhere else."""
        seat = {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.metadata}
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": OUR_KEY,
            "AWS_SECRET_ACCESS_KEY": "CANARY-7f3-key",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "PGHOSTADDR": "127.0.0.1",  # the endpoint keeps its name, and TLS is verified by it
            **(seat if self.metadata else {"AWS_EC2_METADATA_DISABLED": "true"}),
        }

    # ------------------------------------------------------------------------------------------------------- faults

    def fail_at(self, number: int, code: str = "AccessDenied") -> None:
        """Refuse the call of this number, counted from now, and do all others."""
        self._at(number, code)

    def lose_at(self, number: int) -> None:
        """Do the call of this number, counted from now, and let its answer never arrive."""
        self._at(number, LOST)

    def fail(self, action: str, *codes: str) -> None:
        """Refuse the first calls of one action with these codes, one after the other."""
        left = list(codes)
        self.fault = lambda call: left.pop(0) if left and call.action == action else None

    def _at(self, number: int, code: str) -> None:
        last = len(self.calls) + number
        self.fault = lambda _call: code if len(self.calls) == last else None

    # ------------------------------------------------------------------------------------------------------ looking

    def asked(self, action: str) -> list[Mapping[str, str]]:
        """Give the parameters of every call of one action."""
        return [call.given for call in self.calls if call.action == action]

    def beside_s3(self) -> list[str]:
        """Give the actions that were asked for; conn_start.py looks at the buckets before all others."""
        return [call.action for call in self.calls if not call.action.startswith("s3:")]

    def changes(self) -> list[str]:
        """Give the actions that were asked for and are more than looking."""
        looking = re.compile(r"[\w-]+:(Describe|List|Get|HEAD|GET)")
        return [call.action for call in self.calls if not looking.match(call.action)]

    def clusters(self) -> dict[str, Cluster]:
        """Give the clusters that there are, going ones too."""
        return dict(redshift_backends[ACCOUNT][REGION].clusters)

    def cluster(self) -> Any:
        """Give the one cluster of our name."""
        return self.clusters()[NAME]

    def go_on(self) -> None:
        """Let everything that is slow be done at the next look."""
        for cluster in self.clusters().values():
            cast("Any", cluster).coming.clear()
        self.serverless.hurry()

    def snapshots(self) -> list[dict[str, Any]]:
        """Give the snapshots that were taken by hand, final ones included."""
        return list(self.client("redshift").describe_cluster_snapshots(SnapshotType="manual")["Snapshots"])

    def roles(self) -> list[str]:
        """Name the roles of the account."""
        return [role["RoleName"] for role in self.client("iam").list_roles()["Roles"]]

    def groups(self) -> list[dict[str, Any]]:
        """Describe the security groups but the default one."""
        found = self.client("ec2").describe_security_groups()["SecurityGroups"]
        return [group for group in found if group["GroupName"] != "default"]

    def rules(self, group: str) -> list[dict[str, Any]]:
        """Describe who may come in by a group."""
        filters = [{"Name": "group-id", "Values": [group]}]
        found = self.client("ec2").describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
        return [rule for rule in found if not rule["IsEgress"]]

    def all(self) -> dict[str, list[str]]:
        """Name everything that there is, to compare before with after."""
        return {
            **self.serverless.all(),
            "clusters": sorted(self.clusters()),
            "roles": sorted(self.roles()),
            "groups": sorted(group["GroupName"] for group in self.groups()),
            "secrets": sorted(secretsmanager_backends[ACCOUNT][REGION].secrets),
        }

    def reset(self) -> None:
        """Empty the account, and make it as slow and as undisturbed as a new one."""
        self.empty()
        fresh = Cloud()
        for name in (
            "endpoint",
            "creating",
            "deleting",
            "applying",
            "unknown_role",
            "unknown_group",
            "lingering",
            "passwords",
            "caller",
            "users",
            "signs_in_as",
        ):
            setattr(self, name, getattr(fresh, name))
        self.serverless = ServerlessAccount(
            ACCOUNT, REGION, self.passwords, self.serverless.groups, self.serverless.release
        )
        self._apps["redshift-serverless"] = self.serverless.serve
        self.policy, self.service_role, self.keeps_tags = None, False, True
        self.unseen.clear()
        self.needed.clear()

    def empty(self) -> None:
        """Empty the account, and stop disturbing it."""
        # moto's own reset takes a second: only what this suite can have made goes
        redshift: Any = redshift_backends[ACCOUNT][REGION]
        for things in (redshift.clusters, redshift.snapshots, redshift.subnet_groups):
            things.clear()
        iam_backends[ACCOUNT]["aws"].roles.clear()
        secretsmanager_backends[ACCOUNT][REGION].secrets.clear()
        self.serverless.empty()
        for groups in ec2_backends[ACCOUNT][REGION].groups.values():
            for number in [number for number, group in groups.items() if group.name != "default"]:
                del groups[number]
        self.fault = None
        self.calls.clear()
        self.lingerers.clear()

    # --------------------------------------------------------------------------------------------------------- rules

    @contextmanager
    def up(self) -> Iterator[Cloud]:
        """Serve the account for the block, empty at its beginning."""
        self.reset()
        server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=_Quietly)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.url = f"http://127.0.0.1:{server.server_port}"
        self._others = DomainDispatcherApplication(create_backend_app)
        thread.start()
        try:
            with self._strict():
                yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    @contextmanager
    def _strict(self) -> Iterator[None]:
        cloud, original = self, RedshiftResponse.create_cluster

        def create_cluster(response: Any) -> ActionResult:
            cloud._refuse_creation(response)
            answer = original(response)
            cluster: Any = redshift_backends[ACCOUNT][REGION].clusters[response._get_param("ClusterIdentifier")]
            cloud._begin(cluster, response)
            return answer

        restore = RedshiftResponse.restore_from_cluster_snapshot
        forget = RedshiftResponse.delete_cluster_snapshot

        def delete_cluster(response: Any) -> ActionResult:
            return ActionResult({"Cluster": cloud._end(response)})

        def describe_clusters(response: Any) -> ActionResult:
            found = cloud._look(response._get_param("ClusterIdentifier"))
            keys, values = response._get_param("TagKeys", []), response._get_param("TagValues", [])
            pairs = [(tag["Key"], tag["Value"]) for cluster in found for tag in cluster.tags]
            if keys or values:  # any combination of the keys and values given [B DescribeClusters]
                found = [c for c in found if any(k in keys or v in values for k, v in pairs)]
            return ActionResult({"Clusters": found})

        def modify_cluster_iam_roles(response: Any) -> ActionResult:
            cluster = cloud._available(response)
            cluster.iam_roles_arn = [*cluster.iam_roles_arn, *response._get_param("AddIamRoles", [])]
            cluster.applying = cloud.applying
            return ActionResult({"Cluster": cluster})

        def modify_cluster(response: Any) -> ActionResult:
            cluster = cloud._available(response)
            cluster.publicly_accessible = response._get_bool_param("PubliclyAccessible")
            cluster.coming = ["modifying"]
            return ActionResult({"Cluster": cluster})

        def iam_roles(cluster: Any) -> list[dict[str, str]]:
            status = "in-sync" if not getattr(cluster, "applying", 0) else "adding"  # [B ClusterIamRole]
            return [{"ApplyStatus": status, "IamRoleArn": arn} for arn in cluster.iam_roles_arn]

        def endpoint(cluster: Any) -> dict[str, Any] | None:
            # while creating, expect none [U]
            return None if cluster.status == "creating" else dict(zip(("Address", "Port"), cloud.endpoint, strict=True))

        delete_group = SecurityGroupBackend.delete_security_group

        def delete_security_group(backend: Any, name: str | None = None, group_id: str | None = None) -> None:
            cloud._refuse_used(group_id)
            delete_group(backend, name, group_id)

        with (
            patch.multiple(RedshiftResponse, create_cluster=create_cluster, describe_clusters=describe_clusters),
            patch.multiple(RedshiftResponse, modify_cluster=modify_cluster, delete_cluster=delete_cluster),
            patch.multiple(
                RedshiftResponse,
                restore_from_cluster_snapshot=lambda response: cloud._begin_again(restore, response),
                describe_cluster_snapshots=lambda response: cloud._shown_snapshots(response),
                delete_cluster_snapshot=lambda response: cloud._forget_snapshot(forget, response),
            ),
            patch.object(RedshiftResponse, "modify_cluster_iam_roles", modify_cluster_iam_roles, create=True),
            patch.multiple(Cluster, iam_roles=property(iam_roles), endpoint=property(endpoint)),
            patch.object(SecurityGroupBackend, "delete_security_group", delete_security_group),
            patch.multiple(RedshiftResponse, create=True, **cast("Any", credentials.handlers(cloud))),
        ):
            yield

    def _refuse_creation(self, response: Any) -> None:
        given = {key: response._get_param(key) for key in ("NodeType", "ClusterType", "NumberOfNodes", "IamRoles")}
        managed, password = response._get_bool_param("ManageMasterPassword"), response._get_param("MasterUserPassword")
        port = response._get_int_param("Port") or 5439
        if response._get_param("ClusterIdentifier") in self.clusters():
            return  # moto knows ClusterAlreadyExists
        if str(given["NodeType"]).startswith(("dc2.", "ds2.", "dc1.")):
            _refuse("InvalidParameterValue", f"Invalid node type: {given['NodeType']}")  # [G aws/aws-cdk#36516]
        if response._get_bool_param("Encrypted") is False:
            _refuse("InvalidParameterValue", "Encrypted cannot be false")  # [B] "the request will fail"
        if bool(managed) == bool(password):
            _refuse("InvalidParameterCombination", "MasterUserPassword or ManageMasterPassword")  # [B]
        if given["ClusterType"] != "single-node" and not given["NumberOfNodes"]:
            _refuse("InvalidParameterCombination", "NumberOfNodes is required")  # [B] multi-node is the default
        if port not in (*range(5431, 5456), *range(8191, 8216)):
            _refuse("InvalidParameterValue", f"port {port}")  # [B] RA3 and RG
        self._refuse_roles(given["IamRoles"])

    def _begin(self, cluster: Any, response: Any) -> None:
        self.service_role = True
        # moto takes a snapshot on the first day, and takes its name as taken when the cluster is made again
        redshift_backends[ACCOUNT][REGION].delete_automated_snapshots(cluster.cluster_identifier)
        cluster.coming = list(self.creating)
        cluster.status = "creating"
        cluster.applying = self.applying
        cluster.default_iam_role_arn = response._get_param("DefaultIamRoleArn")  # [B]
        self._keep_password(cluster, response)

    def _keep_password(self, cluster: Any, response: Any) -> None:
        user = cluster.master_username
        if response._get_bool_param("ManageMasterPassword"):  # makes a real secret, named like this [G]
            name = f"redshift!{cluster.cluster_identifier}-{user}"
            text = json.dumps({"username": user, "password": PASSWORD})
            kept = secretsmanager_backends[ACCOUNT][REGION].create_managed_secret("redshift", name, text)
            cluster.master_password_secret_arn, cluster.secret_name = kept.arn, name
            self.passwords[user] = PASSWORD
        else:
            self.passwords[user] = cluster.master_user_password

    def _refuse_restore(self, response: Any) -> Any:
        """Refuse what RestoreFromClusterSnapshot refuses [B], and give the snapshot."""
        name, known = response._get_param("SnapshotIdentifier"), snapshots_of()
        if name not in known:
            raise ClusterSnapshotNotFoundError(name)
        if known[name].status != "available":
            _refuse("InvalidClusterSnapshotState", f"{name} is {known[name].status}")
        port = response._get_int_param("Port") or known[name].port
        if port not in (*range(5431, 5456), *range(8191, 8216)):
            _refuse("InvalidParameterValue", f"port {port}")
        self._refuse_roles(response._get_param("IamRoles"))
        return known[name]

    def _begin_again(self, restore: Callable[[Any], ActionResult], response: Any) -> ActionResult:
        """Make a cluster from a snapshot: it has the tags of its snapshot [D23 mgmt/amazon-redshift-tagging], and its
        password unless AWS makes a new one [B]."""
        snapshot = self._refuse_restore(response)
        answer = restore(response)
        cluster: Any = redshift_backends[ACCOUNT][REGION].clusters[response._get_param("ClusterIdentifier")]
        cluster.tags = [dict(tag) for tag in snapshot.tags] if self.keeps_tags else []
        cluster.publicly_accessible = bool(response._get_bool_param("PubliclyAccessible"))  # false when absent [B]
        cluster.master_user_password = getattr(snapshot, "admin_password", "")
        self._begin(cluster, response)
        return answer

    def _shown_snapshots(self, response: Any) -> ActionResult:
        name, kind = response._get_param("SnapshotIdentifier"), response._get_param("SnapshotType")
        known = snapshots_of()
        if name and name.lower() not in known:
            raise ClusterSnapshotNotFoundError(name)
        found = [known[name.lower()]] if name else list(known.values())
        shown = [s for s in found if kind in (None, s.snapshot_type) and s.snapshot_identifier not in self.unseen]
        return ActionResult({"Snapshots": shown})

    def _forget_snapshot(self, forget: Callable[[Any], ActionResult], response: Any) -> ActionResult:
        """Delete a snapshot that is complete [B InvalidClusterSnapshotState]."""
        known = snapshots_of().get(response._get_param("SnapshotIdentifier"))
        if known and known.status != "available":
            _refuse("InvalidClusterSnapshotState", f"{known.snapshot_identifier} is {known.status}")
        return forget(response)

    def _refuse_roles(self, roles: list[str] | None) -> None:
        arns = {role.arn for role in iam_backends[ACCOUNT]["aws"].roles.values()}
        unknown = [arn for arn in roles or [] if arn not in arns]
        self.unknown_role -= 1
        if unknown or self.unknown_role >= 0:  # the code and the words are not known [U]
            _refuse("InvalidParameterValue", f"The IAM role {unknown or roles} is not valid")

    def _look(self, name: str | None) -> list[Any]:
        """Let time pass by one look, and give the clusters that are there then."""
        known: dict[str, Any] = redshift_backends[ACCOUNT][REGION].clusters
        if name and name not in known:
            raise ClusterNotFoundError(name)  # the code is ClusterNotFound [B], whatever the class is called
        for cluster in [known[name]] if name else list(known.values()):
            coming = getattr(cluster, "coming", [])
            if coming:
                cluster.status = coming.pop(0)
            elif cluster.status in DELETING:
                del known[cluster.cluster_identifier]
                for snapshot in redshift_backends[ACCOUNT][REGION].snapshots.values():
                    if snapshot.status == "final snapshot":
                        snapshot.status = "available"
                # the managed secret goes with its cluster [D mgmt/redshift-secrets-manager-integration.html]
                if hasattr(cluster, "secret_name"):
                    secretsmanager_backends[ACCOUNT][REGION].secrets.pop(cluster.secret_name)
                self.lingerers += cluster.vpc_security_group_ids * self.lingering
                if name:
                    raise ClusterNotFoundError(name)
            elif cluster.status in ("creating", "modifying"):
                cluster.status = "available"
            elif getattr(cluster, "applying", 0):
                cluster.applying -= 1
        return [known[name]] if name else list(known.values())

    def _available(self, response: Any) -> Any:
        name = response._get_param("ClusterIdentifier")
        cluster: Any = self.clusters().get(name)
        if cluster is None:
            raise ClusterNotFoundError(name)
        if cluster.status != "available":  # [B ModifyCluster, ModifyClusterIamRoles]
            _refuse("InvalidClusterState", f"{name} is {cluster.status}")
        return cluster

    def _end(self, response: Any) -> Any:
        name, snapshot = response._get_param("ClusterIdentifier"), response._get_param("FinalClusterSnapshotIdentifier")
        skip = bool(response._get_bool_param("SkipFinalClusterSnapshot"))
        cluster: Any = self.clusters().get(name)
        if cluster is None:
            raise ClusterNotFoundError(name)
        if skip == bool(snapshot):  # neither, or both [B DeleteCluster]
            _refuse("InvalidParameterCombination", "a final snapshot identifier, or SkipFinalClusterSnapshot")
        broken = cluster.status not in ("available", "paused")
        if cluster.status in ("creating", "modifying", *DELETING) or (broken and snapshot):
            _refuse("InvalidClusterState", f"{name} is {cluster.status}")  # [B]; with a snapshot of a broken one [U]
        if snapshot:
            taken: Any = redshift_backends[ACCOUNT][REGION].create_cluster_snapshot(name, snapshot, REGION, [])
            self._describe_more(taken, cluster)
            taken.status = "final snapshot"  # until the cluster is gone [B Snapshot.Status]
            taken.manual_snapshot_retention_period = response._get_int_param("FinalClusterSnapshotRetentionPeriod")
        cluster.coming = [status for status in self.deleting if snapshot or status != "final-snapshot"][1:]
        cluster.status = "final-snapshot" if snapshot else "deleting"
        return cluster

    def _describe_more(self, taken: Any, cluster: Any) -> None:
        """Add what moto's snapshot lacks [B Snapshot]. No tag: whether it gets those of its cluster is unknown [U]."""
        taken.cluster_create_time = cluster.create_time
        taken.owner_account = ACCOUNT
        taken.admin_password = self.passwords.get(cluster.master_username, "")
        if hasattr(cluster, "master_password_secret_arn"):
            taken.master_password_secret_arn = cluster.master_password_secret_arn

    def _refuse_used(self, group: str | None) -> None:
        """Refuse to delete a group in use [D ec2 DeleteSecurityGroup], also just after its cluster is gone [G]."""
        used = [cluster.vpc_security_group_ids for cluster in self.clusters().values()]
        used += [workgroup["securityGroupIds"] for workgroup in self.serverless.workgroups.values()]
        if any(group in groups for groups in used):
            raise DependencyViolationError(f"resource {group} has a dependent object")
        if group in self.lingerers:
            self.lingerers.remove(group)
            raise DependencyViolationError(f"resource {group} has a dependent object")

    # ------------------------------------------------------------------------------------------------------ the wire

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        signed = re.search(r"Credential=(\w+)/\d+/[\w-]+/([\w-]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        key, service = signed.groups() if signed else (TESTS_KEY, "")
        if service in SERVICES:
            self._apps[service] = app = self._apps.get(service) or create_backend_app(cast("Any", service))
        else:
            app = self._others
        if key == TESTS_KEY:
            return list(app(environ, start_response))
        call = _read_call(service, environ, body)
        self.calls.append(call)
        code = self.fault(call) if self.fault else None
        code = code or (self._forbidden(call) if key == OUR_KEY else None)
        if call.action == "ec2:AuthorizeSecurityGroupIngress" and self.unknown_group:
            self.unknown_group -= 1
            code = "InvalidGroup.NotFound"  # [D ec2 apireference query-api-troubleshooting, G hashicorp/packer#3627]
        if code is None and call.action == "redshift-serverless:GetCredentials":  # moto has none of Serverless
            answer = json.dumps(credentials.get_credentials(self, json.loads(body), key)).encode()
            start_response("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
            return [answer]
        if code is None:
            return list(app(environ, start_response))
        if code == LOST:
            list(app(environ, cast("Any", lambda *_args: None)))
            environ["werkzeug.socket"].shutdown(2)
            return []
        status, kind, text = _refusal(service, code)
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(text)))])
        return [text]

    def _forbidden(self, call: Call) -> str | None:
        """Give the error code of a request that the policy does not allow."""
        if self.policy is None or call.action.startswith("redshift-serverless:"):  # see test_serverless.py
            return None
        wanted = needs(call.action, call.given, first_cluster=not self.service_role)
        self.needed += wanted
        lacking = [need for need in wanted if not allows(self.policy, need)]
        return ("UnauthorizedOperation" if call.action.startswith("ec2") else "AccessDenied") if lacking else None


class _Quietly(MotoRequestHandler):
    disable_nagle_algorithm = True  # else every answer waits 40 ms for an acknowledgement

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""


def snapshots_of() -> dict[str, Any]:
    """Give moto's snapshots by their names."""
    return dict(redshift_backends[ACCOUNT][REGION].snapshots)


def _refuse(code: str, message: str) -> None:
    raise RedshiftClientError(code, message)


def _read_call(service: str, environ: Mapping[str, Any], body: bytes) -> Call:
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return Call(f"{service}:{target.split('.')[-1]}", {k: str(v) for k, v in json.loads(body).items()})
    if service not in SERVICES:
        asked = {key: values[0] for key, values in parse_qs(environ.get("QUERY_STRING", ""), True).items()}
        if "delete" in asked:
            asked["delete"] = "\n".join(re.findall(r"<Key>(.*?)</Key>", body.decode()))
        return Call(f"{service}:{environ['REQUEST_METHOD']}", {"path": environ["PATH_INFO"], **asked})
    given = {key: values[0] for key, values in parse_qs(body.decode()).items()}
    return Call(f"{service}:{given.pop('Action')}", given)


def _refusal(service: str, code: str) -> tuple[str, str, bytes]:
    """Write an error as the protocol of its service does."""
    if code == HTML:
        return "500 Error", "text/html", b"<!DOCTYPE html>\n<title>500</title>\n<h1>Internal Server Error</h1><br>\n"
    status = "500 Error" if code == "InternalFailure" else "400 Error"
    message = f"{code} by the test"
    if service in ("glue", "redshift-serverless", "secretsmanager"):
        return status, "application/x-amz-json-1.1", json.dumps({"__type": code, "message": message}).encode()
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    whole = f"<ErrorResponse>{error}<RequestId>r</RequestId></ErrorResponse>"
    if service == "s3":
        return "403 Forbidden", "application/xml", error.encode()
    if service == "ec2":
        whole = f"<Response><Errors>{error}</Errors><RequestID>r</RequestID></Response>"
    return status, "text/xml", whole.encode()
