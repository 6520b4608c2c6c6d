# shellcheck shell=bash
# Reads a .env before any Rust is there. The grammar is that of sidecar/dotenv, whose tests give the
# same lines to both.

DOTENV_BLANK=$' \t\r'
DOTENV_ASSIGNMENT="^[$DOTENV_BLANK]*(export[$DOTENV_BLANK]+)?([A-Za-z_][A-Za-z0-9_]*)[$DOTENV_BLANK]*=(.*)\$"
DOTENV_COMMENT="^[$DOTENV_BLANK]+#"
DOTENV_SINGLE="^'([^']*)'([$DOTENV_BLANK]+#.*)?\$"
DOTENV_DOUBLE="^\"(([^\"\\]|\\\\.)*)\"([$DOTENV_BLANK]+#.*)?\$"

# dotenv FILE KEY: DOTENV becomes the value that the file sets for the key: of several lines the
# last one. It is empty if no line sets it.
dotenv() {
  local line mark=$'\xEF\xBB\xBF'
  DOTENV=''
  [ -r "$1" ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do
    # Some editors put this mark before the first line.
    line=${line#"$mark"} mark=''
    if [[ $line =~ $DOTENV_ASSIGNMENT ]] && [ "${BASH_REMATCH[2]}" = "$2" ]; then
      dotenv_value "${BASH_REMATCH[3]}"
    fi
  done <"$1"
}

# dotenv_value TEXT: DOTENV becomes the value in the text behind the `=`. It stays as it is if the
# quotes of the text do not fit.
dotenv_value() {
  local rest=$1
  if [[ $rest =~ $DOTENV_COMMENT ]]; then
    DOTENV=''
    return
  fi
  rest=${rest#"${rest%%[!"$DOTENV_BLANK"]*}"}
  rest=${rest%"${rest##*[!"$DOTENV_BLANK"]}"}
  case $rest in
    \'*) if [[ $rest =~ $DOTENV_SINGLE ]]; then DOTENV=${BASH_REMATCH[1]}; fi ;;
    \"*) if [[ $rest =~ $DOTENV_DOUBLE ]]; then dotenv_unescape "${BASH_REMATCH[1]}"; fi ;;
    *)
      rest=${rest%%["$DOTENV_BLANK"]#*}
      DOTENV=${rest%"${rest##*[!"$DOTENV_BLANK"]}"}
      ;;
  esac
}

# dotenv_unescape TEXT: DOTENV becomes the value of the text between double quotes.
dotenv_unescape() {
  local rest=$1
  DOTENV=''
  while [[ $rest == *\\* ]]; do
    DOTENV+=${rest%%\\*}
    rest=${rest#*\\}
    case $rest in
      n*) DOTENV+=$'\n' ;;
      [\"\\\$]*) DOTENV+=${rest:0:1} ;;
      *) DOTENV+=\\${rest:0:1} ;;
    esac
    rest=${rest:1}
  done
  DOTENV+=$rest
}
