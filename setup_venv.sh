# shellcheck shell=sh
# shellcheck disable=SC2154 # `here` is set by who sources this
# Sourced by run_all.sh and run_tests.sh, which set `here` to this folder: the virtual environment they share.
#
#   setup_venv FILE    makes .venv (or the folder $SPARKIFY_VENV names) when it is missing, broken, or older than FILE,
#                      and sets `python` to the interpreter in it. Nothing is done when the stamp of the last time fits.

fail() { # CODE MESSAGE HINT: an error in the form of the suite
    printf 'error: %s\n  try: %s\n' "$2" "$3" >&2
    exit "$1"
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

find_python() {
    for base in python3 python3.13 python3.12 python3.11 python3.10 python; do
        if is_new_enough "$base"; then return; fi
    done
    found=$(python3 -V 2>&1) || found="no python3"
    fail 3 "Python 3.10 or newer is needed; this machine has $found" "install Python 3.11 (Debian: sudo apt install python3 python3-venv)"
}

# What was installed, and for which Python. requirements.txt is part of every set-up.
venv_stamp() {
    cat "$here/requirements.txt" "$here/$1" | cksum
    "$venv/bin/python" -V 2>&1 || true
}

# Debian's python3 has no ensurepip unless python3-venv is installed; uv, or the machine's own pip, can fill in.
create_venv() {
    if [ -n "${SPARKIFY_VENV:-}" ] && [ -e "$venv" ] && [ ! -f "$venv/pyvenv.cfg" ]; then
        fail 2 "SPARKIFY_VENV is $venv, and that is no virtual environment" "SPARKIFY_VENV=$venv/venv"
    fi
    find_python
    rm -rf "$venv"
    if "$base" -c 'import ensurepip, venv' 2>/dev/null; then
        "$base" -m venv "$venv"
    elif command -v uv >/dev/null; then
        uv venv --quiet --python "$base" "$venv"
    elif "$base" -c 'import pip, venv' 2>/dev/null; then
        "$base" -m venv --without-pip "$venv"
    else
        fail 3 "this Python cannot make virtual environments: it has no ensurepip, and there is no uv" "sudo apt install python3-venv"
    fi
}

install_requirements() {
    if "$python" -c 'import pip' 2>/dev/null; then
        "$python" -m pip install -qq --disable-pip-version-check -r "$1"
    elif command -v uv >/dev/null; then
        uv pip install --quiet --python "$python" -r "$1"
    else
        find_python
        "$base" -m pip --python "$python" install -qq --disable-pip-version-check -r "$1"
    fi
}

setup_venv() {
    venv=${SPARKIFY_VENV:-$here/.venv}
    case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
    python=$venv/bin/python
    stamp=$venv/$1.stamp
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(venv_stamp "$1")" ]; then return; fi
    [ -n "${quiet:-}" ] || echo "setting up .venv (once) ..." >&2
    is_new_enough "$python" || create_venv || fail 3 "$venv cannot be made" "SPARKIFY_VENV=/another/folder $0"
    install_requirements "$here/$1" || fail 3 "what $1 names cannot be installed" "the same command again, with a network and pip's index in reach"
    venv_stamp "$1" >"$stamp"
}
