#!/bin/sh
# compile.sh dependencies: compiles what others wrote, by the skeleton in /source.
# compile.sh programs: compiles all of it, and lays programs and extension out in /out.
# PG: the major version of PostgreSQL. For any but 15 only the extension is compiled: services are in
# images of Debian 12.
set -eu
: "${PG:=15}"
cd /source
if [ "${BINARIES:-compiled}" = given ]; then
  [ "$1" = dependencies ] || cp -a given /out
  exit 0
fi
# The Rust of the image: rustup would fetch another.
rm -f rust-toolchain.toml
# .cargo/config.toml names that of 15.
export PGRX_PG_CONFIG_PATH="/usr/lib/postgresql/$PG/bin/pg_config"
# Linking a program takes minutes: those that are in no image are left out.
seldom_run=$(sed -n 's/^seldom-run = \[\(.*\)\]/\1/p' Cargo.toml | tr -d '",')
# A ready-made service is in the image of its own only.
build() {
  if [ "$PG" != 15 ]; then
    cargo build --package pg_tpro --locked --profile "$PROFILE" --no-default-features --features "pg$PG"
    return
  fi
  set --
  [ "${READY_MADE:-}" = web ] || set -- --exclude web_service
  for left in $seldom_run tpro template_service; do set -- "$@" --exclude "$left"; done
  cargo build --workspace --locked --profile "$PROFILE" --bins --lib "$@"
}
if [ "$1" = dependencies ]; then
  build
  exit 0
fi
# The empty crates were compiled later than the sources were written.
find pg_tpro sidecar services tools -name '*.rs' -exec touch {} +
build
built=target/$PROFILE
[ "$PROFILE" != dev ] || built=target/debug
mkdir -p /out/bin /out/certificates
if [ "$PG" = 15 ]; then
  for program in "$built"/*_service "$built"/tpro-service "$built"/tpro-viewer "$built"/tpro-demo; do
    install -s "$program" /out/bin/
  done
else
  # The older builder makes all targets that stand before the extension, too.
  for program in main_service tpro-viewer tpro-demo; do
    printf '#!/bin/sh\necho "error: this image was built with PG=%s, and programs are built with 15" >&2\nexit 1\n' "$PG" >/out/bin/$program
    chmod 755 /out/bin/$program
  done
fi
cp /etc/ssl/certs/ca-certificates.crt /out/certificates/
library=/out/extension/usr/lib/postgresql/$PG/lib share=/out/extension/usr/share/postgresql/$PG/extension
mkdir -p "$library" "$share"
version=$(sed -n "s/^default_version = '\(.*\)'$/\1/p" pg_tpro/pg_tpro.control)
# A database of an earlier release asks for the library by the name of that release; 0.1.0 had no version in it.
for name in "pg_tpro-$version.so" pg_tpro.so; do
  install -s -m 755 "$built"/libpg_tpro.so "$library/$name"
done
install -m 644 pg_tpro/pg_tpro.control sql/pg_tpro--* "$share/"
