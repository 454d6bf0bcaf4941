use super::*;
use crate::cli::{self, Invocation};

fn surroundings() -> Surroundings {
    let socket = |fd, name: &str| InheritedSocket { fd, name: Some(name.to_owned()) };
    let inherited = vec![socket(3, "app.socket"), socket(4, "app.socket"), socket(5, "odd name:x")];
    Surroundings { inherited, ipv6: || true, environment: vec![("PATH".into(), "/bin".into())] }
}

fn args(line: &[&str]) -> cli::Args {
    match cli::parse(["endless"].iter().chain(line).map(OsString::from), &[]) {
        Ok(Invocation::Run(args)) => *args,
        other => panic!("{other:?}"),
    }
}

fn plan(line: &[&str]) -> Plan {
    Plan::new(&args(line), &surroundings()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_defaults() {
    let plan = plan(&["-l", "127.0.0.1:80", "--", "/bin/sh"]);
    assert_eq!(plan.name, "sh");
    assert_eq!(plan.readiness, Readiness { mode: ReadyMode::Auto, settle: std::time::Duration::from_secs(1) });
    assert_eq!(plan.retirement.retire_signal, crate::words::Sig::TERM);
    assert_eq!(plan.output, Output::default());
    assert!(!plan.handoff.explicit && plan.handoff.listen_pid && plan.handoff.expand);
}

#[test]
fn without_listen_every_socket_passed_in_is_a_listener() {
    let listeners = plan(&["--", "sh"]).listeners;
    let names: Vec<&str> = listeners.iter().map(|spec| &*spec.name).collect();
    assert_eq!(names, ["app.socket", "app.socket-2", "odd-name-x"]);
    assert_eq!(listeners[1].address, Address::Inherited(InheritedRef::Number(4)));
    let picked = plan(&["-l", "x=fd:5", "--", "sh"]);
    assert_eq!((&*picked.listeners[0].name, picked.listeners.len()), ("x", 1));
}

#[test]
fn a_value_from_a_variable_is_named_by_the_variable() {
    let args = cli::Args { from_environment: vec!["hammer".to_owned()], ..args(&["--hammer", "abc", "--", "sh"]) };
    let error = Plan::new(&args, &surroundings()).unwrap_err();
    assert!(error.to_string().starts_with("ENDLESS_HAMMER=abc: `abc` is not a duration\nhint: "), "{error}");
}

#[test]
fn verbose_typed_wins_over_quiet_from_a_variable() {
    let args = cli::Args { from_environment: vec!["quiet".to_owned()], ..args(&["-q", "-vv", "--", "sh"]) };
    assert_eq!(Plan::new(&args, &surroundings()).unwrap().output.verbosity, 2);
}

#[test]
fn ten_thousand_listeners_make_a_plan() {
    let mut line = Vec::new();
    for port in 1..=10_000 {
        line.extend(["-l".to_owned(), format!("localhost:{port}")]);
    }
    line.extend(["--".to_owned(), "sh".to_owned()]);
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    assert_eq!(plan(&line).listeners.len(), 10_000);
}

const SHOWN: &str = "\
name            sh
command         sh -c 'it'\\''s {fd}'
file            /bin/sh
listener        web: TCP 127.0.0.1:4242 (backlog=9), descriptor 3
listener        -80: TCP [::]:80, descriptor 4
listener        /run/a.sock: Unix stream /run/a.sock (fd=9), descriptor 9
capture         never
pass            systemd, server-starter
kept            at most 64 descriptors of copies
ready           probe=http:/up
ready timeout   1m 30s
settle          1s
probation       2s
watchdog        none
supersede       5s
max retiring    8
respawn         on-failure, at most 5 in 1m
drain           quiet, at most 10s
stop signal     SIGTERM
retire signal   SIGTERM
hammer          never
kill mode       mixed
on              HUP restart
on              INT stop
on              QUIT stop
on              USR1 ignore
on              USR2 hammer
on              TERM stop
on              TSTP ignore
hook            pre:HUP sh -n x
hook timeout    30s
env             A={fd}
umask           0022
limit           nofile 1024 hard unlimited
stdin           inherit
orphans         stop
log             text, what happens
control         none
";

#[test]
fn check_shows_the_whole_plan() {
    let plan = plan(&[
        "-l",
        "web=127.0.0.1:4242,backlog=9",
        "-l",
        ":80",
        "-l",
        "/run/a.sock,fd=9",
        "--control",
        "none",
        "--ready",
        "probe=http:/up",
        "--hammer",
        "never",
        "--check",
        "sh -n x",
        "--env",
        "A={fd}",
        "--rlimit",
        "nofile=1K:unlimited",
        "--umask",
        "022",
        "--",
        "sh",
        "-c",
        "it's {fd}",
    ]);
    let shown = show::render(&plan, &surroundings().environment);
    assert_eq!(shown, SHOWN);
}

#[test]
fn what_an_older_endless_has_left_undone_is_understood() {
    let asked =
        [("\"Nothing\"", SignalAction::Ignore), ("{\"Forward\":10}", SignalAction::Forward(crate::words::Sig::USR1))];
    for (text, action) in asked {
        assert_eq!(serde_json::from_str::<SignalAction>(text).unwrap(), action);
    }
}
