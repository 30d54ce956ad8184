"""One dwh.cfg as people write it: comments behind values, empty ones, servers with a port, files of older projects."""

from __future__ import annotations

from pathlib import Path

import pytest
from warehouse import Warehouse

from dwh.settings.config import Config, load_config
from dwh.settings.older_projects import ALIASES
from dwh.settings.sections import declared_keys, is_secret
from dwh.terminal.errors import ConfigError

CANARY = "CANARY-7f3-do-not-show"
ENDPOINT = "dwhcluster.abc123.us-west-2.redshift.amazonaws.com"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a test writes its dwh.cfg."""
    return tmp_path / "dwh.cfg"


def read(file: Path, text: str | bytes, env: dict[str, str] | None = None) -> Config:
    """Write the settings to a file and read them."""
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_config(str(file), {}, env or {})


def refused(file: Path, text: str | bytes, env: dict[str, str] | None = None) -> ConfigError:
    """Give the error that settings are refused with; nothing of it is a secret."""
    with pytest.raises(ConfigError) as raised:
        read(file, text, env)
    error = raised.value
    shown = error.__cause__ if error.__suppress_context__ else error.__context__  # by -vv
    assert CANARY not in f"{error.message} {error.evidence} {error.hint} {shown!r}"
    return error


# --------------------------------------------------------------------------------------------------- comments and lines


@pytest.mark.parametrize("comment", ["   # mine", " ; mine", "\t# mine", " #", "  #mine"])
@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("DUCKDB", "PATH", "w.duckdb"),
        ("DUCKDB", "PATH", "'w.duckdb'"),
        ("S3", "LOG_DATA", "a b"),
        ("S3", "LAKE", ""),
        ("ETL", "MAX_LOAD_FILES", "7"),
        ("POSTGRES", "HOST", "db.example.com"),
        ("DWH", "DWH_DB", "dwh"),
    ],
)
def test_p146_a_comment_behind_a_value_is_refused(file: Path, section: str, key: str, value: str, comment: str) -> None:
    """It would become part of the value, so that PATH names another database; the error shows line and right value."""
    error = refused(file, f"[{section}]\n\n{key} = {value}{comment}\n")
    assert error.message == f"dwh.cfg line 3: a comment after the value of [{section}] {key}"
    target = ALIASES[key] if section == "DWH" else (section, key)
    assert target
    assert error.hint[0].startswith(f"[{target[0]}] {target[1]} = {value}     (")


def test_p146_a_comment_with_a_line_of_its_own_and_one_in_quotes_are_fine(file: Path) -> None:
    """In quotes, and in a word, # and ; are themselves; so they are behind several lines of locations."""
    config = read(
        file,
        "# one\n; two\n[S3] # three\n  # four\nLOG_DATA =\n  'a # b' c#d\n  # five\n  e;f\nSONG_DATA = \"g ; h\"\n"
        "[DUCKDB]\nPATH = 'my # w.duckdb'\n[POSTGRES]\nDB_NAME=it;is#one\n",
    )
    assert [Path(place).name for place in config.s3.log_data] == ["a # b", "c#d", "e;f"]
    assert config.s3.song_data == (str(file.parent / "g ; h"),)
    assert Path(config.duckdb.path).name == "my # w.duckdb"
    assert config.postgres.db_name == "it;is#one"


@pytest.mark.parametrize("value", ["it's # mine", "'a' b # c's", "'a # b", "# 'all'", "a\n  b # c"])
def test_p146_a_quote_in_a_word_hides_no_comment(file: Path, value: str) -> None:
    """Only quotes around a word, or around all, make a # part of it."""
    assert "line 2: a comment" in refused(file, f"[S3]\nLOG_DATA = {value}\n").message


def test_p146_a_secret_may_hold_anything(file: Path) -> None:
    """A password with ` #` in it is one."""
    secrets = [key for key in declared_keys() if is_secret(*key)]
    for section, name in secrets:
        config = read(file, f"[{section}]\n{name} = pa ss # ;word\n")
        assert getattr(getattr(config, section.lower()), name.lower()).reveal() == "pa ss # ;word"


def test_p146_the_environment_is_taken_literally(file: Path) -> None:
    """Variables have no comments."""
    (file.parent / "logs # old").mkdir()
    place = str(file.parent / "logs # old")
    env = {"DWH_S3_LOG_DATA": place, "DWH_DUCKDB_PATH": "/x ; y.duckdb", "DWH_POSTGRES_DB_NAME": "a % $b # c"}
    config = read(file, "", env)
    assert (config.s3.log_data, config.duckdb.path) == ((place,), "/x ; y.duckdb")
    assert config.postgres.db_name == "a % $b # c"


def test_p146_a_comment_behind_a_url_with_a_password_shows_none(file: Path) -> None:
    """A value that a comment makes useless may still hold a secret."""
    refused(file, f"[POSTGRES]\nHOST = postgres://ana:{CANARY}@db/x   # mine\n")
    refused(file, f"[S3]\nLOG_DATA = https://b.s3.amazonaws.com/x?Signature={CANARY}   # mine\n")


@pytest.mark.parametrize(
    "text",
    [
        "[DUCKDB]\nPATH = w.duckdb\n  THREADS = 2\n",
        "[DUCKDB]\nPATH =\n\tTHREADS = 2\n",
        "[DUCKDB]\nPATH = w\n  .duckdb\n",
        "[S3]\nLOG_DATA = a\n  SONG_DATA = b\n",
        f"[AWS]\nKEY = x\n  SECRET = {CANARY}\n",
        f"[POSTGRES]\nDB_PASSWORD = x\n  {CANARY}\n",
    ],
)
def test_p146_an_indented_line_is_no_part_of_a_value(file: Path, text: str) -> None:
    """A blank before a key would make it a part of the value above, and the key would be the default."""
    error = refused(file, text)
    assert error.message.startswith("dwh.cfg line 2: the value of [")


def test_p146_tabs_and_colons_are_fine(file: Path) -> None:
    """As editors and other INI files have them."""
    config = read(file, "[etl]\r\n\tmax_load_files\t=\t7\r\n\tmax_load_bytes\t:\t4 GiB\r\n")
    assert (config.etl.max_load_files, config.etl.max_load_bytes) == (7, 4 * 2**30)


# ---------------------------------------------------------------------------------------------------------------- empty


@pytest.mark.parametrize("nothing", ["", "''", '""', "  "])
def test_p147_an_empty_value_means_the_default(file: Path, nothing: str) -> None:
    """Of every key but the two sources, in the file and in the environment."""
    keys = [key for key in declared_keys() if key not in (("S3", "LOG_DATA"), ("S3", "SONG_DATA"))]
    sections = sorted({section for section, _ in keys})
    default = read(file, "")
    text = "".join(f"[{s}]\n" + "".join(f"{k} = {nothing}\n" for t, k in keys if t == s) for s in sections)
    for config in (read(file, text), read(file, "", {f"DWH_{s}_{k}": nothing for s, k in keys})):
        for section in sections:
            assert repr(getattr(config, section.lower())) == repr(getattr(default, section.lower()))


@pytest.mark.parametrize("nothing", ["", "''", '""'])
@pytest.mark.parametrize("key", ["LOG_DATA", "SONG_DATA"])
def test_p147_a_source_that_is_empty_is_refused(file: Path, key: str, nothing: str) -> None:
    """The default would load the sample when a user forgot to fill it in."""
    assert refused(file, f"[S3]\n{key} = {nothing}\n").message.startswith(f"[S3] {key} = ")
    assert f"environment DWH_S3_{key}" in refused(file, "", {f"DWH_S3_{key}": nothing}).message


# ----------------------------------------------------------------------------------------------------------------- HOST

APART = [
    (f"{ENDPOINT}:5439/dev", f"{ENDPOINT}, {{port}} = 5439, DB_NAME = dev"),
    (f"{ENDPOINT}:5439", f"{ENDPOINT}, {{port}} = 5439"),
    (f"{ENDPOINT}/dev", f"{ENDPOINT}, DB_NAME = dev"),
    (f"https://{ENDPOINT}/", ENDPOINT),
    (f"jdbc:redshift://{ENDPOINT}:5439/dev", f"{ENDPOINT}, {{port}} = 5439, DB_NAME = dev"),
    (f"jdbc:redshift://{ENDPOINT}:5439/dev;UID=ana;PWD={CANARY}", f"{ENDPOINT}, {{port}} = 5439, DB_NAME = dev, "
     "DB_USER = ana, DB_PASSWORD = ... in dwh.local.cfg"),
    (f"jdbc:postgresql://{ENDPOINT}/dev?user=ana&password={CANARY}", f"{ENDPOINT}, DB_NAME = dev, DB_USER = ana, "
     "DB_PASSWORD = ... in dwh.local.cfg"),
    (f"postgres://ana:{CANARY}@db.example.com/music", "db.example.com, DB_NAME = music, DB_USER = ana, "
     "DB_PASSWORD = ... in dwh.local.cfg"),
    (f"redshift+psycopg2://ana:{CANARY}@db.example.com:1/music?sslmode=require", "db.example.com, {port} = 1, "
     "DB_NAME = music, DB_USER = ana, DB_PASSWORD = ... in dwh.local.cfg"),
    (f"ana:{CANARY}@db.example.com", "db.example.com, DB_USER = ana, DB_PASSWORD = ... in dwh.local.cfg"),
    ("ana@db.example.com", "db.example.com, DB_USER = ana"),
    ("[::1]:5432", "::1, {port} = 5432"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "port"), [("POSTGRES", "PORT"), ("CLUSTER", "DB_PORT")])
@pytest.mark.parametrize(("text", "keys"), APART, ids=[text.replace(CANARY, "x") for text, _ in APART])
def test_p148_a_host_that_is_more_is_told_its_parts(file: Path, section: str, port: str, text: str, keys: str) -> None:
    """At once, and not after 30 minutes of trying; with the keys for the parts."""
    error = refused(file, f"[{section}]\nHOST = {text}\n")
    assert (error.exit_code, "(dwh.cfg line 2)" in error.message) == (2, True)
    assert error.hint == (f"[{section}] HOST = {keys.format(port=port)}",)
    assert refused(file, "", {f"DWH_{section}_HOST": text}).hint[0].startswith(f"DWH_{section}_HOST=")


@pytest.mark.parametrize(
    "text",
    [
        f"postgres://ana:my@{CANARY}/word@db.example.com/music",
        f"postgres://ana:12?{CANARY}@db.example.com/music",
        f"postgres://ana:12?x={CANARY}@db.example.com/music",
        f"postgres://ana:my {CANARY} word@db.example.com/music",
        f"ana:/{CANARY}@db.example.com",
        f"host=db.example.com password={CANARY}",
        f"Driver={{Amazon Redshift}};Server=x;UID=ana;PWD={CANARY};",
        "jdbc:redshift:iam://cluster:us-west-2/dev",
        "https://us-west-2.console.aws.amazon.com/redshiftv2/home?region=us-west-2#clusters",
        "<endpoint>",
        "UPDATE ME",
        "db.example.com:port",
        "-h",
    ],
)
def test_p148_a_host_that_is_no_host_is_told(file: Path, text: str) -> None:
    """Where the parts are unclear, none that may be a password is shown."""
    for section, example in (("POSTGRES", "db.example.com"), ("CLUSTER", "redshift.amazonaws.com")):
        assert refused(file, f"[{section}]\nHOST = {text}\n").hint[0].endswith(example)


def test_p148_hosts_are_taken(file: Path) -> None:
    """Names, addresses, several servers of PostgreSQL, the folder of a socket."""
    for host in ("localhost", "127.0.0.1", "::1", "db-1_x.example.com.", ENDPOINT, "Zürich.example"):
        config = read(file, f"[POSTGRES]\nHOST = {host}\n[CLUSTER]\nHOST = '{host}'\n")
        assert (config.postgres.host, config.cluster.host) == (host, host)
    for host in ("/var/run/postgresql", "@socket", "one.example.com,two.example.com"):
        assert read(file, f"[POSTGRES]\nHOST = {host}\n").postgres.host == host


def test_p148_a_service_is_a_url(file: Path) -> None:
    """[S3] ENDPOINT_URL without http:// would end in the words of a library."""
    hint = refused(file, "[S3]\nENDPOINT_URL = localhost:9000\n").hint
    assert hint == ("[S3] ENDPOINT_URL = https://localhost:9000",)
    refused(file, f"[S3]\nENDPOINT_URL = http://key:{CANARY}@localhost:9000\n")
    assert read(file, "[S3]\nENDPOINT_URL = http://localhost:9000\n").s3.endpoint_url == "http://localhost:9000"


@pytest.mark.parametrize("engine", ["postgres", "redshift"])
def test_p148_a_script_tells_a_host_at_once(bare: Warehouse, engine: str) -> None:
    """Exit code 2, on stderr, at any verbosity, without the password."""
    section = {"postgres": "POSTGRES", "redshift": "CLUSTER"}[engine]
    bare.configure(WAREHOUSE={"ENGINE": engine}, **{section: {"HOST": f"postgres://ana:{CANARY}@db/music"}})
    log = bare.root / "run.log"
    done = bare.run("conn_start", "-vv", "--log-file", str(log))
    assert (done.code, f"try: [{section}] HOST = db, DB_NAME = music" in done.err) == (2, True)
    assert CANARY not in done.out + done.err + (log.read_text() if log.exists() else "")


# ------------------------------------------------------------------------------------------------------- older projects

TEMPLATE = """[CLUSTER]
HOST=''
DB_NAME=''
DB_USER=''
DB_PASSWORD=''
DB_PORT=5439

[IAM_ROLE]
ARN=''

[S3]
LOG_DATA='s3://udacity-dend/log_data'
LOG_JSONPATH='s3://udacity-dend/log_json_path.json'
SONG_DATA='s3://udacity-dend/song_data'
REGION='us-west-2'

[AWS]
KEY=
SECRET=

[DWH]
DWH_REGION             = us-west-2
DWH_CLUSTER_TYPE       = multi-node
DWH_NUM_NODES          = 4
DWH_NODE_TYPE          = ra3.large
DWH_CLUSTER_IDENTIFIER = "dwhCluster"
DWH_DB                 = 'dwh'
DWH_DB_USER            = dwhuser
DWH_DB_PASSWORD        = Passw0rd
DWH_PORT               = 5440
DWH_IAM_ROLE_NAME      = dwhRole
DWH_ENDPOINT           =
DWH_ROLE_ARN           = ''
"""


def test_p149_the_template_of_the_family_is_understood(file: Path) -> None:
    """Keys of today that are left empty give way to those of [DWH]; the name of a cluster is in lower case in AWS."""
    config = read(file, TEMPLATE)
    cluster = config.cluster
    assert (cluster.host, cluster.db_name, cluster.db_user, cluster.db_port) == ("", "dwh", "dwhuser", 5439)
    assert (cluster.identifier, cluster.num_nodes, cluster.db_password.reveal()) == ("dwhcluster", 4, "Passw0rd")
    assert (config.iam_role.name, config.iam_role.arn, config.aws.region) == ("dwhRole", "", "us-west-2")
    assert (config.s3.region, config.s3.song_data) == ("us-west-2", ("s3://udacity-dend/song_data",))


def test_p149_a_warehouse_that_is_there_is_named_in_dwh(file: Path) -> None:
    """DWH_ENDPOINT is HOST, DWH_ROLE_ARN is the role of COPY; with a port it is told like HOST."""
    role = "arn:aws:iam::123456789012:role/dwhRole"
    config = read(file, f"[DWH]\nDWH_ENDPOINT = {ENDPOINT}\nDWH_ROLE_ARN = '{role}'\n")
    assert (config.cluster.host, config.iam_role.arn) == (ENDPOINT, role)
    error = refused(file, f"[DWH]\nDWH_ENDPOINT = {ENDPOINT}:5439\n")
    assert error.hint == (f"[CLUSTER] HOST = {ENDPOINT}, DB_PORT = 5439",)


def test_p149_the_environment_knows_the_names_of_older_projects(file: Path) -> None:
    """Above any file, and below the names of today, unless those are empty."""
    older = {
        "DWH_CLUSTER_TYPE": "multi-node", "DWH_NUM_NODES": "4", "DWH_NODE_TYPE": "ra3.xlplus", "DWH_DB": "music",
        "DWH_CLUSTER_IDENTIFIER": "dwhCluster", "DWH_DB_USER": "ana", "DWH_DB_PASSWORD": CANARY, "DWH_PORT": "5440",
        "DWH_IAM_ROLE_NAME": "r", "DWH_ROLE_ARN": "arn:aws:iam::123456789012:role/r", "DWH_ENDPOINT": ENDPOINT,
        "DWH_REGION": "eu-west-1",
    }  # fmt: skip
    assert set(older) == set(ALIASES)
    config = read(file, "[CLUSTER]\nDB_USER = other\n", older)
    cluster, role = config.cluster, config.iam_role
    assert (cluster.num_nodes, cluster.node_type, cluster.db_name) == (4, "ra3.xlplus", "music")
    assert (cluster.identifier, cluster.db_user, cluster.db_port) == ("dwhcluster", "ana", 5440)
    assert (cluster.host, cluster.db_password.reveal(), config.aws.region) == (ENDPOINT, CANARY, "eu-west-1")
    assert (role.name, role.arn) == ("r", "arn:aws:iam::123456789012:role/r")
    assert config.origins["CLUSTER", "DB_USER"] == "environment DWH_DB_USER"
    today = {"DWH_CLUSTER_DB_USER": "eve", "DWH_CLUSTER_DB_NAME": ""}
    config = read(file, "", older | today)
    assert (config.cluster.db_user, config.cluster.db_name) == ("eve", "music")


STRANGERS = """[CLUSTER]
DWH_DB=sparkify
REGION='us-west-2'
DB_CLUSTER_IDENTIFIER=x
[IAM_ROLE]
ROLE_NAME=dwhRole
IAM_ROLE_ARN=x
[DB]
DB_NAME=x
"""


def test_p149_every_name_that_is_not_known_is_told_at_once(file: Path) -> None:
    """Each with its line and its name here: one edit of the file, not six runs."""
    error = refused(file, STRANGERS)
    assert error.message == "dwh.cfg line 2: unknown key 'DWH_DB' in [CLUSTER]"
    assert error.hint == ("[CLUSTER] DB_NAME",)
    assert error.evidence == (
        "line 3: unknown key 'REGION' in [CLUSTER]; try [AWS] REGION",
        "line 4: unknown key 'DB_CLUSTER_IDENTIFIER' in [CLUSTER]; try [CLUSTER] IDENTIFIER",
        "line 6: unknown key 'ROLE_NAME' in [IAM_ROLE]; try [IAM_ROLE] NAME",
        "line 7: unknown key 'IAM_ROLE_ARN' in [IAM_ROLE]; try [IAM_ROLE] ARN",
        "and 1 more",
    )


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[REGION]\nREGION = x\n", "[AWS] REGION"),
        ("[S3]\nLOG_LOCAL_DATA = x\n", "LOG_DATA"),
        ("[S3]\nBUCKET_REGION = x\n", "[S3] REGION"),
        ("[AWS]\nAWS_SECRET_ACCESS_KEY = x\n", "[AWS] SECRET"),
        ("[POSTGRES]\nNODE_TYPE = x\n", "[CLUSTER] NODE_TYPE"),
        ("[IAM]\nNAME = x\n", "IAM_ROLE"),
    ],
)
def test_p149_a_name_of_another_place_is_told_its_place(file: Path, text: str, hint: str) -> None:
    """A name that stands elsewhere, or is called otherwise, today."""
    assert refused(file, text).hint == (hint,)


# ------------------------------------------------------------------------------------------------------------ encodings


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_p146_a_file_in_utf16_is_told(file: Path, encoding: str) -> None:
    """Notepad and PowerShell write it; with and without its mark."""
    error = refused(file, "[S3]\nLOG_DATA = x\n".encode(encoding))
    assert "UTF-16" in error.message
    assert error.hint == (f"edit {file}: save it as UTF-8",)


def test_p146_a_file_in_cp1252_is_told_with_its_line(file: Path) -> None:
    """The line, but not what stands in it: that may be a secret."""
    error = refused(file, f"[AWS]\nKEY = x\nSECRET = ä{CANARY}\n".encode("cp1252"))
    assert error.message == "dwh.cfg line 3 is not UTF-8"
    assert error.hint == (f"edit {file}: save it as UTF-8",)


def test_p146_other_forms_of_text_are_read(file: Path) -> None:
    """A mark at the beginning, CRLF and CR. What only Python takes for the end of a line is none. NUL is told."""
    text = "[POSTGRES]\nDB_NAME = Zoë\u2028\x85x\nPORT = 7\n"
    for content in (text, "\ufeff" + text, text.replace("\n", "\r\n"), text.replace("\n", "\r")):
        config = read(file, content)
        assert (config.postgres.db_name, config.postgres.port) == ("Zoë\u2028\x85x", 7)
    assert "line 2 holds a NUL" in refused(file, "[POSTGRES]\nDB_NAME = a\0b\n").message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[S3]\nLOG_DATA = a\nlog_data = b\n", "dwh.cfg line 3: LOG_DATA in [S3] appears twice"),
        ("[S3]\n[ETL]\n[S3]\n", "dwh.cfg line 3: section [S3] appears twice"),
        ("[S3]\nREGION = x\n[s3]\nREGION = y\n", "dwh.cfg line 3: section [S3] appears twice"),
        (f"[AWS]\n{CANARY} = a\n{CANARY} = b\n", "dwh.cfg line 3: a key in [AWS] appears twice"),
    ],
)
def test_p146_what_is_there_twice_is_told(file: Path, text: str, said: str) -> None:
    """With the line of the second; the suite does not guess which counts."""
    assert refused(file, text).message == said
