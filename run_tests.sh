#!/bin/sh
# Checks and tests: lint, then pytest. With arguments: only pytest, which gets them. ./dev names these tasks.
#
#   ./run_tests.sh                            everything except the groups below
#   ./run_tests.sh tests/test_run_all.py -x   one file, up to its first failure
#   ./run_tests.sh --lint                     ruff, mypy, shellcheck, hadolint, zizmor, actionlint, no test
#   ./run_tests.sh --slow                     tests with many processes, servers and stand-ins; CI runs these too. The
#                                             programs that read the lake are set up first, once, in .venv-readers
#   ./run_tests.sh --promises                 the long tests: faults at every call, hundreds of kills, memory
#
# The exit code is that of the first check that fails; the others still run.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
# shellcheck source=setup_venv.sh
. "$here/setup_venv.sh"
setup_venv requirements-dev.txt
cd "$here"

first=0
check() {
    "$@" || { code=$? && [ "$first" -ne 0 ] || first=$code; }
}

# actionlint's package downloads its program from GitHub, so requirements-dev.txt does not have it: it would fail to
# install wherever only a package index can be reached. .github/workflows/tests.yml runs it in any case.
lint_workflow() {
    check "$venv/bin/zizmor" --offline --quiet .github/workflows
    if command -v actionlint >/dev/null; then
        check actionlint
    else
        echo "actionlint is not on this machine: zizmor alone looked at .github/workflows" >&2
    fi
}

lint() {
    check "$python" -m ruff check
    check "$python" -m ruff format --check
    check "$python" -m mypy
    check "$venv/bin/shellcheck" dev run_all.sh run_tests.sh setup_venv.sh .ci/run
    check "$venv/bin/hadolint" Dockerfile
    lint_workflow
}

case ${1:-} in
'') lint && set -- -n auto ;;
--lint) lint && exit "$first" ;;
--slow) shift && check setup_readers && set -- -n auto -m 'slow and not promises' "$@" ;;
--promises) shift && set -- -n auto -m promises --durations 10 "$@" ;;
esac
check "$python" -m pytest "$@"
exit "$first"
