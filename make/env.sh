#!/usr/bin/env bash
# The addresses and secrets of what runs here, as lines for a shell to eval: env.sh print | save
# `save` keeps them in .local/env, for programs of the checkout. What is not there has no line, so
# eval is always safe.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

OURS=()

# line NAME VALUE: quoted for any shell; nothing for an empty value.
line() {
  [ -z "$2" ] || printf "export %s='%s'\n" "$1" "${2//\'/\'\\\'\'}"
}
# local_line NAME VALUE: one that this installation chose (see forget_leftovers).
local_line() {
  if [ -n "${!1:-}" ]; then
    line "$1" "${!1}"
  elif [ -n "$2" ]; then
    line "$1" "$2"
    OURS+=("$(digest "$1=$2")")
  fi
}

lines() {
  local port name copy first
  local_line DATABASE_URL "$(dotenv_get services/main/.env DATABASE_URL)"
  port=$(state_get nats port)
  local_line NATS_URL "${port:+nats://127.0.0.1:$port}"
  if [ -z "${NATS_URL:-}" ]; then
    # The user with all rights: this is for people and the demo, each service has a user of its own.
    local_line NATS_USER "${port:+admin}"
    local_line NATS_PASSWORD "${port:+$(nats_password admin)}"
  fi
  port=$(state_get nats monitor)
  local_line NATS_MONITOR_URL "${port:+http://127.0.0.1:$port}"
  port=$(state_get jaeger ui)
  local_line JAEGER_URL "${port:+http://127.0.0.1:$port}"
  port=$(state_get jaeger otlp)
  local_line OTEL_EXPORTER_OTLP_ENDPOINT "${port:+http://127.0.0.1:$port}"
  for name in $(all_services); do
    first=yes
    for copy in $(known_copies "$name"); do
      running "$name-$copy" || continue
      port=$(state_get "$name-$copy" port)
      # After a release that replaced it the first copy may be another than number 1.
      [ -z "$first" ] || line "${name^^}_URL" "http://127.0.0.1:$port"
      first=''
      line "${name^^}_${copy}_URL" "http://127.0.0.1:$port"
    done
  done
  line MAKE_ENV_DIGESTS "${OURS[*]:-}"
}

case ${1:-} in
  print) lines ;;
  save)
    (umask 077 && lines >"$LOCAL/env.$$")
    mv -f -- "$LOCAL/env.$$" "$LOCAL/env"
    ;;
  *) die "usage: env.sh print | save" ;;
esac
