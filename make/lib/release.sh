#!/usr/bin/env bash
# The kept binaries of services, .local/releases/NAME/VERSION: the next build does not write over a
# running program, and a release that was replaced can come back without its source.

RELEASES=$LOCAL/releases
# The number of kept versions of a service, besides those that run.
KEPT=5

# release_version NAME: the version that a copy would say of itself.
release_version() {
  local version
  version=$(users SERVICE_VERSION "$1")
  # The sidecar's own default.
  version=${version:-1.0}
  [[ $version =~ ^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$ ]] ||
    die "SERVICE_VERSION=$version: a version is letters, digits, '.', '_', '+' and '-', at most 64"
  printf '%s' "$version"
}

release_of() { printf '%s/%s/%s/%s_service' "$RELEASES" "$1" "$2" "$1"; }

# keep_release NAME VERSION: the latest build is NAME's VERSION from now on. In one step, so that
# nobody starts half a file.
keep_release() {
  local built=$PROFILE/$1_service kept
  kept=$(release_of "$1" "$2")
  [ "$built" -nt "$kept" ] || [ "$built" -ot "$kept" ] || return 0
  mkdir -p -- "${kept%/*}"
  cp --preserve=timestamps --reflink=auto -- "$built" "$kept.$$"
  mv -f -- "$kept.$$" "$kept"
  prune_releases "$1"
}

# prune_releases NAME: the oldest beyond KEPT go; one that a copy runs stays.
prune_releases() {
  local kept copy pid running=' '
  for copy in $(known_copies "$1"); do
    ! pid=$(pid_of "$1-$copy") || running+="$(readlink "/proc/$pid/exe" || true) "
  done
  while IFS= read -r kept; do
    [[ $running == *" $kept"* ]] || rm -rf -- "${kept%/*}"
  done < <(find "$RELEASES/$1" -type f -name "$1_service" -printf '%T@ %p\n' | sort -rn | cut -d' ' -f2- | tail -n "+$((KEPT + 1))")
}

# kept_versions NAME: newest first.
kept_versions() {
  [ ! -d "$RELEASES/$1" ] || find "$RELEASES/$1" -type f -name "$1_service" -printf '%T@ %h\n' | sort -rn | sed 's#.*/##'
}
