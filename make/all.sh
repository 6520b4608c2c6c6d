#!/usr/bin/env bash
# Everything at once: all.sh up | down
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

up() {
  local name names
  mapfile -t names < <(all_services)
  steps 3
  step "What it needs"
  "$ROOT/make/setup.sh"
  step "Building"
  build "building" --bins --lib
  export BUILT=yes
  step "Starting ${names[*]} and what they need"
  for name in "${names[@]}"; do "$ROOT/make/service.sh" up "$name"; done
  step_done
  say "make status shows what runs, make down ends it."
}

down() {
  local name
  for name in $(all_services); do "$ROOT/make/service.sh" down "$name"; done
  tpro_local stop-jaeger
  tpro_local stop-nats
  tpro_local stop-db
}

case ${1:-} in
  up | down) "$1" ;;
  *) die "usage: all.sh up | down" ;;
esac
