"""The steps of a walk, in their order, as data: docs/cloud-check.md shows this table.

Minutes are those by which a step makes a walk longer. Both warehouses are made at the same time, and the cluster is
closed while Serverless is looked at. Sources of what takes long: a cluster of one node was made in 3.5 minutes [G
hashicorp/terraform-provider-aws#1120] and deleted in 2 [G turbot/steampipe-plugin-aws#462]; a workgroup takes up to 10
[G hashicorp/terraform-provider-aws#26522, #31048]. A final snapshot, and the first run of a statement, which Redshift
compiles, are estimates [U].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from cloud import looks, sql_looks
from cloud.walk import CLUSTER, SERVERLESS, Walk

MOST_STEPS, MOST_MINUTES = 30, 30.0


class Step(NamedTuple):
    """One step. `needs` are the steps without which it is not walked. With `asks` no stand-in can tell the answer: what
    is seen is recorded, and judged only where the suite leans on it."""

    name: str
    kind: str
    run: str
    expect: str
    differs: str
    minutes: float
    look: Callable[[Walk], str]
    needs: tuple[str, ...] = ()
    asks: bool = False


def _on(kind: str, look: Callable[[Walk, str], str]) -> Callable[[Walk], str]:
    return lambda walk: look(walk, kind)


STEPS: tuple[Step, ...] = (
    Step(
        "cluster planned", CLUSTER, "`conn_start.py --dry-run`",
        "`+ role`, `+ port`, `+ cluster`, and the price of the console", "the table in `dwh/cluster/price.py` [G]",
        0.2, _on(CLUSTER, looks.dry_run),
    ),
    Step(
        "Serverless planned", SERVERLESS, "`conn_start.py --dry-run`",
        "`+ Serverless warehouse`, and the price of the console", "the table in `dwh/cluster/price.py` [G]",
        0.2, _on(SERVERLESS, looks.dry_run),
    ),
    Step(
        "cluster begun", CLUSTER, "`conn_start.py`; meanwhile DescribeClusters",
        "`creating`, without `Endpoint.Address` [U]", "`open_connection` in `dwh/engines/redshift/engine.py`",
        0.5, looks.begin_cluster,
    ),
    Step(
        "Serverless begun", SERVERLESS, "`conn_start.py`; meanwhile GetNamespace",
        "a namespace before its workgroup [B]", "`Serverless._ensure_both` in `dwh/cluster/serverless.py`",
        0.3, looks.begin_serverless,
    ),
    Step(
        "cluster up", CLUSTER, "the `conn_start.py` of step 3 to its end",
        "`signed in as awsuser over TLS, verified`, at most a minute after `available` [U]",
        "`SETTLING_SECONDS` in `dwh/engines/redshift/engine.py`; rights: `docs/policies/README.md`",
        4.0, _on(CLUSTER, looks.is_up), ("cluster begun",),
    ),
    Step(
        "cluster: young role", CLUSTER, "what it told of a role that was seconds old",
        "code and words of CreateCluster [U]", "`Provisioned._create`: InvalidParameterValue, with the word role",
        0.0, _on(CLUSTER, looks.young_role), ("cluster up",), asks=True,
    ),
    Step(
        "cluster: secret", CLUSTER, "GetSecretValue: the keys", "`username` and `password` [G]",
        "`sign_in` in `dwh/engines/redshift/login.py`", 0.1, looks.secret, ("cluster up",),
    ),
    Step(
        "cluster: again", CLUSTER, "`conn_start.py` again", "only `=` lines", "`Provisioned.plan`",
        0.3, _on(CLUSTER, looks.again), ("cluster up",),
    ),
    Step(
        "idle sessions", CLUSTER, "`session_timeout` of the admin", "3600 [D]",
        "`end_idle_sessions` in `dwh/engines/redshift/session.py`", 0.1, sql_looks.idle_limit, ("cluster up",),
    ),
    Step(
        "slices", CLUSTER, "`SELECT COUNT(*) FROM stv_slices`",
        "2 for one ra3.large [G]; those of rg.* are not known [U]",
        "`SLICES` in `dwh/cluster/provisioned.py`", 0.1, sql_looks.slices, ("cluster up",), asks=True,
    ),
    Step(
        "cluster: tables", CLUSTER, "`create_tables.py`, twice", "all tables; the second time nothing [D23, U]",
        "`dwh/engines/redshift/catalog.py`", 1.0, _on(CLUSTER, looks.tables), ("cluster up",),
    ),
    Step(
        "cluster: loaded", CLUSTER, "`etl.py -vv`", "`IAM_ROLE default` [B]; nothing is left below WORK",
        "`docs/policies/copy_role.json`, `_copy` in `dwh/engines/redshift/session.py`",
        2.0, _on(CLUSTER, looks.load), ("cluster: tables",),
    ),
    Step(
        "cluster: checks", CLUSTER, "`sql_validate.py`", "all pass: ISO week 53, `NULLS LAST`, regular expressions [U]",
        "`star/checks/`", 1.0, _on(CLUSTER, looks.checks), ("cluster: loaded",),
    ),
    Step(
        "as on DuckDB", CLUSTER, "the five tables and a question of `ask.py`, here and on DuckDB",
        "the same rows, with a blank at the end of a title [D23]", "`sql_queries.py`",
        0.7, looks.star, ("cluster: loaded",),
    ),
    Step(
        "numbers as text", CLUSTER, "COPY of JSON numbers into VARCHAR, and `pg_last_copy_count()`",
        "the records are counted [D23]; is 1e2 `1e2`, or what else? [U]", "[what is accepted](reference/input.md)",
        0.3, sql_looks.odd_texts, ("cluster up",), asks=True,
    ),
    Step(
        "a record cut short", CLUSTER, "`etl.py` with a record that is cut short",
        "exit code 1, file and line; nothing stored",
        "`dwh/engines/redshift/errors.py` [G]", 0.5, looks.cut_short, ("cluster: loaded",),
    ),
    Step(
        "LOCK and a time-out", CLUSTER, "`LOCK dwh_lock` in two sessions, the second with `statement_timeout`",
        "the second ends with 57014 [U]", "`_begin_locked` in `dwh/engines/redshift/session.py`",
        0.2, sql_looks.lock_times_out, ("cluster: tables",), asks=True,
    ),
    Step(
        "a load waits", CLUSTER, "`etl.py --wait 2s` while another session holds the lock",
        "exit code 4, and who holds it: `svv_transactions` [D]", "`HOLDER` in `dwh/engines/redshift/catalog.py`",
        0.4, sql_looks.load_waits, ("cluster: loaded",),
    ),
    Step(
        "a killed load", CLUSTER, "`kill -9` of `etl.py` after its first COPY, then `etl.py`",
        "no play more after the kill [D23]; nothing is left below WORK after the load",
        "`dwh/engines/redshift/work.py`", 2.0, looks.killed, ("cluster: loaded",),
    ),
    Step(
        "lake", CLUSTER, "`export_lake.py`; how UNLOAD writes a time", "INT64, in microseconds, without a zone [U]",
        "`dwh/lake/iceberg/schema.py`", 2.0, sql_looks.lake, ("cluster: loaded",), asks=True,
    ),
    Step(
        "UNLOAD of nothing", CLUSTER, "UNLOAD of a row, then of none, and `pg_last_unload_count()`",
        "1, then 0 [U]; no object of none [G aws-sdk-pandas#2052]", "`dwh/engines/redshift/unload.py`",
        0.3, sql_looks.unload_of_nothing, ("cluster up",), asks=True,
    ),
    Step(
        "cluster closing", CLUSTER, "`conn_close.py`; meanwhile DescribeClusterSnapshots",
        "a final snapshot with an end [B]; has it our tag by itself? [U]",
        "`Snapshots.claim` in `dwh/cluster/snapshots.py`",
        0.5, looks.begin_close, ("cluster up",), asks=True,
    ),
    Step(
        "Serverless up", SERVERLESS, "the `conn_start.py` of step 4 to its end",
        "`signed in as awsuser over TLS, verified`",
        "rights of EC2 beside those of `docs/policies/operator.json`? [U]",
        1.0, _on(SERVERLESS, looks.is_up), ("Serverless begun",),
    ),
    Step(
        "Serverless: young role", SERVERLESS, "what it told of a role that was seconds old",
        "code and words of CreateNamespace [U]",
        "`Serverless._create_namespace`: ValidationException, with the word role",
        0.0, _on(SERVERLESS, looks.young_role), ("Serverless up",), asks=True,
    ),
    Step(
        "Serverless: roles", SERVERLESS, "GetNamespace: `iamRoles`", "one text for each, with its status [G]",
        "`_roles` in `dwh/cluster/serverless.py`", 0.1, looks.roles_of_namespace, ("Serverless up",),
    ),
    Step(
        "Serverless: again", SERVERLESS, "`conn_start.py` again", "only `=` lines: default subnets and group [U]",
        "`Workgroups.differences` in `dwh/cluster/workgroup.py`",
        0.3, _on(SERVERLESS, looks.again), ("Serverless up",),
    ),
    Step(
        "Serverless: loaded", SERVERLESS, "`create_tables.py`, `etl.py`, `sql_validate.py`", "all end with 0",
        "`dwh/engines/redshift/session.py`", 3.0, looks.load_on_serverless, ("Serverless up", "a killed load"),
    ),
    Step(
        "Serverless: slices", SERVERLESS, "`SELECT COUNT(*) FROM stv_slices`",
        "refused; by which code? [G]",
        "`refuse_on_serverless` in `tests/redshift/refusals.py`",
        0.1, sql_looks.no_slices, ("Serverless up",), asks=True,
    ),
    Step(
        "Serverless closed", SERVERLESS, "UpdateWorkgroup with `maxCapacity` 12, then `conn_close.py`",
        "is 12 refused? [U] workgroup, namespace, limit, role go; a snapshot is taken without a workgroup [B]",
        "`check_rpus` in `dwh/cluster/limits.py`; `Serverless.delete`",
        5.0, looks.close_serverless, ("Serverless up",), asks=True,
    ),
    Step(
        "cluster closed", CLUSTER, "the `conn_close.py` of step 22 to its end",
        "`all gone`, `+ snapshot ..., kept for 7 days`", "`Lifecycle.stop`",
        0.5, looks.is_closed, ("cluster closing",),
    ),
)  # fmt: skip


def page_table() -> Iterator[str]:
    """Write the table of docs/cloud-check.md."""
    yield "| # | on | run | expect | when it differs | min |"
    yield "|---|---|---|---|---|---|"
    for number, step in enumerate(STEPS, 1):
        expect = f"**Only AWS can tell.** {step.expect}" if step.asks else step.expect
        cells = (str(number), step.kind, step.run, expect, step.differs, f"{step.minutes:g}")
        yield f"| {' | '.join(cells)} |"
