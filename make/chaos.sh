#!/usr/bin/env bash
# Load under random faults (tools/chaos), on servers of its own. LOAD_SECONDS is make's SECONDS,
# since bash counts in SECONDS itself; SEED.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

seconds=$(whole_number LOAD_SECONDS 600 SECONDS)
load_seed
"$ROOT/make/setup.sh"
# Examples too: one of them is `rogue`, the service whose handlers have effects.
use_measured
build_all "building" --bins --lib --examples
exec "$PROFILE/tpro-chaos" run --seconds "$seconds" "${LOAD_SEED[@]}" --logs "$LOGS"
