#!/usr/bin/env bash
# Prints the crates, the arrows between them, and the circles among their modules (tools/house).
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

use_cargo
exec cargo run --quiet "${CARGO_FLAGS[@]}" --package tpro-house
