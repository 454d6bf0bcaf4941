#!/bin/sh
# The main job with the example server: build, run, restart under load, count what was lost. PORT=N chooses another port.
set -eu
cd "$(dirname "$0")/.."
port=${PORT:-4242}
bin=${CARGO_TARGET_DIR:-target}/release

command -v curl >/dev/null || { echo "demo: curl is missing (apt-get install curl)" >&2; exit 2; }
ask() { curl -s --noproxy '*' --max-time 5 "http://localhost:$port/"; }
# 7 is curl's word for: nobody listens there.
ask >/dev/null && taken=0 || taken=$?
[ "$taken" -eq 7 ] || { echo "demo: something listens on port $port already; PORT=4343 make demo takes another" >&2; exit 2; }
cargo build -q --release --bin endless --example simple_server

# The socket is open before the first copy runs: a client that comes too early waits. Only for the socket we wait ourselves.
"$bin/endless" -l "localhost:$port" --hammer 60s -- "$bin/examples/simple_server" &
endless=$!
trap 'kill $endless 2>/dev/null; wait $endless || true' EXIT
until ask; do
    [ "$(cut -d ' ' -f 3 /proc/$endless/stat)" != Z ] || exit 1
done

asked=0
lost=0
for generation in 2 3 4; do
    kill -HUP $endless
    before=$asked
    newest=
    while [ $((asked - before)) -lt 150 ] || [ "$newest" != "$generation" ]; do
        asked=$((asked + 1))
        [ $((asked - before)) -lt 5000 ] || { echo "demo: generation $generation does not answer" >&2; exit 1; }
        answer=$(ask) || lost=$((lost + 1))
        newest=$(echo "$answer" | cut -d ' ' -f 3)
    done
done
echo "$answer"
echo "3 restarts, $asked requests, $lost lost"
[ "$lost" -eq 0 ]
