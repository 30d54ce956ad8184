"""Ask the warehouse: a question of questions/ by its name, or one SELECT of your own.
Nothing can be changed, and no file can be read. Other readers are in nobody's way.

  python ask.py --list                       name the questions, and what can be given to each
  python ask.py top-songs --days 7           ask one of them
  python ask.py "SELECT COUNT(*) FROM users"     ask in SQL; also: -f FILE, or from stdin
  python ask.py top-songs --csv > top.csv    write CSV; also: --json, --parquet FILE
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dwh.questions import Question, find_question, read_questions
from dwh.script import Script, begin
from dwh.terminal.console import run
from dwh.terminal.errors import ConfigError
from dwh.terminal.flags import ScriptParser, wait_flag, warehouse_parser
from dwh.terminal.wording import count, near, seconds

if TYPE_CHECKING:
    from dwh.answers import Cut
    from dwh.seam import Answer

QUESTIONS = Path(__file__).resolve().parent / "questions"
TABLE_ROWS = 100  # of a table, without --limit
_NAME = re.compile(r"[a-z][a-z0-9-]*")


class Asked(NamedTuple):
    """What is asked: how it is called, its SQL, and its values (None: the SQL has no parameters)."""

    title: str
    sql: str
    params: Sequence[object] | None


def parser() -> ScriptParser:
    """Declare the flags of this script, and one for each parameter of a question."""
    p = warehouse_parser("ask", __doc__)
    p.usage = '%(prog)s [options] [QUESTION | "SELECT ..."]'
    p.what.add_argument("question", metavar="QUESTION", nargs="?", help='the name of a question, or "SELECT ..."')
    p.what.add_argument("-f", "--file", metavar="FILE", help="read the SELECT from a file (-: from stdin)")
    p.what.add_argument("--list", action="store_true", help="only name the questions and their parameters")
    for name, users in users_of_parameters().items():
        p.what.add_argument(f"--{name}", metavar="VALUE", help=f"for {', '.join(users)}")
    p.how.add_argument("--limit", metavar="N", help=f"most rows; 0: all (default: {TABLE_ROWS} of a table, else all)")
    wait_flag(p)
    p.output.add_argument("--csv", action="store_true", help="write CSV to stdout")
    p.output.add_argument("--parquet", metavar="FILE", help="write a Parquet file")
    return p


def users_of_parameters() -> dict[str, list[str]]:
    """Give the parameters that questions take, each with the questions that take it."""
    users: dict[str, list[str]] = {}
    for question in read_questions(QUESTIONS).values():
        for parameter in question.parameters:
            users.setdefault(parameter.name, []).append(question.name)
    return users


def main(argv: Sequence[str] | None = None) -> int:
    """Find out what is asked, ask it on a session that can only read, and write the answer."""
    script = begin("ask", parser(), argv)
    args, questions = script.args, read_questions(QUESTIONS)
    if args.list:
        return list_questions(script, questions)
    if sum((args.csv, args.json, args.parquet is not None)) > 1:
        raise ConfigError("only one of --csv, --json and --parquet can be written", hint="python ask.py --help")
    limit = read_limit(args.limit, table=not (args.csv or args.json or args.parquet))
    given = {name: value for name in users_of_parameters() if (value := getattr(args, name)) is not None}
    asked = find_asked(args.question, args.file, questions, given)
    script.console.title(f"{asked.title}, {script.engine.name}, {script.engine.place}")
    from dwh.answers import Cut

    with script.connected(args.wait, read_only=True) as session:
        answer = session.ask(asked.sql, asked.params)
        write(script, answer, Cut(answer.rows, limit))
    return 0


def read_limit(text: str | None, *, table: bool) -> int:
    """Give the most rows that are written, 0 for all."""
    if text is None:
        return TABLE_ROWS if table else 0
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise ConfigError(
            f"--limit {text}: a whole number is expected", hint=f"the same command again with --limit {TABLE_ROWS}"
        )
    return int(text)


def find_asked(
    question: str | None, file: str | None, questions: Mapping[str, Question], given: Mapping[str, str]
) -> Asked:
    """Find what is asked: a named question, SQL as an argument, a file, or stdin.

    Raises ConfigError when that is nothing or several, or has parameters that it does not take."""
    if question is not None and file is not None:
        raise ConfigError("a question and -f are two questions: give one of them", hint="python ask.py --help")
    if question is not None and _NAME.fullmatch(question):
        named = find_question(questions, question)
        return Asked(named.name, *named.bind(given))
    if given:
        raise ConfigError(f"--{min(given)} is a parameter of named questions only", hint="python ask.py --list")
    if question is not None:
        return Asked("SQL", question, None)
    if file is None and sys.stdin.isatty():
        raise ConfigError(
            "nothing is asked", hint=("python ask.py --list", 'python ask.py "SELECT count(*) FROM songplays"')
        )
    return Asked(file or "stdin", read_sql(file or "-"), None)


def read_sql(file: str) -> str:
    """Read the SQL of a file, or of stdin. Raises ConfigError when it cannot be read."""
    try:
        return (sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read", evidence=str(error), hint="python ask.py --list") from error


def write(script: Script, answer: Answer, rows: Cut) -> None:
    """Write the answer as it was asked for, and say how many rows it has, and whether there are more."""
    from dwh import answers

    args, console = script.args, script.console
    if args.parquet:
        target = Path(args.parquet).absolute()
        answers.write_parquet(answer, rows, target, script.config.duckdb)
        console.result(f"{near(target)}, {target.stat().st_size / 1e6:.1f} MB")
    elif args.csv:
        answers.write_csv(answer, rows, sys.stdout)
    elif console.json:
        objects = answers.to_objects(answer, rows)
        columns = [{"name": name, "type": kind} for name, kind in answer.columns.items()]
        took = round(console.elapsed, 3)
        console.finish(
            {"engine": script.engine.name, "columns": columns, "rows": objects, "cut": rows.more, "seconds": took}
        )
    else:
        answers.write_table(answer, rows, sys.stdout)
    console.say(f"{count(rows.read, 'row')} in {seconds(console.elapsed)}")
    if rows.more:
        console.note(f"there are more rows than {rows.read:,}: --limit 0 writes all")


def list_questions(script: Script, questions: Mapping[str, Question]) -> int:
    """Name the questions, and what can be given to each."""
    width = max(len(name) for name in questions)
    for question in questions.values():
        script.console.result(f"{question.name:<{width}}  {question.words}")
        for parameter in question.parameters:
            what = f"--{parameter.name} {parameter.default}"
            script.console.result(f"{'':<{width}}    {what:<15} {parameter.meaning}")
    listed = [
        {
            "name": question.name,
            "question": question.words,
            "parameters": [parameter._asdict() for parameter in question.parameters],
        }
        for question in questions.values()
    ]
    script.console.finish({"questions": listed})
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
