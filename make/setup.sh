#!/usr/bin/env bash
# Installs missing packages: setup.sh [tests]. Names each with its reason, and changes nothing where
# everything is there.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

FOR=${1:-}
POLICY=/usr/sbin/policy-rc.d
SAVED=$POLICY.before-tpro
NO_CLUSTER=/etc/postgresql-common/createcluster.d/tpro.conf

# The packages that are missing, and what each is for.
PACKAGES=() REASONS=()
need() {
  PACKAGES+=("$1")
  REASONS+=("$1 ($2)")
}

find_missing() {
  local headers=''
  if [ -n "${PG_CONFIG:-}" ]; then
    use_pg_config
    [ -f "$("$PG" --includedir-server)/postgres.h" ] || die "PG_CONFIG=$PG has no headers in $("$PG" --includedir-server): install the development files of that PostgreSQL"
    headers=own
  fi
  [ -n "$headers" ] || [ -x "/usr/lib/postgresql/$PG_MAJOR/bin/postgres" ] || need "postgresql-$PG_MAJOR" "the database"
  [ -n "$headers" ] || [ -f "/usr/include/postgresql/$PG_MAJOR/server/postgres.h" ] || need "postgresql-server-dev-$PG_MAJOR" "the extension's headers"
  command -v nats-server >/dev/null || need nats-server "messaging"
  command -v protoc >/dev/null || need protobuf-compiler "the trace viewer's build"
  compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null || [ -n "${LIBCLANG_PATH:-}" ] || need libclang-dev "the extension's bindings"
  command -v cc >/dev/null || need gcc "the compiler's linker"
  [ -f /usr/include/stdlib.h ] || need libc6-dev "the C library's headers"
  command -v setpriv >/dev/null || need util-linux "setpriv, to run PostgreSQL as its own user"
  if [ "$FOR" = tests ]; then
    [ -x /usr/sbin/pgbouncer ] || need pgbouncer "a pooler, for the tests"
  fi
  if ! rust_there; then
    command -v curl >/dev/null || need curl "to fetch rustup"
    [ -f /etc/ssl/certs/ca-certificates.crt ] || need ca-certificates "to fetch rustup"
  fi
}

rust_there() {
  local bin=${CARGO_HOME:-$HOME/.cargo}/bin
  cargo_fits || { [ -x "$bin/cargo" ] && PATH=$bin:$PATH cargo_fits; }
}

# While packages are installed nothing is started, and PostgreSQL's package makes no cluster; the
# files of before come back.
hold_services() {
  release_services
  [ ! -e "$POLICY" ] || as_root mv -- "$POLICY" "$SAVED"
  printf '#!/bin/sh\n# make setup is installing packages and starts nothing; this file goes when it ends.\nexit 101\n' | as_root tee "$POLICY" >/dev/null
  as_root chmod 755 "$POLICY"
  as_root mkdir -p /etc/postgresql-common/createcluster.d
  printf 'create_main_cluster = false\n' | as_root tee "$NO_CLUSTER" >/dev/null
}
# Also takes up after an install that was killed.
release_services() {
  if [ -e "$POLICY" ] && grep -qs 'make setup is installing' "$POLICY"; then as_root rm -f -- "$POLICY"; fi
  [ ! -e "$SAVED" ] || as_root mv -- "$SAVED" "$POLICY"
  [ ! -e "$NO_CLUSTER" ] || as_root rm -f -- "$NO_CLUSTER"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -- "$@"; fi
}

install_packages() {
  local all=${PACKAGES[*]}
  case " $(sed -nE 's/^(ID|ID_LIKE)=//p' /etc/os-release 2>/dev/null | tr -d \" | xargs) " in
    *' debian '* | *' ubuntu '*) ;;
    *) die "this is neither Debian nor Ubuntu: install PostgreSQL $PG_MAJOR with its server headers (and set PG_CONFIG), nats-server, protoc, libclang, a C compiler and Rust $RUST_NEEDED by yourself; missing here: $(printf '%s; ' "${REASONS[@]}" | sed 's/; $//')" ;;
  esac
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
    die "packages are missing and there is no sudo: as root run  apt-get install $all"
  say "      installing by apt: $(printf '%s, ' "${REASONS[@]}" | sed 's/, $//')"
  if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
    [ -t 0 ] || die "packages are missing and sudo wants a password: run  sudo apt-get install $all"
    sudo -v
  fi
  logged logs/setup.log "apt-get update" as_root apt-get update
  if [[ " $all " == *" postgresql-$PG_MAJOR "* ]] && ! apt-cache show "postgresql-$PG_MAJOR" >/dev/null 2>&1; then
    die "this system has no package postgresql-$PG_MAJOR: add PostgreSQL's own packages (apt install postgresql-common, then /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh), or set PG_CONFIG to a PostgreSQL $PG_MAJOR"
  fi
  trap release_services EXIT
  trap 'exit 130' INT TERM HUP
  hold_services
  logged logs/setup.log "apt-get install" as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${PACKAGES[@]}"
  release_services
  trap - EXIT INT TERM HUP
  # Their packages have the services started at the next boot; nobody asked for that.
  local service
  for service in nats-server pgbouncer; do
    if [[ " $all " == *" $service "* ]] && command -v systemctl >/dev/null; then
      as_root systemctl disable --quiet "$service.service" 2>/dev/null || true
      say "      the distribution's own $service service is left disabled"
    fi
  done
}

install_rust() {
  local bin=${CARGO_HOME:-$HOME/.cargo}/bin
  if ! rust_there; then
    if [ ! -x "$bin/rustup" ]; then
      say "      cargo is ${1:-missing}; installing rustup into ${bin%/bin} (the project needs Rust $RUST_NEEDED)"
      logged logs/rustup.log "installing rustup" \
        bash -o pipefail -c 'curl --proto "=https" --tlsv1.2 -sSfL https://sh.rustup.rs | sh -s -- -y --no-modify-path --profile minimal --default-toolchain none' ||
        die "rustup could not be installed; install Rust $RUST_NEEDED or newer by yourself (https://rustup.rs) and run this again"
    fi
  fi
  cargo_fits || PATH=$bin:$PATH
  # The pinned toolchain, where rustup is the one that has it.
  if command -v rustup >/dev/null && ! rustup toolchain list 2>/dev/null | grep -q "^$RUST_PINNED-"; then
    say "      installing Rust $RUST_PINNED"
    logged logs/rustup.log "installing Rust $RUST_PINNED" rustup toolchain install "$RUST_PINNED" --profile minimal --component rustfmt --component clippy ||
      die "Rust $RUST_PINNED could not be installed: rustup toolchain install $RUST_PINNED says why"
  fi
  cargo_fits || die "no cargo $RUST_NEEDED or newer after all: logs/rustup.log says why"
}

lock setup
find_missing
if ((${#PACKAGES[@]} > 0)); then install_packages; fi
install_rust "$(cargo --version 2>/dev/null | sed -nE 's/^cargo ([0-9.]+).*/\1, too old/p')"
use_pg_config
