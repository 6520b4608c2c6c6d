#!/usr/bin/env bash
# Makes the parts of a service: create.sh crate | env | sql | unsettled |
# forget NAME, create.sh demo
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# crate NAME: services/template under a new name.
crate() {
  local name=$1 draft=$LOCAL/create/$1 word file
  must_be_name "$name"
  [ ! -e "services/$name" ] || die "services/$name is there already: make up-$name runs it"
  lock workspace
  # Made elsewhere and moved into its place whole: every folder in services/ is in the workspace,
  # and a half one would stop all cargo.
  rm -rf -- "$draft"
  mkdir -p -- "$LOCAL/create"
  cp -R -- services/template "$draft"
  rm -f -- "$draft/.env"
  for word in ${name//_/ }; do Pascal+=${word^}; done
  find "$draft" -type f -print0 | while IFS= read -r -d '' file; do
    sed -i -e "s/template/$name/g" -e "s/Template/$Pascal/g" -- "$file"
  done
  sed -i "s/^description = .*/description = \"The service \`$name\`.\"/" "$draft/Cargo.toml"
  mv -- "$draft" "services/$name"
  use_cargo
  # The new package joins Cargo.lock now, so that --locked goes on passing.
  if ! cargo update --workspace --offline --quiet 2>"$LOGS/create.log"; then
    rm -rf -- "services/$name"
    cat -- "$LOGS/create.log" >&2
    die "services/$name could not join the workspace and is taken back"
  fi
  unlock workspace
  say "      services/$name made from the template"
  "$ROOT/make/create.sh" env "$name"
  if [ -z "$(users DATABASE_URL "$name")" ]; then
    tpro_local part cluster
    tpro_local part extension-of-release
    "$ROOT/make/create.sh" sql "$name"
  fi
  say "      make up-$name runs it; what it answers is in services/$name/src/handlers_subscribe.rs"
}
Pascal=''

# next_service_port: the demo's three have the ports the docs name; a new service the next that no
# other .env has.
next_service_port() {
  local port
  case $1 in
    main) port=8081 ;;
    analytic) port=8082 ;;
    co) port=8083 ;;
    *)
      port=8084
      while service_ports | grep -x "$port" >/dev/null; do port=$((port + 1)); done
      ;;
  esac
  printf '%s' "$port"
}

# env NAME: services/NAME/.env. One that is there keeps every line that its user wrote; make's own
# lines follow the local installation.
env_file() {
  local name=$1 file=services/$1/.env template=make/service.env port
  lock "env-$name"
  if [ ! -e "$file" ]; then
    [[ $PERSON_LANG != ru* ]] || template=make/ru/service.env
    (
      umask 077
      sed "s/@NAME@/$name/g" "$template" >"$file"
    )
    say "      $file written"
    # The keys that only make can fill in, once.
    dotenv_put "$file" SERVICE_PORT "$(next_service_port "$name")"
  elif [ "${TOLD:-}" = yes ]; then
    say "      $file is there already and stays; remove it first to have it made again"
  fi
  chmod 600 "$file"
  if [ -f "$RUN/nats.state" ]; then
    dotenv_put "$file" NATS_URL "nats://127.0.0.1:$(state_get nats port)"
    # A login goes with the server it is for. Before there were users, it was a token.
    dotenv_drop "$file" NATS_TOKEN
    if dotenv_is_ours "$file" NATS_URL && [ -z "$(dotenv_get "$file" NATS_TOKEN)" ]; then
      dotenv_put "$file" NATS_USER "$name"
      dotenv_put "$file" NATS_PASSWORD "$(nats_password "$name")"
      tpro_local part nats-users
    else
      dotenv_drop "$file" NATS_USER
      dotenv_drop "$file" NATS_PASSWORD
    fi
  fi
  if [ -f "$RUN/jaeger.state" ]; then
    dotenv_put "$file" OTEL_EXPORTER_OTLP_ENDPOINT "http://127.0.0.1:$(state_get jaeger otlp)"
    dotenv_put "$file" JAEGER_PUBLIC_URL "http://127.0.0.1:$(state_get jaeger ui)"
  fi
  port=$(state_get postgres port)
  if [ -n "$port" ] && dotenv_is_ours "$file" DATABASE_URL; then
    dotenv_put "$file" DATABASE_URL "$(database_url "$name" "$(password_in "$file")")"
  fi
}

database_url() { printf 'postgres://%s:%s@127.0.0.1:%s/%s' "$1" "$2" "$(state_get postgres port)" "$DATABASE"; }
password_in() { dotenv_get "$1" DATABASE_URL | sed -nE 's#^postgres://[^:]*:([^@]*)@.*#\1#p'; }

# sql NAME: login role, schema, grants, and the service's own scripts, in the local database.
sql() {
  local name=$1 file=services/$1/.env password script
  # Somebody else's server gets nothing from us without being asked to.
  [ -z "$(users DATABASE_URL "$name")" ] ||
    die "DATABASE_URL of $name is your own: psql \"\$DATABASE_URL\" -v name=$name -f sql/login.sql as a superuser there makes role and schema (README: your own PostgreSQL)"
  tpro_local part cluster >/dev/null
  lock "sql-$name"
  env_file "$name"
  password=$(password_in "$file")
  if [ -z "$password" ]; then
    password=t$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
    dotenv_put "$file" DATABASE_URL "$(database_url "$name" "$password")"
  elif [ "${TOLD:-}" != yes ] && PGPASSWORD=$password psql_local "$name" \
    --command="SELECT FROM ${name}_service.mq_publish LIMIT 0" >/dev/null 2>&1; then
    return
  fi
  # Through the environment: a command line can be read by everybody.
  LOGIN_PASSWORD=$password admin --set=name="$name" --file=sql/login.sql >"$LOGS/sql.log" 2>&1 || {
    tail -n 15 -- "$LOGS/sql.log" >&2
    die "making the schema of $name failed; all of its output is in logs/sql.log"
  }
  for script in "services/$name"/sql/*.sql; do
    [ -e "$script" ] || continue
    # As the owner of the service's schema and in it; the service's own login may not change tables.
    # The script grants the rights of the sidecar on a new table: GRANT ... TO NAME_sidecar.
    admin --command='SET ROLE tpro_owner' --command="SET search_path = ${name}_service" --file="$script" >>"$LOGS/sql.log" 2>&1 || {
      tail -n 15 -- "$LOGS/sql.log" >&2
      die "$script failed; all of its output is in logs/sql.log"
    }
  done
  say "      schema ${name}_service and login role $name are there"
}

# demo: people who can log in through analytic.
demo() {
  lock sql-demo
  admin --file=sql/demo.sql >"$LOGS/sql.log" 2>&1 || {
    tail -n 15 -- "$LOGS/sql.log" >&2
    die "making the demo's data failed; all of its output is in logs/sql.log"
  }
}

# unsettled NAME: the number of messages of the service without a reply; 0 without a database.
unsettled() {
  if [ ! -f "$RUN/postgres.state" ]; then
    echo 0
    return
  fi
  tpro_local part cluster >&2
  admin --set=name="$1" <<<"SELECT to_regclass('tpro.services') IS NOT NULL AS made \\gset
\\if :made
SELECT coalesce(sum(unsettled), 0) FROM tpro.services WHERE name = :'name';
\\else
SELECT 0;
\\endif" || die "the unsettled messages of $1 cannot be counted"
}

# forget NAME: the schema with all its contents, and the role.
forget() {
  local name=$1
  [ -f "$RUN/postgres.state" ] || return 0
  tpro_local part cluster
  admin --set=name="$name" --file=sql/logout.sql >"$LOGS/sql.log" 2>&1 || {
    tail -n 15 -- "$LOGS/sql.log" >&2
    die "removing the schema of $name failed; all of its output is in logs/sql.log"
  }
}

action=${1:-} name=${2:-}
case $action in
  crate) crate "$name" ;;
  env) must_be_service "$name" && env_file "$name" ;;
  demo) demo ;;
  sql | unsettled | forget) must_be_service "$name" && "$action" "$name" ;;
  *) die "usage: create.sh crate | env | sql | unsettled | forget NAME, or demo" ;;
esac
