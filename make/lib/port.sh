#!/usr/bin/env bash
# shellcheck disable=SC2034  # What is set here is for the scripts that source it.
# Ports on loopback.

# listening PORT: somebody listens there. Read from the kernel: a trial connection would leave a
# line in the log of the other process.
listening() {
  local hex
  printf -v hex '%04X' "$1"
  grep -qsE "^ *[0-9]+: [0-9A-F]+:$hex [0-9A-F]+:0000 0A " /proc/net/tcp /proc/net/tcp6
}

# pick_port SETTING DEFAULT [REMEMBERED]: sets PORT. A port that the user set must be free; else it
# is the first free one from REMEMBERED or DEFAULT on.
pick_port() {
  local setting=$1 default=$2 given=${!1:-} port
  # Blanks count as nothing, as in the program.
  given=${given//[[:space:]]/}
  # A file may hold anything, and it is calculated with.
  [[ $default =~ ^[1-9][0-9]{0,4}$ ]] || die "$setting=${default:0:40} is no port: it must be a number from 1 to 65535"
  if [ -n "$given" ]; then
    if ! [[ $given =~ ^[1-9][0-9]{0,4}$ ]] || ((given > 65535)); then die "$setting=$given is no port: it must be a number from 1 to 65535"; fi
    ! listening "$given" || die "$setting=$given is taken by another process: set $setting to a free port, or leave it out to take the next free one"
    PORT=$given
    return
  fi
  for port in "${3:-$default}" $(seq "$default" $((default + 200))); do
    if ! listening "$port"; then
      PORT=$port
      return
    fi
  done
  die "no free port from $default to $((default + 200)): set $setting"
}
