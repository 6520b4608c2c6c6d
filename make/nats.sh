#!/usr/bin/env bash
# The local nats-server: nats.sh up | stop
# With a random token, and its monitoring, like everything here, on loopback only.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

HOME_OF=$LOCAL/nats

# write_settings PORT MONITOR TOKEN
write_settings() {
  local log=$LOGS/nats.log
  [[ $log != *[\"\\]* ]] || die "the checkout's path holds a quote or a backslash, which nats-server's settings cannot: move it"
  mkdir -p -- "$HOME_OF"
  (
    umask 077
    # Read by the shell, not by sed: a path may hold any character.
    while IFS= read -r line; do
      line=${line//@PORT@/$1}
      line=${line//@MONITOR_PORT@/$2}
      line=${line//@TOKEN@/$3}
      printf '%s\n' "${line//@LOG@/$log}"
    done <docker/nats.conf >"$HOME_OF/nats.conf"
  )
}

up() {
  local at port monitor until
  at=$(now_ms)
  lock nats
  if running nats; then
    [ -z "${NATS_PORT:-}" ] || [ "$NATS_PORT" = "$(state_get nats port)" ] ||
      note "nats runs on port $(state_get nats port) already: make stop-nats first, then NATS_PORT=$NATS_PORT is taken up"
    remark "      nats      127.0.0.1:$(state_get nats port), running"
    return
  fi
  lock ports
  pick_port NATS_PORT 4222 "$(state_get nats port)"
  port=$PORT
  pick_port NATS_MONITOR_PORT 8222 "$(state_get nats monitor)"
  monitor=$PORT
  mkdir -p -- "$HOME_OF"
  write_settings "$port" "$monitor" "$(secret "$HOME_OF/token")"
  spawn nats nats-server --config "$HOME_OF/nats.conf"
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
  stop) stop ;;
  *) die "usage: nats.sh up | stop" ;;
esac
