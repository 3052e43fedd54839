# Thin: each target is one script, and runs without make as scripts/NAME.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help deploy destroy check test test-full bench coverage docs site release clean

INVENTORY ?= inventories/local
PURGE ?= 0
ARGS ?=
export INVENTORY PURGE ARGS

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile
	@echo 'INVENTORY=inventories/NAME (default inventories/local), PURGE=1 and ARGS="--check --diff" go with deploy and destroy.'

deploy: ## Deploy the inventory and prove it; safe at any time
	@scripts/deploy

destroy: ## Remove the deployment; its data only with PURGE=1
	@scripts/destroy

check: ## Quick checks, no Docker: lint, types, docs drift, unit and integration tests
	@scripts/check

test: ## Everything: check, playbooks, collection, ansible-test sanity, molecule
	@scripts/test

test-full: ## Everything, and a first deployment on a bare machine of each Debian
	@scripts/test --full

bench: ## Measure deployments, clusters, and the client beside its peers; ARGS="client async" is a part of it
	@scripts/bench $(ARGS)

site: ## Build the documents as a site, in .cache/site
	@scripts/site

release: ## Build the wheel and the collection into build/, and check both
	@scripts/release

coverage: ## Measure branch coverage of library, plugins and filters, and list the ten least covered files
	@scripts/coverage

docs: ## Write docs/reference anew from the specs
	@scripts/venv dev && .venv/bin/python scripts/generate_docs.py

clean: ## Remove what the scripts made in this checkout; deployments and secrets stay
	@scripts/clean
