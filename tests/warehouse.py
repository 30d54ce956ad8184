"""A warehouse of its own for each test: source folders, a dwh.cfg and a database file in one temporary folder.

`run` starts a script as people do, as a process of its own in another folder; `call` runs its `main` in this process,
which is ten times faster, and lets a DwhError through. Everything is read back by a connection of the test's own.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import io
import itertools
import json
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar

import duckdb
import pytest
from reference_star import Record, Star, in_order
from worlds import Step, apply_step

from dwh.terminal.errors import DwhError

REPO = Path(__file__).resolve().parents[1]
REAL = REPO.parent / "shared" / "real"
ELSEWHERE = "elsewhere"  # the folder that scripts are started in: not the one of dwh.cfg, nor that of the scripts
LARGE = 256 * 1024  # bytes; a source file above this is read in place by the engine
NOON = 1541160000000  # Friday 2018-11-02, 12:00:00 UTC
WATCHDOG = 300  # seconds until what hangs is given up, and its test fails: nothing else takes so long, anywhere
PATIENTLY = ("--wait", "1h")  # for a script that must get what it waits for: the watchdog comes first

STAR_COLUMNS = {
    "songplays": "songplay_id start_time user_id level song_id artist_id session_id location user_agent"
    " item_in_session title artist_name duration",
    "users": "user_id first_name last_name gender level last_seen",
    "songs": "song_id title artist_id year duration artist_name",
    "artists": "artist_id name location latitude longitude",
    "time": "start_time hour day week month year weekday",
}
STAR_QUERIES = {table: f"SELECT {columns.replace(' ', ', ')} FROM {table}" for table, columns in STAR_COLUMNS.items()}
MARKER = "dwh_warehouse"
TABLES = (*STAR_COLUMNS, "staging_events", "staging_songs", "loaded_files", "loads", "touched_days", "rejected_lines")

Version = tuple[str, str]  # an absolute path and a fingerprint


def event(**changes: Any) -> Record:
    """Return a play of Undo by user 8, with changes."""
    person = {"userId": "8", "firstName": "Ada", "lastName": "Lee", "gender": "F", "level": "free"}
    heard = {"song": "Undo", "artist": "Björk", "length": 11.5, "location": "Oslo", "userAgent": "X11"}
    return {"page": "NextSong", "ts": NOON, "sessionId": 5, "itemInSession": 0, **person, **heard, **changes}


def song(song_id: str = "S1", **changes: Any) -> Record:
    """Return the catalogue's record of Undo, with changes."""
    known = {"title": "Undo", "artist_name": "Björk", "artist_id": "A1", "year": 2001, "duration": 11.0}
    place = {"artist_location": "Reykjavík", "artist_latitude": 64.1, "artist_longitude": -21.9}
    return {"song_id": song_id, "num_songs": 1, **known, **place, **changes}


def plays(number: int, **changes: Any) -> list[Record]:
    """Return different plays of one session, a second apart."""
    return [event(itemInSession=n, ts=NOON + 1000 * n, **changes) for n in range(number)]


def lines(records: Sequence[Record]) -> bytes:
    """Return a file of one record a line."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def fingerprint(path: Path) -> str:
    """Return what the ledger keeps to tell one version of a local file from another."""
    status = path.stat()
    return f"{status.st_size}:{status.st_mtime_ns}"


@dataclass(frozen=True)
class Result:
    """What a script said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object that --json prints, and nothing beside it."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


@dataclass
class Running:
    """A script that is under way: what it says on stderr is read as it comes; `ended` gives stdout too."""

    process: subprocess.Popen[str]
    stdout: IO[str]
    said: str = ""

    def wait_for(self, text: str) -> str:
        """Read stderr up to a line that holds a text, and give that line; a script that ends before fails the test."""
        assert self.process.stderr
        while text not in (line := self.process.stderr.readline()):
            self.said += line
            assert line, f"it ended before it said {text!r}: {self.said}"
        self.said += line
        return line

    def signal(self, number: int) -> None:
        """Send a signal to the script, which must not have ended by itself."""
        assert self.process.poll() is None, self.said
        self.process.send_signal(number)

    def release(self) -> None:
        """Let a script go on that is held (see promises/held.py), or one that reads its stdin to the end."""
        assert self.process.stdin
        self.process.stdin.close()

    def ended(self) -> Result:
        """Wait until the script ends; gives all it said."""
        assert self.process.stderr
        self.said += self.process.stderr.read()
        code = self.process.wait(timeout=WATCHDOG)
        self.stdout.seek(0)
        return Result(code, self.stdout.read(), self.said)


@contextlib.contextmanager
def running(command: Sequence[str], cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Start a command; whatever the block does, the process and its pipes are gone afterwards."""
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as stdout,
        subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        ) as process,
    ):
        try:
            yield Running(process, stdout)
        finally:
            process.kill()


@dataclass
class Warehouse:
    """One warehouse and its sources below `root`. `versions` are all contents its source files ever had."""

    root: Path
    versions: dict[Version, bytes] = field(default_factory=dict)
    always: ClassVar[Mapping[str, Mapping[str, object]]] = {}  # settings of every warehouse

    def __post_init__(self) -> None:
        for folder in ("log_data", "song_data", ELSEWHERE, "tmp"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        if not self.config.exists():
            self.configure()

    @property
    def config(self) -> Path:
        """The settings of this warehouse."""
        return self.root / "dwh.cfg"

    @property
    def database(self) -> Path:
        """The file of the warehouse."""
        return self.root / "warehouse.duckdb"

    def configure(self, **sections: Mapping[str, object]) -> None:
        """Write dwh.cfg anew: where things are, and these keys by section."""
        settings: dict[str, dict[str, object]] = {
            "S3": {"LOG_DATA": "log_data", "SONG_DATA": "song_data"},
            "DUCKDB": {"PATH": self.database.name, "THREADS": 2},
        }
        for section, keys in (*self.always.items(), *sections.items()):
            settings.setdefault(section, {}).update(keys)
        text = "".join(
            f"[{section}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
            for section, keys in settings.items()
        )
        self.config.write_text(text, encoding="utf-8")

    def create(self, template: Path | None = None) -> Warehouse:
        """Make the database and its tables, or copy a file in which they have been made."""
        if template:
            shutil.copyfile(template, self.database)
        else:
            self.call("conn_start")
            self.call("create_tables")
        return self

    # ---------------------------------------------------------------------------------------------------- sources

    def write(self, path: str, content: bytes | Sequence[Record]) -> Path:
        """Write a source file, with a time of change that no write had before."""
        self.apply(Step({path: content if isinstance(content, bytes) else lines(content)}))
        return self.root / path

    def remove(self, path: str) -> None:
        """Remove a source file."""
        self.apply(Step({}, frozenset({path})))

    def apply(self, step: Step) -> None:
        """Make the source folders as they are after a step, and remember what was written."""
        apply_step(self.root, step)
        for name, data in step.written.items():
            path = self.root / name
            self.versions[str(path), fingerprint(path)] = data

    # ---------------------------------------------------------------------------------------------------- scripts

    def command(self, script: str, *argv: str, scripts: Path = REPO) -> list[str]:
        """Give the command line of a script; --config is added, unless it is among the arguments."""
        named = () if "--config" in argv else ("--config", str(self.config))
        return [sys.executable, str(scripts / f"{script}.py"), *named, *argv]

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give the environment of a script: this one's without what steers the suite, a temporary folder, and `env`."""
        steering = ("NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS")
        kept = {k: v for k, v in os.environ.items() if not k.startswith("DWH_") and k not in steering}
        return kept | {"TMPDIR": str(self.root / "tmp"), "TERM": "xterm"} | dict(env or {})

    def run(
        self,
        script: str,
        *argv: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        command: Sequence[str] | None = None,
    ) -> Result:
        """Run a script as a process of its own, in another folder, without a terminal."""
        done = subprocess.run(
            command or self.command(script, *argv),
            cwd=cwd or self.root / ELSEWHERE,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=WATCHDOG,
            check=False,
        )
        assert_commands_are_complete(done.args, f"{done.stdout}\n{done.stderr}")
        return Result(done.returncode, done.stdout, done.stderr)

    @contextlib.contextmanager
    def started(
        self,
        script: str,
        *argv: str,
        held: str = "",
        env: Mapping[str, str] | None = None,
        command: Sequence[str] | None = None,
    ) -> Iterator[Running]:
        """Start a script for the block, as `run` does; with `held` one that stops at that place (promises/held.py)."""
        command = command or self.command(script, *argv)
        if held:
            command = [command[0], str(REPO / "tests/promises/held.py"), held, *command[1:]]
        with running(command, self.root / ELSEWHERE, self.environment(env)) as script_that_runs:
            yield script_that_runs

    def run_on_terminal(
        self, script: str, *argv: str, typed: str = "", wait_for: str = "", env: Mapping[str, str] | None = None
    ) -> Result:
        """Run a script on a terminal, type something, and give all that the terminal showed as `out`.

        With `wait_for` the typing begins when that text is shown.
        """
        ours, theirs = pty.openpty()
        try:
            process = subprocess.Popen(
                self.command(script, *argv),
                cwd=self.root / ELSEWHERE,
                env=self.environment(env),
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # without it Ctrl-C would reach nobody
            )
        finally:
            os.close(theirs)
        try:
            shown = _read_terminal(ours, until=wait_for) if wait_for else ""
            os.write(ours, typed.encode())
            shown += _read_terminal(ours)
            return Result(process.wait(timeout=WATCHDOG), shown, "")
        finally:
            process.kill()
            process.wait()
            os.close(ours)

    def call(self, script: str, *argv: str, env: Mapping[str, str] | None = None) -> Result:
        """Run a script's `main` in this process; what it raises is raised here, and signals are left alone."""
        out, err = io.StringIO(), io.StringIO()
        before = {name: os.environ.get(name) for name in env or {}}
        os.environ.update(env or {})
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main = importlib.import_module(script).main
                code = main(["--config", str(self.config), *argv])
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value
        return Result(int(code), out.getvalue(), err.getvalue())

    def etl(self, *argv: str) -> dict[str, Any]:
        """Load what is new, in this process, and give the object that etl.py prints."""
        return self.call("etl", "--json", *argv).json

    # ---------------------------------------------------------------------------------------------------- reading

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement by a connection of the test's own, and give its rows."""
        with duckdb.connect(str(self.database)) as connection:
            return connection.execute(sql, list(parameters)).fetchall()

    def value(self, sql: str) -> Any:
        """Give the one value that a query finds."""
        [(found,)] = self.rows(sql)
        return found

    def answers(self, queries: Mapping[str, str]) -> dict[str, list[tuple[Any, ...]]]:
        """Run several queries by one connection, and give the rows of each, sorted, None last."""
        with duckdb.connect(str(self.database)) as connection:
            return {name: in_order(connection.execute(sql).fetchall()) for name, sql in queries.items()}

    def star(self) -> Star:
        """Give the five tables of the star, each sorted, None last."""
        return self.answers(STAR_QUERIES)

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Give every row of every table, sorted."""
        return self.answers({table: f"SELECT * FROM {table}" for table in TABLES})

    def schema(self) -> list[tuple[Any, ...]]:
        """Give all columns of all tables, in their order."""
        return self.rows(
            "SELECT table_name, column_index, column_name, data_type, is_nullable FROM duckdb_columns()"
            " WHERE NOT internal ORDER BY table_name, column_index"
        )

    def rejected(self) -> dict[str, list[tuple[int | None, str, str]]]:
        """Give line, reason and text of the records that were set aside, by the name of their file."""
        found: dict[str, list[tuple[int | None, str, str]]] = {}
        for path, *rest in self.rows(
            "SELECT f.path, r.line_number, r.reason, r.line FROM rejected_lines AS r JOIN loaded_files AS f"
            " ON f.file_id = r.file_id ORDER BY f.path, r.line_number"
        ):
            found.setdefault(os.path.relpath(path, self.root), []).append((rest[0], rest[1], rest[2]))
        return found

    @contextlib.contextmanager
    def held(self) -> Iterator[Running]:
        """Have another program hold the database during the block, or until it is released."""
        code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', file=sys.stderr, flush=True)"
        command = [sys.executable, "-c", f"{code}; sys.stdin.read()", str(self.database)]
        with running(command) as holder:
            holder.wait_for("open")
            yield holder


def _read_terminal(descriptor: int, until: str | None = None) -> str:
    """Read what a terminal shows until a text appears, or else until the last program on it ends."""
    deadline, shown = time.monotonic() + WATCHDOG, b""
    while time.monotonic() < deadline and (until is None or until.encode() not in shown):
        if select.select([descriptor], [], [], 0.1)[0]:
            try:
                piece = os.read(descriptor, 65536)
            except OSError:  # on Linux the end of the other side is an error
                break
            if not piece:
                break
            shown += piece
    text = shown.decode("utf-8", "replace")
    assert until is None or until in text, f"{until!r} was not shown: {text}"
    return text


def assert_commands_are_complete(called: Sequence[str], said: str) -> None:
    """P210, for every script that a test runs: each command that it tells has --config and --engine as they were given
    (but of make_sample.py, which takes neither), and names the script by a path from the folder it was started in."""
    if not called[1:] or not called[1].startswith(str(REPO)) or "--json" in called:
        return
    given = [pair for pair in itertools.pairwise(called) if pair[0] in ("--config", "--engine")]
    for script, rest in re.findall(r"(?:try|next|end it|continue|see|rows|sure): python (\S+\.py)(.*)", said):
        assert Path(script).is_absolute(), f"{script} is not found from another folder"
        words = shlex.split(rest.rstrip(")"))
        # a config that is not there is told with its right name
        missing = [flag for flag, word in given if (word if Path(word).exists() else flag) not in words]
        assert not missing or "make_sample" in script, f"python {script}{rest} lacks {', '.join(missing)}"


def failure(warehouse: Warehouse, *argv: str) -> DwhError:
    """Run etl, which must fail, and give the error."""
    with pytest.raises(DwhError) as raised:
        warehouse.etl(*argv)
    return raised.value


def text(error: DwhError) -> str:
    """Give all of an error's text."""
    return "\n".join((error.message, *error.evidence, *error.hint))


def short_commands(text: str) -> str:
    """Give a text whose commands name the script alone: without its folder, and without the config of this test."""
    return re.sub(r"python \S*?(\w+\.py) --config \S+", r"python \1", text)
