#!/usr/bin/env bash
# The extension: extension.sh up (built, and in the local database, which is upgraded if it is of an
# earlier release) | need (as it is there, else up) | install (into the PostgreSQL of PG_CONFIG)
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# scripts: the control file and the scripts that PostgreSQL reads.
scripts() {
  find sql pg_tpro -name pg_tpro.control -o -name 'pg_tpro--*.sql'
}

# put FILE FOLDER NAME [SUDO]: in one step and as a new file, since the old one may be mapped into
# running backends.
put() {
  ${4:-} install -m "$([[ $3 = *.so ]] && echo 755 || echo 644)" -- "$1" "$2/$3.new"
  ${4:-} mv -f -- "$2/$3.new" "$2/$3"
}

# put_all LIBRARY LIBDIR SHAREDIR [SUDO]: sets CHANGED where anything was not there as it is.
CHANGED=''
put_all() {
  local script
  cmp -s -- "$1" "$2/pg_tpro.so" || { put "$1" "$2" pg_tpro.so "${4:-}" && CHANGED=yes; }
  while IFS= read -r script; do
    cmp -s -- "$script" "$3/extension/${script##*/}" || { put "$script" "$3/extension" "${script##*/}" "${4:-}" && CHANGED=yes; }
  done < <(scripts)
}

# The scripts that the database's extension was made from. A script that has changed since under its
# version cannot be brought in.
fingerprint() { scripts | sort | grep -v control | xargs -d '\n' cat -- | sha256sum | cut -c1-16; }

# installed: the version in the local database, or nothing.
installed() { admin --command="SELECT extversion FROM pg_extension WHERE extname = 'pg_tpro'"; }

# The release that this source makes.
default_version() { sed -n "s/^default_version = '\(.*\)'/\1/p" pg_tpro/pg_tpro.control; }

# is_older A B: as releases, A comes before B.
is_older() { [ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# outdated: the number of services of the local database that are still as an earlier release made
# them.
outdated() { admin --command='SELECT count(*) FROM tpro.service_schemas s WHERE EXISTS (SELECT FROM tpro.outdated(s.name))'; }

# update FROM: brings the local database from an earlier release to this one, beside running
# services; data stays.
update() {
  local at
  at=$(now_ms)
  admin --command='ALTER EXTENSION pg_tpro UPDATE' >&2 ||
    die "the local database has pg_tpro $1, and ALTER EXTENSION pg_tpro UPDATE failed; the server's log is logs/postgres.log"
  fingerprint >"$BASE/extension.made"
  say "      extension pg_tpro $1 is $(default_version) now, updated in $(since "$at")"
}

# upgrade: brings its services to this release, each by itself.
upgrade() {
  local at many
  at=$(now_ms)
  # A database that was made from this release's scripts before they were finished cannot tell; it
  # has been warned of.
  many=$(outdated 2>/dev/null) || return 0
  [ "$many" != 0 ] || return 0
  admin --command='CALL tpro.upgrade_services()' >&2 ||
    die "$many services of the local database are still as an earlier release made them: end what the message names, then make up-db"
  say "      services of an earlier release: $many upgraded in $(since "$at")"
}

up() {
  local at made
  at=$(now_ms)
  "$ROOT/make/postgres.sh" up >/dev/null
  build "building the extension" --lib
  lock postgres
  locate
  put_all "$PROFILE/libpg_tpro.so" "$TREE$("$PG" --pkglibdir)" "$TREE$("$PG" --sharedir)"
  made=$(installed)
  if [ -z "$made" ]; then
    admin --command='CREATE EXTENSION pg_tpro' || die "CREATE EXTENSION pg_tpro failed; the server's log is logs/postgres.log"
    fingerprint >"$BASE/extension.made"
    say "      extension pg_tpro created in $(since "$at")"
    return
  fi
  if is_older "$made" "$(default_version)"; then
    update "$made"
    upgrade
    return
  fi
  [ "$(fingerprint)" = "$(cat -- "$BASE/extension.made" 2>/dev/null)" ] ||
    warn "sql/ has changed since the local database was made with it: make clean and a new start bring the change in"
  upgrade
  say "      extension pg_tpro $made is there${CHANGED:+, its library renewed for new connections}"
}

# need: any build of this release that is there already will do.
need() {
  "$ROOT/make/postgres.sh" up >/dev/null
  [ "$(installed)" = "$(default_version)" ] || up
}

# install: into the server of PG_CONFIG, which may be the user's own.
install_extension() {
  local libdir sharedir library sudo=''
  [ -n "${PG_CONFIG:-}" ] || die "say which PostgreSQL: make install-extension PG_CONFIG=/usr/lib/postgresql/$PG_MAJOR/bin/pg_config"
  use_pg_config
  use_measured
  library=$PROFILE/libpg_tpro.so
  libdir=$("$PG" --pkglibdir) sharedir=$("$PG" --sharedir)
  if [ -x "$PG_CONFIG_DEFAULT" ] && [ "$("$PG" --version)" = "$("$PG_CONFIG_DEFAULT" --version)" ]; then
    # An equal server in another place: a build for the one fits the other.
    unset PG_CONFIG PGRX_PG_CONFIG_PATH
    build "building the extension" --lib
  else
    # Bindings to another PostgreSQL get a folder of their own, or each of the two would be built
    # again whenever the other is.
    library=$ROOT/target-pg-$(digest "$PG")
    use_cargo
    CARGO_TARGET_DIR=$library logged logs/build.log "building the extension for $PG" cargo build "${CARGO_FLAGS[@]}" --package pg_tpro
    library=$library/measured/libpg_tpro.so
  fi
  if [ ! -w "$libdir" ] || [ ! -w "$sharedir/extension" ]; then
    sudo=sudo
    say "      sudo, since $libdir and $sharedir/extension are not yours"
  fi
  put_all "$library" "$libdir" "$sharedir" "$sudo"
  say "      pg_tpro is in $libdir and $sharedir/extension$([ -n "$CHANGED" ] || echo ', unchanged'); CREATE EXTENSION pg_tpro as a superuser uses it"
}

case ${1:-} in
  up) up ;;
  need) need ;;
  install) install_extension ;;
  *) die "usage: extension.sh up | need | install" ;;
esac
