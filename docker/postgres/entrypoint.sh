#!/usr/bin/env bash
# Starts PostgreSQL in the way of the official image. An empty PGDATA becomes a cluster first:
#   POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE   password of the superuser; must be set
#   POSTGRES_USER (postgres), POSTGRES_DB (as the user), POSTGRES_INITDB_ARGS
#   /docker-entrypoint-initdb.d                   *.sh, *.sql and *.sql.gz, by their names, in the new database
set -euo pipefail

[ "${1:-postgres}" = postgres ] || [ "${1#-}" != "$1" ] || exec "$@"
[ "${1#-}" = "${1:-}" ] || set -- postgres "$@"
if [ -s "$PGDATA/PG_VERSION" ]; then
  made=$(cat -- "$PGDATA/PG_VERSION") mine=$(postgres --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
  [ "$made" = "$mine" ] || {
    echo "error: the data in $PGDATA are of PostgreSQL $made, and this image has $mine: give it another volume; a dump of $made can be restored there" >&2
    exit 1
  }
  exec "$@"
fi

user=${POSTGRES_USER:-postgres} database=${POSTGRES_DB:-${POSTGRES_USER:-postgres}}
password=${POSTGRES_PASSWORD:-}
[ -z "${POSTGRES_PASSWORD_FILE:-}" ] || password=$(cat -- "$POSTGRES_PASSWORD_FILE")
if [ -z "$password" ]; then
  echo "error: the cluster is to be made and POSTGRES_PASSWORD (or POSTGRES_PASSWORD_FILE) is not set" >&2
  exit 1
fi
# The password is neither in an argument nor in the environment of what is started.
unset POSTGRES_PASSWORD PGPASSWORD
umask 077
mkdir -p -- "$PGDATA"
chmod 700 -- "$PGDATA" 2>/dev/null || true
arguments=()
[ -z "${POSTGRES_INITDB_ARGS:-}" ] || read -ra arguments <<<"$POSTGRES_INITDB_ARGS"
initdb --pgdata="$PGDATA" --username="$user" --pwfile=<(printf '%s\n' "$password") --encoding=UTF8 --locale=C.UTF-8 \
  --auth-local=trust --auth-host=scram-sha-256 "${arguments[@]}"
printf '\nhost all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
printf "listen_addresses = '*'\n" >>"$PGDATA/postgresql.conf"

# On its socket only, until it is whole.
pg_ctl --pgdata="$PGDATA" --options="-c listen_addresses=''" --wait start
psql=(psql --no-psqlrc --set=ON_ERROR_STOP=1 --username="$user" --no-password)
if [ "$database" != postgres ]; then
  "${psql[@]}" --dbname=postgres --set=name="$database" <<<'CREATE DATABASE :"name"'
fi
for file in /docker-entrypoint-initdb.d/*; do
  case $file in
    *.sh)
      echo "running $file"
      # shellcheck source=/dev/null
      if [ -x "$file" ]; then "$file"; else . "$file"; fi
      ;;
    *.sql) "${psql[@]}" --dbname="$database" --file="$file" ;;
    *.sql.gz) gunzip -c -- "$file" | "${psql[@]}" --dbname="$database" ;;
  esac
done
pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
exec "$@"
