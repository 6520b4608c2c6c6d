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
    [ "$name" = main ] || [[ $NO_SERVICE == *" $name "* ]] || [ ! -f "$folder/Cargo.toml" ] || echo "$name"
  done
}

# must_be_name NAME: the grammar of DESIGN's names and the words that are taken, from where the sidecar has them.
must_be_name() {
  local reserved
  [[ $1 =~ ^[a-z][a-z0-9_]{0,39}$ ]] ||
    die "'$1' is no name for a service: a small letter, then small letters, digits and _, at most 40 in all"
  reserved=$(sed -n '/const RESERVED/,/\];/p' sidecar/wire/src/name.rs | grep -o '"[a-z0-9_]*"' | tr -d '"')
  [ -n "$reserved" ] || die "cannot read the reserved words from sidecar/wire/src/name.rs"
  ! grep -qxF -- "$1" <<<"$reserved" || die "'$1' is a reserved word: choose another name for the service"
}

must_be_service() {
  [[ $NO_SERVICE != *" $1 "* ]] || die "services/$1 is no service that runs; make create-NAME makes one from the template"
  [ -f "services/$1/Cargo.toml" ] || die "there is no service '$1' (here are: $(all_services | xargs)); make create-$1 makes it"
}

# copy_number: COPY_NUMBER, checked; nothing when it is not given.
copy_number() {
  [ -n "${COPY_NUMBER:-}" ] || return 0
  [[ $COPY_NUMBER =~ ^[1-9][0-9]{0,3}$ ]] || die "COPY_NUMBER=$COPY_NUMBER: a copy has a number from 1 to 9999"
  printf '%s' "$COPY_NUMBER"
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
