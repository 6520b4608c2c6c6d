#!/bin/sh
# Installs what the build needs beside Rust.
set -eu
[ "${BINARIES:-compiled}" != given ] || exit 0
apt-get update
apt-cache show "postgresql-server-dev-${PG:=15}" >/dev/null 2>&1 || {
  . /etc/os-release
  echo "error: BASE_IMAGE is $PRETTY_NAME, which has no PostgreSQL $PG: 13 is in bullseye, 15 in bookworm, 17 in trixie, 18 in forky" >&2
  exit 1
}
# PG: the major version of PostgreSQL, of the Debian of the image.
# The package of PostgreSQL makes no cluster, and nothing is started.
mkdir -p /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/tpro.conf
apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev libclang-dev protobuf-compiler \
  "postgresql-server-dev-$PG"
rm -rf /var/lib/apt/lists/*
# The bindings of the extension are formatted; the official image of Rust is without rustfmt.
rustfmt --version >/dev/null 2>&1 || rustup component add rustfmt
