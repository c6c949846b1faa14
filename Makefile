# One verb per job. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Which machines: another inventory is the only difference between the lab and real metal.
INVENTORY ?= inventories/lab
# Which lab: `make up LAB=test` lives beside `make up` (other names: also set METALWORKS_LAB_SUBNET).
LAB ?= $(or $(METALWORKS_LAB),lab)
# Where the lab's k3s, helm, chart and images come from: build makes them here, upstream fetches what their makers publish.
SOURCE ?= $(or $(METALWORKS_ARTIFACT_SOURCE),build)
export METALWORKS_LAB := $(LAB)
export METALWORKS_ARTIFACT_SOURCE := $(SOURCE)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export ANSIBLE_FORCE_COLOR ?= $(if $(CI),0,$(shell test -t 1 && echo 1 || echo 0))
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONDONTWRITEBYTECODE := 1

PYTHON ?= python3
SCENARIOS := $(filter-out default,$(patsubst molecule/%/molecule.yml,%,$(wildcard molecule/*/molecule.yml)))
PLAYBOOK := ansible-playbook --inventory $(INVENTORY)

.PHONY: help
help: ## List the verbs
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## The platform
.PHONY: setup artifacts up converge down
setup: .venv/.ready ## Make the Python environment; install and start Docker where that is allowed
	@python tools/setup.py

artifacts: setup ## Build what the lab cannot download (cached by content)
	@python lab/build.py $(if $(filter upstream,$(SOURCE)),node-image)

up: $(if $(filter inventories/lab%,$(INVENTORY)),artifacts,setup) converge ## From nothing to a running platform in the lab

converge: .venv/.ready
	@$(PLAYBOOK) site.yml

down: .venv/.ready ## Remove the machines that were made for it, and the kubeconfig context; metal and clusters keep theirs
	@$(PLAYBOOK) playbooks/down.yml

.venv/.ready: requirements.txt
	@PYTHON="$(PYTHON)" tools/environment.sh

## The proofs
.PHONY: test test-destructive test-events test-targets lint test-unit test-stand-in test-upstream test-refusals test-molecule test-platform verify
test: artifacts ## All that proves the platform, in the order of cost
	@$(MAKE) --no-print-directory lint test-unit test-stand-in test-upstream test-refusals test-molecule test-platform

lint: .venv/.ready ## Ansible, YAML, Python, shell: no warning is tolerated
	@tests/lint.sh

test-unit: .venv/.ready ## Modules, plugins, conventions: seconds
	@pytest tests/unit

test-stand-in: artifacts ## The stand-ins of k3s (its Go packages) and multipass (its command line): seconds
	@tests/stand_in.sh
	@pytest tests/multipass

test-upstream: artifacts ## The chart by repository, file and folder, through helm; what it makes is upstream's
	@pytest tests/upstream

test-refusals: artifacts ## What must be refused, each with its message
	@pytest tests/refusals

test-molecule: artifacts ## One scenario per role; one alone: make test-molecule SCENARIOS=k3s_server
	@python tests/scenarios.py $(SCENARIOS)

test-platform: artifacts ## The whole platform from nothing in a lab of its own, twice, then the browser
	@molecule test --scenario-name default

test-destructive: artifacts ## What takes long or destroys: kills, culling, restarts
	@pytest tests/destructive

test-events: test-destructive

test-targets: artifacts ## Lab, multipass, metal, existing cluster, upstream's layout: site.yml twice, then the tests; one: TARGETS=metal
	@python tests/targets/run.py $(TARGETS)

verify: .venv/.ready ## Ask the running platform (INVENTORY=...) whether it does its job
	@pytest tests/platform tests/browser --inventory $(INVENTORY)

## The carrying on
.PHONY: docs lock bench
docs: .venv/.ready ## Regenerate what documentation takes from the code: tables of inputs, reference of variables and modules
	@python tools/role_tables.py

lock: .venv/.ready ## Turn every requirements.in into a lock with hashes
	@pip install --quiet uv && python tools/lock.py

bench: artifacts ## The measured comparisons; results beside them
	@for bench in benchmarks/*/run.py; do python "$$bench"; done
