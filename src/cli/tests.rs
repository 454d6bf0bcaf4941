use super::*;
use std::collections::BTreeSet;
use std::time::Instant;

fn parse(line: &[&str]) -> Result<Invocation, UsageError> {
    super::parse(std::iter::once("endless").chain(line.iter().copied()).map(OsString::from), &[])
}

fn run(line: &[&str]) -> Args {
    match parse(line) {
        Ok(Invocation::Run(args)) => *args,
        other => panic!("{other:?}"),
    }
}

/// The variables endless gives to copies and hooks, and those of the protocols of other programs.
const GIVEN: [&str; 10] = [
    "ENDLESS_PID",
    "ENDLESS_GENERATION",
    "ENDLESS_WORKER",
    "ENDLESS_SIGNAL",
    "ENDLESS_ADDR",
    "ENDLESS_CHILD_PID",
    "ENDLESS_OLD_PID",
    "ENDLESS_REASON",
    "ENDLESS_CONTINUE",
    "ENDLESS_SOCKET_ORDER",
];

#[test]
fn the_command_is_well_formed() {
    command().debug_assert();
}

#[test]
fn every_option_has_its_variable_and_no_other_uses_it() {
    let command = command();
    let mut seen = BTreeSet::new();
    for arg in command.get_arguments().filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version" | "command")) {
        let long = arg.get_long().expect("every option has a long name");
        let expected = format!("ENDLESS_{}", long.replace('-', "_").to_ascii_uppercase());
        assert_eq!(arg.get_env().and_then(|name| name.to_str()), Some(expected.as_str()), "--{long}");
        assert!(arg.is_hide_env_values_set(), "--{long}: the help must not depend on the environment");
        assert!(arg.get_help().is_some(), "--{long}");
        assert!(!GIVEN.contains(&expected.as_str()), "{expected} is given to copies");
        assert!(seen.insert(expected));
    }
    let short: BTreeSet<String> = short::VARIABLES.split(' ').map(|name| format!("ENDLESS_{name}")).collect();
    assert_eq!(short, seen);
}

#[test]
fn a_variable_that_is_no_option_does_not_make_the_way_long() {
    let among = |name: &str| short::among(&[("HOME".into(), "/".into()), (name.into(), "1".into())]);
    assert!(["ENDLESS_HAMMER", "ENDLESS_ON", "ENDLESS_WATCH_EXEC"].into_iter().all(among));
    assert!(!GIVEN.into_iter().any(among));
    assert!(!["ENDLESS_BIN", "ENDLESS_", "HAMMER", "ENDLESS_HAMMERS"].into_iter().any(among));
}

#[test]
fn what_follows_the_dashes_is_the_targets() {
    let args = run(&["-l", ":80", "-qvv", "--", "./server", "--hammer", "--", "-x"]);
    assert_eq!(args.command, ["./server", "--hammer", "--", "-x"]);
    assert_eq!(args.listeners.listen, [":80"]);
    assert!(args.output.quiet && args.output.verbose == 2);
    assert_eq!(run(&["--hammer", "-1", "--nice", "-5", "--", "x"]).retirement.hammer.as_deref(), Some("-1"));
}

#[test]
fn subcommands_come_first() {
    assert!(matches!(parse(&["check", "-l", ":80", "--", "x"]), Ok(Invocation::Check(_))));
    assert!(matches!(parse(&["--", "check"]), Ok(Invocation::Run(_))));
    assert_eq!(parse(&["exec", "--", "x", "-y"]), Ok(Invocation::Exec(vec!["x".into(), "-y".into()])));
}

#[test]
fn help_and_version_are_printed() {
    let print = |line: &[&str]| match parse(line) {
        Ok(Invocation::Print(text)) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(print(&["--version"]), concat!("endless ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_eq!(print(&["-V"]), print(&["--version"]));
    let (short, long) = (print(&["-h"]), print(&["--help"]));
    assert!(short.len() < long.len());
    for text in [&short, &long] {
        assert!(text.contains("ENDLESS_HAMMER") && text.contains("Retirement:"), "{text}");
    }
    assert!(long.contains("Exit status:"));
    assert!(print(&["exec", "--help"]).contains("LISTEN_PID"));
    assert_eq!(print(&["check", "-h"]), short);
}

#[test]
fn related_options_keep_their_order() {
    let args = run(&[
        "--env-file",
        "f",
        "-e",
        "A=1",
        "--unset",
        "B",
        "--check",
        "c",
        "-e",
        "B=2",
        "--env-dir",
        "d",
        "--hook",
        "begin=h",
        "--unset",
        "A",
        "--",
        "x",
    ]);
    assert_eq!(
        args.process.changes,
        [
            EnvArg::File("f".into()),
            EnvArg::Set("A=1".into()),
            EnvArg::Unset("B".into()),
            EnvArg::Set("B=2".into()),
            EnvArg::Dir("d".into()),
            EnvArg::Unset("A".into()),
        ]
    );
    assert_eq!(args.signals.hooks, [HookArg::Check("c".into()), HookArg::Hook("begin=h".into())]);
}

#[test]
fn thousands_of_listeners_take_the_short_way_and_mean_the_same() {
    let few =
        ["-l", ":1", "-qvl", ":2", "--listen=:3", "-vl:4", "-l=:5", "--hammer", "-1", "--listen", ":6", "-e", "A=l"];
    let mut many: Vec<&str> = few.to_vec();
    (0..300).for_each(|_| many.extend(["-e", "B=1"]));
    let expected = run(&[&few[..], &["--", "x"]].concat());
    let args = run(&[&many[..], &["--", "x"]].concat());
    assert_eq!(args.listeners, expected.listeners);
    assert_eq!((args.output, args.retirement), (expected.output, expected.retirement));
    let command = command();
    let switches =
        command.get_arguments().filter(|arg| !arg.get_action().takes_values()).filter_map(|arg| arg.get_short());
    let switches: BTreeSet<char> = switches.filter(|short| !"hV".contains(*short)).collect();
    assert_eq!(switches, BTreeSet::from(['q', 'v']), "many::split knows these");
    for wrong in ["-l", "--listen"] {
        let message = parse(&[&many[..], &[wrong, "--", "x"]].concat()).unwrap_err().to_string();
        assert!(message.starts_with("a value is required for '--listen"), "{message}");
    }
}

fn clap_says(line: &[&str]) -> Args {
    match by_clap(line.iter().map(OsString::from).collect(), false) {
        Ok(Read::Options(args)) => *args,
        Ok(Read::Print(text)) => panic!("{line:?}: {text}"),
        Err(error) => panic!("{line:?}: {error}"),
    }
}

#[test]
fn the_short_way_and_clap_agree() {
    let short = |line: &[&str]| short::read(&line.iter().map(OsString::from).collect::<Vec<_>>());
    let names = short::ONCE.iter().map(|(long, short, _)| (long, short));
    let names = names.chain(short::AGAIN.iter().map(|(long, short, _)| (long, short)));
    for name in names.flat_map(|(long, short)| [*long, *short]).filter(|name| !name.is_empty()) {
        let line = ["-l", ":1", name, "a=b,c", "--listen=:2"];
        assert_eq!(short(&line), Some(clap_says(&line)), "{name}");
    }
    assert_eq!(short(&[]), Some(clap_says(&[])));
    assert_eq!(short(&["--hammer=5s"]), Some(clap_says(&["--hammer=5s"])));
}

#[test]
fn the_short_way_leaves_faults_and_everything_unusual_to_clap() {
    let lines: [&[&str]; 10] = [
        &["--hammer", "1", "--hammer", "2"],
        &["--hammer"],
        &["--hammer", ""],
        &["--hammer", "-1"],
        &["-l:80"],
        &["-l=:80"],
        &["-q"],
        &["word", "another"],
        &["--help"],
        &["-e", "A=1"],
    ];
    for line in lines {
        assert_eq!(short::read(&line.iter().map(OsString::from).collect::<Vec<_>>()), None, "{line:?}");
    }
}

#[test]
#[ignore = "a measurement: cargo test --release --lib cost_of_parsing -- --ignored --nocapture"]
#[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn cost_of_parsing() {
    let line = ["-l", "localhost:4242", "--hammer", "60s", "--", "./simple_server"];
    let begin = Instant::now();
    for _ in 0..1000 {
        assert!(parse(&line).is_ok());
    }
    println!("{:?} for one command line", begin.elapsed() / 1000);
}
