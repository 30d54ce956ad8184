"""The commands of an installed suite: in the wheel, this is the `__init__.py` of its one package.

The scripts import `dwh`, `star` and `sql_queries` from their own folder. Here that folder is the package, and each
command puts it first on `sys.path`, as Python does with the folder of a script: a command is a process of its own, so
no other program sees it, and no wheel has to install these names at top level.
"""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from pathlib import Path


def run_script(name: str) -> int:
    """Run the script of this name with the arguments of this process. Gives its exit code."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    code: int = import_module("dwh.terminal.console").run(import_module(name).main)
    return code


conn_start = partial(run_script, "conn_start")
create_tables = partial(run_script, "create_tables")
etl = partial(run_script, "etl")
sql_validate = partial(run_script, "sql_validate")
export_lake = partial(run_script, "export_lake")
report = partial(run_script, "report")
ask = partial(run_script, "ask")
conn_close = partial(run_script, "conn_close")
make_sample = partial(run_script, "make_sample")
