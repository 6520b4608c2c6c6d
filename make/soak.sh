#!/usr/bin/env bash
# The load of tools/chaos without faults, and whether anything grows: soak.sh SECONDS [SEED]. By arguments, since bash counts in SECONDS itself.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

seconds=$1 seed=${2:-}
"$ROOT/make/setup.sh"
# Examples too: one of them is the service whose handlers have effects.
build "building" --bins --lib --examples
exec "$PROFILE/tpro-chaos" soak --seconds "$seconds" ${seed:+--seed "$seed"} --logs "$LOGS"
