# The commands of README.md and CONTRIBUTING.md.
.PHONY: build demo setup test lint pages bench soak servers unmodified unmodified-hard flaky install

build:
	cargo build --release

# The main job with the example server: answers, a restart under load, answers of the new copy.
demo:
	sh examples/demo.sh

# What the tests use beside Rust and make, where it is missing: by apt-get, and uv by pip.
setup:
	bash .ci/setup

# Some tests hand over thousands of descriptors, and connect a thousand clients.
FILES = ulimit -S -n 20000 2>/dev/null || ulimit -S -n $$(ulimit -H -n);

# The tests of processes mostly wait: with as many at once as there are processors, these stand idle.
test: export RUST_TEST_THREADS ?= $(shell expr 6 '*' $$(nproc))
test: lint
	$(FILES) cargo test --all-targets
	$(FILES) cargo test --release --test simulation --test bad_input

lint:
	cargo fmt --all --check
	cargo clippy --all-targets -- -D warnings

# Rewrites what can be generated in man/endless.1, and says what has to be written by hand.
pages:
	UPDATE_PAGES=1 cargo test --test pages the_generated_parts
	cargo test --test pages

bench:
	bench/run

# Half an hour of restarts, crashes and stops at random; see bench/README.md.
soak:
	bench/soak

# Every recipe of docs/servers.md with ten restarts; writes the table. Some ten minutes; what is not installed is left out.
servers:
	ENDLESS_SERVERS=all ENDLESS_SERVERS_RESTARTS=10 ENDLESS_SERVERS_TABLE=1 cargo test --test servers recipes -- --nocapture

# Every program of docs/unmodified.md with twenty restarts; writes the table. Some three minutes; what is not installed is left out.
unmodified:
	ENDLESS_UNMODIFIED=all ENDLESS_UNMODIFIED_RESTARTS=20 ENDLESS_UNMODIFIED_TABLE=1 cargo test --test unmodified -- --nocapture

# What is harder than new connections, and what capture costs: the rest of that page. Needs wrk; some ten minutes.
unmodified-hard:
	cargo test --release --test unmodified -- --ignored --nocapture --test-threads 1

# One test file, or those of its tests with ONLY in their names, again and again with both cores busy:
# make flaky TEST=process RUNS=50 ONLY=drain::
# Or all of them, many at once: make flaky TEST=process RUNS=100 THREADS=12
RUNS ?= 50
flaky:
	sh .ci/flaky $(TEST) $(RUNS) $(ONLY)

# sudo seldom finds cargo: then what was built before is installed.
target/release/endless:
	cargo build --release

PREFIX ?= /usr/local
install: $(if $(shell command -v cargo),build,target/release/endless)
	install -D -m 755 target/release/endless $(DESTDIR)$(PREFIX)/bin/endless
	install -D -m 644 man/endless.1 $(DESTDIR)$(PREFIX)/share/man/man1/endless.1
	install -D -m 644 completions/endless.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/endless
	install -D -m 644 completions/_endless $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_endless
	install -D -m 644 completions/endless.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/endless.fish
