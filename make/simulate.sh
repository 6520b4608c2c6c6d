#!/usr/bin/env bash
# Random runs of the real cores on simulated servers (sidecar/simulation). LOAD_SECONDS is make's
# SECONDS, since bash counts in SECONDS itself; SEED.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

seconds=$(whole_number LOAD_SECONDS 60 SECONDS)
load_seed
"$ROOT/make/setup.sh"
use_measured
build_all "building" --bin tpro-simulate
exec "$PROFILE/tpro-simulate" "$seconds" "${LOAD_SEED[@]:1}"
