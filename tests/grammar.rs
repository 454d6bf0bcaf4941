//! The grammar of the command line: what is written is read back the same, and nothing that is typed makes it panic;
//! the same for what a copy sends to its notify socket. fuzz/ has the same properties for a fuzzer. What variables say is read
//! as it is documented, and a .gitignore as git reads it.
#![allow(clippy::unwrap_used, reason = "tests")]

use endless::cli::{self, Invocation};
use endless::plan::{ListenerSpec, Plan, Resolver, Surroundings};
use endless::runtime::notify::{self, Said};
use endless::runtime::watch::rules::Rules;
use proptest::prelude::*;
use std::ffi::OsString;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

fn resolver() -> Resolver {
    Resolver::by(
        || true,
        |host| match host {
            "localhost" => Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]),
            _ => Err("not known".to_owned()),
        },
    )
}

fn surroundings() -> Surroundings {
    let environment = vec![("PATH".into(), "/bin:/usr/bin".into())];
    Surroundings { inherited: vec![], ipv6: || true, environment }
}

fn inet() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        Just("localhost:".to_owned()),
        Just("*:".to_owned()),
        Just(":".to_owned()),
        Just(String::new()),
        any::<Ipv4Addr>().prop_map(|ip| format!("{ip}:")),
        any::<std::net::Ipv6Addr>().prop_map(|ip| format!("[{ip}]:")),
    ];
    let kind = prop_oneof![Just(""), Just("udp:"), Just("tcp:")];
    (kind, host, any::<u16>()).prop_map(|(kind, host, port)| format!("{kind}{host}{port}"))
}

fn unix() -> impl Strategy<Value = String> {
    let kind = prop_oneof![Just("unix:"), Just("unix-dgram:"), Just("unix-seqpacket:")];
    let name = prop_oneof!["@[a-zA-Z0-9_./=:-]{1,40}[a-z]", "/[a-zA-Z0-9_./=: é-]{1,40}[a-z]", "[a-z./]{0,20}[a-z]"];
    (kind, name).prop_map(|(kind, name)| format!("{kind}{name}"))
}

fn address() -> impl Strategy<Value = String> {
    let descriptor = (0..2000).prop_map(|number| format!("fd:{number}"));
    let cid =
        prop_oneof![Just("any".to_owned()), Just("local".to_owned()), (0..u32::MAX).prop_map(|cid| cid.to_string())];
    let vsock = (cid, 0..u32::MAX).prop_map(|(cid, port)| format!("vsock:{cid}:{port}"));
    prop_oneof![inet(), unix(), vsock, descriptor, "fd:[a-z]{1,9}", "/[a-z./=]{0,30}[a-z]"]
}

fn option() -> impl Strategy<Value = String> {
    let number = 1..2000i32;
    prop_oneof![
        number.clone().prop_map(|n| format!("backlog={n}")),
        (0..0o777u32).prop_map(|mode| format!("mode={mode:o}")),
        number.clone().prop_map(|n| format!("user={n}")),
        number.clone().prop_map(|n| format!("group={n}")),
        Just("v6only=yes".to_owned()),
        Just("v6only=no".to_owned()),
        Just("freebind".to_owned()),
        Just("transparent".to_owned()),
        Just("device=eth0".to_owned()),
        any::<u32>().prop_map(|n| format!("mark={n}")),
        any::<u32>().prop_map(|n| format!("mark={n:#x}")),
        number.clone().prop_map(|n| format!("fastopen={n}")),
        number.clone().prop_map(|n| format!("defer-accept={n}")),
        (1..100, 1..100, 1..100).prop_map(|(idle, every, count)| format!("keepalive={idle}/{every}/{count}")),
        Just("nodelay".to_owned()),
        number.clone().prop_map(|n| format!("rcvbuf={n}K")),
        number.clone().prop_map(|n| format!("sndbuf={n}")),
        Just("congestion=bbr".to_owned()),
        Just("nonblock=no".to_owned()),
        Just("nonblock=yes".to_owned()),
        Just("share=yes".to_owned()),
        (3..2000).prop_map(|n| format!("fd={n}")),
    ]
}

proptest! {
    #[test]
    fn a_listener_is_read_back_as_it_was_written(
        name in prop_oneof![Just(String::new()), "[a-zA-Z0-9_.-]{1,20}="],
        address in address(),
        wanted in proptest::collection::vec(option(), 0..6),
    ) {
        let alone = ListenerSpec::parse(&format!("{name}{address}"), &mut resolver()).expect("an address of the grammar");
        let mut text = format!("{name}{address}");
        for option in wanted {
            let longer = format!("{text},{option}");
            if ListenerSpec::parse(&longer, &mut resolver()).is_ok() {
                text = longer;
            }
        }
        let spec = ListenerSpec::parse(&text, &mut resolver()).expect("only fitting options");
        prop_assert_eq!(&spec.address, &alone.address);
        let canonical = spec.to_string();
        let again = ListenerSpec::parse(&canonical, &mut resolver()).expect("the canonical form is of the grammar");
        prop_assert_eq!(again.to_string(), canonical.clone());
        prop_assert_eq!(ListenerSpec { flag: spec.flag.clone(), ..again }, spec);
    }

    #[test]
    fn no_listener_makes_it_panic(text in ".*") {
        let _ = ListenerSpec::parse(&text, &mut resolver());
    }

    #[test]
    fn no_near_miss_makes_it_panic(parts in proptest::collection::vec(
        prop_oneof![address(), option(), Just(",".to_owned()), Just("=".to_owned()), Just(":".to_owned()), Just("[".to_owned()), "\\PC{0,3}"], 0..6,
    )) {
        if let Ok(spec) = ListenerSpec::parse(&parts.concat(), &mut resolver()) {
            let again = ListenerSpec::parse(&spec.to_string(), &mut resolver()).expect("the canonical form is of the grammar");
            prop_assert_eq!(ListenerSpec { flag: spec.flag.clone(), ..again }, spec);
        }
    }

    #[test]
    fn no_option_makes_it_panic(place in 0usize..100, value in prop_oneof![".*", "[a-z0-9=:/,.-]{0,20}", "-?[0-9.]{1,25}[a-z]{0,3}"]) {
        let command = cli::command();
        let options: Vec<_> = command.get_arguments().filter(|arg| arg.get_action().takes_values()).filter_map(clap::Arg::get_long).collect();
        let long = options[place % options.len()];
        // A host name would be looked up.
        prop_assume!(long != "listen");
        let line = ["endless".to_owned(), format!("--{long}={value}"), "--".to_owned(), "true".to_owned()];
        if let Ok(Invocation::Run(args)) = cli::parse(line.into_iter().map(OsString::from), &[]) {
            let _ = Plan::new(&args, &surroundings());
        }
    }

    #[test]
    fn no_datagram_breaks_or_forges_a_line_of_the_log(parts in proptest::collection::vec(
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..9),
            Just(b"READY=1".to_vec()), Just(b"STATUS=".to_vec()), Just(b"STOPPING=1".to_vec()), Just(b"\n".to_vec()),
            Just("\u{85}\u{2028}\u{9b}".as_bytes().to_vec()),
        ], 0..12,
    )) {
        let datagram = parts.concat();
        let said = notify::parse(&datagram);
        prop_assert!(said.len() <= datagram.split(|byte| *byte == b'\n').count());
        for said in said {
            if let Said::Status(text) = said {
                prop_assert!(!text.contains(char::is_control), "{text:?}");
            }
        }
    }

    #[test]
    fn no_command_line_makes_it_panic(words in proptest::collection::vec(prop_oneof![".*", "-{1,2}[a-z-]{0,9}", Just("--".to_owned())], 0..8)) {
        let _ = cli::parse(words.into_iter().map(OsString::from), &[]);
    }
}

#[test]
fn durations_are_read_back_as_they_are_shown() {
    for text in ["0", "1", "1.5", "90s", "2m 30s", "1500ms", "1h 1ms"] {
        let line = ["endless", "--hammer", text, "--", "true"].map(OsString::from);
        let Ok(Invocation::Run(args)) = cli::parse(line, &[]) else { panic!("{text}") };
        let hammer = Plan::new(&args, &surroundings()).unwrap().lifecycle.hammer.unwrap();
        let shown = humantime::format_duration(hammer).to_string();
        assert_eq!(humantime::parse_duration(&shown).unwrap(), hammer, "{text}");
    }
}

/// Runs `shown_args` in a process of its own, with these variables.
#[allow(clippy::disallowed_methods, reason = "the environment of this process is not changed")]
fn with_variables(variables: &[(&str, &str)]) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "shown_args", "--ignored", "--nocapture"]);
    let output = child.envs(variables.iter().copied()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "the child of the tests of variables"]
fn shown_args() {
    let line = ["endless", "-l", ":1", "-e", "C=3", "--", "x"].map(OsString::from);
    match cli::parse(line, &[]) {
        Ok(Invocation::Run(args)) => {
            let typed = (&args.listeners.listen, &args.process.changes, &args.signals.hooks, &args.process.rlimit);
            println!("{typed:?} {:?} {:?}", args.retirement.hammer, args.process.clear_env);
            println!("from {:?}", args.from_environment);
        }
        other => println!("{other:?}"),
    }
}

#[test]
fn variables_set_options_and_the_command_line_wins() {
    let shown = with_variables(&[
        ("ENDLESS_LISTEN", ":7 :8"),
        ("ENDLESS_HOOK", "begin=echo a\nexit=echo b"),
        ("ENDLESS_UNSET", "A B"),
        ("ENDLESS_RLIMIT", " core=0  nofile=9 "),
        ("ENDLESS_CLEAR_ENV", "yes"),
        ("ENDLESS_HAMMER", "5s"),
        ("ENDLESS_NAME", ""),
    ]);
    let typed = r#"([":1"], [Unset("A"), Unset("B"), Set("C=3")], [Hook("begin=echo a"), Hook("exit=echo b")], ["core=0", "nofile=9"])"#;
    assert!(shown.contains(&format!("{typed} Some(\"5s\") true")), "{shown}");
    assert!(!shown.contains("\"name\"") && !shown.contains("\"listen\"") && shown.contains("\"hammer\""), "{shown}");
    let wrong = with_variables(&[("ENDLESS_CLEAR_ENV", "perhaps")]);
    assert!(wrong.contains("ENDLESS_CLEAR_ENV=perhaps: `perhaps` is no value of a switch"), "{wrong}");
}

/// The .gitignore at the top.
const GITIGNORE: &str = "# comment\n\\#kept\n/target\nbuild/\n*.o\n!keep.o\ndoc/*.txt\na/**/z\nlogs/**\n**/deep/one\n\
                     [Tt]emp[0-9]\n[!a-y]x\ntrailing  \nesc\\*\n/only/here\r\nq?z\n!/target/\nsub/*\n!sub/yes\n";
/// The one in `inner`.
const INNER_GITIGNORE: &str = "!b.o\n/own\n";

/// Makes the files, and returns their names.
fn tree(top: &Path) -> Vec<PathBuf> {
    let files = [
        "#kept",
        "target",
        "x/target",
        "a.o",
        "keep.o",
        "x/keep.o",
        "doc/a.txt",
        "doc/x/a.txt",
        "a/z",
        "a/b/z",
        "a/b/c/z",
        "b/z",
        "logs/1",
        "logs/x/2",
        "deep/one",
        "x/deep/one",
        "Temp7",
        "temp",
        "zx",
        "ax",
        "trailing",
        "esc*",
        "escape",
        "only/here",
        "x/only/here",
        "qaz",
        "qz",
        "inner/b.o",
        "inner/own",
        "inner/x/own",
        "own",
        "sub/yes",
        "sub/no",
        "x/build",
        "build/in",
        "x.pyc.txt",
    ];
    for file in files {
        let path = top.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    fs::write(top.join(".gitignore"), GITIGNORE).unwrap();
    fs::write(top.join("inner/.gitignore"), INNER_GITIGNORE).unwrap();
    files.iter().map(PathBuf::from).collect()
}

/// As the walk does it: what is in an ignored directory is not looked at.
fn ignored(rules: &Rules, top: &Path, file: &Path) -> bool {
    let above = file.ancestors().filter(|above| !above.as_os_str().is_empty());
    above.into_iter().any(|one| rules.ignore(&top.join(one), top.join(one).is_dir()))
}

#[test]
#[allow(clippy::disallowed_methods, reason = "git is asked")]
fn git_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path();
    let files = tree(top);
    let git = |args: &[&str]| Command::new("git").current_dir(top).args(args).output();
    if !git(&["init", "-q"]).is_ok_and(|done| done.status.success()) {
        eprintln!("skipped: there is no git");
        return;
    }
    let mut rules = Rules::everywhere();
    rules.read(top);
    rules.read(&top.join("inner"));
    for file in files {
        let said = git(&["-c", "core.excludesFile=", "check-ignore", "-q", file.to_str().unwrap()]).unwrap();
        assert_eq!(ignored(&rules, top, &file), said.status.success(), "{}", file.display());
    }
}
