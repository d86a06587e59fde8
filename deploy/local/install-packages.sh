#!/usr/bin/env bash
# Installs the named packages, as root, without starting, enabling or changing any service of the system: Callbus runs
# private instances. What is installed already is left as it is.
set -euo pipefail
[ "$(id -u)" -eq 0 ] || { echo "install-packages: must run as root" >&2; exit 1; }

exec 8>/run/callbus-install-packages.lock
flock 8 # two checkouts may be set up at once

policy=/usr/sbin/policy-rc.d
cluster_settings=/etc/postgresql-common/createcluster.conf
made_policy=
saved_settings=

restore() {
    [ -z "$made_policy" ] || rm -f "$policy"
    [ -z "$saved_settings" ] || mv -f "$saved_settings" "$cluster_settings"
}
trap restore EXIT
trap 'exit 130' INT TERM HUP

apt() { # never asks, never waits for ever on another installation
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null
}

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

new_units=() # of services that this installation brings, to be left off
note_unit() {
    installed "$1" || new_units+=("${@:2}")
}
note_unit rabbitmq-server rabbitmq-server.service
note_unit erlang-base epmd.service epmd.socket
note_unit postgresql-common postgresql.service
note_unit caddy caddy.service

if [ ! -e "$policy" ]; then
    # Asked by every package before it starts or restarts a service: 101 means "not allowed".
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    made_policy=yes
    chmod 755 "$policy"
fi

apt update
if [[ " $* " == *" postgresql "* ]]; then
    # Only with this setting does the server's package not create a database cluster of the system.
    apt install --no-install-recommends postgresql-common
    saved_settings=$(mktemp "$cluster_settings.XXXXXX")
    cp -p "$cluster_settings" "$saved_settings"
    echo 'create_main_cluster = false' >>"$cluster_settings"
fi
apt install --no-install-recommends "$@"

for unit in "${new_units[@]}"; do
    # Works on files alone, whether systemd runs or not.
    ! command -v systemctl >/dev/null 2>&1 || systemctl --quiet disable "$unit" 2>/dev/null || true
    [ ! -e "/etc/init.d/${unit%.service}" ] || update-rc.d "${unit%.service}" disable >/dev/null 2>&1 || true
done
