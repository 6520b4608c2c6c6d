#!/usr/bin/env bash
# shellcheck disable=SC2034  # What is set here is for the scripts that source it.
# HTTP on loopback by bash alone: nothing else here needs curl.

# http_get PORT PATH: sets STATUS (000: nobody answers) and BODY.
http_get() {
  local answer
  STATUS=000 BODY=''
  answer=$(
    # shellcheck disable=SC2016  # The inner bash is to expand it.
    # The whole exchange is given two seconds: a frozen process must not freeze the script.
    timeout 2 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n" "$2" >&3 && cat <&3' _ "$1" "$2" 2>/dev/null
  ) || true
  [[ $answer =~ ^HTTP/1\.[01]\ ([0-9]{3}) ]] || return 0
  STATUS=${BASH_REMATCH[1]}
  BODY=${answer#*$'\r\n\r\n'}
}
