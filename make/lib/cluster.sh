#!/usr/bin/env bash
# shellcheck disable=SC2034  # What is set here is for the scripts that source it.
# PostgreSQL as this checkout has it: which installation it comes from, where the private one lies,
# how to talk to it.

PG_MAJOR=15
DATABASE=tpro

# The installation that everything starts from: PG_CONFIG if it is given, else the distribution's.
PG_CONFIG_DEFAULT=/usr/lib/postgresql/$PG_MAJOR/bin/pg_config
pg_config_path() {
  if [ -n "${PG_CONFIG:-}" ]; then
    printf '%s' "$PG_CONFIG"
  elif [ -x "$PG_CONFIG_DEFAULT" ]; then
    printf '%s' "$PG_CONFIG_DEFAULT"
  elif command -v pg_config >/dev/null && [[ $(pg_config --version) =~ ^PostgreSQL\ ${PG_MAJOR}[.\ ] ]]; then
    command -v pg_config
  else
    printf '%s' "$PG_CONFIG_DEFAULT"
  fi
}

# use_pg_config: sets PG to the pg_config to build with and tells pgrx. It does not if
# .cargo/config.toml tells pgrx of that one: a path that comes from another place makes cargo build
# the bindings again.
use_pg_config() {
  PG=$(pg_config_path)
  [ -x "$PG" ] || die "PG_CONFIG=$PG is no program: run make setup, or set PG_CONFIG to the pg_config of a PostgreSQL $PG_MAJOR"
  [[ $("$PG" --version) =~ ^PostgreSQL\ ${PG_MAJOR}[.\ ] ]] ||
    die "PG_CONFIG=$PG is of $("$PG" --version): the extension is built for PostgreSQL $PG_MAJOR"
  [ "$PG" = "$PG_CONFIG_DEFAULT" ] || export PGRX_PG_CONFIG_PATH=$PG
}

# Arguments of env that take libpq's variables away (PGHOST, PGSSLMODE, PGTARGETSESSIONATTRS, ...):
# the user's own must not lead those astray who go to the local database, nor the server: it reads
# some of them itself. PG_PORT and the like are settings of make.
WITHOUT_PG=()
while IFS= read -r variable; do
  [[ ! $variable =~ ^PG[A-Z]+ || $variable == PGRX_* ]] || WITHOUT_PG+=("--unset=$variable")
done < <(compgen -e)
unset variable

# PostgreSQL does not run as root; under root it runs as this user.
PG_OS_USER=postgres

# as_postgres COMMAND...: as the user that the server runs as, from a folder that it may enter.
as_postgres() {
  if [ "$(id -u)" = 0 ]; then
    (cd / && HOME=$BASE exec env "${WITHOUT_PG[@]}" setpriv --reuid="$PG_OS_USER" --regid="$PG_OS_USER" --init-groups -- "$@")
  else
    env "${WITHOUT_PG[@]}" "$@"
  fi
}

# locate: sets BASE, where the cluster and its private installation lie. In .local; but where root
# has a checkout that the server's user cannot enter (under /root, say), in a folder of /var/lib
# that is named after the checkout.
locate() {
  local place=$LOCAL/postgres.place
  BASE=$(cat -- "$place" 2>/dev/null || true)
  # A note of a place is believed where the place confirms it.
  if [ -n "$BASE" ] && ! is_anothers "$(cat -- "$BASE/checkout" 2>/dev/null || true)"; then
    :
  elif [ "$(id -u)" != 0 ]; then
    BASE=$LOCAL/postgres
  else
    id -u "$PG_OS_USER" >/dev/null 2>&1 || die "PostgreSQL does not run as root and there is no user $PG_OS_USER: install a PostgreSQL package, which makes it"
    BASE=$LOCAL/postgres
    mkdir -p -- "$BASE"
    (cd / && setpriv --reuid="$PG_OS_USER" --regid="$PG_OS_USER" --init-groups -- test -x "$BASE") ||
      BASE=/var/lib/tpro-$(digest "$ROOT")
  fi
  DATA=$BASE/data
  # The private installation has the distribution's paths under it: PostgreSQL finds its folders
  # relative to its program.
  TREE=$BASE/installation
  PG_LOG=$BASE/postgres.log
}

# bin PROGRAM: in the private installation.
pg_bin() { printf '%s%s/%s' "$TREE" "$(<"$BASE/bindir")" "$1"; }

pg_config_bindir() { "$(pg_config_path)" --bindir; }

# forget_pg: takes them away from this script.
forget_pg() {
  local variable
  for variable in "${WITHOUT_PG[@]}"; do unset "${variable#--unset=}"; done
}

# psql_local USER ARGUMENTS...: in the local database, for scripts. The password comes by PGPASSWORD
# or PGPASSFILE.
psql_local() {
  local user=$1 port variable without=()
  shift
  port=$(state_get postgres port)
  # Without a port psql would go to any server on 5432.
  [ -n "$port" ] || die "the local PostgreSQL has not been started yet: make up-db"
  for variable in "${WITHOUT_PG[@]}"; do [[ $variable =~ =PGPASS(WORD|FILE)$ ]] || without+=("$variable"); done
  env "${without[@]}" \
    "$(pg_config_bindir)/psql" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --no-align --tuples-only \
    --host=127.0.0.1 --port="$port" --username="$user" --dbname="$DATABASE" "$@"
}

# The superuser's password comes from a file, and a login's by the environment: everybody can read a
# command line.
PASSFILE=$LOCAL/pgpass
admin() {
  # shellcheck disable=SC2030,SC2031  # In this subshell only.
  (unset PGPASSWORD && PGPASSFILE=$PASSFILE psql_local postgres "$@")
}
