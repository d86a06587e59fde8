#!/usr/bin/env bash
# Brings deploy/docker-compose.yml up for real, from nothing, on a machine without a container registry: the official base
# images are stood in for by images made of Debian's packages, by a Docker daemon of its own. That shows our files and how
# they fit together, not the vendors' images. Needs root, Debian 12 and about 5 GB; leaves the packages and images behind
# under CALLBUS_COMPOSE_DIR (default /var/tmp/callbus-compose), and nothing running.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${CALLBUS_COMPOSE_DIR:-/var/tmp/callbus-compose}

say() { printf 'compose: %4d s  %s\n' "$SECONDS" "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

[ "$(id -u)" -eq 0 ] || fail "only root can start a Docker daemon"
mkdir -p "$work"
exec 9<"$work"
flock -n 9 || fail "another run holds $work"

# --- Docker, with compose --------------------------------------------------------------------------------------------

mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | head -n 1)
install_packages() {
    local missing=()
    for package in docker.io debootstrap; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "installing ${missing[*]}"
    apt-get update -qq
    # Nothing starts by itself: the daemon of this test is its own.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

# Debian 12 has compose 1; the plugins of the next release run here as they are.
fetch_plugins() {
    local plugins=$work/docker/cli-plugins apt=$work/apt
    [ -x "$plugins/docker-compose" ] && [ -x "$plugins/docker-buildx" ] && return
    say "fetching docker compose"
    mkdir -p "$plugins" "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/etc"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$apt/etc/sources.list"
    local private=(-o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o "Dir::Etc::sourcelist=$apt/etc/sources.list"
        -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root)
    apt-get "${private[@]}" update -qq
    (cd "$apt" && apt-get "${private[@]}" download -qq docker-compose docker-buildx)
    for package in docker-compose docker-buildx; do
        dpkg-deb -x "$apt/${package}"_*.deb "$apt/$package"
        find "$apt/$package" -type f -path "*/cli-plugins/$package" -exec cp {} "$plugins/" \;
    done
}

export DOCKER_HOST=unix://$work/docker.sock DOCKER_CONFIG=$work/docker
start_daemon() {
    say "starting a Docker daemon"
    dockerd --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/docker.pid" -H "$DOCKER_HOST" \
        >"$work/dockerd.log" 2>&1 &
    daemon=$!
    for _ in $(seq 100); do
        docker info >/dev/null 2>&1 && return
        kill -0 "$daemon" 2>/dev/null || break
        sleep 0.2
    done
    tail -n 20 "$work/dockerd.log" >&2
    fail "the Docker daemon does not come up"
}
stop_daemon() {
    kill "$daemon" 2>/dev/null || return 0
    wait "$daemon" 2>/dev/null || true
    # What it leaves behind: its bridge and its rules.
    ip link delete docker0 2>/dev/null || true
    for table in nat filter; do
        iptables-save -t "$table" 2>/dev/null | grep -q DOCKER || continue
        iptables-save -t "$table" | grep -v -i docker | iptables-restore -T "$table" 2>/dev/null || true
    done
}

# --- stand-ins for the official images --------------------------------------------------------------------------------

import_root() { # IMAGE SUITE PACKAGES: a minimal Debian with some packages, which trusts what this machine trusts
    local image=$1 suite=$2 packages=$3 tree
    docker image inspect "$image" >/dev/null 2>&1 && return
    say "making $image"
    tree=$(mktemp -d "$work/root.XXXXXX")
    debootstrap --variant=minbase --include="ca-certificates,$packages" "$suite" "$tree" "$mirror" >"$work/debootstrap.log" 2>&1 ||
        { tail -n 5 "$work/debootstrap.log" >&2; fail "debootstrap of $suite failed"; }
    cp /usr/local/share/ca-certificates/*.crt "$tree/usr/local/share/ca-certificates/" 2>/dev/null || true
    chroot "$tree" update-ca-certificates >/dev/null 2>&1
    rm -rf "$tree/var/cache/apt/archives"/*.deb "$tree/var/lib/apt/lists"/*
    local certificates=/etc/ssl/certs/ca-certificates.crt
    tar -C "$tree" -c . | docker import --change "ENV SSL_CERT_FILE=$certificates" --change "ENV PIP_CERT=$certificates" - "$image" >/dev/null
    rm -rf "$tree"
}

build_stand_ins() {
    import_root callbus-test/trixie-broker trixie rabbitmq-server
    import_root callbus-test/trixie-postgres trixie postgresql-17
    import_root callbus-test/bookworm-caddy bookworm caddy
    import_root callbus-test/trixie-python trixie python3,python3-venv,python3-pip
    for image in rabbitmq:4-management postgres:17 caddy:2 python:3.12-slim; do
        name=${image%%:*}
        docker build -q -t "$image" "$here/$name" >/dev/null
    done
}

# --- the test --------------------------------------------------------------------------------------------------------

install_packages
fetch_plugins
start_daemon
checkout=$(mktemp -d "$work/checkout.XXXXXX")
compose() { docker compose -p callbus-test -f "$checkout/deploy/docker-compose.yml" --env-file "$checkout/deploy/.env" "$@"; }
finish() {
    status=$?
    [ "$status" -eq 0 ] || compose logs --no-color --tail 30 >&2 || true
    compose down -v --timeout 20 >/dev/null 2>&1 || true
    stop_daemon
    rm -rf "$checkout"
    exit "$status"
}
trap finish EXIT
build_stand_ins
# The files that are committed or about to be, without what a run leaves in the checkout.
git -C "$root" ls-files -co --exclude-standard -z | tar -C "$root" --null -T - -c | tar -C "$checkout" -x
# As an operator other than root has them, who lets nobody else look at his files.
chmod -R go= "$checkout"
chown -R 12345:12345 "$checkout"
chmod a+x "$work" "$checkout"
(umask 077 && setpriv --reuid=12345 --regid=12345 --clear-groups "$checkout/deploy/prepare.sh")
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
sed -i "s|^CALLBUS_HTTP_PORT=.*|CALLBUS_HTTP_PORT=$port|; s|^CALLBUS_HTTPS_PORT=.*|CALLBUS_HTTPS_PORT=0|; s|^CALLBUS_BASE_URL=.*|CALLBUS_BASE_URL=http://127.0.0.1:$port|" "$checkout/deploy/.env"
say "building, up"
compose up -d --build --wait
say "running: $(docker image inspect -f '{{.Size}}' callbus:local | numfmt --to=iec) image"
docker stats --no-stream --format '  {{.Name}} {{.MemUsage}}' >&2
export CALLBUS_COMPOSE="docker compose -p callbus-test -f $checkout/deploy/docker-compose.yml --env-file $checkout/deploy/.env"
python3 "$here/drive.py" "http://127.0.0.1:$port"
say "everything passed"
