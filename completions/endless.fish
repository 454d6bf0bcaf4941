# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_endless_global_optspecs
    string join \n l/listen= p/pass= preset= listen-pid= capture= fd-store-max= no-expand r/ready= ready-timeout= settle= probation= watchdog= supersede= max-retiring= respawn= respawn-limit= orphans= drain= s/stop-signal= retire-signal= hammer= kill-mode= on= hook= check= hook-timeout= C/chdir= e/env= unset= env-file= env-dir= clear-env u/user= g/group= supplementary= umask= nice= rlimit= no-new-privs stdin= config= n/name= pid-file= status-file= control= log-file= output= events= detach log-format= q/quiet v/verbose watch= watch-exec= h/help V/version
end

function __fish_endless_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    contains -- -- $cmd
    and return 1
    argparse -s (__fish_endless_global_optspecs) -- $cmd 2>/dev/null
    or argparse -s (__fish_endless_global_optspecs) -- $cmd '' 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_endless_using_subcommand
    set -l cmd (__fish_endless_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c endless -n "__fish_endless_needs_command" -s l -l listen -d 'Listen here: HOST:PORT, :PORT, udp:HOST:PORT, unix:PATH, unix:@NAME, vsock:CID:PORT, fd:N' -r
complete -c endless -n "__fish_endless_needs_command" -s p -l pass -d 'How the target is told: systemd, server-starter, stdin, none, einhorn, endless, endless-json, goagain, grace, tableflip, overseer, nginx, unicorn, puma, php-fpm, gunicorn [default: systemd,server-starter]' -r -f -a "systemd\t''
server-starter\t''
stdin\t''
none\t''
einhorn\t''
endless\t''
endless-json\t''
goagain\t''
grace\t''
tableflip\t''
overseer\t''
nginx\t''
unicorn\t''
puma\t''
php-fpm\t''
gunicorn\t''"
complete -c endless -n "__fish_endless_needs_command" -l preset -d 'The options a certain server needs: nginx, gunicorn, puma, go-endless and others; endless presets lists them' -r -f -a "nginx\t''
haproxy\t''
lighttpd\t''
h2o\t''
nghttpx\t''
caddy\t''
php-fpm\t''
gunicorn\t''
uvicorn\t''
hypercorn\t''
granian\t''
puma\t''
unicorn\t''
starman\t''
starlet\t''
node\t''
java\t''
uwsgi\t''
unbound\t''
dovecot\t''
sshd\t''
go-endless\t''
pedia-endless\t''
goagain\t''
grace\t''
falcore\t''
tableflip\t''
overseer\t''
einhorn\t''
server-starter\t''"
complete -c endless -n "__fish_endless_needs_command" -l listen-pid -d 'Whether LISTEN_PID is set: auto, none [default: auto]' -r -f -a "auto\t''
none\t''"
complete -c endless -n "__fish_endless_needs_command" -l capture -d 'Whether sockets that the target binds by itself are taken care of too: auto, always, never [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c endless -n "__fish_endless_needs_command" -l fd-store-max -d 'How many descriptors copies may leave with endless for the next ones (FDSTORE=1) [default: 64]' -r
complete -c endless -n "__fish_endless_needs_command" -s r -l ready -d 'When a copy serves: auto, notify, accept, probe=http:PATH, signal=SIG, fd=N, exec=CMD, http=URL, tcp=ADDR, delay=DUR [default: auto]' -r -f -a "auto\t''
notify\t''
accept\t''"
complete -c endless -n "__fish_endless_needs_command" -l ready-timeout -d 'A copy that is not ready by then has failed; never: no limit [default: 90s]' -r
complete -c endless -n "__fish_endless_needs_command" -l settle -d 'Time for the other listeners after the first was accepted, and the length of a guess [default: 1s]' -r
complete -c endless -n "__fish_endless_needs_command" -l probation -d 'The old copy stands guard for this long after the new one took over [default: 2s]' -r
complete -c endless -n "__fish_endless_needs_command" -l watchdog -d 'The active copy is to send WATCHDOG=1 this often, or it is taken to be stuck; off: it need not [default: off]' -r
complete -c endless -n "__fish_endless_needs_command" -l supersede -d 'A copy that is still not ready after this is replaced by the next restart; never: it is waited for [default: 5s]' -r
complete -c endless -n "__fish_endless_needs_command" -l max-retiring -d 'With more old copies than this the oldest is hammered [default: 8]' -r
complete -c endless -n "__fish_endless_needs_command" -l respawn -d 'What to do when the target ends by itself: on-failure, always, never [default: on-failure]' -r -f -a "on-failure\t''
always\t''
never\t''"
complete -c endless -n "__fish_endless_needs_command" -l respawn-limit -d 'Give up after more than N ends in DUR; off: never [default: 5/1m]' -r
complete -c endless -n "__fish_endless_needs_command" -l orphans -d 'When endless itself is killed: stop (the target gets its stop signal), keep [default: stop]' -r -f -a "stop\t''
keep\t''"
complete -c endless -n "__fish_endless_needs_command" -l drain -d 'What an old copy is waited for before its stop signal: off, queue, quiet or soft[=DUR] [default: quiet=10s]' -r -f -a "off\t''
queue\t''
quiet\t''
soft\t''"
complete -c endless -n "__fish_endless_needs_command" -s s -l stop-signal -d 'The signal that asks the target to stop [default: TERM]' -r -f -a "HUP\t''
INT\t''
QUIT\t''
USR1\t''
USR2\t''
TERM\t''
TSTP\t''
CONT\t''
WINCH\t''
ALRM\t''"
complete -c endless -n "__fish_endless_needs_command" -l retire-signal -d 'The stop signal after a restart, where it is another [default: that of --stop-signal]' -r -f -a "HUP\t''
INT\t''
QUIT\t''
USR1\t''
USR2\t''
TERM\t''
TSTP\t''
CONT\t''
WINCH\t''
ALRM\t''"
complete -c endless -n "__fish_endless_needs_command" -l hammer -d 'SIGKILL this long after the retirement began; -1, never or off: wait for ever [default: 60s]' -r
complete -c endless -n "__fish_endless_needs_command" -l kill-mode -d 'Which processes get which signal: mixed, group, process [default: mixed]' -r -f -a "mixed\t''
group\t''
process\t''"
complete -c endless -n "__fish_endless_needs_command" -l on -d 'What a signal to endless does: restart, stop, hammer, forward[=SIG], reopen, upgrade, suspend, ignore' -r
complete -c endless -n "__fish_endless_needs_command" -l hook -d 'Run COMMAND at: pre:SIGNAL, post:SIGNAL, begin, ready, retired, failed, exit' -r
complete -c endless -n "__fish_endless_needs_command" -l check -d 'Run COMMAND before every restart by HUP; if it fails nothing is restarted' -r -f -a "(__fish_complete_command)"
complete -c endless -n "__fish_endless_needs_command" -l hook-timeout -d 'A hook that runs longer than this is killed and has failed; never: no limit [default: 30s]' -r
complete -c endless -n "__fish_endless_needs_command" -s C -l chdir -d 'Start the target in this directory; looked up again at every start' -r -F
complete -c endless -n "__fish_endless_needs_command" -s e -l env -d 'Set a variable for the target; {fd} and the like in VALUE are replaced' -r
complete -c endless -n "__fish_endless_needs_command" -l unset -d 'Take a variable away from the target' -r
complete -c endless -n "__fish_endless_needs_command" -l env-file -d 'Read variables from a file of NAME=VALUE lines (dotenv), again at every start' -r
complete -c endless -n "__fish_endless_needs_command" -l env-dir -d 'Read variables from a directory with one file each (envdir), again at every start' -r
complete -c endless -n "__fish_endless_needs_command" -s u -l user -d 'Run the target as this user, by name or number' -r -f -a "(__fish_complete_users)"
complete -c endless -n "__fish_endless_needs_command" -s g -l group -d 'Run the target with this group, by name or number [default: the user\'s]' -r
complete -c endless -n "__fish_endless_needs_command" -l supplementary -d 'The target\'s supplementary groups; none: no others [default: the user\'s]' -r
complete -c endless -n "__fish_endless_needs_command" -l umask -d 'The target\'s file mode creation mask, octal' -r
complete -c endless -n "__fish_endless_needs_command" -l nice -d 'Add this to the target\'s niceness' -r
complete -c endless -n "__fish_endless_needs_command" -l rlimit -d 'Limit a resource: nofile=65536, core=unlimited, stack=8M:64M' -r
complete -c endless -n "__fish_endless_needs_command" -l stdin -d 'The target\'s standard input: inherit, null [default: inherit]' -r -f -a "inherit\t''
null\t''"
complete -c endless -n "__fish_endless_needs_command" -l config -d 'Read arguments from this file too, and again at every restart' -r -F
complete -c endless -n "__fish_endless_needs_command" -s n -l name -d 'What this endless is called [default: the base name of COMMAND]' -r
complete -c endless -n "__fish_endless_needs_command" -l pid-file -d 'Write endless\' own pid here; locked for as long as it runs' -r -F
complete -c endless -n "__fish_endless_needs_command" -l status-file -d 'Write a line GENERATION:PID for every living copy here; locked while it is there' -r -F
complete -c endless -n "__fish_endless_needs_command" -l control -d 'Where `endless status`, `restart` and the like reach it; none: nowhere' -r -F
complete -c endless -n "__fish_endless_needs_command" -l log-file -d 'Append endless\' log to this file instead of stderr; `--on USR1=reopen` opens it again' -r -F
complete -c endless -n "__fish_endless_needs_command" -l output -d 'Append what the target prints to this file; `--on USR1=reopen` opens it again' -r -F
complete -c endless -n "__fish_endless_needs_command" -l events -d 'Write a line of JSON for everything that happens: to a file, fd:N, or - for standard output' -r -F
complete -c endless -n "__fish_endless_needs_command" -l log-format -d 'How endless writes to stderr: text, json [default: text]' -r -f -a "text\t''
json\t''"
complete -c endless -n "__fish_endless_needs_command" -l watch -d 'Restart when the program has changed, or one of these paths instead, and then nothing more for 200 ms' -r -F
complete -c endless -n "__fish_endless_needs_command" -l watch-exec -d 'Run COMMAND before each of these restarts; if it fails the old copy goes on' -r -f -a "(__fish_complete_command)"
complete -c endless -n "__fish_endless_needs_command" -l no-expand -d 'Leave {fd}, {addr} and the like as they are'
complete -c endless -n "__fish_endless_needs_command" -l clear-env -d 'Begin with an empty environment'
complete -c endless -n "__fish_endless_needs_command" -l no-new-privs -d 'The target and what it starts can gain no privileges by executing files'
complete -c endless -n "__fish_endless_needs_command" -l detach -d 'Return when the first copy serves (0) or has failed (its code), and go on in the background'
complete -c endless -n "__fish_endless_needs_command" -s q -l quiet -d 'Say only what went wrong'
complete -c endless -n "__fish_endless_needs_command" -s v -l verbose -d 'Say more; repeatable'
complete -c endless -n "__fish_endless_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c endless -n "__fish_endless_needs_command" -s V -l version -d 'Print version'
complete -c endless -n "__fish_endless_needs_command" -f -a "status" -d 'Shows what runs, or one endless in detail'
complete -c endless -n "__fish_endless_needs_command" -f -a "restart" -d 'Restarts the target and waits until the new copy has passed its probation'
complete -c endless -n "__fish_endless_needs_command" -f -a "stop" -d 'Retires everything, and waits until endless has ended'
complete -c endless -n "__fish_endless_needs_command" -f -a "hammer" -d 'Kills what is retiring, and waits until it is gone'
complete -c endless -n "__fish_endless_needs_command" -f -a "signal" -d 'Does what that signal to endless does (--on), and waits until it is done'
complete -c endless -n "__fish_endless_needs_command" -f -a "upgrade" -d 'Replaces endless itself by the program that is at its path now, and waits until it has taken over'
complete -c endless -n "__fish_endless_needs_command" -f -a "check" -d 'Says what would run, and runs nothing'
complete -c endless -n "__fish_endless_needs_command" -f -a "exec" -d 'Inside a wrapper: sets LISTEN_PID and becomes COMMAND'
complete -c endless -n "__fish_endless_needs_command" -f -a "presets" -d 'Lists the presets, and what they set'
complete -c endless -n "__fish_endless_using_subcommand status" -l control -d 'Its control socket, where it is not in the usual place; without NAME, ENDLESS_CONTROL does it, too' -r -F
complete -c endless -n "__fish_endless_using_subcommand status" -l json -d 'Print one JSON object for each endless'
complete -c endless -n "__fish_endless_using_subcommand status" -s w -l watch -d 'Go on and show every change; q or Ctrl-C ends it'
complete -c endless -n "__fish_endless_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c endless -n "__fish_endless_using_subcommand restart" -l control -d 'Its control socket, where it is not in the usual place; without NAME, ENDLESS_CONTROL does it, too' -r -F
complete -c endless -n "__fish_endless_using_subcommand restart" -l timeout -d 'Give up waiting after this; the restart goes on [default: never]' -r
complete -c endless -n "__fish_endless_using_subcommand restart" -l pid-file -d 'Without a control socket: HUP to the pid in this file, of endless or of Server::Starter' -r -F
complete -c endless -n "__fish_endless_using_subcommand restart" -l status-file -d 'And wait until this file shows new copies only' -r -F
complete -c endless -n "__fish_endless_using_subcommand restart" -l active -d 'Wait only until the new copy is active'
complete -c endless -n "__fish_endless_using_subcommand restart" -l drained -d 'Wait until the old copies are gone as well'
complete -c endless -n "__fish_endless_using_subcommand restart" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c endless -n "__fish_endless_using_subcommand stop" -l control -d 'Its control socket, where it is not in the usual place; without NAME, ENDLESS_CONTROL does it, too' -r -F
complete -c endless -n "__fish_endless_using_subcommand stop" -l timeout -d 'Give up waiting after this; the stop goes on [default: never]' -r
complete -c endless -n "__fish_endless_using_subcommand stop" -l pid-file -d 'Without a control socket: TERM to the pid in this file, of endless or of Server::Starter' -r -F
complete -c endless -n "__fish_endless_using_subcommand stop" -s h -l help -d 'Print help'
complete -c endless -n "__fish_endless_using_subcommand hammer" -l control -d 'Its control socket, where it is not in the usual place; without NAME, ENDLESS_CONTROL does it, too' -r -F
complete -c endless -n "__fish_endless_using_subcommand hammer" -l timeout -d 'Give up waiting after this [default: never]' -r
complete -c endless -n "__fish_endless_using_subcommand hammer" -s h -l help -d 'Print help'
complete -c endless -n "__fish_endless_using_subcommand signal" -l control -d 'Its control socket, where it is not in the usual place; without NAME, ENDLESS_CONTROL does it, too' -r -F
complete -c endless -n "__fish_endless_using_subcommand signal" -l timeout -d 'Give up waiting after this [default: never]' -r
complete -c endless -n "__fish_endless_using_subcommand signal" -s h -l help -d 'Print help'
complete -c endless -n "__fish_endless_using_subcommand upgrade" -l control -d 'Its control socket, where it is not in the usual place; without NAME, ENDLESS_CONTROL does it, too' -r -F
complete -c endless -n "__fish_endless_using_subcommand upgrade" -l timeout -d 'Give up waiting after this; the upgrade goes on [default: never]' -r
complete -c endless -n "__fish_endless_using_subcommand upgrade" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c endless -n "__fish_endless_using_subcommand check" -s l -l listen -d 'Listen here: HOST:PORT, :PORT, udp:HOST:PORT, unix:PATH, unix:@NAME, vsock:CID:PORT, fd:N' -r
complete -c endless -n "__fish_endless_using_subcommand check" -s p -l pass -d 'How the target is told: systemd, server-starter, stdin, none, einhorn, endless, endless-json, goagain, grace, tableflip, overseer, nginx, unicorn, puma, php-fpm, gunicorn [default: systemd,server-starter]' -r -f -a "systemd\t''
server-starter\t''
stdin\t''
none\t''
einhorn\t''
endless\t''
endless-json\t''
goagain\t''
grace\t''
tableflip\t''
overseer\t''
nginx\t''
unicorn\t''
puma\t''
php-fpm\t''
gunicorn\t''"
complete -c endless -n "__fish_endless_using_subcommand check" -l preset -d 'The options a certain server needs: nginx, gunicorn, puma, go-endless and others; endless presets lists them' -r -f -a "nginx\t''
haproxy\t''
lighttpd\t''
h2o\t''
nghttpx\t''
caddy\t''
php-fpm\t''
gunicorn\t''
uvicorn\t''
hypercorn\t''
granian\t''
puma\t''
unicorn\t''
starman\t''
starlet\t''
node\t''
java\t''
uwsgi\t''
unbound\t''
dovecot\t''
sshd\t''
go-endless\t''
pedia-endless\t''
goagain\t''
grace\t''
falcore\t''
tableflip\t''
overseer\t''
einhorn\t''
server-starter\t''"
complete -c endless -n "__fish_endless_using_subcommand check" -l listen-pid -d 'Whether LISTEN_PID is set: auto, none [default: auto]' -r -f -a "auto\t''
none\t''"
complete -c endless -n "__fish_endless_using_subcommand check" -l capture -d 'Whether sockets that the target binds by itself are taken care of too: auto, always, never [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c endless -n "__fish_endless_using_subcommand check" -l fd-store-max -d 'How many descriptors copies may leave with endless for the next ones (FDSTORE=1) [default: 64]' -r
complete -c endless -n "__fish_endless_using_subcommand check" -s r -l ready -d 'When a copy serves: auto, notify, accept, probe=http:PATH, signal=SIG, fd=N, exec=CMD, http=URL, tcp=ADDR, delay=DUR [default: auto]' -r -f -a "auto\t''
notify\t''
accept\t''"
complete -c endless -n "__fish_endless_using_subcommand check" -l ready-timeout -d 'A copy that is not ready by then has failed; never: no limit [default: 90s]' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l settle -d 'Time for the other listeners after the first was accepted, and the length of a guess [default: 1s]' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l probation -d 'The old copy stands guard for this long after the new one took over [default: 2s]' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l watchdog -d 'The active copy is to send WATCHDOG=1 this often, or it is taken to be stuck; off: it need not [default: off]' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l supersede -d 'A copy that is still not ready after this is replaced by the next restart; never: it is waited for [default: 5s]' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l max-retiring -d 'With more old copies than this the oldest is hammered [default: 8]' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l respawn -d 'What to do when the target ends by itself: on-failure, always, never [default: on-failure]' -r -f -a "on-failure\t''
always\t''
never\t''"
complete -c endless -n "__fish_endless_using_subcommand check" -l respawn-limit -d 'Give up after more than N ends in DUR; off: never [default: 5/1m]' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l orphans -d 'When endless itself is killed: stop (the target gets its stop signal), keep [default: stop]' -r -f -a "stop\t''
keep\t''"
complete -c endless -n "__fish_endless_using_subcommand check" -l drain -d 'What an old copy is waited for before its stop signal: off, queue, quiet or soft[=DUR] [default: quiet=10s]' -r -f -a "off\t''
queue\t''
quiet\t''
soft\t''"
complete -c endless -n "__fish_endless_using_subcommand check" -s s -l stop-signal -d 'The signal that asks the target to stop [default: TERM]' -r -f -a "HUP\t''
INT\t''
QUIT\t''
USR1\t''
USR2\t''
TERM\t''
TSTP\t''
CONT\t''
WINCH\t''
ALRM\t''"
complete -c endless -n "__fish_endless_using_subcommand check" -l retire-signal -d 'The stop signal after a restart, where it is another [default: that of --stop-signal]' -r -f -a "HUP\t''
INT\t''
QUIT\t''
USR1\t''
USR2\t''
TERM\t''
TSTP\t''
CONT\t''
WINCH\t''
ALRM\t''"
complete -c endless -n "__fish_endless_using_subcommand check" -l hammer -d 'SIGKILL this long after the retirement began; -1, never or off: wait for ever [default: 60s]' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l kill-mode -d 'Which processes get which signal: mixed, group, process [default: mixed]' -r -f -a "mixed\t''
group\t''
process\t''"
complete -c endless -n "__fish_endless_using_subcommand check" -l on -d 'What a signal to endless does: restart, stop, hammer, forward[=SIG], reopen, upgrade, suspend, ignore' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l hook -d 'Run COMMAND at: pre:SIGNAL, post:SIGNAL, begin, ready, retired, failed, exit' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l check -d 'Run COMMAND before every restart by HUP; if it fails nothing is restarted' -r -f -a "(__fish_complete_command)"
complete -c endless -n "__fish_endless_using_subcommand check" -l hook-timeout -d 'A hook that runs longer than this is killed and has failed; never: no limit [default: 30s]' -r
complete -c endless -n "__fish_endless_using_subcommand check" -s C -l chdir -d 'Start the target in this directory; looked up again at every start' -r -F
complete -c endless -n "__fish_endless_using_subcommand check" -s e -l env -d 'Set a variable for the target; {fd} and the like in VALUE are replaced' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l unset -d 'Take a variable away from the target' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l env-file -d 'Read variables from a file of NAME=VALUE lines (dotenv), again at every start' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l env-dir -d 'Read variables from a directory with one file each (envdir), again at every start' -r
complete -c endless -n "__fish_endless_using_subcommand check" -s u -l user -d 'Run the target as this user, by name or number' -r -f -a "(__fish_complete_users)"
complete -c endless -n "__fish_endless_using_subcommand check" -s g -l group -d 'Run the target with this group, by name or number [default: the user\'s]' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l supplementary -d 'The target\'s supplementary groups; none: no others [default: the user\'s]' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l umask -d 'The target\'s file mode creation mask, octal' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l nice -d 'Add this to the target\'s niceness' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l rlimit -d 'Limit a resource: nofile=65536, core=unlimited, stack=8M:64M' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l stdin -d 'The target\'s standard input: inherit, null [default: inherit]' -r -f -a "inherit\t''
null\t''"
complete -c endless -n "__fish_endless_using_subcommand check" -l config -d 'Read arguments from this file too, and again at every restart' -r -F
complete -c endless -n "__fish_endless_using_subcommand check" -s n -l name -d 'What this endless is called [default: the base name of COMMAND]' -r
complete -c endless -n "__fish_endless_using_subcommand check" -l pid-file -d 'Write endless\' own pid here; locked for as long as it runs' -r -F
complete -c endless -n "__fish_endless_using_subcommand check" -l status-file -d 'Write a line GENERATION:PID for every living copy here; locked while it is there' -r -F
complete -c endless -n "__fish_endless_using_subcommand check" -l control -d 'Where `endless status`, `restart` and the like reach it; none: nowhere' -r -F
complete -c endless -n "__fish_endless_using_subcommand check" -l log-file -d 'Append endless\' log to this file instead of stderr; `--on USR1=reopen` opens it again' -r -F
complete -c endless -n "__fish_endless_using_subcommand check" -l output -d 'Append what the target prints to this file; `--on USR1=reopen` opens it again' -r -F
complete -c endless -n "__fish_endless_using_subcommand check" -l events -d 'Write a line of JSON for everything that happens: to a file, fd:N, or - for standard output' -r -F
complete -c endless -n "__fish_endless_using_subcommand check" -l log-format -d 'How endless writes to stderr: text, json [default: text]' -r -f -a "text\t''
json\t''"
complete -c endless -n "__fish_endless_using_subcommand check" -l watch -d 'Restart when the program has changed, or one of these paths instead, and then nothing more for 200 ms' -r -F
complete -c endless -n "__fish_endless_using_subcommand check" -l watch-exec -d 'Run COMMAND before each of these restarts; if it fails the old copy goes on' -r -f -a "(__fish_complete_command)"
complete -c endless -n "__fish_endless_using_subcommand check" -l no-expand -d 'Leave {fd}, {addr} and the like as they are'
complete -c endless -n "__fish_endless_using_subcommand check" -l clear-env -d 'Begin with an empty environment'
complete -c endless -n "__fish_endless_using_subcommand check" -l no-new-privs -d 'The target and what it starts can gain no privileges by executing files'
complete -c endless -n "__fish_endless_using_subcommand check" -l detach -d 'Return when the first copy serves (0) or has failed (its code), and go on in the background'
complete -c endless -n "__fish_endless_using_subcommand check" -s q -l quiet -d 'Say only what went wrong'
complete -c endless -n "__fish_endless_using_subcommand check" -s v -l verbose -d 'Say more; repeatable'
complete -c endless -n "__fish_endless_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c endless -n "__fish_endless_using_subcommand exec" -s h -l help -d 'Print help'
complete -c endless -n "__fish_endless_using_subcommand presets" -s h -l help -d 'Print help'

function __fish_endless_names
    endless status --json 2>/dev/null | sed -n 's/^{"name":"\([^"]*\)".*/\1/p'
end

function __fish_endless_wants_signal
    __fish_endless_using_subcommand signal
    and not string match -qr '^[A-Z][A-Z0-9+-]*$' -- (commandline -opc)[3..-1]
end

function __fish_endless_wants_name
    __fish_endless_using_subcommand status restart stop hammer upgrade signal
    and not __fish_endless_wants_signal
end

# Behind the dashes stands a command of its own.
function __fish_endless_behind_dashes
    contains -- -- (commandline -opc)
end

function __fish_endless_command
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words)
    set -e words[1..$at]
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end

complete -c endless -n __fish_endless_wants_signal -f -a 'HUP INT QUIT USR1 USR2 TERM TSTP CONT WINCH ALRM' -d 'signal'
complete -c endless -n __fish_endless_wants_name -f -a '(__fish_endless_names)' -d 'running'
complete -c endless -n __fish_endless_behind_dashes -f -a '(__fish_endless_command)'
