# What people and machines do with this repository. `make demo` and `make test` need nothing but a Rust toolchain:
# they install what else is missing.

CARGO ?= cargo

.PHONY: demo test lint build package install-deps screenshots bench clean

demo: install-deps  ## the main job, shown on real rsync in under 15 seconds
	$(CARGO) build --quiet --workspace --bin heliostat
	./target/debug/heliostat demo

test: install-deps lint guests  ## everything that is checked
	@scripts/install-deps browser
	$(CARGO) build --workspace --all-targets
	$(CARGO) test --workspace
	cd plugins/examples && $(CARGO) test --locked --workspace

lint:  ## format and clippy, warnings denied; the dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	cd plugins/examples && $(CARGO) fmt --all --check
	cd plugins/examples && $(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@scripts/check-dependencies

guests:  ## the example plugins as components; left out where there is no toolchain for them
	@scripts/build-guests || [ $$? -eq 77 ]

build: install-deps  ## the program, optimised
	$(CARGO) build --release --bin heliostat

package: build  ## a Debian package, in target/package
	scripts/package

install-deps:  ## rsync, and what the tests need
	@scripts/install-deps

screenshots: guests  ## the pictures of the dashboard in docs/images
	@scripts/install-deps pictures
	$(CARGO) test --workspace --test it -- --ignored browser::pictures

bench: build  ## the workloads of docs/performance.md
	benches/run

clean:
	$(CARGO) clean
