#!/usr/bin/env bash
# A table of the processes that run from this checkout.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

row() { printf '%-18s %-8s %-8s %-6s %-32s %s\n' "$@"; }

# part NAME LABEL PORT URL VERSION
part() {
  local pid state=running
  pid=$(pid_of "$1") || { pid=- state=stopped; }
  [ -f "$RUN/$1.state" ] || state='-'
  row "$2" "$state" "$pid" "${3:--}" "${4:--}" "${5:--}"
}

# version_of PORT: the version that the copy tells.
version_of() {
  http_get "$1" /version
  [ "$STATUS" = 200 ] || return 0
  sed -nE 's/.*"version" *: *"([^"]*)".*/\1/p' <<<"$BODY" | head -n 1
}

# readiness NAME-COPY PORT
readiness() {
  running "$1" || return 0
  http_get "$2" /readyz
  [ "$STATUS" = 200 ] || note "  $1 is not ready: ${BODY//$'\n'/ }"
}

printf '%s' "$BOLD"
row WHAT STATE PID PORT URL VERSION
printf '%s' "$PLAIN"
port=$(state_get postgres port)
part postgres postgres "$port" "${port:+127.0.0.1:$port/$DATABASE}" "$([ ! -x "$(pg_config_path)" ] || "$(pg_config_path)" --version | cut -d' ' -f2)"
port=$(state_get nats port)
part nats nats "$port" "${port:+nats://127.0.0.1:$port}" "$(nats-server --version 2>/dev/null | sed 's/.*v//')"
port=$(state_get nats monitor)
part nats '  monitoring' "$port" "${port:+http://127.0.0.1:$port}"
port=$(state_get jaeger ui)
part jaeger jaeger "$port" "${port:+http://127.0.0.1:$port}"
port=$(state_get jaeger otlp)
part jaeger '  collector' "$port" "${port:+http://127.0.0.1:$port}"
for name in $(all_services); do
  mapfile -t copies < <(known_copies "$name")
  ((${#copies[@]} > 0)) || row "$name" - - - - -
  for copy in "${copies[@]}"; do
    port=$(state_get "$name-$copy" port)
    part "$name-$copy" "$name $copy" "$port" "${port:+http://127.0.0.1:$port}" "$(! running "$name-$copy" || version_of "$port")"
    readiness "$name-$copy" "$port"
  done
done
