#!/usr/bin/env bash
# Stops everything of this checkout and removes what it made: .local, the cluster, logs. Settings (.env) and cargo's target stay.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

"$ROOT/make/all.sh" down
locate
# The tests' own installation of PostgreSQL lies where user postgres can go; they note where.
TESTS=''
[ ! -s "$TARGET/debug/testkit.place" ] || TESTS=$(<"$TARGET/debug/testkit.place")
for folder in "$BASE" "$LOGS" "$LOCAL" ${TESTS:+"$TESTS"}; do
  [ ! -e "$folder" ] || rm -rf -- "$folder" || die "$folder could not be removed whole: is a part of it another user's?"
done
say "removed: $BASE, .local and logs${TESTS:+, $TESTS}"
say "left: target/ ($(du -sh -- "$TARGET" 2>/dev/null | cut -f1); cargo clean removes it), services/*/.env"
