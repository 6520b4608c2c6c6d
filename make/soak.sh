#!/usr/bin/env bash
# The load of tools/chaos without faults, and a look if anything grows. LOAD_SECONDS is make's
# SECONDS, since bash counts in SECONDS itself; SEED.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

seconds=$(whole_number LOAD_SECONDS 1800 SECONDS)
load_seed
"$ROOT/make/setup.sh"
# Examples too: one of them is `rogue`, the service whose handlers have effects. Building any turns
# the feature `failpoints` on in all services (cargo tree -e features -i fail: the crate is a
# dev-dependency of itself); built without, the crate would be compiled a second time for minutes,
# and that one service would have it all the same. A point that nobody has set is a look into an
# empty map, which grows by nothing.
use_measured
build_all "building" --bins --lib --examples
exec "$PROFILE/tpro-chaos" soak --seconds "$seconds" "${LOAD_SEED[@]}" --logs "$LOGS"
