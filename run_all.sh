#!/bin/sh
# The whole sequence in one command; see usage below.
set -eu

usage() {
    cat <<'END'
usage: run_all.sh [options]

Bring the warehouse up, load what is new, check it, write it to the lake, show it in a report, close it. A second run
finds nothing new. [S3] LAKE and [REPORT] PATH say where lake and report go: lake/ and report.html beside dwh.cfg.
The first run makes .venv. It also makes a sample in data/, when the settings look there and it does not exist.

  ./run_all.sh                       everything, on DuckDB
  ./run_all.sh --keep                the same, and the warehouse stays up
  ./run_all.sh --json | jq .script   one JSON object a script, a line each

  --keep           do not run conn_close.py
  --always-close   run conn_close.py after a failed or stopped step too (for unattended runs)
  --take-over      replace lake and report even if a warehouse at another place wrote them: once, after a move
  --yes            accepted; no question is asked, as it closes only what this run made
  -h, --help       show this and exit

Passed to every script: --config FILE, --engine NAME, -q, -v, --json, --no-color, --log-file FILE (python etl.py --help).
SPARKIFY_VENV=FOLDER in the environment: use a virtual environment there instead of .venv beside this script.
SPARKIFY_PYTHON=python3.12 in the environment: use that Python instead of the newest of 3.11 to 3.14.

exit code of the first step that fails: 1 bad data, 2 usage, 3 environment, 4 busy, 70 bug, 130 interrupted
END
}

self=$0
while [ -L "$self" ]; do
    link=$(readlink "$self")
    case $link in /*) self=$link ;; *) self=$(dirname "$self")/$link ;; esac
done
here=$(CDPATH='' cd -- "$(dirname -- "$self")" && pwd -P)
# shellcheck source=setup_venv.sh
. "$here/setup_venv.sh"

misused() {
    fail 2 "run_all.sh: $1" "./run_all.sh --help"
}

say() {
    [ -n "$quiet" ] || printf '%s\n' "$1" >&2
}

# Tenths of a second where date has nanoseconds, else whole seconds.
now() {
    ns=$(date +%s%N)
    case $ns in *[!0-9]* | ??????????) ns=$(date +%s)000000000 ;; esac
    echo "${ns%????????}"
}

seconds_since() {
    tenths=$(($(now) - $1))
    echo "$((tenths / 10)).$((tenths % 10))s"
}

# The sample is for users without data: with settings that look elsewhere no data/ folder is made. Settings that are
# wrong are told by the first step; what else fails is shown here.
looks_for_sample() {
    "$python" -c '
import os, sys
here, flags = sys.argv[1], sys.argv[2:]
sys.path.insert(0, here)
from dwh.settings.config import load_config
from dwh.terminal.errors import DwhError
from dwh.terminal.flags import warehouse_parser
try:
    s3 = load_config(warehouse_parser("run_all", None).parse_args(flags).config, {}, os.environ).s3
except DwhError:
    sys.exit(1)
sys.exit(s3.log_data + s3.song_data != (here + "/data/log_data", here + "/data/song_data"))' "$here" "$@"
}

# Prints the path of the report, as report.py names it.
report_path() {
    "$python" -c '
import os, sys
from pathlib import Path
here, flags = sys.argv[1], sys.argv[2:]
sys.path.insert(0, here)
from dwh.settings.config import load_config
from dwh.terminal.flags import warehouse_parser
from dwh.terminal.wording import near
print(near(Path(load_config(warehouse_parser("run_all", None).parse_args(flags).config, {}, os.environ).report.path)))' "$here" "$@"
}

# Runs a script; leaves its name in `step` and its exit code in `code`, and adds its line to the table.
run_step() {
    step=$1 began=$(now) code=0
    shift
    [ -n "$stopped" ] || "$python" "$here/$step.py" "$@" || code=$?
    [ -z "$stopped" ] || code=130
    table=$table$(printf '  %-15s %6s' "$step" "$(seconds_since "$began")")$newline
}

started=$(now) keep='' always='' take_over='' quiet='' stopped='' table='' value_of=''
newline='
'
for arg do # the arguments for the scripts are put back, in order
    shift
    case $value_of$arg in
    --config | --engine | --log-file) value_of=$arg && continue ;;
    -h | --help) usage && exit 0 ;;
    --keep) keep=1 ;;
    --always-close) always=1 ;;
    --take-over) take_over=--take-over ;;
    --yes) ;;
    -q | --quiet) quiet=-q && set -- "$@" -q ;;
    -v | -vv | --verbose | --json | --no-color) set -- "$@" "$arg" ;;
    --config?* | --engine?* | --log-file?*) set -- "$@" "${value_of:+$value_of=}$arg" ;;
    *) misused "unknown argument $arg" ;;
    esac
    value_of=''
done
[ -z "$value_of" ] || misused "$value_of needs a value"
[ -z "$keep" ] || [ -z "$always" ] || misused "--keep and --always-close exclude each other"

trap 'exit 130' INT TERM
setup_venv requirements.txt >&2

# The running step gets Ctrl-C itself, rolls back and exits 130; this shell waits for it, then stops.
trap 'stopped=1' INT TERM
code=0
if [ ! -e "$here/data" ] && looks_for_sample "$@"; then
    run_step make_sample ${quiet:+"$quiet"} "$here/data" >&2
fi
# This run may close a warehouse only if it makes it. If the plan fails, conn_start fails too, and says why.
plan=$("$python" "$here/conn_start.py" "$@" --dry-run --json 2>/dev/null) || plan=''
engine=$(printf '%s\n' "$plan" | sed -n 's/.*"engine": "\([a-z]*\)".*/\1/p')
for next in conn_start create_tables etl sql_validate export_lake report; do
    [ "$code" -eq 0 ] || break
    case $next in
    export_lake | report) run_step "$next" "$@" ${take_over:+"$take_over"} ;;
    *) run_step "$next" "$@" ;;
    esac
done
failed=$code at=$step open=''

# On DuckDB closing keeps the file, so it is always allowed; elsewhere a warehouse that was up before stays up.
case $engine:$plan in duckdb:* | *:*'"would_create": true'*) ours=1 ;; *) ours='' ;; esac
if [ -n "$keep" ]; then
    open=--keep
elif [ "$failed" -ne 0 ] && [ -z "$always" ]; then
    open="$at failed"
elif [ -z "$ours" ]; then
    open='the warehouse was up before this run'
else
    stopped=''
    run_step conn_close "$@" --yes
    [ "$failed" -ne 0 ] || { failed=$code at=$step; }
fi
say "$newline$table${open:+  conn_close      not run: $open$newline}"

took=$(seconds_since "$started")
if [ "$failed" -ne 0 ]; then
    echo "$at ended with exit code $failed, the rest was not run; $took" >&2
    [ -z "$open" ] || [ "$at" = conn_start ] || echo "the warehouse was left open for inspection" >&2
elif [ "$engine" = duckdb ]; then
    by_hand='. .venv/bin/activate'
    [ "$PWD/.venv" = "$venv" ] || by_hand="cd '$here' && . '$venv/bin/activate'"
    say "done in $took. Look at it:      $(report_path "$@")
              Step by step:    $by_hand
              Load new files:  python etl.py                     (loads only what is new)
              Check it again:  python sql_validate.py
              Remove it all:   python conn_close.py --delete-data"
else
    say "done in $took. Look at it: $(report_path "$@")"
fi
if [ -n "$open" ] && [ "$engine" = redshift ]; then
    echo "redshift is billed while it is up; to end it: python conn_close.py --engine redshift" >&2
fi
exit "$failed"
