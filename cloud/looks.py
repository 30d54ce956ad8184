"""What a walk looks at on both kinds of warehouse: how the scripts go, and what AWS shows of what they made."""

from __future__ import annotations

import json
from typing import Any

from cloud.samples import ANOTHER_DAY, CUT_SHORT, PLAYS, SOURCES
from cloud.walk import CLUSTER, SERVERLESS, Differs, Done, Walk
from dwh.cluster.account import Declined

YOUNG = "AWS does not know the role everywhere yet"
QUESTION = "plays-by-day"
ODD_RPU = 12
STAR = {
    "songplays": "SELECT * FROM songplays",
    "users": "SELECT * FROM users",
    "songs": "SELECT * FROM songs",
    "artists": "SELECT * FROM artists",
    "time": "SELECT * FROM time",
}


# ------------------------------------------------------------------------------------------------- bringing it up


def dry_run(walk: Walk, kind: str) -> str:
    """The plan, with its price; nothing is made."""
    what = "+ cluster" if kind == CLUSTER else "+ Serverless warehouse"
    done = walk.run(kind, "conn_start", "--dry-run")
    done.shows("+ role", "+ port", what, "nothing was changed")
    return done.shows("price:")


def cluster(walk: Walk) -> dict[str, Any] | None:
    """Describe the cluster; None when there is none."""
    name = walk.accounts[CLUSTER].suite
    try:
        found = walk.ask(CLUSTER, "redshift:DescribeClusters", expected=("ClusterNotFound",), ClusterIdentifier=name)
    except Declined:
        return None
    return dict(found["Clusters"][0])


def begin_cluster(walk: Walk) -> str:
    """Begin to make the cluster, and look at it while it is made."""
    begun = walk.begin_later(CLUSTER, "conn_start")
    seen = walk.until(begun, lambda: cluster(walk))
    address = seen.get("Endpoint", {}).get("Address", "")
    if seen["ClusterStatus"] == "creating" and address:
        raise Differs(f"creating, and it has an address already: {address}")
    return f"{seen['ClusterStatus']}, {address or 'no address'}"


def begin_serverless(walk: Walk) -> str:
    """Begin to make the Serverless warehouse, and look at its namespace."""
    begun = walk.begin_later(SERVERLESS, "conn_start")
    seen = walk.until(begun, lambda: namespace(walk))
    return f"namespace {seen['status']}"


def namespace(walk: Walk) -> dict[str, Any] | None:
    """Describe the namespace; None when there is none."""
    name = walk.accounts[SERVERLESS].suite
    action, gone = "redshift-serverless:GetNamespace", ("ResourceNotFoundException",)
    try:
        return dict(walk.ask(SERVERLESS, action, expected=gone, namespaceName=name)["namespace"])
    except Declined:
        return None


def is_up(walk: Walk, kind: str) -> str:
    """The warehouse is available, and its admin signed in."""
    walk.said[kind] = done = walk.later(kind)
    return done.shows("signed in as awsuser over TLS, verified")


def young_role(walk: Walk, kind: str) -> str:
    """What AWS said of a role that was seconds old."""
    said = [line.strip() for line in walk.said[kind].err.splitlines() if YOUNG in line]
    return f"{len(said)} times: {said[0]}" if said else "it knew the role at once"


def again(walk: Walk, kind: str) -> str:
    """A second conn_start.py changes nothing."""
    done = walk.run(kind, "conn_start", "--json")
    done.shows()
    changes = json.loads(done.out)["changes"]
    if changed := [change for change in changes if not change.startswith("=")]:
        raise Differs(f"it would change: {'; '.join(changed)}")
    return f"{len(changes)} lines, each with ="


def secret(walk: Walk) -> str:
    """The keys of the admin's secret; its values are read by nobody."""
    arn = (cluster(walk) or {}).get("MasterPasswordSecretArn")
    if not arn:
        raise Differs("the cluster has no MasterPasswordSecretArn")
    keys = sorted(json.loads(walk.ask(CLUSTER, "secretsmanager:GetSecretValue", SecretId=arn)["SecretString"]))
    if not {"username", "password"} <= set(keys):
        raise Differs(f"keys {', '.join(keys)}")
    return f"keys {', '.join(keys)}"


def roles_of_namespace(walk: Walk) -> str:
    """How AWS writes the roles of a namespace."""
    texts = [str(text).partition("arn:")[0] for text in (namespace(walk) or {}).get("iamRoles", [])]
    if len(texts) != 1 or not texts[0].startswith("IamRole(applyStatus=in-sync"):
        raise Differs(f"iamRoles: {texts}")
    return f"{texts[0]}arn:..."


# --------------------------------------------------------------------------------------------------------- loading


def tables(walk: Walk, kind: str) -> str:
    """All tables are made, and a second run finds them."""
    walk.run(kind, "create_tables").shows("songplays")
    return walk.run(kind, "create_tables").shows("tables are there")


def refuse_leftovers(walk: Walk, kind: str) -> None:
    """Raise Differs when there is something below WORK."""
    if left := walk.objects(f"{kind}/work/"):
        raise Differs(f"left below WORK: {', '.join(left)}")


def load(walk: Walk, kind: str) -> str:
    """COPY through WORK, with the default role of the warehouse."""
    done = walk.run(kind, "etl", "-vv")
    done.shows("IAM_ROLE default", "TRUNCATECOLUMNS")
    told = done.shows(f"loaded {len(SOURCES)} files")
    refuse_leftovers(walk, kind)
    return told


def load_on_serverless(walk: Walk) -> str:
    """Make the tables, load, and check."""
    walk.run(SERVERLESS, "create_tables").shows("songplays")
    walk.run(SERVERLESS, "etl").shows(f"loaded {len(SOURCES) + 1} files")
    refuse_leftovers(walk, SERVERLESS)
    return checks(walk, SERVERLESS)


def checks(walk: Walk, kind: str) -> str:
    """All checks pass."""
    done = walk.run(kind, "sql_validate")
    done.shows()
    return done.out.strip().splitlines()[-1].strip()


def star(walk: Walk) -> str:
    """The five tables, and the answer to a question, are those of DuckDB on the same files."""
    import duckdb

    folder = walk.folder / "same"
    for name, body in SOURCES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    here = {f"DWH_S3_{data}_DATA": str(folder / f"{data.lower()}_data") for data in ("LOG", "SONG")}
    here |= {"DWH_DUCKDB_PATH": str(folder / "same.duckdb"), "DWH_DUCKDB_READERS_COPY": ""}

    def run_here(script: str, *flags: str) -> Done:
        return walk.run(CLUSTER, script, *flags, engine="duckdb", **here)

    for script in ("conn_start", "create_tables", "etl"):
        run_here(script).shows()
    with walk.connected(CLUSTER) as connection, duckdb.connect(str(folder / "same.duckdb")) as same:
        for table, query in STAR.items():
            with connection.cursor() as cursor:
                cursor.execute(query)
                there = sorted(map(repr, cursor.fetchall()))
            if there != (known := sorted(map(repr, same.execute(query).fetchall()))):
                raise Differs(f"{table}: {there}, on DuckDB {known}")
    answers = [walk.run(CLUSTER, "ask", QUESTION, "--csv"), run_here("ask", QUESTION, "--csv")]
    if answers[0].out != answers[1].out or answers[0].code:
        raise Differs(f"{QUESTION}: {answers[0].shows()} {answers[0].out!r}, on DuckDB {answers[1].out!r}")
    return f"five tables, and {QUESTION}: equal"


def cut_short(walk: Walk) -> str:
    """A record that is cut short is named, and nothing is stored."""
    name, body = CUT_SHORT
    walk.put(name, body)
    try:
        told = walk.run(CLUSTER, "etl").shows("cut.json", "line 1", code=1)
    finally:
        walk.remove([name])
    refuse_leftovers(walk, CLUSTER)
    return told


def killed(walk: Walk) -> str:
    """A load that is killed after its first COPY stores nothing, and the next one leaves nothing below WORK."""
    walk.put(*ANOTHER_DAY)
    begun = walk.begin(CLUSTER, "etl", "-vv", "--wait", "2m")
    walk.until(begun, lambda: "COPY " in begun.err.read_text("utf-8", "replace"))
    begun.process.kill()
    walk.ended(begun)
    left = len(walk.objects(f"{CLUSTER}/work/"))
    with walk.connected(CLUSTER) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM songplays")
        [plays] = cursor.fetchone() or (None,)
    if plays != PLAYS:
        raise Differs(f"{plays} plays after the kill, {PLAYS} before it")
    told = walk.run(CLUSTER, "etl", "--wait", "2m").shows("loaded 1 file")
    refuse_leftovers(walk, CLUSTER)
    return f"{plays} plays and {left} objects after the kill; then: {told}, and no object"


# --------------------------------------------------------------------------------------------------------- closing


def begin_close(walk: Walk) -> str:
    """Begin to close the cluster, and look whether its final snapshot has our tag before conn_close.py gives it."""
    begun = walk.begin_later(CLUSTER, "conn_close", "--yes")
    action, name = "redshift:DescribeClusterSnapshots", walk.accounts[CLUSTER].suite

    def look() -> list[dict[str, Any]]:
        found = walk.ask(CLUSTER, action, SnapshotType="manual").get("Snapshots", [])
        return [snapshot for snapshot in found if snapshot["ClusterIdentifier"] == name]

    seen = walk.until(begun, look)[0]
    tagged = "with our tag" if walk.owns(CLUSTER, seen.get("Tags", [])) else "without our tag"
    return f"{seen['Status']}, {tagged}, kept for {seen.get('ManualSnapshotRetentionPeriod')} days"


def _closed(done: Done) -> str:
    done.shows("all gone")
    return done.shows("+ snapshot", "kept for 7 days")


def is_closed(walk: Walk) -> str:
    """The cluster is gone, its snapshot is there."""
    return _closed(walk.later(CLUSTER))


def odd_capacity(walk: Walk) -> str:
    """Whether a workgroup takes a MAX_RPU that is no multiple of 8."""
    name, action = walk.accounts[SERVERLESS].suite, "redshift-serverless:UpdateWorkgroup"
    try:
        refused = ("ValidationException",)
        walk.ask(SERVERLESS, action, expected=refused, workgroupName=name, maxCapacity=ODD_RPU)
    except Declined as declined:
        return f"refused: {declined}"
    return f"taken: maxCapacity {ODD_RPU}"


def close_serverless(walk: Walk) -> str:
    """The capacity is asked for; then workgroup and namespace go, and a snapshot is taken without a workgroup."""
    capacity = odd_capacity(walk)
    return f"{capacity}; {_closed(walk.run(SERVERLESS, 'conn_close', '--yes'))}"
