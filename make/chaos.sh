#!/usr/bin/env bash
# Load under random faults (tools/chaos), on servers of its own: chaos.sh SECONDS [SEED]. By arguments, since bash counts in SECONDS itself.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

seconds=$1 seed=${2:-}
"$ROOT/make/setup.sh"
# Examples too: one of them is the service whose handlers have effects.
build "building" --bins --lib --examples
exec "$PROFILE/tpro-chaos" run --seconds "$seconds" ${seed:+--seed "$seed"} --logs "$LOGS"
