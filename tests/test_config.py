"""The settings: where each comes from, what older files may look like, and what is refused, with file and line."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from warehouse import Warehouse

from dwh.settings.config import Config, load_config
from dwh.settings.older_projects import ALIASES
from dwh.settings.sections import SECTIONS, declared_keys
from dwh.terminal.errors import ConfigError
from dwh.terminal.wording import masked

CANARY = "CANARY-7f3-do-not-show"
PATH = ("DUCKDB", "PATH")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a test writes its dwh.cfg, in a folder of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder / "dwh.cfg"


def read(
    file: Path, text: str, env: dict[str, str] | None = None, flags: dict[tuple[str, str], str | None] | None = None
) -> Config:
    """Write the settings to a file and read them."""
    file.write_text(text, encoding="utf-8")
    return load_config(str(file), flags or {}, env or {})


def refused(file: Path, text: str, env: dict[str, str] | None = None) -> ConfigError:
    """Give the error that settings are refused with."""
    with pytest.raises(ConfigError) as raised:
        read(file, text, env)
    return raised.value


# ----------------------------------------------------------------------------------------------------------- precedence

SOURCES = ("default", "dwh.cfg", "dwh.local.cfg", "environment", "flag")


@pytest.mark.parametrize("highest", SOURCES)
def test_the_nearest_source_wins(file: Path, highest: str) -> None:
    """Flag over environment over dwh.local.cfg over dwh.cfg over default."""
    given = SOURCES[: SOURCES.index(highest) + 1]
    if "dwh.local.cfg" in given:
        file.with_name("dwh.local.cfg").write_text("[ETL]\nMAX_LOAD_FILES = 3\n", encoding="utf-8")
    config = read(
        file,
        "[ETL]\nMAX_LOAD_FILES = 2\n" if "dwh.cfg" in given else "",
        {"DWH_ETL_MAX_LOAD_FILES": "4"} if "environment" in given else {},
        {("ETL", "MAX_LOAD_FILES"): "5" if "flag" in given else None},
    )
    assert config.etl.max_load_files == [250_000, 2, 3, 4, 5][SOURCES.index(highest)]
    assert config.origins["ETL", "MAX_LOAD_FILES"].startswith(highest)


def test_the_origin_names_the_line(file: Path) -> None:
    """Of a value from a file the line is known."""
    config = read(file, "# mine\n[ETL]\n\nmax_load_files = 2\n")
    assert config.origins["ETL", "MAX_LOAD_FILES"] == "dwh.cfg line 4"


def test_the_engine_has_a_short_variable(file: Path) -> None:
    """DWH_ENGINE means [WAREHOUSE] ENGINE."""
    assert read(file, "", {"DWH_ENGINE": "redshift"}).warehouse.engine == "redshift"


def test_the_flag_for_the_engine_wins(bare: Warehouse) -> None:
    """--engine counts more than DWH_ENGINE."""
    assert bare.run("conn_start", "--engine", "duckdb", env={"DWH_ENGINE": "redshift"}).code == 0


def test_the_flag_for_bad_lines_wins(bare: Warehouse) -> None:
    """--on-bad-line counts more than the environment."""
    bare.create()
    bare.write("log_data/a.json", b"{bad\n")
    env = {"DWH_ETL_ON_BAD_LINE": "quarantine"}
    assert [bare.run("etl", "--on-bad-line", "stop", env=env).code, bare.run("etl", env=env).code] == [1, 0]


def test_other_variables_are_left_alone(file: Path) -> None:
    """Only variables with the prefix of a section are ours."""
    assert read(file, "", {"DWH_HOME": "/x", "PATH": "/bin", "DWH_CONFIG": "elsewhere"})


def test_the_named_file_counts_more_than_the_variable(bare: Warehouse) -> None:
    """--config counts more than DWH_CONFIG."""
    assert bare.run("conn_start", env={"DWH_CONFIG": "nowhere.cfg"}).code == 0


def test_a_missing_file_in_the_variable_is_refused(file: Path) -> None:
    """DWH_CONFIG with a file that is not there is an error, not a reason to look elsewhere."""
    with pytest.raises(ConfigError, match="nowhere"):
        load_config(None, {}, {"DWH_CONFIG": str(file.with_name("nowhere.cfg"))})


# ----------------------------------------------------------------------------------------------------- an older project

FAMILY = """
[AWS]
KEY = AKIDEXAMPLE
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

[CLUSTER]
HOST=dwhcluster.abc.us-west-2.redshift.amazonaws.com
DB_NAME=dwh
DB_USER=dwhuser
DB_PASSWORD='Passw0rd%1'
DB_PORT=5439

[IAM_ROLE]
ARN='arn:aws:iam::123456789012:role/dwhRole'

[S3]
LOG_DATA='s3://udacity-dend/log_data'
LOG_JSONPATH='s3://udacity-dend/log_json_path.json'
SONG_DATA="s3://udacity-dend/song_data"

[DWH]
DWH_CLUSTER_TYPE=multi-node
DWH_NUM_NODES=4
DWH_NODE_TYPE=dc2.large
DWH_CLUSTER_IDENTIFIER=dwhCluster
DWH_DB=other
DWH_DB_USER=other
DWH_DB_PASSWORD=other
DWH_PORT=5555
DWH_IAM_ROLE_NAME=dwhRole
"""


def test_a_file_of_the_family_is_understood(file: Path) -> None:
    """The sections and keys of older projects mean what they meant, and so do their aliases."""
    config = read(file, FAMILY)
    cluster = config.cluster
    assert cluster.host == "dwhcluster.abc.us-west-2.redshift.amazonaws.com"
    assert (cluster.identifier, cluster.num_nodes, cluster.node_type) == ("dwhcluster", 4, "dc2.large")
    assert (config.iam_role.name, config.iam_role.arn) == ("dwhRole", "arn:aws:iam::123456789012:role/dwhRole")


def test_quotes_around_values_are_stripped(file: Path) -> None:
    """Values in single or double quotes are the text between them."""
    config = read(file, FAMILY)
    assert config.s3.log_data == ("s3://udacity-dend/log_data",)
    assert config.s3.song_data == ("s3://udacity-dend/song_data",)
    assert config.s3.log_jsonpath == "s3://udacity-dend/log_json_path.json"
    assert config.aws.secret.reveal() == "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def test_a_percent_sign_is_a_percent_sign(file: Path) -> None:
    """Values are not interpolated."""
    assert read(file, FAMILY).cluster.db_password.reveal() == "Passw0rd%1"


def test_the_keys_of_today_count_more_than_their_aliases(file: Path) -> None:
    """[CLUSTER] DB_NAME wins over [DWH] DWH_DB, wherever it stands in the file."""
    cluster = read(file, FAMILY).cluster
    assert (cluster.db_name, cluster.db_user, cluster.db_port) == ("dwh", "dwhuser", 5439)
    head, tail = FAMILY.split("[DWH]")
    other = file.with_name("other.cfg")
    assert read(other, f"[DWH]{tail}{head}").cluster.db_name == "dwh"


@pytest.mark.parametrize("alias", ALIASES)
def test_each_alias_is_accepted(file: Path, alias: str) -> None:
    """Every alias alone is accepted, and its target has its value."""
    target = ALIASES[alias]
    config = read(file, f"[DWH]\n{alias} = 7\n")
    assert target is None or config.origins[target] == "dwh.cfg line 2"


def test_the_case_of_names_does_not_matter(file: Path) -> None:
    """Sections and keys may be written small."""
    assert read(file, "[etl]\nmax_load_files = 7\n").etl.max_load_files == 7


def test_a_file_with_a_byte_order_mark_is_read(file: Path) -> None:
    """An editor's mark at the start of the file does no harm."""
    file.write_bytes(b"\xef\xbb\xbf[ETL]\r\nMAX_LOAD_FILES = 7\r\n")
    assert load_config(str(file), {}, {}).etl.max_load_files == 7


# ---------------------------------------------------------------------------------------------------------------- paths


def test_a_relative_path_starts_at_its_file(file: Path) -> None:
    """A path in a settings file is relative to that file, wherever one stands."""
    config = read(file, "[DUCKDB]\nPATH = sub/x.duckdb\n[S3]\nLOG_DATA = ../logs\n")
    assert config.duckdb.path == str(file.parent / "sub/x.duckdb")
    assert config.s3.log_data == (str(file.parent.parent / "logs"),)


def test_a_default_path_starts_at_the_settings(file: Path) -> None:
    """The default database lies beside the dwh.cfg that was used."""
    assert read(file, "").duckdb.path == str(file.parent / "sparkify.duckdb")


def test_a_relative_path_in_the_environment_starts_here(file: Path) -> None:
    """A path in a variable is relative to where one stands."""
    assert read(file, "", {"DWH_DUCKDB_PATH": "x.duckdb"}).duckdb.path == str(Path.cwd() / "x.duckdb")


def test_a_folder_may_have_blanks(file: Path) -> None:
    """A folder that exists as it is written may hold blanks and quotes."""
    (file.parent / "my logs").mkdir()
    assert read(file, "[S3]\nLOG_DATA = my logs\n").s3.log_data == (str(file.parent / "my logs"),)


@pytest.mark.parametrize("name", ["my logs", "Ana's logs"])
def test_a_quoted_folder_may_be_missing(file: Path, name: str) -> None:
    """In quotes a name with blanks is one location, whether it exists or not."""
    quote = '"' if "'" in name else "'"
    assert read(file, f"[S3]\nLOG_DATA = {quote}{name}{quote}\n").s3.log_data == (str(file.parent / name),)


def test_several_locations_are_separated_by_blanks(file: Path) -> None:
    """More than one folder or prefix may be named."""
    config = read(file, "[S3]\nLOG_DATA = logs s3://b/logs 'more logs'\n")
    assert config.s3.log_data == (str(file.parent / "logs"), "s3://b/logs", str(file.parent / "more logs"))


@pytest.mark.parametrize("value", ["'unclosed", "Ana's logs"])
def test_an_unclosed_quote_is_refused(file: Path, value: str) -> None:
    """A quote that does not end is a mistake of the settings, with file and line, not a bug."""
    assert "dwh.cfg line 2" in refused(file, f"[S3]\nLOG_DATA = {value}\n").message


def test_an_empty_location_is_refused(file: Path) -> None:
    """A source that is nowhere is a mistake of the settings."""
    assert "dwh.cfg line 2" in refused(file, "[S3]\nLOG_DATA =\n").message


# ------------------------------------------------------------------------------------------------------------- refusals

WRONG = [
    ("[WAREHOUSE]\nENGINE = oracle\n", "ENGINE"),
    ("[ETL]\nON_BAD_LINE = skip\n", "ON_BAD_LINE"),
    ("[ETL]\nMAX_LOAD_FILES = 0\n", "MAX_LOAD_FILES"),
    ("[ETL]\nMAX_LOAD_FILES = many\n", "MAX_LOAD_FILES"),
    ("[ETL]\nMAX_LOAD_BYTES = 1 GiBi\n", "MAX_LOAD_BYTES"),
    ("[DUCKDB]\nTHREADS = -1\n", "THREADS"),
    ("[DUCKDB]\nMEMORY_LIMIT = all\n", "MEMORY_LIMIT"),
    ("[CLUSTER]\nPUBLIC = perhaps\n", "PUBLIC"),
    ("[POSTGRES]\nPORT = http\n", "PORT"),
    ("[CHECKS]\nMIN_MATCH_RATIO = 2\n", "MIN_MATCH_RATIO"),
    ("[CHECKS]\nMAX_AGE_DAYS = never\n", "MAX_AGE_DAYS"),
]


@pytest.mark.parametrize(("text", "key"), WRONG, ids=[key + text[-8:].strip() for text, key in WRONG])
def test_a_wrong_value_is_named(file: Path, text: str, key: str) -> None:
    """A value of the wrong form is refused with key, file and line, and what would be right."""
    error = refused(file, text)
    assert key in error.message
    assert "dwh.cfg line 2" in error.message
    assert error.evidence[0].startswith("expected: ")


def test_a_wrong_value_in_the_environment_is_named(file: Path) -> None:
    """Of a variable its name is told."""
    assert "DWH_ETL_MAX_LOAD_FILES" in refused(file, "", {"DWH_ETL_MAX_LOAD_FILES": "none"}).message


def test_a_wrong_value_in_the_local_file_is_named(file: Path) -> None:
    """Of two files the one with the mistake is told."""
    file.with_name("dwh.local.cfg").write_text("[DUCKDB]\nTHREADS = x\n", encoding="utf-8")
    assert "dwh.local.cfg line 2" in refused(file, "[DUCKDB]\nTHREADS = 1\n").message


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[S3]\nLOG_DTA = x\n", "dwh.cfg line 2: unknown key 'LOG_DTA' in [S3]", "LOG_DATA"),
        ("[DWH]\nDWH_PORTS = x\n", "dwh.cfg line 2: unknown key 'DWH_PORTS' in [DWH]", "DWH_PORT"),
        ("[DUCK]\nPATH = x\n", "dwh.cfg line 1: unknown section [DUCK]", "DUCKDB"),
    ],
)
def test_an_unknown_name_is_refused(file: Path, text: str, message: str, hint: str) -> None:
    """A typo is named by file and line, with what was probably meant."""
    error = refused(file, text)
    assert (error.message, error.hint) == (message, (hint,))


def test_an_unknown_variable_is_refused(file: Path) -> None:
    """A typo in a variable is named, with what was probably meant."""
    error = refused(file, "", {"DWH_S3_LOG_DTA": "x"})
    assert "DWH_S3_LOG_DTA" in error.message
    assert error.hint == ("DWH_S3_LOG_DATA",)


@pytest.mark.parametrize(
    "text",
    ["LOG_DATA = x\n", "[S3]\nLOG_DATA\n", "[S3\nLOG_DATA = x\n", "[S3]\nLOG_DATA = a\nLOG_DATA = b\n", "[S3]\n[S3]\n"],
)
def test_a_file_of_another_form_is_refused(file: Path, text: str) -> None:
    """What is no INI file, or says a thing twice, is refused with the line."""
    error = refused(file, text)
    assert "dwh.cfg line" in error.message


def test_a_binary_file_is_refused(file: Path) -> None:
    """A file that is no text is a mistake of the settings, not a bug."""
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"dwh\.cfg"):
        load_config(str(file), {}, {})


def test_an_engine_that_is_not_there_yet(bare: Warehouse) -> None:
    """An engine whose part is missing is refused in words, not by a traceback."""
    done = bare.run("conn_start", "--engine", "nonsense")
    assert done.code == 2
    assert "duckdb" in done.err


def test_the_reference_has_every_key_once() -> None:
    """Every key has a default that it accepts itself, and a meaning."""
    for (section, _), meta in declared_keys().items():
        assert section in SECTIONS
        assert meta.meaning
        meta.parse(meta.default, Path.cwd())


# -------------------------------------------------------------------------------------------------------------- secrets

SECRETS = (
    f"[AWS]\nKEY = {CANARY}\nSECRET = {CANARY}\n[CLUSTER]\nDB_PASSWORD = {CANARY}\n[POSTGRES]\nDB_PASSWORD = {CANARY}\n"
)


def test_a_secret_is_not_in_the_settings_as_text(file: Path) -> None:
    """Neither repr nor str nor format of settings show a secret; a driver gets it by asking."""
    config = read(file, SECRETS)
    assert CANARY not in f"{config!r} {config} {config.aws.secret:>40} {config._asdict()}"
    assert config.aws.secret.reveal() == CANARY


def test_a_secret_in_a_drivers_text_is_masked(file: Path) -> None:
    """A secret in a driver's text is masked before it is shown."""
    read(file, SECRETS)
    assert CANARY not in masked(f"could not connect with password={CANARY}")


@pytest.mark.parametrize(
    "end", ["", "[S3]\nLOG_DTA = x\n", "[ETL]\nMAX_LOAD_FILES = x\n", f"{CANARY}\n", f"[{CANARY}\n"]
)
def test_no_output_holds_a_secret(bare: Warehouse, end: str) -> None:
    """Whatever goes well or wrong, at the highest verbosity and in the log file, no secret is shown."""
    bare.config.write_text(f"{bare.config.read_text(encoding='utf-8')}{SECRETS}{end}", encoding="utf-8")
    log = bare.root / "run.log"
    done = bare.run("conn_start", "-vv", "--log-file", str(log), env={"DWH_POSTGRES_DB_PASSWORD": CANARY + "2"})
    assert done.code == (2 if end else 0)
    assert CANARY not in done.out + done.err + (log.read_text(encoding="utf-8") if log.exists() else "")


def test_a_secret_of_the_wrong_section_is_not_shown(file: Path) -> None:
    """A key that is not known may hold a secret all the same: its value is not told."""
    error = refused(file, f"[AWS]\nSECRET_KEY = {CANARY}\n")
    assert CANARY not in f"{error.message} {error.evidence} {error.hint}"


def test_a_secret_in_a_readable_file_is_warned_about(file: Path) -> None:
    """A secret that others on the machine can read is used, and a note says how to close the file."""
    file.touch(0o644)
    config = read(file, SECRETS)
    assert config.aws.secret.reveal() == CANARY
    assert [note for note in config.notes if "chmod 600 dwh.cfg" in note]


def test_a_secret_in_a_private_file_is_not_warned_about(file: Path) -> None:
    """A file that only its owner reads is the right place."""
    local = file.with_name("dwh.local.cfg")
    local.write_text(SECRETS, encoding="utf-8")
    local.chmod(0o600)
    assert read(file, "").notes == ()


def test_a_secret_in_a_tracked_file_is_warned_about(file: Path) -> None:
    """A secret in a file that git tracks is warned about, even if the file is private."""
    file.touch(0o600)
    for command in (["init", "-q"], ["add", "-f", "dwh.cfg"]):
        subprocess.run(
            ["git", *command], cwd=file.parent, check=True, env=os.environ | {"GIT_CONFIG_GLOBAL": os.devnull}
        )
    notes = read(file, SECRETS).notes
    assert len(notes) == 1
    assert "tracked by git" in notes[0]


def test_the_warning_is_shown(bare: Warehouse) -> None:
    """The script prints it as a note on stderr, and continues."""
    bare.config.write_text(bare.config.read_text(encoding="utf-8") + SECRETS, encoding="utf-8")
    bare.config.chmod(0o644)
    done = bare.run("conn_start")
    assert done.code == 0
    assert "note: dwh.cfg holds a secret" in done.err


def test_a_file_without_secrets_is_not_warned_about(file: Path) -> None:
    """An empty key is no secret."""
    file.touch(0o644)
    assert read(file, "[AWS]\nKEY =\nSECRET =\n").notes == ()
