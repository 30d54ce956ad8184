"""Walk on a real AWS account through what no stand-in can show, in about half an hour, and leave nothing that costs.
A cluster and a Serverless warehouse of its own are made, looked at and removed, whatever happens in between.

  python cloud/cloud_check.py --dry-run                       show the steps, what is made, and what it costs
  python cloud/cloud_check.py --config my.cfg                 walk; what was seen goes to sparkify-check-DATE.json
  python cloud/cloud_check.py --close --name sparkify-check-DATE     remove what a walk left that was killed

For maintainers. It needs [AWS] REGION, [S3] WORK and, outside of the VPC, [CLUSTER] PUBLIC = yes: docs/cloud-check.md.
Exit code 1: a step differs, or something is left.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from cloud import leftovers  # noqa: E402
from cloud.record import AWS, STAND_IN, Record, Seen, printed, summary  # noqa: E402
from cloud.samples import SOURCES  # noqa: E402
from cloud.steps import MOST_MINUTES, STEPS, Step  # noqa: E402
from cloud.walk import CLUSTER, SERVERLESS, Differs, Walk  # noqa: E402
from dwh.cluster.price import price_line  # noqa: E402
from dwh.settings.aws import open_session  # noqa: E402
from dwh.terminal.console import Console, run  # noqa: E402
from dwh.terminal.errors import DwhError, EnvironmentFailure, ExitCode, Interrupted  # noqa: E402
from dwh.terminal.flags import ScriptParser  # noqa: E402

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def parser() -> ScriptParser:
    """Declare the flags of this script."""
    p = ScriptParser("cloud_check", __doc__)
    p.how.add_argument("--config", metavar="FILE", help="settings for Redshift (default: dwh.cfg)")
    named = f"sparkify-check-{datetime.now(UTC):%Y%m%d}"
    p.how.add_argument(
        "--name", metavar="NAME", default=named, help="of all that is made (default: sparkify-check-DATE)"
    )
    p.what.add_argument("--dry-run", action="store_true", help="ask AWS nothing, show the steps and what they cost")
    p.what.add_argument("--close", action="store_true", help="only remove what an earlier walk of this name has left")
    p.output.add_argument("--record", metavar="FILE", help="where the JSON goes (default: NAME.json here)")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Walk, and end with nothing left."""
    args = parser().parse_args(argv)
    console = Console("cloud_check", args, argv or ())
    with tempfile.TemporaryDirectory(prefix="cloud-check-") as folder:
        walk = Walk(args.config, args.name, Path(folder))
        console.title(f"{walk.name}, files below {walk.place}/")
        if args.dry_run:
            return show(walk, console)
        record = Record(walk, AWS if _asks_aws(walk) else STAND_IN)
        if args.close:
            return end(walk, record, console)
        refuse_what_is_there(walk)
        return walk_all(walk, record, console, Path(args.record or f"{walk.name}.json"))


def show(walk: Walk, console: Console) -> int:
    """Show the steps, what would be made, and what it costs; AWS is asked nothing."""
    for number, step in enumerate(STEPS, 1):
        console.result(f"{number:>2} {step.name:<24} {step.minutes:>4g} min  {step.run}")
    console.result(f"{sum(step.minutes for step in STEPS):.0f} minutes, most of them waiting; then all is removed")
    region = open_session(walk.settings[CLUSTER].aws).region_name or "a region that is not set"
    for kind in (CLUSTER, SERVERLESS):
        settings, name = walk.settings[kind].cluster, walk.accounts[kind].suite
        sizes = (settings.node_type, settings.num_nodes) if kind == CLUSTER else ("", settings.base_rpu)
        console.result(f"+ {kind} {name}, role {name}-copy, security group dwh-{name}, a snapshot until the end")
        console.result(f"= {price_line(kind, *sizes, region)}")
    console.result("nothing was changed, and AWS was asked nothing")
    steps = [{"number": number, "name": step.name, "minutes": step.minutes} for number, step in enumerate(STEPS, 1)]
    console.finish({"name": walk.name, "steps": steps})
    return 0


def refuse_what_is_there(walk: Walk) -> None:
    """Raise EnvironmentFailure when anything of the names of this walk is there: it is never touched."""
    if there := list(leftovers.look(walk)):
        ours = all(left.ours for left in there)
        close = "the same command again with --close     (an earlier walk left it)"
        raise EnvironmentFailure(
            f"nothing was made: {len(there)} things have names of this walk",
            evidence=[left.what + ("" if left.ours else ", not ours") for left in there],
            hint=close if ours else f"the same command again with --name {walk.name}-2",
        )


def walk_all(walk: Walk, record: Record, console: Console, path: Path) -> int:
    """Walk all steps, and end, whatever happens; the file is written after each step."""
    stopped = False
    _on_signals(_stop)
    try:
        for name, body in SOURCES.items():
            walk.put(name, body)
        began = time.monotonic()
        for number, step in enumerate(STEPS, 1):
            late = time.monotonic() - began > MOST_MINUTES * 60
            record.seen[step.name] = _not_walked(step, record, late) or _walked(step, walk)
            record.write(path)
            for line in record.lines(step, number):
                console.result(line)
    except Interrupted:
        stopped = True
        console.say("stopped; removing what was made")
    finally:
        _on_signals(_go_on)
        code = end(walk, record, console)
        record.write(path)
    console.result(f"{summary(list(record.seen.values()))}; answered by {record.answered_by}; {path}")
    console.finish(record.payload(), ok=not code and not stopped)
    return ExitCode.INTERRUPTED if stopped and not code else code


def end(walk: Walk, record: Record, console: Console) -> int:
    """Remove all, and have AWS say that nothing is left; gives the exit code."""

    def tell(text: str) -> None:
        with suppress(OSError):  # a terminal that is gone must stop no removal
            console.say(text)

    wrong = leftovers.remove_all(walk, tell)
    left = list(leftovers.look(walk))
    record.left = [printed(one.what) for one in left]
    if not left:
        for text in wrong:
            console.note(printed(text))
        console.result("nothing is left that costs")
        return int(bool(record.differing))
    for text in (*wrong, *(f"left: {one.what}" + (f"     {one.command}" if one.command else "") for one in left)):
        console.warn(printed(text))
    console.warn(f"to remove it: python cloud/cloud_check.py --close --name {walk.name}")
    return ExitCode.DATA


def _walked(step: Step, walk: Walk) -> Seen:
    import psycopg2

    began = time.monotonic()
    try:
        status, text = "recorded" if step.asks else "as expected", step.look(walk)
    except Differs as differs:
        status, text = "differs", str(differs)
    except (DwhError, psycopg2.Error, OSError, LookupError, ValueError) as error:
        evidence = "; ".join(error.evidence) if isinstance(error, DwhError) else ""
        status, text = "differs", f"{type(error).__name__}: {error} {evidence}"
    return Seen(status, printed(text), time.monotonic() - began)  # type: ignore[arg-type] # one of them


def _not_walked(step: Step, record: Record, late: bool) -> Seen | None:
    """Say why a step is not walked; None when it is."""
    for name in step.needs:
        if record.seen[name].status in ("differs", "not walked"):
            return Seen("not walked", f"it needs: {name}", 0.0)
    return Seen("not walked", f"{MOST_MINUTES:.0f} minutes are over", 0.0) if late else None


def _asks_aws(walk: Walk) -> bool:
    """Tell whether AWS itself is asked, and no stand-in."""
    session = open_session(walk.settings[CLUSTER].aws)
    return "amazonaws.com" in session.client("sts", region_name=walk.accounts[CLUSTER].region).meta.endpoint_url


def _on_signals(act: Callable[[int, FrameType | None], None]) -> None:
    for number in SIGNALS:
        signal.signal(number, act)


def _stop(_number: int, _frame: FrameType | None) -> None:
    _on_signals(_go_on)
    raise Interrupted


def _go_on(_number: int, _frame: FrameType | None) -> None:
    with suppress(OSError):
        sys.stderr.write("still removing what costs; it ends by itself\n")


if __name__ == "__main__":
    raise SystemExit(run(main))
