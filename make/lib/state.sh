#!/usr/bin/env bash
# The memory of the processes of this checkout, in .local: one NAME.pid and one NAME.state
# (key=value lines) a process, and locks.

LOCAL=$ROOT/.local
RUN=$LOCAL/run
LOGS=$ROOT/logs

# is_anothers PATH: that checkout, which a mark names, lives, and is another than this one. One that
# was moved here is not there any more.
is_anothers() { [ "$1" != "$ROOT" ] && [ -e "$1/.local" ] && [ ! "$1/.local" -ef "$LOCAL" ]; }

# claim_local: .local says which checkout made it. One that came along when the folder was copied
# holds process ids, ports and places of the original, whose services it would stop and whose
# database it would remove: it is taken away.
claim_local() {
  local maker base
  maker=$(cat -- "$LOCAL/checkout" 2>/dev/null || true)
  # Releases before 0.1.1 left their mark in the cluster only.
  if [ -z "$maker" ] && base=$(cat -- "$LOCAL/postgres.place" 2>/dev/null); then
    maker=$(cat -- "$base/checkout" 2>/dev/null || true)
  fi
  if [ -n "$maker" ] && is_anothers "$maker"; then
    note "this checkout is a copy of $maker: it begins with a local installation of its own" >&2
    mv -- "$LOCAL" "$LOCAL.copied.$$"
    rm -rf -- "$LOCAL.copied.$$"
  fi
  mkdir -p -- "$RUN" "$LOCAL/lock" "$LOGS"
  if [ "$maker" != "$ROOT" ] || [ ! -e "$LOCAL/checkout" ]; then printf '%s\n' "$ROOT" >"$LOCAL/checkout"; fi
}
claim_local

# lock NAME: until this script ends, or unlocks it, nobody else changes NAME. A wait is told.
lock() {
  local fd
  [ -z "${LOCKS[$1]:-}" ] || return 0
  exec {fd}>"$LOCAL/lock/$1"
  if ! flock --nonblock "$fd"; then
    note "waiting for another make that is at work on $1"
    flock "$fd"
  fi
  LOCKS[$1]=$fd
}
declare -A LOCKS=()
unlock() {
  local fd=${LOCKS[$1]}
  exec {fd}>&-
  unset "LOCKS[$1]"
}

# state_put NAME KEY=VALUE...: replaces the memory of NAME, in one step.
state_put() {
  local file=$RUN/$1.state
  shift
  printf '%s\n' "$@" >"$file.$$"
  mv -f -- "$file.$$" "$file"
}
# state_get NAME KEY: the value, or nothing.
state_get() {
  [ -f "$RUN/$1.state" ] || return 0
  sed -n "s/^$2=//p" -- "$RUN/$1.state"
}
state_forget() { rm -f -- "$RUN/$1.pid" "$RUN/$1.state" "$RUN/$1.err"; }

# secret FILE: makes a random secret there, once, and prints it. Hexadecimal behind a letter: safe
# in a URL, a shell and a configuration file.
secret() {
  if [ ! -s "$1" ]; then
    (
      umask 077
      printf 't%s\n' "$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')" >"$1.$$"
    )
    mv -n -- "$1.$$" "$1"
    rm -f -- "$1.$$"
  fi
  cat -- "$1"
}
