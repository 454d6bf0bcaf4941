//! Wrong values for every option: the message names the option, the value, the reason and a way out, the exit status is 2,
//! and nothing was started or bound on the way there.

use endless::cli::{self, Invocation};
use endless::plan::{Asking, InheritedSocket, Plan, Surroundings};
use std::collections::BTreeSet;
use std::ffi::OsString;

/// One wrong command line, without `-- true`; what the message begins with: the option and the value; what stands in the
/// reason; what stands in the hint.
type Wrong = (&'static [&'static str], &'static str, &'static str, &'static str);

fn surroundings() -> Surroundings {
    let socket = |fd, name: &str| InheritedSocket { fd, name: Some(name.to_owned()) };
    let inherited = vec![socket(3, "web"), socket(4, "twice"), socket(5, "twice")];
    Surroundings { inherited, ipv6: || true, environment: vec![("PATH".into(), "/bin:/usr/bin".into())] }
}

fn parse(line: &[&str]) -> Result<Invocation, cli::UsageError> {
    cli::parse(["endless"].iter().chain(line).map(OsString::from), &[])
}

fn plan(line: &[&str]) -> Result<Plan, (String, u8)> {
    match parse(line).map_err(|error| (error.to_string(), 2))? {
        Invocation::Run(args) => Plan::new(&args, &surroundings()).map_err(|error| (error.to_string(), error.code)),
        other => panic!("{other:?}"),
    }
}

const LISTENERS: &[Wrong] = &[
    (&["--listen", "localhost"], "--listen localhost", "`localhost` has no port", "localhost:PORT"),
    (&["--listen", ""], "--listen ", "there is no address", "HOST:PORT"),
    (&["-l", "nope"], "--listen nope", "no port", "unix:PATH"),
    (&["--listen", "no-such-host.invalid:1"], "--listen no-such-host.invalid:1", "is not known", "127.0.0.1:8080"),
    (
        &["--listen", "http://localhost:8080/x"],
        "--listen http://localhost:8080/x",
        "this is a URL",
        "alone: localhost:8080",
    ),
    (&["--listen", "tcp://localhost"], "--listen tcp://localhost", "this is a URL", "alone: localhost:PORT"),
    (&["--listen", ":1,mode=0600"], "--listen :1,mode=0600", "`mode` does not fit", "backlog"),
    (&["--listen", ":1", "--listen", "[::]:1"], "--listen [::]:1", "the address of --listen :1 as well", "take one"),
    (
        &["--listen", "/run/x", "--listen", "unix-dgram:/run/x"],
        "--listen unix-dgram:/run/x",
        "the address of --listen /run/x",
        "take one",
    ),
    (&["--listen", "a=:1", "--listen", "a=:2"], "--listen a=:2", "the name `a` is that of --listen a=:1", "NAME=:2"),
    (
        &["--listen", ":1,fd=7", "--listen", ":2,fd=7"],
        "--listen :2,fd=7",
        "descriptor 7 is taken by --listen :1,fd=7",
        "another fd=N",
    ),
    (&["--listen", "fd:twice"], "--listen fd:twice", "several sockets passed in are called `twice`", "fd:4 or fd:5"),
    (&["--listen", "fd:nope"], "--listen fd:nope", "no socket called `nope` was passed in", "fd:3 (web)"),
    (&["--listen", "fd:987654"], "--listen fd:987654", "descriptor 987654 is not open", "fd:3 (web)"),
    (
        &["--listen", "fd:3", "--listen", "fd:web"],
        "--listen fd:web",
        "the address of --listen fd:3 as well",
        "take one",
    ),
    (&["--listen", ":1,fd=0", "--stdin", "null"], "--listen :1,fd=0", "/dev/null at descriptor 0", "--stdin"),
    (&["--pass", "smoke-signals"], "--pass smoke-signals", "no protocol `smoke-signals`", "server-starter"),
    (&["--pass", ""], "--pass ", "no protocol ``", "server-starter"),
    (
        &["-l", ":1", "--pass", "tableflip,systemd"],
        "--pass tableflip,systemd",
        "tableflip begin at 5, and systemd",
        "one of",
    ),
    (
        &["-l", ":1", "--pass", "stdin,tableflip"],
        "--pass stdin,tableflip",
        "stdin puts the listener at 0",
        "one of them",
    ),
    (&["-l", ":1", "--pass", "unicorn,systemd"], "--pass unicorn,systemd", "take each listener twice", "one of them"),
    (&["-l", ":1", "--pass", "goagain,endless"], "--pass goagain,endless", "endless by SIGTERM", "--stop-signal QUIT"),
    (&["-l", ":1", "-l", ":2", "--pass", "goagain"], "--pass goagain", "exactly one listener, and there are 2", "one"),
    (&["-l", "/run/x", "--pass", "endless"], "--pass endless", "TCP listeners only, and --listen /run/x", "systemd"),
    (&["-l", "udp:1", "--pass", "goagain"], "--pass goagain", "TCP and Unix stream listeners only", "systemd"),
    (&["-l", "udp:1", "--pass", "grace"], "--pass grace", "TCP and Unix stream listeners only", "systemd"),
    (&["-l", ":1,fd=9", "--pass", "overseer"], "--pass overseer", "from 3 on without a gap", "fd=N"),
    (
        &["-l", ":1", "--pass", "goagain", "--on", "RTMIN+15=stop"],
        "--pass goagain",
        "say by SIGRTMIN+15 that they serve",
        "another signal",
    ),
    (&["--pass", "none,systemd"], "--pass none,systemd", "`none` stands alone", "without it"),
    (&["--pass", "systemd,systemd"], "--pass systemd,systemd", "given twice", "once"),
    (&["--pass", "stdin,systemd"], "--pass stdin,systemd", "begin at 3", "one of them"),
    (&["--pass", "stdin"], "--pass stdin", "exactly one listener, and there are 3", "one --listen"),
    (&["-l", ":1,fd=5", "--pass", "stdin"], "--pass stdin", "puts it elsewhere", "fd=N"),
    (
        &["-l", ":1", "--pass", "stdin", "--stdin", "null"],
        "--pass stdin",
        "the listener is the standard input",
        "--stdin",
    ),
    (&["--capture", "sometimes"], "--capture sometimes", "`sometimes` is not known here", "auto, always, never"),
    (&["--fd-store-max", "-1"], "--fd-store-max -1", "out of range", "from 0"),
    (&["--preset", "apache"], "--preset apache", "there is no preset `apache`", "nginx, haproxy"),
    (&["--preset", "java"], "--preset java (--pass stdin)", "exactly one listener", "one --listen"),
    (&["--listen-pid", "mine"], "--listen-pid mine", "`mine` is not known here", "auto, none"),
    (
        &["--listen-pid", "none", "--pass", "none"],
        "--listen-pid none",
        "belongs to the protocol systemd",
        "--pass systemd",
    ),
];

const READINESS: &[Wrong] = &[
    (&["--ready", "soon"], "--ready soon", "there is no mode `soon`", "probe=http:PATH"),
    (&["--ready", "fd"], "--ready fd", "which descriptor", "fd=10"),
    (&["--ready", "fd=1"], "--ready fd=1", "out of range", "from 3"),
    (&["-l", ":1", "--ready", "fd=3"], "--ready fd=3", "descriptor 3 is taken", "fd=10"),
    (&["-l", ":1", "--pass", "tableflip", "--ready", "fd=4"], "--ready fd=4", "descriptor 4 is taken", "fd=10"),
    (&["--ready", "exec"], "--ready exec", "there is no command", "exec="),
    (&["--ready", "exec= "], "--ready exec= ", "there is no command", "exec="),
    (&["--ready", "http"], "--ready http", "there is no URL", "http=http://"),
    (&["--ready", "http=https://localhost/"], "--ready http=https://localhost/", "begin with http://", "http=http://"),
    (&["--ready", "http=http://localhost:9/a b"], "--ready http=", "a blank in the path", "%20"),
    (&["-l", ":9", "--ready", "http=http://localhost:9/"], "--ready http=", "is --listen :9 itself", "probe=http:PATH"),
    (&["--ready", "tcp"], "--ready tcp", "there is no address", "tcp=localhost:9090"),
    (&["--ready", "tcp=/run/x"], "--ready tcp=/run/x", "no TCP address", "HOST:PORT"),
    (&["--ready", "tcp=localhost:0"], "--ready tcp=localhost:0", "port 0", "HOST:PORT"),
    (&["-l", "127.0.0.1:9", "--ready", "tcp=localhost:9"], "--ready tcp=", "--listen 127.0.0.1:9 itself", "probe=http"),
    (&["--ready", "auto=1"], "--ready auto=1", "takes no value", "auto"),
    (&["--ready", "probe"], "--ready probe", "what to ask for", "probe=http:/PATH"),
    (&["--ready", "probe=/x"], "--ready probe=/x", "cannot be probed", "probe=http:/PATH"),
    (&["--ready", "probe=http:x"], "--ready probe=http:x", "does not begin with `/`", "probe=http:/x"),
    (&["--ready", "probe=http://host/x"], "--ready probe=http://host/x", "a host has no place", "probe=http:/PATH"),
    (&["--ready", "probe=http:/a b"], "--ready probe=http:/a b", "a blank in the path", "%20"),
    (&["-l", ":9,share=yes", "--ready", "probe=http:/"], "--ready probe=http:/", "the new copy alone", "http=URL"),
    (&["-l", ":9,device=lo", "--ready", "probe=http:/"], "--ready probe=http:/", "is not reached from here", "notify"),
    (&["-l", "/run/x", "--ready", "probe=http:/"], "--ready probe=http:/", "needs a TCP listener", "--listen"),
    (&["-l", ":9,share=yes", "--ready", "accept"], "--ready accept", "the new copy alone", "notify"),
    (&["-l", "unix:@x", "-l", ":9,device=lo", "--ready", "accept"], "--ready accept", "the new copy alone", "notify"),
    (&["-l", "udp:1", "--ready", "accept"], "--ready accept", "only TCP and Unix stream listeners", "notify"),
    (&["--ready", "signal"], "--ready signal", "which signal", "signal=USR1"),
    (&["--ready", "signal=NOPE"], "--ready signal=NOPE", "`NOPE` is not a signal", "kill -l"),
    (&["--ready", "signal=KILL"], "--ready signal=KILL", "SIGKILL cannot be caught", "USR1"),
    (&["--ready", "delay"], "--ready delay", "how long", "delay=2s"),
    (&["--ready", "delay=off"], "--ready delay=off", "cannot be switched off", "90s"),
    (&["--ready", "delay=2m"], "--ready delay=2m", "--ready-timeout of 1m 30s", "shorter delay"),
    (&["--ready-timeout", "soon"], "--ready-timeout soon", "`soon` is not a duration", "never"),
    (&["--settle", "off"], "--settle off", "cannot be switched off", "90s"),
    (&["--settle", "x"], "--settle x", "not a duration", "1500ms"),
    (&["--probation", "2 parsecs"], "--probation 2 parsecs", "not a duration", "1500ms"),
    (&["--watchdog", "x"], "--watchdog x", "not a duration", "never"),
    (&["--watchdog", "1ms"], "--watchdog 1ms", "nobody can say so often", "10s"),
    (&["--supersede", ""], "--supersede ", "not a duration", "1500ms"),
    (&["--max-retiring", "0"], "--max-retiring 0", "out of range", "from 1"),
    (&["--max-retiring", "-1"], "--max-retiring -1", "out of range", "from 1"),
    (&["--max-retiring", "many"], "--max-retiring many", "not a whole number", "from 1"),
    (&["--respawn", "sometimes"], "--respawn sometimes", "not known here", "on-failure, always, never"),
    (&["--respawn-limit", "5"], "--respawn-limit 5", "`5` is not N/DUR", "5/1m"),
    (&["--respawn-limit", "0/1m"], "--respawn-limit 0/1m", "`0` is out of range", "5/1m"),
    (&["--respawn-limit", "5/0"], "--respawn-limit 5/0", "within no time", "off"),
    (&["--respawn-limit", "5/x"], "--respawn-limit 5/x", "`x` is not a duration", "5/1m"),
    (&["--respawn", "never", "--respawn-limit", "5/1m"], "--respawn-limit 5/1m", "--respawn never", "take one"),
    (&["--orphans", "adopt"], "--orphans adopt", "not known here", "stop, keep"),
];

const RETIREMENT: &[Wrong] = &[
    (
        &["--drain", "quick"],
        "--drain quick",
        "there is no drain mode `quick`",
        "off, queue[=DUR], quiet[=DUR] or soft[=DUR]",
    ),
    (&["--drain", "off=3s"], "--drain off=3s", "takes no duration", "soft[=DUR]"),
    (&["--drain", "quiet="], "--drain quiet=", "duration", "90s"),
    (&["--drain", "soft=soon"], "--drain soft=soon", "duration", "90s"),
    (&["--drain", "queue=never"], "--drain queue=never", "cannot be switched off", "90s"),
    (&["--stop-signal", "KILL"], "--stop-signal KILL", "no time to end", "--hammer 0"),
    (&["--stop-signal", "STOP"], "--stop-signal STOP", "never ends it", "TERM"),
    (&["-s", "99"], "--stop-signal 99", "`99` is not a signal", "kill -l"),
    (&["--retire-signal", "SIGKILL"], "--retire-signal SIGKILL", "no time to end", "TERM"),
    (&["--hammer", "abc"], "--hammer abc", "`abc` is not a duration", "never or off"),
    (&["--hammer", "1000years"], "--hammer 1000years", "longer than a hundred years", "never"),
    (&["--kill-mode", "all"], "--kill-mode all", "not known here", "mixed, group, process"),
];

const SIGNALS: &[Wrong] = &[
    (&["--on", "HUP"], "--on HUP", "no `=`", "SIGNAL=ACTION"),
    (&["--on", "NOPE=stop"], "--on NOPE=stop", "`NOPE` is not a signal", "kill -l"),
    (&["--on", "KILL=stop"], "--on KILL=stop", "cannot be caught", "RTMIN+1"),
    (&["--on", "STOP=stop"], "--on STOP=stop", "cannot be caught", "RTMIN+1"),
    (&["--on", "SEGV=stop"], "--on SEGV=stop", "crashed", "RTMIN+1"),
    (&["--on", "CHLD=stop"], "--on CHLD=stop", "for itself", "RTMIN+1"),
    (&["--on", "HUP=dance"], "--on HUP=dance", "no action `dance`", "restart, stop, hammer"),
    (&["--on", "HUP=upgraded"], "--on HUP=upgraded", "no action `upgraded`", "reopen, upgrade, suspend"),
    (&["--on", "HUP=forward=NOPE"], "--on HUP=forward=NOPE", "`NOPE` is not a signal", "kill -l"),
    (&["--on", "HUP=stop", "--on", "1=restart"], "--on 1=restart", "twice what SIGHUP does", "take one"),
    (&["--hook", "begin"], "--hook begin", "no `=`", "WHEN=COMMAND"),
    (&["--hook", "begin= "], "--hook begin= ", "there is no command", "sh -c"),
    (&["--hook", "never=true"], "--hook never=true", "no hook point `never`", "pre:SIGNAL"),
    (&["--hook", "mid:HUP=true"], "--hook mid:HUP=true", "no hook point `mid:HUP`", "pre:SIGNAL"),
    (&["--hook", "pre:NOPE=true"], "--hook pre:NOPE=true", "not a signal", "kill -l"),
    (&["--hook", "pre:WINCH=true"], "--hook pre:WINCH=true", "does nothing on SIGWINCH", "--on WINCH=ignore"),
    (&["--check", ""], "--check ", "there is no command", "nginx -t"),
    (&["--hook-timeout", "x"], "--hook-timeout x", "not a duration", "never"),
];

const WATCH: &[Wrong] = &[
    (&["--watch", "/no/such/dir"], "--watch /no/such/dir", "No such file", "existing file or directory"),
    (&["--watch-exec", "make"], "--watch-exec make", "nothing is watched", "--watch PATH"),
    (&["--watch", "--watch-exec", "make"], "--watch-exec make", "which it makes", "--watch src"),
    (&["--watch", "/etc", "--watch-exec", " "], "--watch-exec  ", "no command", "`sh -c` runs"),
];

const PROCESS: &[Wrong] = &[
    (&["--chdir", "/no/such/dir"], "--chdir /no/such/dir", "No such file", "existing directory"),
    (&["-C", "/etc/passwd"], "--chdir /etc/passwd", "not a directory", "existing directory"),
    (&["--env", "A"], "--env A", "no `=`", "--unset NAME"),
    (&["--env", "=1"], "--env =1", "no name before the `=`", "NAME=VALUE"),
    (&["--unset", "A=1"], "--unset A=1", "name of a variable", "--env NAME=VALUE"),
    (&["--unset", ""], "--unset ", "name of a variable", "--env NAME=VALUE"),
    (&["--env-file", "/no/such/file"], "--env-file /no/such/file", "No such file", "NAME=VALUE"),
    (&["--env-file", "/etc/passwd"], "--env-file /etc/passwd", "line 1: there is no `=`", "NAME=VALUE"),
    (&["--env-dir", "/no/such/dir"], "--env-dir /no/such/dir", "No such file", "a directory with a file"),
    (&["--user", "no-such-user"], "--user no-such-user", "no user `no-such-user`", "/etc/passwd"),
    (&["--user", "987654"], "--user 987654", "has no entry", "--group"),
    (&["--group", "no-such-group"], "--group no-such-group", "no group `no-such-group`", "/etc/group"),
    (
        &["--supplementary", "0,no-such-group"],
        "--supplementary 0,no-such-group",
        "no group `no-such-group`",
        "/etc/group",
    ),
    (&["--umask", "9"], "--umask 9", "not an octal mode", "0777"),
    (&["--umask", "7777"], "--umask 7777", "not an octal mode", "0777"),
    (&["--nice", "40"], "--nice 40", "out of range", "-20 to 19"),
    (&["--nice", "very"], "--nice very", "not a whole number", "-20 to 19"),
    (&["--rlimit", "nofile"], "--rlimit nofile", "no `=`", "nofile=65536"),
    (&["--rlimit", "files=1"], "--rlimit files=1", "`files` is not known here", "nofile"),
    (&["--rlimit", "nofile=x"], "--rlimit nofile=x", "not a size", "unlimited"),
    (&["--rlimit", "nofile=2:1"], "--rlimit nofile=2:1", "above the hard one", "SOFT:HARD"),
    (&["--rlimit", "core=0", "--rlimit", "core=1"], "--rlimit core=1", "twice", "once"),
    (&["--stdin", "tty"], "--stdin tty", "not known here", "inherit, null"),
];

const LONG_PATH: &str = "/tmp/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

const OUTPUT: &[Wrong] = &[
    (&["--name", "a/b"], "--name a/b", "cannot be a name", "letters"),
    (&["-n", ""], "--name ", "cannot be a name", "letters"),
    (&["--pid-file", "/no/such/dir/pid"], "--pid-file /no/such/dir/pid", "no directory /no/such/dir", "make it"),
    (&["--pid-file", "/tmp"], "--pid-file /tmp", "this is a directory", "the file"),
    (&["--status-file", "/no/such/dir/status"], "--status-file /no/such/dir/status", "no directory", "make it"),
    (
        &["--pid-file", "/tmp/endless-test-one-file", "--status-file", "/tmp/endless-test-one-file"],
        "--status-file /tmp/endless-test-one-file",
        "the path of --pid-file as well",
        "another path",
    ),
    (
        &["--status-file", "/tmp/endless-test-one-file", "--control", "/tmp/endless-test-one-file"],
        "--control /tmp/endless-test-one-file",
        "the path of --status-file as well",
        "another path",
    ),
    (
        &["-l", "/tmp/endless-test-one-file", "--control", "/tmp/endless-test-one-file"],
        "--control /tmp/endless-test-one-file",
        "the path of --listen as well",
        "another path",
    ),
    (
        &["--pid-file", "/tmp/endless-test-one-file", "--log-file", "/tmp/endless-test-one-file"],
        "--log-file /tmp/endless-test-one-file",
        "the path of --pid-file as well",
        "another path",
    ),
    (&["--log-file", "/no/such/dir/log"], "--log-file /no/such/dir/log", "no directory /no/such/dir", "make it"),
    (&["--output", "/tmp"], "--output /tmp", "this is a directory", "the file"),
    (&["--events", "fd:987654"], "--events fd:987654", "descriptor 987654 is not open", "redirection"),
    (&["--events", "fd:x"], "--events fd:x", "not a whole number", "from 0"),
    (&["--detach"], "--detach", "nobody would see the log", "--log-file FILE"),
    (&["--config", "/no/such/file"], "--config /no/such/file", "No such file", "can read"),
    (&["--control", "/no/such/dir/sock"], "--control /no/such/dir/sock", "no directory /no/such/dir", "make it"),
    (&["--control", "/tmp"], "--control /tmp", "this is a directory", "the file"),
    (&["--control", LONG_PATH], "--control /tmp/x", "at most 107 bytes", "shorter"),
    (&["--log-format", "xml"], "--log-format xml", "not known here", "text, json"),
    (&["--quiet", "--verbose"], "--quiet", "--verbose says the opposite", "one of them"),
];

/// What takes no value, and is wrong in its shape only.
const SHAPES: &[Wrong] = &[
    (&["--no-expand=maybe"], "unexpected value 'maybe' for '--no-expand'", "no more were expected", "--help"),
    (&["--clear-env=maybe"], "unexpected value 'maybe' for '--clear-env'", "no more were expected", "--help"),
    (&["--no-new-privs=maybe"], "unexpected value 'maybe' for '--no-new-privs'", "no more were expected", "--help"),
    (&["--quiet=maybe"], "unexpected value 'maybe' for '--quiet'", "no more were expected", "--help"),
    (&["--verbose=maybe"], "unexpected value 'maybe' for '--verbose...'", "no more were expected", "--help"),
    (&["--status-file", ""], "a value is required for '--status-file <FILE>'", "none was supplied", "--help"),
    (&["--retire"], "unexpected argument '--retire'", "found", "similar"),
    (&["--zzz"], "unexpected argument '--zzz'", "found", "--help lists the options"),
    (&["--user", "-x"], "unexpected argument '-x'", "found", "--OPTION=-1"),
    (&["--hamer", "3"], "unexpected argument '--hamer'", "found", "--hammer"),
    (&["--hammer"], "a value is required for '--hammer <DUR>'", "none was supplied", "--help"),
    (&["--hammer", "1", "--hammer", "2"], "the argument '--hammer <DUR>'", "cannot be used multiple times", "--help"),
    (&["./server"], "`./server` stands before `--`", "only options do", "take `./server` away"),
    (&["localhost:80"], "`localhost:80` stands before `--`", "only options do", "endless -l localhost:80 -- COMMAND"),
    (&["-q", "check"], "`check` stands before `--`", "only options do", "endless check [OPTIONS] -- COMMAND"),
];

const TABLES: [&[Wrong]; 8] = [LISTENERS, READINESS, RETIREMENT, SIGNALS, WATCH, PROCESS, OUTPUT, SHAPES];

#[test]
fn wrong_values_are_named_with_a_reason_and_a_way_out() {
    for (options, names, why, way_out) in TABLES.into_iter().flatten() {
        let line = [*options, &["--", "true"]].concat();
        let (message, code) = plan(&line).expect_err(&format!("{options:?}"));
        assert_eq!(code, 2, "{message}");
        assert!(message.starts_with(names), "{options:?}: {message}");
        let rest = &message[names.len()..];
        let (reason, hint) = rest.split_once("\nhint: ").unwrap_or_else(|| panic!("no way out: {message}"));
        assert!(reason.contains(why), "{options:?}: {message}");
        assert!(hint.contains(way_out), "{options:?}: {message}");
    }
}

/// What the subcommands for a running endless are given, and what they say: names, reason, way out.
const CLIENTS: &[Wrong] = &[
    (&["status", "a/b"], "NAME a/b", "cannot be a name", "endless status"),
    (&["status", "--control", "none"], "--control none", "nobody listens there", "path of a control socket"),
    (&["status", "--json", "--watch"], "the argument '--json'", "cannot be used with", "endless status --help"),
    (&["restart", "--timeout", "soon"], "--timeout soon", "`soon` is not a duration", "never"),
    (&["restart", "--active", "--drained"], "the argument '--active'", "cannot be used with", "endless restart --help"),
    (&["restart", "--pid-file", "p"], "--status-file <FILE>", "is missing", "endless restart --help"),
    (&["restart", "x", "--pid-file", "p", "--status-file", "s"], "the argument", "cannot be used with", "--help"),
    (&["restart", "a", "b"], "unexpected argument 'b'", "found", "endless restart --help"),
    (&["stop", "--timeout", "x"], "--timeout x", "not a duration", "never"),
    (&["hammer", "--timeout", "x"], "--timeout x", "not a duration", "never"),
    (&["signal"], "<SIGNAL>", "is missing", "endless signal --help"),
    (&["signal", "NOPE"], "SIGNAL NOPE", "not a signal", "kill -l"),
];

#[test]
fn the_words_for_a_running_one_name_what_is_wrong_too() {
    for (line, names, why, way_out) in CLIENTS {
        let message = match parse(line) {
            Err(error) => error.to_string(),
            Ok(Invocation::Ask(args)) => Asking::new(&args).expect_err(&format!("{line:?}")).to_string(),
            Ok(other) => panic!("{other:?}"),
        };
        assert!(message.starts_with(names), "{line:?}: {message}");
        let (reason, hint) = message[names.len()..].split_once("\nhint: ").unwrap();
        assert!(reason.contains(why), "{line:?}: {message}");
        assert!(hint.contains(way_out), "{line:?}: {message}");
    }
}

#[test]
fn what_is_no_text_is_named() {
    use std::os::unix::ffi::OsStringExt;
    let path = OsString::from_vec(b"/run/\xff".to_vec());
    let words = ["endless", "--listen", "", "--", "true"].map(OsString::from);
    let words = words.into_iter().map(|word| if word.is_empty() { path.clone() } else { word });
    let message = cli::parse(words, &[]).unwrap_err().to_string();
    assert!(message.starts_with("--listen /run/\u{fffd}: this is no UTF-8\nhint: "), "{message}");
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test runs the program")]
fn a_wrong_value_of_a_switch_s_variable_is_named() {
    for (variable, hint) in [("ENDLESS_NO_EXPAND", "yes or no"), ("ENDLESS_VERBOSE", "how often -v: 0, 1 or 2")] {
        let mut endless = std::process::Command::new(env!("CARGO_BIN_EXE_endless"));
        let said = endless.args(["check", "--", "true"]).env(variable, "maybe").output().unwrap();
        assert_eq!(said.status.code(), Some(2));
        let message = format!("endless: {variable}=maybe: `maybe` is no value of a switch\nhint: {hint}\n");
        assert_eq!(String::from_utf8_lossy(&said.stderr), message);
    }
}

/// A release build is static, and looks names up otherwise (src/sys/names.rs): `make test` runs this in both.
#[test]
#[allow(clippy::disallowed_methods, reason = "a test runs the program")]
fn the_program_itself_refuses_names_that_nobody_has() {
    for (option, value) in [("--user", "no-such-user"), ("--user", "987654"), ("--group", "no-such-group")] {
        let mut endless = std::process::Command::new(env!("CARGO_BIN_EXE_endless"));
        let said = endless.args(["check", option, value, "--", "true"]).output().unwrap();
        let message = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(2), "{option} {value}: {}: {message}", said.status);
        assert!(message.starts_with(&format!("endless: {option} {value}: ")), "{message}");
    }
}

#[test]
fn every_option_has_a_wrong_value_in_the_tables() {
    let tried: BTreeSet<&str> = TABLES
        .into_iter()
        .flatten()
        .flat_map(|(options, ..)| *options)
        .filter_map(|word| word.strip_prefix("--"))
        .map(|word| word.split('=').next().unwrap_or(word))
        .collect();
    let command = cli::command();
    let all =
        command.get_arguments().filter_map(clap::Arg::get_long).filter(|long| !matches!(*long, "help" | "version"));
    let missing: Vec<&str> = all.filter(|long| !tried.contains(long)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn a_command_before_the_dashes_says_where_it_belongs() {
    for (line, what, hint) in [
        (&["./server", "-x"][..], "`./server` stands before `--`", "endless [OPTIONS] -- ./server -x"),
        (&["8080"], "`8080` stands before `--`", "endless -l 8080 -- COMMAND"),
        (&["reload"], "`reload` stands before `--`", "endless restart [NAME]"),
        (&["help"], "`help` stands before `--`", "endless --help"),
        (&["start", "x"], "`start` stands before `--`", "endless [OPTIONS] -- COMMAND"),
        (&["-hammer", "5"], "`-hammer`: one dash is for options of one letter", "two dashes: --hammer"),
        (&["-listen=:80", "--", "x"], "`-listen=:80`: one dash", "two dashes: --listen"),
        (&[], "there is no COMMAND to run", "--help lists the options"),
        (&["-l", ":1", "--"], "there is no COMMAND to run", "endless [OPTIONS] -- COMMAND"),
        (&["check"], "there is no COMMAND to run", "endless [OPTIONS] -- COMMAND"),
        (&["exec", "true"], "`true`: exec takes no options", "endless exec -- COMMAND"),
        (&["presets", "nginx"], "`nginx`: presets takes nothing", "endless presets"),
        (&["exec", "--"], "exec: there is no COMMAND", "endless exec -- COMMAND"),
    ] {
        let message = parse(line).unwrap_err().to_string();
        let (reason, way_out) = message.split_once("\nhint: ").unwrap();
        assert!(reason.contains(what), "{message}");
        assert!(way_out.contains(hint), "{message}");
    }
}

#[test]
fn a_command_that_cannot_run_is_said_before_anything_starts() {
    for (command, code, reason) in [
        ("no-such-command", 127, "COMMAND no-such-command: it is in no directory of PATH"),
        ("/no/such/command", 127, "COMMAND /no/such/command: there is no file"),
        ("/etc/passwd", 126, "COMMAND /etc/passwd: /etc/passwd cannot be executed: permission denied"),
        ("/etc", 126, "COMMAND /etc: /etc cannot be executed: it is a directory"),
    ] {
        let (message, found) = plan(&["--", command]).unwrap_err();
        assert!(message.starts_with(reason) && message.contains("\nhint: "), "{message}");
        assert_eq!(found, code, "{message}");
    }
}
