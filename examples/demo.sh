#!/bin/sh
# The main job with the example server: build, run, restart under load, count what was lost.
set -eu
cargo build -q --release --bin endless --example simple_server
bin=target/release

$bin/endless -l localhost:4242 --hammer 60s -- $bin/examples/simple_server &
endless=$!
trap 'kill $endless 2>/dev/null; wait $endless 2>/dev/null || true' EXIT

# curl waits for the first copy: the socket is open before it runs.
ask() { curl -s --max-time 5 http://localhost:4242/; }
until ask; do kill -0 $endless; done
echo

asked=0
lost=0
for restart in 1 2 3; do
    kill -HUP $endless
    before=$asked
    while [ $((asked - before)) -lt 150 ]; do
        asked=$((asked + 1))
        ask >/dev/null || lost=$((lost + 1))
    done
done
ask
echo
echo "3 restarts, $asked requests, $lost lost"
[ "$lost" -eq 0 ]
