"""The contestants of the bench, and how to start each. A contestant is one script with the arguments DATA and OUT."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "bench" / "contestants"
REQUIREMENTS = ROOT / "bench" / "requirements.txt"
VENV = "SPARKIFY_BENCH_VENV"


@dataclass(frozen=True)
class Contestant:
    """One way to do the job. `packages` come from the environment of the bench; none: from ours.

    `slow` ones run once, without a warm-up. `part` is the share of the data they are given; what they take is then
    multiplied. `server` is the schema in the PostgreSQL server that they fill; `makes` is star or staging.
    """

    name: str
    told: str
    packages: tuple[str, ...] = ()
    slow: bool = False
    part: float = 1.0
    server: str = ""
    makes: str = "star"
    script: Path | None = None

    @property
    def path(self) -> Path:
        """Its script."""
        return self.script or SCRIPTS / f"{self.name}.py"


OURS, YARDSTICK = "etl", "duckdb_by_hand"
CONTESTANTS = (
    Contestant(OURS, "etl.py into a new warehouse, everything it promises", script=ROOT / "etl.py"),
    Contestant(YARDSTICK, "hand-written DuckDB: the yardstick"),
    Contestant("polars_to_parquet", "Polars, lazy, to Parquet", ("polars", "polars-runtime-32")),
    Contestant("chdb_star", "ClickHouse in the process, to Parquet", ("chdb", "chdb-core")),
    Contestant(
        "postgres_by_hand",
        "PostgreSQL: COPY of the lines, then SQL",
        slow=True,
        server="by_hand",
    ),
    Contestant("pyspark_local", "Spark local[2] to Parquet", ("pyspark", "py4j"), slow=True),
    Contestant("dlt_staging", "dlt into DuckDB", ("dlt", "duckdb", "pyarrow"), slow=True, makes="staging"),
    Contestant(
        "sling_staging",
        "Sling into PostgreSQL",
        ("sling-linux-amd64",),
        slow=True,
        server="sling",
        makes="staging",
    ),
    Contestant(
        "psycopg2_row_by_row",
        "PostgreSQL: json.loads and an INSERT a row",
        slow=True,
        part=0.01,
        server="row_by_row",
    ),
)


def python_of_bench() -> Path:
    """Give the interpreter with the contestants' packages; makes its environment if it is missing.

    Raises CalledProcessError when pip cannot install them.
    """
    folder = Path(os.environ.get(VENV) or ROOT / ".venv-bench")
    python, installed = folder / "bin" / "python", folder / "requirements.installed"
    wanted = REQUIREMENTS.read_text()
    if not python.exists():
        print(f"making {folder} from bench/requirements.txt", file=sys.stderr)
        venv.create(folder, with_pip=True)
    if not installed.exists() or installed.read_text() != wanted:
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS)], check=True, stdout=2)
        installed.write_text(wanted)
    return python


def ask_packages(python: Path, names: tuple[str, ...]) -> dict[str, tuple[str, float]]:
    """Give version and size (MB of files) of the packages that an interpreter has."""
    code = """
import json, sys
from importlib.metadata import distribution
found = {}
for name in sys.argv[1:]:
    package = distribution(name)
    weight = sum(file.locate().stat().st_size for file in package.files or () if file.locate().exists())
    found[name] = package.version, round(weight / 1e6, 1)
print(json.dumps(found))
"""
    answer = subprocess.run([str(python), "-c", code, *names], check=True, capture_output=True, text=True)
    found: dict[str, tuple[str, float]] = json.loads(answer.stdout)
    return found
