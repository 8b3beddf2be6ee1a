# What people and machines do with this repository. `make demo` and `make test` need nothing but a Rust toolchain:
# they install what else is missing.

CARGO ?= cargo

.PHONY: demo test lint build package install-deps bench clean

demo: install-deps  ## the main job, shown on real rsync in under 15 seconds
	$(CARGO) build --quiet --workspace --bin heliostat
	./target/debug/heliostat demo

test: install-deps lint  ## everything that is checked
	@scripts/install-deps browser
	$(CARGO) build --workspace --all-targets
	$(CARGO) test --workspace

lint:  ## format and clippy, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

build: install-deps  ## the program, optimised
	$(CARGO) build --release --bin heliostat

package: build  ## a Debian package, in target/package
	scripts/package

install-deps:  ## rsync, and what the tests need
	@scripts/install-deps

bench: build  ## the workloads of docs/performance.md
	benches/run

clean:
	$(CARGO) clean
