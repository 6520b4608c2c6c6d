#!/usr/bin/env bash
# Tests the extension on another major version of PostgreSQL, then runs tpro-chaos on it for a
# minute: in a container of the Debian that has it, with the Rust of this machine. Needs an engine.
#   PG=17 postgres.sh   13, 15, 17 or 18
#   FILTER=words: only tests whose names have one of them, and no chaos
#   LOAD_SECONDS=60: of chaos; 0: none
# What it builds is kept in target-pg-VERSION/ and built no second time.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
die() {
  echo "error: $1" >&2
  exit 1
}
case ${PG:=17} in
  13) release=bullseye ;;
  15) release=bookworm ;;
  17) release=trixie ;;
  18) release=forky ;;
  *) die "PG=$PG: no release of Debian has that PostgreSQL; say 13, 15, 17 or 18" ;;
esac
# Where rustup puts it.
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
rust=$(rustc --print sysroot) || die "there is no rustc: make setup"
docker version >/dev/null 2>&1 ||
  die "no engine answers. docker/test/engine.sh make test-postgres PG=$PG  starts one as root and ends it"
base=debian:$release-slim
image=tpro_test_postgres:$PG
docker image inspect "$base" >/dev/null 2>&1 || docker pull --quiet "$base" 2>/dev/null || docker/test/base-image.sh "$base"
root=$(mktemp -d)
trap 'rm -rf -- "$root"' EXIT
# The certificates that this machine trusts.
mkdir -p "$root/certificates"
for file in /usr/local/share/ca-certificates/*.crt; do
  [ ! -f "$file" ] || cp -L -- "$file" "$root/certificates/"
done
cat >"$root/Dockerfile" <<END
FROM $base
COPY certificates/ /usr/local/share/ca-certificates/
# The mirror may be a snapshot of an earlier day.
RUN mkdir -p /etc/postgresql-common/createcluster.d && \\
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/tpro.conf && \\
    apt-get --option Acquire::Check-Valid-Until=false update && \\
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev libclang-dev \\
    postgresql-$PG postgresql-server-dev-$PG protobuf-compiler procps && \
    if apt-cache show nats-server >/dev/null 2>&1; then apt-get install -y --no-install-recommends nats-server; fi
END
docker build --tag "$image" "$root"
# The folders belong to the user who runs this: the engine would make them as root.
mkdir -p "target-pg-$PG" target
cargo=${CARGO_HOME:-$HOME/.cargo}
cargo fetch --locked
configuration=()
for file in config config.toml; do
  [ ! -f "$cargo/$file" ] || configuration+=(--volume "$cargo/$file:/cargo/$file:ro")
done
words=()
[ -z "${FILTER:-}" ] || read -ra words <<<"$FILTER"
# PostgreSQL 13 has no CREATE OR REPLACE TRIGGER, by which release 0.1.0 made its services, no DETACH
# CONCURRENTLY, no statistics of expressions, and reserves no prefix of settings.
[ "$PG" != 13 ] || words+=(--skip upgrades:: --skip not_upgraded --skip rows_of_before --skip half_detached
  --skip what_is_detached --skip prefix_of_the_settings)
chaos=${LOAD_SECONDS:-60}
[ -z "${FILTER:-}" ] || chaos=0
docker run --rm --init --network host \
  --volume "$PWD:/source" --volume "$PWD/target-pg-$PG:/source/target" \
  --volume "$rust:/rust:ro" --volume "$cargo/registry:/cargo/registry:ro" "${configuration[@]}" \
  --env CARGO_HOME=/cargo --env PATH=/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  --env PGRX_PG_CONFIG_PATH="/usr/lib/postgresql/$PG/bin/pg_config" --workdir /source "$image" \
  bash -c 'set -e
    pg=$1 chaos=$2
    shift 2
    flags=(--locked --offline --package pg_tpro --no-default-features --features "pg$pg")
    cargo build "${flags[@]}"
    cargo test "${flags[@]}" -- "$@"
    [ "$chaos" != 0 ] || exit 0
    command -v nats-server >/dev/null || { echo "no chaos: this Debian has no nats-server"; exit 0; }
    programs=()
    for program in tpro-chaos main_service analytic_service co_service; do programs+=(--bin "$program"); done
    cargo build --locked --offline --workspace --no-default-features --features "pg_tpro/pg$pg" --lib --example rogue "${programs[@]}"
    target/debug/tpro-chaos run --seconds "$chaos" --logs target/chaos' bash "$PG" "$chaos" "${words[@]}"
