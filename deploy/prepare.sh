#!/usr/bin/env bash
# Makes deploy/.env and the secrets in deploy/secrets/ that are missing; what is there is kept. Safe to repeat.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
[ -e .env ] || (umask 077 && cp .env.example .env && chmod 600 .env)
# Containers read these as users of their own, whatever the umask was under which the checkout was made.
find Caddyfile rabbitmq.conf ! -perm -o=r -exec chmod a+r {} +

# The folder is closed to others; the files are readable, for containers read them as a user of their own.
mkdir -p secrets && chmod 700 secrets
put() { # NAME, from standard input; never half written
    [ -s "secrets/$1" ] && { cat >/dev/null; return; }
    (umask 022 && cat >"secrets/.$1.new" && mv "secrets/.$1.new" "secrets/$1")
}
random() { head -c "$1" /dev/urandom | base64 -w0 | tr '+/' '-_' | tr -d '='; }

head -c 32 /dev/urandom | base64 -w0 | put master.key
for name in operator.token link.key postgres.password rabbitmq.password ingest.password routing.password history.password; do
    random 32 | put "$name"
done
rabbitmq=$(cat secrets/rabbitmq.password)
printf 'default_user = callbus\ndefault_pass = %s\n' "$rabbitmq" | put rabbitmq-user.conf
printf 'amqp://callbus:%s@rabbitmq:5672/' "$rabbitmq" | put amqp.url
printf 'postgresql://callbus:%s@postgres:5432/callbus' "$(cat secrets/postgres.password)" | put admin.dsn
for service in ingest history; do
    printf 'postgresql://callbus_%s:%s@postgres:5432/callbus' "$service" "$(cat "secrets/$service.password")" | put "$service.dsn"
done
