#!/usr/bin/env bash
# The local trace viewer (the Jaeger UI over tools/viewer): jaeger.sh up | stop
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# Settings: how much it keeps.
: "${TRACES_MAX_MEMORY_MB:=256}" "${TRACES_MAX:=20000}"

up() {
  local at otlp ui until
  at=$(now_ms)
  lock jaeger
  if running jaeger; then
    remark "      jaeger    http://127.0.0.1:$(state_get jaeger ui), running"
    return
  fi
  build "building the trace viewer" --bin tpro-viewer
  lock ports
  pick_port OTLP_PORT 4317 "$(state_get jaeger otlp)"
  otlp=$PORT
  pick_port JAEGER_PORT 16686 "$(state_get jaeger ui)"
  ui=$PORT
  spawn jaeger "$PROFILE/tpro-viewer" --otlp "127.0.0.1:$otlp" --ui "127.0.0.1:$ui" \
    --max-memory-mb "$TRACES_MAX_MEMORY_MB" --max-traces "$TRACES_MAX"
  remember jaeger "$PID" "otlp=$otlp" "ui=$ui"
  until=$(($(now_ms) + 10000))
  until listening "$otlp" && http_get "$ui" /api/services && [ "$STATUS" = 200 ]; do
    if ! running jaeger || (($(now_ms) > until)); then
      last_words jaeger /dev/null
      die "the trace viewer did not start on ports $otlp (OTLP_PORT) and $ui (JAEGER_PORT)"
    fi
    sleep 0.05
  done
  "$ROOT/make/env.sh" save
  say "      jaeger    http://127.0.0.1:$ui, started in $(since "$at")"
}

stop() {
  local at pid
  at=$(now_ms)
  lock jaeger
  if ! pid=$(pid_of jaeger); then
    say "      jaeger    not running"
    return
  fi
  kill -TERM "$pid"
  gone_within jaeger 10 || kill -KILL "$pid"
  rm -f -- "$RUN/jaeger.pid"
  say "      jaeger    stopped in $(since "$at"); its traces are gone"
}

case ${1:-} in
  up) up ;;
  stop) stop ;;
  *) die "usage: jaeger.sh up | stop" ;;
esac
