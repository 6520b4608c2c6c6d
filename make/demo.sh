#!/usr/bin/env bash
# The demo, from nothing to eight cases that are as they should be.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

SERVICES=(main analytic co)
began=$(now_ms)

# chosen KEY: the user's own in the environment, or in the settings of one of the three services.
chosen() {
  local name
  for name in "${SERVICES[@]}"; do
    if [ -n "$(users "$1" "$name")" ]; then return 0; fi
  done
  return 1
}

if [ "${CASES:-}" = only ]; then
  # On the services that run; if co is stopped, without it.
  [ -x "$PROFILE/tpro-demo" ] || die "CASES=only runs the cases on what is there, and nothing is: make demo first"
  tpro_local part env
  # shellcheck source=/dev/null
  . "$LOCAL/env"
  exec "$PROFILE/tpro-demo"
fi

steps 8
step "What it needs"
"$ROOT/make/setup.sh"

step "Building (a first build takes minutes; its output is in logs/build.log)"
build "building" --bins --lib
export BUILT=yes

step "PostgreSQL"
if chosen DATABASE_URL; then say "      DATABASE_URL is yours: none is started"; else tpro_local part cluster; fi

step "NATS"
if chosen NATS_URL; then say "      NATS_URL is yours: none is started"; else tpro_local up-nats; fi

step "Traces"
if chosen OTEL_EXPORTER_OTLP_ENDPOINT; then say "      OTEL_EXPORTER_OTLP_ENDPOINT is yours: no viewer is started"; else tpro_local up-jaeger; fi

step "The extension"
if chosen DATABASE_URL; then say "      DATABASE_URL is yours: the extension is taken to be there"; else tpro_local part extension; fi

step "Services ${SERVICES[*]}"
for name in "${SERVICES[@]}"; do
  # A copy that runs an older build would show yesterday's program.
  if pid=$(pid_of "$name-1") && [[ $(readlink "/proc/$pid/exe") == *' (deleted)' ]]; then COPY_NUMBER=1 "$ROOT/make/service.sh" stop "$name"; fi
  "$ROOT/make/service.sh" up "$name"
done

step "Eight cases"
tpro_local part env
# shellcheck source=/dev/null
. "$LOCAL/env"
"$PROFILE/tpro-demo"
step_done
say "all of it took $(since "$began")"
