#!/usr/bin/env bash
# The running copies of a service: service.sh database | up | roll | stop | down | down-all | logs |
# maintain NAME COPY_NUMBER, SERVICE_VERSION and SERVICE_PORT come from the environment.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# The time that a copy has to stop beyond its own STOP_TIMEOUT: telemetry is flushed for up to 5 s
# after it.
STOP_GRACE=10

# database NAME: the service's database is there and runs. Speaks of what it does only.
database() {
  export QUIET=yes
  "$ROOT/make/create.sh" env "$1"
  if [ -z "$(users DATABASE_URL "$1")" ]; then
    tpro_local part cluster
    tpro_local part extension-of-release
    "$ROOT/make/create.sh" sql "$1"
    # The function that the example asks of the user's own application, unless it is there.
    [ "$1" != analytic ] || "$ROOT/make/create.sh" demo
  fi
}

# ready NAME: everything that the service needs is there and runs.
ready() {
  database "$1"
  [ -n "$(users NATS_URL "$1")" ] || tpro_local up-nats
  [ -n "$(users OTEL_EXPORTER_OTLP_ENDPOINT "$1")" ] || tpro_local up-jaeger
  # Once more: the local addresses may be others than when the file was written.
  "$ROOT/make/create.sh" env "$1"
}

# choose_port NAME COPY: sets PORT. The first copy takes the .env's, or the next free one; the
# others one that is in nobody's .env.
choose_port() {
  local first remembered highest
  remembered=$(state_get "$1-$2" port)
  first=$(dotenv_get "services/$1/.env" SERVICE_PORT)
  if [ -z "${SERVICE_PORT:-}" ] && [ "$2" = 1 ] && [ -n "$(users SERVICE_PORT "$1")" ]; then
    SERVICE_PORT=$first pick_port SERVICE_PORT 8081
  else
    if [ "$2" != 1 ]; then
      highest=$(service_ports | sort -n | tail -n 1)
      first=$((${highest:-8080} + 1))
    fi
    pick_port SERVICE_PORT "${first:-8081}" "$remembered"
  fi
}

# start NAME COPY VERSION: the process, of the kept release; sets PID and PORT.
start() {
  local name=$1 copy=$2 version=$3 me=$1-$2 log settings=() until
  log=$(service_log "$name" "$copy")
  lock ports
  choose_port "$name" "$copy"
  settings=("COPY_NUMBER=$copy" "SERVICE_PORT=$PORT")
  [ "$copy" = 1 ] || [ -n "${LOG_FILE_NAME:-}" ] || settings+=("LOG_FILE_NAME=$log")
  local without=()
  [ -n "$(users DATABASE_URL "$name")" ] || without=("${WITHOUT_PG[@]}")
  spawn "$me" env "${without[@]}" "${settings[@]}" "$(release_of "$name" "$version")"
  remember "$me" "$PID" "port=$PORT" "version=$version"
  # Its port is taken once it listens there; until then nobody else may choose one.
  until=$(($(now_ms) + 10000))
  until listening "$PORT" || ! running "$me" || (($(now_ms) > until)); do sleep 0.02; done
  unlock ports
}

up() {
  local name=$1 copy pid version
  copy=$(copy_number)
  copy=${copy:-1}
  lock "service-$name"
  version=$(release_version "$name")
  if pid=$(pid_of "$name-$copy"); then
    say "      $name $copy  http://127.0.0.1:$(state_get "$name-$copy" port), running already (pid $pid)"
    [ ! "$PROFILE/${name}_service" -nt "$(release_of "$name" "$(state_get "$name-$copy" version)")" ] ||
      note "      it runs an older build: make roll-$name replaces it without a pause"
    return
  fi
  ready "$name"
  build "building $name" --bin "${name}_service"
  keep_release "$name" "$version"
  begin "$name" "$copy" "$version"
}

# begin NAME COPY VERSION: starts it and waits until it is ready.
begin() {
  local name=$1 copy=$2 version=$3 me=$1-$2 log at waits until patience
  log=$(service_log "$name" "$copy")
  patience=$(whole_number UP_TIMEOUT 60)
  at=$(now_ms)
  start "$name" "$copy" "$version"
  until=$(($(now_ms) + patience * 1000)) waits=''
  until http_get "$PORT" /readyz && [ "$STATUS" = 200 ]; do
    if ! running "$me"; then
      last_words "$me" "$log"
      die "$name $copy ended instead of starting; its log is $log"
    fi
    if (($(now_ms) > until)); then
      last_words "$me" "$log"
      die "$name $copy runs (pid $PID) but is not ready after $patience s (UP_TIMEOUT); http://127.0.0.1:$PORT/readyz says: ${BODY//$'\n'/ }"
    fi
    # Its reasons for waiting, each time that they have changed and lasted: /readyz names each
    # failing check.
    if [ "$BODY" != "$waits" ] && (($(now_ms) - at > 1500)); then
      waits=$BODY
      note "      $name $copy  waiting: ${waits//$'\n'/ }"
    fi
    sleep 0.05
  done
  tpro_local part env
  say "      $name $copy  http://127.0.0.1:$PORT, ready in $(since "$at"), log $log"
}

# roll NAME: the release of SERVICE_VERSION in place of what runs. Each copy is drained once its
# successor is ready, so that somebody always answers. A version that is kept is started as it is, a
# new one (or REBUILD=yes) is built.
roll() {
  local name=$1 version olds=() old next rc
  copy_number >/dev/null
  lock "service-$name"
  version=$(release_version "$name")
  for old in $(chosen_copies "$name"); do ! running "$name-$old" || olds+=("$old"); done
  if ((${#olds[@]} == 0)); then
    [ -z "${COPY_NUMBER:-}" ] || die "$name $COPY_NUMBER does not run, so there is nothing to replace; make up-$name starts it"
    say "      $name  does not run, so it is started"
    up "$name"
    return
  fi
  ready "$name"
  if [ -n "${SERVICE_VERSION:-}" ] && [ "${REBUILD:-}" != yes ] && [ -x "$(release_of "$name" "$version")" ]; then
    say "      $name $version  is kept and started as it is (REBUILD=yes builds it again)"
  else
    build "building $name" --bin "${name}_service"
    keep_release "$name" "$version"
  fi
  for old in "${olds[@]}"; do
    next=1
    while running "$name-$next"; do next=$((next + 1)); done
    # Not as a condition: that would switch off the end at the first error.
    set +e
    (
      set -e
      begin "$name" "$next" "$version"
    )
    rc=$?
    set -e
    if ((rc != 0)); then
      stop_copies "$name" "$next"
      state_forget "$name-$next"
      die "$name $version did not become ready; $name $old (version $(state_get "$name-$old" version)) goes on"
    fi
    stop_copies "$name" "$old"
    state_forget "$name-$old"
  done
  tpro_local part env
  say "      $name  is version $version now (${#olds[@]} replaced); kept: $(kept_versions "$name" | xargs)"
  [ "$(SERVICE_VERSION='' release_version "$name")" = "$version" ] ||
    note "      copies started later have the version of services/$name/.env: set SERVICE_VERSION=$version there"
}

# stop_copies NAME COPY...: all at once, then waits for each.
stop_copies() {
  local name=$1 copy pid timeout at ran=' '
  at=$(now_ms)
  timeout=$(users STOP_TIMEOUT "$name")
  timeout=${timeout%s}
  # Another unit, or none that the program takes.
  [[ $timeout =~ ^(0|[1-9][0-9]{0,3})$ ]] || timeout=25
  shift
  for copy in "$@"; do
    if pid=$(pid_of "$name-$copy"); then
      ran+="$copy "
      kill -TERM "$pid" 2>/dev/null || true
    fi
  done
  for copy in "$@"; do
    if pid=$(pid_of "$name-$copy"); then
      gone_within "$name-$copy" 2 || note "      $name $copy  draining: it has up to $timeout s (STOP_TIMEOUT) for what it has taken"
      if ! gone_within "$name-$copy" $((timeout + STOP_GRACE)); then
        warn "$name $copy (pid $pid) has not stopped after its STOP_TIMEOUT: a second signal forces it"
        kill -TERM "$pid" 2>/dev/null || true
        gone_within "$name-$copy" 5 || kill -KILL "$pid" 2>/dev/null || true
        gone_within "$name-$copy" 5 || die "$name $copy (pid $pid) cannot be ended"
      fi
    fi
    if [[ $ran == *" $copy "* ]]; then
      say "      $name $copy  stopped in $(since "$at")"
    else
      say "      $name $copy  not running"
    fi
    rm -f -- "$RUN/$name-$copy.pid"
  done
}

# chosen_copies NAME: COPY_NUMBER, or all that are known.
chosen_copies() {
  local copy
  copy=$(copy_number)
  if [ -n "$copy" ]; then echo "$copy"; else known_copies "$1"; fi
}

stop() {
  local copies
  # Here, where a bad one ends the script.
  copy_number >/dev/null
  lock "service-$1"
  mapfile -t copies < <(chosen_copies "$1")
  if ((${#copies[@]} == 0)); then
    say "      $1  not running"
    return
  fi
  stop_copies "$1" "${copies[@]}"
  tpro_local part env
}

down() {
  local copies copy
  stop "$1"
  mapfile -t copies < <(chosen_copies "$1")
  for copy in "${copies[@]}"; do state_forget "$1-$copy"; done
  tpro_local part env
}

# down_all NAME: also what was built and made for it. Its source stays. Messages that are unsettled
# are lost only if somebody says so.
down_all() {
  local name=$1 unsettled answer
  unset COPY_NUMBER
  [ "${FORCE:-yes}" = yes ] || die "FORCE=${FORCE:0:40}: say yes, or leave it out"
  unsettled=$("$ROOT/make/create.sh" unsettled "$name")
  if ((unsettled > 0)) && [ "${FORCE:-}" != yes ]; then
    [ -t 0 ] || die "$unsettled messages of $name are unsettled and would be lost: settle them (make up-$name), or say FORCE=yes"
    read -r -p "$unsettled messages of $name are unsettled and would be lost. Remove them? [y/N] " answer
    [[ $answer =~ ^[yY]([eE][sS])?$ ]] || die "nothing is removed"
  fi
  down "$name"
  "$ROOT/make/create.sh" forget "$name"
  rm -f -- "$LOGS/${name}_service.log"* "$LOGS/$name"-[0-9]*_service.log*
  rm -f -- "services/$name/.env" "$LOCAL/lock/service-$name"
  rm -rf -- "${RELEASES:?}/$name"
  use_cargo
  cargo clean --quiet --package "${name}_service" --offline 2>/dev/null || rm -f -- "$PROFILE/${name}_service" "$PROFILE/${name}_service.d"
  say "      $name  binaries, settings, schema, role and logs are removed; its source in services/$name stays"
}

# maintain NAME: one run of the maintenance by the program itself, with the settings of the service.
maintain() {
  database "$1"
  build "building $1" --bin "${1}_service"
  local without=()
  [ -n "$(users DATABASE_URL "$1")" ] || without=("${WITHOUT_PG[@]}")
  exec env "${without[@]}" "$PROFILE/${1}_service" maintain
}

logs() {
  local copy file
  copy=$(copy_number)
  file=$(service_log "$1" "${copy:-1}")
  [ -e "$file" ] || die "$file does not exist: $1 has not run yet; make up-$1 starts it"
  note "$file (Ctrl-C ends)"
  exec tail -n 50 --follow=name --retry -- "$file"
}

action=${1:-} name=${2:-}
case $action in
  database | up | roll | stop | down | logs | maintain) must_be_service "$name" && "$action" "$name" ;;
  down-all) must_be_service "$name" && down_all "$name" ;;
  *) die "usage: service.sh database | up | roll | stop | down | down-all | logs | maintain NAME" ;;
esac
