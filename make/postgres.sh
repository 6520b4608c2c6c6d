#!/usr/bin/env bash
# The private PostgreSQL: postgres.sh up | stop | psql An installation of its own (copies of the few
# programs, links to everything else), so that the extension gets into no one else's, and a cluster
# of its own on a port of its own. Nothing under /usr changes, and another PostgreSQL on this
# machine is left alone.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# Copied, since PostgreSQL resolves a link to its program before it looks around.
PROGRAMS=(postgres initdb pg_ctl pg_config)

make_place() {
  locate
  mkdir -p -- "$BASE"
  # /var/lib is root's, .local is ours: a folder of somebody else's there is none we should trust.
  [ -O "$BASE" ] || die "$BASE belongs to somebody else; make clean by its owner removes it"
  printf '%s\n' "$ROOT" >"$BASE/checkout"
  printf '%s\n' "$BASE" >"$LOCAL/postgres.place"
}

# make_installation: the tree, and again when the distribution has brought a newer PostgreSQL.
make_installation() {
  local bindir libdir sharedir includedir program
  use_pg_config
  bindir=$("$PG" --bindir) libdir=$("$PG" --pkglibdir) sharedir=$("$PG" --sharedir) includedir=$("$PG" --includedir-server)
  if [ -s "$BASE/bindir" ] && [ "$(<"$BASE/bindir")" = "$bindir" ] && cmp -s "$bindir/postgres" "$TREE$bindir/postgres"; then
    return
  fi
  rm -rf -- "$TREE" "$TREE.new"
  mkdir -p -- "$TREE.new"{"$bindir","$libdir","$sharedir/extension","$includedir"}
  for program in "${PROGRAMS[@]}"; do cp -- "$bindir/$program" "$TREE.new$bindir/"; done
  ln -s -- "$libdir"/* "$TREE.new$libdir/"
  find "$sharedir" -mindepth 1 -maxdepth 1 ! -name extension -exec ln -s -t "$TREE.new$sharedir" -- {} +
  ln -s -- "$sharedir"/extension/* "$TREE.new$sharedir/extension/"
  ln -s -- "$includedir"/* "$TREE.new$includedir/"
  mv -- "$TREE.new" "$TREE"
  printf '%s\n' "$bindir" >"$BASE/bindir"
}

make_cluster() {
  [ ! -e "$DATA" ] || return 0
  local unfinished=$BASE/unfinished
  rm -rf -- "$unfinished" "$BASE/superuser"
  install -d -m 700 -- "$unfinished"
  [ "$(id -u)" != 0 ] || chown "$PG_OS_USER": "$unfinished"
  # The password goes in by standard input, and for initdb through a file that only the server's
  # user can read: on no command line.
  # shellcheck disable=SC2016  # The inner shell is to expand it.
  secret "$BASE/superuser" | as_postgres sh -c 'umask 077 && cat >"$1/password" && "$2" --pgdata="$1/data" --pwfile="$1/password" \
    --username=postgres --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 && rm "$1/password"' _ "$unfinished" "$(pg_bin initdb)" \
    >"$LOGS/initdb.log" 2>&1 || die "making the cluster failed; all of its output is in logs/initdb.log"
  printf "include_if_exists = 'tpro.conf'\n" | as_postgres tee -a "$unfinished/data/postgresql.conf" >/dev/null
  # Whole or not at all: from here on it is the cluster.
  mv -- "$unfinished/data" "$DATA"
  rm -rf -- "$unfinished"
}

# write_settings PORT: the settings that differ from PostgreSQL's defaults.
write_settings() {
  local sockets=$BASE/socket
  install -d -m 711 -- "$sockets"
  [ "$(id -u)" != 0 ] || chown "$PG_OS_USER": "$sockets"
  # The path of a socket has room for 107 bytes; a checkout that lies deeper does without.
  ((${#sockets} < 85)) || sockets=''
  as_postgres tee "$DATA/tpro.conf" >/dev/null <<CONF
listen_addresses = '127.0.0.1'
port = $1
unix_socket_directories = '${sockets//\'/\'\'}'
max_connections = 300
max_prepared_transactions = 10
# A failed statement's text, parameters and DETAIL can hold the body of a message, with a password
# in it: none goes to the log.
log_min_error_statement = panic
log_parameter_max_length_on_error = 0
log_error_verbosity = terse
log_line_prefix = '%m [%p] %q%u@%d %a '
CONF
}

# pid_of_cluster: the server that has the cluster open, also one that something else has started.
pid_of_cluster() {
  as_postgres "$(pg_bin pg_ctl)" status --pgdata="$DATA" >/dev/null && as_postgres head -n 1 "$DATA/postmaster.pid"
}

# start PORT
start() {
  write_settings "$1"
  touch -- "$PG_LOG"
  [ "$(id -u)" != 0 ] || chown "$PG_OS_USER": "$PG_LOG"
  ln -sfn -- "$PG_LOG" "$LOGS/postgres.log"
  (
    let_go
    as_postgres "$(pg_bin pg_ctl)" start --wait --timeout=60 --silent --pgdata="$DATA" --log="$PG_LOG" </dev/null >/dev/null 2>"$RUN/postgres.err"
  ) || {
    last_words postgres "$PG_LOG"
    die "PostgreSQL did not start; its log is logs/postgres.log"
  }
}

up() {
  local at pid port password
  at=$(now_ms)
  lock postgres
  if pid=$(pid_of postgres); then
    [ -z "${PG_PORT:-}" ] || [ "$PG_PORT" = "$(state_get postgres port)" ] ||
      note "postgres runs on port $(state_get postgres port) already: make stop-db first, then PG_PORT=$PG_PORT is taken up"
    remark "      postgres  127.0.0.1:$(state_get postgres port), running"
    return
  fi
  make_place
  make_installation
  make_cluster
  if pid=$(pid_of_cluster); then
    # Started by a make that was ended before it could write that down.
    port=$(as_postgres sed -n 4p "$DATA/postmaster.pid")
  else
    pick_port PG_PORT 55432 "$(state_get postgres port)"
    port=$PORT
    start "$port"
    pid=$(pid_of_cluster)
  fi
  remember postgres "$pid" "port=$port"
  password=$(<"$BASE/superuser")
  (umask 077 && printf '127.0.0.1:%s:*:postgres:%s\n' "$port" "$password" >"$PASSFILE")
  admin --dbname=postgres --set=name="$DATABASE" <<'SQL'
SELECT format('CREATE DATABASE %I', :'name') WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
SQL
  "$ROOT/make/env.sh" save
  say "      postgres  127.0.0.1:$port, started in $(since "$at")"
}

stop() {
  local at
  at=$(now_ms)
  lock postgres
  if ! running postgres; then
    say "      postgres  not running"
    return
  fi
  locate
  as_postgres "$(pg_bin pg_ctl)" stop --wait --timeout=60 --silent --mode=fast --pgdata="$DATA" ||
    die "PostgreSQL did not stop within a minute; its log is logs/postgres.log"
  rm -f -- "$RUN/postgres.pid"
  say "      postgres  stopped in $(since "$at")"
}

# As the local superuser.
psql_as_superuser() {
  "$ROOT/make/postgres.sh" up >&2
  forget_pg
  PGPASSFILE=$PASSFILE exec "$(pg_config_bindir)/psql" --host=127.0.0.1 --port="$(state_get postgres port)" --username=postgres --dbname="$DATABASE"
}

# percent_decoded TEXT: with its %-codes replaced; nothing else in it means anything.
percent_decoded() {
  local rest=$1
  while [[ $rest =~ ^([^%]*)%([0-9A-Fa-f]{2})(.*)$ ]]; do
    printf '%s%b' "${BASH_REMATCH[1]}" "\\x${BASH_REMATCH[2]}"
    rest=${BASH_REMATCH[3]}
  done
  printf '%s' "$rest"
}

# As main; who has a database of one's own set for main, there.
psql_as_main() {
  local url
  if [ -z "$(users DATABASE_URL main)" ]; then
    "$ROOT/make/service.sh" database main >&2
    forget_pg
    url=$(dotenv_get services/main/.env DATABASE_URL)
  else
    url=$(users DATABASE_URL main)
  fi
  # The password goes by the environment: a command line can be read by everybody.
  if [[ $url =~ ^(postgres(ql)?://[^/@:]+):([^@/]*)@(.*)$ ]]; then
    url=${BASH_REMATCH[1]}@${BASH_REMATCH[4]}
    PGPASSWORD=$(percent_decoded "${BASH_REMATCH[3]}")
    export PGPASSWORD
  fi
  exec "$(pg_config_bindir)/psql" "$url"
}

case ${1:-} in
  up) up ;;
  stop) stop ;;
  psql)
    case ${AS:-main} in
      main) psql_as_main ;;
      postgres) QUIET=yes psql_as_superuser ;;
      *) die "AS=$AS: make psql is as main, or with AS=postgres as the local superuser" ;;
    esac
    ;;
  *) die "usage: postgres.sh up | stop | psql" ;;
esac
