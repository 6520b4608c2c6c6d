#!/usr/bin/env bash
# The settings of a service: services/NAME/.env under the environment, and whose each value is.
#
# Some lines of a .env are make's (the local database's address, say) and follow the local installation; the same key set by the user
# means that the local one is not wanted. A line of make's stands under a mark with its digest: changed, it is the user's.

digest() { printf '%s' "$1" | sha256sum | cut -c1-10; }

# dotenv_get FILE KEY: the value, without quotes; nothing when it is not set.
dotenv_get() {
  [ -f "$1" ] || return 0
  local value
  value=$(sed -nE "s/^[[:space:]]*(export[[:space:]]+)?$2[[:space:]]*=[[:space:]]*//p" -- "$1" | tail -n 1)
  value=${value%"${value##*[![:space:]]}"}
  case $value in
    \"*\" | \'*\') value=${value:1:${#value}-2} ;;
  esac
  printf '%s' "$value"
}

# dotenv_is_ours FILE KEY: the line is as make wrote it.
dotenv_is_ours() {
  [ -f "$1" ] && grep -qxF -- "#:make $(digest "$2=$(dotenv_get "$1" "$2")")" "$1"
}

# dotenv_put FILE KEY VALUE: make's line for KEY. The user's is left alone.
dotenv_put() {
  local file=$1 key=$2 line="$2=$3"
  [ "$(dotenv_get "$file" "$key")" != "$3" ] || return 0
  if [ -n "$(dotenv_get "$file" "$key")" ]; then
    dotenv_is_ours "$file" "$key" || return 0
    dotenv_drop "$file" "$key"
  fi
  # In its place under its comment, where the file has one; else at the end. A mark whose line the user took out goes as well.
  MARK="#:make $(digest "$line")" LINE=$line KEY=$key awk '
    mark != "" { if ($0 ~ /^[A-Z_]+=/) print mark; mark = "" }
    /^#:make / { mark = $0; next }
    { print }
    !put && $0 ~ "^# " ENVIRON["KEY"] "[:,]" { print ENVIRON["MARK"]; print ENVIRON["LINE"]; put = 1 }
    END { if (!put) { print ENVIRON["MARK"]; print ENVIRON["LINE"] } }' "$file" >"$file.$$"
  dotenv_replace "$file"
}

# dotenv_drop FILE KEY: takes make's line for KEY out.
dotenv_drop() {
  dotenv_is_ours "$1" "$2" || return 0
  MARK="#:make $(digest "$2=$(dotenv_get "$1" "$2")")" KEY=$2 awk '
    $0 == ENVIRON["MARK"] { skip = 1; next }
    skip && index($0, ENVIRON["KEY"] "=") == 1 { skip = 0; next }
    { skip = 0; print }' "$1" >"$1.$$"
  dotenv_replace "$1"
}
dotenv_replace() {
  chmod 600 "$1.$$"
  mv -f -- "$1.$$" "$1"
}

# A shell that has run `eval "$(make env)"` carries the local addresses in its environment. They are no choice of the user's, and
# DATABASE_URL is that of main: `make env` lists their digests, by which they are known and set aside here.
forget_leftovers() {
  local key
  for key in DATABASE_URL NATS_URL NATS_TOKEN OTEL_EXPORTER_OTLP_ENDPOINT; do
    [[ -z ${!key:-} || " ${MAKE_ENV_DIGESTS:-} " != *" $(digest "$key=${!key}") "* ]] || unset "$key"
  done
}

# users KEY [SERVICE]: the value the user chose for KEY, in the environment or in the service's .env; nothing where make may choose.
users() {
  local key=$1 file=${2:+$ROOT/services/$2/.env}
  if [ -n "${!key:-}" ]; then
    printf '%s' "${!key}"
  elif [ -n "$file" ] && ! dotenv_is_ours "$file" "$key"; then
    dotenv_get "$file" "$key"
    # A database may be given in parts as well.
    if [ "$key" = DATABASE_URL ]; then dotenv_get "$file" PGHOST && dotenv_get "$file" PGHOSTADDR; fi
  fi
}
