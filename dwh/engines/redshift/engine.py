"""Amazon Redshift: a warehouse of either kind that the suite makes, watches and deletes, or an existing one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Literal

from dwh.cluster.account import Account
from dwh.cluster.lifecycle import Lifecycle
from dwh.cluster.whereabouts import own_address, own_seat
from dwh.engines.libpq import server_name
from dwh.engines.redshift.connect import CONNECT_SECONDS, Unreachable, connect
from dwh.engines.redshift.leftovers import remove_leftovers, tell_leftovers
from dwh.engines.redshift.login import ADMIN, Place, check_login, given_place
from dwh.engines.redshift.packing import ZstdPacker
from dwh.engines.redshift.session import LOCK_TABLE, RedshiftSession, Storage
from dwh.engines.redshift.work import WorkPrefix, name_run, name_warehouse
from dwh.engines.removal import Place as SchemaPlace
from dwh.engines.removal import plan_schema, remove_from_schema
from dwh.ownership.tables import name_some
from dwh.seam import Address, Change, Engine, Session, Tell, Trace
from dwh.sources.buckets import Buckets
from dwh.terminal.errors import Busy, ConfigError, DwhError, EnvironmentFailure

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812

    from dwh.seam import Ours
    from dwh.settings.config import Config

# The name of a new endpoint is not known everywhere at once [U].
SETTLING_SECONDS, SETTLING_PAUSE = 60.0, 5.0


class RedshiftEngine(Engine):
    """Our own cluster or Serverless warehouse (`stop` deletes it), or with [CLUSTER] HOST an existing one, in which
    only a schema and our tables are made and removed."""

    name = "redshift"
    patience = 1800.0
    restores = True
    another = "[CLUSTER] SCHEMA = another"

    def __init__(self, config: Config, account: Account | None = None) -> None:
        self._config = config
        self._buckets = Buckets(config.s3, config.aws)
        self._run = name_run()
        self.settings = config.cluster
        self.account = account or Account(config)
        self._lifecycle = None if config.cluster.host else Lifecycle(self.account, config)
        there = f"{config.cluster.host}:{config.cluster.db_port}/{config.cluster.db_name}"
        region = f"{config.aws.region}/" if config.aws.region else ""
        self.place = there if config.cluster.host else region + config.cluster.identifier

    @property
    def address(self) -> Address:
        """Give region and cluster or workgroup, or the endpoint of [CLUSTER] HOST; then database and schema.

        Raises ConfigError when no region is set."""
        cluster = self.settings
        if cluster.host:
            where = {"endpoint": server_name(cluster.host, cluster.db_port)}
        else:
            noun = "workgroup" if cluster.kind == "serverless" else "cluster"
            where = {"region": self.account.region, noun: cluster.identifier.lower()}
        return {"engine": self.name, **where, "database": cluster.db_name, "schema": cluster.schema}

    def check(self) -> None:
        """Raise ConfigError for settings that AWS or this suite refuse."""
        check_login(self.settings)
        if self._lifecycle:
            self._lifecycle.check()

    def plan(self, action: Literal["start", "stop", "delete"], ours: Ours | None = None) -> list[Change]:
        """Say what an action would change: asks AWS, changes nothing."""
        if action == "start":
            self._check_login()
        if self._lifecycle is None:
            left = self._tell_leftovers() if action != "start" else []
            if action != "delete" or ours is None:
                return [self._not_ours(action), *left]
            with self._session() as session:
                return [*plan_schema(session, ours, self._schema, self.settings.schema), *left]
        if action == "start":
            return self._lifecycle.plan_start(self.snapshot)
        going = [*self._lifecycle.plan_stop(snapshot=self._snapshot(action)), *self._tell_leftovers()]
        return going if ours is None else [*going, *self._tell_others(ours)]

    def start(self, tell: Tell) -> list[Change]:
        """Make what is missing, wait until the cluster is available, and connect to it.

        Raises Busy when `patience` seconds are over, EnvironmentFailure when it cannot be made or reached.
        """
        self._check_login()
        if self._lifecycle:
            changes = self._lifecycle.start(tell, self.patience, self.snapshot)
        else:
            changes = [self._not_ours("start")]
        for _ in self.account.looks(min(SETTLING_SECONDS, self.patience), SETTLING_PAUSE):
            try:
                session = self._session()
            except Unreachable as error:
                failure = error
                tell(f"{error.message}; trying again")
                continue
            with session:
                tell(f"signed in as {session.user} over TLS, verified")
                session.make_schema()
                if self._lifecycle and session.owns_tables:
                    session.end_idle_sessions(self.settings.db_user)
            return changes
        raise failure

    def stop(self, tell: Tell, *, delete: Ours | None = None) -> list[Change]:
        """Delete the cluster that `start` made, its role and its security group. Without `delete` it takes a final
        snapshot first, unless [CLUSTER] FINAL_SNAPSHOT = no. In the warehouse of [CLUSTER] HOST, it only drops our
        tables, with `delete`.

        Raises EnvironmentFailure that names what is left, Busy when it takes longer than `patience` seconds.
        """
        if self._lifecycle is None:
            if delete is None:
                return [self._not_ours("stop"), *self._remove_leftovers(self._locked())]
            with self._session() as session:
                gone = remove_from_schema(session, delete, self._schema, self.settings.schema, tell)
            return [*gone, *self._remove_leftovers(nullcontext())]
        snapshot = self._snapshot("delete" if delete else "stop")
        gone = self._lifecycle.stop(tell, self.patience, snapshot=snapshot)
        return [*gone[:-1], *self._remove_leftovers(nullcontext()), *gone[-1:]]

    def _tell_leftovers(self) -> list[Change]:
        return tell_leftovers(self._work) if self._config.s3.work else []

    def _remove_leftovers(self, locked: AbstractContextManager[None]) -> list[Change]:
        return remove_leftovers(self._work, locked) if self._config.s3.work else []

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock of loads for the block. Raises Busy while a load is running."""
        with self._session() as session, session.transaction(LOCK_TABLE):
            yield

    def connect(self, trace: Callable[[Trace], None], *, read_only: bool = False) -> Session:  # noqa: ARG002
        """Connect; raises EnvironmentFailure when the warehouse is not up."""
        return self._session(trace)

    def _session(self, trace: Callable[[Trace], None] = lambda _trace: None) -> RedshiftSession:
        packer = ZstdPacker(self._lifecycle.warehouse.slices if self._lifecycle else None)
        storage = Storage(self._work, self._buckets, self._role(), packer)
        session = RedshiftSession(self.open_connection(), trace, self.settings.schema, storage, self.place)
        session.owns_tables = self.settings.login != "iam"
        return session

    def _check_login(self) -> None:
        """Raise ConfigError, before anything is made, for a LOGIN by which nobody could use it afterwards."""
        check_login(self.settings)
        if self.settings.login == "iam" and self._lifecycle and self._lifecycle.look() is None:
            raise ConfigError(
                f"{self.place} is not there yet, and a user of LOGIN = iam owns nothing: it would have no tables",
                hint=ADMIN,
            )

    @property
    def _schema(self) -> SchemaPlace:
        return SchemaPlace(f"schema {self.settings.schema} of {self.place}", self.another)

    def _tell_others(self, ours: Ours) -> list[Change]:
        """Name the tables of others that are deleted with the cluster, if it is up and accepts us."""
        if self._lifecycle is None or not self._lifecycle.warehouse.is_up:
            return []
        try:
            with self._session() as session:
                names = {*ours.tables, *session.extra_tables}
                others = [thing for thing in session.everything() if thing.name not in names]
        except DwhError as error:
            return [Change("=", f"other tables in it could not be listed: {error.message}", beside=True)]
        return [Change("-", f"in it, not made by this suite: {name_some(others)}", beside=True)] if others else []

    def _work(self) -> WorkPrefix:
        """Give the prefix that COPY reads from; called only when there is something to load."""
        return WorkPrefix(self._buckets, self._config.s3.work, name_warehouse(self.address), self._run)

    def _role(self) -> str:
        """Name the role of COPY and UNLOAD: [IAM_ROLE] ARN, else the default one of the warehouse (`start` sets it)."""
        return self._config.iam_role.arn or "default"

    def open_connection(self) -> PgConnection:
        """Open a connection over verified TLS.

        Raises EnvironmentFailure when there is no cluster or it cannot be reached, Busy while it is being made.
        """
        if self._lifecycle is None:
            return connect(self.account, self.settings, given_place(self.settings), self._no_answer)
        found, noun = self._lifecycle.look(), self._lifecycle.warehouse.noun
        start = "python conn_start.py --engine redshift"
        if found is None or found.stage == "going":
            raise EnvironmentFailure(f"there is no {noun} {self.place}", hint=start)
        if found.stage != "up":
            raise Busy(f"{noun} {self.place} is {found.status}", hint=f"{start}     (waits for it)")
        place = Place(found.host, found.port, found.name, found.secret, self._lifecycle.warehouse.serverless)
        return connect(self.account, self.settings, place, lambda: self._no_answer(found.public))

    def last_word(self) -> str:
        """Say what goes on costing, or may, and how to end that; empty when nothing does."""
        return self._lifecycle.last_word(self.place) if self._lifecycle else ""

    def _snapshot(self, action: str) -> bool:
        return self.settings.final_snapshot and action != "delete"

    def _not_ours(self, action: str) -> Change:
        if action == "start" and self.snapshot:
            raise ConfigError(
                f"a snapshot is restored into a new cluster, and [CLUSTER] HOST = {self.settings.host} is there",
                hint=("[CLUSTER] HOST =     (empty)", "python conn_start.py     (connects to it as it is)"),
            )
        return Change("=", f"{self.place}, given by [CLUSTER] HOST: it is neither made nor deleted here")

    def _no_answer(self, public: bool = True) -> DwhError:
        """Word a time-out. The cause is nearly always the rule of the security group, so it shows the addresses."""
        port, evidence = self.settings.db_port, []
        try:
            if self._lifecycle:
                evidence.append(f"allowed: {', '.join(self._lifecycle.network.allowed()) or 'nobody'}")
            if seat := own_seat(self._config.aws):
                evidence.append(f"your private address now: {seat.address}, in {seat.vpc}")
            evidence.append(f"your address now: {own_address()}")
        except DwhError as error:  # a second failure must not hide the first
            evidence.append(error.message)
        hints = ["python conn_start.py --engine redshift     (updates the rule)"] if self._lifecycle else []
        if not public:
            evidence.append("it is not public: only machines inside its VPC can reach it")
            hints = ["[CLUSTER] PUBLIC = yes, then python conn_start.py --engine redshift"]
        return EnvironmentFailure(
            f"{self.place} is there, but port {port} does not answer from here ({CONNECT_SECONDS}s)",
            evidence=evidence,
            hint=[*hints, f"on a company network: ask for outbound {port}"],
        )
