#!/usr/bin/env bash
# The start of every script behind a make target: strict mode, the places of things, and the nouns
# in make/lib.

# Before anything a bash older than 4 would not even parse: elsewhere than on Linux one line says
# what is needed.
if [ "$(uname -s)" != Linux ]; then
  echo "error: this needs Linux (Debian or Ubuntu; else PostgreSQL 15 with its headers, nats-server, protoc, libclang, gcc and Rust, all on PATH)" >&2
  exit 1
fi
set -euo pipefail
# The server's own user must be able to read its installation; a file with a secret gets narrower
# rights where it is made.
umask 022
# The programs that are started here hold passwords and bodies in their memory: no core file, and a
# dump that a program takes is without memory.
ulimit -Sc 0
printf 0 >/proc/self/coredump_filter 2>/dev/null || true

# The checkout. Everything is addressed from here, so that a path with spaces works and the caller's
# directory does not matter.
ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
cd -- "$ROOT"

# The environment that make's own recursion adds would reach cargo, which would look for a job
# server that is not there.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
# The language of the person, for what is written for people.
# shellcheck disable=SC2034  # For the scripts that source this.
PERSON_LANG=${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}
# One number format and one language for the messages that are parsed below.
export LC_ALL=C.UTF-8
# nats-server lies in /usr/sbin, which an ordinary user's PATH leaves out.
case ":$PATH:" in *:/usr/sbin:*) ;; *) PATH=$PATH:/usr/sbin ;; esac
export PATH

# shellcheck source=make/lib/say.sh
. "$ROOT/make/lib/say.sh"
# shellcheck source=make/lib/state.sh
. "$ROOT/make/lib/state.sh"
# shellcheck source=make/lib/process.sh
. "$ROOT/make/lib/process.sh"
# shellcheck source=make/lib/port.sh
. "$ROOT/make/lib/port.sh"
# shellcheck source=make/lib/http.sh
. "$ROOT/make/lib/http.sh"
# shellcheck source=make/lib/dotenv.sh
. "$ROOT/make/lib/dotenv.sh"
# shellcheck source=make/lib/rust.sh
. "$ROOT/make/lib/rust.sh"
# shellcheck source=make/lib/cluster.sh
. "$ROOT/make/lib/cluster.sh"
# shellcheck source=make/lib/service.sh
. "$ROOT/make/lib/service.sh"
# shellcheck source=make/lib/release.sh
. "$ROOT/make/lib/release.sh"
# shellcheck source=make/lib/nats.sh
. "$ROOT/make/lib/nats.sh"

[ "${RUNTIME:-native}" = native ] ||
  die "RUNTIME=$RUNTIME is still to come: without RUNTIME everything runs natively"

# tpro_local ARGUMENTS...: what is not a script any more.
tpro_local() { "$ROOT/make/setup.sh" run "$@"; }

forget_leftovers
