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
# Through the environment, because a search may hold quotes of both kinds.
export METALWORKS_LOGS_SEARCH := $(SEARCH)
export METALWORKS_MODEL_IMAGE := $(IMAGE)
export METALWORKS_MODEL_PUBLISH_TO := $(INTO)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export ANSIBLE_FORCE_COLOR ?= $(if $(CI),0,$(shell test -t 1 && echo 1 || echo 0))
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Compiled Python is kept, but not beside the sources. Each task of Ansible is a process of its own and reads the plugins anew.
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/bytecode
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
# Scenarios that are not for each run: one needs an image of its own (the oldest Debian), one a stand-in for AWS that is slow to start, and the
# others take very long. test-platform installs the parts and uses them as people do, and makes its machines by the roles of the lab; test-targets
# makes those of multipass.
RARE_SCENARIOS := aws_machines k3s_server-debian11 k3s_server-growth k3s_server-registry lab_machines lab_registry machine_access multipass_machines object_store mlflow door monitoring logging model model-pipeline journal_upload node_measurements
# The first asks a stand-in for AWS, which is slow to start; the second waits for each alert's time; the third renders three inventories, one of
# which test-platform renders, too.
RARE_TESTS := tests/refusals/test_aws.py tests/upstream/test_faults.py tests/upstream/test_manifests.py
SCENARIOS := $(filter-out default $(RARE_SCENARIOS),$(patsubst molecule/%/molecule.yml,%,$(wildcard molecule/*/molecule.yml)))
PLAYBOOK := ansible-playbook --inventory $(INVENTORY)

.PHONY: help
help: ## List the verbs
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## The platform
.PHONY: setup artifacts up converge down logs
setup: .venv/.ready ## Make the Python environment; install and start Docker where that is allowed
	@python tools/setup.py $(INVENTORY)

artifacts: setup ## Build what the lab cannot download (cached by content)
	@python lab/build.py $(if $(filter upstream,$(SOURCE)),node-image)

up: $(if $(filter inventories/lab%,$(INVENTORY)),artifacts,setup) converge ## From nothing to a running platform in the lab

converge: .venv/.ready ## Run site.yml on machines whose computer is set up already
	@$(PLAYBOOK) site.yml

down: .venv/.ready ## Remove the machines that were made for the platform and its kubeconfig context; metal and clusters stay
	@$(PLAYBOOK) playbooks/down.yml

logs: .venv/.ready ## Search the logs: SEARCH="user=ada level=error since=2h follow=yes" (docs/how-to/logs.md)
	@$(PLAYBOOK) playbooks/logs.yml

.venv/.ready: requirements.txt
	@PYTHON="$(PYTHON)" tools/environment.sh

.PHONY: publish-model deploy-model
publish-model: .venv/.ready ## Build the image of the models, state what is in it, push it; INTO=folder for its name and its packages
	@$(PLAYBOOK) playbooks/operations/publish_model.yml

deploy-model: .venv/.ready ## Deploy the models with IMAGE=name@digest; go back if they do not answer (docs/how-to/model-pipeline.md)
	@$(PLAYBOOK) playbooks/operations/deploy_model.yml

.PHONY: manifests report try-alert
manifests: .venv/.ready ## Write the objects of an inventory as files, without secrets and without a cluster (docs/how-to/manifests.md)
	@$(PLAYBOOK) playbooks/manifests.yml

report: .venv/.ready ## Draw the dashboards of the running platform to one page
	@$(PLAYBOOK) playbooks/report.yml

try-alert: .venv/.ready ## Send one alert through to all receivers, and see who has taken it
	@$(PLAYBOOK) playbooks/try_alert.yml

## The proofs
.PHONY: test test-destructive test-events test-targets lint test-unit test-integration test-model test-servers test-stand-in test-upstream test-refusals test-molecule test-platform verify
test: artifacts ## Run all tests but test-destructive and test-targets, the quick ones first
	@$(MAKE) --no-print-directory lint test-unit test-integration test-model test-stand-in test-servers test-upstream test-refusals test-molecule test-platform

lint: .venv/.ready ## Check Ansible, YAML, Python and shell; a warning is an error
	@tests/lint.sh

# A process of its own for each processor's share of the files: xdist has every process collect all tests, and takes half as much again.
test-unit: .venv/.ready ## Modules, plugins, conventions, documentation
	@find tests/unit -name 'test_*.py' | sort | awk -v n=$$(nproc) '{its[NR % n] = its[NR % n] " " $$0} END {for (i in its) print its[i]}' \
		| xargs --max-lines=1 --max-procs=0 pytest --quiet

test-integration: .venv/.ready ## What is proven by Ansible itself, by firewalls and by scripts that run
	@pytest tests/integration --numprocesses auto

test-model: artifacts ## The package of the models, in its image: types, and tests that take half a minute
	@python -m tests.model.run

test-stand-in: artifacts ## The stand-ins of k3s (its Go packages) and multipass (its command line): seconds
	@tests/stand_in.sh
	@pytest tests/multipass

test-servers: artifacts ## The servers of MLflow and of the door, real: identity, rights, migrations: minutes
	@pytest tests/mlflow --numprocesses auto --dist loadfile
	@pytest tests/door --numprocesses auto

# Most of them wait for an alert or a line of a log, so that more files run at a time than there are processors.
test-upstream: artifacts ## The chart by repository, file and folder, through helm, held against upstream's objects
	@pytest tests/upstream $(addprefix --ignore=,$(RARE_TESTS)) --numprocesses 4 --dist loadfile

test-refusals: artifacts ## What must be refused, each with its message
	@pytest tests/refusals $(addprefix --ignore=,$(RARE_TESTS)) --numprocesses 2 --dist loadfile

test-molecule: artifacts ## One scenario per role, two at a time, without the longest; some of them: SCENARIOS="k3s_server node"
	@python tests/scenarios.py $(SCENARIOS)

test-platform: artifacts ## The whole platform from nothing in a lab of its own, twice, then tests from outside and a browser
	@molecule test --scenario-name default

test-destructive: artifacts ## What takes long or destroys something: kills, culling, restarts, the longest scenarios
	@pytest tests/destructive $(RARE_TESTS)
	@METALWORKS_LONG_TESTS=yes python tests/scenarios.py $(RARE_SCENARIOS)

test-events: test-destructive ## The earlier name of test-destructive

test-targets: artifacts ## Every place to run: site.yml twice, then the tests; some of them: TARGETS="metal lab"
	@python tests/targets/run.py $(TARGETS)

verify: .venv/.ready ## Ask the running platform (INVENTORY=...) whether it does its job; METALWORKS_LONG_TESTS=yes asks the long questions, too
	@pytest tests/platform tests/browser --inventory $(INVENTORY)

## For those who change the project
.PHONY: docs lock bench
docs: .venv/.ready ## Regenerate what documentation takes from the code: tables of inputs, reference of variables and modules
	@python tools/role_tables.py

lock: .venv/.ready ## Turn every requirements.in into a lock with hashes
	@pip install --quiet uv && python tools/lock.py

bench: artifacts ## Run the comparisons in benchmarks/, whose results lie beside them
	@for bench in benchmarks/*/run.py; do python "$$bench"; done
