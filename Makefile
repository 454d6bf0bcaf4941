# The commands of README.md and CONTRIBUTING.md.
.PHONY: build static demo test lint bench flaky install

build:
	cargo build --release

# A binary that needs no library at run time, where the toolchain can link one.
TARGET := $(shell rustc -vV | sed -n 's/^host: //p')
static:
	RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --bin endless --target $(TARGET)

# The main job with the example server: answers, a restart under load, answers of the new copy.
demo:
	sh examples/demo.sh

test: lint
	cargo test --all-targets
	cargo test --release --test simulation

lint:
	cargo fmt --all --check
	cargo clippy --all-targets -- -D warnings

bench:
	bench/run

# make flaky TEST=restart RUNS=50: one test file again and again with both cores busy.
RUNS ?= 50
flaky:
	sh .ci/flaky $(TEST) $(RUNS)

PREFIX ?= /usr/local
install: build
	install -D -m 755 target/release/endless $(DESTDIR)$(PREFIX)/bin/endless
	install -D -m 644 man/endless.1 $(DESTDIR)$(PREFIX)/share/man/man1/endless.1
