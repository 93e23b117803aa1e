# make run   the whole system in one process, on HOST and PORT (127.0.0.1, 8000), everything it writes in DATA_DIR (./var)
# make test  every check and test; make test LANES="static engine" only those
# make image   builds the Dockerfile and runs the image's roles (as root, with Debian's buildah and debootstrap)
# make screenshots   pictures of every page, into docs/screenshots/ (needs Chromium)
# make key NAME=crm [SCOPE="execute read"] [DEPLOYMENT="path path"]   prints a new API key, and nothing else
# make password   a new password for the user admin
# The same system as processes (set DATABASE_URL, BROKER_URL, CHANNEL_URL): make migrate, then web, worker, beat.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

HOST ?= 127.0.0.1
PORT ?= 8000
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
SITE := $(BIN)/python manage.py
# Compiled files of Python are what makes a second start quick.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := run
.PHONY: screenshots run pages pages-dev setup migrate web worker beat key password samples test lint types lock env-example bench image install install-dev clean

run: install pages
	@exec $(SITE) serve

key: install
	@test -n "$(NAME)" || { echo "A key needs a name. Type: make key NAME=crm" >&2; exit 2; }
	@$(SITE) create_key "$(NAME)" $(if $(TEAM),--team "$(TEAM)") $(foreach scope,$(SCOPE),--scope $(scope)) $(foreach path,$(DEPLOYMENT),--deployment $(path))

password: install
	@$(SITE) reset_admin_password

samples: install
	@$(SITE) load_samples

# One process a role, on one machine or many.

setup migrate: install pages
	@$(SITE) setup

web: install pages
	@exec $(SITE) web

worker: install
	@exec $(BIN)/celery -A orchestration_site worker -P threads --without-gossip --without-mingle

beat: install
	@exec $(BIN)/celery -A orchestration_site beat

# Checks and tests.

test: install-dev pages-dev
	@exec $(BIN)/python -m orchestration_site.tests.lanes $(LANES)

lint: install-dev pages-dev
	@exec $(BIN)/python -m orchestration_site.tests.lanes static

types: install-dev
	@exec $(BIN)/mypy .

bench: install-dev
	@exec $(BIN)/python -m bench

screenshots: install-dev pages
	@$(BIN)/python -m orchestration_site.tests.screenshots

image: install-dev
	@exec $(BIN)/python -m orchestration_site.tests.image

lock: install-dev
	@$(BIN)/uv pip compile -q --universal -p 3.11 --generate-hashes requirements.in -o requirements.txt
	@$(BIN)/uv pip compile -q --universal -p 3.11 --generate-hashes requirements-dev.in -c requirements.txt -o requirements-dev.txt
	@$(BIN)/uv pip compile -q --universal -p 3.11 --generate-hashes requirements-node.in -o requirements-node.txt

env-example: install-dev
	@$(BIN)/python -m orchestration_site.tests.env_example

# The virtual environment, made again only when what is locked has changed. Says what it does on standard error, so
# that standard output is the command's own.

install:
	@.ci/install $(VENV) requirements.txt "$(PYTHON)" 1>&2

pages: install
	@.ci/build-pages $(VENV)

install-dev:
	@.ci/install $(VENV) requirements-dev.txt "$(PYTHON)" 1>&2

pages-dev: install-dev
	@.ci/build-pages $(VENV) --with-tools

clean:
	rm -rf frontend/node_modules frontend/dist frontend/.built-from $(VENV)
