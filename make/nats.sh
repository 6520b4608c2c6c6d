#!/usr/bin/env bash
# The local nats-server: nats.sh up | users | stop
# With a user for each service, and its monitoring, like everything here, on loopback only.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

SETTINGS=$NATS_HOME/nats.conf

# write_settings PORT MONITOR FILE
write_settings() {
  local log=$LOGS/nats.log users
  [[ $log != *[\"\\]* ]] || die "the checkout's path holds a quote or a backslash, which nats-server's settings cannot: move it"
  mkdir -p -- "$NATS_HOME"
  users=$(nats_users)
  (
    umask 077
    # Read by the shell, not by sed: a path may hold any character.
    while IFS= read -r line; do
      line=${line//@PORT@/$1}
      line=${line//@MONITOR_PORT@/$2}
      [ "$line" != @USERS@ ] || line=$users
      printf '%s\n' "${line//@LOG@/"$log"}"
    done <docker/nats.conf >"$3"
  )
}

# loaded: when the running server has taken up its settings.
loaded() {
  http_get "$(state_get nats monitor)" /varz
  sed -nE 's/.*"config_load_time" *: *"([^"]*)".*/\1/p' <<<"$BODY"
}

# users_of_now: has the running server know the users that there are by now, without a restart.
users_of_now() {
  local before until
  write_settings "$(state_get nats port)" "$(state_get nats monitor)" "$SETTINGS.new"
  if cmp -s -- "$SETTINGS.new" "$SETTINGS"; then
    rm -f -- "$SETTINGS.new"
    return
  fi
  before=$(loaded)
  mv -f -- "$SETTINGS.new" "$SETTINGS"
  kill -HUP "$(pid_of nats)"
  until=$(($(now_ms) + 10000))
  until [ "$(loaded)" != "$before" ]; do
    if ! running nats || (($(now_ms) > until)); then
      last_words nats "$LOGS/nats.log"
      die "nats-server did not take up its users"
    fi
    sleep 0.05
  done
  remark "      nats      knows $(all_services | xargs)"
}

up() {
  local at port monitor until
  at=$(now_ms)
  lock nats
  if running nats; then
    [ -z "${NATS_PORT:-}" ] || [ "$NATS_PORT" = "$(state_get nats port)" ] ||
      note "nats runs on port $(state_get nats port) already: make stop-nats first, then NATS_PORT=$NATS_PORT is taken up"
    users_of_now
    remark "      nats      127.0.0.1:$(state_get nats port), running"
    return
  fi
  lock ports
  pick_port NATS_PORT 4222 "$(state_get nats port)"
  port=$PORT
  pick_port NATS_MONITOR_PORT 8222 "$(state_get nats monitor)"
  monitor=$PORT
  write_settings "$port" "$monitor" "$SETTINGS"
  # Of an installation that had a token.
  rm -f -- "$NATS_HOME/token"
  spawn nats nats-server --config "$SETTINGS"
  remember nats "$PID" "port=$port" "monitor=$monitor"
  until=$(($(now_ms) + 10000))
  until http_get "$monitor" /healthz && [ "$STATUS" = 200 ]; do
    if ! running nats || (($(now_ms) > until)); then
      last_words nats "$LOGS/nats.log"
      die "nats-server did not start on port $port (NATS_PORT) and $monitor (NATS_MONITOR_PORT)"
    fi
    sleep 0.05
  done
  "$ROOT/make/env.sh" save
  say "      nats      127.0.0.1:$port, monitoring on $monitor, started in $(since "$at")"
}

# follow_users: nothing where no local server runs.
follow_users() {
  lock nats
  ! running nats || users_of_now
}

stop() {
  local at pid
  at=$(now_ms)
  lock nats
  if ! pid=$(pid_of nats); then
    say "      nats      not running"
    return
  fi
  kill -TERM "$pid"
  gone_within nats 15 || die "nats-server (pid $pid) did not stop within 15 s"
  rm -f -- "$RUN/nats.pid"
  say "      nats      stopped in $(since "$at")"
}

case ${1:-} in
  up) up ;;
  users) follow_users ;;
  stop) stop ;;
  *) die "usage: nats.sh up | users | stop" ;;
esac
