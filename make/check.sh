#!/usr/bin/env bash
# What needs no running server: form, lints, documentation, dependencies, scripts.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

steps 6
step "What it needs"
"$ROOT/make/setup.sh"
use_cargo
use_pg_config
step "Form (cargo fmt)"
cargo fmt --all --check
step "Lints (cargo clippy, warnings are errors)"
logged logs/clippy.log "clippy" cargo clippy --workspace "${CARGO_FLAGS[@]}" --all-targets -- -D warnings
step "Documentation (cargo doc, warnings are errors)"
RUSTDOCFLAGS='-D warnings' logged logs/doc.log "rustdoc" cargo doc --workspace "${CARGO_FLAGS[@]}" --no-deps --document-private-items
step "Dependencies (cargo deny)"
if cargo deny --version >/dev/null 2>&1; then
  logged logs/deny.log "cargo deny" cargo deny --workspace --offline check bans licenses sources
else
  say "      skipped: cargo-deny is not installed (cargo install cargo-deny --locked)"
fi
step "Scripts (shellcheck)"
if command -v shellcheck >/dev/null; then
  shellcheck --external-sources make/*.sh make/lib/*.sh .ci/run
else
  say "      skipped: shellcheck is not installed (apt-get install shellcheck)"
fi
step_done
say "all checks passed"
