#!/usr/bin/env bash
# The tests that take longer than `make test` may: exactly those that are marked `#[ignore]`, one at
# a time, with their figures. FILTER=words runs those whose names have one of them.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

LOG=$LOGS/faults.log
[[ ${FILTER:-} =~ ^[A-Za-z0-9_:\ ]*$ ]] || die "FILTER is words of the names of tests, of letters, digits, _ and ::"
read -ra FILTERS <<<"${FILTER:-}"
steps 3
step "What it needs"
"$ROOT/make/setup.sh" tests
step "Building"
build_all "building the tests" --all-targets
use_cargo
step "Faults (its output is in logs/faults.log; it takes long)"
rc=0
# Not the examples in documentation, of which some are ignored for other reasons.
cargo test --workspace "${CARGO_FLAGS[@]}" --lib --bins --tests --no-fail-fast -- --ignored --nocapture --test-threads=1 "${FILTERS[@]}" 2>&1 </dev/null |
  tee "$LOG" | grep --line-buffered -E '^test .* \.\.\. |(distribution|figure): | panicked at ' || rc=${PIPESTATUS[0]}
step_done
# With --nocapture a test's own output stands between its name and its result; the lists at the end
# name what failed.
awk '
  /^test result:/ { passed += $4; failed += $6 }
  /^failures:$/ { listing = 1; next }
  listing && /^    [a-z]/ { names = names "\n  " $1 }
  /^$/ { listing = 0 }
  END { printf "%d passed, %d failed%s\n", passed, failed, names }' "$LOG"
if ! grep -qE '^test result: .* [1-9][0-9]* (passed|failed)' "$LOG" && [ -n "${FILTER:-}" ]; then
  die "no slow test has one of these in its name: FILTER='$FILTER'. The slow tests: grep -rA3 '#\[ignore' --include=*.rs ."
fi
say "What was measured:"
grep -oE '(distribution|figure): .*' "$LOG" || say "  (nothing)"
if ((rc != 0)); then die "tests failed; all of their output is in logs/faults.log"; fi
