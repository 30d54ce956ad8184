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
  ./run_all.sh --remove-all          remove the warehouse, and the lake and the report that it wrote
  ./run_all.sh -q --wait 30m --log-file nightly.log     for a scheduler: errors only, and patient

  --keep           do not run conn_close.py
  --always-close   run conn_close.py after a failed or stopped step too (for unattended runs)
  --take-over      replace lake and report even if a warehouse at another place wrote them: once, after a move
  --wait TIME      how long each script waits for another program, such as 30m
  --remove-all     only run conn_close.py --remove-all, which asks first; sources, dwh.cfg and .venv stay
  --yes            do not ask, with --remove-all; without it no question is asked, as only what this run made is closed
  -h, --help       show this and exit

Passed to every script: --config FILE, --engine NAME, -q, -v, --json, --no-color, --log-file FILE, --metrics FILE
(python etl.py --help). The commands of [NOTIFY] run once, at the end.
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

# Prints lines on stderr, with -q only those that matter (`tell`), and writes them to the log, each with its time.
say() {
    [ -n "$quiet" ] || printf '%s\n' "$1" >&2
    log INFO "$1"
}

tell() {
    printf '%s\n' "$2" >&2
    log "$1" "$2"
}

log() { # LEVEL TEXT
    [ -n "$log_file" ] || return 0
    (
        umask 077
        printf '%s\n' "$2" | while IFS= read -r line; do
            [ -z "$line" ] || printf '%s %s %-7s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$SPARKIFY_RUN_ID" "$1" "$line"
        done >>"$log_file"
    ) 2>/dev/null || true
}

# Quotes a word for a shell, when it needs that.
quoted() {
    case $1 in
    *[!A-Za-z0-9_./=:-]* | '') printf "'%s'" "$(printf '%s\n' "$1" | sed "s/'/'\\\\''/g")" ;;
    *) printf '%s' "$1" ;;
    esac
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
    s3 = load_config(warehouse_parser("run_all", None).parse_known_args(flags)[0].config, {}, os.environ).s3
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
print(near(Path(load_config(warehouse_parser("run_all", None).parse_known_args(flags)[0].config, {}, os.environ).report.path)))' "$here" "$@"
}

# Runs the command of [NOTIFY], once for all scripts.
notify() {
    "$python" -c '
import os, sys
here, steps, run_id, code, at, seconds, *flags = sys.argv[1:]
sys.path.insert(0, here)
from dwh.monitoring.runs import end_sequence
from dwh.settings.config import load_config
from dwh.terminal.errors import DwhError
from dwh.terminal.flags import warehouse_parser
try:
    config = load_config(warehouse_parser("run_all", None).parse_known_args(flags)[0].config, {}, os.environ)
except DwhError:
    sys.exit() # the first script has said it
told = {"script": "run_all", "run_id": run_id, "exit_code": int(code), "seconds": float(seconds)}
end_sequence(config, told | ({"failed": at} if int(code) else {}), steps, print)' "$here" "$steps" "$SPARKIFY_RUN_ID" "$@"
}

# Runs a script; leaves its name in `step` and its exit code in `code`, and adds its line to the table.
run_step() {
    step=$1 began=$(now) code=0
    shift
    [ -n "$stopped" ] || "$python" "$here/$step.py" "$@" || code=$?
    [ -z "$stopped" ] || code=130
    table=$table$(printf '  %-15s %6s' "$step" "$(seconds_since "$began")")$newline
}

started=$(now) keep='' remove='' yes='' always='' take_over='' quiet='' stopped='' table='' value_of=''
log_file='' wait='' given='' engine_given=''
newline='
'
for arg do # the arguments for the scripts are put back, in order
    shift
    arg=${value_of:+$value_of=}$arg
    case $arg in
    --config | --engine | --log-file | --metrics | --wait) value_of=$arg && continue ;;
    -h | --help) usage && exit 0 ;;
    --keep) keep=1 ;;
    --remove-all) remove=1 ;;
    --always-close) always=1 ;;
    --take-over) take_over=--take-over ;;
    --yes) yes=--yes ;;
    -q | --quiet) quiet=-q && set -- "$@" -q ;;
    -v | -vv | --verbose | --json | --no-color) set -- "$@" "$arg" ;;
    --wait=?*) wait=$arg ;;
    --log-file=?*) log_file=${arg#*=} && set -- "$@" "$arg" ;;
    --metrics=?*) set -- "$@" "$arg" ;;
    --engine=?*) engine_given=1 given="$given $(quoted "$arg")" && set -- "$@" "$arg" ;;
    --config=?*)
        set -- "$@" "$arg"
        # the commands at the end are for the folder of the scripts
        case $PWD:$arg in "$here":* | *:--config=/*) ;; *) arg=--config=$PWD/${arg#*=} ;; esac
        given="$given $(quoted "$arg")"
        ;;
    *) misused "unknown argument $arg" ;;
    esac
    value_of=''
done
[ -z "$value_of" ] || misused "$value_of needs a value"
[ -z "$keep" ] || [ -z "$always" ] || misused "--keep and --always-close exclude each other"
[ -z "$remove" ] || [ -z "$keep$always$take_over" ] || misused "--remove-all goes with no other of these"

trap 'exit 130' INT TERM
setup_venv requirements.txt >&2

if [ -n "$remove" ]; then
    "$python" "$here/conn_close.py" "$@" --remove-all ${wait:+"$wait"} ${yes:+"$yes"}
    say "what stays: dwh.cfg, the sources, and $venv"
    exit
fi

# The scripts are one run: one id in the log and the ledger, one command of [NOTIFY], which gets what each of them told.
SPARKIFY_RUN_ID=$(date -u +%Y%m%d-%H%M%S)
steps=$(mktemp 2>/dev/null) || fail 3 "no temporary file can be made in ${TMPDIR:-/tmp}" "TMPDIR=/another/folder $0"
trap 'rm -f "$steps"' EXIT

# The running step gets Ctrl-C itself, rolls back and exits 130; this shell waits for it, then stops.
trap 'stopped=1' INT TERM
code=0
if [ ! -e "$here/data" ] && looks_for_sample "$@"; then
    run_step make_sample ${quiet:+"$quiet"} "$here/data" >&2
fi
# This run may close a warehouse only if it makes it. If the plan fails, conn_start fails too, and says why.
plan=$("$python" "$here/conn_start.py" "$@" --dry-run --json --log-file /dev/null 2>/dev/null) || plan=''
engine=$(printf '%s\n' "$plan" | sed -n 's/.*"engine": "\([a-z]*\)".*/\1/p')
export SPARKIFY_RUN_ID SPARKIFY_RUN_STEPS="$steps"
[ -z "$wait" ] || set -- "$@" "$wait"
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
    tell ERROR "$at ended with exit code $failed, the rest was not run; $took"
    [ -z "$open" ] || [ "$at" = conn_start ] || tell ERROR "the warehouse was left open for inspection"
elif [ "$engine" = duckdb ]; then
    by_hand='. .venv/bin/activate'
    [ "$PWD/.venv" = "$venv" ] || by_hand="cd '$here' && . '$venv/bin/activate'"
    say "done in $took. Look at it:      $(report_path "$@")
              Step by step:    $by_hand
              Load new files:  python etl.py$given                     (loads only what is new)
              Check it again:  python sql_validate.py$given
              Remove it all:   python conn_close.py$given --remove-all"
else
    say "done in $took. Look at it: $(report_path "$@")"
fi
if [ -n "$open" ] && [ "$engine" = redshift ]; then
    [ -n "$engine_given" ] || given="$given --engine redshift"
    tell WARNING "redshift is billed while it is up; to end it: python conn_close.py$given"
fi
notify "$failed" "$at" "${took%s}" "$@" >&2
exit "$failed"
