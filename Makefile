.DEFAULT_GOAL := help
SHELL := /bin/bash
.PHONY: help setup demo test unit lint check bench docs clean

BIN := .venv/bin
SHELL_SCRIPTS = .ci/demo .ci/run .ci/setup $(shell grep -rlE '^\#!/usr/bin/env bash|^\#!/bin/(ba)?sh' images hooks amifactory/sandbox 2>/dev/null) \
	$(wildcard images/_shared/provision/lib/*.sh)

help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what is missing: packages, .venv, Docker
	@.ci/setup

demo: setup ## Build all four images, put them into service, break one, go back: all in the sandbox
	@.ci/demo

test: setup ## Run every test
	@.ci/setup tests
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest tests/unit -n 2
	$(BIN)/python -m pytest tests/contract tests/promotion -n 2
	$(BIN)/python -m pytest tests/sandbox tests/end_to_end -n 2 --dist loadfile --no-loadscope-reorder

unit: setup ## Run the tests that need neither Docker nor Packer
	$(BIN)/python -m pytest tests/unit -n 2

lint: setup ## Run the static gates: ruff, mypy, import-linter, shellcheck, shfmt
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	shellcheck --external-sources --source-path=SCRIPTDIR $(SHELL_SCRIPTS)
	shfmt -i 2 -ci -d $(SHELL_SCRIPTS)

check: lint test ## Run every gate: lint and test

bench: setup ## Measure speed, as ratios within one run
	$(BIN)/python benchmarks/run.py

docs: setup ## Write docs/configuration.md anew from the models
	$(BIN)/python -m amifactory.config.reference docs/configuration.md

clean: ## Remove .venv, caches and the sandbox
	[ ! -x $(BIN)/amifactory ] || $(BIN)/amifactory sandbox down
	rm -rf .venv .amifactory .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
