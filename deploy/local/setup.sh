#!/usr/bin/env bash
# Sets up what Callbus needs on Debian 12, a recent Ubuntu or the like: RabbitMQ, PostgreSQL and Caddy from the
# distribution's packages, and the Python environment in .venv. Installs only what is missing; with nothing missing it
# takes a fraction of a second. Safe to interrupt, to repeat and to run twice at once.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# --- the distribution's packages ------------------------------------------------------------------------------------

suitable_python() { # prints the first Python that is new enough and can make environments
    local candidate
    for candidate in "${PYTHON:-python3}" /usr/bin/python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

missing_packages() {
    local packages=()
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || packages+=(rabbitmq-server)
    compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || packages+=(postgresql)
    command -v caddy >/dev/null 2>&1 || packages+=(caddy)
    # What the documents paste, and a test of them runs.
    command -v curl >/dev/null 2>&1 || packages+=(curl)
    # An environment that works needs no other Python beside it.
    [ -x .venv/bin/python ] || suitable_python >/dev/null || packages+=(python3 python3-venv)
    printf '%s ' "${packages[@]}"
}

install_packages() {
    local as_root=()
    command -v apt-get >/dev/null 2>&1 ||
        fail "this is not a Debian or Ubuntu system; install these yourself and run again: $*"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 ||
            fail "missing packages, and neither root nor sudo to install them; ask for: apt-get install $*"
        as_root=(sudo)
        # Without a terminal nobody could type a password.
        [ -t 0 ] || as_root=(sudo -n)
    fi
    echo "setup: installing $*" >&2
    "${as_root[@]}" bash "$here/install-packages.sh" "$@" ||
        fail "could not install; as root, run: bash $here/install-packages.sh $*"
}

# --- the Python environment -----------------------------------------------------------------------------------------

wanted_stamp() { # what the environment was made from; its scripts hold the path of the checkout
    echo "$root"
    cat requirements/dev.txt pyproject.toml | sha256sum
}

environment_is_current() {
    [ -f .venv/.stamp ] && [ "$(wanted_stamp)" = "$(cat .venv/.stamp)" ] && .venv/bin/python -c '' 2>/dev/null
}

make_environment() {
    local python fresh=()
    # A half-made environment, or one of a checkout that has been moved, is made anew.
    if [ -e .venv/.unfinished ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        fresh=(--clear)
    elif [ -f .venv/.stamp ] && [ "$(head -n 1 .venv/.stamp)" != "$root" ]; then
        fresh=(--clear)
    fi
    if [ ${#fresh[@]} -gt 0 ]; then
        python=$(suitable_python) || fail "Python 3.11 or newer with venv is needed; this system has $(python3 --version 2>&1)"
        mkdir -p .venv && touch .venv/.unfinished
        "$python" -m venv --clear .venv
    fi
    touch .venv/.unfinished
    rm -f .venv/.stamp
    echo "setup: installing Python packages into .venv" >&2
    .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --require-hashes -r requirements/dev.txt
    .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --no-deps --no-build-isolation -e .
    wanted_stamp >.venv/.stamp
    rm .venv/.unfinished
}

exec 9<"$root"
flock 9 # one at a time in this checkout; the lock ends with this process
missing=$(missing_packages)
# shellcheck disable=SC2086 # one word per package
[ -z "${missing// /}" ] || install_packages $missing
environment_is_current || make_environment
