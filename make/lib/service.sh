#!/usr/bin/env bash
# Services as folders and as running copies.

# Folders of services/ that are no service one could run.
NO_SERVICE=' template contracts '

# all_services: the names, one a line, main first.
all_services() {
  local folder name
  [ ! -d services/main ] || echo main
  for folder in services/*/; do
    name=$(basename -- "$folder")
    # A folder of another name is no service: the callers print the name and make variables of it.
    [ "$name" = main ] || [[ $NO_SERVICE == *" $name "* ]] || [ ! -f "$folder/Cargo.toml" ] || ! is_name "$name" || echo "$name"
  done
}

# is_name NAME: the grammar of sidecar/wire/src/name.rs. A test gives both the same names.
is_name() { [[ $1 =~ ^[a-z][a-z0-9_]{0,39}$ ]]; }

# must_be_name NAME: the grammar, and the names that are taken, from the file that the program has
# them from.
must_be_name() {
  local pattern patterns
  is_name "$1" || die "'$1' is no name for a service: a small letter, then small letters, digits and _, at most 40 in all"
  mapfile -t patterns < <(grep -vE '^(#|$)' sidecar/wire/src/reserved.txt)
  ((${#patterns[@]} > 0)) || die "cannot read the reserved names from sidecar/wire/src/reserved.txt"
  for pattern in "${patterns[@]}"; do
    # shellcheck disable=SC2053  # It is a pattern.
    [[ $1 != $pattern ]] || die "'$1' is a reserved name ($pattern): choose another name for the service"
  done
}

must_be_service() {
  [[ $NO_SERVICE != *" $1 "* ]] || die "services/$1 is no service that runs; make create-NAME makes one from the template"
  must_be_name "$1"
  [ -f "services/$1/Cargo.toml" ] || die "there is no service '$1' (here are: $(all_services | xargs)); make create-$1 makes it"
}

# copy_number: COPY_NUMBER, checked; nothing when it is not given.
copy_number() {
  [ -n "${COPY_NUMBER:-}" ] || return 0
  [[ $COPY_NUMBER =~ ^[1-9][0-9]{0,3}$ ]] || die "COPY_NUMBER=$COPY_NUMBER: a copy has a number from 1 to 9999"
  printf '%s' "$COPY_NUMBER"
}

# whole_number SETTING DEFAULT [NAME]: the setting, which must be a whole number. A script that
# calculates must take the number from
# here: bash runs the text in the index of an array in an expression.
whole_number() {
  local value=${!1:-$2}
  [[ $value =~ ^(0|[1-9][0-9]{0,8})$ ]] || die "${3:-$1}=${value:0:40}: this is not a whole number from 0 to 999999999"
  printf '%s' "$value"
}

# known_copies NAME: the numbers of the copies that run or ran until they were stopped.
known_copies() {
  local file
  for file in "$RUN/$1"-*.state; do
    [ -e "$file" ] || continue
    file=${file##*/"$1"-}
    [[ ${file%.state} =~ ^[0-9]+$ ]] && printf '%s\n' "${file%.state}"
  done | sort -n
}

service_log() {
  if [ "$2" = 1 ]; then echo "logs/$1_service.log"; else echo "logs/$1-$2_service.log"; fi
}
