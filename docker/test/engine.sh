#!/usr/bin/env bash
# Runs a command with an engine for containers: the one that answers, or one that ends with the
# command.
#   engine.sh COMMAND...
# It needs root and Debian's apt for an engine of its own. Where there can be none, it says why and
# runs the command all the same: the tests of containers are skipped then.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# Seconds for all that comes before the command.
PATIENCE=${PATIENCE:-180}
BASE=debian:bookworm-slim
POLICY=/usr/sbin/policy-rc.d
root=''
daemon=''
policy=''

# What is left of it; 0 would be no limit.
left() { echo $((PATIENCE > SECONDS ? PATIENCE - SECONDS : 1)); }

has_compose() { docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null; }

# The command line of the engine that is started here.
ours() { docker --host "unix://$root/docker.sock" "$@"; }

# Ends the engine that was started here, and nothing else.
end() {
  [ -n "$root" ] || return 0
  local containers=()
  allow
  # It would wait for a container as long as its compose file says.
  [ -z "$daemon" ] || mapfile -t containers < <(ours ps --quiet 2>/dev/null)
  [ "${#containers[@]}" = 0 ] || ours rm --force "${containers[@]}" >/dev/null 2>&1 || true
  if [ -n "$daemon" ] && kill "$daemon" 2>/dev/null; then
    for _ in {1..150}; do
      kill -0 "$daemon" 2>/dev/null || break
      sleep 0.2
    done
    kill -KILL "$daemon" 2>/dev/null || true
  fi
  awk -v root="$root/" 'index($2, root) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount 2>/dev/null || true
  # The result of the command counts, and not this.
  rm -rf --one-file-system -- "$root" || true
}
trap end EXIT

# The services of packages may be started again.
allow() {
  if [ -n "$policy" ]; then rm -f -- "$POLICY"; fi
  policy=''
}

install() {
  local missing=()
  command -v dockerd >/dev/null || missing+=(docker.io)
  has_compose || missing+=(docker-compose)
  command -v debootstrap >/dev/null || missing+=(debootstrap)
  [ "${#missing[@]}" -gt 0 ] || return 0
  command -v apt-get >/dev/null || { echo "there is no apt to install ${missing[*]}"; return 1; }
  # No service of the package is started: the engine is ours, and ends with the command.
  if [ ! -e "$POLICY" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
    policy=ours
  fi
  # What has been fetched is unpacked without a limit: half an installation would stop the next one.
  {
    timeout "$(left)" apt-get update &&
      timeout "$(left)" apt-get install -y --download-only --no-install-recommends "${missing[@]}" &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
  } >"$root/apt.log" 2>&1 && allow && return 0
  allow
  echo "apt installed no ${missing[*]}: $(tail -n 1 "$root/apt.log")"
  return 1
}

start() {
  dockerd --host "unix://$root/docker.sock" --data-root "$root/data" --exec-root "$root/exec" --pidfile "$root/pid" \
    >"$root/dockerd.log" 2>&1 </dev/null &
  daemon=$!
  export DOCKER_HOST=unix://$root/docker.sock
  for _ in {1..150}; do
    ours version >/dev/null 2>&1 && return 0
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.2
  done
  echo "dockerd does not answer: $(tail -n 1 "$root/dockerd.log")"
  return 1
}

base() {
  timeout "$(left)" "$here/base-image.sh" "$BASE" && return 0
  echo "$BASE was not made within $PATIENCE s (PATIENCE)"
  return 1
}

# The images install packages.
reach() {
  timeout "$(left)" docker run --rm "$BASE" apt-get update >"$root/reach.log" 2>&1 && return 0
  echo "containers reach no packages: $(tail -n 1 "$root/reach.log")"
  return 1
}

# The one that answers, or as root one that is started.
find_engine() {
  docker version >/dev/null 2>&1 && has_compose && return 0
  [ "$(id -u)" = 0 ] || { echo "no engine answers, and only root can start one"; return 1; }
  install && start
}

root=$(mktemp -d)
if find_engine && base && reach; then
  echo "an engine is there after $SECONDS s"
else
  echo "note: the tests of containers are skipped"
  # Also those of an engine that has no base image, or whose containers reach no packages.
  export DOCKER_HOST=unix://$root/none.sock
fi
"$@"
