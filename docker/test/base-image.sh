#!/usr/bin/env bash
# Makes debian:bookworm-slim, or that of another release, by debootstrap, where no image can be
# pulled. As root, with an engine.
#   base-image.sh [TAG]   debian:trixie-slim; does nothing where the engine has the image already
set -euo pipefail
TAG=${1:-debian:bookworm-slim}
if docker image inspect "$TAG" >/dev/null 2>&1; then
  echo "$TAG is there already"
  exit 0
fi
release=${TAG#debian:}
release=${release%-slim}
command -v debootstrap >/dev/null || {
  echo "error: debootstrap is missing: apt-get install debootstrap" >&2
  exit 1
}
root=$(mktemp -d)
# debootstrap leaves its mounts when it is ended.
trap 'umount "$root/system/proc" "$root/system/sys" 2>/dev/null || true; rm -rf --one-file-system -- "$root"' EXIT
# The mirror is the one that debootstrap takes by itself. A release that is younger than debootstrap
# is made by the script for unstable.
script=/usr/share/debootstrap/scripts/$release
[ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
debootstrap --variant=minbase "$release" "$root/system" '' "$script" >"$root/debootstrap.log" 2>&1 || {
  tail -n 15 "$root/debootstrap.log" >&2
  exit 1
}
cd -- "$root/system"
# As the official slim image: no documents, translations, package lists or caches.
rm -rf -- usr/share/{doc,man,info,locale,lintian,linda} var/cache/apt/* var/cache/debconf/*-old var/lib/apt/lists/* var/log/*
printf 'path-exclude /usr/share/%s/*\n' doc man info locale >etc/dpkg/dpkg.cfg.d/docker
printf 'Acquire::Languages "none";\n' >etc/apt/apt.conf.d/docker-no-languages
printf '#!/bin/sh\nexit 101\n' >usr/sbin/policy-rc.d
chmod 755 usr/sbin/policy-rc.d
tar --numeric-owner --one-file-system -c . | docker import --change 'CMD ["bash"]' - "$TAG"
