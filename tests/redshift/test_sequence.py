"""The whole sequence on Redshift as people run it: a warehouse of either kind is made, filled from S3, checked, and
taken down again.

The account is moto's (tests/cluster/cloud.py), the warehouse the stand-in; the scripts are processes of their own and
unmodified. Every SQL text that reaches the cluster is parsed as Redshift's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import moto_s3
import pytest
from cluster.authorization import giving
from cluster.cloud import ENDPOINT, NAME, PASSWORD, REGION, SERVERLESS_ENDPOINT, Cloud
from cluster.test_rights import pairs, shipped
from postgres_server import Server
from test_run_all import STEPS, copy_suite, environ
from warehouse import REPO, STAR_QUERIES, Result, Warehouse, lines, plays, short_commands, song

from redshift.grammar import parse_all
from redshift.standin import RedshiftStandIn

__all__ = ["environ"]  # a fixture
ADDRESS = "203.0.113.7/32"


@pytest.fixture
def account() -> Iterator[Cloud]:
    """An AWS account with nothing in it."""
    with Cloud().up() as cloud:
        yield cloud


@pytest.fixture(params=["provisioned", "serverless"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of warehouse."""
    return str(request.param)


@pytest.fixture
def standin(account: Cloud, postgres_server: Server, kind: str) -> Iterator[RedshiftStandIn]:
    """What the endpoint of the warehouse leads to; it knows the roles of the account."""

    def known(arn: str) -> bool:
        if arn == "default":  # the role that the warehouse was given as its own
            default = account.cluster().default_iam_role_arn if kind == "provisioned" else None
            arn = str(default or account.serverless.namespaces[NAME]["defaultIamRoleArn"])
        return arn.rpartition("/")[2] in account.roles()

    def ticket(name: str) -> tuple[str, str] | None:
        return (account.passwords[name], account.signs_in_as[name]) if name in account.signs_in_as else None

    host = ENDPOINT if kind == "provisioned" else SERVERLESS_ENDPOINT
    with RedshiftStandIn(postgres_server, account.url, host=host, knows_role=known, tickets=ticket) as standin:
        standin.password = PASSWORD
        account.endpoint = account.serverless.endpoint = (host, standin.port)
        yield standin


@pytest.fixture
def warehouse(bare: Warehouse, account: Cloud, standin: RedshiftStandIn, kind: str) -> Warehouse:
    """Settings for a warehouse that is not there yet, and buckets for its data."""
    s3 = moto_s3.client(account.url)
    for bucket in ("music", "acme-work"):
        if bucket not in [found["Name"] for found in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        for item in s3.list_objects_v2(Bucket=bucket).get("Contents", ()):
            s3.delete_object(Bucket=bucket, Key=item["Key"])
    bare.configure(
        WAREHOUSE={"ENGINE": "redshift"},
        AWS={"REGION": REGION},
        S3={
            "LOG_DATA": "s3://music/log_data",
            "SONG_DATA": "s3://music/song_data",
            "WORK": "s3://acme-work/dwh",
            "LAKE": "s3://acme-work/lake",
        },
        CLUSTER={
            "KIND": kind,
            "ALLOW_CIDR": ADDRESS,
            "POLL_SECONDS": 0.05,
            "SSLROOTCERT": standin.ca_file,
            "SCHEMA": "sparkify",
        },
    )
    return bare


def run(warehouse: Warehouse, account: Cloud, script: str, *argv: str) -> Result:
    """Run a script that must succeed."""
    done = warehouse.run(script, *argv, env=account.environment)
    assert done.code == 0, f"{script}: {done.out}{done.err}"
    return done


def star(standin: RedshiftStandIn) -> dict[str, list[tuple[object, ...]]]:
    """Read the star past the stand-in."""
    found = {}
    with standin.postgres.connected(standin.database) as cursor:
        cursor.execute("SET search_path TO sparkify")
        for table, query in STAR_QUERIES.items():
            cursor.execute(query)
            found[table] = sorted(cursor.fetchall(), key=repr)
    return found


def left_in_work(account: Cloud) -> int:
    """Count what is in WORK."""
    return int(moto_s3.client(account.url).list_objects_v2(Bucket="acme-work").get("KeyCount", 0))


def test_a_warehouse_is_made_loaded_checked_and_removed(
    warehouse: Warehouse, account: Cloud, standin: RedshiftStandIn, kind: str
) -> None:
    s3 = moto_s3.client(account.url)
    s3.put_object(Bucket="music", Key="log_data/one.json", Body=lines(plays(3)))
    s3.put_object(Bucket="music", Key="song_data/a/one.json", Body=lines([song()]))
    before = account.all()
    assert run(warehouse, account, "conn_start", "--json").json["created"] is True
    assert standin.limits == {"awsuser": 3600}
    since = len(standin.statements)
    assert run(warehouse, account, "conn_start", "--json").json["created"] is False
    assert not any("ALTER" in sql for sql in standin.statements[since:])
    run(warehouse, account, "create_tables")
    assert run(warehouse, account, "etl", "--json").json["rows"]["songplays"] == 3
    run(warehouse, account, "sql_validate")
    again = run(warehouse, account, "etl")
    assert "nothing new: 2 files already loaded" in again.out
    cost = {"provisioned": "billed by the hour", "serverless": "billed while a statement runs"}
    assert cost[kind] in again.err
    assert left_in_work(account) == 0
    closed = run(warehouse, account, "conn_close", "--yes", "--no-snapshot")
    assert "all gone" in closed.out
    assert "billed" not in closed.err
    assert account.all() == before
    assert parse_all(standin.statements) == {}
    assert not [sql for sql in standin.statements if "CREDENTIALS" in sql.upper() or "ACCESS_KEY" in sql.upper()]


def test_the_real_data_gives_the_same_star_as_on_duckdb(
    warehouse: Warehouse, account: Cloud, standin: RedshiftStandIn, real_warehouse: Warehouse, real_source: Path
) -> None:
    s3 = moto_s3.client(account.url)
    for path in sorted(real_source.rglob("*.json")):
        s3.put_object(Bucket="music", Key=str(path.relative_to(real_source)), Body=path.read_bytes())
    for script in ("conn_start", "create_tables", "etl", "sql_validate"):
        run(warehouse, account, script)
    expected = {table: sorted(rows, key=repr) for table, rows in real_warehouse.star().items()}
    assert star(standin) == expected
    assert len(expected["songplays"]) == 6820
    run(warehouse, account, "conn_close", "--yes", "--no-snapshot")


def test_p196_a_warehouse_comes_back_with_the_rights_of_the_policies(
    warehouse: Warehouse, account: Cloud, standin: RedshiftStandIn, kind: str
) -> None:
    """Made and closed with operator.json, filled and exported with loader.json, restored, proved by its ledger; and a
    restored warehouse that lacks a record is told with exit code 1."""
    s3 = moto_s3.client(account.url)
    s3.put_object(Bucket="music", Key="log_data/one.json", Body=lines(plays(3)))
    s3.put_object(Bucket="music", Key="song_data/a/one.json", Body=lines([song()]))
    written = warehouse.config.read_text().replace("s3://acme-work/dwh", "s3://acme-work/work")
    warehouse.config.write_text(written)
    operator, loader = (
        shipped(name, **{"SOURCE-BUCKET": "music", "WORK-BUCKET": "acme-work"}) for name in ("operator", "loader")
    )
    account.policy = operator
    run(warehouse, account, "conn_start")
    account.policy = loader
    account.needed.clear()
    for script in ("create_tables", "etl", "sql_validate"):
        run(warehouse, account, script)
    for flags in ((), ("--again",), ("--check",)):
        run(warehouse, account, "export_lake", *flags)
    used = {pair for need in account.needed for pair in giving(loader, need)}
    # those of Serverless are in tests/cluster/test_serverless.py
    unused = {pair for pair in pairs(loader) - used if not pair[0].startswith("redshift-serverless:")}
    assert unused == ({("redshift:DescribeClusters", "*")} if kind == "serverless" else set())
    before = star(standin)
    account.policy = operator
    for damage, code in (("", 0), ("DELETE FROM sparkify.staging_events WHERE item_in_session = 0", 1)):
        run(warehouse, account, "conn_close", "--yes")
        with standin.postgres.connected(standin.database) as cursor:  # what is behind the stand-in outlives a cluster
            cursor.execute(damage or "SELECT 1")
        back = warehouse.run("conn_start", "--from-snapshot", "latest", env=account.environment)
        assert back.code == code, back.out + back.err
        assert star(standin) == before
        if not damage:
            assert "= loaded_files: records staged are in staging   4 = 4" in back.out
            assert "= songplays: every play has one row   3 = 3" in back.out
        else:
            assert "the restored warehouse is not what its ledger says" in back.err
            assert "records staged are in staging   3, expected 4" in back.err
            assert short_commands(back.err.splitlines()[-1]).endswith(
                "to end it: python conn_close.py --engine redshift"
            )


def test_p162_the_whole_sequence_twice_keeps_its_lake(
    warehouse: Warehouse, account: Cloud, standin: RedshiftStandIn, kind: str, environ: dict[str, str], tmp_path: Path
) -> None:
    """Each run of run_all.sh makes a cluster, new and empty, and deletes it: the second replaces the first's lake."""
    s3 = moto_s3.client(account.url)
    s3.put_object(Bucket="music", Key="log_data/one.json", Body=lines(plays(3)))
    s3.put_object(Bucket="music", Key="song_data/a/one.json", Body=lines([song()]))
    suite = copy_suite(tmp_path, {**environ, **account.environment})
    runs = [suite.run("--config", str(warehouse.config))]
    with standin.postgres.connected(standin.database) as cursor:  # what is behind the stand-in outlives a cluster
        cursor.execute("DROP SCHEMA sparkify CASCADE")
    runs.append(suite.run("--config", str(warehouse.config)))
    assert [(run.code, run.steps()) for run in runs] == [(0, STEPS)] * 2, runs[0].err + runs[1].err
    assert (account.clusters(), account.serverless.namespaces) == ({}, {})
    manifest = s3.get_object(Bucket="acme-work", Key="lake/export.json")["Body"].read()
    place = {
        "region": REGION,
        "cluster" if kind == "provisioned" else "workgroup": NAME,
        "database": "dwh",
        "schema": "sparkify",
    }
    assert json.loads(manifest)["warehouse"] == {"engine": "redshift", **place}
    assert json.loads(manifest)["export"] == 2


OWNED_BY = """
SELECT c.relname
FROM pg_class AS c
JOIN pg_roles AS r ON r.oid = c.relowner
WHERE r.rolname = 'IAM:ana'
"""


def test_p208_an_aws_identity_loads_by_grants_and_owns_nothing(
    warehouse: Warehouse, account: Cloud, standin: RedshiftStandIn
) -> None:
    """The admin makes cluster and tables and lets the identity in; from then on the identity loads, checks and exports.
    It makes no table, though everybody may make one in the schema `public`."""
    s3 = moto_s3.client(account.url)
    s3.put_object(Bucket="music", Key="log_data/one.json", Body=lines(plays(3)))
    s3.put_object(Bucket="music", Key="song_data/a/one.json", Body=lines([song()]))
    warehouse.config.write_text(warehouse.config.read_text().replace("SCHEMA = sparkify", "SCHEMA = public"))
    run(warehouse, account, "conn_start")
    as_guest = {**account.environment, "DWH_CLUSTER_LOGIN": "iam"}
    made = warehouse.run("create_tables", env=as_guest)
    assert (made.code, "owns no tables" in made.err) == (2, True), made.err
    made = warehouse.run("create_tables", "--grant-loaders", "IAM:ana", env=account.environment)
    assert made.code == 0, made.err
    for script in ("create_tables", "etl", "sql_validate", "export_lake"):
        done = warehouse.run(script, env=as_guest)
        assert done.code == 0, f"{script}: {done.out}{done.err}"
    with standin.postgres.connected(standin.database) as cursor:
        cursor.execute("SELECT COUNT(*) FROM public.songplays")
        assert cursor.fetchone() == (3,)
        cursor.execute(OWNED_BY)
        assert cursor.fetchall() == []
    assert parse_all(standin.statements) == {}
    run(warehouse, account, "conn_close", "--yes", "--no-snapshot")


# -------------------------------------------------------------------------------------------- the settings of the docs


def suggested(number: int) -> str:
    """Give one of the settings files that the how-to suggests, as it stands there."""
    page = (REPO / "docs" / "how-to" / "redshift.md").read_text(encoding="utf-8")
    return str(re.findall(r"^```ini\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[number])


def fill(account: Cloud, text: str) -> None:
    """Make the buckets that settings name, with a song and three plays in the sources."""
    s3 = moto_s3.client(account.url)
    keys = dict(re.findall(r"^(\w+) = s3://(\S+)$", text, re.MULTILINE))
    for bucket in {place.partition("/")[0] for place in keys.values()}:
        if bucket not in [found["Name"] for found in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        for item in s3.list_objects_v2(Bucket=bucket).get("Contents", ()):
            s3.delete_object(Bucket=bucket, Key=item["Key"])
    for kind, records in (("LOG_DATA", plays(3)), ("SONG_DATA", [song()])):
        bucket, _, key = keys[kind].partition("/")
        s3.put_object(Bucket=bucket, Key=f"{key}/one.json", Body=lines(records))


def run_whole(text: str, around: Mapping[str, str], environ: Mapping[str, str], folder: Path) -> str:
    """Run run_all.sh with these settings in dwh.local.cfg; `around` is what only the stand-ins need."""
    suite = copy_suite(folder, {**environ, **around})
    local = suite.folder / "dwh.local.cfg"
    local.write_text(text, encoding="utf-8")
    local.chmod(0o600)
    done = suite.run()
    assert (done.code, done.steps()[:6]) == (0, STEPS[:6]), done.err
    return done.err


def test_p194_the_settings_of_the_docs_go_through(
    account: Cloud, standin: RedshiftStandIn, kind: str, environ: dict[str, str], tmp_path: Path
) -> None:
    """A warehouse of ours, of either kind: from nothing to the report, and down again."""
    text = suggested(0)
    fill(account, text)
    given = dict(re.findall(r"^(\w+) = (.+)$", suggested(1), re.MULTILINE)) if kind == "serverless" else {}
    around = {f"DWH_CLUSTER_{key}": value for key, value in given.items()}
    around |= {"DWH_CLUSTER_ALLOW_CIDR": ADDRESS, "DWH_CLUSTER_POLL_SECONDS": "0.05"}
    run_whole(
        text, {**account.environment, **around, "DWH_CLUSTER_SSLROOTCERT": str(standin.ca_file)}, environ, tmp_path
    )
    assert (account.clusters(), account.serverless.namespaces) == ({}, {})


def test_p194_the_settings_of_the_docs_go_through_on_a_host(
    account: Cloud, postgres_server: Server, environ: dict[str, str], tmp_path: Path
) -> None:
    """A warehouse that is there already, with the role, user and password of the page."""
    text = suggested(2)
    fill(account, text)
    given = dict(re.findall(r"^(\w+) = (.+)$", text, re.MULTILINE))
    own = given["ARN"]
    with RedshiftStandIn(
        postgres_server, account.url, user=given["DB_USER"], host=given["HOST"], knows_role=lambda arn: arn == own
    ) as standin:
        standin.password = given["DB_PASSWORD"].strip('"')
        around = {"DWH_CLUSTER_DB_PORT": str(standin.port), "DWH_CLUSTER_SSLROOTCERT": str(standin.ca_file)}
        said = run_whole(text, {**account.environment, **around}, environ, tmp_path)
    assert "the warehouse was up before this run" in said
    assert account.clusters() == {}
