#!/usr/bin/env bash
# The benchmark of tools/bench, in its own database beside the local services.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

"$ROOT/make/setup.sh"
use_measured
build_all "building the benchmark" --bins --lib
exec "$PROFILE/tpro-bench"
