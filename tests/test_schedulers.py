"""What docs/how-to/every-night.md gives to cron's successors is accepted by them, as far as they are here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it comes with moto
from doc_pages import ROOT, blocks

PAGE = (ROOT / "docs/how-to/every-night.md").read_text(encoding="utf-8")


def texts(language: str) -> list[str]:
    """Give the blocks of the page in a language."""
    return [block.text for block in blocks(PAGE, language)]


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """systemd-analyze finds nothing to say about the service and its timer."""
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("systemd is not on this machine")
    (tmp_path / "home" / "sparkify-warehouse").mkdir(parents=True)
    service, timer = texts("systemd")
    names = ("sparkify.service", "sparkify.timer")
    for name, text in zip(names, (service, timer), strict=True):
        (tmp_path / name).write_text(text.replace("%h", str(tmp_path / "home")))
    command = [analyze, "verify", "--man=no", *(str(tmp_path / name) for name in names)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "sparkify" in line] == []
    assert timer.count("OnCalendar=") == 1
    subprocess.run([analyze, "calendar", "*-*-* 03:15:00"], check=True, capture_output=True)


def test_the_workflow_is_yaml_with_a_job() -> None:
    """It runs at night and by hand, with the least rights, and calls the script with flags that it has."""
    [text] = texts("yaml")
    workflow = yaml.safe_load(text)
    on = workflow[True]  # YAML 1.1 reads `on` as a boolean, GitHub as a name
    assert (set(on), workflow["permissions"]) == ({"schedule", "workflow_dispatch"}, {"contents": "read"})
    [job] = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == ["./run_all.sh --wait 30m --log-file nightly.log"]


def test_the_dag_has_a_task_for_each_script_and_its_commands_map_the_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in for Airflow that only keeps what it is given: 4 is skipped (99), every other code stays."""
    [text] = texts("python")
    made: list[dict[str, Any]] = []

    class Operator:
        def __init__(self, **given: Any) -> None:
            made.append(given)

        def __rshift__(self, other: Any) -> Any:
            return other

    class Dag:
        def __init__(self, *_name: str, **_given: Any) -> None: ...

        def __enter__(self) -> None: ...

        def __exit__(self, *_error: object) -> None: ...

    for name, attribute, value in (
        ("airflow", "DAG", Dag),
        ("airflow.providers.standard.operators.bash", "BashOperator", Operator),
    ):
        module = ModuleType(name)
        setattr(module, attribute, value)
        monkeypatch.setitem(sys.modules, name, module)
    exec(compile(text, "dag", "exec"), {})
    assert [task["task_id"] for task in made] == [
        *("conn_start", "create_tables", "etl", "sql_validate", "export_lake", "report")
    ]
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\n[ "$2 $3 $4" = "-q --wait 30m" ] || exit 77\nexit "$CODE"\n')
    python.chmod(0o755)
    for code in (0, 1, 2, 3, 4, 70):
        ended = subprocess.run(
            ["bash", "-c", made[2]["bash_command"]], cwd=tmp_path, env={"CODE": str(code)}, check=False
        )
        assert ended.returncode == (99 if code == 4 else code)
