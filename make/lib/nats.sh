#!/usr/bin/env bash
# The passwords of the users of the local nats-server: one for each service, and `admin`.

NATS_HOME=$LOCAL/nats

# nats_password USER: its password, made at the first time.
nats_password() {
  mkdir -p -- "$NATS_HOME/users"
  chmod 700 "$NATS_HOME/users"
  secret "$NATS_HOME/users/$1"
}
