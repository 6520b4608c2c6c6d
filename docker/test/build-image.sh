#!/usr/bin/env bash
# Makes the image that Rust is taken from, of the Rust of this machine, where no image
# can be pulled. With an engine that has debian:bookworm-slim (base-image.sh).
#   build-image.sh [TAG]   does nothing where the engine has the image already
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
TAG=${1:-$(sed -n 's/^ARG BUILD_IMAGE=//p' docker/Dockerfile)}
if docker image inspect "$TAG" >/dev/null 2>&1; then
  echo "$TAG is there already"
  exit 0
fi
rust=$(rustc --print sysroot)
root=$(mktemp -d)
trap 'rm -rf -- "$root"' EXIT
# The certificates that this machine trusts, and the place where its cargo finds crates.
mkdir -p "$root/machine/usr/local/share/ca-certificates" "$root/machine/usr/local/cargo"
for file in /usr/local/share/ca-certificates/*.crt; do
  [ ! -f "$file" ] || cp -L -- "$file" "$root/machine$file"
done
for file in config config.toml; do
  [ ! -f "${CARGO_HOME:-$HOME/.cargo}/$file" ] || cp -L -- "${CARGO_HOME:-$HOME/.cargo}/$file" "$root/machine/usr/local/cargo/"
done
# Without its documents, which are more than half of it.
tar --create --file "$root/rust.tar" --directory "$rust" --transform 's,^,usr/local/,' bin lib
cat >"$root/Dockerfile" <<'END'
FROM debian:bookworm-slim
ENV CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY machine/ /
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev && rm -rf /var/lib/apt/lists/*
ADD rust.tar /
END
docker build --tag "$TAG" "$root"
