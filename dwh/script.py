"""How every script that works on the warehouse begins: flags, settings, console, engine; and how it connects."""

from __future__ import annotations

import argparse
import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from dwh.ownership.marks import Mark, in_words
from dwh.sources.listing import SETTINGS, Listing
from dwh.sources.places import Sources
from dwh.terminal.console import Console, end_with
from dwh.terminal.errors import Busy, EnvironmentFailure, NotReady
from dwh.terminal.flags import ScriptParser
from dwh.terminal.wording import near, seconds

if TYPE_CHECKING:
    from dwh.seam import Engine, Ours, Session, Trace
    from dwh.settings.config import Config

RETRY_SECONDS = 0.2
T = TypeVar("T")


class Script(NamedTuple):
    """One run of one script: its flags, its settings, its voice, its engine and its sources."""

    args: argparse.Namespace
    config: Config
    console: Console
    engine: Engine
    sources: Sources

    @contextmanager
    def connected(self, wait: float = 0.0, *, read_only: bool = False) -> Iterator[Session]:
        """Connect for the block; for up to `wait` seconds try again while another session holds the warehouse, then
        raise Busy. With `read_only` other readers are never in the way."""
        session = until_free(lambda: self.engine.connect(self._trace, read_only=read_only), wait, self.console)
        try:
            yield session
        finally:
            session.close()

    def publish(self, session: Session, ours: Ours) -> None:
        """Let readers see what is committed, where they read a copy; says so when the copy was written anew."""
        if copy := session.publish(ours):
            self.console.say(f"readers: {near(copy)}")

    def command(self, *flags: str) -> str:
        """Give the command that runs this script with the same settings and these flags, for a person to type."""
        given = {"--config": self.args.config and str(self.config.path), "--engine": self.args.engine}
        same = [word for flag, value in given.items() if value for word in (flag, value)]
        return shlex.join(["python", f"{self.console.script}.py", *same, *flags])

    @property
    def locations(self) -> dict[str, Sequence[str]]:
        """Where the files of each kind lie; songs come before events, so that plays find their songs."""
        return self.sources.locations

    def list_sources(self) -> dict[str, Listing]:
        """List the files of each kind. Raises EnvironmentFailure when a location cannot be read."""
        return {kind: self.sources.list_locations(places, SETTINGS[kind]) for kind, places in self.locations.items()}

    def _trace(self, trace: Trace) -> None:
        opening = " ".join(trace.sql.split()[:5])
        self.console.detail(f"{trace.seconds:7.3f}s {trace.rows:>12,} rows  {opening}")
        self.console.trace(trace.sql)


def begin(
    name: str, parser: ScriptParser, argv: Sequence[str] | None, flags: Mapping[str, tuple[str, str]] | None = None
) -> Script:
    """Read flags and settings. `flags` maps a flag of this script to the (section, key) it overrides.

    Raises ConfigError for a wrong flag or setting. Nothing is connected to yet.
    """
    args = parser.parse_args(argv)
    # only now: --help is answered in a third of the time that these take
    from dwh.engines.choose import open_engine
    from dwh.settings.config import load_config

    overrides = {("WAREHOUSE", "ENGINE"): args.engine} | {
        key: getattr(args, flag) for flag, key in (flags or {}).items()
    }
    config = load_config(args.config, overrides, os.environ)
    console = Console(name, args)
    for note in config.notes:
        console.note(note)
    for (section, key), origin in config.origins.items():
        if origin != "default":
            console.detail(f"[{section}] {key} from {origin}")
    engine = open_engine(config)
    end_with(engine.last_word)
    return Script(args, config, console, engine, Sources(config.s3, config.aws))


def until_free(action: Callable[[], T], wait: float, console: Console) -> T:
    """Do something that somebody else may be in the way of, trying again for up to `wait` seconds. Raises Busy after
    that."""
    deadline = time.monotonic() + wait
    told = False
    while True:
        try:
            return action()
        except (Busy, NotReady) as busy:
            if time.monotonic() >= deadline:
                raise
            if not told:
                console.say(f"waiting up to {seconds(wait)}: {busy.message}")
                told = True
            time.sleep(RETRY_SECONDS)


def refuse_others(script: Script, what: str, mark: Mark, has_run: Callable[[str], bool], another: str) -> None:
    """Raise EnvironmentFailure when `what`, which this run would replace, is that of another warehouse, and --take-over
    was not given.

    What names no address is this warehouse's when `has_run` finds the run in it. `another` is a value of --to.
    """
    own = script.engine.address
    if script.args.take_over or mark.address == own:
        return
    if mark.address is None and mark.run_id and has_run(mark.run_id):
        return
    same = ("--to", script.args.to) if script.args.to else ()
    named = f"that of {in_words(mark.address)}" if mark.address else "version 0.1 wrote it, from a load not known here"
    raise EnvironmentFailure(
        f"{what} is not this warehouse's, and is left as it is",
        evidence=(f"it is: {named}", f"this is: {in_words(own)}"),
        hint=(
            script.command("--to", another),
            f"{script.command(*same, '--take-over')}     (after a move of the warehouse: replaces it, for good)",
        ),
    )
