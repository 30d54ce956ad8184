# shellcheck shell=sh
# shellcheck disable=SC2154 # `here` is set by the script that sources this
# Sourced by run_all.sh and run_tests.sh, which set `here` to this folder: the virtual environment they share.
#
#   setup_venv FILE    makes .venv (or the folder $SPARKIFY_VENV names) when it is missing, broken, or older than FILE,
#                      and sets `python` to its interpreter. It does nothing when the stamp of the last run still fits.
#   setup_readers      makes .venv-readers (or the folder $SPARKIFY_READERS_VENV names) in the same way, and leaves
#                      `python` as it is: the programs of others that the tests let read the lake, 1.3 GB.
#
# Both use the newest Python that has wheels of all packages in requirements.txt, or requirements-readers.txt, or the
# one that $SPARKIFY_PYTHON names.

SUPPORTED='3.14 3.13 3.12 3.11' # newest first
wheels=requirements.txt # the packages of which only wheels are installed; part of every set-up

fail() { # CODE MESSAGE HINT: an error in the form of the suite
    printf 'error: %s\n  try: %s\n' "$2" "$3" >&2
    exit "$1"
}

# The version of a Python, such as 3.12, when it is one of those above. A pyenv shim of a version that is not activated
# exists but does not run.
supported_version() {
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || return 1
    case " $SUPPORTED " in *" $version "*) ;; *) return 1 ;; esac
}

# The installed requirements and their Python.
venv_stamp() {
    cat "$here/$wheels" "$here/$1" | cksum
    "$venv/bin/python" -V 2>&1 || true
}

# Debian's python3 has no ensurepip unless python3-venv is installed; uv, or the machine's own pip, can fill in.
create_venv() { # PYTHON
    rm -rf "$venv"
    if "$1" -c 'import ensurepip, venv' 2>/dev/null; then
        "$1" -m venv "$venv"
    elif command -v uv >/dev/null; then
        uv venv --quiet --python "$1" "$venv"
    elif "$1" -c 'import pip, venv' 2>/dev/null; then
        "$1" -m venv --without-pip "$venv"
    else
        return 2
    fi
}

install_into_venv() { # PYTHON ARGUMENTS: uses PYTHON's pip where the environment has none, and there is no uv
    base=$1
    shift
    if "$python" -c 'import pip' 2>/dev/null; then
        "$python" -m pip install -q --disable-pip-version-check "$@"
    elif command -v uv >/dev/null; then
        uv pip install --quiet --python "$python" "$@"
    else
        "$base" -m pip --python "$python" install -q --disable-pip-version-check "$@"
    fi
}

# Only wheels of the packages that the scripts need: a Python that is too new must fail at once, not after half an hour
# of compiling.
install_requirements() { # PYTHON FILE: leaves pip's error in `said`
    said=$(install_into_venv "$1" --only-binary :all: -r "$here/$wheels" 2>&1) || return 1
    [ "$2" = "$wheels" ] || said=$(install_into_venv "$1" -r "$here/$2" 2>&1)
}

# An index that does not answer offers no wheels either; pip then reports that it is retrying.
no_wheels() {
    case $said in
    *Retrying*) return 1 ;;
    *'No matching distribution'* | *'has no wheels'* | *'no usable wheels'*) ;;
    *) return 1 ;;
    esac
}

cannot_install() { # FILE
    printf '%s\n' "$said" >&2
    fail 3 "the packages in $1 cannot be installed" "the same command again, with a network and pip's index in reach"
}

# Makes the environment with the first Python that works, and installs; each version is tried once.
make_venv() { # FILE
    file=$1 tried='' unable=''
    set -- python3.14 python3.13 python3.12 python3.11 python3 python
    [ -z "${SPARKIFY_PYTHON:-}" ] || set -- "$SPARKIFY_PYTHON"
    for each do
        supported_version "$each" || continue
        case " $tried $unable " in *" $version "*) continue ;; esac
        code=0
        create_venv "$each" || code=$?
        case $code in
        0) ;;
        2) unable="$unable $version" && continue ;;
        *) fail 3 "$venv cannot be made" "$variable=/another/folder $0" ;;
        esac
        tried="$tried $version"
        install_requirements "$each" "$file" && return
        no_wheels || cannot_install "$file"
        echo "some packages in $file have no wheels for Python $version" >&2
    done
    [ -z "$tried" ] || cannot_install "$file"
    if [ -n "$unable" ]; then
        fail 3 "this Python cannot make virtual environments: it has no ensurepip, and there is no uv" "sudo apt install python3-venv"
    fi
    found=$("${SPARKIFY_PYTHON:-python3}" -V 2>&1) || found="no ${SPARKIFY_PYTHON:-python3}"
    fail 3 "Python 3.11 to 3.14 is needed; this machine has $found" "install Python 3.13 (Debian: sudo apt install python3 python3-venv)"
}

# Whether a supported Python made the environment, and the one of $SPARKIFY_PYTHON, if that is set.
fits() {
    supported_version "$python" || return 1
    [ -z "${SPARKIFY_PYTHON:-}" ] || [ "$("$python" -V 2>&1)" = "$("$SPARKIFY_PYTHON" -V 2>&1)" ]
}

setup_venv() { # FILE
    set_up "$1" .venv SPARKIFY_VENV "${SPARKIFY_VENV:-}"
}

setup_readers() (
    wheels=requirements-readers.txt
    set_up "$wheels" .venv-readers SPARKIFY_READERS_VENV "${SPARKIFY_READERS_VENV:-}"
)

set_up() { # FILE FOLDER VARIABLE CHOSEN: CHOSEN is what VARIABLE holds, a folder to take instead of FOLDER
    variable=$3
    venv=${4:-$here/$2}
    case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
    python=$venv/bin/python
    stamp=$venv/$1.stamp
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(venv_stamp "$1")" ] && { [ -z "${SPARKIFY_PYTHON:-}" ] || fits; }; then
        return
    fi
    if [ -n "$4" ] && [ -e "$venv" ] && [ ! -f "$venv/pyvenv.cfg" ]; then
        fail 2 "$variable is $venv, which is not a virtual environment" "$variable=$venv/venv"
    fi
    [ -n "${quiet:-}" ] || echo "setting up $2 (once) ..." >&2
    if ! fits; then
        make_venv "$1"
    elif ! install_requirements "${SPARKIFY_PYTHON:-python3}" "$1"; then
        no_wheels || cannot_install "$1"
        make_venv "$1"
    fi
    venv_stamp "$1" >"$stamp"
}
