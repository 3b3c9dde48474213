# The project's commands; `make` alone lists them. What they do is in scripts/.
.DEFAULT_GOAL := help
export PATH := $(HOME)/.cargo/bin:$(PATH)
CARGO ?= cargo

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Install what is missing, build, run a throw-away server and a PHP script through it
	@sh scripts/check-rust.sh
	@sh scripts/install-deps.sh compiler postgres php
	@sh scripts/demo.sh

.PHONY: test
test: ## Install what tests need, then check formatting, lints, and run the Rust and PHP tests
	@sh scripts/check-rust.sh tools
	@sh scripts/install-deps.sh compiler postgres php-test
	$(MAKE) --no-print-directory lint
	$(CARGO) test --workspace
	sh scripts/test-php.sh

.PHONY: check
check: ## Type-check everything: the quickest answer while editing
	$(CARGO) check --workspace --all-targets

.PHONY: lint
lint: ## Check formatting, and lints with warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

.PHONY: fmt
fmt: ## Format the Rust code
	$(CARGO) fmt --all

.PHONY: test-rust
test-rust: ## Run the Rust tests only
	$(CARGO) test --workspace

.PHONY: test-php
test-php: ## Run the PHP tests only
	sh scripts/test-php.sh

.PHONY: bench
bench: ## Measure against pgbouncer and PDO; prints the table for docs/benchmarks.md
	@sh scripts/check-rust.sh
	@sh scripts/install-deps.sh compiler postgres php-test bench
	@bash scripts/bench.sh

.PHONY: clean
clean: ## Remove everything built, the tests' template cluster included
	$(CARGO) clean
