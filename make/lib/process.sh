#!/usr/bin/env bash
# Processes that outlive the script that started them.

# A process id comes round again, after a reboot above all, so a process is known by its id and the
# moment it started.
# started_at PID: boot and start tick; fails for a process that is gone or dead and not reaped.
started_at() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # The name, in brackets, may hold anything; state and numbers follow it.
  read -ra stat <<<"${stat##*) }"
  [[ ${stat[0]} != [ZX] ]] || return 1
  printf '%s/%s' "$(</proc/sys/kernel/random/boot_id)" "${stat[19]}"
}

# pid_of NAME: the id of the running process of that name; fails when it does not run.
pid_of() {
  local pid started
  pid=$(cat -- "$RUN/$1.pid" 2>/dev/null) && [ -n "$pid" ] || return 1
  started=$(started_at "$pid") && [ "$started" = "$(state_get "$1" started)" ] || return 1
  printf '%s' "$pid"
}
running() { pid_of "$1" >/dev/null; }

# let_go: closes all but the three standard files. A process that lives on must not keep one of our
# locks, nor a pipe of make's.
let_go() {
  local fd
  for fd in /proc/self/fd/*; do
    fd=${fd##*/}
    ((fd <= 2)) || eval "exec $fd>&-" 2>/dev/null || true
  done
}

# spawn NAME COMMAND...: starts it detached, and sets PID. Its standard output goes nowhere (each
# keeps its own log file), its last words on standard error to NAME.err.
spawn() {
  local name=$1
  shift
  (
    let_go
    exec setsid "$@" </dev/null >/dev/null 2>"$RUN/$name.err"
  ) &
  PID=$!
  disown "$PID" 2>/dev/null || true
}

# remember NAME PID KEY=VALUE...
remember() {
  local name=$1 pid=$2
  shift 2
  # One that has ended already is remembered with its settings, and does not run.
  state_put "$name" "started=$(started_at "$pid" || true)" "$@"
  printf '%s\n' "$pid" >"$RUN/$name.pid"
}

# gone_within NAME SECONDS: waits for the process to end.
gone_within() {
  local until=$(($(now_ms) + $2 * 1000))
  while running "$1"; do
    (($(now_ms) < until)) || return 1
    sleep 0.05
  done
}

# last_words NAME LOG: the last output of a process that failed.
last_words() {
  local file
  for file in "$2" "$RUN/$1.err"; do
    [ ! -s "$file" ] || { say "--- the end of ${file#"$ROOT"/}" && tail -n 15 -- "$file"; } >&2
  done
}
