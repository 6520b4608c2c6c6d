#!/usr/bin/env bash
# Installs what is missing, and starts tpro, which does all else that a make target does.
#   setup.sh [tests]        packages and Rust, each with its reason; changes nothing where all is
#                           there; tests: also what only the tests need
#   setup.sh run ARGS...    tpro local ARGS; tpro is built first if its sources are newer
#   setup.sh first ARGS...  like run; if tpro has to be built, what is missing is installed before
#
# With BUILT=yes tpro is taken as it is.

# A bash older than 4 would not even parse the rest: elsewhere than on Linux one line says what is
# needed.
if [ "$(uname -s)" != Linux ]; then
  echo "error: this needs Linux (Debian or Ubuntu; else PostgreSQL 13 to 18 with its headers, nats-server, protoc, libclang, gcc and Rust, all on PATH)" >&2
  exit 1
fi
set -euo pipefail
umask 022

# Everything is addressed from the checkout, so that a path with spaces works and the caller's
# directory does not matter.
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# The environment that make's own recursion adds would reach cargo, which would look for a job
# server that is not there.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
# nats-server lies in /usr/sbin, which an ordinary user's PATH leaves out.
case ":$PATH:" in *:/usr/sbin:*) ;; *) export PATH=$PATH:/usr/sbin ;; esac

# shellcheck source=make/dotenv.sh
. make/dotenv.sh

# --- output

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  DIM=$'\e[2m' RED=$'\e[31m' YELLOW=$'\e[33m' PLAIN=$'\e[0m'
else
  DIM='' RED='' YELLOW='' PLAIN=''
fi

say() { printf '%s\n' "$*"; }
warn() { printf '%swarning:%s %s\n' "$YELLOW" "$PLAIN" "$*" >&2; }
die() {
  printf '%serror:%s %s\n' "$RED" "$PLAIN" "$*" >&2
  exit 1
}

# ticker LOG LABEL PID: progress of the command that writes LOG, until PID is gone; on a terminal in
# place, else a line now and then.
ticker() {
  local log=$1 label=$2 pid=$3 crates last pause=30 never
  SECONDS=0
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
      printf '\r\e[K      %s  %d s  %s' "$label" "$SECONDS" "${last:0:70}"
    else
      printf '      %s  %d s  %s\n' "$label" "$SECONDS" "${last:0:100}"
    fi
  done
}

# logged LOG LABEL COMMAND...: runs COMMAND with its output in LOG and its progress on the screen.
logged() {
  local log=$1 label=$2 rc=0 ticking
  shift 2
  mkdir -p -- logs
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

# --- Rust

# The oldest Rust that the workspace says it builds with.
RUST_NEEDED=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
RUST_PINNED=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)

# cargo_fits: a cargo that is new enough is on PATH.
cargo_fits() {
  local version
  version=$(cargo --version 2>/dev/null | sed -nE 's/^cargo ([0-9]+\.[0-9]+).*/\1/p')
  [ -n "$version" ] && [ "$(printf '%s\n' "$RUST_NEEDED" "$version" | sort -V | head -n 1)" = "$RUST_NEEDED" ]
}

# use_cargo: puts rustup's own folder first on PATH if the cargo on PATH is missing or too old.
use_cargo() {
  local bin=${CARGO_HOME:-$HOME/.cargo}/bin
  cargo_fits || [ ! -x "$bin/cargo" ] || export PATH="$bin:$PATH"
  cargo_fits || die "no cargo $RUST_NEEDED or newer here: run make setup"
}

rust_there() (use_cargo) 2>/dev/null

# --- tpro

PROFILE=${CARGO_TARGET_DIR:-target}/debug
TPRO=$PROFILE/tpro
# The packages that make demo leaves out.
SELDOM_RUN=$(sed -n 's/^seldom-run = \[\(.*\)\]/\1/p' Cargo.toml | tr -d '",')
# The time at which its last build here began. An edit during a build is newer than this mark, and
# cargo leaves a program that is still right as old as it was. A build by hand leaves no mark.
MADE=$PROFILE/tpro.made
SOURCES=(Cargo.toml Cargo.lock rust-toolchain.toml tools/tpro/Cargo.toml tools/tpro/src tools/local tools/servers sidecar/dotenv sidecar/tls sidecar/wire)

# tpro_is_fresh: it is there, and none of its sources has changed since its build began.
tpro_is_fresh() {
  local built=$TPRO
  [ -x "$TPRO" ] || return 1
  [ ! -e "$MADE" ] || built=$MADE
  [ -z "$(find "${SOURCES[@]}" -newer "$built" -print -quit 2>/dev/null)" ]
}

# cargo_tpro [exec]: with the features of all crates that make demo builds, or what is under it
# would be compiled twice. exec: cargo takes the place of this shell, so that a signal meets it.
cargo_tpro() {
  local flags=() left
  # The unattended run builds the locked versions and nothing else.
  [ -z "${CI:-}" ] || flags=(--locked)
  for left in $SELDOM_RUN; do flags+=(--exclude "$left"); done
  # A ready-made service is built once somebody has asked for it.
  [ -f services/web/.env ] || flags+=(--exclude web_service)
  "$@" cargo build --workspace --bin tpro "${flags[@]}"
}

# A failure in it does not end the script.
build_tpro() (
  local mark=.local/tpro.made.$$
  use_cargo
  # Not in the folder of the programs: cargo marks target/ for backups only if it makes it.
  mkdir -p -- .local || exit 1
  : >"$mark" || exit 1
  logged logs/tpro.log "building tpro" cargo_tpro || {
    rm -f -- "$mark"
    exit 1
  }
  mv -f -- "$mark" "$MADE"
)

# run FIRST ARGS...
run() {
  local first=$1
  shift
  if [ "${BUILT:-}" = yes ]; then
    [ -x "$TPRO" ] || die "BUILT=yes, but there is no $TPRO: leave BUILT out, and it is built"
  elif ! tpro_is_fresh; then
    # Aside: the output of `make env` is for eval.
    [ "$first" != yes ] || FOLLOWED=yes install_all '' >&2
    if ! build_tpro >&2; then
      # Services that run can be stopped while the sources do not compile.
      if [ "$first" = yes ] || [ ! -x "$TPRO" ]; then exit 1; fi
      warn "$TPRO could not be built from the sources as they are: its earlier build goes on"
    fi
  fi
  let_go
  exec "$TPRO" local "$@"
}

# let_go: closes all but the three standard files. A process that tpro starts and that lives on must
# keep no pipe of make's open.
let_go() {
  local fd
  for fd in /proc/self/fd/*; do
    fd=${fd##*/}
    ((fd <= 2)) || eval "exec $fd>&-" 2>/dev/null || true
  done
}

# --- packages

POLICY=/usr/sbin/policy-rc.d
SAVED=$POLICY.before-tpro
NO_CLUSTER=/etc/postgresql-common/createcluster.d/tpro.conf
# The versions of PostgreSQL that the extension is built for: the preferred one, then the newest.
PG_MAJORS=(15 18 17 16 14 13)
PG_MAJOR=${PG_MAJORS[0]}

# The packages that are missing, and what each is for.
PACKAGES=() REASONS=()
need() {
  PACKAGES+=("$1")
  REASONS+=("$1 ($2)")
}

# in_containers: everything but tpro is compiled in images.
in_containers() { says RUNTIME docker && ! says BINARIES given; }
# says KEY VALUE: the environment sets the key to the value, or if it holds nothing but blanks, the
# .env of the checkout does.
says() {
  local DOTENV=${!1:-}
  [[ $DOTENV == *[![:space:]]* ]] || dotenv .env "$1"
  [ "$DOTENV" = "$2" ]
}

# has_server MAJOR, has_headers MAJOR: these are installed. is_offered PACKAGE: apt can install it.
has_server() { [ -x "/usr/lib/postgresql/$1/bin/postgres" ]; }
has_headers() { [ -f "/usr/include/postgresql/$1/server/postgres.h" ]; }
is_offered() { [[ "$(apt-cache policy "$1" 2>/dev/null)" == *' Candidate: '[0-9]* ]]; }
lacks_headers() { has_server "$1" && is_offered "postgresql-server-dev-$1"; }
is_whole() { has_server "$1" && has_headers "$1"; }
is_to_be_had() { is_offered "postgresql-$1" && is_offered "postgresql-server-dev-$1"; }

# choose_major: the version to be used: one that is installed, else one whose headers apt has, else
# one that apt has. The preferred one stays where nothing is known.
choose_major() {
  local way major
  for way in is_whole lacks_headers is_to_be_had; do
    for major in "${PG_MAJORS[@]}"; do
      if "$way" "$major"; then
        PG_MAJOR=$major
        return
      fi
    done
  done
  PG_MAJOR=${PG_MAJORS[0]}
}

find_missing() {
  local headers='' version major
  PACKAGES=() REASONS=()
  if [ "$1" != tests ] && in_containers; then
    find_missing_for_rust
    return
  fi
  if [ -n "${PG_CONFIG:-}" ]; then
    [ -x "$PG_CONFIG" ] || die "PG_CONFIG=$PG_CONFIG is no program: set PG_CONFIG to the pg_config of a PostgreSQL 13 to 18, or leave it out"
    version=$("$PG_CONFIG" --version || true)
    major=$(sed -nE 's/^PostgreSQL ([0-9]+).*/\1/p' <<<"$version")
    [[ -n "$major" && " ${PG_MAJORS[*]} " == *" $major "* ]] ||
      die "PG_CONFIG=$PG_CONFIG is of $version: the extension is built for PostgreSQL 13 to 18"
    [ -f "$("$PG_CONFIG" --includedir-server)/postgres.h" ] ||
      die "PG_CONFIG=$PG_CONFIG has no headers in $("$PG_CONFIG" --includedir-server): install the development files of that PostgreSQL"
    headers=own
  else
    choose_major
  fi
  [ -n "$headers" ] || has_server "$PG_MAJOR" || need "postgresql-$PG_MAJOR" "the database"
  [ -n "$headers" ] || has_headers "$PG_MAJOR" || need "postgresql-server-dev-$PG_MAJOR" "the extension's headers"
  command -v nats-server >/dev/null || need nats-server "messaging"
  command -v protoc >/dev/null || need protobuf-compiler "the trace viewer's build"
  compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null || [ -n "${LIBCLANG_PATH:-}" ] || need libclang-dev "the extension's bindings"
  if [ "$1" = tests ]; then
    [ -x /usr/sbin/pgbouncer ] || need pgbouncer "a pooler, for the tests"
  fi
  find_missing_for_rust
}

find_missing_for_rust() {
  command -v cc >/dev/null || need gcc "the compiler's linker"
  [ -f /usr/include/stdlib.h ] || need libc6-dev "the C library's headers"
  if ! rust_there; then
    command -v curl >/dev/null || need curl "to fetch rustup"
    [ -f /etc/ssl/certs/ca-certificates.crt ] || need ca-certificates "to fetch rustup"
  fi
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

# begin_tpro: if a build of tpro follows and all that it needs is here, begins it while packages
# come. The build that follows waits for this one by the lock of cargo, takes over what is done, and
# tells of errors.
begin_tpro() {
  BUILDING=''
  if [ -n "${FOLLOWED:-}" ] && rust_there && command -v cc >/dev/null && [ -f /usr/include/stdlib.h ]; then
    (
      let_go
      use_cargo
      cargo_tpro exec
    ) &>/dev/null </dev/null &
    BUILDING=$!
  fi
}

# Only a build that nothing follows is ended.
give_up() {
  [ -z "$BUILDING" ] || kill "$BUILDING" 2>/dev/null || true
  release_services
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -- "$@"; fi
}

# install_packages tests|services: all that is missing.
install_packages() {
  local all=${PACKAGES[*]} before=$PG_MAJOR
  case " $(sed -nE 's/^(ID|ID_LIKE)=//p' /etc/os-release 2>/dev/null | tr -d \" | xargs) " in
    *' debian '* | *' ubuntu '*) ;;
    *) die "this is neither Debian nor Ubuntu: install PostgreSQL 13 to 18 with its server headers (and set PG_CONFIG), nats-server, protoc, libclang, a C compiler and Rust $RUST_NEEDED by yourself; missing here: $(printf '%s; ' "${REASONS[@]}" | sed 's/; $//')" ;;
  esac
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
    die "packages are missing and there is no sudo: as root run  apt-get install $all"
  say "      installing by apt: $(printf '%s, ' "${REASONS[@]}" | sed 's/, $//')"
  if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
    [ -t 0 ] || die "packages are missing and sudo wants a password: run  sudo apt-get install $all"
    sudo -v
  fi
  begin_tpro
  trap give_up EXIT
  trap 'exit 130' INT TERM HUP
  logged logs/setup.log "apt-get update" as_root apt-get update
  # Only now it is known what apt has.
  find_missing "$1"
  all=${PACKAGES[*]}
  [ "$PG_MAJOR" = "$before" ] || say "      this system has PostgreSQL $PG_MAJOR and not $before"
  if [[ " $all " == *" postgresql-$PG_MAJOR "* ]]; then
    is_offered "postgresql-$PG_MAJOR" ||
      die "this system has no package postgresql-$PG_MAJOR: add PostgreSQL's own packages (apt install postgresql-common, then /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh), or set PG_CONFIG to a PostgreSQL 13 to 18"
  fi
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
  cargo_fits || export PATH="$bin:$PATH"
  # The pinned toolchain, where rustup is the one that has it.
  if command -v rustup >/dev/null && ! rustup toolchain list 2>/dev/null | grep -q "^$RUST_PINNED-"; then
    say "      installing Rust $RUST_PINNED"
    logged logs/rustup.log "installing Rust $RUST_PINNED" rustup toolchain install "$RUST_PINNED" --profile minimal --component rustfmt --component clippy ||
      die "Rust $RUST_PINNED could not be installed: rustup toolchain install $RUST_PINNED says why"
  fi
  cargo_fits || die "no cargo $RUST_NEEDED or newer after all: logs/rustup.log says why"
}

# install_all FOR: one at a time.
install_all() (
  local waits
  # One number format and one language for the messages that are parsed here.
  export LC_ALL=C.UTF-8
  mkdir -p -- .local/lock logs
  exec {waits}>.local/lock/setup
  if ! flock --nonblock "$waits"; then
    printf '%s%s%s\n' "$DIM" "waiting for another make that is at work on setup" "$PLAIN"
    flock "$waits"
  fi
  find_missing "$1"
  if ((${#PACKAGES[@]} > 0)); then install_packages "$1"; fi
  install_rust "$(cargo --version 2>/dev/null | sed -nE 's/^cargo ([0-9.]+).*/\1, too old/p')"
)

case ${1:-} in
  '' | tests) install_all "${1:-}" ;;
  run) run no "${@:2}" ;;
  first) run yes "${@:2}" ;;
  *) die "usage: setup.sh [tests] | run ARGS... | first ARGS..." ;;
esac
