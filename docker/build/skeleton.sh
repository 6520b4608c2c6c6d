#!/bin/sh
# Copies what decides about the dependencies of /source to /skeleton: manifests, the lock file and
# empty sources. Of given programs there is nothing to compile, and the skeleton stays empty.
set -eu
mkdir -p /skeleton
cd /source
[ ! -d given ] || exit 0
cp -a Cargo.toml Cargo.lock .cargo /skeleton/
find pg_tpro sidecar services tools -name Cargo.toml | while read -r manifest; do
  crate=$(dirname "$manifest")
  mkdir -p "/skeleton/$crate/src"
  cp "$manifest" "/skeleton/$manifest"
  # Each source that cargo finds by its name, and each that the manifest names.
  {
    sed -n 's/^path = "\(.*\.rs\)".*/\1/p' "$manifest"
    cd "$crate"
    find . -path ./target -prune -o \( -path './src/main.rs' -o -path './src/lib.rs' -o -path './src/bin/*.rs' \
      -o -path './benches/*.rs' -o -path './examples/*.rs' -o -path './tests/*.rs' -o -path './tests/*/main.rs' \) -print
    cd - >/dev/null
  } | while read -r source; do
    mkdir -p "$(dirname "/skeleton/$crate/$source")"
    case $source in
      *lib.rs) : >"/skeleton/$crate/$source" ;;
      *) echo 'fn main() {}' >"/skeleton/$crate/$source" ;;
    esac
  done
done
