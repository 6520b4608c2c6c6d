#!/usr/bin/env bash
# All tests, with the real binaries, PostgreSQL and nats-server; each test makes and removes its
# own. A test that fails is run once more, alone. If it passes then, it is named as one that passes
# only sometimes: that is a fault too, of the test or of the code that it tests, but no reason to
# hold back the work of others.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

LOG=$LOGS/test.log
AGAIN=$LOGS/test-again.log
# A line for each test with servers: seconds and name. `#[tpro_testkit::test]` writes them.
export TPRO_TEST_TIMES=$LOGS/test-times.log
# More failures than this are no coincidence, and are not tried again.
SOME=5

# run LOG ARGUMENTS...: cargo test, all output into the log, the lines worth reading onto the
# terminal.
run() {
  local log=$1
  shift
  cargo test --workspace "${CARGO_FLAGS[@]}" --no-fail-fast "$@" 2>&1 </dev/null | tee "$log" |
    grep --line-buffered -vE '^(test .* \.\.\. ok|running [0-9]+ tests?|test result: ok\. 0 passed; .*|     Running .*|)$' || return "${PIPESTATUS[0]}"
}
failed() { sed -nE 's/^test ([^ ]+) \.\.\. FAILED$/\1/p' "$1"; }

# only_tests_failed LOG: every program that failed did so with a list of failed tests; none crashed
# or was not built.
only_tests_failed() {
  awk '
    /^test result: FAILED/ { lists++ }
    /^error: [0-9]+ targets? failed:$/ { targets = $2 }
    END { exit !(targets > 0 && targets == lists) }' "$1"
}

steps 3
step "What it needs"
"$ROOT/make/setup.sh" tests
step "Building"
# With the tests, so that the programs they start have failpoints in them.
build_all "building the tests" --all-targets
use_cargo
step "Testing"
rc=0
SOMETIMES=0
rm -f -- "$TPRO_TEST_TIMES"
# One after another binary, so that two cores are not shared by several servers; all, also after one
# has failed.
run "$LOG" || rc=$?
mapfile -t FAILED < <(failed "$LOG")
if ((rc != 0 && ${#FAILED[@]} > 0 && ${#FAILED[@]} <= SOME)) && only_tests_failed "$LOG"; then
  say "      once more, alone: ${FAILED[*]}"
  if run "$AGAIN" --lib --bins --tests -- --exact --test-threads=1 "${FAILED[@]}"; then
    # Each of them has passed; the same name in two programs counts for both.
    (($(grep -c '^test .* \.\.\. ok$' "$AGAIN") < ${#FAILED[@]})) || { rc=0 && SOMETIMES=${#FAILED[@]}; }
  fi
fi
step_done
awk -v sometimes="$SOMETIMES" '
  /^test result:/ { passed += $4; failed += $6; ignored += $8 }
  END { printf "%d passed, %d failed, %d skipped\n", passed + sometimes, failed - sometimes, ignored }' "$LOG"
if [ -s "$TPRO_TEST_TIMES" ]; then
  say "the ten slowest, in seconds (all of them are in logs/test-times.log):"
  sort -rn -- "$TPRO_TEST_TIMES" | sed -n '1,10s/^/  /p'
fi
if ((rc != 0)); then
  ((${#FAILED[@]} == 0)) || printf '  %s\n' "${FAILED[@]}"
  die "tests failed; all of their output is in logs/test.log"
fi
if ((SOMETIMES > 0)); then
  say "passed only when run once more, alone (how they failed is in logs/test.log):"
  printf '  %s\n' "${FAILED[@]}"
fi
