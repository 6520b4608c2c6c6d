#!/usr/bin/env bash
# shellcheck disable=SC2034  # What is set here is for the scripts that source it.
# Rust: the cargo to use, and the builds.

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
  cargo_fits || [ ! -x "$bin/cargo" ] || PATH=$bin:$PATH
  cargo_fits || die "no cargo $RUST_NEEDED or newer here: run make setup"
  export PATH
}

TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
PROFILE=$TARGET/debug

# use_measured: builds from now on are optimised as for figures and for other machines, and lie
# apart.
use_measured() {
  PROFILE=$TARGET/measured
  CARGO_FLAGS+=(--profile measured)
}

# The unattended run builds the locked versions and nothing else.
CARGO_FLAGS=()
[ -z "${CI:-}" ] || CARGO_FLAGS=(--locked)

# load_seed: sets LOAD_SEED to the arguments of tpro-chaos for SEED.
load_seed() {
  LOAD_SEED=()
  [ -n "${SEED:-}" ] || return 0
  [[ $SEED =~ ^[0-9]{1,20}$ ]] || die "SEED=${SEED:0:40}: a seed is a whole number, as the run before has printed it"
  LOAD_SEED=(--seed "$SEED")
}

# build LABEL ARGUMENTS...: cargo build of the programs that `make demo` and `make up` run. Always
# with the features of these crates together: a package built alone would have others, and
# everything under it would be compiled twice. Programs that only developers run are left out:
# nobody waits for them. BUILT=yes says that the caller has built everything.
build() {
  build_all "$@" --exclude tpro-bench --exclude tpro-chaos --exclude tpro-models --exclude tpro-simulation --exclude tpro-house \
    --exclude tpro-testkit --exclude tpro-testkit-macros
}

# build_all LABEL ARGUMENTS...: cargo build of all crates.
build_all() {
  local label=$1
  shift
  use_pg_config
  [ "${BUILT:-}" != yes ] || return 0
  use_cargo
  logged logs/build.log "$label" cargo build --workspace "${CARGO_FLAGS[@]}" "$@"
}
