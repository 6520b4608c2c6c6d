#!/usr/bin/env bash
# The output of the scripts: numbered and timed steps, progress of long commands, warnings, errors.

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' YELLOW=$'\e[33m' PLAIN=$'\e[0m'
else
  BOLD='' DIM='' RED='' YELLOW='' PLAIN=''
fi

say() { printf '%s\n' "$*"; }
# remark TEXT: says that something is already as it should be; silent where that was only a means.
remark() { [ -n "${QUIET:-}" ] || say "$@"; }
note() { printf '%s%s%s\n' "$DIM" "$*" "$PLAIN"; }
warn() { printf '%swarning:%s %s\n' "$YELLOW" "$PLAIN" "$*" >&2; }
die() {
  printf '%serror:%s %s\n' "$RED" "$PLAIN" "$*" >&2
  exit 1
}

now_ms() { printf '%s' $((${EPOCHREALTIME/./} / 1000)); }

# since MS: the time from MS until now, as a person says it.
since() {
  local ms=$(($(now_ms) - $1))
  if ((ms < 60000)); then
    printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
  else
    printf '%d min %02d s' $((ms / 60000)) $((ms % 60000 / 1000))
  fi
}

# steps N; then step TITLE before each of them and step_done after the last.
STEP=0 STEPS=0 STEP_AT=0
steps() { STEPS=$1; }
step() {
  step_done
  STEP=$((STEP + 1)) STEP_AT=$(now_ms)
  printf '%s[%d/%d] %s%s\n' "$BOLD" "$STEP" "$STEPS" "$*" "$PLAIN"
}
step_done() {
  ((STEP_AT == 0)) || note "      $(since "$STEP_AT")"
  STEP_AT=0
}

# ticker LOG LABEL PID: progress of the command that writes LOG, until PID is gone; on a terminal in
# place, else a line now and then.
ticker() {
  local log=$1 label=$2 pid=$3 at crates last pause=30 never
  at=$(now_ms)
  let_go
  # A pipe that nobody writes to: reading it with a time limit is a sleep that is no process of its
  # own, which would outlive us and hold the output open.
  exec {never}<> <(:)
  [ ! -t 1 ] || pause=1
  while ! read -r -t "$pause" -u "$never" && kill -0 "$pid" 2>/dev/null; do
    last=$(tail -n 1 -- "$log" 2>/dev/null | tr -cd '[:print:]' | sed 's/^ *//')
    crates=$(grep -c '^ *\(Compiling\|Checking\) ' -- "$log" 2>/dev/null || true)
    [ "${crates:-0}" = 0 ] || last="$crates crates so far, $last"
    if [ -t 1 ]; then
      printf '\r\e[K      %s  %s  %s' "$label" "$(since "$at")" "${last:0:70}"
    else
      printf '      %s  %s  %s\n' "$label" "$(since "$at")" "${last:0:100}"
    fi
  done
}

# logged LOG LABEL COMMAND...: runs COMMAND with its output in LOG (under the checkout) and its
# progress on the screen.
logged() {
  local log=$1 label=$2 rc=0 ticking
  shift 2
  mkdir -p -- "$(dirname -- "$log")"
  : >"$log"
  ticker "$log" "$label" $$ &
  ticking=$!
  "$@" >>"$log" 2>&1 </dev/null || rc=$?
  kill "$ticking" 2>/dev/null || true
  wait "$ticking" 2>/dev/null || true
  [ ! -t 1 ] || printf '\r\e[K'
  if ((rc != 0)); then
    tail -n 25 -- "$log" >&2
    printf '%serror:%s %s failed; all of its output is in %s\n' "$RED" "$PLAIN" "$label" "$log" >&2
  fi
  return "$rc"
}
