"""What the tests share: a fresh warehouse for each test, and one with the real data for those that only read."""

from __future__ import annotations

import atexit
import os
import random
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from postgres_server import Make, PostgresWarehouse, Server, start_server
from promises.hints import every_hint_is_real
from redshift.warehouse_on_redshift import Cloud, cloud
from warehouse import REAL, WATCHDOG, Warehouse

__all__ = ["every_hint_is_real"]  # a fixture of every test

# The settings of this machine's user must not reach the tested suite.
for _name in [name for name in os.environ if name.startswith("DWH_")]:
    del os.environ[_name]

# What a script writes goes through a buffer, as it does for its users.
os.environ.pop("PYTHONUNBUFFERED", None)

# Hundreds of processes are started: where Python writes no bytecode, each would compile the suite again.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    os.environ["PYTHONPYCACHEPREFIX"] = tempfile.mkdtemp(prefix="dwh-tests-bytecode-")
    atexit.register(shutil.rmtree, os.environ["PYTHONPYCACHEPREFIX"], ignore_errors=True)

# A background process of a shell without job control ignores Ctrl-C, and so would all that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test waits for time: it waits for a line that is said, a file, a lock. What never comes would be waited for without
# end, and so each test has this long, many times what the longest takes on a slow machine (seconds).
LONGEST_TEST, LONGEST_PROMISE = 2 * WATCHDOG, 3600 * 6


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Fail a test that hangs."""

    def give_up(_number: int, _frame: object) -> None:
        pytest.fail(f"{item.name} still waits after {limit} s")

    limit = LONGEST_PROMISE if item.get_closest_marker("promises") else LONGEST_TEST
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(limit)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# The default run shows in minutes that DuckDB does all of it; what needs servers, S3 or many processes is a group of
# its own, `slow`, with PostgreSQL and Redshift in it. Of those every run has IN_EVERY_RUN.
SLOW_FILES = {
    "test_postgres_faults.py",
    "test_secrets.py",
    "test_s3_moto.py",
    "test_together.py",
    "test_surroundings.py",
    "test_reference_star.py",
    "test_counts.py",
    "test_bench.py",
    "test_tls.py",
    "test_glue.py",
    "test_from_warehouse.py",
    "test_remove_all.py",
    "test_guests.py",
    "test_lake_readers.py",
    "test_scripts.py",
    "test_hints.py",
    "test_installed.py",
    "test_s3.py",
    "test_export_lake.py",
    "test_touched_days.py",
    "test_owner.py",
    "test_readers.py",
}
SLOW_TESTS = {
    "test_axe_finds_nothing_wrong",
    "test_axe_would_tell",
    "test_on_postgresql_every_way_gives_the_same_star",
    "test_each_step_of_a_world_gives_the_star_of_what_was_seen",
    "test_an_export_that_fails_at_any_call_leaves_the_lake_whole",
    "test_real_files_in_reversed_order_one_by_one",
    "test_a_full_rebuild_gives_the_rows_of_the_steps",
    "test_json_is_one_object_a_script_and_nothing_else",
    "test_p78_no_name_and_no_value_of_the_data_becomes_sql",
    "test_p50_a_server_that_goes_on_failing_is_given_up",
    "test_p54_a_server_that_never_answers_is_given_up",
    "test_p49_whatever_comes_is_loaded_or_named",
    "test_p82_no_dependency_has_a_known_hole",
    "test_second_run_finds_nothing_new",
    "test_another_way_to_the_same_contents_gives_the_same_star",
    "test_runs_from_any_folder_and_through_links",
    "test_the_star_goes_wrong_without",
    "test_p233_a_first_load_goes_wrong_without",
    "test_forgetting_a_file_gives_the_star_without_it",
    "test_p115_the_same_in_s3",
    "test_p150_names_of_ours_that_are_not_ours_are_refused[duckdb]",
    "test_p164_a_prefix_of_other_things_is_no_lake",
    "test_of_two_exports_to_a_bucket_the_first_to_end_stays",
    "test_an_export_that_is_killed_leaves_the_old_one",
    "test_the_first_two_exports_at_once",
    "test_two_exports_at_once_leave_a_whole_lake_wherever_they_crash",
    "test_an_export_beside_one_that_only_tidies_up",
    "test_a_reader_beside_an_export_and_one_that_tidies_up",
    "test_two_kills_one_after_the_other",
    "test_a_folder_of_an_export_that_is_killed_at_any_call",
    "test_the_first_export_after_a_move_that_is_killed_at_any_step",
    "test_what_an_engine_wrote_to_a_bucket_is_looked_at_there",
    "test_a_request_whose_answer_was_lost_is_known_again",
    "test_commands_print_what_the_page_shows",
    "test_sql_gives_rows_on_postgresql",
    "test_p174_a_killed_run_leaves_the_copy_of_before_or_the_new_one",
    "test_p173_a_reader_beside_a_load_reads_the_copy",
    "test_p172_what_does_not_fit_into_memory_goes_to_a_private_folder",
    "test_more_than_one_batch_comes_whole",
    "test_p180_no_row_changes_on_a_day_that_is_not_recorded",
    "test_p237_a_refusal_is_told_and_the_object_comes_whole",
    "test_p237_folders_are_listed_at_once_and_nothing_is_left_out",
    "test_p181_after_every_kind_of_load_the_lake_is_what_a_full_export_writes",
    "test_check_names_the_table_that_differs",
    "test_redshift_can_parse_it",
    "test_redshift_can_parse_every_comment",
    "test_a_run_with_nothing_new_leaves_every_row",
    "test_p128_whatever_comes_plays_left_out_add_up",
    "test_p154_what_stands_next_door_is_not_reached",
    "test_p155_of_two_create_tables_at_once_one_makes_the_tables",
    "test_p157_what_is_not_ours_stays_when_ours_goes",
    "test_p157_the_question_names_what_stays",
    "test_p158_a_view_on_our_tables_keeps_them",
    "test_p159_create_tables_makes_what_a_load_on_redshift_needs",
    "test_p162_what_was_removed_is_made_again_and_keeps_its_lake",
    "test_an_export_that_is_killed_at_any_step",
    "test_check_names_the_table_whose_file_is_not_what_was_written",
    "test_p161_a_warehouse_of_another_place_does_not_replace_a_report",
    "test_the_page_lies_beside_the_settings_or_where_they_say",
    "test_a_browser_shows_it_offline_and_has_nothing_to_complain_of",
    "test_nothing_is_wider_than_the_screen",
    "test_an_export_of_an_older_copy_for_readers_is_the_older_star_whole",
    "test_without_ensurepip_and_uv_the_pip_of_the_machine_installs",
    "test_a_large_file_that_turns_odd_is_read_carefully_from_its_beginning",
    "test_patterns_find_what_a_parser_finds",
    "test_p106_a_play_is_known_by_the_number_of_its_listener[duckdb]",
    "test_p107_an_older_warehouse_gets_the_same_plays_by_itself[duckdb]",
    "test_a_table_that_is_ahead_is_judged_by_its_own_snapshot",
    "test_p127_another_play_under_the_same_key_has_its_own_name[duckdb]",
    "test_p120_each_other_format_is_named_and_the_command_converts_it",
    "test_p163_a_report_that_names_no_place_is_known_by_its_load",
    "test_quiet_is_silent_where_nothing_can_be_written_but_the_page",
    "test_what_others_put_into_a_lake_stays",
    "test_another_warehouse_takes_over_and_writes_everything",
    "test_runs_at_the_same_time_leave_each_others_folders_alone",
    "test_the_same_data_give_the_same_bytes",
    "test_p115_what_a_folder_is_called_says_nothing_of_the_records_in_it[duckdb]",
    "test_json_has_the_keys_of_the_reference",
    "test_a_bad_record_ends_the_run",
    "test_parquet_holds_the_values[duckdb]",
    "test_p215_status_tells_the_last_load_check_and_export",
    "test_p119_a_byte_order_mark_before_a_record_is_no_part_of_it",
    "test_p105_every_value_is_staged_or_refused_as_the_table_says",
    "test_p81_neither_names_nor_data_reach_the_terminal_raw",
}
# Of the many variants of each of these every run has the first.
SLOW_BUT_FIRST = {
    "test_a_broken_line_is_named_and_nothing_is_stored",
    "test_a_cluster_that_was_up_before_is_never_closed",
    "test_a_dry_run_changes_no_row",
    "test_a_dry_run_changes_nothing",
    "test_a_fixed_file_leaves_the_quarantine",
    "test_a_large_file_is_read_in_place",
    "test_accepted",
    "test_an_interrupted_load_stores_nothing",
    "test_committed_loads_survive_an_interruption",
    "test_damage_is_seen_by_exactly_the_checks_it_concerns",
    "test_every_layout_is_accepted",
    "test_every_tie_is_decided_by_content",
    "test_json_has_the_same_keys_whatever_is_done",
    "test_p02_some_calls_fail_or_are_the_last",
    "test_p109_a_value_that_an_engine_refuses_is_a_refused_record",
    "test_p137_a_file_of_a_tool_is_named",
    "test_p137_a_wrapper_is_named_with_the_command_that_unwraps_it",
    "test_p139_an_archived_object_is_told_as_archived",
    "test_p49_files_that_only_the_engine_refuses_are_set_aside",
    "test_p94_a_dry_run_changes_no_byte",
    "test_p96_neither_zone_nor_summer_time_matter",
    "test_quarantine_of_a_file_alone",
    "test_stop",
    "test_the_checker_sees",
    "test_the_warehouse_goes_wrong_when_rows_that_go_stay",
    "test_typing_something_else_does_not_delete",
    "test_what_duckdb_lets_through_is_judged_alike_whoever_reads_it",
}
LONGEST = {"test_p01_300_killed_runs_are_gone_on_with"}  # begun first, or the others wait for it at the end
SLOW_VARIANTS = ("[redshift", "-redshift]", "[postgres", "-postgres]", "-s3]", "-large]")
SLOW_FOLDERS = {"cluster", "redshift"}
IN_EVERY_RUN = {
    "test_the_page_names_the_versions_that_are_tested",
    "test_commands_print_what_the_page_shows[README.md]",
    "test_a_whole_life[postgres]",
    "test_a_whole_life[redshift]",
    "test_each_step_of_a_world_gives_the_star_of_what_was_seen[postgres]",
    "test_a_second_run_fetches_nothing_and_a_changed_object_alone_is_fetched",
    "test_p173_a_reader_beside_a_load_reads_the_copy[ask]",
    "test_the_lake_holds_the_star[duckdb-s3]",
    "test_p157_what_is_not_ours_stays_when_ours_goes[postgres]",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes long into the group `slow`, and what takes longest first."""
    begun: set[str] = set()
    for item in items:
        function = getattr(item, "originalname", item.name)
        slow = item.path.name in SLOW_FILES or item.path.parent.name in SLOW_FOLDERS
        slow = slow or not SLOW_TESTS.isdisjoint({item.name, function}) or function in begun
        slow = slow or "test_odd_values" in item.name or any(variant in item.name for variant in SLOW_VARIANTS)
        if slow and item.name not in IN_EVERY_RUN:
            item.add_marker(pytest.mark.slow)
        elif function in SLOW_BUT_FIRST:
            begun.add(function)
    items.sort(key=lambda item: item.name not in LONGEST)


# One seed for all that is random in tests/promises, the same in every process of this run.
os.environ.setdefault("PROMISES_SEED", str(random.SystemRandom().randrange(2**32)))

settings.register_profile(
    "suite", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("suite")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the measurements, and the seed with which the run can be repeated."""
    for report in terminalreporter.stats.get("passed", []):
        for name, measured in report.user_properties:
            if name == "figure":
                terminalreporter.write_line(f"measured: {measured}")
    terminalreporter.write_line(f"seed of tests/promises: PROMISES_SEED={os.environ['PROMISES_SEED']}")


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Give a function that has a figure told at the end of the run."""
    return lambda measured: record_property("figure", measured)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with all tables and no rows, to be copied."""
    return Warehouse(tmp_path_factory.mktemp("template")).create().database


@pytest.fixture
def bare(tmp_path: Path) -> Warehouse:
    """Source folders and settings; the database is not made yet."""
    return Warehouse(tmp_path / "w")


@pytest.fixture
def warehouse(bare: Warehouse, empty_database: Path) -> Warehouse:
    """A warehouse with all tables and no rows, and empty source folders."""
    return bare.create(empty_database)


@pytest.fixture(scope="session")
def postgres_server() -> Server:
    """One PostgreSQL server for all tests of this process."""
    return start_server()


@pytest.fixture(scope="module")
def some_cloud(postgres_server: Server) -> Iterator[Cloud]:
    """S3 by moto, and the stand-in for Redshift beside it."""
    with cloud(postgres_server) as made:
        yield made


@pytest.fixture(scope="session")
def real_source() -> Path:
    """The folder of the real data; the tests on it are skipped where it is not."""
    if not REAL.is_dir():
        pytest.skip("the real song and event files are not beside this repository")
    return REAL


@pytest.fixture(scope="session")
def real_warehouse(real_source: Path, tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Warehouse:
    """A warehouse loaded with the real data, in one run. Tests must not change it."""
    warehouse = Warehouse(tmp_path_factory.mktemp("real")).create(empty_database)
    for folder in ("song_data", "log_data"):
        shutil.copytree(real_source / folder, warehouse.root / folder, dirs_exist_ok=True)
    warehouse.etl()
    return warehouse


@pytest.fixture(scope="session")
def make(postgres_server: Server) -> Iterator[Make]:
    """Make an empty warehouse with its tables in a folder, on the named engine. Redshift is a stand-in, of a cluster or
    of Serverless."""
    opened: dict[str, Any] = {}
    with ExitStack() as closing:

        def warehouse(root: Path, engine: str) -> Warehouse:
            if engine == "postgres":
                return PostgresWarehouse(root, server=postgres_server).create()
            if engine.startswith("redshift"):
                from redshift.standin import HOST, SERVERLESS_HOST
                from redshift.warehouse_on_redshift import RedshiftWarehouse, cloud

                if engine not in opened:
                    host = SERVERLESS_HOST if engine == "redshift-serverless" else HOST
                    opened[engine] = closing.enter_context(cloud(postgres_server, host))
                return RedshiftWarehouse(root, cloud=opened[engine]).create()
            return Warehouse(root).create()

        yield warehouse


@pytest.fixture
def postgres(tmp_path: Path, make: Make) -> PostgresWarehouse:
    """An empty warehouse on PostgreSQL."""
    made = make(tmp_path / "w", "postgres")
    assert isinstance(made, PostgresWarehouse)
    return made
