#!/usr/bin/env bash
# All tests, with the real binaries, PostgreSQL and nats-server; each test makes and removes its own.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

LOG=$LOGS/test.log
steps 3
step "What it needs"
"$ROOT/make/setup.sh" tests
step "Building"
# With the tests, so that the programs they start have failpoints in them.
build_all "building the tests" --all-targets
use_cargo
step "Testing"
rc=0
# One after another binary, so that two cores are not shared by several servers; all, also after one has failed.
cargo test --workspace "${CARGO_FLAGS[@]}" --no-fail-fast 2>&1 </dev/null | tee "$LOG" | grep --line-buffered -vE '^(test .* \.\.\. ok|running [0-9]+ tests?|)$' || rc=${PIPESTATUS[0]}
step_done
awk '
  /^test result:/ { passed += $4; failed += $6; ignored += $8 }
  /^test .* \.\.\. FAILED$/ { names = names "\n  " $2 }
  END { printf "%d passed, %d failed, %d skipped%s\n", passed, failed, ignored, names }' "$LOG"
if ((rc != 0)); then die "tests failed; all of their output is in logs/test.log"; fi
