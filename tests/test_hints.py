"""Each command that a script tells is run as it is printed, where it was printed, and does what it says."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from warehouse import ELSEWHERE, Result, Warehouse, event, plays, song

from dwh.terminal.commands import Call

BAD = [event(ts="yesterday")]


class Story(NamedTuple):
    """What goes wrong, what was called, which command is told for it, and what that does."""

    prepare: Callable[[Warehouse], object]
    called: tuple[str, ...]
    told: str
    code: int = 0
    holds: Callable[[Warehouse, Result], bool] = lambda _warehouse, _done: True


def nothing(_warehouse: Warehouse) -> None:
    """Leave it as it is: a config and empty sources."""


def tables(warehouse: Warehouse) -> None:
    """Make the tables, and write a song and plays that are not loaded."""
    warehouse.create()
    warehouse.write("song_data/a.json", [song()])
    warehouse.write("log_data/a.json", plays(3))


def star(warehouse: Warehouse) -> None:
    """Load a song and plays."""
    tables(warehouse)
    warehouse.etl()


def bad_record(warehouse: Warehouse) -> None:
    """Write a record that is refused beside good ones."""
    tables(warehouse)
    warehouse.write("log_data/b.json", [*BAD, *plays(9)])


def gone(warehouse: Warehouse) -> None:
    """Take a file away that was loaded."""
    star(warehouse)
    warehouse.write("log_data/b.json", [event(itemInSession=7)])
    warehouse.etl()
    warehouse.remove("log_data/b.json")


def damaged(warehouse: Warehouse) -> None:
    """Take a row out of the star."""
    star(warehouse)
    warehouse.rows("DELETE FROM users")


def other_source(warehouse: Warehouse) -> None:
    """Point the settings at another folder of logs."""
    star(warehouse)
    warehouse.write("other/a.json", [event(itemInSession=8)])
    warehouse.configure(S3={"LOG_DATA": "other"})


def other_things(warehouse: Warehouse) -> None:
    """Put other things where the lake should go."""
    star(warehouse)
    (warehouse.root / "lake").mkdir()
    (warehouse.root / "lake" / "holiday.jpg").write_text("x")


def other_report(warehouse: Warehouse) -> None:
    """Put something else where the report should go."""
    star(warehouse)
    (warehouse.root / "report.html").write_text("my page")


def sample_there(warehouse: Warehouse) -> None:
    """Put something where the sample should go."""
    (warehouse.root / ELSEWHERE / "data" / "song_data").mkdir(parents=True)
    (warehouse.root / ELSEWHERE / "data" / "song_data" / "mine").touch()


def rows_of(table: str, number: int) -> Callable[[Warehouse, Result], bool]:
    """Tell whether a table has so many rows afterwards."""
    return lambda warehouse, _done: bool(warehouse.value(f"SELECT count(*) FROM {table}") == number)


def is_there(path: str) -> Callable[[Warehouse, Result], bool]:
    """Tell whether a file is there afterwards."""
    return lambda warehouse, _done: (warehouse.root / path).exists()


# fmt: off
STORIES = {
    "no database": Story(nothing, ("etl",), "conn_start", holds=is_there("warehouse.duckdb")),
    "after the start": Story(nothing, ("conn_start",), "next: .*create_tables", holds=rows_of("users", 0)),
    "no tables": Story(lambda w: w.call("conn_start"), ("sql_validate",), "create_tables", holds=rows_of("users", 0)),
    "after the tables": Story(
        lambda w: w.call("conn_start"), ("create_tables", "--wait", "1s"), "next: .*etl", holds=rows_of("loads", 0)
    ),
    "a bad record": Story(
        bad_record, ("etl", "--add-source"), "--add-source --on-bad-line quarantine", holds=rows_of("rejected_lines", 1)
    ),
    "a flag with a typo": Story(tables, ("etl", "--add-sorce", "--wiat=1s"), "--add-source --wait=1s"),
    "a file that is gone": Story(gone, ("etl",), r"drop its rows: .*--forget", holds=rows_of("songplays", 3)),
    "nothing to forget": Story(star, ("etl", "--forget", ""), "--dry-run"),
    "never loaded": Story(star, ("etl", "--forget", "nope"), "--dry-run"),
    "another source": Story(other_source, ("etl", "-v"), "-v --add-source", holds=rows_of("songplays", 4)),
    "no confirmation": Story(
        star, ("conn_close", "--delete-data"), "--delete-data --yes", holds=lambda w, _d: not w.database.exists()
    ),
    "a check that fails": Story(damaged, ("sql_validate",), "-v --only", 1, lambda _w, d: "| SELECT" in d.out),
    "a star to rebuild": Story(damaged, ("etl", "--rebuild"), "--rebuild --yes", holds=rows_of("users", 1)),
    "no such check": Story(star, ("sql_validate", "--quick", "--only", "tme"), "--quick --only time"),
    "only the slow checks": Story(
        star, ("sql_validate", "--quick", "--only", "time: the rows"), "sql_validate.*--quick"
    ),
    "no lake": Story(star, ("export_lake", "--check"), "export_lake", holds=is_there("lake/export.json")),
    "other things in the lake": Story(
        other_things, ("export_lake",), "--to .*/lake/lake", holds=is_there("lake/lake/export.json")
    ),
    "another report": Story(other_report, ("report", "--quick"), "--quick --to", holds=is_there("report_2.html")),
    "no folder for the report": Story(
        star, ("report", "--quick", "--to", "no/r.html"), "--to", holds=is_there("tmp/r.html")
    ),
    "no such question": Story(star, ("ask", "top-song"), "top-songs"),
    "a wrong value": Story(star, ("ask", "top-songs", "--csv", "--days", "x"), r"top-songs --csv --days \d+"),
    "nothing is asked of": Story(star, ("ask", "top-songs", "--limit", "x"), "top-songs --limit"),
    "no folder for the log": Story(
        tables, ("etl", "--log-file", "no/l.log"), "--log-file", holds=is_there("tmp/l.log")
    ),
    "no folder for the metrics": Story(
        tables, ("etl", "--metrics", "no/m"), "--metrics", holds=is_there(f"{ELSEWHERE}/sparkify.prom")
    ),
    "no folder for the checks": Story(star, ("sql_validate", "--quick", "--junit", "no/x"), "--quick --junit"),
    "a name of a config": Story(
        tables, ("etl", "--config", "../dhw.cfg"), r"--config \S+/dwh.cfg", holds=rows_of("loads", 1)
    ),
    "no such config": Story(tables, ("etl", "--config", "/no/such.cfg"), "ls -la /"),
    "a sample that is there": Story(
        sample_there, ("make_sample", "--songs", "9", "data"), "--songs 9", holds=is_there(f"{ELSEWHERE}/data-sample")
    ),
    "too few songs": Story(
        nothing, ("make_sample", "--songs", "-1", "new"), "new --songs 71", holds=is_there(f"{ELSEWHERE}/new")
    ),
}
# fmt: on


def told_by(warehouse: Warehouse, *called: str) -> list[str]:
    """Run a script, and give the lines that tell a command."""
    plain = called[0] == "make_sample"
    script = [*warehouse.command(called[0], *called[1:])]
    if plain:
        script = [word for word in script if word not in ("--config", str(warehouse.config))]
    done = warehouse.run(called[0], command=script)
    return [line for line in (done.out + done.err).splitlines() if "python " in line or "try: " in line]


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_p210_a_command_that_is_told_does_what_it_says(bare: Warehouse, story: Story) -> None:
    """It is run by a shell as it is printed, and ends as it should; the action and the flags of the run are in it."""
    story.prepare(bare)
    lines = told_by(bare, *story.called)
    [line, *_] = [line for line in lines if re.search(story.told, line)] or [str(lines)]
    found = re.search(r"((?:python|ls) [^()]*?)(?:     |\)|$)", line)
    assert found, line
    done = bare.run("", command=["sh", "-c", found[1]], env=path_with_python(bare.root))
    assert done.code == story.code, f"{found[1]}\n{done.err}"
    assert story.holds(bare, done), found[1]


def path_with_python(folder: Path) -> dict[str, str]:
    """Give an environment in which `python` is this one, as after `. .venv/bin/activate`."""
    folder = folder / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / "python").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_p210_a_busy_warehouse_is_waited_for_by_the_command_that_is_told(warehouse: Warehouse) -> None:
    """The same run with --wait, its action included: it goes on when the other program ends."""
    env = warehouse.environment(path_with_python(warehouse.root))
    with warehouse.held() as holder:
        lines = told_by(warehouse, "sql_validate", "--only", "time")
        [command] = [found[1] for line in lines if (found := re.search("try: (python .*--only time --wait 5m)$", line))]
        with warehouse.started("", env=env, command=["sh", "-c", f"exec {command}"]) as waiting:
            waiting.wait_for("waiting up to 5m 00s")
            holder.release()
            assert waiting.ended().code == 0


CALL = Call("etl", ("--config", "my own.cfg", "--engine=duckdb", "--forget", "a b", "--wait", "1s", "-q"))
OWN = "--config 'my own.cfg' --engine duckdb"


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        ("the same command again", f"python etl.py {OWN} --forget 'a b' --wait 1s -q"),
        ("the same command again with --wait 5m", f"python etl.py {OWN} --forget 'a b' -q --wait 5m"),
        ("the same command again with --yes     (then it is gone)",
         f"python etl.py {OWN} --forget 'a b' --wait 1s -q --yes     (then it is gone)"),
        ("the same command again with --to 'a b'; it waits",
         f"python etl.py {OWN} --forget 'a b' --wait 1s -q --to 'a b'     (it waits)"),
        ("the same command again, later", f"python etl.py {OWN} --forget 'a b' --wait 1s -q     (later)"),
        ("TMPDIR=/big the same command again", f"TMPDIR=/big python etl.py {OWN} --forget 'a b' --wait 1s -q"),
        ("python conn_start.py --engine redshift     (waits)",
         "python conn_start.py --config 'my own.cfg' --engine redshift     (waits)"),
        ("to end it: python conn_close.py; to go on: python etl.py --dry-run",
         f"to end it: python conn_close.py {OWN}; to go on: python etl.py {OWN} --dry-run"),
        ("[CLUSTER] PUBLIC = yes, then python conn_start.py",
         f"[CLUSTER] PUBLIC = yes, then python conn_start.py {OWN}"),
        ("python make_sample.py other", "python make_sample.py other"),
        ("fix line 3 and run again", "fix line 3 and run again"),
    ],
)  # fmt: skip
def test_p211_a_hint_becomes_the_whole_command(hint: str, told: str) -> None:
    """The settings as they were given, the action, and each flag once."""
    assert CALL.complete(hint) == told


def test_p211_a_flag_like_no_other_gets_the_help(bare: Warehouse) -> None:
    """A suggestion is made only where one flag is near."""
    done = bare.run("etl", "--zzz")
    assert (done.code, "etl.py --config" in done.err, "--help" in done.err) == (2, True, True)
