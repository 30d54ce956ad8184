"""One walk on an account: its names, its settings, the scripts that it runs, and where it looks."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from dwh.cluster.account import TAG, Account
from dwh.settings.config import Config, load_config
from dwh.sources.buckets import S3Path, split
from dwh.terminal.errors import ConfigError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812

ROOT = Path(__file__).resolve().parent.parent
CLUSTER, SERVERLESS = KINDS = ("provisioned", "serverless")
# All that a walk makes is named like this, and nothing that is named otherwise is ever removed.
NAME = re.compile(r"sparkify-check-[a-z0-9-]{1,30}")
SCRIPT_SECONDS = 600.0  # for a script that waits for no warehouse
BRING_UP_SECONDS = 1200.0
STOP_SECONDS = 120.0
LOOK_SECONDS = 120.0  # until AWS shows what was asked for
SHOWN_LINES = 4
ADMIN = ("DB_USER", "DB_PASSWORD")
T = TypeVar("T")


class Differs(Exception):
    """AWS, or a script on it, did not do what was expected. The text says what was seen."""


class Done(NamedTuple):
    """How a script ended, and what it said."""

    code: int
    out: str
    err: str

    def shows(self, *words: str, code: int = 0) -> str:
        """Give the lines that hold these words. Raises Differs without one of them, or with another exit code."""
        lines = [line.strip() for line in f"{self.out}\n{self.err}".splitlines()]
        missing = [word for word in words if not any(word in line for line in lines)]
        if self.code != code or missing:
            without = f", without {' and '.join(map(repr, missing))}" if missing else ""
            told = [line for line in lines if line]
            first = next((n for n, line in enumerate(told) if line.startswith("error:")), len(told) - SHOWN_LINES)
            shown = told[max(first, 0) :][:SHOWN_LINES]
            raise Differs(f"exit code {self.code}{without}: {'; '.join(shown)}")
        return "; ".join(dict.fromkeys(line for line in lines if any(word in line for word in words)))


class Begun(NamedTuple):
    """A script that is under way; it says all into two files."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path


class Walk:
    """The names and settings of one walk. `said` holds what each kind's conn_start.py told while it made it."""

    def __init__(self, path: str | None, name: str, folder: Path) -> None:
        if not NAME.fullmatch(name):
            raise ConfigError(f"--name {name}: a walk is named sparkify-check-...", hint="--name sparkify-check-2")
        own = load_config(path, {}, os.environ)
        if not own.s3.work.startswith("s3://"):
            raise ConfigError(
                "[S3] WORK is empty; a walk keeps all its files below it", hint="[S3] WORK = s3://BUCKET/work"
            )
        self.path, self.name, self.folder = path, name, folder
        self.place = f"{own.s3.work.rstrip('/')}/{name}"
        self.settings: dict[str, Config] = {
            kind: load_config(path, {("WAREHOUSE", "ENGINE"): "redshift"}, {**os.environ, **self.environment(kind)})
            for kind in KINDS
        }
        self.accounts = {kind: Account(self.settings[kind]) for kind in KINDS}
        self.said: dict[str, Done] = {}
        self._begun: dict[str, Begun] = {}
        self._number = 0

    def environment(self, kind: str, **more: str) -> dict[str, str]:
        """Give the settings of one kind of warehouse as a script gets them, before all that its files say."""
        keys = {
            "CLUSTER": {"KIND": kind, "IDENTIFIER": f"{self.name}-{kind[0]}", "SCHEMA": "public", "NUM_NODES": "1"},
            "S3": {
                **{f"{data}_DATA": f"{self.place}/{data.lower()}_data" for data in ("LOG", "SONG")},
                "WORK": f"{self.place}/{kind}/work",
                "LAKE": f"{self.place}/{kind}/lake",
            },
            "LAKE": {"GLUE_DATABASE": "", "FORMAT": "iceberg"},
            "ETL": {"ON_BAD_LINE": "stop"},
            "CHECKS": {"MAX_AGE_DAYS": "off", "MIN_MATCH_RATIO": "0"},
            "IAM_ROLE": {"ARN": "", "NAME": ""},
            "NOTIFY": {"ON_FAILURE": "", "ON_SUCCESS": ""},
        }
        capacity = {"BASE_RPU": "4", "MAX_RPU": "8", "MAX_RPU_HOURS": "4", "FINAL_SNAPSHOT": "yes"}
        keys["CLUSTER"] |= capacity | {"DB_NAME": f"check_{kind}"} | dict.fromkeys(("HOST", "LOGIN", *ADMIN), "")
        named = {f"DWH_{section}_{key}": text for section, texts in keys.items() for key, text in texts.items()}
        return {**named, **more}

    # ------------------------------------------------------------------------------------------------------- scripts

    def begin(self, kind: str, script: str, *flags: str, engine: str = "redshift", **more: str) -> Begun:
        """Start a script of the suite. A Ctrl-C of the terminal does not reach it: `stop` does."""
        self._number += 1
        out, err = (self.folder / f"{self._number:03}-{script}.{end}" for end in ("out", "err"))
        config = () if self.path is None else ("--config", self.path)
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / f"{script}.py"), *config, "--engine", engine, *flags],
                env={**os.environ, **self.environment(kind, **more)},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        begun = Begun(process, out, err)
        self._begun[f"{kind} {script} {self._number}"] = begun
        return begun

    def ended(self, begun: Begun, seconds: float = SCRIPT_SECONDS) -> Done:
        """Wait until a script ends. Raises Differs when that takes too long; it is killed then."""
        try:
            code = begun.process.wait(seconds)
        except subprocess.TimeoutExpired:
            begun.process.kill()
            begun.process.wait()
            raise Differs(f"no end after {seconds:.0f} s: {begun.err.read_text('utf-8')[-300:]}") from None
        return Done(code, *(path.read_text("utf-8", "replace") for path in (begun.out, begun.err)))

    def run(self, kind: str, script: str, *flags: str, engine: str = "redshift", **more: str) -> Done:
        """Run a script to its end."""
        return self.ended(self.begin(kind, script, *flags, engine=engine, **more))

    def begin_later(self, kind: str, script: str, *flags: str) -> Begun:
        """Start a script whose end another step waits for, by `later`."""
        self._begun[kind] = self.begin(kind, script, *flags)
        return self._begun[kind]

    def later(self, kind: str) -> Done:
        """Wait for the script that was begun for this kind."""
        return self.ended(self._begun[kind], BRING_UP_SECONDS)

    def stop(self) -> None:
        """Stop all scripts that are under way, as Ctrl-C does, and wait until they have ended."""
        going = [begun.process for begun in self._begun.values() if begun.process.poll() is None]
        for process in going:
            process.send_signal(signal.SIGINT)
        for process in going:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    # --------------------------------------------------------------------------------------------------------- looks

    def ask(self, kind: str, action: str, **parameters: Any) -> dict[str, Any]:
        """Ask AWS, as `Account.ask` does."""
        return self.accounts[kind].ask(action, **parameters)

    def owns(self, kind: str, tags: Sequence[Mapping[str, str]]) -> bool:
        """Tell whether these tags are those of this walk's warehouse; AWS writes them in two ways."""
        suite = self.accounts[kind].suite
        return (TAG, suite) in [(tag.get("Key", tag.get("key")), tag.get("Value", tag.get("value"))) for tag in tags]

    @contextmanager
    def connected(self, kind: str) -> Iterator[PgConnection]:
        """Connect for the block as the scripts do; each statement is a transaction of its own."""
        from dwh.engines.redshift.engine import RedshiftEngine

        connection = RedshiftEngine(self.settings[kind]).open_connection()
        connection.autocommit = True
        try:
            yield connection
        finally:
            connection.close()

    def until(self, begun: Begun, look: Callable[[], T | None]) -> T:
        """Look again and again until there is something, and give it. Raises Differs when the script ends before."""
        end = time.monotonic() + LOOK_SECONDS
        while not (found := look()):
            if begun.process.poll() is not None:
                raise Differs(f"nothing was seen before it ended: {self.ended(begun).shows('')[-300:]}")
            if time.monotonic() > end:
                raise Differs(f"nothing was seen in {LOOK_SECONDS:.0f} s")
            time.sleep(min(1.0, self.settings[CLUSTER].cluster.poll_seconds))
        return found

    # ------------------------------------------------------------------------------------------------- files in S3

    def where(self, below: str) -> S3Path:
        """Give a place below the prefix of this walk; an empty one is the prefix with its slash, so that it is not
        also that of a walk with a longer name."""
        bucket, key = split(self.place)
        return S3Path(bucket, f"{key}/{below}")

    def put(self, below: str, body: bytes) -> str:
        """Write an object, and give its address."""
        place = self.where(below)
        self.ask(CLUSTER, "s3:PutObject", Bucket=place.bucket, Key=place.key, Body=body)
        return str(place)

    def get(self, below: str) -> bytes:
        """Read an object."""
        place = self.where(below)
        body = self.ask(CLUSTER, "s3:GetObject", Bucket=place.bucket, Key=place.key)["Body"]
        return bytes(body.read())

    def objects(self, below: str = "") -> list[str]:
        """List the objects below a place of this walk, by what follows the prefix of the walk."""
        own, place = self.where(""), self.where(below)
        found = self.ask(CLUSTER, "s3:ListObjectsV2", Bucket=place.bucket, Prefix=place.key).get("Contents", [])
        return [str(item["Key"]).removeprefix(own.key) for item in found]

    def remove(self, names: Sequence[str]) -> None:
        """Remove objects of this walk."""
        for name in names:
            place = self.where(name)
            self.ask(CLUSTER, "s3:DeleteObject", Bucket=place.bucket, Key=place.key)
