# The project's commands; `make` alone lists them. What they do is in scripts/.
.DEFAULT_GOAL := help
export PATH := $(HOME)/.cargo/bin:$(PATH)
CARGO ?= cargo
MSRV = $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
PHP_SOURCES := examples scripts tests/php tests/drivers/php tests/roadrunner php-client/src php-client/tests

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Install what is missing, build, and show SQL from PHP through a throw-away PostgreSQL
	@sh scripts/check-rust.sh
	@sh scripts/install-deps.sh compiler postgres php php-pdo
	@sh scripts/demo.sh

.PHONY: test
test: ## Install what tests need and run everything: lints, Rust, PHP, client and RoadRunner tests
	@sh scripts/check-rust.sh tools
	@sh scripts/install-deps.sh compiler postgres php-test clients browser
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test-rust
	@$(MAKE) --no-print-directory test-php
	@$(MAKE) --no-print-directory test-clients
	@$(MAKE) --no-print-directory test-page
	@$(MAKE) --no-print-directory test-drivers
	@$(MAKE) --no-print-directory test-roadrunner

.PHONY: test-rust
test-rust: ## Run the Rust tests only
	$(CARGO) test --workspace

.PHONY: test-php
test-php: ## Run the PHP tests only, over TCP and over a Unix socket
	sh scripts/test-php.sh

.PHONY: test-clients
test-clients: ## Run the tests with psql, pgbench, pg_dump and psycopg only, in each mode of the proxy
	sh scripts/test-clients.sh

.PHONY: test-page
test-page: ## Run the tests of the status page in a headless Chromium only (SCREENSHOTS=dir: pictures)
	sh scripts/test-page.sh

.PHONY: test-drivers
test-drivers: ## Run the list of behaviours with one driver of each language, as far as its tools are there
	sh scripts/test-matrix.sh one

.PHONY: test-matrix
test-matrix: ## Run it with all drivers, and write the table into docs/compatibility.md
	WRITE=1 sh scripts/test-matrix.sh all

.PHONY: test-versions
test-versions: ## Run the Rust core and the drivers with PostgreSQL 14 to 18 (or VERSIONS), and write the table
	sh scripts/test-versions.sh

.PHONY: test-exporter
test-exporter: ## Have a stock exporter of PgBouncer's metrics (EXPORTER=path) read the admin console
	sh scripts/test-exporter.sh

.PHONY: test-roadrunner
test-roadrunner: ## Run the tests under RoadRunner only (RR=path of a released rr); they need Go 1.26.4 or newer
	bash scripts/test-roadrunner.sh

.PHONY: test-frameworks
test-frameworks: ## Run the PHP package's bridges with the Laravel and Doctrine in VENDOR=dir
	sh scripts/test-frameworks.sh "$(VENDOR)"

.PHONY: test-differential
test-differential: ## Hold CASES (default 5000) random conversations with PostgreSQL and through the proxy
	TEST_CASES=$${CASES:-5000} $(CARGO) test -p e2e --test wire differential

.PHONY: fuzz
fuzz: ## Fuzz the parsers of the PostgreSQL door for FUZZ_SECONDS (60) each; needs a nightly toolchain
	sh scripts/fuzz.sh

.PHONY: check
check: ## Type-check all Rust code: the quickest answer while editing
	$(CARGO) check --workspace --all-targets

.PHONY: check-msrv
check-msrv: ## Type-check with the oldest Rust that Cargo.toml promises; needs rustup
	rustup toolchain install $(MSRV) --profile minimal --no-self-update
	$(CARGO) +$(MSRV) check --workspace --all-targets --locked

.PHONY: lint
lint: ## Check formatting and lints, warnings denied; PHP too where phpcs is installed
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@if command -v phpcs >/dev/null; then \
		echo "phpcs --standard=PSR12 $(PHP_SOURCES)"; phpcs --standard=PSR12 $(PHP_SOURCES); \
	fi

.PHONY: fmt
fmt: ## Format the Rust code
	$(CARGO) fmt --all

.PHONY: proto
proto: ## Write the code for proto/pgpool.proto anew, for Rust, Go and PHP; needs protoc
	sh scripts/generate-proto.sh

.PHONY: bench
bench: ## Measure beside pgbouncer and PDO, print tables for docs/benchmarks.md (BENCH_QUICK=1: a trial)
	@sh scripts/check-rust.sh
	@sh scripts/install-deps.sh compiler postgres php-test bench
	@bash scripts/bench.sh

.PHONY: bench-package
bench-package: ## Measure the PHP package beside PDO and Doctrine, print a table for docs/benchmarks.md
	@sh scripts/check-rust.sh
	@sh scripts/install-deps.sh compiler postgres php-test bench
	@bash scripts/bench-package.sh

.PHONY: bench-proxy
bench-proxy: ## Measure the PostgreSQL door beside pgbouncer (PGBOUNCER=path), print tables for docs/benchmarks.md
	@sh scripts/check-rust.sh
	@sh scripts/install-deps.sh compiler postgres php-test bench
	@bash scripts/bench-proxy.sh

.PHONY: bench-routing
bench-routing: ## Measure what reads from replicas cost and bring, print tables for docs/benchmarks.md
	@sh scripts/check-rust.sh
	@sh scripts/install-deps.sh compiler postgres php-test bench
	@bash scripts/bench-routing.sh

.PHONY: dist
dist: ## Build what is released, for this machine's processor, into dist/: tarball, Debian package, sums
	@sh scripts/check-rust.sh
	@sh scripts/install-deps.sh compiler musl
	@sh scripts/dist.sh

.PHONY: test-dist
test-dist: ## Test what make dist has built: linked statically, serves, the package is complete
	@sh scripts/install-deps.sh postgres
	@sh scripts/test-dist.sh

.PHONY: clean
clean: ## Remove everything that was built, the tests' template cluster included
	$(CARGO) clean
