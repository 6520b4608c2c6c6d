#!/usr/bin/env bash
# Stops everything of this checkout and removes what it made: .local, the cluster, logs. Settings
# (.env) and cargo's target stay.
# shellcheck source=make/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

"$ROOT/make/all.sh" down
locate
# The tests' own installation of PostgreSQL lies where user postgres can go; they note where. It
# goes only if it is of the programs in this target/ and of this checkout: the note may have come
# along with a copy of the folder.
TESTS=()
for profile in "$TARGET/debug" "$TARGET/measured"; do
  place=$(cat -- "$profile/testkit.place" 2>/dev/null || true)
  if [ -z "$place" ] || [ ! -e "$place" ]; then continue; fi
  mapfile -t owner < <(cat -- "$place/owner" 2>/dev/null)
  if [ "${owner[0]:-}" = "$(realpath -- "$profile")" ] && [ "${owner[1]:-}" = "$ROOT" ]; then
    TESTS+=("$place")
  else
    say "left: $place, the tests' installation${owner[1]:+ of ${owner[1]}}; $profile/testkit.place is not of this checkout's tests"
  fi
done
for folder in "$BASE" "$LOGS" "$LOCAL" "${TESTS[@]}"; do
  [ ! -e "$folder" ] || rm -rf -- "$folder" || die "$folder could not be removed whole: is a part of it another user's?"
done
say "removed: $BASE, .local and logs${TESTS[*]:+, ${TESTS[*]}}"
say "left: target/ ($(du -sh -- "$TARGET" 2>/dev/null | cut -f1); cargo clean removes it), services/*/.env"
