#!/bin/sh
# Installs the PostgreSQL of this Debian without a cluster, for user postgres of the id that the
# official image has. PG: its major version.
set -eu
groupadd --system --gid 999 postgres
useradd --system --gid postgres --uid 999 --home-dir /var/lib/postgresql --shell /bin/bash postgres
mkdir -p /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/tpro.conf
apt-get update
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "postgresql-${PG:=15}"
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data /var/run/postgresql
mkdir -p /docker-entrypoint-initdb.d
chmod 755 /usr/local/bin/entrypoint.sh
