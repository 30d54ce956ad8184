"""etl.py as people run it: what it loads, what it says, on which stream, and how it ends."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from checker import check, compare
from reference_star import build_star
from warehouse import (
    ELSEWHERE,
    LARGE,
    NOON,
    PATIENTLY,
    REPO,
    WATCHDOG,
    Result,
    Warehouse,
    event,
    fingerprint,
    lines,
    plays,
    running,
    song,
)
from worlds import LAYOUTS, render

from dwh.terminal.errors import ConfigError

LOG, CATALOGUE = "log_data/2018/11/a.json", "song_data/A/a.json"
ROWS = ["staging_events", "staging_songs", "rejected_lines", "songplays", "users", "songs", "artists", "time"]
# what etl.py needs to run from another folder
COPIED = ("etl.py", "sql_queries.py", "dwh", "star")


@pytest.fixture
def filled(warehouse: Warehouse) -> Warehouse:
    """Source folders with a log of seven plays and their song; nothing is loaded yet."""
    warehouse.write(LOG, plays(7))
    warehouse.write(CATALOGUE, [song()])
    return warehouse


@pytest.fixture
def loaded(filled: Warehouse) -> Warehouse:
    """A warehouse with that log and that song."""
    filled.etl()
    return filled


def change_unseen(path: Path, old: bytes, new: bytes) -> None:
    """Change a file behind its fingerprint: same size, same time of change. Who reads it again has other rows."""
    before = fingerprint(path)
    times = path.stat()
    data = path.read_bytes().replace(old, new)
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert fingerprint(path) == before
    assert new in data


def error_lines(result: Result) -> list[str]:
    """Give the lines of the error, and make sure that there is one and that it has the form of the suite."""
    at = result.err.index("error: ")
    shown = result.err[at:].splitlines()
    assert result.err.count("error: ") == 1
    assert len(shown) <= 8
    assert any(line.startswith("  try: ") for line in shown)
    assert "Traceback" not in result.err
    return shown


# --------------------------------------------------------------------------------------------------------- first, again


def test_the_first_load_fills_the_star(filled: Warehouse) -> None:
    """What is in the folders is in the star."""
    assert filled.run("etl").code == 0
    check(filled)
    assert filled.value("SELECT COUNT(*) FROM songplays WHERE song_id = 'S1'") == 7


def test_the_first_load_says_what_it_found_and_did(filled: Warehouse) -> None:
    """stderr tells what is about to happen, stdout the result: what was loaded and what the star holds."""
    done = filled.run("etl")
    assert "2 new files, 0 changed, 0 already loaded" in done.err
    assert "songplays 7  users 1  songs 1  artists 1  time 7" in done.out
    assert re.search(r"loaded 2 files, 8 records in \d+\.\ds", done.out)


def test_the_second_run_says_that_nothing_is_new(loaded: Warehouse) -> None:
    """Nothing to do is success, in one line."""
    again = loaded.run("etl")
    assert again.code == 0
    assert re.fullmatch(r"  nothing new: 2 files already loaded  in \d+\.\ds\n", again.out)


def test_the_second_run_opens_no_source_file(loaded: Warehouse) -> None:
    """Files that changed behind their fingerprint are not noticed: they were not opened."""
    before = loaded.star()
    change_unseen(loaded.root / LOG, b"Undo", b"Redo")
    change_unseen(loaded.root / CATALOGUE, b"Undo", b"Redo")
    assert loaded.run("etl").code == 0
    assert loaded.star() == before


def test_a_load_does_not_read_the_other_files_again(loaded: Warehouse) -> None:
    """Only the new file is read, also when it touches the same users and plays."""
    change_unseen(loaded.root / LOG, b"Undo", b"Redo")
    loaded.write("log_data/b.json", plays(3, level="paid"))
    assert loaded.run("etl").code == 0
    check(loaded)


def test_the_second_run_records_no_load(loaded: Warehouse) -> None:
    """A run with nothing new leaves no trace."""
    before = loaded.dump()
    assert loaded.run("etl").code == 0
    assert loaded.dump() == before


def test_the_settings_beside_the_caller_are_found(loaded: Warehouse) -> None:
    """Without --config the dwh.cfg of the folder one stands in counts."""
    command = [part for part in loaded.command("etl") if part not in ("--config", str(loaded.config))]
    assert "2 files already loaded" in loaded.run("etl", command=command, cwd=loaded.root).out


def test_the_settings_named_in_the_environment_are_found(loaded: Warehouse) -> None:
    """DWH_CONFIG names the settings as --config does."""
    command = [part for part in loaded.command("etl") if part not in ("--config", str(loaded.config))]
    done = loaded.run("etl", command=command, env={"DWH_CONFIG": str(loaded.config)})
    assert "2 files already loaded" in done.out


def test_help_imports_no_driver(bare: Warehouse) -> None:
    """--help answers at once: neither duckdb nor rich is imported for it."""
    command = bare.command("etl", "--help")
    done = bare.run("etl", command=[command[0], "-X", "importtime", *command[1:]])
    assert done.code == 0
    assert not re.search(r"\| +(duckdb|rich)\b", done.err)


# -------------------------------------------------------------------------------------------------------------- dry run


@pytest.mark.parametrize("flags", [(), ("--rebuild",), ("-v",), ("--json",)], ids=" ".join)
def test_a_dry_run_changes_no_row(loaded: Warehouse, flags: tuple[str, ...]) -> None:
    """--dry-run leaves every row of every table, the ledger among them, and needs no confirmation."""
    loaded.write(LOG, plays(3))
    loaded.write("log_data/b.json", plays(9))
    before = loaded.dump()
    assert loaded.run("etl", "--dry-run", *flags).code == 0
    assert loaded.dump() == before


def test_a_dry_run_marks_what_it_would_load(loaded: Warehouse) -> None:
    """New files are marked +, changed ones ~, and the last line says that nothing was changed."""
    changed, new = loaded.write(LOG, plays(3)), loaded.write("log_data/b.json", plays(9))
    out = loaded.run("etl", "--dry-run").out.splitlines()
    assert sorted(out[:2]) == [f"  + {new}", f"  ~ {changed}"]
    assert out[-1] == "  nothing was changed"


def test_a_dry_run_of_forget_changes_no_row(loaded: Warehouse) -> None:
    """--forget with --dry-run says what it would drop, and drops nothing."""
    loaded.remove(LOG)
    before = loaded.dump()
    done = loaded.run("etl", "--forget", str(loaded.root / LOG), "--dry-run")
    assert (done.code, loaded.dump()) == (0, before)
    assert "would drop 1 file" in done.out


# ------------------------------------------------------------------------------------- changed, grown, vanished


def test_a_changed_file_replaces_its_rows(loaded: Warehouse) -> None:
    """Rows that are no longer in the file leave the star; the count of changed files says so."""
    loaded.write(LOG, plays(3, song="Other")[1:])
    assert loaded.etl()["files"] == {
        "new": 0,
        "changed": 1,
        "vanished": 0,
        "already_loaded": 1,
        "rejected": 0,
        "passed_over": 0,
    }
    check(loaded)


def test_a_grown_file_adds_its_new_rows(loaded: Warehouse) -> None:
    """A log that grew since the last run is loaded again, and its old rows count once."""
    loaded.write(LOG, plays(9))
    loaded.run("etl")
    check(loaded)
    assert loaded.value("SELECT COUNT(*) FROM songplays") == 9


def test_a_vanished_file_keeps_its_rows(loaded: Warehouse) -> None:
    """Rows of a file that is gone stay, and the note names it and the way to drop them."""
    before = loaded.star()
    loaded.remove(LOG)
    done = loaded.run("etl")
    assert (done.code, loaded.star()) == (0, before)
    assert re.search(rf"note: 1 loaded file gone from the source.*--forget \S*{re.escape(LOG)}", done.err)


def test_a_vanished_file_that_comes_back_is_known(loaded: Warehouse) -> None:
    """A file that was away for a run and is the same again is not loaded again."""
    path = loaded.root / LOG
    path.rename(loaded.root / "away")
    loaded.etl()
    (loaded.root / "away").rename(path)
    assert loaded.etl()["files"]["already_loaded"] == 2


def test_forget_drops_the_rows_of_a_vanished_file(loaded: Warehouse) -> None:
    """--forget takes a file out of star, staging and ledger, whatever was loaded with it."""
    loaded.remove(LOG)
    done = loaded.run("etl", "--forget", str(loaded.root / LOG))
    assert done.code == 0
    assert "forgot 1 file" in done.out
    check(loaded)
    assert loaded.value("SELECT COUNT(*) FROM loaded_files") == 1


def test_forget_takes_a_folder(loaded: Warehouse) -> None:
    """A folder stands for all files that were loaded from it."""
    shutil.rmtree(loaded.root / "log_data/2018")
    assert loaded.run("etl", "--forget", str(loaded.root / "log_data/2018")).code == 0
    check(loaded)
    assert loaded.value("SELECT COUNT(*) FROM staging_events") == 0


def test_forget_takes_a_path_from_here(loaded: Warehouse) -> None:
    """A relative path starts in the folder one stands in."""
    loaded.remove(LOG)
    assert loaded.run("etl", "--forget", f"../{LOG}").code == 0
    assert loaded.value("SELECT COUNT(*) FROM songplays") == 0


@pytest.mark.parametrize("path", [LOG, "log_data/never.json"])
def test_forget_refuses(loaded: Warehouse, path: str) -> None:
    """A file that is still there, or was never loaded, cannot be forgotten."""
    before = loaded.dump()
    done = loaded.run("etl", "--forget", str(loaded.root / path))
    assert (done.code, loaded.dump()) == (2, before)
    assert path in error_lines(done)[0]


# -------------------------------------------------------------------------------------------------------------- rebuild


def test_rebuild_refuses_without_a_terminal(loaded: Warehouse) -> None:
    """It asks first; without a terminal it refuses and names --yes."""
    done = loaded.run("etl", "--rebuild")
    assert done.code == 2
    assert "--yes" in error_lines(done)[-1]


def test_rebuild_repairs_the_star(loaded: Warehouse) -> None:
    """The whole star is built again from staging: damage done by hand is gone."""
    loaded.rows("DELETE FROM songplays")
    loaded.rows("UPDATE users SET level = 'gold'")
    assert loaded.run("etl", "--rebuild", "--yes").code == 0
    check(loaded)


def test_rebuild_on_a_terminal_asks_for_the_star(loaded: Warehouse) -> None:
    """The word has to be typed; then it is done."""
    loaded.rows("DELETE FROM songplays")
    assert loaded.run_on_terminal("etl", "--rebuild", typed="star\n").code == 0
    check(loaded)


def test_rebuild_on_a_terminal_does_not_take_y(loaded: Warehouse) -> None:
    """Another answer is a no: nothing is changed."""
    before = loaded.dump()
    assert loaded.run_on_terminal("etl", "--rebuild", typed="y\n").code == 2
    assert loaded.dump() == before


def test_changed_statements_rebuild_the_star(loaded: Warehouse) -> None:
    """When the last load ran other statements than today's, the star is built again, and a note says so."""
    loaded.rows("UPDATE loads SET statements_sha256 = 'those of last year'")
    loaded.rows("DELETE FROM songplays")
    done = loaded.run("etl")
    assert done.code == 0
    assert "note: the statements of the star changed" in done.err
    check(loaded)


def test_changed_statements_rebuild_the_star_once(loaded: Warehouse) -> None:
    """The run after the rebuild has nothing to do."""
    loaded.rows("UPDATE loads SET statements_sha256 = 'those of last year'")
    loaded.etl()
    assert loaded.etl()["loads"] == []


# -------------------------------------------------------------------------------------------------------- other sources


def other_source(warehouse: Warehouse) -> None:
    """Point the settings to source folders of another place, with other plays in them."""
    warehouse.write("other/logs/a.json", plays(2, sessionId=77))
    (warehouse.root / "other/songs").mkdir()
    warehouse.configure(S3={"LOG_DATA": "other/logs", "SONG_DATA": "other/songs"})


def test_another_source_is_refused(loaded: Warehouse) -> None:
    """A warehouse that holds the data of one source is not mixed with another's by accident; the ways out are named."""
    other_source(loaded)
    before = loaded.dump()
    done = loaded.run("etl")
    assert (done.code, loaded.dump()) == (2, before)
    tries = "\n".join(line for line in error_lines(done) if line.startswith("  try: "))
    assert all(way in tries for way in ("[DUCKDB] PATH", "--recreate", "--add-source"))


def test_another_source_is_refused_for_the_other_kind_too(warehouse: Warehouse) -> None:
    """It is the warehouse that is not mixed: events of a new place do not join songs of a place no longer named."""
    warehouse.write(CATALOGUE, [song()])
    warehouse.etl()
    other_source(warehouse)
    assert warehouse.run("etl").code == 2


def test_events_of_the_same_source_may_come_later(warehouse: Warehouse) -> None:
    """A first load of songs alone does not shut the events of the same settings out."""
    warehouse.write(CATALOGUE, [song()])
    warehouse.etl()
    warehouse.write(LOG, plays(2))
    assert warehouse.run("etl").code == 0
    check(warehouse)


def test_another_source_is_added_when_asked(loaded: Warehouse) -> None:
    """--add-source mixes them on purpose."""
    other_source(loaded)
    assert loaded.run("etl", "--add-source").code == 0
    check(loaded)
    assert loaded.value("SELECT COUNT(*) FROM songplays") == 9


def test_an_added_source_stays_added(loaded: Warehouse) -> None:
    """Once it was added, its next files are loaded without the flag."""
    other_source(loaded)
    loaded.etl("--add-source")
    loaded.write("other/logs/b.json", plays(3, sessionId=78))
    assert loaded.run("etl").code == 0
    check(loaded)


def test_two_folders_of_one_kind_are_loaded(warehouse: Warehouse) -> None:
    """LOG_DATA may name several folders, separated by blanks."""
    warehouse.write("log_data/a.json", plays(2))
    warehouse.write("more logs/b.json", plays(2, sessionId=6))
    warehouse.configure(S3={"LOG_DATA": "log_data 'more logs'", "SONG_DATA": "song_data"})
    assert warehouse.run("etl").code == 0
    assert warehouse.value("SELECT COUNT(*) FROM songplays") == 4


# --------------------------------------------------------------------------------------------------------- surroundings


def test_a_held_database_is_busy(filled: Warehouse) -> None:
    """Another program with the file open: exit 4, and the message names program and process."""
    with filled.held() as holder:
        done = filled.run("etl")
    assert done.code == 4
    assert "python" in error_lines(done)[0]
    assert str(holder.process.pid) in error_lines(done)[0]


def test_wait_outlasts_another_program(filled: Warehouse) -> None:
    """With --wait the load goes on as soon as the other program is done."""
    with filled.held() as holder, filled.started("etl", *PATIENTLY) as etl:
        etl.wait_for("waiting up to")
        holder.release()
        done = etl.ended()
    assert done.code == 0, done.err
    check(filled)


def test_wait_ends(filled: Warehouse) -> None:
    """When the other program takes longer than --wait, it is busy after all."""
    with filled.held():
        done = filled.run("etl", "--wait", "1s")
    assert done.code == 4


def test_named_settings_that_are_missing(bare: Warehouse) -> None:
    """--config with a file that is not there is a mistake of the call."""
    done = bare.run("etl", "--config", "nowhere/dwh.cfg")
    assert done.code == 2
    assert "nowhere/dwh.cfg" in error_lines(done)[0]


def test_no_settings_at_all(bare: Warehouse) -> None:
    """With no dwh.cfg here and none beside the scripts, the message says where it was looked for."""
    scripts = bare.root / "scripts"
    scripts.mkdir()
    for name in COPIED:
        copy: Callable[[Path, Path], object] = shutil.copytree if (REPO / name).is_dir() else shutil.copyfile
        copy(REPO / name, scripts / name)
    done = bare.run("etl", command=[bare.command("etl")[0], str(scripts / "etl.py")])
    assert done.code == 2
    assert error_lines(done)[:2] == [
        f"error: {scripts / 'dwh.cfg'} not found",
        f"  try: git -C {scripts} checkout dwh.cfg",
    ]


def test_an_unknown_key(bare: Warehouse) -> None:
    """A typo in dwh.cfg is named by file and line, with what was probably meant."""
    bare.config.write_text("[S3]\n\nLOG_DTA = logs\n", encoding="utf-8")
    done = bare.run("etl")
    assert done.code == 2
    assert error_lines(done) == ["error: dwh.cfg line 3: unknown key 'LOG_DTA' in [S3]", "  try: LOG_DATA"]


def test_an_unknown_flag(bare: Warehouse) -> None:
    """A flag that does not exist is an error in the suite's own form."""
    done = bare.run("etl", "--on-bad-lin", "stop")
    assert done.code == 2
    assert "--on-bad-lin" in error_lines(done)[0]


def test_a_source_folder_that_does_not_exist(warehouse: Warehouse) -> None:
    """A wrong folder never looks like success: the message names the folders beside it, and the setting to fix."""
    warehouse.configure(S3={"LOG_DATA": "log_dat"})
    done = warehouse.run("etl")
    assert done.code == 3
    said = error_lines(done)
    assert "no files under" in said[0]
    assert "log_dat (*.json, *.jsonl, *.ndjson, each also .gz)" in said[0]
    assert "log_data, song_data" in said[1]


def test_a_source_folder_that_does_not_exist_suggests_its_neighbour(warehouse: Warehouse) -> None:
    """The edit that helps is spelt out: the setting, with the name that was probably meant."""
    warehouse.configure(S3={"LOG_DATA": "log_dat"})
    assert re.fullmatch(r"  try: \[S3\] LOG_DATA = .*\blog_data\b.*", error_lines(warehouse.run("etl"))[-1])


def test_empty_source_folders(warehouse: Warehouse) -> None:
    """Folders that exist and are empty are no failure, and not silent either."""
    done = warehouse.run("etl")
    assert done.code == 0
    assert "note: " in done.err


@pytest.mark.parametrize(("empty", "path", "record"), [("log_data", CATALOGUE, song()), ("song_data", LOG, event())])
def test_one_empty_source_folder_is_named(
    warehouse: Warehouse, empty: str, path: str, record: dict[str, object]
) -> None:
    """0 rows are never silent: a note names the source without files."""
    warehouse.write(path, [record])
    assert re.search(rf"note: .*{empty}", warehouse.run("etl").err)


def test_missing_tables(bare: Warehouse) -> None:
    """Without tables the message names create_tables.py."""
    bare.call("conn_start")
    bare.write(LOG, plays(1))
    done = bare.run("etl")
    assert done.code == 3
    assert f"  try: python {REPO}/create_tables.py --config {bare.config}" in error_lines(done)


def test_a_missing_database(bare: Warehouse) -> None:
    """Without a database file the message names conn_start.py, and none is made."""
    bare.write(LOG, plays(1))
    done = bare.run("etl")
    assert done.code == 3
    assert f"  try: python {REPO}/conn_start.py --config {bare.config}" in error_lines(done)
    assert not bare.database.exists()


def test_a_file_that_is_no_database(filled: Warehouse) -> None:
    """A file of something else at the database's place is a failure of the surroundings, not a bug."""
    filled.database.write_bytes(b"not a database, but long enough to look like one" * 500)
    done = filled.run("etl")
    assert done.code == 3
    assert "warehouse.duckdb" in error_lines(done)[0]


def test_the_clock_of_the_machine_does_not_matter(filled: Warehouse) -> None:
    """All times are UTC, wherever the load runs."""
    assert filled.run("etl", env={"TZ": "Pacific/Kiritimati"}).code == 0
    check(filled)
    assert filled.value("SELECT CAST(MIN(start_time) AS VARCHAR) FROM songplays") == "2018-11-02 12:00:00"


def test_the_language_of_the_machine_does_not_matter(filled: Warehouse) -> None:
    """Names beyond ASCII are loaded and told under the C locale too."""
    filled.write("log_data/Zoë.json", plays(2, sessionId=6))
    done = filled.run("etl", "--dry-run", env={"LC_ALL": "C"})
    assert done.code == 0
    assert "Zoë.json" in done.out


def test_the_folder_of_the_run_is_removed(filled: Warehouse) -> None:
    """What a run keeps in the temporary folder is gone at its end."""
    assert filled.run("etl").code == 0
    assert os.listdir(filled.root / "tmp") == []


@pytest.mark.parametrize("left", [["lock"], []], ids=["at work", "while it removed the folder"])
def test_the_folder_of_a_killed_run_is_removed_by_the_next(filled: Warehouse, left: list[str]) -> None:
    """What a killed run left behind in the temporary folder is gone after the next run."""
    abandoned = filled.root / "tmp/dwh-spool-killed"
    abandoned.mkdir()
    for name in left:
        (abandoned / name).touch()
    (abandoned / "events.json").write_bytes(b"{}")
    assert filled.run("etl").code == 0
    assert os.listdir(filled.root / "tmp") == []


def test_runs_at_the_same_time_leave_each_others_folders_alone(bare: Warehouse) -> None:
    """Loads into different warehouses share the temporary folder: none takes another's for abandoned."""
    code = (
        "from dwh.spool.records import Strictness\n"
        "from dwh.spool.folder import open_spool\n"
        "for _ in range(400):\n"
        "    with open_spool({'songs': Strictness(frozenset(), lenient=False, holds={})}) as spools:\n"
        "        spools.start().add_rows('rows', ['a'], [(1,)])\n"
    )
    command = [bare.command("etl")[0], "-c", code]
    env = bare.environment({"PYTHONPATH": str(REPO)})
    with ExitStack() as together:
        runs = [together.enter_context(running(command, env=env)) for _ in range(4)]
        assert [run.ended().code for run in runs] == [0, 0, 0, 0]


STRANGE = (
    *("with blank", 'quote\'s "double"', "100%s", "st*r", "[a]", "q?x", "{brace}", "back\\slash", "Zoë 🎵"),
    *("semi;colon--", "$HOME", "new\nline", "x" * 240, "comma,", "../up".replace("/", "\u2215")),
)


@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
def test_strange_paths_are_taken_literally(warehouse: Warehouse, large: bool) -> None:
    """A path is never a pattern, nor SQL: every strange name is loaded, and stands as itself in the ledger."""
    padding = "x" * (LARGE // 8) if large else ""
    for n, name in enumerate(STRANGE):
        warehouse.write(f"log_data/{name}/{name[:200]}.json", plays(8, sessionId=n, unknown=padding)[n % 4 :])
    done = warehouse.run("etl")
    assert done.code == 0, done.err
    check(warehouse)


def test_a_folder_named_like_a_file_is_a_folder(warehouse: Warehouse) -> None:
    """A directory named x.json is walked into, not read."""
    warehouse.write("log_data/x.json/a.json", plays(2))
    assert warehouse.etl()["files"]["new"] == 1


def test_a_loop_of_links_ends(warehouse: Warehouse) -> None:
    """A link that leads back up does not list files twice."""
    warehouse.write(LOG, plays(2))
    (warehouse.root / "log_data/2018/up").symlink_to(warehouse.root / "log_data")
    assert warehouse.etl()["files"]["new"] == 1


# ----------------------------------------------------------------------------------------------------------------- JSON

LATER = ["other_plays", "unread_keys"]


def test_json_has_the_promised_keys(filled: Warehouse) -> None:
    """The object has exactly the keys of the contract, in their order, and nothing else is on stdout."""
    found = filled.run("etl", "--json").json
    assert list(found) == ["script", "ok", "engine", "run_id", "seconds", "files", "rows", "newest", "loads", *LATER]
    assert list(found["files"]) == ["new", "changed", "vanished", "already_loaded", "rejected", "passed_over"]
    assert [list(load) for load in found["loads"]] == [["load_id", "files", "records", "seconds"]]


def test_json_names_the_tables_in_order(filled: Warehouse) -> None:
    """Rows are told of each table, in the order of the contract, in every run alike."""
    assert list(filled.run("etl", "--json").json["rows"]) == ROWS


def test_json_tells_the_truth(filled: Warehouse) -> None:
    """The numbers are those of the tables after the run."""
    found = filled.run("etl", "--json").json
    assert (found["script"], found["ok"], found["engine"]) == ("etl", True, "duckdb")
    assert found["files"] == {
        "new": 2,
        "changed": 0,
        "vanished": 0,
        "already_loaded": 0,
        "rejected": 0,
        "passed_over": 0,
    }
    assert found["rows"] == {name: filled.value(f"SELECT COUNT(*) FROM {name}") for name in ROWS}


@pytest.mark.parametrize("flags", [("--dry-run",), ("--forget", "{gone}"), ("--rebuild", "--yes"), ()], ids=str)
def test_json_has_the_same_keys_whatever_is_done(loaded: Warehouse, flags: tuple[str, ...]) -> None:
    """Also a run that plans, forgets, rebuilds or finds nothing prints the whole object."""
    loaded.remove(LOG)
    done = loaded.run("etl", "--json", *(flag.format(gone=loaded.root / LOG) for flag in flags))
    assert done.code == 0
    assert list(done.json) == [
        "script",
        "ok",
        "engine",
        "run_id",
        "seconds",
        "files",
        "rows",
        "newest",
        "loads",
        *LATER,
    ]


def test_json_counts_the_loads_of_the_run(filled: Warehouse) -> None:
    """One entry for each load that was committed, of bounded size."""
    filled.configure(ETL={"MAX_LOAD_FILES": 1})
    loads = filled.etl()["loads"]
    assert [(load["load_id"], load["files"], load["records"]) for load in loads] == [(1, 1, 1), (2, 1, 7)]


@pytest.mark.parametrize(
    ("make", "code", "kind"),
    [
        (lambda w: w.write("log_data/bad.json", b"{bad\n"), 1, "data"),
        (lambda w: w.configure(ETL={"ON_BAD_LINE": "maybe"}), 2, "usage"),
        (lambda w: w.configure(S3={"LOG_DATA": "nowhere"}), 3, "environment"),
        (lambda w: w.database.unlink(), 3, "environment"),
    ],
    ids=["data", "usage", "source", "database"],
)
def test_json_on_failure(filled: Warehouse, make: Callable[[Warehouse], object], code: int, kind: str) -> None:
    """A failure is one object as well: kind, message, hint and exit code."""
    make(filled)
    done = filled.run("etl", "--json")
    assert done.code == code
    assert list(done.json) == ["script", "ok", "error"]
    assert (done.json["script"], done.json["ok"]) == ("etl", False)
    assert sorted(done.json["error"]) == ["exit_code", "hint", "kind", "message"]
    assert (done.json["error"]["kind"], done.json["error"]["exit_code"]) == (kind, code)


def test_json_on_a_wrong_flag(bare: Warehouse) -> None:
    """Also what the parser refuses is told as an object."""
    done = bare.run("etl", "--json", "--nonsense")
    assert (done.code, done.json["error"]["kind"]) == (2, "usage")


# ---------------------------------------------------------------------------------------------------------------- voice


def test_without_a_terminal_there_is_no_escape_code(filled: Warehouse) -> None:
    """Neither stream has colours or a rewritten line when it is no terminal."""
    done = filled.run("etl")
    assert "\x1b" not in done.out + done.err
    assert "\r" not in done.out + done.err


def test_a_terminal_gets_colours(filled: Warehouse) -> None:
    """On a terminal the final line is green."""
    assert "\x1b[32m" in filled.run_on_terminal("etl").out


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_a_terminal_without_colours(filled: Warehouse, env: dict[str, str]) -> None:
    """NO_COLOR and a dumb terminal mean no escape code at all."""
    assert "\x1b" not in filled.run_on_terminal("etl", env=env).out


def test_the_flag_against_colours(filled: Warehouse) -> None:
    """--no-color does the same."""
    assert "\x1b" not in filled.run_on_terminal("etl", "--no-color").out


def test_an_empty_no_color_is_none(filled: Warehouse) -> None:
    """NO_COLOR counts only when it is not empty."""
    assert "\x1b[32m" in filled.run_on_terminal("etl", env={"NO_COLOR": ""}).out


def test_verbose_shows_each_statement(filled: Warehouse) -> None:
    """-v names each statement with its rows and seconds, on stderr."""
    shown = [line for line in filled.run("etl", "-v").err.splitlines() if "INSERT INTO songplays" in line]
    assert len(shown) == 1
    assert re.search(r"\d\.\d+s", shown[0])
    assert re.search(r"\b7\b", shown[0])


def test_verbose_does_not_show_sql(filled: Warehouse) -> None:
    """-v is one line a statement; the text comes with -vv."""
    assert "ROW_NUMBER()" not in filled.run("etl", "-v").err


def test_very_verbose_shows_sql(filled: Warehouse) -> None:
    """-vv shows the text of the statements."""
    assert "ROW_NUMBER() OVER (" in filled.run("etl", "-vv").err


def test_verbose_says_where_settings_come_from(filled: Warehouse) -> None:
    """-v tells of each setting that is no default which file and line, or which variable, it is from."""
    done = filled.run("etl", "-v", env={"DWH_ETL_MAX_LOAD_FILES": "5"})
    assert re.search(r"\[S3\] LOG_DATA .*dwh\.cfg line 2", done.err)
    assert re.search(r"\[ETL\] MAX_LOAD_FILES .*DWH_ETL_MAX_LOAD_FILES", done.err)


def test_quiet_says_nothing(filled: Warehouse) -> None:
    """-q is silent on both streams when all is well."""
    done = filled.run("etl", "-q")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_quiet_says_errors(filled: Warehouse) -> None:
    """-q still says what failed."""
    filled.write("log_data/bad.json", b"{bad\n")
    done = filled.run("etl", "-q")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: bad ")


def test_the_log_file_has_everything(filled: Warehouse) -> None:
    """--log-file writes what -vv shows, readable by its owner alone, and changes nothing on the streams."""
    log = filled.root / "etl.log"
    done = filled.run("etl", "-q", "--log-file", str(log))
    assert (done.out, done.err) == ("", "")
    assert "ROW_NUMBER() OVER (" in log.read_text(encoding="utf-8")
    assert log.stat().st_mode & 0o777 == 0o600


def test_data_cannot_steer_the_terminal(warehouse: Warehouse) -> None:
    """Escape codes in a bad record or in a name are spelt out, never sent."""
    warehouse.write("log_data/\x1b[31mred.json", b'{"page": "\x1b[2J\r"\n')
    done = warehouse.run("etl")
    assert done.code == 1
    assert "\x1b" not in done.out + done.err
    assert "\r" not in done.out + done.err


@pytest.mark.parametrize("flags", [("--dry-run", "-v"), ("--json",), ()], ids=str)
def test_a_reader_that_leaves_is_no_failure(filled: Warehouse, flags: tuple[str, ...]) -> None:
    """`etl.py | head` ends quietly with 0, and the load is done all the same."""
    for n in range(50):
        filled.write(f"log_data/{n}.json", b"")
    with subprocess.Popen(
        filled.command("etl", *flags),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=filled.root / ELSEWHERE,
        env=filled.environment(),
        encoding="utf-8",
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(timeout=WATCHDOG) == 0
    assert "Broken" not in said
    assert filled.value("SELECT COUNT(*) FROM songplays") == (0 if "--dry-run" in flags else 7)


def test_a_reader_of_both_streams_that_leaves_hides_nothing(filled: Warehouse) -> None:
    """`etl.py 2>&1 | head`: exit code 0 still means that the load is done."""
    ours, theirs = os.pipe()
    os.close(ours)
    with subprocess.Popen(
        filled.command("etl"), stdout=theirs, stderr=theirs, cwd=filled.root, env=filled.environment()
    ) as process:
        os.close(theirs)
        code = process.wait(timeout=WATCHDOG)
    assert (code, filled.value("SELECT COUNT(*) FROM songplays")) == (0, 7)


# ---------------------------------------------------------------------------------------------------------- interrupted


# Moments of a load at which it is held until the signal comes. Within a statement DuckDB is at work, and would be for
# days: who waited for its end would wait until the watchdog.
MOMENTS = [f"open:{LOG}", "in:INSERT INTO staging_events", "in:INSERT INTO songplays", "before:COMMIT"]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_load_stores_nothing(warehouse: Warehouse, number: signal.Signals, moment: str) -> None:
    """Ctrl-C and SIGTERM do not wait for what is under way: they cancel it, roll back and end with 130, in the suite's
    own words."""
    warehouse.write(LOG, plays(3))
    with warehouse.started("etl", held=moment) as etl:
        etl.wait_for("held")
        etl.signal(number)
        done = etl.ended()
    assert done.code == 130
    assert "error: stopped before the end" in done.err
    assert "Traceback" not in done.err
    assert warehouse.value("SELECT COUNT(*) FROM loaded_files") == 0
    check(warehouse)
    assert os.listdir(warehouse.root / "tmp") == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_committed_loads_survive_an_interruption(warehouse: Warehouse, moment: str) -> None:
    """What was committed before the signal stays, and the next run loads the rest."""
    warehouse.configure(ETL={"MAX_LOAD_FILES": 1})
    warehouse.write("log_data/1.json", plays(3, sessionId=99))
    warehouse.write(LOG, plays(4))
    with warehouse.started("etl", held=moment if moment.startswith("open:") else f"{moment}#2") as etl:
        etl.wait_for("load 1/2")
        etl.wait_for("held")
        etl.signal(signal.SIGINT)
        assert etl.ended().code == 130
    check(warehouse)
    assert warehouse.etl()["files"] == {
        "new": 1,
        "changed": 0,
        "vanished": 0,
        "already_loaded": 1,
        "rejected": 0,
        "passed_over": 0,
    }
    check(warehouse)


def test_calling_main_leaves_signals_alone(filled: Warehouse) -> None:
    """Only running a script takes over Ctrl-C; calling its main from a program does not."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    filled.etl()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


# ------------------------------------------------------------------------------------------------- settings of the load


def test_loads_are_of_bounded_files(warehouse: Warehouse) -> None:
    """MAX_LOAD_FILES cuts the work, songs first."""
    for n in range(5):
        warehouse.write(f"log_data/{n}.json", plays(2, sessionId=n))
    warehouse.write(CATALOGUE, [song()])
    loads = warehouse.call("etl", "--json", env={"DWH_ETL_MAX_LOAD_FILES": "2"}).json["loads"]
    assert [load["files"] for load in loads] == [2, 2, 2]
    check(warehouse)


def test_loads_are_of_bounded_bytes(warehouse: Warehouse) -> None:
    """MAX_LOAD_BYTES cuts the work too; a larger file is a load of its own."""
    for n in range(3):
        warehouse.write(f"log_data/{n}.json", plays(2 + 8 * (n == 1), sessionId=n))
    loads = warehouse.call("etl", "--json", env={"DWH_ETL_MAX_LOAD_BYTES": "1 kB"}).json["loads"]
    assert [load["records"] for load in loads] == [2, 10, 2]
    check(warehouse)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("number", "name"), [(5, "a.json"), (LARGE // 200, "a.json"), (LARGE // 200, "a.json.gz")])
def test_every_layout_is_accepted(warehouse: Warehouse, layout: str, number: int, name: str) -> None:
    """However records are laid out, in a small file or a large one, plain or gzip, they are all loaded."""
    warehouse.write(f"log_data/{name}", render(plays(number), layout, name.endswith(".gz")))
    warehouse.etl()
    check(warehouse)


def test_a_compressed_file_is_accepted(warehouse: Warehouse) -> None:
    """A file that gzip made small, and that is large unpacked, is loaded."""
    warehouse.write("log_data/a.json.gz", gzip.compress(lines(plays(LARGE // 200))))
    warehouse.etl()
    check(warehouse)


def test_an_event_of_every_time_zone_and_year_is_exact(warehouse: Warehouse) -> None:
    """Milliseconds, leap days, ISO weeks around New Year, the first and the last moment are exact."""
    moments = (10**11, 951825600001, 1104537599999, 1230768000000, 1609459199999, NOON + 1, 4102444799999, 10**14 - 1)
    warehouse.write(LOG, [event(itemInSession=n, ts=ts) for n, ts in enumerate(moments)])
    warehouse.etl()
    check(warehouse)


# ------------------------------------------------------------------------------------------------------------ real data

ANSWERS: tuple[tuple[str, str, object], ...] = (
    ("staged events", "SELECT COUNT(*) FROM staging_events", [(8056,)]),
    ("staged songs", "SELECT COUNT(*) FROM staging_songs", [(71,)]),
    ("plays", "SELECT COUNT(*) FROM songplays", [(6820,)]),
    (
        "plays by level",
        "SELECT level, COUNT(*) FROM songplays GROUP BY level ORDER BY level",
        [("free", 1229), ("paid", 5591)],
    ),
    (
        "users by level",
        "SELECT level, COUNT(*) FROM users GROUP BY level ORDER BY level",
        [("free", 75), ("paid", 22)],
    ),
    ("users who played", "SELECT COUNT(DISTINCT user_id) FROM songplays", [(96,)]),
    ("user who did not", "SELECT user_id FROM users WHERE user_id NOT IN (SELECT user_id FROM songplays)", [(21,)]),
    ("songs", "SELECT COUNT(*) FROM songs", [(71,)]),
    ("artists", "SELECT COUNT(*) FROM artists", [(69,)]),
    ("times", "SELECT COUNT(*), COUNT(DISTINCT start_time) FROM time", [(6813, 6813)]),
    (
        "matched",
        "SELECT p.song_id, s.title, s.artist_name FROM songplays AS p JOIN songs AS s ON s.song_id = p.song_id",
        [("SOZCTXZ12AB0182364", "Setanta matins", "Elena")],
    ),
    (
        "events without user",
        "SELECT COUNT(*), SUM(CASE WHEN page = 'NextSong' THEN 1 ELSE 0 END) FROM staging_events WHERE user_id = ''",
        [(286, 0)],
    ),
    (
        "first and last play",
        "SELECT CAST(MIN(start_time) AS VARCHAR), CAST(MAX(start_time) AS VARCHAR) FROM songplays",
        [("2018-11-01 21:01:46.796", "2018-11-30 19:54:24.796")],
    ),
    (
        "milliseconds",
        "SELECT DISTINCT right(CAST(start_time AS VARCHAR), 4) FROM time",
        [(".796",)],
    ),
    (
        "weekdays, Sunday first",
        "SELECT COUNT(*) FROM songplays AS p JOIN time AS t ON t.start_time = p.start_time"
        " GROUP BY weekday ORDER BY weekday",
        [(396,), (1014,), (1071,), (1364,), (1052,), (1295,), (628,)],
    ),
    (
        "weeks",
        "SELECT week, COUNT(*) FROM songplays AS p JOIN time AS t ON t.start_time = p.start_time"
        " GROUP BY week ORDER BY week",
        [(44, 410), (45, 1257), (46, 1958), (47, 1711), (48, 1484)],
    ),
    (
        "top songs",
        "SELECT title, COUNT(*) FROM songplays GROUP BY title, artist_name ORDER BY 2 DESC LIMIT 4",
        [("You're The One", 37), ("Undo", 28), ("Revelry", 27), ("Sehr kosmisch", 21)],
    ),
    (
        "top artists",
        "SELECT artist_name, COUNT(*) FROM songplays GROUP BY artist_name ORDER BY 2 DESC LIMIT 3",
        [("Coldplay", 58), ("Kings Of Leon", 55), ("Dwight Yoakam", 38)],
    ),
    (
        "top users",
        "SELECT user_id, COUNT(*) FROM songplays GROUP BY user_id ORDER BY 2 DESC LIMIT 3",
        [(49, 689), (80, 665), (97, 557)],
    ),
    (
        "peak hours",
        "SELECT hour, COUNT(*) FROM songplays AS p JOIN time AS t ON t.start_time = p.start_time"
        " GROUP BY hour ORDER BY 2 DESC LIMIT 3",
        [(16, 542), (18, 498), (17, 494)],
    ),
    (
        "sessions and items are unique",
        "SELECT COUNT(*) FROM (SELECT 1 FROM staging_events GROUP BY session_id, item_in_session HAVING COUNT(*) > 1)",
        [(0,)],
    ),
    (
        "users and times are not",
        "SELECT COUNT(*) - COUNT(DISTINCT (user_id, ts)) FROM staging_events WHERE user_id <> ''",
        [(18,)],
    ),
    (
        "users who change level",
        "SELECT user_id FROM songplays GROUP BY user_id HAVING COUNT(DISTINCT level) > 1 ORDER BY user_id",
        [(15,), (16,), (29,), (36,), (49,), (80,), (85,), (88,)],
    ),
    (
        "plays beyond ASCII",
        "SELECT COUNT(*) FROM songplays WHERE regexp_matches(title || artist_name, '[^\\x00-\\x7F]')",
        [(326,)],
    ),
)


@pytest.mark.parametrize(("name", "sql", "answer"), ANSWERS, ids=[answer[0] for answer in ANSWERS])
def test_the_real_data_gives_its_true_answer(real_warehouse: Warehouse, name: str, sql: str, answer: object) -> None:
    """Every figure that is known of the real data comes out of the warehouse by a query."""
    assert real_warehouse.rows(sql) == answer


def test_the_real_star_is_that_of_the_reference(real_warehouse: Warehouse, real_source: Path) -> None:
    """Row by row the star of the real data is the one computed in plain Python."""
    star = build_star((real_source / "log_data").rglob("*.json"), (real_source / "song_data").rglob("*.json"))
    compare(star, real_warehouse.star())
    check(real_warehouse)


def test_real_logs_first_and_songs_later(real_warehouse: Warehouse, real_source: Path, warehouse: Warehouse) -> None:
    """Plays that were loaded before their songs find them when they come."""
    for folder in ("log_data", "song_data"):
        shutil.copytree(real_source / folder, warehouse.root / folder, dirs_exist_ok=True)
        warehouse.etl()
    compare(real_warehouse.star(), warehouse.star())


def test_real_files_in_reversed_order_one_by_one(
    real_warehouse: Warehouse, real_source: Path, warehouse: Warehouse
) -> None:
    """A run for each log file, the last day first, with the songs in between: the same rows."""
    shutil.copytree(real_source / "log_data", warehouse.root / "away")
    for number, path in enumerate(sorted((warehouse.root / "away").rglob("*.json"), reverse=True)):
        path.rename(warehouse.root / "log_data" / path.name)
        if number == 15:
            shutil.copytree(real_source / "song_data", warehouse.root / "song_data", dirs_exist_ok=True)
        warehouse.etl()
    compare(real_warehouse.star(), warehouse.star())


def test_a_wrong_setting_in_process_is_raised(bare: Warehouse) -> None:
    """A program that calls main gets the error itself, with its kind and exit code."""
    bare.configure(ETL={"MAX_LOAD_FILES": "none"})
    with pytest.raises(ConfigError) as raised:
        bare.call("etl")
    assert json.dumps([raised.value.kind, int(raised.value.exit_code)]) == '["usage", 2]'
