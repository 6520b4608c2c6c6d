#!/usr/bin/env bash
# The settings of a service: services/NAME/.env under the environment, and the owner of each value.
#
# Some lines of a .env are make's (the local database's address, say) and follow the local
# installation. A key that the user sets means that the local one is not wanted. A line of make's
# stands under a mark with its digest: changed, it is the user's.

digest() { printf '%s' "$1" | sha256sum | cut -c1-10; }

# The grammar is the program's, sidecar/runtime/src/config/dotenv.rs, where it is described. A test
# gives both the same files. In bash, so that the settings can be read before anything is built.

DOTENV_BLANK=$' \t\r'
DOTENV_ASSIGNMENT="^[$DOTENV_BLANK]*(export[$DOTENV_BLANK]+)?([A-Za-z_][A-Za-z0-9_]*)[$DOTENV_BLANK]*=(.*)\$"
DOTENV_COMMENT="^[$DOTENV_BLANK]+#"
DOTENV_SINGLE="^'([^']*)'([$DOTENV_BLANK]+#.*)?\$"
DOTENV_DOUBLE="^\"(([^\"\\]|\\\\.)*)\"([$DOTENV_BLANK]+#.*)?\$"

# dotenv_line LINE: sets DOTENV_KEY and DOTENV_VALUE; fails where the line sets nothing.
dotenv_line() {
  local rest
  [[ $1 =~ $DOTENV_ASSIGNMENT ]] || return 1
  DOTENV_KEY=${BASH_REMATCH[2]} DOTENV_VALUE='' rest=${BASH_REMATCH[3]}
  [[ ! $rest =~ $DOTENV_COMMENT ]] || return 0
  rest=${rest#"${rest%%[!"$DOTENV_BLANK"]*}"}
  rest=${rest%"${rest##*[!"$DOTENV_BLANK"]}"}
  case $rest in
    \'*)
      [[ $rest =~ $DOTENV_SINGLE ]] || return 1
      DOTENV_VALUE=${BASH_REMATCH[1]}
      ;;
    \"*)
      [[ $rest =~ $DOTENV_DOUBLE ]] || return 1
      dotenv_unescape "${BASH_REMATCH[1]}"
      ;;
    *)
      rest=${rest%%["$DOTENV_BLANK"]#*}
      DOTENV_VALUE=${rest%"${rest##*[!"$DOTENV_BLANK"]}"}
      ;;
  esac
}

# dotenv_unescape TEXT: sets DOTENV_VALUE to the text of double quotes.
dotenv_unescape() {
  local rest=$1
  DOTENV_VALUE=''
  while [[ $rest == *\\* ]]; do
    DOTENV_VALUE+=${rest%%\\*}
    rest=${rest#*\\}
    case $rest in
      [\"\\\$]*) DOTENV_VALUE+=${rest:0:1} ;;
      n*) DOTENV_VALUE+=$'\n' ;;
      *) DOTENV_VALUE+=\\${rest:0:1} ;;
    esac
    rest=${rest:1}
  done
  DOTENV_VALUE+=$rest
}

# dotenv_get FILE KEY: the value, without quotes; nothing when it is not set. Of several the last
# one.
dotenv_get() {
  local line value='' bom=$'\xEF\xBB\xBF'
  [ -f "$1" ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do
    # A mark that some editors put before the first line.
    line=${line#"$bom"} bom=''
    # A few letters spare most lines the reading.
    [[ $line == *"$2"* ]] || continue
    ! dotenv_line "$line" || [ "$DOTENV_KEY" != "$2" ] || value=$DOTENV_VALUE
  done <"$1"
  printf '%s' "$value"
}

# dotenv_quoted VALUE: as it stands in a file, on one line.
dotenv_quoted() {
  local value=$1
  if [[ $value =~ ^[A-Za-z0-9_./:@%+,=-]*$ ]]; then
    printf '%s' "$value"
  elif [[ $value != *[\'$'\n']* ]]; then
    printf "'%s'" "$value"
  else
    value=${value//\\/\\\\} value=${value//\"/\\\"}
    printf '"%s"' "${value//$'\n'/\\n}"
  fi
}

# service_ports: the ports that the services' files give, one a line.
service_ports() {
  local file port
  for file in services/*/.env; do
    port=$(dotenv_get "$file" SERVICE_PORT)
    [[ ! $port =~ ^[1-9][0-9]{0,4}$ ]] || printf '%s\n' "$port"
  done
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
  # In its place under its comment, where the file has one; else at the end. A mark whose line the
  # user took out goes as well.
  MARK="#:make $(digest "$line")" LINE="$key=$(dotenv_quoted "$3")" KEY=$key awk '
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

# A shell that has run `eval "$(make env)"` carries the local addresses in its environment. They are
# no choice of the user's, and DATABASE_URL is that of main: `make env` lists their digests, by
# which they are known and set aside here.
forget_leftovers() {
  local key
  for key in DATABASE_URL NATS_URL NATS_TOKEN NATS_USER NATS_PASSWORD OTEL_EXPORTER_OTLP_ENDPOINT; do
    [[ -z ${!key:-} || " ${MAKE_ENV_DIGESTS:-} " != *" $(digest "$key=${!key}") "* ]] || unset "$key"
  done
  # Kubernetes and Docker tell the address of a service called `nats` by
  # NATS_PORT=tcp://10.0.0.1:4222.
  for key in PG_PORT NATS_PORT NATS_MONITOR_PORT OTLP_PORT JAEGER_PORT SERVICE_PORT; do
    [[ ${!key:-} =~ ^(tcp|udp|sctp):// ]] || continue
    note "$key=${!key:0:60} is a service link of Kubernetes or Docker and no setting of ours: it is set aside" >&2
    unset "$key"
  done
  # The program would read that file, make another.
  if [ -n "${ENV_FILE:-}" ]; then
    note "ENV_FILE is for programs that are started by hand: make goes by services/NAME/.env" >&2
    unset ENV_FILE
  fi
}

# users KEY [SERVICE]: the value the user chose for KEY, in the environment or in the service's
# .env; nothing where make may choose.
users() {
  local key=$1 file=${2:+$ROOT/services/$2/.env}
  # An empty or blank value counts as not set, here as in the program.
  if [[ ${!key:-} =~ [^[:space:]] ]]; then
    printf '%s' "${!key}"
  elif [ -n "$file" ] && ! dotenv_is_ours "$file" "$key"; then
    dotenv_get "$file" "$key"
    # A database may be given in parts as well.
    if [ "$key" = DATABASE_URL ]; then dotenv_get "$file" PGHOST && dotenv_get "$file" PGHOSTADDR; fi
  fi
}
