#!/bin/sh
# Commands of your own around what endless does. After `cargo build --bin endless --example simple_server` run it as
#
#     ENDLESS=target/debug/endless ./examples/hooks.sh [COMMAND [ARG]...]
#
# and try in another terminal: pkill -HUP endless; pkill -USR1 endless; then `touch broken` and pkill -HUP endless again.

set -eu
[ $# -gt 0 ] || set -- ./target/debug/examples/simple_server

# Before a restart: any command that checks the new configuration, such as `nginx -t`. If it fails, the restart
# does not take place and the old generation goes on. It is the first `pre:HUP` hook.
check='test ! -e broken || { echo "the file ./broken says no" >&2; exit 1; }'

# Before each start of a generation: write the pid of endless, which stays the same for life, where others look for it.
# Failing here too would stop the start. ENDLESS_ADDR says what the generation will listen on.
begin='echo "$ENDLESS_PID" > simple_server.pid; echo "hook: generation $ENDLESS_GENERATION begins on $ENDLESS_ADDR"'

exec "${ENDLESS:-endless}" -l "${LISTEN:-localhost:4242}" --hammer 60s \
    --check "$check" \
    --hook "begin=$begin" \
    --hook 'pre:HUP=echo "hook: a restart was asked for"' \
    --hook 'post:HUP=echo "hook: the restart is over, generation $ENDLESS_GENERATION serves (pid $ENDLESS_CHILD_PID)"' \
    --hook 'retired=echo "hook: pid $ENDLESS_CHILD_PID has finished its last request"' \
    --hook 'failed=echo "hook: the restart failed: $ENDLESS_REASON"' \
    --hook 'pre:USR1=echo "hook: SIGUSR1, which means nothing to endless itself"' \
    --hook 'exit=rm -f simple_server.pid' \
    -- "$@"
