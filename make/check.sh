#!/usr/bin/env bash
# The checks that need no running server: form, lints, documentation, dependencies, scripts.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# Each check runs, also after another has failed: one round shows all that is to be mended.
FAILED=()
check() {
  local what=$1
  shift
  step "$what"
  "$@" || FAILED+=("$what")
}
skipped() { say "      skipped: $1 is not installed ($2)"; }

form() {
  local color=never
  [ -z "$BOLD" ] || color=always
  cargo fmt --all --check -- --color "$color"
}
lints() { logged logs/clippy.log "clippy" cargo clippy --workspace "${CARGO_FLAGS[@]}" --all-targets -- -D warnings; }
documentation() {
  RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' logged logs/doc.log "rustdoc" cargo doc --workspace "${CARGO_FLAGS[@]}" --no-deps --document-private-items
}
dependencies() {
  # No program that is built without tests depends on them.
  if cargo tree --workspace --edges normal,build,features --invert fail | grep failpoints >&2; then
    say "      failpoints are for tests; as it is they would be in a release"
    return 1
  fi
  if ! cargo deny --version >/dev/null 2>&1; then
    skipped cargo-deny "cargo install cargo-deny --locked"
    return
  fi
  logged logs/deny.log "cargo deny" cargo deny --workspace check bans licenses sources || return
  # The only part that needs the net: a machine without it has checked the rest.
  cargo deny --workspace check advisories >"$LOGS/advisories.log" 2>&1 </dev/null || {
    if grep -q 'failed to fetch advisory database' "$LOGS/advisories.log"; then
      say "      advisories skipped: their database could not be fetched"
    else
      tail -n 40 -- "$LOGS/advisories.log" >&2
      return 1
    fi
  }
}
scripts() {
  if command -v shellcheck >/dev/null; then
    shellcheck --external-sources make/*.sh make/lib/*.sh .ci/run
  else
    skipped shellcheck "apt-get install shellcheck"
  fi
}

# A function that runs with its owner's rights must not go by the names of its caller. Tests look in
# a database at who owns, alters and makes the objects in the schemas of tpro: pg_tpro's ownership::
# and upgrades:: in make test.
sql() {
  if ! command -v pgspot >/dev/null; then
    skipped pgspot "pipx install pgspot"
    return
  fi
  # They commit, and so cannot pin search_path; every name and operator in them is qualified.
  local commits=(--proc-without-search-path 'tpro.upgrade_services(patience interval)') body request
  for body in pg_catalog.jsonb pg_catalog.json pg_catalog.text; do
    request="tpro.request(service_name pg_catalog.text,entity pg_catalog.text,method_name pg_catalog.text,body $body"
    request+=',headers pg_catalog.jsonb,timeout integer,protocol pg_catalog.text,reply_to pg_catalog.text,sender pg_catalog.text'
    request+=',space_name pg_catalog.text,INOUT reply pg_catalog.jsonb)'
    commits+=(--proc-without-search-path "$request")
    # The planner puts the call in their place, which it does not where there are settings.
    [ "$body" = pg_catalog.jsonb ] || commits+=(--proc-without-search-path "$(sed "s/request/publish/; s/,INOUT.*/)/" <<<"$request")")
  done
  local version script
  version=$(sed -n "s/^default_version = '\(.*\)'/\1/p" pg_tpro/pg_tpro.control)
  sed 's/^\\echo.*//' "sql/pg_tpro--$version.sql" | pgspot "${commits[@]}" || return
  for script in sql/pg_tpro--*--"$version".sql; do
    # It replaces functions in the schema that the extension has made.
    { echo 'CREATE SCHEMA tpro;' && sed 's/^\\echo.*//' "$script"; } | pgspot "${commits[@]}" || return
  done
  # The template runs in a function that has this search_path.
  { echo 'SET search_path TO pg_catalog, pg_temp;' && sed 's/@\([a-z]*\)@/example_\1/g' sql/service.sql; } | pgspot
}

steps 7
step "What it needs"
"$ROOT/make/setup.sh"
use_cargo
use_pg_config
check "Form (cargo fmt)" form
check "Lints (cargo clippy, warnings are errors)" lints
check "Documentation (cargo doc, warnings are errors)" documentation
check "Dependencies (cargo deny)" dependencies
check "Scripts (shellcheck)" scripts
check "SQL (pgspot)" sql
step_done
((${#FAILED[@]} == 0)) || die "failed: $(printf '%s; ' "${FAILED[@]}" | sed 's/; $//')"
say "all checks passed"
