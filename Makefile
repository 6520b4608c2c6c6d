# The commands of this checkout. Each is a command of `tpro local` (tools/local), which make/setup.sh builds if need be; a line
# with ## is what `make help` shows. `first` also installs what that build needs.
# Settings come from the environment or the command line alike: COPY_NUMBER=2 make up-analytic, make up-analytic COPY_NUMBER=2.
#
# A name or a value reaches its command through the environment and never through a line that a shell reads: anything in it
# is text. The stem of a target is STEM there.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# make would expand a value of its command line each time it hands it on: $(shell ...) in it would run.
$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(eval override export $(name) := $$(value $(name)))))
# bash counts in SECONDS itself.
export LOAD_SECONDS := $(value SECONDS)

.PHONY: help all setup up down status demo images test test-postgres faults check crates bench chaos soak simulate psql env clean install-extension \
	up-db up-nats up-jaeger stop-db stop-nats stop-jaeger up-bridge stop-bridge FORCE

logs-% up-% roll-% dev-% stop-% down-% down-all-% maintain-% create-% create-env-% create-sql-%: export STEM = $*

help all: ## this list
	@case "$${LC_ALL:-$${LC_MESSAGES:-$${LANG:-}}}" in ru*) other=make/ru/help ;; esac; awk -f make/help.awk $$other Makefile

#: Everything
demo: ## from nothing to a message that went round: installs, builds, starts, runs eight cases (CASES=only: just these)
	@make/setup.sh first demo
setup: ## install what is missing (packages by apt, Rust by rustup)
	@make/setup.sh
up: ## start all services and what they need
	@make/setup.sh first up
down: ## stop all of it; data stays
	@make/setup.sh run down
status: ## what runs, where
	@make/setup.sh run status
clean: ## stop all of it and remove the cluster, .local and logs (.env files and target/ stay)
	@make/setup.sh run clean

#: Looking on
psql: ## SQL as service main (AS=postgres: as the local superuser)
	@make/setup.sh run psql
env: ## lines `export NAME=value` of addresses and secrets: eval "$(make env)"
	@make/setup.sh run env
logs-%: FORCE ## follow the log of a service (COPY_NUMBER)
	@make/setup.sh run logs -- "$$STEM"

#: Services (NAME: main, analytic, co, your own; all copies, or the one of COPY_NUMBER)
up-%: FORCE ## start NAME and what it needs, or replace an older build of it (COPY_NUMBER, SERVICE_VERSION, SERVICE_PORT)
	@make/setup.sh run up -- "$$STEM"
roll-%: FORCE ## replace NAME by release SERVICE_VERSION without a pause; kept versions come back as they were (REBUILD)
	@make/setup.sh run roll -- "$$STEM"
dev-%: FORCE ## build and roll NAME each time that one of its sources is saved; Ctrl-C ends it, NAME runs on
	@make/setup.sh run dev -- "$$STEM"
stop-%: FORCE ## stop NAME gracefully
	@make/setup.sh run stop -- "$$STEM"
down-%: FORCE ## stop NAME and forget its ports
	@make/setup.sh run down -- "$$STEM"
down-all-%: FORCE ## also remove binaries, .env, schema, role and logs of NAME; its source stays (FORCE=yes: unsettled messages, too)
	@make/setup.sh run down-all -- "$$STEM"
maintain-%: FORCE ## partitions of NAME, once and now: make them ahead, drop what is settled and old (the copies do it each minute)
	@make/setup.sh run maintain -- "$$STEM"
create-%: FORCE ## a new service NAME: crate from the template (LANG=sql: a folder of SQL instead), .env, schema
	@make/setup.sh run create -- "$$STEM"
create-env-%: FORCE ## services/NAME/.env, unless it is there
	@make/setup.sh run create-env -- "$$STEM"
create-sql-%: FORCE ## schema and login role of NAME in the local database
	@make/setup.sh run create-sql -- "$$STEM"

#: Containers (RUNTIME=docker, in the environment or in .env here: all targets above and `Parts` work on containers)
images: ## all images; BINARIES=given takes the programs of target/debug into them (docs/docker.md)
	@make/setup.sh run images
#: Parts
up-db: ## the private PostgreSQL with the extension (PG_PORT)
	@make/setup.sh run up-db
up-nats: ## the local nats-server (NATS_PORT, NATS_MONITOR_PORT)
	@make/setup.sh run up-nats
up-jaeger: ## the local trace viewer (JAEGER_PORT, OTLP_PORT, BIND)
	@make/setup.sh run up-jaeger
stop-db: ## stop PostgreSQL; its data stays
	@make/setup.sh run stop-db
stop-nats: ## stop nats-server
	@make/setup.sh run stop-nats
stop-jaeger: ## stop the trace viewer; its traces are gone
	@make/setup.sh run stop-jaeger
up-bridge: ## the bridge to the NATS of the Go system, for the change-over (COPY_NUMBER, tools/bridge/.env)
	@make/setup.sh run up-bridge
stop-bridge: ## stop the bridge; it finishes what it has (COPY_NUMBER)
	@make/setup.sh run stop-bridge
install-extension: ## put the extension into a PostgreSQL of your own (PG_CONFIG)
	@make/setup.sh run install-extension

#: Working on it
test: ## all tests, on real servers of their own
	@make/setup.sh first test
faults: ## the slow tests: faults, takeovers, their times in figures (FILTER=words)
	@make/setup.sh first faults
test-postgres: ## the extension's tests on another PostgreSQL, in a container of the Debian that has it (PG=13, 15, 17 or 18; FILTER=words), then chaos (SECONDS=60; 0: none)
	@make/setup.sh run test-postgres
check: ## fmt, clippy, doc, deny, shellcheck, pgspot
	@make/setup.sh first check
crates: ## the crates, which needs which, and the circles among their modules
	@make/setup.sh run crates
bench: ## latency, throughput and the cost of a publish, each beside a floor (QUICK=1: in three minutes; PEERS=1: other job queues, too)
	@make/setup.sh first bench
chaos: ## load under random faults, then: was the promise kept? (SECONDS=600, SEED: the same faults again)
	@make/setup.sh first chaos
simulate: ## the real cores on simulated servers, under random faults; a broken seed is made smaller (SECONDS=60, SEED)
	@make/setup.sh first simulate
soak: ## the same load without faults: does anything grow? (SECONDS=1800, SEED)
	@make/setup.sh first soak
