"""The start of every script that works on the warehouse: flags, settings, console, engine; and the connection."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from dwh.ownership.marks import Mark, in_words
from dwh.sources.listing import SETTINGS, Listing
from dwh.sources.places import Sources
from dwh.terminal.console import Console, at_end, end_with
from dwh.terminal.errors import Busy, EnvironmentFailure, NotReady
from dwh.terminal.flags import ScriptParser
from dwh.terminal.log import rotate
from dwh.terminal.wording import near, seconds

if TYPE_CHECKING:
    from dwh.seam import Engine, Ours, Session, Trace
    from dwh.settings.config import Config

RETRY_SECONDS = 0.2
T = TypeVar("T")


class Script(NamedTuple):
    """One run of one script: its flags, settings, console, engine and sources."""

    args: argparse.Namespace
    config: Config
    console: Console
    engine: Engine
    sources: Sources

    @contextmanager
    def connected(self, wait: float = 0.0, *, read_only: bool = False) -> Iterator[Session]:
        """Connect for the block. While another session holds the warehouse, try again for up to `wait` seconds, then
        raise Busy. With `read_only`, other readers do not count."""
        session = until_free(lambda: self.engine.connect(self._trace, read_only=read_only), wait, self.console)
        try:
            yield session
        finally:
            session.close()

    def publish(self, session: Session, ours: Ours) -> None:
        """Let readers see what is committed, where they read a copy; says so when the copy was written anew."""
        if copy := session.publish(ours):
            self.console.say(f"readers: {near(copy)}")

    def settle(self, session: Session, ours: Ours, *, loaded: bool) -> None:
        """After the last commit let readers see it; when something was loaded, the engine then cares for its tables.
        Whatever comes of that, the loads are stored."""
        self.publish(session, ours)
        for told in session.tend(list(ours.tables)) if loaded else ():
            self.console.say(told)

    def command(self, *flags: str) -> str:
        """Give the command of this run again with these flags, to show to the user."""
        return self.console.call.again(*flags)

    def next(self, script: str, *flags: str) -> str:
        """Give the command that runs another script with the same settings, to show to the user."""
        return self.console.call.other(script, *flags)

    @property
    def locations(self) -> dict[str, Sequence[str]]:
        """The places of the files of each kind; songs come before events, so that plays find their songs."""
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

    Raises ConfigError for a wrong flag or setting. It does not connect yet.
    """
    args = parser.parse_args(argv)
    # imported only now: --help takes a third of the time that these take
    from dwh.engines.choose import open_engine
    from dwh.monitoring.runs import Ended, refuse_metrics, tell_others
    from dwh.settings.config import load_config

    overrides = {("WAREHOUSE", "ENGINE"): args.engine} | {
        key: getattr(args, flag) for flag, key in (flags or {}).items()
    }
    config = load_config(args.config, overrides, os.environ)
    if args.log_file is not None and config.log.keep_days is not None:
        rotate(args.log_file, config.log.keep_days, datetime.now(UTC).date())
    console = Console(name, args, argv or ())
    refuse_metrics(args.metrics)
    for note in config.notes:
        console.note(note)
    for (section, key), origin in config.origins.items():
        if origin != "default":
            console.detail(f"[{section}] {key} from {origin}")
    engine = open_engine(config)
    end_with(engine.last_word)
    at_end(partial(tell_others, Ended(name, args, config, lambda: engine.address, console.run_id, console.warn)))
    return Script(args, config, console, engine, Sources(config.s3, config.aws))


def until_free(action: Callable[[], T], wait: float, console: Console) -> T:
    """Do something that another session may block, and try again for up to `wait` seconds. Raises Busy after that."""
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
    """Raise EnvironmentFailure when this run, without --take-over, would replace another warehouse's lake or report.

    Without an address in `mark`, it is this warehouse's if `has_run` finds the run in it. `what` names it in the
    message; `another` is a value of --to.
    """
    own = script.engine.address
    if script.args.take_over or mark.address == own:
        return
    if mark.address is None and mark.run_id and has_run(mark.run_id):
        return
    named = in_words(mark.address) if mark.address else "version 0.1, from a load that this warehouse does not know"
    raise EnvironmentFailure(
        f"{what} was not written by this warehouse; it was not changed",
        evidence=(f"written by: {named}", f"this warehouse: {in_words(own)}"),
        hint=(
            script.command("--to", another),
            f"{script.command('--take-over')}     (after a move of the warehouse: replaces it permanently)",
        ),
    )
