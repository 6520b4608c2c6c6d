#!/usr/bin/env bash
# The users of the local nats-server: one for each service, and `admin`, who may do everything, for
# people and the demo.

NATS_HOME=$LOCAL/nats

# nats_password USER: its password, made at the first time.
nats_password() {
  mkdir -p -- "$NATS_HOME/users"
  chmod 700 "$NATS_HOME/users"
  secret "$NATS_HOME/users/$1"
}

# nats_space NAME: the first token of its subjects.
nats_space() {
  local space
  space=$(dotenv_get "services/$1/.env" TPRO_SPACE)
  space=${space:-tpro}
  [[ $space =~ ^[A-Za-z0-9_-]+$ ]] || die "services/$1/.env: TPRO_SPACE=$space is no token"
  printf '%s' "$space"
}

# nats_targets NAME: the subjects that it may publish to, as a list of quoted subjects: the lines of
# services/NAME/targets; without that file everything in its space.
nats_targets() {
  local file=services/$1/targets subject list=()
  [ -e "$file" ] || { printf '"%s.>"' "$(nats_space "$1")" && return; }
  while IFS= read -r subject || [ -n "$subject" ]; do
    subject=${subject%%#*}
    subject=${subject//[[:space:]]/}
    [ -n "$subject" ] || continue
    # It goes into the server's configuration.
    [[ $subject =~ ^[A-Za-z0-9_\$*-]+(\.[A-Za-z0-9_\$*-]+)*(\.\>)?$ ]] || die "$file: '$subject' is no subject, such as tpro.co.>"
    list+=("\"$subject\"")
  done <"$file"
  ((${#list[@]} == 0)) || printf '%s, ' "${list[@]}"
}

# nats_user NAME: the entry of its user.
nats_user() {
  local line
  while IFS= read -r line; do
    # The comments of the file.
    [[ $line != '#'* ]] || continue
    line=${line//@NAME@/$1}
    line=${line//@SPACE@/$2}
    line=${line//@TARGETS@/$3}
    printf '  %s\n' "${line//@PASSWORD@/$4}"
  done <docker/nats-user.conf
}

# nats_users: the entries of all users.
nats_users() {
  local name password space targets
  password=$(nats_password admin)
  printf '  { user: admin, password: "%s" }\n' "$password"
  for name in $(all_services); do
    space=$(nats_space "$name")
    targets=$(nats_targets "$name")
    password=$(nats_password "$name")
    nats_user "$name" "$space" "$targets" "$password"
  done
}
